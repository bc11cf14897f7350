//! SUBSCRIBE, SUBACK, UNSUBSCRIBE, and the renewal of subscriptions that the broker forgot.

use mqtt_core::{
    Fatal, Filter, Options, Publish, QoS, RequestError, Version, Violation, filter, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, UNSUBACK, ack},
};

fn subscribe(script: &mut Script, filters: &[(&str, QoS)]) -> u16 {
    let filters: Vec<_> = filters.iter().map(|(f, q)| (Filter::new(f).unwrap(), *q)).collect();
    let id = script.client.subscribe(&filters).unwrap().packet_id().unwrap();
    script.run();
    id.get()
}

fn suback(id: u16, codes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x90, 2 + codes.len() as u8];
    bytes.extend(id.to_be_bytes());
    bytes.extend(codes);
    bytes
}

fn granted(script: &mut Script, filters: &[(&str, QoS)], codes: &[u8]) {
    let id = subscribe(script, filters);
    script.hear(&suback(id, codes));
    assert_eq!(script.told(), [format!("subscribed {id} {codes:?}")]);
    script.sent();
}

fn unsubscribed(script: &mut Script, filter: &'static str) {
    let handle = script.client.unsubscribe(&[Filter::new(filter).unwrap()]).unwrap();
    script.run();
    script.hear(&ack(UNSUBACK, handle.packet_id().unwrap().get()));
    script.told();
    script.sent();
}

fn kept(script: &Script) -> Vec<String> {
    script.client.subscriptions().map(|s| format!("{}:{}", s.filter, s.qos as u8)).collect()
}

/// [MQTT-3.8.4-1], [MQTT-3.8.4-5], [MQTT-3.8.4-6]
#[test]
fn each_filter_gets_its_result() {
    let mut script = Script::up(&Options::new("me"));
    let filters = [("a", QoS::ExactlyOnce), ("b", QoS::ExactlyOnce), ("c", QoS::AtMostOnce)];
    let id = subscribe(&mut script, &filters);
    assert_eq!(script.sent(), ["SUBSCRIBE 1 a:2 b:2 c:0"]);
    script.hear(&suback(id, &[1, 0x80, 0]));
    assert_eq!(script.told(), ["subscribed 1 [1, 128, 0]"]);
    assert_eq!(kept(&script), ["a:2", "c:0"], "the refused one is not kept");
}

#[test]
fn an_unsubscribe_is_answered_and_forgets_the_filter() {
    let mut script = Script::up(&Options::new("me"));
    granted(&mut script, &[("a", QoS::AtMostOnce), ("b", QoS::AtLeastOnce)], &[0, 1]);
    let _ = script.client.unsubscribe(&[filter!("a"), filter!("never")]).unwrap();
    script.run();
    assert_eq!(script.sent(), ["UNSUBSCRIBE 2 a never"]);
    script.hear(&ack(UNSUBACK, 2));
    assert_eq!(script.told(), ["unsubscribed 2"]);
    assert_eq!(kept(&script), ["b:1"]);
}

#[test]
fn a_subscription_made_again_replaces_the_one_before() {
    let mut script = Script::up(&Options::new("me"));
    granted(&mut script, &[("a", QoS::AtMostOnce), ("b", QoS::AtMostOnce)], &[0, 0]);
    granted(&mut script, &[("c", QoS::AtMostOnce)], &[0]);
    granted(&mut script, &[("x", QoS::AtMostOnce), ("a", QoS::ExactlyOnce)], &[0, 2]);
    assert_eq!(kept(&script), ["a:2", "b:0", "c:0", "x:0"]);
    granted(&mut script, &[("b", QoS::ExactlyOnce), ("c", QoS::ExactlyOnce)], &[2, 2]);
    assert_eq!(kept(&script), ["a:2", "b:2", "c:2", "x:0"]);
}

#[test]
fn a_refused_subscription_leaves_the_one_before_alone() {
    let mut script = Script::up(&Options::new("me"));
    granted(&mut script, &[("a", QoS::AtMostOnce)], &[0]);
    granted(&mut script, &[("a", QoS::ExactlyOnce)], &[0x80]);
    assert_eq!(kept(&script), ["a:0"]);
}

/// M9
#[test]
fn subscriptions_are_renewed_before_anything_else_if_the_session_was_lost() {
    for clean in [false, true] {
        let mut script = Script::up(&Options::new("me").clean_session(clean));
        granted(&mut script, &[("a", QoS::AtLeastOnce)], &[1]);
        granted(&mut script, &[("b", QoS::AtMostOnce), ("c", QoS::ExactlyOnce)], &[0, 2]);
        script.cut();
        let waiting = Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce);
        let _ = script.client.publish(&waiting).unwrap();
        let sent = script.reconnect(ACCEPTED);
        assert_eq!(sent, ["SUBSCRIBE 65535 a:1 b:0 c:2", "PUBLISH t 1 q1 3"]);
        script.told();
        script.hear(&suback(65535, &[1, 0, 0x80]));
        assert_eq!(script.told(), ["renewed [1, 0, 128]"]);
    }
}

#[test]
fn a_renewal_counts_as_one_packet() {
    let mut script = Script::up(&Options::new("me"));
    granted(&mut script, &[("a", QoS::AtLeastOnce), ("b", QoS::AtMostOnce)], &[1, 0]);
    script.cut();
    let before = script.client.counters().packets_out;
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:1 b:0"]);
    assert_eq!(script.client.counters().packets_out - before, 2, "the CONNECT and the SUBSCRIBE");
}

#[test]
fn a_resumed_session_needs_no_renewal() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    granted(&mut script, &[("a", QoS::AtLeastOnce)], &[1]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
}

/// The connection broke before all was renewed, and the broker keeps its session.
#[test]
fn a_renewal_that_was_not_answered_in_full_is_made_again() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    granted(&mut script, &[("a", QoS::AtLeastOnce)], &[1]);
    granted(&mut script, &[("b", QoS::AtLeastOnce)], &[1]);
    for connack in [ACCEPTED, ACCEPTED_SESSION_PRESENT] {
        assert_eq!(script.reconnect(connack), ["SUBSCRIBE 65535 a:1 b:1"]);
    }
    script.hear(&suback(65535, &[1, 1]));
    assert_eq!(script.told().last().unwrap(), "renewed [1, 1]");
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
}

/// [MQTT-3.8.4-5]
#[test]
fn a_renewal_is_answered_once_and_in_full() {
    let cases: [(&[&[u8]], _); 3] = [
        (&[&[1]], Violation::SubAckCount),
        (&[&[1, 1, 1]], Violation::SubAckCount),
        (&[&[1, 1], &[1, 1]], Violation::UnknownSubscribeId),
    ];
    for (answers, violation) in cases {
        let mut script = Script::up(&Options::new("me").clean_session(false).strict(true));
        granted(&mut script, &[("a", QoS::AtLeastOnce), ("b", QoS::AtLeastOnce)], &[1, 1]);
        script.reconnect(ACCEPTED);
        for codes in answers {
            script.hear(&suback(65535, codes));
        }
        assert_eq!(script.fatal(), Some(Fatal::Violation(violation)));
    }
}

/// 3.1 does not say whether there is a session; subscribing again costs little.
#[test]
fn in_3_1_subscriptions_are_renewed_on_every_connection() {
    let options = Options::new("me").clean_session(false).version(Version::V31);
    let mut script = Script::up(&options);
    granted(&mut script, &[("a", QoS::AtLeastOnce)], &[1]);
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:1"]);
}

#[test]
fn without_renewal_nothing_is_kept() {
    let mut script = Script::up(&Options::new("me").renew_subscriptions(false));
    let free = script.client.outbox_free();
    granted(&mut script, &[("a", QoS::AtLeastOnce)], &[1]);
    assert_eq!(kept(&script), [""; 0]);
    assert_eq!(script.client.outbox_free(), free);
    assert_eq!(script.reconnect(ACCEPTED), [""; 0]);
}

#[test]
fn publishes_in_flight_stay_whole_while_subscriptions_are_added_and_removed() {
    let mut script = Script::sized(&Options::new("me").clean_session(false), 4096, 32);
    script.accept(ACCEPTED);
    let mut expected = Vec::new();
    for round in 0..8 {
        let payload = format!("payload {round}");
        let publish = Publish::new(topic!("t"), payload.as_bytes()).qos(QoS::AtLeastOnce);
        let id = script.client.publish(&publish).unwrap().packet_id().unwrap().get();
        expected.push(format!("PUBLISH t payload {round} q1 {id} dup"));
        let filter = format!("filter/{round}");
        granted(&mut script, &[(&filter, QoS::AtMostOnce), ("always", QoS::AtMostOnce)], &[0, 0]);
    }
    for filter in ["filter/0", "filter/3", "filter/7"] {
        unsubscribed(&mut script, filter);
    }
    let filters =
        ["always:0", "filter/1:0", "filter/2:0", "filter/4:0", "filter/5:0", "filter/6:0"];
    assert_eq!(kept(&script), filters);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), expected);
}

/// A packet of 127 bytes has a header of two, one of 128 a header of three.
#[test]
fn a_renewal_of_any_length_is_one_packet() {
    for len in 100..140 {
        let mut script = Script::up(&Options::new("me"));
        let long = "l".repeat(len);
        granted(&mut script, &[(&long, QoS::AtMostOnce)], &[0]);
        granted(&mut script, &[("x", QoS::ExactlyOnce)], &[2]);
        let again = script.reconnect(ACCEPTED);
        assert_eq!(again, [format!("SUBSCRIBE 65535 {long}:0 x:2")]);
        unsubscribed(&mut script, "x");
        let again = script.reconnect(ACCEPTED);
        assert_eq!(again, [format!("SUBSCRIBE 65535 {long}:0")]);
    }
}

#[test]
fn a_thousand_filters_are_kept_and_renewed() {
    let options = Options::new("me").receive_capacity(4096).filters_per_subscribe(u16::MAX);
    let mut script = Script::sized(&options, 64 << 10, 8);
    script.accept(ACCEPTED);
    let names: Vec<_> = (0..500).map(|n| format!("many/{n}")).collect();
    let filters: Vec<_> = names.iter().map(|n| (n.as_str(), QoS::AtMostOnce)).collect();
    let id = subscribe(&mut script, &filters);
    let mut answer = vec![0x90, 0xF6, 0x03];
    answer.extend(id.to_be_bytes());
    answer.extend([0; 500]);
    script.hear(&answer);
    script.told();
    for n in 500..1000 {
        granted(&mut script, &[(&format!("many/{n}"), QoS::AtMostOnce)], &[0]);
    }
    assert_eq!(kept(&script).len(), 1000);
    let again = script.reconnect(ACCEPTED);
    assert_eq!(again.len(), 1);
    assert!(again[0].ends_with(" many/998:0 many/999:0"));
}

#[test]
fn more_filters_than_one_answer_can_grant_are_refused() {
    let options = Options::new("me").receive_capacity(16).filters_per_subscribe(100);
    let mut script = Script::up(&options);
    for n in 0..9 {
        granted(&mut script, &[(&format!("{n}"), QoS::AtMostOnce)], &[0]);
    }
    let error = script.client.subscribe(&[(filter!("one/more"), QoS::AtMostOnce)]).unwrap_err();
    assert_eq!(error, RequestError::TooManySubscriptions { needed: 17, capacity: 16 });
    unsubscribed(&mut script, "7");
    granted(&mut script, &[("refused", QoS::AtMostOnce)], &[0x80]);
    granted(&mut script, &[("6", QoS::AtLeastOnce)], &[1]);
    granted(&mut script, &[("one/more", QoS::AtMostOnce)], &[0]);
}

#[test]
fn a_subscribe_whose_answer_would_not_fit_the_drivers_buffer_is_refused() {
    let mut script = Script::up(&Options::new("me").receive_capacity(16));
    let filters = [(filter!("a"), QoS::AtMostOnce); 10];
    let error = script.client.subscribe(&filters).unwrap_err();
    assert_eq!(error, RequestError::TooManySubscriptions { needed: 17, capacity: 16 });
}

/// [MQTT-3.8.3-3], [MQTT-3.10.3-2]
#[test]
fn a_request_without_a_filter_is_refused() {
    let mut script = Script::up(&Options::new("me"));
    let error = RequestError::Encode(mqtt_core::EncodeError::NoFilter);
    assert_eq!(script.client.subscribe(&[]).unwrap_err(), error);
    assert_eq!(script.client.unsubscribe(&[]).unwrap_err(), error);
    assert_eq!(script.client.in_flight(), 0);
}
