//! A PUBLISH that is not handed over as a whole: one that is larger than the driver's buffer comes in pieces, and one
//! that cannot be taken is skipped.
//!
//! Both are begun by the head of the PUBLISH. What follows (the rest of a topic, the packet id behind it, the payload)
//! is taken from the input as it comes, however small the buffer is. No other packet is taken before the end, and at
//! the end the message is answered by its QoS, in its place of the order [MQTT-4.6.0-2].
//!
//! A topic that the buffer cannot hold is not checked.

use super::{Machine, State, Taken, connection::Phase, logged, settings::Oversized};
use crate::{
    codec::{self, Header, PacketId, PacketType, QoS, RawHead, Topic, Violation},
    error::Fatal,
    event::{Event, MessageStart, SkipCause, Skipped},
    session::{Judgement, qos::Arrival},
};

/// The rest of a PUBLISH that was begun.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Stream {
    /// Bytes of the payload that are still to come. While the message is undecided: bytes of the topic.
    left: usize,
    payload_len: usize,
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
    /// The rest of the topic is read away. The packet id behind it decides.
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
        let head = RawHead::decode(header.first(), header.remaining(), body)?;
        // The rest of the head is awaited if the driver's buffer can hold it.
        let Some(head) = head.filter(|head| head.is_whole || bytes.len() >= capacity) else {
            return self.not_now();
        };
        if !head.is_whole && closes {
            return Err(error);
        }
        *input = body.get(head.head_len..).unwrap_or_default();
        self.count_packet();
        self.begin(&head, len, above_limit)
    }

    /// A whole PUBLISH cannot be handed over: it breaks a rule, or no slot is left for it.
    #[cold]
    pub(super) fn skip<'i>(&mut self, header: Header, body: &'i [u8]) -> Taken<'i> {
        // If anything but the topic is wrong, that is the error.
        let Some(mut head) = RawHead::decode(header.first(), body.len(), body)? else {
            return Err(Violation::Truncated.into());
        };
        // The caller takes the payload off the input.
        head.payload_len = 0;
        self.begin(&head, header.frame_len(), false)
    }

    /// Begins a PUBLISH of `len` bytes.
    fn begin<'i>(&mut self, head: &RawHead<'i>, len: usize, above_limit: bool) -> Taken<'i> {
        let RawHead { qos, retain, dup, id, topic_left, payload_len, .. } = *head;
        // The topic, or the reason if the message is not handed over.
        let mut topic = match Topic::from_bytes(head.topic) {
            Err(error) if head.is_whole => Err(SkipCause::Unreadable(error.into())),
            Ok(topic) if head.is_whole && !above_limit => Ok(topic),
            Ok(_) | Err(_) => Err(SkipCause::TooLarge),
        };
        let mut treatment = match topic {
            Err(SkipCause::Unreadable(violation)) if !self.state.settings.skip_unreadable => {
                Treatment::Refuse(violation)
            }
            Ok(_) | Err(_) if !head.is_whole => Treatment::Undecided,
            Ok(_) | Err(_) => self.decide(qos, id, dup, &mut topic),
        };
        let is_told = match &mut treatment {
            // The other arrivals are repetitions.
            Treatment::Take(arrival) => {
                let new = arrival.deliver;
                arrival.deliver &= topic.is_ok();
                new
            }
            Treatment::PassOver => false,
            Treatment::Undecided => qos == QoS::AtMostOnce || !self.session.is_passing_over(),
            Treatment::Refuse(_) => true,
        };
        let left = match treatment {
            Treatment::Refuse(_) => 0,
            Treatment::Undecided => topic_left,
            Treatment::Take(_) | Treatment::PassOver => payload_len,
        };
        self.state.stream = Some(Stream { left, payload_len, qos, dup, id, treatment });
        if !is_told {
            return Ok(None);
        }
        Ok(Some(match topic {
            Ok(topic) => {
                Event::MessageStart(MessageStart { topic, payload_len, qos, retain, dup, id })
            }
            Err(cause) => {
                let counters = &mut self.state.counters;
                counters.skipped = counters.skipped.wrapping_add(1);
                logged::skipped(len, cause);
                Event::Skipped(Skipped { topic: head.topic, len, qos, retain, dup, id, cause })
            }
        }))
    }

    /// Decides about a message. If it is lost for want of a slot, `topic` gets that as the reason.
    fn decide(
        &mut self,
        qos: QoS,
        id: Option<PacketId>,
        dup: bool,
        topic: &mut Result<Topic<'_>, SkipCause>,
    ) -> Treatment {
        let Some(id) = id else { return Treatment::Take(Arrival::NEW) };
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
        Treatment::Take(arrival)
    }

    /// The next piece of a PUBLISH that was begun.
    #[cold]
    pub(super) fn piece<'i>(&mut self, input: &mut &'i [u8]) -> Taken<'i> {
        let deliver = self.state.is_delivering();
        let Some(stream) = &mut self.state.stream else { return Ok(None) };
        if stream.left != 0 {
            let (piece, rest) = input.split_at_checked(stream.left).unwrap_or((*input, &[]));
            if piece.is_empty() {
                return self.not_now();
            }
            *input = rest;
            stream.left -= piece.len();
            return Ok(deliver.then_some(Event::MessageChunk(piece)));
        }
        let stream = *stream;
        match stream.treatment {
            Treatment::Refuse(violation) => return Err(violation.into()),
            Treatment::Undecided => return self.behind_topic(input, stream),
            Treatment::Take(_) | Treatment::PassOver => {}
        }
        let mut delivery = None;
        if let (Treatment::Take(arrival), Some(id)) = (stream.treatment, stream.id) {
            if !self.session.has_room_to_answer(arrival) {
                return self.refuse();
            }
            delivery = self.session.take(stream.qos, id, arrival);
        }
        self.state.stream = None;
        Ok(deliver.then_some(Event::MessageEnd { delivery }))
    }

    /// The rest of the topic is read away. The packet id is next, if there is one.
    fn behind_topic<'i>(&mut self, input: &mut &'i [u8], stream: Stream) -> Taken<'i> {
        let mut id = None;
        if stream.qos != QoS::AtMostOnce {
            let Some((pair, rest)) = input.split_first_chunk() else { return self.not_now() };
            *input = rest;
            // [MQTT-2.3.1-1]
            id = Some(PacketId::new(u16::from_be_bytes(*pair)).ok_or(Violation::PacketIdZero)?);
        }
        let mut told = Err(SkipCause::TooLarge);
        let mut treatment = self.decide(stream.qos, id, stream.dup, &mut told);
        if let Treatment::Take(arrival) = &mut treatment {
            arrival.deliver = false;
        }
        self.state.stream = Some(Stream { left: stream.payload_len, id, treatment, ..stream });
        Ok(None)
    }
}
