//! A PUBLISH that is not handed over as a whole: one that is larger than the driver's buffer comes in pieces, and one
//! that cannot be taken is skipped.
//!
//! Both are begun by the head of the PUBLISH. What follows (the rest of a topic, the packet id behind it, the payload)
//! is taken from the input as it comes, however small the buffer is. No other packet is taken before the end, and at
//! the end the message is answered by its QoS, in its place of the order [MQTT-4.6.0-2].
//!
//! A topic that the buffer cannot hold is not checked.

use super::{Machine, State, Taken, connection::Phase, settings::Oversized};
use crate::{
    codec::{self, Header, PacketId, PacketType, QoS, RawHead, Topic, Violation},
    error::Fatal,
    event::{Event, MessageStart, SkipCause, Skipped},
    session::{Judgement, qos::Arrival},
};

/// The rest of a PUBLISH that was begun.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Stream {
    /// Bytes of the topic that are still to come. The application does not get them.
    topic_left: usize,
    /// Bytes of payload that are still to come.
    left: usize,
    qos: QoS,
    dup: bool,
    /// `None` at QoS 0, or if it is still to come.
    id: Option<PacketId>,
    treatment: Treatment,
}

/// The treatment of the rest.
#[derive(Clone, Copy, Debug, Hash)]
enum Treatment {
    /// It is answered at its end. It is handed over if [`Arrival::deliver`] is set; if not, it is read away.
    Take(Arrival),
    /// It is read away and not answered.
    PassOver,
    /// It is read away up to its packet id, which decides.
    Undecided,
    /// The broker broke this rule: the connection ends.
    Refuse(Violation),
}

impl State {
    /// Whether the application has the beginning of a message and not its end.
    pub(super) const fn is_delivering(&self) -> bool {
        matches!(self.stream, Some(Stream { treatment: Treatment::Take(arrival), .. }) if arrival.deliver)
    }
}

impl Machine<'_> {
    /// The input holds only the front of a packet, or the packet is above the limit. If this part breaks a rule, the
    /// error comes now. If the packet is a PUBLISH that is too large to be handed over as a whole, it is begun.
    #[cold]
    pub(super) fn partial<'i>(&mut self, input: &mut &'i [u8]) -> Taken<'i> {
        codec::incomplete(input, self.state.protocol)?;
        let Some(header) = Header::decode(input)? else { return self.not_now() };
        let kind = PacketType::from_first(header.first())?;
        if matches!(self.state.phase, Phase::Handshake(_)) && kind != PacketType::ConnAck {
            return Err(Violation::BeforeConnAck.into());
        }
        let settings = &self.state.settings;
        let (capacity, limit) = (settings.receive_capacity, settings.max_packet as usize);
        let len = header.frame_len();
        if len <= capacity.min(limit) {
            return self.not_now();
        }
        let above_limit = len > limit;
        let error =
            Fatal::PacketTooLarge { len, limit: if above_limit { limit } else { capacity } };
        let closes = settings.oversized == Oversized::Close;
        if kind != PacketType::Publish || above_limit && closes {
            return Err(error);
        }
        let bytes = *input;
        let body = bytes.get(header.header_len()..).unwrap_or_default();
        let head = RawHead::read(header.first(), header.remaining(), body)?;
        // The rest of the head is awaited if the driver's buffer can hold it.
        let Some(head) = head.filter(|head| head.is_whole || bytes.len() >= capacity) else {
            return self.not_now();
        };
        if !head.is_whole && closes {
            return Err(error);
        }
        let topic = if !head.is_whole {
            Err(SkipCause::TooLarge)
        } else {
            match Topic::from_bytes(head.topic) {
                Err(error) => Err(SkipCause::Unreadable(error.into())),
                Ok(_) if above_limit => Err(SkipCause::TooLarge),
                Ok(topic) => Ok(topic),
            }
        };
        *input = body.get(head.head_len..).unwrap_or_default();
        self.count_packet();
        self.begin(&head, len, topic)
    }

    /// A whole PUBLISH is not handed over because of `cause`. A violation may be in any part of it.
    #[cold]
    pub(super) fn skip<'i>(
        &mut self,
        header: Header,
        body: &'i [u8],
        cause: SkipCause,
    ) -> Taken<'i> {
        // If anything but the topic is wrong, that is the error.
        let Some(mut head) = RawHead::read(header.first(), body.len(), body)? else {
            return Err(Violation::Truncated.into());
        };
        // The caller takes the payload off the input.
        head.payload_len = 0;
        self.begin(&head, header.frame_len(), Err(cause))
    }

    /// Begins a PUBLISH of `len` bytes; `topic` has the reason if it is not handed over.
    fn begin<'i>(
        &mut self,
        head: &RawHead<'i>,
        len: usize,
        mut topic: Result<Topic<'i>, SkipCause>,
    ) -> Taken<'i> {
        let RawHead { qos, retain, dup, id, topic_left, payload_len, .. } = *head;
        let mut treatment = match topic {
            Err(SkipCause::Unreadable(violation)) if !self.state.settings.skip_unreadable => {
                Treatment::Refuse(violation)
            }
            Ok(_) | Err(_) => match id {
                Some(id) => self.decide(qos, id, dup, &mut topic),
                None if qos == QoS::AtMostOnce => Treatment::Take(Arrival::NEW),
                None => Treatment::Undecided,
            },
        };
        let is_told = match &mut treatment {
            // The other arrivals are repetitions.
            Treatment::Take(arrival) => {
                let new = arrival.deliver;
                arrival.deliver &= topic.is_ok();
                new
            }
            Treatment::PassOver => false,
            Treatment::Undecided => !self.session.is_passing_over(),
            Treatment::Refuse(_) => true,
        };
        self.state.stream = Some(Stream { topic_left, left: payload_len, qos, dup, id, treatment });
        if !is_told {
            return Ok(None);
        }
        Ok(Some(match topic {
            Ok(topic) => Event::MessageStart(MessageStart { topic, payload_len, qos, retain, dup }),
            Err(cause) => {
                let counters = &mut self.state.counters;
                counters.skipped = counters.skipped.wrapping_add(1);
                Event::Skipped(Skipped { topic: head.topic, len, qos, retain, dup, id, cause })
            }
        }))
    }

    /// Decides about a message with a packet id. If it is lost for want of a slot, `topic` gets that as the reason.
    fn decide(
        &mut self,
        qos: QoS,
        id: PacketId,
        dup: bool,
        topic: &mut Result<Topic<'_>, SkipCause>,
    ) -> Treatment {
        let arrival = match self.session.judge(qos, id, dup) {
            Judgement::Take(arrival) => arrival,
            Judgement::PassOver => {
                self.pass_over();
                return Treatment::PassOver;
            }
            Judgement::NoSlot => {
                *topic = topic.and(Err(SkipCause::NoSlot));
                Arrival::NEW
            }
        };
        // While packet ids are reclaimed nothing makes room, so a message without room is not begun.
        if self.session.is_reclaiming() && !self.session.has_room_to_answer(arrival) {
            self.pass_over();
            return Treatment::PassOver;
        }
        Treatment::Take(arrival)
    }

    /// The next piece of a PUBLISH that was begun.
    #[cold]
    pub(super) fn piece<'i>(&mut self, input: &mut &'i [u8]) -> Taken<'i> {
        let Some(mut stream) = self.state.stream else { return Ok(None) };
        if let Treatment::Refuse(violation) = stream.treatment {
            return Err(violation.into());
        }
        if stream.topic_left != 0 {
            let rest = self.bytes(input, stream.topic_left);
            stream.topic_left -= rest.len();
            self.state.stream = Some(stream);
            return Ok(None);
        }
        if let Treatment::Undecided = stream.treatment {
            let Some((pair, rest)) = input.split_first_chunk() else { return self.not_now() };
            *input = rest;
            // [MQTT-2.3.1-1]
            let id = PacketId::new(u16::from_be_bytes(*pair)).ok_or(Violation::PacketIdZero)?;
            let mut treatment =
                self.decide(stream.qos, id, stream.dup, &mut Err(SkipCause::TooLarge));
            if let Treatment::Take(arrival) = &mut treatment {
                arrival.deliver = false;
            }
            self.state.stream = Some(Stream { id: Some(id), treatment, ..stream });
            return Ok(None);
        }
        let deliver = self.state.is_delivering();
        if stream.left != 0 {
            let piece = self.bytes(input, stream.left);
            stream.left -= piece.len();
            self.state.stream = Some(stream);
            let handed_over = deliver && !piece.is_empty();
            return Ok(handed_over.then_some(Event::MessageChunk(piece)));
        }
        let mut delivery = None;
        if let (Treatment::Take(arrival), Some(id)) = (stream.treatment, stream.id) {
            if !self.session.has_room_to_answer(arrival) {
                let taken = self.no_room();
                if !self.full {
                    // The message is void: the connection ends before its acknowledgement.
                    self.state.stream = None;
                }
                return taken;
            }
            delivery = self.session.take(stream.qos, id, arrival);
        }
        self.state.stream = None;
        Ok(deliver.then_some(Event::MessageEnd { delivery }))
    }

    /// Takes at most `most` bytes from the input. If there is none, `receive` stops.
    fn bytes<'i>(&mut self, input: &mut &'i [u8], most: usize) -> &'i [u8] {
        let (piece, rest) = input.split_at_checked(most).unwrap_or((*input, &[]));
        *input = rest;
        self.full = piece.is_empty();
        piece
    }
}
