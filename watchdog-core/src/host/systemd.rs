//! systemd as the watchdog of a service: without `WATCHDOG=1` within `WatchdogSec=` of the unit, systemd restarts the
//! service.
//!
//! A [`Service`] talks to the manager over the socket in `NOTIFY_SOCKET`, with the crate `sd-notify`. Its
//! [`watchdog`](Service::watchdog) is a [`Watchdog`], so a supervisor's verdict can feed it.
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
//! The unit has `Type=notify`, `WatchdogSec=10`, `Restart=on-watchdog`; `NotifyAccess=main` is the default and is
//! enough. `sd-notify` does not support a socket in the abstract namespace (`@…`); the first message fails then.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::hardware::{Error, ErrorKind, ErrorType, Watchdog};

/// Why the manager did not get a message, or does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemdError {
    /// `NOTIFY_SOCKET` is not set: this is neither a service of `Type=notify` nor a service with a watchdog.
    #[error("NOTIFY_SOCKET is not set: systemd did not start this program with Type=notify")]
    NotAService,
    /// A variable does not hold a value that systemd sets.
    #[error("the variable {name} is {value:?}, which is not a number")]
    Variable {
        /// The name of the variable.
        name: &'static str,
        /// Its value.
        value: OsString,
    },
    /// The interface to systemd accepts at most 4294 seconds, and not zero.
    #[error("systemd does not accept {0:?} as a time-out")]
    Timeout(Duration),
    /// The status has several lines; a status is one line.
    #[error("the status has several lines")]
    SeveralLines,
    /// The socket failed.
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
    /// [`SystemdError::NotAService`]: no manager would receive the messages.
    pub fn from_env() -> Result<Self, SystemdError> {
        match env::var_os("NOTIFY_SOCKET") {
            Some(socket) if !socket.is_empty() => Ok(Self(())),
            Some(_) | None => Err(SystemdError::NotAService),
        }
    }

    /// Reports that the start is done: `READY=1`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Socket`].
    pub fn ready(&self) -> Result<(), SystemdError> {
        notify(&NotifyState::Ready)
    }

    /// Reports that the service is ending: `STOPPING=1`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Socket`].
    pub fn stopping(&self) -> Result<(), SystemdError> {
        notify(&NotifyState::Stopping)
    }

    /// Sets the line that `systemctl status` shows: `STATUS=…`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::SeveralLines`]: a second line would be another message. [`SystemdError::Socket`].
    pub fn status(&self, line: &str) -> Result<(), SystemdError> {
        if line.contains('\n') {
            return Err(SystemdError::SeveralLines);
        }
        notify(&NotifyState::Status(line))
    }

    /// Asks for more time to start or stop, counted from now: `EXTEND_TIMEOUT_USEC=…`. Repeat it while work progresses.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Timeout`], [`SystemdError::Socket`].
    pub fn extend_timeout(&self, by: Duration) -> Result<(), SystemdError> {
        notify(&NotifyState::ExtendTimeoutUsec(micros(by)?))
    }

    /// The watchdog that the unit asks for. `None`: the unit asks for none, or the watchdog is for another process
    /// (`WATCHDOG_PID`), such as the parent.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Variable`]: `WATCHDOG_USEC` or `WATCHDOG_PID` is not a number.
    pub fn watchdog(&self) -> Result<Option<ServiceWatchdog>, SystemdError> {
        let meant: Option<u32> = number("WATCHDOG_PID")?;
        let timeout: Option<u64> = number("WATCHDOG_USEC")?;
        let is_ours = meant.is_none_or(|pid| pid == process::id());
        Ok(timeout
            .filter(|micros| is_ours && *micros > 0)
            .map(|timeout| ServiceWatchdog { timeout: Duration::from_micros(timeout) }))
    }
}

/// The watchdog of the service. systemd runs it from `READY=1` on.
#[derive(Debug)]
pub struct ServiceWatchdog {
    timeout: Duration,
}

impl ServiceWatchdog {
    /// The time-out: if the service does not feed for this time, it is restarted.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The interval at which to feed: half of the time-out, as sd_watchdog_enabled(3) recommends.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.timeout / 2
    }

    /// Sets another time-out from now on: `WATCHDOG_USEC=…`.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Timeout`], [`SystemdError::Socket`]: the time-out has not changed.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), SystemdError> {
        notify(&NotifyState::WatchdogUsec(micros(timeout)?))?;
        self.timeout = timeout;
        Ok(())
    }

    /// Makes the watchdog bite now: `WATCHDOG=trigger`. For the last stage, after the last words.
    ///
    /// # Errors
    ///
    /// [`SystemdError::Socket`]: the watchdog still bites by itself if it is not fed.
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
    // If the variable is gone, `sd_notify` returns no error.
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
    fn time_outs_outside_the_interface_are_rejected() {
        assert!(matches!(micros(Duration::ZERO), Err(SystemdError::Timeout(_))));
        assert!(matches!(micros(Duration::from_secs(4_295)), Err(SystemdError::Timeout(_))));
        assert!(matches!(micros(Duration::from_secs(4_294)), Ok(4_294_000_000)));
    }

    #[test]
    fn the_feed_interval_is_half_of_the_time_out() {
        let dog = ServiceWatchdog { timeout: Duration::from_secs(3) };
        assert_eq!(dog.interval(), Duration::from_millis(1_500));
    }
}
