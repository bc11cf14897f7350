//! Bytes that `poll` has shown: they stay as they are until they are taken, and may have left if the connection ends.
//! Invariant 10.

use mqtt_core::{Action, Event, Options, Publish, QoS, Queue, filter, topic};
use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PINGRESP, suback},
};

fn publish(script: &mut Script, text: &str, qos: QoS) {
    let publish = Publish::new(topic!("t"), text.as_bytes()).qos(qos);
    let _ = script.client.publish(&publish).expect("there is room");
}

/// What `poll` shows; the transport reports nothing.
fn shown(script: &mut Script) -> Vec<u8> {
    let now = script.now();
    match script.client.poll(now) {
        Action::Transmit(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn persistent() -> Options<'static> {
    Options::new("me").clean_session(false)
}

/// [MQTT-3.3.1-1]
#[test]
fn a_publish_that_was_shown_is_sent_again_with_dup_if_the_transport_reported_nothing() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut script = Script::up(&persistent());
        publish(&mut script, "1", qos);
        assert!(!shown(&mut script).is_empty());
        let sent = script.reconnect(ACCEPTED_SESSION_PRESENT);
        assert_eq!(sent, [format!("PUBLISH t 1 q{} 1 dup", qos as u8)]);
    }
}

#[test]
fn a_qos_2_publish_that_was_shown_is_lost_with_a_clean_session() {
    let mut script = Script::up(&Options::new("me"));
    publish(&mut script, "1", QoS::ExactlyOnce);
    assert!(!shown(&mut script).is_empty());
    assert_eq!(script.reconnect(ACCEPTED), [""; 0]);
    assert!(script.told().contains(&"lost 1".to_string()));
}

#[test]
fn a_qos_0_publish_that_was_shown_ends_as_lost_and_is_not_sent_again() {
    let mut script = Script::up(&persistent());
    publish(&mut script, "1", QoS::AtMostOnce);
    assert!(!shown(&mut script).is_empty());
    publish(&mut script, "2", QoS::AtMostOnce);
    script.cut();
    assert_eq!(script.told(), ["down: the transport closed", "lost -"]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 2 q0"]);
    assert!(script.told().contains(&"published -".to_string()));
}

#[test]
fn a_full_queue_drops_no_message_that_was_shown() {
    for queue in [Queue::DropOldest, Queue::LatestPerTopic] {
        let options = persistent().queue(queue).queue_messages(3);
        let mut script = Script::up(&options);
        publish(&mut script, "1", QoS::AtMostOnce);
        publish(&mut script, "2", QoS::AtLeastOnce);
        let before = shown(&mut script);
        for text in ["3", "4", "5"] {
            let publish = Publish::new(topic!("t"), text.as_bytes());
            let _full = script.client.publish(&publish);
            assert!(shown(&mut script).starts_with(&before), "{queue:?}");
        }
    }
}

#[test]
fn a_short_write_leaves_the_rest_of_the_shown_bytes_as_they_are() {
    let options = persistent().queue(Queue::LatestPerTopic);
    let mut script = Script::up(&options);
    publish(&mut script, "1", QoS::AtMostOnce);
    publish(&mut script, "2", QoS::AtLeastOnce);
    let before = shown(&mut script);
    let now = script.now();
    script.client.transmitted(1, now);
    publish(&mut script, "3", QoS::AtMostOnce);
    assert!(shown(&mut script).starts_with(&before[1..]));
}

/// [MQTT-3.12.4-1]: a driver may report late that the transport has taken the bytes.
#[test]
fn a_pingresp_may_come_before_the_report_that_the_pingreq_was_taken() {
    let mut script = Script::up(&Options::new("me").keep_alive(40).ping_timeout(5_000));
    script.later(30_000);
    assert_eq!(shown(&mut script), [0xC0, 0]);
    let now = script.now();
    let mut input = PINGRESP;
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    script.client.transmitted(2, now);
    script.later(20_000);
    script.run();
    assert!(script.is_open());
}

#[test]
fn a_suback_may_come_before_the_report_that_the_renewal_was_taken() {
    let mut script = Script::up(&Options::new("me"));
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[0]));
    script.cut();
    script.later(1_000_000);
    script.run();
    script.told();
    let now = script.now();
    let mut input = ACCEPTED;
    while script.client.receive(&mut input, now).unwrap().is_some() {}
    let len = shown(&mut script).len();
    let answer = suback(65535, &[0]);
    let mut input = &answer[..];
    assert_eq!(script.client.receive(&mut input, now), Ok(None));
    assert_eq!(input.len(), answer.len(), "it is left for later");
    script.client.transmitted(len, now);
    let event = script.client.receive(&mut input, now);
    assert!(matches!(event, Ok(Some(Event::Renewed { first: 0, .. }))), "{event:?}");
}
