//! Bytes that come in: one packet at a time, from input that the driver owns.
//!
//! A packet is taken whole or not at all: if its answer has no room in the outbox, the input is left alone until the
//! transport has taken some bytes. A PUBLISH larger than the driver's buffer is taken in pieces, see
//! [`pieces`](super::pieces).

use super::{Machine, Taken, connection::Phase, listening::Listening, logged, untold::Untold};
use crate::{
    codec::{Header, PacketType, Protocol, SubAck, Violation, ack},
    error::{Fatal, Reason},
    event::Event,
    session::{Ended, StuckAt, qos::Answer},
    time::Instant,
};

impl Machine<'_> {
    /// The next event; `None` if `input` holds no further whole packet, or no room is left for an answer.
    pub(crate) fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
        now: Instant,
    ) -> Result<Option<Event<'i>>, Fatal> {
        if let Some(event) = self.untold() {
            return Ok(Some(event));
        }
        match self.state.phase {
            Phase::Handshake(_) | Phase::Up(_) => {}
            // The DISCONNECT has to be the last packet, so nothing more can be answered.
            Phase::Leaving { .. } => return Ok(None),
            Phase::Stopped | Phase::Waiting | Phase::Opening | Phase::Closing(..) => {
                *input = &[];
                return Ok(None);
            }
        }
        let before = input.len();
        let known = self.state.unread;
        let taken = self.take(input, now);
        let count = before - input.len();
        let state = &mut *self.state;
        state.counters.bytes_in = state.counters.bytes_in.wrapping_add(count as u32);
        // A driver may show fewer bytes than it has. They are not new when it shows them again.
        state.unread = before.max(known) - count;
        match taken {
            Ok(None) => state.drained(count == 0 && before <= known),
            _ => state.listening = Listening::Taking,
        }
        if self.refused || count != 0 && self.state.refuses {
            self.refused_or_took(count != 0, now);
        }
        self.expect_no_answer();
        if before > known {
            self.heard(now);
        }
        if let Err(fatal) = &taken {
            self.close(Reason::Fatal(*fatal));
        }
        taken
    }

    /// Events that need no input.
    fn untold<'i>(&mut self) -> Option<Event<'i>> {
        let nothing = self.state.untold == Untold::Nothing;
        if nothing && !self.session.parts().0.has_untold() { None } else { self.next_untold() }
    }

    #[cold]
    fn next_untold<'i>(&mut self) -> Option<Event<'i>> {
        self.state.listening = self.state.listening.event_given();
        if let Some(event) = self.state.untold.next() {
            return Some(event);
        }
        if let Some(stuck) = self.session.next_stuck() {
            logged::stuck(&stuck);
            return Some(match stuck {
                StuckAt::Request { handle, connections } => Event::Stuck { handle, connections },
                StuckAt::Renewal { first, count, connections } => {
                    Event::RenewalStuck { first, count, connections }
                }
            });
        }
        if self.session.next_not_reclaimed() {
            logged::not_reclaimed();
            return Some(Event::NotReclaimed);
        }
        self.session.next_ended().map(|ended| match ended {
            Ended::Sent(handle) => Event::Published(handle),
            Ended::Lost(handle) => Event::Lost(handle),
            Ended::Dropped(handle) => Event::Dropped(handle),
            Ended::Cancelled { handle, sent } => Event::Cancelled { handle, sent },
            Ended::GivenUp(handle) => Event::GivenUp(handle),
            Ended::SourceFailed(handle) => Event::SourceFailed(handle),
        })
    }

    fn take<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Taken<'i> {
        loop {
            let taken = if self.state.stream.is_some() {
                self.piece(input)
            } else {
                self.frame(input, now)
            };
            // If the application left before the CONNACK, no packet behind the CONNACK is received.
            let leaving = matches!(self.state.phase, Phase::Leaving { .. } | Phase::Closing(..));
            if self.full || leaving || !matches!(taken, Ok(None)) {
                return taken;
            }
        }
    }

    /// The next packet, or the beginning of one.
    fn frame<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Taken<'i> {
        let bytes = *input;
        if bytes.is_empty() {
            return self.not_now();
        }
        let Some(header) = Header::decode(bytes)? else { return self.partial(input) };
        let len = header.frame_len();
        let limit = self.state.settings.max_packet as usize;
        let whole = if len > limit { None } else { bytes.split_at_checked(len) };
        let Some((frame, rest)) = whole else { return self.partial(input) };
        let body = frame.get(header.header_len()..).unwrap_or_default();
        let taken = self.packet(header, body, now);
        if !self.full {
            *input = rest;
            self.count_packet();
        }
        taken
    }

    /// A whole packet.
    fn packet<'i>(&mut self, header: Header, body: &'i [u8], now: Instant) -> Taken<'i> {
        let first = header.first();
        let kind = PacketType::from_first(first)?;
        if let Phase::Handshake(_) = self.state.phase {
            return self.handshake(kind, first, body, now);
        }
        match kind {
            PacketType::Publish => self.message(header, body),
            PacketType::PubAck => self.acknowledged(Answer::PubAck, ack::id(first, body)?),
            PacketType::PubRec => self.acknowledged(Answer::PubRec, ack::id(first, body)?),
            PacketType::PubComp => self.completed(ack::id(first, body)?, now),
            PacketType::PubRel => {
                let protocol = self.state.protocol;
                self.released(ack::pubrel(first, body, protocol)?.0)
            }
            PacketType::SubAck => {
                let suback = SubAck::decode(first, body)?;
                let v31 = self.state.protocol == Protocol::V31;
                if self.state.settings.strict && v31 && suback.granted.has_refusals() {
                    return Err(Violation::SubAckCode.into());
                }
                self.subscribed(suback.id, suback.granted)
            }
            PacketType::UnsubAck => self.unsubscribed(ack::id(first, body)?),
            PacketType::PingResp => {
                ack::empty(first, body)?;
                self.pong(now);
                Ok(None)
            }
            PacketType::ConnAck => Err(Violation::UnexpectedConnAck.into()),
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Disconnect => Err(Violation::Direction.into()),
        }
    }
}
