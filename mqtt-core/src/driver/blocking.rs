//! A blocking client over TCP, or over any other byte stream.
//!
//! [`Client`] makes requests and can be cloned and shared by threads; [`Events`] receives, in one thread. There is no
//! background thread: the thread that waits in [`Events::next`] does the work. It holds no lock while it waits, so any
//! thread, and also the handler of a message, can publish meanwhile.
//!
//! ```no_run
//! use mqtt_core::{Event, Options, QoS, driver::blocking::Client};
//!
//! let (client, mut events) = Client::connect("localhost:1883", &Options::new("hello"))?;
//! client.subscribe("greetings/#", QoS::AtLeastOnce)?;
//! client.publish("greetings/world", b"hello", QoS::AtLeastOnce, false)?;
//! while let Some(event) = events.next() {
//!     if let Event::Message(message) = event {
//!         println!("{}: {:?}", message.topic, message.payload);
//!     }
//! }
//! # Ok::<(), mqtt_core::driver::blocking::Error>(())
//! ```
//!
//! If the broker does not read, writes give up at once and the rest waits in the outbox. Receiving goes on, so two
//! full directions do not block each other. If the outbox is full, requests return an error.
//!
//! With [`Config::journal`] the session survives the end of the process and power cuts.

mod config;
mod dyn_journal;
mod event_range;
mod events;
mod link;
mod requests;

pub use config::Config;
pub use events::Events;
pub use link::{Connector, Link, ReadHalf, WriteHalf};
pub use requests::Client;

use std::{
    boxed::Box,
    io,
    string::String,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{self, Duration},
};

use thiserror::Error;

use crate::{
    client::BoxedClient,
    error::{ConfigError, Reason, RequestError, RestoreError},
    event::Action,
    time::Instant,
};
use dyn_journal::DynJournal;

/// Why a blocking call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The options or sizes are not possible.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The request was refused.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The transport failed.
    #[error("{broker}: {error}")]
    Io {
        /// The broker, as the connector names it.
        broker: String,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The first connection was not accepted.
    #[error("not connected: {0}")]
    NotConnected(Reason),
    /// `Options::journal` is on, but no journal was given to [`Config::journal`].
    #[error("the options ask for a journal, and there is none")]
    NoJournal,
    /// The journal failed. Its own error is inside and can be downcast. A running client stops: see
    /// [`Config::journal`].
    #[error("journal: {0}")]
    Journal(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// The journal has a record that does not belong to this client or does not fit in it.
    #[error("journal, record {number}: {error}")]
    Restore {
        /// Number of the record, counted from 0.
        number: usize,
        /// Why it was refused.
        error: RestoreError,
    },
}

/// State that the two halves of a client share.
struct Shared {
    state: Mutex<State>,
    /// Signals a change that another thread may wait for: room for requests, a connection, a request to disconnect.
    changed: Condvar,
    start: time::Instant,
}

struct State {
    client: BoxedClient,
    writer: Option<Box<dyn WriteHalf>>,
    journal: Option<Box<dyn DynJournal>>,
    /// The journal failed: nothing is done until `Client::reconnect`.
    halted: bool,
    /// The error of the journal, for `Events`.
    failure: Option<Error>,
    /// The broker to connect to. Any thread that flushes may learn of it, but only `Events` opens a transport.
    connect: Option<u8>,
    /// `Events` waits for bytes and does not write, so a requesting thread has to write its own bytes.
    reading: bool,
    /// The last time at which the transport took nothing.
    congested: Option<time::Instant>,
    /// When a thread flushed last, or `Events` read.
    flushed_at: Instant,
}

/// How long packets that are due may wait while the events of one read are handled, in milliseconds. Quick handlers
/// share a write, slow ones cause at most 100 writes a second, and no time-out of the protocol is that short.
const LONGEST_UNSENT: u64 = 10;

/// The pause before the next write if the transport took nothing.
const CONGESTED: Duration = Duration::from_millis(5);

impl Shared {
    fn now(&self) -> Instant {
        Instant::from_millis(self.start.elapsed().as_millis() as u64)
    }

    /// The state. A thread that panicked with the lock held leaves it usable: no call leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why [`State::flush`] ended.
enum Flushed {
    /// There is nothing more to write before this instant. If it has passed, something that has to come in is overdue:
    /// it is missed only if a read without a wait, and `receive` after it, do not find it.
    Until(Instant),
    /// The transport takes no more bytes now.
    Congested,
    /// The transport has been closed or has to be closed.
    Close,
}

impl State {
    fn new(client: BoxedClient, journal: Option<Box<dyn DynJournal>>) -> Self {
        Self {
            client,
            writer: None,
            journal,
            halted: false,
            failure: None,
            connect: None,
            reading: false,
            congested: None,
            flushed_at: Instant::from_millis(0),
        }
    }

    /// Appends the records that are due and writes the ready bytes until the transport takes no more. If there is no
    /// transport, it may set `connect`.
    fn flush(&mut self, now: Instant) -> Flushed {
        if self.halted {
            return Flushed::Close;
        }
        self.flushed_at = now;
        if self.congested.is_some_and(|since| since.elapsed() >= CONGESTED) {
            self.congested = None;
        }
        loop {
            let written = match (self.client.poll(now), &mut self.writer) {
                (Action::Persist(record), _) => {
                    // The lock is held: the record borrows the outbox. A thread that waits for the lock has a request
                    // that goes into a later record anyway.
                    let snapshot = record.is_snapshot();
                    let appended =
                        self.journal.as_mut().map_or(Ok(()), |journal| journal.append(&record));
                    if let Err(error) = appended {
                        self.halt(error);
                        return Flushed::Close;
                    }
                    self.client.persisted();
                    // If the journal is long after a snapshot, another snapshot does not help.
                    if !snapshot {
                        self.compact();
                    }
                    continue;
                }
                (Action::Wait(deadline), _) => return Flushed::Until(deadline),
                (Action::Connect { endpoint }, None) => {
                    self.connect = Some(endpoint);
                    continue;
                }
                // Opening has not begun, and its time is up.
                (Action::Close(_), None) if self.connect.take().is_some() => {
                    self.client.closed(now);
                    continue;
                }
                (Action::Close(_) | Action::Transmit(_), None) => return Flushed::Close,
                // The client asks for no second transport, but the compiler does not know that.
                (Action::Connect { .. } | Action::Close(_), Some(writer)) => {
                    // The reading half sees the end of the transport.
                    writer.close();
                    return Flushed::Close;
                }
                (Action::Transmit(_), Some(_)) if self.congested.is_some() => {
                    return Flushed::Congested;
                }
                (Action::Transmit(bytes), Some(writer)) => writer.write(bytes),
            };
            match written {
                Ok(0) => return Flushed::Close,
                Ok(count) => self.client.transmitted(count, now),
                Err(error) if is_pause(&error) => {
                    self.congested = Some(time::Instant::now());
                    return Flushed::Congested;
                }
                Err(_) => {
                    if let Some(writer) = &mut self.writer {
                        writer.close();
                    }
                    return Flushed::Close;
                }
            }
        }
    }

    /// The journal failed: bytes that are not recorded must not be sent.
    fn halt(&mut self, error: Error) {
        self.halted = true;
        self.failure = Some(error);
        if let Some(writer) = &mut self.writer {
            writer.close();
        }
        // The journal may take only a snapshot now.
        self.compact();
    }

    /// Writes the last record without its delay: the client is stopped, so no later call would write it.
    fn record_now(&mut self, now: Instant) {
        let recorded = matches!(self.flush(now), Flushed::Until(Instant::FAR_FUTURE));
        if !recorded && !self.halted {
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

/// Whether the error only means that the transport is not ready now.
fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
