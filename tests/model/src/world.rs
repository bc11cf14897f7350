//! The state of a world and its possible actions: the client with its application and its driver, the link, the
//! journal, the brokers. [`steps`] carries the actions out, those of the [link](wire), the [driver](driving) and the
//! [journal] in files of their own, and [`events`] gives the client's events to the ledgers of the rules. [`brokers`]
//! says to which broker the client connects.

mod brokers;
mod driving;
mod events;
mod journal;
mod packets;
mod sources;
mod steps;
mod wire;

use std::sync::Arc;

use mqtt_core::{Action as Told, ConnectionState, Delivery, Filter, Handle, Instant, QoS};

use crate::{
    broker::{Broker, Down, FILTERS},
    config::Config,
    device::{Device, NOW},
    rules::{Broken, Order, Requests, Rule, Sessions, Set, Versions},
    trace::Trace,
};
use packets::packet_len;

/// An action that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The application publishes its next message and sets its position.
    Publish,
    /// The application subscribes to one more filter.
    Subscribe,
    /// The application takes the request with this number back.
    Cancel(u8),
    /// The application acknowledges the message with this number among those that it owes.
    Acknowledge(u8),
    /// The time to connect again has come; the driver begins to open a transport.
    Connect,
    /// The transport is open.
    Connected,
    /// The client wants the connection to end, and the driver closes the transport.
    Close,
    /// The time for an answer is over, and nothing is on its way.
    AnswerOverdue,
    /// The driver asks for bytes and copies them.
    Show,
    /// The driver reports the bytes that it has written.
    Report,
    /// A source fails.
    SourceFails,
    /// A source has no bytes for now.
    SourcePauses,
    /// It has bytes again.
    SourceGoesOn,
    /// The transport takes a part of a packet.
    TransmitPart,
    /// The transport takes this many whole packets. It may have a part of the first one already.
    Transmit(u8),
    /// The broker gets the next packet.
    Arrive,
    /// The broker sends its next message.
    Send,
    /// The client takes the packet with this number from the broker.
    Deliver(u8),
    /// The driver begins to append a record.
    Persist,
    /// The driver begins to append a record that could wait and has waited long enough.
    PersistAtLast,
    /// The record is durable.
    Persisted,
    /// The medium reports that it could not append the record. The record may still be there.
    PersistFailed {
        /// It is there.
        whole: bool,
    },
    /// The application asks for a snapshot.
    Compact,
    /// The link breaks, or a transport could not be opened. Everything on its way is lost.
    Cut {
        /// The broker loses the session as well.
        lose_session: bool,
    },
    /// Power fails and comes back; the client is restored from its journal.
    PowerCut {
        /// The record that was being written is there. A torn record counts as missing.
        whole: bool,
    },
}

/// How far the client knows that the broker lost the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Loss {
    /// There was no loss, or it was reported and recorded.
    Settled,
    /// The client does not know.
    Untold,
    /// The client knows, and would forget it in a power cut.
    Unrecorded,
    /// The record about it is being written.
    Recording,
}

/// A record that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Writing {
    /// Empty once power can no longer fail.
    record: Vec<u8>,
    is_snapshot: bool,
}

/// A state of a world.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct State {
    pub(crate) client: Device,
    /// The client that the journal would restore: it was given every durable record. `None` once power can no longer
    /// fail.
    restored: Option<Arc<Device>>,
    writing: Option<Writing>,
    /// The transport is open.
    open: bool,
    /// Bytes on their way to the broker; the last packet may be there in part.
    up: Vec<u8>,
    /// Packets on their way to the client.
    down: Vec<Down>,
    /// The broker that the client connects to, or connected to last, and the endpoint.
    broker: Broker,
    endpoint: u8,
    /// The other broker, if there are two.
    elsewhere: Option<Arc<Broker>>,
    /// The next message of the application's source.
    next: u8,
    /// Messages that the application was handed: those in its durable store, those that become durable with the record
    /// that is being written, and the later ones.
    stored: Set,
    storing: Set,
    held: Set,
    /// Messages that the application has and has not acknowledged, oldest first.
    owed: Vec<(Delivery, u8)>,
    /// The filters that the client asked for on this connection, if it is to ask for all each time.
    asked: Set,
    /// The driver's copy of the bytes that it was shown and has not reported, and how many of them it has written.
    copied: Vec<u8>,
    written: usize,
    /// The message whose source has no bytes.
    paused: Option<Handle>,
    /// The application has subscribed to one more filter.
    subscribed: bool,
    /// The application has forgotten the subscription that stood in the way.
    forgotten: bool,
    requests: Requests,
    order: Order,
    sessions: Sessions,
    versions: Versions,
    /// This broker is another one than that of the last connection, so all requests are new to it.
    anew: bool,
    loss: Loss,
    /// The broker that lost the session.
    lost_at: u8,
    cuts: u8,
    power_cuts: u8,
    lost_sessions: u8,
    snapshots: u8,
    failed_records: u8,
    cancels: u8,
    source_faults: u8,
    /// The rule that was broken. Nothing follows.
    pub(crate) broken: Option<Broken>,
}

impl State {
    /// The first state: nothing has happened. If the client has subscriptions, it is connected and has made them.
    pub(crate) fn new(config: &Config) -> Self {
        let client = Device::new(config);
        let mut state = Self {
            restored: (config.power_cuts != 0).then(|| Arc::new(client.clone())),
            client,
            writing: None,
            open: false,
            up: Vec::new(),
            down: Vec::new(),
            broker: Broker::new(config.method, config.broker_window)
                .speaking(config.speaks.only(0)),
            endpoint: 0,
            elsewhere: Self::other_broker(config),
            next: 0,
            stored: Set::EMPTY,
            storing: Set::EMPTY,
            held: Set::EMPTY,
            owed: Vec::new(),
            asked: Set::EMPTY,
            copied: Vec::new(),
            written: 0,
            paused: None,
            subscribed: false,
            forgotten: false,
            requests: Requests::of(config.outbound),
            order: Order::default(),
            sessions: Sessions::of(config.brokers.are_two()),
            versions: Versions::default(),
            anew: false,
            loss: Loss::Settled,
            lost_at: 0,
            cuts: config.cuts,
            power_cuts: config.power_cuts,
            lost_sessions: config.lost_sessions,
            snapshots: config.snapshots,
            failed_records: config.failed_records,
            cancels: config.cancels,
            source_faults: config.source_faults,
            broken: None,
        };
        for name in FILTERS.iter().take(config.filters.into()) {
            state.settle(config);
            let filter = Filter::new(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            if let Err(error) = state.client.0.subscribe(&[(filter, QoS::ExactlyOnce)]) {
                panic!("world {}: {error}", config.name);
            }
            state.settle(config);
        }
        state
    }

    /// Runs until the application or the broker has to begin something.
    fn settle(&mut self, config: &Config) {
        let mut actions = Vec::new();
        loop {
            self.progress(config, &mut actions);
            let begins = |action: &Action| {
                matches!(
                    action,
                    Action::Publish | Action::Subscribe | Action::Send | Action::TransmitPart
                )
            };
            let next = actions.drain(..).filter(|action| !begins(action)).find_map(|action| {
                let mut next = self.clone();
                next.carry_out(config, action, &mut Trace::Off).then_some(next)
            });
            let Some(next) = next else { return };
            assert!(next.broken.is_none(), "world {}: {:?}", config.name, next.broken);
            *self = next;
        }
    }

    /// The actions of progress: application, driver, link, journal and broker do their part, each at any time. If the
    /// client does not take a packet yet, or a request finds no room, the action turns out to be impossible when it is
    /// carried out.
    pub(crate) fn progress(&self, config: &Config, actions: &mut Vec<Action>) {
        let before = actions.len();
        if packet_len(&self.up, self.client.0.protocol()).is_some() {
            actions.push(Action::Arrive);
        }
        if self.broker.can_send(config.inbound) {
            actions.push(Action::Send);
        }
        self.deliveries(config, actions);
        self.driving(config, actions);
        actions.extend((0..self.owed.len() as u8).map(Action::Acknowledge));
        actions.extend(self.paused.map(|_| Action::SourceGoesOn));
        if actions.len() == before && self.awaits_answer(config) {
            actions.push(Action::AnswerOverdue);
        }
        if !self.subscribed && config.subscribes_at == Some(self.next) {
            actions.push(Action::Subscribe);
        } else if usize::from(self.next) < config.outbound.len() {
            actions.push(Action::Publish);
        }
    }

    /// Whether the client waits for an answer up to a deadline.
    fn awaits_answer(&self, config: &Config) -> bool {
        let ignores = config.bad.is_some_and(|bad| bad.manner.never_answers());
        let deadline =
            |told| matches!(told, Told::Wait(deadline) if deadline != Instant::FAR_FUTURE);
        let up = self.client.0.state() == ConnectionState::Up;
        ignores && up && deadline(self.client.0.clone().poll(NOW))
    }

    /// Packets of the broker come in the order of sending. If the configuration says so, its answers of different types
    /// come in any order, because they belong to exchanges that have no order.
    fn deliveries(&self, config: &Config, actions: &mut Vec<Action>) {
        if self.client.0.state() == ConnectionState::Closing {
            // It takes no packets any more.
            return;
        }
        for (number, down) in (0..).zip(&self.down) {
            let mut before = self.down.iter().take(usize::from(number));
            let overtakes = config.shuffled
                && !before.any(|earlier| {
                    matches!(earlier, Down::ConnAck { .. }) || earlier.kind() == down.kind()
                });
            if number == 0 || overtakes {
                actions.push(Action::Deliver(number));
            }
        }
    }

    /// The faults, and other actions that are not needed to finish. Each happens a limited number of times.
    pub(crate) fn disturbances(&self, config: &Config, actions: &mut Vec<Action>) {
        // A new session that the client never heard of looks like the old one: see the docs of the crate.
        let held = self.loss != Loss::Settled && !config.loss_unheard;
        let told = !held
            || self.loss != Loss::Untold
            || self.lost_at != self.here(config)
            || !self.broker.has_session();
        if self.cuts > 0 && told && self.client.0.state() != ConnectionState::Waiting {
            actions.push(Action::Cut { lose_session: false });
            if self.lost_sessions > 0 {
                actions.push(Action::Cut { lose_session: true });
            }
        }
        let recorded = !held || self.loss == Loss::Untold;
        if self.power_cuts > 0 && told && recorded {
            actions.push(Action::PowerCut { whole: false });
            if self.writing.is_some() {
                actions.push(Action::PowerCut { whole: true });
            }
        }
        if self.failed_records > 0 && self.writing.is_some() {
            actions.push(Action::PersistFailed { whole: false });
            actions.push(Action::PersistFailed { whole: true });
        }
        if self.snapshots > 0 {
            actions.push(Action::Compact);
        }
        if self.source_faults > 0 && self.asks_for_source() {
            actions.extend([Action::SourceFails, Action::SourcePauses]);
        }
        if self.cancels > 0 {
            let requests = 0..=config.subscribe_number();
            let may = requests.filter(|request| self.requests.can_be_taken_back(*request));
            actions.extend(may.map(Action::Cancel));
        }
    }

    /// Whether all requests are done, and all that this broker has for the client.
    pub(crate) fn is_finished(&self, config: &Config) -> bool {
        let lost = self.lost_sessions < config.lost_sessions;
        let handed = self.handed().and(self.broker.lost());
        let delivered = (0..config.outbound.len() as u8)
            .all(|message| self.delivered().has(message) || self.has_excuse(message));
        delivered
            && self.subscribed == config.subscribes_at.is_some()
            && (self.forgotten || self.broker.has_subscriptions(config.filters))
            && (!config.renew_each_time || self.asked == Set::first(config.filters.into()))
            && (!self.subscribed
                || self.has_excuse(config.subscribe_number())
                || self.broker.has_late_subscription())
            && self.has_all_room(config)
            && usize::from(self.next) == config.outbound.len()
            // Messages in flight to the client were lost with the session.
            && (lost || self.own(config, handed) == Set::first(config.inbound.len()))
            && self.client.0.state() == ConnectionState::Up
            && self.client.0.in_flight() == 0
            && !self.requests.is_open(self.power_cuts > 0)
            && self.broker.is_idle(config.inbound, |message| {
                // The other broker has it, or it need not arrive.
                self.has_excuse(message) || self.released().has(message)
            })
            && self.up.is_empty()
            && self.down.is_empty()
            && self.writing.is_none()
    }

    /// Whether `message` need not arrive.
    fn has_excuse(&self, message: u8) -> bool {
        self.requests.is_lost(message) || self.requests.is_taken_back(message)
    }

    /// Whether nothing takes room in the outbox. Subscriptions have a room of their own.
    fn has_all_room(&self, config: &Config) -> bool {
        let kept = self.client.0.subscriptions().next().is_some();
        kept || self.client.0.outbox_free() == Device::new(config).0.outbox_free()
    }

    /// As if the broker had handed on nothing.
    #[cfg(test)]
    pub(crate) fn forget_what_was_delivered(&mut self, config: &Config) {
        self.broker = Broker::new(config.method, config.broker_window);
    }

    /// Messages that the application has.
    fn handed(&self) -> Set {
        self.stored.and(self.storing).and(self.held)
    }

    /// Those of `messages` that are of this broker, counted from its first one.
    fn own(&self, config: &Config, messages: Set) -> Set {
        let own = |message: &u8| usize::from(*message) < config.inbound.len();
        messages.from(self.broker.first_message()).iter().filter(own).fold(Set::EMPTY, Set::with)
    }
}

const fn withdrawn() -> Broken {
    Broken::new(Rule::Protocol, "the client does not say again what it has just said")
}

const fn no_packet() -> Broken {
    Broken::new(Rule::Protocol, "the client sends what is no packet")
}
