//! The packets that the broker sends.

use mqtt_core::{
    Granted, PacketId, Protocol, Publish, QoS,
    codec::{ConnAck, Packet, Refusal, SubAck},
    topic,
};
use test_kit::wire::encoded;

use super::MOST_FILTERS;

/// A packet for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Down {
    ConnAck {
        session_present: bool,
    },
    /// A CONNACK that refuses the version.
    Refused,
    Publish {
        id: u16,
        message: u8,
        qos: QoS,
        dup: bool,
    },
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    SubAck {
        id: u16,
        filters: u8,
    },
    PingResp,
}

impl Down {
    /// The type of packet, as a number.
    pub(crate) fn kind(self) -> u8 {
        self.encode(1).first().map_or(0, |first| first >> 4)
    }

    /// Its bytes. A message has a payload of this many bytes.
    pub(crate) fn encode(self, payload: usize) -> Vec<u8> {
        let id = |id| PacketId::new(id).unwrap_or(FIRST_ID);
        let content;
        let packet = match self {
            Self::ConnAck { session_present } => {
                Packet::ConnAck(ConnAck { session_present, result: Ok(()) })
            }
            Self::Refused => Packet::ConnAck(ConnAck {
                session_present: false,
                result: Err(Refusal::ProtocolVersion),
            }),
            Self::Publish { id: number, message, qos, dup } => {
                content = vec![message; payload];
                let publish = Publish::new(topic!("i"), &content).qos(qos);
                Packet::Publish(Publish { id: Some(id(number)), dup, ..publish })
            }
            Self::PubAck(number) => Packet::PubAck(id(number)),
            Self::PubRec(number) => Packet::PubRec(id(number)),
            Self::PubRel(number) => Packet::PubRel { id: id(number), dup: false },
            Self::PubComp(number) => Packet::PubComp(id(number)),
            Self::SubAck { id: number, filters } => {
                Packet::SubAck(SubAck { id: id(number), granted: granted(filters) })
            }
            Self::PingResp => Packet::PingResp,
        };
        encoded(packet, Protocol::V311)
    }
}

const FIRST_ID: PacketId = match PacketId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

/// QoS 2, for each of so many filters.
fn granted(filters: u8) -> Granted<'static> {
    let codes: &[u8] = &[2; MOST_FILTERS];
    let codes = codes.get(..usize::from(filters)).unwrap_or(codes);
    Granted::from_bytes(codes).unwrap_or_else(|_| unreachable!())
}
