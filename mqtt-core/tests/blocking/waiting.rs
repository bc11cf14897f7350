//! What waits and what does not: time-outs hold, no request waits for the transport, and nobody wakes up without cause.

use std::{
    io,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Event, Fatal, QoS, Reason, Reconnect, RequestError, TransportFault,
    driver::{
        address::AddressError,
        blocking::{Client, Config, Connector, Error},
        stream::{Link, Source, Stream},
    },
};
use test_kit::wire::ACCEPTED;

use crate::peer::{PATIENCE, Peer, accepting, connected, listen, options};

/// Well below every time-out of a test, and far above a call that does not wait.
const SOON: Duration = Duration::from_secs(2);

fn reconnecting() -> mqtt_core::Options<'static> {
    options().reconnect(Reconnect::after(1))
}

/// Its attempts take until the test lets them go.
struct Slow(mpsc::Sender<mpsc::Sender<()>>);

impl Connector for Slow {
    fn connect(&self, _endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let (go, goes) = mpsc::channel();
        self.0.send(go).unwrap();
        let _gone = goes.recv_timeout(timeout.min(PATIENCE));
        Err(io::ErrorKind::TimedOut.into())
    }

    fn name(&self, _endpoint: u8) -> String {
        "slow".into()
    }
}

#[test]
fn a_look_does_not_wait_while_a_connection_is_being_made() {
    let (attempts, began) = mpsc::channel();
    let (_client, mut events) = Config::new(&options()).over(Slow(attempts)).unwrap();
    assert!(matches!(events.next_timeout(Duration::ZERO), Some(Event::Connecting { .. })));
    let _going = began.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    assert_eq!(events.next_timeout(Duration::ZERO), None);
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_disconnect_ends_an_attempt_at_once() {
    let (attempts, began) = mpsc::channel();
    let (client, mut events) = Config::new(&options()).over(Slow(attempts)).unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    assert_eq!(events.next_timeout(Duration::ZERO), None);
    let _going = began.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    client.disconnect();
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason: Reason::Requested }));
    assert_eq!(events.next(), None);
    assert!(start.elapsed() < SOON);
}

#[test]
fn an_attempt_that_hangs_ends_with_the_time_of_the_attempt() {
    let (attempts, _began) = mpsc::channel();
    let options = options().connect_timeout(50);
    let (_client, mut events) = Config::new(&options).over(Slow(attempts)).unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    let reason = Reason::Fatal(Fatal::ConnectTimeout);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
}

#[test]
fn the_longest_time_is_no_limit() {
    let (client, mut events, mut peer) = connected(&options());
    peer.send(b"\x30\x04\0\x01tx");
    assert!(matches!(events.next_timeout(Duration::MAX), Some(Event::Message(_))));
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    peer.acknowledge();
    assert!(events.wait(handle, Duration::MAX, |_| {}).is_ok());
    assert!(client.wait(handle, Duration::MAX).is_ok());
}

#[test]
fn a_stopped_client_says_so_once_and_then_waits_for_the_time_of_the_call() {
    let (client, mut events, peer) = connected(&options());
    drop(peer);
    while events.next().is_some() {}
    assert_eq!(client.state(), ConnectionState::Stopped);
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(events.next_timeout(Duration::from_millis(20)), None);
    }
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_reconnect_ends_the_wait_of_a_stopped_client() {
    let (listener, address) = listen();
    let (client, mut events) = Config::new(&options()).start(&[&address]).unwrap();
    client.disconnect();
    while events.next().is_some() {}
    let waiting = thread::spawn(move || {
        matches!(events.next_timeout(PATIENCE), Some(Event::Connecting { .. }))
    });
    client.reconnect();
    assert!(waiting.join().unwrap());
    drop(listener);
}

#[test]
fn connect_goes_on_to_the_next_broker_if_one_is_down() {
    let (closed, down) = listen();
    drop(closed);
    let (listener, up) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer
    });
    let (client, _events) = Config::new(&reconnecting()).connect(&[&down, &up]).unwrap();
    assert_eq!(client.state(), ConnectionState::Up);
    peer.join().unwrap();
}

#[test]
fn connect_fails_once_all_brokers_are_down() {
    let closed = [listen(), listen()].map(|(_, address)| address);
    let [first, second] = &closed;
    let error = Config::new(&reconnecting()).connect(&[first, second]).unwrap_err();
    assert!(matches!(error, Error::Io { broker, .. } if broker == *second));
}

#[test]
fn a_publish_does_not_wait_for_a_broker_that_does_not_read() {
    let (client, mut events, _peer) = connected(&options());
    let serving = thread::spawn(move || while events.next().is_some() {});
    let payload = vec![0; 60_000];
    let (start, mut longest) = (Instant::now(), Duration::ZERO);
    let full = loop {
        let before = Instant::now();
        let published = client.publish("t", &payload, QoS::AtMostOnce, false);
        longest = longest.max(before.elapsed());
        if let Err(error) = published {
            break error;
        }
        assert!(start.elapsed() < PATIENCE, "the sockets and the outbox have an end");
    };
    assert!(matches!(full, Error::Request(RequestError::OutboxFull { .. })), "{full}");
    assert!(longest < SOON, "{longest:?}");
    drop(client);
    drop(serving);
}

/// The rest of what the transport did not take is sent by the serving thread, without another request.
#[test]
fn what_a_transport_did_not_take_is_sent_once_it_does() {
    let (client, mut events, mut peer) = connected(&options());
    let serving = thread::spawn(move || while events.next().is_some() {});
    let payload = vec![7; 60_000];
    let mut accepted = 0;
    while client.publish("t", &payload, QoS::AtMostOnce, false).is_ok() {
        accepted += 1;
    }
    for _ in 0..accepted {
        peer.expect("Publish");
    }
    drop(peer);
    serving.join().unwrap();
}

#[test]
fn a_refused_connection_is_told_by_the_event() {
    let (closed, address) = listen();
    drop(closed);
    let (_client, mut events) = Config::new(&options()).start(&[&address]).unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    let reason = Reason::TransportFailed(TransportFault::Refused);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
    assert!(matches!(events.last_error(), Some(Error::Io { broker, .. }) if *broker == address));
}

#[test]
fn a_name_that_is_not_known_is_told_by_the_event() {
    let (_client, mut events) = Config::new(&options()).start(&["no.such.name.invalid"]).unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    let reason = Reason::TransportFailed(TransportFault::UnknownName);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
}

#[test]
fn addresses_that_are_not_possible_are_errors_before_the_first_attempt() {
    for (address, expected) in [
        ("h:99999", AddressError::PortRange),
        ("h:", AddressError::NoPort),
        ("h:x", AddressError::PortNotNumber),
        ("http://h", AddressError::UnknownScheme),
        ("", AddressError::NoHost),
        ("::1", AddressError::NoBrackets),
    ] {
        let error = Config::new(&options()).start(&["127.0.0.1:1", address]).unwrap_err();
        let Error::Address { number, error } = error else { panic!("{error}") };
        assert_eq!((number, error), (1, expected), "{address}");
    }
}

#[test]
fn a_url_is_an_address_and_its_login_is_sent() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.hear(|packet| {
            let mqtt_core::codec::Packet::Connect(connect) = packet else { panic!("{packet:?}") };
            let login = connect.login.expect("a login");
            assert_eq!((login.user, login.password), ("ada", Some(&b"secret"[..])));
        });
        peer.send(ACCEPTED);
        peer
    });
    let url = format!("mqtt://ada:secret@{address}");
    let (_client, _events) = Client::connect(&url, &options()).unwrap();
    peer.join().unwrap();
}

/// Opens TCP connections whose reads do this.
struct Reading {
    address: String,
    read: fn() -> io::Result<usize>,
}

struct Read {
    stream: TcpStream,
    read: fn() -> io::Result<usize>,
}

impl Connector for Reading {
    fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nonblocking(true)?;
        Ok(Box::new(Read { stream, read: self.read }))
    }

    fn name(&self, _endpoint: u8) -> String {
        self.address.clone()
    }
}

impl io::Read for Read {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        (self.read)()
    }
}

impl io::Write for Read {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Read {
    fn source(&self) -> Source<'_> {
        self.stream.source()
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A transport whose reads panic.
#[test]
fn a_transport_that_panics_leaves_nobody_hanging() {
    let (address, peer) = accepting();
    let (client, mut events) =
        Config::new(&options()).over(Reading { address, read: || panic!("on purpose") }).unwrap();
    let serving = thread::spawn(move || while events.next().is_some() {});
    let handle = client.publish("t", b"x", QoS::AtLeastOnce, false).unwrap();
    assert!(matches!(client.wait(handle, PATIENCE), Err(Error::NotServed)));
    assert!(serving.join().is_err());
    drop(peer.join().unwrap());
}

#[test]
fn a_connector_that_panics_is_a_failed_attempt() {
    struct Panicking;
    impl Connector for Panicking {
        fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
            panic!("on purpose")
        }
        fn name(&self, _endpoint: u8) -> String {
            "panics".into()
        }
    }
    let (_client, mut events) = Config::new(&options()).over(Panicking).unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    let reason = Reason::TransportFailed(TransportFault::Other);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
}

/// The number of times that the thread gave up the processor of its own accord.
#[cfg(target_os = "linux")]
fn waits() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_client_does_not_wake_up() {
    let (_client, mut events, _peer) = connected(&options().keep_alive(60));
    let before = waits();
    assert_eq!(events.next_timeout(Duration::from_secs(2)), None);
    let woke = waits() - before;
    assert!(woke <= 3, "{woke} times in two seconds");
}

/// Only to keep a listener that never accepts.
#[test]
fn a_broker_that_accepts_no_connection_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = options().connect_timeout(60);
    let (_client, mut events) = Config::new(&options).start(&[&address]).unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    let reason = Reason::Fatal(Fatal::ConnectTimeout);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
}

/// What `TCP_USER_TIMEOUT` and the keep-alive of the system come to.
#[test]
fn a_connection_that_the_system_gives_up_ends_with_its_reason() {
    let (address, peer) = accepting();
    let (_client, mut events) = Config::new(&options())
        .over(Reading { address, read: || Err(io::ErrorKind::TimedOut.into()) })
        .unwrap();
    assert!(matches!(events.next(), Some(Event::Connecting { .. })));
    let reason = Reason::TransportFailed(TransportFault::TimedOut);
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason }));
    drop(peer.join().unwrap());
}
