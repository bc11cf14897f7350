//! A fleet: many clients of one kind, each with a seed of its own, whose broker stops and comes back.
//!
//! Some seeds are fleets instead of a [`World`](crate::world::World). Nothing goes wrong but that one stop, which all
//! clients notice in the same millisecond. They must not come back in step, because their broker has to bear all
//! attempts at once then, and all of them have to be up again soon after it.

use std::{cmp::Reverse, collections::BinaryHeap};

use fastrand::Rng;
use mqtt_core::{
    BoxedClient, ConnectionState, Event as Told, Instant, Options, Protocol, Reason, Reconnect,
    codec::{ConnAck, Decoded, Packet},
};
use test_kit::drive::{self, Opening, World};

use crate::{checks, stage::Stage, trace::Trace, trace::What};

/// One seed in so many is a fleet.
const ONE_IN: u32 = 50;
/// Its dice are other ones than those of a world.
const DICE: u64 = 0x5EED_0F1E_E75E_ED00;
/// Clients.
const CLIENTS: usize = 50;
/// The clients start within this time, and the broker stops after it, in milliseconds.
const STARTS: u64 = 30_000;
/// Milliseconds that a connection takes at most once the broker is there.
const CONNECTS: u64 = 2_000;

/// Something that happens to one client, or to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client is due.
    Wake {
        client: usize,
    },
    /// The transport of this attempt is open, or cannot be opened.
    Opened {
        client: usize,
        attempt: u32,
    },
    /// The broker answers the bytes of this attempt that have come.
    Answer {
        client: usize,
        attempt: u32,
    },
    BrokerStops,
    BrokerUp,
    /// All clients have to be up.
    Verdict,
}

/// A client and its transport.
struct Member {
    client: BoxedClient,
    transport: Transport,
}

/// A transport that takes all bytes at once.
#[derive(Debug, Default)]
struct Transport {
    /// Attempts so far.
    attempt: u32,
    /// The client has asked for a connection in this step.
    connects: bool,
    open: bool,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl<B, S> World<B, S> for Transport {
    fn connect(&mut self, _: u8) -> Opening {
        self.attempt += 1;
        self.connects = true;
        self.up.clear();
        self.down.clear();
        Opening::Later
    }

    fn close(&mut self, _: Reason) {
        self.open = false;
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.up.extend(bytes);
        bytes.len()
    }
}

/// The settings of a fleet.
#[derive(Clone, Copy, Debug)]
struct Setup {
    reconnect: Reconnect,
    /// The longest delay between two attempts.
    longest: u64,
    /// Milliseconds for which the broker is away.
    away: u64,
    first_seed: u32,
    /// The seeds of two clients differ by so much.
    seed_step: u32,
}

impl Setup {
    fn draw(rng: &mut Rng) -> Self {
        let first = rng.u32(1_000..5_000);
        let longest = rng.u32(4 * first..60_000);
        Self {
            reconnect: Reconnect::after(first).at_most(longest).endpoints(rng.u8(1..=3)),
            longest: longest.into(),
            // Long enough for several attempts of each client.
            away: rng.u64(4 * u64::from(first)..120_000),
            first_seed: rng.u32(..),
            // Serial numbers follow each other.
            seed_step: if rng.bool() { 1 } else { rng.u32(1..) },
        }
    }

    fn client(&self, nth: usize) -> BoxedClient {
        let seed = self.first_seed.wrapping_add(self.seed_step.wrapping_mul(nth as u32));
        let reconnect = self.reconnect.seed(seed);
        let options = Options::new("fleet").keep_alive(60).cluster(true).reconnect(reconnect);
        BoxedClient::new_boxed(&options, 200, 1).expect("a client of a fleet")
    }
}

/// A fleet at work.
pub(crate) struct Fleet<'t> {
    pub(crate) stage: Stage<'t>,
    setup: Setup,
    members: Vec<Member>,
    agenda: BinaryHeap<Reverse<(u64, Event)>>,
    broker_is_up: bool,
    /// When attempts were made since the broker stopped, in order.
    attempts: Vec<u64>,
    stopped: bool,
}

/// Whether this seed is a fleet.
pub(crate) fn is_one(seed: u64) -> bool {
    Rng::with_seed(seed ^ DICE).u32(..ONE_IN) == 0
}

impl<'t> Fleet<'t> {
    pub(crate) fn new(seed: u64, trace: &'t mut Trace) -> Self {
        let mut rng = Rng::with_seed(seed);
        let setup = Setup::draw(&mut rng);
        Self::of(setup, Stage::new(rng, trace))
    }

    fn of(setup: Setup, stage: Stage<'t>) -> Self {
        let member = |nth| Member { client: setup.client(nth), transport: Transport::default() };
        let mut fleet = Self {
            stage,
            setup,
            members: (0..CLIENTS).map(member).collect(),
            agenda: BinaryHeap::new(),
            broker_is_up: true,
            attempts: Vec::new(),
            stopped: false,
        };
        for client in 0..CLIENTS {
            let start = fleet.stage.rng.u64(..STARTS);
            fleet.plan(start, Event::Wake { client });
        }
        fleet.plan(2 * STARTS, Event::BrokerStops);
        fleet
    }

    fn plan(&mut self, delay: u64, event: Event) {
        self.agenda.push(Reverse((self.stage.now.saturating_add(delay), event)));
    }

    /// Runs until the verdict.
    pub(crate) fn run(&mut self) {
        while let Some(Reverse((at, event))) = self.agenda.pop() {
            self.stage.now = at;
            match event {
                Event::Wake { client } => self.step(client),
                Event::Opened { client, attempt } => self.opened(client, attempt),
                Event::Answer { client, attempt } => self.answer(client, attempt),
                Event::BrokerStops => self.stop(),
                Event::BrokerUp => self.broker_is_up = true,
                Event::Verdict => break,
            }
        }
        let down = |member: &&Member| member.client.state() != ConnectionState::Up;
        let down = self.members.iter().filter(down).count();
        self.stage.totals.fleets = 1;
        checks::a_fleet_comes_back(&mut self.stage, down);
        checks::a_fleet_is_not_in_step(&mut self.stage, CLIENTS, &self.attempts);
    }

    /// A client does what is due.
    fn step(&mut self, client: usize) {
        let Member { client: core, transport } = &mut self.members[client];
        let stage = &mut self.stage;
        let now = Instant::from_millis(stage.now);
        let mut input = std::mem::take(&mut transport.down);
        let events = |event: Told<'_>| {
            if let Told::Connecting { endpoint } = event {
                stage.note(client, What::Connecting { endpoint });
            } else if let Told::Up { endpoint, session, .. } = event {
                stage.totals.connections += 1;
                stage.note(client, What::Up { endpoint, session });
            } else if let Told::Down { endpoint, reason } = event {
                stage.note(client, What::Down { endpoint, reason });
            }
        };
        let _ = drive::receive_from(core, &mut input, now, events);
        transport.down = input;
        let wait = drive::drive(core, transport, now);
        let attempt = transport.attempt;
        let sends = !transport.up.is_empty();
        if std::mem::take(&mut transport.connects) {
            if self.stopped {
                self.attempts.push(self.stage.now);
            }
            let delay = self.stage.rng.u64(1..50);
            self.plan(delay, Event::Opened { client, attempt });
        }
        if sends {
            let delay = self.stage.rng.u64(1..50);
            self.plan(delay, Event::Answer { client, attempt });
        }
        if let Some(until) = wait.filter(|until| *until != Instant::FAR_FUTURE) {
            let delay = until.as_millis().saturating_sub(self.stage.now).max(1);
            self.plan(delay, Event::Wake { client });
        }
    }

    fn opened(&mut self, client: usize, attempt: u32) {
        let Member { client: core, transport } = &mut self.members[client];
        if transport.attempt != attempt {
            return;
        }
        let now = Instant::from_millis(self.stage.now);
        if self.broker_is_up {
            transport.open = true;
            core.connected(now);
        } else {
            core.closed(now);
        }
        self.step(client);
    }

    /// The broker answers what the client has sent.
    fn answer(&mut self, client: usize, attempt: u32) {
        let Member { transport, .. } = &mut self.members[client];
        if transport.attempt != attempt || !transport.open {
            return;
        }
        let sent = std::mem::take(&mut transport.up);
        let mut rest = sent.as_slice();
        while let Ok(Decoded::Packet { packet, len }) = Packet::decode(rest, Protocol::V311) {
            let accepted = ConnAck { session_present: false, result: Ok(()) };
            let answer = if let Packet::Connect(_) = packet {
                Some(Packet::ConnAck(accepted))
            } else {
                (packet == Packet::PingReq).then_some(Packet::PingResp)
            };
            let mut bytes = [0; 8];
            if let Some(answer) = answer {
                let len = answer.encode(&mut bytes, Protocol::V311).expect("a short packet");
                transport.down.extend(&bytes[..len]);
            }
            rest = &rest[len..];
        }
        self.step(client);
    }

    /// The broker is gone, and all clients notice it at once.
    fn stop(&mut self) {
        self.broker_is_up = false;
        self.stopped = true;
        let now = Instant::from_millis(self.stage.now);
        for client in 0..CLIENTS {
            let Member { client: core, transport } = &mut self.members[client];
            transport.open = false;
            core.closed(now);
            self.step(client);
        }
        let Setup { away, longest, .. } = self.setup;
        self.plan(away, Event::BrokerUp);
        self.plan(away + longest + CONNECTS, Event::Verdict);
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::{Fleet, Setup};
    use crate::{checks::Invariant, stage::Stage, trace::Trace};

    fn broken(setup: Setup, seed: u64) -> Option<Invariant> {
        let mut trace = Trace::default();
        let mut fleet = Fleet::of(setup, Stage::new(Rng::with_seed(seed), &mut trace));
        fleet.run();
        fleet.stage.broken.map(|broken| broken.invariant)
    }

    #[test]
    fn clients_with_seeds_of_their_own_come_back_apart_and_those_with_one_seed_in_step() {
        for seed in 0..20 {
            let setup = Setup::draw(&mut Rng::with_seed(seed));
            assert_eq!(broken(setup, seed), None, "{setup:?}");
            let in_step = Setup { seed_step: 0, ..setup };
            assert_eq!(broken(in_step, seed), Some(Invariant::InStep), "{setup:?}");
        }
    }

    #[test]
    fn some_seeds_are_fleets() {
        let fleets = |from: u64| (from..from + 1_000).filter(|seed| super::is_one(*seed)).count();
        assert!((10..=30).contains(&fleets(0)) && (10..=30).contains(&fleets(1 << 40)));
    }

    #[test]
    fn clients_that_wait_too_long_are_reported() {
        let setup = Setup::draw(&mut Rng::with_seed(0));
        let slow = Setup { longest: 0, away: 1, ..setup };
        assert_eq!(broken(slow, 0), Some(Invariant::Healing));
    }
}
