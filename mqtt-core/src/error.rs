//! Two blames, two families.
//!
//! [`RequestError`] is yours, and now: the request was not taken and nothing has changed. [`Fatal`] is the
//! connection's: it is over, the session is kept. Under `Fatal` lies [`Violation`], the rule that the peer broke,
//! which names its statement in the standard.
//!
//! ```
//! use mqtt_core::{Protocol, Violation, codec::Packet};
//!
//! // A PUBREL (type 6) whose reserved bits are 0000.
//! let violation = Packet::decode(&[0x60, 0x02, 0x00, 0x01], Protocol::V311).unwrap_err();
//! assert_eq!(violation, Violation::Flags);
//! assert_eq!(violation.statement(), "MQTT-2.2.2-2");
//! ```

use thiserror::Error;

use crate::{codec::Refusal, topic::TopicError};

/// Why a request was not taken. Nothing has changed; the remedies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Every slot holds a request in flight, or as many are of QoS 2 as `Options::exactly_once_window` allows. Wait
    /// for an event that ends one.
    #[error("{in_flight} requests in flight, the window is full")]
    WindowFull {
        /// Requests in flight that count against the limit.
        in_flight: usize,
    },
    /// The packet does not fit beside what waits in the outbox. Let the driver drain it.
    #[error("packet of {needed} bytes, the outbox has {free} free")]
    OutboxFull {
        /// Bytes that the packet takes.
        needed: usize,
        /// Bytes that requests can take now.
        free: usize,
    },
    /// As many messages wait or are unanswered as `Options::queue_messages` allows. Wait for an event that ends one.
    #[error("{messages} messages wait, the queue is full")]
    QueueFull {
        /// Messages that wait or are unanswered.
        messages: usize,
    },
    /// The packet never fits: it, or its answer, is larger than the storage that it has to pass.
    #[error("packet of {needed} bytes, there is room for {capacity}")]
    TooLarge {
        /// Bytes that the packet, or its answer, takes.
        needed: usize,
        /// Bytes that there are for it at the most.
        capacity: usize,
    },
    /// The packet has no form on the wire.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// A topic name or filter is not one.
    #[error("{0}")]
    Topic(#[from] TopicError),
    /// The SUBACK would be longer than `Options::receive_capacity`: that of this request, or that of a renewal, which
    /// names all subscriptions kept. Raise the capacity, or switch `Options::renew_subscriptions` off.
    #[error("a SUBACK of {needed} bytes, the receive capacity is {capacity}")]
    TooManySubscriptions {
        /// Bytes of the SUBACK.
        needed: usize,
        /// `Options::receive_capacity`.
        capacity: usize,
    },
    /// The message is acknowledged already, or its connection is gone: it will come again.
    #[error("the message is not, or no longer, to be acknowledged")]
    StaleDelivery,
}

/// Why `Client::new` did not make a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The CONNECT cannot be encoded from these options.
    #[error("options: {0}")]
    Connect(EncodeError),
    /// The outbox does not hold the CONNECT and its smallest reserve.
    #[error("the outbox has {capacity} bytes, at least {needed} are needed")]
    OutboxTooSmall {
        /// Bytes that the outbox needs to have at least.
        needed: usize,
        /// Bytes that it has.
        capacity: usize,
    },
    /// There is no slot, or there are more than there are packet ids for requests.
    #[error("{count} slots, from 1 to {most} are possible")]
    Window {
        /// Slots given.
        count: usize,
        /// Slots that are possible.
        most: usize,
    },
    /// `Options::receive_capacity` is less than the 16 bytes that the fixed packets take.
    #[error("receive capacity of {capacity} bytes, at least 16 are needed")]
    ReceiveCapacity {
        /// The capacity given.
        capacity: usize,
    },
}

/// Why a record was not restored. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The record is cut short or damaged. Power that failed while it was written leaves that, of the last one only.
    #[error("the record is cut short or damaged")]
    Torn,
    /// A later version of this library wrote the record.
    #[error("record of version {found}, this library knows version 1")]
    Version {
        /// The version of the record.
        found: u8,
    },
    /// The record is whole, and yet not one that this library writes.
    #[error("the record is whole, but no record of a session")]
    Malformed,
    /// The outbox is smaller than what it held when the record was written.
    #[error("the session needs an outbox of {needed} bytes, there are {capacity}")]
    OutboxTooSmall {
        /// Bytes that the outbox needs to have.
        needed: usize,
        /// Bytes that it has.
        capacity: usize,
    },
    /// There are fewer slots than the session had in use.
    #[error("the session needs {needed} slots, there are {slots}")]
    Window {
        /// Slots in use.
        needed: usize,
        /// Slots given.
        slots: usize,
    },
    /// The SUBACK of a renewal would be longer than `Options::receive_capacity`.
    #[error("a SUBACK of {needed} bytes, the receive capacity is {capacity}")]
    TooManySubscriptions {
        /// Bytes of the SUBACK.
        needed: usize,
        /// `Options::receive_capacity`.
        capacity: usize,
    },
    /// The client has been asked to connect, or to send: what is restored has to be there first.
    #[error("the client is in use already")]
    InUse,
    /// `Options::journal` is off: what is restored would not be kept up to date.
    #[error("the client keeps no journal")]
    NoJournal,
}

/// Why a connection is over, by the broker's doing or its silence. The session is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Fatal {
    /// The broker broke a rule of the protocol [MQTT-4.8.0-1].
    #[error("{0} [{statement}]", statement = .0.statement())]
    Violation(#[from] Violation),
    /// The broker refused the connection.
    #[error("connection refused: {0}")]
    Refused(#[from] Refusal),
    /// No CONNACK within `Options::connect_timeout`.
    #[error("no CONNACK in time")]
    ConnectTimeout,
    /// No PINGRESP within `Options::ping_timeout` [MQTT-3.12.4-1], or as long no PUBCOMP to the PUBRELs with which a session
    /// that was [found](crate::SessionStatus::Found) begins.
    #[error("no PINGRESP in time")]
    PingTimeout,
    /// The transport took no bytes for `Options::ping_timeout` after the keep alive had run out.
    #[error("the transport takes no bytes")]
    Stalled,
    /// A packet above `Options::max_packet`, or one that is no PUBLISH above `Options::receive_capacity`.
    #[error("packet of {len} bytes, the limit is {limit}")]
    PacketTooLarge {
        /// Bytes of the packet.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// More QoS 2 messages under way than there are slots to remember their ids. Nothing was acknowledged that was
    /// not taken: the broker sends it again on the next connection.
    #[error("{slots} QoS 2 messages under way, no slot for another")]
    InboundFull {
        /// Slots that there are.
        slots: usize,
    },
}

/// Why the client is offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Reason {
    /// `Client::disconnect` was called.
    #[error("disconnected on request")]
    Requested,
    /// The transport closed, or could not be opened.
    #[error("the transport closed")]
    TransportClosed,
    /// The session was found at the broker and is the client's now; messages that found no room meanwhile were passed
    /// over, and come again on the next connection.
    #[error("messages were passed over")]
    PassedOver,
    /// The client closed it.
    #[error("{0}")]
    Fatal(#[from] Fatal),
}

/// A rule of the standard that received bytes break.
///
/// Nothing received causes a panic: bytes either are a packet, or need more bytes, or break one of these rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Violation {
    /// The remaining length goes on after its fourth byte.
    #[error("remaining length longer than four bytes")]
    RemainingLength,
    /// Packet type 0 or 15.
    #[error("reserved packet type")]
    PacketType,
    /// The low four bits of the first byte are not those of the packet type.
    #[error("wrong flag bits in the fixed header")]
    Flags,
    /// QoS bits 11 in a PUBLISH.
    #[error("PUBLISH with QoS 3")]
    PublishQoS,
    /// DUP set in a PUBLISH of QoS 0.
    #[error("DUP set in a PUBLISH of QoS 0")]
    DupQoS0,
    /// A field ends after the packet does.
    #[error("packet ends within a field")]
    Truncated,
    /// The packet goes on after its last field.
    #[error("bytes left over after the last field")]
    TrailingBytes,
    /// A packet id of zero.
    #[error("packet id zero")]
    PacketIdZero,
    /// A string is not well-formed UTF-8.
    #[error("ill-formed UTF-8 in a string")]
    Utf8,
    /// A string contains U+0000.
    #[error("U+0000 in a string")]
    NullCharacter,
    /// A topic name contains `+` or `#`.
    #[error("wildcard in a topic name")]
    TopicWildcard,
    /// A topic name or filter of no bytes.
    #[error("empty topic name or filter")]
    TopicEmpty,
    /// A filter with a misplaced wildcard.
    #[error("misplaced wildcard in a topic filter")]
    FilterWildcard,
    /// The protocol name is neither `MQTT` nor `MQIsdp`.
    #[error("unknown protocol name")]
    ProtocolName,
    /// The protocol level does not go with the protocol name.
    #[error("protocol level that does not go with the protocol name")]
    ProtocolLevel,
    /// The reserved flag of a CONNECT is set.
    #[error("reserved CONNECT flag set")]
    ConnectReserved,
    /// Will QoS or will retain without a will.
    #[error("will flags without a will")]
    WillFlags,
    /// Will QoS 3.
    #[error("will QoS 3")]
    WillQoS,
    /// A password without a user name.
    #[error("password without a user name")]
    PasswordWithoutUser,
    /// A client id that the protocol version does not allow with this clean session flag.
    #[error("client id of a length that the version does not allow")]
    ClientId,
    /// Reserved bits of the CONNACK flags are set.
    #[error("reserved CONNACK flags set")]
    ConnAckFlags,
    /// A CONNACK return code above 5.
    #[error("reserved CONNACK return code")]
    ConnAckCode,
    /// Session present in a CONNACK that refuses the connection.
    #[error("session present in a refusing CONNACK")]
    SessionPresentRefused,
    /// Session present though a clean session was asked for.
    #[error("session present after a clean session was asked for")]
    SessionPresentClean,
    /// A SUBSCRIBE without a filter.
    #[error("SUBSCRIBE without a filter")]
    SubscribeEmpty,
    /// An UNSUBSCRIBE without a filter.
    #[error("UNSUBSCRIBE without a filter")]
    UnsubscribeEmpty,
    /// A requested QoS above 2, or reserved bits beside it.
    #[error("requested QoS byte above 2")]
    SubscribeQoS,
    /// A SUBACK code other than 0, 1, 2 and (in 3.1.1) 0x80.
    #[error("reserved SUBACK code")]
    SubAckCode,
    /// A SUBACK whose codes are not as many as the filters of its SUBSCRIBE, or that has none.
    #[error("SUBACK codes are not as many as the filters")]
    SubAckCount,
    /// Something else before the CONNACK.
    #[error("a packet before the CONNACK")]
    BeforeConnAck,
    /// A CONNACK that answers no CONNECT: a second one, or one before the CONNECT was sent whole.
    #[error("a CONNACK that answers no CONNECT")]
    UnexpectedConnAck,
    /// A packet that only a client may send.
    #[error("a packet that only a client may send")]
    Direction,
    /// A PUBACK, PUBREC or PUBCOMP that answers no packet in flight.
    #[error("acknowledgement with a packet id that is not in flight")]
    UnknownPacketId,
    /// A SUBACK or UNSUBACK that answers no packet in flight.
    #[error("SUBACK or UNSUBACK with a packet id that is not in flight")]
    UnknownSubscribeId,
    /// An acknowledgement of another QoS than its PUBLISH, or out of its place in the QoS 2 exchange.
    #[error("acknowledgement that does not fit the packet it names")]
    WrongAck,
}

impl Violation {
    /// The normative statement broken, as numbered in appendix B of the OASIS standard of MQTT 3.1.1.
    ///
    /// Rules that the standard states without a number (a remaining length of five bytes, say) give
    /// `MQTT-4.8.0-1`, under which every protocol violation ends the connection.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        match self {
            Self::Flags => "MQTT-2.2.2-2",
            Self::PublishQoS => "MQTT-3.3.1-4",
            Self::DupQoS0 => "MQTT-3.3.1-2",
            Self::PacketIdZero => "MQTT-2.3.1-1",
            Self::Utf8 => "MQTT-1.5.3-1",
            Self::NullCharacter => "MQTT-1.5.3-2",
            Self::TopicWildcard => "MQTT-3.3.2-2",
            Self::TopicEmpty => "MQTT-4.7.3-1",
            Self::FilterWildcard => "MQTT-4.7.1-2",
            Self::ProtocolName => "MQTT-3.1.2-1",
            Self::ProtocolLevel => "MQTT-3.1.2-2",
            Self::ConnectReserved => "MQTT-3.1.2-3",
            Self::WillFlags => "MQTT-3.1.2-13",
            Self::WillQoS => "MQTT-3.1.2-14",
            Self::PasswordWithoutUser => "MQTT-3.1.2-22",
            Self::ClientId => "MQTT-3.1.3-8",
            Self::ConnAckCode => "MQTT-3.2.2-6",
            Self::SessionPresentRefused => "MQTT-3.2.2-4",
            Self::SessionPresentClean => "MQTT-3.2.2-1",
            Self::SubscribeEmpty => "MQTT-3.8.3-3",
            Self::UnsubscribeEmpty => "MQTT-3.10.3-2",
            Self::SubscribeQoS => "MQTT-3.8.3-4",
            Self::SubAckCode => "MQTT-3.9.3-2",
            Self::SubAckCount => "MQTT-3.8.4-5",
            Self::BeforeConnAck => "MQTT-3.2.0-1",
            Self::UnknownPacketId => "MQTT-2.3.1-6",
            Self::UnknownSubscribeId => "MQTT-2.3.1-7",
            Self::RemainingLength
            | Self::PacketType
            | Self::Truncated
            | Self::TrailingBytes
            | Self::ConnAckFlags
            | Self::UnexpectedConnAck
            | Self::Direction
            | Self::WrongAck => "MQTT-4.8.0-1",
        }
    }
}

/// Why a packet cannot be encoded: what was asked for has no form on the wire, or the slice is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The slice is shorter than the packet; nothing was written that may be used.
    #[error("needs {needed} bytes, there are {available}")]
    NoSpace {
        /// Bytes that the packet takes.
        needed: usize,
        /// Bytes that the slice has.
        available: usize,
    },
    /// The packet exceeds the 268,435,455 bytes that the remaining length can state.
    #[error("remaining length above 268,435,455")]
    PacketTooLong,
    /// A client id, user name, password or will payload above 65,535 bytes.
    #[error("field longer than 65,535 bytes")]
    FieldTooLong,
    /// U+0000 in a client id or user name [MQTT-1.5.3-2].
    #[error("U+0000 in a string")]
    NullCharacter,
    /// A client id that the version does not allow: empty without clean session [MQTT-3.1.3-7], or in 3.1
    /// not of 1 to 23 characters.
    #[error("client id of a length that the version does not allow")]
    ClientId,
    /// A PUBLISH above QoS 0 without a packet id [MQTT-2.3.1-1].
    #[error("PUBLISH above QoS 0 without a packet id")]
    PacketIdMissing,
    /// A PUBLISH of QoS 0 with a packet id [MQTT-2.3.1-5] or with DUP [MQTT-3.3.1-2].
    #[error("PUBLISH of QoS 0 with a packet id or DUP")]
    QoS0,
    /// A SUBSCRIBE or UNSUBSCRIBE without a filter [MQTT-3.8.3-3], [MQTT-3.10.3-2].
    #[error("no filter")]
    NoFilter,
    /// A SUBACK code 0x80, which 3.1 does not have, or session present, which it does not have either.
    #[error("3.1 has no form for this")]
    NotInV31,
    /// DUP in a PUBREL, SUBSCRIBE or UNSUBSCRIBE, which is a reserved bit in 3.1.1 [MQTT-2.2.2-1].
    #[error("3.1.1 has no form for this")]
    NotInV311,
    /// Session present in a CONNACK that refuses the connection [MQTT-3.2.2-4].
    #[error("session present in a refusing CONNACK")]
    SessionPresentRefused,
}

impl From<TopicError> for Violation {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Empty => Self::TopicEmpty,
            TopicError::TooLong => Self::Truncated,
            TopicError::Utf8 => Self::Utf8,
            TopicError::NullCharacter => Self::NullCharacter,
            TopicError::WildcardInName => Self::TopicWildcard,
            TopicError::MisplacedWildcard => Self::FilterWildcard,
        }
    }
}
