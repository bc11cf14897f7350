//! A tap behind the client: it sees the packets that the client hands to its transport.
//!
//! It also sees packets that never arrive, so it knows if a message was begun, and if DUP is right.

use mqtt_core::{
    Protocol, QoS,
    codec::{Decoded, Header, Packet, PacketType, PublishHead},
};

use crate::{
    checks::Invariant,
    ledger::{self, Ledger, Sent},
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
                    stage.note(device, What::DeviceSent(Summary::of(&packet)));
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
        let Packet::Publish(publish) = packet else { return };
        let topic = topics::topic_index(publish.topic);
        let known = topic.and_then(|topic| stage.ledger.identify(topic, publish.payload).ok());
        // An empty payload has no number.
        let under_id = || stage.ledger.under_id(device, publish.id?.get());
        let Some(number) = known.and_then(|number| number.or_else(under_id)) else { return };
        let epoch = stage.ledger.epoch(device);
        let message = stage.ledger.message_mut(number);
        let before = std::mem::replace(&mut message.sent, Sent::Whole);
        let again = message.sent_in.replace(epoch) == Some(epoch);
        // [MQTT-3.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1]
        match (before, publish.dup) {
            (Sent::Nothing, true) => stage.fail(Invariant::Protocol, device, || {
                format!("DUP in the first PUBLISH #{number} [MQTT-4.3.2-1], [MQTT-4.3.3-1]")
            }),
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
        while let Ok(Some(header)) = Header::decode(rest) {
            begins(stage, device, rest);
            let Some((_, behind)) = rest.split_at_checked(header.frame_len()) else { return };
            rest = behind;
        }
        begins(stage, device, rest);
    }

    /// The connection is gone, perhaps in the middle of a packet.
    pub(crate) fn disconnected(&mut self, stage: &mut Stage<'_>, device: usize) {
        self.left = false;
        let buffer = std::mem::take(&mut self.buffer);
        begins(stage, device, &buffer);
    }
}

/// The transport has, or may have, the beginning of a packet.
fn begins(stage: &mut Stage<'_>, device: usize, bytes: &[u8]) {
    let Some(first) = bytes.first() else { return };
    if first >> 4 != PacketType::Publish as u8 {
        return;
    }
    // If too few bytes are there to know the message: without DUP it is the oldest message that the broker's session has
    // not seen.
    let epoch = Some(stage.ledger.epoch(device));
    let unsent = |number: &u32| {
        let message = stage.ledger.message(*number);
        message.sent != Sent::Whole || message.sent_in != epoch
    };
    let fresh = first & 0b0110 != 0 && first & 0b1000 == 0;
    let oldest = || stage.ledger.in_flight(device).filter(unsent).min().filter(|_| fresh);
    let number = begun(&stage.ledger, device, bytes).or_else(oldest);
    let number = number.filter(|number| *number < stage.ledger.len());
    if let Some(message) = number.map(|number| stage.ledger.message_mut(number)) {
        if message.sent == Sent::Nothing {
            message.sent = Sent::Perhaps;
        }
    }
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
