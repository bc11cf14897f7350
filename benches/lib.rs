//! The shared parts of the benchmarks: packets, a connected client with a broker that answers it, all in memory, and
//! watched tasks.
//!
//! The broker is a script: it knows which ids are in flight and answers the oldest, so almost
//! only the client's own work is measured. The benchmarks are the files beside this package's manifest.

use std::collections::VecDeque;
use std::hint::black_box;

use mqtt_core::{
    Action, Client, Event, Handle, Instant, Options, PacketId, Publish, QoS, Slot, Topic, topic,
};
use test_kit::wire::{ACCEPTED, PUBACK, PUBCOMP, PUBREC, PUBREL, ack};
use watchdog_core::{Plan, Rules, Supervisor, Task, Timing, plan};

/// The topic of all publishes.
pub const TOPIC: Topic<'static> = topic!("plant/7/boiler/temperature");

/// The PUBACK to packet id 1.
pub const PUBACK_FRAME: [u8; 4] = ack(PUBACK, 1);

/// Nothing here takes time, so none passes.
const NOW: Instant = Instant::from_millis(0);

/// A payload of `len` bytes.
#[must_use]
pub fn payload(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}

/// A PUBLISH to [`TOPIC`], with packet id 1 above QoS 0.
#[must_use]
pub fn publish_frame(qos: QoS, payload: &[u8]) -> Vec<u8> {
    let mut publish = Publish::new(TOPIC, payload).qos(qos);
    publish.id = if qos == QoS::AtMostOnce { None } else { PacketId::new(1) };
    let mut out = vec![0; 64 + payload.len()];
    let len = publish.encode(&mut out).expect("a PUBLISH");
    out.truncate(len);
    out
}

/// Makes the compiler assume that the value is used, without moving it.
pub fn consume<T>(value: &T) {
    black_box(value);
}

/// Ids in flight, the oldest first.
pub type InFlight = VecDeque<Option<PacketId>>;

/// A connected client and its broker.
pub struct Connection {
    client: Client<Box<[u8]>, Box<[Slot]>>,
    payload: Vec<u8>,
    in_flight: InFlight,
}

/// Each operation is a function of its own that is never inlined, so that a profile by function reads well. The client
/// is driven by hand: an operation polls once, as a driver that has more to do. The test kit's driver would poll until
/// the client waits, and its loop would be counted.
impl Connection {
    /// A connection with a window of `window` requests and `payload_len` bytes in each payload. The outbox has room for
    /// twice as much.
    #[must_use]
    pub fn new(window: usize, payload_len: usize) -> Self {
        let bytes = vec![0; 512 + 2 * (64 + payload_len) * window];
        let slots = vec![Slot::EMPTY; window];
        // This broker takes as many messages as the window holds.
        let options = Options::new("bench").keep_alive(0).exactly_once_window(u16::MAX);
        let client = Client::new(&options, bytes.into(), slots.into()).expect("storage");
        let in_flight = VecDeque::with_capacity(window + 1);
        let mut connection = Self { client, payload: payload(payload_len), in_flight };
        assert!(matches!(connection.client.poll(NOW), Action::Connect { .. }));
        connection.client.connected(NOW);
        connection.transmit();
        let mut connack = ACCEPTED;
        while connection.client.receive(&mut connack, NOW).expect("a CONNACK").is_some() {}
        connection
    }

    /// A connection with all of the window but one in flight. Each publish fills it, and each answer makes room.
    #[must_use]
    pub fn filled(window: usize, payload_len: usize, qos: QoS) -> Self {
        let mut connection = Self::new(window, payload_len);
        for _ in 1..window {
            connection.request(qos);
            connection.transmit();
        }
        connection
    }

    /// Publishes, transmits, and receives the answers to the oldest publish in flight. These are all calls of a driver
    /// that has more to do afterwards. Returns whether that publish was reported as published.
    pub fn publish(&mut self, qos: QoS) -> bool {
        match qos {
            QoS::AtMostOnce => self.publish_qos0(),
            QoS::AtLeastOnce => self.publish_qos1(),
            QoS::ExactlyOnce => self.publish_qos2(),
        }
    }

    #[inline(never)]
    fn publish_qos0(&mut self) -> bool {
        self.request(QoS::AtMostOnce);
        self.in_flight.clear();
        self.transmit();
        let event = self.client.receive(&mut [].as_slice(), NOW);
        matches!(black_box(&event), Ok(Some(Event::Published(_))))
    }

    #[inline(never)]
    fn publish_qos1(&mut self) -> bool {
        self.request(QoS::AtLeastOnce);
        self.transmit();
        let oldest = self.in_flight.pop_front();
        oldest.flatten().is_some_and(|id| self.answer(PUBACK, id))
    }

    #[inline(never)]
    fn publish_qos2(&mut self) -> bool {
        self.request(QoS::ExactlyOnce);
        self.transmit();
        let Some(id) = self.in_flight.pop_front().flatten() else { return false };
        let early = self.answer(PUBREC, id);
        self.transmit();
        !early && self.answer(PUBCOMP, id)
    }

    /// Receives the PUBLISH in `frame`, of packet id 1, and transmits the answer; with QoS 2 also receives the PUBREL.
    /// Returns whether it was handed over.
    pub fn receive(&mut self, qos: QoS, frame: &[u8]) -> bool {
        match qos {
            QoS::AtMostOnce | QoS::AtLeastOnce => self.receive_once(frame),
            QoS::ExactlyOnce => self.receive_once(frame) && !self.receive_once(&ack(PUBREL, 1)),
        }
    }

    #[inline(never)]
    fn receive_once(&mut self, frame: &[u8]) -> bool {
        let event = self.client.receive(&mut &*frame, NOW);
        let is_message = matches!(black_box(&event), Ok(Some(Event::Message(_))));
        self.transmit();
        is_message
    }

    fn request(&mut self, qos: QoS) {
        let publish = Publish::new(black_box(TOPIC), black_box(&self.payload)).qos(qos);
        let handle = self.client.publish(&publish).ok();
        self.in_flight.push_back(handle.and_then(Handle::packet_id));
    }

    fn transmit(&mut self) {
        if let Action::Transmit(bytes) = self.client.poll(NOW) {
            let count = black_box(bytes).len();
            self.client.transmitted(count, NOW);
        }
    }

    /// Receives the broker's answer. Returns whether it ends a publish.
    fn answer(&mut self, first: u8, id: PacketId) -> bool {
        let frame = black_box(ack(first, id.get()));
        let event = self.client.receive(&mut frame.as_slice(), NOW);
        matches!(black_box(&event), Ok(Some(Event::Published(_))))
    }
}

/// The broker's own part of a publish, which is subtracted from the cost of [`Connection::publish`].
#[inline(never)]
pub fn keep_books(in_flight: &mut InFlight) {
    let id = in_flight.pop_front();
    in_flight.push_back(black_box(id).flatten());
}

/// The timing of all watched tasks.
const TIMING: Timing<'static> = plan!(Plan::heartbeat(100));

/// A task that has fed at 0.
#[must_use]
pub fn watched(rules: Rules) -> Task {
    let task = Task::new(rules, TIMING).expect("the rules can be kept");
    // A task with checkpoints begins with its first one.
    let _needs_step = task.handle().feed(watchdog_core::Instant::from_millis(0));
    task
}

/// `count` tasks, each of which may be silent for a second.
#[must_use]
pub fn watch(count: usize) -> Vec<Task> {
    (0..count).map(|_| watched(Rules::deadline(1_000))).collect()
}

/// Their supervisor, with a heartbeat of 100 ms.
#[must_use]
pub fn supervise(tasks: &[Task]) -> Supervisor<'_> {
    Supervisor::new(tasks, TIMING, watchdog_core::Instant::from_millis(0))
}
