//! [`Config`]: the options and sizes of a client on a host.

use std::{
    boxed::Box,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    vec::Vec,
};

use super::{
    Brokers, Connector, Error, Payload, Requests, Traced,
    dyn_journal::DynJournal,
    read_buffer::ReadBuffer,
    service::{Service, Watch},
    shared::Shared,
    state::State,
};
use crate::{
    client::BoxedClient,
    driver::{journal::Journal, trace::Sink},
    options::Options,
    source::PublishFrom,
};

/// Options and sizes of a client, of either driver. The default sizes suit a program on a host: an outbox of 256 KiB,
/// 1,024 requests in flight, a read buffer of 64 KiB.
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
    payloads: Option<Reopen>,
}

/// Gives the payload of a message from before a restart.
type Reopen = Box<dyn FnMut(&PublishFrom<'_>) -> Option<Box<dyn Payload>>>;

impl fmt::Debug for Config<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<'a> Config<'a> {
    /// A client with these options and the default sizes.
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
            payloads: None,
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
    /// A request is accepted once it is in `journal`, connected or not, so the message is safe from power cuts from
    /// then on. It takes as long as an `append`, in the thread that requests, and others wait for that time: records are
    /// written in the order in which requests are accepted. `journal` must not call the client.
    ///
    /// If `journal` fails, the client stops: nothing is sent that is not recorded, the request and all later ones fail
    /// with [`Error::Journal`], the events end, and `Events::last_error` has the error. Requests that were accepted
    /// before, and the one that failed, stay in RAM. [`Requests::reconnect`] makes the client try again: they go into
    /// the next record, and the events go on.
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

    /// Asks `reopen` for the payload of each message of [`Requests::publish_from`] that is in the journal, before the
    /// client connects. `None`: the application does not have it any more, and the message ends as
    /// `Event::SourceFailed` when its turn comes.
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use mqtt_core::driver::blocking::{Config, Payload};
    /// # fn config(config: Config<'_>) -> Config<'_> {
    /// config.payloads(|publish| {
    ///     let file = File::open(format!("/var/spool/images/{}", publish.source.get())).ok()?;
    ///     Some(Box::new(file) as Box<dyn Payload>)
    /// })
    /// # }
    /// ```
    pub fn payloads(
        mut self,
        reopen: impl FnMut(&PublishFrom<'_>) -> Option<Box<dyn Payload>> + 'static,
    ) -> Self {
        self.payloads = Some(Box::new(reopen));
        self
    }

    /// Whether the client disconnects once all `Client`s are dropped, so that the events end; off by default, because a
    /// program that only receives may drop its `Client`.
    pub const fn end_with_clients(mut self, on: bool) -> Self {
        self.ends_with_clients = on;
        self
    }

    /// Shows `sink` what goes over each link; may be called for several sinks. See [`driver::trace`](crate::driver::trace).
    pub fn trace(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// The two halves of a client of `brokers`.
    pub(crate) fn build_to<W: Watch>(
        mut self,
        watch: W,
        mut brokers: Brokers,
    ) -> Result<(Requests, Service<W>), Error> {
        brokers.prepare()?;
        let count = u8::try_from(brokers.count()).unwrap_or(u8::MAX);
        let reconnect = &mut self.options.settings.reconnect;
        *reconnect = reconnect.endpoints(count);
        let login = brokers.login().filter(|_| self.options.connect.login.is_none());
        let Self { options, outbox, window, buffer, journal, ends_with_clients, sinks, payloads } =
            self;
        let options = match &login {
            Some(login) => options.login(login.as_login()),
            None => options,
        };
        Config { options, outbox, window, buffer, journal, ends_with_clients, sinks, payloads }
            .build(watch, brokers)
    }

    /// The two halves of a client over transports that `connector` opens.
    pub(crate) fn build<W: Watch>(
        self,
        watch: W,
        connector: impl Connector + 'static,
    ) -> Result<(Requests, Service<W>), Error> {
        if self.options.session.recorder.is_some() && self.journal.is_none() {
            return Err(Error::NoJournal);
        }
        let options = self.options.receive_capacity(self.buffer).journal(self.journal.is_some());
        let options = options.default_seed(drawn()).sources(true);
        let mut client = BoxedClient::new_boxed(&options, self.outbox, self.window)?;
        let mut journal = self.journal;
        if let Some(journal) = &mut journal {
            journal.replay(&mut client)?;
        }
        let restored = self.payloads.into_iter().flat_map(|mut reopen| {
            let reopened = client.sources().map(|(handle, publish)| (handle, reopen(&publish)));
            reopened.collect::<Vec<_>>()
        });
        let restored: Vec<_> = restored.collect();
        let mut state = State::new(client, journal, self.window.max(LEAST_OUTCOMES));
        for (handle, payload) in restored {
            if let Some(payload) = payload {
                state.feeding.add(handle, payload);
            }
        }
        state.ends_with_clients = self.ends_with_clients;
        state.compact();
        let shared = Shared::new(state);
        // Without a sink it passes the links on as they are.
        let connector = Arc::new(Traced::new(connector).sinks(self.sinks));
        let service = Service::new(shared.clone(), watch, connector, ReadBuffer::new(self.buffer));
        Ok((Requests::new(&shared), service))
    }
}

/// Outcomes that are kept at least for those who wait for them.
const LEAST_OUTCOMES: usize = 64;

/// A number from the operating system's source of random numbers, another one at each call.
fn drawn() -> u32 {
    RandomState::new().build_hasher().finish() as u32
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
