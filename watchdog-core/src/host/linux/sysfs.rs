//! What `/sys/class/watchdog` tells of a watchdog, whether it runs or not; nothing here starts one.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::time::Duration;

use super::{LinuxError, Options, Problem};

/// Where the kernel lists its watchdogs.
const CLASS: &str = "/sys/class/watchdog";

/// A watchdog as sysfs has it. What its driver or kernel does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The name of the driver or the board.
    pub identity: Option<String>,
    /// Whether it runs: `state` is `active`.
    pub is_active: Option<bool>,
    /// From a feed to the bite.
    pub timeout: Option<Duration>,
    /// The shortest time-out that can be set.
    pub min_timeout: Option<Duration>,
    /// The longest time-out that can be set.
    pub max_timeout: Option<Duration>,
    /// How long before the bite it warns; zero: it does not.
    pub pretimeout: Option<Duration>,
    /// What is left of the time-out.
    pub time_left: Option<Duration>,
    /// What it found since it started.
    pub status: Option<Options>,
    /// What it found at boot: [`Options::CARD_RESET`] where the last reset was its own.
    pub boot_status: Option<Options>,
    /// Whether it cannot be stopped.
    pub no_way_out: Option<bool>,
}

impl Status {
    /// That of a device by its path: `/dev/watchdog3` is `watchdog3`, and `/dev/watchdog` the first one.
    ///
    /// # Errors
    ///
    /// [`Problem::NoStatus`]: sysfs does not know it.
    pub fn of(device: &Path) -> Result<Self, LinuxError> {
        // The device may be a link, as /dev/watchdog is on some systems.
        let real = fs::canonicalize(device).unwrap_or_else(|_| device.into());
        let name = match real.file_name() {
            Some(name) if name != "watchdog" => name,
            Some(_) | None => OsStr::new("watchdog0"),
        };
        let place = Path::new(CLASS).join(name);
        let status = match fs::metadata(&real) {
            // A file that has the name of a device only.
            Ok(found) if !found.file_type().is_char_device() => {
                let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no device");
                Err(Problem::NoStatus { place, error })
            }
            // One that cannot even be looked at may be listed all the same.
            Ok(_) | Err(_) => Self::read(&place),
        };
        status.map_err(|problem| LinuxError::new(device, problem))
    }

    /// That in a directory with the files of one watchdog.
    ///
    /// # Errors
    ///
    /// [`Problem::NoStatus`]: there is no such directory, or not even an identity, a state or a time-out in it.
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

/// The file without its line end; `None` where it is missing or cannot be read, which drivers use for 'unknown'.
fn text(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok().map(|text| text.trim_end().to_string())
}

/// Numbers are decimal, and status bits hexadecimal with `0x`.
fn number(dir: &Path, name: &str) -> Option<u64> {
    let text = text(dir, name)?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
