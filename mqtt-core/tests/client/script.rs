//! A scripted peer in virtual time: what a client sends, and what it tells, as lines of text.

use mqtt_core::{
    Action, Client, ConnectionState, Event, Fatal, Instant, Options, Record, Slot,
    codec::{Decoded, Packet},
};

pub(crate) type HeapClient = Client<Vec<u8>, Vec<Slot>>;

/// A client, the clock, and how the transport cuts its bytes.
pub(crate) struct Script {
    pub(crate) client: HeapClient,
    now: u64,
    /// The transport takes and gives at most so many bytes at once.
    piece: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    told: Vec<String>,
    fatal: Option<Fatal>,
    open: bool,
    /// Every record that was given and confirmed.
    pub(crate) records: Vec<Vec<u8>>,
}

pub(crate) const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];
pub(crate) const ACCEPTED_SESSION_PRESENT: &[u8] = &[0x20, 2, 1, 0];

impl Script {
    pub(crate) fn new(options: &Options<'_>) -> Self {
        Self::sized(options, 1024, 8)
    }

    pub(crate) fn sized(options: &Options<'_>, bytes: usize, window: usize) -> Self {
        let client = HeapClient::new(options, vec![0; bytes], vec![Slot::EMPTY; window])
            .expect("the options fit");
        Self {
            client,
            now: 0,
            piece: usize::MAX,
            input: Vec::new(),
            output: Vec::new(),
            told: Vec::new(),
            fatal: None,
            open: false,
            records: Vec::new(),
        }
    }

    /// A client that the broker has accepted, with nothing sent or told since.
    pub(crate) fn up(options: &Options<'_>) -> Self {
        let mut script = Self::new(options);
        script.accept(ACCEPTED);
        script
    }

    /// The transport moves at most `piece` bytes at once from now on.
    pub(crate) fn in_pieces_of(mut self, piece: usize) -> Self {
        self.piece = piece;
        self
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Lets `millis` pass without looking.
    pub(crate) fn later(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Connects, has the broker answer `connack`, and the PUBRELs of a session that was found, and forgets what was said
    /// meanwhile.
    pub(crate) fn accept(&mut self, connack: &[u8]) {
        self.run();
        assert!(self.open, "the client asks for a connection: {:?}", self.client.state());
        self.hear(connack);
        for sent in self.sent() {
            if let Some(id) = sent.strip_prefix("PUBREL ") {
                self.hear(&ack(PUBCOMP, id.parse().expect("a packet id")));
            }
        }
        self.told();
        assert_eq!(self.client.state(), ConnectionState::Up);
    }

    /// Breaks the connection and comes back to a broker that answers `connack`; gives what is sent behind the CONNECT.
    pub(crate) fn reconnect(&mut self, connack: &[u8]) -> Vec<String> {
        self.cut();
        self.output.clear();
        self.told();
        self.later(1_000_000);
        self.run();
        self.hear(connack);
        let mut sent = self.sent();
        assert!(sent.remove(0).starts_with("CONNECT"));
        sent
    }

    /// Carries out what the client says until it waits; gives until when.
    pub(crate) fn run(&mut self) -> Instant {
        for _ in 0..1_000_000 {
            self.take_events();
            match self.client.poll(Instant::from_millis(self.now)) {
                Action::Connect { .. } => {
                    self.open = true;
                    self.client.connected(Instant::from_millis(self.now));
                }
                Action::Close(_) => self.cut_quietly(),
                Action::Persist(record) => {
                    self.records.push(bytes_of(&record));
                    self.client.persisted();
                }
                Action::Transmit(bytes) => {
                    let taken = bytes.len().min(self.piece);
                    self.output.extend_from_slice(&bytes[..taken]);
                    self.client.transmitted(taken, Instant::from_millis(self.now));
                }
                Action::Wait(until) => {
                    self.take_events();
                    return until;
                }
            }
        }
        panic!("no end of actions");
    }

    /// The broker sends `bytes`.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece.min(bytes.len().max(1))) {
            self.input.extend_from_slice(piece);
            self.run();
        }
    }

    /// The broker sends `packet`.
    pub(crate) fn hear_packet(&mut self, packet: Packet<'_>) {
        let protocol = self.client.protocol();
        let mut bytes = vec![0; packet.encoded_len().expect("a packet of a test")];
        packet.encode(&mut bytes, protocol).expect("a packet of a test");
        self.hear(&bytes);
    }

    /// The transport breaks.
    pub(crate) fn cut(&mut self) {
        self.cut_quietly();
        self.take_events();
    }

    fn cut_quietly(&mut self) {
        self.open = false;
        self.input.clear();
        self.client.closed(Instant::from_millis(self.now));
    }

    fn take_events(&mut self) {
        let now = Instant::from_millis(self.now);
        let mut input = &self.input[..];
        loop {
            match self.client.receive(&mut input, now) {
                Ok(Some(event)) => self.told.push(tell(&event)),
                Ok(None) => break,
                Err(fatal) => {
                    assert_eq!(self.fatal.replace(fatal), None, "said once");
                    break;
                }
            }
        }
        let left = input.len();
        self.input.drain(..self.input.len() - left);
    }

    /// The error that `receive` gave.
    pub(crate) fn fatal(&mut self) -> Option<Fatal> {
        self.fatal.take()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Bytes that the client has not taken.
    pub(crate) fn untaken(&self) -> usize {
        self.input.len()
    }

    /// The events since the last call.
    pub(crate) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// The packets sent since the last call; a partial one stays.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let protocol = self.client.protocol();
        let mut packets = Vec::new();
        let mut at = 0;
        while let Decoded::Packet { packet, len } =
            Packet::decode(&self.output[at..], protocol).expect("a client sends packets")
        {
            packets.push(show(&packet));
            at += len;
        }
        self.output.drain(..at);
        packets
    }
}

/// A record as a driver writes it.
pub(crate) fn bytes_of(record: &Record<'_>) -> Vec<u8> {
    let bytes: Vec<u8> = record.chunks().flat_map(|chunk| chunk.as_ref().to_vec()).collect();
    assert_eq!(bytes.len(), record.len());
    bytes
}

/// An event as a line.
pub(crate) fn tell(event: &Event<'_>) -> String {
    match event {
        Event::Message(m) => format!(
            "message {} {} q{}{}{}",
            m.topic,
            m.payload.escape_ascii(),
            m.qos as u8,
            flag(m.retain, " retained"),
            flag(m.dup, " dup"),
        ),
        Event::MessageStart(m) => format!("start {} {} q{}", m.topic, m.payload_len, m.qos as u8),
        Event::MessageChunk(chunk) => format!("chunk {}", chunk.escape_ascii()),
        Event::MessageEnd { .. } => "end".to_string(),
        Event::Published(handle) => format!("published {}", id(handle.packet_id())),
        Event::Subscribed { handle, granted } => {
            format!("subscribed {} {:?}", id(handle.packet_id()), granted.as_bytes())
        }
        Event::Unsubscribed(handle) => format!("unsubscribed {}", id(handle.packet_id())),
        Event::Lost(handle) => format!("lost {}", id(handle.packet_id())),
        Event::Dropped(handle) => format!("dropped {}", id(handle.packet_id())),
        Event::Renewed { granted } => format!("renewed {:?}", granted.as_bytes()),
        Event::Up { session, protocol } => format!("up {session:?} {protocol:?}"),
        Event::Down(reason) => format!("down: {reason}"),
        Event::Connecting { endpoint } => format!("connecting {endpoint}"),
        other => panic!("an event that no test knows: {other:?}"),
    }
}

/// A packet as a line.
pub(crate) fn show(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => format!(
            "CONNECT {:?} {}{}",
            connect.protocol,
            connect.client_id,
            flag(connect.clean_session, " clean")
        ),
        Packet::Publish(p) => format!(
            "PUBLISH {} {} q{}{}{}{}",
            p.topic,
            p.payload.escape_ascii(),
            p.qos as u8,
            p.id.map_or(String::new(), |id| format!(" {}", id.get())),
            flag(p.retain, " retain"),
            flag(p.dup, " dup"),
        ),
        Packet::PubAck(id) => format!("PUBACK {}", id.get()),
        Packet::PubRec(id) => format!("PUBREC {}", id.get()),
        Packet::PubRel { id, dup } => format!("PUBREL {}{}", id.get(), flag(*dup, " dup")),
        Packet::PubComp(id) => format!("PUBCOMP {}", id.get()),
        Packet::Subscribe(s) => {
            let filters: Vec<_> =
                s.filters().map(|(filter, qos)| format!(" {filter}:{}", qos as u8)).collect();
            format!("SUBSCRIBE {}{}{}", s.id.get(), filters.concat(), flag(s.dup, " dup"))
        }
        Packet::Unsubscribe(u) => {
            let filters: Vec<_> = u.filters().map(|filter| format!(" {filter}")).collect();
            format!("UNSUBSCRIBE {}{}{}", u.id.get(), filters.concat(), flag(u.dup, " dup"))
        }
        Packet::PingReq => "PINGREQ".to_string(),
        Packet::Disconnect => "DISCONNECT".to_string(),
        Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
            panic!("no client sends {packet:?}")
        }
    }
}

fn flag(set: bool, text: &str) -> &str {
    if set { text } else { "" }
}

fn id(id: Option<mqtt_core::PacketId>) -> String {
    id.map_or("-".to_string(), |id| id.get().to_string())
}

/// The four bytes of an acknowledgement.
pub(crate) fn ack(first: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [first, 2, high, low]
}

pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;
pub(crate) const UNSUBACK: u8 = 0xB0;
