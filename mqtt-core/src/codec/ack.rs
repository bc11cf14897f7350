//! Packets whose body is a packet id or empty: PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, PINGREQ, PINGRESP and
//! DISCONNECT. Sections 3.4 to 3.7 and 3.11 to 3.14 of the standard.
//!
//! The decoders check only the flags of the first byte, because the caller has chosen the decoder by the packet type.

use super::{
    cursor::Writer,
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::{PacketId, PacketType, Protocol},
};

/// Bytes of a packet whose body is a packet id.
pub(crate) const ACK_LEN: usize = 4;
pub(crate) const PINGREQ: [u8; 2] = [FirstByte::of(PacketType::PingReq).get(), 0];
pub(crate) const DISCONNECT: [u8; 2] = [FirstByte::of(PacketType::Disconnect).get(), 0];

/// A PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK with this first byte and packet id.
pub(crate) const fn packet(first: FirstByte, id: PacketId) -> [u8; ACK_LEN] {
    let [high, low] = id.get().to_be_bytes();
    [first.get(), PacketId::LEN as u8, high, low]
}

/// Decodes a PUBACK, PUBREC, PUBCOMP or UNSUBACK.
pub(crate) const fn id(first: u8, body: &[u8]) -> Result<PacketId, Violation> {
    match FirstByte::new(first).no_flags() {
        Ok(()) => only_id(body),
        Err(violation) => Err(violation),
    }
}

/// Decodes a PUBREL: the packet id and DUP, which is always false in 3.1.1.
pub(crate) fn pubrel(
    first: u8,
    body: &[u8],
    protocol: Protocol,
) -> Result<(PacketId, bool), Violation> {
    let dup = FirstByte::new(first).request_flags(protocol)?;
    Ok((only_id(body)?, dup))
}

/// Decodes a PINGREQ, PINGRESP or DISCONNECT.
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
    writer.end();
    Ok(len)
}

pub(super) fn encode_empty(first: FirstByte, out: &mut [u8]) -> Result<usize, EncodeError> {
    let (writer, len) = Writer::packet(out, first, 0)?;
    writer.end();
    Ok(len)
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
