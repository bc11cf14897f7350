//! Serial lines to a broker: a pseudo-terminal for each attempt to connect, and a thread that copies its bytes.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::Connector;
use mqtt_core::driver::stream::{Link, Source, Stream};
use mqtt_core::driver::transport::{Serial, SerialOptions};
use test_kit::terminal::pseudo_terminal;

use super::copying::{Stop, copy};
use super::terminator::open;
use crate::process::SOON;

/// The lines to one broker. All of them are hung up when it is dropped.
#[derive(Debug)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    broker: SocketAddr,
    stop: Stop,
    copying: Mutex<Vec<JoinHandle<()>>>,
}

impl Lines {
    pub(super) fn to(broker: SocketAddr) -> Self {
        Self(Arc::new(Shared { broker, stop: Stop::new(), copying: Mutex::default() }))
    }

    pub(super) fn connector(&self) -> impl Connector + 'static {
        Lay(Arc::clone(&self.0))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.stop.now();
        let copying = std::mem::take(&mut *lock(&self.0.copying));
        for thread in copying {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lays a line for each attempt.
struct Lay(Arc<Shared>);

impl Connector for Lay {
    fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
        let mut far = open(self.0.broker)?;
        let (end, path) = pseudo_terminal();
        rustix::io::ioctl_fionbio(&end, true)?;
        let serial = Serial::open(path, &SerialOptions::new(115_200))?;
        let progress = Arc::new(Progress::default());
        let mut end = End { end, written: 0, progress: Arc::clone(&progress), is_over: false };
        let stop = self.0.stop.clone();
        let copying = thread::spawn(move || copy(&mut end, &mut far, &stop).unwrap_or_default());
        lock(&self.0.copying).push(copying);
        Ok(Box::new(Line { serial, progress }))
    }

    fn name(&self, _endpoint: u8) -> String {
        format!("a serial line to {}", self.0.broker)
    }
}

/// How far the client has read. A line that is hung up loses the rest.
#[derive(Debug, Default)]
struct Progress {
    taken: Mutex<Taken>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    closed: bool,
}

/// The client's end.
struct Line {
    serial: Serial,
    progress: Arc<Progress>,
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.progress.taken).closed = true;
        self.progress.changed.notify_all();
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.serial.read(buffer)?;
        lock(&self.progress.taken).count += len;
        self.progress.changed.notify_all();
        Ok(len)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.serial.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.serial.flush()
    }
}

impl Stream for Line {
    fn source(&self) -> Source<'_> {
        self.serial.source()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.serial.finish()
    }
}

/// The broker's end.
struct End {
    end: File,
    written: usize,
    progress: Arc<Progress>,
    is_over: bool,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_over {
            return Ok(0);
        }
        match self.end.read(buffer) {
            // The client has closed its end.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok(0)
            }
            read => read,
        }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.end.write(bytes) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            Ok(len) => {
                self.written += len;
                Ok(len)
            }
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for End {
    fn source(&self) -> Source<'_> {
        self.end.as_fd()
    }

    /// A line cannot be half closed: this waits until the client has read all, and the line is hung up.
    fn finish(&mut self) -> io::Result<()> {
        let limit = Instant::now() + SOON;
        let mut taken = lock(&self.progress.taken);
        while taken.count < self.written && !taken.closed && Instant::now() < limit {
            let waited = self.progress.changed.wait_timeout(taken, SOON);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.is_over = true;
        Ok(())
    }
}
