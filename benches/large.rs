//! Large sessions with a journal: their records, snapshots and restores, all in memory.

use mqtt_core::{
    Action, Client, Delivery, Event, Instant, Options, PacketId, Protocol, Publish, QoS, Slot,
    Topic, codec::Packet, topic,
};
use test_kit::{
    record::bytes_of,
    wire::{ACCEPTED, PUBREC, PUBREL, ack, encoded},
};

const TOPIC: Topic<'static> = topic!("plant/7/boiler/temperature");

/// Nothing here takes time, so none passes.
const NOW: Instant = Instant::from_millis(0);

/// Bytes of the outbox for each slot.
const ROOM: usize = 64;

/// The things that a session holds many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Packet ids of QoS 2 messages between PUBLISH and PUBREL.
    Received,
    /// The same with manual acknowledgement: the application has acknowledged every second message.
    Owed,
    /// Publishes of QoS 2 without an answer.
    Publishes,
    /// Publishes of QoS 2 between PUBREC and PUBCOMP.
    Released,
}

/// When the driver polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// Behind each message, so each has a record.
    Many,
    /// At the end, so one record holds all.
    One,
}

/// A client with a journal, its transport and its broker.
pub(crate) struct Session {
    client: Client<Box<[u8]>, Box<[Slot]>>,
    records: Vec<Vec<u8>>,
}

impl Session {
    /// A new client with `window` slots.
    pub(crate) fn new(window: usize, content: Content) -> Self {
        let bytes = vec![0; 512 + ROOM * window];
        let slots = vec![Slot::EMPTY; window];
        let options = Options::new("bench")
            .keep_alive(0)
            .clean_session(false)
            .journal(true)
            .manual_acknowledge(content == Content::Owed)
            .exactly_once_window(u16::MAX);
        let client = Client::new(&options, bytes.into(), slots.into()).expect("storage");
        Self { client, records: Vec::new() }
    }

    /// A client that has a session with `count` entries, in a window of `window` slots.
    pub(crate) fn filled(content: Content, count: usize, window: usize, records: Records) -> Self {
        let mut session = Self::new(window, content);
        session.client.connect();
        session.run();
        session.hear(ACCEPTED);
        session.run();
        let publish = Publish::new(TOPIC, b"x").qos(QoS::ExactlyOnce);
        for number in 1..=count {
            let id = u16::try_from(number).expect("an id");
            match content {
                Content::Received | Content::Owed => {
                    let message = Packet::Publish(Publish { id: PacketId::new(id), ..publish });
                    let message = encoded(message, Protocol::V311);
                    if let Some(delivery) = session.hear(&message).filter(|_| number % 2 == 0) {
                        session.client.acknowledge(delivery).expect("room");
                    }
                }
                Content::Publishes | Content::Released => {
                    let _ = session.client.publish(&publish).expect("room");
                }
            }
            if records == Records::Many {
                session.run();
            }
        }
        session.run();
        if content == Content::Released {
            for number in 1..=count {
                session.hear(&ack(PUBREC, number as u16));
                if records == Records::Many {
                    session.run();
                }
            }
            session.run();
        }
        session
    }

    /// The records that it gave, oldest first.
    pub(crate) fn into_records(self) -> Vec<Vec<u8>> {
        self.records
    }

    /// Its snapshot.
    #[inline(never)]
    pub(crate) fn snapshot(&mut self) -> Vec<u8> {
        self.client.compact();
        let Action::Persist(record) = self.client.poll(NOW) else { panic!("a record is due") };
        bytes_of(&record)
    }

    /// Restores it from `records`.
    #[inline(never)]
    pub(crate) fn restore(&mut self, records: &[Vec<u8>]) {
        for record in records {
            self.client.restore(record).expect("storage of the same size");
        }
        // The first poll is part of it: it puts the packets in order.
        assert!(
            matches!(self.client.poll(NOW), Action::Connect { .. }),
            "a connection comes first"
        );
    }

    /// The broker loses the session. Gives how many requests end as lost.
    #[inline(never)]
    pub(crate) fn lose(&mut self) -> usize {
        self.client.closed(NOW);
        while self.client.receive(&mut [].as_slice(), NOW).is_ok_and(|event| event.is_some()) {}
        self.client.connect();
        self.run();
        let mut input = ACCEPTED;
        let mut lost = 0;
        while let Some(event) = self.client.receive(&mut input, NOW).expect("a CONNACK") {
            lost += usize::from(matches!(event, Event::Lost(_)));
        }
        lost
    }

    /// The broker releases all messages, the oldest first.
    #[inline(never)]
    pub(crate) fn release(&mut self, count: usize) {
        for number in 1..=count {
            self.hear(&ack(PUBREL, number as u16));
            self.run();
        }
    }

    /// The broker says `bytes`. Gives the last message that the application has to acknowledge.
    fn hear(&mut self, bytes: &[u8]) -> Option<Delivery> {
        let mut input = bytes;
        let mut delivery = None;
        while let Some(event) = self.client.receive(&mut input, NOW).expect("no fault") {
            if let Event::Message(message) = event {
                delivery = message.delivery;
            }
        }
        assert!(input.is_empty(), "there is room for each message");
        delivery
    }

    /// The driver does all that is due.
    fn run(&mut self) {
        loop {
            match self.client.poll(NOW) {
                Action::Connect { .. } => self.client.connected(NOW),
                Action::Persist(record) => {
                    self.records.push(bytes_of(&record));
                    self.client.persisted();
                }
                Action::Transmit(bytes) => {
                    let count = bytes.len();
                    self.client.transmitted(count, NOW);
                }
                Action::Close(_) | Action::TransmitFrom(_) => self.client.closed(NOW),
                Action::Wait(_) => return,
            }
        }
    }
}
