//! [`Payload`]: bytes of a message that are read while it is sent.

#[cfg(not(unix))]
use std::io::{Seek, SeekFrom};
use std::{
    boxed::Box,
    fs::File,
    io::{self, Cursor, Read},
};

/// The payload of a message that is not copied into the outbox: a file, a part of one, a buffer.
///
/// It has to give the same bytes until its message has ended, because they are read again after a broken connection. A
/// file that another program may change is not one.
pub trait Payload: Send {
    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// It cannot be read: the message is refused, or ends as `Event::SourceFailed`.
    fn len(&mut self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    fn is_empty(&mut self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads some bytes from `offset` on, at least one.
    ///
    /// The lock of the client is not held meanwhile, and other threads may make requests. In the client for threads it
    /// is read by the thread that serves the connection; in the one for tasks by a thread of the runtime for blocking
    /// work.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: it has no bytes now, and is asked again soon. Nothing else is sent meanwhile: see
    /// [`Client::source_pending`](crate::Client::source_pending). Any other error ends the message as
    /// `Event::SourceFailed`, and the connection if some bytes of the message are sent.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Payload for File {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// It does not move the place of other handles of this file.
    #[cfg(unix)]
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.seek(SeekFrom::Start(offset))?;
        self.read(buffer)
    }
}

/// Bytes in RAM.
impl<T: AsRef<[u8]> + Send> Payload for Cursor<T> {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.get_ref().as_ref().len() as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.set_position(offset);
        self.read(buffer)
    }
}

impl<P: Payload + ?Sized> Payload for Box<P> {
    fn len(&mut self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}
