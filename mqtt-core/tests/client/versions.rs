//! The choice of the version with `Version::Auto`.

use mqtt_core::{
    Action, Event, Fatal, Instant, Options, Protocol, Reconnect, Refusal, StaticClient, Version,
    Will, topic,
};

use test_kit::{script::Script, wire::ACCEPTED};

const REFUSED: &[u8] = &[0x20, 2, 0, 1];

fn auto() -> Options<'static> {
    Options::new("me").version(Version::Auto)
}

/// A client of `brokers` brokers.
fn several(brokers: u8) -> Script {
    Script::new(&auto().reconnect(Reconnect::after(10).at_most(100).endpoints(brokers)))
}

/// The attempt that is due now, or is under way: its endpoint and version, as `0 V311`.
fn attempt(script: &mut Script) -> String {
    script.run();
    let told = script.told();
    let endpoint = told.iter().rev().find_map(|line| line.strip_prefix("connecting "));
    let sent = script.sent();
    let version = sent.last().and_then(|line| line.split(' ').nth(1));
    format!("{} {}", endpoint.unwrap(), version.unwrap())
}

/// The attempts that follow if the broker does `answer` each time.
fn attempts(script: &mut Script, count: usize, answer: fn(&mut Script)) -> Vec<String> {
    let each = |_| {
        let made = attempt(script);
        answer(script);
        made
    };
    (0..count).map(each).collect()
}

/// The connection is closed, and the time of the next attempt comes.
fn close(script: &mut Script) {
    script.cut();
    script.later(1_000_000);
}

/// The broker refuses the version. The time of the next attempt comes.
fn refuse(script: &mut Script) {
    script.hear(REFUSED);
    assert!(script.fatal().is_some());
    if !script.is_open() {
        script.later(1_000_000);
    }
}

/// The broker accepts the connection, which ends soon after.
fn accept(script: &mut Script) {
    script.hear(ACCEPTED);
    close(script);
}

#[test]
fn auto_tries_3_1_1_again_after_one_attempt_in_3_1() {
    let made = attempts(&mut several(1), 5, close);
    assert_eq!(made, ["0 V311", "0 V31", "0 V311", "0 V31", "0 V311"]);
}

/// Forty attempts went to the first one.
#[test]
fn auto_goes_on_to_the_next_broker_after_two_attempts_without_a_connack() {
    let made = attempts(&mut several(3), 7, close);
    assert_eq!(made, ["0 V311", "0 V31", "1 V311", "1 V31", "2 V311", "2 V31", "0 V311"]);
}

/// The link broke between CONNECT and CONNACK, and the broker speaks both versions.
#[test]
fn auto_comes_back_to_3_1_1_after_a_broken_connection_and_one_in_3_1() {
    let mut script = several(1);
    assert_eq!(attempts(&mut script, 1, close), ["0 V311"]);
    assert_eq!(attempts(&mut script, 3, accept), ["0 V31", "0 V311", "0 V311"]);
    assert_eq!(attempts(&mut script, 2, close), ["0 V311", "0 V311"], "3.1.1 has worked");
}

/// [MQTT-3.1.2-1] allows a broker to close the connection.
#[test]
fn a_broker_of_3_1_that_closes_in_silence_costs_one_attempt_at_each_connection() {
    let mut script = several(1);
    for _ in 0..3 {
        assert_eq!(attempts(&mut script, 1, close), ["0 V311"]);
        assert_eq!(attempts(&mut script, 1, accept), ["0 V31"]);
    }
}

#[test]
fn the_attempt_in_3_1_after_a_close_waits_for_the_first_delay_only() {
    let reconnect = Reconnect::after(1_000).at_most(60_000);
    let mut script = Script::new(&auto().reconnect(reconnect));
    for turn in 0..6 {
        for first in [true, false] {
            attempt(&mut script);
            script.cut();
            let delay = script.run().millis_since(script.now());
            let most = if first { 1_000 } else { 1_000 << turn };
            assert!((most / 2..=most).contains(&delay), "{turn}: {delay}");
            script.later(delay);
        }
    }
}

#[test]
fn only_a_refusal_settles_a_broker_and_each_broker_for_itself() {
    let mut script = several(3);
    // Broker 0 refuses 3.1.1, broker 1 takes it, broker 2 closes in silence.
    assert_eq!(attempts(&mut script, 1, refuse), ["0 V311"]);
    assert_eq!(attempts(&mut script, 2, accept), ["0 V31", "1 V311"]);
    assert_eq!(attempts(&mut script, 1, close), ["2 V311"]);
    assert_eq!(attempts(&mut script, 1, accept), ["2 V31"]);
    for _ in 0..2 {
        assert_eq!(attempts(&mut script, 2, accept), ["0 V31", "1 V311"]);
        assert_eq!(attempts(&mut script, 1, close), ["2 V311"]);
        assert_eq!(attempts(&mut script, 1, accept), ["2 V31"]);
    }
}

#[test]
fn a_broker_that_begins_to_refuse_3_1_is_asked_in_3_1_1_from_then_on() {
    let mut script = several(1);
    assert_eq!(attempts(&mut script, 1, refuse), ["0 V311"]);
    assert_eq!(attempts(&mut script, 2, accept), ["0 V31", "0 V31"]);
    assert_eq!(attempts(&mut script, 1, refuse), ["0 V31"]);
    assert_eq!(attempts(&mut script, 3, accept), ["0 V311", "0 V311", "0 V311"]);
}

/// It closes at a version that it does not know, as [MQTT-3.1.2-1] allows.
#[test]
fn a_broker_that_begins_to_close_at_3_1_is_asked_in_3_1_1_from_then_on() {
    let mut script = several(1);
    assert_eq!(attempts(&mut script, 1, refuse), ["0 V311"]);
    assert_eq!(attempts(&mut script, 1, accept), ["0 V31"]);
    assert_eq!(attempts(&mut script, 1, close), ["0 V31"]);
    assert_eq!(attempts(&mut script, 3, accept), ["0 V311", "0 V311", "0 V311"]);
}

#[test]
fn a_settled_broker_that_is_down_for_a_while_stays_settled() {
    let mut script = several(1);
    assert_eq!(attempts(&mut script, 1, refuse), ["0 V311"]);
    assert_eq!(attempts(&mut script, 4, close), ["0 V31", "0 V31", "0 V311", "0 V31"]);
    assert_eq!(attempts(&mut script, 1, refuse), ["0 V311"]);
    assert_eq!(attempts(&mut script, 2, accept), ["0 V31", "0 V31"]);
}

#[test]
fn a_broker_that_refuses_both_versions_gets_two_attempts_in_its_turn() {
    let made = attempts(&mut several(2), 6, refuse);
    assert_eq!(made, ["0 V311", "0 V31", "1 V311", "1 V31", "0 V311", "0 V31"]);
}

#[test]
fn brokers_beyond_the_32nd_are_not_remembered() {
    let mut script = several(34);
    for endpoint in 0..34 {
        assert_eq!(attempts(&mut script, 1, refuse), [format!("{endpoint} V311")]);
        assert_eq!(attempts(&mut script, 1, accept), [format!("{endpoint} V31")]);
    }
    for endpoint in 0..32 {
        assert_eq!(attempts(&mut script, 1, accept), [format!("{endpoint} V31")]);
    }
    for endpoint in 32..34 {
        assert_eq!(attempts(&mut script, 1, refuse), [format!("{endpoint} V311")]);
        assert_eq!(attempts(&mut script, 1, accept), [format!("{endpoint} V31")]);
    }
}

/// A broker of 3.1 closes the attempt in 3.1.1 in silence each time.
#[test]
fn a_client_in_3_1_that_is_kicked_out_again_and_again_is_told_so() {
    let mut script = several(1);
    for connection in 1..=3 {
        assert_eq!(attempts(&mut script, 1, close), ["0 V311"]);
        assert_eq!(attempt(&mut script), "0 V31");
        script.hear(ACCEPTED);
        script.later(10);
        script.cut();
        let told = script.told();
        let kicked_out = told.last().unwrap().starts_with("down: closed soon after");
        assert_eq!(kicked_out, connection == 3, "{told:?}");
        script.later(1_000_000);
    }
}

#[test]
fn auto_falls_back_to_3_1_at_once_when_3_1_1_is_refused_and_remembers() {
    let options = Options::new("me").version(Version::Auto).reconnect(Reconnect::after(9_000));
    let mut script = Script::new(&options);
    script.run();
    assert_eq!(script.sent(), ["CONNECT V311 me clean"]);
    script.hear(&[0x20, 2, 0, 1]);
    assert_eq!(script.sent(), ["CONNECT V31 me clean"]);
    script.hear(ACCEPTED);
    assert_eq!(script.told().last().unwrap(), "up New V31");
    script.cut();
    script.later(20_000);
    script.run();
    assert_eq!(script.sent(), ["CONNECT V31 me clean"], "the refusal is remembered");
}

#[test]
fn auto_falls_back_at_the_same_broker() {
    let reconnect = Reconnect::after(10).endpoints(2);
    let mut script = Script::new(&Options::new("me").version(Version::Auto).reconnect(reconnect));
    script.run();
    script.hear(&[0x20, 2, 0, 1]);
    let told = script.told();
    assert_eq!((&*told[0], &*told[2]), ("connecting 0", "connecting 0"), "{told:?}");
}

#[test]
fn auto_tries_3_1_after_a_close_without_a_connack() {
    let mut script = Script::new(&Options::new("me").version(Version::Auto));
    script.run();
    script.sent();
    script.cut();
    script.later(100_000);
    script.run();
    assert_eq!(script.sent(), ["CONNECT V31 me clean"]);
}

/// No broker was asked, so no broker refused.
#[test]
fn auto_keeps_the_version_while_no_transport_opens() {
    let options = Options::new("me").version(Version::Auto);
    let mut client = StaticClient::<100, 1>::new_static(&options).unwrap();
    let mut now = Instant::default();
    for _ in 0..5 {
        client.poll(now);
        client.closed(now);
        assert_eq!(client.protocol(), Protocol::V311);
        now = now.plus_millis(1_000_000);
    }
}

/// A client whose driver has written the CONNECT and does not report it.
fn unreported() -> StaticClient<100, 1> {
    let mut client = StaticClient::<100, 1>::new_static(&auto()).unwrap();
    let now = Instant::default();
    assert!(matches!(client.poll(now), Action::Connect { .. }));
    client.connected(now);
    assert!(matches!(client.poll(now), Action::Transmit(_)));
    client
}

/// A driver may report late that the transport has taken the bytes, or never if the connection ends.
#[test]
fn a_refusal_counts_before_the_report_that_the_connect_was_taken() {
    let (mut client, now) = (unreported(), Instant::default());
    let connecting = client.receive(&mut &*REFUSED, now);
    assert!(matches!(connecting, Ok(Some(Event::Connecting { .. }))));
    let refused = client.receive(&mut &*REFUSED, now);
    assert_eq!(refused, Err(Fatal::Refused(Refusal::ProtocolVersion)));
    client.closed(now);
    assert_eq!(client.protocol(), Protocol::V31);
}

#[test]
fn auto_tries_3_1_after_a_close_before_the_report_that_the_connect_was_taken() {
    let mut client = unreported();
    client.closed(Instant::default());
    assert_eq!(client.protocol(), Protocol::V31);
}

#[test]
fn auto_stays_with_3_1_1_once_it_has_worked() {
    let mut script = Script::up(&Options::new("me").version(Version::Auto));
    for _ in 0..3 {
        script.cut();
        script.later(1_000_000);
        script.run();
        assert_eq!(script.sent(), ["CONNECT V311 me clean"]);
    }
}

/// 3.1 allows 1 to 23 characters.
#[test]
fn auto_does_not_fall_back_if_3_1_does_not_allow_the_client_id() {
    let mut script = Script::new(&Options::new("").version(Version::Auto));
    script.run();
    script.hear(&[0x20, 2, 0, 1]);
    script.later(1_000_000);
    script.run();
    assert_eq!(script.sent(), ["CONNECT V311  clean", "CONNECT V311  clean"]);
}

#[test]
fn a_long_connect_is_rewritten_in_place_for_3_1() {
    // 125 bytes behind the header in 3.1.1 are 127 in 3.1. With the next id the header grows.
    for len in [60, 111, 112, 113, 114, 115, 116, 200] {
        let payload = vec![b'x'; len];
        let will = Will::new(topic!("w"), &payload);
        let mut script = Script::new(&Options::new("me").version(Version::Auto).will(will));
        script.run();
        script.hear(&[0x20, 2, 0, 1]);
        let will = format!("will w {} q0", "x".repeat(len));
        let expected = ["V311", "V31"].map(|version| format!("CONNECT {version} me clean {will}"));
        assert_eq!(script.sent(), expected);
    }
}
