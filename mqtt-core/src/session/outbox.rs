//! The byte arena: whole packets, in the order in which they are sent.
//!
//! ```text
//! | CONNECT, subscriptions | gap | sent, some unanswered | unsent | free | notes |
//!                       base  head          boundary/cursor    tail   end
//! ```
//!
//! Unsent packets and packets in flight are the same bytes, split by a cursor, so their order holds by construction
//! [MQTT-4.6.0-1]. A packet that the broker must answer (PUBLISH above QoS 0, PUBREL, SUBSCRIBE, UNSUBSCRIBE) stays
//! until it is released. After a broken connection the cursor goes back to the head and these packets are sent again
//! from where they lie. All others are dead once they are sent. A packet that is released between two others becomes a
//! hole: its first byte is 0, and no packet begins with 0.
//!
//! [`Outbox::compact`] makes room at the end: it moves all live packets down to the base and tells their slots. It
//! visits every packet, but runs only when the room behind is used up. So its cost per packet depends on how much
//! larger the outbox is than the packets in flight, not on the window.
//!
//! Requests cannot use the last [`ANSWER_ROOM`] bytes. Answers to the broker always find room there once the transport
//! has taken some bytes, so a full outbox cannot stop the acknowledgements that would empty it.
//!
//! With a journal, changes that no packet shows lie as [notes](super::note) at the arena's end until they are
//! recorded, and `recorded` splits the packets that the journal has from those that the next record has to hold.

mod bytes;
mod compact;
pub(super) mod feed;
mod frames;
mod hold;
mod iter;
mod recording;
mod resend;

use super::{
    requests::{Requests, Table},
    slot::NIL,
};
pub(super) use bytes::move_bytes;
use bytes::set_first;
pub(crate) use bytes::{copy, put_u16, u16_at};
pub(super) use frames::{Frame, frame_at};
use frames::{HOLE, Stay, frame_before, id_at, stay};
pub(super) use iter::{Unacknowledged, UnsentQos0};

/// Bytes that only answers, PINGREQs and PUBRELs may take: eight acknowledgements.
pub(crate) const ANSWER_ROOM: usize = 32;

/// The largest outbox, in bytes: slots hold the places of packets in 32 bits, and the last number is no place.
pub(crate) const LARGEST_OUTBOX: usize = NIL as usize;

/// Until when a new packet stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The transport has taken it.
    Sent,
    /// The broker has answered it.
    Answered,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Outbox {
    /// The CONNECT and the granted subscriptions lie below.
    base: usize,
    head: usize,
    /// Start of the packet that the cursor is in.
    boundary: usize,
    cursor: usize,
    /// The driver was shown the bytes up to here, and may have a copy of them. They do not change before they are
    /// taken.
    shown: usize,
    /// How many bytes the driver is shown at most beyond the packet that the cursor is in.
    most_shown: usize,
    /// Requests from here on are held back; [`NO_HOLD`] if none is.
    hold_from: usize,
    tail: usize,
    /// End of the last packet that stays until it is answered.
    answered_end: usize,
    /// Bytes from head to tail that are not dead.
    live: usize,
    /// Packets from boundary to tail, and the bytes of those that are dead once sent. If all of them are sent at once,
    /// nobody has to look at each.
    unsent: u32,
    dead_once_sent: usize,
    /// Bytes of notes at the very end.
    notes: usize,
    /// The journal has every packet below; [`NO_JOURNAL`] if there is no journal.
    recorded: usize,
    /// The next value of `recorded`, once the record in the driver's hands is durable.
    recording: usize,
    /// Every packet below was sent when the time for its answer began. See [`Outbox::watch_answers`].
    awaited: usize,
    /// There may be publishes from a source. See [`feed`].
    sources: Option<&'static feed::Sources>,
    /// Bytes of the payload that the transport has taken, if the cursor is in such a publish.
    fed: u32,
    /// Its source has no bytes yet.
    pending: feed::Pending,
}

/// A position beyond every packet.
const NO_JOURNAL: usize = usize::MAX;
/// The same, for requests that are held back.
const NO_HOLD: usize = usize::MAX;

impl Outbox {
    /// An empty arena above the first `base` bytes. `most_shown`: see the field.
    pub(super) const fn new(base: usize, most_shown: usize) -> Self {
        Self {
            base,
            head: base,
            boundary: base,
            cursor: base,
            shown: base,
            most_shown,
            hold_from: NO_HOLD,
            tail: base,
            answered_end: base,
            live: 0,
            unsent: 0,
            dead_once_sent: 0,
            notes: 0,
            recorded: NO_JOURNAL,
            recording: NO_JOURNAL,
            awaited: base,
            sources: None,
            fed: 0,
            pending: feed::Pending::No,
        }
    }

    /// End of the packets' room; the notes begin there.
    fn end(&self, bytes: &[u8]) -> usize {
        debug_assert!(self.is_ordered(bytes), "positions out of order: {self:?}");
        bytes.len().saturating_sub(self.notes)
    }

    /// The invariant of the positions.
    fn is_ordered(&self, bytes: &[u8]) -> bool {
        let ordered = self.base <= self.head
            && self.head <= self.boundary
            && self.boundary <= self.cursor
            && self.cursor <= self.shown
            && self.shown <= self.tail
            && self.tail + self.notes <= bytes.len();
        ordered
            && self.answered_end <= self.tail
            && self.live <= self.tail - self.head
            && self.dead_once_sent <= self.live
    }

    /// End of the CONNECT and the granted subscriptions.
    pub(super) const fn base(&self) -> usize {
        self.base
    }

    /// The granted subscriptions have become longer, at most up to the head, or shorter.
    pub(super) fn set_base(&mut self, base: usize) {
        debug_assert!(base <= self.head || self.live == 0, "subscriptions up to {base}: {self:?}");
        self.base = base;
        self.free_front();
    }

    /// Bytes that requests could take if the outbox were empty.
    pub(super) fn capacity(&self, bytes: &[u8]) -> usize {
        self.end(bytes).saturating_sub(self.base + ANSWER_ROOM)
    }

    /// Bytes that requests can still take.
    pub(super) fn free(&self, bytes: &[u8]) -> usize {
        self.capacity(bytes).saturating_sub(self.live)
    }

    /// The free bytes at the tail, at most `limit`.
    pub(super) fn space<'b>(&self, bytes: &'b mut [u8], limit: usize) -> &'b mut [u8] {
        let end = self.tail.saturating_add(limit).min(self.end(bytes));
        bytes.get_mut(self.tail..end).unwrap_or_default()
    }

    /// Counts `len` bytes at the tail and gives where they start. The caller has made room, and writes the packet.
    pub(super) fn append(&mut self, len: usize, until: Until) -> usize {
        let start = self.tail;
        self.tail += len;
        self.live += len;
        self.unsent += 1;
        match until {
            Until::Answered => self.answered_end = self.tail,
            Until::Sent => self.dead_once_sent += len,
        }
        start
    }

    /// How many bytes wait for the transport.
    pub(super) const fn ready_len(&self) -> usize {
        self.tail - self.cursor
    }

    /// The driver is going to see the ready bytes.
    #[cold]
    pub(super) fn show_unheld(&mut self, bytes: &[u8]) {
        if self.is_holding() {
            self.show_up_to_held(bytes);
        } else {
            self.show(bytes);
        }
    }

    /// As [`Outbox::show_unheld`] while no request is held back.
    pub(super) fn show(&mut self, bytes: &[u8]) {
        let most = self.cursor + self.most_shown;
        let end = if self.tail <= most {
            self.tail
        } else {
            let packet = frame_at(bytes, self.boundary).map_or(0, |frame| frame.len);
            most.max(self.boundary + packet).min(self.tail)
        };
        self.shown = self.shown.max(end);
    }

    /// The driver is going to see the ready bytes, but no packet behind the next `ahead` bytes.
    #[cold]
    pub(super) fn show_only(&mut self, bytes: &[u8], ahead: usize) {
        let before = self.shown;
        self.show_unheld(bytes);
        let end = self.end_of_packet(bytes, self.cursor + ahead);
        self.shown = self.shown.min(end).max(before);
    }

    /// The end of the unsent packet that `position` is in, or `position` if it lies between two.
    fn end_of_packet(&self, bytes: &[u8], position: usize) -> usize {
        let mut end = self.boundary;
        while end < position {
            let Some(frame) = frame_before(bytes, end, self.tail) else { break };
            end += frame.len;
        }
        end
    }

    /// Nothing more is shown than whole packets, of those of which something was shown.
    #[cold]
    pub(super) fn show_whole_packets(&mut self, bytes: &[u8]) {
        self.shown = self.shown.max(self.end_of_packet(bytes, self.shown));
    }

    /// Whether no packet is shown in part, or shown and not taken.
    pub(super) const fn is_between_packets(&self) -> bool {
        self.cursor == self.boundary && self.shown == self.cursor
    }

    /// The bytes that affect behaviour.
    pub(super) fn in_use<'b>(&self, bytes: &'b [u8]) -> [&'b [u8]; 3] {
        [
            bytes.get(..self.base).unwrap_or_default(),
            bytes.get(self.head..self.tail).unwrap_or_default(),
            self.notes(bytes),
        ]
    }

    /// The bytes that the driver was [shown](Self::show).
    pub(super) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.shown).unwrap_or_default()
    }

    /// The transport has taken `count` bytes; gives how many packets that completed.
    pub(super) fn transmitted(
        &mut self,
        bytes: &[u8],
        requests: &mut Requests,
        count: usize,
    ) -> u32 {
        self.cursor = self.cursor.saturating_add(count).min(self.shown);
        if self.cursor < self.tail || self.is_holding() {
            return self.partly_transmitted(bytes, requests);
        }
        requests.sent_all_unacknowledged();
        let packets = core::mem::take(&mut self.unsent);
        self.dies(self.dead_once_sent);
        self.dead_once_sent = 0;
        if self.live == 0 {
            self.restart();
        } else {
            // Every packet behind the last one that awaits an answer is dead.
            self.tail = self.answered_end;
            self.boundary = self.tail;
            self.cursor = self.tail;
            self.shown = self.tail;
            self.clamp_positions();
        }
        packets
    }

    fn partly_transmitted(&mut self, bytes: &[u8], requests: &mut Requests) -> u32 {
        let mut packets = 0;
        while let Some(frame) = frame_before(bytes, self.boundary, self.tail) {
            if self.boundary + frame.len > self.cursor {
                break;
            }
            let stay = stay(frame.first);
            if stay != Stay::UntilReleased {
                self.dies(frame.len);
                self.dead_once_sent = self.dead_once_sent.saturating_sub(frame.len);
            }
            if stay == Stay::UntilSent {
                requests.sent_unacknowledged();
            }
            packets += 1;
            self.boundary += frame.len;
        }
        self.unsent = self.unsent.saturating_sub(packets);
        self.free_front();
        packets
    }

    /// Packets below were sent whole on this connection.
    pub(super) const fn boundary(&self) -> usize {
        self.boundary
    }

    /// Whether the transport has taken the whole packet at `place` on this connection.
    pub(super) const fn was_sent(&self, place: u32) -> bool {
        (place as usize) < self.boundary && self.is_before_hold(place)
    }

    /// Whether the driver was shown bytes of the packet at `place` on this connection.
    pub(super) const fn was_shown(&self, place: u32) -> bool {
        (place as usize) < self.shown && self.is_before_hold(place)
    }

    /// Whether the request at `place` is not held back.
    pub(super) const fn is_before_hold(&self, place: u32) -> bool {
        (place as usize) < self.hold_from
    }

    /// Whether a packet that was sent awaits its answer.
    pub(super) const fn awaits_answer(&self) -> bool {
        // Requests that are held back await nothing.
        self.head < self.sent_end()
    }

    /// From now on the packets that were sent are awaited.
    pub(super) const fn watch_answers(&mut self) {
        self.awaited = self.sent_end();
    }

    /// Requests below were sent.
    const fn sent_end(&self) -> usize {
        if self.hold_from < self.boundary { self.hold_from } else { self.boundary }
    }

    /// The packet id of the first packet that is awaited since [`Outbox::watch_answers`].
    pub(super) fn first_awaited(&self, bytes: &[u8]) -> Option<u16> {
        let mut at = self.head;
        loop {
            let frame = frame_before(bytes, at, self.awaited)?;
            if stay(frame.first) == Stay::UntilReleased {
                return Some(id_at(bytes, at, frame));
            }
            at += frame.len;
        }
    }

    /// The packet at `place` was sent and has its answer.
    pub(super) fn release(&mut self, bytes: &mut [u8], place: u32) {
        let at = place as usize;
        let frame = frame_at(bytes, at);
        debug_assert!(frame.is_some_and(|frame| stay(frame.first) == Stay::UntilReleased));
        let Some(frame) = frame else { return };
        self.kill(bytes, at, frame);
        self.free_front();
    }

    /// The packet at `place` awaits an answer and is not needed any more. It is either sent, or not shown.
    #[cold]
    pub(super) fn remove(&mut self, bytes: &mut [u8], table: &mut Table<'_>, place: u32) {
        let at = place as usize;
        let Some(frame) = frame_at(bytes, at) else { return };
        self.kill(bytes, at, frame);
        if at >= self.boundary {
            // A hole must not be sent.
            self.compact(bytes, table);
        }
        self.free_front();
    }

    /// The connection is gone, and the packet at `place` is not to be sent again.
    pub(super) fn kill_at(&mut self, bytes: &mut [u8], place: u32) {
        let at = place as usize;
        if let Some(frame) = frame_at(bytes, at) {
            self.kill(bytes, at, frame);
        }
    }

    /// The packet at `at` becomes a hole.
    fn kill(&mut self, bytes: &mut [u8], at: usize, frame: Frame) {
        set_first(bytes, at, HOLE);
        self.dies(frame.len);
    }

    /// `len` bytes are no longer alive.
    fn dies(&mut self, len: usize) {
        debug_assert!(len <= self.live, "{len} bytes die, {} are alive", self.live);
        self.live = self.live.saturating_sub(len);
    }

    /// If no sent packet is alive, the room before the boundary is free.
    fn free_front(&mut self) {
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
        self.shown = self.base;
        self.tail = self.base;
        self.answered_end = self.base;
        self.sources = None;
        if self.is_holding() {
            self.hold_from = self.base;
        }
        self.clamp_positions();
    }

    /// No packet is above the tail.
    fn clamp_positions(&mut self) {
        self.awaited = self.awaited.min(self.tail).max(self.base);
        if self.recorded != NO_JOURNAL {
            self.recorded = self.recorded.min(self.tail).max(self.base);
            self.recording = self.recording.min(self.tail).max(self.base);
        }
    }

    /// Drops every packet.
    pub(super) fn clear(&mut self) {
        self.live = 0;
        self.unsent = 0;
        self.dead_once_sent = 0;
        self.restart();
    }

    /// Bytes of all packets that are not dead.
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// Bytes of the packet at `place`.
    pub(super) fn len_at(&self, bytes: &[u8], place: u32) -> usize {
        frame_at(bytes, place as usize).map_or(0, |frame| frame.len)
    }
}

#[cfg(test)]
mod tests;
