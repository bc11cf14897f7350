//! Refusals that a retry seldom mends, and brokers that end each connection soon after they accepted it.

use mqtt_core::{Options, Publish, QoS, Reconnect, Version, topic};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT},
};

const SERVER_UNAVAILABLE: u8 = 3;
const BAD_LOGIN: u8 = 4;

fn policy() -> Reconnect {
    Reconnect::after(1_000).at_most(60_000)
}

/// The broker refuses the connection with `code`. Returns the milliseconds to the next attempt.
fn refused(script: &mut Script, code: u8) -> u64 {
    script.run();
    assert!(script.is_open());
    script.hear(&[0x20, 2, 0, code]);
    assert!(script.fatal().is_some());
    if script.is_open() {
        return 0;
    }
    let delay = script.run().millis_since(script.now());
    script.later(delay);
    delay
}

#[test]
fn a_refusal_that_a_retry_seldom_mends_puts_off_the_next_attempt() {
    for code in [1, 2, BAD_LOGIN, 5] {
        let mut script = Script::new(&Options::new("me").reconnect(policy()));
        for _ in 0..5 {
            let delay = refused(&mut script, code);
            assert!((300_000..=450_000).contains(&delay), "{code}: {delay}");
            assert!(script.told().iter().any(|line| line.starts_with("down: connection refused")));
        }
    }
}

#[test]
fn a_broker_that_is_only_unavailable_is_asked_with_the_usual_back_off() {
    let mut script = Script::new(&Options::new("me").reconnect(policy()));
    for _ in 0..9 {
        assert!(refused(&mut script, SERVER_UNAVAILABLE) <= 60_000);
    }
}

#[test]
fn the_delay_after_a_refusal_is_a_setting_and_never_shorter_than_the_back_off() {
    let options = Options::new("me").reconnect(policy().refused_after(5_000));
    let mut script = Script::new(&options);
    assert!((5_000..=7_500).contains(&refused(&mut script, BAD_LOGIN)));
    for _ in 0..8 {
        refused(&mut script, BAD_LOGIN);
    }
    assert!(refused(&mut script, BAD_LOGIN) >= 30_000);
    let mut script = Script::new(&Options::new("me").reconnect(policy().refused_after(0)));
    assert!(refused(&mut script, BAD_LOGIN) <= 1_000);
}

#[test]
fn devices_do_not_come_back_at_the_same_moment() {
    let delays = [1, 2, 3, 4].map(|seed| {
        let mut script = Script::new(&Options::new("me").reconnect(policy().seed(seed)));
        refused(&mut script, BAD_LOGIN)
    });
    assert!(delays.windows(2).any(|pair| pair[0] != pair[1]), "{delays:?}");
}

#[test]
fn every_other_broker_is_asked_before_the_long_delay() {
    let options = Options::new("me").reconnect(policy().endpoints(3));
    let mut script = Script::new(&options);
    for _ in 0..2 {
        for endpoint in [0, 1, 2] {
            script.run();
            let told = script.told();
            assert_eq!(*told.last().unwrap(), format!("connecting {endpoint}"));
            let delay = refused(&mut script, BAD_LOGIN);
            assert_eq!(endpoint == 2, delay >= 300_000, "{endpoint}: {delay}");
        }
    }
}

/// One broker knows the client, another does not.
#[test]
fn a_round_in_which_a_broker_did_not_refuse_ends_in_no_long_delay() {
    let options = Options::new("me").reconnect(policy().endpoints(2));
    let mut script = Script::new(&options);
    for _ in 0..3 {
        assert!(refused(&mut script, BAD_LOGIN) <= 60_000);
        script.run();
        script.cut();
        let delay = script.run().millis_since(script.now());
        script.later(delay);
    }
}

/// The first refusal of 3.1.1 is answered with 3.1 at once. Only if that is refused as well, nothing is left to try.
#[test]
fn a_version_that_can_be_negotiated_is_no_final_refusal() {
    let options = Options::new("me").version(Version::Auto).reconnect(policy().endpoints(2));
    let mut script = Script::new(&options);
    let mut asked = Vec::new();
    let mut delays = Vec::new();
    for _ in 0..4 {
        script.run();
        asked.extend(script.told().last().cloned());
        delays.push(refused(&mut script, 1));
    }
    assert_eq!(asked, ["connecting 0", "connecting 0", "connecting 1", "connecting 1"]);
    assert_eq!((delays[0], delays[2]), (0, 0));
    assert!((1..=60_000).contains(&delays[1]) && delays[3] >= 300_000, "{delays:?}");
}

/// The broker accepts, and the transport closes `millis` later. Returns the last reason.
fn accepted_for(script: &mut Script, millis: u64) -> String {
    script.accept(ACCEPTED);
    for _ in 0..millis / 10_000 {
        script.later(10_000);
        script.run();
        script.hear(&[0xD0, 0]);
    }
    script.cut();
    let reason = script.told().last().cloned().unwrap();
    script.later(1_000_000);
    reason
}

const CLOSED: &str = "down: the transport closed";

/// [MQTT-3.1.4-2]: a broker ends the connection of a client if another one with the same id connects.
#[test]
fn a_client_that_is_kicked_out_again_and_again_is_told_so() {
    let mut script = Script::new(&Options::new("me").reconnect(policy()));
    let reasons: Vec<_> = (0..5).map(|_| accepted_for(&mut script, 40_000)).collect();
    let kicked =
        |count| format!("down: closed soon after it was accepted, {count} connections in a row");
    assert_eq!(reasons, [CLOSED.to_string(), CLOSED.to_string(), kicked(3), kicked(4), kicked(5)]);
}

#[test]
fn a_longer_connection_ends_the_count() {
    let mut script = Script::new(&Options::new("me").reconnect(policy()));
    for _ in 0..3 {
        assert_eq!(accepted_for(&mut script, 20_000), CLOSED);
        assert_eq!(accepted_for(&mut script, 20_000), CLOSED);
        assert_eq!(accepted_for(&mut script, 70_000), CLOSED);
    }
}

#[test]
fn another_end_ends_the_count() {
    let mut script = Script::new(&Options::new("me").reconnect(policy()));
    for _ in 0..3 {
        assert_eq!(accepted_for(&mut script, 20_000), CLOSED);
        assert_eq!(accepted_for(&mut script, 20_000), CLOSED);
        // The broker does not accept.
        script.run();
        script.cut();
        script.told();
        script.later(1_000_000);
    }
}

/// The request may be the cause, so that is no sign of a second client.
#[test]
fn a_connection_that_ends_with_an_unanswered_request_does_not_count() {
    let options = Options::new("me").clean_session(false).reconnect(policy());
    let mut script = Script::new(&options);
    let _ = script.client.publish(&Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce)).unwrap();
    for _ in 0..6 {
        script.accept(ACCEPTED_SESSION_PRESENT);
        script.cut();
        assert_eq!(script.told()[0], CLOSED);
        script.later(1_000_000);
    }
}
