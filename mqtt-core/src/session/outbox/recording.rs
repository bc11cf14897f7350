//! The packets and notes that the journal has, and those that the next record has to hold.

use super::{
    Outbox, Table, Unacknowledged,
    bytes::{copy, rotate_right},
};
use crate::session::note::{NOTE_LEN, Note};

impl Outbox {
    /// From now on the outbox tracks which packets are recorded.
    pub(in crate::session) const fn keep_journal(&mut self) {
        self.recorded = self.base;
        self.recording = self.base;
    }

    /// Writes `note` in front of the others. The caller has made room.
    pub(in crate::session) fn note(&mut self, bytes: &mut [u8], note: Note) {
        self.notes += NOTE_LEN;
        let at = self.end(bytes);
        copy(bytes, at, &note.encode());
    }

    /// The notes, newest first.
    pub(in crate::session) fn notes<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.end(bytes)..).unwrap_or_default()
    }

    /// The driver gets a record that holds every packet and note. Gives how many bytes the notes take.
    pub(in crate::session) const fn begin_record(&mut self) -> usize {
        self.recording = self.tail;
        self.notes
    }

    /// That record is durable, and with it the oldest `notes` bytes of notes.
    pub(in crate::session) fn end_record(&mut self, bytes: &mut [u8], notes: usize) {
        debug_assert!(notes <= self.notes, "{notes} bytes of notes, there are {}", self.notes);
        self.recorded = self.recording;
        let from = self.end(bytes);
        // The notes written since then move to the end.
        if let Some(region) = bytes.get_mut(from..) {
            rotate_right(region, notes.min(self.notes));
        }
        self.notes = self.notes.saturating_sub(notes);
    }

    /// Every packet came from the journal.
    pub(in crate::session) const fn restored(&mut self) {
        self.recorded = self.tail;
        self.recording = self.tail;
    }

    /// The last record is restored. No packet was sent since the start, and no hole may be sent.
    pub(in crate::session) fn drop_holes(&mut self, bytes: &mut [u8], table: &mut Table<'_>) {
        self.compact(bytes, table);
    }

    /// All packets that wait for an answer.
    pub(in crate::session) fn unacknowledged<'b>(&self, bytes: &'b [u8]) -> Unacknowledged<'b> {
        self.unacknowledged_from(bytes, self.head)
    }

    /// Those of them that no durable record holds.
    pub(in crate::session) fn unrecorded<'b>(&self, bytes: &'b [u8]) -> Unacknowledged<'b> {
        self.unacknowledged_from(bytes, self.recorded.max(self.head))
    }

    fn unacknowledged_from<'b>(&self, bytes: &'b [u8], at: usize) -> Unacknowledged<'b> {
        Unacknowledged { bytes: bytes.get(..self.tail).unwrap_or_default(), at }
    }
}
