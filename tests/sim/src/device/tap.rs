//! A tap behind the client: it sees the packets that the client hands to its transport.
//!
//! It also sees packets that never arrive, so it knows if a message was begun, and if DUP is right.

use mqtt_core::{
    Protocol, QoS,
    codec::{Decoded, Header, Packet, PacketType, PublishHead},
};

use crate::{
    checks::{self, Invariant},
    ledger::{self, Ledger, Pair, Sent},
    stage::Stage,
    topics,
    trace::{Summary, What},
};

/// The tap of one device.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    /// Bytes sent on this connection that are not a whole packet yet.
    buffer: Vec<u8>,
    /// A DISCONNECT was sent on this connection.
    pub(crate) left: bool,
    /// The broker of this connection.
    pub(crate) broker: usize,
    /// The last CONNECT asked for a clean session.
    pub(crate) asked_for_clean: bool,
}

impl Tap {
    /// The transport has taken `bytes`.
    pub(crate) fn sent(
        &mut self,
        stage: &mut Stage<'_>,
        device: usize,
        protocol: Protocol,
        bytes: &[u8],
    ) {
        if self.left && !bytes.is_empty() {
            stage.fail(Invariant::Protocol, device, || {
                "bytes after a DISCONNECT [MQTT-3.14.4-2]".to_owned()
            });
        }
        self.buffer.extend(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut at = 0;
        loop {
            match Packet::decode(&buffer[at..], protocol) {
                Ok(Decoded::Packet { packet, len }) => {
                    at += len;
                    let summary = Summary::at(self.broker, &packet);
                    stage.note(device, What::DeviceSent(summary));
                    self.packet(stage, device, &packet);
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(violation) => {
                    stage.fail(Invariant::Protocol, device, || format!("{violation} was sent"));
                    break;
                }
            }
        }
        self.buffer = buffer;
        self.buffer.drain(..at);
    }

    fn packet(&mut self, stage: &mut Stage<'_>, device: usize, packet: &Packet<'_>) {
        self.left |= *packet == Packet::Disconnect;
        if let Packet::Connect(connect) = packet {
            self.asked_for_clean = connect.clean_session;
        }
        if let Packet::PubRel { id, .. } = packet {
            let pair = Pair { device, broker: self.broker };
            checks::releases_with_a_reason(stage, pair, id.get());
        }
        let Packet::Publish(publish) = packet else { return };
        let topic = topics::topic_index(publish.topic);
        let known = topic.and_then(|topic| stage.ledger.identify(topic, publish.payload).ok());
        // An empty payload has no number.
        let under_id = || stage.ledger.under_id(device, publish.id?.get());
        let Some(number) = known.and_then(|number| number.or_else(under_id)) else { return };
        let stay = stage.ledger.stay(device);
        let broker = self.broker;
        let message = stage.ledger.message_mut(number);
        let before = std::mem::replace(&mut message.sent, Sent::Whole);
        let sent_in = message.sent_in.replace(stay);
        let again = sent_in == Some(stay);
        let sent_here = std::mem::replace(&mut message.sent_to[broker], true);
        let was_lost = sent_in.is_some_and(|before| before != stay)
            && publish.qos == QoS::ExactlyOnce
            && message.may_double == 0;
        if was_lost {
            stage.fail(Invariant::ExactlyOnce, device, || {
                format!("PUBLISH #{number} once more, and its session is not the one before")
            });
        }
        // [MQTT-3.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1]
        match (before, publish.dup) {
            (Sent::Nothing, true) => stage.fail(Invariant::Protocol, device, || {
                format!("DUP in the first PUBLISH #{number} [MQTT-4.3.2-1], [MQTT-4.3.3-1]")
            }),
            (Sent::Perhaps | Sent::Whole, true) if !sent_here => {
                stage.fail(Invariant::Protocol, device, || {
                    format!("DUP in PUBLISH #{number}, which broker {broker} never had")
                });
            }
            (Sent::Whole, false) if publish.qos != QoS::AtMostOnce && again => {
                stage.fail(Invariant::Protocol, device, || {
                    format!("PUBLISH #{number} again, without DUP [MQTT-3.3.1-1]")
                });
            }
            (Sent::Whole, false) if publish.qos == QoS::AtMostOnce => {
                stage.fail(Invariant::AtMostOnce, device, || {
                    format!("PUBLISH #{number} of QoS 0 again")
                })
            }
            _ => {}
        }
    }

    /// The transport was given `bytes` as well, and has not taken them. A part of them may be out nevertheless, and the
    /// client does not know it.
    pub(crate) fn shown(&self, stage: &mut Stage<'_>, device: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let all = [&self.buffer, bytes].concat();
        let mut rest = all.as_slice();
        let mut last = None;
        while let Ok(Some(header)) = Header::decode(rest) {
            last = begins(stage, device, rest, last).or(last);
            let Some((_, behind)) = rest.split_at_checked(header.frame_len()) else { return };
            rest = behind;
        }
        begins(stage, device, rest, last);
    }

    /// The connection is gone, perhaps in the middle of a packet.
    pub(crate) fn disconnected(&mut self, stage: &mut Stage<'_>, device: usize) {
        self.left = false;
        let buffer = std::mem::take(&mut self.buffer);
        begins(stage, device, &buffer, None);
    }
}

/// The transport has, or may have, the beginning of a packet. If it is a PUBLISH, returns its message. `last`: the one
/// ahead of it.
fn begins(stage: &mut Stage<'_>, device: usize, bytes: &[u8], last: Option<u32>) -> Option<u32> {
    let first = bytes.first()?;
    if first >> 4 != PacketType::Publish as u8 {
        return None;
    }
    // If too few bytes are there to know the message: without DUP it is the oldest message that the broker's session has
    // not seen, and that is not ahead of it.
    let stay = Some(stage.ledger.stay(device));
    let unsent = |number: &u32| {
        let message = stage.ledger.message(*number);
        let ahead = last.is_some_and(|last| *number <= last);
        !ahead && (message.sent != Sent::Whole || message.sent_in != stay)
    };
    let fresh = first & 0b0110 != 0 && first & 0b1000 == 0;
    let oldest = || stage.ledger.in_flight(device).filter(unsent).min().filter(|_| fresh);
    let number = begun(&stage.ledger, device, bytes).or_else(oldest);
    let number = number.filter(|number| *number < stage.ledger.len());
    let broker = stage.ledger.home(device).unwrap_or(0);
    if let Some(message) = number.map(|number| stage.ledger.message_mut(number)) {
        message.sent_to[broker] = true;
        if message.sent == Sent::Nothing {
            message.sent = Sent::Perhaps;
        }
    }
    number
}

/// The message that these bytes begin, by its number, or by its id if it has an empty payload.
fn begun(ledger: &Ledger, device: usize, bytes: &[u8]) -> Option<u32> {
    let header = Header::decode(bytes).ok()??;
    let body = bytes.get(header.header_len()..)?;
    let head = PublishHead::decode(header.first(), header.remaining(), body).ok()??;
    let by_number = ledger::number(body.get(head.head_len..)?);
    let under_id = || ledger.under_id(device, head.id?.get());
    by_number.filter(|_| head.payload_len != 0).or_else(under_id)
}
