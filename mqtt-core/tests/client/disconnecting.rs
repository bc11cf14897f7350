//! The application asks for the end of the connection.

use mqtt_core::{Action, ConnectionState, Instant, Options, Publish, QoS, Reason, topic};

use test_kit::{script::Script, wire::ACCEPTED};

/// [MQTT-3.14.4-1], [MQTT-3.14.4-2]
#[test]
fn accepted_messages_go_before_the_disconnect_and_nothing_after_it() {
    let mut script = Script::up(&Options::new("me"));
    let _ = script.client.publish(&Publish::new(topic!("t"), b"1")).unwrap();
    script.client.disconnect();
    let _ = script.client.publish(&Publish::new(topic!("t"), b"2")).unwrap();
    assert_eq!(script.run(), Instant::FAR_FUTURE);
    assert_eq!(script.sent(), ["PUBLISH t 1 q0", "PUBLISH t 2 q0", "DISCONNECT"]);
    let _ = script.client.publish(&Publish::new(topic!("t"), b"3")).unwrap();
    script.run();
    assert_eq!(script.sent(), [""; 0]);
    let mut told = script.told();
    told.sort();
    assert_eq!(told, ["down: disconnected on request", "published -", "published -"]);
}

#[test]
fn a_disconnected_client_stays_disconnected_until_it_is_told_to_connect() {
    let mut script = Script::up(&Options::new("me"));
    script.client.disconnect();
    script.run();
    script.later(1_000_000_000);
    assert_eq!(script.run(), Instant::FAR_FUTURE);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
    script.client.connect();
    script.accept(ACCEPTED);
}

#[test]
fn an_unanswered_publish_survives_a_disconnect_if_the_session_is_kept() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    let publish = Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&publish).unwrap();
    script.client.disconnect();
    script.run();
    script.sent();
    script.client.connect();
    script.run();
    script.hear(test_kit::wire::ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent()[1..], ["PUBLISH t 1 q1 1 dup"]);
}

#[test]
fn a_disconnect_before_the_connack_waits_for_it() {
    let mut script = Script::new(&Options::new("me"));
    script.run();
    script.client.disconnect();
    script.run();
    script.hear(ACCEPTED);
    assert_eq!(script.sent(), ["CONNECT V311 me clean", "DISCONNECT"]);
    assert_eq!(script.told(), ["connecting 0", "down: disconnected on request"]);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

#[test]
fn a_disconnect_while_offline_stops_the_attempts() {
    let mut script = Script::up(&Options::new("me"));
    script.cut();
    script.told();
    script.client.disconnect();
    assert_eq!(script.run(), Instant::FAR_FUTURE);
    assert_eq!(script.told(), ["down: disconnected on request"]);
}

#[test]
fn a_disconnect_during_a_refusal_stops_the_attempts() {
    let mut script = Script::new(&Options::new("me"));
    script.run();
    script.client.disconnect();
    script.hear(&[0x20, 2, 0, 5]);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

#[test]
fn a_transport_that_takes_no_disconnect_is_given_up() {
    let mut script = Script::up(&Options::new("me").connect_timeout(3_000));
    script.client.disconnect();
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Transmit(_)));
    script.later(3_000);
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Close(_)));
}

#[test]
fn nothing_is_received_after_a_disconnect_was_asked_for() {
    let mut script = Script::up(&Options::new("me"));
    script.client.disconnect();
    let mut input: &[u8] = b"\x30\x04\0\x01tx";
    let now = script.now();
    assert_eq!(script.client.receive(&mut input, now).unwrap(), None);
    assert_eq!(input.len(), 6);
}

/// [MQTT-3.14.4-2]
#[test]
fn nothing_is_sent_between_the_two_bytes_of_a_disconnect() {
    let mut script = Script::up(&Options::new("me")).in_pieces_of(1);
    script.client.disconnect();
    let now = script.now();
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!() };
    assert_eq!(bytes, [0xE0, 0]);
    script.client.transmitted(1, now);
    let _ = script.client.publish(&Publish::new(topic!("t"), b"late")).unwrap();
    assert_eq!(script.client.poll(now), Action::Transmit(&[0]));
    script.client.transmitted(1, now);
    assert!(matches!(script.client.poll(now), Action::Close(_)));
}

#[test]
fn packets_behind_the_connack_are_not_received_after_a_disconnect_was_asked_for() {
    let mut script = Script::new(&Options::new("me"));
    script.run();
    script.client.disconnect();
    script.told();
    script.hear(b"\x20\x02\0\0\x30\x04\0\x01tx");
    assert_eq!(script.told(), ["down: disconnected on request"]);
}

/// [MQTT-3.14.4-1]: also if an earlier DISCONNECT was sent, in full or in part.
#[test]
fn every_disconnect_sends_its_packet() {
    let mut script = Script::up(&Options::new("me"));
    for _ in 0..3 {
        script.client.disconnect();
        script.run();
        assert_eq!(script.sent(), ["DISCONNECT"]);
        script.client.connect();
        script.accept(ACCEPTED);
        script.client.disconnect();
        let now = script.now();
        assert_eq!(script.client.poll(now), Action::Transmit(&[0xE0, 0]));
        script.client.transmitted(1, now);
        script.cut();
        script.client.connect();
        script.accept(ACCEPTED);
    }
}

#[test]
fn a_driver_that_reports_too_many_bytes_of_a_disconnect_gets_a_close_and_no_panic() {
    let mut script = Script::up(&Options::new("me"));
    let now = script.now();
    script.client.disconnect();
    assert!(matches!(script.client.poll(now), Action::Transmit(bytes) if bytes.len() == 2));
    script.client.transmitted(1, now);
    script.client.transmitted(usize::MAX, now);
    assert_eq!(script.client.poll(now), Action::Close(Reason::Requested));
}
