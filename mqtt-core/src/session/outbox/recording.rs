//! What the journal has of the arena, what it needs, and what comes back from it.

use super::{
    Outbox, Packets, Requests, Slot,
    bytes::{copy, rotate_right, set_first},
    frames::{DUP, PUBLISH, frame_at, is_dead},
};
use crate::session::journal::{NOTE_LEN, Note};

impl Outbox {
    /// Keeps account of what a journal needs, from now on.
    pub(crate) fn keep_journal(&mut self) {
        self.recorded = self.base;
        self.recording = self.base;
    }

    /// Writes `note` in front of the others; the caller has made room.
    pub(crate) fn note(&mut self, bytes: &mut [u8], note: Note) {
        self.notes += NOTE_LEN;
        let at = self.end(bytes);
        copy(bytes, at, &note.encode());
    }

    /// The notes, newest first.
    pub(in crate::session) fn notes<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
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
    pub(crate) fn packets<'b>(&self, bytes: &'b [u8], all: bool) -> Packets<'b> {
        let at = if all { self.head } else { self.recorded.max(self.head) };
        Packets { bytes: bytes.get(..self.tail).unwrap_or_default(), at }
    }

    /// Puts `kept` between `start` and the packets, where the room for it has been seen to.
    pub(in crate::session) fn replace_kept(
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

    /// Where `position` will be after [`Outbox::squeeze`].
    pub(super) fn squeezed(&self, bytes: &[u8], position: usize) -> usize {
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
}
