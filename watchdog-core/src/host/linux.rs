//! Linux watchdog devices such as `/dev/watchdog0`: opening starts one, writing feeds it, and after a plain close it
//! bites.
//!
//! | to | use |
//! |---|---|
//! | start it | [`LinuxWatchdog::open`]; with feature `linux-ioctl` also [`Device`], which sets a time-out |
//! | feed it | [`Watchdog::feed`]: one byte |
//! | stop it | [`LinuxWatchdog::close`]: the magic close, a `V` |
//! | leave it running | drop it: a watchdog that is closed without the `V` goes on, and resets the machine |
//! | read its state before it runs | [`sysfs::Status`]; opening the device would start it |
//! | set time-outs, read its state while it runs | the methods of feature `linux-ioctl` |
//!
//! ```no_run
//! use watchdog_core::hardware::Watchdog;
//! use watchdog_core::host::linux::LinuxWatchdog;
//!
//! let mut dog = LinuxWatchdog::open("/dev/watchdog0")?;
//! dog.feed()?; // by the supervisor's verdict
//! dog.close().map_err(|failed| failed.error)?;
//! # Ok::<(), watchdog_core::host::linux::LinuxError>(())
//! ```
//!
//! A driver that is built or loaded with *no way out* cannot be stopped: `close` detects this and gives the watchdog
//! back, and the program has to go on feeding. A program that dies does not write the `V`, so its machine is reset, as
//! intended.
//!
//! Sources: Documentation/watchdog/watchdog-api.rst, Documentation/ABI/testing/sysfs-class-watchdog and
//! include/uapi/linux/watchdog.h of the kernel.

#[cfg(feature = "linux-ioctl")]
mod device;
#[cfg(feature = "linux-ioctl")]
mod ioctl;
mod options;
pub mod sysfs;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::hardware::{Error, ErrorKind, ErrorType, Stop, StopError, Unsupported, Watchdog};
use crate::log::log;

#[cfg(feature = "linux-ioctl")]
pub use self::device::{Device, Support};
pub use self::options::Options;
use self::sysfs::Status;

/// An error of a device.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LinuxError {
    path: PathBuf,
    problem: Problem,
}

/// The problem with a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The device could not be opened; the error is `EBUSY` if another program has it open.
    #[error("it cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// The device could not be written to.
    #[error("it cannot be fed: {0}")]
    Feed(#[source] io::Error),
    /// The magic close could not be written.
    #[error("the magic close failed: {0}")]
    Close(#[source] io::Error),
    /// The device cannot be stopped: its driver has *no way out*, or does not support the magic close.
    #[error("it cannot be stopped: its driver has no way out")]
    NoWayOut,
    /// The device does not accept this time-out or pretimeout.
    #[error("it does not take {time:?} as its {what}: {error}")]
    Timeout {
        /// The kind of time.
        what: &'static str,
        /// The time that was requested.
        time: Duration,
        /// The error of the device.
        error: io::Error,
    },
    /// The device has no such setting.
    #[error("{0}")]
    Setting(Unsupported),
    /// The device did not answer a question. Many drivers answer only a few: the error is `ENOTTY` or `EOPNOTSUPP`
    /// then.
    #[error("it does not report its {what}: {error}")]
    Ask {
        /// The subject of the question.
        what: &'static str,
        /// The error of the device.
        error: io::Error,
    },
    /// sysfs has no watchdog of this name: it is another kind of file, or the kernel lacks `CONFIG_WATCHDOG_SYSFS`.
    #[error("there is no {} of it: {error}", place.display())]
    NoStatus {
        /// The directory that was searched.
        place: PathBuf,
        /// The error of reading it.
        error: io::Error,
    },
}

impl LinuxError {
    fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.into(), problem }
    }

    /// The path of the device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The problem.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl Error for LinuxError {
    fn kind(&self) -> ErrorKind {
        match self.problem {
            Problem::Open(_) | Problem::Feed(_) | Problem::Close(_) => ErrorKind::Connection,
            Problem::NoWayOut => ErrorKind::InvalidState,
            Problem::Timeout { .. } => ErrorKind::UnsupportedTimeout,
            Problem::Setting(unsupported) => unsupported.kind(),
            Problem::Ask { .. } | Problem::NoStatus { .. } => ErrorKind::Other,
        }
    }
}

/// A running watchdog device. If it is dropped, it goes on running without feeds, and the machine is reset.
#[derive(Debug)]
#[must_use = "if it is dropped, it goes on running and resets the machine"]
pub struct LinuxWatchdog {
    path: PathBuf,
    file: File,
}

impl LinuxWatchdog {
    /// Opens the device. This starts it, with the time-out of its driver.
    ///
    /// # Errors
    ///
    /// [`Problem::Open`]: the device was not started.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LinuxError> {
        let path = path.into();
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => {
                log!(info, "watchdog: {} is started", path.display());
                Ok(Self { path, file })
            }
            Err(error) => Err(LinuxError { path, problem: Problem::Open(error) }),
        }
    }

    /// The path of the device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the device cannot be stopped. There are two sources: `nowayout` in sysfs, and the lack of
    /// `WDIOF_MAGICCLOSE` in the answer of the device (read with feature `linux-ioctl`). `None`: it is unknown.
    #[must_use]
    pub fn has_no_way_out(&self) -> Option<bool> {
        #[cfg(feature = "linux-ioctl")]
        let options = self.support().ok().map(|support| support.options);
        #[cfg(not(feature = "linux-ioctl"))]
        let options = None;
        let reported = Status::of(&self.path).ok().and_then(|status| status.no_way_out);
        no_way_out(reported, options)
    }

    /// Stops the watchdog by the magic close; the machine goes on without it. If it is unknown whether the driver has a
    /// way out, the close is tried. A driver with no way out goes on counting then, and writes this to the kernel log.
    ///
    /// # Errors
    ///
    /// [`Problem::NoWayOut`], [`Problem::Close`]. The error gives the watchdog back; it is running and has to be fed.
    pub fn close(mut self) -> Result<(), StopError<Self, LinuxError>> {
        let problem = if self.has_no_way_out() == Some(true) {
            Problem::NoWayOut
        } else {
            match self.file.write_all(b"V") {
                Ok(()) => {
                    log!(warn, "watchdog: {} is stopped", self.path.display());
                    return Ok(());
                }
                Err(error) => Problem::Close(error),
            }
        };
        let error = LinuxError::new(&self.path, problem);
        Err(StopError { error, watchdog: self })
    }
}

/// `reported` is `nowayout` of sysfs, `options` the answer of the device. Either can show that there is no way out;
/// only sysfs can show that there is one.
fn no_way_out(reported: Option<bool>, options: Option<Options>) -> Option<bool> {
    match (reported, options.map(|options| options.contains(Options::MAGIC_CLOSE))) {
        (Some(true), _) | (_, Some(false)) => Some(true),
        (Some(false), _) => Some(false),
        (None, _) => None,
    }
}

impl ErrorType for LinuxWatchdog {
    type Error = LinuxError;
}

impl Watchdog for LinuxWatchdog {
    /// Writes a zero byte. Any byte feeds, but a `V` would also prepare the magic close.
    fn feed(&mut self) -> Result<(), LinuxError> {
        self.file.write_all(&[0]).map_err(|error| LinuxError::new(&self.path, Problem::Feed(error)))
    }
}

impl Stop for LinuxWatchdog {
    type Stopped = ();

    fn stop(self) -> Result<(), StopError<Self, LinuxError>> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_source_can_show_that_there_is_no_way_out() {
        let (closes, stays) = (Some(Options::MAGIC_CLOSE), Some(Options::SET_TIMEOUT));
        for (reported, options, expected) in [
            (Some(true), closes, Some(true)),
            (Some(true), None, Some(true)),
            (Some(false), stays, Some(true)),
            (None, stays, Some(true)),
            (Some(false), closes, Some(false)),
            (Some(false), None, Some(false)),
            // The driver supports the close, but sysfs does not say whether it is allowed.
            (None, closes, None),
            (None, None, None),
        ] {
            assert_eq!(no_way_out(reported, options), expected, "{reported:?} {options:?}");
        }
    }
}
