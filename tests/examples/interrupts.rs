//! An interrupt ends `sub` in good order, also under a flood.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::QoS;
use system_tests::{EVERY_QOS, Example, Message, Mosquitto, Publisher, SOON, Subscriber};

use crate::level;

/// An idle machine needs a few milliseconds.
const AT_ONCE: Duration = Duration::from_secs(2);
const MIB: usize = 1 << 20;

#[test]
fn an_interrupt_under_a_flood_ends_sub_at_once_and_its_will_is_void() {
    for qos in EVERY_QOS {
        interrupt_under_a_flood(&level(qos));
    }
}

fn interrupt_under_a_flood(qos: &str) {
    let broker = Mosquitto::start();
    let watcher = Subscriber::new(&broker, "watcher").filter("will", QoS::AtLeastOnce).start();
    let sub = Example::new("sub").broker(broker.address()).args(&["-t", "flood", "-q", qos]);
    let sub = sub.args(&["--will-topic", "will", "--will-payload", "gone", "--will-qos", "1"]);
    let mut sub = sub.subscribed("s", broker.log());
    let mut out = sub.out.take().expect("not read yet");
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; MIB];
        while let Ok(len @ 1..) = out.read(&mut buffer) {
            counter.fetch_add(len, Ordering::Relaxed);
        }
    });
    let message = "x".repeat(10_000);
    let flood = Example::new("pub").broker(broker.address()).args(&["-t", "flood", "-q", qos]);
    let flood = flood.args(&["-m", &message, "--repeat", "100000000"]).start();
    let limit = Instant::now() + SOON;
    while taken.load(Ordering::Relaxed) < 4 * MIB {
        assert!(Instant::now() < limit, "the flood has begun");
        thread::sleep(Duration::from_millis(5));
    }
    sub.interrupt();
    let interrupted = Instant::now();
    let done = sub.done();
    let took = interrupted.elapsed();
    drop(flood);
    reader.join().expect("it reads to the end");
    // As mosquitto_sub.
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
    assert!(took < AT_ONCE, "{took:?}");
    broker.log().wait("Received DISCONNECT from s", SOON);
    Publisher::new(&broker, "p").publish("will", b"none", QoS::AtLeastOnce, false);
    assert_eq!(watcher.next(SOON), Message::new("will", b"none", QoS::AtLeastOnce, false));
}
