//! Waiting for [sources](super::stream::Source), with `poll`.

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};

use super::stream::{Source, Stream};

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Interest {
    pub(crate) const READABLE: Self = Self { readable: true, writable: false };
    pub(crate) const WRITABLE: Self = Self { readable: false, writable: true };
}

/// Waits until one of `sources` is ready, at most for `timeout`; `None`: for ever. Gives which of them are readable,
/// writable or broken. A signal may end the wait earlier, with none of them ready.
///
/// # Errors
///
/// The error of the system.
pub(crate) fn wait<const N: usize>(
    sources: [(Source<'_>, Interest); N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut polled = sources.each_ref().map(|(source, interest)| {
        let readable = if interest.readable { PollFlags::IN } else { PollFlags::empty() };
        let writable = if interest.writable { PollFlags::OUT } else { PollFlags::empty() };
        PollFd::from_borrowed_fd(*source, readable | writable)
    });
    // A time that is too long for the system is no limit.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => Ok(polled.each_ref().map(|source| !source.revents().is_empty())),
        Err(Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}

/// Waits until `source` is ready.
///
/// # Errors
///
/// `TimedOut` at `until`, or the error of the system.
pub(crate) fn wait_until(source: Source<'_>, interest: Interest, until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let [ready] = wait([(source, interest)], Some(left))?;
        if ready {
            return Ok(());
        }
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// A stream that waits, until an instant: for the handshakes of transports, which run before the stream is in use.
#[derive(Debug)]
pub(crate) struct Waiting<'s, S: ?Sized> {
    pub(crate) stream: &'s mut S,
    pub(crate) until: Instant,
}

impl<S: Stream + ?Sized> Waiting<'_, S> {
    fn retry<T>(
        &mut self,
        interest: Interest,
        mut io: impl FnMut(&mut S) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match io(self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until(self.stream.source(), interest, self.until)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl<S: Stream + ?Sized> Read for Waiting<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.retry(Interest::READABLE, |stream| stream.read(buffer))
    }
}

impl<S: Stream + ?Sized> Write for Waiting<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(Interest::WRITABLE, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.retry(Interest::WRITABLE, Write::flush)
    }
}
