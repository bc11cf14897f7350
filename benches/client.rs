//! Whole publishes and receptions in memory, with `rumqttc`'s state machine and codec beside this project.
//!
//! A publish is everything from the application's request to the event that it arrived: request, encode, hand over
//! the bytes, decode the answers, report. Windows are full: each publish takes the last place, and each answer makes
//! room. The cost of a publish should not depend on the window, and on the payload only for the copy.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mqtt_benches::{Connection, TOPIC, consume, payload, publish_frame};
use mqtt_core::QoS;
use rumqttc::{Event, MqttState, Outgoing, Packet};
use test_kit::wire::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack};

const OURS: &str = "mqtt-core";
const THEIRS: &str = "rumqttc";

/// Enough for any packet here.
const MOST: usize = 8192;

/// Windows and bytes of payload.
const SHAPES: [(u16, usize); 4] = [(8, 64), (64, 64), (512, 64), (8, 4096)];

criterion_group! {
    name = benches;
    // The times are short, because the only noise is the machine's.
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .nresamples(5_000)
        .without_plots();
    targets = publish, receive
}
criterion_main!(benches);

fn publish(c: &mut Criterion) {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut group = c.benchmark_group(format!("publish QoS {}", qos as u8));
        // QoS 0 has no window.
        let shapes =
            SHAPES.into_iter().filter(|(window, _)| qos != QoS::AtMostOnce || *window == 8);
        for (window, len) in shapes {
            let name = match qos {
                QoS::AtMostOnce => format!("{len} B"),
                QoS::AtLeastOnce | QoS::ExactlyOnce => format!("{len} B, window {window}"),
            };
            group.bench_function(BenchmarkId::new(&name, OURS), |b| {
                let mut connection = Connection::filled(window.into(), len, qos);
                b.iter(|| assert!(connection.publish(qos), "a publish was not answered"));
            });
            group.bench_function(BenchmarkId::new(&name, THEIRS), |b| {
                let mut peer = Peer::filled(window, len, qos);
                b.iter(|| assert!(peer.publish(qos), "a publish was not answered"));
            });
        }
        group.finish();
    }
}

fn receive(c: &mut Criterion) {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut group = c.benchmark_group(format!("receive QoS {}", qos as u8));
        for len in [64, 4096] {
            let name = format!("{len} B");
            let frame = publish_frame(qos, &payload(len));
            group.bench_function(BenchmarkId::new(&name, OURS), |b| {
                let mut connection = Connection::new(8, len);
                b.iter(|| assert!(connection.receive(qos, black_box(&frame)), "no message"));
            });
            group.bench_function(BenchmarkId::new(&name, THEIRS), |b| {
                let mut peer = Peer::new(8, len);
                b.iter(|| assert!(peer.receive(qos, black_box(&frame)), "no message"));
            });
        }
        group.finish();
    }
}

/// `rumqttc` without its event loop: the state machine, the codec, and the buffers between it and the network. It
/// reads the clock for each packet, as it does in use.
struct Peer {
    state: MqttState,
    payload: Vec<u8>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Ids in flight, the oldest first.
    in_flight: VecDeque<u16>,
}

impl Peer {
    fn new(window: u16, payload_len: usize) -> Self {
        Self {
            state: MqttState::new(window, false),
            payload: payload(payload_len),
            incoming: BytesMut::with_capacity(MOST),
            outgoing: BytesMut::with_capacity(MOST),
            in_flight: VecDeque::with_capacity(window.into()),
        }
    }

    /// With all of the window but one in flight.
    fn filled(window: u16, payload_len: usize, qos: QoS) -> Self {
        let mut peer = Self::new(window, payload_len);
        for _ in 1..window {
            peer.request(qos);
        }
        peer
    }

    /// As [`Connection::publish`].
    fn publish(&mut self, qos: QoS) -> bool {
        self.request(qos);
        let Some(id) = self.in_flight.pop_front() else { return false };
        match qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => {
                matches!(self.take(&ack(PUBACK, id)), Some(Packet::PubAck(_)))
            }
            QoS::ExactlyOnce => {
                matches!(self.take(&ack(PUBREC, id)), Some(Packet::PubRec(_)))
                    && matches!(self.take(&ack(PUBCOMP, id)), Some(Packet::PubComp(_)))
            }
        }
    }

    /// As [`Connection::receive`].
    fn receive(&mut self, qos: QoS, frame: &[u8]) -> bool {
        let message = matches!(self.take(frame), Some(Packet::Publish(_)));
        match qos {
            QoS::AtMostOnce | QoS::AtLeastOnce => message,
            QoS::ExactlyOnce => {
                message && matches!(self.take(&ack(PUBREL, 1)), Some(Packet::PubRel(_)))
            }
        }
    }

    fn request(&mut self, qos: QoS) {
        let qos = match qos {
            QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
            QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
            QoS::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
        };
        let (topic, payload) = (black_box(TOPIC.as_str()), black_box(self.payload.as_slice()));
        let publish = rumqttc::Publish::new(topic, qos, payload);
        let packet = self.state.handle_outgoing_packet(publish.into()).expect("room");
        self.transmit(packet);
        while let Some(event) = self.state.events.pop_front() {
            if let Event::Outgoing(Outgoing::Publish(id)) = event {
                self.in_flight.push_back(id);
            }
        }
    }

    /// Takes bytes of the broker. Returns the packet that is reported to the application.
    fn take(&mut self, frame: &[u8]) -> Option<Packet> {
        self.incoming.extend_from_slice(black_box(frame));
        let packet = Packet::read(&mut self.incoming, MOST).expect("a packet");
        let answer = self.state.handle_incoming_packet(packet).expect("an expected one");
        self.transmit(answer);
        let mut told = None;
        while let Some(event) = self.state.events.pop_front() {
            if let Event::Incoming(packet) = event {
                told = Some(packet);
            }
        }
        told
    }

    fn transmit(&mut self, packet: Option<Packet>) {
        if let Some(packet) = packet {
            packet.write(&mut self.outgoing, MOST).expect("room");
            consume(&self.outgoing);
            self.outgoing.clear();
        }
    }
}
