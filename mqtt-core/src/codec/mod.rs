//! The wire: all 14 packets of MQTT 3.1 and 3.1.1, both directions, no state. Sections 1.5, 2 and 3 of the standard.
//!
//! Decoded packets borrow the bytes they came in; packets are encoded into a slice of the caller's, of a length
//! known beforehand. Decoding is total: any bytes are a packet, or the beginning of one, or break a rule that the
//! [`Violation`] names. Nothing here allocates, recurses or panics.
//!
//! [`Packet`] holds any packet. Whoever needs a few of them only, as a client does, calls their own `decode` and
//! `encode` and links nothing else.
//!
//! ```
//! use mqtt_core::codec::{Decoded, Packet, Protocol, Publish};
//! use mqtt_core::topic;
//!
//! let packet = Packet::Publish(Publish::new(topic!("a/b"), b"21.5"));
//! let mut bytes = [0; 11];
//! assert_eq!(packet.encoded_len(), Ok(11));
//! assert_eq!(packet.encode(&mut bytes, Protocol::V311), Ok(11));
//!
//! assert_eq!(Packet::decode(&bytes, Protocol::V311), Ok(Decoded::Packet { packet, len: 11 }));
//! assert_eq!(Packet::decode(&bytes[..8], Protocol::V311), Ok(Decoded::NeedMore(3)));
//! ```

pub(crate) mod ack;
mod connect;
mod cursor;
mod header;
#[cfg(feature = "mqttbytes")]
pub mod interop;
mod publish;
mod subscribe;

use core::num::NonZeroU16;

pub use crate::{
    error::{EncodeError, Violation},
    topic::{Filter, Topic},
};
pub use connect::{ConnAck, Connect, Login, Refusal, Will};
pub use header::Header;
pub use publish::{Publish, PublishHead};
pub use subscribe::{Granted, SubAck, Subscribe, Unsubscribe};

/// How surely a message is delivered; section 4.3 of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QoS {
    /// QoS 0: as the transport will have it.
    AtMostOnce = 0,
    /// QoS 1: surely, maybe twice.
    AtLeastOnce = 1,
    /// QoS 2: surely, and not twice.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS of this number; `None` above 2.
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
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The packet id of this number; `None` for 0.
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
#[expect(missing_docs, reason = "they are the packets, by name")]
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
    /// The type in this first byte; its flags are not looked at.
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

    /// The type in this first byte, with flags that it may have: all that can be wrong with a packet of which only
    /// one byte is there.
    ///
    /// # Errors
    ///
    /// [`Violation::PacketType`], [`Violation::Flags`], [`Violation::PublishQoS`], [`Violation::DupQoS0`].
    pub fn check_first(first: u8, protocol: Protocol) -> Result<Self, Violation> {
        let kind = Self::from_first(first)?;
        match kind {
            Self::Publish => {
                publish::flags(first)?;
            }
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => {
                ack::request_flags(first, protocol)?;
            }
            Self::Connect
            | Self::ConnAck
            | Self::PubAck
            | Self::PubRec
            | Self::PubComp
            | Self::SubAck
            | Self::UnsubAck
            | Self::PingReq
            | Self::PingResp
            | Self::Disconnect => ack::no_flags(first)?,
        }
        Ok(kind)
    }

    /// The remaining length of packets that have but one.
    const fn fixed_remaining(self) -> Option<usize> {
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

/// From the number of the type, 1 to 14.
impl TryFrom<u8> for PacketType {
    type Error = Violation;

    fn try_from(number: u8) -> Result<Self, Violation> {
        if number > 14 { Err(Violation::PacketType) } else { Self::from_first(number << 4) }
    }
}

/// Any packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client to broker: the first packet.
    Connect(Connect<'a>),
    /// Broker to client: the first packet.
    ConnAck(ConnAck),
    /// A message, either way.
    Publish(Publish<'a>),
    /// The answer to a PUBLISH of QoS 1.
    PubAck(PacketId),
    /// The first answer to a PUBLISH of QoS 2.
    PubRec(PacketId),
    /// The answer to a PUBREC.
    PubRel {
        /// The packet id of the PUBLISH.
        id: PacketId,
        /// It may have been sent before. 3.1 only: in 3.1.1 this is a reserved bit.
        dup: bool,
    },
    /// The answer to a PUBREL.
    PubComp(PacketId),
    /// Client to broker: send me these messages.
    Subscribe(Subscribe<'a>),
    /// The answer to a SUBSCRIBE.
    SubAck(SubAck<'a>),
    /// Client to broker: send me these no longer.
    Unsubscribe(Unsubscribe<'a>),
    /// The answer to an UNSUBSCRIBE.
    UnsubAck(PacketId),
    /// Client to broker: are you there?
    PingReq,
    /// The answer to a PINGREQ.
    PingResp,
    /// Client to broker: the last packet.
    Disconnect,
}

/// What bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// They start with a packet.
    Packet {
        /// The packet.
        packet: Packet<'a>,
        /// Bytes that it takes, header included.
        len: usize,
    },
    /// They are the beginning of a packet, of which at least this many bytes, 1 or more, are missing.
    NeedMore(usize),
}

impl<'a> Packet<'a> {
    /// The packet at the front of `bytes`.
    ///
    /// `protocol` is the version that was agreed upon; a CONNECT names its own.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the rule broken. It is the same one however many bytes follow; what is wrong with the first
    /// byte or the length of a packet shows before the packet is whole.
    pub fn decode(bytes: &'a [u8], protocol: Protocol) -> Result<Decoded<'a>, Violation> {
        let Ok(Some(header)) = Header::decode(bytes) else { return incomplete(bytes, protocol) };
        let len = header.frame_len();
        let Some(body) = bytes.get(header.header_len()..len) else {
            return incomplete(bytes, protocol);
        };
        let first = header.first();
        // Each arm ends by itself: where they meet, packets would be copied field by field.
        match PacketType::from_first(first)? {
            PacketType::Connect => connect(first, body, len),
            PacketType::ConnAck => {
                whole(Self::ConnAck(ConnAck::decode(first, body, protocol)?), len)
            }
            PacketType::Publish => publish(first, body, len),
            PacketType::PubAck => whole(Self::PubAck(ack::id(first, body)?), len),
            PacketType::PubRec => whole(Self::PubRec(ack::id(first, body)?), len),
            PacketType::PubRel => {
                let (id, dup) = ack::pubrel(first, body, protocol)?;
                whole(Self::PubRel { id, dup }, len)
            }
            PacketType::PubComp => whole(Self::PubComp(ack::id(first, body)?), len),
            PacketType::Subscribe => subscribe(first, body, len, protocol),
            PacketType::SubAck => suback(first, body, len, protocol),
            PacketType::Unsubscribe => unsubscribe(first, body, len, protocol),
            PacketType::UnsubAck => whole(Self::UnsubAck(ack::id(first, body)?), len),
            PacketType::PingReq => {
                ack::empty(first, body)?;
                whole(Self::PingReq, len)
            }
            PacketType::PingResp => {
                ack::empty(first, body)?;
                whole(Self::PingResp, len)
            }
            PacketType::Disconnect => {
                ack::empty(first, body)?;
                whole(Self::Disconnect, len)
            }
        }
    }

    /// The type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel { .. } => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect => PacketType::Disconnect,
        }
    }

    /// Bytes that it takes on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], but neither [`EncodeError::NoSpace`] nor what depends on the version agreed upon.
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(connect) => connect.encoded_len(),
            Self::Publish(publish) => publish.encoded_len(),
            Self::Subscribe(subscribe) => subscribe.encoded_len(),
            Self::SubAck(suback) => suback.encoded_len(),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encoded_len(),
            Self::ConnAck(_)
            | Self::PubAck(_)
            | Self::PubRec(_)
            | Self::PubRel { .. }
            | Self::PubComp(_)
            | Self::UnsubAck(_) => Ok(4),
            Self::PingReq | Self::PingResp | Self::Disconnect => Ok(2),
        }
    }

    /// Writes it to the front of `out` and gives its length.
    ///
    /// `protocol` is the version that was agreed upon; a CONNECT names its own.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]: what it asks for has no form in that version, or `out` is too short. What `out` holds then
    /// is not defined.
    pub fn encode(&self, out: &mut [u8], protocol: Protocol) -> Result<usize, EncodeError> {
        let first = (self.packet_type() as u8) << 4;
        match self {
            Self::Connect(connect) => connect.encode(out),
            Self::ConnAck(connack) => connack.encode(out, protocol),
            Self::Publish(publish) => publish.encode(out),
            Self::SubAck(suback) => suback.encode(out, protocol),
            Self::PubRel { id, dup } => {
                check_dup(*dup, protocol)?;
                ack::encode_id(ack::request_first(PacketType::PubRel, *dup), *id, out)
            }
            Self::Subscribe(subscribe) => {
                check_dup(subscribe.dup, protocol)?;
                subscribe.encode(out)
            }
            Self::Unsubscribe(unsubscribe) => {
                check_dup(unsubscribe.dup, protocol)?;
                unsubscribe.encode(out)
            }
            Self::PubAck(id) | Self::PubRec(id) | Self::PubComp(id) | Self::UnsubAck(id) => {
                ack::encode_id(first, *id, out)
            }
            Self::PingReq | Self::PingResp | Self::Disconnect => ack::encode_empty(first, out),
        }
    }
}

/// [MQTT-2.2.2-1]: DUP of a PUBREL, SUBSCRIBE or UNSUBSCRIBE is a reserved bit in 3.1.1.
fn check_dup(dup: bool, protocol: Protocol) -> Result<(), EncodeError> {
    if dup && protocol == Protocol::V311 { Err(EncodeError::NotInV311) } else { Ok(()) }
}

#[inline(always)]
const fn whole(packet: Packet<'_>, len: usize) -> Result<Decoded<'_>, Violation> {
    Ok(Decoded::Packet { packet, len })
}

// Functions of their own: what the larger packets need of registers and stack is not saved for an acknowledgement.

#[inline(never)]
fn publish(first: u8, body: &[u8], len: usize) -> Result<Decoded<'_>, Violation> {
    whole(Packet::Publish(Publish::decode(first, body)?), len)
}

#[inline(never)]
fn connect(first: u8, body: &[u8], len: usize) -> Result<Decoded<'_>, Violation> {
    whole(Packet::Connect(Connect::decode(first, body)?), len)
}

#[inline(never)]
fn subscribe(
    first: u8,
    body: &[u8],
    len: usize,
    protocol: Protocol,
) -> Result<Decoded<'_>, Violation> {
    whole(Packet::Subscribe(Subscribe::decode(first, body, protocol)?), len)
}

#[inline(never)]
fn suback(
    first: u8,
    body: &[u8],
    len: usize,
    protocol: Protocol,
) -> Result<Decoded<'_>, Violation> {
    whole(Packet::SubAck(SubAck::decode(first, body, protocol)?), len)
}

#[inline(never)]
fn unsubscribe(
    first: u8,
    body: &[u8],
    len: usize,
    protocol: Protocol,
) -> Result<Decoded<'_>, Violation> {
    whole(Packet::Unsubscribe(Unsubscribe::decode(first, body, protocol)?), len)
}

/// What can be said of a packet that is not whole.
#[cold]
pub(crate) fn incomplete<'a>(bytes: &[u8], protocol: Protocol) -> Result<Decoded<'a>, Violation> {
    // No packet is shorter than two bytes.
    let Some(first) = bytes.first() else { return Ok(Decoded::NeedMore(2)) };
    let kind = PacketType::check_first(*first, protocol)?;
    let Some(header) = Header::decode(bytes)? else { return Ok(Decoded::NeedMore(1)) };
    match kind.fixed_remaining() {
        Some(fixed) if header.remaining() < fixed => Err(Violation::Truncated),
        Some(fixed) if header.remaining() > fixed => Err(Violation::TrailingBytes),
        _ => Ok(Decoded::NeedMore(header.frame_len().saturating_sub(bytes.len()).max(1))),
    }
}

#[cfg(test)]
mod tests;
