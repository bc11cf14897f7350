//! The sizes of a blocking client, and its start.

use std::{
    boxed::Box,
    string::ToString,
    sync::{Arc, Condvar, Mutex},
    time::{self, Duration},
    vec,
};

use super::{Client, Connector, Error, Events, Shared, State, link::Tcp};
use crate::{client::BoxedClient, framer::Framer, options::Options};

/// Options and sizes of a blocking client. The defaults suit a program on a host: an outbox of 256 KiB, 1,024
/// requests in flight, a read buffer of 64 KiB.
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
#[derive(Clone, Debug)]
#[must_use]
pub struct Config<'a> {
    options: Options<'a>,
    outbox: usize,
    window: usize,
    buffer: usize,
}

impl<'a> Config<'a> {
    /// The default sizes.
    pub fn new(options: &Options<'a>) -> Self {
        Self { options: options.clone(), outbox: 256 << 10, window: 1024, buffer: 64 << 10 }
    }

    /// Bytes for what waits for the broker or for its answer. The largest message has to fit in.
    pub const fn outbox(mut self, bytes: usize) -> Self {
        self.outbox = bytes;
        self
    }

    /// How many requests may await an answer, and how many QoS 2 messages the broker may have under way: Mosquitto
    /// sends hundreds at once, and more than fit end the connection.
    pub const fn window(mut self, requests: usize) -> Self {
        self.window = requests;
        self
    }

    /// Bytes of the read buffer. A larger message comes in pieces.
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// Connects over TCP to the first of `brokers` (`host:port` each) and waits until it accepts. After a broken
    /// connection the others follow in turn.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], or why the first connection could not be made.
    pub fn connect(mut self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        let count = u8::try_from(brokers.len()).unwrap_or(u8::MAX);
        self.options.reconnect = self.options.reconnect.endpoints(count);
        let brokers = brokers.iter().map(ToString::to_string).collect();
        let (client, mut events) = self.over(Tcp { brokers })?;
        events.await_up()?;
        Ok((client, events))
    }

    /// A client over transports that `connector` opens. It connects in the first call of [`Events::next`].
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn over(self, connector: impl Connector + 'static) -> Result<(Client, Events), Error> {
        let options = self.options.receive_capacity(self.buffer);
        let timeout = Duration::from_millis(u64::from(options.limits.connect_timeout));
        let client = BoxedClient::new_boxed(&options, self.outbox, self.window)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { client, writer: None, reading: false, congested: None }),
            changed: Condvar::new(),
            start: time::Instant::now(),
        });
        let buffer = Framer::new(vec![0; self.buffer].into_boxed_slice());
        let events = Events::new(shared.clone(), Box::new(connector), buffer, timeout);
        Ok((Client { shared }, events))
    }
}
