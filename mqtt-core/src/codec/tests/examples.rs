//! Bytes written by hand from the standards. Without them encoder and decoder could agree on the same mistake.

use super::{
    super::{
        ConnAck, Connect, Filter, Granted, Login, Packet, PacketId, Protocol, Publish, QoS,
        Refusal, SubAck, Subscribe, Topic, Unsubscribe, Will,
    },
    decoded, encoded,
};

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

#[track_caller]
fn is_in(protocol: Protocol, packet: &Packet<'_>, bytes: &[u8]) {
    assert_eq!(encoded(packet, protocol), bytes);
    assert_eq!(decoded(bytes, protocol), *packet);
}

#[track_caller]
fn is(packet: &Packet<'_>, bytes: &[u8]) {
    is_in(Protocol::V311, packet, bytes);
    is_in(Protocol::V31, packet, bytes);
}

/// Figure 3.6: user name, password, will of QoS 1 without retain, clean session, keep alive of 10 s.
#[test]
fn connect_as_in_the_non_normative_example() {
    let will = Will::new(Topic::new("w").unwrap(), b"gone").qos(QoS::AtLeastOnce);
    let connect = Connect {
        protocol: Protocol::V311,
        client_id: "c",
        clean_session: true,
        keep_alive: 10,
        will: Some(will),
        login: Some(Login::new("u", Some(b"p"))),
    };
    is(
        &Packet::Connect(connect),
        b"\x10\x1C\0\x04MQTT\x04\xCE\0\x0A\0\x01c\0\x01w\0\x04gone\0\x01u\0\x01p",
    );
}

/// [MQTT-3.1.2-11], [MQTT-3.1.2-18], [MQTT-3.1.2-20]
#[test]
fn connect_without_will_and_login_has_none_of_their_flags() {
    let connect = Connect {
        protocol: Protocol::V311,
        client_id: "c",
        clean_session: false,
        keep_alive: 0x1234,
        will: None,
        login: None,
    };
    is(&Packet::Connect(connect), b"\x10\x0D\0\x04MQTT\x04\0\x12\x34\0\x01c");
}

/// [MQTT-3.1.2-9], [MQTT-3.1.2-17], [MQTT-3.1.2-19], [MQTT-3.1.2-21]
#[test]
fn connect_with_a_retained_will_of_qos_2_and_a_user_without_password() {
    let will = Will::new(Topic::new("w").unwrap(), b"").qos(QoS::ExactlyOnce).retain(true);
    let connect = Connect {
        protocol: Protocol::V311,
        client_id: "",
        clean_session: true,
        keep_alive: 0,
        will: Some(will),
        login: Some(Login::new("", None)),
    };
    is(&Packet::Connect(connect), b"\x10\x13\0\x04MQTT\x04\xB6\0\0\0\0\0\x01w\0\0\0\0");
}

/// Section 3.1 of MQTT 3.1.
#[test]
fn connect_of_3_1_has_another_name_and_level() {
    let connect = Connect {
        protocol: Protocol::V31,
        client_id: "c",
        clean_session: true,
        keep_alive: 10,
        will: None,
        login: None,
    };
    is(&Packet::Connect(connect), b"\x10\x0F\0\x06MQIsdp\x03\x02\0\x0A\0\x01c");
}

/// [MQTT-3.2.2-2], [MQTT-3.2.2-3]
#[test]
fn connack_has_flags_and_a_return_code() {
    let accepted = Packet::ConnAck(ConnAck { session_present: false, result: Ok(()) });
    is(&accepted, b"\x20\x02\0\0");
    let present = Packet::ConnAck(ConnAck { session_present: true, result: Ok(()) });
    is_in(Protocol::V311, &present, b"\x20\x02\x01\0");
    for (code, refusal) in [
        (1, Refusal::ProtocolVersion),
        (2, Refusal::IdentifierRejected),
        (3, Refusal::ServerUnavailable),
        (4, Refusal::BadLogin),
        (5, Refusal::NotAuthorized),
    ] {
        let refused = Packet::ConnAck(ConnAck { session_present: false, result: Err(refusal) });
        is(&refused, &[0x20, 2, 0, code]);
    }
}

/// Section 3.2 of MQTT 3.1: byte 1 is 'reserved values, not used'.
#[test]
fn connack_byte_1_is_ignored_in_3_1() {
    for reserved in 0..=u8::MAX {
        let accepted = Packet::ConnAck(ConnAck { session_present: false, result: Ok(()) });
        assert_eq!(decoded(&[0x20, 2, reserved, 0], Protocol::V31), accepted);
    }
}

/// Figures 3.10 to 3.12: topic `a/b`, packet id 10.
#[test]
fn publish_has_a_packet_id_only_above_qos_0() {
    let mut publish = Publish::new(Topic::new("a/b").unwrap(), b"x");
    is(&Packet::Publish(publish), b"\x30\x06\0\x03a/bx");
    publish = publish.qos(QoS::AtLeastOnce);
    publish.id = Some(id(10));
    is(&Packet::Publish(publish), b"\x32\x08\0\x03a/b\0\x0Ax");
    publish = publish.qos(QoS::ExactlyOnce).retain(true);
    publish.dup = true;
    is(&Packet::Publish(publish), b"\x3D\x08\0\x03a/b\0\x0Ax");
    publish.payload = b"";
    is(&Packet::Publish(publish), b"\x3D\x07\0\x03a/b\0\x0A");
}

/// Figure 1.3 of [MQTT-1.5.3-3]: `A` and U+2A6D4; and U+FEFF, which stays.
#[test]
fn a_topic_may_have_any_character_but_u_0000() {
    let publish = Publish::new(Topic::new("A\u{2A6D4}").unwrap(), b"");
    is(&Packet::Publish(publish), b"\x30\x07\0\x05\x41\xF0\xAA\x9B\x94");
    let publish = Publish::new(Topic::new("\u{FEFF}").unwrap(), b"");
    is(&Packet::Publish(publish), b"\x30\x05\0\x03\xEF\xBB\xBF");
}

/// [MQTT-2.3.1-6], [MQTT-2.3.1-7], [MQTT-3.6.1-1]
#[test]
fn acknowledgements_are_a_packet_id() {
    is(&Packet::PubAck(id(1)), b"\x40\x02\0\x01");
    is(&Packet::PubRec(id(0x0203)), b"\x50\x02\x02\x03");
    is(&Packet::PubRel { id: id(0xFFFF), dup: false }, b"\x62\x02\xFF\xFF");
    is_in(Protocol::V31, &Packet::PubRel { id: id(1), dup: true }, b"\x6A\x02\0\x01");
    is(&Packet::PubComp(id(0x100)), b"\x70\x02\x01\0");
    is(&Packet::UnsubAck(id(9)), b"\xB0\x02\0\x09");
}

/// Figure 3.23: `a/b` with QoS 1, `c/d` with QoS 2. [MQTT-3.8.1-1]
#[test]
fn subscribe_as_in_the_non_normative_example() {
    let filters = [
        (Filter::new("a/b").unwrap(), QoS::AtLeastOnce),
        (Filter::new("c/d").unwrap(), QoS::ExactlyOnce),
    ];
    let mut subscribe = Subscribe::new(id(10), &filters);
    is(&Packet::Subscribe(subscribe), b"\x82\x0E\0\x0A\0\x03a/b\x01\0\x03c/d\x02");
    subscribe.dup = true;
    is_in(
        Protocol::V31,
        &Packet::Subscribe(subscribe),
        b"\x8A\x0E\0\x0A\0\x03a/b\x01\0\x03c/d\x02",
    );
}

/// Figure 3.27. [MQTT-3.9.3-1], [MQTT-3.9.3-2]
#[test]
fn suback_as_in_the_non_normative_example() {
    let granted = Granted::from_bytes(&[0, 2, 0x80]).unwrap();
    let suback = Packet::SubAck(SubAck { id: id(10), granted });
    is(&suback, b"\x90\x05\0\x0A\0\x02\x80");
}

/// Brokers send it, although 3.1 does not have it: EMQX and aedes do.
#[test]
fn suback_refuses_in_3_1_as_well() {
    let granted = Granted::from_bytes(&[0x80, 1]).unwrap();
    let suback = Packet::SubAck(SubAck { id: id(10), granted });
    is_in(Protocol::V31, &suback, b"\x90\x04\0\x0A\x80\x01");
}

/// Figure 3.30. [MQTT-3.10.1-1]
#[test]
fn unsubscribe_as_in_the_non_normative_example() {
    let filters = [Filter::new("a/b").unwrap(), Filter::new("c/d").unwrap()];
    let mut unsubscribe = Unsubscribe::new(id(10), &filters);
    is(&Packet::Unsubscribe(unsubscribe), b"\xA2\x0C\0\x0A\0\x03a/b\0\x03c/d");
    unsubscribe.dup = true;
    let bytes = b"\xAA\x0C\0\x0A\0\x03a/b\0\x03c/d";
    is_in(Protocol::V31, &Packet::Unsubscribe(unsubscribe), bytes);
}

/// [MQTT-3.14.1-1]
#[test]
fn pings_and_disconnect_have_no_body() {
    is(&Packet::PingReq, b"\xC0\0");
    is(&Packet::PingResp, b"\xD0\0");
    is(&Packet::Disconnect, b"\xE0\0");
}

/// Section 3.1 of MQTT 3.1: the remaining length takes precedence over the user name flag.
#[test]
fn in_3_1_announced_user_name_and_password_may_be_missing() {
    let fields = |login| {
        Packet::Connect(Connect {
            protocol: Protocol::V31,
            client_id: "c",
            clean_session: true,
            keep_alive: 10,
            will: None,
            login,
        })
    };
    let neither = b"\x10\x0F\0\x06MQIsdp\x03\xC2\0\x0A\0\x01c";
    assert_eq!(decoded(neither, Protocol::V31), fields(None));
    let user_only = b"\x10\x12\0\x06MQIsdp\x03\xC2\0\x0A\0\x01c\0\x01u";
    assert_eq!(decoded(user_only, Protocol::V31), fields(Some(Login::new("u", None))));
}
