//! Well-formed packets of a broker, which may come at a wrong time: their format in the data of a fuzzer, and their
//! bytes on the wire. They are put together by hand, so that the codec under test has no part in them.

#![expect(missing_docs, reason = "the names say it, and only the seeds use them")]

use mqtt_core::QoS;
use test_kit::wire::{
    CONNACK, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, packet, string,
};

use super::{input::Input, qos, topic};

/// A packet and its packet id. `CONNACK` and `PINGRESP` have none on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPacket {
    pub id: Id,
    pub kind: Kind,
}

/// A packet id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// 1 to 8.
    Small(u8),
    /// The id of one of the requests in flight; `0x80..=0xDF`.
    InFlight(u8),
    /// One of the ids that renewed subscriptions have; 0 to 7.
    Renewal(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    ConnAck { session_present: bool },
    Refusal { code: u8 },
    Publish { topic: u8, qos: QoS, retain: bool, dup: bool, len: u8 },
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    SubAck(Vec<u8>),
    UnsubAck,
    PingResp,
}

impl BrokerPacket {
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        let (kind, detail) = (input.byte(), input.byte());
        let id = match detail >> 4 {
            0..=7 => Id::Small((detail & 7) + 1),
            8..=13 => Id::InFlight(detail),
            _ => Id::Renewal(detail & 7),
        };
        let kind = match kind % 14 {
            0 => Kind::ConnAck { session_present: false },
            1 => Kind::ConnAck { session_present: true },
            2 => Kind::Refusal { code: input.byte() % 6 },
            3..=6 => {
                let (flags, len) = (input.byte(), input.byte());
                Kind::Publish {
                    topic: flags >> 4 & 3,
                    qos: qos(flags),
                    retain: flags & 4 != 0,
                    dup: flags & 8 != 0 && flags & 3 != 0,
                    len,
                }
            }
            7 => Kind::PubAck,
            8 => Kind::PubRec,
            9 => Kind::PubRel,
            10 => Kind::PubComp,
            11 => {
                let count = 1 + usize::from(input.byte() % 3);
                Kind::SubAck(input.take(count).iter().map(|byte| byte & 0x83).collect())
            }
            12 => Kind::UnsubAck,
            _ => Kind::PingResp,
        };
        Self { id, kind }
    }

    pub(super) fn write(&self, data: &mut Vec<u8>) {
        let kind = match self.kind {
            Kind::ConnAck { session_present } => u8::from(session_present),
            Kind::Refusal { .. } => 2,
            Kind::Publish { .. } => 3,
            Kind::PubAck => 7,
            Kind::PubRec => 8,
            Kind::PubRel => 9,
            Kind::PubComp => 10,
            Kind::SubAck(_) => 11,
            Kind::UnsubAck => 12,
            Kind::PingResp => 13,
        };
        let detail = match self.id {
            Id::Small(id) => id - 1,
            Id::InFlight(detail) => detail,
            Id::Renewal(nth) => 0xE0 | nth,
        };
        data.extend([kind, detail]);
        match &self.kind {
            Kind::Refusal { code } => data.push(*code),
            Kind::Publish { topic, qos, retain, dup, len } => data.extend([
                topic << 4 | u8::from(*dup) << 3 | u8::from(*retain) << 2 | *qos as u8,
                *len,
            ]),
            Kind::SubAck(codes) => {
                data.push(codes.len().saturating_sub(1) as u8);
                data.extend(codes);
            }
            Kind::ConnAck { .. }
            | Kind::PubAck
            | Kind::PubRec
            | Kind::PubRel
            | Kind::PubComp
            | Kind::UnsubAck
            | Kind::PingResp => {}
        }
    }

    /// The bytes that the client receives; `id` is the packet id that [`Self::id`] stands for.
    pub(super) fn on_the_wire(&self, id: u16) -> Vec<u8> {
        let id = id.to_be_bytes();
        match &self.kind {
            Kind::ConnAck { session_present } => {
                packet(CONNACK, &[&[u8::from(*session_present), 0]])
            }
            Kind::Refusal { code } => packet(CONNACK, &[&[0, *code]]),
            Kind::Publish { topic: nth, qos, retain, dup, len } => {
                let flags = u8::from(*dup) << 3 | (*qos as u8) << 1 | u8::from(*retain);
                let id: &[u8] = if *qos == QoS::AtMostOnce { &[] } else { &id };
                let payload = vec![*len; usize::from(*len)];
                packet(0x30 | flags, &[&string(topic(*nth)), id, &payload])
            }
            Kind::PubAck => packet(PUBACK, &[&id]),
            Kind::PubRec => packet(PUBREC, &[&id]),
            Kind::PubRel => packet(PUBREL, &[&id]),
            Kind::PubComp => packet(PUBCOMP, &[&id]),
            Kind::SubAck(codes) => packet(SUBACK, &[&id, codes]),
            Kind::UnsubAck => packet(UNSUBACK, &[&id]),
            Kind::PingResp => PINGRESP.into(),
        }
    }
}
