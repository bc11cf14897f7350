//! [`Reception`]: an update that comes in, chunk by chunk, each in pieces of any length.
//!
//! Chunks are taken in order, because the transport keeps the order: if one is missing, it was lost with a connection or
//! at the broker, and the device asks again from there on. So the log of the slot is all that a restart needs.
//!
//! No piece is kept: it is hashed and written at once, into sectors that are erased when the chunk begins. If the chunk
//! turns out to be damaged, or breaks off, these sectors are erased again for its repetition.

use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

use crate::{
    chunk::{ChunkHeader, Want},
    layout::{LARGEST_UNIT, Slot},
    manifest::Manifest,
    slots::{Error, Mark, Slots},
};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// The chunk is in the slot.
    Stored,
    /// The chunk was in the slot already.
    Known,
    /// Chunks before it are missing.
    Gap,
    /// The chunk is not as its header says.
    Damaged,
    /// The message is not a chunk of this image.
    Foreign,
}

/// An update that comes in.
#[derive(Debug)]
pub struct Reception {
    slot: Slot,
    manifest: Manifest,
    next: u32,
    message: Message,
}

/// The message that comes in.
#[derive(Debug)]
enum Message {
    /// Its header is not complete.
    Header([u8; ChunkHeader::LEN], usize),
    /// Its bytes are written.
    Data(Data),
    /// It is read and forgotten.
    Skipped(Taken),
}

#[derive(Debug)]
struct Data {
    header: ChunkHeader,
    hash: Sha256,
    /// The place in flash of the next bytes.
    at: u32,
    /// Bytes of the message.
    len: u32,
    /// Less than a unit, until the rest of it comes.
    held: ([u8; LARGEST_UNIT], usize),
}

impl Reception {
    pub(crate) const fn new(slot: Slot, manifest: Manifest, next: u32) -> Self {
        Self { slot, manifest, next, message: Message::Skipped(Taken::Foreign) }
    }

    /// The image.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The number of chunks that are in the slot, which is the number of the next one.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Whether all chunks are in the slot.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.next == self.manifest.chunks()
    }

    /// The wish for the next chunks, at most `count`.
    #[must_use]
    pub fn want(&self, round: u32, count: u32) -> Want {
        let count = count.min(self.manifest.chunks() - self.next);
        Want { image: self.manifest.image(), round, first: self.next, count }
    }

    /// A message begins. The one before is void if it has not ended.
    pub fn start(&mut self) {
        self.message = Message::Header([0; ChunkHeader::LEN], 0);
    }

    /// The next bytes of the message.
    ///
    /// # Errors
    ///
    /// The flash failed. The rest of the message is skipped.
    pub fn bytes<F: NorFlash>(
        &mut self,
        slots: &mut Slots<F>,
        mut bytes: &[u8],
    ) -> Result<(), Error<F::Error>> {
        if let Message::Header(header, len) = &mut self.message {
            let missing = header.get_mut(*len..).unwrap_or_default();
            let (now, rest) = bytes.split_at(missing.len().min(bytes.len()));
            missing.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            (*len, bytes) = (*len + now.len(), rest);
            if *len < ChunkHeader::LEN {
                return Ok(());
            }
            let header = *header;
            self.message = Message::Skipped(Taken::Foreign);
            self.message = self.open(slots, &header)?;
        }
        let Message::Data(data) = &mut self.message else { return Ok(()) };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        data.len = data.len.saturating_add(len);
        if data.len > data.header.len {
            self.message = Message::Skipped(Taken::Damaged);
            return Ok(());
        }
        let written = data.write(slots, bytes);
        if written.is_err() {
            self.message = Message::Skipped(Taken::Damaged);
        }
        written
    }

    /// The message is complete.
    ///
    /// # Errors
    ///
    /// The flash failed. The chunk counts as not received.
    pub fn end<F: NorFlash>(&mut self, slots: &mut Slots<F>) -> Result<Taken, Error<F::Error>> {
        let message = core::mem::replace(&mut self.message, Message::Skipped(Taken::Foreign));
        let mut data = match message {
            Message::Header(..) => return Ok(Taken::Foreign),
            Message::Skipped(taken) => return Ok(taken),
            Message::Data(data) => data,
        };
        let hash: [u8; 32] = data.hash.clone().finalize().into();
        if data.len != data.header.len || hash != data.header.hash {
            return Ok(Taken::Damaged);
        }
        data.write_held(slots)?;
        slots.note_received(self.slot, self.next)?;
        self.next += 1;
        Ok(Taken::Stored)
    }

    /// Checks the whole image as it stands in flash. If its hash is right, the next boot tries it: `true`. If not, the slot
    /// is empty again. Gives the number of bytes so far to `progress`.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub fn finish<F: NorFlash>(
        self,
        slots: &mut Slots<F>,
        progress: impl FnMut(u32),
    ) -> Result<bool, Error<F::Error>> {
        let whole = self.is_complete() && slots.is_whole(self.slot, &self.manifest, progress)?;
        if whole {
            slots.mark(self.slot, Mark::Ready)?;
        } else {
            slots.clear(self.slot)?;
        }
        Ok(whole)
    }

    /// Judges a header, and erases the sectors of a chunk that is wanted.
    fn open<F: NorFlash>(
        &self,
        slots: &mut Slots<F>,
        header: &[u8; ChunkHeader::LEN],
    ) -> Result<Message, Error<F::Error>> {
        let Some(header) = ChunkHeader::decode(header) else {
            return Ok(Message::Skipped(Taken::Foreign));
        };
        let skipped = |taken| Ok(Message::Skipped(taken));
        if header.image != self.manifest.image() {
            return skipped(Taken::Foreign);
        }
        let range = self.manifest.range(header.number);
        let Some(range) = range.filter(|range| range.len() == header.len as usize) else {
            return skipped(Taken::Damaged);
        };
        if header.total != self.manifest.chunks() {
            return skipped(Taken::Damaged);
        }
        if header.number < self.next {
            return skipped(Taken::Known);
        }
        if header.number > self.next {
            return skipped(Taken::Gap);
        }
        // It is below the size of the image, which fits into the slot.
        let at = slots.layout.data(self.slot) + u32::try_from(range.start).unwrap_or(0);
        let end = slots.layout.sector_end(at + header.len);
        slots.flash.erase(at, end).map_err(Error::Flash)?;
        let held = ([0xFF; LARGEST_UNIT], 0);
        Ok(Message::Data(Data { header, hash: Sha256::new(), at, len: 0, held }))
    }
}

impl Data {
    fn write<F: NorFlash>(
        &mut self,
        slots: &mut Slots<F>,
        mut bytes: &[u8],
    ) -> Result<(), Error<F::Error>> {
        self.hash.update(bytes);
        let (held, count) = &mut self.held;
        if *count > 0 {
            let missing = held.get_mut(*count..F::WRITE_SIZE).unwrap_or_default();
            let (now, rest) = bytes.split_at(missing.len().min(bytes.len()));
            missing.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            (*count, bytes) = (*count + now.len(), rest);
            if *count < F::WRITE_SIZE {
                return Ok(());
            }
            self.write_held(slots)?;
        }
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % F::WRITE_SIZE);
        if !whole.is_empty() {
            slots.flash.write(self.at, whole).map_err(Error::Flash)?;
            self.at += u32::try_from(whole.len()).unwrap_or(0);
        }
        let (held, count) = &mut self.held;
        held.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        *count = rest.len();
        Ok(())
    }

    /// Writes the unit that is held. What is missing of it stays erased.
    fn write_held<F: NorFlash>(&mut self, slots: &mut Slots<F>) -> Result<(), Error<F::Error>> {
        let (held, count) = core::mem::replace(&mut self.held, ([0xFF; LARGEST_UNIT], 0));
        if count == 0 {
            return Ok(());
        }
        let unit = held.get(..F::WRITE_SIZE).unwrap_or_default();
        slots.flash.write(self.at, unit).map_err(Error::Flash)?;
        self.at += u32::try_from(unit.len()).unwrap_or(0);
        Ok(())
    }
}
