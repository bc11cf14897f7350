//! The broker has a session that the client does not know: the device restarted without its state.

use mqtt_core::{
    Action, ConnectionState, Fatal, Options, PacketId, Publish, QoS, Version, codec::Packet, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, PUBREL, ack},
};

/// The ids that are reclaimed: at least eight.
const IDS: [u16; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const RECLAIM: [&str; 8] = [
    "PUBREL 1", "PUBREL 2", "PUBREL 3", "PUBREL 4", "PUBREL 5", "PUBREL 6", "PUBREL 7", "PUBREL 8",
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
    answer(&mut script, &IDS[..7]);
    assert!(script.sent().is_empty());
    answer(&mut script, &IDS[7..]);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1"]);
    assert!(script.told().is_empty());
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
    script.sent();
    answer(&mut script, &IDS);
    let sent = script.sent();
    let reclaimed = |id: u16| sent == [format!("PUBLISH t 1 q2 {id}")];
    assert!(IDS.into_iter().any(reclaimed), "{sent:?}");
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
        let id = IDS[round % 8];
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

#[test]
fn an_id_beside_the_reclaimed_ones_is_not_the_next_one_as_well() {
    let mut script = found(&options());
    answer(&mut script, &IDS);
    script.hear(&ack(PUBREC, 1));
    script.hear(&ack(PUBCOMP, 1));
    let exact = Publish::new(topic!("t"), b"n").qos(QoS::ExactlyOnce);
    // All reclaimed ids stay out of use.
    for _ in IDS {
        let handle = script.client.publish(&exact).unwrap();
        script.run();
        script.client.cancel(handle).unwrap();
        script.run();
    }
    let mut before = 8;
    for round in 0..6 {
        let publish = if round % 2 == 0 { exact } else { exact.qos(QoS::AtLeastOnce) };
        let id = script.client.publish(&publish).unwrap().packet_id().unwrap().get();
        assert!(id > before, "{id} after {before}");
        before = id;
        script.run();
        for kind in [PUBREC, PUBCOMP, PUBACK] {
            script.hear(&ack(kind, id));
        }
    }
}

#[test]
fn once_the_session_is_lost_ids_move_on() {
    let mut script = found(&options());
    answer(&mut script, &IDS);
    for round in 0..12 {
        let id = IDS[round % 8];
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
    for id in [11, 12, 14, 15] {
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

/// The messages of the session come at once, and their answers wait.
#[test]
fn messages_that_come_while_ids_are_released_are_taken_and_answered_afterwards() {
    let mut script = found(&options());
    script.sent();
    script.hear_packet(message(9, QoS::ExactlyOnce));
    assert_eq!(script.told(), ["message t m q2"]);
    answer(&mut script, &IDS);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1", "PUBREC 9"]);
}

/// A client that stopped reading for lack of room would never read the PUBCOMPs that come behind. The connection ends
/// once the messages that were taken are complete.
#[test]
fn messages_without_room_are_passed_over_and_come_again() {
    let mut script = found(&options());
    script.sent();
    for id in 10..14 {
        script.hear_packet(message(id, QoS::ExactlyOnce));
    }
    assert_eq!(script.told().len(), 3, "one for each slot");
    assert_eq!(script.untaken(), 0);
    answer(&mut script, &IDS);
    assert_eq!(script.sent(), ["PUBLISH t 1 q2 1", "PUBREC 10", "PUBREC 11", "PUBREC 12"]);
    for id in 10..13 {
        script.hear(&ack(PUBREL, id));
    }
    let sent = script.sent();
    assert_eq!(sent[..4], ["PUBCOMP 10", "PUBCOMP 11", "PUBCOMP 12", "DISCONNECT"]);
    let told = script.told();
    assert_eq!(told, ["down: messages were passed over", "connecting 0"], "at once");
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent().last().unwrap(), "PUBLISH t 1 q2 1 dup");
}

/// Nine messages of QoS 1: eight answers wait for their turn, and no ninth finds room.
#[test]
fn a_message_whose_answer_finds_no_room_is_passed_over() {
    let mut script = found(&options());
    script.sent();
    let filling = vec![0; script.client.outbox_free() - 8];
    publish(&mut script, &filling, QoS::AtLeastOnce);
    for id in 10..19 {
        script.hear_packet(message(id, QoS::AtLeastOnce));
    }
    assert_eq!(script.told().len(), 8);
    answer(&mut script, &IDS);
    let answers: Vec<String> = (10..18).map(|id| format!("PUBACK {id}")).collect();
    let sent = script.sent();
    assert_eq!(sent, [&answers[..], &["DISCONNECT".to_string(), "CONNECT V311 c".into()]].concat());
    assert_eq!(script.told(), ["down: messages were passed over", "connecting 0"]);
}

/// The PUBREL comes again on the next connection, so this one does not wait for it. The id is forgotten also after a
/// power cut, so the next message under it is not taken for a repetition.
#[test]
fn a_release_whose_answer_finds_no_room_is_passed_over() {
    let options = options().journal(true);
    let mut script = found(&options);
    script.sent();
    script.hear_packet(message(9, QoS::ExactlyOnce));
    let filling = vec![0; script.client.outbox_free() - 8];
    publish(&mut script, &filling, QoS::AtLeastOnce);
    for id in 10..18 {
        script.hear_packet(message(id, QoS::AtLeastOnce));
    }
    script.hear(&ack(PUBREL, 9));
    answer(&mut script, &IDS);
    assert_eq!(script.told().last().unwrap(), "connecting 0");
    assert!(!script.sent().contains(&"PUBCOMP 9".to_owned()));
    script.hear(ACCEPTED_SESSION_PRESENT);
    script.hear(&ack(PUBREL, 9));
    assert!(script.sent().contains(&"PUBCOMP 9".to_owned()));
    let mut again = Script::sized(&options, 256, 3);
    for record in &script.records {
        again.client.restore(record).unwrap();
    }
    again.run();
    again.hear(ACCEPTED_SESSION_PRESENT);
    again.told();
    again.hear_packet(message(9, QoS::ExactlyOnce));
    assert_eq!(again.told(), ["message t m q2"]);
}

#[test]
fn a_connection_to_a_broker_that_does_not_answer_ends_in_time() {
    let mut script = found(&options().ping_timeout(5_000).keep_alive(0));
    let until = script.run();
    assert_eq!(until.millis_since(script.now()), 5_000);
    script.later(5_000);
    script.run();
    assert_eq!(script.told()[0], format!("down: {}", Fatal::PingTimeout));
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
    assert_eq!(again.sent(), ["PUBLISH t 1 q2 1 dup"]);
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

/// The rest of a PINGREQ that was sent in part goes before anything else.
#[test]
fn a_ping_that_the_last_answer_interrupts_is_sent_in_full() {
    let mut script = found(&options().keep_alive(2));
    script.sent();
    script.later(1_500);
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Transmit([0xC0, 0])));
    script.client.transmitted(1, now);
    for id in 1..4 {
        let bytes = ack(PUBCOMP, id);
        let mut input = &bytes[..];
        assert_eq!(script.client.receive(&mut input, now), Ok(None));
    }
    assert_eq!(script.client.poll(now), Action::Transmit(&[0]));
}

/// [MQTT-3.12.4-1]
#[test]
fn a_ping_that_goes_out_after_the_last_answer_is_judged() {
    let mut script = found(&options().keep_alive(2).ping_timeout(4_000));
    script.sent();
    script.later(1_500);
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Transmit([0xC0, 0])));
    script.client.transmitted(1, now);
    let answers = IDS.map(|id| ack(PUBCOMP, id)).concat();
    script.hear(&answers);
    script.told();
    script.later(4_000);
    script.run();
    assert_eq!(script.told()[0], format!("down: {}", Fatal::PingTimeout));
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

/// Otherwise the message that comes again would come behind a later one.
#[test]
fn messages_behind_one_that_is_passed_over_are_passed_over() {
    let mut script = found(&options());
    script.sent();
    for id in 10..14 {
        script.hear_packet(message(id, QoS::ExactlyOnce));
    }
    script.hear_packet(message(14, QoS::AtLeastOnce));
    assert_eq!(script.told().len(), 3);
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
    script.cut();
    script.later(1_000_000);
    script.run();
    script.sent();
    script.told();
    script.hear(ACCEPTED_SESSION_PRESENT);
    answer(&mut script, &IDS);
    assert_eq!(script.told(), ["up Found V311", "lost 1"]);
    assert_eq!(script.sent()[IDS.len()..], ["PUBLISH t 2 q1 11"]);
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
}
