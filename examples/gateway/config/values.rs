//! Values that are checked when they are read, so that an error has the line.

use std::fmt;

use mqtt_core::Topic;
use mqtt_examples::arguments::{Url, shown};
use serde::{Deserialize, Deserializer, de};

/// A name of letters, digits, `-` and `_`, at most `MOST` of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<const MOST: usize>(String);

impl<const MOST: usize> Word<MOST> {
    /// A name that is written in this program.
    pub(super) fn known(text: &str) -> Self {
        debug_assert!(Self::check(text).is_ok(), "the program's own names are possible");
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), String> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if (1..=MOST).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(());
        }
        Err(format!("{} is not a name: 1 to {MOST} of a-z, A-Z, 0-9, - and _", shown(text)))
    }
}

impl<const MOST: usize> fmt::Display for Word<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Word<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::check(&text).map_err(de::Error::custom)?;
        Ok(Self(text))
    }
}

/// The first levels of all topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicName(String);

/// The longest one in bytes: the others begin with it.
const LONGEST_TOPIC: usize = 200;

impl TopicName {
    /// A topic that is written in this program.
    pub(super) fn known(text: &str) -> Self {
        debug_assert!(Topic::new(text).is_ok(), "the program's own topics are possible");
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TopicName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > LONGEST_TOPIC || text.starts_with('$') {
            let why = format!("it is longer than {LONGEST_TOPIC} bytes, or begins with $");
            return Err(de::Error::custom(why));
        }
        if let Err(error) = Topic::new(&text) {
            return Err(de::Error::custom(format!("{}: {error}", shown(&text))));
        }
        Ok(Self(text))
    }
}

/// The address of a broker, without a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress(String);

impl BrokerAddress {
    /// An address that is written in this program.
    pub(super) fn known(text: &str) -> Self {
        Self(text.into())
    }

    /// The text for `Brokers::new`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for BrokerAddress {
    /// No error repeats the address, because a password may stand in it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = Url::parse(&text).map_err(de::Error::custom)?;
        if url.address().login().is_some() {
            let why = "an address has no login here: see broker.user and broker.password_file";
            return Err(de::Error::custom(why));
        }
        if url.address().topic().is_some() {
            return Err(de::Error::custom("an address has no topic here: see topic"));
        }
        Ok(Self(text))
    }
}
