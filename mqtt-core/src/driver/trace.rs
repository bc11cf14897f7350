//! A tap on a link: it shows the bytes that go through, as an account that people read, or as a file for Wireshark.
//!
//! - [`Account`] writes a line for each packet.
//! - [`Pcapng`] writes a file that Wireshark and tshark open with their MQTT dissector.
//!
//! [`Config::trace`](super::blocking::Config::trace) taps every link of a client.
//!
//! ```no_run
//! use mqtt_core::{Options, driver::blocking::Config, driver::trace::{Account, Pcapng}};
//!
//! let file = Pcapng::create("meter.pcapng")?;
//! let config = Config::new(&Options::new("meter-4"))
//!     .trace(Account::new("meter", std::io::stderr()))
//!     .trace(file.clone());
//! let (client, events) = config.connect(&["localhost:1883"])?;
//! # let _ = (client, events);
//! if let Some(error) = file.take_error() {
//!     eprintln!("meter.pcapng is not complete: {error}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Tap`] sits on top of all layers of a transport. It sees the bytes of MQTT before TLS encrypts them, and after
//! TLS has decrypted them.
//!
//! An account never shows a password, and a pcapng file only after [`Pcapng::show_passwords`]. Everything else is
//! shown: user names, topics, payloads. So a new file can be read by its owner alone.
//!
//! A sink that fails does not break the connection. It keeps its first error, and shows nothing more. A sink is called
//! by the thread that reads or writes, so a sink that waits delays the client.

mod account;
pub mod describe;
mod mask;
mod output;
mod pcapng;

pub use account::Account;
pub use pcapng::Pcapng;

use std::{
    boxed::Box,
    fmt,
    io::{self, Read, Write},
    sync::Arc,
    vec::Vec,
};

use super::stream::{Source, Stream, is_pause};

/// Shows what goes over links. Several links, of several clients, may share a sink.
pub trait Sink: Send + Sync {
    /// A link to `peer` is open. The answer is told what goes over it.
    #[must_use = "it is told what goes over the link"]
    fn open(&self, peer: &str) -> Box<dyn Conversation>;

    /// A link to `peer` could not be opened.
    fn not_open(&self, peer: &str, error: &io::Error);
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn open(&self, peer: &str) -> Box<dyn Conversation> {
        (**self).open(peer)
    }

    fn not_open(&self, peer: &str, error: &io::Error) {
        (**self).not_open(peer, error);
    }
}

/// Shows what goes over one link.
pub trait Conversation: Send {
    /// The link has taken these bytes.
    fn sent(&mut self, bytes: &[u8]);

    /// These bytes came.
    fn received(&mut self, bytes: &[u8]);

    /// The link has ended. It is called once, and nothing is called after it.
    fn ended(&mut self, end: &End<'_>);
}

/// How a link ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End<'a> {
    /// The client has closed it.
    ByClient,
    /// The broker has closed it.
    ByBroker,
    /// It failed.
    Failed(&'a io::Error),
}

/// A link whose bytes are shown to sinks.
pub struct Tap<L> {
    link: L,
    told: Vec<Box<dyn Conversation>>,
    /// The client sends nothing more.
    finished: bool,
}

impl<L: Stream> Tap<L> {
    /// Shows `sinks` that `link`, a link to `peer`, is open, and then all that goes over it.
    pub fn new(link: L, peer: &str, sinks: &[Arc<dyn Sink>]) -> Self {
        Self { link, told: sinks.iter().map(|sink| sink.open(peer)).collect(), finished: false }
    }
}

impl<L> Tap<L> {
    fn ended(&mut self, end: &End<'_>) {
        for mut conversation in self.told.drain(..) {
            conversation.ended(end);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !is_pause(error) {
            self.ended(&End::Failed(error));
        }
    }
}

/// Without the bytes.
impl<L: fmt::Debug> fmt::Debug for Tap<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<L: Stream> Read for Tap<L> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.link.read(buffer);
        match &read {
            Ok(0) if buffer.is_empty() => {}
            // The broker answers the client's end with its own.
            Ok(0) if self.finished => self.ended(&End::ByClient),
            Ok(0) => self.ended(&End::ByBroker),
            Ok(count) => {
                let bytes = buffer.get(..*count).unwrap_or_default();
                self.told.iter_mut().for_each(|conversation| conversation.received(bytes));
            }
            Err(error) => self.failed(error),
        }
        read
    }
}

impl<L: Stream> Write for Tap<L> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.link.write(bytes);
        match &written {
            Ok(count) => {
                let bytes = bytes.get(..*count).unwrap_or(bytes);
                self.told.iter_mut().for_each(|conversation| conversation.sent(bytes));
            }
            Err(error) => self.failed(error),
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link.flush()
    }
}

impl<L: Stream> Stream for Tap<L> {
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
        self.link.finish()?;
        self.finished = true;
        Ok(())
    }
}

impl<L> Drop for Tap<L> {
    fn drop(&mut self) {
        self.ended(&End::ByClient);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        format,
        os::unix::net::UnixStream,
        string::{String, ToString as _},
        sync::{Mutex, PoisonError},
        vec,
    };

    use super::*;

    /// Writes down what it is told.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Notes {
        fn add(&self, note: String) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        }

        fn taken(&self) -> Vec<String> {
            core::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Sink for Notes {
        fn open(&self, peer: &str) -> Box<dyn Conversation> {
            self.add(format!("open {peer}"));
            Box::new(self.clone())
        }

        fn not_open(&self, peer: &str, error: &io::Error) {
            self.add(format!("not open {peer}: {error}"));
        }
    }

    impl Conversation for Notes {
        fn sent(&mut self, bytes: &[u8]) {
            self.add(format!("sent {}", bytes.escape_ascii()));
        }

        fn received(&mut self, bytes: &[u8]) {
            self.add(format!("received {}", bytes.escape_ascii()));
        }

        fn ended(&mut self, end: &End<'_>) {
            self.add(match end {
                End::ByClient => "ended by the client".to_string(),
                End::ByBroker => "ended by the broker".to_string(),
                End::Failed(error) => format!("failed: {:?}", error.kind()),
            });
        }
    }

    fn tapped() -> (Tap<UnixStream>, UnixStream, Notes) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket can be non-blocking");
        let notes = Notes::default();
        let sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(notes.clone())];
        (Tap::new(ours, "b:1", &sinks), theirs, notes)
    }

    #[test]
    fn bytes_are_shown_once_the_link_has_taken_or_given_them() {
        let (mut tap, mut theirs, notes) = tapped();
        let mut buffer = [0; 8];
        assert!(tap.read(&mut buffer).is_err_and(|error| is_pause(&error)), "nothing came");
        tap.write_all(b"ab").expect("there is room");
        theirs.write_all(b"cd").expect("there is room");
        assert_eq!(tap.read(&mut buffer).expect("bytes came"), 2);
        assert_eq!(notes.taken(), ["open b:1", "sent ab", "received cd"]);
    }

    #[test]
    fn the_end_is_shown_once() {
        let (mut tap, theirs, notes) = tapped();
        drop(theirs);
        assert_eq!(tap.read(&mut [0; 8]).expect("the end"), 0);
        assert_eq!(tap.read(&mut [0; 8]).expect("the end"), 0);
        drop(tap);
        assert_eq!(notes.taken(), ["open b:1", "ended by the broker"]);
    }

    #[test]
    fn a_client_that_finished_first_has_closed_the_link() {
        let (mut tap, theirs, notes) = tapped();
        tap.finish().expect("it is open");
        drop(theirs);
        assert_eq!(tap.read(&mut [0; 8]).expect("the end"), 0);
        assert_eq!(notes.taken(), ["open b:1", "ended by the client"]);
    }

    #[test]
    fn a_link_that_fails_is_shown_with_its_error() {
        let (mut tap, theirs, notes) = tapped();
        drop(theirs);
        assert!(tap.write(b"a").is_err(), "nobody is there");
        assert_eq!(notes.taken(), ["open b:1", "failed: BrokenPipe"]);
    }

    #[test]
    fn a_link_that_is_dropped_was_closed_by_the_client() {
        let (tap, _theirs, notes) = tapped();
        drop(tap);
        assert_eq!(notes.taken(), ["open b:1", "ended by the client"]);
    }
}
