//! A client, a journal in flash, and a broker that answers everything, in virtual time.

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use mqtt_core::{
    Action, Client, Instant, Options, PacketId, Publish, QoS, Record, RequestError, Slot,
    codec::{Decoded, Packet},
    driver::journal::{
        Journal, ReplayError,
        flash::{FlashError, FlashJournal, Scratch},
        replay,
    },
    filter, topic,
};

use crate::nor::{Nor, PowerCut};

pub(crate) type HeapClient = Client<Vec<u8>, Vec<Slot>>;

/// What comes of a future that never waits; `None` where it does.
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

pub(crate) fn bytes_of(record: &Record<'_>) -> Vec<u8> {
    record.chunks().flat_map(|chunk| chunk.as_ref().to_vec()).collect()
}

/// All that is to be known of the session that `records` tell of: the snapshot of a client that they were given to.
pub(crate) fn session(records: &[Vec<u8>], outbox: usize, window: usize) -> Vec<u8> {
    let mut client = Client::new(&options(), vec![0; outbox], vec![Slot::EMPTY; window]).unwrap();
    for record in records {
        client.restore(record).unwrap();
    }
    snapshot(&mut client)
}

pub(crate) fn snapshot(client: &mut HeapClient) -> Vec<u8> {
    client.compact();
    for _ in 0..2 {
        match client.poll(Instant::from_millis(0)) {
            Action::Connect { .. } => {}
            Action::Persist(record) => return bytes_of(&record),
            action => panic!("{action:?}"),
        }
    }
    panic!("no record");
}

pub(crate) struct Device<const READ: usize, const WORD: usize, const PAGE: usize, const S: usize> {
    pub(crate) client: HeapClient,
    pub(crate) journal: FlashJournal<Nor<READ, WORD, PAGE>, Scratch<S>>,
    pub(crate) millis: u64,
    /// What the broker says next.
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The broker has a session.
    pub(crate) present: bool,
    /// Every record that was confirmed.
    pub(crate) records: Vec<Vec<u8>>,
    /// The one that is being written.
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
            incoming: Vec::new(),
            outgoing: Vec::new(),
            present: false,
            records: Vec::new(),
            under_way: None,
        }
    }

    /// Rebuilds the session from the journal; gives the records that it holds.
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
        self.say(Packet::Publish(Publish { id: PacketId::new(id), ..publish }));
    }

    fn say(&mut self, packet: Packet<'_>) {
        let mut bytes = vec![0; packet.encoded_len().unwrap()];
        packet.encode(&mut bytes, self.client.protocol()).unwrap();
        self.incoming.extend(bytes);
    }

    /// Power has to last for as long as there is something to do now.
    pub(crate) fn drive(&mut self) {
        self.try_drive().unwrap();
    }

    /// Until there is nothing to do now, or the journal fails.
    pub(crate) fn try_drive(&mut self) -> Result<(), FlashError<PowerCut>> {
        loop {
            let now_is = Instant::from_millis(self.millis);
            let heard = std::mem::take(&mut self.incoming);
            let mut input = &heard[..];
            while self.client.receive(&mut input, now_is).unwrap().is_some() {}
            self.incoming = input.to_vec();
            if self.journal.is_long() {
                self.client.compact();
            }
            match self.client.poll(now_is) {
                Action::Connect { .. } => self.client.connected(now_is),
                Action::Close(_) => self.client.closed(now_is),
                Action::Persist(record) => {
                    let bytes = bytes_of(&record);
                    self.under_way = Some(bytes.clone());
                    now(self.journal.append(&record))?;
                    self.client.persisted();
                    self.under_way = None;
                    self.records.push(bytes);
                }
                Action::Transmit(bytes) => {
                    let count = bytes.len();
                    self.outgoing.extend(bytes);
                    self.client.transmitted(count, now_is);
                    self.answer();
                }
                Action::Wait(_) => return Ok(()),
            }
        }
    }

    fn answer(&mut self) {
        let sent = std::mem::take(&mut self.outgoing);
        let mut rest = &sent[..];
        while let Decoded::Packet { packet, len } =
            Packet::decode(rest, self.client.protocol()).unwrap()
        {
            rest = &rest[len..];
            match packet {
                Packet::Connect(_) => {
                    self.incoming.extend([0x20, 2, u8::from(self.present), 0]);
                    self.present = true;
                }
                Packet::Publish(Publish { id: Some(id), qos, .. }) => self.say(match qos {
                    QoS::ExactlyOnce => Packet::PubRec(id),
                    _ => Packet::PubAck(id),
                }),
                Packet::PubRec(id) => self.say(Packet::PubRel { id, dup: false }),
                Packet::PubRel { id, .. } => self.say(Packet::PubComp(id)),
                Packet::Subscribe(subscribe) => {
                    let [high, low] = subscribe.id.get().to_be_bytes();
                    self.incoming.extend([0x90, 3, high, low, 2]);
                }
                _ => {}
            }
        }
        self.outgoing = rest.to_vec();
    }
}
