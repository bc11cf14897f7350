//! Publishes whose payload is read from a source while it is sent.

use mqtt_core::{
    Action, ConnectionState, Handle, Options, Publish, PublishFrom, QoS, Queue, RequestError,
    SourceId, filter, topic,
};
use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, ack},
};

pub(crate) const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

pub(crate) fn options() -> Options<'static> {
    Options::new("me").clean_session(false).sources(true)
}

/// `len` letters, other ones for each source.
pub(crate) fn letters(number: u32, len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + ((at + number as usize) % 26) as u8)).collect()
}

/// A publish of `len` letters from the source `number`, which has them.
pub(crate) fn begin(script: &mut Script, number: u32, len: usize, qos: QoS) -> Handle {
    script.source(number).bytes = letters(number, len).into_bytes();
    let publish = PublishFrom::new(topic!("t"), SourceId::new(number), len as u32).qos(qos);
    script.client.publish_from(&publish).expect("there is room")
}

pub(crate) fn publish(script: &mut Script, number: u32, len: usize, qos: QoS) {
    let _ = begin(script, number, len, qos);
}

pub(crate) fn copied(script: &mut Script, text: &str, qos: QoS) {
    let publish = Publish::new(topic!("t"), text.as_bytes()).qos(qos);
    let _ = script.client.publish(&publish).expect("there is room");
}

#[test]
fn a_payload_far_larger_than_the_outbox_leaves_through_it() {
    for qos in LEVELS {
        for len in [1, 100, 122, 123, 124, 127, 128, 16_379, 16_380, 100_000, 2_097_150] {
            let mut script = Script::sized(&options(), 200, 4);
            script.accept(ACCEPTED);
            publish(&mut script, 1, len, qos);
            script.run();
            let id = if qos == QoS::AtMostOnce { "" } else { " 1" };
            let expected = format!("PUBLISH t {} q{}{id}", letters(1, len), qos as u8);
            assert!(script.sent() == [expected], "{len} bytes at {qos:?}");
            match qos {
                QoS::AtMostOnce => assert_eq!(script.told(), ["published -"]),
                QoS::AtLeastOnce => script.hear(&ack(PUBACK, 1)),
                QoS::ExactlyOnce => {
                    script.hear(&ack(PUBREC, 1));
                    assert_eq!(script.sent(), ["PUBREL 1"]);
                    script.hear(&ack(PUBCOMP, 1));
                }
            }
            if qos != QoS::AtMostOnce {
                assert_eq!(script.told(), ["published 1"]);
            }
            assert!(script.client.is_idle());
        }
    }
}

/// [MQTT-4.6.0-1]
#[test]
fn a_publish_from_a_source_keeps_its_place_among_the_others_however_short_the_writes_are() {
    for piece in 1..40 {
        let mut script = Script::up(&options()).in_pieces_of(piece);
        copied(&mut script, "1", QoS::AtLeastOnce);
        publish(&mut script, 2, 200, QoS::AtLeastOnce);
        copied(&mut script, "3", QoS::AtMostOnce);
        publish(&mut script, 4, 90, QoS::AtMostOnce);
        publish(&mut script, 5, 3, QoS::ExactlyOnce);
        let _ = script.client.subscribe(&[(filter!("s"), QoS::AtMostOnce)]).unwrap();
        script.run();
        let expected = [
            "PUBLISH t 1 q1 1".to_owned(),
            format!("PUBLISH t {} q1 2", letters(2, 200)),
            "PUBLISH t 3 q0".to_owned(),
            format!("PUBLISH t {} q0", letters(4, 90)),
            format!("PUBLISH t {} q2 3", letters(5, 3)),
            "SUBSCRIBE 4 s:0".to_owned(),
        ];
        assert_eq!(script.sent(), expected, "{piece}");
        assert_eq!(script.told(), ["published -", "published -"]);
    }
}

/// [MQTT-3.3.1-1], [MQTT-4.4.0-1]
#[test]
fn after_a_cut_at_any_byte_the_source_is_read_again_from_its_beginning_with_dup() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let whole = 2 + 3 + 2 + 100;
        for cut in 1..=whole {
            let mut script = Script::up(&options());
            publish(&mut script, 1, 100, qos);
            let mut left = cut;
            while left != 0 {
                left -= send(&mut script, left);
            }
            let again = script.reconnect(ACCEPTED_SESSION_PRESENT);
            let expected = format!("PUBLISH t {} q{} 1 dup", letters(1, 100), qos as u8);
            assert_eq!(again, [expected], "cut behind {cut} bytes");
            assert_eq!(script.source(1).asked.last(), Some(&(100 - 100 % 57)));
        }
    }
}

/// The driver writes at most `most` bytes; gives how many.
pub(crate) fn send(script: &mut Script, most: usize) -> usize {
    let now = script.now();
    let Action::TransmitFrom(piece) = script.client.poll(now) else { panic!("a piece is due") };
    let count = (piece.head_len() + piece.left as usize).min(most);
    script.client.transmitted(count, now);
    count
}

#[test]
fn a_qos_0_publish_that_is_cut_off_is_lost() {
    let mut script = Script::up(&options());
    publish(&mut script, 1, 100, QoS::AtMostOnce);
    copied(&mut script, "2", QoS::AtMostOnce);
    send(&mut script, 40);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 2 q0"]);
    let mut script = Script::up(&options());
    publish(&mut script, 1, 100, QoS::AtMostOnce);
    copied(&mut script, "2", QoS::AtMostOnce);
    send(&mut script, 40);
    script.cut();
    assert_eq!(script.told(), ["down: the transport closed", "lost -"]);
}

#[test]
fn nothing_comes_between_the_bytes_of_a_publish() {
    let mut script = Script::up(&options().keep_alive(10));
    publish(&mut script, 1, 100, QoS::AtLeastOnce);
    send(&mut script, 30);
    // A message to be answered, a PUBREC of no request, a request, and the time for a PINGREQ.
    let now = script.now();
    let mut input: &[u8] = b"\x32\x06\0\x01m\0\x09x\x50\x02\0\x63";
    while script.client.receive(&mut input, now).unwrap().is_some() {}
    copied(&mut script, "2", QoS::AtMostOnce);
    script.later(7_500);
    script.client.disconnect();
    let mut left = 77;
    while left != 0 {
        left -= send(&mut script, left.min(9));
    }
    script.run();
    let sent = script.sent();
    assert!(sent.contains(&"PUBACK 9".to_owned()), "{sent:?}");
    assert!(sent.contains(&"PUBREL 99".to_owned()), "{sent:?}");
    assert!(sent.contains(&"PUBLISH t 2 q0".to_owned()), "{sent:?}");
    assert_eq!(sent.last().unwrap(), "DISCONNECT");
}

#[test]
fn a_clean_disconnect_lets_the_whole_payload_leave_however_long_that_takes() {
    let mut script = Script::up(&options().connect_timeout(1_000).keep_alive(0));
    publish(&mut script, 1, 1_000, QoS::AtLeastOnce);
    script.client.disconnect();
    let mut left = 1_008;
    while left != 0 {
        left -= send(&mut script, 10);
        script.later(900);
    }
    script.run();
    assert_eq!(script.sent(), ["DISCONNECT"]);
    assert_eq!(script.told(), ["down: disconnected on request"]);
}

#[test]
fn without_the_option_a_publish_from_a_source_is_refused() {
    let mut script = Script::up(&Options::new("me"));
    let publish = PublishFrom::new(topic!("t"), SourceId::new(1), 10);
    assert_eq!(script.client.publish_from(&publish), Err(RequestError::NoSources));
    assert!(script.client.is_idle());
}

#[test]
fn a_payload_longer_than_any_packet_is_refused() {
    let mut script = Script::up(&options());
    for (len, accepted) in [(268_435_455 - 3, true), (268_435_455 - 2, false), (u32::MAX, false)] {
        let publish = PublishFrom::new(topic!("t"), SourceId::new(1), len);
        assert_eq!(script.client.publish_from(&publish).is_ok(), accepted, "{len}");
    }
}

#[test]
fn an_empty_payload_asks_no_source() {
    let mut script = Script::up(&options());
    let publish = PublishFrom::new(topic!("t"), SourceId::new(1), 0).qos(QoS::AtLeastOnce);
    let _ = script.client.publish_from(&publish).unwrap();
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t  q1 1"]);
}

#[test]
fn it_takes_room_for_its_head_only_and_a_slot_as_any_publish() {
    let mut script = Script::sized(&options(), 200, 2);
    script.accept(ACCEPTED);
    let free = script.client.outbox_free();
    publish(&mut script, 1, 1_000_000, QoS::AtLeastOnce);
    assert_eq!(free - script.client.outbox_free(), 5 + 3 + 2 + 13);
    publish(&mut script, 2, 1_000_000, QoS::AtLeastOnce);
    let third = PublishFrom::new(topic!("t"), SourceId::new(3), 1).qos(QoS::AtLeastOnce);
    let full = script.client.publish_from(&third);
    assert_eq!(full, Err(RequestError::WindowFull { in_flight: 2 }));
}

#[test]
fn a_full_queue_drops_unsent_publishes_from_sources_as_any_other() {
    let mut script = Script::new(&options().queue(Queue::LatestPerTopic));
    publish(&mut script, 1, 1_000, QoS::AtMostOnce);
    publish(&mut script, 2, 1_000, QoS::AtMostOnce);
    let mut script2 = Script::new(&options().queue(Queue::DropOldest).queue_messages(2));
    for number in 1..=4 {
        publish(&mut script2, number, 10, QoS::AtMostOnce);
    }
    script.listen();
    script2.listen();
    assert_eq!(script.told(), ["dropped -"]);
    assert_eq!(script2.told(), ["dropped -", "dropped -"]);
    script.accept(ACCEPTED);
    script2.run();
}

#[test]
fn a_publish_from_a_source_is_taken_back_as_any_other() {
    let mut script = Script::up(&options());
    // Before its turn.
    let handle = begin(&mut script, 1, 100, QoS::AtLeastOnce);
    script.client.cancel(handle).unwrap();
    script.run();
    assert_eq!((script.sent(), script.told()), (vec![], vec!["cancelled 1".to_owned()]));
    // In the middle: it is finished first.
    let handle = begin(&mut script, 1, 100, QoS::AtLeastOnce);
    send(&mut script, 50);
    script.client.cancel(handle).unwrap();
    script.run();
    assert_eq!(script.client.state(), ConnectionState::Up);
    let told = script.told();
    assert!(told[0].starts_with("cancelled"), "{told:?}");
    // Its source fails meanwhile.
    let handle = begin(&mut script, 1, 100, QoS::AtLeastOnce);
    send(&mut script, 50);
    script.client.cancel(handle).unwrap();
    script.forget_source(1);
    script.run();
    let told = script.told();
    assert!(told.iter().any(|event| event.starts_with("cancelled")), "{told:?}");
    assert!(!told.iter().any(|event| event.starts_with("source failed")), "{told:?}");
}

#[test]
fn a_session_that_is_lost_takes_a_qos_2_publish_in_flight_with_it_and_begins_qos_1_anew() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut script = Script::up(&options());
        publish(&mut script, 1, 100, qos);
        send(&mut script, 50);
        let again = script.reconnect(ACCEPTED);
        if qos == QoS::ExactlyOnce {
            assert_eq!(again, [""; 0]);
            assert!(script.told().contains(&"lost 1".to_owned()));
        } else {
            assert_eq!(again, [format!("PUBLISH t {} q1 1", letters(1, 100))]);
        }
    }
}

#[test]
fn the_time_for_an_answer_begins_with_the_last_byte() {
    let mut script = Script::up(&options().answer_timeout(5_000).keep_alive(0));
    publish(&mut script, 1, 100, QoS::AtLeastOnce);
    let mut left = 107;
    while left != 0 {
        left -= send(&mut script, 1);
        script.later(1_000);
    }
    let until = script.run();
    assert_eq!(until.millis_since(script.now()), 4_000);
    assert_eq!(script.client.state(), ConnectionState::Up);
}

#[test]
fn the_keep_alive_counts_from_the_last_byte_and_a_pingreq_waits_for_the_end() {
    let mut script = Script::up(&options().keep_alive(40));
    publish(&mut script, 1, 100, QoS::AtMostOnce);
    let mut left = 105;
    while left != 0 {
        left -= send(&mut script, 1);
        script.later(1_000);
    }
    script.run();
    // Nothing was received for three quarters, so it was asked for, behind the payload.
    assert_eq!(script.sent(), ["PINGREQ"]);
    script.hear(b"\xD0\0");
    let until = script.run();
    assert_eq!(until.millis_since(script.now()), 30_000);
}

#[test]
fn after_a_restart_the_source_is_read_again() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let journal = options().journal(true);
        let mut script = Script::up(&journal);
        copied(&mut script, "1", QoS::AtLeastOnce);
        publish(&mut script, 2, 100, qos);
        script.run();
        assert!(script.records.iter().all(|record| record.len() < 100), "without the payload");
        for compacted in [false, true] {
            if compacted {
                script.client.compact();
                script.run();
                script.records.drain(..script.records.len() - 1);
            }
            let mut restarted = Script::new(&journal);
            for record in &script.records {
                restarted.client.restore(record).unwrap();
            }
            let sources: Vec<_> = restarted.client.sources().collect();
            let [(handle, source)] = sources[..] else { panic!("{sources:?}") };
            assert_eq!((source.source.get(), source.len, source.qos), (2, 100, qos));
            assert_eq!(restarted.client.publishes().count(), 2);
            assert!(restarted.client.publishes().any(|(other, _)| other == handle));
            restarted.source(2).bytes = letters(2, 100).into_bytes();
            restarted.accept(ACCEPTED_SESSION_PRESENT);
            restarted.hear(&ack(PUBACK, 1));
            restarted.hear(&ack(if qos == QoS::AtLeastOnce { PUBACK } else { PUBREC }, 2));
            if qos == QoS::ExactlyOnce {
                restarted.hear(&ack(PUBCOMP, 2));
            }
            assert_eq!(restarted.told(), ["published 1", "published 2"]);
            assert_eq!(*restarted.source(2).asked.first().unwrap(), 0);
        }
    }
}

#[test]
fn a_record_with_a_source_needs_the_option_and_a_record_without_keeps_its_version() {
    let journal = options().journal(true);
    let mut script = Script::up(&journal);
    copied(&mut script, "1", QoS::AtLeastOnce);
    script.run();
    assert_eq!(script.records.last().unwrap()[0], 1);
    publish(&mut script, 2, 100, QoS::AtLeastOnce);
    script.run();
    let record = script.records.last().unwrap().clone();
    assert_eq!(record[0], 2);
    let mut without = Script::new(&journal.sources(false));
    assert_eq!(without.client.restore(&record), Err(mqtt_core::RestoreError::NoSources));
    assert_eq!(without.client.publishes().count(), 0);
}
