//! Messages that cannot be taken: too large, or with a topic name that is not valid. By default the first kind is
//! skipped, and the second ends the connection.

use mqtt_core::{Fatal, Options, QoS, RequestError, RestoreError, Violation, filter};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBREL, ack, suback},
};

fn options() -> Options<'static> {
    Options::new("me").clean_session(false)
}

/// A PUBLISH with 7 as its packet id. `flags` are DUP and retain.
fn publish(qos: QoS, flags: u8, topic: &[u8], payload: usize) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic);
    if qos != QoS::AtMostOnce {
        body.extend([0, 7]);
    }
    body.extend(vec![b'x'; payload]);
    test_kit::wire::packet(0x30 | flags | (qos as u8) << 1, &[&body])
}

fn small(id: u8, qos: QoS) -> [u8; 8] {
    [0x30 | (qos as u8) << 1, 6, 0, 1, b't', 0, id, b'x']
}

const ANSWERS: [(QoS, &[&str]); 3] =
    [(QoS::AtMostOnce, &[]), (QoS::AtLeastOnce, &["PUBACK 7"]), (QoS::ExactlyOnce, &["PUBREC 7"])];

/// [MQTT-4.5.0-2]
#[test]
fn a_message_above_the_limit_is_told_read_away_and_answered_at_its_end() {
    for (qos, answer) in ANSWERS {
        let wire = publish(qos, 1, b"big", 100);
        for piece in [1, 2, 3, 7, 16, 64, 1024] {
            for capacity in [16, 1024] {
                let options = options().max_packet(50).receive_capacity(capacity);
                let mut script = Script::up(&options).in_pieces_of(piece);
                let (front, end) = wire.split_at(wire.len() - 1);
                script.hear(front);
                assert_eq!(script.sent(), [""; 0], "not before its end");
                script.hear(end);
                script.hear(b"\x30\x04\0\x01tx");
                let id = if qos == QoS::AtMostOnce { "" } else { " 7" };
                let (len, level) = (wire.len(), qos as u8);
                let skipped = format!("skipped big {len} q{level}{id} retained: too large");
                assert_eq!(script.told(), [skipped.as_str(), "message t x q0"]);
                assert_eq!(script.sent(), answer);
                assert_eq!(script.client.counters().skipped, 1);
                assert!(script.is_open());
            }
        }
    }
}

/// The rest of the topic, the packet id behind it, and the payload are read away in pieces of any size.
#[test]
fn a_topic_larger_than_the_buffer_is_told_by_its_beginning() {
    let topic: Vec<u8> = (0..300_u16).map(|n| b'a' + (n % 26) as u8).collect();
    for (qos, answer) in ANSWERS {
        for (capacity, piece) in [(64, 64), (64, 1), (64, 63), (16, 16), (16, 5), (16, 3), (16, 1)]
        {
            let options = options().receive_capacity(capacity);
            let mut script = Script::up(&options).in_pieces_of(piece);
            let wire = publish(qos, 0, &topic, 500);
            script.hear(&wire);
            script.hear(b"\x30\x04\0\x01tx");
            let told = script.told();
            let (len, level) = (wire.len(), qos as u8);
            let (start, end) = ("skipped abcdefghijk", format!(" {len} q{level}: too large"));
            assert!(told[0].starts_with(start) && told[0].ends_with(&end), "{told:?}");
            assert_eq!(told[1..], ["message t x q0"], "{capacity} {piece}");
            assert_eq!(script.sent(), answer);
        }
    }
}

/// The buffer holds a head with a topic of ten bytes. With one byte more, a part of the packet id comes later.
#[test]
fn the_packet_id_behind_a_topic_that_fills_the_buffer_is_found() {
    for len in 10..=13 {
        for piece in [1, 2, 4, 8, 16] {
            let mut script = Script::up(&options().receive_capacity(16)).in_pieces_of(piece);
            script.hear(&publish(QoS::ExactlyOnce, 0, &b"abcdefghijklm"[..len], 5));
            let first = match len {
                10 => "start abcdefghij 5 q2",
                11 => "skipped abcdefghijk 22 q2: too large",
                12 => "skipped abcdefghijkl 23 q2: too large",
                _ => "skipped abcdefghijkl 24 q2: too large",
            };
            assert_eq!(script.told()[0], first);
            assert_eq!(script.sent(), ["PUBREC 7"]);
        }
    }
}

/// [MQTT-4.3.3-2]
#[test]
fn a_skipped_qos_2_message_is_remembered_and_its_repetition_is_not_told() {
    let mut script = Script::up(&options().max_packet(50));
    script.hear(&publish(QoS::ExactlyOnce, 0, b"big", 100));
    assert_eq!(script.told().len(), 1);
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    script.told();
    script.hear(&publish(QoS::ExactlyOnce, 8, b"big", 100));
    assert!(script.told().is_empty());
    assert_eq!(script.sent(), ["PUBREC 7"]);
    script.hear(&ack(PUBREL, 7));
    assert_eq!(script.sent(), ["PUBCOMP 7"]);
    script.hear(&publish(QoS::ExactlyOnce, 0, b"big", 100));
    assert_eq!(script.told(), ["skipped big 109 q2 7: too large"], "a new message");
    assert_eq!(script.client.counters().skipped, 2);
}

#[test]
fn a_skipped_message_that_breaks_off_is_not_answered_and_is_told_again() {
    for (qos, answer) in &ANSWERS[1..] {
        let mut script = Script::up(&options().max_packet(50));
        let wire = publish(*qos, 0, b"big", 100);
        script.hear(&wire[..wire.len() - 1]);
        script.reconnect(ACCEPTED_SESSION_PRESENT);
        assert_eq!(script.told()[..1], ["connecting 0"]);
        assert!(script.sent().is_empty());
        script.hear(&wire);
        assert_eq!(script.told().len(), 1);
        assert_eq!(script.sent(), *answer);
    }
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn with_manual_acknowledgement_a_skipped_message_is_answered_in_its_turn() {
    for (qos, answer) in &ANSWERS[1..] {
        let options = options().max_packet(50).manual_acknowledge(true);
        let mut script = Script::up(&options);
        let now = script.now();
        let mut deliveries = Vec::new();
        let large = publish(*qos, 0, b"big", 100);
        let wire = [&small(1, *qos)[..], &large, &small(2, *qos)].concat();
        let mut input = &wire[..];
        let mut skipped = 0;
        while let Some(event) = script.client.receive(&mut input, now).unwrap() {
            match event {
                mqtt_core::Event::Message(message) => deliveries.extend(message.delivery),
                mqtt_core::Event::Skipped(_) => skipped += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((deliveries.len(), skipped, input.len()), (2, 1, 0));
        script.client.acknowledge(deliveries[1]).unwrap();
        script.run();
        assert_eq!(script.sent(), [""; 0], "the first message is still to be acknowledged");
        script.client.acknowledge(deliveries[0]).unwrap();
        script.run();
        let small = |id| answer[0].replace('7', id);
        assert_eq!(script.sent(), [small("1"), answer[0].to_owned(), small("2")]);
    }
}

/// Exactly once: the journal knows the skipped message before its PUBREC leaves.
#[test]
fn a_skipped_qos_2_message_is_known_after_a_power_cut() {
    for manual in [false, true] {
        let options = options().max_packet(50).journal(true).manual_acknowledge(manual);
        let mut script = Script::up(&options);
        script.hear(&publish(QoS::ExactlyOnce, 0, b"big", 100));
        assert_eq!(script.sent(), ["PUBREC 7"]);
        let mut again = Script::new(&options);
        for record in &script.records {
            again.client.restore(record).unwrap();
        }
        again.run();
        again.hear(ACCEPTED_SESSION_PRESENT);
        again.told();
        again.hear(&publish(QoS::ExactlyOnce, 8, b"big", 100));
        assert!(again.told().is_empty());
    }
}

/// It stands in the way of no connection: the messages behind it come.
#[test]
fn a_large_retained_message_on_each_connection_is_skipped_each_time() {
    let mut script = Script::up(&options().max_packet(50));
    for _ in 0..4 {
        script.hear(&publish(QoS::AtLeastOnce, 1, b"big", 100));
        script.hear(&small(1, QoS::AtLeastOnce));
        let told = script.told();
        assert_eq!(told, ["skipped big 109 q1 7 retained: too large", "message t x q1"]);
        assert_eq!(script.sent(), ["PUBACK 7", "PUBACK 1"]);
        script.reconnect(ACCEPTED_SESSION_PRESENT);
        script.told();
    }
}

/// A message without a slot is passed over, whatever its size; with a clean session it is answered.
#[test]
fn a_large_message_beyond_the_slots_is_treated_like_a_small_one() {
    for (kept, told, answer) in [(true, 0, 0), (false, 1, 1)] {
        for topic in [&b"big"[..], &[b't'; 40]] {
            let options = options().clean_session(!kept).max_packet(50).receive_capacity(32);
            let mut script = Script::sized(&options, 512, 1).in_pieces_of(32);
            script.accept(ACCEPTED);
            script.hear(&small(1, QoS::ExactlyOnce));
            assert_eq!((script.told().len(), script.sent().len()), (1, 1));
            script.hear(&publish(QoS::ExactlyOnce, 0, topic, 100));
            // If the topic fills the buffer, the packet id comes too late.
            let told = if topic.len() > 32 { 1 } else { told };
            assert_eq!((script.told().len(), script.sent().len()), (told, answer));
            assert_eq!(script.client.counters().passed_over, u32::from(kept));
        }
    }
}

#[test]
fn a_message_in_pieces_beyond_the_slots_is_not_begun() {
    for (kept, told, answers) in
        [(true, vec![], 1), (false, vec!["skipped t 47 q2 7: no slot".to_owned()], 2)]
    {
        let options = options().clean_session(!kept).receive_capacity(16);
        let mut script = Script::sized(&options, 512, 1);
        script.accept(ACCEPTED);
        script.hear(&small(1, QoS::ExactlyOnce));
        script.told();
        script.hear(&publish(QoS::ExactlyOnce, 0, b"t", 40));
        assert_eq!((script.told(), script.sent().len()), (told, answers));
    }
}

const UNREADABLE: [(&[u8], Violation); 4] = [
    (b"a\xff", Violation::Utf8),
    (b"a\0", Violation::NullCharacter),
    (b"a/#", Violation::TopicWildcard),
    (b"", Violation::TopicEmpty),
];

/// [MQTT-1.5.3-1], [MQTT-1.5.3-2], [MQTT-3.3.2-2], [MQTT-4.7.3-1]
#[test]
fn a_topic_that_is_not_valid_is_told_and_ends_the_connection() {
    for (topic, violation) in UNREADABLE {
        for (payload, capacity) in [(4, 1024), (100, 16)] {
            let mut script = Script::up(&options().receive_capacity(capacity));
            let wire = publish(QoS::AtLeastOnce, 1, topic, payload);
            script.hear(&wire);
            assert_eq!(script.fatal(), Some(Fatal::Violation(violation)));
            let (name, len) = (topic.escape_ascii(), wire.len());
            let told = script.told();
            assert_eq!(told[0], format!("skipped {name} {len} q1 7 retained: {violation}"));
            let down = format!("down: {violation} [{}]", violation.statement());
            assert_eq!(told[1], down);
            assert!(script.sent().iter().all(|line| !line.starts_with("PUBACK")));
        }
    }
}

#[test]
fn a_topic_that_is_not_valid_is_skipped_on_request() {
    for (topic, violation) in UNREADABLE {
        for (qos, answer) in ANSWERS {
            for (payload, capacity) in [(4, 1024), (100, 16)] {
                let options = options().receive_capacity(capacity).skip_unreadable(true);
                let mut script = Script::up(&options);
                let wire = publish(qos, 0, topic, payload);
                for _ in 0..2 {
                    script.hear(&wire);
                    script.hear(&ack(PUBREL, 7));
                }
                let told = script.told();
                assert_eq!(told.len(), 2);
                assert!(told[0].ends_with(&format!(": {violation}")), "{told:?}");
                assert_eq!(
                    script.sent().first().map(String::as_str),
                    [answer, &["PUBCOMP 7"]].concat().first().copied()
                );
                assert!(script.is_open());
            }
        }
    }
}

/// Broken framing leaves no packet to skip.
#[test]
fn broken_framing_ends_the_connection_whatever_is_skipped() {
    let broken: [(&[u8], Violation); 4] = [
        (b"\x36\x05\0\x01\xff\0\x01", Violation::PublishQoS),
        (b"\x32\x05\0\x01\xff\0\0", Violation::PacketIdZero),
        (b"\x30\x03\0\x09\xff", Violation::Truncated),
        (b"\x38\x03\0\x01\xff", Violation::DupQoS0),
    ];
    for (wire, violation) in broken {
        let mut script = Script::up(&options().skip_unreadable(true).max_packet(6));
        script.hear(wire);
        assert_eq!(script.fatal(), Some(Fatal::Violation(violation)));
        assert!(script.told()[0].starts_with("down"));
    }
    // The packet id lies behind a topic that the buffer cannot hold.
    let mut script = Script::up(&options().receive_capacity(16));
    let mut wire = publish(QoS::AtLeastOnce, 0, &[b't'; 30], 5);
    wire[2 + 2 + 30 + 1] = 0;
    script.hear(&wire);
    assert_eq!(script.fatal(), Some(Fatal::Violation(Violation::PacketIdZero)));
}

/// Otherwise its SUBACK would end every connection.
#[test]
fn a_subscription_whose_suback_is_above_the_limit_is_refused() {
    let mut script = Script::up(&options().max_packet(8));
    let filters = [(filter!("a"), QoS::AtMostOnce), (filter!("b"), QoS::AtMostOnce)];
    let refused = Err(RequestError::TooManySubscriptions { needed: 9, capacity: 8 });
    assert_eq!(script.client.subscribe(&filters), refused);
    assert!(script.client.subscribe(&filters[..1]).is_ok());
}

#[test]
fn subscriptions_whose_suback_is_above_the_limit_are_not_restored() {
    let options = options().journal(true);
    let mut script = Script::up(&options);
    let filters = [(filter!("a"), QoS::AtMostOnce), (filter!("b"), QoS::AtMostOnce)];
    let _ = script.client.subscribe(&filters).unwrap();
    script.run();
    script.hear(&suback(1, &[0, 0]));
    script.client.compact();
    script.run();
    let mut again = Script::new(&options.max_packet(8));
    let record = script.records.last().unwrap();
    let refused = Err(RestoreError::TooManySubscriptions { needed: 9, capacity: 8 });
    assert_eq!(again.client.restore(record), refused);
}

/// A call takes the message away that ends each connection.
#[test]
fn an_application_may_decide_to_skip_unreadable_messages_when_it_hears_of_one() {
    let mut script = Script::up(&options());
    let unreadable = b"\x32\x06\0\x02\xff\xfe\0\x07";
    script.hear(unreadable);
    assert!(!script.is_open());
    script.client.set_skip_unreadable(true);
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    script.hear(unreadable);
    assert!(script.is_open());
    assert_eq!(script.sent(), ["PUBACK 7"]);
}
