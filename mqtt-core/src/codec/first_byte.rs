//! The first byte of a packet: the packet type in the high four bits, the flags in the low ones. Section 2.2 of the
//! standard.
//!
//! Only this file knows the bits of this byte. Each function is a shift, a mask or a compare.

use super::{
    error::Violation,
    types::{PacketType, Protocol, QoS},
};

const FLAGS: u8 = 0x0F;
/// DUP of a PUBLISH; in 3.1 of a PUBREL, SUBSCRIBE and UNSUBSCRIBE as well.
const DUP: u8 = 0b1000;
/// The place of the two QoS bits of a PUBLISH.
const QOS_SHIFT: u8 = 1;
/// The retain flag of a PUBLISH.
const RETAIN: u8 = 0b0001;
/// The reserved flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE.
const REQUEST: u8 = 0b0010;
const REQUEST_WITH_DUP: u8 = REQUEST | DUP;

/// The first byte of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstByte(u8);
impl FirstByte {
    /// Packet type 0 is reserved, so no packet begins with this byte.
    pub(crate) const NO_PACKET: Self = Self(0);

    pub(crate) const fn new(byte: u8) -> Self {
        Self(byte)
    }

    /// The first byte of a packet of this type, with its reserved flags and without DUP, QoS and retain.
    pub(crate) const fn of(kind: PacketType) -> Self {
        let request =
            matches!(kind, PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe);
        let flags = if request { REQUEST } else { 0 };
        Self((kind as u8) << 4 | flags)
    }

    /// The first byte of a PUBLISH.
    pub(crate) const fn publish(qos: QoS, dup: bool, retain: bool) -> Self {
        let dup = if dup { DUP } else { 0 };
        let retain = if retain { RETAIN } else { 0 };
        Self(Self::of(PacketType::Publish).0 | dup | (qos as u8) << QOS_SHIFT | retain)
    }

    pub(crate) const fn get(self) -> u8 {
        self.0
    }

    /// Whether a packet that begins with this byte is of type `kind`.
    pub(crate) const fn is(self, kind: PacketType) -> bool {
        self.0 >> 4 == kind as u8
    }

    /// Whether the packet is a PUBLISH, PUBREL, SUBSCRIBE or UNSUBSCRIBE. The peer answers all of them but a PUBLISH of
    /// QoS 0.
    pub(crate) const fn is_request(self) -> bool {
        const PUBLISH: u8 = PacketType::Publish as u8;
        const PUBREL: u8 = PacketType::PubRel as u8;
        const SUBSCRIBE: u8 = PacketType::Subscribe as u8;
        const UNSUBSCRIBE: u8 = PacketType::Unsubscribe as u8;
        matches!(self.0 >> 4, PUBLISH | PUBREL | SUBSCRIBE | UNSUBSCRIBE)
    }

    /// The same byte with DUP. In 3.1.1 only a PUBLISH has DUP; in 3.1 the other requests have it as well.
    pub(crate) const fn with_dup(self) -> Self {
        Self(self.0 | DUP)
    }

    pub(crate) const fn without_dup(self) -> Self {
        Self(self.0 & !DUP)
    }

    /// The same byte, with DUP if `dup` is true.
    pub(super) const fn dup_if(self, dup: bool) -> Self {
        if dup { self.with_dup() } else { self }
    }

    pub(crate) const fn has_dup(self) -> bool {
        self.0 & DUP != 0
    }

    /// The retain flag of a PUBLISH.
    pub(super) const fn has_retain(self) -> bool {
        self.0 & RETAIN != 0
    }

    /// The QoS of a PUBLISH; `None` for the reserved 3.
    pub(crate) const fn publish_qos(self) -> Option<QoS> {
        QoS::from_bits(self.0 >> QOS_SHIFT & 0b11)
    }

    /// QoS and DUP of a PUBLISH.
    pub(super) const fn publish_flags(self) -> Result<(QoS, bool), Violation> {
        match self.publish_qos() {
            // [MQTT-3.3.1-2]
            Some(QoS::AtMostOnce) if self.has_dup() => Err(Violation::DupQoS0),
            Some(qos) => Ok((qos, self.has_dup())),
            // [MQTT-3.3.1-4]
            None => Err(Violation::PublishQoS),
        }
    }

    /// DUP of a PUBREL, SUBSCRIBE or UNSUBSCRIBE: always false in 3.1.1 [MQTT-3.6.1-1], [MQTT-3.8.1-1],
    /// [MQTT-3.10.1-1].
    pub(super) const fn request_flags(self, protocol: Protocol) -> Result<bool, Violation> {
        match (self.0 & FLAGS, protocol) {
            (REQUEST, _) => Ok(false),
            (REQUEST_WITH_DUP, Protocol::V31) => Ok(true),
            _ => Err(Violation::Flags),
        }
    }

    /// Every packet but PUBLISH, PUBREL, SUBSCRIBE and UNSUBSCRIBE has no flag set [MQTT-2.2.2-2].
    pub(super) const fn no_flags(self) -> Result<(), Violation> {
        if self.0 & FLAGS == 0 { Ok(()) } else { Err(Violation::Flags) }
    }

    /// The packet id of a packet that has one, as a number; 0 if the bytes end before it. The bytes behind the fixed
    /// header begin at index `body` of `bytes`.
    ///
    /// In a PUBLISH the packet id follows the topic; in every other packet it comes first.
    pub(crate) fn packet_id(self, bytes: &[u8], body: usize) -> u16 {
        let mut at = body;
        if self.is(PacketType::Publish) {
            at += 2 + usize::from(u16_at(bytes, at));
        }
        u16_at(bytes, at)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(pair) => u16::from_be_bytes(*pair),
        None => 0,
    }
}

impl PacketType {
    /// The type in this first byte, if the type allows its flags. If only one byte of a packet is known, nothing else
    /// can be wrong.
    ///
    /// # Errors
    ///
    /// [`Violation::PacketType`], [`Violation::Flags`], [`Violation::PublishQoS`], [`Violation::DupQoS0`].
    pub fn check_first(first: u8, protocol: Protocol) -> Result<Self, Violation> {
        let kind = Self::from_first(first)?;
        let first = FirstByte::new(first);
        match kind {
            Self::Publish => {
                first.publish_flags()?;
            }
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => {
                first.request_flags(protocol)?;
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
            | Self::Disconnect => first.no_flags()?,
        }
        Ok(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::FirstByte;
    use crate::codec::{PacketType, QoS};

    const PUBLISH: FirstByte = FirstByte::publish(QoS::ExactlyOnce, true, false);

    const _: () = {
        assert!(FirstByte::of(PacketType::Connect).get() == 0x10);
        assert!(FirstByte::of(PacketType::PubRel).get() == 0x62);
        assert!(FirstByte::of(PacketType::Subscribe).get() == 0x82);
        assert!(FirstByte::of(PacketType::Unsubscribe).get() == 0xA2);
        assert!(FirstByte::of(PacketType::Disconnect).get() == 0xE0);
        assert!(FirstByte::publish(QoS::AtMostOnce, false, true).get() == 0x31);
        assert!(PUBLISH.get() == 0x3C && PUBLISH.without_dup().get() == 0x34);
        assert!(PUBLISH.is(PacketType::Publish) && PUBLISH.is_request() && PUBLISH.has_dup());
        assert!(!FirstByte::of(PacketType::PubComp).is_request());
        assert!(PacketType::from_first(FirstByte::NO_PACKET.get()).is_err());
    };

    #[test]
    fn the_packet_id_of_a_publish_is_behind_its_topic() {
        assert_eq!(PUBLISH.packet_id(b"-\0\x03a/b\x01\x02payload", 1), 0x0102);
        assert_eq!(PUBLISH.publish_qos(), Some(QoS::ExactlyOnce));
    }

    #[test]
    fn the_packet_id_of_any_other_packet_comes_first() {
        assert_eq!(FirstByte::of(PacketType::Subscribe).packet_id(b"\x01\x02\0\x01a\0", 0), 0x0102);
    }

    #[test]
    fn a_body_that_is_too_short_has_packet_id_zero() {
        assert_eq!(FirstByte::of(PacketType::PubRel).packet_id(b"\x01", 0), 0);
        assert_eq!(PUBLISH.packet_id(b"\0\x03a/b\x01", 0), 0);
        assert_eq!(PUBLISH.packet_id(b"", 2), 0);
    }
}
