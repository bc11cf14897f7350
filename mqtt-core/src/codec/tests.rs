//! Properties of every packet. `violations` has a test for each broken rule, `encode_errors` one for each packet that
//! cannot be encoded, and `examples` has bytes from the standards.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod encode_errors;
mod examples;
mod strategies;
mod violations;

use std::{vec, vec::Vec};

use proptest::{collection, prelude::*, sample};

use super::{
    Decoded, EncodeError, Header, Packet, PacketType, Protocol, Publish, PublishHead, QoS,
    Violation,
};
use crate::codec;
use strategies::{Owned, packet_of};

const VERSIONS: [Protocol; 2] = [Protocol::V31, Protocol::V311];

fn encoded(packet: &Packet<'_>, protocol: Protocol) -> Vec<u8> {
    let mut bytes = vec![0; packet.encoded_len().unwrap()];
    assert_eq!(packet.encode(&mut bytes, protocol), Ok(bytes.len()), "the length is known before");
    bytes
}

/// Decodes bytes that are exactly one packet.
fn decoded(bytes: &[u8], protocol: Protocol) -> Packet<'_> {
    match Packet::decode(bytes, protocol) {
        Ok(Decoded::Packet { packet, len }) if len == bytes.len() => packet,
        other => panic!("no packet of {} bytes: {other:?}", bytes.len()),
    }
}

/// Any packet that can be encoded, with a version that it can be encoded for.
fn packet() -> impl Strategy<Value = (Protocol, Owned)> {
    sample::select(&VERSIONS[..]).prop_flat_map(|protocol| (Just(protocol), packet_of(protocol)))
}

/// The bytes of a packet with a few changes.
fn damaged() -> impl Strategy<Value = (Protocol, Vec<u8>)> {
    let changes = collection::vec((any::<sample::Index>(), any::<u8>()), 1..4);
    (packet(), changes).prop_map(|((protocol, owned), changes)| {
        let mut bytes = owned.with(|packet| encoded(packet, protocol));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        (protocol, bytes)
    })
}

/// Decoding `bytes` does not depend on the bytes that follow, and a decoded packet can be encoded again.
fn check_any(bytes: &[u8], protocol: Protocol) {
    let longer = [bytes, b"\0\x7F\xFF"].concat();
    match Packet::decode(bytes, protocol) {
        Ok(Decoded::Packet { packet, len }) => {
            assert_eq!(
                Packet::decode(&longer, protocol),
                Ok(Decoded::Packet { packet: packet.clone(), len })
            );
            let again = encoded(&packet, protocol);
            assert!(again.len() <= len, "only a padded remaining length is longer");
            assert_eq!(decoded(&again, protocol), packet);
        }
        Ok(Decoded::NeedMore(missing)) => assert!(missing >= 1),
        Err(violation) => assert_eq!(Packet::decode(&longer, protocol), Err(violation)),
    }
}

proptest! {
    #[test]
    fn an_encoded_packet_is_decoded_to_an_equal_one((protocol, owned) in packet()) {
        owned.with(|packet| {
            let bytes = encoded(packet, protocol);
            assert_eq!(decoded(&bytes, protocol), *packet);
        });
    }

    #[test]
    fn a_longer_slice_is_filled_from_the_front((protocol, owned) in packet(), spare in 1..9_usize) {
        owned.with(|packet| {
            let bytes = encoded(packet, protocol);
            let mut longer = vec![0xEE; bytes.len() + spare];
            assert_eq!(packet.encode(&mut longer, protocol), Ok(bytes.len()));
            let (written, rest) = longer.split_at(bytes.len());
            assert_eq!(written, bytes);
            assert!(rest.iter().all(|byte| *byte == 0xEE), "and not beyond");
        });
    }

    #[test]
    fn a_slice_that_is_too_short_gives_no_space_with_both_lengths(
        (protocol, owned) in packet(),
        at in any::<sample::Index>(),
    ) {
        owned.with(|packet| {
            let needed = packet.encoded_len().unwrap();
            for available in [needed - 1, at.index(needed)] {
                assert_eq!(
                    packet.encode(&mut vec![0; available], protocol),
                    Err(EncodeError::NoSpace { needed, available })
                );
            }
        });
    }

    #[test]
    fn every_prefix_needs_more_bytes_but_never_more_than_the_packet_has((protocol, owned) in packet()) {
        owned.with(|packet| {
            let bytes = encoded(packet, protocol);
            for len in 0..bytes.len() {
                match Packet::decode(&bytes[..len], protocol) {
                    Ok(Decoded::NeedMore(missing)) => {
                        assert!(missing >= 1 && len + missing <= bytes.len());
                        let header = len >= Header::decode(&bytes).unwrap().unwrap().header_len();
                        assert!(!header || len + missing == bytes.len(), "exact from the header on");
                    }
                    other => panic!("{len} of {} bytes give {other:?}", bytes.len()),
                }
            }
        });
    }

    #[test]
    fn any_bytes_are_a_packet_or_its_beginning_or_break_a_rule(
        bytes in collection::vec(any::<u8>(), 0..60),
    ) {
        VERSIONS.into_iter().for_each(|protocol| check_any(&bytes, protocol));
    }

    #[test]
    fn damaged_packets_are_a_packet_or_its_beginning_or_break_a_rule(
        (protocol, bytes) in damaged(),
    ) {
        check_any(&bytes, protocol);
    }

    #[test]
    fn the_head_of_a_publish_is_decoded_once_topic_and_id_have_come(owned in strategies::publish()) {
        let publish = owned.borrow();
        let bytes = encoded(&Packet::Publish(publish), Protocol::V311);
        let header = Header::decode(&bytes).unwrap().unwrap();
        let body = &bytes[header.header_len()..];
        let head_len = body.len() - publish.payload.len();
        for len in 0..=body.len() {
            let head = PublishHead::decode(header.first(), header.remaining(), &body[..len]);
            let Publish { topic, payload, qos, retain, dup, id } = publish;
            let whole =
                PublishHead { topic, qos, retain, dup, id, payload_len: payload.len(), head_len };
            assert_eq!(head, Ok((len >= head_len).then_some(whole)));
        }
    }

    #[test]
    fn the_head_of_a_publish_breaks_the_same_rule_as_the_whole(
        first in 0x30..=0x3F_u8,
        body in collection::vec(prop_oneof![0..3_u8, any::<u8>()], 0..40),
    ) {
        let whole = Publish::decode(first, &body);
        for len in 0..=body.len() {
            match PublishHead::decode(first, body.len(), &body[..len]) {
                Ok(Some(head)) => {
                    let payload_len = whole.map(|publish| publish.payload.len());
                    prop_assert_eq!(Ok(head.payload_len), payload_len);
                }
                Ok(None) => prop_assert!(len < body.len()),
                Err(violation) => prop_assert_eq!(Err(violation), whole, "{} bytes", len),
            }
        }
    }

    #[test]
    fn the_first_byte_gives_the_type_of_every_packet((protocol, owned) in packet()) {
        owned.with(|packet| {
            let first = encoded(packet, protocol)[0];
            assert_eq!(PacketType::check_first(first, protocol), Ok(packet.packet_type()));
        });
    }

    #[test]
    fn requests_with_filters_in_a_slice_and_in_bytes_are_equal((protocol, owned) in packet()) {
        owned.with(|packet| {
            let bytes = encoded(packet, protocol);
            match (packet, decoded(&bytes, protocol)) {
                (Packet::Subscribe(given), Packet::Subscribe(read)) => {
                    assert!(given.filters().eq(read.filters()));
                    assert_eq!(std::format!("{given:?}"), std::format!("{read:?}"));
                }
                (Packet::Unsubscribe(given), Packet::Unsubscribe(read)) => {
                    assert!(given.filters().eq(read.filters()));
                    assert_eq!(std::format!("{given:?}"), std::format!("{read:?}"));
                }
                _ => {}
            }
        });
    }
}

/// [MQTT-2.2.2-1], [MQTT-2.2.2-2]
#[test]
fn a_wrong_first_byte_is_found_before_other_bytes_follow() {
    for (first, protocol) in
        (0..=u8::MAX).flat_map(|first| VERSIONS.map(|version| (first, version)))
    {
        let lenient = protocol == Protocol::V31;
        let expected = match (first >> 4, first & 0x0F) {
            (0 | 15, _) => Err(Violation::PacketType),
            (3, 0b0110 | 0b0111 | 0b1110 | 0b1111) => Err(Violation::PublishQoS),
            (3, 0b1000 | 0b1001) => Err(Violation::DupQoS0),
            (3, _) | (6 | 8 | 10, 0b0010) => Ok(Decoded::NeedMore(1)),
            (6 | 8 | 10, 0b1010) if lenient => Ok(Decoded::NeedMore(1)),
            (6 | 8 | 10, _) => Err(Violation::Flags),
            (_, 0) => Ok(Decoded::NeedMore(1)),
            _ => Err(Violation::Flags),
        };
        assert_eq!(Packet::decode(&[first], protocol), expected, "{first:#04x} in {protocol:?}");
    }
}

#[test]
fn without_bytes_the_decoder_needs_the_two_bytes_of_the_shortest_packet() {
    assert_eq!(Packet::decode(&[], Protocol::V311), Ok(Decoded::NeedMore(2)));
}

#[test]
fn the_first_ten_bytes_of_a_packet_of_200_mb_need_the_rest() {
    let bytes = [0x30, 0x80, 0x84, 0xAF, 0x5F, 0, 1, b'a', 1, 2];
    assert_eq!(Packet::decode(&bytes, Protocol::V311), Ok(Decoded::NeedMore(200_000_000 - 5)));
}

/// Otherwise a wrong type would be found only after the whole packet has come.
#[test]
fn two_bytes_are_enough_to_refuse_a_packet_of_200_mb() {
    for (first, violation) in [
        (0x00, Violation::PacketType),
        (0x41, Violation::Flags),
        (0x36, Violation::PublishQoS),
        (0x38, Violation::DupQoS0),
    ] {
        assert_eq!(Packet::decode(&[first, 0x80], Protocol::V311), Err(violation));
    }
}

#[test]
fn the_header_shows_the_wrong_length_of_a_packet_of_fixed_length() {
    for (first, fixed) in [
        (0x20, 2),
        (0x40, 2),
        (0x50, 2),
        (0x62, 2),
        (0x70, 2),
        (0xB0, 2),
        (0xC0, 0),
        (0xD0, 0),
        (0xE0, 0),
    ] {
        for remaining in 0..0x80 {
            let whole = [&[first, remaining][..], &[1; 0x80][..usize::from(remaining)]].concat();
            let early = Packet::decode(&whole[..2], Protocol::V311);
            if remaining < fixed {
                assert_eq!(early, Err(Violation::Truncated));
                assert_eq!(Packet::decode(&whole, Protocol::V311), early);
            } else if remaining > fixed {
                assert_eq!(early, Err(Violation::TrailingBytes));
                assert_eq!(Packet::decode(&whole, Protocol::V311), early);
            }
        }
    }
}

#[test]
fn the_header_shows_that_a_publish_is_too_short_for_its_fields() {
    for (first, least) in [(0x30, 2), (0x32, 4), (0x34, 4)] {
        assert_eq!(PublishHead::decode(first, least, &[]), Ok(None));
        assert_eq!(PublishHead::decode(first, least - 1, &[]), Err(Violation::Truncated));
        assert_eq!(PublishHead::decode(first, least, &[0, 1]), Err(Violation::Truncated));
    }
}

/// Table 2.4 of the standard: the least and the greatest remaining length of each width.
#[test]
fn the_remaining_length_takes_one_to_four_bytes() {
    for (remaining, field) in [
        (0, &[0x00][..]),
        (127, &[0x7F]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 0x01]),
        (2_097_151, &[0xFF, 0xFF, 0x7F]),
        (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
        (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
    ] {
        let mut out = [0; 8];
        let len = Header::encode(0x30, remaining, &mut out).unwrap();
        assert_eq!(&out[..len], [&[0x30], field].concat());
        let header = Header::decode(&out[..len]).unwrap().unwrap();
        assert_eq!((header.first(), header.header_len()), (0x30, len));
        assert_eq!((header.remaining(), header.frame_len()), (remaining, len + remaining));
        for short in 0..len {
            assert_eq!(Header::decode(&out[..short]), Ok(None));
            let error = EncodeError::NoSpace { needed: len, available: short };
            assert_eq!(Header::encode(0x30, remaining, &mut out[..short]), Err(error));
        }
    }
}

/// Section 2.2.3 gives the algorithm. Unlike version 5, it does not ask for the shortest form.
#[test]
fn a_remaining_length_in_more_bytes_than_needed_is_accepted() {
    for field in [&[0x02][..], &[0x82, 0x00], &[0x82, 0x80, 0x00], &[0x82, 0x80, 0x80, 0x00]] {
        let bytes = [&[0x40], field, &[0, 7]].concat();
        let packet = decoded(&bytes, Protocol::V311);
        assert_eq!(packet, Packet::PubAck(super::PacketId::new(7).unwrap()));
        assert_eq!(
            encoded(&packet, Protocol::V311).len(),
            4,
            "this codec writes the shortest form"
        );
    }
}

#[test]
fn every_kind_of_packet_is_known_by_its_number() {
    for number in 0..=u8::MAX {
        match PacketType::try_from(number) {
            Ok(kind) => {
                assert_eq!((kind as u8, Ok(kind)), (number, PacketType::from_first(number << 4)))
            }
            Err(violation) => {
                assert_eq!(violation, Violation::PacketType);
                assert!(!(1..=14).contains(&number));
            }
        }
    }
}

/// The codes of a SUBACK are in the order of the filters [MQTT-3.9.3-1].
#[test]
fn granted_codes_are_read_by_index_and_in_order() {
    let granted = codec::Granted::from_bytes(&[2, 0x80, 0]).unwrap();
    assert!(granted.iter().eq([Some(QoS::ExactlyOnce), None, Some(QoS::AtMostOnce)]));
    assert_eq!((granted.len(), granted.is_empty()), (3, false));
    assert_eq!(granted.get(0), Some(Some(QoS::ExactlyOnce)));
    assert_eq!(granted.get(1), Some(None));
    assert_eq!(granted.get(3), None);
}

/// A strict client asks for it: 3.1 has no code for a refusal.
#[test]
fn a_refusal_among_the_codes_is_found() {
    for (codes, refuses) in [(&[0][..], false), (&[2, 1, 0], false), (&[0x80], true)] {
        assert_eq!(codec::Granted::from_bytes(codes).unwrap().has_refusals(), refuses);
    }
    for place in 0..3 {
        let mut codes = [1; 3];
        codes[place] = 0x80;
        assert!(codec::Granted::from_bytes(&codes).unwrap().has_refusals());
    }
}

#[test]
fn requests_that_ask_for_something_else_are_not_equal() {
    let [a, b] = ["a", "b"].map(|text| codec::Filter::new(text).unwrap());
    let [one, two] = [1, 2].map(|id| super::PacketId::new(id).unwrap());
    let pairs = [(a, QoS::AtMostOnce), (b, QoS::AtMostOnce), (a, QoS::AtLeastOnce)];
    let subscribe = codec::Subscribe::new(one, &pairs[..1]);
    let mut again = subscribe;
    again.dup = true;
    for other in [
        codec::Subscribe::new(two, &pairs[..1]),
        again,
        codec::Subscribe::new(one, &pairs[1..2]),
        codec::Subscribe::new(one, &pairs[2..]),
        codec::Subscribe::new(one, &pairs[..2]),
    ] {
        assert_ne!(subscribe, other);
    }
    let filters = [a, b];
    let unsubscribe = codec::Unsubscribe::new(one, &filters[..1]);
    let mut again = unsubscribe;
    again.dup = true;
    for other in [
        codec::Unsubscribe::new(two, &filters[..1]),
        again,
        codec::Unsubscribe::new(one, &filters[1..]),
        codec::Unsubscribe::new(one, &filters),
    ] {
        assert_ne!(unsubscribe, other);
    }
}

#[test]
fn a_password_does_not_show_in_debug_output() {
    let login = codec::Login::new("user", Some(b"secret"));
    assert_eq!(std::format!("{login:?}"), r#"Login { user: "user", password: Some("***") }"#);
}
