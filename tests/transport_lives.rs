//! What a client does over TCP it does over every transport: the list of conversations with Mosquitto, the end of a
//! client, and a peer that stops reading.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::codec::Packet;
use mqtt_core::driver::blocking::{Client, Config, Error, Events};
use mqtt_core::{
    ConnectionState, Event, Options, Protocol, QoS, Reconnect, RequestError, Topic, Will,
};
use system_tests::brokers::ENGINES;
use system_tests::conversations::{blocking, converse_alike};
use system_tests::transports::{Kind, Transport, Way};
use system_tests::{FakeBroker, Message, Mosquitto, SOON, Subscriber};

/// `None` if the transport cannot be tested here.
fn transport(kind: Kind) -> Option<Transport> {
    let transport = Transport::new(kind);
    if transport.is_none() {
        println!("a proxy is not here: tinyproxy or microsocks");
    }
    transport
}

/// Holds the whole list with Mosquitto. It differs from the standard as over TCP, and in no other way.
#[track_caller]
fn converse_over(kind: Kind) {
    let Some(transport) = transport(kind) else { return };
    let engine = ENGINES.iter().find(|engine| engine.name == "Mosquitto").expect("one of them");
    converse_alike(engine, kind.name(), &|broker, options| blocking(&transport, broker, options));
}

#[test]
fn mosquitto_talks_over_tls_as_over_tcp() {
    converse_over(Kind::Tls);
}

#[test]
fn mosquitto_talks_over_websocket_as_over_tcp() {
    converse_over(Kind::WebSocket);
}

#[test]
fn mosquitto_talks_over_websocket_over_tls_as_over_tcp() {
    converse_over(Kind::SecureWebSocket);
}

#[test]
fn mosquitto_talks_over_a_unix_socket_as_over_tcp() {
    converse_over(Kind::Unix);
}

#[test]
fn mosquitto_talks_over_a_serial_line_as_over_tcp() {
    converse_over(Kind::Serial);
}

#[test]
fn mosquitto_talks_behind_an_http_proxy_as_over_tcp() {
    converse_over(Kind::HttpProxy);
}

#[test]
fn mosquitto_talks_behind_a_socks5_proxy_as_over_tcp() {
    converse_over(Kind::SocksProxy);
}

/// A client that is up.
#[track_caller]
fn connect(way: &Way, config: Config<'_>) -> (Client, Events) {
    let (client, mut events) = way.start(config).expect("possible options");
    loop {
        match events.next_timeout(SOON) {
            Some(Event::Connecting { .. }) => {}
            Some(Event::Up { .. }) => break,
            other => panic!("waited for the connection, saw {other:?}"),
        }
    }
    (client, events)
}

fn disconnect_behind_many_publishes(kind: Kind) {
    const PUBLISHES: usize = 10;
    let Some(transport) = transport(kind) else { return };
    let broker = Mosquitto::start();
    let watcher = Subscriber::new(&broker, "watcher").filter("#", QoS::AtLeastOnce).start();
    let way = transport.to(broker.address());
    for round in 0..6 {
        let will = Will::new(Topic::new("will/none").expect("a topic"), b"gone");
        let options = Options::new("device").will(will);
        let (client, mut events) = connect(&way, Config::new(&options));
        // The client hears its own messages, so bytes for it are under way when it ends.
        let _ = client.subscribe("#", QoS::AtLeastOnce).expect("room");
        let topic = format!("round/{round}");
        let messages = (0..PUBLISHES).map(|number| {
            Message::new(&topic, number.to_string().as_bytes(), QoS::AtLeastOnce, false)
        });
        for Message { payload, qos, .. } in messages.clone() {
            let _ = client.publish(&topic, &payload, qos, false).expect("room");
        }
        client.disconnect();
        while events.next().is_some() {}
        for message in messages {
            assert_eq!(watcher.next(SOON), message, "{}: no will, none missing", kind.name());
        }
    }
}

/// As over TCP, in `wills.rs`.
#[test]
fn a_disconnect_behind_many_publishes_loses_none_over_any_transport() {
    for kind in Kind::ALL {
        disconnect_behind_many_publishes(kind);
    }
}

/// Far more than a publish takes, far less than a wait for the peer.
const LONGEST_CALL: Duration = Duration::from_millis(500);

/// More than all buffers on the way hold.
const MOST: usize = 2_000;

fn publishes_to_a_peer_that_stops_reading(kind: Kind) {
    let Some(transport) = transport(kind) else { return };
    let (read_on, reads_on) = mpsc::channel();
    let broker = FakeBroker::start(Protocol::V311, move |door| {
        let (mut link, _connect) = door.admit(false);
        reads_on.recv().expect("the test goes on");
        while !matches!(link.receive(SOON).packet(), Packet::Disconnect) {}
    });
    let way = transport.to(broker.address());
    let options = Options::new("device").keep_alive(0).reconnect(Reconnect::never());
    let (client, mut events) = connect(&way, Config::new(&options));
    let serving = thread::spawn(move || while events.next().is_some() {});
    let payload = system_tests::content(60_000);
    let (mut longest, mut count) = (Duration::ZERO, 0);
    loop {
        let start = Instant::now();
        let published = client.publish("t", &payload, QoS::AtMostOnce, false);
        longest = longest.max(start.elapsed());
        match published {
            Ok(_) => count += 1,
            Err(Error::Request(RequestError::OutboxFull { .. })) => break,
            Err(error) => panic!("{}: {error}", kind.name()),
        }
        assert!(count < MOST, "{}: the peer reads", kind.name());
    }
    println!("{:20} {count:4} publishes, the longest call {longest:?}", kind.name());
    assert!(longest < LONGEST_CALL, "{}: {longest:?}", kind.name());
    assert_eq!(client.state(), ConnectionState::Up, "{}", kind.name());
    client.disconnect();
    read_on.send(()).expect("the peer waits");
    serving.join().expect("no panic");
    broker.finish(SOON);
}

#[test]
fn a_publish_never_waits_for_a_peer_that_stops_reading() {
    for kind in Kind::ALL {
        publishes_to_a_peer_that_stops_reading(kind);
    }
}
