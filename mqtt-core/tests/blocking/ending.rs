//! The end of a client: nothing that was sent is torn, every request has its outcome, and nobody waits in vain.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Event, OwnedEvent, QoS, Reason, Reconnect,
    driver::{
        blocking::{Brokers, Client, Config, Connector, Error, Outcome},
        stream::{Link, Source, Stream},
    },
};
use test_kit::wire::ACCEPTED;

use crate::peer::{PATIENCE, Peer, accepting, connected, listen, options};

/// If the socket were closed with bytes unread, the system would reset the connection, and the broker would lose what it
/// has not read.
#[test]
fn a_broker_that_sends_all_the_time_still_reads_everything_up_to_the_disconnect() {
    let (client, mut events, mut peer) = connected(&options());
    // More than fits into the client's buffer, and nobody reads it.
    let flood = b"\x30\x04\0\x01tx".repeat(10_000);
    peer.send(&flood);
    for _ in 0..10 {
        let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    }
    client.disconnect();
    let reading = thread::spawn(move || {
        peer.send(&flood);
        for _ in 0..10 {
            peer.expect("Publish");
        }
        peer.expect("Disconnect");
        assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0, "closed in order");
    });
    while events.next().is_some() {}
    reading.join().unwrap();
}

#[test]
fn the_end_waits_until_the_broker_has_closed() {
    let (client, mut events, mut peer) = connected(&options());
    client.disconnect();
    let (tell, told) = mpsc::channel();
    let ending = thread::spawn(move || {
        while events.next().is_some() {}
        tell.send(()).unwrap();
    });
    peer.expect("Disconnect");
    assert!(told.try_recv().is_err(), "the broker has not closed");
    drop(peer);
    told.recv_timeout(PATIENCE).unwrap();
    ending.join().unwrap();
}

/// A proxy that sees one direction end may end both. If bytes for the client are under way, the system then resets the
/// connection to the broker, which loses the last messages and the DISCONNECT. So the broker is to close first.
#[test]
fn the_connection_is_not_half_closed_before_the_broker_had_time_to_close_it() {
    let (client, mut events, mut peer) = connected(&options());
    let start = Instant::now();
    client.disconnect();
    let ending = thread::spawn(move || while events.next().is_some() {});
    peer.expect("Disconnect");
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0, "a broker that does not close");
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    drop(peer);
    ending.join().unwrap();
}

/// A layer that keeps the DISCONNECT until the client has read everything, as TLS does if the broker is busy with sending.
struct Keeping {
    stream: TcpStream,
    kept: Vec<u8>,
    unread: usize,
}

impl Read for Keeping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(buffer)?;
        self.unread = self.unread.saturating_sub(len);
        Ok(len)
    }
}

impl Write for Keeping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend(bytes);
        let _sent = self.flush();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.kept.ends_with(&[0xE0, 0]) && self.unread > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let kept = std::mem::take(&mut self.kept);
        self.stream.write_all(&kept)
    }
}

impl Stream for Keeping {
    fn source(&self) -> Source<'_> {
        self.stream.source()
    }

    fn has_output(&self) -> bool {
        !self.kept.is_empty()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.stream.finish()
    }
}

struct Keeper(String);

impl Connector for Keeper {
    fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
        let stream = TcpStream::connect(&self.0)?;
        stream.set_nonblocking(true)?;
        Ok(Box::new(Keeping { stream, kept: Vec::new(), unread: FLOOD }))
    }

    fn name(&self, _endpoint: u8) -> String {
        self.0.clone()
    }
}

const FLOOD: usize = 1_000_000;

#[test]
fn the_end_reads_on_while_the_last_bytes_wait() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer.expect("Publish");
        peer.send(&b"\x30\x04\0\x01tx".repeat(FLOOD / 6 + 1));
        peer.expect("Disconnect");
    });
    let (client, mut events) = Config::new(&options()).over(Keeper(address)).unwrap();
    while !matches!(events.next(), Some(Event::Up { .. })) {}
    let _ = client.publish("t", b"x", QoS::AtMostOnce, false).unwrap();
    client.disconnect();
    while events.next().is_some() {}
    peer.join().unwrap();
}

#[test]
fn a_broker_that_never_closes_is_not_waited_for_without_end() {
    let (client, mut events, mut peer) = connected(&options());
    client.disconnect();
    let start = Instant::now();
    while events.next().is_some() {}
    assert!(start.elapsed() < PATIENCE / 2);
    peer.expect("Disconnect");
}

/// It waits for events for a moment at a time, because it has other work as well.
#[test]
fn an_application_that_looks_often_does_not_prolong_the_end() {
    let (client, mut events, mut peer) = connected(&options());
    client.disconnect();
    let start = Instant::now();
    let mut down = false;
    while !down {
        assert!(start.elapsed() < PATIENCE / 2, "the end goes on");
        down = matches!(events.next_timeout(Duration::from_millis(20)), Some(Event::Down { .. }));
    }
    peer.expect("Disconnect");
}

#[test]
fn dropping_everything_after_a_disconnect_lets_the_broker_read_all() {
    let (client, events, mut peer) = connected(&options());
    peer.send(b"\x30\x04\0\x01tx");
    let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    client.disconnect();
    let dropping = thread::spawn(move || drop((client, events)));
    peer.expect("Publish");
    peer.expect("Disconnect");
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0);
    drop(peer);
    dropping.join().unwrap();
}

#[test]
fn a_request_without_an_answer_is_lost_with_its_clean_session() {
    let (client, mut events, mut peer) = connected(&options());
    let handle = client.publish("t", b"x", QoS::ExactlyOnce, false).unwrap();
    client.disconnect();
    peer.expect("Publish");
    peer.expect("Disconnect");
    drop(peer);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason: Reason::Requested }));
    assert_eq!(events.next(), Some(Event::Lost(handle)));
    assert_eq!(events.next(), None);
    assert_eq!(client.in_flight(), 0);
}

#[test]
fn every_request_of_a_clean_client_that_never_connected_ends_with_one_event() {
    let (client, mut events) = Config::new(&options().reconnect(Reconnect::after(60_000)))
        .start(&["127.0.0.1:1"])
        .unwrap();
    let mut handles = Vec::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        handles.push(client.publish("t", b"x", qos, false).unwrap());
    }
    handles.push(client.subscribe("a", QoS::AtMostOnce).unwrap());
    handles.push(client.unsubscribe("a").unwrap());
    client.disconnect();
    let mut lost = Vec::new();
    while let Some(event) = events.next() {
        if let Event::Lost(handle) = event {
            lost.push(handle);
        }
    }
    lost.sort_unstable();
    handles.sort_unstable();
    assert_eq!(lost, handles);
}

#[test]
fn a_kept_session_keeps_its_requests_over_a_disconnect() {
    let (client, mut events, mut peer) = connected(&options().clean_session(false));
    let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    client.disconnect();
    peer.expect("Publish");
    drop(peer);
    while let Some(event) = events.next() {
        assert!(matches!(event, Event::Down { .. }), "{event:?}");
    }
    assert_eq!(client.in_flight(), 1);
}

#[test]
fn finish_waits_for_the_answers_and_then_disconnects() {
    let (client, mut events, mut peer) = connected(&options());
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    let answering = thread::spawn(move || {
        peer.acknowledge();
        peer.expect("Disconnect");
    });
    let mut seen = Vec::new();
    events.finish(PATIENCE, |event| seen.push(event.to_owned())).unwrap();
    assert_eq!(seen.first(), Some(&OwnedEvent::Published(handle)));
    answering.join().unwrap();
}

#[test]
fn finish_names_the_requests_that_had_no_answer_in_time() {
    let (client, mut events, mut peer) = connected(&options());
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    let reading = thread::spawn(move || {
        peer.expect("Publish");
        peer.expect("Disconnect");
    });
    let mut lost = 0;
    let error = events
        .finish(Duration::from_millis(20), |event| {
            lost += usize::from(event == Event::Lost(handle))
        })
        .unwrap_err();
    assert_eq!((error.handles, lost), (vec![handle], 1));
    reading.join().unwrap();
}

#[test]
fn a_spawned_client_finishes_in_order() {
    let (address, peer) = accepting();
    let brokers = Brokers::new(&[&address]).unwrap();
    let client = Config::new(&options()).spawn(brokers, |_, _| {}).unwrap();
    let mut peer = peer.join().unwrap();
    let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    let answering = thread::spawn(move || {
        peer.acknowledge();
        peer.expect("Disconnect");
    });
    client.finish(PATIENCE).unwrap();
    assert_eq!(client.state(), ConnectionState::Stopped);
    answering.join().unwrap();
}

#[test]
fn requests_fail_once_the_events_are_dropped() {
    let (client, events, mut peer) = connected(&options());
    drop(events);
    assert!(matches!(client.publish("t", b"x", QoS::AtMostOnce, false), Err(Error::NotServed)));
    assert_eq!(client.state(), ConnectionState::Stopped);
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0, "the connection is closed");
}

#[test]
fn requests_fail_once_a_handler_has_panicked() {
    let (address, peer) = accepting();
    let brokers = Brokers::new(&[&address]).unwrap();
    let handler =
        |_: &Client, event: Event<'_>| assert!(!matches!(event, Event::Message(_)), "on purpose");
    let client = Config::new(&options()).spawn(brokers, handler).unwrap();
    let mut peer = peer.join().unwrap();
    let waiting = thread::spawn({
        let client = client.clone();
        move || {
            let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
            client.wait(handle, PATIENCE)
        }
    });
    peer.expect("Publish");
    peer.send(b"\x30\x04\0\x01tx");
    assert!(matches!(waiting.join().unwrap(), Err(Error::NotServed)), "whoever waits hears of it");
    assert!(matches!(client.subscribe("a", QoS::AtMostOnce), Err(Error::NotServed)));
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn with_the_setting_the_last_client_ends_the_events() {
    let (address, peer) = accepting();
    let config = Config::new(&options()).end_with_clients(true);
    let (client, mut events) = config.connect(&[&address]).unwrap();
    let mut peer = peer.join().unwrap();
    let ending = thread::spawn(move || while events.next().is_some() {});
    let other = client.clone();
    drop(client);
    assert_eq!(other.state(), ConnectionState::Up);
    drop(other);
    peer.expect("Disconnect");
    drop(peer);
    ending.join().unwrap();
}

#[test]
fn a_queue_gives_the_events_of_a_background_thread_and_its_drop_ends_the_client() {
    let (address, peer) = accepting();
    let brokers = Brokers::new(&[&address]).unwrap();
    let (client, queue) = Config::new(&options()).spawn_queue(brokers, 2).unwrap();
    let mut peer = peer.join().unwrap();
    peer.send(&b"\x30\x04\0\x01tx".repeat(100));
    let mut messages = 0;
    while messages < 100 {
        let event = queue.next_timeout(PATIENCE).expect("an event");
        messages += usize::from(matches!(event, OwnedEvent::Message(_)));
    }
    drop(queue);
    peer.send(b"\x30\x04\0\x01tx");
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0);
    assert!(matches!(client.publish("t", b"x", QoS::AtMostOnce, false), Err(Error::NotServed)));
}

#[test]
fn a_client_whose_queue_is_full_still_sends_its_pings() {
    let (address, peer) = accepting();
    let brokers = Brokers::new(&[&address]).unwrap();
    let options = options().keep_alive(1);
    let (_client, _queue) = Config::new(&options).spawn_queue(brokers, 1).unwrap();
    let mut peer = peer.join().unwrap();
    peer.send(&b"\x30\x04\0\x01tx".repeat(10));
    peer.expect("PingReq");
    peer.send(&[0xD0, 0]);
    peer.expect("PingReq");
}

#[test]
fn several_threads_wait_for_outcomes_while_another_one_serves() {
    let (address, peer) = accepting();
    let brokers = Brokers::new(&[&address]).unwrap();
    let client = Config::new(&options()).spawn(brokers, |_, _| {}).unwrap();
    let mut peer = peer.join().unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || {
                let publish = mqtt_core::Publish::new(mqtt_core::topic!("t"), b"x");
                client.publish_wait(&publish.qos(QoS::AtLeastOnce), PATIENCE)
            })
        })
        .collect();
    for _ in 0..4 {
        peer.acknowledge();
    }
    for waiting in waiting {
        waiting.join().unwrap().unwrap();
    }
    let asking = thread::spawn(move || client.subscribe_wait("a", QoS::ExactlyOnce, PATIENCE));
    let [high, low] = peer.expect_id("Subscribe");
    peer.send(&[0x90, 3, high, low, 0x80]);
    let refused = asking.join().unwrap().unwrap_err();
    assert!(matches!(refused, Error::Failed(Outcome::Subscribed(_))), "{refused}");
    assert_eq!(refused.to_string(), "the broker refused a subscription");
}

#[test]
fn a_wait_for_an_outcome_that_came_already_returns_it() {
    let (client, mut events, mut peer) = connected(&options());
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    peer.acknowledge();
    assert!(matches!(events.wait(handle, PATIENCE, |_| {}), Ok(Outcome::Published)));
    assert!(matches!(client.wait(handle, Duration::ZERO), Ok(Outcome::Published)));
}

#[test]
fn a_wait_ends_in_time() {
    let (client, _events, mut peer) = connected(&options());
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    peer.expect("Publish");
    assert!(matches!(client.wait(handle, Duration::from_millis(10)), Err(Error::TimedOut)));
}
