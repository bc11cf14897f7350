//! Copying bytes between two streams, in both directions, on one thread that can be stopped.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use mqtt_core::driver::stream::Stream;
use rustix::event::{PollFd, PollFlags, poll};

/// Bytes that are read at once. A packet may be spread over several pieces.
const PIECE: usize = 4096;

/// Ends the waits of all threads that have a clone.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<(UnixStream, UnixStream)>);

impl Stop {
    pub(super) fn new() -> Self {
        Self(Arc::new(UnixStream::pair().expect("there are descriptors")))
    }

    /// From now on no thread waits any more.
    pub(super) fn now(&self) {
        let _ = self.0.0.shutdown(Shutdown::Both);
    }

    /// Waits until one of `sources` is ready. `false` if it is time to stop.
    pub(super) fn wait(&self, sources: &[(BorrowedFd<'_>, PollFlags)]) -> io::Result<bool> {
        let sources = sources.iter().filter(|(_, flags)| !flags.is_empty());
        let stop = PollFd::from_borrowed_fd(self.0.1.as_fd(), PollFlags::IN);
        let mut polled = vec![stop];
        polled.extend(sources.map(|(source, flags)| PollFd::from_borrowed_fd(*source, *flags)));
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        Ok(polled.first().is_some_and(|stop| stop.revents().is_empty()))
    }
}

/// One direction.
#[derive(Default)]
struct Direction {
    /// Bytes that were read and are not written yet.
    held: Vec<u8>,
    /// Nothing more comes.
    ended: bool,
    /// The receiver takes nothing more. The rest is read and dropped: otherwise the system would reset the connection of
    /// the sender, which would lose bytes that are under way to it.
    drops: bool,
    /// The receiver was told that nothing more comes.
    finished: bool,
}

impl Direction {
    /// Takes one step. `false` if one of the streams has to be waited for.
    fn step(&mut self, from: &mut dyn Stream, to: &mut dyn Stream) -> bool {
        if self.finished {
            return false;
        }
        if !self.held.is_empty() {
            return match to.write(&self.held) {
                Ok(len) => {
                    self.held.drain(..len);
                    true
                }
                Err(error) => !is_pause(&error) && self.drop_all(),
            };
        }
        if self.ended {
            self.finished = self.drops || !matches!(to.finish(), Err(error) if is_pause(&error));
            return self.finished;
        }
        self.held.resize(PIECE, 0);
        let read = from.read(&mut self.held);
        self.held.truncate(*read.as_ref().unwrap_or(&0));
        if self.drops {
            self.held.clear();
        }
        match read {
            Err(error) if is_pause(&error) => false,
            read => {
                self.ended = matches!(read, Ok(0) | Err(_));
                true
            }
        }
    }

    fn flush(&mut self, to: &mut dyn Stream) {
        if !self.drops && to.has_output() && matches!(to.flush(), Err(error) if !is_pause(&error)) {
            self.drop_all();
        }
    }

    fn drop_all(&mut self) -> bool {
        self.held.clear();
        self.drops = true;
        true
    }

    fn wants_input(&self) -> bool {
        self.held.is_empty() && !self.ended
    }

    fn wants_output(&self) -> bool {
        !self.held.is_empty() || (self.ended && !self.finished)
    }
}

fn is_pause(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Copies until both streams have ended, or it is time to stop.
pub(super) fn copy(near: &mut dyn Stream, far: &mut dyn Stream, stop: &Stop) -> io::Result<()> {
    let (mut up, mut down) = (Direction::default(), Direction::default());
    while !up.finished || !down.finished {
        // Both directions take turns.
        let went_on = [up.step(near, far), down.step(far, near)];
        down.flush(near);
        up.flush(far);
        if went_on.contains(&true) {
            continue;
        }
        let interest = |stream: &dyn Stream, input: &Direction, output: &Direction| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, input.wants_input());
            let has_output = stream.has_output() && !output.drops;
            flags.set(PollFlags::OUT, output.wants_output() || has_output);
            flags
        };
        let (from_near, from_far) = (interest(near, &up, &down), interest(far, &down, &up));
        if !stop.wait(&[(near.source(), from_near), (far.source(), from_far)])? {
            break;
        }
    }
    Ok(())
}
