//! A client, a journal in flash, and a broker that answers everything, in virtual time.

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use mqtt_core::{
    Client, Instant, Options, PacketId, Protocol, Publish, QoS, Reason, Record, RequestError, Slot,
    codec::Packet,
    driver::journal::{
        Journal, ReplayError,
        flash::{FlashError, FlashJournal, Scratch},
        replay,
    },
    filter, topic,
};
use test_kit::{
    drive::{Persisting, World, drive, receive_from},
    record::{self, bytes_of},
    script::HeapClient,
    wire::{PUBREL, ack, answer_to, connack, encoded, take_packets},
};

use crate::nor::{Nor, PowerCut};

/// The output of a future that never waits; `None` if it waits.
pub(crate) fn run<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(crate) fn now<F: Future>(future: F) -> F::Output {
    run(future).expect("flash in RAM makes nobody wait")
}

pub(crate) fn options() -> Options<'static> {
    Options::new("d").clean_session(false).journal(true)
}

/// The session that `records` restore, as the snapshot of a client that was given them.
pub(crate) fn session(records: &[Vec<u8>], outbox: usize, window: usize) -> Vec<u8> {
    let mut client = Client::new(&options(), vec![0; outbox], vec![Slot::EMPTY; window]).unwrap();
    for record in records {
        client.restore(record).unwrap();
    }
    snapshot(&mut client)
}

pub(crate) fn snapshot(client: &mut HeapClient) -> Vec<u8> {
    record::snapshot(client, Instant::from_millis(0))
}

pub(crate) struct Device<const READ: usize, const WORD: usize, const PAGE: usize, const S: usize> {
    pub(crate) client: HeapClient,
    pub(crate) journal: FlashJournal<Nor<READ, WORD, PAGE>, Scratch<S>>,
    pub(crate) millis: u64,
    pub(crate) peer: Peer,
    /// Every record that was confirmed.
    pub(crate) records: Vec<Vec<u8>>,
    /// The record that is being written.
    pub(crate) under_way: Option<Vec<u8>>,
}

impl<const READ: usize, const WORD: usize, const PAGE: usize, const S: usize>
    Device<READ, WORD, PAGE, S>
{
    pub(crate) fn new(
        options: &Options<'_>,
        outbox: usize,
        window: usize,
        flash: Nor<READ, WORD, PAGE>,
    ) -> Self {
        let range = 0..flash.len();
        Self {
            client: Client::new(options, vec![0; outbox], vec![Slot::EMPTY; window]).unwrap(),
            journal: FlashJournal::new(flash, range, Scratch::new()).unwrap(),
            millis: 0,
            peer: Peer::default(),
            records: Vec::new(),
            under_way: None,
        }
    }

    /// Rebuilds the session from the journal. Returns the records that the journal holds.
    pub(crate) fn replay(&mut self) -> Result<Vec<Vec<u8>>, ReplayError<FlashError<PowerCut>>> {
        now(replay(&mut self.journal, &mut self.client))?;
        let mut records = Vec::new();
        now(self.journal.read(|record| {
            records.push(record.to_vec());
            Ok(())
        }))?;
        Ok(records)
    }

    pub(crate) const fn flash(&self) -> &Nor<READ, WORD, PAGE> {
        self.journal.flash()
    }

    pub(crate) fn publish(&mut self, payload: &[u8], qos: QoS) -> Result<(), RequestError> {
        self.client.publish(&Publish::new(topic!("meter/power"), payload).qos(qos)).map(|_| ())
    }

    pub(crate) fn subscribe(&mut self) {
        let _ = self.client.subscribe(&[(filter!("a/#"), QoS::ExactlyOnce)]).unwrap();
    }

    /// The broker publishes.
    pub(crate) fn hear(&mut self, id: u16, payload: &[u8]) {
        let publish = Publish::new(topic!("a/b"), payload).qos(QoS::ExactlyOnce);
        let publish = Packet::Publish(Publish { id: PacketId::new(id), ..publish });
        self.peer.incoming.extend(encoded(publish, self.client.protocol()));
    }

    /// Does all that is due now. Power must not fail meanwhile.
    pub(crate) fn drive(&mut self) {
        self.try_drive().unwrap();
    }

    /// Does all that is due now, or stops with the error if the journal fails.
    pub(crate) fn try_drive(&mut self) -> Result<(), FlashError<PowerCut>> {
        let now = Instant::from_millis(self.millis);
        let Self { client, journal, peer, records, under_way, .. } = self;
        let mut outside = Outside { journal, peer, records, under_way, error: None };
        drive(client, &mut outside, now);
        outside.error.map_or(Ok(()), Err)
    }
}

/// The broker. It answers everything.
#[derive(Default)]
pub(crate) struct Peer {
    /// Sent to the client, and not taken yet.
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// It has a session.
    pub(crate) present: bool,
}

/// The world of the client for the time of one drive.
struct Outside<'d, J> {
    journal: &'d mut J,
    peer: &'d mut Peer,
    records: &'d mut Vec<Vec<u8>>,
    under_way: &'d mut Option<Vec<u8>>,
    error: Option<FlashError<PowerCut>>,
}

impl<J: Journal<Error = FlashError<PowerCut>>> World<Vec<u8>, Vec<Slot>> for Outside<'_, J> {
    fn before(&mut self, client: &mut HeapClient, now: Instant) {
        receive_from(client, &mut self.peer.incoming, now, |_| {}).unwrap();
        if self.journal.is_long() {
            client.compact();
        }
    }

    fn close(&mut self, reason: Reason) {
        panic!("closed: {reason}");
    }

    fn persist(&mut self, record: &Record<'_>) -> Persisting {
        let bytes = bytes_of(record);
        *self.under_way = Some(bytes.clone());
        if let Err(error) = now(self.journal.append(record)) {
            self.error = Some(error);
            return Persisting::NotYet;
        }
        *self.under_way = None;
        self.records.push(bytes);
        Persisting::Durable
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let Peer { incoming, outgoing, present } = self.peer;
        outgoing.extend(bytes);
        take_packets(outgoing, Protocol::V311, |packet| match packet {
            Packet::Connect(_) => {
                incoming.extend(connack(*present));
                *present = true;
            }
            Packet::PubRec(id) => incoming.extend(ack(PUBREL, id.get())),
            other => incoming.extend(answer_to(&other).into_iter().flatten()),
        });
        bytes.len()
    }
}
