//! The small values that the packets share: QoS, protocol version, packet id and packet type.

use core::num::NonZeroU16;

use super::error::Violation;

/// The quality of service of a message: section 4.3 of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QoS {
    /// QoS 0, at most once: the message may be lost.
    AtMostOnce = 0,
    /// QoS 1, at least once: the message may be duplicated.
    AtLeastOnce = 1,
    /// QoS 2, exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS with this number; `None` above 2.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// MQTT 3.1.
    V31,
    /// MQTT 3.1.1.
    V311,
}

impl Protocol {
    /// The protocol name in a CONNECT.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 => "MQTT",
        }
    }

    /// The protocol level in a CONNECT.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
        }
    }
}

/// A packet id: never 0 [MQTT-2.3.1-1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// Bytes of a packet id on the wire.
    pub(crate) const LEN: usize = 2;

    /// The packet id with this number; `None` for 0.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        match NonZeroU16::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// The type of a packet: the high four bits of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named after its packet")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
}

impl PacketType {
    /// The type in this first byte. The flags are not checked.
    ///
    /// # Errors
    ///
    /// [`Violation::PacketType`].
    pub const fn from_first(first: u8) -> Result<Self, Violation> {
        Ok(match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            _ => return Err(Violation::PacketType),
        })
    }

    /// The remaining length, if every packet of this type has the same.
    pub(super) const fn fixed_remaining(self) -> Option<usize> {
        match self {
            Self::ConnAck
            | Self::PubAck
            | Self::PubRec
            | Self::PubRel
            | Self::PubComp
            | Self::UnsubAck => Some(2),
            Self::PingReq | Self::PingResp | Self::Disconnect => Some(0),
            Self::Connect | Self::Publish | Self::Subscribe | Self::SubAck | Self::Unsubscribe => {
                None
            }
        }
    }
}

/// The packet type with this number, 1 to 14.
impl TryFrom<u8> for PacketType {
    type Error = Violation;

    fn try_from(number: u8) -> Result<Self, Violation> {
        if number > 14 { Err(Violation::PacketType) } else { Self::from_first(number << 4) }
    }
}
