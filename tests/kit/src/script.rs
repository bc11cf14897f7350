//! A scripted peer in virtual time: it shows the packets and the events of a client as lines of text.

use std::collections::BTreeMap;

use mqtt_core::{
    Client, ConnectionState, Fatal, Instant, Options, Piece, Reason, Record, Slot, SourceFault,
    codec::Packet,
};

use crate::{
    drive::{self, Opening, Persisting, Reading, World},
    record::bytes_of,
    text,
    wire::{PUBCOMP, ack, encoded, take_packets},
};

/// A client with its storage on the heap.
pub type HeapClient = Client<Vec<u8>, Vec<Slot>>;

/// A client, the clock, and the peer's end of the transport.
#[derive(Debug)]
pub struct Script {
    /// The client under test.
    pub client: HeapClient,
    /// Every record that was given and confirmed.
    pub records: Vec<Vec<u8>>,
    now: u64,
    peer: Peer,
}

/// The surroundings of the client, except for its records.
#[derive(Debug)]
struct Peer {
    /// The transport moves at most this many bytes at once.
    piece: usize,
    open: bool,
    /// Sent by the peer, and not taken by the client.
    input: Vec<u8>,
    /// The sources, by their numbers.
    sources: BTreeMap<u32, ScriptedSource>,
    /// Sent by the client, and not shown yet.
    output: Vec<u8>,
    events: Vec<String>,
    fatal: Option<Fatal>,
}

/// A source of payload bytes.
#[derive(Clone, Debug, Default)]
pub struct ScriptedSource {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// From this offset on it has no bytes yet.
    pub pending_from: Option<usize>,
    /// From this offset on it fails so.
    pub fails_from: Option<(usize, SourceFault)>,
    /// The offsets that the client has asked for.
    pub asked: Vec<u32>,
}

impl ScriptedSource {
    fn read(&mut self, offset: u32, space: &mut [u8]) -> Reading {
        self.asked.push(offset);
        let offset = offset as usize;
        let mut end = self.bytes.len().min(offset + space.len());
        if let Some((from, fault)) = self.fails_from {
            if offset >= from {
                return Reading::Failed(fault);
            }
            end = end.min(from);
        }
        if let Some(from) = self.pending_from {
            if offset >= from {
                return Reading::Pending;
            }
            end = end.min(from);
        }
        if offset >= end {
            return Reading::Failed(SourceFault::Length);
        }
        space[..end - offset].copy_from_slice(&self.bytes[offset..end]);
        Reading::Bytes(end - offset)
    }
}

impl Peer {
    fn close(&mut self) {
        self.open = false;
        self.input.clear();
    }

    fn take_events(&mut self, client: &mut HeapClient, now: Instant) {
        let events = &mut self.events;
        let outcome = drive::receive_from(client, &mut self.input, now, |event| {
            events.push(text::event(&event));
        });
        if let Err(fatal) = outcome {
            assert_eq!(self.fatal.replace(fatal), None, "reported once");
        }
    }
}

/// The peer and the journal: the whole world of the client.
struct Outside<'s> {
    peer: &'s mut Peer,
    records: &'s mut Vec<Vec<u8>>,
}

impl World<Vec<u8>, Vec<Slot>> for Outside<'_> {
    fn before(&mut self, client: &mut HeapClient, now: Instant) {
        self.peer.take_events(client, now);
    }

    fn connect(&mut self, _endpoint: u8) -> Opening {
        self.peer.open = true;
        Opening::Open
    }

    fn close(&mut self, _reason: Reason) {
        self.peer.close();
    }

    fn persist(&mut self, record: &Record<'_>) -> Persisting {
        self.records.push(bytes_of(record));
        Persisting::Durable
    }

    fn read(&mut self, piece: &Piece<'_>, space: &mut [u8]) -> Reading {
        match self.peer.sources.get_mut(&piece.source.get()) {
            Some(source) => source.read(piece.offset, space),
            None => Reading::Failed(SourceFault::Gone),
        }
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.peer.piece);
        self.peer.output.extend_from_slice(&bytes[..taken]);
        taken
    }
}

/// # Panics
///
/// A test fails by panicking: the options do not fit the storage, the client sends no packets, or it does something
/// that the script does not expect.
impl Script {
    /// A client with an outbox of 1024 bytes and a window of 8.
    #[must_use]
    pub fn new(options: &Options<'_>) -> Self {
        Self::sized(options, 1024, 8)
    }

    /// A client with storage of this size.
    #[must_use]
    pub fn sized(options: &Options<'_>, outbox: usize, window: usize) -> Self {
        let client = HeapClient::new(options, vec![0; outbox], vec![Slot::EMPTY; window]).unwrap();
        let peer = Peer {
            piece: usize::MAX,
            open: false,
            input: Vec::new(),
            sources: BTreeMap::new(),
            output: Vec::new(),
            events: Vec::new(),
            fatal: None,
        };
        Self { client, records: Vec::new(), now: 0, peer }
    }

    /// A client that the broker has accepted, and nothing was sent or reported since.
    #[must_use]
    pub fn up(options: &Options<'_>) -> Self {
        let mut script = Self::new(options);
        script.accept(crate::wire::ACCEPTED);
        script
    }

    /// From now on the transport moves at most `piece` bytes at once.
    #[must_use]
    pub fn in_pieces_of(mut self, piece: usize) -> Self {
        self.peer.piece = piece;
        self
    }

    /// The source of this number; an empty one at first.
    pub fn source(&mut self, number: u32) -> &mut ScriptedSource {
        self.peer.sources.entry(number).or_default()
    }

    /// The application has no source of this number any more.
    pub fn forget_source(&mut self, number: u32) {
        self.peer.sources.remove(&number);
    }

    /// The bytes that were sent and are not a whole packet yet.
    #[must_use]
    pub fn sent_in_part(&self) -> &[u8] {
        &self.peer.output
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Lets `millis` pass. The driver does nothing meanwhile.
    pub fn later(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Connects to a broker that answers `connack`, and answers the PUBRELs of a session that was found. Forgets the
    /// packets and the events of this time.
    pub fn accept(&mut self, connack: &[u8]) {
        self.run();
        assert!(self.peer.open, "the client asks for a connection: {:?}", self.client.state());
        self.hear(connack);
        self.let_reclaim();
        self.told();
        assert_eq!(self.client.state(), ConnectionState::Up);
    }

    /// Answers the PUBRELs with which a client reclaims the packet ids of a session that it did not open. Forgets the
    /// packets before.
    pub fn let_reclaim(&mut self) {
        for sent in self.sent() {
            if let Some(id) = sent.strip_prefix("PUBREL ") {
                self.hear(&ack(PUBCOMP, id.parse().unwrap()));
            }
        }
    }

    /// Breaks the connection, and connects again to a broker that answers `connack`. Returns the packets that are sent
    /// after the CONNECT.
    pub fn reconnect(&mut self, connack: &[u8]) -> Vec<String> {
        self.cut();
        self.peer.output.clear();
        self.told();
        self.later(1_000_000);
        self.run();
        self.hear(connack);
        let mut sent = self.sent();
        assert!(sent.remove(0).starts_with("CONNECT"));
        sent
    }

    /// Carries out the actions of the client until it waits. Returns the end of the wait.
    pub fn run(&mut self) -> Instant {
        let now = self.now();
        let mut outside = Outside { peer: &mut self.peer, records: &mut self.records };
        let until = drive::drive(&mut self.client, &mut outside, now);
        self.peer.take_events(&mut self.client, now);
        until.expect("the transport takes bytes")
    }

    /// Gives the client the bytes that came, and carries out no action.
    pub fn listen(&mut self) {
        let now = self.now();
        self.peer.take_events(&mut self.client, now);
    }

    /// The broker sends `bytes`.
    pub fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.peer.piece.min(bytes.len().max(1))) {
            self.peer.input.extend_from_slice(piece);
            self.run();
        }
    }

    /// The broker sends `packet`.
    pub fn hear_packet(&mut self, packet: Packet<'_>) {
        let bytes = encoded(packet, self.client.protocol());
        self.hear(&bytes);
    }

    /// The transport breaks.
    pub fn cut(&mut self) {
        let now = self.now();
        self.peer.close();
        self.client.closed(now);
        self.peer.take_events(&mut self.client, now);
    }

    /// The error that `receive` returned.
    pub fn fatal(&mut self) -> Option<Fatal> {
        self.peer.fatal.take()
    }

    /// Whether the transport is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.peer.open
    }

    /// Bytes that the client has not taken.
    #[must_use]
    pub fn untaken(&self) -> usize {
        self.peer.input.len()
    }

    /// The events since the last call.
    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.peer.events)
    }

    /// The packets that were sent since the last call. A packet in part stays.
    pub fn sent(&mut self) -> Vec<String> {
        let mut packets = Vec::new();
        let protocol = self.client.protocol();
        take_packets(&mut self.peer.output, protocol, |packet| packets.push(text::packet(&packet)));
        packets
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::{Options, Publish, QoS, topic};

    use super::Script;
    use crate::wire::{PUBACK, ack};

    #[test]
    fn packets_and_events_are_shown_as_text() {
        let mut script = Script::up(&Options::new("me").clean_session(false)).in_pieces_of(3);
        let publish = Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce);
        assert!(script.client.publish(&publish).is_ok());
        script.run();
        assert_eq!(script.sent(), ["PUBLISH t 1 q1 1"]);
        script.hear(&ack(PUBACK, 1));
        assert_eq!(script.told(), ["published 1"]);
    }
}
