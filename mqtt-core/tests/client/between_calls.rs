//! Calls of the application and input at odd moments: between two events of one read, before the next `poll`, or after
//! bytes were shown and before the driver reports them. Invariant 10.

use mqtt_core::{Action, Handle, Options, Publish, QoS, Queue, filter, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBREC, PUBREL, ack, suback},
};

fn persistent() -> Options<'static> {
    Options::new("me").clean_session(false)
}

fn publish(script: &mut Script, text: &str, qos: QoS) -> Handle {
    script.client.publish(&Publish::new(topic!("t"), text.as_bytes()).qos(qos)).unwrap()
}

/// The client takes `bytes`, and the driver does nothing else.
fn take(script: &mut Script, bytes: &[u8]) {
    let (now, mut input) = (script.now(), bytes);
    while script.client.receive(&mut input, now).unwrap().is_some() {}
    assert_eq!(input, [0; 0]);
}

/// A client that was granted the filters `a`, `b` and `c`, has lost the connection and has sent its next CONNECT.
fn connecting_again(options: &Options<'_>) -> Script {
    let mut script = Script::up(options);
    let filters = [filter!("a"), filter!("b/b"), filter!("c")].map(|name| (name, QoS::AtMostOnce));
    let _ = script.client.subscribe(&filters).unwrap();
    script.run();
    script.hear(&suback(1, &[0, 0, 0]));
    script.cut();
    script.later(1_000_000);
    script.run();
    script.sent();
    script.told();
    script
}

#[test]
fn subscriptions_forgotten_before_the_renewal_is_shown_are_left_out_of_it() {
    for (first, count, left) in [
        (0, 1, "SUBSCRIBE 65535 b/b:0 c:0"),
        (1, 1, "SUBSCRIBE 65535 a:0 c:0"),
        (2, 1, "SUBSCRIBE 65535 a:0 b/b:0"),
        (1, 9, "SUBSCRIBE 65535 a:0"),
    ] {
        let mut script = connecting_again(&Options::new("me"));
        take(&mut script, ACCEPTED);
        script.client.forget_subscriptions(first, count).unwrap();
        script.run();
        assert_eq!(script.sent(), [left]);
        let codes = left.matches(":0").count();
        script.hear(&suback(65535, &vec![0; codes]));
        assert!(script.is_open());
    }
}

#[test]
fn a_renewal_of_which_all_subscriptions_are_forgotten_is_done() {
    let mut script = connecting_again(&persistent());
    take(&mut script, ACCEPTED);
    script.client.forget_subscriptions(0, 3).unwrap();
    let _ = publish(&mut script, "1", QoS::AtLeastOnce);
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t 1 q1 2"]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t 1 q1 2 dup"]);
}

#[test]
fn subscriptions_forgotten_between_two_packets_of_a_renewal_are_left_out() {
    let mut script = connecting_again(&Options::new("me").filters_per_subscribe(1));
    script.hear(ACCEPTED);
    assert_eq!(script.sent(), ["SUBSCRIBE 65535 a:0"]);
    take(&mut script, &suback(65535, &[0]));
    script.client.forget_subscriptions(1, 1).unwrap();
    script.run();
    assert_eq!(script.sent(), ["SUBSCRIBE 65534 c:0"]);
    script.told();
    script.hear(&suback(65534, &[0]));
    assert_eq!(script.told(), ["renewed from 1 [0]"]);
}

#[test]
fn the_position_of_a_renewal_counts_without_subscriptions_that_were_forgotten_meanwhile() {
    for (forgotten, renewed) in [(0, "renewed from 1 [0]"), (1, "renewed from 1 [0]")] {
        let mut script = connecting_again(&Options::new("me").filters_per_subscribe(2));
        script.hear(ACCEPTED);
        script.client.forget_subscriptions(forgotten, 1).unwrap();
        script.hear(&suback(65535, &[0, 0]));
        assert_eq!(script.sent(), ["SUBSCRIBE 65535 a:0 b/b:0", "SUBSCRIBE 65534 c:0"]);
        script.told();
        script.hear(&suback(65534, &[0]));
        assert_eq!(script.told(), [renewed]);
    }
}

/// A client that sends only its stuck request, which is not answered yet.
fn alone() -> Script {
    let mut script = Script::up(&persistent());
    let _ = publish(&mut script, "poison", QoS::AtLeastOnce);
    script.run();
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t poison q1 1 dup"]);
    script
}

const MESSAGE: [u8; 7] = [0x32, 5, 0, 1, b't', 0, 7];

#[test]
fn a_held_request_between_two_answers_stays_held_in_front_of_a_pubrel_of_no_request() {
    let mut script = alone();
    take(&mut script, &MESSAGE);
    let _ = publish(&mut script, "held", QoS::ExactlyOnce);
    take(&mut script, &MESSAGE);
    take(&mut script, &ack(PUBREC, 9));
    script.run();
    assert_eq!(script.sent(), ["PUBACK 7", "PUBACK 7", "PUBREL 9"]);
    script.hear(&ack(PUBACK, 1));
    assert_eq!(script.sent(), ["PUBLISH t held q2 2"]);
}

#[test]
fn a_pubrel_of_no_request_that_was_shown_is_finished_before_a_later_request() {
    let mut script = Script::up(&persistent());
    let now = script.now();
    let first = publish(&mut script, "first", QoS::AtLeastOnce);
    take(&mut script, &ack(PUBREC, 9));
    script.client.cancel(first).unwrap();
    assert_eq!(script.client.poll(now), Action::Transmit(&[0x62, 2, 0, 9]));
    let _ = publish(&mut script, "second", QoS::AtMostOnce);
    script.client.transmitted(2, now);
    assert_eq!(script.client.poll(now), Action::Transmit(&[0, 9]));
    script.client.transmitted(2, now);
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t second q0"]);
}

/// A client with two slots that has answered PUBRELs for all that it took, passed over a message, and is about to show
/// the PUBCOMP.
fn about_to_leave(options: &Options<'_>) -> Script {
    let mut script = Script::sized(options, 8192, 2);
    script.accept(ACCEPTED);
    let message = |id: u8| [0x34, 5, 0, 1, b't', 0, id];
    take(&mut script, &[message(1), message(2), message(3)].concat());
    script.run();
    script.sent();
    take(&mut script, &[ack(PUBREL, 1), ack(PUBREL, 2)].concat());
    script
}

#[test]
fn a_disconnect_during_the_delayed_close_sends_the_requests_first() {
    let mut script = about_to_leave(&persistent());
    let _ = publish(&mut script, "1", QoS::AtLeastOnce);
    let now = script.now();
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!("PUBCOMPs are due") };
    assert_eq!(bytes, [0x70, 2, 0, 1, 0x70, 2, 0, 2]);
    script.client.disconnect();
    script.run();
    assert_eq!(script.sent(), ["PUBCOMP 1", "PUBCOMP 2", "PUBLISH t 1 q1 1", "DISCONNECT"]);
}

/// A large write may end within a packet.
#[test]
fn a_message_can_be_dropped_after_requests_were_held_back_behind_a_packet_shown_in_part() {
    let options = persistent().queue(Queue::LatestPerTopic);
    let mut script = Script::sized(&options, 8192, 8);
    script.accept(ACCEPTED);
    let now = script.now();
    let large = [b'x'; 1000];
    let message = |id: u8| [0x34, 5, 0, 1, b't', 0, id];
    take(&mut script, &(1..=9).map(message).collect::<Vec<_>>().concat());
    script.run();
    script.sent();
    for topic in [topic!("a"), topic!("b")] {
        let _ = script.client.publish(&Publish::new(topic, &large)).unwrap();
    }
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!("two are due") };
    assert_eq!(bytes.len(), 1400);
    take(&mut script, &(1..=8).map(|id| ack(PUBREL, id)).collect::<Vec<_>>().concat());
    let _ = script.client.poll(now);
    let _ = publish(&mut script, "held", QoS::AtLeastOnce);
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!("two are due") };
    let len = bytes.len();
    script.client.transmitted(len, now);
    let _ = script.client.publish(&Publish::new(topic!("c"), b"old")).unwrap();
    let _ = script.client.poll(now);
    let _ = script.client.publish(&Publish::new(topic!("c"), b"new")).unwrap();
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    let sent = script.sent();
    assert_eq!(sent.last().unwrap(), "PUBLISH c new q0");
    assert!(script.told().contains(&"dropped -".to_string()));
}
