//! Packets that are a packet id or nothing: PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, PINGREQ, PINGRESP and
//! DISCONNECT. Sections 3.4 to 3.7 and 3.11 to 3.14 of the standard.
//!
//! Of the first byte, decoders look at the flags only: its type has led to them.

use super::{
    cursor::Writer,
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::{PacketId, PacketType, Protocol},
};

/// Bytes of a packet that is a packet id.
pub(crate) const ACK_LEN: usize = 4;
pub(crate) const PINGREQ: [u8; 2] = [FirstByte::of(PacketType::PingReq).get(), 0];
pub(crate) const DISCONNECT: [u8; 2] = [FirstByte::of(PacketType::Disconnect).get(), 0];

/// The PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK, as `first` says, with this id.
pub(crate) const fn packet(first: FirstByte, id: PacketId) -> [u8; ACK_LEN] {
    let [high, low] = id.get().to_be_bytes();
    [first.get(), PacketId::LEN as u8, high, low]
}

/// PUBACK, PUBREC, PUBCOMP and UNSUBACK.
pub(crate) const fn id(first: u8, body: &[u8]) -> Result<PacketId, Violation> {
    match FirstByte::new(first).no_flags() {
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
    let dup = FirstByte::new(first).request_flags(protocol)?;
    Ok((only_id(body)?, dup))
}

/// PINGREQ, PINGRESP and DISCONNECT.
pub(crate) fn empty(first: u8, body: &[u8]) -> Result<(), Violation> {
    FirstByte::new(first).no_flags()?;
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

pub(super) fn encode_id(
    first: FirstByte,
    id: PacketId,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let (mut writer, len) = Writer::packet(out, first, PacketId::LEN)?;
    writer.u16(id.get());
    Ok(len)
}

pub(super) fn encode_empty(first: FirstByte, out: &mut [u8]) -> Result<usize, EncodeError> {
    Writer::packet(out, first, 0).map(|(_, len)| len)
}

#[cfg(test)]
mod tests {
    use super::{DISCONNECT, FirstByte, PINGREQ, PacketId, PacketType, packet};

    const _: () = {
        assert!(matches!(PINGREQ, [0xC0, 0]) && matches!(DISCONNECT, [0xE0, 0]));
        if let Some(id) = PacketId::new(0x0102) {
            assert!(matches!(packet(FirstByte::of(PacketType::PubAck), id), [0x40, 2, 1, 2]));
            assert!(matches!(packet(FirstByte::of(PacketType::PubRel), id), [0x62, 2, 1, 2]));
        }
    };
}
