//! Messages of the broker: PUBLISH, whole or in pieces, and PUBREL.
//!
//! Once a PUBLISH is begun in pieces, no other packet is taken before its end.

use super::{Machine, Taken, connection::Phase};
use crate::{
    codec::{self, Header, PacketId, PacketType, Publish, PublishHead, QoS, Violation},
    error::Fatal,
    event::{Event, Message, MessageStart},
    time::Instant,
    timers::Timer,
};

/// A PUBLISH that is being taken in pieces.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Stream {
    left: usize,
    qos: QoS,
    id: Option<PacketId>,
    dup: bool,
    deliver: bool,
}

impl Machine<'_> {
    /// A whole PUBLISH.
    pub(super) fn message<'i>(&mut self, first: u8, body: &'i [u8]) -> Taken<'i> {
        let Publish { topic, payload, qos, retain, dup, id } = Publish::decode(first, body)?;
        let mut delivery = None;
        if let Some(id) = id {
            let Some(arrival) = self.session.admit(qos, id, dup)? else { return self.not_now() };
            delivery = self.session.take(qos, id, arrival);
            if !arrival.deliver {
                return Ok(None);
            }
        }
        Ok(Some(Event::Message(Message { topic, payload, qos, retain, dup, delivery })))
    }

    /// PUBREL.
    pub(super) fn released<'i>(&mut self, id: PacketId) -> Taken<'i> {
        if self.session.release(id) { Ok(None) } else { self.not_now() }
    }

    /// The input holds only the front of a packet. If this part breaks a rule, the error comes now. If the packet is a
    /// PUBLISH that the driver's buffer cannot hold, it is begun.
    #[cold]
    pub(super) fn partial<'i>(&mut self, input: &mut &'i [u8]) -> Taken<'i> {
        codec::incomplete(input, self.state.protocol)?;
        let Some(header) = Header::decode(input)? else { return self.not_now() };
        let kind = PacketType::from_first(header.first())?;
        if matches!(self.state.phase, Phase::Handshake(_)) && kind != PacketType::ConnAck {
            return Err(Violation::BeforeConnAck.into());
        }
        let (len, capacity) = (header.frame_len(), self.state.settings.receive_capacity);
        if len <= capacity {
            return self.not_now();
        }
        if kind != PacketType::Publish {
            return Err(Fatal::PacketTooLarge { len, limit: capacity });
        }
        let bytes = *input;
        let body = bytes.get(header.header_len()..).unwrap_or_default();
        let Some(head) = PublishHead::decode(header.first(), header.remaining(), body)? else {
            if bytes.len() < capacity {
                return self.not_now();
            }
            // The topic alone is longer than the driver's buffer.
            return Err(Fatal::PacketTooLarge { len, limit: capacity });
        };
        let mut deliver = true;
        if let (QoS::ExactlyOnce, Some(id)) = (head.qos, head.id) {
            deliver = !self.session.is_repeated(id, head.dup);
        }
        self.state.stream = Some(Stream {
            left: head.payload_len,
            qos: head.qos,
            id: head.id,
            dup: head.dup,
            deliver,
        });
        *input = body.get(head.head_len..).unwrap_or_default();
        if !deliver {
            return Ok(None);
        }
        Ok(Some(Event::MessageStart(MessageStart {
            topic: head.topic,
            payload_len: head.payload_len,
            qos: head.qos,
            retain: head.retain,
            dup: head.dup,
        })))
    }

    /// The next piece of a PUBLISH that is taken in pieces.
    #[cold]
    pub(super) fn piece<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Taken<'i> {
        let Some(stream) = &mut self.state.stream else { return Ok(None) };
        if stream.left != 0 {
            let Some((piece, rest)) = input.split_at_checked(stream.left.min(input.len())) else {
                return self.not_now();
            };
            if piece.is_empty() {
                return self.not_now();
            }
            *input = rest;
            stream.left -= piece.len();
            let deliver = stream.deliver;
            // The PINGRESP waits behind this payload.
            let patience = self.state.patience(now);
            self.state.timers.postpone(Timer::PingResponse, patience);
            return Ok(deliver.then_some(Event::MessageChunk(piece)));
        }
        let Stream { qos, id, dup, deliver, .. } = *stream;
        let mut delivery = None;
        if let Some(id) = id {
            let Some(arrival) = self.session.admit(qos, id, dup)? else {
                if self.session.is_reclaiming() {
                    // The message is void: the connection ends before its acknowledgement.
                    self.session.skip_message();
                    self.state.stream = None;
                    return Ok(None);
                }
                return self.not_now();
            };
            delivery = self.session.take(qos, id, arrival);
        }
        self.state.stream = None;
        self.count_packet();
        Ok(deliver.then_some(Event::MessageEnd { delivery }))
    }
}
