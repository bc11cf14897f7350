//! Flash whose operations take time, so that power can fail in the middle of a record.

use std::ops::Range;
use std::rc::Rc;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use crate::executor::World;
use crate::nor::{Nor, PowerCut};

/// Words of 4 bytes, pages of 512: small, so that pages are erased often.
type Memory = Nor<1, 4, 512>;

const PAGES: usize = 16;

pub(crate) struct SlowFlash {
    memory: Memory,
    world: Rc<World>,
}

impl SlowFlash {
    pub(crate) fn new(world: &Rc<World>) -> Self {
        Self { memory: Nor::new(PAGES), world: Rc::clone(world) }
    }

    pub(crate) fn range(&self) -> Range<u32> {
        0..self.memory.len()
    }
}

impl ErrorType for SlowFlash {
    type Error = PowerCut;
}

impl ReadNorFlash for SlowFlash {
    const READ_SIZE: usize = Memory::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        self.memory.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.memory.capacity()
    }
}

impl NorFlash for SlowFlash {
    const WRITE_SIZE: usize = Memory::WRITE_SIZE;
    const ERASE_SIZE: usize = Memory::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        for page in (from..to).step_by(Self::ERASE_SIZE) {
            self.world.after(20).await;
            self.memory.erase(page, page + Self::ERASE_SIZE as u32).await?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        for (word, at) in bytes.chunks(Self::WRITE_SIZE).zip((offset..).step_by(Self::WRITE_SIZE)) {
            self.world.after(1).await;
            self.memory.write(at, word).await?;
        }
        Ok(())
    }
}
