//! [`Status`]: what a device tells everybody, as JSON, retained. Its will says that it is offline.

use std::fmt;

use mqtt_fota::Version;

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs a confirmed image, and receives none.
    Running,
    /// It receives an image.
    Receiving,
    /// It checks the hash of the image in flash.
    Checking,
    /// It restarts, to try the image.
    Restarting,
    /// It runs an image that has to confirm itself.
    Trial,
    /// The image has confirmed itself.
    Confirmed,
    /// It does not take the image that is offered.
    Refused,
    /// It went back to the old image.
    RolledBack,
    /// It is not connected.
    Offline,
}

impl State {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Running, "running"),
        (Self::Receiving, "receiving"),
        (Self::Checking, "checking"),
        (Self::Restarting, "restarting"),
        (Self::Trial, "trial"),
        (Self::Confirmed, "confirmed"),
        (Self::Refused, "refused"),
        (Self::RolledBack, "rolled back"),
        (Self::Offline, "offline"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

/// What a device tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: State,
    /// The running version.
    pub(crate) version: Version,
    /// The version of the image that it receives, refuses, or went back from.
    pub(crate) offered: Option<Version>,
    /// Chunks that it has, and all of them.
    pub(crate) chunks: Option<(u32, u32)>,
    /// A reason.
    pub(crate) why: Option<String>,
}

impl Status {
    pub(crate) const fn new(state: State, version: Version) -> Self {
        Self { state, version, offered: None, chunks: None, why: None }
    }

    /// `None`: it is not a status.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_slice(json).ok()?;
        let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
        let number = |name: &str| {
            let number = value.get(name).and_then(serde_json::Value::as_u64);
            number.and_then(|number| u32::try_from(number).ok())
        };
        let state = text("state")?;
        let state = State::ALL.iter().find(|(_, name)| *name == state)?.0;
        Some(Self {
            state,
            version: text("version")?.parse().ok()?,
            offered: text("offered").and_then(|text| text.parse().ok()),
            chunks: number("chunks").zip(number("of")),
            why: text("why").map(str::to_owned),
        })
    }
}

/// As JSON.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, version, offered, chunks, why } = self;
        write!(f, r#"{{"state":"{}","version":"{version}""#, state.name())?;
        if let Some(offered) = offered {
            write!(f, r#","offered":"{offered}""#)?;
        }
        if let Some((chunks, of)) = chunks {
            write!(f, r#","chunks":{chunks},"of":{of}"#)?;
        }
        if let Some(why) = why {
            write!(f, r#","why":{}"#, serde_json::Value::from(why.as_str()))?;
        }
        f.write_str("}")
    }
}
