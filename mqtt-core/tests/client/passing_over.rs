//! QoS 2 messages beyond the window: the client passes them over, ends the connection once the taken ones are complete,
//! and gets them on the next connection.

use std::collections::VecDeque;

use mqtt_core::{
    Action, ConnectionState, Event, Fatal, Options, PacketId, Protocol, Publish, QoS, Reason,
    Reconnect, Version, codec::Packet, filter, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBREC, PUBREL, ack, encoded, suback},
};

fn kept() -> Options<'static> {
    Options::new("me").clean_session(false)
}

/// A message whose payload is its packet id.
fn message(script: &mut Script, id: u16, qos: QoS, dup: bool) {
    let payload = id.to_string();
    let id = PacketId::new(id).filter(|_| qos != QoS::AtMostOnce);
    let publish = Publish { id, dup, ..Publish::new(topic!("t"), payload.as_bytes()).qos(qos) };
    script.hear_packet(Packet::Publish(publish));
}

/// A client with two slots that has taken the QoS 2 messages 1 and 2 and passed over 3.
fn passing_over(options: &Options<'_>) -> Script {
    let mut script = Script::sized(options, 512, 2);
    script.accept(ACCEPTED);
    for id in 1..=3 {
        message(&mut script, id, QoS::ExactlyOnce, false);
    }
    assert_eq!(script.told(), ["message t 1 q2", "message t 2 q2"]);
    assert_eq!(script.sent(), ["PUBREC 1", "PUBREC 2"]);
    script
}

/// [MQTT-4.8.0-2] as a delayed close: the DISCONNECT spares the will.
#[test]
fn a_message_without_a_slot_is_passed_over_and_taken_on_the_next_connection() {
    let mut script = passing_over(&kept());
    assert_eq!(script.client.counters().passed_over, 1);
    script.hear(&ack(PUBREL, 1));
    assert_eq!(script.sent(), ["PUBCOMP 1"], "2 is not complete");
    script.hear(&ack(PUBREL, 2));
    assert_eq!(script.sent()[..2], ["PUBCOMP 2", "DISCONNECT"]);
    assert_eq!(script.told(), ["down: messages were passed over", "connecting 0"], "at once");
    assert_eq!(script.fatal(), None);
    script.hear(ACCEPTED_SESSION_PRESENT);
    script.told();
    message(&mut script, 3, QoS::ExactlyOnce, true);
    assert_eq!(script.told(), ["message t 3 q2 dup"]);
    assert_eq!(script.sent().last().unwrap(), "PUBREC 3");
}

/// It sends three retained messages anew on each connection, against two slots.
#[test]
fn a_broker_that_keeps_no_session_is_not_connected_to_again_for_ever() {
    let mut script = Script::sized(&kept(), 512, 2);
    script.accept(ACCEPTED);
    let _ = script.client.subscribe(&[(filter!("t"), QoS::ExactlyOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[2]));
    for connection in 1..=3 {
        script.told();
        for id in 1..=3 {
            message(&mut script, id, QoS::ExactlyOnce, false);
        }
        if connection == 3 {
            break;
        }
        script.hear(&[ack(PUBREL, 1), ack(PUBREL, 2)].concat());
        assert!(script.told().contains(&"down: messages were passed over".to_string()));
        script.hear(ACCEPTED);
        script.hear(&suback(65535, &[2]));
    }
    assert_eq!(script.told().last().unwrap(), "skipped t 8 q2 3: no slot");
    script.hear(&[ack(PUBREL, 1), ack(PUBREL, 2), ack(PUBREL, 3)].concat());
    assert_eq!(script.client.state(), ConnectionState::Up);
}

/// DUP shows that it keeps the session.
#[test]
fn a_broker_that_denies_the_session_that_it_keeps_may_be_passed_over_again() {
    let mut script = Script::sized(&kept(), 512, 2);
    script.accept(ACCEPTED);
    for first in [1, 3, 5] {
        for id in first..=first + 2 {
            message(&mut script, id, QoS::ExactlyOnce, id == first && first != 1);
        }
        script.hear(&[ack(PUBREL, first), ack(PUBREL, first + 1)].concat());
        let told = script.told();
        assert!(told.contains(&"down: messages were passed over".to_string()), "{told:?}");
        script.hear(ACCEPTED);
        script.told();
    }
}

/// Otherwise a message that comes again would come behind a later one.
#[test]
fn every_later_message_above_qos_0_is_passed_over() {
    let mut script = passing_over(&kept());
    script.hear(&ack(PUBREL, 1));
    script.sent();
    message(&mut script, 4, QoS::AtLeastOnce, false);
    message(&mut script, 5, QoS::ExactlyOnce, false);
    message(&mut script, 6, QoS::AtMostOnce, false);
    assert_eq!(script.told(), ["message t 6 q0"]);
    assert!(script.sent().is_empty());
    assert_eq!(script.client.counters().passed_over, 3);
}

/// [MQTT-4.3.3-2]
#[test]
fn repetitions_of_taken_messages_are_answered_while_others_are_passed_over() {
    let mut script = passing_over(&kept());
    message(&mut script, 2, QoS::ExactlyOnce, true);
    assert_eq!(script.sent(), ["PUBREC 2"]);
    assert!(script.told().is_empty());
}

/// A broker with 20 messages in flight against four slots, which sends again what was not answered.
#[test]
fn twenty_messages_against_four_slots_come_once_and_in_order() {
    let options = kept().reconnect(Reconnect::after(600_000));
    let mut script = Script::sized(&options, 512, 4);
    script.run();
    let mut waiting: VecDeque<u16> = (1..=20).collect();
    let mut told = Vec::new();
    for connection in 1..=5 {
        assert!(script.is_open(), "at once, without a back-off");
        script.hear(if connection == 1 { ACCEPTED } else { ACCEPTED_SESSION_PRESENT });
        for id in waiting.clone() {
            message(&mut script, id, QoS::ExactlyOnce, connection > 1);
        }
        let sent = script.sent();
        let received = sent.iter().filter_map(|line| line.strip_prefix("PUBREC "));
        let received: Vec<u16> = received.map(|id| id.parse().unwrap()).collect();
        waiting.retain(|id| !received.contains(id));
        for id in received {
            script.hear(&ack(PUBREL, id));
        }
        let lines = script.told();
        let messages = lines.iter().filter_map(|line| line.strip_prefix("message t "));
        told.extend(messages.map(|line| line.split(' ').next().unwrap().to_owned()));
    }
    let all: Vec<String> = (1..=20).map(|id: u16| id.to_string()).collect();
    assert_eq!(told, all);
    assert_eq!(script.client.state(), ConnectionState::Up, "nothing was left on the last one");
    assert_eq!(script.client.counters().connections, 5);
}

/// With several brokers, the messages are at this one.
#[test]
fn the_next_connection_goes_to_the_same_broker() {
    let mut script = passing_over(&kept().reconnect(Reconnect::after(1_000).endpoints(3)));
    script.hear(&[ack(PUBREL, 1), ack(PUBREL, 2)].concat());
    assert_eq!(script.told(), ["down: messages were passed over", "connecting 0"]);
}

#[test]
fn a_disconnect_while_messages_are_passed_over_is_the_last_word() {
    let mut script = passing_over(&kept());
    script.client.disconnect();
    script.run();
    assert_eq!(script.sent(), ["DISCONNECT"]);
    assert_eq!(script.told(), ["down: disconnected on request"]);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

/// The DISCONNECT has begun, and then the application asks for the end.
#[test]
fn a_disconnect_during_the_delayed_close_keeps_the_client_offline() {
    let mut script = passing_over(&kept());
    let now = script.now();
    let mut input = &[ack(PUBREL, 1), ack(PUBREL, 2)].concat()[..];
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    let _ = script.client.poll(now);
    assert_eq!(script.client.state(), ConnectionState::Closing);
    script.client.disconnect();
    script.run();
    assert_eq!(script.told(), ["down: disconnected on request"]);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

/// As for a DISCONNECT on request: a transport that takes no bytes delays the end by `connect_timeout`.
#[test]
fn a_delayed_close_that_the_transport_does_not_take_ends_in_time_and_the_client_connects_again() {
    let mut script = passing_over(&kept());
    let mut now = script.now();
    let mut input = &[ack(PUBREL, 1), ack(PUBREL, 2)].concat()[..];
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    for _ in 0..2 {
        assert!(matches!(script.client.poll(now), Action::Transmit(_)));
    }
    script.later(20_000);
    now = script.now();
    assert_eq!(script.client.poll(now), Action::Close(Reason::PassedOver));
    script.client.closed(now);
    assert_eq!(script.client.poll(now), Action::Connect { endpoint: 0 });
}

/// Nothing would come again with a clean session.
#[test]
fn with_a_clean_session_a_message_without_a_slot_is_told_and_the_connection_goes_on() {
    let mut script = Script::sized(&Options::new("me"), 512, 2);
    script.accept(ACCEPTED);
    for id in 1..=3 {
        message(&mut script, id, QoS::ExactlyOnce, false);
    }
    message(&mut script, 4, QoS::AtLeastOnce, false);
    let told = script.told();
    assert_eq!(told[2..], ["skipped t 8 q2 3: no slot", "message t 4 q1"]);
    // [MQTT-4.5.0-2]
    assert_eq!(script.sent(), ["PUBREC 1", "PUBREC 2", "PUBREC 3", "PUBACK 4"]);
    script.hear(&ack(PUBREL, 3));
    assert_eq!(script.sent(), ["PUBCOMP 3"]);
    let counters = script.client.counters();
    assert_eq!((counters.skipped, counters.passed_over), (1, 0));
}

/// With manual acknowledgement the taken messages are complete only after the application has acknowledged them.
#[test]
fn the_connection_does_not_end_while_the_application_owes_an_acknowledgement() {
    let mut script = Script::sized(&kept().manual_acknowledge(true), 512, 2);
    script.accept(ACCEPTED);
    let now = script.now();
    let wire = |first, id| [first, 6, 0, 1, b't', 0, id, b'x'];
    let mut deliveries = Vec::new();
    let mut input = &[wire(0x32, 1), wire(0x34, 2)].concat()[..];
    while let Some(event) = script.client.receive(&mut input, now).unwrap() {
        if let Event::Message(message) = event {
            deliveries.extend(message.delivery);
        }
    }
    script.client.acknowledge(deliveries[0]).unwrap();
    script.run();
    let mut input = &wire(0x34, 3)[..];
    while let Some(event) = script.client.receive(&mut input, now).unwrap() {
        if let Event::Message(message) = event {
            deliveries.extend(message.delivery);
        }
    }
    message(&mut script, 4, QoS::ExactlyOnce, false);
    script.client.acknowledge(deliveries[1]).unwrap();
    script.run();
    script.hear(&ack(PUBREL, 2));
    assert_eq!(script.sent(), ["PUBACK 1", "PUBREC 2", "PUBCOMP 2"]);
    script.client.acknowledge(deliveries[2]).unwrap();
    script.run();
    script.hear(&ack(PUBREL, 3));
    assert_eq!(script.sent()[..3], ["PUBREC 3", "PUBCOMP 3", "DISCONNECT"]);
}

/// A 3.1 client with one slot and one subscription, which has passed a message over and connects again.
fn passed_over_in_3_1() -> Script {
    // A connection that is stable at once says nothing about messages that are on their way.
    let reconnect = Reconnect::after(1_000).stable_after(1);
    let options = kept().version(Version::V31).exactly_once_window(0).keep_alive(0);
    let options = options.reconnect(reconnect).ping_timeout(20_000);
    let mut script = Script::sized(&options, 512, 1);
    script.accept(ACCEPTED);
    let _ = script.client.subscribe(&[(filter!("t"), QoS::ExactlyOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[2]));
    for id in 1..=2 {
        message(&mut script, id, QoS::ExactlyOnce, false);
    }
    script.sent();
    script.hear(&ack(PUBREL, 1));
    script.hear(ACCEPTED);
    script.told();
    let sent = script.sent();
    assert!(sent[2].starts_with("CONNECT") && sent.len() == 3, "no renewal: {sent:?}");
    script
}

/// Each renewal would bring all retained messages again, maybe more than the client takes on one connection.
#[test]
fn in_3_1_a_connection_for_the_messages_that_were_passed_over_renews_no_subscriptions() {
    let mut script = passed_over_in_3_1();
    message(&mut script, 2, QoS::ExactlyOnce, true);
    script.later(1_000_000);
    script.run();
    assert_eq!(script.told(), ["message t 2 q2 dup"]);
    assert_eq!(script.sent(), ["PUBREC 2"]);
}

#[test]
fn in_3_1_subscriptions_are_renewed_if_the_messages_that_were_passed_over_do_not_come() {
    let mut script = passed_over_in_3_1();
    script.later(30_000);
    script.run();
    assert_eq!(script.told(), ["down: messages were passed over", "connecting 0"]);
    script.hear(ACCEPTED);
    assert_eq!(script.sent().last().unwrap(), "SUBSCRIBE 65535 t:2");
}

/// The link is slow, and half of the first message is there.
#[test]
fn in_3_1_the_messages_that_were_passed_over_have_the_time_of_a_pingresp_to_come() {
    let mut script = passed_over_in_3_1();
    script.later(19_999);
    script.run();
    let publish = Publish::new(topic!("t"), b"2").qos(QoS::ExactlyOnce);
    let again = Publish { id: PacketId::new(2), dup: true, ..publish };
    let again = encoded(Packet::Publish(again), Protocol::V31);
    let (half, rest) = again.split_at(again.len() / 2);
    script.hear(half);
    script.later(19_999);
    script.run();
    script.hear(rest);
    assert_eq!(script.told(), ["message t 2 q2 dup"]);
    assert_eq!(script.sent(), ["PUBREC 2"]);
}

/// New messages belong to a new subscription, and do not show that the broker kept the others.
#[test]
fn in_3_1_only_messages_that_come_again_show_that_the_session_was_kept() {
    let mut script = passed_over_in_3_1();
    let _ = script.client.subscribe(&[(filter!("u"), QoS::ExactlyOnce)]).unwrap();
    script.run();
    script.hear(&suback(2, &[2]));
    message(&mut script, 2, QoS::AtLeastOnce, false);
    script.later(30_000);
    script.run();
    script.hear(ACCEPTED);
    assert_eq!(script.sent().last().unwrap(), "SUBSCRIBE 65535 t:2 u:2");
}

#[test]
fn in_3_1_a_pass_over_of_new_messages_alone_does_not_show_it_either() {
    let mut script = passed_over_in_3_1();
    let _ = script.client.subscribe(&[(filter!("u"), QoS::ExactlyOnce)]).unwrap();
    script.run();
    script.hear(&suback(2, &[2]));
    for id in 2..=3 {
        message(&mut script, id, QoS::ExactlyOnce, false);
    }
    script.hear(&ack(PUBREL, 2));
    script.hear(ACCEPTED);
    assert_eq!(script.sent().last().unwrap(), "SUBSCRIBE 65535 t:2 u:2");
}

/// The requests that wait go out on the next connection.
#[test]
fn a_pubrel_of_no_request_takes_no_waiting_request_with_it() {
    let mut script = passing_over(&kept());
    script.hear(&ack(PUBREL, 1));
    script.sent();
    let now = script.now();
    assert_eq!(script.client.receive(&mut &ack(PUBREL, 2)[..], now), Ok(None));
    let _ = script.client.publish(&Publish::new(topic!("t"), b"new")).unwrap();
    assert_eq!(script.client.receive(&mut &ack(PUBREC, 9)[..], now), Ok(None));
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    let sent = script.sent();
    let at = |packet| sent.iter().position(|sent| sent.starts_with(packet)).expect(packet);
    assert!(at("PUBREL 9") < at("DISCONNECT"), "{sent:?}");
    assert!(at("DISCONNECT") < at("PUBLISH t new"), "{sent:?}");
}

/// Otherwise each connection would begin the renewal anew.
#[test]
fn the_connection_does_not_end_before_the_renewal_is_answered() {
    let options = kept().exactly_once_window(0).filters_per_subscribe(1);
    let mut script = Script::sized(&options, 512, 1);
    script.accept(ACCEPTED);
    for (id, filter) in [(1, filter!("a")), (2, filter!("b"))] {
        let _ = script.client.subscribe(&[(filter, QoS::ExactlyOnce)]).unwrap();
        script.run();
        script.hear(&suback(id, &[2]));
    }
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:2"]);
    for id in 1..=2 {
        message(&mut script, id, QoS::ExactlyOnce, false);
    }
    script.hear(&ack(PUBREL, 1));
    assert_eq!(script.sent(), ["PUBREC 1", "PUBCOMP 1"]);
    script.hear(&suback(65535, &[2]));
    assert_eq!(script.sent(), ["SUBSCRIBE 65534 b:2"]);
    script.hear(&suback(65534, &[2]));
    assert_eq!(script.sent()[0], "DISCONNECT");
}

fn restored(options: &Options<'_>, records: &[Vec<u8>]) -> Script {
    let mut script = Script::sized(options, 512, 2);
    for record in records {
        script.client.restore(record).unwrap();
    }
    script
}

/// Invariant 2 over a power cut at any record: a passed over message leaves no trace.
#[test]
fn a_message_that_was_passed_over_is_taken_after_a_power_cut() {
    let options = kept().journal(true);
    let mut script = passing_over(&options);
    script.hear(&ack(PUBREL, 1));
    let mut again = restored(&options, &script.records);
    again.run();
    again.hear(ACCEPTED_SESSION_PRESENT);
    again.told();
    for (id, told) in [(2, vec![]), (3, vec!["message t 3 q2 dup"])] {
        message(&mut again, id, QoS::ExactlyOnce, true);
        assert_eq!(again.told(), told, "{id}");
    }
}

mod a_broker_that_never_releases {
    use super::*;

    fn options() -> Options<'static> {
        kept().keep_alive(0).answer_timeout(60_000)
    }

    #[test]
    fn ends_the_connection_after_the_time_for_an_answer() {
        let mut script = passing_over(&options());
        script.later(59_999);
        assert_eq!(script.run().millis_since(script.now()), 1);
        script.hear(&ack(PUBREL, 2));
        script.later(59_999);
        script.run();
        assert!(script.is_open(), "each PUBREL starts the time again");
        script.later(1);
        script.run();
        let why = Fatal::NotReleased { id: PacketId::new(1).unwrap() };
        assert_eq!(script.told()[0], format!("down: {why}"));
    }

    #[test]
    fn is_not_noticed_if_the_time_is_off() {
        let mut script = passing_over(&options().answer_timeout(0));
        script.later(1_000_000_000);
        script.run();
        assert!(script.is_open());
    }

    /// The broker forgot its ids: it goes on to other messages without sending those again.
    #[test]
    fn makes_room_on_the_next_connection() {
        let mut script = passing_over(&options());
        script.later(60_000);
        script.run();
        script.later(1_000_000);
        script.accept(ACCEPTED_SESSION_PRESENT);
        for id in 3..=4 {
            message(&mut script, id, QoS::ExactlyOnce, true);
        }
        assert_eq!(script.told(), ["message t 3 q2 dup", "message t 4 q2 dup"]);
        assert_eq!(script.sent(), ["PUBREC 3", "PUBREC 4"]);
    }

    /// Exactly once: an id that the broker confirms stays known.
    #[test]
    fn keeps_the_ids_that_it_sends_again() {
        let mut script = passing_over(&options());
        script.later(60_000);
        script.run();
        script.later(1_000_000);
        script.accept(ACCEPTED_SESSION_PRESENT);
        message(&mut script, 1, QoS::ExactlyOnce, true);
        message(&mut script, 3, QoS::ExactlyOnce, true);
        message(&mut script, 4, QoS::ExactlyOnce, true);
        message(&mut script, 1, QoS::ExactlyOnce, true);
        assert_eq!(script.told(), ["message t 3 q2 dup"], "2 gave way to 3, 4 found no room");
    }

    #[test]
    fn can_be_helped_by_the_application() {
        let options = options().journal(true);
        let mut script = passing_over(&options);
        script.hear(&ack(PUBREL, 2));
        script.sent();
        script.client.forget_message(PacketId::new(1).unwrap()).unwrap();
        script.run();
        assert_eq!(script.sent()[..1], ["DISCONNECT"]);
        // It is forgotten for good.
        let mut again = restored(&options, &script.records);
        again.run();
        again.hear(ACCEPTED_SESSION_PRESENT);
        again.told();
        message(&mut again, 1, QoS::ExactlyOnce, false);
        assert_eq!(again.told(), ["message t 1 q2"]);
    }
}

/// Otherwise the broker would send more retained messages on each of these connections than the client can take.
#[test]
fn subscriptions_are_not_made_again_on_the_connection_behind_a_pass_over() {
    for version in [Version::V311, Version::V31] {
        no_renewal_behind_a_pass_over(version);
    }
}

fn no_renewal_behind_a_pass_over(version: Version) {
    let options = Options::new("c").version(version).clean_session(false);
    let mut script = Script::sized(&options.renew_on_each_connection(true), 256, 1);
    script.accept(ACCEPTED);
    let asked = script.client.subscribe(&[(filter!("a"), QoS::ExactlyOnce)]).unwrap();
    script.run();
    script.hear(&suback(asked.packet_id().unwrap().get(), &[2]));
    script.sent();
    for id in [1, 2] {
        let publish = Publish::new(topic!("a"), b"x").qos(QoS::ExactlyOnce);
        script.hear_packet(Packet::Publish(Publish { id: PacketId::new(id), ..publish }));
    }
    script.hear(&ack(PUBREL, 1));
    let present = if version == Version::V31 { ACCEPTED } else { ACCEPTED_SESSION_PRESENT };
    script.hear(present);
    let sent = script.sent();
    assert_eq!(sent[..3], ["PUBREC 1", "PUBCOMP 1", "DISCONNECT"]);
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert_eq!(script.reconnect(present), ["SUBSCRIBE 65535 a:2"]);
}
