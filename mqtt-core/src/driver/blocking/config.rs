//! The sizes of a blocking client, and its start.

use std::{
    boxed::Box,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    string::ToString,
    sync::{Arc, Condvar, Mutex},
    time, vec,
};

use super::{Client, Connector, Error, Events, Shared, State, dyn_journal::DynJournal, link::Tcp};
use crate::{client::BoxedClient, driver::journal::Journal, framer::Framer, options::Options};

/// Options and sizes of a blocking client. The default sizes suit a program on a host: an outbox of 256 KiB, 1,024
/// requests in flight, a read buffer of 64 KiB.
///
/// If the options' `Reconnect` has no seed, one is drawn from the operating system, so the clients of a fleet differ.
///
/// ```no_run
/// use mqtt_core::{Options, driver::blocking::Config};
///
/// let options = Options::new("meter-4").clean_session(false);
/// let config = Config::new(&options).outbox(32 << 20).window(256);
/// let (client, events) = config.connect(&["localhost:1883", "fallback:1883"])?;
/// # let _ = (client, events);
/// # Ok::<(), mqtt_core::driver::blocking::Error>(())
/// ```
#[must_use]
pub struct Config<'a> {
    options: Options<'a>,
    outbox: usize,
    window: usize,
    buffer: usize,
    journal: Option<Box<dyn DynJournal>>,
}

impl fmt::Debug for Config<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<'a> Config<'a> {
    /// A blocking client with these options and the default sizes.
    pub fn new(options: &Options<'a>) -> Self {
        let (outbox, window, buffer) = (256 << 10, 1024, 64 << 10);
        Self { options: options.clone(), outbox, window, buffer, journal: None }
    }

    /// Bytes for packets that wait to be sent or are unanswered. The largest message has to fit in.
    pub const fn outbox(mut self, bytes: usize) -> Self {
        self.outbox = bytes;
        self
    }

    /// How many requests may be in flight, and how many QoS 2 messages the broker may have in flight. Mosquitto can
    /// send hundreds at once; more than this number end the connection.
    pub const fn window(mut self, requests: usize) -> Self {
        self.window = requests;
        self
    }

    /// Bytes of the read buffer. A larger message comes in pieces.
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// Keeps the session in `journal`, starts with the session that it holds, and turns `Options::journal` on.
    ///
    /// A request returns once it is in `journal`, connected or not, so the message is safe from power cuts from then
    /// on. It takes as long as an `append`, and other threads wait for that time: records are written in the order in
    /// which requests are accepted. `journal` must not call the client.
    ///
    /// If `journal` fails, the client stops: nothing is sent that is not recorded, [`Events::next`] ends, and
    /// [`Events::last_error`] is [`Error::Journal`]. Accepted requests stay in RAM. [`Client::reconnect`] makes the
    /// client try again: they go into the next record, and [`Events::next`] goes on.
    ///
    /// The client can start without waiting for the broker: see [`start`](Self::start).
    pub fn journal<J>(mut self, journal: J) -> Self
    where
        J: Journal + Send + 'static,
        J::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        self.journal = Some(Box::new(journal));
        self
    }

    /// Connects over TCP to the first of `brokers` (`host:port` each) and waits until it accepts the connection. After
    /// a broken connection the client tries the brokers in turn. They are separate brokers, each with a session of its
    /// own, unless `Options::cluster` says that they are a cluster. With `Reconnect::shuffle_endpoints` the first one is
    /// any of them.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), or the reason why the first connection could not be made.
    pub fn connect(self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        let (client, mut events) = self.start(brokers)?;
        events.await_up()?;
        Ok((client, events))
    }

    /// As [`connect`](Self::connect), but does not wait for the broker: the client connects in [`Events::next`], and
    /// requests that are accepted before that are sent once it is connected. For devices that start offline.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], [`Error::NoJournal`], [`Error::Journal`], [`Error::Restore`].
    pub fn start(mut self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        let count = u8::try_from(brokers.len()).unwrap_or(u8::MAX);
        let reconnect = &mut self.options.settings.reconnect;
        *reconnect = reconnect.endpoints(count);
        let brokers = brokers.iter().map(ToString::to_string).collect();
        self.over(Tcp { brokers })
    }

    /// A client over transports that `connector` opens. It connects in the first call of [`Events::next`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn over(self, connector: impl Connector + 'static) -> Result<(Client, Events), Error> {
        if self.options.session.recorder.is_some() && self.journal.is_none() {
            return Err(Error::NoJournal);
        }
        let options = self.options.receive_capacity(self.buffer).journal(self.journal.is_some());
        let options = options.default_seed(drawn());
        let mut client = BoxedClient::new_boxed(&options, self.outbox, self.window)?;
        let mut journal = self.journal;
        if let Some(journal) = &mut journal {
            journal.replay(&mut client)?;
        }
        let mut state = State::new(client, journal);
        state.compact();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            start: time::Instant::now(),
        });
        let buffer = Framer::new(vec![0; self.buffer].into_boxed_slice());
        let events = Events::new(shared.clone(), Box::new(connector), buffer);
        Ok((Client { shared }, events))
    }
}

/// A number from the operating system's source of random numbers, another one at each call.
fn drawn() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

impl Client {
    /// Connects over TCP to `broker`, `host:port`, with default sizes, and waits until it accepts the connection.
    /// [`Config`] has more settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], or the reason why the connection could not be made.
    pub fn connect(broker: &str, options: &Options<'_>) -> Result<(Self, Events), Error> {
        Config::new(options).connect(&[broker])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::drawn;

    #[test]
    fn drawn_seeds_differ() {
        let seeds: BTreeSet<u32> = (0..1_000).map(|_| drawn()).collect();
        assert!(seeds.len() >= 998, "{} of 1,000 differ", seeds.len());
    }
}
