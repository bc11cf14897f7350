//! [`Version`]: of an image; a later one is greater.

use core::{fmt, str::FromStr};

use thiserror::Error;

/// The version of an image, such as 1.4.2. Versions are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is not a version such as 1.4.2, of numbers up to 65535")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut numbers = text.split('.').map(|number| {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse().ok().filter(|_| digits).ok_or(VersionError)
        });
        let mut next = || numbers.next().unwrap_or(Err(VersionError));
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        numbers.next().map_or(Ok(version), |_| Err(VersionError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_written_and_ordered() {
        let version = |text: &str| text.parse::<Version>().expect(text);
        assert!(version("1.10.0") > version("1.9.65535"));
        assert_eq!(version("1.4.2").to_string(), "1.4.2");
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1..3", "+1.2.3", "65536.0.0", " 1.2.3"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text:?}");
        }
    }
}
