//! Ends the wait of the serving thread from any other thread.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    task::Wake,
};

use crate::driver::stream::{Source, Stream};

#[cfg(unix)]
pub(super) type End = std::os::unix::net::UnixStream;
#[cfg(windows)]
pub(super) type End = std::net::TcpStream;

/// A connection of the program to itself: a byte in it ends a wait.
#[derive(Debug)]
pub(super) struct Pipe {
    waiting: End,
    waking: End,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        let (waiting, waking) = pair()?;
        waiting.set_nonblocking(true)?;
        waking.set_nonblocking(true)?;
        Ok(Self { waiting, waking })
    }

    /// The wait has ended.
    pub(super) fn reset(&self) {
        let _empty = (&self.waiting).read(&mut [0; 64]);
    }

    pub(super) fn source(&self) -> Source<'_> {
        self.waiting.source()
    }
}

impl Wake for Pipe {
    /// The next wait ends at once.
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // If it is full, the thread is going to wake up anyway.
        let _full = (&self.waking).write(&[0]);
    }
}

/// The two ends of a connection of the program to itself.
#[cfg(unix)]
pub(super) fn pair() -> io::Result<(End, End)> {
    End::pair()
}

/// The two ends of a connection of the program to itself.
#[cfg(windows)]
pub(super) fn pair() -> io::Result<(End, End)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let waking = End::connect(listener.local_addr()?)?;
    let own = waking.local_addr()?;
    loop {
        let (waiting, peer) = listener.accept()?;
        // Another program may have been faster.
        if peer == own {
            return Ok((waiting, waking));
        }
    }
}
