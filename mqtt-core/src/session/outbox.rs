//! The byte arena: whole packets, in the order in which they are sent.
//!
//! ```text
//! | kept | gap | sent, some unanswered | waiting | free | notes |
//!        base  head          boundary/cursor    tail   end
//! ```
//!
//! What waits and what is in flight are the same bytes, split by a cursor, so order holds by construction
//! [MQTT-4.6.0-1]. A packet that the broker must answer (PUBLISH above QoS 0, PUBREL, SUBSCRIBE, UNSUBSCRIBE) stays
//! until it is released; after a broken connection the cursor goes back to the head and they are sent again from
//! where they lie. All others are dead once sent. A packet that is released between two others becomes a hole: its
//! first byte is 0, which no packet begins with.
//!
//! Room at the end is made by [`Outbox::squeeze`], which moves what is alive down to the base and tells the slots. It
//! visits every packet, but runs only once everything behind has been used up, so its share for each packet depends on
//! how much larger the outbox is than what is in flight, not on the window.
//!
//! [`ANSWER_ROOM`] bytes are out of reach of requests. Answers to the broker always find room once the transport has
//! taken some bytes, so a full outbox cannot stop the acknowledgements that would empty it.
//!
//! With a journal, what the next record has to say and no packet says lies in front of the arena's end as notes (see
//! [`journal`](super::journal)), and `recorded` splits the packets that the journal has from those that it still needs.

use super::{
    Requests, Slot,
    journal::{NOTE_LEN, Note},
};
use crate::codec::{Header, Protocol};

/// Bytes that only answers, pings and PUBRELs may take: eight acknowledgements.
pub(crate) const ANSWER_ROOM: usize = 32;

const HOLE: u8 = 0;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const DUP: u8 = 0b1000;
const QOS: u8 = 0b0110;

#[derive(Clone, Debug, Hash)]
pub(crate) struct Outbox {
    /// Below lies what is kept for every connection: the CONNECT and the granted subscriptions.
    base: usize,
    head: usize,
    /// Start of the packet that the cursor is in.
    boundary: usize,
    cursor: usize,
    tail: usize,
    /// End of the last packet that may have to be kept.
    kept_end: usize,
    /// Bytes from head to tail that are not dead.
    live: usize,
    /// Packets from boundary to tail, and the bytes of those that are dead once sent: whoever sends all of them need
    /// not look at each.
    waiting: u32,
    passing: usize,
    /// Bytes of notes at the very end.
    notes: usize,
    /// The journal has every packet below; [`NO_JOURNAL`] where there is none.
    recorded: usize,
    /// Where `recorded` will be once the record that was given is durable.
    recording: usize,
}

/// Beyond every packet.
const NO_JOURNAL: usize = usize::MAX;

/// What a packet in the arena is, as far as keeping it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Dead.
    Hole,
    /// Until sent, and not beyond this connection: acknowledgements, pings.
    Answer,
    /// Until sent: a PUBLISH of QoS 0.
    UntilSent,
    /// Until released.
    UntilAnswered,
}

const fn keep(first: u8) -> Keep {
    match first >> 4 {
        HOLE => Keep::Hole,
        PUBLISH if first & QOS == 0 => Keep::UntilSent,
        PUBLISH | PUBREL | SUBSCRIBE | UNSUBSCRIBE => Keep::UntilAnswered,
        _ => Keep::Answer,
    }
}

/// Whether a packet is of no more use; `sent`: handed to the transport whole.
fn is_dead(frame: Frame, sent: bool) -> bool {
    match keep(frame.first) {
        Keep::Hole => true,
        Keep::Answer | Keep::UntilSent => sent,
        Keep::UntilAnswered => false,
    }
}

/// First byte, header length and whole length of the packet at `at`.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) first: u8,
    pub(super) header: usize,
    pub(super) len: usize,
}

pub(super) fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let header = Header::decode(bytes.get(at..)?).ok()??;
    Some(Frame { first: header.first(), header: header.header_len(), len: header.frame_len() })
}

/// The packet id of the packet at `at`; 0 where it has none.
fn id_at(bytes: &[u8], at: usize, frame: Frame) -> u16 {
    let mut id_at = at + frame.header;
    if frame.first >> 4 == PUBLISH {
        id_at += 2 + usize::from(u16_at(bytes, id_at));
    }
    u16_at(bytes, id_at)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(pair) => u16::from_be_bytes(*pair),
        None => 0,
    }
}

pub(super) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(pair) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *pair = value.to_be_bytes();
    }
}

/// Writes `part` at `at`; what does not fit is left out.
pub(super) fn copy(bytes: &mut [u8], at: usize, part: &[u8]) {
    for (space, byte) in bytes.iter_mut().skip(at).zip(part) {
        *space = *byte;
    }
}

/// Moves `len` bytes down from `from` to `to`; nothing where they do not fit.
///
/// In steps that do not overlap, so that no `memmove` is linked for it.
pub(super) fn move_bytes(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    let Some(step) = from.checked_sub(to).filter(|step| *step != 0) else { return };
    let end = from.saturating_add(len);
    let mut at = from;
    while at < end {
        let Some((down, here)) = bytes.split_at_mut_checked(at) else { return };
        let target = down.get_mut(at - step..).unwrap_or_default();
        for (space, byte) in target.iter_mut().zip(here.iter()).take(end - at) {
            *space = *byte;
        }
        at += step;
    }
}

/// `<[u8]>::rotate_right` in a tenth of its code.
fn rotate_right(bytes: &mut [u8], by: usize) {
    reverse(bytes);
    if let Some((first, second)) = bytes.split_at_mut_checked(by) {
        reverse(first);
        reverse(second);
    }
}

fn reverse(mut bytes: &mut [u8]) {
    while let [first, middle @ .., last] = bytes {
        core::mem::swap(first, last);
        bytes = middle;
    }
}

fn set_first(bytes: &mut [u8], at: usize, first: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = first;
    }
}

impl Outbox {
    /// An empty arena above the first `base` bytes.
    pub(crate) const fn new(base: usize) -> Self {
        Self {
            base,
            head: base,
            boundary: base,
            cursor: base,
            tail: base,
            kept_end: base,
            live: 0,
            waiting: 0,
            passing: 0,
            notes: 0,
            recorded: NO_JOURNAL,
            recording: NO_JOURNAL,
        }
    }

    /// Keeps account of what a journal needs, from now on.
    pub(crate) fn keep_journal(&mut self) {
        self.recorded = self.base;
        self.recording = self.base;
    }

    /// End of what is not notes.
    fn end(&self, bytes: &[u8]) -> usize {
        bytes.len().saturating_sub(self.notes)
    }

    /// End of what is kept for every connection.
    pub(crate) const fn base(&self) -> usize {
        self.base
    }

    /// What is kept for every connection has become longer, at most up to the head, or shorter.
    pub(super) fn set_base(&mut self, base: usize) {
        self.base = base;
        self.settle();
    }

    /// Bytes that requests could take if all were empty.
    pub(crate) fn capacity(&self, bytes: &[u8]) -> usize {
        self.end(bytes).saturating_sub(self.base + ANSWER_ROOM)
    }

    /// Bytes that requests can still take.
    pub(crate) fn free(&self, bytes: &[u8]) -> usize {
        self.capacity(bytes).saturating_sub(self.live)
    }

    /// Makes `len` contiguous bytes free at the tail; false where there are not as many.
    pub(crate) fn make_room(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &Requests,
        len: usize,
    ) -> bool {
        self.end(bytes).saturating_sub(self.tail) >= len
            || self.make_room_slowly(bytes, slots, requests, len)
    }

    #[cold]
    fn make_room_slowly(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &Requests,
        len: usize,
    ) -> bool {
        if self.end(bytes).saturating_sub(self.base + self.live) < len {
            return false;
        }
        self.squeeze(bytes, slots, requests);
        self.end(bytes).saturating_sub(self.tail) >= len
    }

    /// What is free at the tail, at most `limit` bytes.
    pub(crate) fn space<'b>(&self, bytes: &'b mut [u8], limit: usize) -> &'b mut [u8] {
        let end = self.tail.saturating_add(limit).min(self.end(bytes));
        bytes.get_mut(self.tail..end).unwrap_or_default()
    }

    /// Counts `len` bytes at the tail, which the caller has made room for and fills; gives where they start.
    pub(crate) fn append(&mut self, len: usize, until_answered: bool) -> usize {
        let start = self.tail;
        self.tail += len;
        self.live += len;
        self.waiting += 1;
        if until_answered {
            self.kept_end = self.tail;
        } else {
            self.passing += len;
        }
        start
    }

    /// How many bytes are ready for the transport.
    pub(crate) const fn ready_len(&self) -> usize {
        self.tail - self.cursor
    }

    /// Writes `note` in front of the others; the caller has made room.
    pub(crate) fn note(&mut self, bytes: &mut [u8], note: Note) {
        self.notes += NOTE_LEN;
        let at = self.end(bytes);
        copy(bytes, at, &note.encode());
    }

    /// The bytes that mean something.
    pub(crate) fn in_use<'b>(&self, bytes: &'b [u8]) -> [&'b [u8]; 3] {
        [
            bytes.get(..self.base).unwrap_or_default(),
            bytes.get(self.head..self.tail).unwrap_or_default(),
            self.notes(bytes),
        ]
    }

    /// The notes, newest first.
    pub(super) fn notes<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.end(bytes)..).unwrap_or_default()
    }

    /// A record is given that holds every packet and note.
    pub(crate) fn give_record(&mut self) -> usize {
        self.recording = self.tail;
        self.notes
    }

    /// The record that was given is durable, and with it the oldest `notes` bytes of notes.
    pub(crate) fn recorded(&mut self, bytes: &mut [u8], notes: usize) {
        self.recorded = self.recording;
        let from = self.end(bytes);
        // Those that came since move to the end.
        if let Some(region) = bytes.get_mut(from..) {
            rotate_right(region, notes.min(self.notes));
        }
        self.notes = self.notes.saturating_sub(notes);
    }

    /// All packets are there that the journal has; none was sent in this life, and no hole may be.
    pub(crate) fn restored(&mut self, bytes: &mut [u8], slots: &mut [Slot], requests: &Requests) {
        self.squeeze(bytes, slots, requests);
        self.recorded = self.tail;
        self.recording = self.tail;
    }

    /// Nobody knows whether the packets were sent: should they have been, the next time is not the first
    /// [MQTT-3.3.1-1].
    pub(crate) fn suspect_sent(&self, bytes: &mut [u8]) {
        let mut at = self.head;
        while at < self.tail {
            let Some(frame) = frame_at(bytes, at) else { break };
            if frame.first >> 4 == PUBLISH {
                set_first(bytes, at, frame.first | DUP);
            }
            at += frame.len;
        }
    }

    /// Bytes of the packet at `place`.
    pub(crate) fn len_at(&self, bytes: &[u8], place: u32) -> usize {
        frame_at(bytes, place as usize).map_or(0, |frame| frame.len)
    }

    /// Drops every packet.
    pub(crate) fn clear(&mut self) {
        self.live = 0;
        self.waiting = 0;
        self.passing = 0;
        self.restart();
    }

    /// The packets that a record has to hold: those from the first unrecorded one on, or all.
    pub(super) fn packets<'b>(&self, bytes: &'b [u8], all: bool) -> Packets<'b> {
        let at = if all { self.head } else { self.recorded.max(self.head) };
        Packets { bytes: bytes.get(..self.tail).unwrap_or_default(), at }
    }

    /// The bytes ready for the transport.
    pub(crate) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.tail).unwrap_or_default()
    }

    /// The transport has taken `count` bytes; gives how many packets that completed.
    pub(crate) fn transmitted(
        &mut self,
        bytes: &[u8],
        requests: &mut Requests,
        count: usize,
    ) -> u32 {
        self.cursor = self.cursor.saturating_add(count);
        if self.cursor < self.tail {
            return self.partly_transmitted(bytes, requests);
        }
        requests.sent_all_unacknowledged();
        let packets = core::mem::take(&mut self.waiting);
        self.live = self.live.saturating_sub(core::mem::take(&mut self.passing));
        if self.live == 0 {
            self.restart();
        } else {
            // What came after the last packet to keep is dead.
            self.tail = self.kept_end;
            self.boundary = self.tail;
            self.cursor = self.tail;
            self.clamp_recorded();
        }
        packets
    }

    fn partly_transmitted(&mut self, bytes: &[u8], requests: &mut Requests) -> u32 {
        let mut packets = 0;
        while let Some(frame) = frame_at(bytes, self.boundary) {
            if self.boundary + frame.len > self.cursor {
                break;
            }
            let keep = keep(frame.first);
            if keep != Keep::UntilAnswered {
                self.live = self.live.saturating_sub(frame.len);
                self.passing = self.passing.saturating_sub(frame.len);
            }
            if keep == Keep::UntilSent {
                requests.sent_unacknowledged();
            }
            packets += 1;
            self.boundary += frame.len;
        }
        self.waiting = self.waiting.saturating_sub(packets);
        self.settle();
        packets
    }

    /// Whether the packet at `place` has been handed to the transport whole on this connection.
    pub(crate) fn was_sent(&self, place: u32) -> bool {
        (place as usize) < self.boundary
    }

    /// The packet at `place`, sent before, has its answer.
    pub(crate) fn release(&mut self, bytes: &mut [u8], place: u32) {
        let at = place as usize;
        let Some(frame) = frame_at(bytes, at) else { return };
        set_first(bytes, at, HOLE);
        self.live = self.live.saturating_sub(frame.len);
        self.settle();
    }

    /// Where nothing alive is left of what was sent, the room before the boundary is free.
    fn settle(&mut self) {
        if self.live + self.boundary == self.tail {
            self.head = self.boundary;
        }
        if self.live == 0 {
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.head = self.base;
        self.boundary = self.base;
        self.cursor = self.base;
        self.tail = self.base;
        self.kept_end = self.base;
        self.clamp_recorded();
    }

    /// No packet is above the tail.
    fn clamp_recorded(&mut self) {
        if self.recorded != NO_JOURNAL {
            self.recorded = self.recorded.min(self.tail).max(self.base);
            self.recording = self.recording.min(self.tail).max(self.base);
        }
    }

    /// Takes the packet at `place`, sent and answered, out of the arena and moves it to the base, where it is the
    /// caller's until [`Outbox::set_base`].
    pub(super) fn bring_down(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &Requests,
        place: u32,
    ) -> Option<Frame> {
        let at = place as usize;
        let frame = frame_at(bytes, at)?;
        rotate_right(bytes.get_mut(self.base..at + frame.len)?, frame.len);
        for position in [&mut self.recorded, &mut self.recording] {
            if *position <= at {
                *position += frame.len;
            }
        }
        self.head += frame.len;
        self.live = self.live.saturating_sub(frame.len);
        self.relocate(bytes, slots, requests);
        self.settle();
        Some(frame)
    }

    /// Puts `kept` between `start` and the packets, where the room for it has been seen to.
    pub(super) fn replace_kept(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &Requests,
        start: usize,
        kept: &[u8],
    ) {
        self.base = start;
        self.squeeze(bytes, slots, requests);
        let end = self.tail + kept.len();
        copy(bytes, self.tail, kept);
        rotate_right(bytes.get_mut(start..end).unwrap_or_default(), kept.len());
        self.base += kept.len();
        for position in [&mut self.head, &mut self.boundary, &mut self.cursor, &mut self.tail] {
            *position += kept.len();
        }
        self.relocate(bytes, slots, requests);
        self.clamp_recorded();
    }

    /// Moves what is alive down to the base.
    fn squeeze(&mut self, bytes: &mut [u8], slots: &mut [Slot], requests: &Requests) {
        let (mut at, end) = (self.head, self.tail);
        let mut to = self.base;
        let (boundary, into) = (self.boundary, self.cursor - self.boundary);
        let mut reached = None;
        if self.recorded != NO_JOURNAL {
            self.recorded = self.squeezed(bytes, self.recorded);
            self.recording = self.squeezed(bytes, self.recording);
        }
        while at < end {
            let Some(frame) = frame_at(bytes, at) else { break };
            if at >= boundary && reached.is_none() {
                reached = Some(to);
            }
            if !is_dead(frame, at < boundary) {
                move_bytes(bytes, at, to, frame.len);
                to += frame.len;
            }
            at += frame.len;
        }
        self.head = self.base;
        self.boundary = reached.unwrap_or(to);
        self.cursor = self.boundary + into;
        self.tail = to;
        self.relocate(bytes, slots, requests);
    }

    /// Where `position` will be after [`Outbox::squeeze`].
    fn squeezed(&self, bytes: &[u8], position: usize) -> usize {
        let mut at = self.head;
        let mut to = self.base;
        while at < position.min(self.tail) {
            let Some(frame) = frame_at(bytes, at) else { break };
            if !is_dead(frame, at < self.boundary) {
                to += frame.len;
            }
            at += frame.len;
        }
        to
    }

    /// Tells the slots where their packets are.
    fn relocate(&mut self, bytes: &[u8], slots: &mut [Slot], requests: &Requests) {
        self.kept_end = self.head;
        self.waiting = 0;
        self.passing = 0;
        let mut at = self.head;
        while at < self.tail {
            let Some(frame) = frame_at(bytes, at) else { break };
            let waits = at >= self.boundary;
            self.waiting += u32::from(waits);
            if keep(frame.first) == Keep::UntilAnswered {
                requests.relocate(slots, id_at(bytes, at, frame), at as u32);
                self.kept_end = at + frame.len;
            } else if waits {
                self.passing += frame.len;
            }
            at += frame.len;
        }
    }

    /// The connection ended: answers are dropped, for the broker asks again [MQTT-4.4.0-1], and what was sent and
    /// has no answer waits to be sent again, with DUP [MQTT-3.3.1-1]. Gives how many packets that are.
    pub(crate) fn rewind(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &Requests,
        protocol: Protocol,
    ) -> u32 {
        let mut retransmissions = 0;
        let mut at = self.head;
        while at < self.tail {
            let Some(frame) = frame_at(bytes, at) else { break };
            let whole = at < self.boundary;
            match keep(frame.first) {
                Keep::Answer => {
                    set_first(bytes, at, HOLE);
                    if !whole {
                        self.live = self.live.saturating_sub(frame.len);
                    }
                }
                Keep::UntilSent if whole => set_first(bytes, at, HOLE),
                Keep::UntilAnswered => {
                    let begun = at < self.cursor;
                    retransmissions += u32::from(begun);
                    // 3.1 sets DUP on every retry; in 3.1.1 it is a reserved bit of all but PUBLISH.
                    let publish = frame.first >> 4 == PUBLISH;
                    if begun && (publish || protocol == Protocol::V31) {
                        set_first(bytes, at, frame.first | DUP);
                    } else if !publish && protocol == Protocol::V311 {
                        set_first(bytes, at, frame.first & !DUP);
                    }
                }
                Keep::Hole | Keep::UntilSent => {}
            }
            at += frame.len;
        }
        self.boundary = self.head;
        self.cursor = self.head;
        self.squeeze(bytes, slots, requests);
        retransmissions
    }

    /// The broker has lost the session, and nothing has been sent on this connection.
    ///
    /// A QoS 1 publish starts anew, without DUP. Of a QoS 2 publish that was under way nobody can say whether it
    /// arrived: sending it again might double it, so it is lost. What was never sent, and SUBSCRIBE and UNSUBSCRIBE,
    /// stay.
    pub(crate) fn start_session(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &mut Requests,
    ) {
        let mut at = self.head;
        while at < self.tail {
            let Some(frame) = frame_at(bytes, at) else { break };
            let exactly_once = frame.first & QOS == 0b0100;
            let lost = match frame.first >> 4 {
                PUBREL => true,
                PUBLISH => exactly_once && frame.first & DUP != 0,
                _ => false,
            };
            if lost {
                requests.lose(slots, id_at(bytes, at, frame));
                set_first(bytes, at, HOLE);
                self.live = self.live.saturating_sub(frame.len);
            } else if keep(frame.first) == Keep::UntilAnswered {
                set_first(bytes, at, frame.first & !DUP);
            }
            at += frame.len;
        }
        self.squeeze(bytes, slots, requests);
    }
}

/// The packets of the arena that wait for an answer, from a position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packets<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// One of [`Packets`].
#[derive(Clone, Copy)]
pub(super) struct Kept<'b> {
    pub(super) id: u16,
    pub(super) is_pubrel: bool,
    /// Its bytes where it is a PUBLISH.
    pub(super) publish: Option<&'b [u8]>,
}

impl<'b> Iterator for Packets<'b> {
    type Item = Kept<'b>;

    fn next(&mut self) -> Option<Kept<'b>> {
        loop {
            let at = self.at;
            let frame = frame_at(self.bytes, at)?;
            self.at += frame.len;
            if keep(frame.first) == Keep::UntilAnswered {
                let kind = frame.first >> 4;
                let packet = self.bytes.get(at..self.at)?;
                return Some(Kept {
                    id: id_at(self.bytes, at, frame),
                    is_pubrel: kind == PUBREL,
                    publish: (kind == PUBLISH).then_some(packet),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
