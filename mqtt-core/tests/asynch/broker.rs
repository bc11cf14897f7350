//! A broker on the other end of a byte stream that takes and gives a few bytes at a time. It keeps one session.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_core::codec::{ConnAck, Decoded, Granted, Packet, SubAck};
use mqtt_core::driver::asynch::{Dial, Link, Whole};
use mqtt_core::{PacketId, Protocol, Publish, QoS, Topic, TransportFault};

use crate::executor::World;

/// What the test makes the broker do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// It answers no PINGREQ.
    pub(crate) no_pong: bool,
    /// The transport takes nothing.
    pub(crate) takes_nothing: bool,
    /// The broker leaves the end of the connection to the client.
    pub(crate) never_closes: bool,
    /// Each write takes this long, in milliseconds.
    pub(crate) slow: u64,
    /// The connection breaks after this many bytes, and what was on its way is lost.
    pub(crate) breaks_after: Option<usize>,
    /// The broker closes every connection at once.
    pub(crate) closes_at_once: bool,
    /// Attempts to connect take this long, in milliseconds.
    pub(crate) dial: u64,
    /// Attempts fail so.
    pub(crate) fault: Option<TransportFault>,
    /// Bytes that a read or write moves at most.
    pub(crate) most: usize,
    /// Reads and writes may have to wait.
    pub(crate) waits: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            no_pong: false,
            takes_nothing: false,
            never_closes: false,
            slow: 0,
            breaks_after: None,
            closes_at_once: false,
            dial: 3,
            fault: None,
            most: 7,
            waits: true,
        }
    }
}

/// A message on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Sent,
    Released,
}

#[derive(Default)]
struct Session {
    exists: bool,
    /// QoS 2 ids of the client.
    seen: BTreeSet<u16>,
    /// Messages to the client, with their payload.
    outgoing: BTreeMap<u16, (Way, QoS, Vec<u8>)>,
    last_id: u16,
}

#[derive(Default)]
struct Connection {
    number: usize,
    open: bool,
    accepted: bool,
    input: Vec<u8>,
    down: VecDeque<u8>,
    /// The broker has closed it, behind the bytes in `down`.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

pub(crate) struct State {
    pub(crate) manners: Manners,
    session: Session,
    connection: Connection,
    /// Payloads that came, in order.
    pub(crate) delivered: Vec<Vec<u8>>,
    /// The kinds of packets that came.
    pub(crate) packets: Vec<&'static str>,
    pub(crate) connections: usize,
    /// Bytes that were kept back by a writer until its flush.
    pub(crate) flushes: usize,
}

/// The broker, and the network in front of it.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) world: Rc<World>,
    pub(crate) state: Rc<RefCell<State>>,
}

impl Broker {
    pub(crate) fn new(world: &Rc<World>) -> Self {
        let state = State {
            manners: Manners::default(),
            session: Session::default(),
            connection: Connection::default(),
            delivered: Vec::new(),
            packets: Vec::new(),
            connections: 0,
            flushes: 0,
        };
        Self { world: Rc::clone(world), state: Rc::new(RefCell::new(state)) }
    }

    pub(crate) fn manners(&self, change: impl FnOnce(&mut Manners)) {
        let mut state = self.state.borrow_mut();
        change(&mut state.manners);
        let connection = &mut state.connection;
        connection.reader.take().into_iter().chain(connection.writer.take()).for_each(Waker::wake);
    }

    /// How many packets of this kind came.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.state.borrow().packets.iter().filter(|packet| **packet == kind).count()
    }

    pub(crate) fn delivered(&self) -> Vec<String> {
        let state = self.state.borrow();
        state.delivered.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Sends a message of QoS 2 to the client, now or on the next connection.
    pub(crate) fn send(&self, payload: &str) {
        self.send_at(payload, QoS::ExactlyOnce);
    }

    /// Sends a message of QoS 1 or 2.
    pub(crate) fn send_at(&self, payload: &str, qos: QoS) {
        self.state.borrow_mut().send(payload.as_bytes(), qos);
    }

    /// Messages that the client has not completed.
    pub(crate) fn unanswered(&self) -> usize {
        self.state.borrow().session.outgoing.len()
    }

    /// Puts raw bytes into the stream.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.state.borrow_mut().connection.write(bytes);
    }

    /// Closes the connection.
    pub(crate) fn close(&self) {
        self.state.borrow_mut().connection.close();
    }

    /// Waits until `reached`, and looks each millisecond.
    pub(crate) async fn until(&self, mut reached: impl FnMut(&State) -> bool) {
        while !reached(&self.state.borrow()) {
            self.world.after(1).await;
        }
    }

    fn most(&self) -> usize {
        self.state.borrow().manners.most
    }

    async fn wait(&self) {
        if self.state.borrow().manners.waits && self.world.draw(2) == 0 {
            self.world.after(1 + self.world.draw(4) as u64).await;
        }
    }
}

impl Connection {
    fn write(&mut self, bytes: &[u8]) {
        self.down.extend(bytes);
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = [0; 512];
        let len = packet.encode(&mut bytes, Protocol::V311).expect("it fits");
        self.write(&bytes[..len]);
    }

    fn close(&mut self) {
        self.closed = true;
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

fn message(id: u16, payload: &[u8], qos: QoS, dup: bool) -> Packet<'_> {
    let publish = Publish::new(Topic::new("down").expect("a topic"), payload);
    let id = PacketId::new(id);
    Packet::Publish(Publish { id, dup, ..publish.qos(qos) })
}

impl State {
    fn send(&mut self, payload: &[u8], qos: QoS) {
        self.session.last_id += 1;
        let id = self.session.last_id;
        self.session.outgoing.insert(id, (Way::Sent, qos, payload.to_vec()));
        if self.connection.accepted {
            self.connection.send(&message(id, payload, qos, false));
        }
    }

    /// How many of `count` bytes are moved before the connection breaks.
    fn moves(&mut self, count: usize) -> usize {
        let Some(left) = &mut self.manners.breaks_after else { return count };
        let count = count.min((*left).max(1));
        *left = left.saturating_sub(count);
        count
    }

    fn breaks(&mut self) {
        if self.manners.breaks_after == Some(0) {
            self.manners.breaks_after = None;
            self.connection.down.clear();
            self.connection.close();
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut input = std::mem::take(&mut self.connection.input);
        input.extend(bytes);
        let mut rest = &input[..];
        while let Decoded::Packet { packet, len } =
            Packet::decode(rest, Protocol::V311).expect("the client breaks no rule")
        {
            rest = &rest[len..];
            self.packet(&packet);
        }
        self.connection.input = rest.to_vec();
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        let Self { manners, session, connection, delivered, packets, .. } = self;
        packets.push(match packet {
            Packet::Connect(_) => "CONNECT",
            Packet::Publish(_) => "PUBLISH",
            Packet::PubAck(_) => "PUBACK",
            Packet::PubRec(_) => "PUBREC",
            Packet::PubRel { .. } => "PUBREL",
            Packet::PubComp(_) => "PUBCOMP",
            Packet::Subscribe(_) => "SUBSCRIBE",
            Packet::Unsubscribe(_) => "UNSUBSCRIBE",
            Packet::PingReq => "PINGREQ",
            Packet::Disconnect => "DISCONNECT",
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                panic!("{packet:?} from a client")
            }
        });
        match packet {
            Packet::Connect(connect) => {
                if connect.clean_session {
                    *session = Session::default();
                }
                let session_present =
                    std::mem::replace(&mut session.exists, !connect.clean_session);
                connection.accepted = true;
                connection.send(&Packet::ConnAck(ConnAck { session_present, result: Ok(()) }));
                for (id, (way, qos, payload)) in &session.outgoing {
                    let id = PacketId::new(*id).expect("no id is 0");
                    connection.send(&match way {
                        Way::Sent => message(id.get(), payload, *qos, true),
                        Way::Released => Packet::PubRel { id, dup: false },
                    });
                }
            }
            Packet::Publish(publish) => {
                let new = match (publish.qos, publish.id) {
                    (QoS::ExactlyOnce, Some(id)) => {
                        connection.send(&Packet::PubRec(id));
                        session.seen.insert(id.get())
                    }
                    (QoS::AtLeastOnce, Some(id)) => {
                        connection.send(&Packet::PubAck(id));
                        true
                    }
                    _ => true,
                };
                if new {
                    delivered.push(publish.payload.to_vec());
                }
            }
            Packet::PubRel { id, .. } => {
                session.seen.remove(&id.get());
                connection.send(&Packet::PubComp(*id));
            }
            Packet::PubRec(id) => {
                if let Some((way, ..)) = session.outgoing.get_mut(&id.get()) {
                    *way = Way::Released;
                }
                connection.send(&Packet::PubRel { id: *id, dup: false });
            }
            Packet::PubAck(id) | Packet::PubComp(id) => {
                session.outgoing.remove(&id.get());
            }
            Packet::Subscribe(subscribe) => {
                let codes: Vec<u8> = subscribe.filters().map(|(_, qos)| qos as u8).collect();
                let granted = Granted::from_bytes(&codes).expect("codes");
                connection.send(&Packet::SubAck(SubAck { id: subscribe.id, granted }));
            }
            Packet::Unsubscribe(unsubscribe) => {
                connection.send(&Packet::UnsubAck(unsubscribe.id));
            }
            Packet::PingReq if !manners.no_pong => connection.send(&Packet::PingResp),
            Packet::Disconnect if !manners.never_closes => connection.close(),
            Packet::PingReq | Packet::Disconnect => {}
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {}
        }
    }
}

/// A failure of the test's transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken(pub(crate) ErrorKind);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Broken {}

impl embedded_io_async::Error for Broken {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

/// A connection to the broker, whole.
pub(crate) struct Stream {
    broker: Broker,
    number: usize,
    /// Bytes that wait for a flush, if it buffers.
    kept: Option<Vec<u8>>,
    /// A read or a write has begun and is not done.
    busy: bool,
}

impl Stream {
    fn open(broker: &Broker) -> Self {
        let mut state = broker.state.borrow_mut();
        state.connections += 1;
        let number = state.connections;
        let closed = state.manners.closes_at_once;
        state.connection = Connection { number, open: true, closed, ..Connection::default() };
        drop(state);
        Self { broker: broker.clone(), number, kept: None, busy: false }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        self.broker.wait().await;
        let slow = self.broker.state.borrow().manners.slow;
        if slow != 0 {
            self.broker.world.after(slow).await;
        }
        let most = self.broker.most();
        poll_fn(|context| {
            let mut state = self.broker.state.borrow_mut();
            if state.connection.closed || state.connection.number != self.number {
                return Poll::Ready(Err(Broken(ErrorKind::BrokenPipe)));
            }
            if state.manners.takes_nothing {
                state.connection.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            let count = state.moves(bytes.len().min(1 + self.broker.world.draw(most - 1)));
            state.receive(&bytes[..count]);
            state.breaks();
            Poll::Ready(Ok(count))
        })
        .await
    }
}

/// The connection is gone with its stream. What was not flushed is gone as well.
impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.broker.state.borrow_mut();
        if state.connection.number == self.number {
            state.connection.open = false;
            state.connection.accepted = false;
        }
    }
}

impl ErrorType for Stream {
    type Error = Broken;
}

impl Read for Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        self.broker.wait().await;
        let most = self.broker.most();
        poll_fn(|context| {
            let mut state = self.broker.state.borrow_mut();
            let connection = &mut state.connection;
            if connection.down.is_empty() {
                if connection.closed || connection.number != self.number {
                    return Poll::Ready(Ok(0));
                }
                connection.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            let most = buffer.len().min(1 + self.broker.world.draw(most - 1));
            let most = most.min(connection.down.len());
            let count = state.moves(most);
            for (space, byte) in buffer.iter_mut().zip(state.connection.down.drain(..count)) {
                *space = byte;
            }
            state.breaks();
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        if let Some(kept) = &mut self.kept {
            kept.extend(bytes);
            return Ok(bytes.len());
        }
        self.take(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        self.broker.state.borrow_mut().flushes += 1;
        while let Some(kept) = self.kept.clone().filter(|kept| !kept.is_empty()) {
            let count = self.take(&kept).await?;
            self.kept.iter_mut().for_each(|kept| drop(kept.drain(..count)));
        }
        Ok(())
    }
}

/// Opens whole streams.
pub(crate) struct DialWhole(pub(crate) Broker);

impl Dial for DialWhole {
    type Link<'a> = Whole<Stream>;

    async fn dial(&mut self, _endpoint: u8) -> Result<Whole<Stream>, TransportFault> {
        dial(&self.0).await.map(Whole::new)
    }
}

async fn dial(broker: &Broker) -> Result<Stream, TransportFault> {
    let Manners { dial, fault, .. } = broker.state.borrow().manners;
    broker.world.after(dial).await;
    fault.map_or_else(|| Ok(Stream::open(broker)), Err)
}

/// Opens streams that can be split. Their reads and writes must not be dropped before the end of the connection: a read
/// that is dropped would lose bytes, so this fails.
pub(crate) struct DialSplit(pub(crate) Broker);

/// The same, with writers that keep everything until a flush.
pub(crate) struct DialBuffered(pub(crate) Broker);

pub(crate) struct SplitLink<const BUFFERS: bool> {
    reader: Stream,
    writer: Stream,
    shut: bool,
}

impl<const BUFFERS: bool> SplitLink<BUFFERS> {
    fn new(stream: Stream) -> Self {
        let (broker, number) = (stream.broker.clone(), stream.number);
        let writer = Stream { broker, number, kept: BUFFERS.then(Vec::new), busy: false };
        Self { reader: stream, writer, shut: false }
    }
}

impl Dial for DialSplit {
    type Link<'a> = SplitLink<false>;

    async fn dial(&mut self, _endpoint: u8) -> Result<SplitLink<false>, TransportFault> {
        dial(&self.0).await.map(SplitLink::new)
    }
}

impl Dial for DialBuffered {
    type Link<'a> = SplitLink<true>;

    async fn dial(&mut self, _endpoint: u8) -> Result<SplitLink<true>, TransportFault> {
        dial(&self.0).await.map(SplitLink::new)
    }
}

/// A half that counts itself busy while an operation is pending, and does not begin another one then.
pub(crate) struct Half<'h>(&'h mut Stream);

impl ErrorType for Half<'_> {
    type Error = Broken;
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        assert!(!self.0.busy, "a read was dropped and another one begun");
        self.0.busy = true;
        let done = self.0.read(buffer).await;
        self.0.busy = false;
        done
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        assert!(!self.0.busy, "a write was dropped and another one begun");
        self.0.busy = true;
        let done = self.0.write(bytes).await;
        self.0.busy = false;
        done
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        self.0.flush().await
    }
}

impl<const BUFFERS: bool> Link for SplitLink<BUFFERS> {
    type Reader<'l> = Half<'l>;
    type Writer<'l> = Half<'l>;

    const BUFFERS: bool = BUFFERS;

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        // The last reads of a connection, behind its end, may follow one that was dropped.
        self.reader.busy = false;
        self.writer.busy = false;
        (Half(&mut self.reader), Half(&mut self.writer))
    }

    async fn shut(&mut self) {
        self.shut = true;
        self.reader.broker.close();
    }
}
