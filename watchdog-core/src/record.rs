//! [`CrashRecord`]: the failure before a reset, in bytes that survive the reset.
//!
//! RAM keeps its content over a warm reset, if the start-up code does not clear it. So the record lies in a section of
//! its own. After a power cut the bytes may have any value, and reading accepts them all: a magic number and a checksum
//! distinguish a record from noise.
//!
//! A program that hangs cannot always write its last words. So each run begins with a provisional record that says only
//! 'this run ended without last words'. The last words replace it, and an end on purpose clears it.
//!
//! ```
//! use watchdog_core::{CrashRecord, Failure, Fault, Instant, Name, RecordError, TaskId};
//!
//! // With `#[unsafe(link_section = ".noinit")]` in a `static`, or a page of battery-backed RAM.
//! let mut survives_reset = [0x5A; CrashRecord::LEN];
//!
//! // At boot: what ended the last run, and the provisional record of this one.
//! let last = CrashRecord::take(&mut survives_reset);
//! assert_eq!(last, Err(RecordError::Absent), "the power was off");
//! survives_reset = CrashRecord::running().after(last.as_ref().ok()).to_bytes();
//!
//! // The program hangs, and the chip resets it. At the next boot:
//! let last = CrashRecord::take(&mut survives_reset)?;
//! assert_eq!((last.failure, last.in_a_row), (None, 1), "no last words");
//! survives_reset = CrashRecord::running().after(Some(&last)).to_bytes();
//!
//! // At Stage::LastWords:
//! let at = Instant::from_millis(61_000);
//! let since = Instant::from_millis(60_000);
//! let (task, name) = (TaskId::new(2), Name::cut("pump"));
//! let failure = Failure { task, name, fault: Fault::Starved, step: Some(1), since, at };
//! survives_reset = CrashRecord::new(failure).after(Some(&last)).note(*b"pc=0x0800'1234\0\0").to_bytes();
//!
//! // At the next boot; the record can be taken once.
//! let record = CrashRecord::take(&mut survives_reset)?;
//! assert_eq!((record.failure, record.in_a_row), (Some(failure), 2));
//! assert_eq!(CrashRecord::take(&mut survives_reset), Err(RecordError::Absent));
//!
//! // Before an end on purpose, such as a restart after an update:
//! CrashRecord::clear(&mut survives_reset);
//! # Ok::<(), RecordError>(())
//! ```
//!
//! A provisional record cannot tell a bite from another warm reset, by a button or a debugger. If the device reports its
//! [cause](crate::hardware::ReadResetCause), use it to tell them apart.
//!
//! # Layout
//!
//! 60 bytes, little-endian. Another version of the layout has another number in byte 4.
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | magic: `WDcr` |
//! | 4 | version: 2 |
//! | 5 | fault: 0 none, the record is provisional; 1 starved, 2 early, 3 out of order, 4 returned, 5 panicked, 6 clock, 7 requested |
//! | 6 | checkpoint reported last; 255: none |
//! | 7 | bites in a row, including this one |
//! | 8..12 | task; 0xFFFFFFFF: the supervisor; 0 in a provisional record, as all times |
//! | 12..24 | name of the task, and zeros behind it |
//! | 24..32 | time of the last sign of life, in ms |
//! | 32..40 | time at which the failure was found, in ms |
//! | 40..56 | a note by the program |
//! | 56..60 | CRC-32 (as in Ethernet and zip) of bytes 0..56 |

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use thiserror::Error;

use crate::bite::{Failure, Fault, TaskId};
use crate::name::Name;
use crate::report::MOST_STEPS;
use crate::time::Instant;

const MAGIC: [u8; 4] = *b"WDcr";
const VERSION: u8 = 2;
const NO_STEP: u8 = 255;
const _: () = assert!(MOST_STEPS < NO_STEP, "no checkpoint is written as 'none'");
/// Computed bit by bit: slower than with a table, and 1 KiB smaller.
const CHECKSUM: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// The end of a run, recorded for the next boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct CrashRecord {
    /// The failure. `None`: the run ended without last words, so the supervisor was not polled any more, or the device
    /// was reset by something else.
    pub failure: Option<Failure>,
    /// Bites in a row, including this one. A device that bites again and again should change its behaviour.
    pub in_a_row: u8,
    /// A note by the program, such as a program counter or a block number.
    pub note: [u8; 16],
}

impl CrashRecord {
    /// The length of a record in bytes.
    pub const LEN: usize = 60;
    const SUMMED: usize = Self::LEN - 4;

    /// A record of the first bite in a row, without a note.
    pub const fn new(failure: Failure) -> Self {
        Self { failure: Some(failure), in_a_row: 1, note: [0; 16] }
    }

    /// The provisional record of a run, for its beginning: the run has ended without last words if the next boot finds
    /// it.
    pub const fn running() -> Self {
        Self { failure: None, in_a_row: 1, note: [0; 16] }
    }

    /// Clears the bytes before an end on purpose, so that the next boot finds no record.
    pub const fn clear(bytes: &mut [u8; Self::LEN]) {
        *bytes = [0; Self::LEN];
    }

    /// Adds a note.
    pub const fn note(mut self, note: [u8; 16]) -> Self {
        self.note = note;
        self
    }

    /// Counts the bites in a row: this bite follows `previous`, the record that was read at boot.
    pub const fn after(mut self, previous: Option<&Self>) -> Self {
        self.in_a_row = match previous {
            Some(previous) => previous.in_a_row.saturating_add(1),
            None => 1,
        };
        self
    }

    /// The record as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, 0, MAGIC);
        let (fault, step) = match self.failure {
            Some(failure) => (failure.fault as u8, failure.step.unwrap_or(NO_STEP)),
            None => (PROVISIONAL, NO_STEP),
        };
        put(&mut bytes, 4, [VERSION, fault, step, self.in_a_row]);
        if let Some(Failure { task, name, since, at, fault: _, step: _ }) = self.failure {
            put(&mut bytes, 8, task.index().to_le_bytes());
            put(&mut bytes, 12, name.to_bytes());
            put(&mut bytes, 24, since.as_millis().to_le_bytes());
            put(&mut bytes, 32, at.as_millis().to_le_bytes());
        }
        put(&mut bytes, 40, self.note);
        let sum = checksum(&bytes).to_le_bytes();
        put(&mut bytes, Self::SUMMED, sum);
        bytes
    }

    /// Reads a record from these bytes, which may have any value.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: there is no record, or it is damaged.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, RecordError> {
        if get(bytes, 0) != MAGIC {
            return Err(RecordError::Absent);
        }
        let [version, fault, step, in_a_row] = get(bytes, 4);
        // Another version may be longer or shorter, so its checksum lies elsewhere.
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        if u32::from_le_bytes(get(bytes, Self::SUMMED)) != checksum(bytes) {
            return Err(RecordError::Damaged);
        }
        let failure = match fault {
            PROVISIONAL => None,
            fault => Some(Failure {
                task: TaskId::new(u32::from_le_bytes(get(bytes, 8))),
                name: Name::from_bytes(get(bytes, 12)),
                fault: Fault::from_code(fault).ok_or(RecordError::Damaged)?,
                step: (step != NO_STEP).then_some(step),
                since: Instant::from_millis(u64::from_le_bytes(get(bytes, 24))),
                at: Instant::from_millis(u64::from_le_bytes(get(bytes, 32))),
            }),
        };
        Ok(Self { failure, in_a_row, note: get(bytes, 40) })
    }

    /// Reads a record from these bytes and clears them, so that the next boot does not find it again.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: there is no record, or it is damaged. The bytes are cleared in this case, too.
    pub fn take(bytes: &mut [u8; Self::LEN]) -> Result<Self, RecordError> {
        let record = Self::from_bytes(bytes);
        Self::clear(bytes);
        record
    }
}

/// The fault of a provisional record.
const PROVISIONAL: u8 = 0;

/// The checksum of a record, without the checksum in it.
#[inline(never)]
fn checksum(record: &[u8; CrashRecord::LEN]) -> u32 {
    CHECKSUM.checksum(record.split_at(CrashRecord::SUMMED).0)
}

/// Writes a field. All places are constants, so the check costs nothing.
#[inline(always)]
fn put<const N: usize>(record: &mut [u8; CrashRecord::LEN], at: usize, field: [u8; N]) {
    let place = record.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    debug_assert!(place.is_some(), "every field lies within the record");
    if let Some(place) = place {
        *place = field;
    }
}

/// Reads a field.
#[inline(always)]
fn get<const N: usize>(record: &[u8; CrashRecord::LEN], at: usize) -> [u8; N] {
    let field = record.get(at..).and_then(<[u8]>::first_chunk);
    debug_assert!(field.is_some(), "every field lies within the record");
    field.copied().unwrap_or([0; N])
}

/// Why there is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RecordError {
    /// No record was written, or the power has been off since.
    #[error("there is no crash record")]
    Absent,
    /// There is a record, but its checksum or a field is wrong.
    #[error("the crash record is damaged")]
    Damaged,
    /// There is a record of another version of the layout.
    #[error("the crash record is of version {0}")]
    Version(u8),
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

    use super::*;

    const FAILURE: Failure = Failure {
        task: TaskId::new(0x0403_0201),
        name: Name::from_bytes(*b"pump 1\0\0\0\0\0\0"),
        fault: Fault::OutOfOrder,
        step: Some(7),
        since: Instant::from_millis(0x1122_3344_5566_7788),
        at: Instant::from_millis(9),
    };
    const RECORD: CrashRecord = CrashRecord::new(FAILURE).note(*b"0123456789abcdef");

    fn sealed(mut bytes: [u8; CrashRecord::LEN]) -> [u8; CrashRecord::LEN] {
        let sum = CHECKSUM.checksum(&bytes[..56]).to_le_bytes();
        bytes[56..].copy_from_slice(&sum);
        bytes
    }

    #[test]
    fn the_layout_is_as_documented() {
        let bytes = RECORD.to_bytes();
        assert_eq!(bytes[..12], *b"WDcr\x02\x03\x07\x01\x01\x02\x03\x04");
        assert_eq!(bytes[12..24], *b"pump 1\0\0\0\0\0\0");
        assert_eq!(bytes[24..40], *b"\x88\x77\x66\x55\x44\x33\x22\x11\x09\0\0\0\0\0\0\0");
        assert_eq!(bytes[40..56], *b"0123456789abcdef");
        // The check value of this CRC-32; zlib's crc32() gives the same.
        assert_eq!(CHECKSUM.checksum(b"123456789"), 0xCBF4_3926);
        assert_eq!(sealed(bytes), bytes);
    }

    #[test]
    fn every_fault_survives_writing_and_reading() {
        for fault in Fault::ALL {
            for step in [None, Some(0), Some(14)] {
                let failure = Some(Failure { fault, step, ..FAILURE });
                let record = CrashRecord { failure, in_a_row: 200, ..RECORD };
                assert_eq!(CrashRecord::from_bytes(&record.to_bytes()), Ok(record));
            }
        }
    }

    #[test]
    fn a_record_can_be_taken_once() {
        let mut bytes = RECORD.to_bytes();
        assert_eq!(CrashRecord::take(&mut bytes), Ok(RECORD));
        assert_eq!(CrashRecord::take(&mut bytes), Err(RecordError::Absent));
        let mut bytes = [0xFF; CrashRecord::LEN];
        assert_eq!(CrashRecord::take(&mut bytes), Err(RecordError::Absent));
        assert_eq!(bytes, [0; CrashRecord::LEN]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = RECORD.to_bytes();
        for bit in 0..CrashRecord::LEN * 8 {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = match bit {
                0..32 => RecordError::Absent,
                32..40 => RecordError::Version(bytes[4]),
                _ => RecordError::Damaged,
            };
            assert_eq!(CrashRecord::from_bytes(&bytes), Err(error), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_version_or_with_an_unknown_fault_is_an_error() {
        let mut bytes = RECORD.to_bytes();
        bytes[4] = 1;
        assert_eq!(CrashRecord::from_bytes(&bytes), Err(RecordError::Version(1)));
        let mut bytes = RECORD.to_bytes();
        bytes[5] = 8;
        assert_eq!(CrashRecord::from_bytes(&sealed(bytes)), Err(RecordError::Damaged));
    }

    #[test]
    fn a_provisional_record_survives_writing_and_reading() {
        let record = CrashRecord { in_a_row: 3, ..CrashRecord::running() };
        let bytes = record.to_bytes();
        assert_eq!(bytes[..8], *b"WDcr\x02\x00\xFF\x03");
        assert_eq!(bytes[8..40], [0; 32]);
        assert_eq!(CrashRecord::from_bytes(&bytes), Ok(record));
    }

    /// The ends of a run.
    #[derive(Clone, Copy)]
    enum Ends {
        Hangs,
        SaysItsLastWords,
        OnPurpose,
        WithoutPower,
    }

    #[test]
    fn a_hang_without_last_words_counts_as_a_bite_and_an_end_on_purpose_does_not() {
        use Ends::{Hangs, OnPurpose, SaysItsLastWords, WithoutPower};
        let mut bytes = [0x5A; CrashRecord::LEN];
        let runs = [
            (Hangs, 0),
            (Hangs, 1),
            (SaysItsLastWords, 2),
            (Hangs, 3),
            (OnPurpose, 4),
            (SaysItsLastWords, 0),
            (SaysItsLastWords, 1),
            (WithoutPower, 2),
            (Hangs, 0),
        ];
        for (number, (ends, before)) in runs.into_iter().enumerate() {
            let last = CrashRecord::take(&mut bytes).ok();
            assert_eq!(last.map_or(0, |last| last.in_a_row), before, "run {number}");
            bytes = CrashRecord::running().after(last.as_ref()).to_bytes();
            match ends {
                Hangs => {}
                SaysItsLastWords => {
                    bytes = CrashRecord::new(FAILURE).after(last.as_ref()).to_bytes();
                }
                OnPurpose => CrashRecord::clear(&mut bytes),
                WithoutPower => bytes = [0xC3; CrashRecord::LEN],
            }
        }
    }

    #[test]
    fn bites_in_a_row_are_counted_and_do_not_wrap() {
        let second = RECORD.after(Some(&RECORD));
        assert_eq!((RECORD.after(None).in_a_row, second.in_a_row), (1, 2));
        let many = CrashRecord { in_a_row: 255, ..RECORD };
        assert_eq!(RECORD.after(Some(&many)).in_a_row, 255);
    }
}
