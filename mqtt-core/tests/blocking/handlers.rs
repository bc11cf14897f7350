//! Handlers that take time: packets that are due go out between two events, and handlers that are quick cost no write
//! more. The peer decides when a handler ends, so no test depends on the speed of the machine.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{
    Event, QoS,
    driver::{
        blocking::{Config, Connector},
        stream::{Link, Source, Stream},
    },
};
use test_kit::wire::ACCEPTED;

use crate::peer::{PATIENCE, Peer, connected, listen, options};

/// Longer than the driver leaves packets unsent between two events.
const SLOW: Duration = Duration::from_millis(15);

/// A message of QoS 1.
fn message(id: u16) -> Vec<u8> {
    [&b"\x32\x06\0\x01t"[..], &id.to_be_bytes(), b"x"].concat()
}

/// `count` messages of QoS 1, with the packet ids from 1 on.
fn burst(count: u16) -> Vec<u8> {
    (1..=count).flat_map(message).collect()
}

/// A handler that works for `time`.
fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        thread::yield_now();
    }
}

/// A handler that works until the peer says that it may end.
fn wait_for(peer: &Receiver<()>) {
    peer.recv_timeout(PATIENCE / 4).expect("the packet goes out while the handler works");
}

#[track_caller]
fn is_message(event: Option<Event<'_>>) {
    assert!(matches!(event, Some(Event::Message(_))), "{event:?}");
}

/// The peer sends the rest of its messages once it has the first acknowledgement. All of the first ones are in one read.
#[test]
fn an_acknowledgement_goes_out_before_all_messages_of_a_read_are_handled() {
    let (_client, mut events, mut peer) = connected(&options());
    peer.send(&burst(3));
    let (heard, hears) = mpsc::channel();
    let peer = thread::spawn(move || {
        peer.expect("PubAck(PacketId(1))");
        heard.send(()).unwrap();
        peer.send(&message(4));
        for id in 2..=4 {
            peer.expect(&format!("PubAck(PacketId({id}))"));
        }
        peer
    });
    is_message(events.next_timeout(PATIENCE));
    work(SLOW);
    is_message(events.next_timeout(PATIENCE));
    wait_for(&hears);
    is_message(events.next_timeout(PATIENCE));
    is_message(events.next_timeout(PATIENCE));
    assert_eq!(events.next_timeout(Duration::ZERO), None);
    let _peer = peer.join().unwrap();
}

/// [MQTT-3.1.2-23]: the broker closes the connection if nothing comes for one and a half of the keep alive.
#[test]
fn a_pingreq_goes_out_before_all_messages_of_a_read_are_handled() {
    let (_client, mut events, mut peer) = connected(&options().keep_alive(1));
    peer.send(&b"\x30\x04\0\x01tx".repeat(3));
    let (heard, hears) = mpsc::channel();
    let peer = thread::spawn(move || {
        peer.expect("PingReq");
        heard.send(()).unwrap();
    });
    is_message(events.next_timeout(PATIENCE));
    work(Duration::from_millis(760));
    is_message(events.next_timeout(PATIENCE));
    wait_for(&hears);
    is_message(events.next_timeout(PATIENCE));
    peer.join().unwrap();
}

/// Events that need no input delay packets as little as messages do.
#[test]
fn a_pingreq_goes_out_between_events_that_are_not_messages() {
    let (client, mut events, mut peer) = connected(&options().keep_alive(1));
    for _ in 0..3 {
        let _ = client.publish("t", b"x", QoS::AtMostOnce, false).unwrap();
    }
    let (heard, hears) = mpsc::channel();
    let peer = thread::spawn(move || {
        for _ in 0..3 {
            peer.expect("Publish");
        }
        peer.expect("PingReq");
        heard.send(()).unwrap();
    });
    assert!(matches!(events.next_timeout(PATIENCE), Some(Event::Published(_))));
    work(Duration::from_millis(760));
    assert!(matches!(events.next_timeout(PATIENCE), Some(Event::Published(_))));
    wait_for(&hears);
    assert!(matches!(events.next_timeout(PATIENCE), Some(Event::Published(_))));
    peer.join().unwrap();
}

/// A PINGRESP counts as missed only if a read past its deadline does not bring it, and other messages may come first.
#[test]
fn a_pingresp_that_came_while_a_handler_worked_is_not_missed() {
    let (_client, mut events, mut peer) = connected(&options().keep_alive(1).ping_timeout(50));
    peer.send(&b"\x30\x04\0\x01tx".repeat(3));
    let (heard, hears) = mpsc::channel();
    let peer = thread::spawn(move || {
        peer.expect("PingReq");
        peer.send(&[0xD0, 0]);
        heard.send(()).unwrap();
        peer
    });
    is_message(events.next_timeout(PATIENCE));
    work(Duration::from_millis(760));
    is_message(events.next_timeout(PATIENCE));
    wait_for(&hears);
    work(Duration::from_millis(100));
    is_message(events.next_timeout(PATIENCE));
    let _peer = peer.join().unwrap();
    assert_eq!(events.next_timeout(Duration::ZERO), None, "the connection lives on");
}

/// The client takes no input: the application owes acknowledgements, and the buffer is full.
#[cfg(target_os = "linux")]
#[test]
fn a_wait_with_a_full_buffer_does_not_keep_the_processor_busy() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer.send(&burst(100));
        peer.expect("PingReq");
        peer.send(&[0xD0, 0]);
        peer
    });
    let options = options().keep_alive(1).ping_timeout(50).manual_acknowledge(true);
    let config = Config::new(&options).window(2).buffer(64);
    let (_client, mut events) = config.connect(&[&address]).unwrap();
    assert!(matches!(events.next(), Some(Event::Up { .. })));
    is_message(events.next_timeout(PATIENCE));
    is_message(events.next_timeout(PATIENCE));
    let (start, before) = (Instant::now(), busy());
    // Which verdict comes in this time is another matter.
    let _verdict = events.next_timeout(Duration::from_millis(1_200));
    let (busy, all) = (busy() - before, start.elapsed());
    assert!(busy < all / 4, "busy for {busy:?} of {all:?}");
    peer.join().unwrap();
}

/// The time for which this thread has used a processor.
#[cfg(target_os = "linux")]
fn busy() -> Duration {
    let numbers = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(numbers.split_whitespace().next().unwrap().parse().unwrap())
}

/// A transport that holds all that the broker will ever say, and counts writes.
struct Tape {
    input: io::Cursor<Vec<u8>>,
    writes: Arc<AtomicUsize>,
    /// Something to wait for. It is always readable.
    source: UnixStream,
}

impl Read for Tape {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Tape {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Tape {
    fn source(&self) -> Source<'_> {
        self.source.source()
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plays the tape once.
struct Player(Mutex<Option<Tape>>);

impl Player {
    /// A tape with so many messages, and its count of writes.
    fn of(messages: u16) -> (Self, Arc<AtomicUsize>) {
        let writes = Arc::new(AtomicUsize::new(0));
        let (source, peer) = UnixStream::pair().unwrap();
        drop(peer);
        let input = io::Cursor::new([ACCEPTED, &burst(messages)].concat());
        let tape = Tape { input, writes: writes.clone(), source };
        (Self(Mutex::new(Some(tape))), writes)
    }
}

impl Connector for Player {
    fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
        let tape = self.0.lock().unwrap().take();
        Ok(Box::new(tape.ok_or(io::ErrorKind::ConnectionRefused)?))
    }

    fn name(&self, _endpoint: u8) -> String {
        "tape".into()
    }
}

/// The same for acknowledgements that the application makes.
#[test]
fn acknowledgements_of_an_application_that_is_quick_share_a_write() {
    const COUNT: u16 = 10_000;
    let (tape, writes) = Player::of(COUNT);
    let start = Instant::now();
    let options = options().manual_acknowledge(true);
    let (client, mut events) = Config::new(&options).over(tape).unwrap();
    let mut messages = 0;
    while let Some(event) = events.next() {
        if let Event::Message(message) = event {
            client.acknowledge(message.delivery.unwrap()).unwrap();
            messages += 1;
        }
    }
    let by_time = usize::try_from(start.elapsed().as_millis() / 10).unwrap();
    let writes = writes.load(Ordering::Relaxed);
    assert_eq!(messages, usize::from(COUNT));
    // CONNECT, two for each full buffer of 64 KiB, and one for each 10 ms.
    let due = 1 + 2 * (usize::from(COUNT) * 8 / (64 << 10) + 1);
    assert!(writes <= due + by_time, "{writes} writes, {due} due, {by_time}");
}

/// The end of the tape is the end of the connection, so the last acknowledgements need no write.
#[test]
fn handlers_that_are_quick_share_a_write() {
    const COUNT: u16 = 10_000;
    let (tape, writes) = Player::of(COUNT);
    let start = Instant::now();
    let (_client, mut events) = Config::new(&options()).over(tape).unwrap();
    let mut messages = 0;
    while let Some(event) = events.next() {
        messages += usize::from(matches!(event, Event::Message(_)));
    }
    // CONNECT, an answer to each full buffer of 64 KiB, and one for each 10 ms.
    let due = 1 + usize::from(COUNT) * 8 / (64 << 10) + 1;
    let by_time = usize::try_from(start.elapsed().as_millis() / 10).unwrap();
    let writes = writes.load(Ordering::Relaxed);
    assert_eq!(messages, usize::from(COUNT));
    assert!((due - 1..=due + by_time).contains(&writes), "{writes} writes, {due} due, {by_time}");
}
