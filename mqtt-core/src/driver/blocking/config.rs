//! The sizes of a blocking client, and its start.

use std::{
    boxed::Box,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{self, Duration},
    vec::Vec,
};

use super::{
    Brokers, Client, Connector, Error, EventQueue, Events, Shared, State, Traced,
    dyn_journal::DynJournal,
    queue::{Filled, queue},
    read_buffer::ReadBuffer,
    waker::Waker,
};
use crate::{
    client::BoxedClient,
    driver::{journal::Journal, trace::Sink},
    event::Event,
    options::Options,
};

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
    ends_with_clients: bool,
    sinks: Vec<Arc<dyn Sink>>,
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
        Self {
            options: options.clone(),
            outbox,
            window,
            buffer,
            journal: None,
            ends_with_clients: false,
            sinks: Vec::new(),
        }
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
    /// If `journal` fails, the client stops: nothing is sent that is not recorded, the request and all later ones fail
    /// with [`Error::Journal`], [`Events::next`] ends, and [`Events::last_error`] has the error. Requests that were
    /// accepted before, and the one that failed, stay in RAM. [`Client::reconnect`] makes the client try again: they go
    /// into the next record, and [`Events::next`] goes on.
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

    /// Whether the client disconnects once all [`Client`]s are dropped, so that [`Events::next`] ends; off by default,
    /// because a program that only receives may drop its `Client`.
    pub const fn end_with_clients(mut self, on: bool) -> Self {
        self.ends_with_clients = on;
        self
    }

    /// Shows `sink` what goes over each link; may be called for several sinks. See [`driver::trace`](crate::driver::trace).
    pub fn trace(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// Connects to the first of `brokers` that accepts the connection, and waits for it. For what can be written see
    /// [`Address`](crate::driver::address::Address): `host:port`, or a URL. After a broken connection the client tries
    /// the brokers in turn. They are separate brokers, each with a session of its own, unless `Options::cluster` says
    /// that they are a cluster. With `Reconnect::shuffle_endpoints` the first one is any of them.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), or, if no broker accepted the connection, why the last one did not.
    pub fn connect(self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        let count = brokers.len();
        let (client, mut events) = self.start(brokers)?;
        events.await_up(count)?;
        Ok((client, events))
    }

    /// As [`connect`](Self::connect), but does not wait for the broker: the client connects in [`Events::next`], and
    /// requests that are accepted before that are sent once it is connected. For devices that start offline.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::Config`], [`Error::NoJournal`], [`Error::Journal`], [`Error::Restore`], and
    /// [`Error::Io`] if the system has no sockets left.
    pub fn start(self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        self.to(Brokers::new(brokers)?)
    }

    /// As [`start`](Self::start), with the options of `brokers`. If the options have no login, that of the first address
    /// that has one is taken.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn to(mut self, mut brokers: Brokers) -> Result<(Client, Events), Error> {
        brokers.prepare()?;
        let count = u8::try_from(brokers.count()).unwrap_or(u8::MAX);
        let reconnect = &mut self.options.settings.reconnect;
        *reconnect = reconnect.endpoints(count);
        let login = brokers.login().filter(|_| self.options.connect.login.is_none());
        let Self { options, outbox, window, buffer, journal, ends_with_clients, sinks } = self;
        let options = match &login {
            Some(login) => options.login(login.as_login()),
            None => options,
        };
        Config { options, outbox, window, buffer, journal, ends_with_clients, sinks }.over(brokers)
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
        let mut state = State::new(client, journal, self.window.max(LEAST_OUTCOMES));
        state.ends_with_clients = self.ends_with_clients;
        state.compact();
        let waker =
            Waker::new().map_err(|error| Error::Io { broker: "this program".into(), error })?;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            waker,
            start: time::Instant::now(),
        });
        let buffer = ReadBuffer::new(self.buffer);
        // Without a sink it passes the links on as they are.
        let connector = Arc::new(Traced::new(connector).sinks(self.sinks));
        let events = Events::new(shared.clone(), connector, buffer);
        Ok((Client::new(&shared), events))
    }

    /// As [`start`](Self::start), with a thread of its own that serves the connection and gives each event to
    /// `handler`. The handler may make requests with the client that it is given, and keep it. What is due is sent
    /// between two events, so one event should not take longer than half of the keep alive.
    ///
    /// The thread ends once the client is stopped, as after [`Client::disconnect`], or if `handler` panics. Later
    /// requests then fail with [`Error::NotServed`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); the system has no threads left.
    pub fn spawn(
        self,
        brokers: Brokers,
        mut handler: impl FnMut(&Client, Event<'_>) + Send + 'static,
    ) -> Result<Client, Error> {
        let (client, mut events) = self.to(brokers)?;
        let own = client.for_the_driver();
        in_background(move || {
            while let Some(event) = events.next() {
                handler(&own, event);
            }
        })?;
        Ok(client)
    }

    /// As [`spawn`](Self::spawn), with a queue of at most `most` events instead of a handler.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_queue(self, brokers: Brokers, most: usize) -> Result<(Client, EventQueue), Error> {
        let (client, mut events) = self.to(brokers)?;
        let (filling, queue) = queue(most);
        in_background(move || {
            while let Some(event) = events.next() {
                let mut event = event.to_owned();
                loop {
                    event = match filling.put(event, BETWEEN_SENDS) {
                        Filled::Yes => break,
                        Filled::Abandoned => return,
                        Filled::NotYet(event) => event,
                    };
                    events.keep_alive();
                }
            }
        })?;
        Ok((client, queue))
    }
}

/// Outcomes that are kept at least for those who wait for them.
const LEAST_OUTCOMES: usize = 64;
/// While nobody takes events, what is due is sent this often.
const BETWEEN_SENDS: Duration = Duration::from_millis(250);

fn in_background(serve: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = thread::Builder::new().name("mqtt".into()).spawn(serve);
    spawned.map(drop).map_err(|error| Error::Io { broker: "this program".into(), error })
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
