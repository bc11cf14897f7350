//! The rules that bytes can break, and the reasons why a packet cannot be encoded.
//!
//! A [`Violation`] is the peer's mistake: it names the rule of the standard that the received bytes broke. An
//! [`EncodeError`] is the caller's: the packet has no form on the wire, or does not fit.

use thiserror::Error;

use crate::topic::TopicError;

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
