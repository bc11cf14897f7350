//! Packets that are a packet id or nothing: PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, PINGREQ, PINGRESP and
//! DISCONNECT. Sections 3.4 to 3.7 and 3.11 to 3.14 of the standard.
//!
//! Of the first byte, decoders look at the flags only: its type has led to them.

use super::{PacketId, Protocol, cursor::Writer};
use crate::error::{EncodeError, Violation};

/// The reserved flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE.
const REQUEST: u8 = 0b0010;
const DUP: u8 = 0b1000;

/// The flags of every packet but PUBLISH, PUBREL, SUBSCRIBE and UNSUBSCRIBE [MQTT-2.2.2-2].
pub(super) const fn no_flags(first: u8) -> Result<(), Violation> {
    if first & 0x0F == 0 { Ok(()) } else { Err(Violation::Flags) }
}

/// The flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE, [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]: gives DUP, which
/// 3.1 has.
pub(super) const fn request_flags(first: u8, protocol: Protocol) -> Result<bool, Violation> {
    match (first & 0x0F, protocol) {
        (REQUEST, _) => Ok(false),
        (0b1010, Protocol::V31) => Ok(true),
        _ => Err(Violation::Flags),
    }
}

/// The first byte of a PUBREL, SUBSCRIBE or UNSUBSCRIBE.
pub(super) const fn request_first(kind: super::PacketType, dup: bool) -> u8 {
    (kind as u8) << 4 | REQUEST | if dup { DUP } else { 0 }
}

/// PUBACK, PUBREC, PUBCOMP and UNSUBACK.
pub(crate) const fn id(first: u8, body: &[u8]) -> Result<PacketId, Violation> {
    match no_flags(first) {
        Ok(()) => only_id(body),
        Err(violation) => Err(violation),
    }
}

/// PUBREL: the id, and DUP, which is always false in 3.1.1.
pub(crate) fn pubrel(
    first: u8,
    body: &[u8],
    protocol: Protocol,
) -> Result<(PacketId, bool), Violation> {
    let dup = request_flags(first, protocol)?;
    Ok((only_id(body)?, dup))
}

/// PINGREQ, PINGRESP and DISCONNECT.
pub(crate) fn empty(first: u8, body: &[u8]) -> Result<(), Violation> {
    no_flags(first)?;
    if body.is_empty() { Ok(()) } else { Err(Violation::TrailingBytes) }
}

const fn only_id(body: &[u8]) -> Result<PacketId, Violation> {
    match body {
        [high, low] => match PacketId::new(u16::from_be_bytes([*high, *low])) {
            Some(id) => Ok(id),
            // [MQTT-2.3.1-1]
            None => Err(Violation::PacketIdZero),
        },
        [] | [_] => Err(Violation::Truncated),
        [_, _, _, ..] => Err(Violation::TrailingBytes),
    }
}

pub(super) fn encode_id(first: u8, id: PacketId, out: &mut [u8]) -> Result<usize, EncodeError> {
    let (mut writer, len) = Writer::packet(out, first, 2)?;
    writer.u16(id.get());
    Ok(len)
}

pub(super) fn encode_empty(first: u8, out: &mut [u8]) -> Result<usize, EncodeError> {
    Writer::packet(out, first, 0).map(|(_, len)| len)
}
