//! Packets as bytes, put together by hand, and the packets in a stream of bytes.

use mqtt_core::{
    PacketId, Protocol, Publish, QoS,
    codec::{Decoded, Packet},
};

/// The first byte of each packet that a broker sends, and of PUBREL.
pub const CONNACK: u8 = 0x20;
/// See [`CONNACK`].
pub const PUBACK: u8 = 0x40;
/// See [`CONNACK`].
pub const PUBREC: u8 = 0x50;
/// See [`CONNACK`].
pub const PUBREL: u8 = 0x62;
/// See [`CONNACK`].
pub const PUBCOMP: u8 = 0x70;
/// See [`CONNACK`].
pub const SUBACK: u8 = 0x90;
/// See [`CONNACK`].
pub const UNSUBACK: u8 = 0xB0;

/// A CONNACK: accepted, no session present.
pub const ACCEPTED: &[u8] = &[CONNACK, 2, 0, 0];
/// A CONNACK: accepted, session present.
pub const ACCEPTED_SESSION_PRESENT: &[u8] = &[CONNACK, 2, 1, 0];
/// A PINGRESP.
pub const PINGRESP: &[u8] = &[0xD0, 0];

/// A CONNACK that accepts the connection.
#[must_use]
pub fn connack(session_present: bool) -> [u8; 4] {
    [CONNACK, 2, u8::from(session_present), 0]
}

/// The four bytes of an acknowledgement, given its first one.
#[inline]
#[must_use]
pub const fn ack(first: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [first, 2, high, low]
}

/// A SUBACK with these return codes.
#[must_use]
pub fn suback(id: u16, codes: &[u8]) -> Vec<u8> {
    packet(SUBACK, &[&id.to_be_bytes(), codes])
}

/// Any packet: its first byte, and the parts that follow the remaining length.
#[must_use]
pub fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut packet = vec![first];
    let mut remaining = body.len();
    while remaining > 0x7F {
        packet.push((remaining & 0x7F) as u8 | 0x80);
        remaining >>= 7;
    }
    packet.push(remaining as u8);
    packet.extend(body);
    packet
}

/// A string of the protocol: its length, then its bytes.
#[must_use]
pub fn string(text: &str) -> Vec<u8> {
    let mut field = (text.len() as u16).to_be_bytes().to_vec();
    field.extend(text.as_bytes());
    field
}

/// `packet` as the codec of the library writes it.
///
/// # Panics
///
/// The packet cannot be encoded.
#[must_use]
pub fn encoded(packet: Packet<'_>, protocol: Protocol) -> Vec<u8> {
    let mut bytes = vec![0; packet.encoded_len().unwrap()];
    packet.encode(&mut bytes, protocol).unwrap();
    bytes
}

/// The first packet of `bytes` and the bytes behind it; `None` if the packet is not whole yet.
///
/// # Panics
///
/// The bytes are not a packet.
#[must_use]
pub fn next_packet(bytes: &[u8], protocol: Protocol) -> Option<(Packet<'_>, &[u8])> {
    match Packet::decode(bytes, protocol) {
        Ok(Decoded::Packet { packet, len }) => Some((packet, &bytes[len..])),
        Ok(Decoded::NeedMore(_)) => None,
        Err(violation) => panic!("{violation} in {bytes:x?}"),
    }
}

/// Takes the whole packets off the front of `stream` and shows each to `look`. A packet in part stays.
pub fn take_packets(stream: &mut Vec<u8>, protocol: Protocol, mut look: impl FnMut(Packet<'_>)) {
    let mut rest = &stream[..];
    while let Some((packet, behind)) = next_packet(rest, protocol) {
        look(packet);
        rest = behind;
    }
    let taken = stream.len() - rest.len();
    stream.drain(..taken);
}

/// The answer of a broker that grants everything to a packet of a client, if the packet alone decides it.
#[must_use]
pub fn answer_to(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let id_of = |id: &PacketId| id.get();
    match packet {
        Packet::Publish(Publish { id: Some(id), qos: QoS::ExactlyOnce, .. }) => {
            Some(ack(PUBREC, id_of(id)).into())
        }
        Packet::Publish(Publish { id: Some(id), .. }) => Some(ack(PUBACK, id_of(id)).into()),
        Packet::PubRel { id, .. } => Some(ack(PUBCOMP, id_of(id)).into()),
        Packet::Subscribe(subscribe) => {
            let codes: Vec<u8> = subscribe.filters().map(|(_, qos)| qos as u8).collect();
            Some(suback(id_of(&subscribe.id), &codes))
        }
        Packet::Unsubscribe(unsubscribe) => Some(ack(UNSUBACK, id_of(&unsubscribe.id)).into()),
        Packet::PingReq => Some(PINGRESP.into()),
        Packet::Connect(_)
        | Packet::ConnAck(_)
        | Packet::Publish(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingResp
        | Packet::Disconnect => None,
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::Protocol;

    use super::{PUBACK, PUBREC, ack, packet, string, suback, take_packets};
    use crate::text;

    #[test]
    fn a_remaining_length_takes_as_many_bytes_as_it_needs() {
        assert_eq!(packet(0x30, &[&[0; 127]])[..2], [0x30, 127]);
        assert_eq!(packet(0x30, &[&[0; 128]])[..3], [0x30, 0x80, 1]);
        assert_eq!(suback(7, &[0, 2]), [0x90, 4, 0, 7, 0, 2]);
        assert_eq!(string("ab"), [0, 2, b'a', b'b']);
    }

    #[test]
    fn whole_packets_are_taken_and_a_part_stays() {
        let mut stream = [ack(PUBACK, 1), ack(PUBREC, 2)].concat();
        stream.truncate(6);
        let mut lines = Vec::new();
        take_packets(&mut stream, Protocol::V311, |packet| lines.push(text::packet(&packet)));
        assert_eq!(lines, ["PUBACK 1"]);
        assert_eq!(stream, [PUBREC, 2]);
    }
}
