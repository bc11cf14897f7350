//! Packets to bytes and back, with `mqttbytes` beside this project. It is asserted that both have the same packets and
//! the same bytes.
//!
//! Encoding includes building the packet from borrowed strings, and decoding includes dropping it. If these allocate,
//! that is part of the cost. `mqttbytes` decodes from a buffer that it empties. Filling the buffer is the reader's work
//! and is not measured.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use mqtt_benches::{PUBACK_FRAME, TOPIC, consume, payload, publish_frame};
use mqtt_core::codec::{Connect, Packet, Publish, Subscribe};
use mqtt_core::{Filter, Login, PacketId, Protocol, QoS, Will, filter, topic};
use mqttbytes::v4;

const OURS: &str = "mqtt-core";
const THEIRS: &str = "mqttbytes";
/// Enough for any packet here.
const MOST: usize = 8192;
/// Buffers that are filled before the time is taken. They are few enough to stay in the cache.
const FILLED_AHEAD: BatchSize = BatchSize::NumIterations(64);

const FILTERS: [(Filter<'static>, QoS); 2] =
    [(filter!("plant/+/temperature"), QoS::AtLeastOnce), (filter!("plant/7/#"), QoS::ExactlyOnce)];

criterion_group! {
    name = benches;
    // The times are short, because the only noise is the machine's.
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .nresamples(5_000)
        .without_plots();
    targets = publish, puback, subscribe, connect
}
criterion_main!(benches);

fn publish(c: &mut Criterion) {
    for len in [64, 4096] {
        let payload = payload(len);
        let name = format!("PUBLISH {len} B");
        let frame = publish_frame(QoS::AtLeastOnce, &payload);
        decode(c, &name, &frame);
        encode(
            c,
            &name,
            &frame,
            |out| {
                let mut publish = Publish::new(black_box(TOPIC), black_box(&payload));
                publish.qos = QoS::AtLeastOnce;
                publish.id = PacketId::new(1);
                publish.encode(out).ok()
            },
            |out| {
                let (topic, payload) = (black_box(TOPIC.as_str()), black_box(payload.as_slice()));
                let mut publish = v4::Publish::new(topic, mqttbytes::QoS::AtLeastOnce, payload);
                publish.pkid = 1;
                publish.write(out).ok()
            },
        );
    }
}

fn puback(c: &mut Criterion) {
    let name = "PUBACK";
    decode(c, name, &PUBACK_FRAME);
    encode(
        c,
        name,
        &PUBACK_FRAME,
        |out| {
            let id = PacketId::new(black_box(1))?;
            Packet::PubAck(id).encode(out, Protocol::V311).ok()
        },
        |out| v4::PubAck::new(black_box(1)).write(out).ok(),
    );
}

fn subscribe(c: &mut Criterion) {
    let name = "SUBSCRIBE";
    let id = PacketId::new(1).expect("not 0");
    let frame = encoded(|out| Subscribe::new(id, &FILTERS).encode(out).ok());
    decode(c, name, &frame);
    encode(
        c,
        name,
        &frame,
        |out| Subscribe::new(id, black_box(&FILTERS)).encode(out).ok(),
        |out| {
            let mut subscribe = v4::Subscribe::empty_subscribe();
            subscribe.pkid = 1;
            let [(first, _), (second, _)] = black_box(FILTERS);
            subscribe.add(first.as_str().to_owned(), mqttbytes::QoS::AtLeastOnce);
            subscribe.add(second.as_str().to_owned(), mqttbytes::QoS::ExactlyOnce);
            subscribe.write(out).ok()
        },
    );
}

fn connect(c: &mut Criterion) {
    let name = "CONNECT";
    let frame = encoded(|out| ours_connect().encode(out).ok());
    decode(c, name, &frame);
    encode(
        c,
        name,
        &frame,
        |out| ours_connect().encode(out).ok(),
        |out| theirs_connect().write(out).ok(),
    );
}

/// A CONNECT with all optional fields.
fn ours_connect() -> Connect<'static> {
    Connect {
        protocol: Protocol::V311,
        client_id: black_box("boiler-7"),
        clean_session: true,
        keep_alive: 60,
        will: Some(Will::new(topic!("plant/7/state"), b"gone").qos(QoS::AtLeastOnce)),
        login: Some(Login::new("boiler", Some(b"secret"))),
    }
}

fn theirs_connect() -> v4::Connect {
    let mut connect = v4::Connect::new(black_box("boiler-7"));
    connect.keep_alive = 60;
    connect.last_will =
        Some(v4::LastWill::new("plant/7/state", "gone", mqttbytes::QoS::AtLeastOnce, false));
    connect.set_login("boiler", "secret");
    connect
}

fn encoded(encode: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut out = vec![0; MOST];
    let len = encode(&mut out).expect("a packet");
    out.truncate(len);
    out
}

fn decode(c: &mut Criterion, name: &str, frame: &[u8]) {
    let mut group = c.benchmark_group("decode");
    group.bench_function(BenchmarkId::new(name, OURS), |b| {
        b.iter(|| Packet::decode(black_box(frame), Protocol::V311).expect("a packet"));
    });
    group.bench_function(BenchmarkId::new(name, THEIRS), |b| {
        b.iter_batched_ref(
            || BytesMut::from(frame),
            |stream| consume(&v4::read(black_box(stream), MOST).expect("a packet")),
            FILLED_AHEAD,
        );
    });
    group.finish();
}

/// Each encoder returns the length written. Both have to write `frame`.
fn encode(
    c: &mut Criterion,
    name: &str,
    frame: &[u8],
    ours: impl Fn(&mut [u8]) -> Option<usize>,
    theirs: impl Fn(&mut BytesMut) -> Option<usize>,
) {
    let mut group = c.benchmark_group("encode");
    group.bench_function(BenchmarkId::new(name, OURS), |b| {
        let mut out = vec![0; MOST];
        b.iter(|| ours(black_box(&mut out)).expect("room"));
        assert_eq!(out.get(..frame.len()), Some(frame));
    });
    group.bench_function(BenchmarkId::new(name, THEIRS), |b| {
        let mut out = BytesMut::with_capacity(MOST);
        b.iter(|| {
            out.clear();
            theirs(black_box(&mut out)).expect("room")
        });
        assert_eq!(out, frame);
    });
    group.finish();
}
