//! A request that stays unanswered while the link is alive ends the connection, so that it is sent again on the next.

use mqtt_core::{
    Action, Event, Fatal, Handle, Instant, Message, Options, Publish, QoS, Reason, filter, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBREC, ack},
};

const MESSAGE: &[u8] = b"\x30\x04\0\x01tx";

fn options() -> Options<'static> {
    Options::new("me").clean_session(false).answer_timeout(100_000)
}

fn publish(script: &mut Script, qos: QoS) -> Handle {
    let handle = script.client.publish(&Publish::new(topic!("p"), b"1").qos(qos)).unwrap();
    script.run();
    handle
}

/// Lets `seconds` pass, in which the broker sends messages and nothing else. Returns the seconds to the end of the
/// connection.
fn alive(script: &mut Script, seconds: u64) -> Option<u64> {
    for second in 1..=seconds {
        script.later(1_000);
        script.run();
        if !script.is_open() {
            return Some(second);
        }
        script.hear(MESSAGE);
    }
    None
}

/// The last reason for which the client went offline.
fn reason(script: &mut Script) -> String {
    let told = script.told();
    told.iter().rev().find(|line| line.starts_with("down")).unwrap().clone()
}

#[test]
fn a_request_that_is_not_answered_ends_the_connection_and_is_sent_again() {
    let mut script = Script::up(&options());
    let handle = publish(&mut script, QoS::AtLeastOnce);
    assert_eq!(alive(&mut script, 200), Some(100));
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(handle)));
    script.later(10_000);
    script.run();
    script.sent();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent(), ["PUBLISH p 1 q1 1 dup"]);
}

#[test]
fn each_kind_of_request_is_awaited() {
    let mut script = Script::up(&options());
    let subscribe = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    assert_eq!(alive(&mut script, 200), Some(100));
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(subscribe)));

    let mut script = Script::up(&options());
    let unsubscribe = script.client.unsubscribe(&[filter!("a")]).unwrap();
    script.run();
    assert_eq!(alive(&mut script, 200), Some(100));
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(unsubscribe)));

    let mut script = Script::up(&options());
    let publish_2 = publish(&mut script, QoS::ExactlyOnce);
    assert_eq!(alive(&mut script, 200), Some(100));
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(publish_2)));

    // The PUBCOMP has a time of its own.
    let mut script = Script::up(&options());
    let publish_2 = publish(&mut script, QoS::ExactlyOnce);
    assert_eq!(alive(&mut script, 90), None);
    script.hear(&ack(PUBREC, 1));
    let end = alive(&mut script, 200);
    assert!(end.is_some_and(|end| (100..=200).contains(&end)), "{end:?}");
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(publish_2)));
}

/// Others are answered meanwhile, so the time starts anew once.
#[test]
fn one_request_among_many_is_found_within_twice_the_time() {
    for first in 0..20 {
        let mut script = Script::sized(&options(), 256, 8);
        script.accept(ACCEPTED);
        let mut lost = None;
        let mut sent_at = 0;
        for second in 0_u64.. {
            if !script.is_open() {
                let waited = second - sent_at;
                assert!((100..=200).contains(&waited), "{waited}");
                break;
            }
            assert!(second < 400, "for ever unanswered");
            let handle = publish(&mut script, QoS::AtLeastOnce);
            if second == first {
                (lost, sent_at) = (Some(handle), second);
            } else {
                script.hear(&ack(PUBACK, handle.packet_id().unwrap().get()));
            }
            script.later(1_000);
            script.run();
        }
        let expected = format!("down: {}", Fatal::Unanswered(lost.unwrap()));
        assert_eq!(reason(&mut script), expected);
    }
}

/// Each is answered in time, though there is always one in flight.
#[test]
fn requests_that_are_answered_in_time_end_nothing() {
    for window in [1, 2, 7] {
        let mut script = Script::sized(&options().keep_alive(0), 128, 8);
        script.accept(ACCEPTED);
        let mut unanswered = std::collections::VecDeque::new();
        for _ in 0..400 {
            unanswered.push_back(publish(&mut script, QoS::AtLeastOnce));
            if unanswered.len() > window {
                let handle = unanswered.pop_front().unwrap();
                script.hear(&ack(PUBACK, handle.packet_id().unwrap().get()));
            }
            script.later(10_000);
            script.run();
            assert!(script.is_open());
            assert!(script.run() > script.now());
        }
    }
}

/// Subscriptions move the packets when they are granted.
#[test]
fn a_subscription_that_is_granted_meanwhile_changes_nothing() {
    let mut script = Script::up(&options());
    let handle = publish(&mut script, QoS::AtLeastOnce);
    for second in 2..40_u8 {
        let name = format!("filter/{second}");
        let filter = mqtt_core::Filter::new(&name).unwrap();
        let subscribe = script.client.subscribe(&[(filter, QoS::AtMostOnce)]).unwrap();
        assert_eq!(alive(&mut script, 1), None);
        let id = subscribe.packet_id().unwrap().get() as u8;
        script.hear(&[0x90, 3, 0, id, 0]);
    }
    assert_eq!(alive(&mut script, 200), Some(62));
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(handle)));
}

/// A packet behind dead ones takes their place in the outbox. It was not sent when the time began.
#[test]
fn a_request_that_takes_the_place_of_a_dead_packet_has_its_own_time() {
    let mut script = Script::up(&options().keep_alive(0));
    let one = Publish::new(topic!("p"), b"1").qos(QoS::AtLeastOnce);
    let zero = Publish::new(topic!("p"), &[0; 30]);
    let first = script.client.publish(&one).unwrap();
    let _ = script.client.publish(&zero).unwrap();
    let _ = script.client.publish(&zero).unwrap();
    let now = script.now();
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!() };
    let len = bytes.len();
    script.client.transmitted(len - 1, now);
    script.client.transmitted(1, now);
    script.later(99_000);
    let second = publish(&mut script, QoS::AtLeastOnce);
    script.hear(&ack(PUBACK, first.packet_id().unwrap().get()));
    assert_eq!(alive(&mut script, 200), Some(101), "one second and a time of its own");
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(second)));
}

#[test]
fn without_a_request_in_flight_no_deadline_is_left() {
    let mut script = Script::up(&options().keep_alive(0));
    script.later(30_000);
    script.run();
    let handle = publish(&mut script, QoS::AtLeastOnce);
    assert_eq!(script.run(), Instant::from_millis(130_000));
    script.hear(&ack(PUBACK, handle.packet_id().unwrap().get()));
    assert_eq!(script.run(), Instant::FAR_FUTURE);
}

#[test]
fn the_time_for_answers_can_be_switched_off() {
    let mut script = Script::up(&options().answer_timeout(0));
    let _ = publish(&mut script, QoS::AtLeastOnce);
    assert_eq!(alive(&mut script, 2_000), None);
}

/// The answer lies in the transport: the application was busy.
#[test]
fn an_answer_that_was_not_read_in_time_is_no_missing_one() {
    let mut script = Script::up(&options().keep_alive(0));
    let handle = publish(&mut script, QoS::AtLeastOnce);
    let mut client = script.client;
    let late = Instant::from_millis(300_000);
    for _ in 0..100 {
        assert_eq!(client.poll(late), Action::Wait(Instant::from_millis(100_000)));
        let mut input = MESSAGE;
        while client.receive(&mut input, late).unwrap().is_some() {}
    }
    let puback = ack(PUBACK, handle.packet_id().unwrap().get());
    let mut input = &puback[..];
    assert!(client.receive(&mut input, late).unwrap().is_some());
    assert_eq!(client.poll(late), Action::Wait(Instant::FAR_FUTURE));
}

/// A request that waits to be sent is not unanswered.
#[test]
fn the_time_starts_when_a_request_is_sent() {
    let mut script = Script::up(&options().keep_alive(0));
    let publish = Publish::new(topic!("p"), b"1").qos(QoS::AtLeastOnce);
    let handle = script.client.publish(&publish).unwrap();
    script.later(500_000);
    let now = script.now();
    let Action::Transmit(bytes) = script.client.poll(now) else { panic!() };
    let len = bytes.len();
    script.client.transmitted(len - 1, now);
    script.later(500_000);
    let now = script.now();
    script.client.transmitted(1, now);
    assert_eq!(script.run(), now.plus_millis(100_000));
    script.later(100_000);
    script.run();
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(handle)));
}

#[test]
fn a_renewal_that_is_not_answered_ends_the_connection() {
    let mut script = Script::up(&options());
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(b"\x90\x03\0\x01\0");
    assert_eq!(script.reconnect(ACCEPTED), ["SUBSCRIBE 65535 a:0"]);
    assert_eq!(alive(&mut script, 200), Some(100));
    let expected = Reason::Fatal(Fatal::RenewalUnanswered);
    assert_eq!(reason(&mut script), format!("down: {expected}"));
}

/// The answer may lie behind the input that is refused.
#[test]
fn an_answer_is_not_missed_while_input_is_refused() {
    let options = options().manual_acknowledge(true).keep_alive(0).ping_timeout(8_000);
    let mut script = Script::sized(&options, 256, 1);
    script.accept(ACCEPTED);
    let handle = publish(&mut script, QoS::AtLeastOnce);
    let (now, mut first) = (script.now(), &b"\x32\x06\0\x01t\0\x01x"[..]);
    let event = script.client.receive(&mut first, now).unwrap();
    let Some(Event::Message(Message { delivery: Some(delivery), .. })) = event else { panic!() };
    script.hear(b"\x32\x06\0\x01t\0\x02x");
    assert_eq!(script.untaken(), 8);
    script.later(200_000);
    assert!(script.run() > script.now());
    assert!(script.is_open());
    // The second message is taken, and the answer has a short time to follow.
    script.client.acknowledge(delivery).unwrap();
    script.run();
    assert_eq!(script.untaken(), 0);
    script.later(7_999);
    script.run();
    assert!(script.is_open());
    script.later(1);
    script.run();
    assert_eq!(reason(&mut script), format!("down: {}", Fatal::Unanswered(handle)));
}
