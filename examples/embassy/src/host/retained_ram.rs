//! [`RetainedRam`]: a file that stands for the RAM that a reset leaves as it is.

extern crate std;

use std::path::{Path, PathBuf};
use std::{format, fs, io, process};

use log::error;
use watchdog_core::{CrashRecord, RecordError};

use super::{Result, chip::RESET};
use crate::node::guard::Board;

/// The bytes of a crash record, in a file.
#[derive(Clone, Debug)]
pub struct RetainedRam {
    file: PathBuf,
}

impl RetainedRam {
    /// What the last run has left in the file, which may not be there yet. From now on it says that this run ended
    /// without last words.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written.
    pub fn boot(file: &Path) -> Result<(Self, core::result::Result<CrashRecord, RecordError>)> {
        let named = |error: io::Error| format!("--memory {}: {error}", file.display());
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::vec::Vec::new(),
            Err(error) => return Err(named(error).into()),
        };
        let last = match bytes.as_slice().try_into() {
            Ok(record) => CrashRecord::from_bytes(record),
            // As RAM after a power cut.
            Err(_) => Err(RecordError::Absent),
        };
        let ram = Self { file: file.into() };
        ram.write(&CrashRecord::running().after(last.as_ref().ok()).to_bytes()).map_err(named)?;
        Ok((ram, last))
    }

    /// The run ends on purpose: the next one finds no record.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn clear(&self) -> io::Result<()> {
        let mut bytes = [0; CrashRecord::LEN];
        CrashRecord::clear(&mut bytes);
        self.write(&bytes)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        fs::write(&self.file, bytes)
    }
}

impl Board for RetainedRam {
    fn keep(&mut self, record: &CrashRecord) {
        if let Err(error) = self.write(&record.to_bytes()) {
            error!("{}: {error}", self.file.display());
        }
    }

    /// The end of the process stands for the reset: nothing is sent, and the system closes the connection.
    fn reset(&mut self) -> ! {
        process::exit(RESET)
    }
}
