//! Arbitrary bytes and arbitrary calls against the whole state machine.
//!
//! The data is a small program: settings first, then instructions, see [`Step`]. A model of the peer and of the
//! application watches every byte and every event ([`Link`], [`Session`]); in the end an honest broker has to bring
//! every request to its event ([`Run::settle`]). A driver that breaks every rule goes first ([`careless`]).
//!
//! Both drive the client by hand and not with the test kit: [`careless`] breaks the contract of `poll` on purpose, and
//! [`Run`] checks that contract, so it polls twice and judges each answer.

mod careless;
mod judge;
mod link;
mod packets;

mod reclaim;
mod requests;
mod sender;
mod session;
mod settings;
mod step;

use mqtt_core::{
    Action, Client, ConnectionState, Event, Fatal, Instant, QoS, Reason, SkipCause, Skipped, Slot,
};

use crate::input::{self, Input};
use link::{Link, Transport};
use packets::Id;
use sender::RENEWALS;
use session::{Connected, Session};
use settings::Settings;
use step::Step;

const TOPICS: [&str; 4] = ["a", "b/c", "sensor/t01/temperature", "$SYS/ü"];
const FILTERS: [&str; 6] =
    ["a", "b/#", "+/c", "#", "$share/g/a", "a/much/longer/filter/than/the/others/+"];
/// From here on deadlines saturate, and the client has to say 'never'.
const END_OF_TIME: u64 = u64::MAX / 2;

/// Takes settings and instructions.
pub fn client(data: &[u8]) {
    careless::run(Input::new(data));
    let mut input = Input::new(data);
    let Some(mut run) = Run::start(&mut input) else { return };
    while let Some(step) = Step::read(&mut input) {
        run.step(step);
        run.check();
    }
    run.settle();
}

/// The format of the data of this target. The seeds are written with it.
pub mod program {
    pub use super::{
        packets::{BrokerPacket, Id, Kind},
        settings::{flags, more},
        step::Step,
    };
}

struct Run {
    client: Client<Vec<u8>, Vec<Slot>>,
    settings: Settings,
    /// Bytes of the outbox, at first.
    free: usize,
    now: u64,
    /// When the client last sent something.
    last_sent: u64,
    /// The transport did not take all bytes.
    unsent: bool,
    /// The client has asked for a close. It was judged, and is not carried out yet.
    closing: bool,
    link: Link,
    session: Session,
}

impl Run {
    fn start(input: &mut Input<'_>) -> Option<Self> {
        let settings = Settings::read(input);
        let (outbox, slots) = (vec![0xA5; settings.outbox], vec![Slot::EMPTY; settings.window]);
        let Ok(client) = Client::new(&settings.options, outbox, slots) else {
            assert!(settings.window == 0 || settings.outbox < 128, "these settings are fine");
            return None;
        };
        Some(Self {
            free: client.outbox_free(),
            client,
            now: 0,
            last_sent: 0,
            unsent: false,
            closing: false,
            link: Link::new(&settings),
            session: Session::new(&settings),
            settings,
        })
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { topic, qos, retain, len } => self.publish(topic, qos, retain, len),
            Step::Subscribe(filters) => self.subscribe(&filters),
            Step::Unsubscribe(filters) => self.unsubscribe(&filters),
            Step::Acknowledge(nth) => self.acknowledge(nth),
            Step::Forget(id) => self.forget(id),
            Step::Cancel(nth) => self.cancel(nth),
            Step::ForgetSubscription(at) => self.forget_subscription(at),
            Step::Disconnect => self.disconnect(),
            Step::Connect => self.client.connect(),
            Step::Connected => self.connected(),
            Step::Closed => self.closed(),
            Step::Defer => self.defer(),
            Step::Awake(power) => {
                let now = self.instant();
                self.client.awake(1 << (3 * power), now);
            }
            Step::Pass(millis) => self.now = self.now.saturating_add(u64::from(millis)),
            Step::PassLong(times) => self.now = self.now.saturating_add(u64::from(times) << 10),
            Step::GoBack(times) => self.now = self.now.saturating_sub(u64::from(times) << 6),
            Step::NearTheEnd(millis) => self.now = u64::MAX - u64::from(millis),
            Step::Garbage(bytes) => {
                self.link.arrive(&bytes);
                self.receive(usize::MAX);
            }
            Step::Packet { packet, at_once } => {
                let id = match packet.id {
                    Id::Small(id) => id.into(),
                    Id::InFlight(nth) => self.session.sender.id_in_flight(nth),
                    Id::Renewal(nth) => RENEWALS | u16::from(nth & 1),
                };
                self.link.arrive(&packet.on_the_wire(id));
                if at_once {
                    self.receive(usize::MAX);
                }
            }
            Step::Answer(lie) => {
                if self.link.reply(lie) {
                    self.receive(usize::MAX);
                }
            }
            Step::Receive(count) => self.receive(count.into()),
            Step::Poll(count) => {
                self.poll(count.into());
            }
            Step::Drive => self.drive(),
            Step::ComeUp => self.come_up(),
            Step::AnswerAll => {
                self.drive();
                while self.link.reply(0) {
                    self.drive();
                }
            }
        }
        if self.settings.tidy {
            self.events();
        }
    }

    /// Checks the rules that hold between any two calls.
    fn check(&mut self) {
        assert_eq!(self.client.in_flight(), self.session.sender.in_flight(), "one slot a request");
        assert!(self.client.in_flight() <= self.settings.window);
        assert!(self.client.outbox_free() <= self.settings.outbox);
        if self.settings.renews {
            let kept = self.client.subscriptions();
            self.session.sender.keeps(kept.map(|kept| (kept.filter.as_str(), kept.qos)));
        }
        self.link.check_counters(self.client.counters(), &self.session);
    }

    /// The next action of the client.
    fn next(&mut self) -> Action<'_> {
        self.link.begins_to_leave(&self.session);
        if self.link.misses_pubcomp(self.now) {
            self.link.reclaim.is_late();
        }
        let protocol = self.client.protocol();
        let action = self.client.poll(Instant::from_millis(self.now));
        if let Action::Transmit(bytes) = action {
            self.link.show(bytes, protocol, &mut self.session);
        } else if let Action::Close(Reason::Fatal(fatal)) = action {
            self.link.fails(fatal, protocol);
            if let Fatal::NotReleased { .. } = fatal {
                self.session.becomes_uncertain();
            }
        }
        action
    }

    fn disconnect(&mut self) {
        self.client.disconnect();
        self.link.leave(&self.session);
    }

    fn connected(&mut self) {
        self.client.connected(self.instant());
        if self.link.transport == Transport::Opening {
            self.link.open();
        }
    }

    fn defer(&mut self) {
        self.client.defer_connect(self.instant().plus_millis(1_000));
        if self.client.state() == ConnectionState::Waiting {
            self.link.deferred();
        }
    }

    fn closed(&mut self) {
        self.closing = false;
        if self.link.reclaim.may_give_up() {
            // Otherwise nobody could tell afterwards whether it has.
            self.events();
        }
        let closing = self.client.state() == ConnectionState::Closing;
        self.client.closed(self.instant());
        self.link.close(closing, &mut self.session);
    }

    /// Gives the client the first `visible` bytes that arrived, until it wants no more.
    fn receive(&mut self, visible: usize) {
        let arrived = self.link.take_arrived();
        let (shown, hidden) = arrived.split_at(visible.min(arrived.len()));
        let mut rest = shown;
        // Each event takes a byte, or ends a request, or is one of the few about the connection.
        let most = shown.len() + self.session.sender.outstanding() + 8;
        let (mut refused, mut last) = (None, false);
        if self.listens() {
            self.link.shows(shown.len());
        }
        for nth in 0.. {
            assert!(nth <= most, "events without end");
            let listens = self.listens();
            let before = rest;
            let outcome = self.client.receive(&mut rest, self.instant());
            let taken = before.get(..before.len() - rest.len()).expect("from the front");
            let taken = if listens { taken } else { &[] };
            last = !taken.is_empty();
            let protocol = self.client.protocol();
            match outcome {
                Ok(event) => {
                    assert_eq!(refused, None, "the violation comes next");
                    self.link.took(taken, self.now, protocol, &mut self.session);
                    let Some(event) = event else {
                        // If the application has left, the rest is told at the end of the connection.
                        if self.client.state() != ConnectionState::Closing {
                            self.session.sender.all_is_told();
                            self.link.reclaim.all_is_told();
                        }
                        break;
                    };
                    if let Event::Skipped(Skipped { cause, qos, .. }) = event {
                        self.link.skips(cause, qos, &self.session);
                        if let SkipCause::Unreadable(violation) = cause {
                            refused = Some(violation);
                        }
                    }
                    self.event(event);
                }
                Err(fatal) => {
                    self.link.failed(taken, self.now, protocol, &mut self.session);
                    self.link.fails(fatal, protocol);
                    if let Some(violation) = refused {
                        assert_eq!(fatal, Fatal::Violation(violation));
                    }
                    assert_eq!(self.next(), Action::Close(Reason::Fatal(fatal)));
                    break;
                }
            }
        }
        if self.link.transport == Transport::Open {
            self.link.arrive(rest);
            if self.listens() && visible != 0 {
                let took = rest.len() < shown.len();
                self.link.left(took, last, self.now, &mut self.session);
            }
            self.link.arrive(hidden);
        }
    }

    fn event(&mut self, event: Event<'_>) {
        if let Event::Connecting { endpoint } = event {
            assert!(endpoint < self.settings.endpoints.max(1));
        }
        let sender = &mut self.session.sender;
        if let Event::Stuck { handle, connections } = event {
            sender.is_stuck(handle, connections);
        } else if let Event::RenewalStuck { first, count, connections } = event {
            sender.is_renewal_stuck(first, count, connections);
        } else if let Event::NotReclaimed = event {
            self.link.reclaim.not_reclaimed();
        }
        let connection = Connected {
            status: self.link.status(),
            slots: self.settings.window,
            tidy: self.settings.tidy,
        };
        if let Some(owed) = self.session.event(event, &connection) {
            self.link.owe(owed);
        }
    }

    /// Events that need no input.
    fn events(&mut self) {
        self.receive(0);
    }

    /// Carries out the action that `poll` returns, and writes at most `count` bytes. Returns whether something was
    /// done.
    fn poll(&mut self, count: usize) -> bool {
        match self.next() {
            Action::Connect { endpoint } => {
                assert!(endpoint < self.settings.endpoints.max(1));
                self.link.opening();
                true
            }
            Action::Close(reason) => {
                assert_eq!(self.next(), Action::Close(reason), "until it is closed");
                if !self.closing {
                    self.closes_well(reason);
                }
                self.closed();
                true
            }
            Action::Persist(_) => panic!("a record without a journal"),
            Action::TransmitFrom(_) => panic!("a source without sources"),
            Action::Transmit(bytes) => {
                assert!(!bytes.is_empty());
                let bytes = bytes.to_vec();
                assert_eq!(self.next(), Action::Transmit(&bytes), "until it is sent");
                let sent = bytes.get(..count.min(bytes.len())).unwrap_or_default();
                self.client.transmitted(sent.len(), self.instant());
                self.last_sent = if sent.is_empty() { self.last_sent } else { self.now };
                self.unsent = sent.len() < bytes.len();
                self.link.sent(sent, self.now, self.client.protocol(), &mut self.session);
                !sent.is_empty()
            }
            Action::Wait(deadline) => {
                self.unsent = false;
                self.waits_well(deadline)
            }
        }
    }

    /// Acts as a good driver, until there is nothing to do at this time.
    fn drive(&mut self) {
        // Bytes that are written were requested, or answer bytes that were read; twice, if the link breaks.
        let most = 4 * (self.settings.outbox + self.link.arrived()) + 64;
        for nth in 0.. {
            assert!(nth <= most, "actions without end");
            self.receive(usize::MAX);
            if self.link.transport == Transport::Opening {
                self.connected();
            }
            if !self.poll(usize::MAX) {
                break;
            }
        }
        self.receive(usize::MAX);
        // A time-out for input is judged after another look at the input.
        if self.listens() && self.ready().is_none() {
            self.receive(usize::MAX);
        }
        if self.listens() && self.ready().is_none() {
            // The client may have given up a reclaim.
            self.events();
            let owes = self.link.owes() >= self.settings.window;
            let stuck = self.link.has_whole_packet() && !owes;
            assert!(!stuck, "a packet that nobody takes");
            if self.client.state() == ConnectionState::Up {
                self.all_is_sent();
            }
        }
    }

    /// The client is offline and meets an honest broker.
    fn come_up(&mut self) {
        self.events();
        self.client.connect();
        self.drive();
        self.link.reply(0);
        self.drive();
    }

    /// With an honest broker every request comes to its event.
    fn settle(&mut self) {
        if self.now >= END_OF_TIME {
            return;
        }
        self.closed();
        self.events();
        self.client.connect();
        for _ in 0..200 {
            self.drive();
            while self.link.reply(0) {
                self.drive();
            }
            self.check();
            if self.session.sender.outstanding() == 0 {
                return;
            }
            if self.client.state() == ConnectionState::Stopped {
                self.client.connect();
            }
            if let Action::Wait(deadline) = self.next() {
                assert_ne!(deadline, Instant::FAR_FUTURE, "{:?}", self.session);
                self.now = self.now.max(deadline.as_millis());
            }
        }
        panic!("for ever in flight: {:?}", self.session);
    }

    /// Whether the client takes bytes that come in now.
    fn listens(&self) -> bool {
        let state = self.client.state();
        self.link.transport == Transport::Open
            && matches!(state, ConnectionState::Connecting | ConnectionState::Up)
    }

    fn ready(&mut self) -> Option<Vec<u8>> {
        let open = matches!(self.client.state(), ConnectionState::Up | ConnectionState::Connecting);
        if !open {
            return None;
        }
        match self.next() {
            Action::Transmit(bytes) => {
                let bytes = bytes.to_vec();
                self.unsent = true;
                Some(bytes)
            }
            Action::Connect { .. } => panic!("connected already"),
            Action::Persist(_) => panic!("a record without a journal"),
            Action::TransmitFrom(_) => panic!("a source without sources"),
            Action::Close(reason) => {
                // The clock may have gone back before the client is asked again.
                self.closes_well(reason);
                self.closing = true;
                None
            }
            Action::Wait(_) => None,
        }
    }

    const fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }
}

fn qos(bits: u8) -> QoS {
    match bits & 3 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn topic(byte: u8) -> &'static str {
    TOPICS.get(usize::from(byte) % TOPICS.len()).expect("in the table")
}

fn filter(byte: u8) -> &'static str {
    FILTERS.get(usize::from(byte & 7) % FILTERS.len()).expect("in the table")
}
