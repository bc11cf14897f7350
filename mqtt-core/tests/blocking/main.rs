//! `driver::blocking` over real sockets on the loopback, the broker's side played byte by byte.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests fail by panicking")]

mod ending;
mod handlers;
mod peer;
mod recording;
#[cfg(feature = "bytes")]
mod sharing;
mod waiting;

use std::{
    io,
    net::TcpStream,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Event, Fatal, Publish, QoS, Reason, Reconnect, Refusal, RequestError,
    codec::Packet,
    driver::{
        blocking::{Client, Config, Connector, Error, bridge},
        stream::Link,
    },
    topic,
};
use test_kit::wire::ACCEPTED;

use peer::{PATIENCE, Peer, connected, listen, options};

#[test]
fn a_message_and_its_outcome_are_events() {
    let (client, mut events, mut peer) = connected(&options());
    let handle = client.publish("t", b"hello", QoS::AtLeastOnce, false).unwrap();
    peer.acknowledge();
    assert_eq!(events.next(), Some(Event::Published(handle)));
    peer.send(b"\x30\x08\0\x01thello");
    let Some(Event::Message(message)) = events.next() else { panic!() };
    assert_eq!((message.topic.as_str(), message.payload), ("t", &b"hello"[..]));
}

#[test]
fn the_granted_qos_of_a_subscription_is_an_event() {
    let (client, mut events, mut peer) = connected(&options());
    let asked = client.subscribe("a/+", QoS::ExactlyOnce).unwrap();
    let [high, low] = peer.expect_id("Subscribe");
    peer.send(&[0x90, 3, high, low, 1]);
    let Some(Event::Subscribed { handle, granted }) = events.next() else { panic!() };
    assert_eq!((handle, granted.get(0)), (asked, Some(Some(QoS::AtLeastOnce))));
}

#[test]
fn a_handler_may_publish_while_it_holds_a_message() {
    let (client, mut events, mut peer) = connected(&options());
    peer.send(b"\x30\x08\0\x01thello");
    let Some(Event::Message(message)) = events.next() else { panic!() };
    let _ = client.publish("echo", message.payload, QoS::AtMostOnce, false).unwrap();
    assert_eq!(message.payload, b"hello");
    peer.hear(|packet| {
        let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
        assert_eq!((publish.topic.as_str(), publish.payload), ("echo", &b"hello"[..]));
    });
}

#[test]
fn another_thread_publishes_while_one_waits_for_events() {
    let (client, mut events, mut peer) = connected(&options());
    let waiting = thread::spawn(move || matches!(events.next(), Some(Event::Published(_))));
    let publishing = thread::spawn(move || client.publish("t", b"x", QoS::AtLeastOnce, false));
    assert!(publishing.join().unwrap().is_ok());
    peer.acknowledge();
    assert!(waiting.join().unwrap());
}

/// The broker floods the client and does not read: receiving goes on, requests are refused in time, nothing hangs.
#[test]
fn a_broker_that_floods_and_does_not_read_stops_nothing() {
    const FLOOD: usize = 20_000;
    let (client, mut events, mut peer) = connected(&options());
    let (stop, stopped) = mpsc::channel::<()>();
    let flood = thread::spawn(move || {
        let mut message = b"\x30\x83\x02\0\x01t".to_vec();
        message.resize(3 + 259, b'x');
        for _ in 0..FLOOD {
            peer.send(&message);
        }
        // Keeps the connection open and reads nothing until the test has seen enough.
        let _ended = stopped.recv_timeout(PATIENCE);
        peer
    });
    let payload = vec![0; 100_000];
    let (mut messages, mut refused) = (0, 0);
    while messages < FLOOD {
        match events.next_timeout(PATIENCE) {
            Some(Event::Message(_)) => messages += 1,
            Some(Event::Published(_)) => {}
            other => panic!("after {messages}: {other:?}"),
        }
        match client.publish("back", &payload, QoS::AtMostOnce, false) {
            Ok(_) => {}
            Err(Error::Request(RequestError::OutboxFull { .. })) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "the socket and the outbox are full");
    stop.send(()).unwrap();
    flood.join().unwrap();
}

/// The same with a thread that publishes: that thread is held up, and the receiving thread is not.
#[test]
fn a_publishing_thread_that_is_held_up_does_not_hold_up_receiving() {
    let (client, mut events, mut peer) = connected(&options());
    let publishing = thread::spawn(move || {
        let payload = vec![0; 100_000];
        // Until the connection is gone: QoS 0 needs no slot.
        while client.state() == ConnectionState::Up {
            let _refused = client.publish("back", &payload, QoS::AtMostOnce, false);
        }
    });
    for round in 0..1_000 {
        peer.send(b"\x30\x04\0\x01tx");
        loop {
            match events.next_timeout(PATIENCE) {
                Some(Event::Message(_)) => break,
                Some(Event::Published(_)) => {}
                other => panic!("in round {round}: {other:?}"),
            }
        }
    }
    drop(peer);
    while let Some(event) = events.next() {
        let ended = matches!(event, Event::Published(_) | Event::Lost(_) | Event::Down { .. });
        assert!(ended, "{event:?}");
    }
    publishing.join().unwrap();
}

#[test]
fn a_payload_larger_than_every_buffer_arrives_whole() {
    let (listener, address) = listen();
    let payload: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = payload.clone();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer.hear(|packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            assert!(publish.payload == expected);
        });
        let mut message = vec![0x30];
        let mut remaining = 3 + expected.len();
        while remaining > 127 {
            message.push((remaining & 127) as u8 | 128);
            remaining >>= 7;
        }
        message.push(remaining as u8);
        message.extend(b"\0\x01t");
        message.extend(expected);
        peer.send(&message);
        peer
    });
    let config = Config::new(&options()).outbox(4 << 20).buffer(2048);
    let (client, mut events) = config.connect(&[&address]).unwrap();
    let _ = client.publish("t", &payload, QoS::AtMostOnce, false).unwrap();
    let mut received = Vec::new();
    while let Some(event) = events.next_timeout(PATIENCE) {
        match event {
            Event::MessageStart(start) => assert_eq!(start.payload_len, payload.len()),
            Event::MessageChunk(chunk) => received.extend_from_slice(chunk),
            Event::MessageEnd { .. } => break,
            other => assert!(matches!(other, Event::Published(_) | Event::Up { .. }), "{other:?}"),
        }
    }
    assert!(received == payload, "{} bytes", received.len());
    peer.join().unwrap();
}

#[test]
fn a_message_waits_for_room_in_a_full_window() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        for _ in 0..50 {
            peer.acknowledge();
        }
        peer
    });
    let (client, mut events) = Config::new(&options()).window(1).connect(&[&address]).unwrap();
    let sending = thread::spawn(move || {
        let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
        (0..50).all(|_| client.send_within(&publish, PATIENCE).is_ok())
    });
    let mut published = 0;
    while published < 50 {
        match events.next_timeout(PATIENCE) {
            Some(Event::Published(_)) => published += 1,
            Some(Event::Up { .. }) => {}
            other => panic!("after {published}: {other:?}"),
        }
    }
    assert!(sending.join().unwrap());
    peer.join().unwrap();
}

#[test]
fn a_wait_for_room_ends_with_an_error_in_time() {
    let (client, _events, _peer) = connected(&options());
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::ExactlyOnce);
    for _ in 0..19 {
        assert!(client.send_within(&publish, Duration::ZERO).is_ok());
    }
    let error = client.send_within(&publish, Duration::from_millis(20)).unwrap_err();
    let full = RequestError::WindowFull { in_flight: 19 };
    assert!(matches!(&error, Error::Request(error) if *error == full), "{error}");
}

/// Nothing comes in that would end the read.
#[test]
fn a_qos_0_message_of_another_thread_is_reported_soon() {
    let (client, mut events, _peer) = connected(&options());
    let (waiting, started) = mpsc::channel();
    let publishing = thread::spawn(move || {
        started.recv().unwrap();
        client.publish("t", b"x", QoS::AtMostOnce, false).unwrap()
    });
    waiting.send(()).unwrap();
    let Some(Event::Published(handle)) = events.next_timeout(PATIENCE / 4) else { panic!() };
    assert_eq!(handle, publishing.join().unwrap());
}

#[test]
fn a_client_connects_again_by_itself() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        for _ in 0..3 {
            let mut peer = Peer::accept(&listener);
            peer.expect("Connect");
            peer.send(ACCEPTED);
        }
    });
    let options = options().reconnect(Reconnect::after(1));
    let (_client, mut events) = Client::connect(&address, &options).unwrap();
    let mut ups = 0;
    while ups < 3 {
        ups += usize::from(matches!(events.next().unwrap(), Event::Up { .. }));
    }
    peer.join().unwrap();
}

#[test]
fn disconnect_ends_the_events() {
    let (client, mut events, mut peer) = connected(&options());
    client.disconnect();
    peer.expect("Disconnect");
    drop(peer);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason: Reason::Requested }));
    assert_eq!(events.next(), None);
}

#[test]
fn disconnect_from_another_thread_ends_a_wait() {
    let (client, mut events, mut peer) = connected(&options());
    let waiting = thread::spawn(move || while events.next().is_some() {});
    client.disconnect();
    peer.expect("Disconnect");
    drop(peer);
    waiting.join().unwrap();
}

#[test]
fn a_broker_that_cannot_be_reached_is_named() {
    let (listener, address) = listen();
    drop(listener);
    let error = Client::connect(&address, &options()).unwrap_err();
    let Error::Io { broker, error } = error else { panic!("{error}") };
    assert_eq!((broker, error.kind()), (address, io::ErrorKind::ConnectionRefused));
}

#[test]
fn a_refused_first_connection_is_an_error() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(&[0x20, 2, 0, 5]);
    });
    let error = Client::connect(&address, &options()).unwrap_err();
    let refused = Reason::Fatal(Fatal::Refused(Refusal::NotAuthorized));
    assert!(matches!(error, Error::NotConnected(reason) if reason == refused), "{error}");
    peer.join().unwrap();
}

#[test]
fn a_timeout_of_zero_returns_at_once() {
    let (_client, mut events, mut peer) = connected(&options());
    let before = Instant::now();
    assert_eq!(events.next_timeout(Duration::ZERO), None);
    assert!(before.elapsed() < Duration::from_secs(5));
    peer.send(b"\x30\x04\0\x01tx");
    assert!(matches!(events.next_timeout(PATIENCE), Some(Event::Message(_))));
}

/// A transport that the system cannot wait for.
#[test]
fn any_reader_and_writer_can_be_a_transport() {
    struct Waiting(String);
    impl Connector for Waiting {
        fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
            let stream = TcpStream::connect(&self.0)?;
            bridge(stream.try_clone()?, stream)
        }
        fn name(&self, _endpoint: u8) -> String {
            self.0.clone()
        }
    }
    let (listener, address) = listen();
    let (client, mut events) = Config::new(&options()).over(Waiting(address)).unwrap();
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer.acknowledge();
    });
    while let Some(event) = events.next_timeout(PATIENCE) {
        if event == Event::Published(handle) {
            return peer.join().unwrap();
        }
    }
    panic!("not published");
}

/// The clients of a fleet must not all do the same in the same moment.
#[test]
fn a_seed_is_drawn_unless_one_is_given() {
    struct Nowhere;
    impl Connector for Nowhere {
        fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
        fn name(&self, endpoint: u8) -> String {
            endpoint.to_string()
        }
    }
    let first_endpoint = |reconnect: Reconnect| {
        let options = options().reconnect(reconnect.endpoints(255).shuffle_endpoints(true));
        let (_client, mut events) = Config::new(&options).over(Nowhere).unwrap();
        let Some(Event::Connecting { endpoint }) = events.next() else { panic!() };
        endpoint
    };
    let drawn = [(); 8].map(|()| first_endpoint(Reconnect::never()));
    assert!(drawn.iter().any(|endpoint| *endpoint != drawn[0]), "{drawn:?}");
    let given = [(); 8].map(|()| first_endpoint(Reconnect::never().seed(0)));
    assert!(given.iter().all(|endpoint| *endpoint == given[0]), "{given:?}");
}

/// A broker that swallows all packets: the connector waits for as long as it may.
#[test]
fn a_connector_gets_more_time_after_each_attempt_that_ran_out_of_it() {
    struct Swallowing(mpsc::Sender<Duration>);
    impl Connector for Swallowing {
        fn connect(&self, _endpoint: u8, timeout: Duration) -> io::Result<Link> {
            self.0.send(timeout).unwrap();
            thread::sleep(timeout);
            Err(io::ErrorKind::TimedOut.into())
        }
        fn name(&self, _endpoint: u8) -> String {
            "nowhere".to_string()
        }
    }
    let options = options().connect_timeout(10).reconnect(Reconnect::after(1).at_most(1));
    let (sender, times) = mpsc::channel();
    let (_client, mut events) = Config::new(&options).over(Swallowing(sender)).unwrap();
    for millis in [10, 20, 40, 80, 80] {
        assert_eq!(events.next(), Some(Event::Connecting { endpoint: 0 }));
        let reason = Reason::Fatal(Fatal::ConnectTimeout);
        assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
        assert_eq!(times.try_recv(), Ok(Duration::from_millis(millis)));
    }
}

/// M7 with a real socket.
#[test]
fn a_broker_that_falls_silent_is_detected() {
    let options = options().keep_alive(1).ping_timeout(200);
    let (_client, mut events, mut peer) = connected(&options);
    let heard = thread::spawn(move || {
        peer.expect("PingReq");
        peer
    });
    let Some(Event::Down { reason, .. }) = events.next_timeout(PATIENCE) else { panic!() };
    assert_eq!(reason.to_string(), "no PINGRESP in time");
    heard.join().unwrap();
}
