//! The messages of the protocol: [`ChunkHeader`] at the beginning of each chunk, and [`Want`], with which a device asks
//! for chunks.
//!
//! A chunk message is its header and then the bytes of the image:
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | `FCHK` |
//! | 4..12 | the image: the first bytes of its hash |
//! | 12..16 | the number of the chunk, from 0 |
//! | 16..20 | the number of chunks |
//! | 20..24 | bytes that follow the header |
//! | 24..56 | SHA-256 of these bytes |
//!
//! The hash of a chunk finds damage early, so only that chunk is sent again. Nobody has signed it: the image as a whole is
//! believed by the hash in its manifest alone.
//!
//! A wish of a device:
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | `FWNT` |
//! | 4..12 | the image |
//! | 12..16 | the round: another number says that chunks were lost, and that the publisher is to go back to `first` |
//! | 16..20 | the first chunk that the device lacks |
//! | 20..24 | how many it takes from there on |

use sha2::{Digest, Sha256};

use crate::{
    fields::{Fields, joined},
    manifest::{ImageId, Manifest},
};

const CHUNK: [u8; 4] = *b"FCHK";
const WANT: [u8; 4] = *b"FWNT";

/// The beginning of a chunk message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// The image.
    pub image: ImageId,
    /// The number of the chunk, from 0.
    pub number: u32,
    /// The number of chunks.
    pub total: u32,
    /// Bytes that follow.
    pub len: u32,
    /// SHA-256 of these bytes.
    pub hash: [u8; 32],
}

impl ChunkHeader {
    /// Bytes of a header.
    pub const LEN: usize = 56;

    /// The header for `bytes`, the chunk `number` of an image.
    #[must_use]
    pub fn of(manifest: &Manifest, number: u32, bytes: &[u8]) -> Self {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let hash = Sha256::digest(bytes).into();
        Self { image: manifest.image(), number, total: manifest.chunks(), len, hash }
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        joined(&[
            &CHUNK,
            &self.image.0,
            &self.number.to_le_bytes(),
            &self.total.to_le_bytes(),
            &self.len.to_le_bytes(),
            &self.hash,
        ])
    }

    /// Reads a header. `None`: these bytes are none.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let mut fields = Fields(bytes);
        fields.array().filter(|magic| *magic == CHUNK)?;
        let (image, number) = (ImageId(fields.array()?), fields.u32()?);
        Some(Self {
            image,
            number,
            total: fields.u32()?,
            len: fields.u32()?,
            hash: fields.array()?,
        })
    }
}

/// The wish of a device for chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The image.
    pub image: ImageId,
    /// Another number than before: go back to `first`.
    pub round: u32,
    /// The first chunk that the device lacks.
    pub first: u32,
    /// How many chunks it takes from there on.
    pub count: u32,
}

impl Want {
    /// Bytes of a wish.
    pub const LEN: usize = 24;

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        joined(&[
            &WANT,
            &self.image.0,
            &self.round.to_le_bytes(),
            &self.first.to_le_bytes(),
            &self.count.to_le_bytes(),
        ])
    }

    /// Reads a wish. `None`: these bytes are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        (bytes.len() == Self::LEN && fields.array() == Some(WANT)).then_some(())?;
        let (image, round) = (ImageId(fields.array()?), fields.u32()?);
        Some(Self { image, round, first: fields.u32()?, count: fields.u32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let image = ImageId(*b"abcdefgh");
        let header = ChunkHeader { image, number: 3, total: 1_024, len: 4_096, hash: [8; 32] };
        assert_eq!(ChunkHeader::decode(&header.encode()), Some(header));
        let want = Want { image, round: 0xFFFF_0001, first: 3, count: 16 };
        assert_eq!(Want::decode(&want.encode()), Some(want));
    }

    #[test]
    fn other_bytes_are_no_messages() {
        assert_eq!(ChunkHeader::decode(&[0; ChunkHeader::LEN]), None);
        let want = Want { image: ImageId([0; 8]), round: 0, first: 0, count: 1 }.encode();
        for bytes in [&want[1..], &[&want[..], &[0]].concat(), &[], &[0; Want::LEN]] {
            assert_eq!(Want::decode(bytes), None, "{bytes:?}");
        }
    }
}
