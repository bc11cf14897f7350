//! Reading and writing fields: section 1.5 of the standard. Neither side panics, whatever the bytes.

use super::{
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::PacketId,
};

/// The largest remaining length.
const MAX_REMAINING: usize = 268_435_455;

/// What has not been read of a packet's body.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn u8(&mut self) -> Result<u8, Violation> {
        let (byte, rest) = self.0.split_first().ok_or(Violation::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Violation> {
        let (pair, rest) = self.0.split_first_chunk().ok_or(Violation::Truncated)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*pair))
    }

    /// [MQTT-2.3.1-1]
    pub(super) fn id(&mut self) -> Result<PacketId, Violation> {
        PacketId::new(self.u16()?).ok_or(Violation::PacketIdZero)
    }

    /// Bytes with their length in front.
    pub(super) fn field(&mut self) -> Result<&'a [u8], Violation> {
        let len = usize::from(self.u16()?);
        let (field, rest) = self.0.split_at_checked(len).ok_or(Violation::Truncated)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn string(&mut self) -> Result<&'a str, Violation> {
        let field = self.field()?;
        // [MQTT-1.5.3-2]
        if has_null(field) {
            return Err(Violation::NullCharacter);
        }
        // [MQTT-1.5.3-1]: encoded surrogates are ill-formed as well.
        core::str::from_utf8(field).map_err(|_| Violation::Utf8)
    }

    pub(super) fn end(&self) -> Result<(), Violation> {
        if self.is_empty() { Ok(()) } else { Err(Violation::TrailingBytes) }
    }
}

/// What has not been written of a packet. That it is long enough is checked once, at the start: what finds no room
/// after all is left out.
pub(super) struct Writer<'a>(&'a mut [u8]);

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut [u8]) -> Self {
        Self(out)
    }

    /// Starts a packet: writes the header; gives the room for the rest, and the length of the whole packet.
    pub(super) fn packet(
        out: &'a mut [u8],
        first: FirstByte,
        remaining: usize,
    ) -> Result<(Self, usize), EncodeError> {
        let needed = frame_len(remaining)?;
        let available = out.len();
        if available < needed {
            return Err(EncodeError::NoSpace { needed, available });
        }
        let mut writer = Self(out);
        writer.header(first.get(), remaining);
        Ok((writer, needed))
    }

    pub(super) fn header(&mut self, first: u8, remaining: usize) {
        self.u8(first);
        let mut left = remaining;
        while left > 0x7F {
            self.u8(left as u8 | 0x80);
            left >>= 7;
        }
        self.u8(left as u8);
    }

    pub(super) fn u8(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Bytes with their length, at most 65,535, in front.
    pub(super) fn field(&mut self, field: &[u8]) {
        self.u16(field.len() as u16);
        self.bytes(field);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let out = core::mem::take(&mut self.0);
        if let Some((head, tail)) = out.split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = tail;
        }
    }
}

/// A search of a few bytes for U+0000: that of `core` is fast, and large.
pub(super) fn has_null(string: &[u8]) -> bool {
    !string.iter().all(|byte| *byte != 0)
}

/// Bytes of a packet with `remaining` bytes after its header.
pub(super) const fn frame_len(remaining: usize) -> Result<usize, EncodeError> {
    let header = if remaining <= 0x7F {
        2
    } else if remaining <= 0x3FFF {
        3
    } else if remaining <= 0x1F_FFFF {
        4
    } else if remaining <= MAX_REMAINING {
        5
    } else {
        return Err(EncodeError::PacketTooLong);
    };
    Ok(header + remaining)
}
