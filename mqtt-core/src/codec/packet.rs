//! Any of the 14 packets: decoding and encoding by type.
//!
//! The client needs only a few packets and calls their own `decode` and `encode`; of this file it uses only
//! [`incomplete`].

use super::{
    ack,
    connect::{ConnAck, Connect},
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    header::Header,
    publish::Publish,
    subscribe::{SubAck, Subscribe, Unsubscribe},
    types::{PacketId, PacketType, Protocol},
};

/// Any packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client to broker: the first packet.
    Connect(Connect<'a>),
    /// Broker to client: the first packet.
    ConnAck(ConnAck),
    /// A message, in either direction.
    Publish(Publish<'a>),
    /// The answer to a PUBLISH of QoS 1.
    PubAck(PacketId),
    /// The first answer to a PUBLISH of QoS 2.
    PubRec(PacketId),
    /// The answer to a PUBREC.
    PubRel {
        /// The packet id of the PUBLISH.
        id: PacketId,
        /// The packet may have been sent before. Only in 3.1: this bit is reserved in 3.1.1.
        dup: bool,
    },
    /// The answer to a PUBREL.
    PubComp(PacketId),
    /// Client to broker: starts subscriptions.
    Subscribe(Subscribe<'a>),
    /// The answer to a SUBSCRIBE.
    SubAck(SubAck<'a>),
    /// Client to broker: ends subscriptions.
    Unsubscribe(Unsubscribe<'a>),
    /// The answer to an UNSUBSCRIBE.
    UnsubAck(PacketId),
    /// Client to broker: asks for a sign of life.
    PingReq,
    /// The answer to a PINGREQ.
    PingResp,
    /// Client to broker: the last packet.
    Disconnect,
}

/// The result of decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// The bytes start with a packet.
    Packet {
        /// The packet.
        packet: Packet<'a>,
        /// Bytes of the packet, header included.
        len: usize,
    },
    /// The bytes are the beginning of a packet. At least this many bytes, 1 or more, are missing.
    NeedMore(usize),
}

impl<'a> Packet<'a> {
    /// The packet at the front of `bytes`.
    ///
    /// `protocol` is the version of the connection; a CONNECT names its own.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule. It does not depend on the bytes that follow. An error in the first byte or in
    /// the length shows before the packet is whole.
    pub fn decode(bytes: &'a [u8], protocol: Protocol) -> Result<Decoded<'a>, Violation> {
        let Ok(Some(header)) = Header::decode(bytes) else { return incomplete(bytes, protocol) };
        let len = header.frame_len();
        let Some(body) = bytes.get(header.header_len()..len) else {
            return incomplete(bytes, protocol);
        };
        let first = header.first();
        // Each arm builds its own result: a common end of the arms would copy packets field by field.
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
            PacketType::SubAck => suback(first, body, len),
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

    /// Bytes of the packet on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], but neither [`EncodeError::NoSpace`] nor an error that depends on the version of the
    /// connection.
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
            | Self::UnsubAck(_) => Ok(ack::ACK_LEN),
            Self::PingReq | Self::PingResp | Self::Disconnect => Ok(2),
        }
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// `protocol` is the version of the connection; a CONNECT names its own.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]: that version has no form for the packet, or `out` is too short. The content of `out` is then
    /// undefined.
    pub fn encode(&self, out: &mut [u8], protocol: Protocol) -> Result<usize, EncodeError> {
        let first = FirstByte::of(self.packet_type());
        match self {
            Self::Connect(connect) => connect.encode(out),
            Self::ConnAck(connack) => connack.encode(out, protocol),
            Self::Publish(publish) => publish.encode(out),
            Self::SubAck(suback) => suback.encode(out),
            Self::PubRel { id, dup } => {
                check_dup(*dup, protocol)?;
                ack::encode_id(FirstByte::of(PacketType::PubRel).dup_if(*dup), *id, out)
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

// They are functions of their own, so that decoding an acknowledgement does not pay for the registers and the stack of
// the larger packets.

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
fn suback(first: u8, body: &[u8], len: usize) -> Result<Decoded<'_>, Violation> {
    whole(Packet::SubAck(SubAck::decode(first, body)?), len)
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

/// Checks a packet that is not whole yet.
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
