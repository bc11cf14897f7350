//! The configuration file: its settings with their defaults, in TOML. Each wrong value is an error that names the file,
//! the line or the key, and the reason.
//!
//! No password stands in it: `password_file` names a file that holds it, and an address with a login is refused.

mod error;
mod values;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use error::ConfigError;
pub use values::{BrokerAddress, TopicName, Word};

use crate::{budget, time::Span};

/// All settings. `gateway.toml` beside this file explains each one and has the same values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The client id.
    pub name: Word<23>,
    /// The first levels of all topics.
    pub topic: TopicName,
    /// The folder of the journal and the last words. `None`: the one that systemd gives, or `gateway-state`.
    pub state: Option<PathBuf>,
    /// How long a clean end may wait for the answers of the broker.
    pub stop_within: Span,
    /// The brokers.
    pub broker: Broker,
    /// What waits for the broker.
    pub queue: Queue,
    /// The health of the link.
    pub link: Link,
    /// The watchdog.
    pub watchdog: Watchdog,
    /// The sensors, each a thread.
    pub sensors: Vec<Sensor>,
}

/// The brokers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    /// Their addresses. They take turns.
    pub addresses: Vec<BrokerAddress>,
    /// Whether they share their sessions.
    pub cluster: bool,
    /// The user name.
    pub user: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The authorities that are trusted, in PEM. `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The longest silence towards the broker.
    pub keep_alive: Span,
    /// How long an attempt to connect may take.
    pub connect_timeout: Span,
    /// The longest delay between two attempts.
    pub retry_at_most: Span,
}

/// What waits for the broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// Messages that may be unanswered at once.
    pub messages: u16,
    /// Bytes that they may take.
    pub bytes: u32,
    /// Whether an accepted message survives a power cut, or only the end of the process.
    pub survive: Survive,
}

/// What an accepted message survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Survive {
    /// Each message waits for the disk.
    PowerCut,
    /// The system writes it when it likes.
    ProcessKill,
}

/// The health of the link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// Something is received within this time.
    pub silence: Span,
    /// While messages are unanswered, an answer comes within this time.
    pub answer: Span,
    /// The time that each step has to help, before the next one.
    pub step: Span,
    /// The time that the last step has to help, before the watchdog bites.
    pub last_step: Span,
    /// The program that restarts the modem, with its arguments. Empty: there is none.
    pub modem: Vec<String>,
}

/// The watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watchdog {
    /// The tasks are checked, and the hardware is fed, at this interval.
    pub heartbeat: Span,
    /// From the last sign of life of a task to the reset.
    pub recovery: Span,
    /// A Linux watchdog device.
    pub device: Option<PathBuf>,
    /// Its time-out. `None`: that of its driver.
    pub device_timeout: Option<Span>,
    /// Whether a clean end stops the device. If not, the machine is reset unless the gateway comes back in time.
    pub device_stops: bool,
}

/// A sensor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Its name: of its topic, its task and its thread.
    pub name: Word<12>,
    /// What it measures.
    pub kind: Kind,
    /// A reading is taken at this interval.
    pub period: Span,
    /// Its task starves if it has no reading for this time.
    pub deadline: Span,
}

/// What a sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// In degrees Celsius.
    Temperature,
    /// In bar.
    Pressure,
    /// In percent.
    Level,
}

impl Default for Config {
    fn default() -> Self {
        let sensor = |name, kind, period, deadline| Sensor {
            name: Word::known(name),
            kind,
            period: Span::from_millis(period),
            deadline: Span::from_millis(deadline),
        };
        Self {
            name: Word::known("gateway"),
            topic: TopicName::known("plant/gateway"),
            state: None,
            stop_within: Span::from_millis(budget::STOP_WITHIN),
            broker: Broker::default(),
            queue: Queue::default(),
            link: Link::default(),
            watchdog: Watchdog::default(),
            sensors: vec![
                sensor("sensor1", Kind::Temperature, 1_000, 3_000),
                sensor("sensor2", Kind::Pressure, 500, 2_500),
                sensor("sensor3", Kind::Level, 5_000, 10_000),
            ],
        }
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            addresses: vec![BrokerAddress::known("mqtt://localhost")],
            cluster: false,
            user: None,
            password_file: None,
            ca_file: None,
            keep_alive: Span::from_millis(budget::KEEP_ALIVE),
            connect_timeout: Span::from_millis(10_000),
            retry_at_most: Span::from_millis(30_000),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { messages: 4_096, bytes: 1 << 20, survive: Survive::PowerCut }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            silence: Span::from_millis(budget::SILENCE),
            answer: Span::from_millis(budget::ANSWER),
            step: Span::from_millis(budget::STEP),
            last_step: Span::from_millis(budget::LAST_STEP),
            modem: Vec::new(),
        }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            heartbeat: Span::from_millis(budget::HEARTBEAT),
            recovery: Span::from_millis(budget::RECOVERY),
            device: None,
            device_timeout: None,
            device_stops: true,
        }
    }
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file)
            .map_err(|error| ConfigError::Read { file: file.into(), error })?;
        Self::parse(&text, file)
    }

    /// Reads the text of `file`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ConfigError::parse(&error, text, file))?;
        config.check().map_err(|(key, reason)| ConfigError::value(file, key, reason))?;
        Ok(config)
    }

    /// Values that are possible by themselves and not together: the key, and the reason.
    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, reason: &str| Err((key.to_owned(), reason.to_owned()));
        if self.broker.addresses.is_empty() || self.broker.addresses.len() > 8 {
            return wrong("broker.addresses", "it takes one to eight addresses");
        }
        if self.broker.password_file.is_some() && self.broker.user.is_none() {
            return wrong("broker.password_file", "a password needs a user");
        }
        let keep_alive = self.broker.keep_alive.as_millis();
        if keep_alive % 1_000 != 0 || keep_alive / 1_000 > u16::MAX.into() {
            return wrong("broker.keep_alive", "MQTT has whole seconds, up to 65535");
        }
        if u64::from(self.link.silence.as_millis()) * 2 < u64::from(keep_alive) * 3 {
            let reason = "a healthy link may be silent for one and a half of broker.keep_alive";
            return wrong("link.silence", reason);
        }
        if self.queue.messages < 16 {
            return wrong("queue.messages", "at least 16");
        }
        if self.queue.bytes < 4_096 {
            return wrong("queue.bytes", "at least 4096");
        }
        if self.watchdog.device_timeout.is_some() && self.watchdog.device.is_none() {
            return wrong("watchdog.device_timeout", "there is no watchdog.device");
        }
        if self.sensors.is_empty() || self.sensors.len() > 64 {
            return wrong("sensors", "there are one to 64 sensors");
        }
        for (number, sensor) in self.sensors.iter().enumerate() {
            let name = sensor.name.as_str();
            let earlier = self.sensors.iter().take(number);
            if earlier.map(|earlier| earlier.name.as_str()).chain([LINK]).any(|one| one == name) {
                let reason = "another task has this name";
                return wrong(&format!("sensors.{name}.name"), reason);
            }
        }
        Ok(())
    }

    /// The folder of the journal and the last words.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        // systemd gives several folders, if the unit asks for several.
        let given = || {
            let folders = env::var_os("STATE_DIRECTORY")?;
            env::split_paths(&folders).next().filter(|folder| !folder.as_os_str().is_empty())
        };
        self.state.clone().or_else(given).unwrap_or_else(|| "gateway-state".into())
    }

    /// The names of all tasks.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.sensors.iter().map(|sensor| sensor.name.as_str()).chain([LINK])
    }
}

/// The name of the task that serves the connection.
pub const LINK: &str = "link";

#[cfg(test)]
mod tests;
