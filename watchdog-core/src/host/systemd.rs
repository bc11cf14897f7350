//! systemd as the watchdog of a service: `WATCHDOG=1` within each `WatchdogSec=` of the unit, or it is restarted.
//!
//! A [`Service`] talks to the manager over the socket in `NOTIFY_SOCKET`, by the crate `sd-notify`. Its
//! [`watchdog`](Service::watchdog) is a [`Watchdog`], so that a supervisor's verdict feeds it and nothing else.
//!
//! ```no_run
//! use watchdog_core::hardware::Watchdog;
//! use watchdog_core::host::systemd::Service;
//!
//! let service = Service::from_env()?;
//! let mut dog = service.watchdog()?.expect("WatchdogSec= in the unit");
//! service.ready()?;
//! service.status("two pumps run")?;
//! loop {
//!     std::thread::sleep(dog.interval());
//!     // Here a supervisor decides.
//!     dog.feed()?;
//! #   break;
//! }
//! service.stopping()?;
//! # Ok::<(), watchdog_core::host::systemd::SystemdError>(())
//! ```
//!
//! The unit has `Type=notify`, `WatchdogSec=10`, `Restart=on-watchdog`; `NotifyAccess=main` is the default and
//! enough. A socket in the abstract namespace (`@…`) is not served by `sd-notify`; the first message tells so.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::hardware::{Error, ErrorKind, ErrorType, Watchdog};

/// Why the manager could not be told, or does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemdError {
    /// `NOTIFY_SOCKET` is not set: not a service of `Type=notify`, nor one with a watchdog.
    #[error("NOTIFY_SOCKET is not set: systemd did not start this program with Type=notify")]
    NotAService,
    /// A variable is not what systemd sets.
    #[error("the variable {name} is {value:?}, which is not a number")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What it holds.
        value: OsString,
    },
    /// systemd takes at most 4294 seconds over this interface, and no zero.
    #[error("{0:?} is not a time-out that systemd can be asked for")]
    Timeout(Duration),
    /// A status is one line.
    #[error("a status of several lines")]
    SeveralLines,
    /// The socket.
    #[error("the socket in NOTIFY_SOCKET: {0}")]
    Socket(#[source] io::Error),
}

impl Error for SystemdError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Timeout(_) => ErrorKind::UnsupportedTimeout,
            Self::NotAService | Self::Variable { .. } | Self::SeveralLines => {
                ErrorKind::InvalidState
            }
            Self::Socket(_) => ErrorKind::Connection,
        }
    }
}

/// This process as a service of systemd.
#[derive(Clone, Copy, Debug)]
pub struct Service(());

impl Service {
    /// The service that this process is.
    ///
    /// # Errors
    ///
    /// [`SystemdError::NotAService`]: nobody would hear the messages.
    pub fn from_env() -> Result<Self, SystemdError> {
        match env::var_os("NOTIFY_SOCKET") {
            Some(socket) if !socket.is_empty() => Ok(Self(())),
            Some(_) | None => Err(SystemdError::NotAService),
        }
    }

    /// The start is done: `READY=1`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Socket`].
    pub fn ready(&self) -> Result<(), SystemdError> {
        notify(&NotifyState::Ready)
    }

    /// The end has begun: `STOPPING=1`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Socket`].
    pub fn stopping(&self) -> Result<(), SystemdError> {
        notify(&NotifyState::Stopping)
    }

    /// A line for people, which `systemctl status` shows: `STATUS=…`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::SeveralLines`]: another line would be another message. [`SystemdError::Socket`].
    pub fn status(&self, line: &str) -> Result<(), SystemdError> {
        if line.contains('\n') {
            return Err(SystemdError::SeveralLines);
        }
        notify(&NotifyState::Status(line))
    }

    /// Start or stop takes longer, by so much from now: `EXTEND_TIMEOUT_USEC=…`. To be repeated with progress.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Timeout`], [`SystemdError::Socket`].
    pub fn extend_timeout(&self, by: Duration) -> Result<(), SystemdError> {
        notify(&NotifyState::ExtendTimeoutUsec(micros(by)?))
    }

    /// The watchdog that the unit asks for; `None`: it asks for none, or it is meant for another process
    /// (`WATCHDOG_PID`), such as the parent.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Variable`]: `WATCHDOG_USEC` or `WATCHDOG_PID` is no number.
    pub fn watchdog(&self) -> Result<Option<ServiceWatchdog>, SystemdError> {
        let meant: Option<u32> = number("WATCHDOG_PID")?;
        let timeout: Option<u64> = number("WATCHDOG_USEC")?;
        let is_ours = meant.is_none_or(|pid| pid == process::id());
        Ok(timeout
            .filter(|micros| is_ours && *micros > 0)
            .map(|timeout| ServiceWatchdog { timeout: Duration::from_micros(timeout) }))
    }
}

/// The watchdog of the service, which systemd runs from `READY=1` on.
#[derive(Debug)]
pub struct ServiceWatchdog {
    timeout: Duration,
}

impl ServiceWatchdog {
    /// The service is restarted when it does not feed for so long.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How often to feed, as sd_watchdog_enabled(3) recommends: half of the time-out.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.timeout / 2
    }

    /// Another time-out from now on: `WATCHDOG_USEC=…`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Timeout`], [`SystemdError::Socket`]; the time-out is as before.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), SystemdError> {
        notify(&NotifyState::WatchdogUsec(micros(timeout)?))?;
        self.timeout = timeout;
        Ok(())
    }

    /// The bite, now: `WATCHDOG=trigger`. For the last stage, when the last words are said.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Socket`]; without a feed it bites by itself.
    pub fn trigger(self) -> Result<(), SystemdError> {
        notify(&NotifyState::WatchdogTrigger)
    }
}

impl ErrorType for ServiceWatchdog {
    type Error = SystemdError;
}

impl Watchdog for ServiceWatchdog {
    /// `WATCHDOG=1`.
    fn feed(&mut self) -> Result<(), SystemdError> {
        notify(&NotifyState::Watchdog)
    }
}

fn notify(state: &NotifyState<'_>) -> Result<(), SystemdError> {
    // It keeps silent where the variable is gone.
    Service::from_env()?;
    sd_notify::notify(core::slice::from_ref(state)).map_err(SystemdError::Socket)
}

fn micros(time: Duration) -> Result<u32, SystemdError> {
    match u32::try_from(time.as_micros()) {
        Ok(micros) if micros > 0 => Ok(micros),
        Ok(_) | Err(_) => Err(SystemdError::Timeout(time)),
    }
}

fn number<T: core::str::FromStr>(name: &'static str) -> Result<Option<T>, SystemdError> {
    let Some(value) = env::var_os(name) else { return Ok(None) };
    match value.to_str().map(str::parse) {
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) | None => Err(SystemdError::Variable { name, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_that_the_interface_cannot_say_are_refused() {
        assert!(matches!(micros(Duration::ZERO), Err(SystemdError::Timeout(_))));
        assert!(matches!(micros(Duration::from_secs(4_295)), Err(SystemdError::Timeout(_))));
        assert!(matches!(micros(Duration::from_secs(4_294)), Ok(4_294_000_000)));
    }

    #[test]
    fn half_of_the_time_out_is_the_interval() {
        let dog = ServiceWatchdog { timeout: Duration::from_secs(3) };
        assert_eq!(dog.interval(), Duration::from_millis(1_500));
    }
}
