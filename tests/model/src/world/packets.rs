//! Packets in the bytes on their way to the broker.

use mqtt_core::{
    Protocol,
    codec::{Decoded, Packet},
};

use super::State;
use crate::config::{Config, Driver};

pub(super) fn decode(bytes: &[u8], protocol: Protocol) -> Option<(Packet<'_>, usize)> {
    match Packet::decode(bytes, protocol) {
        Ok(Decoded::Packet { packet, len }) => Some((packet, len)),
        Ok(Decoded::NeedMore(_)) | Err(_) => None,
    }
}

/// Bytes of the packet that `bytes` start with.
pub(super) fn packet_len(bytes: &[u8], protocol: Protocol) -> Option<usize> {
    decode(bytes, protocol).map(|(_, len)| len)
}

/// The number of whole packets in `bytes`, and the part of a packet behind them.
pub(super) fn packets(bytes: &[u8], protocol: Protocol) -> (u8, &[u8]) {
    let (mut whole, mut rest) = (0, bytes);
    while let Some((_, behind)) =
        packet_len(rest, protocol).and_then(|len| rest.split_at_checked(len))
    {
        rest = behind;
        whole += 1;
    }
    (whole, rest)
}

impl State {
    /// The id that the first packet in `bytes` reclaims, if it does that. In a world with a driver that copies, nothing
    /// is taken for such a packet.
    pub(super) fn first_reclaimed(&self, config: &Config, bytes: &[u8]) -> Option<u16> {
        match decode(bytes, self.client.0.protocol())? {
            (Packet::PubRel { id, .. }, _) if config.driver == Driver::Writes => {
                Some(id.get()).filter(|id| self.order.reclaims(*id))
            }
            _ => None,
        }
    }
}
