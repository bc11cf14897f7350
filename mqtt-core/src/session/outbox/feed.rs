//! Publishes from a source in the arena: without their payload, which is not here.
//!
//! ```text
//! first byte | length (4, the last one 0) | topic | packet id | source (4) | payload length (4) | generation (4) | 0
//! ```
//!
//! It is a whole PUBLISH to everybody who walks over the packets: its payload are the 13 bytes that describe the real
//! one. It is told from other packets by its length, which has one byte more than any encoder writes. Only the fixed
//! header of the wire is another one, so it is made anew when the packet is sent.
//!
//! The cursor goes through the head as if the fixed header of the wire lay at the end of the one here. Then it rests
//! behind the packet id, while `fed` counts the payload, and jumps over the description at the end. So bytes are shown
//! from one such packet at a time and from no other packet together with it.
//!
//! Everything that is not needed by a client without sources is behind [`Sources`].

use super::{
    Outbox,
    bytes::{copy, u16_at},
    frames::{Frame, frame_before},
};
use crate::{
    codec::{EncodeError, FirstByte, Header, PacketId, QoS},
    handle::Handle,
    source::{FIXED_HEADER, Piece, PublishFrom, SourceId},
};

/// The functions that only a client with sources calls. They are pointers, so a client without sources does not link
/// them.
#[derive(Debug, Hash)]
pub(crate) struct Sources {
    stop: fn(&mut Outbox, &[u8], usize),
    piece: for<'b> fn(&Outbox, &'b [u8]) -> Option<Piece<'b>>,
    in_arena: fn(&mut Outbox, &[u8], usize) -> usize,
    beyond: fn(&Outbox, &[u8]) -> usize,
    set_generation: fn(&mut [u8], usize, u32),
}

impl Sources {
    pub(crate) const STANDARD: Self = Self {
        stop: |outbox, bytes, before| outbox.stop_before_source(bytes, before),
        piece: |outbox, bytes| outbox.next_piece(bytes),
        in_arena: |outbox, bytes, count| outbox.feed(bytes, count),
        beyond: |outbox, bytes| outbox.bytes_beyond(bytes),
        set_generation,
    };
}

/// Whether the source of the packet that is being sent has bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::session) enum Pending {
    No,
    /// The driver has said that it has none yet.
    Yes,
    /// It is asked once more before the connection ends.
    AskedAgain,
}

/// Bytes that describe the payload, at the end of the packet.
const DESCRIPTION: usize = 13;

/// Every longer packet has a length of four bytes that does not end with 0.
const LONGEST: usize = FIXED_HEADER + (1 << 21);

/// Whether this is a publish from a source.
pub(in crate::session) const fn is_from_source(frame: Frame) -> bool {
    frame.header == FIXED_HEADER && frame.len < LONGEST
}

/// Writes the packet of a publish from a source to the front of `space`; gives its length.
pub(in crate::session) fn encode(
    publish: &PublishFrom<'_>,
    id: Option<PacketId>,
    space: &mut [u8],
) -> Result<usize, EncodeError> {
    let topic = publish.topic.as_bytes();
    let id_len = if id.is_some() { PacketId::LEN } else { 0 };
    let body = 2 + topic.len() + id_len;
    // The packet on the wire has to be possible.
    Header::encode(0, body + publish.len as usize, &mut [0; FIXED_HEADER])?;
    let remaining = body + DESCRIPTION;
    let (needed, available) = (FIXED_HEADER + remaining, space.len());
    if needed > available {
        return Err(EncodeError::NoSpace { needed, available });
    }
    let digit = |shift: u32| (remaining >> shift) as u8 | 0x80;
    let first = FirstByte::publish(publish.qos, false, publish.retain).get();
    copy(space, 0, &[first, digit(0), digit(7), digit(14), 0]);
    let topic_at = FIXED_HEADER + 2;
    copy(space, FIXED_HEADER, &(topic.len() as u16).to_be_bytes());
    copy(space, topic_at, topic);
    if let Some(id) = id {
        copy(space, topic_at + topic.len(), &id.get().to_be_bytes());
    }
    let at = needed - DESCRIPTION;
    copy(space, at, &publish.source.get().to_be_bytes());
    copy(space, at + 4, &publish.len.to_be_bytes());
    copy(space, at + 8, &[0; 5]);
    Ok(needed)
}

/// The source and the length of the payload that `description` states; `None` if it is none.
pub(in crate::session) fn described(description: &[u8]) -> Option<(SourceId, u32)> {
    let (&[a, b, c, d, e, f, g, h], rest) = description.split_first_chunk()?;
    let len = u32::from_be_bytes([e, f, g, h]);
    let valid = rest.len() == DESCRIPTION - 8 && len != 0;
    valid.then_some((SourceId::new(u32::from_be_bytes([a, b, c, d])), len))
}

fn set_generation(bytes: &mut [u8], end: usize, generation: u32) {
    copy(bytes, end.saturating_sub(5), &generation.to_be_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) << 16 | u32::from(u16_at(bytes, at + 2))
}

/// A publish from a source in the arena.
struct Stub {
    at: usize,
    frame: Frame,
    /// Where its description begins.
    description: usize,
    payload: u32,
}

impl Stub {
    /// The one at `at`, if there is one.
    fn at(bytes: &[u8], at: usize, tail: usize) -> Option<Self> {
        let frame = frame_before(bytes, at, tail).filter(|frame| is_from_source(*frame))?;
        let description = at + frame.len - DESCRIPTION;
        Some(Self { at, frame, description, payload: u32_at(bytes, description + 4) })
    }

    fn end(&self) -> usize {
        self.at + self.frame.len
    }

    /// The fixed header of the wire, and its length.
    fn fixed(&self) -> ([u8; FIXED_HEADER], usize) {
        let mut fixed = [0; FIXED_HEADER];
        let head = self.description - self.at - FIXED_HEADER;
        let remaining = head.saturating_add(self.payload as usize);
        let len = Header::encode(self.frame.first.get(), remaining, &mut fixed);
        debug_assert!(len.is_ok(), "the length was checked when the publish was accepted");
        (fixed, len.unwrap_or(0))
    }

    /// Where the cursor begins.
    fn start(&self) -> usize {
        self.at + FIXED_HEADER - self.fixed().1
    }

    fn source(&self, bytes: &[u8]) -> SourceId {
        SourceId::new(u32_at(bytes, self.description))
    }

    fn handle(&self, bytes: &[u8]) -> Handle {
        let exactly = self.frame.first.publish_qos();
        let id = if exactly == Some(QoS::AtMostOnce) {
            0
        } else {
            u16_at(bytes, self.description - PacketId::LEN)
        };
        Handle::new(id, u32_at(bytes, self.description + 8))
    }
}

impl Outbox {
    /// From now on there may be publishes from a source, until the arena is empty.
    pub(in crate::session) const fn expect_sources(&mut self, sources: &'static Sources) {
        self.sources = Some(sources);
    }

    /// Whether there may be publishes from a source.
    pub(in crate::session) const fn may_have_sources(&self) -> bool {
        self.sources.is_some()
    }

    /// Whether the driver has said that the source of the packet that is being sent has no bytes yet.
    pub(in crate::session) const fn source_is_pending(&self) -> bool {
        matches!(self.pending, Pending::Yes)
    }

    /// The same, also if the source is asked once more.
    pub(in crate::session) const fn source_has_been_pending(&self) -> bool {
        !matches!(self.pending, Pending::No)
    }

    pub(in crate::session) const fn set_pending(&mut self, pending: Pending) {
        self.pending = pending;
    }

    /// The source that has no bytes is asked once more.
    pub(in crate::session) const fn ask_source_again(&mut self) {
        if self.source_is_pending() {
            self.pending = Pending::AskedAgain;
        }
    }

    /// The packet that was appended last is a publish from a source with this generation.
    pub(in crate::session) fn set_generation(&self, bytes: &mut [u8], generation: u32) {
        if let Some(sources) = self.sources {
            (sources.set_generation)(bytes, self.tail, generation);
        }
    }

    /// Bytes were shown up to `before`, and are going to be shown up to `shown`: not beyond a publish from a source, and
    /// not together with one.
    #[cold]
    pub(in crate::session) fn stop_at_source(&mut self, bytes: &[u8], before: usize) {
        if let Some(sources) = self.sources {
            (sources.stop)(self, bytes, before);
        }
    }

    /// End of the bytes that were shown.
    pub(in crate::session) const fn shown_end(&self) -> usize {
        self.shown
    }

    fn stop_before_source(&mut self, bytes: &[u8], before: usize) {
        let mut at = self.boundary;
        while at < self.shown {
            let Some(frame) = frame_before(bytes, at, self.tail) else { return };
            if is_from_source(frame) {
                break;
            }
            at += frame.len;
        }
        if at >= self.shown {
            return;
        }
        if at > self.boundary {
            self.shown = at;
        } else if before > self.boundary {
            // It is being sent.
            self.shown = before;
        } else if let Some(stub) = Stub::at(bytes, at, self.tail) {
            self.cursor = stub.start();
            self.shown = stub.description;
            self.fed = 0;
            self.pending = Pending::No;
        }
    }

    /// The publish from a source that the cursor is in.
    fn fed_stub(&self, bytes: &[u8]) -> Option<Stub> {
        if self.shown <= self.boundary {
            return None;
        }
        Stub::at(bytes, self.boundary, self.tail)
    }

    /// The next bytes, if the driver was shown a publish from a source.
    pub(in crate::session) fn piece<'b>(&self, bytes: &'b [u8]) -> Option<Piece<'b>> {
        (self.sources?.piece)(self, bytes)
    }

    fn next_piece<'b>(&self, bytes: &'b [u8]) -> Option<Piece<'b>> {
        let stub = self.fed_stub(bytes)?;
        let (fixed, fixed_len) = stub.fixed();
        let rest_at = stub.at + FIXED_HEADER;
        Some(Piece {
            handle: stub.handle(bytes),
            source: stub.source(bytes),
            offset: self.fed,
            left: stub.payload - self.fed,
            fixed,
            fixed_sent: self.cursor.saturating_sub(stub.start()).min(fixed_len) as u8,
            fixed_len: fixed_len as u8,
            rest: bytes.get(self.cursor.max(rest_at)..stub.description).unwrap_or_default(),
        })
    }

    /// The transport has taken `count` bytes. Gives how far the cursor moves for them.
    pub(in crate::session) fn in_arena(&mut self, bytes: &[u8], count: usize) -> usize {
        match self.sources {
            Some(sources) => (sources.in_arena)(self, bytes, count),
            None => count,
        }
    }

    fn feed(&mut self, bytes: &[u8], count: usize) -> usize {
        let Some(stub) = self.fed_stub(bytes) else { return count };
        self.pending = Pending::No;
        let head = self.shown - self.cursor;
        let Some(payload) = count.checked_sub(head) else { return count };
        let left = stub.payload - self.fed;
        debug_assert!(payload <= left as usize, "{payload} bytes of payload, {left} are left");
        if payload < left as usize {
            self.fed += payload as u32;
            return head;
        }
        self.fed = 0;
        self.shown = stub.end();
        self.shown - self.cursor
    }

    /// How many more bytes than those in the arena are to be sent; it wraps if they are fewer.
    pub(in crate::session) fn beyond_arena(&self, bytes: &[u8]) -> usize {
        self.sources.map_or(0, |sources| (sources.beyond)(self, bytes))
    }

    fn bytes_beyond(&self, bytes: &[u8]) -> usize {
        let mut beyond = 0_usize;
        let mut at = self.boundary;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let stub = Stub::at(bytes, at, self.tail).filter(|_| !self.is_held(at, frame));
            if let Some(stub) = stub {
                let is_fed = at == self.boundary && self.shown > at;
                let counted = if is_fed { self.fed as usize } else { stub.start() - at };
                let payload = stub.payload as usize;
                beyond = beyond.wrapping_add(payload).wrapping_sub(counted + DESCRIPTION);
            }
            at += frame.len;
        }
        beyond
    }

    /// The packet that is being sent is not sent on: its source has failed. Gives its place, and whether the transport
    /// has taken bytes of it.
    pub(in crate::session) fn stop_feeding(&mut self, bytes: &[u8]) -> Option<(u32, bool)> {
        let stub = self.fed_stub(bytes)?;
        let begun = self.cursor != stub.start() || self.fed != 0;
        self.cursor = self.boundary;
        self.shown = self.boundary;
        self.fed = 0;
        self.pending = Pending::No;
        Some((self.boundary as u32, begun))
    }
}
