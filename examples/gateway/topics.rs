//! The topics of the gateway, and the texts of its status.
//!
//! | topic, below the first levels | QoS | retained | payload |
//! |---|---|---|---|
//! | `status` | 1 | yes | `online`; `stopped` after a clean end; `offline` is the will |
//! | `sensors/NAME` | 1 | no | a reading: number and value |
//! | `last-words` | 2 | yes | what ended the run before |
//! | `command` | 2 | | received: `period NAME TIME` |
//! | `answer` | 1 | no | the answer to a command |

/// The gateway is connected.
pub const ONLINE: &str = "online";
/// The gateway has ended on purpose.
pub const STOPPED: &str = "stopped";
/// The will: the connection ended without a DISCONNECT.
pub const OFFLINE: &str = "offline";

/// The topics as texts.
#[derive(Clone, Debug)]
pub struct Topics {
    /// What the gateway does.
    pub status: String,
    /// What ended the run before.
    pub last_words: String,
    /// What the gateway is told.
    pub command: String,
    /// What it answers.
    pub answer: String,
    /// The readings, without the name of the sensor.
    sensors: String,
}

impl Topics {
    /// The topics below `first`.
    #[must_use]
    pub fn below(first: &str) -> Self {
        let below = |last: &str| format!("{first}/{last}");
        Self {
            status: below("status"),
            last_words: below("last-words"),
            command: below("command"),
            answer: below("answer"),
            sensors: below("sensors/"),
        }
    }

    /// The topic of a sensor.
    #[must_use]
    pub fn of_sensor(&self, name: &str) -> String {
        format!("{}{name}", self.sensors)
    }
}
