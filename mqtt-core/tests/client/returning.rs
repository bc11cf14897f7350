//! The first broker is preferred: `Reconnect::prefer_first` and `Reconnect::return_after`.

use mqtt_core::{
    ConnectionState, Options, PacketId, Publish, QoS, Reconnect, Version, codec::Packet, filter,
    topic,
};

use test_kit::{
    script::Script,
    wire::{
        ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, ack, packet,
        suback,
    },
};

/// An hour.
const RETURN: u64 = 3_600_000;
const STABLE: u64 = 30_000;

fn policy() -> Reconnect {
    Reconnect::after(1_000).at_most(60_000).endpoints(3)
}

/// The brokers are nodes of a cluster, so a return does not change the session.
fn options(policy: Reconnect) -> Options<'static> {
    Options::new("me").keep_alive(0).clean_session(false).cluster(true).reconnect(policy)
}

/// The endpoint of the attempt that is under way, or of the next one after the milliseconds that are given as well.
fn next(script: &mut Script) -> (u64, String) {
    let mut waited = 0;
    if !script.is_open() {
        script.run();
    }
    while !script.is_open() {
        let delay = script.run().millis_since(script.now());
        waited += delay;
        script.later(delay);
        script.run();
    }
    let told = script.told();
    let endpoint = told.iter().rev().find_map(|line| line.strip_prefix("connecting "));
    (waited, endpoint.unwrap().to_string())
}

/// The endpoints of the next attempts, none of which opens a transport.
fn fails(script: &mut Script, count: usize) -> Vec<String> {
    let fail = |_| {
        let (_, endpoint) = next(script);
        script.cut();
        endpoint
    };
    (0..count).map(fail).collect()
}

/// The next attempt is accepted, and the connection is stable.
fn stable(script: &mut Script) -> String {
    let (_, endpoint) = next(script);
    script.hear(ACCEPTED);
    script.later(STABLE);
    script.run();
    assert_eq!(script.client.state(), ConnectionState::Up);
    script.sent();
    script.told();
    endpoint
}

/// A client with a stable connection to broker 1.
fn on_second(options: &Options<'_>) -> Script {
    let mut script = Script::new(options);
    assert_eq!(fails(&mut script, 1), ["0"]);
    assert_eq!(stable(&mut script), "1");
    script
}

/// The same, and the time of the return has come.
fn due(options: &Options<'_>) -> Script {
    let mut script = on_second(options);
    script.later(RETURN - STABLE);
    script
}

fn returning() -> Options<'static> {
    options(policy().return_after(RETURN as u32))
}

fn publish(script: &mut Script, payload: &str, qos: QoS) {
    let publish = Publish::new(topic!("t"), payload.as_bytes()).qos(qos);
    let _ = script.client.publish(&publish).unwrap();
    script.run();
}

fn message(script: &mut Script, id: u16, qos: QoS) {
    let publish = Publish { id: PacketId::new(id), ..Publish::new(topic!("t"), b"m").qos(qos) };
    script.hear_packet(Packet::Publish(publish));
}

#[test]
fn by_default_the_next_broker_follows_a_stable_connection() {
    let mut script = on_second(&options(policy()));
    script.cut();
    assert_eq!(fails(&mut script, 3), ["2", "0", "1"]);
    let mut script = on_second(&options(policy()));
    script.later(1_000_000_000);
    script.run();
    assert_eq!(script.client.state(), ConnectionState::Up, "it stays for ever");
}

#[test]
fn if_the_first_broker_is_preferred_it_follows_a_stable_connection_to_any_other() {
    let mut script = on_second(&options(policy().prefer_first(true)));
    script.cut();
    assert_eq!(fails(&mut script, 4), ["0", "1", "2", "0"]);
    // A connection that was not stable is followed by the next broker.
    assert_eq!(next(&mut script).1, "1");
    script.hear(ACCEPTED);
    script.cut();
    assert_eq!(fails(&mut script, 1), ["2"]);
    assert_eq!(stable(&mut script), "0");
    script.cut();
    assert_eq!(fails(&mut script, 2), ["0", "1"]);
}

#[test]
fn with_an_order_of_its_own_a_client_prefers_the_first_in_it() {
    let policy = policy().shuffle_endpoints(true).prefer_first(true);
    for seed in 0..10 {
        let mut script = Script::new(&options(policy.seed(seed)));
        let first = fails(&mut script, 1);
        stable(&mut script);
        script.cut();
        assert_eq!(fails(&mut script, 1), first);
    }
}

/// A DISCONNECT spares the will [MQTT-3.14.4-3].
#[test]
fn after_its_time_a_client_leaves_with_a_disconnect_and_goes_to_the_first_broker_at_once() {
    let mut script = on_second(&returning());
    script.later(RETURN - STABLE - 1);
    script.run();
    assert_eq!(script.client.state(), ConnectionState::Up);
    script.later(1);
    script.run();
    assert_eq!(script.sent()[0], "DISCONNECT");
    assert_eq!(script.told(), ["down at 1: returns to the preferred broker", "connecting 0"]);
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.told(), ["up Resumed V311"]);
    // It stays there.
    script.later(10 * RETURN);
    script.run();
    assert_eq!(script.client.state(), ConnectionState::Up);
}

#[test]
fn if_the_first_broker_cannot_be_reached_the_client_comes_back_at_once_and_stays_for_that_time() {
    let mut script = due(&returning());
    for _ in 0..3 {
        script.run();
        assert_eq!(script.told(), ["down at 1: returns to the preferred broker", "connecting 0"]);
        script.cut();
        assert_eq!(next(&mut script), (0, "1".to_string()));
        script.hear(ACCEPTED_SESSION_PRESENT);
        script.told();
        script.later(STABLE);
        script.run();
        script.later(RETURN - STABLE - 1);
        script.run();
        assert_eq!(script.told(), [""; 0]);
        script.later(1);
    }
}

#[test]
fn a_first_broker_that_refuses_counts_as_one_that_cannot_be_reached() {
    let mut script = due(&returning());
    script.run();
    script.hear(&[0x20, 2, 0, 5]);
    assert!(script.fatal().is_some());
    assert_eq!(next(&mut script), (0, "1".to_string()));
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.client.state(), ConnectionState::Up);
}

/// The other version is tried as well, without a delay.
#[test]
fn a_first_broker_that_closes_in_silence_is_asked_in_both_versions() {
    let mut script = Script::new(&returning().version(Version::Auto));
    assert_eq!(fails(&mut script, 2), ["0", "0"]);
    stable(&mut script);
    script.later(RETURN - STABLE);
    script.run();
    assert_eq!(script.told().last().unwrap(), "connecting 0");
    assert!(script.sent().last().unwrap().starts_with("CONNECT V311 "));
    script.cut();
    assert_eq!(next(&mut script), (0, "0".to_string()));
    assert!(script.sent().last().unwrap().starts_with("CONNECT V31 "));
    script.cut();
    assert_eq!(next(&mut script), (0, "1".to_string()));
    assert_eq!(script.sent(), ["CONNECT V311 me"]);
}

/// The broker that it has left has died meanwhile.
#[test]
fn a_return_is_no_failure_for_the_back_off() {
    let mut script =
        due(&returning().reconnect(policy().return_after(RETURN as u32).prefer_first(true)));
    script.run();
    assert_eq!(fails(&mut script, 1), ["0"]);
    let mut delays = Vec::new();
    for endpoint in ["1", "2", "0", "1"] {
        let (delay, asked) = next(&mut script);
        assert_eq!(asked, endpoint);
        delays.push(delay);
        script.cut();
    }
    assert_eq!(delays[0], 0);
    assert!(delays[1..].iter().all(|delay| (500..=1_000).contains(delay)), "{delays:?}");
}

#[test]
fn a_client_that_has_no_other_broker_or_does_not_connect_again_stays() {
    let never = Reconnect::never().endpoints(3).return_after(RETURN as u32);
    let single = policy().endpoints(1).return_after(RETURN as u32);
    for (reconnect, failures) in [(single, 0), (never, 1)] {
        let mut script = Script::new(&options(reconnect));
        for _ in 0..failures {
            script.run();
            script.cut();
            script.client.connect();
        }
        script.accept(ACCEPTED);
        for _ in 0..5 {
            script.later(RETURN);
            script.run();
        }
        assert_eq!(script.client.state(), ConnectionState::Up);
    }
}

#[test]
fn a_disconnect_during_the_return_is_the_last_word() {
    let mut script = due(&returning());
    let now = script.now();
    let _ = script.client.poll(now);
    assert_eq!(script.client.state(), ConnectionState::Closing);
    script.client.disconnect();
    script.run();
    assert_eq!(script.sent(), ["DISCONNECT"]);
    assert_eq!(script.told(), ["down at 1: disconnected on request"]);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
}

/// Lets `millis` pass with a look of the driver at each deadline.
fn pass(script: &mut Script, millis: u64) {
    let end = script.now().plus_millis(millis);
    while script.now() < end && script.client.state() == ConnectionState::Up {
        let until = script.run().min(end);
        script.later(until.millis_since(script.now()));
    }
    script.run();
}

/// Each of these leaves something unanswered, and the bytes that end it.
#[test]
fn a_client_leaves_at_a_quiet_moment() {
    type Begin = fn(&mut Script);
    let cases: [(Begin, &[&[u8]]); 5] = [
        (|script| publish(script, "1", QoS::AtLeastOnce), &[&ack(PUBACK, 1)]),
        (|script| publish(script, "1", QoS::ExactlyOnce), &[&ack(PUBREC, 1), &ack(PUBCOMP, 1)]),
        (
            |script| {
                let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
                script.run();
            },
            &[&[SUBACK, 3, 0, 1, 0]],
        ),
        (|script| message(script, 5, QoS::ExactlyOnce), &[&ack(PUBREL, 5)]),
        // Half of a message.
        (|script| script.hear(b"\x30\x04\0"), &[b"\x01tx"]),
    ];
    for (number, (begin, answers)) in cases.into_iter().enumerate() {
        let mut script = due(&returning());
        begin(&mut script);
        pass(&mut script, 4_000);
        for answer in answers {
            assert_eq!(script.client.state(), ConnectionState::Up, "{number}");
            script.hear(answer);
        }
        pass(&mut script, 100);
        assert!(script.sent().iter().any(|line| line == "DISCONNECT"), "{number}");
        let told = script.told();
        assert!(
            told.contains(&"down at 1: returns to the preferred broker".to_string()),
            "{told:?}"
        );
    }
}

#[test]
fn a_message_that_the_application_owes_an_acknowledgement_is_unanswered() {
    let mut script = due(&returning().manual_acknowledge(true));
    let mut delivery = None;
    let bytes = test_kit::wire::encoded(
        Packet::Publish(Publish {
            id: PacketId::new(5),
            ..Publish::new(topic!("t"), b"m").qos(QoS::AtLeastOnce)
        }),
        script.client.protocol(),
    );
    let (mut input, now) = (&bytes[..], script.now());
    while let Some(event) = script.client.receive(&mut input, now).unwrap() {
        if let mqtt_core::Event::Message(message) = event {
            delivery = message.delivery;
        }
    }
    pass(&mut script, 4_000);
    assert_eq!(script.client.state(), ConnectionState::Up);
    script.client.acknowledge(delivery.unwrap()).unwrap();
    pass(&mut script, 100);
    assert_eq!(script.sent()[..2], ["PUBACK 5", "DISCONNECT"]);
}

/// A publisher that always has a request under way, and a broker that takes its time.
#[test]
fn requests_are_held_back_after_five_seconds_so_that_the_answers_catch_up() {
    let mut script = due(&returning());
    publish(&mut script, "1", QoS::AtLeastOnce);
    pass(&mut script, 4_800);
    publish(&mut script, "2", QoS::AtLeastOnce);
    script.hear(&ack(PUBACK, 1));
    assert_eq!(script.sent(), ["PUBLISH t 1 q1 1", "PUBLISH t 2 q1 2"]);
    pass(&mut script, 200);
    publish(&mut script, "3", QoS::AtLeastOnce);
    pass(&mut script, 1_000);
    assert_eq!(script.sent(), [""; 0], "it waits");
    script.told();
    script.hear(&ack(PUBACK, 2));
    pass(&mut script, 100);
    assert_eq!(
        script.told(),
        ["published 2", "down at 1: returns to the preferred broker", "connecting 0"]
    );
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.sent(), ["DISCONNECT", "CONNECT V311 me", "PUBLISH t 3 q1 3"]);
}

#[test]
fn a_client_that_finds_no_quiet_moment_leaves_after_ten_seconds() {
    let mut script = due(&returning());
    publish(&mut script, "1", QoS::ExactlyOnce);
    pass(&mut script, 9_800);
    assert_eq!(script.client.state(), ConnectionState::Up);
    pass(&mut script, 200);
    script.hear(ACCEPTED_SESSION_PRESENT);
    let sent = script.sent();
    assert_eq!(sent[1..], ["DISCONNECT", "CONNECT V311 me", "PUBLISH t 1 q2 1 dup"]);
}

/// It would begin anew at the other broker.
#[test]
fn a_message_in_pieces_is_not_cut_off() {
    let mut script = due(&returning().receive_capacity(64));
    let large = packet(0x30, &[b"\0\x01t", &[b'x'; 500]]);
    script.hear(&large[..300]);
    pass(&mut script, 60_000);
    assert_eq!(script.client.state(), ConnectionState::Up);
    script.hear(&large[300..]);
    pass(&mut script, 100);
    let told = script.told();
    assert!(
        told.ends_with(
            &["end", "down at 1: returns to the preferred broker", "connecting 0"]
                .map(String::from)
        ),
        "{told:?}"
    );
}

#[test]
fn a_renewal_of_subscriptions_is_not_cut_off() {
    let mut script = on_second(&returning().answer_timeout(0));
    let _ = script.client.subscribe(&[(filter!("a"), QoS::AtMostOnce)]).unwrap();
    script.run();
    script.hear(&suback(1, &[0]));
    script.cut();
    // The session is lost, and the answer to the renewal takes its time.
    assert_eq!(next(&mut script).1, "2");
    script.hear(ACCEPTED);
    script.later(STABLE);
    script.run();
    script.later(RETURN - STABLE);
    pass(&mut script, 60_000);
    assert_eq!(script.client.state(), ConnectionState::Up);
    script.hear(&suback(65535, &[0]));
    pass(&mut script, 100);
    assert!(script.told().contains(&"down at 2: returns to the preferred broker".to_string()));
}

#[test]
fn a_return_makes_no_request_a_suspect() {
    let mut script = due(&returning().stuck_after(1));
    publish(&mut script, "1", QoS::AtLeastOnce);
    pass(&mut script, 10_000);
    script.cut();
    next(&mut script);
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert!(!script.told().iter().any(|line| line.starts_with("stuck")));
}
