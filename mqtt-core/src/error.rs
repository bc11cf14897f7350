//! The errors that an application gets.
//!
//! A [`RequestError`] is about a request of the application: it was refused, and nothing has changed. [`ConfigError`]
//! and [`RestoreError`] are the same for `Client::new` and `Client::restore`. A [`Fatal`] error is about the
//! connection: it has ended, and the session is kept. If the peer broke a rule of the protocol, `Fatal` holds a
//! [`Violation`].

use thiserror::Error;

use crate::{
    codec::{EncodeError, PacketId, Refusal, Violation},
    handle::Handle,
    source::{SourceFault, SourceId},
    topic::TopicError,
};

/// Why a request was refused. Nothing has changed. There is one variant for each remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Every slot holds a request in flight, or `Options::exactly_once_window` allows no more of QoS 2. Wait for an
    /// event that ends a request.
    #[error("{in_flight} requests in flight, the window is full")]
    WindowFull {
        /// Requests in flight that count against the limit.
        in_flight: usize,
    },
    /// The packet does not fit in the free part of the outbox. Let the driver send.
    #[error("packet of {needed} bytes, the outbox has {free} free")]
    OutboxFull {
        /// Bytes of the packet.
        needed: usize,
        /// Bytes that are free for requests now.
        free: usize,
    },
    /// `Options::queue_messages` allows no more messages that wait or are unanswered. Wait for an event that ends one.
    #[error("{messages} messages wait, the queue is full")]
    QueueFull {
        /// Messages that wait or are unanswered.
        messages: usize,
    },
    /// The packet never fits: it or its answer is larger than the storage for it.
    #[error("packet of {needed} bytes, there is room for {capacity}")]
    TooLarge {
        /// Bytes of the packet or of its answer.
        needed: usize,
        /// Bytes of the storage.
        capacity: usize,
    },
    /// The packet cannot be encoded.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// A topic name or filter is not valid.
    #[error("{0}")]
    Topic(#[from] TopicError),
    /// The SUBACK of this request, or of a renewal of all subscriptions, would be longer than
    /// `Options::receive_capacity` or `Options::max_packet`. Raise them, or turn `Options::renew_subscriptions` off.
    #[error("a SUBACK of {needed} bytes, the limit is {capacity}")]
    TooManySubscriptions {
        /// Bytes of the SUBACK.
        needed: usize,
        /// The smaller of the two.
        capacity: usize,
    },
    /// The request to be cancelled has ended; its event was given, or is the next to come.
    #[error("the request has ended")]
    NotInFlight,
    /// The publish to be cancelled is the broker's already: its PUBREC came [MQTT-4.3.3-1].
    #[error("the broker has the message already")]
    Released,
    /// A renewal of the subscriptions is being sent. Try again at the next event.
    #[error("the subscriptions are being renewed")]
    Renewing,
    /// `Options::sources` is off.
    #[error("publishes from a source are off")]
    NoSources,
    /// A publish of QoS 0 cannot be cancelled: nothing remembers it once it is accepted.
    #[error("a publish of QoS 0 cannot be cancelled")]
    AtMostOnce,
    /// The message is acknowledged already, or its connection has ended and the broker will send it again.
    #[error("the message is not, or no longer, to be acknowledged")]
    StaleDelivery,
}

/// Why `Client::new` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The CONNECT cannot be encoded from these options.
    #[error("options: {0}")]
    Connect(EncodeError),
    /// The outbox is too small for the CONNECT and the smallest reserve.
    #[error("the outbox has {capacity} bytes, at least {needed} are needed")]
    OutboxTooSmall {
        /// Bytes that the outbox needs at least.
        needed: usize,
        /// Bytes of the outbox.
        capacity: usize,
    },
    /// The CONNECT with the new login or will is too long: see `Options::connect_room`.
    #[error("a CONNECT of {needed} bytes, there is room for {room}")]
    ConnectRoom {
        /// Bytes of the CONNECT.
        needed: usize,
        /// Bytes that it may have.
        room: usize,
    },
    /// A CONNECT is being sent, so it cannot be changed now.
    #[error("a CONNECT is being sent")]
    Connecting,
    /// The outbox is too large: places in it have 32 bits, so it has less than 4 GiB.
    #[error("the outbox has {capacity} bytes, at most {most} are possible")]
    OutboxTooLarge {
        /// Bytes of the outbox.
        capacity: usize,
        /// The most bytes that are possible.
        most: usize,
    },
    /// There is no slot, or there are more slots than packet ids for requests.
    #[error("{count} slots, from 1 to {most} are possible")]
    Window {
        /// Slots given.
        count: usize,
        /// The most slots that are possible.
        most: usize,
    },
    /// There are more separate brokers (`Reconnect::endpoints`) than the client can have sessions at. With a clean
    /// session, or if they are a cluster (`Options::cluster`), any number is possible.
    #[error("sessions at {count} separate brokers, at most {most} are possible")]
    Brokers {
        /// Brokers given.
        count: u8,
        /// The most separate brokers that are possible.
        most: u8,
    },
    /// `Options::receive_capacity` is less than 16 bytes, the least that holds every packet of fixed length.
    #[error("receive capacity of {capacity} bytes, at least 16 are needed")]
    ReceiveCapacity {
        /// The capacity given.
        capacity: usize,
    },
    /// The buffer that bytes go out by way of is empty.
    #[error("the write buffer has no bytes")]
    NoWriteBuffer,
}

/// Why a record was not restored. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The record is cut short or damaged. A power cut while it was written causes this, in the last record only.
    #[error("the record is cut short or damaged")]
    Torn,
    /// A later version of this library wrote the record.
    #[error("record of version {found}, this library knows versions 1 and 2")]
    Version {
        /// The version of the record.
        found: u8,
    },
    /// The record is whole, but this library does not write such a record.
    #[error("the record is whole, but no record of a session")]
    Malformed,
    /// The outbox is smaller than its content was when the record was written.
    #[error("the session needs an outbox of {needed} bytes, there are {capacity}")]
    OutboxTooSmall {
        /// Bytes that the outbox needs.
        needed: usize,
        /// Bytes of the outbox.
        capacity: usize,
    },
    /// There are fewer slots than the session used.
    #[error("the session needs {needed} slots, there are {slots}")]
    Window {
        /// Slots in use.
        needed: usize,
        /// Slots given.
        slots: usize,
    },
    /// The SUBACK of a renewal would be longer than `Options::receive_capacity` or `Options::max_packet`.
    #[error("a SUBACK of {needed} bytes, the limit is {capacity}")]
    TooManySubscriptions {
        /// Bytes of the SUBACK.
        needed: usize,
        /// The smaller of the two.
        capacity: usize,
    },
    /// The client was asked to connect or to send before. A session has to be restored first.
    #[error("the client is in use already")]
    InUse,
    /// `Options::journal` is off, so the restored session would not be kept up to date.
    #[error("the client keeps no journal")]
    NoJournal,
    /// The record has a publish from a source, and `Options::sources` is off.
    #[error("the session has a publish from a source, and these are off")]
    NoSources,
}

/// Why the client ended a connection: the broker did something wrong, or did nothing. The session is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fatal {
    /// The broker broke a rule of the protocol [MQTT-4.8.0-1].
    #[error("{0} [{statement}]", statement = .0.statement())]
    Violation(#[from] Violation),
    /// The broker refused the connection.
    #[error("connection refused: {0}")]
    Refused(#[from] Refusal),
    /// No CONNACK within `Options::connect_timeout`. The next attempt may take twice as long.
    #[error("no CONNACK in time")]
    ConnectTimeout,
    /// After a PINGREQ neither its PINGRESP nor any other byte came within `Options::ping_timeout` [MQTT-3.12.4-1].
    #[error("no PINGRESP in time")]
    PingTimeout,
    /// This request was not answered within `Options::answer_timeout`, and the link was alive. It is sent again on the
    /// next connection.
    #[error("no answer to the request with packet id {id}", id = .0.packet_id().map_or(0, PacketId::get))]
    Unanswered(Handle),
    /// The SUBSCRIBE that makes the subscriptions again was not answered within that time.
    #[error("no answer to the renewal of the subscriptions")]
    RenewalUnanswered,
    /// The client had to leave input unread for `Options::unread_timeout`: the application owes acknowledgements, or
    /// the answers to the broker had no room in the outbox.
    #[error("input was left unread for too long")]
    Unread,
    /// The transport took no bytes for `Options::ping_timeout` after the keep alive had run out.
    #[error("the transport takes no bytes")]
    Stalled,
    /// A packet other than PUBLISH longer than `Options::max_packet` or `Options::receive_capacity`; or, with
    /// `Oversized::Close`, a message that is too large.
    #[error("packet of {len} bytes, the limit is {limit}")]
    PacketTooLarge {
        /// Bytes of the packet.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// Messages were passed over because no slot was left, and no PUBREL came for `Options::answer_timeout`. This QoS 2
    /// message is one of those that wait for it.
    ///
    /// If the broker does not send the message again on the next connection, its id gives way to another message.
    /// `Client::forget_message` takes it away at once.
    #[error("no PUBREL in time for message {id}", id = id.get())]
    NotReleased {
        /// The packet id of the message.
        id: PacketId,
    },
    /// The source of a publish did not give the bytes that follow those that were sent, so the packet cannot be
    /// finished. The publish ends with `Event::SourceFailed`; if the source was only too slow, it is sent again.
    #[error("source {number}: {fault}", number = .source_id.get())]
    Source {
        /// The source.
        source_id: SourceId,
        /// What is wrong with it.
        fault: SourceFault,
    },
}

/// What went wrong with a transport, as far as a driver can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TransportFault {
    /// Nobody listens at the broker's address.
    #[error("connection refused")]
    Refused,
    /// The name of the broker is not known, or the name service does not answer.
    #[error("the name of the broker is not known")]
    UnknownName,
    /// No network leads to the broker.
    #[error("the broker cannot be reached")]
    Unreachable,
    /// The transport was not opened in time.
    #[error("no answer in time")]
    TimedOut,
    /// The peer, or a device on the way, broke the connection.
    #[error("the connection was reset")]
    Reset,
    /// The operating system, a proxy or a WebSocket server does not permit it.
    #[error("not permitted")]
    NotPermitted,
    /// The broker did not prove who it is: its certificate is not trusted, has expired, or is that of another host.
    #[error("the broker's certificate was not accepted")]
    NotTrusted,
    /// The broker did not accept who the client is in TLS: a certificate is missing or wrong.
    #[error("the client's certificate was not accepted")]
    NotAccepted,
    /// TLS, WebSocket or a proxy: the peer does not speak the protocol, or not a version of it that both know.
    #[error("the peer does not speak the protocol of the transport")]
    Protocol,
    /// Something else. The driver may know more.
    #[error("the transport failed")]
    Other,
}

/// Why the client is offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// `Client::disconnect` was called.
    #[error("disconnected on request")]
    Requested,
    /// The transport was closed, or could not be opened.
    #[error("the transport closed")]
    TransportClosed,
    /// The transport failed, or could not be opened, for this reason. It is what the driver knows: see `Client::failed`.
    #[error("{0}")]
    TransportFailed(TransportFault),
    /// Messages were passed over: neither delivered nor acknowledged, because a QoS 2 message found no slot for its
    /// packet id.
    ///
    /// The client took all the messages that it could, sent a DISCONNECT, and connects again at once to the same
    /// broker, which sends the rest. This is no failure.
    #[error("messages were passed over")]
    PassedOver,
    /// The connection was made only to end the session that this broker had kept, and the client connects again at once.
    ///
    /// While the client was at another of several separate brokers, its slots did not suffice for the packet ids of QoS 2
    /// messages at both. So it forgot those of this broker, and would have delivered messages twice. The messages that
    /// waited in the session are lost. If the application calls `disconnect` on this connection, the reason is
    /// [`Requested`](Self::Requested), and the session is ended all the same.
    #[error("the session was ended to begin a new one")]
    SessionEnded,
    /// The client has left this broker to go back to the first one: see `Reconnect::return_after`. This is no failure.
    #[error("returns to the preferred broker")]
    Returning,
    /// The transport was closed, as were those of the last connections: the broker accepted each of them, and it ended
    /// within `Reconnect::at_most` with no request unanswered. This reason comes from the third connection on.
    ///
    /// Usually another client uses the same client id, and a broker ends the connection of the older one
    /// [MQTT-3.1.4-2]: each client that connects again kicks the other one out. Or the link breaks often. The client
    /// goes on to connect with the usual back-off.
    #[error("closed soon after it was accepted, {connections} connections in a row")]
    KickedOut {
        /// So many connections in a row.
        connections: u8,
    },
    /// The client closed the connection.
    #[error("{0}")]
    Fatal(#[from] Fatal),
}

impl Reason {
    /// Whether the connection ends after a DISCONNECT: then the broker is to read all that was sent.
    #[cfg(any(feature = "std", feature = "embedded-io-async"))]
    pub(crate) const fn is_orderly(self) -> bool {
        matches!(self, Self::Requested | Self::PassedOver | Self::SessionEnded | Self::Returning)
    }
}

impl RequestError {
    /// Whether there was no room for the request: it may be accepted once others have ended or were sent.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::WindowFull { .. } | Self::OutboxFull { .. } | Self::QueueFull { .. })
    }
}
