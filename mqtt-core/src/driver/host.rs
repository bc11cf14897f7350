//! A client on a host, without its waits: what the drivers for threads and for tasks have in common.
//!
//! [`requests`] is the half that requests, [`service`] the half that serves the connection; they share [`state`] behind
//! a lock. Neither waits for anything: the service says what it waits for, and a driver does so, with poll(2) in
//! [`blocking`](super::blocking) and as a future in `tokio`.

mod attempt;
mod brokers;
mod config;
mod connector;
mod dyn_journal;
mod ending;
mod error;
pub(crate) mod event_range;
pub(crate) mod feeding;
pub(crate) mod first;
mod outcomes;
mod payload;
mod read_buffer;
mod reading;
pub(crate) mod requests;
pub(crate) mod service;
pub(crate) mod shared;
#[cfg(feature = "bytes")]
mod shared_event;
pub(crate) mod state;
mod traced;
#[cfg(feature = "tokio")]
pub(crate) mod waiters;

pub use brokers::Brokers;
pub use config::Config;
pub use connector::Connector;
pub use error::{Error, Unfinished};
pub use outcomes::Outcome;
pub use payload::Payload;
pub use requests::Requests;
#[cfg(feature = "bytes")]
pub use shared_event::SharedEvent;
pub use traced::Traced;
