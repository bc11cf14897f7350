//! Changes that no durable record holds: when a record is due, and the record itself.
//!
//! A packet is sent only after everything that it rests on is durable: a publish before its PUBLISH, a PUBREC before
//! its PUBREL, an incoming QoS 2 message before its PUBREC, its end before its PUBCOMP. The end of a publish may be
//! recorded later. After a power cut in between it is sent once more, and that does no harm: at QoS 2 the broker knows
//! the id, and at QoS 1 a duplicate is allowed. One record holds everything that happened since the record before, so
//! the application's calls before the next `poll` are in one record or in none.

use super::{
    AtBroker, Session, SessionMut,
    note::{Fate, NOTE_LEN, Note},
    record::{
        BROKERS, CONNECTED, FOUND, RECLAIM_DUE, RENEWAL_DUE, Record, SESSION, SNAPSHOT,
        SUBSCRIPTIONS,
    },
    requests::Ids,
};
use crate::codec::PacketId;

/// A record is due before anything is sent.
const NOW: u8 = 64;
/// A record is due after a while.
const LATER: u8 = 128;
// The other bits are flags of a record: the parts that it has to hold.
const _: () = assert!((NOW | LATER) & (SNAPSHOT | SUBSCRIPTIONS) == 0);

/// The functions that only a client with a journal calls. They are pointers, so a client without a journal does not
/// link them.
#[derive(Debug, Hash)]
pub(crate) struct Recorder {
    record: for<'a> fn(SessionMut<'a>) -> Record<'a>,
    note: for<'a> fn(&mut SessionMut<'a>, Fate, PacketId),
    finish: for<'a> fn(&mut SessionMut<'a>),
}

impl Recorder {
    pub(crate) const STANDARD: Self = Self {
        record: |session| session.write_record(),
        note: |session, fate, id| session.write_note(fate, id),
        finish: |session| session.put_in_order(),
    };

    /// The record of all changes.
    pub(crate) fn record<'a>(&self, session: SessionMut<'a>) -> Record<'a> {
        (self.record)(session)
    }
}

/// Whether records may be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Restore {
    /// No request was made yet and no connection asked for.
    Possible,
    /// The same. Records were restored, and [`finish_restore`](SessionMut::finish_restore) is still to come.
    Begun,
    /// The session is in use.
    Over,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Changes {
    recorder: Option<&'static Recorder>,
    /// This client, or the one that wrote the journal, was connected once. So packets may have been sent.
    pub(super) connected: bool,
    pub(super) restore: Restore,
    /// Changes that no record holds.
    pending: u8,
    /// Changes in the record that was handed to the driver and is not yet confirmed by `persisted`.
    given: u8,
    /// Bytes of notes in that record.
    given_notes: usize,
}

impl Changes {
    pub(super) const fn new(recorder: Option<&'static Recorder>) -> Self {
        Self {
            recorder,
            connected: false,
            restore: Restore::Possible,
            pending: 0,
            given: 0,
            given_notes: 0,
        }
    }

    /// Whether there is a journal.
    pub(super) const fn are_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    const fn add(&mut self, what: u8) {
        if self.are_recorded() {
            self.pending |= what;
        }
    }

    /// A record is due before anything is sent.
    pub(super) const fn need(&mut self) {
        self.add(NOW);
    }

    /// A record is due after a while.
    pub(super) const fn need_later(&mut self) {
        self.add(LATER);
    }

    /// The next record states the whole session.
    pub(super) const fn need_snapshot(&mut self) {
        self.add(NOW | SNAPSHOT | SUBSCRIPTIONS);
    }

    /// The granted subscriptions have changed.
    pub(super) const fn need_subscriptions(&mut self) {
        self.add(NOW | SUBSCRIPTIONS);
    }
}

impl Session {
    /// Whether a record is due before anything is sent.
    pub(crate) const fn needs_record(&self) -> bool {
        (self.changes.pending | self.changes.given) & NOW != 0
    }
}

impl<'a> SessionMut<'a> {
    /// Whether some change is in no durable record.
    pub(crate) const fn has_changes(&self) -> bool {
        self.session.changes.pending | self.session.changes.given != 0
    }

    /// The recorder, if a record of the changes is due before anything is sent.
    pub(crate) fn recorder_due(&self) -> Option<&'static Recorder> {
        self.session.changes.recorder.filter(|_| self.session.needs_record())
    }

    /// The change that could wait has waited long enough.
    pub(crate) const fn need_record(&mut self) {
        self.session.changes.need();
    }

    fn write_record(mut self) -> Record<'a> {
        self.finish_restore();
        let session = self.session;
        let changes = &mut session.changes;
        // If the last record was not confirmed, this one holds all of its changes as well.
        changes.given |= core::mem::take(&mut changes.pending);
        changes.given_notes = session.outbox.begin_record();
        let mut flags = changes.given & (SNAPSHOT | SUBSCRIPTIONS);
        for (flag, set) in [
            (SESSION, session.at_broker != AtBroker::None),
            (CONNECTED, session.changes.connected),
            (RENEWAL_DUE, session.subscriptions.is_due()),
            (FOUND, session.requests.ids() != Ids::MoveOn),
            (RECLAIM_DUE, session.reclaim.is_due()),
            (BROKERS, session.brokers.are_several()),
        ] {
            flags |= if set { flag } else { 0 };
        }
        if flags & SNAPSHOT != 0 {
            session.inbound.mark_owed(self.slots);
        }
        let position = session.position;
        Record::new(flags, position, self.bytes, self.slots, session)
    }

    /// The record that the driver has is durable. Gives whether every change is recorded now.
    pub(crate) fn persisted(&mut self) -> bool {
        let session = &mut *self.session;
        if core::mem::take(&mut session.changes.given) == 0 {
            return false;
        }
        session.outbox.end_record(self.bytes, session.changes.given_notes);
        session.changes.pending == 0
    }

    /// The next record states the whole session.
    pub(crate) const fn compact(&mut self) {
        self.session.changes.need_snapshot();
    }

    /// Sets the application's position, to be recorded before anything more is sent.
    pub(crate) const fn set_position(&mut self, position: u64) {
        self.session.position = position;
        self.session.changes.need();
    }

    /// Ends the restore, if there was one. What may need every slot or packet is done once here, not for each record.
    pub(crate) fn finish_restore(&mut self) {
        if self.session.changes.restore == Restore::Begun {
            self.finish_restore_slowly();
        }
    }

    #[cold]
    #[inline(never)] // for less flash
    fn finish_restore_slowly(&mut self) {
        if let Some(recorder) = self.session.changes.recorder {
            (recorder.finish)(self);
        }
    }

    /// From now on no record can be restored.
    pub(crate) const fn use_begins(&mut self) {
        debug_assert!(
            !matches!(self.session.changes.restore, Restore::Begun),
            "`finish_restore` comes before the first use"
        );
        self.session.changes.restore = Restore::Over;
    }

    /// Bytes that a note takes.
    pub(super) const fn note_len(&self) -> usize {
        if self.session.changes.are_recorded() { NOTE_LEN } else { 0 }
    }

    /// Writes a note for the next record. The caller has made room.
    pub(super) fn note(&mut self, fate: Fate, id: PacketId) {
        if let Some(recorder) = self.session.changes.recorder {
            (recorder.note)(self, fate, id);
        }
    }

    /// Writes that the publish `id` is done. Its packet was just released.
    pub(super) fn note_done(&mut self, id: PacketId) {
        if self.session.changes.are_recorded() {
            let roomy = self.make_room(NOTE_LEN);
            debug_assert!(roomy, "a note is shorter than any packet");
            self.note(Fate::Done, id);
        }
    }

    fn write_note(&mut self, fate: Fate, id: PacketId) {
        let session = &mut *self.session;
        if fate == Fate::Done {
            session.changes.need_later();
        } else {
            session.changes.need();
        }
        let broker = if fate.is_of_request() { 0 } else { session.brokers.home() };
        session.outbox.note(self.bytes, Note { fate, id, broker });
    }
}
