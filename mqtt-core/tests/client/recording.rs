//! A session that survives power cuts: the content and the time of its records, and the restored session.

use mqtt_core::{
    Action, Instant, Options, PacketId, Publish, QoS, Record, RequestError, RestoreError,
    codec::Packet, filter, topic,
};

use test_kit::{
    record::{bytes_of, resealed},
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, PUBREL, UNSUBACK, ack},
};

fn options() -> Options<'static> {
    Options::new("c").clean_session(false).journal(true)
}

fn publish(script: &mut Script, payload: &[u8], qos: QoS) {
    let _ = script.client.publish(&Publish::new(topic!("t"), payload).qos(qos)).unwrap();
}

/// A message of QoS 2 from the broker.
fn incoming(id: u16) -> Publish<'static> {
    let publish = Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce);
    Publish { id: PacketId::new(id), ..publish }
}

/// The client of the script loses power, and a new one is made from its records.
fn power_cut(script: &Script) -> Script {
    restored(&script.records, 1024, 8)
}

fn restored(records: &[Vec<u8>], bytes: usize, window: usize) -> Script {
    let mut again = Script::sized(&options(), bytes, window);
    for record in records {
        again.client.restore(record).unwrap();
    }
    again.records = records.to_vec();
    again
}

/// Connects a restored client. Returns the packets that it sends after the CONNECT.
fn sent_after(script: &mut Script, connack: &[u8]) -> Vec<String> {
    script.run();
    script.hear(connack);
    let mut sent = script.sent();
    assert!(sent.remove(0).starts_with("CONNECT"));
    sent
}

#[test]
fn without_the_option_there_are_no_records() {
    let mut script = Script::up(&Options::new("c").clean_session(false));
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.client.set_position(1);
    script.run();
    script.hear(&ack(PUBREC, 1));
    script.hear(&ack(PUBCOMP, 1));
    assert!(script.records.is_empty());
    assert_eq!(script.client.restore(&[]), Err(RestoreError::NoJournal));
}

#[test]
fn a_publish_is_recorded_before_it_is_sent() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Persist(_)));
    assert!(matches!(script.client.poll(now), Action::Persist(_)), "until it is confirmed");
    script.client.persisted();
    assert!(matches!(script.client.poll(now), Action::Transmit(_)));
}

#[test]
fn messages_accepted_offline_survive_a_power_cut() {
    let mut script = Script::new(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    publish(&mut script, b"2", QoS::ExactlyOnce);
    script.run();
    let mut again = power_cut(&script);
    assert_eq!(sent_after(&mut again, ACCEPTED), ["PUBLISH t 1 q1 1", "PUBLISH t 2 q2 2"]);
}

#[test]
fn a_publish_that_may_have_been_sent_is_sent_with_dup() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    publish(&mut script, b"2", QoS::ExactlyOnce);
    script.run();
    let mut again = power_cut(&script);
    let sent = sent_after(&mut again, ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 1 q1 1 dup", "PUBLISH t 2 q2 2 dup"]);
}

/// [MQTT-4.3.3-1]: never a PUBLISH again after its PUBREL.
#[test]
fn a_pubrec_is_recorded_before_the_pubrel_is_sent() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.run();
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1", "PUBREL 1"]);
    let mut again = power_cut(&script);
    assert_eq!(sent_after(&mut again, ACCEPTED_SESSION_PRESENT), ["PUBREL 1"]);
    again.hear(&ack(PUBCOMP, 1));
    assert_eq!(again.told().last().unwrap(), "published 1");
}

#[test]
fn the_end_of_a_publish_is_recorded_after_the_delay() {
    let mut script = Script::up(&options().record_delay(500));
    publish(&mut script, b"1", QoS::AtLeastOnce);
    script.run();
    script.hear(&ack(PUBACK, 1));
    let before = script.records.len();
    let until = script.run();
    assert_eq!(until.millis_since(script.now()), 500);
    assert_eq!(script.records.len(), before);
    script.later(500);
    script.run();
    assert_eq!(script.records.len(), before + 1);
    assert!(sent_after(&mut power_cut(&script), ACCEPTED_SESSION_PRESENT).is_empty());
}

#[test]
fn the_end_of_a_publish_is_in_the_next_record() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    script.run();
    script.hear(&ack(PUBACK, 1));
    publish(&mut script, b"2", QoS::AtLeastOnce);
    script.run();
    let sent = sent_after(&mut power_cut(&script), ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 2 q1 2 dup"]);
}

#[test]
fn a_message_taken_before_the_power_cut_is_not_given_again() {
    let mut script = Script::up(&options());
    let message = incoming(9);
    script.hear_packet(Packet::Publish(message));
    assert_eq!(script.told(), ["message t m q2"]);
    assert_eq!(script.sent(), ["PUBREC 9"]);
    let mut again = power_cut(&script);
    again.accept(ACCEPTED_SESSION_PRESENT);
    again.hear_packet(Packet::Publish(Publish { dup: true, ..message }));
    assert!(again.told().is_empty());
    assert_eq!(again.sent(), ["PUBREC 9"]);
    again.hear(&ack(PUBREL, 9));
    assert_eq!(again.sent(), ["PUBCOMP 9"]);
    let mut third = power_cut(&again);
    third.accept(ACCEPTED_SESSION_PRESENT);
    third.hear_packet(Packet::Publish(message));
    assert_eq!(third.told(), ["message t m q2"], "a new message, for its id was released");
}

#[test]
fn a_record_that_was_not_confirmed_is_in_the_next_one() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    let now = script.now();
    let Action::Persist(record) = script.client.poll(now) else { panic!("a record is due") };
    let _ = bytes_of(&record);
    publish(&mut script, b"2", QoS::AtLeastOnce);
    script.run();
    let sent = sent_after(&mut power_cut(&script), ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 1 q1 1 dup", "PUBLISH t 2 q1 2 dup"]);
}

#[test]
fn changes_made_while_a_record_was_written_are_in_the_next_one() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    let now = script.now();
    let Action::Persist(record) = script.client.poll(now) else { panic!("a record is due") };
    let first = bytes_of(&record);
    publish(&mut script, b"2", QoS::AtLeastOnce);
    script.client.persisted();
    script.records.push(first);
    script.run();
    let last = script.records.last().unwrap();
    assert!(!last.windows(3).any(|window| window == b"t\x00\x01"), "the first is not in it again");
    let sent = sent_after(&mut power_cut(&script), ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 1 q1 1 dup", "PUBLISH t 2 q1 2 dup"]);
}

#[test]
fn a_position_is_in_the_record_of_the_requests_before_it() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.client.set_position(41);
    script.run();
    let records = script.records.clone();
    let again = power_cut(&script);
    assert_eq!((again.client.position(), again.client.in_flight()), (41, 1));
    let before = restored(&records[..records.len() - 1], 1024, 8);
    assert_eq!((before.client.position(), before.client.in_flight()), (0, 0));
}

#[test]
fn a_position_alone_is_recorded() {
    let mut script = Script::up(&options());
    script.client.set_position(7);
    script.run();
    assert_eq!(power_cut(&script).client.position(), 7);
}

/// After a power cut any part of the last record may be there.
#[test]
fn every_part_of_a_record_is_torn_and_changes_nothing() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.run();
    publish(&mut script, b"2", QoS::ExactlyOnce);
    script.client.set_position(2);
    script.run();
    let last = script.records.pop().unwrap();
    for len in 0..last.len() {
        let mut again = power_cut(&script);
        assert_eq!(again.client.restore(&last[..len]), Err(RestoreError::Torn), "{len}");
        assert_eq!(again.client.position(), 0);
        let sent = sent_after(&mut again, ACCEPTED_SESSION_PRESENT);
        assert_eq!(sent, ["PUBLISH t 1 q2 1 dup"]);
    }
}

#[test]
fn a_snapshot_replaces_what_came_before() {
    let mut script = Script::up(&options());
    for payload in [b"1", b"2", b"3"] {
        publish(&mut script, payload, QoS::ExactlyOnce);
    }
    script.run();
    script.hear(&ack(PUBREC, 1));
    script.hear(&ack(PUBREC, 2));
    script.hear(&ack(PUBCOMP, 2));
    let message = incoming(77);
    script.hear_packet(Packet::Publish(message));
    script.client.set_position(5);
    script.client.compact();
    script.run();
    let snapshot = script.records.pop().unwrap();
    let mut again = restored(&[snapshot], 1024, 8);
    assert_eq!(again.client.position(), 5);
    let sent = sent_after(&mut again, ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBREL 1", "PUBLISH t 3 q2 3 dup"]);
    again.told();
    again.hear_packet(Packet::Publish(Publish { dup: true, ..message }));
    assert!(again.told().is_empty(), "seen before");
}

#[test]
fn a_lost_session_is_recorded_before_anything_is_sent() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::ExactlyOnce);
    publish(&mut script, b"2", QoS::AtLeastOnce);
    script.run();
    assert_eq!(script.reconnect(ACCEPTED), ["PUBLISH t 2 q1 2"]);
    let mut again = power_cut(&script);
    let sent = sent_after(&mut again, ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 2 q1 2 dup"], "the first was lost with the session");
}

#[test]
fn granted_subscriptions_are_renewed_after_a_power_cut_and_a_lost_session() {
    let mut script = Script::up(&options());
    let filters = [(filter!("a/#"), QoS::ExactlyOnce), (filter!("b"), QoS::AtMostOnce)];
    let _ = script.client.subscribe(&filters).unwrap();
    script.run();
    script.hear(&[0x90, 4, 0, 1, 2, 0]);
    script.run();
    let mut again = power_cut(&script);
    assert_eq!(sent_after(&mut again, ACCEPTED), ["SUBSCRIBE 65535 a/#:2 b:0"]);
}

#[test]
fn a_renewal_that_was_not_answered_is_made_again_after_a_power_cut() {
    let mut script = Script::up(&options());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtLeastOnce)]).unwrap();
    script.run();
    script.hear(&[0x90, 3, 0, 1, 1]);
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:1"]);
    let mut again = power_cut(&script);
    assert_eq!(sent_after(&mut again, ACCEPTED_SESSION_PRESENT), ["SUBSCRIBE 65535 a:1"]);
}

#[test]
fn a_session_moves_to_another_window() {
    let mut script = Script::sized(&options(), 1024, 3);
    script.accept(ACCEPTED);
    for payload in [b"1", b"2", b"3"] {
        publish(&mut script, payload, QoS::AtLeastOnce);
    }
    script.run();
    script.hear(&ack(PUBACK, 1));
    publish(&mut script, b"4", QoS::AtLeastOnce);
    script.run();
    for window in [3, 4, 5, 8] {
        let mut again = restored(&script.records, 1024, window);
        let sent = sent_after(&mut again, ACCEPTED_SESSION_PRESENT);
        assert_eq!(sent, ["PUBLISH t 2 q1 2 dup", "PUBLISH t 3 q1 3 dup", "PUBLISH t 4 q1 4 dup"]);
        let mut ids = vec![2, 3, 4];
        while again.client.in_flight() < window {
            publish(&mut again, b"n", QoS::AtLeastOnce);
            again.run();
            let sent = again.sent().pop().unwrap();
            ids.push(sent.split(' ').next_back().unwrap().parse().unwrap());
        }
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "[MQTT-2.3.1-2]: {ids:?}");
        again.told();
        for id in ids {
            again.hear(&ack(PUBACK, id));
        }
        assert_eq!(again.told().len(), window);
    }
    let mut less = Script::sized(&options(), 1024, 2);
    let refused = script.records.iter().find_map(|record| less.client.restore(record).err());
    assert_eq!(refused, Some(RestoreError::Window { needed: 3, slots: 2 }));
}

#[test]
fn a_client_in_use_is_not_restored() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::AtLeastOnce);
    script.run();
    let record = script.records.last().unwrap().clone();
    assert_eq!(script.client.restore(&record), Err(RestoreError::InUse));
    let mut fresh = Script::new(&options());
    publish(&mut fresh, b"1", QoS::AtLeastOnce);
    assert_eq!(fresh.client.restore(&record), Err(RestoreError::InUse));
}

#[test]
fn a_record_of_a_later_version_is_named() {
    let mut script = Script::up(&options());
    script.client.set_position(1);
    script.run();
    let mut record = script.records.pop().unwrap();
    record[0] = 3;
    assert_eq!(power_cut(&script).client.restore(&record), Err(RestoreError::Torn));
    let record = resealed(&record);
    assert_eq!(power_cut(&script).client.restore(&record), Err(RestoreError::Version { found: 3 }));
}

#[test]
fn an_outbox_that_is_too_small_is_named_and_nothing_changes() {
    let mut script = Script::up(&options());
    publish(&mut script, &[b'x'; 200], QoS::AtLeastOnce);
    script.run();
    let mut small = Script::sized(&options(), 150, 8);
    let mut results = script.records.iter().map(|record| small.client.restore(record));
    assert_eq!(results.next(), Some(Ok(())));
    assert!(matches!(
        results.next(),
        Some(Err(RestoreError::OutboxTooSmall { capacity: 150, .. }))
    ));
    drop(results);
    assert!(sent_after(&mut small, ACCEPTED_SESSION_PRESENT).is_empty());
}

#[test]
fn an_acknowledgement_by_the_application_is_recorded_while_it_waits_for_its_turn() {
    let mut script = Script::up(&options().manual_acknowledge(true));
    let mut deliveries = Vec::new();
    for id in [5, 6] {
        let mut bytes = [0; 32];
        let len = incoming(id).encode(&mut bytes).unwrap();
        let mut input = &bytes[..len];
        let now = Instant::from_millis(0);
        match script.client.receive(&mut input, now).unwrap() {
            Some(mqtt_core::Event::Message(message)) => {
                deliveries.push(message.delivery.unwrap());
            }
            other => panic!("{other:?}"),
        }
    }
    script.run();
    script.client.acknowledge(deliveries[1]).unwrap();
    script.client.set_position(1);
    script.run();
    assert!(script.sent().is_empty(), "the first one's PUBREC goes first");
    let mut again = power_cut(&script);
    again.accept(ACCEPTED_SESSION_PRESENT);
    for id in [5, 6] {
        again.hear_packet(Packet::Publish(Publish { dup: true, ..incoming(id) }));
    }
    assert_eq!(again.told(), ["message t m q2 dup"], "the one that was not acknowledged");
    assert_eq!(again.client.position(), 1);
    assert_eq!(script.client.acknowledge(deliveries[1]), Err(RequestError::StaleDelivery));
}

/// [MQTT-2.3.1-2]
#[test]
fn a_full_window_is_still_full_after_a_power_cut() {
    let mut script = Script::sized(&options(), 1024, 6);
    script.accept(ACCEPTED);
    for _ in 0..6 {
        publish(&mut script, b"m", QoS::AtLeastOnce);
    }
    script.run();
    for id in [2, 5] {
        script.hear(&ack(PUBACK, id));
    }
    script.later(1_000);
    script.run();
    let mut again = restored(&script.records, 1024, 6);
    publish(&mut again, b"n", QoS::AtLeastOnce);
    publish(&mut again, b"n", QoS::AtLeastOnce);
    let one_more = Publish::new(topic!("t"), b"n").qos(QoS::AtLeastOnce);
    assert_eq!(again.client.publish(&one_more), Err(RequestError::WindowFull { in_flight: 6 }));
}

#[test]
fn a_granted_subscription_is_recorded_at_once() {
    let mut script = Script::up(&options());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtLeastOnce)]).unwrap();
    script.run();
    script.hear(&[0x90, 3, 0, 1, 1]);
    script.run();
    assert_eq!(power_cut(&script).client.subscriptions().count(), 1);
    let _ = script.client.unsubscribe(&[filter!("a")]).unwrap();
    script.run();
    script.hear(&ack(UNSUBACK, 2));
    script.run();
    assert_eq!(power_cut(&script).client.subscriptions().count(), 0);
}

/// Power may have failed between the CONNACK of a new session and its record.
#[test]
fn subscriptions_are_made_again_on_the_first_connection_after_a_power_cut() {
    let mut script = Script::up(&options());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtLeastOnce)]).unwrap();
    script.run();
    script.hear(&[0x90, 3, 0, 1, 1]);
    script.run();
    let mut again = power_cut(&script);
    assert_eq!(sent_after(&mut again, ACCEPTED_SESSION_PRESENT), ["SUBSCRIBE 65535 a:1"]);
    again.hear(&[0x90, 3, 0xFF, 0xFF, 1]);
    assert!(again.reconnect(ACCEPTED_SESSION_PRESENT).is_empty());
}

/// [MQTT-3.3.1-1]: a message that is sent again has DUP. A message without DUP is therefore a new one, of a new
/// session.
#[test]
fn a_message_without_dup_is_new_after_a_power_cut() {
    let mut script = Script::up(&options());
    script.hear_packet(Packet::Publish(incoming(9)));
    script.told();
    let mut again = power_cut(&script);
    again.accept(ACCEPTED_SESSION_PRESENT);
    again.hear_packet(Packet::Publish(Publish { dup: true, ..incoming(9) }));
    assert!(again.told().is_empty());
    let mut other = power_cut(&script);
    other.accept(ACCEPTED_SESSION_PRESENT);
    other.hear_packet(Packet::Publish(incoming(9)));
    assert_eq!(other.told(), ["message t m q2"]);
}

#[test]
fn restored_publishes_are_listed_with_the_handles_of_their_events() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::ExactlyOnce);
    publish(&mut script, b"2", QoS::AtLeastOnce);
    let _ = script.client.publish(&Publish::new(topic!("t"), b"3")).unwrap();
    script.run();
    script.hear(&ack(PUBREC, 1));
    let mut again = power_cut(&script);
    let listed: Vec<_> = again.client.publishes().collect();
    let payloads: Vec<_> = listed.iter().map(|(_, kept)| kept.map(|kept| kept.payload)).collect();
    assert_eq!(payloads, [Some(&b"2"[..]), None]);
    let ids: Vec<_> = listed.iter().map(|(handle, _)| handle.packet_id().unwrap().get()).collect();
    assert_eq!(ids, [2, 1]);
    assert_eq!(sent_after(&mut again, ACCEPTED_SESSION_PRESENT).len(), 2);
    again.hear(&ack(PUBACK, 2));
    assert_eq!(again.client.publishes().count(), 1);
}

#[test]
fn a_copied_record_has_the_same_bytes_and_the_client_can_be_used_meanwhile() {
    let mut script = Script::up(&options());
    publish(&mut script, b"1", QoS::ExactlyOnce);
    let now = script.now();
    let Action::Persist(record) = script.client.poll(now) else { panic!("a record is due") };
    let bytes = bytes_of(&record);
    let mut space = [0; 100];
    assert!(record.copy_to(&mut [0; 10]).is_none(), "it does not fit");
    let copied = Record::of_bytes(record.copy_to(&mut space).unwrap());
    publish(&mut script, b"2", QoS::ExactlyOnce);
    assert!(!script.client.is_recorded());
    assert_eq!((bytes_of(&copied), copied.len()), (bytes.clone(), bytes.len()));
    assert!(!copied.is_snapshot());
    script.client.persisted();
    script.records.push(bytes);
    script.run();
    assert!(script.client.is_recorded());
    let sent = sent_after(&mut power_cut(&script), ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 1 q2 1 dup", "PUBLISH t 2 q2 2 dup"]);
}
