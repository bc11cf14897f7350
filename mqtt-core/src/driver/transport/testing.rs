//! Peers and awkward streams for the tests of the transports.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
#![cfg_attr(
    not(any(feature = "tls", feature = "websocket")),
    expect(dead_code, reason = "the layers above use more of it")
)]

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
    vec::Vec,
};

use crate::driver::{
    readiness::{Interest, Waiting, wait_until},
    stream::{Source, Stream},
};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// An end that does not wait, and its peer, which does.
pub(super) fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_nonblocking(true).expect("settable");
    // A test that waits for ever says nothing.
    theirs.set_read_timeout(Some(PATIENCE)).expect("settable");
    theirs.set_write_timeout(Some(PATIENCE)).expect("settable");
    (ours, theirs)
}

/// A stream to a peer that runs on a thread.
pub(super) fn with_peer<T: Send + 'static>(
    peer: impl FnOnce(UnixStream) -> T + Send + 'static,
) -> (UnixStream, JoinHandle<T>) {
    let (ours, theirs) = pair();
    (ours, thread::spawn(move || peer(theirs)))
}

/// Takes and gives 1 to 7 bytes at a time, and would block at every second call.
#[derive(Debug)]
pub(super) struct Trickle<S> {
    stream: S,
    calls: usize,
}

impl<S> Trickle<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, calls: 0 }
    }

    fn bytes_now(&mut self, wanted: usize) -> io::Result<usize> {
        self.calls += 1;
        if self.calls % 2 == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(wanted.min(self.calls / 2 % 7 + 1))
    }
}

impl<S: Read> Read for Trickle<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.bytes_now(buffer.len())?;
        self.stream.read(&mut buffer[..len])
    }
}

impl<S: Write> Write for Trickle<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.bytes_now(bytes.len())?;
        self.stream.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Stream> Stream for Trickle<S> {
    fn source(&self) -> Source<'_> {
        self.stream.source()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stream.finish()
    }
}

/// A stream that takes nothing while it is stuffed.
#[derive(Debug)]
pub(super) struct Stuffed<S> {
    stream: S,
    stuffed: Arc<AtomicBool>,
}

impl<S> Stuffed<S> {
    /// The stream and its switch, which is off.
    pub(super) fn new(stream: S) -> (Self, Arc<AtomicBool>) {
        let stuffed = Arc::new(AtomicBool::new(false));
        (Self { stream, stuffed: Arc::clone(&stuffed) }, stuffed)
    }
}

impl<S: Read> Read for Stuffed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl<S: Write> Write for Stuffed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stuffed.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Stream> Stream for Stuffed<S> {
    fn source(&self) -> Source<'_> {
        self.stream.source()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stream.finish()
    }
}

/// Writes `sent` to a stream over [`Stuffed`] until it takes no more, then opens the transport and reads the echo. The
/// stream keeps `most` bytes at most. Gives those that it took.
#[track_caller]
pub(super) fn fill_stuffed<'s>(
    stream: &mut impl Stream,
    stuffed: &AtomicBool,
    sent: &'s [u8],
    most: usize,
) -> &'s [u8] {
    assert!(!stream.has_output());
    stuffed.store(true, Ordering::SeqCst);
    let mut taken = 0;
    let blocked = loop {
        match stream.write(&sent[taken..]) {
            Ok(len) => taken += len,
            Err(error) => break error,
        }
    };
    assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
    assert!((1..=most).contains(&taken), "{taken}");
    assert!(stream.has_output());
    assert_eq!(stream.flush().expect_err("stuffed").kind(), io::ErrorKind::WouldBlock);
    assert_eq!(stream.finish().expect_err("stuffed").kind(), io::ErrorKind::WouldBlock);
    stuffed.store(false, Ordering::SeqCst);
    finish(stream);
    let sent = &sent[..taken];
    assert!(read_to_end(stream) == sent);
    sent
}

/// Reads exactly so many bytes; waits for them.
#[track_caller]
pub(super) fn read_exact(stream: &mut impl Stream, len: usize) -> Vec<u8> {
    let mut bytes = std::vec![0; len];
    Waiting { stream, until: soon() }.read_exact(&mut bytes).expect("the peer has sent them");
    bytes
}

/// Reads to the end; waits for it.
#[track_caller]
pub(super) fn read_to_end(stream: &mut impl Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    Waiting { stream, until: soon() }.read_to_end(&mut bytes).expect("the peer ends it");
    bytes
}

/// The error of a read that fails; waits for it.
#[track_caller]
pub(super) fn read_error(stream: &mut impl Stream) -> io::Error {
    Waiting { stream, until: soon() }.read(&mut [0; 100]).expect_err("it fails")
}

/// Writes everything and flushes; waits until it is gone.
#[track_caller]
pub(super) fn write_all(stream: &mut impl Stream, bytes: &[u8]) {
    let mut waiting = Waiting { stream, until: soon() };
    waiting.write_all(bytes).expect("it is taken");
    waiting.flush().expect("it is taken");
    assert!(!stream.has_output(), "everything was flushed");
}

/// Ends the stream; waits until the peer can know.
#[track_caller]
pub(super) fn finish(stream: &mut impl Stream) {
    loop {
        match stream.finish() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait_until(stream.source(), Interest::WRITABLE, soon()).expect("it is taken");
            }
            finished => return finished.expect("it can be finished"),
        }
    }
}

/// Bytes that differ from place to place.
pub(super) fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}
