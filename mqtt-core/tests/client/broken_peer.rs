//! A broker that breaks a rule, to a strict client: the connection ends, the event names the rule, the session is kept,
//! and every accepted message is delivered afterwards. M17. The file `unexpected` has what the client bears by default.

use mqtt_core::{Fatal, Options, Publish, QoS, Violation, filter, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, ack},
};

/// Bytes that the broker sends after the CONNACK, and the rule that they break. In flight are a QoS 1 publish with id
/// 1, a QoS 2 publish with id 2, and a SUBSCRIBE of two filters with id 3.
const BROKEN: &[(&str, &[u8], Violation, &str)] = &[
    ("a reserved packet type", b"\x00\x00", Violation::PacketType, "MQTT-4.8.0-1"),
    ("the other reserved packet type", b"\xf0\x00", Violation::PacketType, "MQTT-4.8.0-1"),
    ("flags of a PUBACK", b"\x41\x02\0\x01", Violation::Flags, "MQTT-2.2.2-2"),
    ("flags of a PUBREL", b"\x60\x02\0\x01", Violation::Flags, "MQTT-2.2.2-2"),
    ("flags of the first byte alone", b"\x62\x02\0\x01\x92", Violation::Flags, "MQTT-2.2.2-2"),
    ("QoS 3", b"\x36\x05\0\x01t\0\x01", Violation::PublishQoS, "MQTT-3.3.1-4"),
    ("DUP at QoS 0", b"\x38\x03\0\x01t", Violation::DupQoS0, "MQTT-3.3.1-2"),
    ("packet id 0", b"\x32\x05\0\x01t\0\0", Violation::PacketIdZero, "MQTT-2.3.1-1"),
    ("a wildcard in a topic", b"\x30\x03\0\x01#", Violation::TopicWildcard, "MQTT-3.3.2-2"),
    ("an empty topic", b"\x30\x02\0\0", Violation::TopicEmpty, "MQTT-4.7.3-1"),
    ("ill-formed UTF-8", b"\x30\x03\0\x01\xff", Violation::Utf8, "MQTT-1.5.3-1"),
    ("U+0000 in a topic", b"\x30\x03\0\x01\0", Violation::NullCharacter, "MQTT-1.5.3-2"),
    ("a topic longer than its packet", b"\x30\x03\0\x09t", Violation::Truncated, "MQTT-4.8.0-1"),
    ("a PUBACK that is too short", b"\x40\x01\0", Violation::Truncated, "MQTT-4.8.0-1"),
    ("a PUBACK that is too long", b"\x40\x03\0\x01\0", Violation::TrailingBytes, "MQTT-4.8.0-1"),
    ("a fifth length byte", b"\x30\xff\xff\xff\xff", Violation::RemainingLength, "MQTT-4.8.0-1"),
    ("a second CONNACK", b"\x20\x02\0\0", Violation::UnexpectedConnAck, "MQTT-4.8.0-1"),
    ("a CONNECT from the broker", b"\x10\x00", Violation::Direction, "MQTT-4.8.0-1"),
    ("a PINGREQ from the broker", b"\xc0\x00", Violation::Direction, "MQTT-4.8.0-1"),
    ("a PUBACK for no publish", b"\x40\x02\0\x09", Violation::UnknownPacketId, "MQTT-2.3.1-6"),
    ("a PUBREC for no publish", b"\x50\x02\0\x09", Violation::UnknownPacketId, "MQTT-2.3.1-6"),
    ("a PUBCOMP for no publish", b"\x70\x02\0\x09", Violation::UnknownPacketId, "MQTT-2.3.1-6"),
    ("a PUBREC for QoS 1", b"\x50\x02\0\x01", Violation::WrongAck, "MQTT-4.8.0-1"),
    ("a PUBACK for QoS 2", b"\x40\x02\0\x02", Violation::WrongAck, "MQTT-4.8.0-1"),
    ("a PUBCOMP before the PUBREC", b"\x70\x02\0\x02", Violation::WrongAck, "MQTT-4.8.0-1"),
    ("a PUBACK for a SUBSCRIBE", b"\x40\x02\0\x03", Violation::WrongAck, "MQTT-4.8.0-1"),
    ("a SUBACK for no request", b"\x90\x03\0\x09\0", Violation::UnknownSubscribeId, "MQTT-2.3.1-7"),
    (
        "a SUBACK for a renewal that was none",
        b"\x90\x03\xff\xff\0",
        Violation::UnknownSubscribeId,
        "MQTT-2.3.1-7",
    ),
    (
        "an UNSUBACK for no request",
        b"\xb0\x02\0\x09",
        Violation::UnknownSubscribeId,
        "MQTT-2.3.1-7",
    ),
    ("a SUBACK for a PUBLISH", b"\x90\x03\0\x01\0", Violation::WrongAck, "MQTT-4.8.0-1"),
    ("a SUBACK code of 3", b"\x90\x04\0\x03\0\x03", Violation::SubAckCode, "MQTT-3.9.3-2"),
    ("a SUBACK code too few", b"\x90\x03\0\x03\0", Violation::SubAckCount, "MQTT-3.8.4-5"),
    ("a SUBACK code too many", b"\x90\x05\0\x03\0\0\0", Violation::SubAckCount, "MQTT-3.8.4-5"),
];

fn in_flight(options: &Options<'_>) -> Script {
    let mut script = Script::up(options);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let _ = script.client.publish(&Publish::new(topic!("t"), b"x").qos(qos)).unwrap();
    }
    let filters = [(filter!("a"), QoS::AtMostOnce), (filter!("b"), QoS::AtMostOnce)];
    let _ = script.client.subscribe(&filters).unwrap();
    script.run();
    script.sent();
    script
}

/// [MQTT-4.8.0-1]
#[test]
fn each_broken_rule_ends_the_connection_by_its_name_and_keeps_the_session() {
    for (what, wire, violation, statement) in BROKEN {
        let mut script = in_flight(&Options::new("me").clean_session(false).strict(true));
        script.hear(wire);
        assert_eq!(script.fatal(), Some(Fatal::Violation(*violation)), "{what}");
        assert_eq!(violation.statement(), *statement, "{what}");
        assert!(!script.is_open(), "{what}");
        let told = script.told();
        let down = format!("down: {violation} [{statement}]");
        assert!(told.contains(&down), "{what}: {told:?}");
        script.sent();

        script.later(1_000_000);
        script.run();
        script.hear(ACCEPTED_SESSION_PRESENT);
        let sent = script.sent();
        let again = ["PUBLISH t x q1 1 dup", "PUBLISH t x q2 2 dup", "SUBSCRIBE 3 a:0 b:0"];
        assert_eq!(sent[1..], again, "{what}");
    }
}

/// [MQTT-3.2.0-1]
#[test]
fn nothing_may_come_before_the_connack() {
    for wire in [&b"\x30\x03\0\x01t"[..], b"\xd0\0", b"\x40\x02\0\x01", b"\x30"] {
        let mut script = Script::new(&Options::new("me"));
        script.run();
        script.hear(wire);
        let early = Some(Fatal::Violation(Violation::BeforeConnAck));
        // One byte is not a header yet, but it is enough to see a wrong packet type.
        assert_eq!(script.fatal(), if wire.len() == 1 { None } else { early }, "{wire:?}");
    }
}

#[test]
fn a_connack_that_contradicts_itself_is_refused() {
    let cases: [(&[u8], Violation); 4] = [
        (&[0x20, 2, 1, 0], Violation::SessionPresentClean),
        (&[0x20, 2, 1, 5], Violation::SessionPresentRefused),
        (&[0x20, 2, 2, 0], Violation::ConnAckFlags),
        (&[0x20, 2, 0, 6], Violation::ConnAckCode),
    ];
    for (wire, violation) in cases {
        let mut script = Script::new(&Options::new("me").strict(true));
        script.run();
        script.hear(wire);
        assert_eq!(script.fatal(), Some(Fatal::Violation(violation)));
    }
}

#[test]
fn a_connack_before_the_connect_was_sent_is_refused() {
    let mut script = Script::new(&Options::new("me"));
    let now = script.now();
    script.client.poll(now);
    script.client.connected(now);
    let mut input = ACCEPTED;
    while script.client.receive(&mut input, now).is_ok_and(|event| event.is_some()) {}
    script.run();
    assert!(script.told().iter().any(|line| line.contains("answers no CONNECT")));
}

/// An answer cannot come before its question.
#[test]
fn an_acknowledgement_of_an_unsent_packet_is_refused() {
    let mut script = Script::up(&Options::new("me").clean_session(false).strict(true));
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&publish).unwrap();
    let mut input = &ack(PUBACK, 1)[..];
    let now = script.now();
    let error = script.client.receive(&mut input, now).unwrap_err();
    assert_eq!(error, Fatal::Violation(Violation::UnknownPacketId));
}

/// 3.1 allows retries, whose answers may cross.
#[test]
fn in_3_1_an_acknowledgement_that_comes_twice_is_ignored() {
    let mut script = in_flight(&Options::new("me").version(mqtt_core::Version::V31));
    for _ in 0..2 {
        script.hear(&ack(PUBACK, 1));
    }
    assert_eq!(script.told(), ["published 1"]);
    assert!(script.is_open());
}

/// 3.1 marks byte 1 of the CONNACK as reserved.
#[test]
fn in_3_1_the_session_present_bit_is_ignored() {
    let mut script = Script::new(&Options::new("me").version(mqtt_core::Version::V31));
    script.run();
    script.hear(&[0x20, 2, 1, 0]);
    assert_eq!(script.told().last().unwrap(), "up New V31");
}

#[test]
fn bytes_after_a_broken_rule_are_not_read() {
    let mut script = Script::up(&Options::new("me"));
    script.hear(b"\x00\x00\x30\x04\0\x01tx");
    assert_eq!(script.told(), ["down: reserved packet type [MQTT-4.8.0-1]"]);
    assert_eq!(script.untaken(), 0);
}
