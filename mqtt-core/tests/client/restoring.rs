//! A restored client is the client that gave the records: over random conversations, at every record, in storage of
//! any size, its snapshot is the one that the other would have given then.

use std::collections::VecDeque;

use mqtt_core::{
    Action, Delivery, Event, Instant, Options, PacketId, Publish, QoS, RestoreError, Slot,
    codec::{Decoded, Packet},
    filter, topic,
};
use proptest::{collection, prelude::*, sample::select};

use crate::script::{HeapClient, PUBACK, PUBCOMP, PUBREC, PUBREL, UNSUBACK, ack, bytes_of};

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(QoS, u8),
    Subscribe(u8),
    Unsubscribe(u8),
    /// The broker publishes at QoS 2, or does so again with DUP.
    Hear(u16, bool),
    /// Once the PUBREC came, perhaps again.
    Release(u16),
    /// The broker answers the oldest packet that it has not answered.
    Answer,
    AnswerAll,
    /// The application acknowledges the oldest message, or the newest.
    Acknowledge(bool),
    Cut,
    /// The broker has the session still.
    Connect(bool),
    Later(u16),
    Mark,
    Compact,
    /// What there is to do is done.
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    let qos = select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce][..]);
    prop_oneof![
        6 => (qos, 0..40_u8).prop_map(|(qos, len)| Step::Publish(qos, len)),
        2 => (0..4_u8).prop_map(Step::Subscribe),
        1 => (0..4_u8).prop_map(Step::Unsubscribe),
        4 => (1..6_u16, any::<bool>()).prop_map(|(id, dup)| Step::Hear(id, dup)),
        3 => (1..6_u16).prop_map(Step::Release),
        4 => Just(Step::Answer),
        2 => Just(Step::AnswerAll),
        3 => any::<bool>().prop_map(Step::Acknowledge),
        1 => Just(Step::Cut),
        3 => prop::bool::weighted(0.7).prop_map(Step::Connect),
        1 => (0..3_000_u16).prop_map(Step::Later),
        1 => Just(Step::Mark),
        1 => Just(Step::Compact),
        8 => Just(Step::Run),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Storage {
    outbox: usize,
    window: usize,
}

impl Storage {
    fn client(self, options: &Options<'_>) -> HeapClient {
        HeapClient::new(options, vec![0; self.outbox], vec![Slot::EMPTY; self.window]).unwrap()
    }
}

fn storage() -> impl Strategy<Value = Storage> {
    (150..400_usize, 1..6_usize).prop_map(|(outbox, window)| Storage { outbox, window })
}

fn options() -> impl Strategy<Value = Options<'static>> {
    (any::<bool>(), prop::bool::weighted(0.8), select(&[0, 1_000][..])).prop_map(
        |(manual, renew, delay)| {
            Options::new("c")
                .clean_session(false)
                .journal(true)
                .manual_acknowledge(manual)
                .renew_subscriptions(renew)
                .record_delay(delay)
        },
    )
}

/// A client and a broker, both of which do what the steps say.
struct World {
    client: HeapClient,
    now: u64,
    open: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    answers: VecDeque<Vec<u8>>,
    deliveries: VecDeque<Delivery>,
    /// Ids of messages behind whose last PUBLISH came a PUBREC.
    received: Vec<u16>,
    marks: u64,
    /// Every record, each confirmed.
    records: Vec<Vec<u8>>,
    /// The record of this number is to be a snapshot; then the world ends.
    last: usize,
    snapshot: Option<Vec<u8>>,
}

impl World {
    fn new(client: HeapClient, last: usize) -> Self {
        Self {
            client,
            now: 0,
            open: false,
            input: Vec::new(),
            output: Vec::new(),
            answers: VecDeque::new(),
            deliveries: VecDeque::new(),
            received: Vec::new(),
            marks: 0,
            records: Vec::new(),
            last,
            snapshot: None,
        }
    }

    fn steps(mut self, steps: &[Step]) -> Self {
        for step in steps {
            if self.snapshot.is_none() {
                self.step(*step);
            }
        }
        self
    }

    fn step(&mut self, step: Step) {
        let filters = [filter!("a"), filter!("b/+"), filter!("c/#"), filter!("d")];
        match step {
            Step::Publish(qos, len) => {
                let payload = vec![self.records.len() as u8; len.into()];
                let _ = self.client.publish(&Publish::new(topic!("t"), &payload).qos(qos));
            }
            Step::Subscribe(which) => {
                let filter = filters[usize::from(which)];
                let _ = self
                    .client
                    .subscribe(&[(filter, QoS::ExactlyOnce), (filters[0], QoS::AtMostOnce)]);
            }
            Step::Unsubscribe(which) => {
                let _ = self.client.unsubscribe(&[filters[usize::from(which)]]);
            }
            Step::Hear(id, dup) => {
                self.received.retain(|received| *received != id);
                let publish = Publish::new(topic!("m"), b"x").qos(QoS::ExactlyOnce);
                let packet = Packet::Publish(Publish { id: PacketId::new(id), dup, ..publish });
                let mut bytes = [0; 16];
                let len = packet.encode(&mut bytes, self.client.protocol()).unwrap();
                self.say(&bytes[..len]);
            }
            Step::Release(id) if self.received.contains(&id) => self.say(&ack(PUBREL, id)),
            Step::Release(_) => {}
            Step::Answer => {
                if let Some(answer) = self.answers.pop_front() {
                    self.say(&answer);
                }
            }
            Step::AnswerAll => {
                for answer in std::mem::take(&mut self.answers) {
                    self.say(&answer);
                }
                self.run();
            }
            Step::Acknowledge(oldest) => {
                let delivery =
                    if oldest { self.deliveries.pop_front() } else { self.deliveries.pop_back() };
                if let Some(delivery) = delivery {
                    let _ = self.client.acknowledge(delivery);
                }
            }
            Step::Cut => self.cut(),
            Step::Connect(present) => {
                self.cut();
                self.client.connect();
                self.run();
                if self.snapshot.is_none() {
                    self.say(&[0x20, 2, u8::from(present), 0]);
                }
            }
            Step::Later(millis) => self.now += u64::from(millis),
            Step::Mark => {
                self.marks += 1;
                self.client.set_position(self.marks);
            }
            Step::Compact => self.client.compact(),
            Step::Run => self.run(),
        }
        self.take();
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.open {
            self.input.extend(bytes);
        }
    }

    fn cut(&mut self) {
        self.open = false;
        self.client.closed(Instant::from_millis(self.now));
        self.input.clear();
        self.output.clear();
        self.answers.clear();
        self.take();
    }

    fn take(&mut self) {
        let mut input = &self.input[..];
        loop {
            match self.client.receive(&mut input, Instant::from_millis(self.now)) {
                Ok(Some(Event::Message(message))) => self.deliveries.extend(message.delivery),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        let left = input.len();
        self.input.drain(..self.input.len() - left);
    }

    fn run(&mut self) {
        loop {
            self.take();
            let now = Instant::from_millis(self.now);
            match self.client.poll(now) {
                Action::Connect { .. } => {
                    self.open = true;
                    self.client.connected(now);
                }
                Action::Close(_) => self.cut(),
                Action::Persist(_) if self.records.len() == self.last => {
                    self.client.compact();
                    let Action::Persist(record) = self.client.poll(now) else {
                        panic!("still due")
                    };
                    self.snapshot = Some(bytes_of(&record));
                    return;
                }
                Action::Persist(record) => {
                    self.records.push(bytes_of(&record));
                    self.client.persisted();
                }
                Action::Transmit(bytes) => {
                    let count = bytes.len();
                    self.output.extend(bytes);
                    self.client.transmitted(count, now);
                    self.answer();
                }
                Action::Wait(_) => return,
            }
        }
    }

    fn answer(&mut self) {
        let mut at = 0;
        while let Decoded::Packet { packet, len } =
            Packet::decode(&self.output[at..], self.client.protocol()).unwrap()
        {
            at += len;
            self.answers.push_back(match packet {
                Packet::Publish(Publish { id: Some(id), qos, .. }) => match qos {
                    QoS::ExactlyOnce => ack(PUBREC, id.get()).into(),
                    _ => ack(PUBACK, id.get()).into(),
                },
                Packet::PubRel { id, .. } => ack(PUBCOMP, id.get()).into(),
                Packet::Subscribe(subscribe) => {
                    let [high, low] = subscribe.id.get().to_be_bytes();
                    let codes: Vec<u8> = subscribe.filters().map(|(_, qos)| qos as u8).collect();
                    [&[0x90, 2 + codes.len() as u8, high, low], &codes[..]].concat()
                }
                Packet::PubRec(id) => {
                    self.received.push(id.get());
                    continue;
                }
                Packet::Unsubscribe(unsubscribe) => ack(UNSUBACK, unsubscribe.id.get()).into(),
                _ => continue,
            });
        }
        self.output.drain(..at);
    }
}

/// What a snapshot says, whatever the order in which it names the ids that the broker uses and whether a PUBLISH is
/// marked as one that may have been sent before: a restored client has to take that of each.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    header: Vec<u8>,
    notes: Vec<[u8; 3]>,
    rest: Vec<u8>,
}

impl Told {
    fn by(record: &[u8]) -> Self {
        let (body, _crc) = record.split_at(record.len() - 4);
        let (header, mut rest) = body.split_at(10);
        let mut notes = Vec::new();
        while rest[0] != 0 {
            notes.push([rest[0], rest[1], rest[2]]);
            rest = &rest[3..];
        }
        notes.sort_unstable();
        let mut rest = rest.to_vec();
        let mut at = 1;
        if header[1] & 2 != 0 {
            at += 4 + u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize;
        }
        while at < rest.len() {
            // Packets are short here.
            assert_eq!(rest[at] >> 4, 3, "a PUBLISH");
            rest[at] &= !8;
            at += 2 + usize::from(rest[at + 1]);
        }
        Self { header: header.to_vec(), notes, rest }
    }
}

/// The snapshot of a client that was restored and not used yet.
fn snapshot(mut client: HeapClient) -> Vec<u8> {
    client.compact();
    let now = Instant::from_millis(0);
    assert_eq!(client.poll(now), Action::Connect { endpoint: 0 });
    match client.poll(now) {
        Action::Persist(record) => bytes_of(&record),
        action => panic!("{action:?}"),
    }
}

proptest! {
    #[test]
    fn a_restored_client_is_the_one_that_gave_the_records(
        options in options(),
        own in storage(),
        other in storage(),
        steps in collection::vec(step(), 1..60),
    ) {
        let records = World::new(own.client(&options), usize::MAX).steps(&steps).records;
        let larger = Storage { outbox: own.outbox + 70, window: own.window + other.window };
        let mut told = Told::by(&snapshot(own.client(&options)));
        for count in 1..=records.len() {
            let then = World::new(own.client(&options), count - 1).steps(&steps).snapshot;
            let then = then.unwrap();
            // What the scratch of a flash journal is counted by.
            prop_assert!(then.len() <= own.outbox + 3 * own.window + 19);
            let before = std::mem::replace(&mut told, Told::by(&then));
            for storage in [own, larger, other] {
                let mut client = storage.client(&options);
                let (last, first) = records[..count].split_last().unwrap();
                let refused = first.iter().find_map(|record| client.restore(record).err());
                if refused.is_some() {
                    prop_assert!(storage.window == other.window || storage.outbox == other.outbox);
                    continue;
                }
                let expected = match client.restore(last) {
                    Ok(()) => &told,
                    Err(RestoreError::Window { .. } | RestoreError::OutboxTooSmall { .. }) => {
                        let smaller = storage.window < own.window || storage.outbox < own.outbox;
                        prop_assert!(smaller, "{:?} instead of {:?}", storage, own);
                        &before
                    }
                    Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
                };
                prop_assert_eq!(&Told::by(&snapshot(client)), expected, "{} of {:?}", count, storage);
            }
        }
    }
}

/// A broker that sends the PUBREL ahead of the PUBREC frees the id, whatever the application does with the message.
#[test]
fn an_id_that_was_free_before_its_message_was_acknowledged_stays_free() {
    let options = Options::new("c").clean_session(false).journal(true).manual_acknowledge(true);
    let storage = Storage { outbox: 200, window: 3 };
    let world = World::new(storage.client(&options), usize::MAX);
    let mut world = world.steps(&[Step::Connect(true), Step::Hear(3, false), Step::Run]);
    world.say(&ack(PUBREL, 3));
    let world = world.steps(&[Step::Run, Step::Acknowledge(true), Step::Mark, Step::Run]);
    let mut again = storage.client(&options);
    for record in &world.records {
        again.restore(record).unwrap();
    }
    assert_eq!(Told::by(&snapshot(again)).notes, [] as [[u8; 3]; 0]);
}
