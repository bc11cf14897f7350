//! Errors of the clients on hosts.

use std::{boxed::Box, io, string::String, sync::Arc, vec::Vec};

use thiserror::Error;

use super::Outcome;
use crate::{
    codec::QoS,
    driver::address::AddressError,
    error::{ConfigError, Reason, RequestError, RestoreError},
    session::Handle,
    source::SourceId,
    topic::TopicError,
};

/// Why a call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The options or sizes are not possible.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The address of a broker is not possible.
    #[error("the address of broker {number}: {error}")]
    Address {
        /// Which of the brokers, counted from 0.
        number: usize,
        /// What is wrong with it.
        error: AddressError,
    },
    /// The address of a broker is possible, and this program has no transport for it.
    #[error("the address of broker {number} needs {feature}")]
    NoTransport {
        /// Which of the brokers, counted from 0.
        number: usize,
        /// The feature of this crate that is off, or what the system lacks.
        feature: &'static str,
    },
    /// The request was refused.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The transport failed.
    #[error("{broker}: {error}")]
    Io {
        /// The broker, as the connector names it.
        broker: String,
        /// The error of the transport.
        error: io::Error,
    },
    /// The payload of a message could not be read.
    #[error("source {number}: {error}", number = .source_id.get())]
    Source {
        /// The number that the application gave it.
        source_id: SourceId,
        /// The error of the payload.
        error: io::Error,
    },
    /// The first connection was not accepted.
    #[error("not connected: {0}")]
    NotConnected(Reason),
    /// `Options::journal` is on, but no journal was given to [`Config::journal`](super::Config::journal).
    #[error("the options ask for a journal, and there is none")]
    NoJournal,
    /// The journal failed. Its own error is inside and can be downcast. A running client stops: see
    /// [`Config::journal`](super::Config::journal).
    ///
    /// From a request: it is not in the journal. It stands in RAM, and goes into the journal and to the broker if
    /// [`Requests::reconnect`](super::Requests::reconnect) succeeds; if the process ends before, it never was.
    #[error("journal: {0}")]
    Journal(#[source] Arc<dyn core::error::Error + Send + Sync>),
    /// The journal has a record that does not belong to this client or does not fit in it.
    #[error("journal, record {number}: {error}")]
    Restore {
        /// Number of the record, counted from 0.
        number: usize,
        /// Why it was refused.
        error: RestoreError,
    },
    /// Nobody serves the connection any more: `Events` was dropped, or its thread, task or handler has panicked.
    #[error("nobody serves the connection")]
    NotServed,
    /// The client has stopped, so the outcome will not come.
    #[error("the client is stopped")]
    Stopped,
    /// The time is over. What was asked for may still happen.
    #[error("no outcome in time")]
    TimedOut,
    /// The request has no outcome that could be waited for: it ended long ago, or is not of this client.
    #[error("the request is not known")]
    Unknown,
    /// The request ended without what it asked for.
    #[error("{0}")]
    Failed(Outcome),
}

impl From<TopicError> for Error {
    fn from(error: TopicError) -> Self {
        Self::Request(error.into())
    }
}

impl Error {
    pub(crate) fn journal(error: Box<dyn core::error::Error + Send + Sync>) -> Self {
        Self::Journal(error.into())
    }

    /// The system lacks what the client itself needs.
    pub(crate) fn of_this_program(error: io::Error) -> Self {
        Self::Io { broker: "this program".into(), error }
    }

    /// The error for the next one who asks. It is one of the journal.
    pub(crate) fn again(&self) -> Self {
        if let Self::Journal(error) = self {
            Self::Journal(Arc::clone(error))
        } else {
            Self::Stopped
        }
    }
}

impl Outcome {
    /// Whether the message of a publish has arrived.
    pub(crate) fn published(self) -> Result<(), Error> {
        let published = matches!(self, Self::Published | Self::Downgraded);
        if published { Ok(()) } else { Err(Error::Failed(self)) }
    }

    /// The granted QoS of the only filter of a subscription.
    pub(crate) fn granted(self) -> Result<QoS, Error> {
        if let Self::Subscribed(granted) = &self {
            if let Some(Some(granted)) = granted.first() {
                return Ok(*granted);
            }
        }
        Err(Error::Failed(self))
    }

    /// Whether a subscription has ended.
    #[cfg(feature = "tokio")]
    pub(crate) fn unsubscribed(self) -> Result<(), Error> {
        if self == Self::Unsubscribed { Ok(()) } else { Err(Error::Failed(self)) }
    }
}

/// Requests that were not answered before the client ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} requests have no answer", handles.len())]
pub struct Unfinished {
    /// Requests of QoS 1 and 2, SUBSCRIBE and UNSUBSCRIBE. With a kept session they go on with the next connection;
    /// with a clean one they have ended as `Lost`.
    pub handles: Vec<Handle>,
}
