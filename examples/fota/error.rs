//! Why the program ends.

use std::{convert::Infallible, io};

use mqtt_core::driver::blocking;
use mqtt_examples::{
    arguments::UsageError, common::BrokerError, connection::ConnectionError, trace::TraceError,
};
use mqtt_fota::{manifest::ManifestError, nor::NorError, slots};
use thiserror::Error;
use watchdog_core::{
    Refused, WatchError,
    host::daemon::{StartError, StopError},
};

/// The error of the flash, which is a file.
pub(crate) type FlashError = NorError<io::Error>;

#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error("{path}: it is not a key of 64 hexadecimal digits")]
    Key { path: String },
    #[error("{path}: {error}")]
    Manifest { path: String, error: ManifestError },
    #[error("{path}: it is not the image of {manifest}")]
    NotTheImage { path: String, manifest: String },
    #[error(
        "{path}: an image of {size} bytes, which is more than the {most} that a manifest can name"
    )]
    TooLarge { path: String, size: u64, most: u32 },
    #[error("{path}: {error}")]
    Slots { path: String, error: slots::Error<FlashError> },
    #[error("{path}: {error}")]
    NotInstalled { path: String, error: slots::BeginError<FlashError> },
    #[error("no flash has room for two images of {0} bytes")]
    Room(u32),
    #[error("the image could not be read to its end, or has changed")]
    ImageFailed,
    #[error("random numbers: {0}")]
    Random(getrandom::Error),
    #[error("a request: {0}")]
    Request(blocking::Error),
    #[error("no handler for interrupts: {0}")]
    Interrupts(#[from] ctrlc::Error),
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    #[error("the thread that {0} panicked")]
    Panicked(&'static str),
    #[error(transparent)]
    Daemon(StartError),
    #[error("the tasks cannot be watched: {0}")]
    Watch(#[from] WatchError),
    #[error("task {task}: {why}")]
    Report { task: &'static str, why: Refused },
    #[error("the watchdog is not stopped: {0}")]
    Stop(#[from] StopError),
    #[error("{0} of {1} devices do not run the image")]
    Devices(usize, usize),
    #[error("the image was refused: {0}")]
    Refused(String),
}

impl Error {
    pub(crate) fn file(path: &str, error: io::Error) -> Self {
        Self::File { path: path.into(), error }
    }

    pub(crate) const fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Connection(ConnectionError::Usage(_)))
    }
}

impl From<BrokerError> for Error {
    fn from(error: BrokerError) -> Self {
        Self::Connection(error.into())
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
