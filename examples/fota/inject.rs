//! Faults on request: each happens once, half way through the image.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mqtt_core::driver::{
    blocking::{Brokers, Connector},
    stream::{Link, Source, Stream},
};
use mqtt_fota::nor::PowerCut;

/// What goes wrong at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceFault {
    /// The task that writes flash hangs.
    Stall,
    /// The connection breaks within a chunk.
    Cut,
    /// The power is cut within an operation of the flash: after so many of them, or at any of the update.
    PowerCut(Option<u64>),
    /// The new image hangs before it has confirmed itself.
    BadImage,
}

/// What goes wrong at a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublisherFault {
    /// It stays connected, and sends no more chunks.
    Stall,
    /// A byte of the image is wrong, and the chunk has the hash of the wrong byte.
    Corrupt,
    /// A byte of a chunk is wrong on its way.
    Damage,
    /// The manifest says a higher version than was signed.
    Forge,
}

/// A random number.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A power cut within any of the next `operations`.
pub(crate) fn power_cut(from: u64, operations: u64) -> PowerCut {
    let after = from + random() % operations.max(1);
    PowerCut { after, tear: random() as u32 }
}

/// A way to the broker that breaks when it is told to. A cable that is pulled out looks so.
#[derive(Debug)]
pub(crate) struct Breakable {
    brokers: Brokers,
    cut: Arc<AtomicBool>,
}

impl Breakable {
    /// The way, and the flag that breaks it once.
    pub(crate) fn new(brokers: Brokers) -> (Self, Arc<AtomicBool>) {
        let cut = Arc::new(AtomicBool::new(false));
        (Self { brokers, cut: Arc::clone(&cut) }, cut)
    }
}

impl Connector for Breakable {
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let link = self.brokers.connect(endpoint, timeout)?;
        Ok(Box::new(Broken { link, cut: Arc::clone(&self.cut) }))
    }

    fn name(&self, endpoint: u8) -> String {
        self.brokers.name(endpoint)
    }
}

struct Broken {
    link: Link,
    cut: Arc<AtomicBool>,
}

impl Broken {
    fn check(&self) -> io::Result<()> {
        let is_cut = self.cut.swap(false, Ordering::Relaxed);
        if is_cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Read for Broken {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.link.read(bytes)
    }
}

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.link.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link.flush()
    }
}

impl Stream for Broken {
    fn source(&self) -> Source<'_> {
        self.link.source()
    }

    fn has_input(&self) -> bool {
        self.link.has_input()
    }

    fn short_read_drains(&self) -> bool {
        self.link.short_read_drains()
    }

    fn has_output(&self) -> bool {
        self.link.has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.link.finish()
    }
}
