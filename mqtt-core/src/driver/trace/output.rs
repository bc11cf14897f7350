//! Where a sink writes. The first error ends the output: what follows it would have a gap in front.

use std::{
    boxed::Box,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// A writer that keeps its first error.
pub(super) struct Output {
    writer: Box<dyn Write + Send>,
    error: Option<io::Error>,
    /// There was an error, taken or not.
    broken: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("error", &self.error).finish_non_exhaustive()
    }
}

impl Output {
    pub(super) fn new(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), error: None, broken: false }
    }

    /// Writes all of `bytes` at once, and passes them on: if the process is killed, they are there.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        let written = self.writer.write_all(bytes).and_then(|()| self.writer.flush());
        if let Err(error) = written {
            self.error = Some(error);
            self.broken = true;
        }
    }

    /// The error, once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

/// A file for a trace. Only its owner can read and write it, because a trace shows what was sent. A file that is there
/// is emptied, and gets the same mode. A pipe or a device is taken as it is.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, OWNER_ONLY);
    let file = options.open(path)?;
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(OWNER_ONLY);
        file.set_permissions(owner_only)?;
    }
    Ok(file)
}

#[cfg(unix)]
const OWNER_ONLY: u32 = 0o600;
