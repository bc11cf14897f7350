//! The promises to the application: every request ends in one event, and every message is handed over as it was sent, a
//! QoS 2 message once.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_core::{
    Delivery, Event, Granted, Handle, PacketId, Publish, QoS, Reason, SessionStatus,
    codec::{Header, PacketType, PublishHead, Subscribe, Unsubscribe},
};

/// Packet ids from here on belong to renewed subscriptions.
pub(super) const RENEWALS: u16 = 0xF000;

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Publish { topic: &'static str, payload: Vec<u8>, qos: QoS, retain: bool },
    Subscribe(Vec<(&'static str, QoS)>),
    Unsubscribe(Vec<&'static str>),
}

impl Asked {
    /// The request has no filter, so it has no form on the wire.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Publish { .. } => false,
            Self::Subscribe(filters) => filters.is_empty(),
            Self::Unsubscribe(filters) => filters.is_empty(),
        }
    }

    pub(super) const fn qos(&self) -> Option<QoS> {
        match self {
            Self::Publish { qos, .. } => Some(*qos),
            Self::Subscribe(_) | Self::Unsubscribe(_) => None,
        }
    }
}

#[derive(Debug)]
struct Request {
    handle: Handle,
    number: u64,
    asked: Asked,
    /// A part of it may have been sent, and all of it has been sent, in the broker's present session.
    begun: bool,
    whole: bool,
    /// All of it has been sent on this connection.
    recently: bool,
    /// The number of its PUBREC, if that came.
    released: Option<u64>,
    /// Its session was lost while it was in flight.
    lost: bool,
}

/// A message on its way to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Incoming {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    dup: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Connection {
    #[default]
    Down,
    Connecting,
    Up,
}

/// The state of the connection by which an event is judged.
pub(super) struct Connected {
    /// The session status that the client has to report.
    pub(super) status: Option<SessionStatus>,
    /// Slots of the client.
    pub(super) slots: usize,
    /// The driver asks for events after each step.
    pub(super) tidy: bool,
}

/// A message that was handed over, and that the client has to answer.
pub(super) struct Owed {
    pub(super) qos: QoS,
    pub(super) id: PacketId,
    /// Set if the application has to acknowledge it first.
    pub(super) delivery: Option<Delivery>,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    requests: Vec<Request>,
    accepted: u64,
    releases: u64,
    /// Ids of QoS 2 messages that were handed over and not released.
    seen: BTreeSet<PacketId>,
    /// The ids among them that may be from a session that the broker has lost. A message without DUP is then new.
    stale: BTreeSet<PacketId>,
    expected: Option<(Incoming, Option<PacketId>)>,
    stream: Option<(Incoming, usize)>,
    /// The message that the client has to report as skipped for want of a slot.
    lost: Option<PacketId>,
    /// Connections on which messages were passed over, and whose end was not reported as that.
    passed_over: u32,
    deliveries: Vec<Delivery>,
    /// The last answer that the client took.
    answered: Option<(PacketType, PacketId)>,
    subscriptions: BTreeMap<String, QoS>,
    /// The subscriptions that the broker's session lacks, and the subscriptions that were renewed on this connection.
    lacking: BTreeMap<String, QoS>,
    renewed: BTreeMap<String, QoS>,
    connection: Connection,
}

impl Session {
    pub(super) fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// Whether the request `handle` awaits an answer.
    pub(super) fn awaits_answer(&self, handle: Handle) -> bool {
        self.requests.iter().any(|request| request.handle == handle && handle.packet_id().is_some())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.requests.iter().filter(|request| request.handle.packet_id().is_some()).count()
    }

    /// Requests accepted so far.
    pub(super) const fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(super) fn id_in_flight(&self, nth: u8) -> u16 {
        let ids: Vec<PacketId> =
            self.requests.iter().filter_map(|request| request.handle.packet_id()).collect();
        let nth = usize::from(nth).checked_rem(ids.len());
        nth.and_then(|nth| ids.get(nth)).map_or(1, |id| id.get())
    }

    pub(super) fn delivery(&self, nth: u8) -> Option<Delivery> {
        let nth = usize::from(nth).checked_rem(self.deliveries.len())?;
        self.deliveries.iter().rev().nth(nth).copied()
    }

    pub(super) fn accept(&mut self, handle: Handle, asked: Asked, last_id: u16) {
        let id = handle.packet_id();
        assert_eq!(id.is_none(), asked.qos() == Some(QoS::AtMostOnce));
        assert!(id.is_none_or(|id| id.get() < RENEWALS && id.get() <= last_id));
        for request in &self.requests {
            assert_ne!(request.handle, handle);
            assert!(id.is_none() || request.handle.packet_id() != id, "{id:?} is in use");
        }
        self.requests.push(Request {
            handle,
            number: self.accepted,
            asked,
            begun: false,
            whole: false,
            recently: false,
            released: None,
            lost: false,
        });
        self.accepted += 1;
    }

    fn under(&mut self, id: PacketId) -> Option<&mut Request> {
        self.requests.iter_mut().find(|request| request.handle.packet_id() == Some(id))
    }

    /// Returns its number. Publishes are sent in the order of their numbers.
    pub(super) fn sent_publish(&mut self, publish: &Publish<'_>) -> u64 {
        let unsent =
            |request: &&mut Request| request.asked.qos() == Some(QoS::AtMostOnce) && !request.whole;
        let request = match publish.id {
            Some(id) => self.under(id),
            None => self.requests.iter_mut().find(unsent),
        };
        let request = request.unwrap_or_else(|| panic!("nobody asked for {publish:?}"));
        let Asked::Publish { topic, payload, qos, retain } = &request.asked else {
            panic!("{:?} was asked for, {publish:?} is sent", request.asked);
        };
        assert_eq!((publish.topic.as_str(), publish.payload), (*topic, payload.as_slice()));
        assert_eq!((publish.qos, publish.retain), (*qos, *retain));
        // [MQTT-4.3.3-1]
        assert_eq!(request.released, None, "not after the PUBREC");
        assert!(!request.lost, "it is lost");
        if *qos != QoS::AtMostOnce {
            // [MQTT-3.3.1-1]
            assert!(publish.dup || !request.whole, "sent again without DUP");
            assert!(request.begun || !publish.dup, "DUP on the first attempt");
        }
        request.begun = true;
        request.whole = true;
        request.recently = true;
        request.number
    }

    /// Returns the number of its PUBREC.
    pub(super) fn sent_release(&mut self, id: PacketId) -> u64 {
        let request = self.under(id).expect("a PUBREL for a request");
        assert!(!request.lost, "it is lost");
        request.released.expect("a PUBREL after the PUBREC")
    }

    pub(super) fn sent_subscribe(&mut self, subscribe: &Subscribe<'_>) {
        if subscribe.id.get() >= RENEWALS {
            for (filter, qos) in subscribe.filters() {
                assert!(self.subscriptions.contains_key(filter.as_str()), "{filter} is not kept");
                self.renewed.insert(filter.as_str().to_owned(), qos);
            }
            return;
        }
        let request = self.under(subscribe.id).expect("a SUBSCRIBE for a request");
        let Asked::Subscribe(filters) = &request.asked else { panic!("{:?}", request.asked) };
        assert!(
            subscribe.filters().map(|(filter, qos)| (filter.as_str(), qos)).eq(filters.clone())
        );
        request.whole = true;
    }

    pub(super) fn sent_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let request = self.under(unsubscribe.id).expect("an UNSUBSCRIBE for a request");
        let Asked::Unsubscribe(filters) = &request.asked else { panic!("{:?}", request.asked) };
        assert!(unsubscribe.filters().map(|filter| filter.as_str()).eq(filters.iter().copied()));
        request.whole = true;
    }

    /// The client took an answer.
    pub(super) fn answered(&mut self, kind: PacketType, id: PacketId) {
        self.answered = Some((kind, id));
        if kind != PacketType::PubRec {
            return;
        }
        let number = self.releases;
        self.releases += 1;
        let fits =
            |request: &&mut Request| request.whole && request.asked.qos() == Some(QoS::ExactlyOnce);
        if let Some(request) = self.under(id).filter(fits) {
            request.released.get_or_insert(number);
        }
    }

    /// Whether the application has the message already.
    pub(super) fn has_seen(&mut self, publish: &Publish<'_>) -> bool {
        let Some(id) = publish.id.filter(|_| publish.qos == QoS::ExactlyOnce) else { return false };
        let seen = self.seen.contains(&id) && (publish.dup || !self.stale.contains(&id));
        if seen {
            self.stale.remove(&id);
        }
        seen
    }

    /// The client has taken another message. If there was no room, the client has dropped the ids of a lost session.
    fn make_room(&mut self, slots: usize) {
        if self.seen.len() == slots {
            assert!(!self.stale.is_empty(), "more messages in flight than slots");
            let stale = std::mem::take(&mut self.stale);
            self.seen.retain(|id| !stale.contains(id));
        }
    }

    /// It is unknown whether the broker still has the same session, or still knows the ids.
    pub(super) fn becomes_uncertain(&mut self) {
        self.stale.clone_from(&self.seen);
    }

    /// The client renews its subscriptions.
    pub(super) fn lacks_subscriptions(&mut self) {
        self.lacking.clone_from(&self.subscriptions);
    }

    /// Ids of QoS 2 messages that wait for their PUBREL.
    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Whether another id can be kept.
    pub(super) fn has_slot(&self, slots: usize) -> bool {
        self.seen.len() < slots || !self.stale.is_empty()
    }

    /// The client has skipped a message, so it keeps the id.
    pub(super) fn keep(&mut self, publish: &Publish<'_>, slots: usize) {
        if let Some(id) = publish.id.filter(|_| publish.qos == QoS::ExactlyOnce) {
            if !self.seen.contains(&id) {
                self.make_room(slots);
            }
            self.stale.remove(&id);
            self.seen.insert(id);
        }
    }

    /// The client has no slot for this message, so the application hears of it.
    pub(super) fn expect_skipped(&mut self, id: PacketId) {
        assert_eq!(self.lost.replace(id), None, "an event is missing");
    }

    /// The client passes messages over on this connection.
    pub(super) const fn passes_over(&mut self) {
        self.passed_over += 1;
    }

    /// From now on the id stands for a new message.
    pub(super) fn forget(&mut self, id: PacketId) {
        self.seen.remove(&id);
        self.stale.remove(&id);
    }

    /// The client has taken this message, so the application gets it.
    pub(super) fn expect(&mut self, publish: &Publish<'_>) {
        let incoming = Incoming {
            topic: publish.topic.as_str().to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
        };
        assert_eq!(self.expected.replace((incoming, publish.id)), None, "a message is missing");
    }

    /// The broker has made a new session.
    pub(super) fn begins_anew(&mut self) {
        self.seen.clear();
        self.own_packets_begin_anew();
    }

    /// The broker has kept a session against the client's wish: the client's packets are as in a new one.
    pub(super) fn own_packets_begin_anew(&mut self) {
        self.stale.clone_from(&self.seen);
        self.lacking.clone_from(&self.subscriptions);
        for request in &mut self.requests {
            let exactly_once = request.asked.qos() == Some(QoS::ExactlyOnce);
            request.lost = exactly_once && (request.whole || request.released.is_some());
            if !exactly_once {
                (request.begun, request.whole) = (false, false);
            }
        }
    }

    /// The connection is gone, in the middle of the packet that `outgoing` begins.
    pub(super) fn disconnected(&mut self, outgoing: &[u8]) {
        self.expected = None;
        self.stream = None;
        self.lost = None;
        self.renewed.clear();
        for request in &mut self.requests {
            request.recently = false;
        }
        let publish = outgoing.first().is_some_and(|first| first >> 4 == 3);
        if !publish {
            return;
        }
        let id = Header::decode(outgoing).ok().flatten().and_then(|header| {
            let body = outgoing.get(header.header_len()..)?;
            PublishHead::decode(header.first(), header.remaining(), body).ok()?
        });
        let id = id.and_then(|head| head.id);
        for request in &mut self.requests {
            // It is not always known which request it was.
            request.begun |= id.is_none() || request.handle.packet_id() == id;
        }
    }

    /// The client reports `event`. Returns the message that it has to answer, if it is one.
    pub(super) fn event(&mut self, event: Event<'_>, connection: &Connected) -> Option<Owed> {
        let mut owed = None;
        match event {
            Event::Connecting { .. } => self.moves(&[Connection::Down], Connection::Connecting),
            Event::Up { session, .. } => {
                assert_eq!(Some(session), connection.status);
                self.moves(&[Connection::Connecting], Connection::Up);
            }
            Event::Down(Reason::Requested) => self.connection = Connection::Down,
            Event::Down(reason) => {
                if reason == Reason::PassedOver {
                    let untold = self.passed_over.checked_sub(1);
                    self.passed_over = untold.expect("nothing was passed over");
                }
                let from = [Connection::Connecting, Connection::Up];
                self.moves(&from, Connection::Down);
            }
            Event::Message(message) => {
                let incoming = Incoming {
                    topic: message.topic.as_str().to_owned(),
                    payload: message.payload.to_vec(),
                    qos: message.qos,
                    retain: message.retain,
                    dup: message.dup,
                };
                owed = self.deliver(incoming, message.delivery, connection);
            }
            Event::MessageStart(start) => {
                let incoming = Incoming {
                    topic: start.topic.as_str().to_owned(),
                    payload: Vec::new(),
                    qos: start.qos,
                    retain: start.retain,
                    dup: start.dup,
                };
                assert!(self.stream.replace((incoming, start.payload_len)).is_none());
            }
            Event::MessageChunk(chunk) => {
                assert!(!chunk.is_empty());
                let (incoming, _) = self.stream.as_mut().expect("a start before a chunk");
                incoming.payload.extend(chunk);
            }
            Event::MessageEnd { delivery } => {
                let (incoming, len) = self.stream.take().expect("a start before the end");
                assert_eq!(incoming.payload.len(), len);
                owed = self.deliver(incoming, delivery, connection);
            }
            Event::Published(handle) => {
                let request = self.ends(handle);
                match (request.asked.qos(), handle.packet_id()) {
                    (Some(QoS::AtMostOnce), None) => assert!(request.whole, "not sent"),
                    (Some(QoS::AtLeastOnce), Some(id)) => self.was_answered(PacketType::PubAck, id),
                    (Some(QoS::ExactlyOnce), Some(id)) => {
                        assert!(request.released.is_some());
                        self.was_answered(PacketType::PubComp, id);
                    }
                    _ => panic!("{request:?} published"),
                }
            }
            Event::Subscribed { handle, granted } => self.subscribed(handle, granted),
            Event::Unsubscribed(handle) => {
                let request = self.ends(handle);
                let Asked::Unsubscribe(filters) = &request.asked else { panic!("{request:?}") };
                for filter in filters {
                    self.subscriptions.remove(*filter);
                    self.lacking.remove(*filter);
                }
                let id = handle.packet_id().expect("an id");
                self.was_answered(PacketType::UnsubAck, id);
            }
            Event::Lost(handle) => {
                let request = self.ends(handle);
                assert_eq!(request.asked.qos(), Some(QoS::ExactlyOnce));
                assert!(request.begun, "never sent, so not lost");
            }
            Event::Renewed { granted, .. } => {
                assert_eq!(self.answered.map(|(kind, _)| kind), Some(PacketType::SubAck));
                assert!(!granted.is_empty());
                let renewed = &self.renewed;
                self.lacking.retain(|filter, qos| renewed.get(filter) != Some(qos));
            }
            Event::Skipped(skipped) => {
                assert!(
                    self.lost.take().is_none_or(|id| skipped.id == Some(id)),
                    "another message"
                );
            }
            other @ (Event::Dropped(_) | _) => panic!("no reason for {other:?}"),
        }
        assert!(self.expected.is_none() || self.stream.is_some(), "a message is missing");
        assert_eq!(self.lost, None, "an event is missing");
        owed
    }

    fn moves(&mut self, from: &[Connection], to: Connection) {
        assert!(from.contains(&self.connection), "{:?} to {to:?}", self.connection);
        self.connection = to;
    }

    fn deliver(
        &mut self,
        incoming: Incoming,
        delivery: Option<Delivery>,
        connection: &Connected,
    ) -> Option<Owed> {
        assert!(
            !connection.tidy || self.connection == Connection::Up,
            "a message while {:?}",
            self.connection
        );
        let (expected, id) = self.expected.take().expect("a message that was sent");
        assert_eq!(incoming, expected);
        let Some(id) = id else {
            assert_eq!(delivery, None);
            return None;
        };
        let qos = incoming.qos;
        if qos == QoS::ExactlyOnce {
            self.make_room(connection.slots);
            let stale = self.stale.remove(&id);
            assert!(self.seen.insert(id) || stale, "delivered twice");
        }
        self.deliveries.extend(delivery);
        Some(Owed { qos, id, delivery })
    }

    /// A request has got its only event.
    fn ends(&mut self, handle: Handle) -> Request {
        let at = self.requests.iter().position(|request| request.handle == handle);
        self.requests.remove(at.unwrap_or_else(|| panic!("{handle:?} is not awaited")))
    }

    fn was_answered(&self, kind: PacketType, id: PacketId) {
        assert_eq!(self.answered, Some((kind, id)));
    }

    fn subscribed(&mut self, handle: Handle, granted: Granted<'_>) {
        let request = self.ends(handle);
        let Asked::Subscribe(filters) = request.asked else { panic!("{request:?}") };
        assert_eq!(granted.len(), filters.len());
        for ((filter, qos), granted) in filters.into_iter().zip(granted.iter()) {
            if granted.is_some() {
                self.subscriptions.insert(filter.to_owned(), qos);
                self.lacking.remove(filter);
            }
        }
        self.was_answered(PacketType::SubAck, handle.packet_id().expect("an id"));
    }

    /// The client renews these subscriptions. The last one of each filter counts.
    pub(super) fn keeps<'s>(&self, kept: impl Iterator<Item = (&'s str, QoS)>) {
        let kept: BTreeMap<String, QoS> =
            kept.map(|(filter, qos)| (filter.to_owned(), qos)).collect();
        assert_eq!(kept, self.subscriptions);
    }
    /// The client has sent all packets.
    pub(super) fn has_renewed(&mut self) {
        for (filter, qos) in std::mem::take(&mut self.lacking) {
            assert_eq!(self.renewed.get(&filter), Some(&qos), "{filter} was not renewed");
        }
    }
}
