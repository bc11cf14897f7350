//! Several separate brokers: a session belongs to the broker that it was made with [MQTT-3.1.2-4].

use mqtt_core::{
    ConfigError, Event, Message, Options, PacketId, Protocol, Publish, QoS, Reconnect, Slot,
    StaticClient, Version, codec::Packet, filter, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, PUBREL, ack, suback},
};

/// The brokers take turns: 0, 1, 0, 1.
fn options() -> Options<'static> {
    Options::new("c").clean_session(false).reconnect(Reconnect::after(1).endpoints(2))
}

/// A client that broker 0 has accepted.
fn at_0(options: &Options<'_>) -> Script {
    let mut script = Script::sized(options, 512, 3);
    script.accept(ACCEPTED);
    script
}

fn publish(script: &mut Script, payload: &str, qos: QoS) {
    let publish = Publish::new(topic!("t"), payload.as_bytes()).qos(qos);
    let _ = script.client.publish(&publish).unwrap();
    script.run();
}

fn message(id: u16, dup: bool) -> Packet<'static> {
    let publish = Publish::new(topic!("t"), b"m").qos(QoS::ExactlyOnce);
    Packet::Publish(Publish { id: PacketId::new(id), dup, ..publish })
}

/// The events, without those that say that an attempt begins.
fn told(script: &mut Script) -> Vec<String> {
    script.told().into_iter().filter(|event| !event.starts_with("connecting")).collect()
}

fn is_message(told: &[String]) -> bool {
    told.iter().any(|event| event.starts_with("message t m q2"))
}

/// The message 1 of broker 1 was taken and not released. The message 1 of broker 0 is another one.
#[test]
fn an_id_of_one_broker_is_not_a_repetition_at_another() {
    let mut script = at_0(&options());
    script.reconnect(ACCEPTED);
    script.hear_packet(message(1, false));
    assert!(is_message(&script.told()));
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    script.told();
    script.hear_packet(message(1, false));
    assert!(is_message(&script.told()));
}

/// Broker 1 has received the publish and waits for its PUBREL. A PUBCOMP of broker 0 would prove nothing.
#[test]
fn a_qos_2_publish_under_way_at_another_broker_is_lost() {
    for answered in [false, true] {
        let mut script = at_0(&options());
        script.reconnect(ACCEPTED);
        publish(&mut script, "x", QoS::ExactlyOnce);
        if answered {
            script.hear(&ack(PUBREC, 1));
        }
        assert!(script.reconnect(ACCEPTED_SESSION_PRESENT).is_empty(), "nothing for broker 0");
        assert_eq!(told(&mut script), ["up Resumed V311", "lost 1"]);
    }
}

/// At least once: at which broker, nobody can say.
#[test]
fn a_qos_1_publish_is_sent_to_the_next_broker_as_new() {
    let mut script = at_0(&options());
    publish(&mut script, "x", QoS::AtLeastOnce);
    assert_eq!(script.reconnect(ACCEPTED), ["PUBLISH t x q1 1"]);
    script.hear(&ack(PUBACK, 1));
    assert_eq!(told(&mut script), ["up New V311 at 1", "published 1"]);
}

#[test]
fn a_qos_2_publish_that_was_not_sent_goes_to_the_next_broker() {
    let mut script = at_0(&options());
    script.cut();
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::ExactlyOnce);
    let _ = script.client.publish(&publish).unwrap();
    script.later(1_000_000);
    script.run();
    script.sent();
    script.hear(ACCEPTED);
    assert_eq!(script.sent(), ["PUBLISH t x q2 1"]);
}

/// The CONNACK decides: an attempt at another broker that fails changes nothing.
#[test]
fn a_broker_that_does_not_accept_is_no_change() {
    let mut script = at_0(&options());
    publish(&mut script, "x", QoS::ExactlyOnce);
    script.hear(&ack(PUBREC, 1));
    script.cut();
    for _ in 0..3 {
        // Broker 1 closes the connection, or refuses it.
        script.later(1_000_000);
        script.run();
        script.cut();
        script.later(1_000_000);
        script.run();
        script.sent();
        script.hear(ACCEPTED_SESSION_PRESENT);
        assert_eq!(script.sent(), ["PUBREL 1"]);
        script.cut();
    }
}

/// Each broker keeps its session, so its messages wait there and arrive once.
#[test]
fn a_message_that_was_taken_at_a_broker_is_not_taken_again_on_the_return() {
    let mut script = at_0(&options());
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.hear_packet(message(2, false));
    script.told();
    assert!(script.reconnect(ACCEPTED_SESSION_PRESENT).is_empty());
    script.told();
    script.hear_packet(message(1, true));
    script.hear_packet(message(2, false));
    assert_eq!(script.sent(), ["PUBREC 1", "PUBREC 2"]);
    assert_eq!(script.told(), ["message t m q2"], "only the second one");
    script.hear(&ack(PUBREL, 1));
    script.hear_packet(message(1, false));
    assert_eq!(script.told(), ["message t m q2"], "a new one");
}

#[test]
fn a_session_that_a_broker_lost_meanwhile_takes_its_ids_with_it() {
    let mut script = at_0(&options());
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    assert!(script.told().contains(&"up Lost V311".to_owned()));
    script.hear_packet(message(1, false));
    assert!(is_message(&script.told()), "it is new at broker 0");
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    script.told();
    script.hear_packet(message(1, true));
    assert!(script.told().is_empty(), "it was taken at broker 1");
}

/// Broker 0 may hold the id of the publish that was under way when the client left.
#[test]
fn ids_are_reclaimed_at_a_broker_that_was_left_with_a_publish_under_way() {
    let mut script = at_0(&options());
    publish(&mut script, "x", QoS::ExactlyOnce);
    script.reconnect(ACCEPTED);
    publish(&mut script, "y", QoS::ExactlyOnce);
    let sent = script.sent();
    assert_eq!(sent.len(), 1, "broker 1 holds none: {sent:?}");
    script.hear(&ack(PUBREC, 2));
    script.hear(&ack(PUBCOMP, 2));
    assert!(script.reconnect(ACCEPTED_SESSION_PRESENT).is_empty(), "not before it is needed");
    publish(&mut script, "z", QoS::ExactlyOnce);
    let sent = script.sent();
    assert!(sent.contains(&"PUBREL 1".to_owned()), "{sent:?}");
    assert!(sent.iter().all(|packet| packet.starts_with("PUBREL ")), "{sent:?}");
}

#[test]
fn nothing_is_reclaimed_at_a_broker_that_was_left_with_nothing_under_way() {
    let mut script = at_0(&options());
    publish(&mut script, "x", QoS::ExactlyOnce);
    script.hear(&ack(PUBREC, 1));
    script.hear(&ack(PUBCOMP, 1));
    script.reconnect(ACCEPTED);
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    publish(&mut script, "y", QoS::ExactlyOnce);
    assert_eq!(script.sent(), ["PUBLISH t y q2 2"]);
}

#[test]
fn subscriptions_are_made_where_they_are_missing_and_only_there() {
    let mut script = at_0(&options());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[0]));
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:0"]);
    script.hear(&suback(65_535, &[0]));
    assert!(script.reconnect(ACCEPTED_SESSION_PRESENT).is_empty(), "broker 0 has it");
    let _ = script.client.subscribe(&[(filter!("b"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.sent();
    script.hear(&suback(2, &[0]));
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["SUBSCRIBE 65535 a:0 b:0"]);
}

/// It was cut off there.
#[test]
fn a_renewal_that_was_not_answered_is_made_on_the_return() {
    let mut script = at_0(&options());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[0]));
    script.reconnect(ACCEPTED);
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["SUBSCRIBE 65535 a:0"]);
}

#[test]
fn up_and_down_name_the_broker() {
    let mut script = at_0(&options());
    script.reconnect(ACCEPTED);
    script.cut();
    assert_eq!(told(&mut script), ["up New V311 at 1", "down at 1: the transport closed"]);
}

/// The nodes share the session.
#[test]
fn in_a_cluster_the_session_goes_on_at_another_node() {
    let mut script = at_0(&options().cluster(true));
    publish(&mut script, "x", QoS::ExactlyOnce);
    script.hear(&ack(PUBREC, 1));
    script.hear_packet(message(1, false));
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBREL 1"]);
    script.hear(&ack(PUBCOMP, 1));
    script.hear_packet(message(1, true));
    assert_eq!(told(&mut script), ["up Resumed V311 at 1", "published 1"]);
}

/// 3.1 does not say whether there is a session.
#[test]
fn in_3_1_the_session_of_each_broker_is_expected_where_it_was_made() {
    let mut script = at_0(&options().version(Version::V31));
    script.reconnect(ACCEPTED);
    assert_eq!(told(&mut script), ["up New V31 at 1"]);
    script.reconnect(ACCEPTED);
    assert_eq!(told(&mut script), ["up Resumed V31"]);
}

/// One slot: the id of the absent broker gives way. Its session is ended before it could deliver the message twice.
#[test]
fn a_broker_whose_ids_were_forgotten_loses_its_session() {
    let mut script = Script::sized(&options(), 512, 1);
    script.accept(ACCEPTED);
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.told();
    script.hear_packet(message(7, false));
    assert!(is_message(&script.told()));
    assert_eq!(script.sent(), ["PUBREC 7"]);
    script.hear(&ack(PUBREL, 7));
    script.cut();
    script.sent();
    script.told();
    script.later(1_000_000);
    script.run();
    assert_eq!(script.sent(), ["CONNECT V311 c clean"]);
    script.hear(ACCEPTED);
    assert_eq!(script.sent(), ["DISCONNECT", "CONNECT V311 c"]);
    assert_eq!(
        script.told(),
        ["connecting 0", "down: the session was ended to begin a new one", "connecting 0"],
        "at once, and at the same broker"
    );
    script.hear(ACCEPTED);
    assert_eq!(told(&mut script), ["up New V311"]);
}

/// 3.1: broker 0 lost its session unseen, and the id of it that the client still had is no reason to end the new one.
#[test]
fn an_id_of_a_session_that_a_broker_lost_unseen_takes_no_place_at_the_next_broker() {
    let mut script = Script::sized(&options().version(Version::V31), 512, 2);
    script.accept(ACCEPTED);
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.reconnect(ACCEPTED);
    script.hear_packet(message(7, false));
    script.hear(&ack(PUBREL, 7));
    script.reconnect(ACCEPTED);
    script.hear_packet(message(1, false));
    script.hear_packet(message(2, false));
    script.cut();
    script.sent();
    script.later(1_000_000);
    script.run();
    assert_eq!(script.sent(), ["CONNECT V31 c"], "both ids of broker 1 had a place");
}

/// The broker kept the session, and the connection broke between two messages that it sent again. The first of them was
/// new to the client.
#[test]
fn a_message_sent_again_says_nothing_against_those_that_come_behind_it() {
    let options = Options::new("c").clean_session(false).version(Version::V31);
    let mut script = at_0(&options);
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.hear_packet(message(2, true));
    script.reconnect(ACCEPTED);
    script.told();
    script.hear_packet(message(1, true));
    assert!(!is_message(&script.told()));
}

#[test]
fn a_session_that_could_not_be_ended_is_ended_the_next_time() {
    let mut script = Script::sized(&options(), 512, 1);
    script.accept(ACCEPTED);
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.hear_packet(message(7, false));
    for _ in 0..3 {
        script.cut();
        script.sent();
        script.later(1_000_000);
        script.run();
        assert_eq!(script.sent(), ["CONNECT V311 c clean"]);
        // Broker 0 breaks the connection, and broker 1 accepts the next one.
        assert!(script.reconnect(ACCEPTED_SESSION_PRESENT).is_empty());
    }
}

/// 3.1 does not say whether there is a session, but the client has just ended it.
#[test]
fn nothing_is_reclaimed_in_3_1_where_the_session_was_just_ended() {
    let mut script = Script::sized(&options().version(Version::V31), 512, 1);
    script.accept(ACCEPTED);
    script.hear_packet(message(1, false));
    script.reconnect(ACCEPTED);
    script.hear_packet(message(7, false));
    script.hear(&ack(PUBREL, 7));
    script.reconnect(ACCEPTED);
    script.hear(ACCEPTED);
    assert!(told(&mut script).contains(&"up New V31".to_owned()));
    publish(&mut script, "x", QoS::ExactlyOnce);
    assert_eq!(script.sent().last().unwrap(), "PUBLISH t x q2 1");
}

/// With a clean session nothing has to be remembered, and the nodes of a cluster are one broker.
#[test]
fn sessions_are_possible_at_eight_separate_brokers() {
    let with = |brokers, clean, cluster| {
        let reconnect = Reconnect::after(1).endpoints(brokers);
        let options = Options::new("c").clean_session(clean).cluster(cluster).reconnect(reconnect);
        StaticClient::<128, 1>::new(&options, [0; 128], [Slot::EMPTY; 1]).map(|_| ())
    };
    assert_eq!(with(8, false, false), Ok(()));
    assert_eq!(with(9, false, false), Err(ConfigError::Brokers { count: 9, most: 8 }));
    assert_eq!(with(255, true, false), Ok(()));
    assert_eq!(with(255, false, true), Ok(()));
}

/// All that is known of both brokers survives.
#[test]
fn a_power_cut_changes_nothing() {
    let options = options().journal(true);
    let mut script = at_0(&options);
    script.hear_packet(message(1, false));
    publish(&mut script, "x", QoS::ExactlyOnce);
    script.reconnect(ACCEPTED);
    script.hear_packet(message(2, false));
    publish(&mut script, "y", QoS::ExactlyOnce);
    script.hear(&ack(PUBREC, 2));
    script.run();
    let mut again = Script::sized(&options, 512, 3);
    for record in &script.records {
        again.client.restore(record).unwrap();
    }
    again.run();
    again.sent();
    again.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(told(&mut again), ["up Resumed V311", "lost 2"]);
    again.hear_packet(message(1, true));
    again.hear_packet(message(2, false));
    assert_eq!(again.told(), ["message t m q2"]);
    publish(&mut again, "z", QoS::ExactlyOnce);
    assert!(again.sent().contains(&"PUBREL 1".to_owned()), "broker 0 may hold it");
    again.reconnect(ACCEPTED_SESSION_PRESENT);
    again.told();
    again.hear_packet(message(2, true));
    assert!(again.told().is_empty(), "it was taken at broker 1");
}

/// Mosquitto forgets shared subscriptions when it restarts, and keeps the session.
#[test]
fn subscriptions_can_be_made_again_on_each_connection() {
    let mut script = at_0(&Options::new("c").clean_session(false).renew_on_each_connection(true));
    let _ = script.client.subscribe(&[(filter!("$share/g/a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[0]));
    for _ in 0..2 {
        let sent = script.reconnect(ACCEPTED_SESSION_PRESENT);
        assert_eq!(sent, ["SUBSCRIBE 65535 $share/g/a:0"]);
        script.hear(&suback(65_535, &[0]));
    }
}

/// For those who prefer a double to a loss.
#[test]
fn a_qos_2_publish_whose_session_is_lost_can_be_sent_again() {
    let mut script = at_0(&Options::new("c").clean_session(false).resend_lost(true));
    publish(&mut script, "x", QoS::ExactlyOnce);
    publish(&mut script, "y", QoS::ExactlyOnce);
    script.hear(&ack(PUBREC, 1));
    script.sent();
    assert_eq!(script.reconnect(ACCEPTED), ["PUBLISH t y q2 2"]);
    assert_eq!(told(&mut script), ["up Lost V311", "lost 1"], "the broker had it already");
}

/// A record marks such messages. The marks do not outlive it.
#[test]
fn a_message_acknowledged_late_is_remembered_for_its_own_broker() {
    let options = options().journal(true).manual_acknowledge(true);
    let mut script = Script::sized(&options, 512, 3);
    script.accept(ACCEPTED);
    let (now, bytes) = (script.now(), test_kit::wire::encoded(message(1, false), Protocol::V311));
    let mut input = &bytes[..];
    let event = script.client.receive(&mut input, now).unwrap();
    let Some(Event::Message(Message { delivery: Some(delivery), .. })) = event else { panic!() };
    script.client.compact();
    script.run();
    script.client.acknowledge(delivery).unwrap();
    script.run();
    script.reconnect(ACCEPTED);
    let mut again = Script::sized(&options, 512, 3);
    for record in &script.records {
        again.client.restore(record).unwrap();
    }
    for script in [&mut script, &mut again] {
        script.cut();
        script.later(1_000_000);
        script.run();
        script.hear(ACCEPTED_SESSION_PRESENT);
        script.told();
        script.hear_packet(message(1, true));
        assert!(script.told().is_empty());
    }
}

/// Both close the connection at a PUBREL that they do not know. Each is given three chances.
#[test]
fn chances_to_reclaim_ids_are_counted_for_each_broker() {
    let mut script = at_0(&options());
    publish(&mut script, "x", QoS::ExactlyOnce);
    script.reconnect(ACCEPTED);
    publish(&mut script, "y", QoS::ExactlyOnce);
    script.cut();
    publish(&mut script, "z", QoS::ExactlyOnce);
    let mut connections = 0;
    while !script.sent().iter().any(|packet| packet.starts_with("PUBLISH t z")) {
        connections += 1;
        assert!(connections < 9, "{:?}", script.told());
        script.cut();
        script.later(1_000_000);
        script.run();
        script.hear(ACCEPTED_SESSION_PRESENT);
    }
    assert!(script.told().contains(&"not reclaimed".to_owned()));
}
