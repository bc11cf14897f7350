//! A request that stands in the way of all others: the broker closes at its packet, or never answers it. M18,
//! invariant 9.

use mqtt_core::{Handle, Options, Publish, QoS, RequestError, filter, topic};

use test_kit::{
    script::Script,
    wire::{
        ACCEPTED, ACCEPTED_SESSION_PRESENT, PINGRESP, PUBACK, PUBCOMP, PUBREC, ack, packet, string,
        suback,
    },
};

fn persistent() -> Options<'static> {
    Options::new("me").clean_session(false)
}

fn publish(script: &mut Script, text: &str, qos: QoS) -> Handle {
    script.client.publish(&Publish::new(topic!("t"), text.as_bytes()).qos(qos)).unwrap()
}

/// What is sent on the next connection, which the broker then closes, and what is told then.
fn next_connection(script: &mut Script) -> (Vec<String>, Vec<String>) {
    let sent = script.reconnect(ACCEPTED_SESSION_PRESENT);
    script.told();
    script.cut();
    (sent, script.told())
}

const DOWN: &str = "down: the transport closed";

#[test]
fn the_request_that_ended_three_connections_is_told_and_a_cancel_lets_the_others_through() {
    let mut script = Script::up(&persistent());
    let poison = publish(&mut script, "poison", QoS::AtLeastOnce);
    let _ = publish(&mut script, "good", QoS::AtLeastOnce);
    script.run();
    script.cut();
    assert_eq!(script.told(), [DOWN]);
    let both = ["PUBLISH t poison q1 1 dup", "PUBLISH t good q1 2 dup"];
    let (sent, told) = next_connection(&mut script);
    assert_eq!((&sent[..], &told[..]), (&both.map(String::from)[..], &[DOWN.to_string()][..]));
    // To be sure, it is sent alone.
    let (sent, told) = next_connection(&mut script);
    assert_eq!(sent, both[..1]);
    assert_eq!(told, [DOWN, "stuck 1 at 3 connections"]);
    script.client.cancel(poison).unwrap();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), both[1..]);
}

#[test]
fn the_event_comes_again_after_as_many_connections_more() {
    let mut script = Script::up(&persistent().stuck_after(2));
    let _ = publish(&mut script, "poison", QoS::ExactlyOnce);
    script.run();
    script.cut();
    script.told();
    let told: Vec<_> = (2..=6).map(|_| next_connection(&mut script).1.len() == 2).collect();
    assert_eq!(told, [true, false, true, false, true]);
}

#[test]
fn with_zero_nobody_is_suspected() {
    let mut script = Script::up(&persistent().stuck_after(0));
    let _ = publish(&mut script, "1", QoS::ExactlyOnce);
    let _ = publish(&mut script, "2", QoS::ExactlyOnce);
    for _ in 0..10 {
        let (sent, told) = next_connection(&mut script);
        assert_eq!((sent.len(), told.len()), (2, 1));
    }
}

#[test]
fn a_request_is_given_up_if_the_options_say_so() {
    let mut script = Script::up(&persistent().give_up_stuck(true));
    let _ = publish(&mut script, "poison", QoS::ExactlyOnce);
    let _ = publish(&mut script, "good", QoS::ExactlyOnce);
    script.run();
    script.cut();
    script.told();
    next_connection(&mut script);
    let (_, told) = next_connection(&mut script);
    assert_eq!(told, [DOWN, "stuck 1 at 3 connections", "given up 1"]);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t good q2 2 dup"]);
}

#[test]
fn progress_of_any_kind_begins_the_count_anew() {
    let mut script = Script::up(&persistent());
    for text in ["1", "2", "3", "4", "5"] {
        let _ = publish(&mut script, text, QoS::AtLeastOnce);
    }
    script.run();
    for id in 1..=4 {
        script.hear(&ack(PUBACK, id));
        script.cut();
        assert!(!script.told().iter().any(|told| told.starts_with("stuck")));
        script.reconnect(ACCEPTED_SESSION_PRESENT);
    }
}

#[test]
fn attempts_that_fail_neither_count_nor_begin_the_count_anew() {
    let mut script = Script::up(&persistent());
    let _ = publish(&mut script, "poison", QoS::AtLeastOnce);
    script.run();
    script.cut();
    next_connection(&mut script);
    for _ in 0..5 {
        script.later(1_000_000);
        script.run();
        script.cut();
    }
    script.told();
    let (_, told) = next_connection(&mut script);
    assert_eq!(told, [DOWN, "stuck 1 at 3 connections"]);
}

/// A broker that knows no PUBREL closes at it.
/// Such a connection says nothing about the packet. On a bad link many end so.
#[test]
fn connections_that_end_before_the_request_is_sent_neither_count_nor_begin_the_count_anew() {
    let mut script = Script::up(&persistent().stuck_after(2));
    let _ = publish(&mut script, "poison", QoS::AtLeastOnce);
    script.run();
    script.cut();
    for _ in 0..2 {
        script.later(1_000_000);
        script.run();
        let now = script.now();
        let mut input = ACCEPTED_SESSION_PRESENT;
        while script.client.receive(&mut input, now).unwrap().is_some() {}
        script.cut();
    }
    assert!(!script.told().iter().any(|told| told.starts_with("stuck")));
    assert_eq!(next_connection(&mut script).1.last().unwrap(), "stuck 1 at 2 connections");
}

/// The packet that was taken back may be the one at which the broker closed.
#[test]
fn no_other_request_is_blamed_if_one_was_taken_back_after_it_was_sent() {
    let mut script = Script::up(&persistent().stuck_after(2));
    let _ = publish(&mut script, "good", QoS::ExactlyOnce);
    script.run();
    script.reconnect(ACCEPTED_SESSION_PRESENT);
    let poison = publish(&mut script, "poison", QoS::AtLeastOnce);
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.sent(), ["PUBLISH t poison q1 2", "PUBREL 1"]);
    script.client.cancel(poison).unwrap();
    script.cut();
    assert!(!script.told().iter().any(|told| told.starts_with("stuck")));
}

#[test]
fn a_pubrel_that_is_stuck_can_be_cancelled() {
    let mut script = Script::up(&persistent());
    let handle = publish(&mut script, "1", QoS::ExactlyOnce);
    script.run();
    script.hear(&ack(PUBREC, 1));
    script.cut();
    assert_eq!(script.client.cancel(handle), Err(RequestError::Released));
    next_connection(&mut script);
    let (sent, told) = next_connection(&mut script);
    assert_eq!(sent, ["PUBREL 1"]);
    assert_eq!(told, [DOWN, "stuck 1 at 3 connections"]);
    script.client.cancel(handle).unwrap();
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), [""; 0]);
    assert_eq!(script.client.in_flight(), 0);
}

/// A script whose publish is the suspect and is sent alone, with others behind it.
fn alone(more: &[(&str, QoS)]) -> Script {
    let mut script = Script::up(&persistent());
    let _ = publish(&mut script, "first", QoS::ExactlyOnce);
    for (text, qos) in more {
        let _ = publish(&mut script, text, *qos);
    }
    script.run();
    script.cut();
    next_connection(&mut script);
    assert_eq!(script.reconnect(ACCEPTED_SESSION_PRESENT), ["PUBLISH t first q2 1 dup"]);
    script.told();
    script
}

/// A message of the broker.
fn message(id: u16) -> Vec<u8> {
    packet(0x32, &[&string("m"), &id.to_be_bytes(), b"x"])
}

#[test]
fn while_a_request_is_sent_alone_answers_and_pings_go_on_and_new_requests_wait() {
    let mut script = alone(&[("second", QoS::AtLeastOnce)]);
    let _ = publish(&mut script, "third", QoS::AtMostOnce);
    script.hear(&message(7));
    assert_eq!(script.sent(), ["PUBACK 7"]);
    let _ = publish(&mut script, "fourth", QoS::AtLeastOnce);
    script.later(50_000);
    script.run();
    assert_eq!(script.sent(), ["PINGREQ"]);
    script.hear(PINGRESP);
    script.hear(&message(8));
    assert_eq!(script.sent(), ["PUBACK 8"]);
    script.hear(&ack(PUBREC, 1));
    let sent = script.sent();
    let waited = ["PUBLISH t second q1 2 dup", "PUBLISH t third q0", "PUBLISH t fourth q1 3"];
    assert_eq!(sent, [&waited[..], &["PUBREL 1"]].concat());
    for wire in [ack(PUBCOMP, 1), ack(PUBACK, 2), ack(PUBACK, 3)] {
        script.hear(&wire);
    }
    assert_eq!(script.client.in_flight(), 0);
    assert_eq!(script.client.outbox_free(), Script::new(&persistent()).client.outbox_free());
}

#[test]
fn a_pubrec_of_no_request_behind_the_connack_does_not_let_held_requests_through() {
    let mut script = alone(&[("second", QoS::AtLeastOnce)]);
    script.cut();
    script.later(1_000_000);
    script.run();
    script.sent();
    script.hear(&[ACCEPTED_SESSION_PRESENT, &message(7), &ack(PUBREC, 9)].concat());
    assert_eq!(script.sent(), ["PUBLISH t first q2 1 dup", "PUBACK 7", "PUBREL 9"]);
    script.hear(&ack(PUBREC, 1));
    assert_eq!(script.sent(), ["PUBLISH t second q1 2 dup", "PUBREL 1"]);
}

#[test]
fn a_link_that_breaks_while_a_request_is_alone_keeps_the_order_of_all() {
    let mut script = alone(&[("second", QoS::AtLeastOnce), ("third", QoS::AtLeastOnce)]);
    let _ = publish(&mut script, "fourth", QoS::AtLeastOnce);
    let _ = publish(&mut script, "fifth", QoS::AtMostOnce);
    script.hear(&message(7));
    script.hear(&ack(PUBREC, 1));
    script.sent();
    assert_eq!(
        script.reconnect(ACCEPTED_SESSION_PRESENT),
        [
            "PUBLISH t second q1 2 dup",
            "PUBLISH t third q1 3 dup",
            "PUBLISH t fourth q1 4 dup",
            "PUBREL 1",
        ],
    );
}

#[test]
fn a_held_request_is_not_taken_for_a_sent_one() {
    let mut script = alone(&[("second", QoS::AtLeastOnce)]);
    let _ = publish(&mut script, "third", QoS::AtMostOnce);
    let fourth = publish(&mut script, "fourth", QoS::AtLeastOnce);
    script.client.cancel(fourth).unwrap();
    script.run();
    assert_eq!(script.told(), ["cancelled 3"]);
    script.cut();
    assert_eq!(script.told(), [DOWN, "stuck 1 at 3 connections"]);
    script.later(1_000_000);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    script.sent();
    script.hear(&ack(PUBREC, 1));
    let sent = script.sent();
    assert_eq!(sent, ["PUBLISH t second q1 2 dup", "PUBLISH t third q0", "PUBREL 1"]);
}

#[test]
fn a_disconnect_sends_the_held_requests_first() {
    let mut script = alone(&[("second", QoS::AtLeastOnce)]);
    script.client.disconnect();
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t second q1 2 dup", "DISCONNECT"]);
}

#[test]
fn a_subscribe_at_which_the_broker_closes_is_told() {
    let mut script = Script::up(&Options::new("me"));
    let handle = script.client.subscribe(&[(filter!("$SYS/#"), QoS::AtMostOnce)]).unwrap();
    for _ in 0..2 {
        script.run();
        script.reconnect(ACCEPTED);
    }
    script.told();
    script.cut();
    assert_eq!(script.told(), [DOWN, "stuck 1 at 3 connections"]);
    script.client.cancel(handle).unwrap();
    assert_eq!(script.reconnect(ACCEPTED), [""; 0]);
}

/// A client with these granted subscriptions.
fn subscribed(options: &Options<'_>, names: &[&str]) -> Script {
    let mut script = Script::up(options);
    for name in names {
        let filter = mqtt_core::Filter::new(name).unwrap();
        let handle = script.client.subscribe(&[(filter, QoS::AtMostOnce)]).unwrap();
        script.run();
        script.hear(&suback(handle.packet_id().unwrap().get(), &[0]));
    }
    script.sent();
    script.told();
    script
}

#[test]
fn a_renewal_asks_for_a_few_filters_at_a_time_and_holds_back_the_requests_until_all_are_asked_for()
{
    let options = Options::new("me").filters_per_subscribe(2);
    let mut script = subscribed(&options, &["a", "b", "c", "d", "e"]);
    let _ = publish(&mut script, "1", QoS::AtLeastOnce);
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:0 b:0"]);
    script.hear(&message(7));
    assert_eq!(script.sent(), ["PUBACK 7"]);
    script.hear(&suback(65535, &[0, 0]));
    assert_eq!(script.sent(), ["SUBSCRIBE 65534 c:0 d:0"]);
    script.hear(&suback(65534, &[0, 0]));
    assert_eq!(script.sent(), ["SUBSCRIBE 65535 e:0", "PUBLISH t 1 q1 6"]);
    script.hear(&suback(65535, &[0x80]));
    let renewed: Vec<_> =
        script.told().into_iter().filter(|event| event.starts_with("renewed")).collect();
    assert_eq!(renewed, ["renewed [0, 0]", "renewed from 2 [0, 0]", "renewed from 4 [128]"]);
    assert!(script.is_open());
}

/// Some brokers repeat answers.
#[test]
fn a_suback_that_comes_twice_answers_one_packet_of_a_renewal() {
    for more in [&["c"][..], &["c", "d"]] {
        let names = [&["a", "b"], more].concat();
        let mut script = subscribed(&Options::new("me").filters_per_subscribe(2), &names);
        script.reconnect(ACCEPTED);
        script.told();
        script.hear(&[suback(65535, &[0, 0]), suback(65535, &[0, 0])].concat());
        script.run();
        script.hear(&suback(65535, &[0, 0]));
        assert_eq!(script.told(), ["renewed [0, 0]"]);
        script.hear(&suback(65534, &vec![1; more.len()]));
        assert_eq!(script.told(), [format!("renewed from 2 {:?}", vec![1; more.len()])]);
        assert!(script.is_open());
    }
}

#[test]
fn eight_filters_a_packet_is_the_default() {
    let names = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let mut script = subscribed(&Options::new("me"), &names);
    let sent = script.reconnect(ACCEPTED);
    assert_eq!(sent, ["SUBSCRIBE 65535 1:0 2:0 3:0 4:0 5:0 6:0 7:0 8:0"]);
}

#[test]
fn a_renewal_at_which_the_broker_closes_is_narrowed_down_to_one_filter() {
    let mut script = subscribed(&persistent(), &["a", "b", "poison", "d"]);
    let _ = publish(&mut script, "1", QoS::AtLeastOnce);
    let mut told = Vec::new();
    for _ in 0..10 {
        let mut sent = script.reconnect(ACCEPTED);
        script.told();
        for id in [65535, 65534].into_iter().cycle() {
            if sent.is_empty() || sent[0].contains("poison") {
                break;
            }
            script.hear(&suback(id, &[0]));
            sent = script.sent();
        }
        script.told();
        script.cut();
        told = script.told();
        if told.len() > 1 {
            break;
        }
    }
    assert_eq!(told, [DOWN, "renewal of 1 from 2 stuck at 3 connections"]);
    script.client.forget_subscriptions(2, 1).unwrap();
    let names: Vec<_> =
        script.client.subscriptions().map(|kept| kept.filter.as_str().to_string()).collect();
    assert_eq!(names, ["a", "b", "d"]);
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:0"]);
    for (id, next) in [(65535, "SUBSCRIBE 65534 b:0"), (65534, "SUBSCRIBE 65535 d:0")] {
        script.hear(&suback(id, &[0]));
        assert_eq!(script.sent(), [next]);
    }
    script.hear(&suback(65535, &[0]));
    assert_eq!(script.sent(), ["PUBLISH t 1 q1 5"]);
    assert_eq!(script.reconnect(ACCEPTED)[0], "SUBSCRIBE 65535 a:0 b:0 d:0");
}

#[test]
fn the_count_begins_anew_for_the_filter_behind_one_that_was_forgotten() {
    let options = persistent().filters_per_subscribe(1);
    let mut script = subscribed(&options, &["poison", "venom"]);
    let stuck = [DOWN, "renewal of 1 from 0 stuck at 3 connections"];
    for _ in 0..2 {
        let told: Vec<_> = (0..3).map(|_| next_connection_renews(&mut script)).collect();
        assert_eq!(told, [&stuck[..1], &stuck[..1], &stuck]);
        script.client.forget_subscriptions(0, 1).unwrap();
    }
}

/// What is told if the broker begins a new session and closes at the renewal.
fn next_connection_renews(script: &mut Script) -> Vec<String> {
    script.reconnect(ACCEPTED);
    script.told();
    script.cut();
    script.told()
}

/// A clean session is renewed on each connection.
#[test]
fn a_request_behind_a_renewal_is_sent_alone_as_well() {
    let mut script = subscribed(&Options::new("me"), &["a"]);
    let poison = publish(&mut script, "poison", QoS::AtLeastOnce);
    let _ = publish(&mut script, "good", QoS::AtLeastOnce);
    script.run();
    script.cut();
    let (renewal, both) = ("SUBSCRIBE 65535 a:0", ["PUBLISH t poison q1 2", "PUBLISH t good q1 3"]);
    // Once a connection has ended with an unanswered request, the answer to the renewal is awaited first.
    for requests in [&both[..], &both[..1]] {
        script.told();
        assert_eq!(script.reconnect(ACCEPTED), [renewal]);
        script.hear(&suback(65535, &[0]));
        assert_eq!(script.sent(), requests);
        script.told();
        script.cut();
    }
    assert_eq!(script.told(), [DOWN, "stuck 2 at 3 connections"]);
    script.client.cancel(poison).unwrap();
    script.reconnect(ACCEPTED);
    script.hear(&suback(65535, &[0]));
    assert_eq!(script.sent(), both[1..]);
}

#[test]
fn a_filter_is_not_blamed_for_one_that_was_forgotten_before_its_answer() {
    let options = Options::new("me").filters_per_subscribe(1).stuck_after(3);
    let mut script = subscribed(&options, &["a", "bb"]);
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:0"]);
    script.told();
    script.client.forget_subscriptions(0, 1).unwrap();
    script.cut();
    assert_eq!(script.told(), [DOWN]);
    for told in [&[DOWN][..], &[DOWN], &[DOWN, "renewal of 1 from 0 stuck at 3 connections"]] {
        assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 bb:0"]);
        script.told();
        script.cut();
        assert_eq!(script.told(), told);
    }
}

/// The connections end at a request and at the renewal in front of it, in turn: two brokers, or a SUBSCRIBE that is too
/// large until its filters are asked for one by one.
#[test]
fn a_renewal_in_front_of_a_request_does_not_begin_its_count_anew() {
    let mut script = subscribed(&Options::new("me"), &["a"]);
    let _ = publish(&mut script, "poison", QoS::AtLeastOnce);
    script.run();
    script.cut();
    for told in [&[DOWN][..], &[DOWN, "stuck 2 at 3 connections"]] {
        assert_eq!(next_connection_renews(&mut script), [DOWN]);
        script.reconnect(ACCEPTED);
        script.hear(&suback(65535, &[0]));
        script.told();
        script.cut();
        assert_eq!(script.told(), told);
    }
}
