//! CONNECT, CONNACK, versions and attempts.

use mqtt_core::{
    Action, ConfigError, ConnectionState, EncodeError, Event, Fatal, Instant, Login, Options,
    Publish, QoS, Reconnect, Refusal, StaticClient, Version, Will, topic,
};

use test_kit::{
    script::Script,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT},
};

/// [MQTT-3.1.0-1], [MQTT-3.1.0-2]
#[test]
fn nothing_but_the_connect_is_sent_before_the_connack() {
    let mut script = Script::new(&Options::new("me"));
    let _ = script.client.publish(&Publish::new(topic!("a"), b"1")).unwrap();
    script.run();
    assert_eq!(script.sent(), ["CONNECT V311 me clean"]);
    assert_eq!(script.told(), ["connecting 0"]);
    script.hear(ACCEPTED);
    assert_eq!(script.told(), ["up New V311", "published -"]);
    assert_eq!(script.sent(), ["PUBLISH a 1 q0"]);
}

#[test]
fn everything_in_the_options_is_in_the_connect() {
    let will = Will::new(topic!("w"), b"gone").qos(QoS::ExactlyOnce).retain(true);
    let options = Options::new("id")
        .clean_session(false)
        .keep_alive(0x1234)
        .login(Login::new("u", Some(b"p")))
        .will(will);
    let mut client = StaticClient::<128, 1>::new_static(&options).unwrap();
    client.poll(Instant::default());
    client.connected(Instant::default());
    let mqtt_core::Action::Transmit(bytes) = client.poll(Instant::default()) else { panic!() };
    let expected = b"\x10\x1d\0\x04MQTT\x04\xf4\x12\x34\0\x02id\0\x01w\0\x04gone\0\x01u\0\x01p";
    assert_eq!(bytes, expected);
}

#[test]
fn each_refusal_has_its_error_and_the_client_tries_again() {
    let refusals = [
        Refusal::ProtocolVersion,
        Refusal::IdentifierRejected,
        Refusal::ServerUnavailable,
        Refusal::BadLogin,
        Refusal::NotAuthorized,
    ];
    for (code, refusal) in (1..).zip(refusals) {
        let mut script = Script::new(&Options::new("me"));
        script.run();
        script.hear(&[0x20, 2, 0, code]);
        assert_eq!(script.fatal(), Some(Fatal::Refused(refusal)));
        assert_eq!(script.told()[1], format!("down: connection refused: {refusal}"));
        assert_eq!(script.client.state(), ConnectionState::Waiting);
    }
}

#[test]
fn a_connack_that_does_not_come_ends_the_attempt_in_time() {
    let mut script = Script::new(&Options::new("me").connect_timeout(5_000));
    assert_eq!(script.run(), Instant::from_millis(5_000));
    script.later(4_999);
    script.run();
    assert!(script.is_open());
    script.later(1);
    script.run();
    assert_eq!(script.told(), ["connecting 0", "down: no CONNACK in time"]);
}

/// How long the next attempt is waited for, in milliseconds. `end` ends it before that time is over.
fn patience(script: &mut Script, end: Option<fn(&mut Script)>) -> u64 {
    let until = script.run();
    assert!(script.is_open());
    let patience = until.millis_since(script.now());
    match end {
        Some(end) => end(script),
        None => {
            script.later(patience);
            script.run();
        }
    }
    assert!(!script.is_open());
    script.later(1_000_000);
    patience
}

/// A broker that is slow because many clients connect would otherwise never get to the end of an attempt.
#[test]
fn each_attempt_without_a_connack_doubles_the_time_of_the_next_one_up_to_eight_times() {
    for endpoints in [1, 3] {
        let reconnect = Reconnect::after(1_000).endpoints(endpoints);
        let options = Options::new("me").keep_alive(0).connect_timeout(5_000).reconnect(reconnect);
        let mut script = Script::new(&options);
        for expected in [5_000, 10_000, 20_000, 40_000, 40_000] {
            assert_eq!(patience(&mut script, None), expected);
        }
        // Other ends of an attempt say nothing about the time that an accepted connection needs.
        assert_eq!(patience(&mut script, Some(Script::cut)), 40_000);
        assert_eq!(patience(&mut script, None), 40_000);
        script.accept(ACCEPTED);
        script.cut();
        script.later(1_000_000);
        assert_eq!(patience(&mut script, None), 5_000, "an accepted connection ends it");
    }
}

#[test]
fn the_longer_time_starts_again_when_the_transport_takes_bytes() {
    let mut script = Script::new(&Options::new("me").connect_timeout(5_000));
    patience(&mut script, None);
    let now = script.now();
    script.client.poll(now);
    assert_eq!(script.client.connect_timeout(), 10_000);
    script.client.connected(now);
    script.later(9_999);
    script.run();
    assert_eq!(script.run().millis_since(script.now()), 10_000);
}

/// A driver opens the transport in a blocking call with a time-out of its own, and calls `closed` in the end.
#[test]
fn a_transport_that_did_not_open_in_time_counts_as_well() {
    let mut client =
        StaticClient::<64, 1>::new_static(&Options::new("me").connect_timeout(5_000)).unwrap();
    let (early, late) = (Instant::from_millis(4_999), Instant::from_millis(1_000_000));
    client.poll(Instant::default());
    client.closed(early);
    assert_eq!(client.connect_timeout(), 5_000);
    client.poll(late);
    client.closed(late.plus_millis(5_000));
    assert_eq!(client.connect_timeout(), 10_000);
    assert_eq!(client.receive(&mut &[][..], late), Ok(Some(Event::Connecting { endpoint: 0 })));
    let reason = mqtt_core::Reason::Fatal(Fatal::ConnectTimeout);
    assert_eq!(client.receive(&mut &[][..], late), Ok(Some(Event::Down { endpoint: 0, reason })));
}

#[test]
fn a_transport_that_does_not_open_ends_the_attempt_in_time() {
    let mut client =
        StaticClient::<64, 1>::new_static(&Options::new("me").connect_timeout(5_000)).unwrap();
    client.poll(Instant::default());
    let late = Instant::from_millis(5_000);
    let reason = mqtt_core::Reason::Fatal(Fatal::ConnectTimeout);
    assert_eq!(client.poll(late), mqtt_core::Action::Close(reason));
}

#[test]
fn attempts_back_off_until_a_connection_was_stable() {
    let reconnect = Reconnect::after(1_000).at_most(8_000).stable_after(60_000);
    let mut script = Script::new(&Options::new("me").keep_alive(0).reconnect(reconnect));
    let mut delays = Vec::new();
    for _ in 0..5 {
        script.run();
        script.cut();
        let until = script.run();
        delays.push(until.millis_since(script.now()));
        script.later(delays[delays.len() - 1]);
    }
    for (delay, full) in delays.iter().zip([1_000, 2_000, 4_000, 8_000, 8_000]) {
        assert!((full / 2..=full).contains(delay), "{delays:?}");
    }
    script.accept(ACCEPTED);
    script.later(60_000);
    script.run();
    script.cut();
    assert!(script.run().millis_since(script.now()) <= 1_000, "starts from the beginning");
}

#[test]
fn brokers_take_turns() {
    let reconnect = Reconnect::after(10).endpoints(2);
    let mut script = Script::new(&Options::new("me").reconnect(reconnect));
    for endpoint in [0, 1, 0] {
        script.run();
        assert_eq!(script.told()[0], format!("connecting {endpoint}"));
        script.cut();
        script.told();
        script.later(1_000);
    }
}

/// The delays between the attempts, if the driver can open no transport to these endpoints, until one is opened.
fn delays_until_up(script: &mut Script, down: &[u8]) -> Vec<u64> {
    let mut delays = Vec::new();
    loop {
        let delay = script.run().millis_since(script.now());
        if script.is_open() {
            let told = script.told();
            let endpoint = told.last().unwrap().strip_prefix("connecting ").unwrap();
            if !down.contains(&endpoint.parse().unwrap()) {
                return delays;
            }
            script.cut();
        } else {
            delays.push(delay);
            script.later(delay);
        }
    }
}

#[test]
fn with_two_of_three_brokers_down_the_third_is_reached_after_three_first_delays() {
    let reconnect = Reconnect::after(1_000).endpoints(3);
    let mut script = Script::up(&Options::new("me").reconnect(reconnect));
    script.later(30_000);
    script.run();
    script.cut();
    let delays = delays_until_up(&mut script, &[1, 2]);
    assert_eq!(delays.len(), 3, "from broker 0 to 1, 2 and 0");
    assert!(delays.iter().sum::<u64>() <= 3_000, "{delays:?}");
}

/// All three have been down for long, and the last one in the turn comes back.
#[test]
fn after_a_long_failure_of_all_brokers_one_that_is_back_is_found_in_one_round() {
    let reconnect = Reconnect::after(1_000).at_most(60_000).endpoints(3);
    for last in 0..3 {
        let mut script = Script::new(&Options::new("me").reconnect(reconnect));
        for _ in 0..50 {
            assert!(script.run() <= script.now() || script.is_open());
            script.cut();
            script.told();
            let delay = script.run().millis_since(script.now());
            script.later(delay);
        }
        let others: Vec<u8> = (0..3).filter(|endpoint| *endpoint != last).collect();
        let delays = delays_until_up(&mut script, &others);
        assert!(delays.iter().sum::<u64>() <= 60_000 + 2 * 1_000, "{delays:?}");
    }
}

#[test]
fn a_client_that_connects_again_at_once_backs_off_if_that_fails() {
    let reconnect = Reconnect::after(0).at_most(60_000);
    let mut script = Script::up(&Options::new("me").reconnect(reconnect));
    script.cut();
    for full in [0, 1_000, 2_000, 4_000, 8_000] {
        let delay = if full == 0 { 0 } else { script.run().millis_since(script.now()) };
        assert!((full / 2..=full).contains(&delay), "{delay}");
        script.later(delay);
        script.run();
        assert!(script.is_open(), "{full}");
        script.cut();
    }
}

/// A device that connects for a moment only, every now and then.
#[test]
fn connections_that_end_on_request_leave_no_back_off_behind() {
    let mut script = Script::new(&Options::new("me").reconnect(Reconnect::after(1_000)));
    for _ in 0..10 {
        script.accept(ACCEPTED);
        script.client.disconnect();
        script.run();
        script.later(3_600_000);
        script.client.connect();
    }
    script.run();
    script.cut();
    assert!(script.run().millis_since(script.now()) <= 1_000);
}

#[test]
fn without_reconnect_the_application_gets_the_reason_and_decides() {
    let mut script = Script::up(&Options::new("me").reconnect(Reconnect::never()));
    script.cut();
    assert_eq!(script.told(), ["down: the transport closed"]);
    assert_eq!(script.run(), Instant::FAR_FUTURE);
    assert_eq!(script.client.state(), ConnectionState::Stopped);
    script.client.connect();
    script.accept(ACCEPTED);
}

/// The clock may have any value when the client begins.
#[test]
fn the_very_first_attempt_waits_for_a_part_of_the_time_that_is_set_and_later_ones_do_not() {
    let delays = [1, 2, 3].map(|seed| {
        let reconnect = Reconnect::after(10).at_most(10).first_within(60_000).seed(seed);
        let mut script = Script::new(&Options::new("me").reconnect(reconnect));
        script.later(123_456);
        let delay = script.run().millis_since(script.now());
        assert!(delay <= 60_000 && !script.is_open());
        assert_eq!(script.client.state(), ConnectionState::Waiting);
        assert_eq!(script.run().millis_since(script.now()), delay, "it is drawn once");
        script.later(delay);
        script.accept(ACCEPTED);
        script.cut();
        assert!(script.run().millis_since(script.now()) <= 10);
        delay
    });
    assert!(delays.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1_000), "{delays:?}");
}

#[test]
fn connect_does_not_wait_for_the_first_delay() {
    let options = Options::new("me").reconnect(Reconnect::after(10).first_within(60_000).seed(1));
    for before in [false, true] {
        let mut script = Script::new(&options);
        if before {
            assert!(script.run() > script.now());
        }
        script.client.connect();
        script.accept(ACCEPTED);
    }
}

#[test]
fn a_client_with_an_order_of_its_own_keeps_to_it_round_by_round() {
    let policy = Reconnect::after(10).at_most(10).endpoints(5).shuffle_endpoints(true);
    let rounds = [1, 2].map(|seed| {
        let mut script = Script::new(&Options::new("me").reconnect(policy.seed(seed)));
        let asked = [(); 10].map(|()| {
            script.run();
            let told = script.told();
            script.cut();
            script.later(10);
            told.last().unwrap().clone()
        });
        assert_eq!(asked[..5], asked[5..]);
        asked
    });
    assert_ne!(rounds[0], rounds[1]);
}

#[test]
fn connect_hurries_the_next_attempt() {
    let mut script = Script::up(&Options::new("me").reconnect(Reconnect::after(100_000)));
    script.cut();
    assert_eq!(script.client.state(), ConnectionState::Waiting);
    script.client.connect();
    script.accept(ACCEPTED);
}

#[test]
fn the_start_of_an_attempt_is_reported_before_its_end() {
    let mut client = StaticClient::<100, 1>::new_static(&Options::new("me")).unwrap();
    let now = Instant::default();
    client.poll(now);
    client.closed(now);
    let mut told = Vec::new();
    while let Some(event) = client.receive(&mut &[][..], now).unwrap() {
        told.push(test_kit::text::event(&event));
    }
    assert_eq!(told, ["connecting 0", "down: the transport closed"]);
}

#[test]
fn the_end_of_a_connection_is_reported_before_the_next_attempt() {
    let mut script = Script::up(&Options::new("me").reconnect(Reconnect::after(1)));
    let now = script.now();
    script.client.closed(now);
    script.later(10);
    let now = script.now();
    script.client.poll(now);
    script.run();
    assert_eq!(script.told(), ["down: the transport closed", "connecting 0"]);
}

/// If several attempts fail before the driver takes events, the first end is reported.
#[test]
fn events_stay_in_order_if_the_driver_takes_them_late() {
    let mut script = Script::up(&Options::new("me").reconnect(Reconnect::after(1)));
    for _ in 0..3 {
        let now = script.now();
        script.client.closed(now);
        script.later(1_000_000);
        let now = script.now();
        script.client.poll(now);
    }
    script.run();
    assert_eq!(script.told(), ["down: the transport closed", "connecting 0"]);
}

/// [MQTT-3.2.2-2]
#[test]
fn a_session_that_the_broker_kept_is_resumed() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    script.cut();
    script.later(10_000);
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.told().last().unwrap(), "up Resumed V311");
}

/// [MQTT-3.2.2-3]
#[test]
fn a_session_that_the_broker_no_longer_has_is_lost() {
    let mut script = Script::up(&Options::new("me").clean_session(false));
    script.cut();
    script.later(10_000);
    script.run();
    script.hear(ACCEPTED);
    assert_eq!(script.told().last().unwrap(), "up Lost V311");
}

#[test]
fn a_session_from_before_this_client_is_found() {
    let mut script = Script::new(&Options::new("me").clean_session(false));
    script.run();
    script.hear(ACCEPTED_SESSION_PRESENT);
    assert_eq!(script.told().last().unwrap(), "up Found V311");
}

/// [MQTT-3.1.2-6]
#[test]
fn every_clean_session_is_new() {
    let mut script = Script::up(&Options::new("me"));
    script.cut();
    script.later(10_000);
    script.run();
    script.hear(ACCEPTED);
    assert_eq!(script.told().last().unwrap(), "up New V311");
}

/// [MQTT-3.1.3-7]
#[test]
fn an_empty_client_id_needs_a_clean_session() {
    let options = Options::new("").clean_session(false);
    assert_eq!(
        StaticClient::<64, 1>::new_static(&options).unwrap_err(),
        ConfigError::Connect(EncodeError::ClientId)
    );
    assert!(StaticClient::<64, 1>::new_static(&Options::new("")).is_ok());
    assert!(StaticClient::<64, 1>::new_static(&Options::new("").version(Version::V31)).is_err());
}

#[test]
fn a_long_connect_on_a_slow_link_is_waited_for_as_long_as_the_transport_takes_bytes() {
    let options = Options::new("0123456789").connect_timeout(20_000);
    let mut script = Script::new(&options);
    let now = script.now();
    script.client.poll(now);
    script.client.connected(now);
    loop {
        script.later(15_000);
        let now = script.now();
        match script.client.poll(now) {
            mqtt_core::Action::Transmit(_) => script.client.transmitted(1, now),
            mqtt_core::Action::Wait(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(script.client.state(), ConnectionState::Connecting);
}

fn connects(script: &mut Script) -> String {
    script.run();
    let sent = script.sent();
    script.cut();
    script.told();
    script.later(1_000_000);
    sent.concat()
}

#[test]
fn a_login_and_a_will_can_be_changed_for_the_next_connections() {
    let options = Options::new("me").connect_room(64).login(Login::new("u", Some(b"first")));
    let mut script = Script::sized(&options, 512, 2);
    let plain = connects(&mut script);
    let will = Will::new(topic!("gone"), b"bye").qos(QoS::ExactlyOnce).retain(true);
    let longer = Login::new("user", Some(b"a-second-and-longer-one"));
    let expected = |will: Option<Will<'static>>, login: Option<Login<'static>>| {
        let mut options = Options::new("me");
        if let Some(will) = will {
            options = options.will(will);
        }
        if let Some(login) = login {
            options = options.login(login);
        }
        connects(&mut Script::sized(&options, 512, 2))
    };
    let first = Login::new("u", Some(b"first"));
    assert_eq!(plain, expected(None, Some(first)));
    script.client.set_will(Some(will)).unwrap();
    assert_eq!(connects(&mut script), expected(Some(will), Some(first)));
    script.client.set_login(Some(longer)).unwrap();
    assert_eq!(connects(&mut script), expected(Some(will), Some(longer)));
    script.client.set_will(None).unwrap();
    assert_eq!(connects(&mut script), expected(None, Some(longer)));
    script.client.set_login(Some(Login::new("u", None))).unwrap();
    assert_eq!(connects(&mut script), expected(None, Some(Login::new("u", None))));
    script.client.set_login(None).unwrap();
    assert_eq!(connects(&mut script), expected(None, None));
}

#[test]
fn a_login_for_which_there_is_no_room_changes_nothing() {
    let options = Options::new("me").login(Login::new("u", Some(b"first")));
    let mut script = Script::sized(&options, 512, 2);
    let before = connects(&mut script);
    let longer = Login::new("u", Some(b"second"));
    let refused = script.client.set_login(Some(longer));
    assert_eq!(refused, Err(ConfigError::ConnectRoom { needed: 27, room: 26 }));
    assert_eq!(connects(&mut script), before);
    script.client.set_login(Some(Login::new("u", Some(b"other")))).unwrap();
}

#[test]
fn a_connect_that_is_being_sent_is_not_changed() {
    let mut script = Script::new(&Options::new("me").connect_room(64));
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Connect { .. }));
    script.client.connected(now);
    assert!(matches!(script.client.poll(now), Action::Transmit(_)));
    script.client.transmitted(3, now);
    let refused = script.client.set_login(Some(Login::new("u", None)));
    assert_eq!(refused, Err(ConfigError::Connecting));
}
