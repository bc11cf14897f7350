//! Why the gateway cannot start, or cannot end in order.

use std::{io, path::PathBuf};

use mqtt_core::{
    TopicError,
    driver::{blocking, journal::file::FileError},
};
use mqtt_examples::arguments::UsageError;
use thiserror::Error;
use watchdog_core::{
    WatchError,
    host::{daemon::StartError, systemd::SystemdError},
};

use crate::{
    budget::BudgetError, config::ConfigError, hardware::HardwareError, inject::InjectError,
    records::RecordsError, ways::WaysError,
};

/// Why the gateway cannot start, or cannot end in order.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Times of the configuration that do not go together.
    #[error("the configuration, {0}")]
    Budget(#[from] BudgetError),
    /// The value of `--inject`.
    #[error("option --inject: {0}")]
    Inject(#[from] InjectError),
    /// The folder of the state.
    #[error("{}: {error}", folder.display())]
    State {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The journal.
    #[error("the journal, {0}")]
    Journal(#[from] FileError),
    /// The brokers.
    #[error("the configuration, {0}")]
    Ways(#[from] WaysError),
    /// The client.
    #[error("the client: {0}")]
    Client(#[from] blocking::Error),
    /// A topic.
    #[error("the configuration, topic: {0}")]
    Topic(#[from] TopicError),
    /// The records of earlier runs.
    #[error("{0}")]
    Records(#[from] RecordsError),
    /// systemd.
    #[error("systemd: {0}")]
    Systemd(#[from] SystemdError),
    /// The hardware.
    #[error("{0}")]
    Hardware(#[from] HardwareError),
    /// The daemon.
    #[error("{0}")]
    Daemon(StartError),
    /// A thread that cannot be watched.
    #[error("a thread cannot be watched: {0}")]
    Watch(#[from] WatchError),
    /// A thread that cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    /// The terminal.
    #[error("the terminal: {0}; --plain does without")]
    Terminal(io::Error),
    /// The signals.
    #[error("the signal handler: {0}")]
    Signals(#[from] ctrlc::Error),
}
