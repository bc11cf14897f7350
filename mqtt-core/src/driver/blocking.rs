//! A blocking client over TCP, or over whatever reads and writes bytes.
//!
//! [`Client`] makes requests and can be cloned and shared by threads; [`Events`] receives, in one thread. Nothing runs
//! in between: the thread that waits in [`Events::next`] does the work. No lock is held while it waits, so any thread,
//! and the handler of a message itself, may publish meanwhile.
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
//! When the broker does not read, writes give up at once and the rest waits in the outbox: receiving goes on, so that
//! two full directions do not stop each other. Once the outbox is full, requests say so.
//!
//! With [`Config::journal`] the session outlives the process, and power cuts.

mod config;
mod events;
mod journal;
mod link;
mod located;
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
use journal::Keeper;

/// Why a blocking call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The options or sizes are not possible.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The request was not taken.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The transport failed.
    #[error("{broker}: {error}")]
    Io {
        /// Which broker.
        broker: String,
        /// What happened.
        error: io::Error,
    },
    /// The first connection was not accepted.
    #[error("not connected: {0}")]
    NotConnected(Reason),
    /// `Options::journal` is on, and there is no journal: [`Config::journal`] takes one.
    #[error("the options ask for a journal, and there is none")]
    NoJournal,
    /// The journal failed; its own error is inside, to be downcast. While the client runs that stops it: see
    /// [`Config::journal`].
    #[error("journal: {0}")]
    Journal(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// The journal has a record that is not one of this client, or finds no room in it.
    #[error("journal, record {number}: {error}")]
    Restore {
        /// Which one, counted from 0.
        number: usize,
        /// Why.
        error: RestoreError,
    },
}

/// What the two halves of a client share.
struct Shared {
    state: Mutex<State>,
    /// Something changed that somebody may wait for: room for requests, a connection, an order to end it.
    changed: Condvar,
    start: time::Instant,
}

struct State {
    client: BoxedClient,
    writer: Option<Box<dyn WriteHalf>>,
    keeper: Option<Box<dyn Keeper>>,
    /// The journal failed: nothing more is done before somebody wants to try again.
    halted: bool,
    /// How it failed, for `Events`.
    failure: Option<Error>,
    /// The broker to connect to, which was said when another thread had a record to write.
    connect: Option<u8>,
    /// `Events` waits for bytes, so what cannot be written now has nobody else to write it.
    reading: bool,
    /// When the transport last took nothing.
    congested: Option<time::Instant>,
}

/// How long a transport that takes nothing is left alone.
const CONGESTED: Duration = Duration::from_millis(5);

impl Shared {
    fn now(&self) -> Instant {
        Instant::from_millis(self.start.elapsed().as_millis() as u64)
    }

    /// The state; a thread that panicked while it held it had called nothing that leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stopped [`State::flush`].
enum Flushed {
    /// Nothing more to write until then.
    Until(Instant),
    /// The transport takes no more now.
    Congested,
    /// The transport is to be, or has been, closed.
    Close,
}

impl State {
    fn new(client: BoxedClient, keeper: Option<Box<dyn Keeper>>) -> Self {
        let (writer, failure, connect, congested) = (None, None, None, None);
        Self { client, writer, keeper, halted: false, failure, connect, reading: false, congested }
    }

    /// Records what has to be, and writes all that is ready, as far as the transport takes it now. Where there is none,
    /// `connect` may be set.
    fn flush(&mut self, now: Instant) -> Flushed {
        if self.halted {
            return Flushed::Close;
        }
        if self.congested.is_some_and(|since| since.elapsed() >= CONGESTED) {
            self.congested = None;
        }
        loop {
            let written = match (self.client.poll(now), &mut self.writer) {
                (Action::Persist(record), _) => {
                    // The lock stays: the record lies in the outbox, and whoever waits for the lock has a request that
                    // returns when it is recorded, behind this one.
                    let snapshot = record.is_snapshot();
                    let kept = self.keeper.as_mut().map_or(Ok(()), |keeper| keeper.append(&record));
                    if let Err(error) = kept {
                        self.halt(error);
                        return Flushed::Close;
                    }
                    self.client.persisted();
                    // A journal that a snapshot leaves long stays so.
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
                // It was not begun, and its time is up.
                (Action::Close(_), None) if self.connect.take().is_some() => {
                    self.client.closed(now);
                    continue;
                }
                (Action::Close(_) | Action::Transmit(_), None) => return Flushed::Close,
                // While there is a transport, nobody is told to open one.
                (Action::Connect { .. } | Action::Close(_), Some(writer)) => {
                    // The reading half is told by the transport.
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

    /// The journal failed: what is not recorded must not be sent.
    fn halt(&mut self, error: Error) {
        self.halted = true;
        self.failure = Some(error);
        if let Some(writer) = &mut self.writer {
            writer.close();
        }
        // It may want a snapshot before it takes anything else.
        self.compact();
    }

    /// The client is stopped, so nobody looks any more when the record is due of a publish that is done.
    fn settle(&mut self, now: Instant) {
        let settled = matches!(self.flush(now), Flushed::Until(Instant::FAR_FUTURE));
        if !settled && !self.halted {
            // A position is due at once.
            self.client.set_position(self.client.position());
            let _settled = self.flush(now);
        }
    }

    /// Asks for a snapshot where the journal is long.
    fn compact(&mut self) {
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_long()) {
            self.client.compact();
        }
    }
}

/// An error that says 'not now'.
fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
