//! A blocking client with a journal: when records are in it, and the effects of its failure.

use std::{
    future::poll_fn,
    io::{self, Read},
    net::TcpListener,
    sync::{Arc, Mutex, mpsc},
    task::Poll,
    thread,
};

use mqtt_core::{
    BoxedClient, ConnectionState, Event, Options, PacketId, Publish, QoS, Reason, Reconnect,
    Record, RestoreError, SessionStatus,
    codec::Packet,
    driver::{
        blocking::{Client, Config, Error, Events},
        journal::{Journal, ReplayError},
    },
    topic,
};

use test_kit::{
    record::bytes_of,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBACK, ack},
};

use crate::peer::{Peer, listen};

/// Records in RAM. The clients that a test makes one after the other share them.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    records: Vec<Vec<u8>>,
    fails: bool,
    /// The journal is long from this number of records on.
    long: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("the notebook is full")]
struct Full;

impl Notebook {
    fn set_fails(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    fn records(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().records.clone()
    }
}

impl Journal for Notebook {
    type Error = Full;

    /// Another thread writes the record, so it is not durable at once.
    async fn append(&mut self, record: &Record<'_>) -> Result<(), Full> {
        let bytes = bytes_of(record);
        let (snapshot, pages) = (record.is_snapshot(), Arc::clone(&self.0));
        let (done, mut writing) = (Arc::new(Mutex::new(None)), None);
        poll_fn(|context| {
            if let Some(done) = done.lock().unwrap().take() {
                return Poll::Ready(done);
            }
            if writing.is_none() {
                let (bytes, pages, done) = (bytes.clone(), Arc::clone(&pages), Arc::clone(&done));
                let waker = context.waker().clone();
                writing = Some(thread::spawn(move || {
                    *done.lock().unwrap() = Some(write(&pages, bytes, snapshot));
                    waker.wake();
                }));
            }
            Poll::Pending
        })
        .await
    }

    async fn read(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), ReplayError<Full>> {
        let pages = self.0.lock().unwrap();
        if pages.fails {
            return Err(ReplayError::Medium(Full));
        }
        for (number, record) in pages.records.iter().enumerate() {
            take(record).map_err(|error| ReplayError::Record { number, error })?;
        }
        Ok(())
    }

    fn is_long(&self) -> bool {
        let pages = self.0.lock().unwrap();
        pages.long.is_some_and(|long| pages.records.len() >= long)
    }
}

fn write(pages: &Mutex<Pages>, record: Vec<u8>, snapshot: bool) -> Result<(), Full> {
    let mut pages = pages.lock().unwrap();
    if pages.fails {
        return Err(Full);
    }
    if snapshot {
        pages.records.clear();
    }
    pages.records.push(record);
    Ok(())
}

fn options() -> Options<'static> {
    Options::new("me").clean_session(false).keep_alive(0).reconnect(Reconnect::after(1))
}

/// A client with this journal, which has not begun to connect.
fn start(notebook: &Notebook, broker: &str) -> (Client, Events) {
    Config::new(&options()).journal(notebook.clone()).start(&[broker]).unwrap()
}

fn accept(listener: &TcpListener, connack: &[u8]) -> Peer {
    let mut peer = Peer::accept(listener);
    peer.expect("Connect");
    peer.send(connack);
    peer
}

/// Goes on until the client is up.
fn await_up(events: &mut Events) -> SessionStatus {
    loop {
        match events.next() {
            Some(Event::Up { session, .. }) => return session,
            Some(Event::Connecting { .. } | Event::Down { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn message(payload: &[u8]) -> Publish<'_> {
    Publish::new(topic!("t"), payload).qos(QoS::AtLeastOnce)
}

/// The state that these records restore: how many messages wait, and the position.
fn told(records: &[Vec<u8>]) -> (usize, u64) {
    let mut client = BoxedClient::new_boxed(&options().journal(true), 1 << 16, 1024).unwrap();
    for record in records {
        client.restore(record).unwrap();
    }
    (client.in_flight(), client.position())
}

/// Nobody calls `Events::next`, and no broker is there.
#[test]
fn a_message_accepted_offline_is_in_the_journal_when_the_call_returns() {
    let notebook = Notebook::default();
    let (client, _events) = start(&notebook, "127.0.0.1:1");
    for count in 1..=3 {
        let _ = client.publish_at(&message(b"x"), count).unwrap();
        assert_eq!(told(&notebook.records()), (count as usize, count));
    }
    drop(client);
    let (client, _events) = start(&notebook, "127.0.0.1:1");
    assert_eq!((client.in_flight(), client.position()), (3, 3));
}

#[test]
fn a_restarted_client_sends_what_its_journal_holds() {
    let (listener, address) = listen();
    let notebook = Notebook::default();
    let (client, events) = start(&notebook, &address);
    let _ = client.send(&message(b"before")).unwrap();
    drop((client, events));
    let (client, mut events) = start(&notebook, &address);
    let _ = client.send(&message(b"after")).unwrap();
    let peer = thread::spawn(move || {
        let mut peer = accept(&listener, ACCEPTED);
        for expected in ["before", "after"] {
            let id = peer.hear(|packet| {
                let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                assert_eq!(publish.payload, expected.as_bytes());
                publish.id.unwrap().get()
            });
            peer.send(&ack(PUBACK, id));
        }
        peer
    });
    await_up(&mut events);
    for _ in 0..2 {
        assert!(matches!(events.next(), Some(Event::Published(_))));
    }
    peer.join().unwrap();
    // The client was stopped in good order, so the next one sends nothing again.
    client.disconnect();
    while events.next().is_some() {}
    drop((client, events));
    assert_eq!(told(&notebook.records()).0, 0);
}

#[test]
fn a_journal_that_fails_stops_the_client_and_reconnect_tries_again() {
    let (listener, address) = listen();
    let notebook = Notebook::default();
    let (client, mut events) = start(&notebook, &address);
    let peer = thread::spawn(move || (accept(&listener, ACCEPTED), listener));
    await_up(&mut events);
    let (mut peer, listener) = peer.join().unwrap();
    notebook.set_fails(true);
    let error = client.publish_at(&message(b"kept"), 9).unwrap_err();
    assert!(matches!(error, Error::Journal(_)), "{error}");
    let later = client.send(&message(b"later")).unwrap_err();
    assert_eq!(later.to_string(), "journal: the notebook is full");
    assert_eq!(events.next(), Some(Event::Down { endpoint: 0, reason: Reason::TransportClosed }));
    for _ in 0..2 {
        assert_eq!(events.next(), None);
        assert_eq!(client.state(), ConnectionState::Stopped);
        match events.last_error() {
            Some(error @ Error::Journal(inner)) => {
                assert!(inner.downcast_ref::<Full>().is_some());
                assert_eq!(error.to_string(), "journal: the notebook is full");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(peer.stream.read(&mut [0; 64]).unwrap(), 0, "nothing was sent");
    // The journal still fails.
    client.reconnect();
    let peer = thread::spawn(move || (Peer::accept(&listener), listener));
    while events.next().is_some() {}
    assert!(matches!(events.last_error(), Some(Error::Journal(_))));
    let (_, listener) = peer.join().unwrap();

    notebook.set_fails(false);
    client.reconnect();
    let peer = thread::spawn(move || {
        let mut peer = accept(&listener, ACCEPTED_SESSION_PRESENT);
        peer.acknowledge();
        peer
    });
    await_up(&mut events);
    assert!(matches!(events.next(), Some(Event::Published(_))));
    assert!(events.last_error().is_none());
    assert_eq!(told(&notebook.records()).1, 9);
    peer.join().unwrap();
}

#[test]
fn a_journal_that_fails_offline_stops_the_client_as_well() {
    let notebook = Notebook::default();
    let (client, mut events) = start(&notebook, "127.0.0.1:1");
    notebook.set_fails(true);
    let error = client.send(&message(b"x")).unwrap_err();
    assert!(matches!(error, Error::Journal(_)), "{error}");
    while events.next().is_some() {}
    assert!(matches!(events.last_error(), Some(Error::Journal(_))));
    notebook.set_fails(false);
    client.reconnect();
    client.set_position(1).unwrap();
    assert_eq!(told(&notebook.records()), (1, 1));
}

#[test]
fn a_journal_that_cannot_be_read_is_an_error_at_the_start() {
    let notebook = Notebook::default();
    let (client, events) = start(&notebook, "127.0.0.1:1");
    for _ in 0..3 {
        let _ = client.send(&message(b"x")).unwrap();
    }
    drop((client, events));
    let config = Config::new(&options()).window(2).journal(notebook.clone());
    let error = config.start(&["127.0.0.1:1"]).unwrap_err();
    let refused = RestoreError::Window { needed: 3, slots: 2 };
    assert!(matches!(error, Error::Restore { number: 2, error } if error == refused), "{error}");
    notebook.set_fails(true);
    let error = Config::new(&options()).journal(notebook).start(&["127.0.0.1:1"]).unwrap_err();
    assert_eq!(error.to_string(), "journal: the notebook is full");
}

#[test]
fn the_option_without_a_journal_is_an_error() {
    let error = Config::new(&options().journal(true)).start(&["127.0.0.1:1"]).unwrap_err();
    assert!(matches!(error, Error::NoJournal), "{error}");
    let error = Client::connect("127.0.0.1:1", &options().journal(true)).unwrap_err();
    assert!(matches!(error, Error::NoJournal), "{error}");
}

#[test]
fn a_long_journal_begins_anew_with_a_snapshot() {
    let notebook = Notebook::default();
    notebook.0.lock().unwrap().long = Some(5);
    let (client, _events) = start(&notebook, "127.0.0.1:1");
    for count in 1..=20 {
        let _ = client.publish_at(&message(b"x"), count).unwrap();
        let records = notebook.records();
        assert!(records.len() < 5);
        assert_eq!(told(&records), (count as usize, count));
    }
}

/// At every record, in the order of writing, a message is there if and only if its position is.
#[test]
fn a_message_and_its_position_are_in_one_record_whatever_other_threads_do() {
    const COUNT: u64 = 100;
    let notebook = Notebook::default();
    let (client, _events) = start(&notebook, "127.0.0.1:1");
    let (stop, stopped) = mpsc::channel::<()>();
    let other = {
        let client = client.clone();
        thread::spawn(move || {
            // Each of these calls writes the records that are due. They leave room for the messages of the test.
            for _ in 0..5_000 {
                if stopped.try_recv() != Err(mpsc::TryRecvError::Empty) {
                    break;
                }
                let _ = client.publish("other", b"x", QoS::AtMostOnce, false).unwrap();
            }
        })
    };
    for count in 1..=COUNT {
        let _ = client.publish_at(&message(b"x"), count).unwrap();
    }
    drop(stop);
    other.join().unwrap();
    let records = notebook.records();
    for count in 0..=records.len() {
        let (in_flight, position) = told(records.get(..count).unwrap());
        assert_eq!(in_flight as u64, position, "{count} records");
    }
    assert_eq!(told(&records).1, COUNT);
}

#[test]
fn a_message_that_was_acknowledged_with_a_position_does_not_come_again() {
    let (listener, address) = listen();
    let notebook = Notebook::default();
    let config = || {
        let options = options().manual_acknowledge(true);
        Config::new(&options).journal(notebook.clone()).start(&[&address]).unwrap()
    };
    let peer = thread::spawn(move || {
        let message = |id| Publish { id: PacketId::new(id), ..message(b"m").qos(QoS::ExactlyOnce) };
        let mut bytes = [0; 64];
        for (connack, again) in [(ACCEPTED, false), (ACCEPTED_SESSION_PRESENT, true)] {
            let mut peer = accept(&listener, connack);
            for id in [1, 2] {
                let publish = Publish { dup: again, ..message(id) };
                let len = publish.encode(&mut bytes).unwrap();
                peer.send(bytes.get(..len).unwrap());
            }
            if again {
                peer.expect("PubRec");
                return peer;
            }
            peer.expect("PubRec");
        }
        unreachable!()
    });
    let (client, mut events) = config();
    await_up(&mut events);
    let Some(Event::Message(first)) = events.next() else { panic!() };
    client.acknowledge_at(first.delivery.unwrap(), 1).unwrap();
    assert!(matches!(events.next(), Some(Event::Message(_))), "stored by nobody");
    drop((client, events));

    let (client, mut events) = config();
    assert_eq!(client.position(), 1);
    assert_eq!(await_up(&mut events), SessionStatus::Resumed);
    let Some(Event::Message(second)) = events.next() else { panic!() };
    client.acknowledge_at(second.delivery.unwrap(), 2).unwrap();
    assert_eq!(told(&notebook.records()).1, 2);
    peer.join().unwrap();
}

/// The errors of a medium reach the application unchanged.
#[test]
fn a_journal_may_have_any_error_type() {
    struct Broken;
    impl Journal for Broken {
        type Error = io::Error;
        async fn append(&mut self, _record: &Record<'_>) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
        async fn read(
            &mut self,
            _take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
        ) -> Result<(), ReplayError<io::Error>> {
            Ok(())
        }
        fn is_long(&self) -> bool {
            true
        }
    }
    let (client, mut events) =
        Config::new(&options()).journal(Broken).start(&["127.0.0.1:1"]).unwrap();
    assert!(client.set_position(1).is_err());
    while events.next().is_some() {}
    let Some(Error::Journal(error)) = events.last_error() else { panic!() };
    let error = error.downcast_ref::<io::Error>().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
