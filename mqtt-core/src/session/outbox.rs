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

mod bytes;
mod frames;
mod recording;
mod walks;

use super::{Requests, Slot};
use crate::codec::Protocol;
pub(super) use bytes::{copy, move_bytes, put_u16, u16_at};
use bytes::{rotate_right, set_first};
use frames::{DUP, HOLE, Keep, PUBLISH, PUBREL, QOS, id_at, is_dead, keep};
pub(super) use frames::{Frame, frame_at};
pub(super) use walks::Packets;

/// Bytes that only answers, pings and PUBRELs may take: eight acknowledgements.
pub(crate) const ANSWER_ROOM: usize = 32;

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

    /// The bytes that mean something.
    pub(crate) fn in_use<'b>(&self, bytes: &'b [u8]) -> [&'b [u8]; 3] {
        [
            bytes.get(..self.base).unwrap_or_default(),
            bytes.get(self.head..self.tail).unwrap_or_default(),
            self.notes(bytes),
        ]
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

#[cfg(test)]
mod tests;
