//! [`Tty`]: a serial line of Linux, in place of a UART.

extern crate std;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use async_io::Async;
use embedded_io_async::{ErrorType, Read, Write};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// A serial line. A read that is dropped has taken no bytes.
pub struct Tty(Async<File>);

impl Tty {
    /// The line at `path`, at the speed that it has.
    ///
    /// # Errors
    ///
    /// If it is no serial line, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        // Every byte as it is.
        let mut mode = tcgetattr(&file)?;
        mode.make_raw();
        tcsetattr(&file, OptionalActions::Now, &mode)?;
        Async::new(file).map(Self)
    }
}

impl ErrorType for Tty {
    type Error = io::Error;
}

impl Read for Tty {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_with(|mut file| file.read(buffer)).await
    }
}

impl Write for Tty {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_with(|mut file| file.write(bytes)).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
