//! [`Slots`]: two images in flash. One runs, the other one is received, and a power cut at any moment leaves one of
//! them whole.
//!
//! A slot's life, as its marks tell it:
//!
//! ```text
//! receiving ──► ready ──► trial ──► confirmed
//!                           └─────► rejected     not confirmed after three boots
//! ```
//!
//! The header holds the signed manifest and a sequence number, and a checksum ends it. Each mark is a unit behind it that
//! is written once: a number and its complement. A unit that a power cut has torn is not a mark, because no bit can
//! become one again, so one of the pairs is too large; it is passed over. The switch to the new image is one such
//! mark: `ready`.
//!
//! [`Slots::boot`] takes the slot with the highest sequence number that is ready or confirmed, checks its signature and
//! its hash, and goes to the other slot if that fails. An image that was on trial for [`TRIALS`] boots and has not
//! confirmed itself is rejected, unless there is no other one. One boot is too few: a power cut in it would end the
//! update of a good image.
//!
//! The device needs no other state: what it has received stands in the log of the slot.

use core::fmt::Debug;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use ed25519_dalek::VerifyingKey;
use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use crate::layout::Slot;
use crate::{
    Version,
    fields::{Fields, joined},
    layout::{HEADER, LARGEST_UNIT, Layout, unit},
    manifest::{Manifest, ManifestError, Product, Signed},
    reception::Reception,
};

const MAGIC: [u8; 4] = *b"SLOT";
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
/// Magic, sequence number, manifest.
const CHECKED: usize = 8 + Manifest::LEN;
/// Boots that an image has to confirm itself.
pub const TRIALS: u32 = 3;
/// Bytes that are read at once for a hash.
const PART: usize = 512;

/// Two slots in a flash, and the key that images have to be signed with.
#[derive(Debug)]
pub struct Slots<F> {
    pub(crate) flash: F,
    key: VerifyingKey,
    pub(crate) layout: Layout,
}

/// The image that [`Slots::boot`] has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its slot.
    pub slot: Slot,
    /// What it is.
    pub manifest: Manifest,
    /// It has not confirmed itself yet: see [`Slots::confirm`].
    pub trial: bool,
    /// The version that this boot has rejected, because it did not confirm itself.
    pub rolled_back: Option<Version>,
}

/// A slot with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    sequence: u32,
    signed: Signed,
    manifest: Manifest,
    state: Mark,
    trials: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// No mark yet.
    Receiving = 0,
    Ready = 1,
    Trial = 2,
    Confirmed = 3,
    Rejected = 4,
}

/// Why the slots cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error<E: Debug> {
    /// The flash failed.
    #[error("the flash: {0:?}")]
    Flash(E),
    /// The flash has no room for two slots, or its sectors or units have a size that they cannot have.
    #[error("this flash cannot hold two slots")]
    Unsuitable,
    /// Dozens of power cuts have torn all marks of a slot.
    #[error("a slot has no room for another mark")]
    MarksFull,
}

/// Why an image is not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The manifest is not valid.
    #[error("the manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The image is for another product.
    #[error("it is for {0}, another product")]
    Product(Product),
    /// This version runs.
    #[error("version {0} runs already")]
    Current(Version),
    /// A later version runs.
    #[error("version {offered} is older than {running}, which runs")]
    Older {
        /// The running version.
        running: Version,
        /// That of the manifest.
        offered: Version,
    },
    /// The image does not fit into a slot.
    #[error("its {size} bytes do not fit into a slot of {room}")]
    TooLarge {
        /// Bytes of the image.
        size: u32,
        /// Bytes of a slot.
        room: u32,
    },
    /// A chunk is not a whole number of sectors.
    #[error("its chunks of {chunk} bytes are not whole sectors of {sector}")]
    ChunkSize {
        /// Bytes of a chunk.
        chunk: u32,
        /// Bytes of a sector.
        sector: u32,
    },
    /// The running image is on trial, so the other slot has to stay as it is.
    #[error("the running image is on trial")]
    OnTrial,
    /// It waits for the next boot.
    #[error("it is here, and waits for the next boot")]
    Waiting,
    /// It was on trial here, and did not confirm itself.
    #[error("it was on trial here, and failed")]
    Failed,
}

/// Why [`Slots::begin`] begins nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BeginError<E: Debug> {
    /// The image is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The slots cannot be used.
    #[error(transparent)]
    Slots(#[from] Error<E>),
}

impl<F: NorFlash> Slots<F> {
    /// The slots in `flash`, which believe the images that `key` has signed.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`].
    pub fn new(flash: F, key: VerifyingKey) -> Result<Self, Error<F::Error>> {
        let layout = Layout::of(&flash).ok_or(Error::Unsuitable)?;
        Ok(Self { flash, key, layout })
    }

    /// Bytes of a flash whose slots take images of up to `room` bytes. `None`: no flash is as large.
    #[must_use]
    pub fn capacity(room: u32) -> Option<u32> {
        Layout::capacity::<F>(room)
    }

    /// Bytes of the largest image.
    #[must_use]
    pub const fn room(&self) -> u32 {
        self.layout.data
    }

    /// The flash.
    pub const fn flash(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Chooses the image to run. `None`: there is none.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub fn boot(&mut self) -> Result<Option<Running>, Error<F::Error>> {
        let (a, b) = (self.content(Slot::A)?, self.content(Slot::B)?);
        let mut slots = Slot::BOTH;
        if b.map(|content| content.sequence) > a.map(|content| content.sequence) {
            slots.reverse();
        }
        let mut rolled_back = None;
        for slot in slots {
            let Some(content) = self.content(slot)? else { continue };
            let Content { manifest, state, trials, .. } = content;
            let trial = match state {
                Mark::Receiving | Mark::Rejected => continue,
                Mark::Ready | Mark::Trial => true,
                Mark::Confirmed => false,
            };
            if trial && trials >= TRIALS && self.has_confirmed(slot.other())? {
                self.mark(slot, Mark::Rejected)?;
                rolled_back = Some(manifest.version);
                continue;
            }
            if !self.is_whole(slot, &manifest, |_| ())? {
                continue;
            }
            // If there is no other image, this one may work next time.
            if trial && trials < TRIALS {
                self.mark(slot, Mark::Trial)?;
            }
            return Ok(Some(Running { slot, manifest, trial, rolled_back }));
        }
        Ok(None)
    }

    /// The running image works: it has done what the device is for, and has reached the place that updates come from.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub fn confirm(&mut self, running: &mut Running) -> Result<(), Error<F::Error>> {
        if running.trial {
            self.mark(running.slot, Mark::Confirmed)?;
            running.trial = false;
        }
        Ok(())
    }

    /// Begins to receive the image of a manifest for this product into the slot that does not run, or goes on with it:
    /// chunks that are in the slot already are not received again.
    ///
    /// # Errors
    ///
    /// The image is refused, or the flash failed.
    pub fn begin(
        &mut self,
        signed: &[u8],
        product: Product,
        running: Option<&Running>,
    ) -> Result<Reception, BeginError<F::Error>> {
        let manifest = Manifest::verified(signed, &self.key).map_err(Refused::from)?;
        let signed: &Signed = signed
            .try_into()
            .map_err(|_| Refused::Manifest(ManifestError::Length(signed.len())))?;
        self.check(&manifest, product, running)?;
        let slot = running.map_or(Slot::A, |running| running.slot.other());
        match self.content(slot)?.filter(|content| content.signed == *signed) {
            Some(Content { state: Mark::Receiving, .. }) => {
                let next = self.received(slot, &manifest)?;
                return Ok(Reception::new(slot, manifest, next));
            }
            Some(Content { state: Mark::Ready, .. }) => return Err(Refused::Waiting.into()),
            Some(Content { state: Mark::Rejected, .. }) => return Err(Refused::Failed.into()),
            Some(Content { state: Mark::Trial | Mark::Confirmed, .. }) | None => {}
        }
        self.prepare(slot, signed)?;
        Ok(Reception::new(slot, manifest, 0))
    }

    fn check(
        &self,
        manifest: &Manifest,
        product: Product,
        running: Option<&Running>,
    ) -> Result<(), Refused> {
        if manifest.product != product {
            return Err(Refused::Product(manifest.product));
        }
        let offered = manifest.version;
        if let Some(Running { manifest: Manifest { version: running, .. }, trial, .. }) = running {
            if offered == *running {
                return Err(Refused::Current(offered));
            }
            if offered < *running {
                return Err(Refused::Older { running: *running, offered });
            }
            if *trial {
                return Err(Refused::OnTrial);
            }
        }
        let (chunk, sector) = (manifest.chunk_size, self.layout.sector);
        if chunk % sector != 0 {
            return Err(Refused::ChunkSize { chunk, sector });
        }
        let (size, room) = (manifest.size, self.layout.data);
        if size > room { Err(Refused::TooLarge { size, room }) } else { Ok(()) }
    }

    /// Makes a slot ready for an image. From the first erase on it is empty, until its header is written.
    fn prepare(&mut self, slot: Slot, signed: &Signed) -> Result<(), Error<F::Error>> {
        let others = self.content(slot.other())?.map_or(0, |content| content.sequence);
        self.clear(slot)?;
        let (begin, end) = self.layout.log(slot);
        self.flash.erase(begin, end).map_err(Error::Flash)?;
        let sequence = others.saturating_add(1);
        let checked: [u8; CHECKED] = joined(&[&MAGIC, &sequence.to_le_bytes(), signed]);
        let crc = CRC.checksum(&checked).to_le_bytes();
        let header: [u8; HEADER] = joined(&[&checked, &crc]);
        self.flash.write(self.layout.header(slot), &header).map_err(Error::Flash)
    }

    /// Forgets the image of a slot.
    pub(crate) fn clear(&mut self, slot: Slot) -> Result<(), Error<F::Error>> {
        let header = self.layout.header(slot);
        self.flash.erase(header, header + self.layout.sector).map_err(Error::Flash)
    }

    /// `None`: the slot has no header, or the key has not signed its manifest.
    fn content(&mut self, slot: Slot) -> Result<Option<Content>, Error<F::Error>> {
        let mut header = [0; CHECKED + 4];
        self.flash.read(self.layout.header(slot), &mut header).map_err(Error::Flash)?;
        let crc = header.split_last_chunk::<4>().map(|(checked, _)| CRC.checksum(checked));
        let mut fields = Fields(&header);
        let mut read = || {
            fields.array().filter(|magic| *magic == MAGIC)?;
            Some((fields.u32()?, fields.array()?, fields.u32()?))
        };
        let Some((sequence, signed, stored)) = read() else { return Ok(None) };
        let Ok(manifest) = Manifest::verified(&signed, &self.key) else { return Ok(None) };
        if crc != Some(stored) {
            return Ok(None);
        }
        let Marks { last: state, trials, .. } = self.marks(slot)?;
        Ok(Some(Content { sequence, signed, manifest, state, trials }))
    }

    fn marks(&mut self, slot: Slot) -> Result<Marks, Error<F::Error>> {
        let mut marks = Marks { last: Mark::Receiving, trials: 0, free: None };
        for number in 0.. {
            let Some(at) = self.layout.mark(slot, number) else { break };
            match self.entry(at)? {
                Entry::Erased => {
                    marks.free = Some(at);
                    break;
                }
                Entry::Torn => {}
                Entry::Number(number) => {
                    let all = [Mark::Ready, Mark::Trial, Mark::Confirmed, Mark::Rejected];
                    let known = all.into_iter().find(|mark| *mark as u32 == number);
                    marks.last = known.unwrap_or(marks.last);
                    marks.trials += u32::from(known == Some(Mark::Trial));
                }
            }
        }
        Ok(marks)
    }

    pub(crate) fn mark(&mut self, slot: Slot, mark: Mark) -> Result<(), Error<F::Error>> {
        let free = self.marks(slot)?.free.ok_or(Error::MarksFull)?;
        self.set_entry(free, mark as u32)
    }

    fn has_confirmed(&mut self, slot: Slot) -> Result<bool, Error<F::Error>> {
        let content = self.content(slot)?.filter(|content| content.state == Mark::Confirmed);
        content.map_or(Ok(false), |content| self.is_whole(slot, &content.manifest, |_| ()))
    }

    /// Whether the bytes in the slot have the hash of the manifest. Gives the number of bytes so far to `progress`.
    pub(crate) fn is_whole(
        &mut self,
        slot: Slot,
        manifest: &Manifest,
        mut progress: impl FnMut(u32),
    ) -> Result<bool, Error<F::Error>> {
        if manifest.size > self.layout.data {
            return Ok(false);
        }
        let (begin, mut hash) = (self.layout.data(slot), Sha256::new());
        for offset in (0..manifest.size).step_by(PART) {
            let left = (manifest.size - offset) as usize;
            let mut bytes = [0; PART];
            let part = bytes.get_mut(..left.min(PART)).unwrap_or_default();
            self.flash.read(begin + offset, part).map_err(Error::Flash)?;
            hash.update(part);
            progress(offset);
        }
        Ok(hash.finalize().as_slice() == manifest.hash)
    }

    /// The number of chunks that are in the slot, as its log tells. Chunks come in order, so the last entry counts; one
    /// before it may be torn.
    fn received(&mut self, slot: Slot, manifest: &Manifest) -> Result<u32, Error<F::Error>> {
        let mut next = 0;
        for number in 0..manifest.chunks() {
            if self.entry(self.layout.entry(slot, number))? == Entry::Number(number) {
                next = number + 1;
            }
        }
        Ok(next)
    }

    /// Notes that a chunk is in the slot. An entry that is torn stays so: then the next one tells.
    pub(crate) fn note_received(&mut self, slot: Slot, number: u32) -> Result<(), Error<F::Error>> {
        let at = self.layout.entry(slot, number);
        if self.entry(at)? == Entry::Erased { self.set_entry(at, number) } else { Ok(()) }
    }

    fn entry(&mut self, at: u32) -> Result<Entry, Error<F::Error>> {
        let mut bytes = [0xFF; LARGEST_UNIT];
        let unit = bytes.get_mut(..unit::<F>()).unwrap_or_default();
        self.flash.read(at, unit).map_err(Error::Flash)?;
        if bytes.iter().all(|byte| *byte == 0xFF) {
            return Ok(Entry::Erased);
        }
        let mut fields = Fields(&bytes);
        let pair = fields.u32().zip(fields.u32());
        Ok(pair
            .filter(|(one, two)| *one == !*two)
            .map_or(Entry::Torn, |(one, _)| Entry::Number(one)))
    }

    fn set_entry(&mut self, at: u32, number: u32) -> Result<(), Error<F::Error>> {
        let mut bytes = [0xFF; LARGEST_UNIT];
        let pair: [u8; 8] = joined(&[&number.to_le_bytes(), &(!number).to_le_bytes()]);
        bytes.iter_mut().zip(pair).for_each(|(to, from)| *to = from);
        let unit = bytes.get(..unit::<F>()).unwrap_or_default();
        self.flash.write(at, unit).map_err(Error::Flash)
    }
}

/// The marks of a slot.
struct Marks {
    last: Mark,
    trials: u32,
    /// The place of the next one.
    free: Option<u32>,
}

/// A unit that holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Erased,
    Torn,
    Number(u32),
}

#[cfg(test)]
mod power_cuts;
#[cfg(test)]
mod tests;
