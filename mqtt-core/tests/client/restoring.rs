//! A restored client equals the client that gave the records: in random conversations, at every record and in storage
//! of any size, both give the same snapshot.

use std::collections::VecDeque;

use mqtt_core::{
    Delivery, Event, Instant, Options, PacketId, Protocol, Publish, QoS, Reason, Record,
    RestoreError, Slot, codec::Packet, filter, topic,
};
use proptest::{collection, prelude::*, sample::select};
use test_kit::{
    drive::{Opening, Persisting, World, drive, receive_from},
    record::{CHECKSUM, bytes_of, snapshot},
    script::HeapClient,
    wire::{PUBREL, ack, answer_to, connack, encoded, take_packets},
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(QoS, u8),
    Subscribe(u8),
    Unsubscribe(u8),
    /// The broker publishes at QoS 2. With `true` it sends the message again, with DUP.
    Hear(u16, bool),
    /// The broker sends a PUBREL, once the PUBREC came. It may do so several times.
    Release(u16),
    /// The broker answers the oldest packet that it has not answered.
    Answer,
    AnswerAll,
    /// The application acknowledges the oldest message with `true`, or the newest.
    Acknowledge(bool),
    Cut,
    /// The client connects. With `true` the broker still has the session.
    Connect(bool),
    Later(u16),
    Position,
    /// The application takes back the oldest request with `true`, or the newest.
    Cancel(bool),
    Compact,
    /// The driver does all that is due.
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
        1 => Just(Step::Position),
        1 => any::<bool>().prop_map(Step::Cancel),
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

/// A client and its world. Both follow the steps.
struct Life {
    client: HeapClient,
    now: u64,
    position: u64,
    outside: Outside,
    /// Set at the end of this life.
    snapshot: Option<Vec<u8>>,
}

/// Transport, journal, broker and application.
#[derive(Default)]
struct Outside {
    open: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    answers: VecDeque<Vec<u8>>,
    deliveries: VecDeque<Delivery>,
    /// Ids of messages that were answered with a PUBREC since their last PUBLISH.
    received: Vec<u16>,
    /// Every record, each confirmed.
    records: Vec<Vec<u8>>,
    /// After this many records, a snapshot ends this life.
    last: usize,
}

impl Life {
    fn new(client: HeapClient, last: usize) -> Self {
        let outside = Outside { last, ..Outside::default() };
        Self { client, now: 0, position: 0, outside, snapshot: None }
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
                let payload = vec![self.outside.records.len() as u8; len.into()];
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
                self.outside.received.retain(|received| *received != id);
                let publish = Publish::new(topic!("m"), b"x").qos(QoS::ExactlyOnce);
                let packet = Packet::Publish(Publish { id: PacketId::new(id), dup, ..publish });
                self.say(&encoded(packet, self.client.protocol()));
            }
            Step::Release(id) if self.outside.received.contains(&id) => self.say(&ack(PUBREL, id)),
            Step::Release(_) => {}
            Step::Answer => {
                if let Some(answer) = self.outside.answers.pop_front() {
                    self.say(&answer);
                }
            }
            Step::AnswerAll => {
                for answer in std::mem::take(&mut self.outside.answers) {
                    self.say(&answer);
                }
                self.run();
            }
            Step::Acknowledge(oldest) => {
                let delivery = if oldest {
                    self.outside.deliveries.pop_front()
                } else {
                    self.outside.deliveries.pop_back()
                };
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
                    self.say(&connack(present));
                }
            }
            Step::Later(millis) => self.now += u64::from(millis),
            Step::Position => {
                self.position += 1;
                self.client.set_position(self.position);
            }
            Step::Cancel(oldest) => {
                let handles: Vec<_> = self.client.publishes().map(|(handle, _)| handle).collect();
                let handle = if oldest { handles.first() } else { handles.last() };
                if let Some(handle) = handle {
                    let _ = self.client.cancel(*handle);
                }
            }
            Step::Compact => self.client.compact(),
            Step::Run => self.run(),
        }
        self.take();
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.outside.open {
            self.outside.input.extend(bytes);
        }
    }

    fn cut(&mut self) {
        self.outside.cut();
        self.client.closed(Instant::from_millis(self.now));
        self.take();
    }

    fn take(&mut self) {
        let now = Instant::from_millis(self.now);
        self.outside.take(&mut self.client, now);
    }

    fn run(&mut self) {
        let now = Instant::from_millis(self.now);
        let waits = drive(&mut self.client, &mut self.outside, now).is_some();
        if !waits {
            self.snapshot = Some(snapshot(&mut self.client, now));
        }
    }
}

impl Outside {
    fn cut(&mut self) {
        self.open = false;
        self.input.clear();
        self.output.clear();
        self.answers.clear();
    }

    fn take(&mut self, client: &mut HeapClient, now: Instant) {
        let deliveries = &mut self.deliveries;
        // If the broker broke a rule, the next action ends the connection.
        let _ = receive_from(client, &mut self.input, now, |event| {
            if let Event::Message(message) = event {
                deliveries.extend(message.delivery);
            }
        });
    }
}

impl World<Vec<u8>, Vec<Slot>> for Outside {
    fn before(&mut self, client: &mut HeapClient, now: Instant) {
        self.take(client, now);
    }

    fn connect(&mut self, _endpoint: u8) -> Opening {
        self.open = true;
        Opening::Open
    }

    fn close(&mut self, _reason: Reason) {
        self.cut();
    }

    fn persist(&mut self, record: &Record<'_>) -> Persisting {
        if self.records.len() == self.last {
            return Persisting::NotYet;
        }
        self.records.push(bytes_of(record));
        Persisting::Durable
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.output.extend(bytes);
        let (answers, received) = (&mut self.answers, &mut self.received);
        take_packets(&mut self.output, Protocol::V311, |packet| {
            answers.extend(answer_to(&packet));
            if let Packet::PubRec(id) = packet {
                received.push(id.get());
            }
        });
        bytes.len()
    }
}

/// The content of a snapshot without two details that may differ: the order in which it lists the ids that the broker
/// uses, and the DUP flag of each PUBLISH. A restored client has to assume that each was sent before.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    header: Vec<u8>,
    notes: Vec<[u8; 3]>,
    rest: Vec<u8>,
}

impl Told {
    fn by(record: &[u8]) -> Self {
        let (body, _crc) = record.split_at(record.len() - CHECKSUM);
        // Two packet ids follow the first ten bytes if the client did not open the session.
        let (header, mut rest) = body.split_at(if body[1] & 32 == 0 { 10 } else { 14 });
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
fn snapshot_of(mut client: HeapClient) -> Vec<u8> {
    snapshot(&mut client, Instant::from_millis(0))
}

proptest! {
    #[test]
    fn a_restored_client_is_the_one_that_gave_the_records(
        options in options(),
        own in storage(),
        other in storage(),
        steps in collection::vec(step(), 1..60),
    ) {
        let records = Life::new(own.client(&options), usize::MAX).steps(&steps).outside.records;
        let larger = Storage { outbox: own.outbox + 70, window: own.window + other.window };
        let mut told = Told::by(&snapshot_of(own.client(&options)));
        for count in 1..=records.len() {
            let then = Life::new(own.client(&options), count - 1).steps(&steps).snapshot;
            let then = then.unwrap();
            // The scratch of a flash journal is sized by this.
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
                prop_assert_eq!(&Told::by(&snapshot_of(client)), expected, "{} of {:?}", count, storage);
            }
        }
    }
}

/// If a broker sends the PUBREL before it has the PUBREC, the id is free, whatever the application does with the
/// message.
#[test]
fn an_id_that_was_free_before_its_message_was_acknowledged_stays_free() {
    let options = Options::new("c").clean_session(false).journal(true).manual_acknowledge(true);
    let storage = Storage { outbox: 200, window: 3 };
    let world = Life::new(storage.client(&options), usize::MAX);
    let mut world = world.steps(&[Step::Connect(true), Step::Hear(3, false), Step::Run]);
    world.say(&ack(PUBREL, 3));
    let world = world.steps(&[Step::Run, Step::Acknowledge(true), Step::Position, Step::Run]);
    let mut again = storage.client(&options);
    for record in &world.outside.records {
        again.restore(record).unwrap();
    }
    assert_eq!(Told::by(&snapshot_of(again)).notes, [] as [[u8; 3]; 0]);
}
