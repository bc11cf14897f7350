//! A journal in flash memory, for devices without a file system: no std, no heap.
//!
//! [`FlashJournal`] keeps records in any [`NorFlash`], internal or external, as items of the queue of
//! [`sequential_storage`], which handles words, pages and checksums. A long record takes several items.
//!
//! ```
//! use embedded_storage_async::nor_flash::NorFlash;
//! use mqtt_core::{
//!     Action, Instant, Options, StaticClient,
//!     driver::journal::{Journal, flash::{FlashJournal, Scratch, scratch_len}, replay},
//! };
//!
//! async fn run<F: NorFlash<Error: 'static>>(flash: F) -> Result<(), Box<dyn core::error::Error>> {
//!     let mut client = StaticClient::<1024, 8>::new_static(&Options::new("meter-7").journal(true))?;
//!     // The last 64 KiB of a flash of 1 MiB.
//!     let scratch = Scratch::<{ scratch_len(1024, 8) }>::new();
//!     let mut journal = FlashJournal::new(flash, 0xF_0000..0x10_0000, scratch)?;
//!     replay(&mut journal, &mut client).await?;
//!     loop {
//!         if journal.is_long() {
//!             client.compact();
//!         }
//!         match client.poll(Instant::from_millis(0)) {
//!             Action::Persist(record) => {
//!                 journal.append(&record).await?;
//!                 client.persisted();
//!             }
//!             _ => return Ok(()), // yours
//!         }
//!     }
//! }
//! ```
//!
//! # Power cuts
//!
//! The range has two halves. One holds the journal, the other one is erased. If the first [is long](Journal::is_long),
//! the next snapshot goes to the other half. The first half is erased only after this snapshot is whole. A power cut
//! between the two leaves both halves, and the newer one counts if its snapshot is complete. So a snapshot always finds
//! room, however often power fails while it is written. Nothing is written twice between two erasures, with one
//! exception: if power failed while the queue marked a page with zeros, it writes the zeros again. Flash with error
//! correction allows a second write of zeros and no other, so it can be used.
//!
//! Power may fail within any write and any erasure. A record with a missing item at its end was not confirmed, and the
//! next record replaces it. Items are numbered: if one in the middle is missing or does not match its checksum, a
//! confirmed record is damaged. That is [`FlashError::Damaged`]; the session is not restored with a gap. (Damage to the
//! last record cannot be distinguished from a power cut.)
//!
//! The futures may be dropped at any time. It is as if power had failed at that moment, and the next call reads the
//! flash again.
//!
//! # Wear
//!
//! The table gives the erasures of pages for a million messages, and the number of messages a day that wear out 64 KiB
//! of NOR flash in ten years: 16 pages of 4 KiB with 100,000 erasures each. All pages are erased equally often. Topics
//! have 11 bytes. Messages go one at a time, ten in a second, which is the worst case: messages accepted together share
//! a record.
//!
//! | message | payload | erasures, `record_delay(0)` | a day | erasures, `record_delay(1_000)` | a day |
//! |---|---|---|---|---|---|
//! | published, QoS 1 | 16 | 22,800 | 19,200 | 16,000 | 27,400 |
//! | published, QoS 1 | 128 | 53,700 | 8,160 | 46,800 | 9,360 |
//! | published, QoS 1 | 1024 | 308,000 | 1,420 | 308,000 | 1,420 |
//! | published, QoS 2 | 16 | 30,100 | 14,600 | 23,300 | 18,800 |
//! | published, QoS 2 | 128 | 59,700 | 7,340 | 53,700 | 8,160 |
//! | published, QoS 2 | 1024 | 308,000 | 1,420 | 308,000 | 1,420 |
//! | received, QoS 2 | 16 | 14,700 | 29,800 | 14,700 | 29,800 |
//! | received, QoS 2 | 128 | 14,700 | 29,800 | 14,700 | 29,800 |
//! | received, QoS 2 | 1024 | 14,700 | 29,800 | 14,700 | 29,800 |
//!
//! If the delay is longer than the time between two messages, the end of one message is recorded together with the next
//! message. Messages of QoS 0 and messages received at QoS 1 are not recorded. The figures are measured on simulated
//! flash in RAM: `cargo test -p mqtt-core --features journal-flash --test flash wear -- --ignored --nocapture` prints
//! the table, and a test keeps it within 5 %. Twice as much flash lasts for twice as many messages.
//!
//! An append writes the record and 10 bytes for each of its items, in whole words; an item holds up to an eighth of a
//! page (128 bytes to 4 KiB). If a snapshot moves the journal, its append also erases half of the range and takes that
//! much longer.

mod error;
mod layout;

use core::{convert::Infallible, fmt::Debug, ops::Range};

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    queue::{QueueConfig, QueueStorage},
};

pub use self::error::{FlashConfigError, FlashError};
use self::layout::{Half, Layout, TAG_LEN, Tag, moves_after, number_after};
use super::{Journal, ReplayError, longest_record};
use crate::{Record, RestoreError};

type Queue<'f, F> = QueueStorage<&'f mut F, Cache<Uncached, Uncached, Uncached>>;

/// Bytes of scratch that a journal needs for every record of a client with `outbox` bytes and `window` slots.
#[must_use]
pub const fn scratch_len(outbox: usize, window: usize) -> usize {
    // The rest is for flash with the largest words.
    longest_record(outbox, window).next_multiple_of(32)
}

/// `N` bytes at an address that is a multiple of 4, as the DMA of some flash controllers needs it.
#[derive(Clone, Debug)]
#[repr(align(4))]
pub struct Scratch<const N: usize>([u8; N]);

impl<const N: usize> Scratch<N> {
    /// `N` zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Default for Scratch<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> AsMut<[u8]> for Scratch<N> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// The state of the half in use.
#[derive(Clone, Copy, Debug)]
struct Log {
    half: Half,
    /// Moves of the journal from half to half; see [`Tag`].
    moves: u8,
    /// Number of the next item.
    number: u16,
    /// Free bytes.
    free: u32,
}

/// The content of a half, as it was found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Whole records.
    records: usize,
    /// Moves in the tag of the first item; `None` if there is no item.
    moves: Option<u8>,
    /// Number of the next item.
    number: u16,
    /// An item is missing.
    damaged: bool,
}

/// A journal in a range of flash `F`, with scratch memory `B`.
#[derive(Debug)]
pub struct FlashJournal<F, B> {
    flash: F,
    scratch: B,
    layout: Layout,
    /// `None` before the flash was read, and after a write that may have failed.
    log: Option<Log>,
}

impl<F, B> FlashJournal<F, B>
where
    F: NorFlash,
    F::Error: Debug,
    B: AsMut<[u8]>,
{
    /// A journal in `range` of `flash`. The range is whole pages that nothing else uses and that were erased before the
    /// first use.
    ///
    /// Records are put together in `scratch`, [`scratch_len`] bytes, which is handed to the flash driver: its alignment
    /// has to suit the driver. This call does not access the flash.
    ///
    /// # Errors
    ///
    /// [`FlashConfigError`] if the sizes of `range`, `scratch`, page and word do not fit together.
    pub fn new(flash: F, range: Range<u32>, mut scratch: B) -> Result<Self, FlashConfigError> {
        let layout = Layout::new::<F>(range, scratch.as_mut().len())?;
        Ok(Self { flash, scratch, layout, log: None })
    }

    /// Erases the journal: its records are lost, and the next record is the first.
    ///
    /// # Errors
    ///
    /// The error of the flash driver.
    pub async fn clear(&mut self) -> Result<(), FlashError<F::Error>> {
        self.log = None;
        for half in [Half::Lower, Half::Upper] {
            self.erase(half).await?;
        }
        Ok(())
    }

    /// The flash, to read it or to get its statistics.
    pub const fn flash(&self) -> &F {
        &self.flash
    }

    /// Gives back the flash and the scratch.
    pub fn into_parts(self) -> (F, B) {
        (self.flash, self.scratch)
    }

    /// The state of the half in use. If it is not known, the flash is read, and the other half is erased.
    async fn log(&mut self) -> Result<Log, FlashError<F::Error>> {
        if let Some(log) = self.log {
            return Ok(log);
        }
        let lower = self.look(Half::Lower).await?;
        let upper = self.look(Half::Upper).await?;
        let (half, found) = in_use(lower, upper).ok_or(FlashError::Damaged)?;
        if !self.is_erased(half.other()).await? {
            self.erase(half.other()).await?;
        }
        if found.records == 0 && !self.is_erased(half).await? {
            // A power cut interrupted the first record.
            self.erase(half).await?;
        }
        let free = self.queue(half)?.space_left().await.map_err(FlashError::new)?;
        let (moves, number) = match found.records {
            0 => (0, 0),
            _ => (found.moves.unwrap_or(0), found.number),
        };
        let log = Log { half, moves, number, free };
        self.log = Some(log);
        Ok(log)
    }

    async fn look(&mut self, half: Half) -> Result<Found, FlashError<F::Error>> {
        match self.walk(half, |_| Ok::<(), Infallible>(())).await? {
            Ok(found) => Ok(found),
            Err(never) => match never {},
        }
    }

    /// Joins the items of `half` to records and hands them to `take`, oldest first, until it refuses one.
    async fn walk<E>(
        &mut self,
        half: Half,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<Found, E>, FlashError<F::Error>> {
        let Self { flash, scratch, layout, .. } = self;
        let scratch = scratch.as_mut();
        let mut queue = queue(flash, layout.range(half))?;
        let mut items = queue.iter().await.map_err(FlashError::new)?;
        let mut found = Found::default();
        // Bytes of the current record so far.
        let mut joined = 0;
        loop {
            let space = scratch.get_mut(joined..).unwrap_or_default();
            let mut at = joined;
            let mut item =
                items.next(space).await.map(|item| item.map(|item| item.into_buf().len()));
            if matches!(item, Err(Error::BufferTooSmall(_))) && joined != 0 {
                // It may be the first item of another record.
                at = 0;
                let whole = &mut *scratch;
                item = items.next(whole).await.map(|item| item.map(|item| item.into_buf().len()));
            }
            let len = match item {
                Ok(Some(len)) => len,
                Ok(None) => return Ok(Ok(found)),
                Err(Error::BufferTooSmall(needed)) => {
                    return Err(FlashError::RecordTooLong { needed, capacity: layout.capacity() });
                }
                Err(error) => return Err(FlashError::new(error)),
            };
            let tagged = scratch.get(at..at + len).and_then(|item| item.split_last_chunk());
            let Some((piece, tag)) = tagged.map(|(piece, tag)| (piece.len(), Tag::decode(*tag)))
            else {
                found.damaged = true;
                return Ok(Ok(found));
            };
            let moves = *found.moves.get_or_insert(tag.moves);
            let begins = joined != 0 || tag.first;
            if tag.number != found.number || tag.moves != moves || !begins {
                found.damaged = true;
                return Ok(Ok(found));
            }
            found.number = number_after(tag.number);
            if tag.first {
                // A power cut interrupted the record before it.
                scratch.copy_within(at..at + piece, 0);
                joined = 0;
            } else if at != joined {
                let needed = joined + piece;
                return Err(FlashError::RecordTooLong { needed, capacity: layout.capacity() });
            }
            joined += piece;
            if tag.last {
                let record = scratch.get(..joined).unwrap_or_default();
                if let Err(error) = take(record) {
                    return Ok(Err(error));
                }
                found.records += 1;
                joined = 0;
            }
        }
    }

    /// Writes a record at the end of the journal in `log.half`, which then has `free` bytes; returns the new state.
    async fn write(
        &mut self,
        record: &Record<'_>,
        mut log: Log,
        free: u32,
    ) -> Result<Log, FlashError<F::Error>> {
        let Self { flash, scratch, layout, .. } = self;
        let (scratch, capacity) = (scratch.as_mut(), layout.capacity());
        let needed = record.copy_to(scratch).map_or(record.len(), <[u8]>::len);
        let mut queue = queue(flash, layout.range(log.half))?;
        let mut at = 0;
        while at < needed {
            let end = needed.min(at + layout.piece());
            let (first, last) = (at == 0, end == needed);
            let tag = Tag { first, last, moves: log.moves, number: log.number };
            // The tag overwrites the first bytes of the next piece. They are restored after the write.
            let behind = scratch.get_mut(end..).and_then(|rest| rest.first_chunk_mut());
            let Some(behind) = behind else {
                return Err(FlashError::RecordTooLong { needed, capacity });
            };
            let next: [u8; TAG_LEN] = core::mem::replace(behind, tag.encode());
            let item = scratch.get(at..end + TAG_LEN).unwrap_or_default();
            queue.push(item, false).await.map_err(FlashError::new)?;
            if let Some(behind) = scratch.get_mut(end..end + TAG_LEN) {
                behind.copy_from_slice(&next);
            }
            log.number = number_after(log.number);
            at = end;
        }
        Ok(Log { free, ..log })
    }

    fn queue(&mut self, half: Half) -> Result<Queue<'_, F>, FlashError<F::Error>> {
        queue(&mut self.flash, self.layout.range(half))
    }

    async fn erase(&mut self, half: Half) -> Result<(), FlashError<F::Error>> {
        let Range { start, end } = self.layout.range(half);
        self.flash.erase(start, end).await.map_err(FlashError::Flash)
    }

    /// Whether every byte of `half` is erased.
    async fn is_erased(&mut self, half: Half) -> Result<bool, FlashError<F::Error>> {
        let Range { mut start, end } = self.layout.range(half);
        let scratch = self.scratch.as_mut();
        // A piece is whole words, and shorter than a scratch that has room for records.
        let most = self.layout.piece().min(scratch.len() / F::READ_SIZE.max(1) * F::READ_SIZE);
        while start < end {
            let len = most.min((end - start) as usize);
            let Some(space) = scratch.get_mut(..len).filter(|space| !space.is_empty()) else {
                return Ok(false);
            };
            self.flash.read(start, space).await.map_err(FlashError::Flash)?;
            if space.iter().any(|byte| *byte != 0xFF) {
                return Ok(false);
            }
            start += len as u32;
        }
        Ok(true)
    }
}

/// The half that holds the journal; `None` if that is unclear, or if the journal is damaged.
fn in_use(lower: Found, upper: Found) -> Option<(Half, Found)> {
    let (lower, upper) = ((Half::Lower, lower), (Half::Upper, upper));
    let (newer, older) = match (lower.1.moves, upper.1.moves) {
        (None, None) => return Some(lower),
        (Some(_), None) => (lower, None),
        (None, Some(_)) => (upper, None),
        (Some(a), Some(b)) if a == moves_after(b) => (lower, Some(upper)),
        (Some(a), Some(b)) if b == moves_after(a) => (upper, Some(lower)),
        (Some(_), Some(_)) => return None,
    };
    let chosen = match older {
        // A power cut interrupted the snapshot in the newer half.
        Some(older) if newer.1.records == 0 && !newer.1.damaged => older,
        // Items that are missing in the older half were erased.
        _ => newer,
    };
    (!chosen.1.damaged).then_some(chosen)
}

fn queue<F: NorFlash>(
    flash: &mut F,
    range: Range<u32>,
) -> Result<Queue<'_, F>, FlashError<F::Error>> {
    // The layout has checked the same things.
    let config = QueueConfig::try_new(range).map_err(|_| FlashError::Damaged)?;
    Ok(QueueStorage::new(flash, config, Cache::new_uncached()))
}

impl<F, B> Journal for FlashJournal<F, B>
where
    F: NorFlash,
    F::Error: Debug,
    B: AsMut<[u8]>,
{
    type Error = FlashError<F::Error>;

    async fn append(&mut self, record: &Record<'_>) -> Result<(), Self::Error> {
        let (needed, capacity) = (record.len(), self.layout.capacity());
        if needed > capacity {
            return Err(FlashError::RecordTooLong { needed, capacity });
        }
        let mut log = self.log().await?;
        let mut free = self.layout.free_after(log.free, needed);
        let moves = record.is_snapshot() && (free.is_none() || self.is_long());
        if moves {
            let (half, moves) = (log.half.other(), moves_after(log.moves));
            log = Log { half, moves, number: 0, free: self.layout.room() };
            free = self.layout.free_after(log.free, needed);
        }
        let free = free.ok_or(FlashError::Full)?;
        self.log = None;
        let log = self.write(record, log, free).await?;
        if moves {
            self.erase(log.half.other()).await?;
        }
        self.log = Some(log);
        Ok(())
    }

    async fn read(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), ReplayError<Self::Error>> {
        let log = self.log().await.map_err(ReplayError::Medium)?;
        let (mut take, mut number) = (take, 0);
        let numbered = |record: &[u8]| {
            take(record).map_err(|error| ReplayError::Record { number, error })?;
            number += 1;
            Ok(())
        };
        self.walk(log.half, numbered).await.map_err(ReplayError::Medium)?.map(|_| ())
    }

    /// If it is false, the next record fits, whatever its length; if it is true, only a snapshot is certain to fit. It
    /// is false before the first [`append`](Journal::append) or [`read`](Journal::read), which read the flash.
    fn is_long(&self) -> bool {
        self.log.is_some_and(|log| self.layout.is_long(log.free))
    }
}
