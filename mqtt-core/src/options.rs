//! What a client is told once: who it is, what the broker may expect of it, and its limits.
//!
//! [`Options`] borrows everything; `Client::new` encodes the CONNECT from it into the outbox and keeps no borrow.
//!
//! ```
//! use mqtt_core::{Login, Options, QoS, Reconnect, Version, Will, topic};
//!
//! let options = Options::new("boiler-7")
//!     .version(Version::Auto)
//!     .clean_session(false)
//!     .keep_alive(30)
//!     .login(Login::new("boiler", Some(b"secret")))
//!     .will(Will::new(topic!("boiler/7/state"), b"gone").qos(QoS::AtLeastOnce).retain(true))
//!     .reconnect(Reconnect::after(500).at_most(60_000).seed(0x1234));
//! # let _ = options;
//! ```

use crate::{
    codec::{Connect, Login, Protocol, Will},
    machine::{Hooks, LIMIT_QUEUE, LimitQueue},
    reconnect::Reconnect,
};

/// Which version of the protocol to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1 only.
    V31,
    /// MQTT 3.1.1 only.
    #[default]
    V311,
    /// 3.1.1 first; 3.1 once a broker refuses the version or closes without a CONNACK; what worked is remembered.
    Auto,
}

/// What becomes of a message that finds the queue full: the outbox, the window, or `Options::queue_messages`.
///
/// Only messages of QoS 0 that wait to be sent ever give way, and each that does is an `Event::Dropped`. With
/// [`DropOldest`](Self::DropOldest) and [`LatestPerTopic`](Self::LatestPerTopic) messages of QoS 0 take a slot as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Queue {
    /// The new one is refused with an error that says what is full.
    #[default]
    RefuseNew,
    /// The oldest of QoS 0 give way to it, as many as it takes.
    DropOldest,
    /// For telemetry: one of QoS 0 that still waits gives way to any later one of the same topic, also while there is
    /// room. Beyond that the new one is refused.
    LatestPerTopic,
}

/// The settings of a client; the defaults are those of the field (clean session, keep alive 60 s, 3.1.1).
///
/// Wrong combinations are found by `Client::new`, which returns a typed error.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) version: Version,
    pub(crate) clean_session: bool,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<Will<'a>>,
    pub(crate) login: Option<Login<'a>>,
    pub(crate) limits: Limits,
    pub(crate) reconnect: Reconnect,
    pub(crate) journal: Option<&'static Hooks>,
    pub(crate) record_delay: u32,
}

/// The settings that outlast `Client::new`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: u32,
    pub(crate) ping_timeout: u32,
    pub(crate) max_packet: u32,
    pub(crate) receive_capacity: usize,
    pub(crate) manual_acknowledge: bool,
    pub(crate) renew_subscriptions: bool,
    pub(crate) ping_on_silence: bool,
    pub(crate) exactly_once_window: u16,
    pub(crate) queue: Queue,
    /// A pointer, so that whoever sets no limit does not link how it is kept.
    pub(crate) limit_queue: Option<LimitQueue>,
    pub(crate) queue_messages: usize,
}

/// The largest packet that MQTT has: the longest remaining length and its five-byte header.
pub(crate) const LARGEST_PACKET: u32 = 268_435_455 + 5;

impl<'a> Options<'a> {
    /// Settings for the client `client_id`: clean session, keep alive 60 s, 3.1.1, no will, no login.
    ///
    /// 3.1.1 allows an empty id with a clean session, and the broker then makes one up [MQTT-3.1.3-7];
    /// 3.1 takes 1 to 23 characters.
    pub const fn new(client_id: &'a str) -> Self {
        Self {
            client_id,
            version: Version::V311,
            clean_session: true,
            keep_alive: 60,
            will: None,
            login: None,
            limits: Limits {
                connect_timeout: 20_000,
                ping_timeout: 10_000,
                max_packet: LARGEST_PACKET,
                receive_capacity: 1024,
                manual_acknowledge: false,
                renew_subscriptions: true,
                ping_on_silence: false,
                exactly_once_window: 19,
                queue: Queue::RefuseNew,
                limit_queue: None,
                queue_messages: usize::MAX,
            },
            reconnect: Reconnect::after(1_000),
            journal: None,
            record_delay: 1_000,
        }
    }

    /// The protocol version; 3.1.1 by default.
    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Whether each connection starts without a session (default), or the session outlives connections
    /// [MQTT-3.1.2-4].
    ///
    /// With a clean session a QoS 2 publish that was under way when the link broke ends as `Event::Lost`:
    /// nobody can tell whether it arrived. With `false` it is resumed.
    pub const fn clean_session(mut self, clean: bool) -> Self {
        self.clean_session = clean;
        self
    }

    /// The longest silence towards the broker, in seconds; 0 switches it off. Default 60.
    ///
    /// The client sends a PINGREQ after three quarters of it when nothing else was sent, so that the time on the
    /// way does not count against it [MQTT-3.1.2-23]. A broker cuts the link after one and a half.
    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// What the broker publishes when this client goes without a DISCONNECT.
    pub const fn will(mut self, will: Will<'a>) -> Self {
        self.will = Some(will);
        self
    }

    /// User name and password.
    pub const fn login(mut self, login: Login<'a>) -> Self {
        self.login = Some(login);
        self
    }

    /// How long opening the transport and waiting for the CONNACK may take together, in milliseconds.
    /// Default 20,000. A DISCONNECT that cannot be sent is given up after the same time.
    pub const fn connect_timeout(mut self, millis: u32) -> Self {
        self.limits.connect_timeout = millis;
        self
    }

    /// How long a PINGRESP may take, and how long the transport may take no bytes once the keep alive has run
    /// out, in milliseconds. Default 10,000.
    pub const fn ping_timeout(mut self, millis: u32) -> Self {
        self.limits.ping_timeout = millis;
        self
    }

    /// Ping also when nothing was *received* for a keep alive; off by default.
    ///
    /// A client that only publishes at QoS 0 is never silent and hears nothing, so it sends no PINGREQ and would
    /// notice a half-open link only when its transport does, which takes TCP a quarter of an hour. Switch this on
    /// for such a client.
    pub const fn ping_on_silence(mut self, on: bool) -> Self {
        self.limits.ping_on_silence = on;
        self
    }

    /// How many publishes of QoS 2 may be under way, or wait, at once, besides the limit that the slots set.
    /// Default 19.
    ///
    /// Brokers limit what they take and 3.1.1 has no way for them to say so: Mosquitto with its default
    /// `max_inflight_messages` acknowledges what exceeds 20 and drops it. A publish of QoS 1 is one of these 20 for a
    /// moment as well, so one is left for it.
    pub const fn exactly_once_window(mut self, publishes: u16) -> Self {
        self.limits.exactly_once_window = publishes;
        self
    }

    /// What gives way when a message finds the queue full; nothing by default.
    pub const fn queue(mut self, queue: Queue) -> Self {
        self.limits.queue = queue;
        self.limits.limit_queue = Some(LIMIT_QUEUE);
        self
    }

    /// How many messages may wait or be unanswered at once, at every QoS, besides the limits that the outbox and the
    /// slots set. No limit by default.
    pub const fn queue_messages(mut self, messages: usize) -> Self {
        self.limits.queue_messages = messages;
        self.limits.limit_queue = Some(LIMIT_QUEUE);
        self
    }

    /// The largest packet taken from the broker, in bytes, header included; a larger one ends the connection.
    /// Default: the largest that MQTT has, 268,435,460.
    pub const fn max_packet(mut self, bytes: u32) -> Self {
        self.limits.max_packet = bytes;
        self
    }

    /// How many bytes the driver can hold at once; at least 16. Default 1,024.
    ///
    /// A larger PUBLISH is handed over in pieces (`Event::MessageStart`, `MessageChunk`, `MessageEnd`), so a
    /// driver whose buffer is smaller than this would wait for ever for a packet that it cannot hold.
    /// `driver::blocking` sets it to its own buffer's size.
    pub const fn receive_capacity(mut self, bytes: usize) -> Self {
        self.limits.receive_capacity = bytes;
        self
    }

    /// Whether the application acknowledges each message itself with `Client::acknowledge`; off by default.
    ///
    /// A message that it has not acknowledged when the link breaks comes again.
    pub const fn manual_acknowledge(mut self, on: bool) -> Self {
        self.limits.manual_acknowledge = on;
        self
    }

    /// Whether granted subscriptions are kept in the outbox and made again, in one SUBSCRIBE, when the broker has lost
    /// the session; on by default.
    ///
    /// For a broker that takes only a few filters in one SUBSCRIBE (some cloud services take eight) switch it off, and
    /// subscribe again at each `Event::Up` whose session is not `Resumed`.
    pub const fn renew_subscriptions(mut self, on: bool) -> Self {
        self.limits.renew_subscriptions = on;
        self
    }

    /// When to connect again after the link broke.
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Whether the session survives a power cut: the client gives records (`Action::Persist`) for the driver to keep,
    /// and nothing is sent before what it rests on is kept; `Client::restore` rebuilds the session from them. Off by
    /// default.
    ///
    /// Messages of QoS 1 and 2 that were accepted, the state of every QoS 2 exchange, and granted subscriptions
    /// survive; QoS 0 messages, and SUBSCRIBE and UNSUBSCRIBE under way, do not.
    ///
    /// What the application did with a message has to become durable as well: at QoS 2 before or together with the record
    /// that follows, at QoS 1 before the next `poll`, which may acknowledge it; or, at both, it sets `Client::set_position`. It takes
    /// [`clean_session(false)`](Self::clean_session) for exactly-once delivery, as over a broken connection.
    pub const fn journal(mut self, on: bool) -> Self {
        self.journal = if on { Some(&Hooks::ALL) } else { None };
        self
    }

    /// How long a publish that is done may go unrecorded, in milliseconds, while no other record is due.
    /// Default 1,000.
    ///
    /// After a power cut it would be sent again, which a broker takes for what it is at QoS 2, and for a duplicate at
    /// QoS 1. A longer delay spares flash memory: see [`driver::journal`](crate::driver::journal).
    pub const fn record_delay(mut self, millis: u32) -> Self {
        self.record_delay = millis;
        self
    }

    /// The CONNECT that these settings make in `protocol`.
    pub(crate) const fn connect(&self, protocol: Protocol) -> Connect<'a> {
        Connect {
            protocol,
            client_id: self.client_id,
            clean_session: self.clean_session,
            keep_alive: self.keep_alive,
            will: self.will,
            login: self.login,
        }
    }
}
