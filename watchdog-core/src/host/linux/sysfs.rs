//! The state of a watchdog in `/sys/class/watchdog`, whether it runs or not. Reading it does not start the watchdog.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::time::Duration;

use super::{LinuxError, Options, Problem};

/// The directory where the kernel lists its watchdogs.
const CLASS: &str = "/sys/class/watchdog";

/// The state of a watchdog in sysfs. A value is `None` if its driver or kernel does not provide it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The name of the driver or the board.
    pub identity: Option<String>,
    /// Whether the watchdog runs: `state` is `active`.
    pub is_active: Option<bool>,
    /// The time from a feed to the bite.
    pub timeout: Option<Duration>,
    /// The shortest time-out that can be set.
    pub min_timeout: Option<Duration>,
    /// The longest time-out that can be set.
    pub max_timeout: Option<Duration>,
    /// The time from the warning to the bite; zero: there is no warning.
    pub pretimeout: Option<Duration>,
    /// The time left until the bite.
    pub time_left: Option<Duration>,
    /// The events since the start of the watchdog.
    pub status: Option<Options>,
    /// The events found at boot: [`Options::CARD_RESET`] if the watchdog caused the last reset.
    pub boot_status: Option<Options>,
    /// Whether the watchdog cannot be stopped.
    pub no_way_out: Option<bool>,
}

impl Status {
    /// The status of the device at a path: `/dev/watchdog3` is `watchdog3`, and `/dev/watchdog` is `watchdog0`.
    ///
    /// # Errors
    ///
    /// [`Problem::NoStatus`]: sysfs does not list the device.
    pub fn of(device: &Path) -> Result<Self, LinuxError> {
        // The device may be a link, as /dev/watchdog is on some systems.
        let real = fs::canonicalize(device).unwrap_or_else(|_| device.into());
        let name = match real.file_name() {
            Some(name) if name != "watchdog" => name,
            Some(_) | None => OsStr::new("watchdog0"),
        };
        let place = Path::new(CLASS).join(name);
        let status = match fs::metadata(&real) {
            // A plain file with the name of a device.
            Ok(found) if !found.file_type().is_char_device() => {
                let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no device");
                Err(Problem::NoStatus { place, error })
            }
            // A device without metadata may still be listed.
            Ok(_) | Err(_) => Self::read(&place),
        };
        status.map_err(|problem| LinuxError::new(device, problem))
    }

    /// The status in a directory with the files of one watchdog.
    ///
    /// # Errors
    ///
    /// [`Problem::NoStatus`]: the directory does not exist, or contains no value of a status.
    pub fn read(dir: &Path) -> Result<Self, Problem> {
        let place = || PathBuf::from(dir);
        fs::read_dir(dir).map_err(|error| Problem::NoStatus { place: place(), error })?;
        let seconds = |name| number(dir, name).map(Duration::from_secs);
        let options = |name| {
            number(dir, name).and_then(|bits| u32::try_from(bits).ok()).map(Options::from_bits)
        };
        let status = Self {
            identity: text(dir, "identity"),
            is_active: text(dir, "state").map(|state| state == "active"),
            timeout: seconds("timeout"),
            min_timeout: seconds("min_timeout"),
            max_timeout: seconds("max_timeout"),
            pretimeout: seconds("pretimeout"),
            time_left: seconds("timeleft"),
            status: options("status"),
            boot_status: options("bootstatus"),
            no_way_out: number(dir, "nowayout").map(|flag| flag != 0),
        };
        if status == Self::default() {
            let error = io::ErrorKind::NotFound.into();
            return Err(Problem::NoStatus { place: place(), error });
        }
        Ok(status)
    }
}

/// The text of a file without its line end. `None`: the file is missing or cannot be read; with this, drivers say
/// 'unknown'.
fn text(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok().map(|text| text.trim_end().to_string())
}

/// A number: decimal, or hexadecimal after `0x` as in status bits.
fn number(dir: &Path, name: &str) -> Option<u64> {
    let text = text(dir, name)?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
