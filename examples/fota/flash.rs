//! A file that stands for flash: sectors of 4 KiB, units of 8 bytes, as many microcontrollers have them.
//!
//! The file is not synced: it outlives the process, however that ends, and not a power cut of the machine. `nor` of the
//! library keeps the rules of flash, and cuts the power if it is asked to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    thread,
    time::Duration,
};

use mqtt_examples::print;
use mqtt_fota::nor::{Cells, Nor};

use crate::error::Error;

/// Bytes of a sector.
pub(crate) const SECTOR: usize = 4_096;
/// Bytes that are written at once.
const UNIT: usize = 8;

/// The flash of a device.
pub(crate) type Flash = Nor<FileCells, SECTOR, UNIT>;

/// The bytes of the flash.
#[derive(Debug)]
pub(crate) struct FileCells {
    file: File,
    len: u32,
    /// How long each erase takes.
    erase: Duration,
}

/// The flash in an existing file.
pub(crate) fn open(path: &str, erase: Duration) -> Result<Flash, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return Error::file(path, error);
        }
        let what = "there is no such file; fota factory makes one";
        Error::file(path, io::Error::new(error.kind(), what))
    })?;
    let len = file.metadata().map_err(|error| Error::file(path, error))?.len();
    let len = u32::try_from(len).map_err(|_| {
        Error::file(path, io::Error::new(io::ErrorKind::InvalidData, "it has more than 4 GiB"))
    })?;
    Ok(Nor::new(FileCells { file, len, erase }))
}

/// A new file of `len` bytes, all erased.
pub(crate) fn create(path: &str, len: u32) -> Result<Flash, Error> {
    let erased = [0xFF; SECTOR];
    let create = || -> io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create_new(true).open(path)?;
        for _ in 0..len as usize / SECTOR {
            file.write_all(&erased)?;
        }
        Ok(file)
    };
    let file = create().map_err(|error| Error::file(path, error))?;
    Ok(Nor::new(FileCells { file, len, erase: Duration::ZERO }))
}

impl Cells for FileCells {
    type Error = io::Error;

    fn len(&self) -> u32 {
        self.len
    }

    fn read(&mut self, at: u32, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at.into()))?;
        self.file.read_exact(bytes)
    }

    fn store(&mut self, at: u32, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() == SECTOR && bytes.iter().all(|byte| *byte == 0xFF) {
            thread::sleep(self.erase);
        }
        self.file.seek(SeekFrom::Start(at.into()))?;
        self.file.write_all(bytes)
    }

    /// Nothing of the process runs any more.
    fn power_cut(&mut self) {
        print::error("fota: the power is cut");
        std::process::abort();
    }
}
