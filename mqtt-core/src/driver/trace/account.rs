//! [`Account`]: what went over links, in words, a line for each packet.
//!
//! It decodes the bytes that were read and written, so it cannot differ from the connection.

use std::{
    borrow::ToOwned as _,
    boxed::Box,
    fmt, format,
    io::{self, Write},
    path::Path,
    string::String,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
    vec::Vec,
};

use super::{
    Conversation, End, Sink, describe,
    output::{Output, create},
};
use crate::codec::{Decoded, Header, Packet, PacketType, Protocol, PublishHead, Violation};

/// A longer PUBLISH is shown without its payload, as soon as its head has come.
const KEPT_WHOLE: usize = 1024;

/// Writes lines: seconds since the start, name of the client, text.
///
/// ```text
///   0.001 s  meter  -- connection to localhost:1883 open
///   0.001 s  meter  -> CONNECT client id "meter-4", MQTT 3.1.1, keep alive 60 s, clean session
///   0.004 s  meter  <- CONNACK accepted, session new
/// ```
///
/// A password is never shown. A payload is shown by its length and its first 40 bytes. Clones are the same account.
#[derive(Clone)]
pub struct Account {
    client: String,
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    output: Mutex<Output>,
    packets: AtomicUsize,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Account {
    /// The account of the client called `client`; time starts now. Each line is one write to `output`, with a flush
    /// behind it.
    #[must_use]
    pub fn new(client: &str, output: impl Write + Send + 'static) -> Self {
        let shared = Shared {
            start: Instant::now(),
            output: Mutex::new(Output::new(output)),
            packets: AtomicUsize::new(0),
        };
        Self { client: client.into(), shared: Arc::new(shared) }
    }

    /// As [`new`](Self::new), in a file that only its owner can read. A file that is there is emptied, and gets the same
    /// permissions.
    ///
    /// # Errors
    ///
    /// The file cannot be made, or belongs to somebody else.
    pub fn create(client: &str, path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(client, create(path.as_ref())?))
    }

    /// The account of another client, with the same clock, output and count of packets.
    #[must_use]
    pub fn of(&self, client: &str) -> Self {
        Self { client: client.into(), shared: Arc::clone(&self.shared) }
    }

    /// Writes a line that is not about a packet.
    pub fn tell(&self, what: &str) {
        let seconds = self.shared.start.elapsed().as_secs_f64();
        let line = format!("{seconds:7.3} s  {:<6} {what}\n", self.client);
        self.output().write(line.as_bytes());
    }

    /// Packets shown so far.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.shared.packets.load(Ordering::Relaxed)
    }

    /// The error that ended the account, if there was one. It is given once.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        self.output().take_error()
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.shared.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn packet(&self, arrow: &str, line: Result<String, Violation>) {
        match line {
            Ok(line) => {
                self.shared.packets.fetch_add(1, Ordering::Relaxed);
                self.tell(&format!("{arrow} {line}"));
            }
            Err(violation) => {
                self.tell(&format!("{arrow} no packet: {violation} [{}]", violation.statement()));
            }
        }
    }
}

impl Sink for Account {
    fn open(&self, peer: &str) -> Box<dyn Conversation> {
        self.tell(&format!("-- connection to {peer} open"));
        Box::new(Connection {
            account: self.clone(),
            protocol: Protocol::V311,
            sent: Direction::default(),
            received: Direction::default(),
        })
    }

    fn not_open(&self, peer: &str, error: &io::Error) {
        self.tell(&format!("-- no connection to {peer}: {error}"));
    }
}

/// The two directions of one connection.
struct Connection {
    account: Account,
    /// The version in the CONNECT.
    protocol: Protocol,
    sent: Direction,
    received: Direction,
}

impl Conversation for Connection {
    fn sent(&mut self, bytes: &[u8]) {
        let Self { account, protocol, sent, .. } = self;
        sent.take(bytes, protocol, |line| account.packet("->", line));
    }

    fn received(&mut self, bytes: &[u8]) {
        let Self { account, protocol, received, .. } = self;
        received.take(bytes, protocol, |line| account.packet("<-", line));
    }

    /// After a DISCONNECT both sides close the connection, and nobody has to know who was first.
    fn ended(&mut self, end: &End<'_>) {
        let how = match end {
            _ if self.sent.has_disconnect => "closed".to_owned(),
            End::ByClient => "closed by the client".to_owned(),
            End::ByBroker => "closed by the broker".to_owned(),
            End::Failed(error) => format!("broken: {error}"),
        };
        self.account.tell(&format!("-- connection {how}"));
    }
}

/// One direction, with the packet that is not whole yet.
#[derive(Default)]
struct Direction {
    pending: Vec<u8>,
    /// Missing bytes of a payload that is not shown.
    skip: usize,
    /// A rule was broken, so the bytes that follow cannot be decoded.
    broken: bool,
    has_disconnect: bool,
}

/// The front of the pending bytes.
struct Told {
    line: String,
    /// Bytes of the packet, some of which may not have come yet.
    len: usize,
    is_disconnect: bool,
}

/// Without the bytes: a CONNECT may hold a password.
impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pending, skip, broken, has_disconnect } = self;
        let mut shown = f.debug_struct("Direction");
        shown.field("pending", &pending.len()).field("skip", skip).field("broken", broken);
        shown.field("has_disconnect", has_disconnect).finish()
    }
}

impl Direction {
    fn take(
        &mut self,
        bytes: &[u8],
        protocol: &mut Protocol,
        mut each: impl FnMut(Result<String, Violation>),
    ) {
        if self.broken {
            return;
        }
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.pending.extend(bytes.iter().skip(skipped));
        let mut done = 0;
        while let Some(rest) = self.pending.get(done..).filter(|rest| !rest.is_empty()) {
            match front(rest, protocol) {
                Ok(Some(Told { line, len, is_disconnect })) => {
                    each(Ok(line));
                    self.has_disconnect |= is_disconnect;
                    self.skip = len.saturating_sub(rest.len());
                    done += len - self.skip;
                }
                Ok(None) => break,
                Err(violation) => {
                    each(Err(violation));
                    self.broken = true;
                    break;
                }
            }
        }
        self.pending.drain(..done);
    }
}

/// The packet at the front of `bytes`; `None` if too little of it has come.
fn front(bytes: &[u8], protocol: &mut Protocol) -> Result<Option<Told>, Violation> {
    let Some(header) = Header::decode(bytes)? else { return Ok(None) };
    let len = header.frame_len();
    if len > KEPT_WHOLE && PacketType::from_first(header.first())? == PacketType::Publish {
        let body = bytes.get(header.header_len()..).unwrap_or_default();
        let head = PublishHead::decode(header.first(), header.remaining(), body)?;
        return Ok(head.map(|head| {
            let line = describe::publish_head(&head);
            Told { line, len, is_disconnect: false }
        }));
    }
    match Packet::decode(bytes, *protocol)? {
        Decoded::NeedMore(_) => Ok(None),
        Decoded::Packet { packet, len } => {
            if let Packet::Connect(connect) = &packet {
                *protocol = connect.protocol;
            }
            let is_disconnect = matches!(packet, Packet::Disconnect);
            Ok(Some(Told { line: describe::packet(&packet), len, is_disconnect }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::{codec::Publish, topic};

    /// The account of `bytes` that come in pieces of `piece` bytes.
    fn told(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut direction, mut protocol, mut lines) =
            (Direction::default(), Protocol::V311, Vec::new());
        for part in bytes.chunks(piece) {
            direction.take(part, &mut protocol, |line| {
                lines.push(line.unwrap_or_else(|violation| violation.statement().into()));
            });
        }
        lines
    }

    #[test]
    fn packets_are_shown_wherever_the_stream_is_cut() {
        let payload = [b'x'; 3000];
        let mut bytes = vec![0x20, 2, 0, 0, 0xD0, 0];
        for payload in [&payload[..10], &payload[..]] {
            let publish = Publish::new(topic!("t"), payload);
            let start = bytes.len();
            bytes.resize(start + publish.encoded_len().expect("it has a form"), 0);
            let room = bytes.get_mut(start..).expect("just made");
            publish.encode(room).expect("it has room");
        }
        bytes.extend([0x40, 2, 0, 9]);
        let whole = [
            "CONNACK accepted, session new",
            "PINGRESP",
            "PUBLISH \"t\", QoS 0, 10 bytes: \"xxxxxxxxxx\"",
            "PUBLISH \"t\", QoS 0, 3000 bytes",
            "PUBACK id 9",
        ];
        for piece in [1, 2, 3, 7, 100, bytes.len()] {
            assert_eq!(told(&bytes, piece), whole, "{piece} bytes at a time");
        }
    }

    #[test]
    fn the_bytes_that_wait_are_not_in_the_debug_text() {
        let mut direction = Direction::default();
        direction.take(b"\x10\x7Fmarker", &mut Protocol::V311, |_| panic!("it is not whole"));
        let shown = format!("{direction:?}");
        assert!(!shown.contains("109") && shown.contains("pending: 8"), "{shown}");
    }

    #[test]
    fn a_broken_rule_is_shown_once_and_ends_the_account() {
        assert_eq!(told(&[0xD0, 0, 0xF0, 0, 0xD0, 0], 1), ["PINGRESP", "MQTT-4.8.0-1"]);
    }

    #[test]
    fn the_version_of_the_connect_applies_to_later_packets() {
        // MQTT 3.1 allows DUP in a SUBSCRIBE.
        let subscribe = [0x8A, 6, 0, 1, 0, 1, b'a', 0];
        let connect = b"\x10\x0F\0\x06MQIsdp\x03\x02\0\0\0\x01c";
        let lines = told(&[&connect[..], &subscribe].concat(), 5);
        assert_eq!(
            lines.last().map(String::as_str),
            Some("SUBSCRIBE id 1: \"a\" at QoS 0, again (DUP)")
        );
        assert_eq!(told(&subscribe, 5), ["MQTT-2.2.2-2"]);
    }
}
