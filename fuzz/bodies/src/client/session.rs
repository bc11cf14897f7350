//! The promises to the application about messages: each is handed over as it was sent, a QoS 2 message once. The
//! promises about requests are in [`Sender`].

use std::collections::BTreeSet;

use mqtt_core::{Delivery, Event, PacketId, Publish, QoS, Reason, SessionStatus};

use super::{sender::Sender, settings::Settings};

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

#[derive(Debug)]
pub(super) struct Session {
    pub(super) sender: Sender,
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
    connection: Connection,
}

impl Session {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            sender: Sender::new(settings),
            seen: BTreeSet::new(),
            stale: BTreeSet::new(),
            expected: None,
            stream: None,
            lost: None,
            passed_over: 0,
            deliveries: Vec::new(),
            connection: Connection::Down,
        }
    }

    pub(super) fn delivery(&self, nth: u8) -> Option<Delivery> {
        let nth = usize::from(nth).checked_rem(self.deliveries.len())?;
        self.deliveries.iter().rev().nth(nth).copied()
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

    /// Ids of QoS 2 messages that wait for their PUBREL.
    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Whether another id can be kept.
    pub(super) fn has_slot(&self, slots: usize) -> bool {
        self.seen.len() < slots || !self.stale.is_empty()
    }

    /// The client has seen a new message, which needs a slot for its id.
    pub(super) fn sees(&mut self, publish: &Publish<'_>, slots: usize) {
        if publish.qos == QoS::ExactlyOnce {
            self.make_room(slots);
        }
    }

    /// The client has skipped a message, so it keeps the id.
    pub(super) fn keep(&mut self, publish: &Publish<'_>, slots: usize) {
        self.sees(publish, slots);
        if let Some(id) = publish.id.filter(|_| publish.qos == QoS::ExactlyOnce) {
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
        self.stale.clear();
        self.sender.begins_anew(false);
    }

    /// The broker has kept a session against the client's wish: the client's packets are as in a new one.
    pub(super) fn own_packets_begin_anew(&mut self) {
        self.stale.clone_from(&self.seen);
        self.sender.begins_anew(true);
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.expected = None;
        self.stream = None;
        self.lost = None;
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
            Event::Down { reason: Reason::Requested, .. } => self.connection = Connection::Down,
            Event::Down { reason, .. } => {
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
            Event::Published(handle) => self.sender.published(handle),
            Event::Downgraded(handle) => self.sender.downgraded(handle),
            Event::Subscribed { handle, granted } => self.sender.subscribed(handle, granted),
            Event::Unsubscribed(handle) => self.sender.unsubscribed(handle),
            Event::Lost(handle) => self.sender.lost(handle),
            Event::Cancelled { handle, sent } => self.sender.cancelled(handle, sent),
            Event::Stuck { .. } | Event::RenewalStuck { .. } | Event::NotReclaimed => {}
            Event::GivenUp(handle) => self.sender.given_up(handle),
            Event::Renewed { first, granted } => self.sender.renewed(first, granted),
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
}
