//! The errors of the driver.

use thiserror::Error;

use crate::error::RequestError;

/// The client has stopped: no outcome will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client is stopped")]
pub struct Stopped;

/// Why there is no [`Ticket`](super::Ticket).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The request was refused.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// As many tasks wait as [`Storage`](super::Storage) has room for.
    #[error("no room for another task that waits")]
    NoWaiter,
}

/// Why the outcome of a request is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The request was refused.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The client has stopped, so there is no outcome.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// The [`Storage`](super::Storage) has no waiters at all. Nothing was accepted.
    #[error("the storage has no waiters")]
    NoWaiters,
}

/// Why [`Runner::run_with`](super::Runner::run_with) has ended though the client is not stopped. It may be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The journal failed. Requests that were accepted stay in RAM.
    #[error("journal: {0}")]
    Journal(E),
    /// The options ask for a journal, and [`Runner::run`](super::Runner::run) has none.
    #[error("the options ask for a journal, and there is none")]
    NoJournal,
    /// The options ask for publishes from a source, and only [`Runner::run_from`](super::Runner::run_from) has payloads.
    #[error("the options ask for publishes from a source, and there are no payloads")]
    NoPayloads,
    /// A record does not fit into the room that was given for a copy.
    #[error("a record of {needed} bytes, there is room for {capacity}")]
    RecordTooLong {
        /// Bytes of the record.
        needed: usize,
        /// Bytes that were given.
        capacity: usize,
    },
}
