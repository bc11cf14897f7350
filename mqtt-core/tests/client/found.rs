//! The broker has a session that the client does not know: the device restarted without its state.

use mqtt_core::{
    Action, ConnectionState, Options, PacketId, Publish, QoS, Version, codec::Packet, filter, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, PUBREL, ack},
};

/// The ids that are reclaimed: one for each slot, and one for each of eight that may have to stay out of use.
const IDS: [u16; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const RECLAIM: [&str; 11] = [
    "PUBREL 1",
    "PUBREL 2",
    "PUBREL 3",
    "PUBREL 4",
    "PUBREL 5",
    "PUBREL 6",
    "PUBREL 7",
    "PUBREL 8",
    "PUBREL 9",
    "PUBREL 10",
    "PUBREL 11",
];

fn options() -> Options<'static> {
    Options::new("c").clean_session(false)
}

fn publish(script: &mut Script, payload: &[u8], qos: QoS) {
    let _ = script.client.publish(&Publish::new(topic!("t"), payload).qos(qos)).unwrap();
}

fn message(id: u16, qos: QoS) -> Packet<'static> {
    Packet::Publish(Publish { id: PacketId::new(id), ..Publish::new(topic!("t"), b"m").qos(qos) })
}

/// A client with three slots that found a session. Its CONNECT is no longer among the packets sent.
fn found(options: &Options<'_>) -> Script {
    let mut script = Script::sized(options, 256, 3);
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    script.told();
    script
}

fn answer(script: &mut Script, ids: &[u16]) {
    for id in ids {
        script.hear(&ack(PUBCOMP, *id));
    }
}

/// The broker may still hold a publish from before the restart under any id. By [MQTT-4.3.3-2] it would then treat a
/// new publish with the same id as a repetition of the old one.
#[test]
fn ids_from_before_the_restart_are_released_before_anything_is_sent() {
    let mut script = found(&options());
    assert_eq!(script.sent()[1..], RECLAIM);
    answer(&mut script, &IDS[..10]);
    assert!(script.sent().is_empty());
    answer(&mut script, &IDS[10..]);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1"]);
    assert!(script.told().is_empty());
}

/// Some brokers do not answer a PUBREL for an unknown id, and others close the connection at it. A client that never
/// publishes at QoS 2 does not meet that.
#[test]
fn nothing_is_released_before_the_first_publish_of_qos_2() {
    let mut script = Script::sized(&options(), 256, 3);
    publish(&mut script, b"0", QoS::AtMostOnce);
    publish(&mut script, b"1", QoS::AtLeastOnce);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent()[1..], ["PUBLISH t 0 q0", "PUBLISH t 1 q1 1"]);
    script.hear(&ack(PUBACK, 1));
    publish(&mut script, b"2", QoS::ExactlyOnce);
    script.run();
    assert_eq!(script.sent().len(), 11, "now they are");
}

/// The ids of requests that are in flight by then are left out, so an answer to one of them is not mistaken.
#[test]
fn ids_in_flight_are_not_released() {
    let mut script = Script::sized(&options(), 256, 3);
    publish(&mut script, b"1", QoS::AtLeastOnce);
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.accept(ACCEPTED_SESSION_PRESENT);
    publish(&mut script, b"2", QoS::ExactlyOnce);
    script.run();
    let expected: Vec<String> = (3..14).map(|id| format!("PUBREL {id}")).collect();
    assert_eq!(script.sent(), expected);
    answer(&mut script, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(script.sent(), ["PUBLISH t 2 q2 3"]);
}

/// [MQTT-4.6.0-1]: nothing overtakes the publish that waits. What is ahead of it does not wait, and answers do not.
#[test]
fn the_publish_that_waits_holds_back_only_later_requests() {
    let mut script = Script::sized(&options(), 256, 3);
    publish(&mut script, b"1", QoS::AtLeastOnce);
    publish(&mut script, b"2", QoS::ExactlyOnce);
    publish(&mut script, b"3", QoS::AtMostOnce);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    let sent = script.sent();
    assert_eq!(sent[12..], ["PUBLISH t 1 q1 1"]);
    script.hear_packet(message(9, QoS::AtLeastOnce));
    assert_eq!(script.sent(), ["PUBACK 9"]);
    answer(&mut script, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(script.sent(), ["PUBLISH t 2 q2 2", "PUBLISH t 3 q0"]);
}

/// Each write costs a system call and a segment.
#[test]
fn the_releases_go_out_in_few_writes() {
    let mut script = Script::new(&options().exactly_once_window(100));
    script.accept(ACCEPTED_SESSION_PRESENT);
    publish(&mut script, b"1", QoS::ExactlyOnce);
    let mut writes = Vec::new();
    while let Action::Transmit(bytes) = script.client.poll(script.now()) {
        let len = bytes.len();
        writes.push(len);
        script.client.transmitted(len, script.now());
    }
    assert_eq!(writes, [32, 32], "8 slots and 8 ids more");
}

/// The number of slots does not matter if the window of QoS 2 is smaller.
#[test]
fn no_more_ids_are_released_than_can_be_used() {
    let mut script = Script::sized(&options(), 4_096, 200);
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent().len() - 1, 19 + 8);
}

/// The ids that are reclaimed are the first ones, so a client that has not connected yet gives out no others.
#[test]
fn a_request_that_was_cancelled_before_it_was_sent_gives_its_id_back() {
    let mut script = Script::sized(&options(), 256, 3);
    for _ in 0..20 {
        let publish = Publish::new(topic!("t"), b"0").qos(QoS::AtLeastOnce);
        let handle = script.client.publish(&publish).unwrap();
        script.client.cancel(handle).unwrap();
        script.run();
    }
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.hear(ACCEPTED_SESSION_PRESENT);
    let released = script.sent();
    for id in &released[1..] {
        script.hear(&ack(PUBCOMP, id.strip_prefix("PUBREL ").unwrap().parse().unwrap()));
    }
    let sent = script.sent();
    let reclaimed = |id: u16| {
        sent == [format!("PUBLISH t 1 q2 {id}")] && released.contains(&format!("PUBREL {id}"))
    };
    assert!((1..=3).any(reclaimed), "{sent:?}");
}

#[test]
fn a_client_that_publishes_nothing_at_qos_2_releases_nothing() {
    let mut script = Script::sized(&options().exactly_once_window(0), 256, 3);
    script.accept(ACCEPTED_SESSION_PRESENT);
    assert!(script.sent().is_empty());
}

/// 3.1 has no session present flag.
#[test]
fn in_3_1_any_session_may_be_found() {
    let mut script = found(&options().version(Version::V31));
    assert_eq!(script.sent()[1..], RECLAIM);
    let clean = Options::new("c").version(Version::V31);
    assert_eq!(found(&clean).sent()[1..], ["PUBLISH t 1 q2 1"]);
}

/// A late repetition of an answer does not hit the next publish, because the ids go round.
#[test]
fn only_released_ids_are_used_in_a_session_that_was_found_and_they_go_round() {
    let mut script = found(&options());
    answer(&mut script, &IDS);
    script.sent();
    for round in 0..30 {
        let id = IDS[round % 11];
        script.hear(&ack(PUBREC, id));
        script.hear(&ack(PUBCOMP, id));
        assert_eq!(script.told(), [format!("published {id}")]);
        publish(&mut script, b"n", QoS::ExactlyOnce);
        script.run();
    }
}

/// The id of a request that was restored is not the next one as well.
#[test]
fn after_a_restart_the_ids_of_other_requests_go_on() {
    let options = options().version(Version::V31).journal(true);
    let mut script = found(&options);
    answer(&mut script, &IDS);
    let request = Publish::new(topic!("t"), b"n").qos(QoS::AtLeastOnce);
    let before = script.client.publish(&request).unwrap().packet_id().unwrap();
    script.run();
    let mut again = Script::sized(&options, 256, 3);
    for record in &script.records {
        again.client.restore(record).unwrap();
    }
    again.accept(ACCEPTED);
    again.hear(&ack(PUBACK, before.get()));
    for _ in 0..2 {
        let id = again.client.publish(&request).unwrap().packet_id().unwrap();
        assert!(id > before, "{id:?} after {before:?}");
    }
}

/// A publish that was given up keeps its id out of use. There is an id for each slot nevertheless.
#[test]
fn ids_out_of_use_do_not_take_the_released_ones() {
    let mut script = found(&options());
    answer(&mut script, &IDS);
    let exact = Publish::new(topic!("t"), b"n").qos(QoS::ExactlyOnce);
    for _ in 0..30 {
        let handle = script.client.publish(&exact).unwrap();
        assert!(IDS.contains(&handle.packet_id().unwrap().get()));
        script.run();
        script.client.cancel(handle).unwrap();
        script.run();
    }
    for _ in 0..2 {
        let _ = script.client.publish(&exact).unwrap();
        script.run();
    }
    assert!(script.client.publish(&exact).is_err(), "all slots are used");
}

#[test]
fn once_the_session_is_lost_ids_move_on() {
    let mut script = found(&options());
    answer(&mut script, &IDS);
    for round in 0..12 {
        let id = IDS[round % 11];
        script.hear(&ack(PUBREC, id));
        script.hear(&ack(PUBCOMP, id));
        publish(&mut script, b"n", QoS::ExactlyOnce);
        script.run();
    }
    script.reconnect(ACCEPTED);
    script.told();
    let mut used = Vec::new();
    for _ in 0..30 {
        let publish = Publish::new(topic!("t"), b"n").qos(QoS::AtLeastOnce);
        let id = script.client.publish(&publish).unwrap().packet_id().unwrap().get();
        script.run();
        script.hear(&ack(PUBACK, id));
        used.push(id);
    }
    let repeated = used.iter().enumerate().find(|(at, id)| used[..*at].contains(id));
    assert_eq!(repeated, None, "{used:?}");
}

/// The broker holds no id of theirs.
#[test]
fn other_requests_use_other_ids_in_a_session_that_was_found() {
    let mut script = found(&options());
    answer(&mut script, &IDS);
    script.sent();
    for id in [14, 15, 17, 18] {
        publish(&mut script, b"n", QoS::AtLeastOnce);
        script.run();
        assert_eq!(script.sent(), [format!("PUBLISH t n q1 {id}")]);
        script.hear(&ack(PUBACK, id));
    }
}

#[test]
fn after_a_broken_link_releasing_goes_on_from_the_same_id() {
    let mut script = found(&options());
    script.sent();
    answer(&mut script, &[1]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), RECLAIM[1..]);
    answer(&mut script, &IDS[1..]);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1"]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 1 q2 1 dup"]);
}

#[test]
fn a_session_lost_while_ids_are_released_needs_no_releasing() {
    let mut script = found(&options());
    script.sent();
    assert_eq!(script.reconnect(ACCEPTED), ["PUBLISH t 1 q2 1"]);
}

/// The messages of the session come at once.
#[test]
fn messages_that_come_while_ids_are_released_are_taken_and_answered() {
    let mut script = found(&options());
    script.sent();
    script.hear_packet(message(9, QoS::ExactlyOnce));
    assert_eq!(script.told(), ["message t m q2"]);
    assert_eq!(script.sent(), ["PUBREC 9"]);
    script.hear(&ack(PUBREL, 9));
    assert_eq!(script.sent(), ["PUBCOMP 9"]);
}

/// The broker got the PUBRELs before the publish in any case. It may answer later.
#[test]
fn a_publish_to_a_broker_that_does_not_answer_goes_out_in_time() {
    let mut script = found(&options().ping_timeout(5_000).keep_alive(0));
    script.sent();
    // It is alive.
    script.later(4_000);
    script.hear(b"\x30\x04\0\x01tx");
    script.told();
    let until = script.run();
    assert_eq!(until.millis_since(script.now()), 1_000);
    script.later(1_000);
    script.run();
    assert_eq!(script.told(), ["not reclaimed"]);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1", "PINGREQ"]);
    answer(&mut script, &IDS);
    script.hear(&ack(PUBREC, 1));
    script.hear(&ack(PUBCOMP, 1));
    assert_eq!(script.told(), ["published 1"]);
    assert_eq!(script.client.counters().unexpected_acks, 0);
}

/// RabbitMQ does so. With a long keep alive, or none, the publish would wait for ever.
#[test]
fn a_broker_that_reads_nothing_behind_a_release_gets_the_publish_on_the_next_connection() {
    let mut script = found(&options().ping_timeout(5_000).keep_alive(0));
    for _ in 0..2 {
        assert!(script.is_open());
        script.later(5_000);
        script.run();
        script.run();
    }
    assert!(!script.is_open());
    assert_eq!(script.told(), ["not reclaimed", "down: no PINGRESP in time"]);
    script.sent();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 1 q2 1 dup"]);
}

#[test]
fn each_answer_starts_the_time_for_the_next_one() {
    let mut script = found(&options().ping_timeout(5_000).keep_alive(0));
    script.sent();
    for id in 1..=10 {
        script.later(4_999);
        answer(&mut script, &[id]);
    }
    assert!(script.told().is_empty());
    script.later(4_999);
    answer(&mut script, &[11]);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1"]);
}

/// It was told once, and the session stays as it is.
#[test]
fn ids_that_the_broker_does_not_let_go_are_not_asked_for_again() {
    let mut script = found(&options().ping_timeout(5_000).keep_alive(0));
    script.later(5_000);
    script.run();
    script.sent();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 1 q2 1 dup"]);
}

/// A broker that ends the connection at a PUBREL that it does not know breaks [MQTT-4.3.3-2].
#[test]
fn a_broker_that_always_breaks_the_connection_is_served_in_the_end() {
    let mut script = found(&options());
    script.sent();
    for _ in 1..3 {
        assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), RECLAIM);
    }
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 1 q2 1"]);
    assert_eq!(script.told().last().unwrap(), "not reclaimed");
}

#[test]
fn a_disconnect_waits_until_all_ids_are_released() {
    let mut script = found(&options());
    script.sent();
    script.client.disconnect();
    script.run();
    assert!(script.sent().is_empty());
    answer(&mut script, &IDS);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1", "DISCONNECT"]);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

#[test]
fn releasing_ids_goes_on_after_a_power_cut() {
    let options = options().journal(true);
    let script = found(&options);
    let mut again = Script::sized(&options, 256, 3);
    for record in &script.records {
        again.client.restore(record).unwrap();
    }
    again.run();
    again.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(again.sent()[1..], RECLAIM);
    answer(&mut again, &IDS);
    assert_eq!(again.sent(), ["PUBLISH t 1 q2 1"], "it was never sent");
    let mut third = Script::sized(&options, 256, 3);
    for record in script.records.iter().chain(&again.records) {
        third.client.restore(record).unwrap();
    }
    third.run();
    third.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(third.sent()[1..], ["PUBLISH t 1 q2 1 dup"]);
}

/// [MQTT-3.1.2-23]
#[test]
fn a_ping_is_sent_while_the_answers_take_long() {
    let mut script = found(&options().keep_alive(2));
    script.sent();
    script.later(1_500);
    script.run();
    assert_eq!(script.sent(), ["PINGREQ"]);
    script.hear(&[0xD0, 0]);
    answer(&mut script, &IDS);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1"]);
}

/// The last answer comes together with a message, and ends the wait for answers.
#[test]
fn after_the_last_answer_no_answer_is_awaited() {
    let mut script = found(&options().keep_alive(0).ping_timeout(4_000));
    script.sent();
    let answers = IDS.map(|id| ack(PUBCOMP, id)).concat();
    script.hear(&[&answers[..4], b"\x30\x04\0\x01tx", &answers[4..]].concat());
    script.told();
    script.later(4_000);
    script.run();
    assert!(script.told().is_empty());
}

/// The message of an id that was given up comes once more, and the request is not ended by the answer.
#[test]
fn requests_that_were_accepted_before_are_not_lost_to_the_range() {
    let mut script = Script::sized(&options(), 256, 3);
    let mut first = Vec::new();
    for _ in 0..2 {
        let publish = Publish::new(topic!("t"), b"x").qos(QoS::ExactlyOnce);
        first.push(script.client.publish(&publish).unwrap().packet_id().unwrap().get());
    }
    script.accept(ACCEPTED_SESSION_PRESENT);
    for id in first {
        script.hear(&ack(PUBREC, id));
        script.hear(&ack(PUBCOMP, id));
    }
    assert_eq!(script.told(), ["published 1", "published 2"]);
}

/// [MQTT-3.2.2-1]: the broker breaks its promise on every connection, but the link is sound.
#[test]
fn a_session_that_the_broker_kept_against_our_wish_is_treated_as_found() {
    let mut script = Script::sized(&Options::new("c"), 256, 3);
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.told().last().unwrap(), "up Found V311");
    assert_eq!(script.sent()[1..], RECLAIM);
    answer(&mut script, &IDS);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1"]);
}

/// [MQTT-3.1.2-6]: the client's own packets start anew, as with a new session.
#[test]
fn own_packets_start_anew_in_a_session_that_the_broker_kept_against_our_wish() {
    let mut script = Script::sized(&Options::new("c"), 256, 3);
    script.accept(ACCEPTED_SESSION_PRESENT);
    publish(&mut script, b"1", QoS::ExactlyOnce);
    publish(&mut script, b"2", QoS::AtLeastOnce);
    script.run();
    script.let_reclaim();
    script.cut();
    script.later(1_000_000);
    script.run();
    script.sent();
    script.told();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.told(), ["up Found V311", "lost 1"]);
    assert_eq!(script.sent(), ["PUBLISH t 2 q1 14"]);
}

/// The broker may go on with the exchanges of the last connection: then its messages have DUP.
#[test]
fn messages_of_a_session_that_the_broker_kept_against_our_wish_are_delivered_once() {
    let mut script = Script::sized(&Options::new("c"), 256, 3);
    script.accept(ACCEPTED_SESSION_PRESENT);
    let message =
        Publish { id: PacketId::new(9), ..Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce) };
    script.hear_packet(Packet::Publish(message));
    script.cut();
    script.later(1_000_000);
    script.accept(ACCEPTED_SESSION_PRESENT);
    script.hear_packet(Packet::Publish(Publish { dup: true, ..message }));
    assert!(script.told().is_empty(), "it was delivered");
    assert_eq!(script.sent(), ["PUBREC 9"]);
    script.cut();
    script.later(1_000_000);
    script.accept(ACCEPTED_SESSION_PRESENT);
    script.hear_packet(Packet::Publish(message));
    assert_eq!(script.told(), ["message t m q2"], "a new one");
}

/// Such a broker may end the connection at each PUBREL.
#[test]
fn a_broker_that_breaks_both_rules_is_served_in_the_end() {
    let mut script = Script::sized(&Options::new("c"), 256, 3);
    publish(&mut script, b"1", QoS::ExactlyOnce);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    script.sent();
    for _ in 1..3 {
        assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), RECLAIM);
    }
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 1 q2 1"]);
    assert_eq!(script.told().last().unwrap(), "not reclaimed");
}
