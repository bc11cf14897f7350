//! [`Nor`]: a model of NOR flash over any memory, for hosts and tests.
//!
//! It keeps the rules of the parts of the field: a sector is erased as a whole, to ones; a unit is written once after
//! that; reads and writes are aligned. A write to a unit that is not erased is an error here, because parts with ECC
//! (STM32L4, for example) refuse it.
//!
//! A [`PowerCut`] cuts the power within one operation. A write then has stored some of its bytes and some bits of the next
//! one. An erase has erased some bytes and has left bits of the next ones in between.

use core::fmt;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use thiserror::Error;

/// Memory that keeps bytes, without the rules of flash.
pub trait Cells {
    /// Why it fails.
    type Error: fmt::Debug + fmt::Display;

    /// Bytes of it.
    fn len(&self) -> u32;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads from the offset `at`.
    ///
    /// # Errors
    ///
    /// The memory fails.
    fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Stores at the offset `at`.
    ///
    /// # Errors
    ///
    /// The memory fails.
    fn store(&mut self, at: u32, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The power is cut now, after what was stored. A program ends here; a test goes on with the error that follows.
    fn power_cut(&mut self) {}
}

/// When the power is cut, and what is left of the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// Writes and erases that come to their end before.
    pub after: u64,
    /// Chooses how much of the next one is done: 0 is nothing, and any number is possible.
    pub tear: u32,
}

/// NOR flash with sectors of `ERASE` bytes and units of `WRITE` bytes.
#[derive(Clone, Debug)]
pub struct Nor<C, const ERASE: usize, const WRITE: usize> {
    cells: C,
    operations: u64,
    cut: Option<PowerCut>,
    is_off: bool,
}

impl<C: Cells, const ERASE: usize, const WRITE: usize> Nor<C, ERASE, WRITE> {
    /// Flash over this memory, with what is in it.
    pub const fn new(cells: C) -> Self {
        Self { cells, operations: 0, cut: None, is_off: false }
    }

    /// The power will be cut so.
    pub const fn cut_power(&mut self, cut: PowerCut) {
        self.cut = Some(cut);
    }

    /// The power comes back.
    pub const fn power_on(&mut self) {
        (self.operations, self.cut, self.is_off) = (0, None, false);
    }

    /// Writes and erases since the beginning.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// The memory.
    pub const fn cells(&mut self) -> &mut C {
        &mut self.cells
    }

    fn checked(&self, at: u32, len: usize, unit: usize) -> Result<(), NorError<C::Error>> {
        if self.is_off {
            return Err(NorError::PowerCut);
        }
        if at as usize % unit != 0 || len % unit != 0 {
            return Err(NorError::NotAligned { at });
        }
        let end = u32::try_from(len).ok().and_then(|len| at.checked_add(len));
        match end.filter(|end| *end <= self.cells.len()) {
            Some(_) => Ok(()),
            None => Err(NorError::OutOfBounds { at }),
        }
    }

    /// Counts an operation. Gives the tear if the power is cut within it.
    fn torn(&mut self) -> Option<u32> {
        let cut = self.cut.filter(|cut| cut.after == self.operations);
        self.operations += 1;
        cut.map(|cut| cut.tear)
    }

    fn power_cut(&mut self) -> NorError<C::Error> {
        self.is_off = true;
        self.cells.power_cut();
        NorError::PowerCut
    }

    /// Stores the first `whole` bytes of what `new` gives, and of the next one only the bits that `mask` lets through.
    fn store_torn(
        &mut self,
        at: u32,
        new: &[u8],
        tear: u32,
        mix: impl Fn(u8, u8) -> u8,
    ) -> Result<(), NorError<C::Error>> {
        let whole = tear as usize % (new.len() + 1);
        let (done, rest) = new.split_at_checked(whole).unwrap_or((new, &[]));
        self.cells.store(at, done).map_err(NorError::Cells)?;
        if let (Some(new), Ok(whole)) = (rest.first(), u32::try_from(whole)) {
            let (at, mut old) = (at + whole, [0]);
            self.cells.read(at, &mut old).map_err(NorError::Cells)?;
            self.cells.store(at, &old.map(|old| mix(old, *new))).map_err(NorError::Cells)?;
        }
        Ok(())
    }
}

impl<C: Cells, const ERASE: usize, const WRITE: usize> ErrorType for Nor<C, ERASE, WRITE> {
    type Error = NorError<C::Error>;
}

impl<C: Cells, const ERASE: usize, const WRITE: usize> ReadNorFlash for Nor<C, ERASE, WRITE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.checked(offset, bytes.len(), 1)?;
        self.cells.read(offset, bytes).map_err(NorError::Cells)
    }

    fn capacity(&self) -> usize {
        self.cells.len() as usize
    }
}

impl<C: Cells, const ERASE: usize, const WRITE: usize> NorFlash for Nor<C, ERASE, WRITE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.checked_sub(from).ok_or(NorError::OutOfBounds { at: from })?;
        self.checked(from, len as usize, ERASE)?;
        // A sector each, so a power cut comes between them, too.
        for at in (from..to).step_by(ERASE) {
            let erased = [0xFF; ERASE];
            if let Some(tear) = self.torn() {
                let mask = tear.rotate_left(7) as u8;
                self.store_torn(at, &erased, tear, |old, _| old | mask)?;
                return Err(self.power_cut());
            }
            self.cells.store(at, &erased).map_err(NorError::Cells)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.checked(offset, bytes.len(), WRITE)?;
        let mut before = [0; 256];
        let parts = (offset..).step_by(before.len()).zip(bytes.chunks(before.len()));
        for (at, part) in parts {
            let before = before.get_mut(..part.len()).unwrap_or_default();
            self.cells.read(at, before).map_err(NorError::Cells)?;
            if before.iter().any(|byte| *byte != 0xFF) {
                return Err(NorError::NotErased { at });
            }
        }
        if let Some(tear) = self.torn() {
            let mask = tear.rotate_left(7) as u8;
            self.store_torn(offset, bytes, tear, |old, new| old & (new | mask))?;
            return Err(self.power_cut());
        }
        self.cells.store(offset, bytes).map_err(NorError::Cells)
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NorError<E> {
    /// The offset or the length is not a multiple of the unit.
    #[error("an operation at {at} is not aligned")]
    NotAligned {
        /// The offset.
        at: u32,
    },
    /// It reaches beyond the end.
    #[error("an operation at {at} reaches beyond the flash")]
    OutOfBounds {
        /// The offset.
        at: u32,
    },
    /// These bytes were written before, and not erased since.
    #[error("a write at {at} comes to bytes that are not erased")]
    NotErased {
        /// The offset.
        at: u32,
    },
    /// The power was cut.
    #[error("the power is off")]
    PowerCut,
    /// The memory failed.
    #[error("{0}")]
    Cells(E),
}

impl<E: fmt::Debug> NorFlashError for NorError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned { .. } => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds { .. } => NorFlashErrorKind::OutOfBounds,
            Self::NotErased { .. } | Self::PowerCut | Self::Cells(_) => NorFlashErrorKind::Other,
        }
    }
}

/// Memory of `N` bytes, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ram<const N: usize>([u8; N]);

impl<const N: usize> Ram<N> {
    /// All bytes are ones.
    #[must_use]
    pub const fn erased() -> Self {
        Self([0xFF; N])
    }
}

impl<const N: usize> Cells for Ram<N> {
    type Error = core::convert::Infallible;

    fn len(&self) -> u32 {
        u32::try_from(N).unwrap_or(u32::MAX)
    }

    fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.iter_mut().zip(self.0.iter().skip(at as usize)).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn store(&mut self, at: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.iter_mut().skip(at as usize).zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Flash = Nor<Ram<128>, 64, 8>;

    fn flash() -> Flash {
        Nor::new(Ram::erased())
    }

    fn read<const N: usize>(flash: &mut Flash, at: u32) -> [u8; N] {
        let mut bytes = [0; N];
        flash.read(at, &mut bytes).expect("it is there");
        bytes
    }

    #[test]
    fn a_unit_is_written_once_after_its_sector_was_erased() {
        let mut flash = flash();
        assert_eq!(flash.write(8, &[1; 16]), Ok(()));
        assert_eq!(flash.write(16, &[0; 8]), Err(NorError::NotErased { at: 16 }));
        assert_eq!(flash.erase(0, 64), Ok(()));
        assert_eq!(flash.write(16, &[0; 8]), Ok(()));
        assert_eq!(read(&mut flash, 8), [0xFF; 8]);
    }

    #[test]
    fn operations_that_are_not_aligned_or_not_inside_are_refused() {
        let mut flash = flash();
        assert_eq!(flash.write(4, &[1; 8]), Err(NorError::NotAligned { at: 4 }));
        assert_eq!(flash.write(0, &[1; 7]), Err(NorError::NotAligned { at: 0 }));
        assert_eq!(flash.erase(0, 32), Err(NorError::NotAligned { at: 0 }));
        assert_eq!(flash.erase(64, 192), Err(NorError::OutOfBounds { at: 64 }));
        assert_eq!(flash.erase(64, 0), Err(NorError::OutOfBounds { at: 64 }));
        assert_eq!(
            flash.write(u32::MAX - 7, &[1; 8]),
            Err(NorError::OutOfBounds { at: u32::MAX - 7 })
        );
    }

    #[test]
    fn a_power_cut_tears_an_operation_and_ends_all_others() {
        let mut flash = flash();
        flash.cut_power(PowerCut { after: 1, tear: 3 });
        assert_eq!(flash.write(0, &[0; 8]), Ok(()));
        assert_eq!(flash.write(8, &[0; 8]), Err(NorError::PowerCut));
        assert_eq!(flash.write(16, &[0; 8]), Err(NorError::PowerCut));
        assert_eq!(flash.read(0, &mut [0]), Err(NorError::PowerCut));
        flash.power_on();
        // Three bytes, and no bit of the fourth but those that the tear lets through.
        assert_eq!(read(&mut flash, 8), [0, 0, 0, 0x80, 0xFF, 0xFF, 0xFF, 0xFF]);
        flash.cut_power(PowerCut { after: 0, tear: 9 });
        assert_eq!(flash.erase(0, 128), Err(NorError::PowerCut));
        flash.power_on();
        // Nine bytes are erased, and one bit of the tenth. The others are as they were.
        assert_eq!(read(&mut flash, 8), [0xFF, 0x80, 0, 0x80, 0xFF]);
    }
}
