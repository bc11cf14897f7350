//! The measurement over one transport.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::{Client, Config};
use mqtt_core::{Event, Options, QoS};
use system_tests::SOON;
use system_tests::transports::Way;

use crate::{BURST, PAYLOAD};

const TOPIC: &str = "latency";

/// The times of the calls at QoS 0 and 1, then those of the messages at QoS 0 and 1.
///
/// # Panics
///
/// If the connection does not last.
pub(crate) fn measure(way: &Way, calls: usize) -> [Vec<Duration>; 4] {
    let options = Options::new("latency");
    let (client, mut events) = way.start(Config::new(&options)).expect("possible options");
    let _ = client.subscribe(TOPIC, QoS::AtLeastOnce).expect("there is room");
    let (tell, told) = mpsc::channel();
    let serving = thread::spawn(move || {
        while let Some(event) = events.next() {
            let at = Instant::now();
            if let Event::Message(message) = event {
                assert_eq!(message.payload.len(), PAYLOAD, "another message");
            } else if !matches!(event, Event::Subscribed { .. }) {
                continue;
            }
            let _ = tell.send(at);
        }
    });
    let _subscribed = next(&told);
    let both = [QoS::AtMostOnce, QoS::AtLeastOnce];
    let [calls_0, calls_1] = both.map(|qos| times_of_calls(&client, &told, qos, calls));
    let [messages_0, messages_1] = both.map(|qos| times_of_messages(&client, &told, qos, calls));
    client.disconnect();
    serving.join().expect("no panic");
    [calls_0, calls_1, messages_0, messages_1]
}

fn next(told: &Receiver<Instant>) -> Instant {
    told.recv_timeout(SOON).expect("the connection lasts")
}

fn publish(client: &Client, qos: QoS) {
    let _ = client.publish(TOPIC, &[7; PAYLOAD], qos, false).expect("there is room");
}

fn times_of_calls(
    client: &Client,
    told: &Receiver<Instant>,
    qos: QoS,
    calls: usize,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(calls);
    while times.len() < calls {
        let burst = BURST.min(calls - times.len());
        for _ in 0..burst {
            let before = Instant::now();
            publish(client, qos);
            times.push(before.elapsed());
        }
        for _ in 0..burst {
            let _back = next(told);
        }
    }
    times
}

fn times_of_messages(
    client: &Client,
    told: &Receiver<Instant>,
    qos: QoS,
    calls: usize,
) -> Vec<Duration> {
    let one = |_| {
        let before = Instant::now();
        publish(client, qos);
        next(told).saturating_duration_since(before)
    };
    (0..calls).map(one).collect()
}
