//! The format of the file, and how its end is found.
//!
//! ```text
//! file   "mqttjrn" | version 1 | id (4) | complement of id (4) | frames
//! frame  length (4) | its complement (4) | id + offset of the frame (4) | record, which ends in a CRC-32 of itself
//! ```
//!
//! Numbers are big-endian. A record is appended in one write at the end, so a power cut may leave any part of that one
//! write: the file is too short, or it has the full length with zeros or old bytes in it. The length has a check of its
//! own, because a wrong length would hide all later frames. A frame that is not right is
//!
//! - torn if the file ends within it, or if only zeros follow it;
//! - damaged if anything else follows it: it was confirmed before the bytes behind it were written;
//! - if its length is wrong, so that its end is unknown: damaged if the front of a frame follows anywhere, else torn.
//!
//! The front of a frame identifies its file and its offset. So bytes of an earlier file that a disk gives back, or a
//! message that carries a journal, are never mistaken for a frame. Damage to the last record cannot be distinguished
//! from a torn record.

use std::{
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, BufReader, Read, Seek, SeekFrom},
    vec::Vec,
};

use crate::{
    error::RestoreError,
    session::{Parsed, Record},
};

/// Bytes before the first frame.
pub(super) const FRONT_LEN: u64 = 16;
const MAGIC: [u8; 7] = *b"mqttjrn";
const VERSION: u8 = 1;
const HEAD_LEN: usize = 12;

/// The id that ties the frames to their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    id: u32,
}

impl Head {
    pub(super) fn new() -> Self {
        Self { id: RandomState::new().build_hasher().finish() as u32 }
    }

    pub(super) fn encode(self) -> [u8; FRONT_LEN as usize] {
        let [a, b, c, d, e, f, g] = MAGIC;
        let ([h, i, j, k], [l, m, n, o]) = (self.id.to_be_bytes(), (!self.id).to_be_bytes());
        [a, b, c, d, e, f, g, VERSION, h, i, j, k, l, m, n, o]
    }

    /// Appends the frame of `record`, which will be at `offset` of the file, to `space`.
    pub(super) fn frame(
        self,
        offset: u64,
        record: &Record<'_>,
        space: &mut Vec<u8>,
    ) -> io::Result<()> {
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let len = u32::try_from(record.len()).map_err(too_long)?;
        for part in [len, !len, self.place(offset)] {
            space.extend(part.to_be_bytes());
        }
        for chunk in record.chunks() {
            space.extend(chunk.as_ref());
        }
        Ok(())
    }

    fn place(self, offset: u64) -> u32 {
        self.id.wrapping_add(offset as u32)
    }

    /// The length of the record, if `front` is the front of a frame at `offset`.
    fn length(self, front: [u8; HEAD_LEN], offset: u64) -> Option<u32> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = front;
        let len = u32::from_be_bytes([a, b, c, d]);
        let right = !len == u32::from_be_bytes([e, f, g, h])
            && self.place(offset) == u32::from_be_bytes([i, j, k, l]);
        right.then_some(len)
    }
}

/// The beginning of a file.
pub(super) enum Front {
    Head(Head),
    /// Nothing, or the part that a power cut left of a head.
    Nothing,
    Version(u8),
    Other,
}

impl Front {
    pub(super) fn read(mut file: &File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.take(FRONT_LEN).read_to_end(&mut bytes)?;
        let Some((&[h, i, j, k], &[l, m, n, o])) = bytes
            .split_first_chunk::<8>()
            .and_then(|(_, ids)| Some((ids.first_chunk()?, ids.last_chunk()?)))
            .filter(|_| bytes.len() as u64 == FRONT_LEN)
        else {
            let begins = MAGIC.iter().chain(&[VERSION]).zip(&bytes).all(|(a, b)| a == b);
            return Ok(if begins { Self::Nothing } else { Self::Other });
        };
        let id = u32::from_be_bytes([h, i, j, k]);
        let version = bytes.get(MAGIC.len()).copied().unwrap_or_default();
        Ok(if !bytes.starts_with(&MAGIC) {
            Self::Other
        } else if version != VERSION {
            Self::Version(version)
        } else if !id != u32::from_be_bytes([l, m, n, o]) {
            Self::Other
        } else {
            Self::Head(Head { id })
        })
    }
}

/// Goes through the frames of a file.
pub(super) struct Reader<'f> {
    file: BufReader<&'f File>,
    head: Head,
    at: u64,
    len: u64,
    number: usize,
    record: Vec<u8>,
}

/// The next frame of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'r> {
    Record {
        record: &'r [u8],
        /// The end of its frame.
        end: u64,
    },
    /// No frame, or a torn one.
    End,
    Damaged {
        record: usize,
        offset: u64,
    },
}

impl<'f> Reader<'f> {
    /// Reads the first `len` bytes of `file`.
    pub(super) fn new(file: &'f File, head: Head, len: u64) -> io::Result<Self> {
        let mut file = BufReader::new(file);
        file.seek(SeekFrom::Start(FRONT_LEN))?;
        Ok(Self { file, head, at: FRONT_LEN, len, number: 0, record: Vec::new() })
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        let left = self.len.saturating_sub(self.at);
        let mut front = [0; HEAD_LEN];
        if left < HEAD_LEN as u64 {
            return Ok(Next::End);
        }
        self.file.read_exact(&mut front)?;
        let Some(len) = self.head.length(front, self.at) else {
            return if self.follows(front)? { Ok(self.damaged()) } else { Ok(Next::End) };
        };
        if u64::from(len) > left - HEAD_LEN as u64 {
            return Ok(Next::End);
        }
        // The length was compared with the file, so no more is reserved than the file has.
        self.record.clear();
        self.record.try_reserve(len as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.file.by_ref().take(len.into()).read_to_end(&mut self.record)?;
        let end = self.at + HEAD_LEN as u64 + u64::from(len);
        if !is_whole(&self.record) {
            return if self.zeros(self.len - end)? { Ok(Next::End) } else { Ok(self.damaged()) };
        }
        self.at = end;
        self.number += 1;
        Ok(Next::Record { record: &self.record, end })
    }

    fn damaged(&self) -> Next<'static> {
        Next::Damaged { record: self.number, offset: self.at }
    }

    /// Whether the front of a frame follows anywhere. `front` is the bytes at `at`, which are not one.
    fn follows(&mut self, front: [u8; HEAD_LEN]) -> io::Result<bool> {
        let (mut window, mut offset) = (front, self.at);
        for byte in self.file.by_ref().take(self.len - self.at - HEAD_LEN as u64).bytes() {
            window.rotate_left(1);
            if let Some(last) = window.last_mut() {
                *last = byte?;
            }
            offset += 1;
            if self.head.length(window, offset).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the next `len` bytes are zeros.
    fn zeros(&mut self, len: u64) -> io::Result<bool> {
        for byte in self.file.by_ref().take(len).bytes() {
            if byte? != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_whole(record: &[u8]) -> bool {
    !matches!(Parsed::new(record), Err(RestoreError::Torn))
}

pub(super) fn is_snapshot(record: &[u8]) -> bool {
    Parsed::new(record).is_ok_and(|parsed| parsed.is_snapshot())
}
