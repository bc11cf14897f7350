//! Linux watchdog devices, `/dev/watchdog0` and its like: opening starts, writing feeds, closing bites.
//!
//! | to | do |
//! |---|---|
//! | start it | [`LinuxWatchdog::open`]; with feature `linux-ioctl` also [`Device`], which sets a time-out |
//! | feed it | [`Watchdog::feed`]: one byte |
//! | stop it | [`LinuxWatchdog::close`]: the magic close, a `V` |
//! | leave it | drop it: a watchdog that is closed without the `V` goes on, and resets the machine |
//! | look at one that does not run | [`sysfs::Status`]: opening it would start it |
//! | set time-outs, ask it while it runs | the methods of feature `linux-ioctl` |
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
//! A driver built or loaded with *no way out* cannot be stopped: `close` notices, gives the watchdog back, and it has
//! to be fed on. A program that dies does not write the `V`, so its machine is reset, as it should be.
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

use crate::hardware::{Error, ErrorKind, ErrorType, Stop, StopError, Watchdog};
use crate::log::log;

#[cfg(feature = "linux-ioctl")]
pub use self::device::{Device, Support};
pub use self::options::Options;
use self::sysfs::Status;

/// What went wrong with which device.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LinuxError {
    path: PathBuf,
    problem: Problem,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It could not be opened; the error tells `EBUSY` where another program has it.
    #[error("it cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// It could not be written to.
    #[error("it cannot be fed: {0}")]
    Feed(#[source] io::Error),
    /// It could not be told that it is closed on purpose.
    #[error("it does not take the magic close: {0}")]
    Close(#[source] io::Error),
    /// Its driver lets nobody stop it (*no way out*), or knows no magic close.
    #[error("it cannot be stopped: its driver knows no way out")]
    NoWayOut,
    /// It does not take that time-out, or that pretimeout.
    #[error("it does not take {time:?} as its {what}: {error}")]
    Timeout {
        /// Which of its times.
        what: &'static str,
        /// What it was asked for.
        time: Duration,
        /// What it answered.
        error: io::Error,
    },
    /// It could not be asked. Many drivers answer few questions: the error tells `ENOTTY` or `EOPNOTSUPP` then.
    #[error("it does not tell its {what}: {error}")]
    Ask {
        /// What.
        what: &'static str,
        /// What it answered.
        error: io::Error,
    },
    /// sysfs has nothing of that name: another kind of file, or a kernel without `CONFIG_WATCHDOG_SYSFS`.
    #[error("there is no {} of it: {error}", place.display())]
    NoStatus {
        /// Where it was looked for.
        place: PathBuf,
        /// Why it could not be read.
        error: io::Error,
    },
}

impl LinuxError {
    fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.into(), problem }
    }

    /// The device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong.
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
            Problem::Ask { .. } | Problem::NoStatus { .. } => ErrorKind::Other,
        }
    }
}

/// A watchdog device that runs. Dropping it leaves it running, unfed: the machine is reset.
#[derive(Debug)]
#[must_use = "dropped it runs on, and resets the machine"]
pub struct LinuxWatchdog {
    path: PathBuf,
    file: File,
}

impl LinuxWatchdog {
    /// Opens the device, which starts it, with whatever time-out its driver has.
    ///
    /// # Errors
    ///
    /// [`Problem::Open`]: it was not started.
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

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its driver lets nobody stop it, as far as it tells: sysfs has it as `nowayout`, the device as the lack
    /// of `WDIOF_MAGICCLOSE` (asked with feature `linux-ioctl`). `None`: neither tells.
    #[must_use]
    pub fn has_no_way_out(&self) -> Option<bool> {
        #[cfg(feature = "linux-ioctl")]
        let options = self.support().ok().map(|support| support.options);
        #[cfg(not(feature = "linux-ioctl"))]
        let options = None;
        let told = Status::of(&self.path).ok().and_then(|status| status.no_way_out);
        no_way_out(told, options)
    }

    /// The magic close: the watchdog stops, and the machine goes on without. Where nothing tells whether there is a
    /// way out, it is tried; a driver without one goes on counting then, and logs so.
    ///
    /// # Errors
    ///
    /// The watchdog is given back; it runs and has to be fed. [`Problem::NoWayOut`], [`Problem::Close`].
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

/// Either of the two is enough to know that there is none; both are needed to know that there is one.
fn no_way_out(told: Option<bool>, options: Option<Options>) -> Option<bool> {
    match (told, options.map(|options| options.contains(Options::MAGIC_CLOSE))) {
        (Some(true), _) | (_, Some(false)) => Some(true),
        (Some(false), _) => Some(false),
        (None, _) => None,
    }
}

impl ErrorType for LinuxWatchdog {
    type Error = LinuxError;
}

impl Watchdog for LinuxWatchdog {
    /// Writes a zero byte: anything feeds, and a `V` would allow the close.
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
    fn either_source_can_tell_that_there_is_no_way_out() {
        let (closes, stays) = (Some(Options::MAGIC_CLOSE), Some(Options::SET_TIMEOUT));
        for (told, options, expected) in [
            (Some(true), closes, Some(true)),
            (Some(true), None, Some(true)),
            (Some(false), stays, Some(true)),
            (None, stays, Some(true)),
            (Some(false), closes, Some(false)),
            (Some(false), None, Some(false)),
            // The driver could, and whether it may is not told.
            (None, closes, None),
            (None, None, None),
        ] {
            assert_eq!(no_way_out(told, options), expected, "{told:?} {options:?}");
        }
    }
}
