//! The loop over all sessions: wait for sockets or the next deadline, serve the sessions concerned.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::ErrorKind,
    net::{SocketAddr, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{self, Duration},
};

use mio::{Events, Poll, Registry, Token, Waker};
use mqtt_core::{ConnectionState, Filter, Instant, Options, Reconnect, Topic, framer::Framer};
use mqtt_examples::print::Teller;

use crate::{
    Error,
    arguments::Order,
    deadlines::Deadlines,
    figures::{Costs, Figures},
    gate::Gate,
    process,
    session::Session,
};

/// The read buffer of all sessions.
const READ_BUFFER: usize = 64 << 10;

/// The longest time for the messages under way to arrive, and for all sessions to disconnect.
const PATIENCE: Duration = Duration::from_secs(10);

/// The delay after a loss begins with this; up to half of it is taken off at random.
const RECONNECT_MILLIS: u32 = 2_000;
const LONGEST_RECONNECT_MILLIS: u32 = 30_000;

/// The status that shells report for a program that an interrupt ended.
const INTERRUPTED: i32 = 130;

const WAKER: Token = Token(usize::MAX);

/// The parts that all sessions share.
pub(crate) struct Shared {
    pub(crate) framer: Framer<Box<[u8]>>,
    pub(crate) figures: Figures,
    pub(crate) gate: Gate,
    pub(crate) registry: Registry,
    pub(crate) address: SocketAddr,
    /// A number that differs between runs.
    pub(crate) run: u32,
    pub(crate) now: Now,
}

/// The time of the last look at the clock.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) since_start: Duration,
    /// The same for clients.
    pub(crate) instant: Instant,
}

impl Now {
    fn since(start: time::Instant) -> Self {
        let since_start = start.elapsed();
        let millis = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        Self { since_start, instant: Instant::from_millis(millis) }
    }
}

/// What the sessions are to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Connect,
    Publish,
    Stay,
    /// Each clean connection ends a kept session. It has nothing else to do.
    End,
}

struct Fleet<'a> {
    order: &'a Order,
    sessions: Vec<Session>,
    shared: Shared,
    deadlines: Deadlines,
    poll: Poll,
    events: Events,
    start: time::Instant,
    teller: Teller,
    task: Task,
    up: usize,
    stopped: usize,
    all_up: Option<Duration>,
    publishing_from: Duration,
    /// Messages that were given to sessions, in turn.
    issued: u64,
}

/// Runs the fleet, and prints its table.
pub(crate) fn run(order: &Order) -> Result<(), Error> {
    process::ensure_descriptors(order.clients)?;
    let poll = Poll::new().map_err(Error::Wait)?;
    let interrupted = end_on_interrupt(&poll)?;
    let memory_before = process::resident_bytes();
    let mut fleet = Fleet::new(order, poll)?;
    fleet.teller.tell(&format!("{} sessions to {}", order.clients, fleet.shared.address));

    let end = Duration::from_secs(order.seconds.into());
    let is_interrupted = || interrupted.load(Ordering::Relaxed);
    fleet.turn_until(end, |fleet| is_interrupted() || fleet.all_up.is_some())?;
    let memory = process::resident_bytes().zip(memory_before);
    let memory = memory.map(|(after, before)| after.saturating_sub(before));

    let cpu_before = process::cpu_time();
    fleet.publishing_from = fleet.shared.now.since_start;
    fleet.task = Task::Publish;
    fleet.turn_until(end, |_| is_interrupted())?;
    let span = fleet.shared.now.since_start.saturating_sub(fleet.publishing_from);
    let cpu = process::cpu_time().zip(cpu_before);
    let cpu = cpu.map(|(after, before)| after.saturating_sub(before));

    fleet.task = Task::Stay;
    fleet.turn_for(PATIENCE, |fleet| fleet.shared.figures.is_settled())?;
    fleet.disconnect()?;
    let costs = Costs { clients: order.clients, all_up: fleet.all_up, span, cpu, memory };
    mqtt_examples::print::line(&fleet.shared.figures.table(&costs));
    if order.ends_sessions {
        fleet.end_sessions()?;
    }
    Ok(())
}

/// Ends the run on the first interrupt, and the program on the second. Returns whether there was one.
fn end_on_interrupt(poll: &Poll) -> Result<Arc<AtomicBool>, Error> {
    let waker = Waker::new(poll.registry(), WAKER).map_err(Error::Wait)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        // If it fails, the loop sees the flag at the next deadline.
        let _ = waker.wake();
    })?;
    Ok(interrupted)
}

/// The first address of the broker; one of IPv4 if it has any.
fn address_of(order: &Order) -> Result<SocketAddr, Error> {
    let place = mqtt_examples::arguments::place(&order.host, order.port);
    let found = (order.host.as_str(), order.port).to_socket_addrs();
    let mut found: Vec<_> =
        found.map_err(|error| Error::Address { place: place.clone(), error })?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or(Error::NoAddress(place))
}

/// The settings of the session of this number.
fn options<'a>(order: &Order, index: usize, id: &'a str) -> Options<'a> {
    let seed = order.seed.wrapping_add(index as u32);
    let reconnect = Reconnect::after(RECONNECT_MILLIS)
        .at_most(LONGEST_RECONNECT_MILLIS)
        .first_within(order.ramp_millis())
        .seed(seed);
    Options::new(id).clean_session(false).keep_alive(order.keep_alive).reconnect(reconnect)
}

fn id(order: &Order, index: usize) -> String {
    format!("{}-{index}", order.prefix)
}

fn topic(order: &Order, index: usize) -> String {
    format!("{}/{index}", order.prefix)
}

impl<'a> Fleet<'a> {
    fn new(order: &'a Order, poll: Poll) -> Result<Self, Error> {
        let count = order.clients as usize;
        let registry = poll.registry().try_clone().map_err(Error::Wait)?;
        let start = time::Instant::now();
        let shared = Shared {
            framer: Framer::new(vec![0; READ_BUFFER].into()),
            figures: Figures::new(),
            gate: Gate::new(order.connect_limit),
            registry,
            address: address_of(order)?,
            run: RandomState::new().build_hasher().finish() as u32,
            now: Now::since(start),
        };
        let mut fleet = Self {
            order,
            sessions: Vec::with_capacity(count),
            shared,
            deadlines: Deadlines::new(count),
            poll,
            events: Events::with_capacity(1_024),
            start,
            teller: Teller::new(),
            task: Task::Connect,
            up: 0,
            stopped: 0,
            all_up: None,
            publishing_from: Duration::ZERO,
            issued: 0,
        };
        for index in 0..count {
            let mut session = Session::new(&options(order, index, &id(order, index)))?;
            let topic = topic(order, index);
            let filter = Filter::new(&topic)
                .map_err(|error| Error::Topic { topic: topic.clone(), error })?;
            session.subscribe(filter, order.qos).map_err(Error::Subscribe)?;
            fleet.sessions.push(session);
        }
        fleet.serve_all();
        Ok(fleet)
    }

    /// Disconnects every session, as far as that is possible within its time.
    fn disconnect(&mut self) -> Result<(), Error> {
        self.shared.gate.dismiss();
        for session in &mut self.sessions {
            session.disconnect();
        }
        self.serve_all();
        let count = self.sessions.len();
        self.turn_for(PATIENCE, |fleet| fleet.stopped == count)?;
        self.teller.tell(&format!("{} of {count} sessions have disconnected", self.stopped));
        Ok(())
    }

    /// Ends the kept sessions: each client connects once more, with a clean session.
    fn end_sessions(&mut self) -> Result<(), Error> {
        let count = self.sessions.len();
        self.task = Task::End;
        self.deadlines = Deadlines::new(count);
        self.shared.gate = Gate::new(self.order.connect_limit);
        (self.up, self.stopped) = (0, 0);
        for (index, session) in self.sessions.iter_mut().enumerate() {
            let id = id(self.order, index);
            *session = Session::new(&options(self.order, index, &id).clean_session(true))?;
        }
        self.serve_all();
        let ramp = Duration::from_millis(self.order.ramp_millis().into());
        self.turn_for(PATIENCE + 2 * ramp, |fleet| fleet.stopped == count)?;
        self.teller.tell(&format!("{} of {count} sessions are ended", self.stopped));
        Ok(())
    }

    fn serve_all(&mut self) {
        self.shared.now = Now::since(self.start);
        for index in 0..self.sessions.len() {
            self.serve(index);
        }
    }

    fn turn_for(&mut self, time: Duration, is_done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        self.turn_until(self.start.elapsed() + time, is_done)
    }

    /// Serves the sessions until `is_done`, at the latest until `end`.
    fn turn_until(&mut self, end: Duration, is_done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        while !is_done(self) && self.shared.now.since_start < end {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Waits until something is to be done, and does it.
    fn turn(&mut self, end: Duration) -> Result<(), Error> {
        let deadline = self.deadlines.next().map(|at| Duration::from_millis(at.as_millis()));
        let until = [deadline, self.next_publish()].into_iter().flatten().fold(end, Duration::min);
        let timeout = until.saturating_sub(self.start.elapsed());
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(Error::Wait(error)),
            Ok(()) | Err(_) => {}
        }
        self.shared.now = Now::since(self.start);
        let mut ready = Vec::new();
        for event in &self.events {
            if let Some(session) = self.sessions.get_mut(event.token().0) {
                session.note(event);
                ready.push(event.token().0);
            }
        }
        for index in ready {
            self.serve(index);
        }
        while let Some(index) = self.deadlines.due(self.shared.now.instant) {
            self.serve(index);
        }
        self.publish();
        while let Some(index) = self.shared.gate.next() {
            if let Some(session) = self.sessions.get_mut(index) {
                session.connect();
            }
            self.serve(index);
        }
        Ok(())
    }

    /// Serves one session, and follows the changes of its state.
    fn serve(&mut self, index: usize) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.serve(Token(index), &mut self.shared);
        if self.task == Task::End && session.state() == ConnectionState::Up {
            session.disconnect();
            session.serve(Token(index), &mut self.shared);
        }
        self.deadlines.set(index, session.deadline());
        let (before, after) = session.change_of_state();
        if before == after {
            return;
        }
        let were_all_up = self.up == self.sessions.len();
        let change = |count: &mut usize, state| {
            *count = *count + usize::from(after == state) - usize::from(before == state);
        };
        change(&mut self.up, ConnectionState::Up);
        change(&mut self.stopped, ConnectionState::Stopped);
        if self.task == Task::End {
            return;
        }
        if after == ConnectionState::Up && self.up == self.sessions.len() {
            self.note_all_up();
        } else if were_all_up && after == ConnectionState::Waiting {
            self.teller.tell("links are lost");
        }
    }

    fn note_all_up(&mut self) {
        let at = self.shared.now.since_start;
        if self.all_up.is_none() {
            self.all_up = Some(at);
            self.teller.tell(&format!("all {} sessions are up", self.up));
        }
        if let Some(outage) = self.shared.figures.all_up(at) {
            self.teller.tell(&outage);
        }
    }

    /// When the next message is to be published.
    fn next_publish(&self) -> Option<Duration> {
        let rate = self.order.rate;
        let publishes = self.task == Task::Publish && rate > 0;
        let after = (self.issued + 1) as f64 / f64::from(rate);
        publishes.then(|| self.publishing_from + Duration::from_secs_f64(after))
    }

    /// Publishes what is due, the sessions in turn.
    fn publish(&mut self) {
        while self.next_publish().is_some_and(|at| at <= self.shared.now.since_start) {
            let index = (self.issued % self.sessions.len().max(1) as u64) as usize;
            self.issued += 1;
            let topic = topic(self.order, index);
            if let (Some(session), Ok(topic)) = (self.sessions.get_mut(index), Topic::new(&topic)) {
                session.publish(topic, self.order.qos, &mut self.shared);
            }
            self.serve(index);
        }
    }
}
