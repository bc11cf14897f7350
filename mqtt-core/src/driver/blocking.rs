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

mod config;
mod events;
mod link;
mod located;
mod requests;

pub use config::Config;
pub use events::Events;
pub use link::{Connector, Link, ReadHalf, WriteHalf};
pub use requests::Client;

use std::{
    io,
    string::String,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{self, Duration},
};

use thiserror::Error;

use crate::{
    client::BoxedClient,
    error::{ConfigError, Reason, RequestError},
    event::Action,
    time::Instant,
};

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
    writer: Option<std::boxed::Box<dyn WriteHalf>>,
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
    /// Writes all that is ready, as far as the transport takes it now. Only while there is a transport.
    fn flush(&mut self, now: Instant) -> Flushed {
        let Some(writer) = &mut self.writer else { return Flushed::Until(now) };
        if self.congested.is_some_and(|since| since.elapsed() < CONGESTED) {
            return Flushed::Congested;
        }
        self.congested = None;
        loop {
            let written = match self.client.poll(now) {
                // Only clients of one's own keep a journal so far.
                Action::Persist(_) => {
                    self.client.persisted();
                    continue;
                }
                // While there is a transport, nobody is told to open one.
                Action::Wait(deadline) => return Flushed::Until(deadline),
                Action::Connect { .. } | Action::Close(_) => {
                    // The reading half is told by the transport.
                    writer.close();
                    return Flushed::Close;
                }
                Action::Transmit(bytes) => writer.write(bytes),
            };
            match written {
                Ok(0) => return Flushed::Close,
                Ok(count) => self.client.transmitted(count, now),
                Err(error) if is_pause(&error) => {
                    self.congested = Some(time::Instant::now());
                    return Flushed::Congested;
                }
                Err(_) => {
                    writer.close();
                    return Flushed::Close;
                }
            }
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
