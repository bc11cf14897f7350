//! NOR flash in RAM. It checks the rules of real flash, counts operations, and loses power at a given one.
//!
//! A word is written once between two erasures, except for zeros, which flash with error correction takes as well. A
//! word of ones leaves it erased. Whole words are written at whole addresses, from memory aligned to 4 bytes. An
//! *operation* is one word written or one page erased; power can be cut at each of them, which leaves that word or page
//! as [`Tear`] says.

use core::future::pending;

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// The state in which a power cut leaves the word or page of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tear {
    /// It is unchanged.
    Nothing,
    /// Its first half is written, or erased.
    Front,
    /// Its second half is erased; a word is unchanged.
    Back,
}

impl Tear {
    /// The variants that differ for this kind of operation.
    pub(crate) const fn all(erasing: bool, word: usize) -> &'static [Self] {
        match (erasing, word) {
            (true, _) => &[Self::Nothing, Self::Front, Self::Back],
            (false, 1) => &[Self::Nothing],
            (false, _) => &[Self::Nothing, Self::Front],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// This operation and all later ones fail.
    Cut(u64, Tear),
    /// The operation never ends.
    Hang(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Nor<const READ: usize, const WORD: usize, const PAGE: usize> {
    pub(crate) bytes: Vec<u8>,
    written: Vec<bool>,
    pub(crate) stop: Option<Stop>,
    pub(crate) operations: u64,
    /// Which of them were erasures.
    pub(crate) erasing: Vec<u64>,
    pub(crate) reads: u64,
    /// Of each page.
    pub(crate) erasures: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PowerCut;

impl NorFlashError for PowerCut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> Nor<READ, WORD, PAGE> {
    pub(crate) fn new(pages: usize) -> Self {
        Self {
            bytes: vec![0xFF; pages * PAGE],
            written: vec![false; pages * PAGE / WORD],
            stop: None,
            operations: 0,
            erasing: Vec::new(),
            reads: 0,
            erasures: vec![0; pages],
        }
    }

    /// Power is back.
    pub(crate) fn restarted(mut self) -> Self {
        (self.stop, self.operations) = (None, 0);
        self
    }

    /// Power fails at the operation `at`, counted from now.
    pub(crate) fn stopping(mut self, at: u64, tear: Tear) -> Self {
        (self.stop, self.operations) = (Some(Stop::Cut(at, tear)), 0);
        self
    }

    pub(crate) fn len(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Whether the next operation succeeds; if not, the state of its word or page.
    async fn operation(&mut self) -> Result<(), Option<Tear>> {
        let number = self.operations;
        match self.stop {
            Some(Stop::Hang(at)) if number == at => {
                self.stop = None;
                pending().await
            }
            Some(Stop::Cut(at, tear)) if number >= at => {
                self.operations += 1;
                Err((number == at).then_some(tear))
            }
            _ => {
                self.operations += 1;
                Ok(())
            }
        }
    }
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> ErrorType for Nor<READ, WORD, PAGE> {
    type Error = PowerCut;
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> ReadNorFlash
    for Nor<READ, WORD, PAGE>
{
    const READ_SIZE: usize = READ;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        let start = offset as usize;
        assert!(start % READ == 0 && bytes.len() % READ == 0, "{start} + {}", bytes.len());
        bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        self.reads += 1;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> NorFlash for Nor<READ, WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        assert!(from as usize % PAGE == 0 && to as usize % PAGE == 0, "{from}..{to}");
        for page in from as usize / PAGE..to as usize / PAGE {
            let (start, end) = (page * PAGE, (page + 1) * PAGE);
            self.erasing.push(self.operations);
            let outcome = self.operation().await;
            let erased = match outcome {
                Ok(()) => start..end,
                Err(Some(Tear::Front)) => start..start + PAGE / 2,
                Err(Some(Tear::Back)) => start + PAGE / 2..end,
                Err(_) => start..start,
            };
            self.written[erased.start / WORD..erased.end / WORD].fill(false);
            self.bytes[erased].fill(0xFF);
            outcome.map_err(|_| PowerCut)?;
            self.erasures[page] += 1;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        let start = offset as usize;
        assert!(start % WORD == 0 && bytes.len() % WORD == 0, "{start} + {}", bytes.len());
        assert_eq!(bytes.as_ptr().align_offset(4), 0, "DMA from this address");
        for (word, at) in bytes.chunks(WORD).zip((start..).step_by(WORD)) {
            let outcome = self.operation().await;
            let kept = match outcome {
                Ok(()) => WORD,
                Err(Some(Tear::Front)) => WORD / 2,
                Err(_) => 0,
            };
            let written = &mut self.written[at / WORD];
            assert!(!*written || word.iter().all(|byte| *byte == 0), "{at} is written twice");
            *written |= word[..kept].iter().any(|byte| *byte != 0xFF);
            self.bytes[at..at + kept].copy_from_slice(&word[..kept]);
            outcome.map_err(|_| PowerCut)?;
        }
        Ok(())
    }
}
