//! A client with its driver, its application and its broker. The data decides about the steps of each.

use std::collections::{BTreeMap, VecDeque};

use mqtt_core::{
    Delivery, Event, Filter, Handle, Instant, PacketId, Protocol, Publish, QoS, Reason, Record,
    Slot, Topic, codec::Packet,
};
use test_kit::{
    drive::{Opening, Persisting, World, drive, receive_from},
    record::{self, bytes_of},
    script::HeapClient,
    wire::{connack, encoded, take_packets},
};

use super::broker::Broker;
use crate::input::Input;

const FILTERS: [&str; 4] = ["a", "b/+", "much/longer/than/the/others/#", "$share/g/c"];

pub(super) struct Life {
    pub(super) client: HeapClient,
    now: u64,
    /// Messages of QoS 1 and 2 so far: no two of them are the same.
    published: u16,
    outside: Outside,
}

/// Transport, journal, brokers and application.
struct Outside {
    open: bool,
    brokers: Vec<Broker>,
    /// The broker that the client is connected to.
    endpoint: usize,
    arrived: Vec<u8>,
    written: Vec<u8>,
    deliveries: VecDeque<Delivery>,
    records: Vec<Vec<u8>>,
    /// The requests in flight, by their ids.
    requests: BTreeMap<u16, Handle>,
}

impl Life {
    /// So many brokers keep a session of the client each.
    pub(super) fn new(client: HeapClient, brokers: usize) -> Self {
        let outside = Outside {
            open: false,
            brokers: vec![Broker::default(); brokers],
            endpoint: 0,
            arrived: Vec::new(),
            written: Vec::new(),
            deliveries: VecDeque::new(),
            records: Vec::new(),
            requests: BTreeMap::new(),
        };
        Self { client, now: 0, published: 0, outside }
    }

    /// Every record that the client gave, and the brokers, who outlive it.
    pub(super) fn lose_power(mut self) -> (Vec<Vec<u8>>, Vec<Broker>) {
        self.outside.cut();
        (self.outside.records, self.outside.brokers)
    }

    /// The client meets the brokers of another life, which it goes on with.
    pub(super) fn meet(&mut self, brokers: Vec<Broker>) {
        self.outside.brokers = brokers;
        self.published = 1 << 15;
    }

    /// A snapshot of a client that was not used yet.
    pub(super) fn snapshot(&mut self) -> Vec<u8> {
        let now = self.instant();
        let bytes = record::snapshot(&mut self.client, now);
        self.client.persisted();
        self.client.closed(now);
        self.outside.records.push(bytes.clone());
        bytes
    }

    /// These requests were restored, and no others.
    pub(super) fn expect(&mut self, mut ids: Vec<u16>) {
        let restored = self.client.publishes().map(|(handle, _)| handle);
        self.outside
            .requests
            .extend(restored.map(|handle| (id_of(handle).expect("an id"), handle)));
        ids.sort_unstable();
        assert!(self.outside.requests.keys().eq(&ids), "[MQTT-2.3.1-2]: {ids:?}");
        assert_eq!(ids.len(), self.client.in_flight());
    }

    pub(super) fn live(&mut self, input: &mut Input<'_>) {
        while let Some(instruction) = input.next() {
            match instruction % 16 {
                0 | 1 => self.publish(input),
                2 => {
                    let filters = [(filter(input.byte()), qos(instruction >> 4))];
                    let outcome = self.client.subscribe(&filters);
                    self.accepted(outcome.ok());
                }
                3 => {
                    let outcome = self.client.unsubscribe(&[filter(input.byte())]);
                    self.accepted(outcome.ok());
                }
                4 | 5 => {
                    let detail = input.byte();
                    let qos = if detail & 16 == 0 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
                    let publish = Publish {
                        id: PacketId::new(u16::from(detail % 8) + 1),
                        dup: detail & 32 != 0,
                        ..Publish::new(Topic::new("m").expect("a name"), b"x").qos(qos)
                    };
                    self.say(Packet::Publish(publish));
                }
                6 => {
                    let id = PacketId::new(u16::from(input.byte() % 8) + 1).expect("not 0");
                    self.say(Packet::PubRel { id, dup: false });
                }
                7 => {
                    let reply = self.outside.broker().reply();
                    self.outside.arrived.extend(reply.into_iter().flatten());
                }
                8 | 9 => self.drive(),
                10 => self.cut(),
                11 => {
                    let claim = input.byte() & 1 != 0;
                    self.come_up(Some(claim));
                }
                12 => {
                    let oldest = input.byte() & 1 == 0;
                    let deliveries = &mut self.outside.deliveries;
                    let which = if oldest { deliveries.pop_front() } else { deliveries.pop_back() };
                    if let Some(delivery) = which {
                        let _ = self.client.acknowledge(delivery);
                    }
                }
                13 => match input.byte() {
                    0..=63 => self.client.compact(),
                    position => self.client.set_position(position.into()),
                },
                14 => self.now += u64::from(input.byte()) * 16,
                _ => {
                    let len = usize::from(input.byte() % 32);
                    self.outside.broker().lie();
                    self.outside.arrived.extend(input.take(len));
                }
            }
            self.receive();
            assert_eq!(self.outside.requests.len(), self.client.in_flight());
        }
    }

    /// With an honest broker every request comes to its event.
    pub(super) fn settle(&mut self) {
        self.cut();
        for _ in 0..50 {
            self.come_up(None);
            for _ in 0..1_000 {
                let Some(reply) = self.outside.broker().reply() else { break };
                self.outside.arrived.extend(reply);
                self.drive();
            }
            if self.outside.requests.is_empty() {
                return;
            }
            self.now += 1_000;
            self.drive();
        }
        panic!("for ever in flight: {:?}", self.outside.requests);
    }

    /// Publishes until there is no room.
    pub(super) fn fill(&mut self) {
        let publish = Publish::new(Topic::new("t").expect("a name"), b"").qos(QoS::AtLeastOnce);
        while let Ok(handle) = self.client.publish(&publish) {
            self.accepted(Some(handle));
        }
        assert_eq!(self.outside.requests.len(), self.client.in_flight());
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let (flags, len) = (input.byte(), usize::from(input.byte() % 64));
        self.published += 1;
        let payload = [&self.published.to_be_bytes()[..], &vec![flags; len]].concat();
        let publish = Publish::new(Topic::new("t").expect("a name"), &payload).qos(qos(flags));
        let outcome = self.client.publish(&publish);
        self.accepted(outcome.ok());
    }

    fn accepted(&mut self, handle: Option<Handle>) {
        let Some(handle) = handle else { return };
        if let Some(id) = id_of(handle) {
            let before = self.outside.requests.insert(id, handle);
            assert_eq!(before, None, "[MQTT-2.3.1-2]: {id} is in use");
        }
    }

    fn come_up(&mut self, claim: Option<bool>) {
        self.cut();
        self.client.connect();
        self.drive();
        if self.outside.open {
            let present = self.outside.broker().accept(claim);
            self.outside.arrived.extend(connack(present));
        }
        self.drive();
    }

    fn cut(&mut self) {
        self.outside.cut();
        self.client.closed(self.instant());
        self.receive();
    }

    fn say(&mut self, packet: Packet<'_>) {
        self.outside.arrived.extend(encoded(packet, self.client.protocol()));
    }

    /// Does all that is due at this time.
    fn drive(&mut self) {
        let now = self.instant();
        drive(&mut self.client, &mut self.outside, now);
    }

    fn receive(&mut self) {
        let now = self.instant();
        self.outside.receive(&mut self.client, now);
    }

    const fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }
}

impl Outside {
    fn cut(&mut self) {
        self.open = false;
        self.arrived.clear();
        self.written.clear();
        self.broker().cut();
    }

    /// The one that the client is connected to.
    fn broker(&mut self) -> &mut Broker {
        self.brokers.get_mut(self.endpoint).expect("an endpoint of the client")
    }

    fn receive(&mut self, client: &mut HeapClient, now: Instant) {
        let (deliveries, requests) = (&mut self.deliveries, &mut self.requests);
        let mut ended = |handle: Handle| {
            if let Some(id) = id_of(handle) {
                assert_eq!(requests.remove(&id), Some(handle), "once, and only if it is awaited");
            }
        };
        // After a broken rule an event follows.
        let _ = receive_from(client, &mut self.arrived, now, |event| match event {
            Event::Message(message) => deliveries.extend(message.delivery),
            Event::MessageEnd { delivery } => deliveries.extend(delivery),
            Event::Published(handle)
            | Event::Lost(handle)
            | Event::Unsubscribed(handle)
            | Event::Subscribed { handle, .. } => ended(handle),
            Event::Connecting { .. }
            | Event::Up { .. }
            | Event::Down { .. }
            | Event::MessageStart(_)
            | Event::MessageChunk(_)
            | Event::Renewed { .. }
            | _ => {}
        });
        if !self.open {
            self.arrived.clear();
        }
    }
}

impl World<Vec<u8>, Vec<Slot>> for Outside {
    fn before(&mut self, client: &mut HeapClient, now: Instant) {
        self.receive(client, now);
    }

    fn connect(&mut self, endpoint: u8) -> Opening {
        self.open = true;
        self.endpoint = usize::from(endpoint).min(self.brokers.len() - 1);
        Opening::Open
    }

    fn close(&mut self, _reason: Reason) {
        self.cut();
    }

    fn persist(&mut self, record: &Record<'_>) -> Persisting {
        self.records.push(bytes_of(record));
        Persisting::Durable
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.written.extend(bytes);
        let mut written = std::mem::take(&mut self.written);
        take_packets(&mut written, Protocol::V311, |packet| self.broker().take(&packet));
        self.written = written;
        bytes.len()
    }
}

fn id_of(handle: Handle) -> Option<u16> {
    handle.packet_id().map(PacketId::get)
}

fn qos(bits: u8) -> QoS {
    match bits & 3 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn filter(byte: u8) -> Filter<'static> {
    let text = FILTERS.get(usize::from(byte) % FILTERS.len()).expect("in the table");
    Filter::new(text).expect("a filter")
}
