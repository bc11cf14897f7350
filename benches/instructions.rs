//! The operations whose instructions `cargo xtask bench` counts under callgrind.
//!
//! Without arguments it lists them, one on a line: name, goal, and the operation whose count is subtracted, with tabs
//! between. With a name and a number it does that operation this many times. Each operation has a function of its own
//! that is never inlined, so that the compiler neither drops nor merges it, and a profile by function is readable.

mod task_watchdog;

use std::collections::VecDeque;
use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use bytes::BytesMut;
use mqtt_benches::{
    Connection, PUBACK_FRAME, TOPIC, consume, keep_books, publish_frame, supervise, watch, watched,
};
use mqtt_core::codec::{Decoded, Packet, Publish};
use mqtt_core::{EncodeError, PacketId, Protocol, QoS, Topic, Violation};
use watchdog_core::{Instant, Poll, Refused, Rules, Supervisor, Task};

struct Operation {
    name: &'static str,
    /// Instructions that it should take at most.
    goal: Option<u32>,
    /// The operation whose count is subtracted: the work around this operation that is not part of it.
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
const TURNS: &str = "task-watchdog: turns of the tasks";
const REFILL_PUBLISH: &str = "mqttbytes: refill for PUBLISH";
const REFILL_PUBACK: &str = "mqttbytes: refill for PUBACK";

const OPERATIONS: &[Operation] = &[
    ours("decode PUBLISH, 64 B", 200, |times| {
        let frame = publish_frame(QoS::AtLeastOnce, &PAYLOAD);
        repeat(times, || consume(&decode(black_box(&frame))));
    }),
    ours("decode PUBACK", 70, |times| {
        repeat(times, || consume(&decode(black_box(&PUBACK_FRAME))));
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
    plain("receive and acknowledge QoS 2, 64 B", |times| receiving(times, QoS::ExactlyOnce)),
    ours("watchdog: feed", 50, |times| {
        let task = watched(Rules::deadline(1_000));
        let mut time = clock();
        repeat(times, || consume(&feed(black_box(&task), time())));
    }),
    ours("watchdog: feed in a window", 50, |times| {
        let task = watched(Rules::deadline(1_000).not_before(1));
        let mut time = clock();
        repeat(times, || consume(&feed(black_box(&task), time())));
    }),
    ours("watchdog: checkpoint", 70, |times| {
        let task = watched(Rules::deadline(1_000).steps(4));
        let (mut time, mut step) = (clock(), 0);
        repeat(times, || {
            consume(&checkpoint(black_box(&task), step, time()));
            step = (step + 1) % 4;
        });
    }),
    ours("watchdog: poll, 8 tasks", 280, |times| polling(times, 8)),
    ours("watchdog: poll, 64 tasks", 1_800, |times| polling(times, 64)),
    ours("watchdog: poll, 1,024 tasks", 28_000, |times| polling(times, 1_024)),
    theirs("task-watchdog: feed, 8 tasks", TURNS, task_watchdog::feeding),
    theirs("task-watchdog: feed, 8 tasks, with its lock", TURNS, task_watchdog::feeding_locked),
    theirs("task-watchdog: poll, 8 tasks", NOTHING, task_watchdog::polling),
    theirs("mqttbytes: decode PUBLISH, 64 B", REFILL_PUBLISH, |times| {
        let frame = publish_frame(QoS::AtLeastOnce, &PAYLOAD);
        let mut stream = BytesMut::with_capacity(4096);
        repeat(times, || {
            stream.extend_from_slice(black_box(&frame));
            consume(&mqttbytes_decode(&mut stream));
        });
    }),
    theirs("mqttbytes: decode PUBACK", REFILL_PUBACK, |times| {
        let mut stream = BytesMut::with_capacity(4096);
        repeat(times, || {
            stream.extend_from_slice(black_box(&PUBACK_FRAME));
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

/// The operations that are measured to be subtracted.
const SURROUNDINGS: &[Operation] = &[
    plain(NOTHING, |times| {
        repeat(times, || nothing(black_box(&PUBACK_FRAME)));
    }),
    plain(BOOKKEEPING, |times| {
        let mut in_flight = VecDeque::from([PacketId::new(1)]);
        repeat(times, || keep_books(&mut in_flight));
    }),
    theirs(TURNS, NOTHING, task_watchdog::taking_turns),
    theirs(REFILL_PUBLISH, NOTHING, |times| {
        refill(times, &publish_frame(QoS::AtLeastOnce, &PAYLOAD))
    }),
    theirs(REFILL_PUBACK, NOTHING, |times| refill(times, &PUBACK_FRAME)),
];

const PAYLOAD: [u8; 64] = [b'x'; 64];

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

/// A millisecond at each call.
fn clock() -> impl FnMut() -> Instant {
    let mut now = 0;
    move || {
        now += 1;
        Instant::from_millis(now)
    }
}

#[inline(never)]
fn feed(task: &Task, now: Instant) -> Result<(), Refused> {
    task.handle().feed(now)
}

#[inline(never)]
fn checkpoint(task: &Task, step: u8, now: Instant) -> Result<(), Refused> {
    task.handle().step(step, now)
}

#[inline(never)]
fn poll(supervisor: &mut Supervisor<'_>, now: Instant) -> Poll {
    supervisor.poll(now)
}

/// Polls without any news from the tasks, as a device does all day.
fn polling(times: u64, count: usize) {
    let tasks = watch(count);
    let mut supervisor = supervise(&tasks);
    repeat(times, || consume(&poll(black_box(&mut supervisor), Instant::from_millis(500))));
}

/// `mqttbytes` decodes from a buffer that it empties. Filling the buffer is the reader's work, not the decoder's.
fn refill(times: u64, frame: &[u8]) {
    let mut stream = BytesMut::with_capacity(4096);
    repeat(times, || {
        stream.extend_from_slice(black_box(frame));
        black_box(&mut stream).clear();
    });
}

/// Publishes with all of the window but one in flight, so that each publish fills it and each answer makes room.
fn publishing(times: u64, window: usize, qos: QoS) {
    let mut connection = Connection::filled(window, PAYLOAD.len(), qos);
    repeat(times, || assert!(connection.publish(qos), "a publish was not answered"));
}

fn receiving(times: u64, qos: QoS) {
    let mut connection = Connection::new(8, PAYLOAD.len());
    let frame = publish_frame(qos, &PAYLOAD);
    repeat(times, || assert!(connection.receive(qos, black_box(&frame)), "no message"));
}
