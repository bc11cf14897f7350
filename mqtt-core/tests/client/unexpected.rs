//! Answers that no request awaits: brokers repeat them, or send one for each filter. By default the client ignores and
//! counts them, and stays up. M18.

use mqtt_core::{Action, Options, Publish, QoS, filter, topic};

use test_kit::{
    script::Script,
    wire::{
        ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, PUBREL, UNSUBACK, ack, suback,
    },
};

fn up() -> Script {
    Script::up(&Options::new("me").clean_session(false))
}

fn publish(script: &mut Script, qos: QoS) {
    let _ = script.client.publish(&Publish::new(topic!("t"), b"x").qos(qos)).unwrap();
    script.run();
    script.sent();
    script.told();
}

#[test]
fn an_answer_for_a_packet_id_that_is_not_in_flight_is_ignored_and_counted() {
    for wire in [
        &ack(PUBACK, 9)[..],
        &ack(PUBCOMP, 9),
        &ack(UNSUBACK, 9),
        &suback(9, &[0]),
        &suback(0xFFFF, &[0]),
    ] {
        let mut script = up();
        publish(&mut script, QoS::AtLeastOnce);
        script.hear(wire);
        assert!(script.is_open(), "{wire:?}");
        assert_eq!(script.client.counters().unexpected_acks, 1, "{wire:?}");
        script.hear(&ack(PUBACK, 1));
        assert_eq!(script.told(), ["published 1"], "{wire:?}");
    }
}

#[test]
fn each_answer_that_moves_a_request_on_is_counted_and_no_other_one() {
    let mut script = up();
    publish(&mut script, QoS::AtLeastOnce);
    publish(&mut script, QoS::ExactlyOnce);
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    let _ = script.client.unsubscribe(&[filter!("b")]).unwrap();
    script.run();
    let pingresp = [0xD0, 0];
    for (wire, answers) in [
        (&ack(PUBACK, 1)[..], 1),
        (&ack(PUBACK, 1), 1),
        (&ack(PUBREC, 2), 2),
        (&ack(PUBREC, 2), 2),
        (&pingresp, 2),
        (&ack(PUBCOMP, 2), 3),
        (&suback(3, &[0]), 4),
        (&ack(UNSUBACK, 4), 5),
        (&ack(UNSUBACK, 4), 5),
    ] {
        script.hear(wire);
        assert_eq!(script.client.counters().answers, answers, "{wire:?}");
    }
}

#[test]
fn an_answer_at_the_wrong_step_is_ignored_and_counted() {
    let cases: [(QoS, &[u8]); 4] = [
        (QoS::AtLeastOnce, &ack(PUBCOMP, 1)),
        (QoS::AtLeastOnce, &suback(1, &[0])),
        (QoS::ExactlyOnce, &ack(PUBCOMP, 1)),
        (QoS::ExactlyOnce, &ack(UNSUBACK, 1)),
    ];
    for (qos, wire) in cases {
        let mut script = up();
        publish(&mut script, qos);
        script.hear(wire);
        assert_eq!(script.told(), [""; 0], "{wire:?}");
        assert_eq!(script.client.counters().unexpected_acks, 1, "{wire:?}");
        assert_eq!(script.client.in_flight(), 1, "{wire:?}");
    }
}

/// [MQTT-4.3.3-1]
#[test]
fn a_pubrec_for_an_unknown_packet_id_is_answered_with_pubrel() {
    let mut script = up();
    script.hear(&ack(PUBREC, 9));
    assert_eq!(script.sent(), ["PUBREL 9"]);
    script.hear(&ack(PUBCOMP, 9));
    assert!(script.is_open());
}

#[test]
fn many_pubrecs_for_unknown_packet_ids_are_each_answered_in_order() {
    let mut script = up();
    script.hear(&[ack(PUBREC, 7), ack(PUBREC, 8), ack(PUBREC, 9)].concat());
    assert_eq!(script.sent(), ["PUBREL 7", "PUBREL 8", "PUBREL 9"]);
}

/// [MQTT-4.3.3-1]
#[test]
fn a_pubrec_that_comes_again_is_answered_with_pubrel_again() {
    let mut script = up();
    publish(&mut script, QoS::ExactlyOnce);
    script.hear(&ack(PUBREC, 1));
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.sent(), ["PUBREL 1", "PUBREL 1"]);
    script.hear(&ack(PUBCOMP, 1));
    script.hear(&ack(PUBCOMP, 1));
    assert_eq!(script.told(), ["published 1"]);
    assert_eq!(script.client.counters().unexpected_acks, 2);
}

#[test]
fn a_pubrec_that_comes_again_before_the_pubrel_went_out_is_ignored() {
    let mut script = up();
    publish(&mut script, QoS::ExactlyOnce);
    script.hear(&[ack(PUBREC, 1), ack(PUBREC, 1)].concat());
    assert_eq!(script.sent(), ["PUBREL 1"]);
    script.hear(&ack(PUBCOMP, 1));
    assert_eq!(script.told(), ["published 1"]);
}

/// [MQTT-4.6.0-4]: a PUBREL that waits in the outbox goes out first.
#[test]
fn a_pubrel_for_an_unknown_packet_id_goes_out_between_two_packets_behind_those_that_wait() {
    let mut script = up();
    let message = Publish::new(topic!("t"), b"0123456789").qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&message).unwrap();
    let now = script.now();
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!("a PUBLISH is due") };
    let packet = bytes.to_vec();
    script.client.transmitted(5, now);
    let mut input = &ack(PUBREC, 9)[..];
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    let mut sent = Vec::new();
    while let Action::Transmit(bytes) = script.client.poll(now) {
        sent.push(bytes.to_vec());
        let len = bytes.len();
        script.client.transmitted(len, now);
    }
    assert_eq!(sent, [&packet[5..], &[0x62, 2, 0, 9]]);
}

/// [MQTT-4.6.0-4]: the PUBREL of a publish that was taken back keeps its place if answers wait in front of it.
#[test]
fn a_pubrel_for_an_unknown_packet_id_goes_out_before_those_of_later_pubrecs() {
    let mut script = up();
    publish(&mut script, QoS::ExactlyOnce);
    let message = [&[0x32, 6, 0, 1, b't', 0, 7, b'm'][..], &ack(PUBREC, 9), &ack(PUBREC, 1)];
    script.hear(&message.concat());
    assert_eq!(script.sent(), ["PUBACK 7", "PUBREL 9", "PUBREL 1"]);
}

#[test]
fn an_unsuback_for_each_filter_ends_the_request_once() {
    let mut script = up();
    let _ = script.client.unsubscribe(&[filter!("a"), filter!("b")]).unwrap();
    script.run();
    script.hear(&[ack(UNSUBACK, 1), ack(UNSUBACK, 1)].concat());
    assert_eq!(script.told().last().unwrap(), "unsubscribed 1");
    assert_eq!(script.client.counters().unexpected_acks, 1);
}

/// Packet ids move on, so a late repetition does not complete a request that came later.
#[test]
fn a_repeated_answer_does_not_complete_the_next_request() {
    let mut script = Script::sized(&Options::new("me"), 200, 1);
    script.accept(ACCEPTED);
    publish(&mut script, QoS::AtLeastOnce);
    script.hear(&ack(PUBACK, 1));
    script.told();
    publish(&mut script, QoS::AtLeastOnce);
    script.hear(&ack(PUBACK, 1));
    assert_eq!(script.told(), [""; 0]);
    script.hear(&ack(PUBACK, 2));
    assert_eq!(script.told(), ["published 2"]);
}

#[test]
fn a_puback_for_a_qos_2_publish_ends_it_as_downgraded() {
    let mut script = up();
    publish(&mut script, QoS::ExactlyOnce);
    script.hear(&ack(PUBACK, 1));
    assert_eq!(script.told(), ["downgraded 1"]);
    assert_eq!(script.client.in_flight(), 0);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
}

/// A driver may write, read the answer, and only then report what it has written.
#[test]
fn an_answer_that_comes_before_the_report_of_its_packet_waits_for_the_report() {
    let mut script = up();
    let handle =
        script.client.publish(&Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce)).unwrap();
    let now = script.now();
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!("a PUBLISH is due") };
    let len = bytes.len();
    let answer = ack(PUBACK, 1);
    let mut input = &answer[..];
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    assert_eq!(input.len(), 4);
    script.client.transmitted(len, now);
    assert_eq!(
        script.client.receive(&mut input, now),
        Ok(Some(mqtt_core::Event::Published(handle)))
    );
}

/// The bytes that `poll` shows. The transport has them, and reports nothing yet.
fn shown(script: &mut Script) -> Vec<u8> {
    let now = script.now();
    match script.client.poll(now) {
        Action::Transmit(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Connects to a broker that answers `connack`. Nothing is sent behind the CONNECT yet.
fn connect_quietly(script: &mut Script, connack: &[u8]) {
    script.later(1_000_000);
    script.run();
    let now = script.now();
    let mut input = connack;
    while script.client.receive(&mut input, now).unwrap().is_some() {}
}

/// `answer` waits until the packet of `len` bytes that it answers is reported. Gives whether it is an event then.
fn waits_for_the_report(script: &mut Script, answer: &[u8], len: usize) -> bool {
    let now = script.now();
    let mut input = answer;
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    assert_eq!(input.len(), answer.len(), "it waits");
    script.client.transmitted(len, now);
    let told = script.client.receive(&mut input, now).unwrap().is_some();
    assert!(input.is_empty());
    told
}

#[test]
fn an_answer_to_a_renewal_waits_for_the_report_of_its_packet() {
    let mut script = up();
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[0]));
    script.cut();
    connect_quietly(&mut script, ACCEPTED);
    let len = shown(&mut script).len();
    assert!(waits_for_the_report(&mut script, &suback(65_535, &[0]), len));
}

#[test]
fn an_answer_that_reclaims_an_id_waits_for_the_report_of_its_packet() {
    let mut script = Script::new(&Options::new("me").clean_session(false));
    let _ = script.client.publish(&Publish::new(topic!("t"), b"x").qos(QoS::ExactlyOnce)).unwrap();
    connect_quietly(&mut script, ACCEPTED_SESSION_PRESENT);
    for first in [1, 9] {
        let ids = first..first + 8;
        assert_eq!(
            shown(&mut script),
            ids.clone().flat_map(|id| ack(PUBREL, id)).collect::<Vec<_>>()
        );
        let answers: Vec<u8> = ids.flat_map(|id| ack(PUBCOMP, id)).collect();
        assert!(!waits_for_the_report(&mut script, &answers, 32));
    }
    assert_eq!(script.client.counters().unexpected_acks, 0);
    assert_eq!(shown(&mut script).first(), Some(&0x34), "the publish follows");
}

/// 3.1 has no code for a refusal, and brokers send one.
#[test]
fn a_refusal_in_3_1_ends_only_the_connection_of_a_strict_client() {
    for strict in [false, true] {
        let options = Options::new("me").version(mqtt_core::Version::V31).strict(strict);
        let mut script = Script::up(&options);
        let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
        script.run();
        script.hear(&suback(1, &[0x80]));
        assert_eq!(script.is_open(), !strict);
    }
}
