//! A client with its driver, its application and its broker, all in one: what they do is what the data says.

use std::collections::{BTreeMap, VecDeque};

use mqtt_core::{
    Action, Client, Delivery, Event, Filter, Handle, Instant, PacketId, Publish, QoS, Slot, Topic,
    codec::{Decoded, Packet},
};

use crate::input::Input;

pub(super) type HeapClient = Client<Vec<u8>, Vec<Slot>>;

const FILTERS: [&str; 4] = ["a", "b/+", "much/longer/than/the/others/#", "$share/g/c"];

pub(super) struct Life {
    pub(super) client: HeapClient,
    now: u64,
    open: bool,
    /// The broker says that it has the session.
    present: bool,
    /// The client has asked for a new one.
    clean: bool,
    arrived: Vec<u8>,
    written: Vec<u8>,
    replies: VecDeque<Vec<u8>>,
    deliveries: VecDeque<Delivery>,
    pub(super) records: Vec<Vec<u8>>,
    /// What is in flight, by its id.
    requests: BTreeMap<u16, Handle>,
}

impl Life {
    pub(super) fn new(client: HeapClient) -> Self {
        Self {
            client,
            now: 0,
            open: false,
            present: false,
            clean: false,
            arrived: Vec::new(),
            written: Vec::new(),
            replies: VecDeque::new(),
            deliveries: VecDeque::new(),
            records: Vec::new(),
            requests: BTreeMap::new(),
        }
    }

    /// The next record of a client that was not used yet, which is asked to say everything.
    pub(super) fn snapshot(&mut self) -> Vec<u8> {
        self.client.compact();
        let now = self.instant();
        assert_eq!(self.client.poll(now), Action::Connect { endpoint: 0 });
        let Action::Persist(record) = self.client.poll(now) else { panic!("a record is due") };
        assert!(record.is_snapshot());
        let bytes: Vec<u8> = record.chunks().flat_map(|chunk| chunk.as_ref().to_vec()).collect();
        self.client.persisted();
        self.client.closed(now);
        self.records.push(bytes.clone());
        bytes
    }

    /// These requests were restored, and no others.
    pub(super) fn expect(&mut self, mut ids: Vec<u16>) {
        let restored = self.client.publishes().map(|(handle, _)| handle);
        self.requests.extend(restored.map(|handle| (id_of(handle).expect("an id"), handle)));
        ids.sort_unstable();
        assert!(self.requests.keys().eq(&ids), "[MQTT-2.3.1-2]: {ids:?}");
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
                    let reply = self.replies.pop_front();
                    self.arrived.extend(reply.into_iter().flatten());
                }
                8 | 9 => self.drive(),
                10 => self.cut(),
                11 => {
                    self.present = input.byte() & 1 != 0;
                    self.come_up();
                }
                12 => {
                    let oldest = input.byte() & 1 == 0;
                    let deliveries = &mut self.deliveries;
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
                    self.arrived.extend(input.take(len));
                }
            }
            self.receive();
            assert_eq!(self.requests.len(), self.client.in_flight());
        }
    }

    /// With an honest broker every request comes to its event.
    pub(super) fn settle(&mut self) {
        self.cut();
        for _ in 0..50 {
            // [MQTT-3.2.2-1]
            self.present &= !self.clean;
            self.come_up();
            for _ in 0..1_000 {
                let Some(reply) = self.replies.pop_front() else { break };
                self.arrived.extend(reply);
                self.drive();
            }
            if self.requests.is_empty() {
                return;
            }
            self.now += 1_000;
            self.drive();
        }
        panic!("for ever in flight: {:?}", self.requests);
    }

    /// Publishes until there is no room.
    pub(super) fn fill(&mut self) {
        let publish = Publish::new(Topic::new("t").expect("a name"), b"").qos(QoS::AtLeastOnce);
        while let Ok(handle) = self.client.publish(&publish) {
            self.accepted(Some(handle));
        }
        assert_eq!(self.requests.len(), self.client.in_flight());
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let (flags, len) = (input.byte(), usize::from(input.byte() % 64));
        let payload = vec![flags; len];
        let publish = Publish::new(Topic::new("t").expect("a name"), &payload).qos(qos(flags));
        let outcome = self.client.publish(&publish);
        self.accepted(outcome.ok());
    }

    fn accepted(&mut self, handle: Option<Handle>) {
        let Some(handle) = handle else { return };
        if let Some(id) = id_of(handle) {
            let before = self.requests.insert(id, handle);
            assert_eq!(before, None, "[MQTT-2.3.1-2]: {id} is in use");
        }
    }

    fn ended(&mut self, handle: Handle) {
        if let Some(id) = id_of(handle) {
            assert_eq!(self.requests.remove(&id), Some(handle), "once, and only what is awaited");
        }
    }

    fn come_up(&mut self) {
        self.cut();
        self.client.connect();
        self.drive();
        if self.open {
            self.arrived.extend([0x20, 2, u8::from(self.present), 0]);
            self.present = true;
        }
        self.drive();
    }

    fn cut(&mut self) {
        self.open = false;
        self.client.closed(self.instant());
        self.arrived.clear();
        self.written.clear();
        self.replies.clear();
        self.receive();
    }

    fn say(&mut self, packet: Packet<'_>) {
        let mut bytes = vec![0; packet.encoded_len().expect("a short one")];
        packet.encode(&mut bytes, self.client.protocol()).expect("it has a form");
        self.arrived.extend(bytes);
    }

    /// Until there is nothing to do at this time.
    fn drive(&mut self) {
        for _ in 0..10_000 {
            self.receive();
            let now = self.instant();
            match self.client.poll(now) {
                Action::Connect { .. } => {
                    self.open = true;
                    self.client.connected(now);
                }
                Action::Close(_) => self.cut(),
                Action::Persist(record) => {
                    let len = record.len();
                    let bytes: Vec<u8> =
                        record.chunks().flat_map(|chunk| chunk.as_ref().to_vec()).collect();
                    assert_eq!(bytes.len(), len);
                    self.records.push(bytes);
                    self.client.persisted();
                }
                Action::Transmit(bytes) => {
                    let count = bytes.len();
                    self.written.extend(bytes);
                    self.client.transmitted(count, now);
                    self.reply();
                }
                Action::Wait(_) => return,
            }
        }
        panic!("actions without end");
    }

    fn receive(&mut self) {
        let arrived = std::mem::take(&mut self.arrived);
        let mut rest = &arrived[..];
        for nth in 0.. {
            assert!(nth < 10_000, "events without end");
            match self.client.receive(&mut rest, self.instant()) {
                Ok(Some(event)) => match event {
                    Event::Message(message) => self.deliveries.extend(message.delivery),
                    Event::MessageEnd { delivery } => self.deliveries.extend(delivery),
                    Event::Published(handle)
                    | Event::Lost(handle)
                    | Event::Unsubscribed(handle)
                    | Event::Subscribed { handle, .. } => self.ended(handle),
                    Event::Connecting { .. }
                    | Event::Up { .. }
                    | Event::Down(_)
                    | Event::MessageStart(_)
                    | Event::MessageChunk(_)
                    | Event::Renewed { .. }
                    | _ => {}
                },
                Ok(None) | Err(_) => break,
            }
        }
        if self.open {
            self.arrived = rest.to_vec();
        }
    }

    /// What an honest broker answers to what is written.
    fn reply(&mut self) {
        let written = std::mem::take(&mut self.written);
        let mut rest = &written[..];
        loop {
            let (packet, len) = match Packet::decode(rest, self.client.protocol()) {
                Ok(Decoded::Packet { packet, len }) => (packet, len),
                Ok(Decoded::NeedMore(_)) => break,
                Err(violation) => panic!("{violation} in {rest:x?}"),
            };
            rest = rest.get(len..).unwrap_or_default();
            let (first, id, codes) = match packet {
                Packet::Publish(Publish { id: Some(id), qos: QoS::AtLeastOnce, .. }) => {
                    (0x40, id, Vec::new())
                }
                Packet::Publish(Publish { id: Some(id), .. }) => (0x50, id, Vec::new()),
                Packet::PubRel { id, .. } => (0x70, id, Vec::new()),
                Packet::Subscribe(subscribe) => {
                    (0x90, subscribe.id, subscribe.filters().map(|(_, qos)| qos as u8).collect())
                }
                Packet::Unsubscribe(unsubscribe) => (0xB0, unsubscribe.id, Vec::new()),
                Packet::PingReq => {
                    self.replies.push_back(vec![0xD0, 0]);
                    continue;
                }
                Packet::Connect(connect) => {
                    self.clean = connect.clean_session;
                    continue;
                }
                Packet::Publish(_)
                | Packet::PubAck(_)
                | Packet::PubRec(_)
                | Packet::PubComp(_)
                | Packet::Disconnect => continue,
                Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                    panic!("a client sent {packet:?}");
                }
            };
            let head = [first, 2 + codes.len() as u8];
            self.replies.push_back([&head[..], &id.get().to_be_bytes(), &codes].concat());
        }
        self.written = rest.to_vec();
    }

    const fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
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
