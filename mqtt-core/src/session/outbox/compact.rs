//! Moving packets: room at the end, and room for the granted subscriptions below.

use super::{
    NO_JOURNAL, Outbox, Table,
    bytes::{copy, move_bytes, rotate_right},
    frames::{Frame, Stay, frame_at, frame_before, id_at, is_dead, stay},
};

impl Outbox {
    /// Whether `len` contiguous bytes are free at the tail.
    pub(in crate::session) fn has_room(&self, bytes: &[u8], len: usize) -> bool {
        self.end(bytes).saturating_sub(self.tail) >= len
    }

    /// Makes `len` contiguous bytes free at the tail; false if there are not so many.
    #[cold]
    pub(in crate::session) fn make_room(
        &mut self,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        len: usize,
    ) -> bool {
        if self.end(bytes).saturating_sub(self.base + self.live) < len {
            return false;
        }
        self.compact(bytes, table);
        self.has_room(bytes, len)
    }

    /// Moves the live packets down to the base.
    pub(super) fn compact(&mut self, bytes: &mut [u8], table: &mut Table<'_>) {
        let (mut at, end) = (self.head, self.tail);
        let mut to = self.base;
        let (boundary, into) = (self.boundary, self.cursor - self.boundary);
        // Shown bytes that are not taken are alive and lie one behind the other.
        let shown = self.shown - self.cursor;
        let mut reached = None;
        let mut hold_from = None;
        let (awaited, mut still_awaited) = (self.awaited, self.base);
        if self.recorded != NO_JOURNAL {
            self.recorded = self.compacted(bytes, self.recorded);
            self.recording = self.compacted(bytes, self.recording);
        }
        while let Some(frame) = frame_before(bytes, at, end) {
            if at >= boundary && reached.is_none() {
                reached = Some(to);
            }
            if at >= self.hold_from && hold_from.is_none() {
                hold_from = Some(to);
            }
            if !is_dead(frame, at < boundary && !self.is_held(at, frame)) {
                move_bytes(bytes, at, to, frame.len);
                to += frame.len;
            }
            at += frame.len;
            if at <= awaited {
                still_awaited = to;
            }
        }
        self.awaited = still_awaited;
        debug_assert_eq!(to - self.base, self.live, "the live packets are those that moved");
        self.head = self.base;
        self.boundary = reached.unwrap_or(to);
        self.cursor = self.boundary + into;
        self.shown = self.cursor + shown;
        self.tail = to;
        if self.is_holding() {
            self.hold_from = hold_from.unwrap_or(to);
        }
        self.relocate(bytes, table);
    }

    /// Where `position` will be after [`Outbox::compact`].
    fn compacted(&self, bytes: &[u8], position: usize) -> usize {
        let mut at = self.head;
        let mut to = self.base;
        let end = position.min(self.tail);
        while let Some(frame) = frame_before(bytes, at, end) {
            if !is_dead(frame, at < self.boundary && !self.is_held(at, frame)) {
                to += frame.len;
            }
            at += frame.len;
        }
        to
    }

    /// Tells the slots where their packets are.
    fn relocate(&mut self, bytes: &[u8], table: &mut Table<'_>) {
        self.answered_end = self.head;
        self.unsent = 0;
        self.dead_once_sent = 0;
        let mut at = self.head;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let unsent = at >= self.boundary;
            self.unsent += u32::from(unsent);
            if stay(frame.first) == Stay::UntilReleased {
                table.relocate(id_at(bytes, at, frame), at as u32);
                self.answered_end = at + frame.len;
            } else if unsent {
                self.dead_once_sent += frame.len;
            }
            at += frame.len;
        }
    }

    /// Takes the packet at `place`, sent and answered, out of the arena and moves it to the base. There it is the
    /// caller's until [`Outbox::set_base`].
    pub(in crate::session) fn bring_down(
        &mut self,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        place: u32,
    ) -> Option<Frame> {
        let at = place as usize;
        let frame = frame_at(bytes, at)?;
        rotate_right(bytes.get_mut(self.base..at + frame.len)?, frame.len);
        for position in [&mut self.recorded, &mut self.recording, &mut self.awaited] {
            if *position <= at {
                *position += frame.len;
            }
        }
        self.head += frame.len;
        self.dies(frame.len);
        self.relocate(bytes, table);
        self.free_front();
        Some(frame)
    }

    /// Puts `subscriptions` between `start` and the packets. The caller has checked that there is room.
    pub(in crate::session) fn replace_subscriptions(
        &mut self,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        start: usize,
        subscriptions: &[u8],
    ) {
        self.base = start;
        self.compact(bytes, table);
        let len = subscriptions.len();
        let end = self.tail + len;
        copy(bytes, self.tail, subscriptions);
        rotate_right(bytes.get_mut(start..end).unwrap_or_default(), len);
        self.base += len;
        self.head += len;
        self.boundary += len;
        self.cursor += len;
        self.shown += len;
        self.tail += len;
        self.awaited += len;
        if self.recorded != NO_JOURNAL {
            self.recorded += len;
            self.recording += len;
        }
        self.relocate(bytes, table);
    }
}
