//! A readable account of the packets on a connection.
//!
//! [`Account`] writes lines. A [`Conversation`] belongs to one connection and writes a line for each packet, in both
//! directions. It decodes the bytes that were read and written, so the account cannot differ from the connection.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use mqtt_core::{
    Protocol, Violation,
    codec::{Decoded, Header, Packet, PacketType, PublishHead},
};

use crate::describe;

/// A longer PUBLISH is shown without its payload, as soon as its head has come.
const KEPT_WHOLE: usize = 1024;

/// Writes lines: seconds since the start, name of the client, text.
#[derive(Clone)]
pub struct Account {
    name: String,
    start: Instant,
    print: fn(&str),
    packets: Arc<AtomicUsize>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Account {
    /// The account of the client called `name`; time starts now. Each line goes to `print`.
    #[must_use]
    pub fn new(name: &str, print: fn(&str)) -> Self {
        Self { name: name.into(), start: Instant::now(), print, packets: Arc::default() }
    }

    /// The account of another client, with the same clock, printer and count of packets.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// Writes a line that is not about a packet.
    pub fn tell(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        (self.print)(&format!("{seconds:7.3} s  {:<6} {what}", self.name));
    }

    /// Packets shown so far.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.packets.load(Ordering::Relaxed)
    }
}

/// The two directions of one connection; clones share it.
#[derive(Clone, Debug)]
pub struct Conversation(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    account: Account,
    /// The version in the CONNECT.
    protocol: Protocol,
    sent: Stream,
    received: Stream,
    closed: bool,
}

impl Conversation {
    /// A new connection in `account`.
    #[must_use]
    pub fn new(account: &Account) -> Self {
        Self(Arc::new(Mutex::new(State {
            account: account.clone(),
            protocol: Protocol::V311,
            sent: Stream::default(),
            received: Stream::default(),
            closed: false,
        })))
    }

    /// Sends through `send`, which returns the number of sent bytes, and shows them. An answer cannot be shown before.
    ///
    /// # Errors
    ///
    /// The error of `send`.
    pub fn send<E>(
        &self,
        bytes: &[u8],
        send: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut state = self.lock();
        let count = send(bytes)?;
        let State { account, protocol, sent, .. } = &mut *state;
        sent.take(bytes.get(..count).unwrap_or(bytes), protocol, |line| tell(account, "->", line));
        Ok(count)
    }

    /// Shows received bytes.
    pub fn received(&self, bytes: &[u8]) {
        let mut state = self.lock();
        let State { account, protocol, received, .. } = &mut *state;
        received.take(bytes, protocol, |line| tell(account, "<-", line));
    }

    /// Shows the end of the connection once: the first call says who closed it, `by`. After a DISCONNECT both sides
    /// close it, and nobody has to know who was first.
    pub fn closed(&self, by: &str) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        let State { account, sent, .. } = &*state;
        if sent.has_disconnect {
            account.tell("-- connection closed");
        } else {
            account.tell(&format!("-- connection closed by {by}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(account: &Account, arrow: &str, line: Result<String, Violation>) {
    match line {
        Ok(line) => {
            account.packets.fetch_add(1, Ordering::Relaxed);
            account.tell(&format!("{arrow} {line}"));
        }
        Err(violation) => {
            account.tell(&format!("{arrow} no packet: {violation} [{}]", violation.statement()));
        }
    }
}

/// One direction, with the packet that is not whole yet.
#[derive(Default)]
struct Stream {
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
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pending, skip, broken, has_disconnect } = self;
        let mut shown = f.debug_struct("Stream");
        shown.field("pending", &pending.len()).field("skip", skip).field("broken", broken);
        shown.field("has_disconnect", has_disconnect).finish()
    }
}

impl Stream {
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
    use mqtt_core::{Publish, topic};

    use super::*;

    /// The account of `bytes` that come in pieces of `piece` bytes.
    fn told(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut stream, mut protocol, mut lines) = (Stream::default(), Protocol::V311, Vec::new());
        for part in bytes.chunks(piece) {
            stream.take(part, &mut protocol, |line| {
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
        let mut stream = Stream::default();
        stream.take(b"\x10\x7Fmarker", &mut Protocol::V311, |_| panic!("it is not whole"));
        let shown = format!("{stream:?}");
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
