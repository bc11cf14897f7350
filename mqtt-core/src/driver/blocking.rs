//! A blocking client over TCP, or over any other byte stream.
//!
//! [`Client`] makes requests and can be cloned and shared by threads; [`Events`] receives, in one thread. There is no
//! background thread: the thread that waits in [`Events::next`] does the work. It holds no lock while it waits, so any
//! thread, and also the handler of a message, can publish meanwhile. [`Config::spawn`] starts a thread that does it.
//!
//! ```no_run
//! use mqtt_core::{Event, Options, QoS, driver::blocking::Client};
//!
//! let (client, mut events) = Client::connect("localhost:1883", &Options::new("hello"))?;
//! let _ = client.subscribe("greetings/#", QoS::AtLeastOnce)?;
//! let _ = client.publish("greetings/world", b"hello", QoS::AtLeastOnce, false)?;
//! while let Some(event) = events.next() {
//!     if let Event::Message(message) = event {
//!         println!("{}: {:?}", message.topic, message.payload);
//!     }
//! }
//! # Ok::<(), mqtt_core::driver::blocking::Error>(())
//! ```
//!
//! Nobody waits for the transport: what it does not take stays in the outbox, and the serving thread sends it as soon as
//! it can. If the outbox is full, requests return an error.
//!
//! With [`Config::journal`] the session survives the end of the process and power cuts. [`Config::trace`] shows what
//! goes over the wire.

#[doc = include_str!("../../docs/recipes.md")]
pub mod recipes {}

mod attempt;
mod bridge;
mod brokers;
mod config;
mod connector;
mod dyn_journal;
mod error;
mod event_range;
mod events;
mod outcomes;
mod queue;
mod read_buffer;
mod requests;
mod traced;
mod waker;

pub use bridge::bridge;
pub use brokers::Brokers;
pub use config::Config;
pub use connector::Connector;
pub use error::{Error, Unfinished};
#[cfg(feature = "bytes")]
pub use events::SharedEvent;
pub use events::{Events, OwnedEvents};
pub use outcomes::Outcome;
pub use queue::EventQueue;
pub use requests::Client;
pub use traced::Traced;

use std::{
    boxed::Box,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{self, Duration},
};

use super::stream::{Link, is_pause};
use crate::{
    client::BoxedClient,
    error::Reason,
    event::{Action, ConnectionState},
    time::Instant,
};
use dyn_journal::DynJournal;
use outcomes::Outcomes;
use waker::Waker;

/// State that the two halves of a client share.
struct Shared {
    state: Mutex<State>,
    /// Signals a change that a requesting thread waits for: room for requests, an outcome, the end.
    changed: Condvar,
    waker: Waker,
    start: time::Instant,
}

struct State {
    client: BoxedClient,
    link: Option<Link>,
    journal: Option<Box<dyn DynJournal>>,
    outcomes: Outcomes,
    /// The journal failed: nothing is done until `Client::reconnect`.
    failed: Option<Error>,
    /// The transport failed at a write.
    broken: Option<io::Error>,
    /// The serving thread has gone, or has panicked.
    gone: bool,
    opening: Opening,
    /// The broker was told that nothing more is sent on this connection.
    finished: bool,
    /// The transport took no more bytes. `Events` writes again once it does.
    congested: bool,
    /// `Events` waits: until then, unless it is woken.
    waits: Option<Wait>,
    /// Threads that wait for `Shared::changed`.
    waiters: usize,
    /// The last event was not the last one of its read, so the application asks for the next one soon.
    more_follows: bool,
    /// When a thread flushed last, or `Events` read.
    flushed_at: Instant,
    /// The application asked for the end: a clean session ends with it.
    disconnects: bool,
    /// `Config::end_with_clients`
    ends_with_clients: bool,
}

/// A transport that is to be opened.
#[derive(Default)]
struct Opening {
    /// The broker to connect to. Any thread that flushes may learn of it, but only `Events` opens a transport.
    connect: Option<u8>,
    /// The number of the attempt under way.
    attempt: Option<u64>,
    /// What came of it.
    opened: Option<io::Result<Link>>,
}

impl Opening {
    const fn is_under_way(&self) -> bool {
        self.connect.is_some() || self.attempt.is_some() || self.opened.is_some()
    }

    fn give_up(&mut self) {
        *self = Self::default();
    }
}

/// The wait of the serving thread.
struct Wait {
    until: Instant,
    /// It wakes up once the transport takes bytes.
    for_writing: bool,
    woken: bool,
}

/// How long packets that are due may wait while the events of one read are handled, in milliseconds. Quick handlers
/// share a write, slow ones cause at most 100 writes a second, and no time-out of the protocol is that short.
const LONGEST_UNSENT: u64 = 10;

/// How long the end of a connection waits for the broker, which closes it after a DISCONNECT.
const LONGEST_END: Duration = Duration::from_secs(5);

/// How long the broker alone may close it. Then the client half-closes it: a proxy or a WebSocket server may end both
/// directions at that, with bytes for the client under way, and what the broker has not read by then is lost.
const BROKER_FIRST: Duration = Duration::from_millis(500);

impl Shared {
    fn now(&self) -> Instant {
        Instant::from_millis(self.start.elapsed().as_millis() as u64)
    }

    /// The state. A thread that panicked with the lock held leaves it usable: no call leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait of the serving thread.
    fn wake(&self, state: &mut State) {
        if let Some(wait) = &mut state.waits {
            if !core::mem::replace(&mut wait.woken, true) {
                self.waker.wake();
            }
        }
    }

    /// Tells the threads that wait for a change.
    fn tell(&self, state: &State) {
        if state.waiters != 0 {
            self.changed.notify_all();
        }
    }

    /// Waits for a change, at most for `timeout`.
    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        timeout: Duration,
    ) -> MutexGuard<'s, State> {
        state.waiters += 1;
        // A longer time is no limit, and some systems cannot express it.
        let timeout = timeout.min(Duration::from_secs(1 << 30));
        let waited = self.changed.wait_timeout(state, timeout);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiters -= 1;
        state
    }

    /// An acknowledgement was made: those of the events of one read share a write, as if the client had made them.
    fn serve_later(&self, state: &mut State) {
        let soon = self.now().millis_since(state.flushed_at) < LONGEST_UNSENT;
        if !(state.more_follows && soon && state.waits.is_none() && state.journal.is_none()) {
            self.serve(state);
        }
    }

    /// A request was made: sends what is due, and wakes the serving thread if it has something to do that it does not
    /// know of.
    fn serve(&self, state: &mut State) {
        let flushed = if state.link.is_some() || state.journal.is_some() {
            state.flush(self.now())
        } else {
            Flushed::Until(state.client.deadline())
        };
        let Some(wait) = &state.waits else { return };
        let news = match flushed {
            Flushed::Until(deadline) => deadline < wait.until || state.link.is_none(),
            Flushed::Congested => !wait.for_writing,
            Flushed::Close => true,
        };
        if news || state.client.has_event() {
            self.wake(state);
        }
    }
}

/// Why [`State::flush`] ended.
enum Flushed {
    /// There is nothing more to write before this instant. If it has passed, something that has to come in is overdue:
    /// it is missed only if a read without a wait, and `receive` after it, do not find it.
    Until(Instant),
    /// The transport takes no more bytes now.
    Congested,
    /// The transport has failed or has to be closed.
    Close,
}

/// Whether the connection ends after a DISCONNECT: then the broker is to read all that was sent.
const fn is_orderly(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Requested | Reason::PassedOver | Reason::SessionEnded | Reason::Returning
    )
}

impl State {
    fn new(client: BoxedClient, journal: Option<Box<dyn DynJournal>>, outcomes: usize) -> Self {
        Self {
            client,
            link: None,
            journal,
            outcomes: Outcomes::new(outcomes),
            failed: None,
            broken: None,
            gone: false,
            opening: Opening::default(),
            finished: false,
            congested: false,
            waits: None,
            waiters: 0,
            more_follows: false,
            flushed_at: Instant::from_millis(0),
            disconnects: false,
            ends_with_clients: false,
        }
    }

    /// Why a request cannot be made.
    fn check(&self) -> Result<(), Error> {
        match &self.failed {
            _ if self.gone => Err(Error::NotServed),
            Some(error) => Err(error.again()),
            None => Ok(()),
        }
    }

    /// The state of the connection, as the application sees it.
    fn connection(&self) -> ConnectionState {
        if self.failed.is_some() || self.gone {
            ConnectionState::Stopped
        } else {
            self.client.state()
        }
    }

    /// Appends the records that are due and writes the ready bytes until the transport takes no more. If there is no
    /// transport, it may set `connect`.
    fn flush(&mut self, now: Instant) -> Flushed {
        if self.failed.is_some() {
            return Flushed::Close;
        }
        self.flushed_at = now;
        // A transport that panics is not used again.
        let mut link = self.link.take();
        let flushed = self.flush_to(&mut link, now);
        self.link = link;
        flushed
    }

    fn flush_to(&mut self, link: &mut Option<Link>, now: Instant) -> Flushed {
        loop {
            let written = match (self.client.poll(now), &mut *link) {
                (Action::Persist(record), _) => {
                    // The lock is held: the record borrows the outbox. A thread that waits for the lock has a request
                    // that goes into a later record anyway.
                    let snapshot = record.is_snapshot();
                    let appended =
                        self.journal.as_mut().map_or(Ok(()), |journal| journal.append(&record));
                    if let Err(error) = appended {
                        self.failed = Some(error);
                        // The journal may take only a snapshot now.
                        self.compact();
                        return Flushed::Close;
                    }
                    self.client.persisted();
                    // If the journal is long after a snapshot, another snapshot does not help.
                    if !snapshot {
                        self.compact();
                    }
                    continue;
                }
                (Action::Wait(deadline), link) => {
                    let kept = link.as_mut().filter(|link| link.has_output() && !self.congested);
                    match kept.map(|link| link.flush()) {
                        Some(Err(error)) if is_pause(&error) => self.congested = true,
                        Some(Err(error)) => {
                            self.broken = Some(error);
                            return Flushed::Close;
                        }
                        Some(Ok(())) | None => {}
                    }
                    return Flushed::Until(deadline);
                }
                (Action::Connect { endpoint }, None) => {
                    self.opening.connect = Some(endpoint);
                    continue;
                }
                // The attempt is given up.
                (Action::Close(_), None) if self.opening.is_under_way() => {
                    self.opening.give_up();
                    self.client.closed(now);
                    continue;
                }
                (Action::Close(reason), Some(link)) => {
                    if is_orderly(reason) && link.has_output() {
                        // If it does not work now, the serving thread tries again.
                        let _sent = link.flush();
                    }
                    return Flushed::Close;
                }
                (Action::Close(_) | Action::Transmit(_), None)
                // The client asks for no second transport, but the compiler does not know that.
                | (Action::Connect { .. }, Some(_)) => return Flushed::Close,
                (Action::Transmit(_), Some(_)) if self.congested => return Flushed::Congested,
                (Action::Transmit(bytes), Some(link)) => link.write(bytes),
            };
            match written {
                Ok(0) => return Flushed::Close,
                Ok(count) => self.client.transmitted(count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_pause(&error) => {
                    self.congested = true;
                    return Flushed::Congested;
                }
                Err(error) => {
                    self.broken = Some(error);
                    return Flushed::Close;
                }
            }
        }
    }

    /// Writes the last record without its delay: the client is stopped, so no later call would write it.
    fn record_now(&mut self, now: Instant) {
        let recorded = matches!(self.flush(now), Flushed::Until(Instant::FAR_FUTURE));
        if !recorded && self.failed.is_none() {
            // A record that holds a position is due at once.
            self.client.set_position(self.client.position());
            let _done = self.flush(now);
        }
    }

    /// Asks for a snapshot if the journal is long.
    fn compact(&mut self) {
        if self.journal.as_ref().is_some_and(|journal| journal.is_long()) {
            self.client.compact();
        }
    }
}

/// Says that the serving thread has gone, also if it panicked.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        state.opening.give_up();
        let link = state.link.take();
        self.0.tell(&state);
        drop(state);
        drop(link);
    }
}
