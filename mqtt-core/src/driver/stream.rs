//! [`Stream`]: an ordered byte stream that never waits, and what the system can wait for instead.
//!
//! Transports are layers: TLS over a proxy over TCP is a stream over a stream over a stream. Each layer reads and
//! writes without waiting, and gives the one [`source`](Stream::source) below all of them. So one thread can wait for
//! input, a request of another thread and a deadline at once, and no lock is held while anyone waits.

use std::{
    boxed::Box,
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

/// What the system can wait for: the file descriptor of a stream.
#[cfg(unix)]
pub type Source<'a> = std::os::fd::BorrowedFd<'a>;
/// What the system can wait for: the socket of a stream.
#[cfg(windows)]
pub type Source<'a> = std::os::windows::io::BorrowedSocket<'a>;

/// An ordered byte stream that never waits.
///
/// `read` and `write` fail with `WouldBlock` if they would have to wait. `read` gives 0 once the peer sends nothing
/// more. `flush` passes on what the stream itself keeps, as far as the transport below takes it.
pub trait Stream: Read + Write + Send {
    /// What to wait for if `read` or `write` would block.
    fn source(&self) -> Source<'_>;

    /// Whether `read` may have bytes though the source has none: a layer that decodes whole records keeps the rest.
    fn has_input(&self) -> bool {
        false
    }

    /// Whether a `read` that gives fewer bytes than there is space for has taken all that the source has. It is so for a
    /// socket, and not for a layer that decodes. It saves a read that finds nothing, where the system tells of bytes
    /// only once.
    fn short_read_drains(&self) -> bool {
        false
    }

    /// Whether bytes that `write` took are kept here, and `flush` has to be called once the source can be written.
    fn has_output(&self) -> bool {
        false
    }

    /// Tells the peer that nothing more will be sent; what it sends can still be read. If this fails with
    /// `WouldBlock`, it is called again once the source can be written.
    ///
    /// # Errors
    ///
    /// The error of the transport.
    fn finish(&mut self) -> io::Result<()>;
}

/// An open transport.
pub type Link = Box<dyn Stream>;

impl fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn source(&self) -> Source<'_> {
        (**self).source()
    }

    fn has_input(&self) -> bool {
        (**self).has_input()
    }

    fn short_read_drains(&self) -> bool {
        (**self).short_read_drains()
    }

    fn has_output(&self) -> bool {
        (**self).has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        (**self).finish()
    }
}

/// It has to be non-blocking: `TcpStream::set_nonblocking`.
impl Stream for TcpStream {
    fn source(&self) -> Source<'_> {
        #[cfg(unix)]
        return std::os::fd::AsFd::as_fd(self);
        #[cfg(windows)]
        return std::os::windows::io::AsSocket::as_socket(self);
    }

    fn short_read_drains(&self) -> bool {
        true
    }

    fn finish(&mut self) -> io::Result<()> {
        gone_is_fine(self.shutdown(Shutdown::Write))
    }
}

/// It has to be non-blocking: `UnixStream::set_nonblocking`.
#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn source(&self) -> Source<'_> {
        std::os::fd::AsFd::as_fd(self)
    }

    fn finish(&mut self) -> io::Result<()> {
        gone_is_fine(self.shutdown(Shutdown::Write))
    }
}

/// The outcome of a goodbye: nobody has to be told if the peer is gone already.
pub(crate) fn gone_is_fine(told: io::Result<()>) -> io::Result<()> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    told.or_else(|error| {
        let gone = matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected);
        if gone { Ok(()) } else { Err(error) }
    })
}

/// Whether the error only means that the transport is not ready now. `TimedOut` is none of these: the system has given
/// the connection up.
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
