//! [`Layout`]: the place of everything in flash.
//!
//! Each slot is half of the flash: a sector with the header and the marks, the sectors of the log, the sectors of the
//! image. The log has one unit for each chunk, and a chunk is at least one sector.

use embedded_storage::nor_flash::NorFlash;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The lower half of the flash.
    A,
    /// The upper half.
    B,
}

impl Slot {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Bytes of the header, and of its place. Flash with units of up to 32 bytes can write it as a whole.
pub(crate) const HEADER: usize = 160;
/// The largest unit of a flash.
pub(crate) const LARGEST_UNIT: usize = 32;

/// Bytes of a mark and of an entry of the log: what is written at once, and at least 8.
pub(crate) const fn unit<F: NorFlash>() -> usize {
    if F::WRITE_SIZE > 8 { F::WRITE_SIZE } else { 8 }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    slot: u32,
    log: u32,
    /// Bytes of the largest image.
    pub(crate) data: u32,
    pub(crate) sector: u32,
    unit: u32,
}

impl Layout {
    /// `None`: the flash is too small for two slots, its sectors are too small for a header, or its units are too large.
    pub(crate) fn of<F: NorFlash>(flash: &F) -> Option<Self> {
        let unit = unit::<F>();
        if HEADER % F::WRITE_SIZE != 0 || unit % F::WRITE_SIZE != 0 || unit > LARGEST_UNIT {
            return None;
        }
        let (sector, unit) = (u32::try_from(F::ERASE_SIZE).ok()?, u32::try_from(unit).ok()?);
        if F::ERASE_SIZE < HEADER + 4 * LARGEST_UNIT || sector % unit != 0 {
            return None;
        }
        let sectors = u32::try_from(flash.capacity()).ok()? / 2 / sector;
        let behind_header = u64::from(sectors.checked_sub(1)?);
        let data = behind_header * u64::from(sector) / u64::from(sector + unit);
        let data = u32::try_from(data).ok().filter(|data| *data > 0)?;
        let log = sectors - 1 - data;
        Some(Self { slot: sectors * sector, log: log * sector, data: data * sector, sector, unit })
    }

    /// Bytes of a flash with slots for images of up to `room` bytes.
    pub(crate) fn capacity<F: NorFlash>(room: u32) -> Option<u32> {
        let (sector, unit) = (F::ERASE_SIZE as u64, unit::<F>() as u64);
        let data = u64::from(room).div_ceil(sector);
        let log = (data * unit).div_ceil(sector);
        u32::try_from((1 + log + data) * sector * 2).ok()
    }

    pub(crate) const fn header(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => 0,
            Slot::B => self.slot,
        }
    }

    /// The place of the mark `number`, if there is one.
    pub(crate) fn mark(&self, slot: Slot, number: u32) -> Option<u32> {
        let at = u32::try_from(HEADER).ok()?.checked_add(number.checked_mul(self.unit)?)?;
        (at.checked_add(self.unit)? <= self.sector).then(|| self.header(slot) + at)
    }

    /// The log: its begin and its end.
    pub(crate) const fn log(&self, slot: Slot) -> (u32, u32) {
        let begin = self.header(slot) + self.sector;
        (begin, begin + self.log)
    }

    /// The place of the entry of the chunk `number`. The caller knows that the image fits.
    pub(crate) const fn entry(&self, slot: Slot, number: u32) -> u32 {
        self.log(slot).0 + number * self.unit
    }

    /// The begin of the image.
    pub(crate) const fn data(&self, slot: Slot) -> u32 {
        self.log(slot).1
    }

    /// The end of the sector that ends at `at` or has it inside.
    pub(crate) const fn sector_end(&self, at: u32) -> u32 {
        at.div_ceil(self.sector) * self.sector
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nor::{Nor, Ram};

    #[test]
    fn a_slot_has_room_for_header_log_and_image_and_the_log_for_each_chunk() {
        let layout = Layout::of(&Nor::<_, 512, 8>::new(Ram::<65_536>::erased())).expect("room");
        // 64 sectors: the header, one for 62 entries of the log, 62 for the image.
        assert_eq!(layout, Layout { slot: 32_768, log: 512, data: 62 * 512, sector: 512, unit: 8 });
        for slot in Slot::BOTH {
            let (begin, end) = layout.log(slot);
            assert_eq!(begin, layout.header(slot) + 512);
            assert!(layout.entry(slot, 61) + 8 <= end);
            assert!(layout.data(slot) + layout.data <= layout.header(slot) + 32_768);
            let marks = (0..).map_while(|number| layout.mark(slot, number)).count();
            assert_eq!(marks, (512 - HEADER) / 8);
        }
    }

    #[test]
    fn the_capacity_for_an_image_has_room_for_it() {
        type Flash<const N: usize> = Nor<Ram<N>, 512, 8>;
        for room in [1, 512, 513, 31 * 512, 62 * 512, 63 * 512, 63 * 512 + 1] {
            let capacity = Layout::capacity::<Flash<0>>(room).expect("it is small");
            let slot = 1 + (room.div_ceil(512) * 8).div_ceil(512) + room.div_ceil(512);
            assert_eq!(capacity, slot * 1_024, "{room}");
        }
        assert_eq!(Layout::capacity::<Flash<0>>(62 * 512), Some(65_536));
        assert_eq!(Layout::capacity::<Flash<0>>(u32::MAX), None);
    }

    #[test]
    fn flash_that_has_no_room_is_refused() {
        assert_eq!(Layout::of(&Nor::<_, 512, 8>::new(Ram::<1_024>::erased())), None);
        assert_eq!(Layout::of(&Nor::<_, 128, 8>::new(Ram::<65_536>::erased())), None);
        assert_eq!(Layout::of(&Nor::<_, 512, 64>::new(Ram::<65_536>::erased())), None);
        assert!(Layout::of(&Nor::<_, 512, 32>::new(Ram::<65_536>::erased())).is_some());
        assert!(Layout::of(&Nor::<_, 512, 1>::new(Ram::<65_536>::erased())).is_some());
    }
}
