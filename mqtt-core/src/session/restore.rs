//! Rebuilding a session from its records.

use super::{
    AtBroker, SessionMut,
    inbound::Inbound,
    note::Fate,
    outbox::{ANSWER_ROOM, Until},
    qos::Awaits,
    record::{Accepted, CONNECTED, FOUND, Parsed, RECLAIM_DUE, RENEWAL_DUE, SESSION, filters_in},
    requests::{Ids, Requests, Table, last_reclaimed},
    subscriptions::suback_len,
};
use crate::{
    codec::{PacketId, ack::ACK_LEN},
    error::RestoreError,
};

/// The notes that end a request.
const ENDS: &[Fate] = &[Fate::Done, Fate::Abandoned];

impl SessionMut<'_> {
    /// Applies `record`. On an error nothing has changed.
    ///
    /// A renewal's SUBACK must not be longer than `largest_suback`.
    pub(crate) fn restore(
        &mut self,
        record: &[u8],
        largest_suback: usize,
    ) -> Result<(), RestoreError> {
        if !self.session.changes.are_recorded() {
            return Err(RestoreError::NoJournal);
        }
        if !self.session.changes.restorable {
            return Err(RestoreError::InUse);
        }
        let parsed = Parsed::new(record)?;
        self.check(&parsed, largest_suback)?;
        if parsed.is_snapshot() {
            self.forget();
        }
        // Ended requests make room for new ones.
        for id in ended(&parsed) {
            self.restore_end(id);
        }
        self.restore_subscriptions(&parsed);
        self.restore_inbound(&parsed);
        self.restore_requests(&parsed);
        self.restore_flags(&parsed);
        let session = &mut *self.session;
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.outbox.restored(self.bytes, &mut table);
        Ok(())
    }

    /// A snapshot replaces everything.
    fn forget(&mut self) {
        let session = &mut *self.session;
        session.outbox.clear();
        session.requests = Requests::new(self.slots);
        session.inbound = Inbound::default();
        session.reclaim.cancel();
        session.at_broker = AtBroker::None;
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.subscriptions.restore(&mut session.outbox, self.bytes, &mut table, &[]);
    }

    fn restore_subscriptions(&mut self, parsed: &Parsed<'_>) {
        let session = &mut *self.session;
        if let Some(filters) = parsed.subscriptions.filter(|_| session.subscriptions.are_renewed())
        {
            let mut table = Table { requests: &mut session.requests, slots: self.slots };
            session.subscriptions.restore(&mut session.outbox, self.bytes, &mut table, filters);
        }
        session.subscriptions.set_due(parsed.flags & RENEWAL_DUE != 0);
    }

    fn restore_inbound(&mut self, parsed: &Parsed<'_>) {
        let inbound = &mut self.session.inbound;
        for id in parsed.ids(Fate::Forgotten, &[Fate::Seen]) {
            inbound.forget(self.slots, id);
        }
        for id in parsed.ids(Fate::Seen, &[Fate::Forgotten]) {
            if !inbound.has_seen(self.slots, id) {
                inbound.remember(self.slots, id);
            }
        }
    }

    fn restore_requests(&mut self, parsed: &Parsed<'_>) {
        let abandoned = &mut self.session.requests.abandoned;
        for id in parsed.ids(Fate::Done, &[Fate::Abandoned]) {
            abandoned.remove(id);
        }
        for id in parsed.ids(Fate::Abandoned, &[Fate::Done]) {
            abandoned.add(id);
        }
        for id in parsed.ids(Fate::Released, ENDS) {
            let roomy = self.make_room(ACK_LEN);
            debug_assert!(roomy, "the record was checked against the outbox");
            if roomy {
                let start = self.append_pubrel(id);
                self.session.requests.restore(self.slots, id, Awaits::PubComp, start);
            }
        }
        for Accepted { id, qos, packet } in parsed.packets() {
            // If the id is twice in one record, the later packet counts.
            self.restore_end(id);
            let Some(awaits) = Awaits::of_publish(qos) else { continue };
            let roomy = self.make_room(packet.len());
            debug_assert!(roomy, "the record was checked against the outbox");
            if roomy {
                let place = self.append(packet, Until::Answered);
                self.session.requests.restore(self.slots, id, awaits, place);
            }
        }
    }

    fn restore_end(&mut self, id: PacketId) {
        let session = &mut *self.session;
        if let Some(found) = session.requests.find(self.slots, id) {
            session.outbox.release(self.bytes, found.place);
            session.requests.vacate(self.slots, found.index);
        }
    }

    fn restore_flags(&mut self, parsed: &Parsed<'_>) {
        let session = &mut *self.session;
        session.requests.rebuild(self.slots);
        session.at_broker =
            if parsed.flags & SESSION != 0 { AtBroker::Uncertain } else { AtBroker::None };
        let ids = if parsed.flags & FOUND != 0 { Ids::Reclaimed } else { Ids::MoveOn };
        session.requests.set_ids(self.slots, ids);
        session.reclaim.cancel();
        if parsed.flags & RECLAIM_DUE != 0 {
            session.reclaim.start(last_reclaimed(self.slots));
        }
        session.position = parsed.position;
        session.changes.connected |= parsed.flags & CONNECTED != 0;
        if session.changes.connected {
            session.outbox.suspect_sent(self.bytes);
            session.requests.suspect_sent(self.slots);
        }
    }

    /// Whether the storage holds everything that is there once `parsed` is applied.
    fn check(&self, parsed: &Parsed<'_>, largest_suback: usize) -> Result<(), RestoreError> {
        let session = &*self.session;
        let filters = parsed.subscriptions.filter(|_| session.subscriptions.are_renewed());
        let filters_in = filters.map_or(0, filters_in);
        let needed = suback_len(session.subscriptions.most_asked(filters_in));
        if needed > largest_suback {
            return Err(RestoreError::TooManySubscriptions { needed, capacity: largest_suback });
        }
        let filters = match filters {
            Some(filters) => filters.len(),
            None if parsed.is_snapshot() => 0,
            None => session.subscriptions.filters(&session.outbox, self.bytes).len(),
        };
        let (mut in_flight, mut live, mut seen) = (0, 0, 0);
        if !parsed.is_snapshot() {
            for found in session.requests.all(self.slots) {
                if !ended(parsed).any(|id| id == found.id) {
                    in_flight += 1;
                    live += session.outbox.len_at(self.bytes, found.place);
                }
            }
            let forgotten = parsed.ids(Fate::Forgotten, &[Fate::Seen]);
            let gone = forgotten.filter(|id| session.inbound.has_seen(self.slots, *id)).count();
            seen = session.inbound.seen() - gone;
        }
        let known =
            |id: &PacketId| !parsed.is_snapshot() && session.inbound.has_seen(self.slots, *id);
        seen += parsed.ids(Fate::Seen, &[Fate::Forgotten]).filter(|id| !known(id)).count();
        let released = parsed.ids(Fate::Released, ENDS).count();
        in_flight += released + parsed.packets().count();
        live += released * ACK_LEN;
        live += parsed.packets().map(|accepted| accepted.packet.len()).sum::<usize>();
        let (needed, slots) = (in_flight.max(seen), self.slots.len());
        if needed > slots {
            return Err(RestoreError::Window { needed, slots });
        }
        let needed = session.subscriptions.start() + filters + live + ANSWER_ROOM;
        let capacity = self.bytes.len();
        if needed > capacity {
            return Err(RestoreError::OutboxTooSmall { needed, capacity });
        }
        Ok(())
    }
}

/// The ids of requests that the record changes.
fn ended<'r>(parsed: &Parsed<'r>) -> impl Iterator<Item = PacketId> + use<'r> {
    let noted = parsed.notes().filter(|note| note.fate.is_of_request()).map(|note| note.id);
    noted.chain(parsed.packets().map(|accepted| accepted.id))
}
