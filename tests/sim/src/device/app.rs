//! The application of a device: a durable source of messages to publish, a durable store for received messages, and
//! random decisions drawn from the seed.
//!
//! With a journal it follows the rules: it sets the position in its source after each publish, and a received message
//! is durable together with the next record. Without a journal it does its best.
//!
//! [`events`] handles the events of the client, [`sessions`] and [`publishes`] those about sessions and about its own
//! messages. [`durable`] has the state that survives a power cut, [`refusals`] the messages
//! and connections that the client refuses, and [`remedies`] takes away the requests that stand in the way.

mod durable;
mod events;
mod probe;
mod publishes;
mod refusals;
mod remedies;
mod sessions;

use mqtt_core::{
    BoxedClient, ConnectionState, Delivery, Handle, Publish, PublishFrom, QoS, RequestError,
    SourceId,
};

use crate::{
    checks::Invariant,
    landscape::MOST_BROKERS,
    ledger::{Message, NO_MESSAGE, Pair, Status},
    quirks::Quirk,
    setup::{self, DeviceSetup},
    stage::Stage,
    topics::{self, FILTERS},
    trace::What,
};

use durable::Saved;
use events::Streaming;
use probe::Probe;
pub(super) use sessions::Arrival;
use sessions::Sessions;

/// Bytes of the longest payload from a source; most outboxes are smaller.
const LONGEST_FROM_SOURCE: usize = 2_500;

/// An application.
#[derive(Debug, Default)]
pub(crate) struct App {
    device: usize,
    /// The broker that accepted the client last.
    broker: usize,
    /// Numbers of all messages to publish, and how many of them the client was given. The numbers are durable; the
    /// count is durable only with a journal.
    source: Vec<u32>,
    place: usize,
    /// Requests that have not ended.
    asked: Vec<(Handle, Asked)>,
    /// Messages to acknowledge.
    unacknowledged: Vec<(Delivery, Receipt)>,
    /// Received since the last record.
    recent: Vec<Receipt>,
    /// Publishes that had no event when power was lost.
    cut_off: Vec<u32>,
    /// The content of the record that is being written, and of the journal.
    recording: Saved,
    recorded: Saved,
    /// Received before the record that is being written.
    unrecorded: Vec<Receipt>,
    /// Messages in its store, if the position counts those.
    output: u64,
    /// A message that comes in pieces.
    stream: Option<Streaming>,
    /// Granted and kept by the client.
    subscriptions: Vec<(usize, QoS)>,
    /// Filters of requests that were in flight when power was lost. The broker may have received them or not.
    uncertain: Vec<usize>,
    /// The brokers that have begun a new session, which no record says yet.
    news: [bool; MOST_BROKERS],
    probe: Probe,
    /// Filters of a stuck renewal that are still to be forgotten.
    to_forget: Vec<usize>,
    /// An unreadable topic was told, and the connection is about to end because of it.
    unreadable: bool,
    sessions: Sessions,
    payload: Vec<u8>,
}

/// A request.
#[derive(Clone, Debug)]
enum Asked {
    Publish(u32),
    Subscribe(Vec<(usize, QoS)>),
    Unsubscribe(Vec<usize>),
}

/// A message that was received.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    number: Option<u32>,
    qos: QoS,
    /// The broker that it came from.
    broker: usize,
}

impl App {
    pub(crate) fn new(device: usize) -> Self {
        Self { device, ..Self::default() }
    }

    const fn pair(&self) -> Pair {
        Pair { device: self.device, broker: self.broker }
    }

    /// Nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.place == self.source.len()
            && self.probe.filter.is_none()
            && self.asked.is_empty()
            && self.unacknowledged.is_empty()
            && self.recent.is_empty()
            && self.unrecorded.is_empty()
    }

    /// Whether it has to acknowledge messages.
    pub(crate) fn owes(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// Requests that have not ended, and messages that wait to be published.
    pub(crate) fn left_to_do(&self) -> usize {
        let weight = |(_, asked): &(Handle, Asked)| match asked {
            // Each filter may become a subscription that is kept.
            Asked::Subscribe(filters) => 1 + filters.len(),
            Asked::Publish(_) | Asked::Unsubscribe(_) => 1,
        };
        let asked: usize = self.asked.iter().map(weight).sum();
        self.source.len() - self.place + asked + 2 * usize::from(self.probe.filter.is_some())
    }

    /// The work that is left, for a report.
    pub(crate) fn under_way(&self) -> String {
        let Self { source, place, asked, unacknowledged, recent, .. } = self;
        let (waiting, owed, unrecorded) =
            (source.len() - place, unacknowledged.len(), recent.len());
        let given = self.unrecorded.len();
        format!(
            "{waiting} to publish, {asked:?} asked, {owed} to acknowledge, {unrecorded} unrecorded, {given} in a record"
        )
    }

    /// New messages for the source.
    pub(crate) fn write(&mut self, stage: &mut Stage<'_>, setup: &DeviceSetup) {
        if setup.burst == 0 {
            return;
        }
        for _ in 0..stage.rng.u32(0..=setup.burst) {
            let qos = match stage.rng.u32(..10) {
                dice if dice < setup.mix.0 => QoS::AtMostOnce,
                dice if dice < setup.mix.0 + setup.mix.1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            };
            let retain = stage.one_in(8);
            let clears = retain && stage.one_in(8);
            let len = match stage.rng.u32(..10) {
                _ if clears => 0,
                1 if setup.large.is_some() && stage.one_in(3) => {
                    stage.quirk(self.device, Quirk::LargeMessages);
                    setup.large.unwrap_or(setup.payload)
                }
                0 if setup.sources && setup.rate.up.is_none() && setup.max_packet.is_none() => {
                    stage.rng.usize(4..=LONGEST_FROM_SOURCE)
                }
                0 => stage.rng.usize(4..=setup.payload),
                _ => stage.rng.usize(4..=setup.payload.min(40)),
            };
            let nth = stage.rng.usize(..topics::TOPICS_EACH);
            let topic = topics::topic_of(self.device, nth);
            // Without a number its arrival cannot be checked.
            let message = Message::new(self.device, self.source.len() as u32, topic, qos);
            let number = stage.ledger.add(Message { retain, len, may_miss: len == 0, ..message });
            self.source.push(number);
        }
    }

    /// Publishes as many messages as the client takes.
    pub(crate) fn publish(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        setup: &DeviceSetup,
    ) -> bool {
        let before = self.place;
        while let Some(number) = self.source.get(self.place).copied() {
            stage.ledger.write_payload(number, &mut self.payload);
            let message = stage.ledger.message(number);
            let (qos, topic) = (message.qos, topics::topic(message.topic));
            let len = message.len;
            let retain = message.retain;
            let accepted = if setup.sources && len != 0 && (len > setup.payload || number % 2 == 0)
            {
                let source = SourceId::new(number);
                let publish = PublishFrom::new(topic, source, len as u32).qos(qos).retain(retain);
                client.publish_from(&publish)
            } else {
                client.publish(&Publish::new(topic, &self.payload).qos(qos).retain(retain))
            };
            match accepted {
                Ok(handle) => {
                    stage.totals.published[qos as usize] += 1;
                    stage.ledger.message_mut(number).status = Status::Accepted;
                    let id = handle.packet_id().map_or(0, |id| id.get());
                    stage.note(self.device, What::Accepted { number, id });
                    self.ask(stage, handle, number, Asked::Publish(number));
                }
                Err(
                    RequestError::WindowFull { .. }
                    | RequestError::OutboxFull { .. }
                    | RequestError::QueueFull { .. },
                ) => break,
                Err(RequestError::TooLarge { .. }) => {
                    stage.ledger.message_mut(number).status = Status::Refused;
                }
                Err(error) => {
                    stage.fail(Invariant::OneEvent, self.device, || format!("publish: {error}"));
                    break;
                }
            }
            self.place += 1;
            if setup.journal {
                client.set_position(self.place as u64);
            }
        }
        self.place != before
    }

    /// A request was accepted.
    fn ask(&mut self, stage: &mut Stage<'_>, handle: Handle, number: u32, asked: Asked) {
        if let Some(id) = handle.packet_id().map(|id| id.get()) {
            if !stage.ledger.takes_id(self.device, id, number) {
                stage.fail(Invariant::IdReuse, self.device, || {
                    format!("id {id} for {asked:?}, still in use [MQTT-2.3.1-2]")
                });
            }
            if stage.ledger.is_lingering(self.device, id) {
                stage.fail(Invariant::IdReuse, self.device, || {
                    format!("id {id} for {asked:?}, of a cancelled request without an answer")
                });
            }
        }
        self.asked.push((handle, asked));
    }

    /// Subscribes or unsubscribes at random.
    pub(crate) fn subscribe(&mut self, stage: &mut Stage<'_>, client: &mut BoxedClient) {
        // More than some brokers take in one packet, now and then.
        let most = if stage.one_in(16) { 12 } else { 3 };
        let count = stage.rng.usize(1..=most);
        if stage.one_in(4) {
            let filters: Vec<usize> =
                (0..count).map(|_| stage.rng.usize(..FILTERS.len())).collect();
            let typed: Vec<_> = filters.iter().map(|filter| topics::filter(*filter)).collect();
            if let Ok(handle) = client.unsubscribe(&typed) {
                self.ask(stage, handle, NO_MESSAGE, Asked::Unsubscribe(filters));
            }
        } else {
            let filters: Vec<(usize, QoS)> = (0..count)
                .map(|_| (stage.rng.usize(..FILTERS.len()), setup::qos(stage.rng.u32(..4))))
                .collect();
            let typed: Vec<_> =
                filters.iter().map(|(filter, qos)| (topics::filter(*filter), *qos)).collect();
            if let Ok(handle) = client.subscribe(&typed) {
                self.ask(stage, handle, NO_MESSAGE, Asked::Subscribe(filters));
            }
        }
    }

    /// Acknowledges some of the messages in any order, and all of them once faults have stopped.
    pub(crate) fn acknowledge(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        setup: &DeviceSetup,
    ) {
        let owed = self.unacknowledged.len();
        let count = if stage.healing { owed } else { stage.rng.usize(..=owed) };
        for _ in 0..count {
            let at = stage.rng.usize(..self.unacknowledged.len());
            let (delivery, receipt) = self.unacknowledged.remove(at);
            match client.acknowledge(delivery) {
                Ok(()) => self.keep(stage, client, receipt, setup),
                Err(RequestError::OutboxFull { .. }) => {
                    // There is no room for the acknowledgement, so it is tried again later.
                    self.unacknowledged.push((delivery, receipt));
                    break;
                }
                Err(error) => stage.fail(Invariant::OneEvent, self.device, || {
                    format!("acknowledging {receipt:?}: {error}")
                }),
            }
            if stage.one_in(8) && client.acknowledge(delivery).is_ok() {
                stage.fail(Invariant::OneEvent, self.device, || {
                    format!("{receipt:?} acknowledged twice")
                });
            }
        }
    }

    /// A request has got its only event.
    fn end(&mut self, stage: &mut Stage<'_>, handle: Handle) -> Option<Asked> {
        self.end_and_tell(stage, handle).map(|(asked, _)| asked)
    }

    /// As [`end`](Self::end), and says whether the broker has answered the request.
    fn end_and_tell(&mut self, stage: &mut Stage<'_>, handle: Handle) -> Option<(Asked, bool)> {
        let id = handle.packet_id().map_or(0, |id| id.get());
        let at = self.asked.iter().position(|(known, _)| *known == handle)?;
        let answered = stage.ledger.frees_id(self.device, id);
        Some((self.asked.remove(at).1, answered))
    }

    /// The connection is gone. Unacknowledged messages come again, with DUP.
    pub(crate) fn disconnected(&mut self, stage: &mut Stage<'_>, client: &mut BoxedClient) {
        self.stream = None;
        for (delivery, receipt) in self.unacknowledged.drain(..) {
            if client.acknowledge(delivery) != Err(RequestError::StaleDelivery) {
                stage.fail(Invariant::OneEvent, self.device, || {
                    format!("{receipt:?} acknowledged after its connection")
                });
            }
        }
    }

    /// Whether the application has to connect, because the client does not do it by itself.
    pub(crate) fn connects(&self, stage: &mut Stage<'_>, client: &BoxedClient) -> bool {
        client.state() == ConnectionState::Stopped && (stage.healing || stage.rng.bool())
    }

    /// Whether it is unknown if the broker has a subscription to `filter`.
    pub(crate) fn is_uncertain(&self, filter: usize) -> bool {
        self.uncertain.contains(&filter)
    }

    /// The client keeps the granted subscriptions.
    pub(crate) fn check_subscriptions(&self, stage: &mut Stage<'_>, client: &BoxedClient) {
        let count = client.subscriptions().count();
        let known = |filter, qos| self.subscriptions.contains(&(filter, qos));
        let all = client.subscriptions().all(|kept| {
            topics::filter_index(kept.filter).is_some_and(|filter| known(filter, kept.qos))
        });
        if !all || count != self.subscriptions.len() {
            stage.fail(Invariant::Subscriptions, self.device, || {
                let kept: Vec<_> = client.subscriptions().collect();
                format!("{:?} were granted, the client keeps {kept:?}", self.subscriptions)
            });
        }
    }
}
