//! A test for each row of `docs/mqttbytes-differences.md`.

use std::panic;

use bytes::BytesMut;
use mqtt_core::{
    Filter, PacketId, Protocol, QoS, Topic, TopicError,
    codec::{
        Connect, EncodeError, Login, Packet, Publish, Violation,
        interop::{Converted, NoForm},
    },
};
use mqttbytes::{Error, v4};

use super::{V311, ours, ours_encoded, theirs, theirs_encoded};

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

fn connect() -> Connect<'static> {
    Connect {
        protocol: V311,
        client_id: "c",
        clean_session: true,
        keep_alive: 10,
        will: None,
        login: None,
    }
}

/// Malformed packets that `mqttbytes` accepts; each has its row in the list.
pub(super) const ACCEPTED_BY_THEM: [Violation; 17] = [
    Violation::Flags,
    Violation::DupQoS0,
    Violation::TrailingBytes,
    Violation::PacketIdZero,
    Violation::NullCharacter,
    Violation::TopicWildcard,
    Violation::TopicEmpty,
    Violation::FilterWildcard,
    Violation::ProtocolLevel,
    Violation::ConnectReserved,
    Violation::PasswordWithoutUser,
    Violation::ClientId,
    Violation::ConnAckFlags,
    Violation::SessionPresentRefused,
    Violation::SubscribeEmpty,
    Violation::UnsubscribeEmpty,
    Violation::SubscribeQoS,
];

/// `mqttbytes` accepts packets that break this rule.
#[track_caller]
fn they_accept(bytes: &[u8], violation: Violation) {
    assert_eq!(ours(bytes), Err(violation));
    assert!(ACCEPTED_BY_THEM.contains(&violation));
    theirs(bytes).unwrap();
}

/// [MQTT-2.2.2-2]
#[test]
fn reserved_flags() {
    for bytes in [
        &b"\x1F\x0D\0\x04MQTT\x04\x02\0\x0A\0\x01c"[..],
        b"\x2F\x02\0\0",
        b"\x4F\x02\0\x01",
        b"\x5F\x02\0\x01",
        b"\x60\x02\0\x01",
        b"\x7F\x02\0\x01",
        b"\x80\x06\0\x01\0\x01a\0",
        b"\x9F\x03\0\x01\0",
        b"\xA0\x05\0\x01\0\x01a",
        b"\xBF\x02\0\x01",
        b"\xCF\0",
        b"\xDF\0",
        b"\xEF\0",
    ] {
        they_accept(bytes, Violation::Flags);
    }
}

/// [MQTT-3.3.1-2]
#[test]
fn dup_with_qos_0() {
    they_accept(b"\x38\x04\0\x01ax", Violation::DupQoS0);
    let publish =
        v4::Publish { dup: true, ..v4::Publish::new("a", mqttbytes::QoS::AtMostOnce, "") };
    let packet = v4::Packet::Publish(publish);
    assert_eq!(theirs_encoded(&packet).unwrap(), b"\x38\x03\0\x01a");
    let converted = Converted::try_from(&packet).unwrap();
    assert_eq!(ours_encoded(&converted.packet()), Err(EncodeError::QoS0));
}

/// Sections 3.1, 3.2, 3.4 to 3.7 and 3.12 to 3.14: each states the remaining length or the end of the payload.
#[test]
fn bytes_after_the_last_field() {
    they_accept(b"\x10\x0E\0\x04MQTT\x04\x02\0\x0A\0\x01cx", Violation::TrailingBytes);
    they_accept(b"\x20\x03\0\0\0", Violation::TrailingBytes);
    for first in [0x40, 0x50, 0x62, 0x70] {
        they_accept(&[first, 3, 0, 1, 0], Violation::TrailingBytes);
    }
    for first in [0xC0, 0xD0, 0xE0] {
        they_accept(&[first, 1, 0], Violation::TrailingBytes);
    }
    assert_eq!(theirs(b"\xB0\x03\0\x01\0"), Err(Error::PayloadSizeIncorrect), "but not UNSUBACK");
}

/// [MQTT-2.3.1-1]
#[test]
fn packet_id_of_zero() {
    for first in [0x40, 0x50, 0x62, 0x70, 0xB0] {
        they_accept(&[first, 2, 0, 0], Violation::PacketIdZero);
    }
    they_accept(b"\x82\x06\0\0\0\x01a\0", Violation::PacketIdZero);
    they_accept(b"\x90\x03\0\0\0", Violation::PacketIdZero);
    they_accept(b"\xA2\x05\0\0\0\x01a", Violation::PacketIdZero);
    assert_eq!(theirs(b"\x32\x06\0\x01a\0\0x"), Err(Error::PacketIdZero), "but not in a PUBLISH");
    let packet = v4::Packet::PubAck(v4::PubAck::new(0));
    assert_eq!(theirs_encoded(&packet).unwrap(), b"\x40\x02\0\0");
    assert_eq!(Converted::try_from(&packet).unwrap_err(), NoForm::PacketIdZero);
}

/// [MQTT-1.5.3-2]
#[test]
fn u_0000_in_a_string() {
    they_accept(b"\x30\x05\0\x03a\0b", Violation::NullCharacter);
    they_accept(b"\x10\x0D\0\x04MQTT\x04\x02\0\x0A\0\x01\0", Violation::NullCharacter);
    they_accept(b"\x82\x06\0\x01\0\x01\0\0", Violation::NullCharacter);
    let packet = v4::Packet::Connect(v4::Connect::new("\0"));
    theirs_encoded(&packet).unwrap();
    let converted = Converted::try_from(&packet).unwrap();
    assert_eq!(ours_encoded(&converted.packet()), Err(EncodeError::NullCharacter));
}

/// [MQTT-3.3.2-2]
#[test]
fn wildcard_in_a_topic_name() {
    they_accept(b"\x30\x05\0\x03a/+", Violation::TopicWildcard);
    let packet = v4::Packet::Publish(v4::Publish::new("a/+", mqttbytes::QoS::AtMostOnce, ""));
    assert_eq!(theirs_encoded(&packet).unwrap(), b"\x30\x05\0\x03a/+");
    let error = Converted::try_from(&packet).unwrap_err();
    assert_eq!(error, NoForm::Topic(TopicError::WildcardInName));
}

/// [MQTT-4.7.3-1]
#[test]
fn empty_topic_name_or_filter() {
    they_accept(b"\x30\x02\0\0", Violation::TopicEmpty);
    they_accept(b"\x82\x05\0\x01\0\0\0", Violation::TopicEmpty);
    they_accept(b"\xA2\x04\0\x01\0\0", Violation::TopicEmpty);
}

/// [MQTT-4.7.1-2], [MQTT-4.7.1-3]
#[test]
fn misplaced_wildcard_in_a_filter() {
    they_accept(b"\x82\x08\0\x01\0\x03#/a\0", Violation::FilterWildcard);
    they_accept(b"\xA2\x06\0\x01\0\x02a+", Violation::FilterWildcard);
}

/// [MQTT-3.8.3-3], [MQTT-3.10.3-2]
#[test]
fn subscribe_or_unsubscribe_without_a_filter() {
    they_accept(b"\x82\x02\0\x01", Violation::SubscribeEmpty);
    they_accept(b"\xA2\x02\0\x01", Violation::UnsubscribeEmpty);
    let packet =
        v4::Packet::Subscribe(v4::Subscribe { pkid: 1, ..v4::Subscribe::empty_subscribe() });
    assert_eq!(theirs_encoded(&packet).unwrap(), b"\x82\x02\0\x01");
    let converted = Converted::try_from(&packet).unwrap();
    assert_eq!(ours_encoded(&converted.packet()), Err(EncodeError::NoFilter));
}

/// [MQTT-3.8.3-4]
#[test]
fn reserved_bits_beside_a_requested_qos() {
    they_accept(b"\x82\x06\0\x01\0\x01a\x81", Violation::SubscribeQoS);
    assert_eq!(theirs(b"\x82\x06\0\x01\0\x01a\x03"), Err(Error::InvalidQoS(3)), "but not QoS 3");
}

/// [MQTT-3.1.2-3]
#[test]
fn reserved_connect_flag() {
    they_accept(b"\x10\x0D\0\x04MQTT\x04\x03\0\x0A\0\x01c", Violation::ConnectReserved);
}

/// [MQTT-3.1.2-2]
#[test]
fn level_5_with_the_layout_of_3_1_1() {
    they_accept(b"\x10\x0D\0\x04MQTT\x05\x02\0\x0A\0\x01c", Violation::ProtocolLevel);
    let packet = v4::Packet::Connect(v4::Connect {
        protocol: mqttbytes::Protocol::V5,
        ..v4::Connect::new("c")
    });
    assert_eq!(theirs_encoded(&packet).unwrap()[8], 5);
    assert_eq!(Converted::try_from(&packet).unwrap_err(), NoForm::Protocol);
}

/// [MQTT-3.1.3-7], [MQTT-3.1.3-8]
#[test]
fn empty_client_id_without_clean_session() {
    they_accept(b"\x10\x0C\0\x04MQTT\x04\0\0\x0A\0\0", Violation::ClientId);
}

/// [MQTT-3.1.2-22]
#[test]
fn password_without_a_user_name() {
    let bytes = b"\x10\x10\0\x04MQTT\x04\x42\0\x0A\0\x01c\0\x01p";
    they_accept(bytes, Violation::PasswordWithoutUser);
    let mut connect = v4::Connect::new("c");
    connect.set_login("", "p");
    let packet = v4::Packet::Connect(connect);
    assert_eq!(theirs_encoded(&packet).unwrap(), bytes);
    assert_eq!(Converted::try_from(&packet).unwrap_err(), NoForm::Login);
}

/// Section 3.2.2.1
#[test]
fn reserved_connack_flags() {
    they_accept(b"\x20\x02\x02\0", Violation::ConnAckFlags);
}

/// [MQTT-3.2.2-4]
#[test]
fn session_present_in_a_refusal() {
    they_accept(b"\x20\x02\x01\x05", Violation::SessionPresentRefused);
}

/// Section 3.1.3.5: a password is binary data.
#[test]
fn password_that_is_not_utf_8() {
    let login = Login::new("u", Some(b"\xFF"));
    let packet = Packet::Connect(Connect { login: Some(login), ..connect() });
    let bytes = ours_encoded(&packet).unwrap();
    assert_eq!(ours(&bytes).as_ref(), Ok(&packet));
    assert_eq!(theirs(&bytes), Err(Error::TopicNotUtf8));
    assert_eq!(v4::Packet::try_from(&packet), Err(NoForm::Login));
}

/// [MQTT-3.1.2-19], [MQTT-3.1.2-21]: a flag says that the field is there, not that it is not empty.
#[test]
fn user_name_or_password_that_is_empty() {
    for (login, theirs_writes_flags) in [
        (Login::new("", None), 0x02),
        (Login::new("", Some(b"")), 0x02),
        (Login::new("", Some(b"p")), 0x42),
        (Login::new("u", Some(b"")), 0x82),
    ] {
        let packet = Packet::Connect(Connect { login: Some(login), ..connect() });
        let bytes = ours_encoded(&packet).unwrap();
        assert_eq!(ours(&bytes).as_ref(), Ok(&packet));
        let read = theirs(&bytes).unwrap();
        assert_eq!(
            theirs_encoded(&read).unwrap()[9],
            theirs_writes_flags,
            "what they read is lost"
        );
        assert_eq!(v4::Packet::try_from(&packet), Err(NoForm::Login));
    }
}

/// MQTT 3.1.
#[test]
fn packets_of_3_1() {
    let packet = Packet::Connect(Connect { protocol: Protocol::V31, ..connect() });
    let bytes = ours_encoded(&packet).unwrap();
    assert_eq!(ours(&bytes).as_ref(), Ok(&packet));
    assert_eq!(theirs(&bytes), Err(Error::InvalidProtocol));
    assert_eq!(v4::Packet::try_from(&packet), Err(NoForm::Protocol));

    let pubrel = Packet::PubRel { id: id(1), dup: true };
    assert_eq!(v4::Packet::try_from(&pubrel), Err(NoForm::Dup));
    let Packet::PubRel { dup, .. } = ours(b"\x62\x02\0\x01").unwrap() else { panic!("a PUBREL") };
    assert!(!dup);
}

/// Section 1.5.3
#[test]
fn field_longer_than_its_length_can_state() {
    let long = "x".repeat(65_537);
    let packet = v4::Packet::Connect(v4::Connect::new(&*long));
    let bytes = theirs_encoded(&packet).unwrap();
    assert_eq!(&bytes[14..16], b"\0\x01", "its length is cut to 16 bits");
    assert_eq!(ours(&bytes), Err(Violation::TrailingBytes));
    let converted = Converted::try_from(&packet).unwrap();
    assert_eq!(ours_encoded(&converted.packet()), Err(EncodeError::FieldTooLong));
    let publish = v4::Publish::new(&*long, mqttbytes::QoS::AtMostOnce, "");
    let error = Converted::try_from(&v4::Packet::Publish(publish)).unwrap_err();
    assert_eq!(error, NoForm::Topic(TopicError::TooLong));
}

#[test]
fn connect_written_behind_other_bytes() {
    let mut out = BytesMut::from(&b"\xC0\0"[..]);
    let len = v4::Connect::new("c").write(&mut out).unwrap();
    let right = b"\xC0\0\x10\x0D\0\x04MQTT\x04\x02\0\x0A\0\x01c";
    assert_ne!(out, right[..], "the flags are written at an index from the front of the buffer");
    assert_ne!(len, right.len() - 2, "and the length given leaves the fixed header out");

    let mut ours = [0; 17];
    let at = Packet::PingReq.encode(&mut ours, V311).unwrap();
    assert_eq!(connect().encode(&mut ours[at..]), Ok(right.len() - 2));
    assert_eq!(&ours, right);
}

#[test]
fn publish_refused_while_it_is_written() {
    let mut out = BytesMut::new();
    let publish = v4::Publish::new("a", mqttbytes::QoS::AtLeastOnce, "x");
    assert_eq!(publish.write(&mut out), Err(Error::PacketIdZero));
    assert_eq!(out, b"\x32\x04\0\x01a"[..], "half a packet stays in the buffer");

    let mut ours = [0; 8];
    let publish = Publish::new(Topic::new("a").unwrap(), b"x").qos(QoS::AtLeastOnce);
    assert_eq!(publish.encode(&mut ours), Err(EncodeError::PacketIdMissing));
    assert_eq!(ours, [0; 8]);
}

#[test]
fn wrong_first_byte_of_a_packet_that_is_not_whole() {
    let begun = b"\x00\xFF\xFF\xFF\x7F";
    assert_eq!(Packet::decode(begun, V311), Err(Violation::PacketType));
    let waits = v4::read(&mut BytesMut::from(&begun[..]), usize::MAX);
    assert_eq!(waits, Err(Error::InsufficientBytes(268_435_455)));
}

/// [MQTT-4.7.2-1]
#[test]
fn filter_that_names_a_dollar_topic() {
    let (topic, filter) = ("$SYS/uptime", "$SYS/#");
    assert!(Filter::new(filter).unwrap().matches(Topic::new(topic).unwrap()));
    assert!(!mqttbytes::matches(topic, filter));
}

#[test]
fn matching_a_name_that_starts_with_more_than_ascii() {
    let (topic, filter) = ("città", "+");
    assert!(mqttbytes::matches(topic, filter));
    let topic = "è";
    assert!(Filter::new(filter).unwrap().matches(Topic::new(topic).unwrap()));
    assert!(panic::catch_unwind(|| mqttbytes::matches(topic, filter)).is_err());
}

/// [MQTT-4.7.1-3], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
#[test]
fn names_and_filters_called_valid() {
    for filter in ["a+", "+a/b", "a\0"] {
        assert!(mqttbytes::valid_filter(filter));
        Filter::new(filter).unwrap_err();
    }
    for name in ["", "\0"] {
        assert!(mqttbytes::valid_topic(name));
        Topic::new(name).unwrap_err();
    }
}

#[test]
fn every_row_of_the_list_has_its_test() {
    let list = include_str!("../../docs/mqttbytes-differences.md");
    let tests = include_str!("differences.rs");
    let rows: Vec<_> =
        list.lines().filter_map(|line| line.strip_prefix("| ")?.rsplit('`').nth(1)).collect();
    assert!(rows.len() >= 20, "{rows:?}");
    for name in &rows {
        assert!(tests.contains(&format!("\nfn {name}()")), "no test {name}");
    }
    let own = ["connect", "every_row_of_the_list_has_its_test"];
    let named = tests.lines().filter_map(|line| line.strip_prefix("fn ")?.strip_suffix("() {"));
    for name in named.filter(|name| !own.contains(name)) {
        assert!(rows.contains(&name), "no row for {name}");
    }
}
