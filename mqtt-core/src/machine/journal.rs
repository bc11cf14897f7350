//! The journal: when a record is due, and how the session is rebuilt from records.
//!
//! Whatever must not be forgotten is recorded before anything more is sent: a publish before its PUBLISH, a PUBREC
//! before its PUBREL, an incoming QoS 2 message before its PUBREC, its end before its PUBCOMP. That a publish is done
//! may be recorded later, for sending it once more does no harm: the broker knows the id, or, at QoS 1, may get it
//! twice. One record holds all that came about since the one before, so what the application does before the next
//! `poll` is in one record or in none.

use super::{
    Core, Machine,
    receive::{ANSWER_LEN, PUBREL},
    request::SUBACK_OVERHEAD,
};
use crate::{
    codec::{Header, PacketId, Publish},
    error::RestoreError,
    event::Handle,
    session::{
        ANSWER_ROOM, Inbound, Record, Requests, Slot,
        journal::{
            Accepted, CONNECTED, FOUND, Fate, NOTE_LEN, Note, PURGE_DUE, Parsed, RENEWAL_DUE,
            SESSION, SNAPSHOT, SUBSCRIPTIONS, filters_in,
        },
        qos::Awaits,
    },
    time::Instant,
    timers::Timer,
};

/// A record is due before anything is sent.
const NOW: u8 = 64;
/// A record is due after a while.
const LATER: u8 = 128;
// The others are those of a record: what it has to hold.

/// What only a client with a journal calls: pointers, so that one without does not link it.
#[derive(Debug, Hash)]
pub(crate) struct Hooks {
    pub(super) record: for<'a> fn(Core<'a>) -> Record<'a>,
    note: for<'a> fn(&mut Core<'a>, Fate, PacketId),
}

impl Hooks {
    pub(crate) const ALL: Self =
        Self { record: |core| core.record(), note: |core, fate, id| core.write_note(fate, id) };
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Journal {
    hooks: Option<&'static Hooks>,
    /// The records restored tell of a connection, so packets may have been sent.
    connected: bool,
    /// No request was made yet and no connection asked for.
    pub(super) unused: bool,
    /// What no record holds.
    pending: u8,
    /// What only the record holds that was given and is not durable yet.
    given: u8,
    /// Bytes of notes in that record.
    given_notes: usize,
    position: u64,
    delay: u32,
}

impl Journal {
    pub(super) const fn new(hooks: Option<&'static Hooks>, delay: u32) -> Self {
        Self {
            hooks,
            connected: false,
            unused: true,
            pending: 0,
            given: 0,
            given_notes: 0,
            position: 0,
            delay,
        }
    }

    /// Whether there is one.
    pub(super) const fn is_kept(&self) -> bool {
        self.hooks.is_some()
    }

    pub(super) const fn is_pending(&self) -> bool {
        self.pending | self.given != 0
    }

    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// A record is due before anything is sent.
    pub(super) const fn need(&mut self) {
        if self.hooks.is_some() {
            self.pending |= NOW;
        }
    }

    /// A record is due after a while.
    pub(super) const fn need_later(&mut self) {
        if self.hooks.is_some() {
            self.pending |= LATER;
        }
    }

    /// The session began anew: the next record states all of it.
    pub(super) const fn need_snapshot(&mut self) {
        if self.hooks.is_some() {
            self.pending |= NOW | SNAPSHOT | SUBSCRIPTIONS;
        }
    }

    /// The kept subscriptions have changed.
    pub(super) const fn need_subscriptions(&mut self) {
        if self.hooks.is_some() {
            self.pending |= NOW | SUBSCRIPTIONS;
        }
    }
}

impl<'a> Core<'a> {
    /// Bytes that a note takes.
    pub(super) const fn note_len(&self) -> usize {
        if self.machine.journal.is_kept() { NOTE_LEN } else { 0 }
    }

    /// Writes a note; where nothing is to be lost by it, for later.
    pub(super) fn note(&mut self, fate: Fate, id: PacketId) {
        if let Some(hooks) = self.machine.journal.hooks {
            (hooks.note)(self, fate, id);
        }
    }

    /// Writes that the publish `id` is done, where its packet was just released.
    pub(super) fn note_done(&mut self, id: PacketId) {
        if self.machine.journal.is_kept() {
            let roomy = self.make_room(NOTE_LEN);
            debug_assert!(roomy, "a note is shorter than any packet");
            self.note(Fate::Done, id);
        }
    }

    fn write_note(&mut self, fate: Fate, id: PacketId) {
        let machine = &mut *self.machine;
        if fate == Fate::Done {
            machine.journal.need_later()
        } else {
            machine.journal.need()
        }
        machine.outbox.note(self.bytes, Note { fate, id });
    }

    /// How to make the record that is due now; sets the time for one that can wait.
    pub(super) fn record_is_due(&mut self, now: Instant) -> Option<&'static Hooks> {
        let machine = &mut *self.machine;
        let what = machine.journal.pending | machine.journal.given;
        if what & NOW == 0 && what != 0 && !machine.timers.is_set(Timer::Record) {
            let delay = u64::from(machine.journal.delay);
            machine.timers.set(Timer::Record, now.plus_millis(delay));
        }
        machine.journal.hooks.filter(|_| what & NOW != 0)
    }

    /// The record that is due.
    fn record(self) -> Record<'a> {
        let Self { machine, bytes, slots, .. } = self;
        let journal = &mut machine.journal;
        // Where the last one was not confirmed, this one holds all of that as well.
        journal.given |= core::mem::take(&mut journal.pending);
        journal.given_notes = machine.outbox.give_record();
        let mut flags = journal.given & (SNAPSHOT | SUBSCRIPTIONS);
        for (flag, set) in [
            (SESSION, machine.has_session),
            (CONNECTED, journal.connected || machine.counters.connections != 0),
            (RENEWAL_DUE, machine.subscriptions.is_due()),
            (FOUND, machine.requests.ids_are_fixed()),
            (PURGE_DUE, machine.purge.is_on()),
        ] {
            flags |= if set { flag } else { 0 };
        }
        Record::new(flags, journal.position, bytes, slots, &machine.outbox, &machine.subscriptions)
    }

    pub(crate) fn persisted(&mut self) {
        let machine = &mut *self.machine;
        if core::mem::take(&mut machine.journal.given) == 0 {
            return;
        }
        machine.outbox.recorded(self.bytes, machine.journal.given_notes);
        if machine.journal.pending == 0 {
            machine.timers.clear(Timer::Record);
        }
    }

    pub(crate) fn compact(&mut self) {
        self.machine.journal.need_snapshot();
    }

    pub(crate) fn set_position(&mut self, position: u64) {
        self.machine.journal.position = position;
        self.machine.journal.need();
    }

    /// Rebuilds what `record` tells.
    pub(crate) fn restore(&mut self, record: &[u8]) -> Result<(), RestoreError> {
        if !self.machine.journal.is_kept() {
            return Err(RestoreError::NoJournal);
        }
        if !self.machine.journal.unused {
            return Err(RestoreError::InUse);
        }
        let parsed = Parsed::new(record)?;
        self.check(&parsed)?;
        if parsed.is_snapshot() {
            self.forget_session();
        }
        // What goes makes room for what comes.
        for id in ended(&parsed) {
            self.restore_end(id);
        }
        self.restore_subscriptions(&parsed);
        self.restore_inbound(&parsed);
        self.restore_requests(&parsed);
        let machine = &mut *self.machine;
        machine.requests.relist(self.slots);
        machine.has_session = parsed.flags & SESSION != 0;
        machine.doubt = machine.has_session;
        machine.requests.fix_ids(parsed.flags & FOUND != 0);
        machine.purge.cancel();
        if parsed.flags & PURGE_DUE != 0 {
            machine.purge.need(self.slots.len() as u16);
        }
        machine.journal.position = parsed.position;
        machine.journal.connected |= parsed.flags & CONNECTED != 0;
        if machine.journal.connected {
            machine.outbox.suspect_sent(self.bytes);
        }
        machine.outbox.restored(self.bytes, self.slots, &machine.requests);
        Ok(())
    }

    fn forget_session(&mut self) {
        let machine = &mut *self.machine;
        machine.outbox.clear();
        machine.requests = Requests::new(self.slots);
        machine.inbound = Inbound::default();
        machine.subscriptions.restore(
            &mut machine.outbox,
            &machine.requests,
            self.bytes,
            self.slots,
            &[],
        );
    }

    fn restore_subscriptions(&mut self, parsed: &Parsed<'_>) {
        let machine = &mut *self.machine;
        if let Some(kept) = parsed.subscriptions.filter(|_| machine.limits.renew_subscriptions) {
            machine.subscriptions.restore(
                &mut machine.outbox,
                &machine.requests,
                self.bytes,
                self.slots,
                kept,
            );
        }
        machine.subscriptions.set_due(parsed.flags & RENEWAL_DUE != 0);
    }

    fn restore_inbound(&mut self, parsed: &Parsed<'_>) {
        let inbound = &mut self.machine.inbound;
        for id in parsed.ids(Fate::Forgotten, Fate::Seen) {
            inbound.forget(self.slots, id);
        }
        for id in parsed.ids(Fate::Seen, Fate::Forgotten) {
            if !inbound.has_seen(self.slots, id) {
                inbound.remember(self.slots, id);
            }
        }
    }

    fn restore_requests(&mut self, parsed: &Parsed<'_>) {
        for id in parsed.ids(Fate::Released, Fate::Done) {
            if self.make_room(ANSWER_LEN) {
                let start = self.machine.outbox.append(ANSWER_LEN, true);
                self.write_answer(start, PUBREL, id);
                self.restore_request(id, Awaits::PubComp, start);
            }
        }
        for Accepted { id, qos, packet } in parsed.packets() {
            // Twice in one record: the later one counts.
            self.restore_end(id);
            let Some(awaits) = Awaits::of_publish(qos) else { continue };
            if self.make_room(packet.len()) {
                let start = self.machine.outbox.append(packet.len(), true);
                self.write(start, packet);
                self.restore_request(id, awaits, start);
            }
        }
    }

    fn restore_request(&mut self, id: PacketId, awaits: Awaits, start: usize) {
        self.machine.requests.restore(self.slots, id, awaits, start as u32);
    }

    fn restore_end(&mut self, id: PacketId) {
        let machine = &mut *self.machine;
        if let Some(found) = machine.requests.find(self.slots, id) {
            machine.outbox.release(self.bytes, found.place);
            machine.requests.vacate(self.slots, found.index);
        }
    }

    /// Whether the storage holds what is there once `parsed` is applied.
    fn check(&self, parsed: &Parsed<'_>) -> Result<(), RestoreError> {
        let machine = &*self.machine;
        let kept = parsed.subscriptions.filter(|_| machine.limits.renew_subscriptions);
        let suback = kept.map_or(0, filters_in) + SUBACK_OVERHEAD;
        let capacity = machine.limits.receive_capacity;
        if suback > capacity {
            return Err(RestoreError::TooManySubscriptions { needed: suback, capacity });
        }
        let kept = match kept {
            Some(kept) => kept.len(),
            None if parsed.is_snapshot() => 0,
            None => machine.subscriptions.kept(&machine.outbox, self.bytes).len(),
        };
        let (mut in_flight, mut live, mut seen) = (0, 0, 0);
        if !parsed.is_snapshot() {
            for found in machine.requests.all(self.slots) {
                if !ended(parsed).any(|id| id == found.id) {
                    in_flight += 1;
                    live += machine.outbox.len_at(self.bytes, found.place);
                }
            }
            let forgotten = parsed.ids(Fate::Forgotten, Fate::Seen);
            let gone = forgotten.filter(|id| machine.inbound.has_seen(self.slots, *id)).count();
            seen = machine.inbound.seen() - gone;
        }
        let known =
            |id: &PacketId| !parsed.is_snapshot() && machine.inbound.has_seen(self.slots, *id);
        seen += parsed.ids(Fate::Seen, Fate::Forgotten).filter(|id| !known(id)).count();
        let released = parsed.ids(Fate::Released, Fate::Done).count();
        in_flight += released + parsed.packets().count();
        live += released * ANSWER_LEN;
        live += parsed.packets().map(|accepted| accepted.packet.len()).sum::<usize>();
        let (needed, slots) = (in_flight.max(seen), self.slots.len());
        if needed > slots {
            return Err(RestoreError::Window { needed, slots });
        }
        let needed = machine.subscriptions.start() + kept + live + ANSWER_ROOM;
        let capacity = self.bytes.len();
        if needed > capacity {
            return Err(RestoreError::OutboxTooSmall { needed, capacity });
        }
        Ok(())
    }
}

impl Machine {
    /// The publishes above QoS 0 that have not ended, with the message where it is still here.
    pub(crate) fn publishes<'b>(
        &self,
        bytes: &'b [u8],
        slots: &'b [Slot],
    ) -> impl Iterator<Item = (Handle, Option<Publish<'b>>)> {
        self.outbox.packets(bytes, true).filter_map(move |kept| {
            let found = self.requests.find(slots, PacketId::new(kept.id)?)?;
            let publish = kept.publish.and_then(|packet| {
                let header = Header::decode(packet).ok()??;
                Publish::decode(header.first(), packet.get(header.header_len()..)?).ok()
            });
            (kept.is_pubrel || publish.is_some()).then_some((found.handle, publish))
        })
    }
}

/// The ids of requests that are not what they were before the record.
fn ended<'r>(parsed: &Parsed<'r>) -> impl Iterator<Item = PacketId> + use<'r> {
    let of_ours = |note: &Note| matches!(note.fate, Fate::Done | Fate::Released);
    let noted = parsed.notes().filter(of_ours).map(|note| note.id);
    noted.chain(parsed.packets().map(|accepted| accepted.id))
}
