//! The ioctl calls of a device: time-outs, pretimeout, status. They make a [`Device`] possible, which can be started
//! with a time-out.

use std::io;
use std::path::{Path, PathBuf};
use std::string::String;
use std::time::Duration;

use super::sysfs::Status;
use super::{LinuxError, LinuxWatchdog, Options, Problem, ioctl};
use crate::hardware::{
    Capabilities, ErrorType, ReadResetCause, ResetCause, Setting, Settings, Spread, Start,
    StartError, StartResult, Started, State, Unsupported,
};

/// The kernel accepts whole seconds only.
const SECOND: Duration = Duration::from_secs(1);

/// The description of a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Support {
    /// The abilities of the driver.
    pub options: Options,
    /// The version of the card's firmware; 0 if there is none.
    pub firmware_version: u32,
    /// The name of the driver, cut off at 31 bytes.
    pub identity: String,
}

impl LinuxWatchdog {
    /// The description of the driver.
    ///
    /// # Errors
    ///
    /// [`Problem::Ask`].
    pub fn support(&self) -> Result<Support, LinuxError> {
        let info = self.answer("identity", ioctl::support(&self.file))?;
        let name = info.identity.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Support {
            options: Options::from_bits(info.options),
            firmware_version: info.firmware_version,
            identity: String::from_utf8_lossy(name).into_owned(),
        })
    }

    /// The events since the start of the watchdog.
    ///
    /// # Errors
    ///
    /// [`Problem::Ask`].
    pub fn status(&self) -> Result<Options, LinuxError> {
        self.answer("status", ioctl::status(&self.file)).map(bits)
    }

    /// The events found at boot; [`Options::CARD_RESET`] if the watchdog has reset the machine.
    ///
    /// # Errors
    ///
    /// [`Problem::Ask`].
    pub fn boot_status(&self) -> Result<Options, LinuxError> {
        self.answer("boot status", ioctl::boot_status(&self.file)).map(bits)
    }

    /// The time from a feed to the bite.
    ///
    /// # Errors
    ///
    /// [`Problem::Ask`].
    pub fn timeout(&self) -> Result<Duration, LinuxError> {
        self.answer("time-out", ioctl::timeout(&self.file).and_then(seconds))
    }

    /// The time from the warning to the bite; zero: there is no warning.
    ///
    /// # Errors
    ///
    /// [`Problem::Ask`].
    pub fn pretimeout(&self) -> Result<Duration, LinuxError> {
        self.answer("pretimeout", ioctl::pretimeout(&self.file).and_then(seconds))
    }

    /// The time left until the bite.
    ///
    /// # Errors
    ///
    /// [`Problem::Ask`].
    pub fn time_left(&self) -> Result<Duration, LinuxError> {
        self.answer("time left", ioctl::time_left(&self.file).and_then(seconds))
    }

    /// Sets the time-out, and feeds. The time-out is rounded up to whole seconds. Returns the actual time-out of the
    /// driver, which may be longer or shorter.
    ///
    /// # Errors
    ///
    /// [`Problem::Timeout`]: the time-out has not changed.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<Duration, LinuxError> {
        let set = whole_seconds(timeout)
            .and_then(|seconds| ioctl::set_timeout(&self.file, seconds))
            .and_then(seconds);
        set.map_err(|error| self.timeout_error("time-out", timeout, error))
    }

    /// Sets the time from the warning to the bite; zero: no warning. The warning is, for example, a kernel panic that
    /// leaves a dump. The time is rounded as in [`set_timeout`](Self::set_timeout), and has to be less than the
    /// time-out.
    ///
    /// # Errors
    ///
    /// [`Problem::Timeout`]: the pretimeout has not changed.
    pub fn set_pretimeout(&mut self, pretimeout: Duration) -> Result<Duration, LinuxError> {
        let set = whole_seconds(pretimeout)
            .and_then(|seconds| ioctl::set_pretimeout(&self.file, seconds))
            .and_then(seconds);
        set.map_err(|error| self.timeout_error("pretimeout", pretimeout, error))
    }

    /// Sets both times; a time that comes out shorter is an error. Returns the actual time-out.
    fn set(&mut self, settings: &Settings) -> Result<Duration, LinuxError> {
        let timeout = settings.get_timeout();
        let actual = self.set_timeout(timeout)?;
        self.not_below("time-out", timeout, actual)?;
        if let Some(pretimeout) = settings.get_pretimeout() {
            let actual = self.set_pretimeout(pretimeout)?;
            self.not_below("pretimeout", pretimeout, actual)?;
        }
        Ok(actual)
    }

    fn not_below(
        &self,
        what: &'static str,
        wanted: Duration,
        actual: Duration,
    ) -> Result<(), LinuxError> {
        if actual >= wanted {
            return Ok(());
        }
        let error = io::Error::other(std::format!("it has at most {actual:?}"));
        Err(self.timeout_error(what, wanted, error))
    }

    fn answer<T>(&self, what: &'static str, result: io::Result<T>) -> Result<T, LinuxError> {
        result.map_err(|error| LinuxError::new(&self.path, Problem::Ask { what, error }))
    }

    fn timeout_error(&self, what: &'static str, time: Duration, error: io::Error) -> LinuxError {
        LinuxError::new(&self.path, Problem::Timeout { what, time, error })
    }
}

/// The kernel reports a reset by the watchdog, a supply that was too low, and overheat. Every other cause, also power-on,
/// is [`ResetCause::Unknown`].
impl ReadResetCause for LinuxWatchdog {
    fn reset_cause(&mut self) -> Result<ResetCause, LinuxError> {
        let found = self.boot_status()?;
        Ok(if found.contains(Options::CARD_RESET) {
            ResetCause::Watchdog
        } else if found.contains(Options::POWER_UNDER) {
            ResetCause::BrownOut
        } else if found.contains(Options::OVERHEAT) {
            ResetCause::Overheat
        } else {
            ResetCause::Unknown
        })
    }
}

/// A watchdog device that is not open yet, and can be started with a time-out.
///
/// ```no_run
/// use std::time::Duration;
/// use watchdog_core::hardware::{Settings, Start, Watchdog};
/// use watchdog_core::host::linux::Device;
///
/// let device = Device::new("/dev/watchdog0");
/// let settings = Settings::new(Duration::from_secs(15));
/// let mut started = device.start(settings).map_err(|failed| failed.error)?;
/// println!("bites after {:?}", started.timeout.typical);
/// started.watchdog.feed()?;
/// # Ok::<(), watchdog_core::host::linux::LinuxError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    path: PathBuf,
}

impl Device {
    /// The device at `path`. Nothing is opened.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path of the device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ErrorType for Device {
    type Error = LinuxError;
}

impl Start for Device {
    type Running = LinuxWatchdog;

    /// The time-outs in sysfs. If sysfs has none: from one second to the longest time that fits the interface. A warning
    /// is possible if sysfs shows one. Linux tells nothing of pauses.
    fn capabilities(&self) -> Capabilities {
        let status = Status::of(&self.path).unwrap_or_default();
        let longest = Duration::from_secs(i32::MAX.unsigned_abs().into());
        // In sysfs, zero means 'not limited'.
        let limited = |limit: Option<Duration>| limit.filter(|limit| !limit.is_zero());
        let range = limited(status.min_timeout).unwrap_or(SECOND)
            ..=limited(status.max_timeout).unwrap_or(longest);
        let able = Capabilities::new(range);
        if status.pretimeout.is_some() { able.pretimeout(SECOND..=longest) } else { able }
    }

    /// The state in sysfs.
    fn state(&self) -> State {
        match Status::of(&self.path).ok().and_then(|status| status.is_active) {
            Some(true) => State::Running,
            Some(false) => State::NotRunning,
            None => State::Unknown,
        }
    }

    /// Opens the device and sets the time-out and the pretimeout, rounded up to whole seconds. If the settings are not
    /// possible, the device is not opened. Linux reports no tolerance, so the spread of the time-out has no width.
    ///
    /// If a setting is refused, the device is stopped again. A device with no way out goes on running then, because
    /// opening has started it.
    fn start(self, settings: Settings) -> StartResult<Self> {
        let refused = |error| StartError { error, device: self.clone() };
        let timeout = settings.get_timeout();
        let able = self.capabilities();
        match able.check(&settings) {
            Ok(()) => {}
            Err(Unsupported(Setting::Timeout)) => {
                let range = able.timeout;
                let why = std::format!("it takes {:?} to {:?}", range.start(), range.end());
                let error = io::Error::new(io::ErrorKind::InvalidInput, why);
                let problem = Problem::Timeout { what: "time-out", time: timeout, error };
                return Err(refused(LinuxError::new(&self.path, problem)));
            }
            Err(unsupported) => {
                return Err(refused(LinuxError::new(&self.path, Problem::Setting(unsupported))));
            }
        }
        let mut watchdog = LinuxWatchdog::open(&self.path).map_err(refused)?;
        match watchdog.set(&settings) {
            Ok(actual) => Ok(Started::new(watchdog, Spread::exact(actual))),
            Err(error) => {
                let _running_on = watchdog.close();
                Err(refused(error))
            }
        }
    }
}

fn bits(value: i32) -> Options {
    Options::from_bits(value as u32)
}

fn seconds(value: i32) -> io::Result<Duration> {
    u64::try_from(value)
        .map(Duration::from_secs)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, std::format!("{value} s")))
}

fn whole_seconds(time: Duration) -> io::Result<i32> {
    i32::try_from(time.as_nanos().div_ceil(SECOND.as_nanos())).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "more seconds than the interface accepts")
    })
}
