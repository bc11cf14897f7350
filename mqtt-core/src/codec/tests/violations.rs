//! One test for each rule that bytes alone can break. Rules about the order of packets and about packet ids in flight
//! are tested with the client.

use std::vec::Vec;

use super::{
    super::{Connect, Packet, Protocol, SubAck},
    Violation, decoded,
};

#[track_caller]
fn breaks_in(protocol: Protocol, bytes: &[u8], violation: Violation) {
    assert_eq!(Packet::decode(bytes, protocol), Err(violation));
    assert_eq!(Packet::decode(&[bytes, b"more"].concat(), protocol), Err(violation));
}

#[track_caller]
fn breaks(bytes: &[u8], violation: Violation) {
    breaks_in(Protocol::V311, bytes, violation);
    breaks_in(Protocol::V31, bytes, violation);
}

/// A packet with this first byte and this body.
fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&[first, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

/// A CONNECT of 3.1.1 with these flags and fields.
fn connect(flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[b"\0\x04MQTT\x04", &[flags, 0, 10], &fields.concat()])
}

/// A CONNECT of 3.1 with these flags and fields.
fn connect_31(flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[b"\0\x06MQIsdp\x03", &[flags, 0, 10], &fields.concat()])
}

/// Section 2.2.3: four bytes at the most.
#[test]
fn remaining_length_goes_on_after_its_fourth_byte() {
    breaks(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], Violation::RemainingLength);
    breaks(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x00], Violation::RemainingLength);
}

/// Table 2.1: 0 and 15 are forbidden.
#[test]
fn packet_type_is_reserved() {
    breaks(&[0x00, 0], Violation::PacketType);
    breaks(&[0xF0, 0], Violation::PacketType);
}

/// [MQTT-2.2.2-2], and [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1] for PUBREL, SUBSCRIBE and UNSUBSCRIBE.
#[test]
fn flags_are_wrong_for_the_packet_type() {
    for (right, body) in [
        (0x10, &b"\0\x04MQTT\x04\x02\0\x0A\0\x01c"[..]),
        (0x20, b"\0\0"),
        (0x40, b"\0\x01"),
        (0x50, b"\0\x01"),
        (0x62, b"\0\x01"),
        (0x70, b"\0\x01"),
        (0x82, b"\0\x01\0\x01a\0"),
        (0x90, b"\0\x01\0"),
        (0xA2, b"\0\x01\0\x01a"),
        (0xB0, b"\0\x01"),
        (0xC0, b""),
        (0xD0, b""),
        (0xE0, b""),
    ] {
        decoded(&packet(right, &[body]), Protocol::V311);
        for flags in (0..16).filter(|flags| *flags != right & 0x0F) {
            let wrong = packet(right & 0xF0 | flags, &[body]);
            breaks_in(Protocol::V311, &wrong, Violation::Flags);
        }
    }
}

/// [MQTT-2.2.2-2]: 3.1 has DUP here, 3.1.1 has not.
#[test]
fn pubrel_subscribe_and_unsubscribe_may_have_dup_only_in_3_1() {
    for bytes in [&b"\x6A\x02\0\x01"[..], b"\x8A\x06\0\x01\0\x01a\0", b"\xAA\x05\0\x01\0\x01a"] {
        breaks_in(Protocol::V311, bytes, Violation::Flags);
        decoded(bytes, Protocol::V31);
    }
}

/// [MQTT-3.3.1-4]
#[test]
fn publish_has_qos_3() {
    breaks(b"\x36\x06\0\x01a\0\x01x", Violation::PublishQoS);
}

/// [MQTT-3.3.1-2]
#[test]
fn publish_of_qos_0_has_dup() {
    breaks(b"\x38\x04\0\x01ax", Violation::DupQoS0);
}

/// Each field in turn is cut: the packet's length ends within it.
#[test]
fn packet_ends_within_a_field() {
    let whole: &[(u8, &[u8])] = &[
        (0x10, b"\0\x04MQTT\x04\xC6\0\x0A\0\x01c\0\x01w\0\x04gone\0\x01u\0\x01p"),
        (0x20, b"\0\0"),
        (0x40, b"\0\x01"),
        (0x50, b"\0\x01"),
        (0x62, b"\0\x01"),
        (0x70, b"\0\x01"),
        (0xB0, b"\0\x01"),
    ];
    for (first, body) in whole {
        decoded(&packet(*first, &[body]), Protocol::V311);
        for len in 0..body.len() {
            breaks_in(Protocol::V311, &packet(*first, &[&body[..len]]), Violation::Truncated);
        }
    }
    for publish in [&b""[..], b"\0", b"\0\x02", b"\0\x02a", b"\0\x01a", b"\0\x01a\0"] {
        breaks(&packet(0x32, &[publish]), Violation::Truncated);
    }
    for subscribe in [&b""[..], b"\0", b"\0\x01\0", b"\0\x01\0\x02a", b"\0\x01\0\x01a"] {
        breaks(&packet(0x82, &[subscribe]), Violation::Truncated);
    }
    for unsubscribe in [&b""[..], b"\0", b"\0\x01\0", b"\0\x01\0\x02a"] {
        breaks(&packet(0xA2, &[unsubscribe]), Violation::Truncated);
    }
    for suback in [&b""[..], b"\0"] {
        breaks(&packet(0x90, &[suback]), Violation::Truncated);
    }
}

#[test]
fn packet_goes_on_after_its_last_field() {
    breaks(&connect(0x02, &[b"\0\x01c", b"x"]), Violation::TrailingBytes);
    breaks(b"\x20\x03\0\0\0", Violation::TrailingBytes);
    for first in [0x40, 0x50, 0x62, 0x70, 0xB0] {
        breaks(&[first, 3, 0, 1, 0], Violation::TrailingBytes);
    }
    for first in [0xC0, 0xD0, 0xE0] {
        breaks(&[first, 1, 0], Violation::TrailingBytes);
    }
}

/// [MQTT-2.3.1-1]
#[test]
fn packet_id_is_zero() {
    breaks(b"\x32\x06\0\x01a\0\0x", Violation::PacketIdZero);
    breaks(b"\x34\x06\0\x01a\0\0x", Violation::PacketIdZero);
    for first in [0x40, 0x50, 0x62, 0x70, 0xB0] {
        breaks(&[first, 2, 0, 0], Violation::PacketIdZero);
    }
    breaks(b"\x82\x06\0\0\0\x01a\0", Violation::PacketIdZero);
    breaks(b"\x90\x03\0\0\0", Violation::PacketIdZero);
    breaks(b"\xA2\x05\0\0\0\x01a", Violation::PacketIdZero);
}

/// [MQTT-1.5.3-1], and the statements on each string: [MQTT-3.1.3-4], [MQTT-3.1.3-10], [MQTT-3.1.3-11], [MQTT-3.3.2-1],
/// [MQTT-3.8.3-1], [MQTT-3.10.3-1].
#[test]
fn string_is_not_utf_8() {
    let ill_formed: [&[u8]; 6] = [
        b"\xED\xA0\x80",     // a surrogate
        b"\xED\xBF\xBF",     // another
        b"\xC0\xAF",         // an overlong form
        b"\xF4\x90\x80\x80", // above U+10FFFF
        b"a\x80",            // a byte that continues nothing
        b"a\xE2\x82",        // a character cut short
    ];
    for text in ill_formed {
        let string = [&[0, u8::try_from(text.len()).unwrap()], text].concat();
        breaks(&connect(0x02, &[&string]), Violation::Utf8);
        breaks(&connect(0x06, &[b"\0\x01c", &string, b"\0\0"]), Violation::Utf8);
        breaks(&connect(0x82, &[b"\0\x01c", &string]), Violation::Utf8);
        breaks(&packet(0x30, &[&string]), Violation::Utf8);
        breaks(&packet(0x82, &[b"\0\x01", &string, b"\0"]), Violation::Utf8);
        breaks(&packet(0xA2, &[b"\0\x01", &string]), Violation::Utf8);
    }
}

/// [MQTT-1.5.3-2]
#[test]
fn string_contains_u_0000() {
    breaks(&connect(0x02, &[b"\0\x01\0"]), Violation::NullCharacter);
    breaks(&connect(0x06, &[b"\0\x01c", b"\0\x02a\0", b"\0\0"]), Violation::NullCharacter);
    breaks(&connect(0x82, &[b"\0\x01c", b"\0\x02u\0"]), Violation::NullCharacter);
    breaks(b"\x30\x05\0\x03a\0b", Violation::NullCharacter);
    breaks(b"\x82\x06\0\x01\0\x01\0\0", Violation::NullCharacter);
    breaks(b"\xA2\x05\0\x01\0\x01\0", Violation::NullCharacter);
}

/// [MQTT-3.3.2-2], [MQTT-4.7.1-1]
#[test]
fn topic_name_contains_a_wildcard() {
    for name in [b"\0\x03a/+", b"\0\x03a/#", b"\0\x03a+b"] {
        breaks(&packet(0x30, &[name]), Violation::TopicWildcard);
        breaks(&connect(0x06, &[b"\0\x01c", name, b"\0\0"]), Violation::TopicWildcard);
    }
}

/// [MQTT-4.7.3-1]
#[test]
fn topic_is_empty() {
    breaks(b"\x30\x03\0\0x", Violation::TopicEmpty);
    breaks(&connect(0x06, &[b"\0\x01c", b"\0\0", b"\0\0"]), Violation::TopicEmpty);
    breaks(b"\x82\x05\0\x01\0\0\0", Violation::TopicEmpty);
    breaks(b"\xA2\x04\0\x01\0\0", Violation::TopicEmpty);
}

/// [MQTT-4.7.1-2], [MQTT-4.7.1-3]
#[test]
fn wildcard_of_a_filter_is_misplaced() {
    for filter in [b"\0\x03a#b", b"\0\x03#/a", b"\0\x03a+/"] {
        breaks(&packet(0x82, &[b"\0\x01", filter, b"\0"]), Violation::FilterWildcard);
        breaks(&packet(0xA2, &[b"\0\x01", filter]), Violation::FilterWildcard);
    }
    decoded(b"\x82\x08\0\x01\0\x03+/#\0", Protocol::V311);
}

/// [MQTT-3.1.2-1]
#[test]
fn protocol_name_is_unknown() {
    for name in [&b"\0\x04mqtt"[..], b"\0\x04MQTX", b"\0\x03MQT", b"\0\0"] {
        breaks(&packet(0x10, &[name, b"\x04\x02\0\x0A\0\x01c"]), Violation::ProtocolName);
    }
}

/// [MQTT-3.1.2-2]
#[test]
fn protocol_level_does_not_go_with_the_name() {
    for level in (0..=u8::MAX).filter(|level| *level != 4) {
        let bytes = packet(0x10, &[b"\0\x04MQTT", &[level], b"\x02\0\x0A\0\x01c"]);
        breaks(&bytes, Violation::ProtocolLevel);
    }
    for level in (0..=u8::MAX).filter(|level| *level != 3) {
        let bytes = packet(0x10, &[b"\0\x06MQIsdp", &[level], b"\x02\0\x0A\0\x01c"]);
        breaks(&bytes, Violation::ProtocolLevel);
    }
}

/// [MQTT-3.1.2-3]
#[test]
fn reserved_connect_flag_is_set() {
    breaks(&connect(0x03, &[b"\0\x01c"]), Violation::ConnectReserved);
}

/// [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15]
#[test]
fn will_flags_come_without_a_will() {
    for flags in [0x08, 0x10, 0x18, 0x20, 0x28] {
        breaks(&connect(flags | 0x02, &[b"\0\x01c"]), Violation::WillFlags);
    }
}

/// [MQTT-3.1.2-14]
#[test]
fn will_has_qos_3() {
    breaks(&connect(0x1E, &[b"\0\x01c", b"\0\x01w", b"\0\0"]), Violation::WillQoS);
}

/// [MQTT-3.1.2-22]
#[test]
fn password_comes_without_a_user_name() {
    breaks(&connect(0x42, &[b"\0\x01c", b"\0\x01p"]), Violation::PasswordWithoutUser);
}

/// [MQTT-3.1.3-7], [MQTT-3.1.3-8]
#[test]
fn client_id_is_empty_without_clean_session() {
    breaks(&connect(0x00, &[b"\0\0"]), Violation::ClientId);
    decoded(&connect(0x02, &[b"\0\0"]), Protocol::V311);
}

/// Section 3.1 of MQTT 3.1: 1 to 23 characters, which may be longer in bytes.
#[test]
fn client_id_of_3_1_has_not_1_to_23_characters() {
    breaks(&connect_31(0x02, &[b"\0\0"]), Violation::ClientId);
    breaks(&connect_31(0x02, &[b"\0\x18", &[b'c'; 24]]), Violation::ClientId);
    decoded(&connect_31(0x00, &[b"\0\x17", &[b'c'; 23]]), Protocol::V31);
    decoded(&connect_31(0x02, &[b"\0\x2E", "ç".repeat(23).as_bytes()]), Protocol::V31);
}

/// Every combination of flags is either a valid packet or breaks a rule that this test names.
#[test]
fn every_combination_of_connect_flags_is_checked() {
    for flags in 0..=u8::MAX {
        let has = |bit: u8| flags & bit != 0;
        let field = |bit: u8, bytes: &'static [u8]| if has(bit) { bytes } else { b"" };
        let fields = [
            b"\0\x01c",
            field(0x04, b"\0\x01w\0\x01m"),
            field(0x80, b"\0\x01u"),
            field(0x40, b"\0\x01p"),
        ];
        let expected = if has(0x01) {
            Some(Violation::ConnectReserved)
        } else if !has(0x04) && has(0x38) {
            Some(Violation::WillFlags)
        } else if flags & 0x18 == 0x18 {
            Some(Violation::WillQoS)
        } else if has(0x40) && !has(0x80) {
            Some(Violation::PasswordWithoutUser)
        } else {
            None
        };
        for bytes in [connect(flags, &fields), connect_31(flags, &fields)] {
            match Packet::decode(&bytes, Protocol::V311) {
                Err(violation) => assert_eq!(Some(violation), expected, "{flags:#010b}"),
                Ok(_) => {
                    assert_eq!(expected, None, "{flags:#010b}");
                    let Packet::Connect(Connect { clean_session, will, login, .. }) =
                        decoded(&bytes, Protocol::V311)
                    else {
                        panic!("it is a CONNECT")
                    };
                    let password = login.and_then(|login| login.password);
                    assert_eq!(
                        (clean_session, will.is_some(), login.is_some(), password.is_some()),
                        (has(0x02), has(0x04), has(0x80), has(0x40))
                    );
                    assert_eq!(will.is_some_and(|will| will.retain), has(0x20));
                }
            }
        }
    }
}

/// Section 3.2.2.1: bits 7 to 1 are reserved.
#[test]
fn connack_has_reserved_flags() {
    for flags in 2..=u8::MAX {
        breaks_in(Protocol::V311, &[0x20, 2, flags, 0], Violation::ConnAckFlags);
    }
}

/// [MQTT-3.2.2-6]
#[test]
fn connack_code_is_reserved() {
    for code in 6..=u8::MAX {
        breaks(&[0x20, 2, 0, code], Violation::ConnAckCode);
    }
}

/// [MQTT-3.2.2-4]
#[test]
fn session_is_present_in_a_refusal() {
    for code in 1..=5 {
        breaks_in(Protocol::V311, &[0x20, 2, 1, code], Violation::SessionPresentRefused);
    }
}

/// [MQTT-3.8.3-3]
#[test]
fn subscribe_has_no_filter() {
    breaks(b"\x82\x02\0\x01", Violation::SubscribeEmpty);
}

/// [MQTT-3.10.3-2]
#[test]
fn unsubscribe_has_no_filter() {
    breaks(b"\xA2\x02\0\x01", Violation::UnsubscribeEmpty);
}

/// [MQTT-3.8.3-4]: QoS 3, and reserved bits.
#[test]
fn subscribe_asks_for_a_qos_above_2() {
    for options in 3..=u8::MAX {
        let bytes = packet(0x82, &[b"\0\x01", b"\0\x01a\0", b"\0\x01b", &[options]]);
        breaks(&bytes, Violation::SubscribeQoS);
    }
}

/// [MQTT-3.9.3-2]
#[test]
fn suback_code_is_reserved() {
    for code in (3..=u8::MAX).filter(|code| *code != 0x80) {
        breaks(&[0x90, 4, 0, 1, 0, code], Violation::SubAckCode);
    }
}

/// [MQTT-3.8.4-5]: a code for each filter, and there is at least one [MQTT-3.8.3-3].
#[test]
fn suback_has_no_code() {
    breaks(b"\x90\x02\0\x01", Violation::SubAckCount);
    assert_eq!(SubAck::decode(0x90, b"\0\x01"), Err(Violation::SubAckCount));
}
