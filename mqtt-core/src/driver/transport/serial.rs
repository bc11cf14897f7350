//! Serial lines, and modems at their other end.
//!
//! A line carries all 256 values of a byte, so there are always eight data bits, and flow control is by wires or absent:
//! with seven bits, or with XON and XOFF, MQTT cannot pass.
//!
//! # The end of the stream
//!
//! A serial line has no end of its own. The stream ends if the system hangs the line up: the device was unplugged, the
//! other end of a pseudo-terminal was closed, or the modem has dropped its carrier wire (DCD) after
//! [`dial`](Serial::dial). The words `NO CARRIER` that a modem sends at that moment are no sign, because a message may
//! hold the same bytes; they are read as data, and the hangup follows. If the wire is not connected, nothing tells of the
//! loss, and the keep alive of MQTT finds it.

mod modem;
mod options;
#[cfg(test)]
mod tests;

pub use modem::Modem;
pub use options::{FlowControl, Parity, SerialOptions, StopBits};

use std::{
    fmt, format,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
    string::{String, ToString},
    time::Instant,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    io::Errno,
    termios::{
        ControlModes, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr,
    },
};

use super::located::at;
use crate::driver::stream::{Source, Stream};

/// A serial line, for this program alone.
pub struct Serial {
    line: File,
    path: String,
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Serial {
    /// Opens the line, such as `/dev/ttyUSB0`. Bytes that came in before are dropped. At the end the line is hung up, so a
    /// modem ends its call.
    ///
    /// # Errors
    ///
    /// The error of the system, `ResourceBusy` if another program has the line, or `Unsupported` if the device cannot do
    /// what the options ask for. The text names the path.
    pub fn open(path: impl AsRef<Path>, options: &SerialOptions) -> io::Result<Self> {
        let shown = path.as_ref().display().to_string();
        match open(path.as_ref(), options) {
            Ok(line) => Ok(Self { line, path: shown }),
            Err(error) => Err(at(place(&shown), error)),
        }
    }

    /// Lets the modem at the other end call. The next byte that is read is the first one behind the answer to the last
    /// command.
    ///
    /// # Errors
    ///
    /// The modem refuses (`ConnectionRefused` for a call that fails, `InvalidInput` for a command that it does not
    /// know), or the line is hung up (`UnexpectedEof`); `TimedOut` at `until` or at the limit of a command. The text
    /// names the path, and of a command only the part before `=`, because a PIN may stand behind.
    pub fn dial(&mut self, modem: &Modem, until: Instant) -> io::Result<()> {
        let dialled = modem
            .run(self, until)
            .and_then(|()| if modem.has_carrier_wire { self.heed_carrier() } else { Ok(()) });
        dialled.map_err(|error| at(place(&self.path), error))
    }

    /// From now on the system hangs the line up if the carrier is lost.
    fn heed_carrier(&self) -> io::Result<()> {
        let mut settings = tcgetattr(&self.line)?;
        settings.control_modes.remove(ControlModes::CLOCAL);
        Ok(tcsetattr(&self.line, OptionalActions::Now, &settings)?)
    }
}

fn place(path: &str) -> String {
    format!("serial line {path}")
}

fn open(path: &Path, options: &SerialOptions) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let line = rustix::fs::open(path, flags, Mode::empty())?;
    match flock(&line, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            let text = "another program uses it";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        locked => locked?,
    }
    options.apply(&line)?;
    ioctl_tiocexcl(&line)?;
    tcflush(&line, QueueSelector::IOFlush)?;
    Ok(line.into())
}

/// Whether the error says that the system has hung the line up.
fn is_hangup(error: &io::Error) -> bool {
    [Errno::IO, Errno::NXIO, Errno::NODEV]
        .iter()
        .any(|hangup| error.raw_os_error() == Some(hangup.raw_os_error()))
}

impl Read for Serial {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.line.read(buffer) {
            Err(error) if is_hangup(&error) => Ok(0),
            read => read,
        }
    }
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.write(bytes).map_err(|error| {
            if is_hangup(&error) {
                io::Error::new(io::ErrorKind::BrokenPipe, "the line was hung up")
            } else {
                error
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `finish` does nothing: a line cannot be half closed.
impl Stream for Serial {
    fn source(&self) -> Source<'_> {
        self.line.as_fd()
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
