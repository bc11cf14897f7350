//! Messages larger than the driver's buffer, and limits.

use mqtt_core::{Event, Fatal, Options, Oversized, PacketId, QoS};

use test_kit::{script::Script, wire::ACCEPTED_SESSION_PRESENT};

fn options() -> Options<'static> {
    Options::new("me").receive_capacity(16).clean_session(false)
}

/// A PUBLISH of 40 bytes of payload to `t`.
fn wire(qos: QoS) -> Vec<u8> {
    let mut bytes = vec![0x30 | (qos as u8) << 1, 0, 0, 1, b't'];
    if qos != QoS::AtMostOnce {
        bytes.extend([0, 7]);
    }
    bytes.extend((0..40).map(|n| b'A' + n % 26));
    bytes[1] = bytes.len() as u8 - 2;
    bytes
}

fn payload(told: &[String]) -> String {
    told.iter().filter_map(|line| line.strip_prefix("chunk ")).collect()
}

#[test]
fn a_message_larger_than_the_buffer_comes_in_pieces() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for piece in 1..=16 {
            let mut script = Script::up(&options()).in_pieces_of(piece);
            script.hear(&wire(qos));
            script.hear(b"\x30\x04\0\x01tx");
            let told = script.told();
            assert_eq!(told[0], format!("start t 40 q{}", qos as u8));
            assert_eq!(payload(&told), "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN");
            assert_eq!(told[told.len() - 2..], ["end", "message t x q0"]);
            let answer = match qos {
                QoS::AtMostOnce => vec![],
                QoS::AtLeastOnce => vec!["PUBACK 7"],
                QoS::ExactlyOnce => vec!["PUBREC 7"],
            };
            assert_eq!(script.sent(), answer);
        }
    }
}

#[test]
fn a_message_in_pieces_is_acknowledged_only_at_its_end() {
    let mut script = Script::up(&options());
    let wire = wire(QoS::AtLeastOnce);
    script.hear(&wire[..wire.len() - 1]);
    assert_eq!(script.sent(), [""; 0]);
    script.hear(&wire[wire.len() - 1..]);
    assert_eq!(script.sent(), ["PUBACK 7"]);
}

/// [MQTT-4.3.3-2]
#[test]
fn a_qos_2_message_in_pieces_is_delivered_once() {
    let mut script = Script::up(&options()).in_pieces_of(5);
    script.hear(&wire(QoS::ExactlyOnce));
    script.told();
    script.hear(&wire(QoS::ExactlyOnce));
    assert_eq!(script.told(), [""; 0]);
    assert_eq!(script.sent(), ["PUBREC 7", "PUBREC 7"]);
}

#[test]
fn a_message_that_breaks_off_starts_again_from_its_beginning() {
    let mut script = Script::up(&options()).in_pieces_of(16);
    script.hear(&wire(QoS::ExactlyOnce)[..30]);
    script.cut();
    let told = script.told();
    assert_eq!(told[0], "start t 40 q2");
    assert_eq!(told.last().unwrap(), "down: the transport closed");
    script.later(1_000_000);
    script.accept(ACCEPTED_SESSION_PRESENT);
    script.hear(&wire(QoS::ExactlyOnce));
    let told = script.told();
    assert_eq!(payload(&told).len(), 40);
    assert_eq!(told.last().unwrap(), "end");
}

/// The starts among the events, each with DUP and the packet id.
fn starts(script: &mut Script, wire: &[u8]) -> Vec<(bool, Option<u16>)> {
    let (now, mut starts) = (script.now(), Vec::new());
    for mut input in wire.chunks(16) {
        while let Some(event) = script.client.receive(&mut input, now).unwrap() {
            if let Event::MessageStart(start) = event {
                starts.push((start.dup, start.id.map(PacketId::get)));
            }
        }
    }
    starts
}

/// An application that has written half of a file is told that the message is void, and that the next start is the
/// same message from its beginning.
#[test]
fn a_message_that_broke_off_is_void_and_is_known_again_by_its_packet_id() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for cut in 9..45 {
            let mut script = Script::up(&options());
            let mut wire = wire(qos);
            assert_eq!(starts(&mut script, &wire[..cut.max(16)]), [(false, Some(7))]);
            script.cut();
            assert_eq!(script.told().last().unwrap(), "down: the transport closed");
            script.later(1_000_000);
            script.accept(ACCEPTED_SESSION_PRESENT);
            wire[0] |= 8;
            assert_eq!(starts(&mut script, &wire), [(true, Some(7))]);
            script.run();
            let answer = if qos == QoS::AtLeastOnce { "PUBACK 7" } else { "PUBREC 7" };
            assert_eq!(script.sent(), [answer], "once, after the end");
            // After its end it is not handed over again at QoS 2, and is a new message at QoS 1 [MQTT-4.3.2-2].
            let again = starts(&mut script, &wire);
            assert_eq!(again.len(), usize::from(qos == QoS::AtLeastOnce));
        }
    }
}

#[test]
fn with_manual_acknowledgement_the_end_carries_the_delivery() {
    let mut script = Script::up(&options().manual_acknowledge(true));
    let wire = wire(QoS::AtLeastOnce);
    let (mut held, mut delivery) = (Vec::new(), None);
    let now = script.now();
    for byte in wire {
        held.push(byte);
        let mut input = &held[..];
        while let Some(event) = script.client.receive(&mut input, now).unwrap() {
            if let Event::MessageEnd { delivery: Some(d) } = event {
                delivery = Some(d);
            }
        }
        held = input.to_vec();
    }
    script.client.acknowledge(delivery.unwrap()).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBACK 7"]);
}

/// A long payload is not silence: the PINGRESP waits behind it.
#[test]
fn a_pingresp_behind_a_long_payload_is_not_missed() {
    let mut script = Script::up(&options().keep_alive(40).ping_timeout(10_000));
    script.later(30_000);
    script.run();
    for byte in wire(QoS::AtMostOnce) {
        script.hear(&[byte]);
        script.later(900);
    }
    script.hear(&[0xD0, 0]);
    assert_eq!(script.told().last().unwrap(), "end");
    assert!(script.is_open());
}

#[test]
fn a_message_above_the_limit_ends_the_connection_on_request() {
    let options = Options::new("me").max_packet(20).oversized(Oversized::Close);
    let mut script = Script::up(&options);
    script.hear(&wire(QoS::AtMostOnce)[..2]);
    assert_eq!(script.fatal(), Some(Fatal::PacketTooLarge { len: 45, limit: 20 }));
}

#[test]
fn a_topic_that_the_buffer_cannot_hold_ends_the_connection_on_request() {
    let mut script = Script::up(&options().oversized(Oversized::Close));
    let mut wire = vec![0x30, 60, 0, 50];
    wire.extend([b't'; 58]);
    script.hear(&wire[..20]);
    assert_eq!(script.fatal(), Some(Fatal::PacketTooLarge { len: 62, limit: 16 }));
}

#[test]
fn a_suback_that_the_buffer_cannot_hold_ends_the_connection() {
    let mut script = Script::up(&options());
    script.hear(&[0x90, 100, 0, 1]);
    assert_eq!(script.fatal(), Some(Fatal::PacketTooLarge { len: 102, limit: 16 }));
    let mut script = Script::up(&options().max_packet(10));
    script.hear(&[0x90, 12, 0, 1]);
    assert_eq!(script.fatal(), Some(Fatal::PacketTooLarge { len: 14, limit: 10 }));
}
