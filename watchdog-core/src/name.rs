//! [`Name`]: the name of a task, short enough to lie in the task, in its failure and in the crash record.

use core::fmt;

use thiserror::Error;

/// The name of a task: at most 12 bytes of UTF-8.
///
/// ```
/// use watchdog_core::{Name, NameError};
///
/// const PUMP: Name = match Name::new("pump") {
///     Ok(name) => name,
///     Err(_) => Name::NONE,
/// };
/// assert_eq!(PUMP.as_str(), "pump");
/// assert_eq!(Name::new("Wärmetauscher"), Err(NameError::TooLong));
/// assert_eq!(Name::cut("Wärmetauscher").as_str(), "Wärmetausch");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[must_use]
pub struct Name([u8; Self::LEN]);

impl Name {
    /// The most bytes of a name.
    pub const LEN: usize = 12;
    /// No name.
    pub const NONE: Self = Self([0; Self::LEN]);

    /// The name.
    ///
    /// # Errors
    ///
    /// [`NameError`]: the text is too long, or contains a zero byte, which would end the name.
    pub const fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::LEN {
            return Err(NameError::TooLong);
        }
        let (mut name, mut bytes) = ([0; Self::LEN], text.as_bytes());
        let mut places: &mut [u8] = &mut name;
        while let ([byte, rest @ ..], [place, left @ ..]) = (bytes, places) {
            if *byte == 0 {
                return Err(NameError::ZeroByte);
            }
            *place = *byte;
            (bytes, places) = (rest, left);
        }
        Ok(Self(name))
    }

    /// The name, cut behind its last whole character that fits, or before its first zero byte.
    pub fn cut(text: &str) -> Self {
        let fits = |(at, character): &(usize, char)| {
            *character != '\0' && at.saturating_add(character.len_utf8()) <= Self::LEN
        };
        let mut name = [0; Self::LEN];
        let characters = text.char_indices().take_while(fits);
        for (at, character) in characters {
            if let Some(place) = name.get_mut(at..) {
                let mut utf8 = [0; 4];
                let bytes = character.encode_utf8(&mut utf8).bytes();
                place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
            }
        }
        Self(name)
    }

    /// The text. If the bytes are from a record and are not UTF-8, this is the part that is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let named = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        named.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    /// Whether this is a name, and not [`NONE`](Self::NONE).
    #[must_use]
    pub const fn is_some(&self) -> bool {
        let [first, ..] = self.0;
        first != 0
    }

    /// The bytes: the text, and zeros behind it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// The name with these bytes, as in a record.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NameError {
    /// It has more than [`Name::LEN`] bytes.
    #[error("a name has at most 12 bytes")]
    TooLong,
    /// It contains a zero byte.
    #[error("a name has no zero byte")]
    ZeroByte,
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_name_is_its_text() {
        for text in ["", "a", "temperature", "twelve bytes", "äöüß"] {
            let name = Name::new(text);
            assert_eq!(name.map(|name| format!("{name}")), Ok(text.into()));
            assert_eq!(name, Ok(Name::cut(text)));
            assert_eq!(name.map(|name| Name::from_bytes(name.to_bytes())), name);
            assert_eq!(name.map(|name| name.is_some()), Ok(!text.is_empty()));
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_or_cut_at_a_character() {
        for (text, error, cut) in [
            ("thirteen byte", NameError::TooLong, "thirteen byt"),
            ("eleven bytesß", NameError::TooLong, "eleven bytes"),
            ("eleven byteß", NameError::TooLong, "eleven byte"),
            ("a\0b", NameError::ZeroByte, "a"),
        ] {
            assert_eq!(Name::new(text), Err(error), "{text:?}");
            assert_eq!(Name::cut(text).as_str(), cut);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let name = Name::from_bytes(*b"pump\xFF\xFEabcdef");
        assert_eq!((name.as_str(), format!("{name:?}")), ("pump", "\"pump\"".into()));
        assert_eq!(Name::from_bytes([0xFF; Name::LEN]).as_str(), "");
    }
}
