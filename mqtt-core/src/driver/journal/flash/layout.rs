//! The place of a record: halves, pages, items. It is arithmetic in bytes, without access to the flash.
//!
//! An item holds a *piece* of a record and a [`Tag`] behind it. Pieces are short, because an item that does not fit at
//! the end of a page goes to the next page, and the rest of the page is lost: at most an eighth if pages are large
//! enough.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;

use super::FlashConfigError;

/// Bytes that the queue puts before each item: length and checksums.
const ITEM_HEADER: usize = 8;
/// Words that the queue needs in each page.
const PAGE_WORDS: usize = 2;
/// Bytes of the largest word that the queue supports.
const LARGEST_WORD: usize = 32;
/// The smallest and the largest size that an item should have, in bytes.
const ITEM_BYTES: (usize, usize) = (128, 4096);
pub(super) const TAG_LEN: usize = 2;

/// One half holds the journal. The other one is erased until a snapshot moves the journal there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Lower,
    Upper,
}

impl Half {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

/// How a flash range is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    start: u32,
    /// Bytes of a half.
    half: u32,
    word: usize,
    /// Bytes for items in a page.
    page: u32,
    /// Bytes for items in a half.
    room: u32,
    /// Bytes of a record in each of its items but the last; a multiple of the word and of 4.
    piece: usize,
    /// Bytes of the longest record.
    capacity: usize,
}

impl Layout {
    pub(super) fn new<F: NorFlash>(
        range: Range<u32>,
        scratch: usize,
    ) -> Result<Self, FlashConfigError> {
        let (word, erase) = (F::WRITE_SIZE.max(F::READ_SIZE), F::ERASE_SIZE);
        if !word.is_power_of_two() || word > LARGEST_WORD {
            return Err(FlashConfigError::Word { bytes: word, most: LARGEST_WORD });
        }
        let page = erase.saturating_sub(PAGE_WORDS * word);
        let header = ITEM_HEADER.next_multiple_of(word);
        let behind = header + TAG_LEN.next_multiple_of(word);
        let (least, most) = ITEM_BYTES;
        let item = (page / 8).clamp(least, most).min(page);
        let unit = word.max(4);
        let piece = item.saturating_sub(behind) / unit * unit;
        let Ok(page_bytes) = u32::try_from(erase) else {
            return Err(FlashConfigError::PageTooSmall { bytes: erase });
        };
        if piece == 0 {
            return Err(FlashConfigError::PageTooSmall { bytes: erase });
        }
        let whole = [range.start, range.end].iter().all(|end| end % page_bytes == 0);
        if !whole || range.end < range.start {
            return Err(FlashConfigError::Range { page: page_bytes });
        }
        // The last item of a record is read in whole words.
        let capacity = scratch.saturating_sub(TAG_LEN + word - 1);
        let half = (range.end - range.start) / page_bytes / 2 * page_bytes;
        let layout = Self {
            start: range.start,
            half,
            word,
            page: page as u32,
            room: half / page_bytes * page as u32,
            piece,
            capacity,
        };
        let needed = layout.pages_needed().saturating_mul(page_bytes);
        let bytes = range.end - range.start;
        if needed > bytes {
            return Err(FlashConfigError::RangeTooSmall { needed, bytes });
        }
        Ok(layout)
    }

    /// Pages of a range whose halves have room for two records of the greatest length each: a snapshot and the next
    /// record.
    fn pages_needed(&self) -> u32 {
        let items = 2 * self.capacity.div_ceil(self.piece).max(1);
        let a_page = self.page as usize / self.item(self.piece) as usize;
        let a_half = items.div_ceil(a_page.max(1));
        u32::try_from(a_half).unwrap_or(u32::MAX).saturating_mul(2)
    }

    pub(super) const fn range(&self, half: Half) -> Range<u32> {
        match half {
            Half::Lower => self.start..self.start + self.half,
            Half::Upper => self.start + self.half..self.start + 2 * self.half,
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) const fn piece(&self) -> usize {
        self.piece
    }

    /// Free bytes of an erased half.
    pub(super) const fn room(&self) -> u32 {
        self.room
    }

    /// Bytes of flash that an item with `len` bytes of a record takes.
    const fn item(&self, len: usize) -> u32 {
        let bytes =
            ITEM_HEADER.next_multiple_of(self.word) + (len + TAG_LEN).next_multiple_of(self.word);
        bytes as u32
    }

    /// The part of `free` that is left after a record of `len` bytes; `None` if the record does not fit.
    ///
    /// As in the queue, an item that does not fit into the page goes to the next one.
    pub(super) fn free_after(&self, free: u32, len: usize) -> Option<u32> {
        let (mut free, mut rest) = (free, len);
        loop {
            let piece = rest.min(self.piece);
            let item = self.item(piece);
            let in_page = free % self.page;
            if in_page < item {
                free -= in_page;
            }
            free = free.checked_sub(item)?;
            rest -= piece;
            if rest == 0 {
                return Some(free);
            }
        }
    }

    /// Whether a record of the greatest length does not fit.
    pub(super) fn is_long(&self, free: u32) -> bool {
        self.free_after(free, self.capacity).is_none()
    }
}

/// The two bytes behind a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The piece is the first of its record.
    pub(super) first: bool,
    /// The piece is the last of its record.
    pub(super) last: bool,
    /// Moves of the journal from half to half before this half was written, modulo 4.
    pub(super) moves: u8,
    /// Number of the item in its half, modulo 4,096.
    pub(super) number: u16,
}

impl Tag {
    pub(super) const fn encode(self) -> [u8; TAG_LEN] {
        debug_assert!(self.moves <= 3 && self.number <= 0xFFF, "both are counted modulo");
        let flags = (self.first as u16) << 15 | (self.last as u16) << 14;
        (flags | (self.moves as u16 & 3) << 12 | self.number & 0xFFF).to_be_bytes()
    }

    pub(super) const fn decode(bytes: [u8; TAG_LEN]) -> Self {
        let bits = u16::from_be_bytes(bytes);
        Self {
            first: bits & 1 << 15 != 0,
            last: bits & 1 << 14 != 0,
            moves: (bits >> 12) as u8 & 3,
            number: bits & 0xFFF,
        }
    }
}

/// The number of the next item.
pub(super) const fn number_after(number: u16) -> u16 {
    (number + 1) & 0xFFF
}

/// The count of moves after one more move.
pub(super) const fn moves_after(moves: u8) -> u8 {
    (moves + 1) & 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        for bits in [0, 0x8000, 0x4000, 0x3000, 0x0FFF, 0xA5A5, u16::MAX] {
            let tag = Tag::decode(u16::to_be_bytes(bits));
            assert_eq!(tag.encode(), bits.to_be_bytes());
        }
    }

    #[test]
    fn numbers_and_moves_wrap() {
        assert_eq!((number_after(0xFFE), number_after(0xFFF)), (0xFFF, 0));
        assert_eq!((moves_after(2), moves_after(3)), (3, 0));
    }

    #[test]
    fn an_item_that_does_not_fit_into_a_page_goes_to_the_next_page() {
        let layout =
            Layout { start: 0, half: 256, word: 4, page: 120, room: 240, piece: 40, capacity: 80 };
        // 8 + 20 + 2, in words.
        assert_eq!(layout.free_after(240, 20), Some(208));
        // Two items, of 52 and of 32 bytes.
        assert_eq!(layout.free_after(240, 61), Some(156));
        assert_eq!(layout.free_after(120 + 51, 40), Some(120 - 52));
        assert_eq!(layout.free_after(52, 40), Some(0));
        assert_eq!(layout.free_after(51, 40), None);
        // 104 bytes are free, in two pages with room for one item each.
        assert!(!layout.is_long(104));
        assert!(layout.is_long(103));
    }
}
