//! A full queue: which messages give way.

use mqtt_core::{Options, Publish, QoS, Queue, RequestError, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, suback},
};

fn options(queue: Queue) -> Options<'static> {
    Options::new("c").queue(queue)
}

fn publish(script: &mut Script, topic: &str, payload: &[u8], qos: QoS) -> Result<(), RequestError> {
    let topic = mqtt_core::Topic::new(topic).unwrap();
    script.client.publish(&Publish::new(topic, payload).qos(qos)).map(|_handle| ())
}

/// The packets that are sent once there is a connection.
fn sent(script: &mut Script) -> Vec<String> {
    script.run();
    script.hear(ACCEPTED);
    script.sent().split_off(1)
}

#[test]
fn by_default_nothing_gives_way() {
    let mut script = Script::new(&options(Queue::RefuseNew).queue_messages(2));
    publish(&mut script, "a", b"1", QoS::AtMostOnce).unwrap();
    publish(&mut script, "a", b"2", QoS::AtLeastOnce).unwrap();
    let full = Err(RequestError::QueueFull { messages: 2 });
    assert_eq!(publish(&mut script, "a", b"3", QoS::AtMostOnce), full);
    assert_eq!(sent(&mut script), ["PUBLISH a 1 q0", "PUBLISH a 2 q1 1"]);
    assert_eq!(publish(&mut script, "a", b"3", QoS::AtMostOnce), Ok(()));
}

#[test]
fn the_oldest_qos_0_messages_give_way_to_a_message_without_room() {
    let mut script = Script::sized(&options(Queue::DropOldest), 160, 8);
    let payload = [b'x'; 40];
    let mut accepted = Vec::new();
    for number in 0..5 {
        let mut payload = payload;
        payload[0] = b'0' + number;
        let publish = Publish::new(topic!("t"), &payload);
        accepted.push(script.client.publish(&publish).unwrap());
    }
    script.run();
    assert_eq!(script.told(), ["dropped -", "dropped -", "dropped -", "connecting 0"]);
    script.hear(ACCEPTED);
    let sent: Vec<_> = script.sent()[1..].iter().map(|line| line[..11].to_owned()).collect();
    assert_eq!(sent, ["PUBLISH t 3", "PUBLISH t 4"]);
    assert_eq!(script.told(), ["up New V311", "published -", "published -"]);
}

/// Each accepted request ends in exactly one event for it.
#[test]
fn every_handle_ends_in_exactly_one_event() {
    use mqtt_core::{Event, Handle, Instant};
    for queue in [Queue::RefuseNew, Queue::DropOldest, Queue::LatestPerTopic] {
        let mut script = Script::sized(&options(queue), 120, 4);
        let mut accepted: Vec<Handle> = Vec::new();
        let mut ended = Vec::new();
        for number in 0..40_usize {
            let name = ["a", "b", "c"][number % 3];
            let topic = mqtt_core::Topic::new(name).unwrap();
            let payload = vec![b'p'; number * 7 % 20];
            accepted.extend(script.client.publish(&Publish::new(topic, &payload)));
            let mut input: &[u8] = &[];
            let now = Instant::from_millis(0);
            if number % 4 == 3 {
                while let Ok(Some(event)) = script.client.receive(&mut input, now) {
                    match event {
                        Event::Dropped(handle) => ended.push(handle),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        let now = Instant::from_millis(0);
        script.client.poll(now);
        script.client.connected(now);
        let mqtt_core::Action::Transmit(connect) = script.client.poll(now) else { panic!() };
        let len = connect.len();
        script.client.transmitted(len, now);
        let mut input: &[u8] = ACCEPTED;
        for _ in 0..200 {
            if let mqtt_core::Action::Transmit(bytes) = script.client.poll(now) {
                // Some are sent in part when others give way.
                let taken = bytes.len().min(3);
                script.client.transmitted(taken, now);
                let publish = Publish::new(topic!("a"), b"late");
                accepted.extend(script.client.publish(&publish));
            }
            while let Ok(Some(event)) = script.client.receive(&mut input, now) {
                match event {
                    Event::Dropped(handle) | Event::Published(handle) => ended.push(handle),
                    _ => {}
                }
            }
            if accepted.len() > 120 {
                break;
            }
        }
        while let mqtt_core::Action::Transmit(bytes) = script.client.poll(now) {
            let taken = bytes.len();
            script.client.transmitted(taken, now);
        }
        while let Ok(Some(event)) = script.client.receive(&mut input, now) {
            match event {
                Event::Dropped(handle) | Event::Published(handle) => ended.push(handle),
                _ => {}
            }
        }
        accepted.sort_unstable();
        ended.sort_unstable();
        assert_eq!(accepted, ended, "{queue:?}");
        assert!(accepted.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

#[test]
fn messages_above_qos_0_never_give_way() {
    let mut script = Script::sized(&options(Queue::DropOldest), 1024, 3);
    publish(&mut script, "a", b"1", QoS::AtLeastOnce).unwrap();
    publish(&mut script, "a", b"2", QoS::AtMostOnce).unwrap();
    publish(&mut script, "a", b"3", QoS::ExactlyOnce).unwrap();
    publish(&mut script, "a", b"4", QoS::AtLeastOnce).unwrap();
    let full = Err(RequestError::WindowFull { in_flight: 3 });
    assert_eq!(publish(&mut script, "a", b"5", QoS::AtMostOnce), full);
    assert_eq!(publish(&mut script, "a", b"6", QoS::AtLeastOnce), full);
    let lines = ["PUBLISH a 1 q1 1", "PUBLISH a 3 q2 3", "PUBLISH a 4 q1 2"];
    assert_eq!(sent(&mut script), lines);
}

#[test]
fn nothing_gives_way_if_the_message_would_still_find_no_room() {
    let mut script = Script::sized(&options(Queue::DropOldest), 160, 8);
    publish(&mut script, "a", &[b'1'; 30], QoS::AtMostOnce).unwrap();
    publish(&mut script, "a", &[b'2'; 30], QoS::AtLeastOnce).unwrap();
    let refused = publish(&mut script, "a", &[b'3'; 70], QoS::AtMostOnce);
    assert!(matches!(refused, Err(RequestError::OutboxFull { .. })), "{refused:?}");
    assert_eq!(sent(&mut script).len(), 2);
    assert_eq!(script.told()[1..], ["up New V311", "published -"]);
}

#[test]
fn a_later_message_of_the_same_topic_supersedes_one_that_waits() {
    let mut script = Script::new(&options(Queue::LatestPerTopic));
    for (topic, payload) in [("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b"4"), ("b", b"5")] {
        publish(&mut script, topic, payload, QoS::AtMostOnce).unwrap();
    }
    publish(&mut script, "c", b"6", QoS::AtLeastOnce).unwrap();
    let lines = ["PUBLISH a 3 q0", "PUBLISH b 5 q0", "PUBLISH c 6 q1 3"];
    script.run();
    assert_eq!(script.told(), ["dropped -", "dropped -", "dropped -", "connecting 0"]);
    let sent: Vec<_> = sent(&mut script).iter().map(|line| line[..11].to_owned()).collect();
    assert_eq!(sent, lines.map(|line| line[..11].to_owned()));
}

#[test]
fn a_message_that_was_sent_in_part_does_not_give_way() {
    let mut script = Script::up(&options(Queue::LatestPerTopic));
    publish(&mut script, "a", b"first", QoS::AtMostOnce).unwrap();
    let now = script.now();
    assert!(matches!(script.client.poll(now), mqtt_core::Action::Transmit(_)));
    script.client.transmitted(1, now);
    publish(&mut script, "a", b"second", QoS::AtMostOnce).unwrap();
    publish(&mut script, "a", b"third", QoS::AtMostOnce).unwrap();
    script.run();
    assert_eq!(script.told(), ["dropped -", "published -", "published -"]);
}

#[test]
fn the_limit_of_messages_makes_the_oldest_give_way() {
    let mut script = Script::new(&options(Queue::DropOldest).queue_messages(2));
    for payload in [b"1", b"2", b"3", b"4"] {
        publish(&mut script, "a", payload, QoS::AtMostOnce).unwrap();
    }
    assert_eq!(sent(&mut script), ["PUBLISH a 3 q0", "PUBLISH a 4 q0"]);
}

/// The other subscriptions follow once these are made again, and the messages behind them.
#[test]
fn a_message_that_waits_behind_a_renewal_is_the_oldest_one() {
    let options = options(Queue::DropOldest).filters_per_subscribe(1);
    let mut script = Script::sized(&options, 200, 3);
    script.accept(ACCEPTED);
    for (id, name) in [(1, "a"), (2, "b")] {
        let filter = mqtt_core::Filter::new(name).unwrap();
        let _ = script.client.subscribe(&[(filter, QoS::AtMostOnce)]).unwrap();
        script.run();
        script.hear(&suback(id, &[0]));
    }
    script.cut();
    let oldest = script.client.publish(&Publish::new(topic!("t"), b"1")).unwrap();
    script.reconnect(ACCEPTED);
    script.told();
    for payload in [b"2", b"3", b"4"] {
        publish(&mut script, "t", payload, QoS::AtMostOnce).unwrap();
    }
    let mut input: &[u8] = &[];
    let now = script.now();
    let dropped = script.client.receive(&mut input, now);
    assert_eq!(dropped, Ok(Some(mqtt_core::Event::Dropped(oldest))));
    script.hear(&suback(65535, &[0]));
    script.hear(&suback(65534, &[0]));
    let sent = script.sent();
    assert_eq!(sent[sent.len() - 3..], ["PUBLISH t 2 q0", "PUBLISH t 3 q0", "PUBLISH t 4 q0"]);
}
