//! What can go wrong with a journal in flash: at its construction, and later.

use thiserror::Error;

/// Why a journal cannot be kept in a range of flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlashConfigError {
    /// The range does not begin and end between two pages.
    #[error("the flash range is not one of whole pages of {page} bytes")]
    Range {
        /// Bytes that are erased together.
        page: u32,
    },
    /// Each half of the range has to take two records that fill the scratch: give more flash, or less scratch.
    #[error("the journal needs {needed} bytes of flash, the range has {bytes}")]
    RangeTooSmall {
        /// Bytes that the range needs to have.
        needed: u32,
        /// Bytes that it has.
        bytes: u32,
    },
    /// No item fits into a page, or pages are beyond all measure.
    #[error("flash with pages of {bytes} bytes")]
    PageTooSmall {
        /// Bytes that are erased together.
        bytes: usize,
    },
    /// Words have to be powers of two, and not too large.
    #[error("flash with words of {bytes} bytes, {most} is the most")]
    Word {
        /// Bytes that are written, or read, together.
        bytes: usize,
        /// Bytes at the most.
        most: usize,
    },
}

/// What can go wrong with a journal in flash whose own errors are `E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash driver failed.
    #[error("flash: {0:?}")]
    Flash(E),
    /// The record, one to append or one that is in flash, is longer than the scratch allows. See [`scratch_len`](super::scratch_len).
    #[error("record of {needed} bytes, the scratch has room for {capacity}")]
    RecordTooLong {
        /// Bytes of the record, or of as much of it as was read.
        needed: usize,
        /// Bytes of the longest record.
        capacity: usize,
    },
    /// The journal was not compacted in time. `Client::compact` has the next record be a snapshot, which fits.
    #[error("the journal is full, a snapshot is due")]
    Full,
    /// What was written is not there any more: the flash is worn, or something else wrote to it. What can still be read
    /// is lost with [`FlashJournal::clear`](super::FlashJournal::clear).
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
