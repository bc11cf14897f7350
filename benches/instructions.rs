//! The operations whose instructions `cargo xtask bench` counts under callgrind.
//!
//! Without arguments: lists them, one a line: name, goal, and the operation whose count is taken off, with tabs
//! between. With a name and a number: does that operation so many times. Each has a function of its own that is
//! never inlined, so that the compiler neither drops nor merges what is counted, and a profile by function reads
//! well.

use std::collections::VecDeque;
use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use bytes::BytesMut;
use mqtt_core::codec::{Decoded, Packet, Publish};
use mqtt_core::{
    Action, Client, EncodeError, Event, Handle, Instant, Options, PacketId, Protocol, QoS, Slot,
    Topic, Violation, topic,
};

struct Operation {
    name: &'static str,
    /// Instructions that it should take at most.
    goal: Option<u32>,
    /// The operation whose count is taken off: what surrounds this one and is not part of it.
    less: &'static str,
    run: fn(u64),
}

const fn ours(name: &'static str, goal: u32, run: fn(u64)) -> Operation {
    Operation { name, goal: Some(goal), less: NOTHING, run }
}

const fn publish(name: &'static str, goal: u32, run: fn(u64)) -> Operation {
    Operation { name, goal: Some(goal), less: BOOKKEEPING, run }
}

const fn plain(name: &'static str, run: fn(u64)) -> Operation {
    Operation { name, goal: None, less: NOTHING, run }
}

const fn theirs(name: &'static str, less: &'static str, run: fn(u64)) -> Operation {
    Operation { name, goal: None, less, run }
}

const NOTHING: &str = "nothing";
const BOOKKEEPING: &str = "bookkeeping of ids in flight";
const REFILL_PUBLISH: &str = "mqttbytes: refill for PUBLISH";
const REFILL_PUBACK: &str = "mqttbytes: refill for PUBACK";

const OPERATIONS: &[Operation] = &[
    ours("decode PUBLISH, 64 B", 200, |times| {
        let frame = publish_frame(QoS::AtLeastOnce);
        repeat(times, || consume(&decode(black_box(&frame))));
    }),
    ours("decode PUBACK", 70, |times| {
        repeat(times, || consume(&decode(black_box(&PUBACK))));
    }),
    ours("build and encode PUBLISH, 64 B", 200, |times| {
        let mut out = [0; 128];
        repeat(times, || {
            let written =
                build_and_encode(black_box(TOPIC), black_box(&PAYLOAD), black_box(&mut out));
            consume(&written);
        });
    }),
    // The calls of a driver with more to do behind this one: publish, poll, transmitted, receive.
    publish("QoS 1 publish, 64 B", 500, |times| publishing(times, 1, QoS::AtLeastOnce)),
    publish("QoS 1 publish, window of 8 full", 500, |times| publishing(times, 8, QoS::AtLeastOnce)),
    publish("QoS 1 publish, window of 64 full", 500, |times| {
        publishing(times, 64, QoS::AtLeastOnce)
    }),
    publish("QoS 1 publish, window of 512 full", 500, |times| {
        publishing(times, 512, QoS::AtLeastOnce)
    }),
    publish("QoS 2 publish, 64 B", 700, |times| publishing(times, 1, QoS::ExactlyOnce)),
    publish("QoS 2 publish, window of 8 full", 700, |times| publishing(times, 8, QoS::ExactlyOnce)),
    publish("QoS 2 publish, window of 64 full", 700, |times| {
        publishing(times, 64, QoS::ExactlyOnce)
    }),
    publish("QoS 2 publish, window of 512 full", 700, |times| {
        publishing(times, 512, QoS::ExactlyOnce)
    }),
    plain("QoS 0 publish, 64 B", |times| publishing(times, 1, QoS::AtMostOnce)),
    plain("receive QoS 0, 64 B", |times| receiving(times, QoS::AtMostOnce)),
    plain("receive and acknowledge QoS 1, 64 B", |times| receiving(times, QoS::AtLeastOnce)),
    theirs("mqttbytes: decode PUBLISH, 64 B", REFILL_PUBLISH, |times| {
        let frame = publish_frame(QoS::AtLeastOnce);
        let mut stream = BytesMut::with_capacity(4096);
        repeat(times, || {
            stream.extend_from_slice(black_box(&frame));
            consume(&mqttbytes_decode(&mut stream));
        });
    }),
    theirs("mqttbytes: decode PUBACK", REFILL_PUBACK, |times| {
        let mut stream = BytesMut::with_capacity(4096);
        repeat(times, || {
            stream.extend_from_slice(black_box(&PUBACK));
            consume(&mqttbytes_decode(&mut stream));
        });
    }),
    theirs("mqttbytes: build and encode PUBLISH, 64 B", NOTHING, |times| {
        let mut out = BytesMut::with_capacity(4096);
        repeat(times, || {
            out.clear();
            mqttbytes_build_and_encode(black_box(TOPIC.as_str()), black_box(&PAYLOAD), &mut out);
        });
    }),
];

/// What is measured to be taken off.
const SURROUNDINGS: &[Operation] = &[
    plain(NOTHING, |times| {
        repeat(times, || nothing(black_box(&PUBACK)));
    }),
    plain(BOOKKEEPING, |times| {
        let mut in_flight = VecDeque::from([PacketId::new(1)]);
        repeat(times, || keep_books(&mut in_flight));
    }),
    theirs(REFILL_PUBLISH, NOTHING, |times| refill(times, &publish_frame(QoS::AtLeastOnce))),
    theirs(REFILL_PUBACK, NOTHING, |times| refill(times, &PUBACK)),
];

const TOPIC: Topic<'static> = topic!("plant/7/boiler/temperature");
const PAYLOAD: [u8; 64] = [b'x'; 64];
const PUBACK: [u8; 4] = [0x40, 2, 0, 1];

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let Some(name) = args.next() else {
        for Operation { name, goal, less, .. } in OPERATIONS {
            let goal = goal.map_or_else(|| "-".to_owned(), |goal| goal.to_string());
            println!("{name}\t{goal}\t{less}");
        }
        return ExitCode::SUCCESS;
    };
    let operation = OPERATIONS.iter().chain(SURROUNDINGS).find(|operation| operation.name == name);
    let times = args.next().and_then(|times| times.parse().ok());
    let (Some(operation), Some(times)) = (operation, times) else {
        eprintln!("usage: instructions [NAME TIMES]");
        return ExitCode::from(2);
    };
    (operation.run)(times);
    ExitCode::SUCCESS
}

fn repeat(times: u64, mut operation: impl FnMut()) {
    for _ in 0..times {
        operation();
    }
}

#[inline(never)]
fn keep_books(in_flight: &mut VecDeque<Option<PacketId>>) {
    let id = in_flight.pop_front();
    in_flight.push_back(black_box(id).flatten());
}

/// Makes the compiler believe that the value is looked at, without moving it.
fn consume<T>(value: &T) {
    black_box(value);
}

#[inline(never)]
fn nothing(_: &[u8]) {}

#[inline(never)]
fn decode(frame: &[u8]) -> Result<Decoded<'_>, Violation> {
    Packet::decode(frame, Protocol::V311)
}

#[inline(never)]
fn build_and_encode(
    topic: Topic<'_>,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let mut publish = Publish::new(topic, payload).qos(QoS::AtLeastOnce);
    publish.id = PacketId::new(1);
    publish.encode(out)
}

#[inline(never)]
fn mqttbytes_decode(stream: &mut BytesMut) -> Result<mqttbytes::v4::Packet, mqttbytes::Error> {
    mqttbytes::v4::read(stream, 4096)
}

#[inline(never)]
fn mqttbytes_build_and_encode(topic: &str, payload: &[u8], out: &mut BytesMut) {
    let mut publish = mqttbytes::v4::Publish::new(topic, mqttbytes::QoS::AtLeastOnce, payload);
    publish.pkid = 1;
    consume(&publish.write(out));
}

/// `mqttbytes` decodes from a buffer that it empties: filling that is the reader's work, not the decoder's.
fn refill(times: u64, frame: &[u8]) {
    let mut stream = BytesMut::with_capacity(4096);
    repeat(times, || {
        stream.extend_from_slice(black_box(frame));
        black_box(&mut stream).clear();
    });
}

fn publish_frame(qos: QoS) -> Vec<u8> {
    let mut publish = Publish::new(TOPIC, &PAYLOAD).qos(qos);
    publish.id = if qos == QoS::AtMostOnce { None } else { PacketId::new(1) };
    let mut out = vec![0; 128];
    let len = publish.encode(&mut out).expect("a PUBLISH");
    out.truncate(len);
    out
}

type HeapClient = Client<Box<[u8]>, Box<[Slot]>>;

const NOW: Instant = Instant::from_millis(0);

/// A connected client and the ids in flight, the oldest first.
struct Connection {
    client: HeapClient,
    in_flight: VecDeque<Option<PacketId>>,
}

impl Connection {
    /// With room for twice what the window can hold.
    fn new(window: usize) -> Self {
        let (bytes, slots) = (vec![0; 512 + 256 * window], vec![Slot::EMPTY; window]);
        let options = Options::new("instructions").keep_alive(0);
        let client = HeapClient::new(&options, bytes.into(), slots.into()).expect("storage");
        let mut connection = Self { client, in_flight: VecDeque::with_capacity(window + 1) };
        assert!(matches!(connection.client.poll(NOW), Action::Connect { .. }));
        connection.client.connected(NOW);
        connection.transmit();
        let mut connack: &[u8] = &[0x20, 2, 0, 0];
        while connection.client.receive(&mut connack, NOW).expect("a CONNACK").is_some() {}
        connection
    }

    fn publish(&mut self, qos: QoS) {
        let publish = Publish::new(black_box(TOPIC), black_box(&PAYLOAD)).qos(qos);
        let handle = self.client.publish(&publish).ok();
        self.in_flight.push_back(handle.and_then(Handle::packet_id));
    }

    fn transmit(&mut self) {
        if let Action::Transmit(bytes) = self.client.poll(NOW) {
            let count = black_box(bytes).len();
            self.client.transmitted(count, NOW);
        }
    }

    /// The broker's answer to the oldest.
    fn answer(&mut self, first: u8, id: PacketId) -> bool {
        let [high, low] = id.get().to_be_bytes();
        let frame = black_box([first, 2, high, low]);
        let event = self.client.receive(&mut frame.as_slice(), NOW);
        matches!(black_box(&event), Ok(Some(Event::Published(_))))
    }
}

#[inline(never)]
fn publish_qos0(connection: &mut Connection) -> bool {
    connection.publish(QoS::AtMostOnce);
    connection.in_flight.clear();
    connection.transmit();
    let event = connection.client.receive(&mut [].as_slice(), NOW);
    matches!(black_box(&event), Ok(Some(Event::Published(_))))
}

#[inline(never)]
fn publish_qos1(connection: &mut Connection) -> bool {
    connection.publish(QoS::AtLeastOnce);
    connection.transmit();
    let oldest = connection.in_flight.pop_front();
    oldest.flatten().is_some_and(|id| connection.answer(0x40, id))
}

#[inline(never)]
fn publish_qos2(connection: &mut Connection) -> bool {
    connection.publish(QoS::ExactlyOnce);
    connection.transmit();
    let Some(id) = connection.in_flight.pop_front().flatten() else { return false };
    let early = connection.answer(0x50, id);
    connection.transmit();
    !early && connection.answer(0x70, id)
}

/// Publishes with all of the window but one in flight, so that each publish fills it and each answer makes room.
fn publishing(times: u64, window: usize, qos: QoS) {
    let mut connection = Connection::new(window);
    for _ in 1..window {
        connection.publish(qos);
        connection.transmit();
    }
    let publish = match qos {
        QoS::AtMostOnce => publish_qos0,
        QoS::AtLeastOnce => publish_qos1,
        QoS::ExactlyOnce => publish_qos2,
    };
    repeat(times, || assert!(publish(&mut connection), "a publish was not answered"));
}

#[inline(never)]
fn receive(connection: &mut Connection, frame: &[u8]) -> bool {
    let event = connection.client.receive(&mut &*frame, NOW);
    let is_message = matches!(black_box(&event), Ok(Some(Event::Message(_))));
    connection.transmit();
    is_message
}

fn receiving(times: u64, qos: QoS) {
    let mut connection = Connection::new(8);
    let frame = publish_frame(qos);
    repeat(times, || assert!(receive(&mut connection, black_box(&frame)), "no message"));
}
