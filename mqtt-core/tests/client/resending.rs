//! After a broken connection: which packets are sent again and in which order, and which are not.

use mqtt_core::{Options, Publish, QoS, Version, filter, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, ack},
};

fn persistent() -> Options<'static> {
    Options::new("me").clean_session(false)
}

fn publish(script: &mut Script, payload: &str, qos: QoS) {
    let _ = script.client.publish(&Publish::new(topic!("t"), payload.as_bytes()).qos(qos)).unwrap();
}

/// [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1]
#[test]
fn unanswered_publishes_are_sent_again_in_order_with_dup() {
    let mut script = Script::up(&persistent());
    for (payload, qos) in
        [("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce), ("3", QoS::AtLeastOnce)]
    {
        publish(&mut script, payload, qos);
    }
    script.run();
    script.sent();
    let again = script.reconnect(ACCEPTED_SESSION_PRESENT);
    assert_eq!(again, ["PUBLISH t 1 q1 1 dup", "PUBLISH t 2 q2 2 dup", "PUBLISH t 3 q1 3 dup"]);
    assert_eq!(script.client.counters().retransmissions, 3);
}

/// [MQTT-4.3.3-1]
#[test]
fn after_a_pubrec_only_the_pubrel_is_sent_again() {
    let mut script = Script::up(&persistent());
    publish(&mut script, "1", QoS::ExactlyOnce);
    script.run();
    script.hear(&ack(PUBREC, 1));
    for _ in 0..3 {
        assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBREL 1"]);
    }
    script.hear(&ack(PUBCOMP, 1));
    assert_eq!(script.told().last().unwrap(), "published 1");
}

/// [MQTT-4.6.0-4]
#[test]
fn pubrels_keep_the_order_of_the_pubrecs() {
    let mut script = Script::up(&persistent());
    for payload in ["1", "2", "3"] {
        publish(&mut script, payload, QoS::ExactlyOnce);
    }
    script.run();
    script.sent();
    for id in [2, 3, 1] {
        script.hear(&ack(PUBREC, id));
    }
    let order = ["PUBREL 2", "PUBREL 3", "PUBREL 1"];
    assert_eq!(script.sent(), order);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), order);
}

/// [MQTT-3.3.1-1]: DUP only if it was sent before.
#[test]
fn a_publish_that_was_never_sent_has_no_dup() {
    let mut script = Script::up(&persistent());
    publish(&mut script, "1", QoS::AtLeastOnce);
    script.run();
    script.sent();
    script.cut();
    publish(&mut script, "2", QoS::AtLeastOnce);
    let sent = script.reconnect(ACCEPTED_SESSION_PRESENT);
    assert_eq!(sent, ["PUBLISH t 1 q1 1 dup", "PUBLISH t 2 q1 2"]);
}

#[test]
fn a_publish_that_was_cut_in_the_middle_is_sent_again_from_its_start() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut script = Script::up(&persistent());
        publish(&mut script, "12345", qos);
        assert!(matches!(script.client.poll(script.now()), mqtt_core::Action::Transmit(_)));
        let now = script.now();
        script.client.transmitted(3, now);
        let sent = script.reconnect(ACCEPTED_SESSION_PRESENT);
        assert_eq!(sent, [format!("PUBLISH t 12345 q{} 1 dup", qos as u8)]);
    }
}

/// [MQTT-3.3.1-2]
#[test]
fn a_qos_0_publish_that_was_sent_is_not_sent_again() {
    let mut script = Script::up(&persistent());
    publish(&mut script, "1", QoS::AtMostOnce);
    script.run();
    script.sent();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
}

/// An acknowledgement of the old connection could hit a new message under the same id.
#[test]
fn acknowledgements_that_were_not_sent_are_dropped_with_the_connection() {
    let mut script = Script::up(&persistent());
    let mut input: &[u8] = b"\x32\x06\0\x01t\0\x05x";
    let now = script.now();
    script.client.receive(&mut input, now).unwrap();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
}

/// Invariant 1: at least once, even if the broker forgets the session.
#[test]
fn a_qos_1_publish_starts_again_in_a_new_session() {
    for clean in [false, true] {
        let mut script = Script::up(&persistent().clean_session(clean));
        publish(&mut script, "1", QoS::AtLeastOnce);
        script.run();
        script.sent();
        assert_eq!(script.reconnect(ACCEPTED), ["PUBLISH t 1 q1 1"]);
        script.hear(&ack(PUBACK, 1));
        assert_eq!(script.told().last().unwrap(), "published 1");
    }
}

/// The client cannot know whether they arrived. If it sent them again, they might be doubled.
#[test]
fn qos_2_publishes_that_were_sent_are_lost_with_the_session() {
    let mut script = Script::up(&persistent());
    publish(&mut script, "1", QoS::ExactlyOnce);
    publish(&mut script, "2", QoS::ExactlyOnce);
    script.run();
    script.hear(&ack(PUBREC, 2));
    script.sent();
    script.cut();
    publish(&mut script, "3", QoS::ExactlyOnce);
    assert_eq!(script.reconnect(ACCEPTED), ["PUBLISH t 3 q2 3"]);
    assert_eq!(script.told(), ["connecting 0", "up Lost V311", "lost 1", "lost 2"]);
    assert_eq!(script.client.in_flight(), 1);
}

#[test]
fn an_unanswered_subscribe_is_sent_again_unchanged() {
    for connack in [ACCEPTED, ACCEPTED_SESSION_PRESENT] {
        let mut script = Script::up(&persistent());
        let _ = script.client.subscribe(&[(filter!("a/#"), QoS::AtLeastOnce)]).unwrap();
        let _ = script.client.unsubscribe(&[filter!("b")]).unwrap();
        script.run();
        script.sent();
        let again = script.reconnect(connack);
        assert_eq!(again, ["SUBSCRIBE 1 a/#:1", "UNSUBSCRIBE 2 b"]);
    }
}

/// In 3.1 DUP may be set on every retry. But a broker in use closes the connection at a PUBREL with DUP.
#[test]
fn in_3_1_a_retry_of_subscribe_and_unsubscribe_has_dup_and_one_of_pubrel_has_not() {
    let mut script = Script::up(&persistent().version(Version::V31));
    publish(&mut script, "1", QoS::ExactlyOnce);
    script.run();
    script.let_reclaim();
    script.hear(&ack(PUBREC, 1));
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    let _ = script.client.unsubscribe(&[filter!("b")]).unwrap();
    script.run();
    script.sent();
    let again = script.reconnect(ACCEPTED);
    assert_eq!(again, ["PUBREL 1", "SUBSCRIBE 18 a:0 dup", "UNSUBSCRIBE 19 b dup"]);
}

/// In SUBSCRIBE and UNSUBSCRIBE of 3.1.1 the bit of DUP is reserved [MQTT-2.2.2-1].
#[test]
fn retries_marked_with_dup_in_3_1_lose_it_in_3_1_1() {
    let mut script = Script::new(&persistent().version(Version::Auto));
    script.run();
    script.hear(&[0x20, 2, 0, 1]);
    script.fatal();
    script.accept(ACCEPTED);
    publish(&mut script, "1", QoS::ExactlyOnce);
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.let_reclaim();
    script.hear(&ack(PUBREC, 1));
    script.sent();
    script.cut();
    script.later(1_000_000);
    script.run();
    script.sent();
    // The broker has been replaced by one that speaks 3.1.1 only.
    script.hear(&[0x20, 2, 0, 1]);
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent()[1..], ["SUBSCRIBE 18 a:0", "PUBREL 1"]);
}

#[test]
fn requests_that_were_sent_again_end_with_their_answers() {
    let mut script = Script::up(&persistent());
    for (payload, qos) in [("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce)] {
        publish(&mut script, payload, qos);
    }
    script.run();
    script.sent();
    for _ in 0..3 {
        script.reconnect(ACCEPTED_SESSION_PRESENT);
    }
    script.told();
    script.hear(&ack(PUBACK, 1));
    script.hear(&ack(PUBREC, 2));
    script.hear(&ack(PUBCOMP, 2));
    assert_eq!(script.told(), ["published 1", "published 2"]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
}

/// The CONNACK was lost, so the client cannot know whether the broker began a new session.
#[test]
fn subscriptions_are_made_again_after_a_lost_connack() {
    let mut script = Script::up(&persistent());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtLeastOnce)]).unwrap();
    script.run();
    script.hear(&[0x90, 3, 0, 1, 1]);
    script.cut();
    script.later(1_000_000);
    script.run();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["SUBSCRIBE 65535 a:1"]);
}
