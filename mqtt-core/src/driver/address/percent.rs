//! Percent-encoding (RFC 3986, section 2.1).

use core::fmt;
use std::{string::String, vec::Vec};

use super::{AddressError, Part};

/// As [`bytes`], but the bytes have to be UTF-8.
pub(super) fn string(text: &str, part: Part) -> Result<String, AddressError> {
    String::from_utf8(bytes(text, part)?).map_err(|_| AddressError::NotUtf8(part))
}

/// The bytes of `text`, in which `%` and two hexadecimal digits stand for one byte.
pub(super) fn bytes(text: &str, part: Part) -> Result<Vec<u8>, AddressError> {
    let mut rest = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = digit().zip(digit()).ok_or(AddressError::Encoding(part))?;
            (high << 4 | low) as u8
        } else {
            byte
        });
    }
    Ok(decoded)
}

/// Writes `text` so that it can be read and parsed again.
pub(super) fn encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for character in text.chars() {
        if matches!(character, '%' | '@' | '?')
            || character.is_control()
            || character.is_whitespace()
        {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                write!(f, "%{byte:02X}")?;
            }
        } else {
            write!(f, "{character}")?;
        }
    }
    Ok(())
}
