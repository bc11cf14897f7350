//! Waiting for [sources](super::stream::Source), with `poll`.

use std::{io, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};

use super::stream::Source;

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
