//! Reading and writing fields: section 1.5 of the standard. Neither of the two panics, whatever the bytes are.

use super::{
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::PacketId,
};

/// The largest remaining length.
const MAX_REMAINING: usize = 268_435_455;

/// The rest of a packet's body that has not been read.
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

    /// Reads bytes that follow their length.
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

/// The rest of a packet's space that has not been written.
///
/// Each user calculates the length before, and there is space for exactly that length. A user that writes more or less
/// is a bug: an assertion fails in tests; in release, bytes that do not fit are left out.
pub(super) struct Writer<'a>(&'a mut [u8]);

impl<'a> Writer<'a> {
    /// The caller has checked that `out` is long enough.
    pub(super) const fn new(out: &'a mut [u8]) -> Self {
        Self(out)
    }

    /// Starts a packet: writes the fixed header. Returns the writer of the rest, and the length of the whole packet.
    pub(super) fn packet(
        out: &'a mut [u8],
        first: FirstByte,
        remaining: usize,
    ) -> Result<(Self, usize), EncodeError> {
        let needed = frame_len(remaining)?;
        let available = out.len();
        let Some(space) = out.get_mut(..needed) else {
            return Err(EncodeError::NoSpace { needed, available });
        };
        let mut writer = Self(space);
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

    /// Writes the length of `field`, at most 65,535, and then `field`.
    pub(super) fn field(&mut self, field: &[u8]) {
        debug_assert!(u16::try_from(field.len()).is_ok(), "topics and CONNECT fields were checked");
        self.u16(field.len() as u16);
        self.bytes(field);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let out = core::mem::take(&mut self.0);
        debug_assert!(bytes.len() <= out.len(), "the packet was measured before it was written");
        if let Some((head, tail)) = out.split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = tail;
        }
    }

    /// Ends a packet: the calculated length has been written.
    pub(super) fn end(self) {
        debug_assert!(self.0.is_empty(), "the packet is as long as it was measured");
    }
}

/// Whether a short string contains U+0000. The search of `core` is faster but takes more flash.
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
