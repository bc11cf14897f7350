//! One test for each kind of packet that cannot be encoded. `NoSpace` is tested with the properties.

use std::{string::String, vec};

use super::{
    super::{
        ConnAck, Connect, EncodeError, Filter, Header, Login, Packet, PacketId, Protocol, Publish,
        QoS, Refusal, Subscribe, Topic, Unsubscribe, Will,
    },
    Owned, VERSIONS,
};

#[track_caller]
fn has_no_form_in(protocol: Protocol, packet: &Packet<'_>, error: EncodeError) {
    assert_eq!(packet.encode(&mut vec![0; 400_000], protocol), Err(error));
}

/// Checks that no version has a form for the packet, and that `encoded_len` already returns the error.
#[track_caller]
fn has_no_form(packet: &Packet<'_>, error: EncodeError) {
    assert_eq!(packet.encoded_len(), Err(error));
    VERSIONS.into_iter().for_each(|protocol| has_no_form_in(protocol, packet, error));
}

fn connect(client_id: &str) -> Connect<'_> {
    Connect {
        protocol: Protocol::V311,
        client_id,
        clean_session: true,
        keep_alive: 10,
        will: None,
        login: None,
    }
}

fn id() -> PacketId {
    PacketId::new(1).unwrap()
}

fn topic() -> Topic<'static> {
    Topic::new("a").unwrap()
}

/// Section 2.2.3: 268,435,455 bytes behind the header at the most.
#[test]
fn packet_is_longer_than_the_remaining_length_can_state() {
    let mut out = [0; 5];
    assert_eq!(Header::encode(0x30, 268_435_455, &mut out), Ok(5));
    assert_eq!(Header::encode(0x30, 268_435_456, &mut out), Err(EncodeError::PacketTooLong));

    let payload = vec![0; 268_435_455 - 2];
    let publish = Publish::new(topic(), &payload);
    has_no_form(&Packet::Publish(publish), EncodeError::PacketTooLong);
    let largest = Publish::new(topic(), &payload[1..]);
    assert_eq!(largest.encoded_len(), Ok(268_435_455 + 5));

    let long = String::from("f").repeat(65_535);
    let filters = vec![(Filter::new(&long).unwrap(), QoS::AtMostOnce); 4_096];
    has_no_form(&Packet::Subscribe(Subscribe::new(id(), &filters)), EncodeError::PacketTooLong);
    let filters = vec![Filter::new(&long).unwrap(); 4_096];
    let unsubscribe = Unsubscribe::new(id(), &filters);
    has_no_form(&Packet::Unsubscribe(unsubscribe), EncodeError::PacketTooLong);
}

/// Section 1.5.3: a length is two bytes.
#[test]
fn field_is_longer_than_65_535_bytes() {
    let long = String::from("x").repeat(65_536);
    let cases = [
        Connect { client_id: &long, ..connect("") },
        Connect { will: Some(Will::new(topic(), long.as_bytes())), ..connect("c") },
        Connect { login: Some(Login::new(&long, None)), ..connect("c") },
        Connect { login: Some(Login::new("u", Some(long.as_bytes()))), ..connect("c") },
    ];
    for connect in cases {
        has_no_form(&Packet::Connect(connect), EncodeError::FieldTooLong);
    }
    let longest = &long[1..];
    let will = Some(Will::new(topic(), longest.as_bytes()));
    let login = Some(Login::new(longest, Some(longest.as_bytes())));
    let fits = Connect { will, login, ..connect(longest) };
    assert_eq!(fits.encoded_len(), Ok(4 + 10 + 4 * 65_537 + 3));
}

/// [MQTT-1.5.3-2]
#[test]
fn string_contains_u_0000() {
    has_no_form(&Packet::Connect(connect("a\0b")), EncodeError::NullCharacter);
    let user = Connect { login: Some(Login::new("\0", None)), ..connect("c") };
    has_no_form(&Packet::Connect(user), EncodeError::NullCharacter);
}

/// [MQTT-3.1.3-7]
#[test]
fn client_id_is_empty_without_clean_session() {
    let kept = Connect { clean_session: false, ..connect("") };
    has_no_form(&Packet::Connect(kept), EncodeError::ClientId);
    assert!(connect("").encoded_len().is_ok());
}

/// Section 3.1 of MQTT 3.1.
#[test]
fn client_id_of_3_1_has_not_1_to_23_characters() {
    for client_id in ["", "123456789012345678901234"] {
        let connect = Connect { protocol: Protocol::V31, ..connect(client_id) };
        has_no_form(&Packet::Connect(connect), EncodeError::ClientId);
    }
    let longest = Connect { protocol: Protocol::V31, ..connect("12345678901234567890123") };
    assert!(longest.encoded_len().is_ok());
}

/// [MQTT-2.3.1-1]
#[test]
fn publish_above_qos_0_has_no_packet_id() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let publish = Publish::new(topic(), b"").qos(qos);
        has_no_form(&Packet::Publish(publish), EncodeError::PacketIdMissing);
    }
}

/// [MQTT-2.3.1-5], [MQTT-3.3.1-2]
#[test]
fn publish_of_qos_0_has_a_packet_id_or_dup() {
    let plain = Publish::new(topic(), b"");
    has_no_form(&Packet::Publish(Publish { id: Some(id()), ..plain }), EncodeError::QoS0);
    has_no_form(&Packet::Publish(Publish { dup: true, ..plain }), EncodeError::QoS0);
}

/// [MQTT-3.8.3-3], [MQTT-3.10.3-2]
#[test]
fn subscribe_or_unsubscribe_has_no_filter() {
    has_no_form(&Packet::Subscribe(Subscribe::new(id(), &[])), EncodeError::NoFilter);
    has_no_form(&Packet::Unsubscribe(Unsubscribe::new(id(), &[])), EncodeError::NoFilter);
}

/// 3.1 has no session present.
#[test]
fn connack_has_session_present_in_3_1() {
    let connack = Packet::ConnAck(ConnAck { session_present: true, result: Ok(()) });
    has_no_form_in(Protocol::V31, &connack, EncodeError::NotInV31);
}

/// [MQTT-2.2.2-1]
#[test]
fn pubrel_subscribe_or_unsubscribe_has_dup_in_3_1_1() {
    let text = String::from("a");
    for owned in [
        Owned::Fixed(Packet::PubRel { id: id(), dup: true }),
        Owned::Subscribe { id: id(), dup: true, filters: vec![(text.clone(), QoS::AtMostOnce)] },
        Owned::Unsubscribe { id: id(), dup: true, filters: vec![text.clone()] },
    ] {
        owned.with(|packet| {
            has_no_form_in(Protocol::V311, packet, EncodeError::NotInV311);
            assert!(packet.encode(&mut [0; 16], Protocol::V31).is_ok());
        });
    }
}

/// [MQTT-3.2.2-4]
#[test]
fn connack_refuses_with_session_present() {
    let connack = ConnAck { session_present: true, result: Err(Refusal::BadLogin) };
    let error = EncodeError::SessionPresentRefused;
    has_no_form_in(Protocol::V311, &Packet::ConnAck(connack), error);
}
