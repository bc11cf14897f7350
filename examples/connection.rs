//! How `pub` and `sub` handle their connection. They end if it cannot be made and go on if it broke, with a message.

use std::io;

use mqtt_core::{
    Fatal, Options, Protocol, Reason, Refusal, SessionStatus,
    driver::blocking::{self, Client, Config, Connector, Events},
};
use thiserror::Error;

use crate::{
    arguments::UsageError,
    common::{BrokerError, Common},
    print,
    trace::{Trace, TraceError},
};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// An error in the command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The files of TLS.
    #[error(transparent)]
    Tls(io::Error),
    /// The file for the trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The settings are not possible.
    #[error(transparent)]
    Settings(blocking::Error),
    /// The transport failed.
    #[error("{broker}: {error}")]
    Transport {
        /// The broker.
        broker: String,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The connection was refused or ended.
    #[error("{broker}: {reason}")]
    Ended {
        /// Which broker.
        broker: String,
        /// The reason.
        reason: Reason,
    },
}

impl From<BrokerError> for ConnectionError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Usage(error) => Self::Usage(error),
            BrokerError::Tls(error) => Self::Tls(error),
        }
    }
}

/// A client, its events, and the watch over its connection.
#[derive(Debug)]
pub struct Connection {
    /// Makes requests.
    pub client: Client,
    /// Receives.
    pub events: Events,
    /// Has to be given `Event::Up` and `Event::Down`.
    pub watch: Watch,
}

/// A client with the settings of `common` and the sizes that `size` sets. It connects when the first event is awaited.
///
/// # Errors
///
/// [`ConnectionError::Usage`], [`ConnectionError::Tls`], [`ConnectionError::Settings`], [`ConnectionError::Trace`].
pub fn open<'a>(
    common: &'a Common,
    size: impl FnOnce(Config<'a>) -> Config<'a>,
    manual_acknowledge: bool,
) -> Result<Connection, ConnectionError> {
    let options = common.options()?.manual_acknowledge(manual_acknowledge);
    open_with(common, &options, size)
}

/// As [`open`], with these options instead of those of `common`.
///
/// # Errors
///
/// As [`open`].
pub fn open_with<'a>(
    common: &Common,
    options: &Options<'a>,
    size: impl FnOnce(Config<'a>) -> Config<'a>,
) -> Result<Connection, ConnectionError> {
    print::set_quiet(common.is_quiet());
    let brokers = common.brokers()?;
    let broker = brokers.name(0);
    let trace = common.trace()?;
    let config = common.traced(size(Config::new(options)), trace.as_ref());
    let (client, events) = config.to(brokers).map_err(ConnectionError::Settings)?;
    let protocol = client.protocol();
    let retries = u8::from(common.falls_back());
    let watch = Watch { program: common.program(), broker, trace, up: false, protocol, retries };
    Ok(Connection { client, events, watch })
}

/// Follows a connection and reports its changes to the user on standard error.
#[derive(Debug)]
pub struct Watch {
    program: &'static str,
    broker: String,
    trace: Option<Trace>,
    /// There was a connection already.
    up: bool,
    protocol: Protocol,
    /// Remaining attempts with another version.
    retries: u8,
}

impl Watch {
    /// The broker accepted the connection. Returns whether it is the first one.
    pub fn up(&mut self, session: SessionStatus) -> bool {
        let first = !std::mem::replace(&mut self.up, true);
        if !first {
            let resumed = session == SessionStatus::Resumed;
            let session = if resumed { "its session goes on" } else { "with a new session" };
            self.say(&format!("connected again, {session}"));
        }
        first
    }

    /// The connection ended, or could not be made.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`] if another attempt makes no sense: the first attempt failed, or the broker refused the
    /// client.
    pub fn down(
        &mut self,
        reason: Reason,
        client: &Client,
        events: &Events,
    ) -> Result<(), ConnectionError> {
        if reason == Reason::Requested {
            return Ok(());
        }
        let error = self.error(reason, events.last_error());
        if !self.up {
            let other = client.protocol() != self.protocol;
            if other && self.retries > 0 {
                self.retries -= 1;
                return Ok(());
            }
            return Err(error);
        }
        if let Reason::Fatal(Fatal::Refused(refusal)) = reason {
            if refusal != Refusal::ServerUnavailable {
                return Err(error);
            }
        }
        print::error(&format!("{}: {error}; connecting again", self.program));
        Ok(())
    }

    /// A line about this broker on standard error.
    pub fn say(&self, what: &str) {
        print::error(&format!("{}: {}: {what}", self.program, self.broker));
    }

    /// Says if the trace is not complete.
    pub fn report(&self) {
        if let Some(trace) = &self.trace {
            trace.report(self.program);
        }
    }

    fn error(&self, reason: Reason, last: Option<&blocking::Error>) -> ConnectionError {
        let broker = self.broker.clone();
        match (reason, last) {
            (
                Reason::TransportClosed | Reason::TransportFailed(_),
                Some(blocking::Error::Io { error, .. }),
            ) => {
                let error = io::Error::new(error.kind(), error.to_string());
                ConnectionError::Transport { broker, error }
            }
            _ => ConnectionError::Ended { broker, reason },
        }
    }
}
