//! A driver that queues its attempts to connect puts them off: `Client::defer_connect`.

use mqtt_core::{Action, ConnectionState, Event, Instant, Options, Reason, Reconnect};

use test_kit::{script::HeapClient, text, wire::ACCEPTED};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn client(reconnect: Reconnect) -> HeapClient {
    let options = Options::new("me").connect_timeout(5_000).reconnect(reconnect);
    HeapClient::new(&options, vec![0; 256], vec![mqtt_core::Slot::EMPTY; 1]).unwrap()
}

fn told(client: &mut HeapClient) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(event) = client.receive(&mut &[][..], at(0)).unwrap() {
        lines.push(text::event(&event));
    }
    lines
}

/// The endpoint of the next attempt and the time at which the client asks for it.
fn asks(client: &mut HeapClient, mut now: Instant) -> (u8, Instant) {
    loop {
        match client.poll(now) {
            Action::Connect { endpoint } => return (endpoint, now),
            Action::Wait(until) if until > now => now = until,
            other => panic!("{other:?} at {now:?}"),
        }
    }
}

#[test]
fn a_deferred_attempt_comes_again_at_its_time_and_at_the_same_broker() {
    let mut client = client(Reconnect::after(10).endpoints(3));
    for (now, until) in [(0, 7_000), (7_000, 7_001), (7_001, 900_000)] {
        assert_eq!(asks(&mut client, at(now)), (0, at(now)));
        client.defer_connect(at(until));
        assert_eq!(client.state(), ConnectionState::Waiting);
        assert_eq!(client.poll(at(now)), Action::Wait(at(until)));
    }
    assert_eq!(asks(&mut client, at(900_000)).0, 0);
}

/// Three times its time-out.
#[test]
fn no_time_out_runs_while_an_attempt_is_deferred() {
    let mut client = client(Reconnect::after(10));
    asks(&mut client, at(0));
    client.defer_connect(at(15_000));
    assert_eq!(client.poll(at(14_999)), Action::Wait(at(15_000)));
    assert_eq!(client.poll(at(15_000)), Action::Connect { endpoint: 0 });
    assert_eq!(client.poll(at(15_000)), Action::Wait(at(20_000)), "the time starts anew");
}

#[test]
fn a_deferred_attempt_is_no_failure() {
    let policy = Reconnect::after(1_000).at_most(60_000);
    let mut client = client(policy);
    let mut now = at(0);
    for _ in 0..20 {
        now = asks(&mut client, now).1;
        client.defer_connect(now.plus_millis(100));
    }
    now = asks(&mut client, now).1;
    client.closed(now);
    let delay = asks(&mut client, now).1.millis_since(now);
    assert!((500..=1_000).contains(&delay), "{delay}");
    assert_eq!(client.connect_timeout(), 5_000);
}

#[test]
fn an_attempt_that_is_deferred_is_told_when_it_is_made() {
    let mut client = client(Reconnect::after(10));
    asks(&mut client, at(0));
    client.defer_connect(at(100));
    assert_eq!(told(&mut client), [""; 0]);
    asks(&mut client, at(100));
    assert_eq!(told(&mut client), ["connecting 0"]);
}

/// The driver asked for events before it put the attempt off.
#[test]
fn an_attempt_that_was_told_is_not_told_again() {
    let mut client = client(Reconnect::after(10));
    asks(&mut client, at(0));
    assert_eq!(told(&mut client), ["connecting 0"]);
    for until in [100, 200] {
        client.defer_connect(at(until));
        assert_eq!(told(&mut client), [""; 0]);
        asks(&mut client, at(until));
    }
    assert_eq!(told(&mut client), [""; 0]);
    client.closed(at(300));
    asks(&mut client, at(300));
    assert_eq!(told(&mut client), ["down: the transport closed", "connecting 0"]);
}

#[test]
fn the_end_of_the_last_connection_is_still_told() {
    let mut client = client(Reconnect::after(10));
    asks(&mut client, at(0));
    assert_eq!(told(&mut client), ["connecting 0"]);
    client.closed(at(20));
    asks(&mut client, at(20));
    client.defer_connect(at(900));
    assert_eq!(told(&mut client), ["down: the transport closed"]);
}

#[test]
fn disconnect_ends_a_deferred_attempt_at_once() {
    for told_before in [false, true] {
        let mut client = client(Reconnect::after(10));
        asks(&mut client, at(0));
        if told_before {
            told(&mut client);
        }
        client.defer_connect(at(100));
        client.disconnect();
        assert_eq!(told(&mut client), ["down: disconnected on request"]);
        assert_eq!(client.poll(at(100)), Action::Wait(Instant::FAR_FUTURE));
    }
}

/// `Client::connect` asks for the attempt now. The driver may defer it again.
#[test]
fn connect_asks_the_driver_again() {
    let mut client = client(Reconnect::after(10));
    asks(&mut client, at(0));
    client.defer_connect(Instant::FAR_FUTURE);
    assert_eq!(client.poll(at(1_000_000)), Action::Wait(Instant::FAR_FUTURE));
    client.connect();
    assert_eq!(client.poll(at(1_000_000)), Action::Connect { endpoint: 0 });
    client.connected(at(1_000_000));
    assert_eq!(client.state(), ConnectionState::Connecting);
}

#[test]
fn only_an_attempt_that_the_driver_was_asked_for_can_be_deferred() {
    let mut client = client(Reconnect::after(10));
    client.defer_connect(at(100));
    asks(&mut client, at(0));
    client.connected(at(0));
    client.defer_connect(at(100));
    let Action::Transmit(connect) = client.poll(at(0)) else { panic!() };
    let len = connect.len();
    client.transmitted(len, at(0));
    client.defer_connect(at(100));
    let mut input = ACCEPTED;
    assert_eq!(client.receive(&mut input, at(0)), Ok(Some(Event::Connecting { endpoint: 0 })));
    assert!(matches!(client.receive(&mut input, at(0)), Ok(Some(Event::Up { .. }))));
    client.defer_connect(at(100));
    assert_eq!(client.state(), ConnectionState::Up);
    client.closed(at(0));
    asks(&mut client, at(0));
    client.disconnect();
    client.defer_connect(at(100));
    assert_eq!(client.poll(at(0)), Action::Close(Reason::Requested));
}
