//! [`Options`]: the settings of a client, given once.
//!
//! They borrow everything. `Client::new` encodes the CONNECT from them into the outbox and keeps no borrow.
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
//!     .reconnect(Reconnect::after(500).at_most(60_000).seed(0x1234)); // a number of this device
//! # let _ = options;
//! ```

use crate::{
    codec::{Connect, Login, Protocol, Will},
    machine::{LIMIT_QUEUE, Oversized, Queue, RETURN_TO_FIRST, SOURCE_RULES, Settings, Version},
    reconnect::Reconnect,
    session::{
        Acknowledge, Endpoints, InDoubt, Recorder, RenewOn, Renewals, SessionSettings, Sources,
    },
};

/// The settings of a client; the defaults are those of the field (clean session, keep alive 60 s, 3.1.1).
///
/// `Client::new` refuses wrong combinations with a typed error.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options<'a> {
    pub(crate) connect: Connect<'a>,
    pub(crate) settings: Settings,
    pub(crate) session: SessionSettings,
    pub(crate) connect_room: usize,
}

impl<'a> Options<'a> {
    /// Settings for the client `client_id`: clean session, keep alive 60 s, 3.1.1, no will, no login.
    ///
    /// 3.1.1 allows an empty id with a clean session, and the broker then makes one up [MQTT-3.1.3-7];
    /// 3.1 takes 1 to 23 characters.
    pub const fn new(client_id: &'a str) -> Self {
        let connect = Connect {
            protocol: Protocol::V311,
            client_id,
            clean_session: true,
            keep_alive: 60,
            will: None,
            login: None,
        };
        let (settings, session) = (Settings::DEFAULT, SessionSettings::DEFAULT);
        Self { connect, settings, session, connect_room: 0 }
    }

    /// The protocol version; 3.1.1 by default.
    pub const fn version(mut self, version: Version) -> Self {
        self.settings.version = version;
        self
    }

    /// Whether each connection starts without a session (default), or the session outlives connections
    /// [MQTT-3.1.2-4].
    ///
    /// With a clean session, a QoS 2 publish that was in flight when the link broke ends as `Event::Lost`, because
    /// nobody can tell whether it arrived. With `false` it is resumed.
    pub const fn clean_session(mut self, clean: bool) -> Self {
        self.connect.clean_session = clean;
        self
    }

    /// The longest silence towards the broker, in seconds; 0 switches it off. Default 60.
    ///
    /// If nothing else was sent for three quarters of it, the client sends a PINGREQ; the rest is for the way to the
    /// broker [MQTT-3.1.2-23]. It does so as well if nothing was received, see
    /// [`ping_on_silence`](Self::ping_on_silence). A broker closes the connection after one and a half of it.
    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.connect.keep_alive = seconds;
        self
    }

    /// The broker publishes this message if the connection ends without a DISCONNECT.
    pub const fn will(mut self, will: Will<'a>) -> Self {
        self.connect.will = Some(will);
        self
    }

    /// User name and password.
    pub const fn login(mut self, login: Login<'a>) -> Self {
        self.connect.login = Some(login);
        self
    }

    /// Bytes of the outbox that stay free for a longer CONNECT than this one, for `Client::set_login` and
    /// `Client::set_will`. Default 0: a later login or will may be as long as the first one.
    pub const fn connect_room(mut self, bytes: usize) -> Self {
        self.connect_room = bytes;
        self
    }

    /// How long opening the transport and waiting for the CONNACK may take together, in milliseconds. It starts again
    /// when the transport takes bytes of the CONNECT. Default 20,000. The client gives up a DISCONNECT that cannot be
    /// sent after the same time.
    ///
    /// Each attempt that is given up for this (`Fatal::ConnectTimeout`) doubles the time of the next one, at most to
    /// eight times this value. An accepted connection ends that. Otherwise a broker that many clients connect to at
    /// once, after its restart, would never answer in time: the clients give up, and each new attempt costs it more.
    ///
    /// Choose it for a broker without such a load; but for a large fleet no shorter than a few seconds. If a broker of
    /// several is dead and swallows all packets, the next one waits for so long.
    pub const fn connect_timeout(mut self, millis: u32) -> Self {
        self.settings.connect_timeout = millis;
        self
    }

    /// The longest time for which no byte may come after a PINGREQ, in milliseconds: neither its PINGRESP nor any
    /// other. It is also the longest time for which the transport may take no bytes after the keep alive has run out.
    /// Default 10,000.
    pub const fn ping_timeout(mut self, millis: u32) -> Self {
        self.settings.ping_timeout = millis;
        self
    }

    /// Whether a PINGREQ is also sent if nothing was *received* for three quarters of the keep alive; on by default.
    ///
    /// It costs a client that only publishes at QoS 0 one PINGREQ and one PINGRESP in that time, 4 bytes; others hear
    /// the answers to their requests. Without it a client that publishes more often than the keep alive never sends a
    /// PINGREQ. It notices a half-open link only when its transport does, and TCP takes a quarter of an hour for that;
    /// a modem in transparent mode never does. All QoS 0 messages of that time are lost.
    pub const fn ping_on_silence(mut self, on: bool) -> Self {
        self.settings.ping_on_silence = on;
        self
    }

    /// How long a request may stay unanswered while the link is alive, in milliseconds; 0 switches it off.
    /// Default 120,000.
    ///
    /// The connection then ends as `Fatal::Unanswered`, which names the request, and the request is sent again on the
    /// next one. If others are answered meanwhile, that takes up to twice this time.
    ///
    /// The default is two default keep alives, and longer than the 60 s for which brokers wait for their storage or for
    /// a slow reader before they give up. A new connection costs a broker that is only overloaded more than patience
    /// does.
    ///
    /// Without this time, a request that the broker never answers stays for ever while the link is alive, and holds back
    /// the others if it is sent alone: see [`stuck_after`](Self::stuck_after).
    ///
    /// If messages are passed over because no slot is left for their ids, each PUBREL starts this time again. At its
    /// end the connection ends with `Fatal::NotReleased`.
    pub const fn answer_timeout(mut self, millis: u32) -> Self {
        self.settings.answer_timeout = millis;
        self
    }

    /// How long the client may leave input unread, in milliseconds; 0 switches it off. Default 300,000.
    ///
    /// With `Options::manual_acknowledge` the client takes no more messages than there are slots until the application
    /// acknowledges one. It cannot see a PINGRESP or an answer behind them, so it passes no verdict on the link
    /// meanwhile. This time is the bound: the connection ends as `Fatal::Unread`, and the broker sends the messages
    /// again on the next one. It starts again with each message that is taken.
    pub const fn unread_timeout(mut self, millis: u32) -> Self {
        self.settings.unread_timeout = millis;
        self
    }

    /// How many publishes of QoS 2 may be in flight, or wait, at once. The number of slots limits them as well.
    /// Default 19.
    ///
    /// Brokers limit the number of messages in flight, and 3.1.1 has no way for them to say so. Mosquitto accepts 20
    /// QoS 1 and 2 messages at once by default (`max_inflight_messages`); it acknowledges further ones and drops them.
    /// A publish of QoS 1 counts for a moment as well, so one place is left for it.
    pub const fn exactly_once_window(mut self, publishes: u16) -> Self {
        self.session.exactly_once_window = publishes;
        self
    }

    /// Which message is dropped if the queue is full; by default none, and the new one is refused.
    pub const fn queue(mut self, queue: Queue) -> Self {
        self.settings.queue = queue;
        self.settings.limit_queue = Some(LIMIT_QUEUE);
        self
    }

    /// How many messages may wait or be unanswered at once, at every QoS. The outbox and the slots limit them as well.
    /// No limit by default.
    pub const fn queue_messages(mut self, messages: usize) -> Self {
        self.settings.queue_messages = messages;
        self.settings.limit_queue = Some(LIMIT_QUEUE);
        self
    }

    /// The largest packet accepted from the broker, in bytes, header included. A larger message is skipped, see
    /// [`oversized`](Self::oversized); any other larger packet ends the connection. Default: the largest that MQTT has,
    /// 268,435,460.
    pub const fn max_packet(mut self, bytes: u32) -> Self {
        self.settings.max_packet = bytes;
        self
    }

    /// How many bytes the driver can hold at once; at least 16. Default 1,024.
    ///
    /// A larger PUBLISH is handed over in pieces (`Event::MessageStart`, `MessageChunk`, `MessageEnd`). If the driver's
    /// buffer is smaller than this, it waits for ever for a packet that it cannot hold. `driver::blocking` sets it to
    /// the size of its own buffer.
    pub const fn receive_capacity(mut self, bytes: usize) -> Self {
        self.settings.receive_capacity = bytes;
        self
    }

    /// The treatment of a message whose packet is longer than [`max_packet`](Self::max_packet), or whose topic is
    /// longer than [`receive_capacity`](Self::receive_capacity). By default it is skipped: the application gets an
    /// `Event::Skipped`, and the broker an acknowledgement [MQTT-4.5.0-2].
    pub const fn oversized(mut self, oversized: Oversized) -> Self {
        self.settings.oversized = oversized;
        self
    }

    /// Whether a message whose topic name is not valid (ill-formed UTF-8, U+0000, a wildcard, empty) is skipped and
    /// acknowledged like one that is too large; off by default.
    ///
    /// **This is outside the standard**, which demands the end of the connection [MQTT-1.5.3-1], [MQTT-1.5.3-2]. By
    /// default the client tells the message as `Event::Skipped` and ends the connection. If such a message is retained
    /// or queued, the broker sends it again on each connection. Switch this on for such a broker.
    pub const fn skip_unreadable(mut self, on: bool) -> Self {
        self.settings.skip_unreadable = on;
        self
    }

    /// Whether the application acknowledges each message itself with `Client::acknowledge`; off by default.
    ///
    /// If the link breaks before a message is acknowledged, the broker sends it again.
    pub const fn manual_acknowledge(mut self, on: bool) -> Self {
        self.session.acknowledge = if on { Acknowledge::Manual } else { Acknowledge::Automatic };
        self
    }

    /// Whether granted subscriptions stay in the outbox and are made again if the broker has lost the session; on by
    /// default.
    pub const fn renew_subscriptions(mut self, on: bool) -> Self {
        self.session.renewals = if on { Renewals::On } else { Renewals::Off };
        self
    }

    /// How many filters a SUBSCRIBE has at most that makes subscriptions again. Default 8.
    ///
    /// Some brokers accept only a few filters in one SUBSCRIBE; AWS IoT takes eight. The requests of the application
    /// are sent as they are.
    pub const fn filters_per_subscribe(mut self, filters: u16) -> Self {
        self.session.filters_per_subscribe = filters;
        self
    }

    /// After how many connections in a row that ended with the same first unanswered request the application is told by
    /// `Event::Stuck` or `Event::RenewalStuck`. Default 3; 0 switches it off.
    ///
    /// A broker may close the connection at a packet that it does not allow [MQTT-3.3.5-2], and would close each
    /// connection at the same packet. Three is enough to tell that from a link that breaks now and then. If several
    /// requests were under way, the last of these connections sends that request alone, so the event names the right
    /// one. It comes again after as many connections more.
    pub const fn stuck_after(mut self, connections: u8) -> Self {
        self.session.stuck_after = connections;
        self
    }

    /// Whether a request that is stuck is given up, with `Event::GivenUp`; off by default. Subscriptions whose renewal
    /// is stuck are then forgotten.
    ///
    /// This is for devices without anyone who would call `Client::cancel`. It departs from [MQTT-4.4.0-1]: a message
    /// may be lost because the link broke several times at the same moment.
    pub const fn give_up_stuck(mut self, on: bool) -> Self {
        self.session.give_up_stuck = on;
        self
    }

    /// When the client connects again after the link broke, and to which broker. Default:
    /// `Reconnect::after(1_000)`, one broker.
    ///
    /// The clients of a fleet need a seed each: see [`Reconnect::seed`].
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        let returns = reconnect.return_delay().is_some();
        self.settings.return_to_first = if returns { Some(RETURN_TO_FIRST) } else { None };
        self.settings.reconnect = reconnect;
        self
    }

    /// The seed of [`reconnect`](Self::reconnect) if it has none. It is for drivers that can draw a random number;
    /// `driver::blocking` does.
    pub const fn default_seed(mut self, seed: u32) -> Self {
        self.settings.reconnect = self.settings.reconnect.default_seed(seed);
        self
    }

    /// Whether publishes may be made from a source (`Client::publish_from`): then the driver carries out
    /// `Action::TransmitFrom`. Off by default, because a client without it is smaller.
    ///
    /// With a journal it has to be on after a restart as well, if a publish from a source is in the journal.
    pub const fn sources(mut self, on: bool) -> Self {
        self.session.sources = if on { Some(&Sources::STANDARD) } else { None };
        self.settings.sources = if on { Some(SOURCE_RULES) } else { None };
        self
    }

    /// Whether the session survives a power cut; off by default.
    ///
    /// The client gives records (`Action::Persist`) that the driver stores, and `Client::restore` rebuilds the session
    /// from them. A packet is sent only after the record that it rests on is durable.
    ///
    /// Accepted messages of QoS 1 and 2, the state of every QoS 2 exchange, and granted subscriptions survive. QoS 0
    /// messages, and SUBSCRIBE and UNSUBSCRIBE in flight, do not.
    ///
    /// The application's work with a message has to become durable as well. At QoS 2 it has to be durable before, or
    /// together with, the next record; at QoS 1 before the next `poll`, which may acknowledge the message. At both, the
    /// application can use `Client::set_position` for that. As over a broken connection, exactly-once delivery needs
    /// [`clean_session(false)`](Self::clean_session).
    pub const fn journal(mut self, on: bool) -> Self {
        self.session.recorder = if on { Some(&Recorder::STANDARD) } else { None };
        self
    }

    /// Whether the endpoints (`Reconnect::endpoints`) are nodes of one cluster that share their sessions; off by default.
    ///
    /// By default each endpoint is a broker of its own, and a session belongs to the broker that it was made with
    /// [MQTT-3.1.2-4]. If another broker accepts a connection, that is a change of session:
    ///
    /// - A publish of QoS 2 that was sent and not answered in full ends as [`Event::Lost`](crate::Event::Lost): nobody
    ///   can say whether it arrived. A publish of QoS 1 is sent to the new broker, and may have reached both.
    /// - Publishes that were never sent stay. Subscriptions are made at the new broker, if it does not have them.
    /// - The session at the old broker stays there, and messages wait in it, within the limits of the broker. When the
    ///   client comes back, they arrive, and each of QoS 2 arrives once. An unsubscribe ends a subscription only at the
    ///   broker that it is sent to.
    /// - If the slots do not suffice for the packet ids of QoS 2 messages at both brokers, the client forgets those of
    ///   the absent one, and ends the session there when it comes back: see
    ///   [`Reason::SessionEnded`](crate::Reason::SessionEnded).
    ///
    /// [`Event::Up`](crate::Event::Up) names the endpoint and says what became of the session there. Sessions at no more
    /// than eight separate brokers are possible.
    ///
    /// Switch this on if the endpoints are several addresses of one broker, or nodes of a cluster that keeps each
    /// session on every node: RabbitMQ with quorum queues, NATS with JetStream, aedes with Redis, EMQX. Otherwise each
    /// change of node loses publishes of QoS 2. If it is on and the brokers are separate, messages are lost in silence.
    pub const fn cluster(mut self, on: bool) -> Self {
        self.session.endpoints = if on { Endpoints::Cluster } else { Endpoints::Separate };
        self
    }

    /// Whether granted subscriptions are made again on each connection, also if the broker has kept the session; off by
    /// default. It needs [`renew_subscriptions`](Self::renew_subscriptions).
    ///
    /// Some brokers forget subscriptions and keep the session: Mosquitto 2.0 forgets shared subscriptions
    /// (`$share/...`) when it restarts. The price: the broker sends its retained messages again on each connection
    /// [MQTT-3.8.4-3]. A connection that follows at once because messages were passed over
    /// ([`Reason::PassedOver`](crate::Reason::PassedOver)) makes none.
    pub const fn renew_on_each_connection(mut self, on: bool) -> Self {
        self.session.renew_on = if on { RenewOn::Connection } else { RenewOn::Loss };
        self
    }

    /// Whether a publish of QoS 2 is sent again if the session is lost before its PUBREC, and may then arrive twice; off
    /// by default, and it ends as [`Event::Lost`](crate::Event::Lost).
    ///
    /// It is for those who prefer a double to a loss. RabbitMQ and aedes know no session of a client without
    /// subscriptions: there a publisher loses its session with every connection.
    ///
    /// After the PUBREC the message belongs to the broker, and the client has discarded it [MQTT-4.3.3-1]. So it ends as
    /// `Lost` also with this option.
    pub const fn resend_lost(mut self, on: bool) -> Self {
        self.session.in_doubt = if on { InDoubt::SentAgain } else { InDoubt::Lost };
        self
    }

    /// Whether every answer that breaks the protocol ends the connection [MQTT-4.8.0-1]; off by default. It is for
    /// those who test brokers.
    ///
    /// By default the client bears mistakes that brokers make, because the same mistake would end every connection. The
    /// deviations from the standard are these:
    ///
    /// | input | default | strict |
    /// |---|---|---|
    /// | PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK for a packet id that is not in flight, or at the wrong step | ignored, [`Counters::unexpected_acks`](crate::Counters::unexpected_acks); a PUBREC is answered with PUBREL [MQTT-4.3.3-1] | [`Violation`](crate::Violation) |
    /// | session present though a clean session was asked for [MQTT-3.2.2-1] | treated as [found](crate::SessionStatus::Found) | [`Violation::SessionPresentClean`](crate::Violation::SessionPresentClean) |
    /// | SUBACK code 0x80 in 3.1 | a refusal | [`Violation::SubAckCode`](crate::Violation::SubAckCode) |
    /// | PUBACK for a publish of QoS 2 | [`Event::Downgraded`](crate::Event::Downgraded) | [`Violation::WrongAck`](crate::Violation::WrongAck) |
    pub const fn strict(mut self, on: bool) -> Self {
        self.settings.strict = on;
        self
    }

    /// How long the end of a publish may stay unrecorded, in milliseconds, while no other record is due.
    /// Default 1,000.
    ///
    /// After a power cut the publish would be sent again: at QoS 2 the broker drops the repetition, at QoS 1 it is a
    /// duplicate. A longer delay spares flash memory: see [`driver::journal`](crate::driver::journal).
    pub const fn record_delay(mut self, millis: u32) -> Self {
        self.settings.record_delay = millis;
        self
    }
}
