//! The fixed header: the first byte, and the remaining length in one to four bytes. Section 2.2 of the standard.

use super::{
    cursor::{Writer, frame_len},
    error::{EncodeError, Violation},
    first_byte::FirstByte,
};

/// The fixed header of a packet: 2 to 5 bytes.
///
/// ```
/// use mqtt_core::codec::Header;
///
/// let header = Header::decode(&[0x30, 0x80, 0x01])?.expect("the header is whole");
/// assert_eq!((header.first(), header.remaining()), (0x30, 128));
/// assert_eq!((header.header_len(), header.frame_len()), (3, 131));
/// assert_eq!(Header::decode(&[0x30, 0x80])?, None, "more bytes are needed");
/// # Ok::<(), mqtt_core::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    first: u8,
    header_len: u8,
    remaining: u32,
}

impl Header {
    /// Bytes of the longest header: the first byte and a remaining length of four bytes.
    pub(crate) const MAX_LEN: usize = 5;

    /// The header at the front of `bytes`; `None` if more bytes are needed.
    ///
    /// Type and flags are not checked. A remaining length with more bytes than needed (`0x82 0x00` for 2) is accepted,
    /// because section 2.2.3 does not ask for the shortest form.
    ///
    /// # Errors
    ///
    /// [`Violation::RemainingLength`].
    pub const fn decode(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        match bytes {
            [first, remaining @ ..=0x7F, ..] => {
                Ok(Some(Self { first: *first, header_len: 2, remaining: *remaining as u32 }))
            }
            [first, rest @ ..] => Self::decode_long(*first, rest),
            [] => Ok(None),
        }
    }

    const fn decode_long(first: u8, mut rest: &[u8]) -> Result<Option<Self>, Violation> {
        let mut remaining = 0;
        let mut header_len = 1;
        while let [byte, tail @ ..] = rest {
            remaining |= ((*byte & 0x7F) as u32) << (7 * (header_len - 1));
            header_len += 1;
            if *byte & 0x80 == 0 {
                return Ok(Some(Self { first, header_len, remaining }));
            }
            if header_len as usize == Self::MAX_LEN {
                return Err(Violation::RemainingLength);
            }
            rest = tail;
        }
        Ok(None)
    }

    /// Writes a header to the front of `out` and returns its length. `out` need not have room for the rest of the
    /// packet.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketTooLong`], [`EncodeError::NoSpace`].
    pub fn encode(first: u8, remaining: usize, out: &mut [u8]) -> Result<usize, EncodeError> {
        let needed = frame_len(remaining)? - remaining;
        let available = out.len();
        if available < needed {
            return Err(EncodeError::NoSpace { needed, available });
        }
        Writer::new(out).header(first, remaining);
        Ok(needed)
    }

    /// The first byte: packet type in the high four bits, flags in the low ones.
    #[must_use]
    pub const fn first(&self) -> u8 {
        self.first
    }
    pub(crate) const fn first_byte(&self) -> FirstByte {
        FirstByte::new(self.first)
    }

    /// Bytes of the header.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len as usize
    }

    /// Bytes of the packet after the header.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.remaining as usize
    }

    /// Bytes of the packet, header included.
    #[must_use]
    pub const fn frame_len(&self) -> usize {
        self.header_len() + self.remaining()
    }
}
