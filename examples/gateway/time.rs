//! [`Span`]: a time as people write it in a configuration: `250ms`, `3s`, `5m`. And the clock of the program.

use std::{fmt, str::FromStr, time};

use mqtt_examples::arguments::shown;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;
use watchdog_core::Instant;

/// A length of time in milliseconds, up to four hours: the longest that the watchdog counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u32);

/// Why a text is not a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpanError {
    /// The form is wrong.
    #[error("{0} is not a time: a whole number with ms, s, m or h, such as 250ms or 3s")]
    Form(String),
    /// It is zero.
    #[error("a time of 0")]
    Zero,
    /// It is too long.
    #[error("{0} is longer than 4 hours")]
    TooLong(String),
}

impl Span {
    const MOST: u32 = watchdog_core::Rules::MOST_MILLIS;

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u32 {
        self.0
    }

    /// The same for the standard library.
    #[must_use]
    pub const fn duration(self) -> time::Duration {
        time::Duration::from_millis(self.0 as u64)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let form = || SpanError::Form(shown(text));
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(form)?;
        let (number, unit) = text.split_at_checked(digits).ok_or_else(form)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(form()),
        };
        if number.is_empty() {
            return Err(form());
        }
        // So many digits that they are no number of this size: the time is too long.
        let number: u32 = number.parse().unwrap_or(u32::MAX);
        match number.saturating_mul(millis) {
            0 => Err(SpanError::Zero),
            long if long > Self::MOST => Err(SpanError::TooLong(shown(text))),
            millis => Ok(Self(millis)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(millis) = *self;
        match (millis % 60_000, millis % 1_000) {
            (0, _) => write!(f, "{}m", millis / 60_000),
            (_, 0) => write!(f, "{}s", millis / 1_000),
            (_, _) => write!(f, "{millis}ms"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The clock of the program: milliseconds since its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock(time::Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(time::Instant::now())
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The same as an instant of the watchdog.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_millis(self.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown_as_people_write_them() {
        for (text, millis) in [("1ms", 1), ("250ms", 250), ("3s", 3_000), ("90s", 90_000)] {
            assert_eq!(text.parse(), Ok(Span(millis)));
            assert_eq!(Span(millis).to_string(), text);
        }
        assert_eq!("120s".parse::<Span>().map(|span| span.to_string()), Ok("2m".into()));
        assert_eq!("4h".parse(), Ok(Span(Span::MOST)));
    }

    #[test]
    fn each_wrong_time_has_its_reason() {
        for text in ["", "s", "3", "3 s", "3.5s", "-1s", "3sec", "5d"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::Form(_))), "{text}");
        }
        assert_eq!("0s".parse::<Span>(), Err(SpanError::Zero));
        for text in ["241m", "5h", "99999999999999999999h"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::TooLong(_))), "{text}");
        }
    }
}
