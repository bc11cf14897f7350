//! What comes in: one packet at a time, from input that the driver owns.
//!
//! A packet is taken whole or not at all: where its answer finds no room in the outbox, the input is left alone until
//! the transport has taken some bytes. A PUBLISH larger than the driver's buffer is taken in pieces.

use super::{Core, Phase};
use crate::{
    codec::{
        self, ConnAck, Header, PacketId, PacketType, Protocol, Publish, PublishHead, QoS, SubAck,
        ack,
    },
    error::{Fatal, Reason, Violation},
    event::{Delivery, Event, Message, MessageStart, SessionStatus},
    session::{
        Report,
        journal::Fate,
        qos::{self, Answer, Arrival},
    },
    time::Instant,
    timers::Timer,
};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
pub(super) const PUBREL: u8 = 0x62;
pub(super) const PUBCOMP: u8 = 0x70;
pub(super) const ANSWER_LEN: usize = 4;

/// A PUBLISH that is being taken in pieces.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Stream {
    left: usize,
    qos: QoS,
    id: Option<PacketId>,
    dup: bool,
    deliver: bool,
}

/// The event of a packet that was taken, if it has one. Where [`Core::full`] is set, it was not taken.
pub(super) type Taken<'i> = Result<Option<Event<'i>>, Fatal>;

impl Core<'_> {
    /// The next event; `None` where `input` holds no further whole packet, or no room is left for an answer.
    pub(crate) fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
        now: Instant,
    ) -> Result<Option<Event<'i>>, Fatal> {
        if let Some(event) = self.report() {
            return Ok(Some(event));
        }
        match self.machine.phase {
            Phase::Handshake | Phase::Up => {}
            // Nothing can be answered once a DISCONNECT is to be the last packet.
            Phase::Leaving => return Ok(None),
            Phase::Stopped | Phase::Waiting | Phase::Opening | Phase::Closing => {
                *input = &[];
                return Ok(None);
            }
        }
        let before = input.len();
        let taken = self.take(input, now);
        let count = before - input.len();
        if count != 0 {
            let counters = &mut self.machine.counters;
            counters.bytes_in = counters.bytes_in.wrapping_add(count as u32);
            self.machine.arm(Timer::Silence, now);
            self.machine.await_purge(now);
        }
        if let Err(fatal) = &taken {
            self.machine.close(Reason::Fatal(*fatal));
        }
        taken
    }

    /// Events that need no input.
    fn report<'i>(&mut self) -> Option<Event<'i>> {
        let machine = &mut *self.machine;
        if machine.down.is_some() || machine.connecting.is_some() || machine.requests.has_reports()
        {
            self.report_next()
        } else {
            None
        }
    }

    #[cold]
    fn report_next<'i>(&mut self) -> Option<Event<'i>> {
        let machine = &mut *self.machine;
        if machine.down.is_none() || machine.connecting_first {
            machine.connecting_first = false;
            if let Some(endpoint) = machine.connecting.take() {
                return Some(Event::Connecting { endpoint });
            }
        }
        if let Some(reason) = machine.down.take() {
            return Some(Event::Down(reason));
        }
        machine.requests.report(self.slots).map(|report| match report {
            Report::Sent(handle) => Event::Published(handle),
            Report::Lost(handle) => Event::Lost(handle),
            Report::Dropped(handle) => Event::Dropped(handle),
        })
    }

    fn take<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Taken<'i> {
        loop {
            let taken = if self.machine.stream.is_some() {
                self.piece(input, now)
            } else {
                self.frame(input, now)
            };
            // `disconnect` before the CONNACK: nothing behind that is received.
            let leaving = matches!(self.machine.phase, Phase::Leaving | Phase::Closing);
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
        if len > self.machine.limits.max_packet as usize {
            return Err(too_large(len, self.machine.limits.max_packet as usize));
        }
        let Some((frame, rest)) = bytes.split_at_checked(len) else { return self.partial(input) };
        let body = frame.get(header.header_len()..).unwrap_or_default();
        let taken = self.packet(header.first(), body, now);
        if self.full && self.machine.purge.is_on() {
            self.full = false;
            self.machine.purge.pass_over();
        }
        if !self.full {
            *input = rest;
            self.count_packet();
        }
        taken
    }

    /// What would have been taken has no room, or is not there yet.
    pub(super) fn not_now<'i>(&mut self) -> Taken<'i> {
        self.full = true;
        Ok(None)
    }

    fn count_packet(&mut self) {
        let counters = &mut self.machine.counters;
        counters.packets_in = counters.packets_in.wrapping_add(1);
    }

    /// A whole packet.
    fn packet<'i>(&mut self, first: u8, body: &'i [u8], now: Instant) -> Taken<'i> {
        let kind = PacketType::from_first(first)?;
        if self.machine.phase == Phase::Handshake {
            return self.handshake(kind, first, body, now);
        }
        match kind {
            PacketType::Publish => self.message(first, body),
            PacketType::PubAck => self.acknowledged(Answer::PubAck, ack::id(first, body)?),
            PacketType::PubRec => self.acknowledged(Answer::PubRec, ack::id(first, body)?),
            PacketType::PubComp => self.acknowledged(Answer::PubComp, ack::id(first, body)?),
            PacketType::PubRel => {
                let protocol = self.machine.protocol;
                self.released(ack::pubrel(first, body, protocol)?.0)
            }
            PacketType::SubAck => {
                let suback = SubAck::decode(first, body, self.machine.protocol)?;
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

    /// The first packet on a connection [MQTT-3.2.0-1].
    #[cold]
    fn handshake<'i>(
        &mut self,
        kind: PacketType,
        first: u8,
        body: &[u8],
        now: Instant,
    ) -> Taken<'i> {
        if kind != PacketType::ConnAck {
            return Err(Violation::BeforeConnAck.into());
        }
        let connack = ConnAck::decode(first, body, self.machine.protocol)?;
        let machine = &mut *self.machine;
        if !machine.preamble.is_sent() {
            return Err(Violation::UnexpectedConnAck.into());
        }
        connack.result?;
        // [MQTT-3.2.2-1]
        if connack.session_present && machine.clean_session {
            return Err(Violation::SessionPresentClean.into());
        }
        // 3.1 does not tell; a broker that was asked to keep the session is taken to have done so.
        let told = machine.protocol == Protocol::V311;
        let session = match (connack.session_present, machine.has_session) {
            (true, true) => SessionStatus::Resumed,
            (true, false) => SessionStatus::Found,
            (false, true) if told => SessionStatus::Lost,
            (false, true) => SessionStatus::Resumed,
            (false, false) => SessionStatus::New,
        };
        if matches!(session, SessionStatus::New | SessionStatus::Lost) {
            machine.forget_found();
            // [MQTT-3.1.2-6]
            machine.outbox.start_session(self.bytes, self.slots, &mut machine.requests);
            machine.inbound.clear(self.slots);
            machine.journal.need_snapshot();
        }
        // A new session is one found where nobody tells.
        let untold = !told && !machine.clean_session && session == SessionStatus::New;
        if session == SessionStatus::Found || untold {
            machine.found(self.slots.len());
        }
        machine.purge.begin();
        let doubt = core::mem::take(&mut machine.doubt) || !told;
        if doubt && session == SessionStatus::Resumed {
            machine.inbound.doubt(self.slots);
        }
        if session != SessionStatus::Resumed || doubt || machine.subscriptions.is_due() {
            machine.subscriptions.renew(&machine.outbox, self.bytes);
        }
        machine.has_session = !machine.clean_session;
        machine.negotiating = false;
        machine.counters.connections = machine.counters.connections.wrapping_add(1);
        machine.timers.clear(Timer::Connect);
        if machine.leave && !machine.purge.is_on() {
            machine.leave = false;
            machine.begin_leaving();
            return Ok(None);
        }
        machine.phase = Phase::Up;
        machine.arm(Timer::KeepAlive, machine.connect_sent);
        machine.arm(Timer::Silence, now);
        let stable = u64::from(machine.reconnect.stable_millis());
        machine.timers.set(Timer::Stable, now.plus_millis(stable));
        Ok(Some(Event::Up { session, protocol: machine.protocol }))
    }

    fn message<'i>(&mut self, first: u8, body: &'i [u8]) -> Taken<'i> {
        let Publish { topic, payload, qos, retain, dup, id } = Publish::decode(first, body)?;
        let mut delivery = None;
        if let Some(id) = id {
            let Some(arrival) = self.admit(qos, id, dup)? else { return self.not_now() };
            delivery = self.accept(qos, id, arrival);
            if !arrival.deliver {
                return Ok(None);
            }
        }
        Ok(Some(Event::Message(Message { topic, payload, qos, retain, dup, delivery })))
    }

    /// Whether the message `id` was taken before.
    fn is_repeated(&mut self, id: PacketId, dup: bool) -> bool {
        self.machine.inbound.is_repeated(self.slots, id, dup)
    }

    /// Whether the message `id` can be taken now, and how; `None` where there is no room.
    fn admit(&mut self, qos: QoS, id: PacketId, dup: bool) -> Result<Option<Arrival>, Fatal> {
        let seen = qos == QoS::ExactlyOnce && self.is_repeated(id, dup);
        let arrival = qos::arrived(qos, seen);
        let room = if self.machine.limits.manual_acknowledge {
            self.machine.inbound.can_owe(self.slots)
        } else {
            let note = if arrival.remember { self.note_len() } else { 0 };
            self.make_room(ANSWER_LEN + note)
        };
        if !room || self.machine.purge.passes_over() {
            return Ok(None);
        }
        if arrival.remember && !self.machine.inbound.has_room(self.slots) {
            if self.machine.purge.is_on() {
                return Ok(None);
            }
            if !self.machine.inbound.drop_stale(self.slots) {
                return Err(Fatal::InboundFull { slots: self.slots.len() });
            }
            self.machine.journal.need_snapshot();
        }
        Ok(Some(arrival))
    }

    /// Takes the message `id`: answers it, or leaves that to the application. [`Core::admit`] found room.
    fn accept(&mut self, qos: QoS, id: PacketId, arrival: Arrival) -> Option<Delivery> {
        if arrival.remember {
            self.machine.inbound.remember(self.slots, id);
        }
        if self.machine.limits.manual_acknowledge {
            let delivery = self.machine.inbound.owe(self.slots, id, qos);
            if arrival.deliver {
                return Some(delivery);
            }
            // The application has acknowledged it before; the answer still waits for its turn.
            let _taken = self.machine.inbound.take(self.slots, delivery);
            return None;
        }
        if arrival.remember {
            self.note(Fate::Seen, id);
        }
        self.acknowledge_to_broker(qos, id);
        None
    }

    /// [MQTT-3.3.4-1]
    fn acknowledge_to_broker(&mut self, qos: QoS, id: PacketId) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(PUBACK, id),
            QoS::ExactlyOnce => self.answer(PUBREC, id),
        }
    }

    pub(super) fn answer(&mut self, first: u8, id: PacketId) {
        let start = self.machine.outbox.append(ANSWER_LEN, false);
        self.write_answer(start, first, id);
    }

    pub(super) fn write_answer(&mut self, start: usize, first: u8, id: PacketId) {
        let [high, low] = id.get().to_be_bytes();
        self.write(start, &[first, 2, high, low]);
    }

    /// Answers what the application has acknowledged, in order of arrival.
    pub(super) fn answer_settled(&mut self) {
        while let Some((id, qos)) = self.machine.inbound.settled(self.slots) {
            if !self.make_room(ANSWER_LEN) {
                break;
            }
            self.acknowledge_to_broker(qos, id);
            self.machine.inbound.settle(self.slots);
        }
    }

    /// A packet of which only a part is there. What can be wrong already is found now; a PUBLISH that the driver's
    /// buffer cannot hold is begun.
    #[cold]
    fn partial<'i>(&mut self, input: &mut &'i [u8]) -> Taken<'i> {
        codec::incomplete(input, self.machine.protocol)?;
        let Some(header) = Header::decode(input)? else { return self.not_now() };
        let kind = PacketType::from_first(header.first())?;
        if self.machine.phase == Phase::Handshake && kind != PacketType::ConnAck {
            return Err(Violation::BeforeConnAck.into());
        }
        let (len, capacity) = (header.frame_len(), self.machine.limits.receive_capacity);
        if len <= capacity {
            return self.not_now();
        }
        if kind != PacketType::Publish {
            return Err(too_large(len, capacity));
        }
        let bytes = *input;
        let body = bytes.get(header.header_len()..).unwrap_or_default();
        let Some(head) = PublishHead::decode(header.first(), header.remaining(), body)? else {
            // The topic alone is longer than the driver's buffer.
            let stuck = bytes.len() >= capacity;
            return if stuck { Err(too_large(len, capacity)) } else { self.not_now() };
        };
        let mut deliver = true;
        if let (QoS::ExactlyOnce, Some(id)) = (head.qos, head.id) {
            deliver = !self.is_repeated(id, head.dup);
        }
        self.machine.stream = Some(Stream {
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
    fn piece<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Taken<'i> {
        let Some(stream) = &mut self.machine.stream else { return Ok(None) };
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
            let patience = u64::from(self.machine.limits.ping_timeout);
            self.machine.timers.postpone(Timer::PingResponse, now.plus_millis(patience));
            return Ok(deliver.then_some(Event::MessageChunk(piece)));
        }
        let Stream { qos, id, dup, deliver, .. } = *stream;
        let mut delivery = None;
        if let Some(id) = id {
            let Some(arrival) = self.admit(qos, id, dup)? else {
                if self.machine.purge.is_on() {
                    // Void, as the connection will end before long.
                    self.machine.purge.pass_over();
                    self.machine.stream = None;
                    return Ok(None);
                }
                return self.not_now();
            };
            delivery = self.accept(qos, id, arrival);
        }
        self.machine.stream = None;
        self.count_packet();
        Ok(deliver.then_some(Event::MessageEnd { delivery }))
    }
}

const fn too_large(len: usize, limit: usize) -> Fatal {
    Fatal::PacketTooLarge { len, limit }
}
