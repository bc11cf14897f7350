//! The errors of the codec.
//!
//! A [`Violation`] is a mistake of the peer: received bytes break a rule of the standard. An [`EncodeError`] is a
//! mistake of the caller: the packet cannot be encoded, or does not fit.

use thiserror::Error;

use crate::topic::TopicError;

/// A rule of the standard that received bytes break.
///
/// Received bytes never cause a panic: they are a packet, or need more bytes, or break one of these rules.
///
/// ```
/// use mqtt_core::{Protocol, Violation, codec::Packet};
///
/// // A PUBREL (type 6) whose reserved bits are 0000.
/// let violation = Packet::decode(&[0x60, 0x02, 0x00, 0x01], Protocol::V311).unwrap_err();
/// assert_eq!(violation, Violation::Flags);
/// assert_eq!(violation.statement(), "MQTT-2.2.2-2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Violation {
    /// The remaining length is longer than four bytes.
    #[error("remaining length longer than four bytes")]
    RemainingLength,
    /// Packet type 0 or 15.
    #[error("reserved packet type")]
    PacketType,
    /// The packet type does not allow the low four bits of the first byte.
    #[error("wrong flag bits in the fixed header")]
    Flags,
    /// QoS 3 in a PUBLISH.
    #[error("PUBLISH with QoS 3")]
    PublishQoS,
    /// DUP set in a PUBLISH of QoS 0.
    #[error("DUP set in a PUBLISH of QoS 0")]
    DupQoS0,
    /// The packet ends within a field.
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
    /// An empty topic name or filter.
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
    /// Session present in the CONNACK though the CONNECT asked for a clean session.
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
    /// A SUBACK code other than 0, 1, 2 and 0x80.
    #[error("reserved SUBACK code")]
    SubAckCode,
    /// A SUBACK without a code, or with more or fewer codes than its SUBSCRIBE has filters.
    #[error("SUBACK codes are not as many as the filters")]
    SubAckCount,
    /// A packet before the CONNACK.
    #[error("a packet before the CONNACK")]
    BeforeConnAck,
    /// A second CONNACK, or a CONNACK before the whole CONNECT was sent.
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
    /// An acknowledgement that does not fit the QoS of its PUBLISH, or comes at the wrong step of the QoS 2 exchange.
    #[error("acknowledgement that does not fit the packet it names")]
    WrongAck,
}

impl Violation {
    /// The broken normative statement, as numbered in appendix B of the OASIS standard of MQTT 3.1.1.
    ///
    /// For a rule without a number (on a remaining length of five bytes, say) it is `MQTT-4.8.0-1`: every protocol
    /// violation ends the connection.
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

/// Why a packet cannot be encoded: the protocol has no form for it, or the slice is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The slice is shorter than the packet. Its content is not a packet.
    #[error("needs {needed} bytes, there are {available}")]
    NoSpace {
        /// Bytes of the packet.
        needed: usize,
        /// Bytes of the slice.
        available: usize,
    },
    /// The remaining length would exceed its limit of 268,435,455 bytes.
    #[error("remaining length above 268,435,455")]
    PacketTooLong,
    /// A client id, user name, password or will payload above 65,535 bytes.
    #[error("field longer than 65,535 bytes")]
    FieldTooLong,
    /// U+0000 in a client id or user name [MQTT-1.5.3-2].
    #[error("U+0000 in a string")]
    NullCharacter,
    /// A client id that the version does not allow: empty without a clean session [MQTT-3.1.3-7], or, in 3.1, without
    /// 1 to 23 characters.
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
    /// Session present in a CONNACK: 3.1 does not have it.
    #[error("3.1 has no form for this")]
    NotInV31,
    /// DUP in a PUBREL, SUBSCRIBE or UNSUBSCRIBE: this bit is reserved in 3.1.1 [MQTT-2.2.2-1].
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
