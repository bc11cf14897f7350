//! Errors of a journal in flash: at its construction, and later.

use thiserror::Error;

/// Why a journal cannot be kept in a range of flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlashConfigError {
    /// The range does not begin and end at the border of a page.
    #[error("the flash range is not one of whole pages of {page} bytes")]
    Range {
        /// Bytes that are erased together.
        page: u32,
    },
    /// Each half of the range needs room for two records that fill the scratch. Use more flash, or less scratch.
    #[error("the journal needs {needed} bytes of flash, the range has {bytes}")]
    RangeTooSmall {
        /// Bytes that the range needs to have.
        needed: u32,
        /// Bytes that it has.
        bytes: u32,
    },
    /// No item fits into a page, or the size of a page exceeds 32 bits.
    #[error("flash with pages of {bytes} bytes")]
    PageTooSmall {
        /// Bytes that are erased together.
        bytes: usize,
    },
    /// The size of a word is not a power of two, or too large.
    #[error("flash with words of {bytes} bytes, {most} is the most")]
    Word {
        /// Bytes that are written, or read, together.
        bytes: usize,
        /// Bytes at the most.
        most: usize,
    },
}

/// Why a journal in flash failed; `E` is the error of the flash driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash driver failed.
    #[error("flash: {0:?}")]
    Flash(E),
    /// A record to append, or one in flash, is longer than the scratch allows. See [`scratch_len`](super::scratch_len).
    #[error("record of {needed} bytes, the scratch has room for {capacity}")]
    RecordTooLong {
        /// Bytes of the record, or of the part of it that was read.
        needed: usize,
        /// Bytes of the longest record.
        capacity: usize,
    },
    /// The journal was not compacted in time. After `Client::compact` the next record is a snapshot, which fits.
    #[error("the journal is full, a snapshot is due")]
    Full,
    /// Confirmed records are missing or changed: the flash is worn, or something else wrote to it.
    /// [`FlashJournal::clear`](super::FlashJournal::clear) makes the range usable again and drops the records that can
    /// still be read.
    #[error("the journal is damaged")]
    Damaged,
}

impl<E> FlashError<E> {
    pub(super) fn new(error: sequential_storage::Error<E>) -> Self {
        use sequential_storage::Error;
        match error {
            Error::Storage { value, .. } => Self::Flash(value),
            Error::FullStorage => Self::Full,
            // Sizes are checked before, and a map is not used.
            Error::Corrupted { .. }
            | Error::LogicBug { .. }
            | Error::BufferTooBig
            | Error::BufferTooSmall(_)
            | Error::SerializationError(_)
            | Error::ItemTooBig
            | _ => Self::Damaged,
        }
    }
}
