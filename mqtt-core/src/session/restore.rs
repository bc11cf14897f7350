//! Rebuilding a session from its records.

use super::{
    AtBroker, SessionMut,
    changes::Restore,
    inbound::Inbound,
    known::MOST_BROKERS,
    note::Fate,
    outbox::{ANSWER_ROOM, Until},
    qos::Awaits,
    record::{Accepted, CONNECTED, Parsed, RECLAIM_DUE, RENEWAL_DUE, SESSION, filters_in},
    requests::{Ids, Requests, Table},
    subscriptions::suback_len,
};
use crate::{
    codec::{PacketId, QoS, ack::ACK_LEN},
    error::RestoreError,
};

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
        if self.session.changes.restore == Restore::Over {
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
        self.session.outbox.restored();
        self.session.changes.restore = Restore::Begun;
        Ok(())
    }

    /// The part of a restore that takes time for each slot and each packet. It is done once, when the session is used:
    /// there may be as many records as packets.
    pub(super) fn put_in_order(&mut self) {
        let session = &mut *self.session;
        session.changes.restore = Restore::Possible;
        session.requests.rebuild(self.slots);
        if session.changes.connected {
            // While a reclaim is due, no publish of QoS 2 is sent in this session.
            let but = session.reclaim.is_due().then_some(QoS::ExactlyOnce);
            session.outbox.suspect_sent(self.bytes, but);
            session.requests.suspect_sent(self.slots);
        }
        session.inbound.move_to(self.slots, session.brokers.home());
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.outbox.drop_holes(self.bytes, &mut table);
    }

    /// A snapshot replaces everything.
    fn forget(&mut self) {
        let session = &mut *self.session;
        session.outbox.clear();
        session.requests = Requests::new(self.slots, session.requests.seed());
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
        if inbound.seen() + parsed.count(Fate::Seen) <= self.slots.len() {
            for note in parsed.notes() {
                inbound.look_at(note.broker);
                match note.fate {
                    Fate::Seen => inbound.remember(self.slots, note.id),
                    Fate::Forgotten => inbound.forget(self.slots, note.id),
                    Fate::Done | Fate::Released | Fate::Abandoned => {}
                }
            }
            return;
        }
        // In their order they might need more slots than there are: forgotten ids make room for new ones.
        let noted = parsed.brokers_noted();
        let brokers = || (0..MOST_BROKERS).filter(|broker| noted & 1 << broker != 0);
        let slots = &mut *self.slots;
        for broker in brokers() {
            inbound.look_at(broker);
            parsed.ids(broker, Fate::Forgotten, &[Fate::Seen], &mut |id| inbound.forget(slots, id));
        }
        for broker in brokers() {
            inbound.look_at(broker);
            let mut remember = |id| inbound.remember(slots, id);
            parsed.ids(broker, Fate::Seen, &[Fate::Forgotten], &mut remember);
        }
    }

    fn restore_requests(&mut self, parsed: &Parsed<'_>) {
        for note in parsed.notes() {
            let abandoned = &mut self.session.requests.abandoned;
            match note.fate {
                Fate::Seen | Fate::Forgotten => continue,
                Fate::Done => _ = abandoned.remove(note.id),
                Fate::Abandoned => abandoned.add(note.id),
                Fate::Released => {}
            }
            // It may have been released by an earlier note.
            self.restore_end(note.id);
            // The PUBRELs are appended in the order of their PUBRECs [MQTT-4.6.0-4].
            if note.fate == Fate::Released {
                self.restore_released(note.id);
            }
        }
        for Accepted { id, qos, packet, is_from_source } in parsed.packets() {
            // If the id is twice in one record, the later packet counts.
            self.restore_end(id);
            let Some(awaits) = Awaits::of_publish(qos) else { continue };
            let roomy = self.make_room(packet.len());
            debug_assert!(roomy, "the record was checked against the outbox");
            if roomy {
                let place = self.append(packet, Until::Answered);
                self.session.requests.restore(self.slots, id, awaits, place);
                if is_from_source {
                    self.begin_source(self.session.requests.generation());
                }
            }
        }
    }

    fn restore_released(&mut self, id: PacketId) {
        let roomy = self.make_room(ACK_LEN);
        debug_assert!(roomy, "the record was checked against the outbox");
        if roomy {
            let start = self.append_pubrel(id);
            self.session.requests.restore(self.slots, id, Awaits::PubComp, start);
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
        session.at_broker =
            if parsed.flags & SESSION != 0 { AtBroker::Uncertain } else { AtBroker::None };
        let ids = parsed.reclaimed.map_or(Ids::MoveOn, Ids::Reclaimed);
        session.requests.restore_ids(ids);
        session.reclaim.restore(parsed.flags & RECLAIM_DUE != 0);
        session.brokers.restore(parsed.brokers);
        session.inbound.look_at(session.brokers.home());
        session.position = parsed.position;
        session.changes.connected |= parsed.flags & CONNECTED != 0;
    }

    /// Whether the storage holds everything that is there once `parsed` is applied.
    fn check(&mut self, parsed: &Parsed<'_>, largest_suback: usize) -> Result<(), RestoreError> {
        let (ended, ended_bytes) =
            if parsed.is_snapshot() { (0, 0) } else { self.count_ended(parsed) };
        let session = &*self.session;
        if session.sources.is_none() && parsed.packets().any(|packet| packet.is_from_source) {
            return Err(RestoreError::NoSources);
        }
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
            in_flight = session.requests.in_flight() - ended;
            live = session.outbox.live() - ended_bytes;
            seen = session.inbound.seen();
        }
        live += session.subscriptions.start() + filters + ANSWER_ROOM;
        let packets = parsed.packets().count();
        let packet_bytes: usize = parsed.packets().map(|accepted| accepted.packet.len()).sum();
        let (slots, capacity) = (self.slots.len(), self.bytes.len());
        // Quick, and nearly always enough: as if each note were of an id of its own, and none were the end of one.
        let released = parsed.count(Fate::Released);
        let most = (in_flight + released + packets).max(seen + parsed.count(Fate::Seen));
        if most <= slots && live + released * ACK_LEN + packet_bytes <= capacity {
            return Ok(());
        }
        let noted = parsed.brokers_noted();
        for broker in (0..MOST_BROKERS).filter(|broker| noted & 1 << broker != 0) {
            let known =
                |id| !parsed.is_snapshot() && session.inbound.has_seen_of(self.slots, id, broker);
            parsed.ids(broker, Fate::Forgotten, &[Fate::Seen], &mut |id| {
                seen -= usize::from(known(id));
            });
            parsed.ids(broker, Fate::Seen, &[Fate::Forgotten], &mut |id| {
                seen += usize::from(!known(id));
            });
        }
        // The notes are applied before the packets: every id that was ever released takes a PUBREL for some time.
        let (mut released, mut stays_released) = (0, 0);
        parsed.ids(0, Fate::Released, &[], &mut |_| released += 1);
        let ends = &[Fate::Done, Fate::Abandoned];
        parsed.ids(0, Fate::Released, ends, &mut |_| stays_released += 1);
        let needed = (in_flight + released.max(stays_released + packets)).max(seen);
        if needed > slots {
            return Err(RestoreError::Window { needed, slots });
        }
        let needed = live + (released * ACK_LEN).max(stays_released * ACK_LEN + packet_bytes);
        if needed > capacity {
            return Err(RestoreError::OutboxTooSmall { needed, capacity });
        }
        Ok(())
    }

    /// How many requests in flight the record ends or replaces, and the bytes of their packets.
    fn count_ended(&mut self, parsed: &Parsed<'_>) -> (usize, usize) {
        let session = &*self.session;
        let (mut count, mut bytes) = (0, 0);
        for id in ended(parsed) {
            let Some(found) = session.requests.find(self.slots, id) else { continue };
            let Some(slot) = self.slots.get_mut(found.index) else { continue };
            if !slot.marks.ends() {
                slot.marks.set_ends(true);
                count += 1;
                bytes += session.outbox.len_at(self.bytes, found.place);
            }
        }
        for id in ended(parsed) {
            let found = session.requests.find(self.slots, id);
            if let Some(slot) = found.and_then(|found| self.slots.get_mut(found.index)) {
                slot.marks.set_ends(false);
            }
        }
        (count, bytes)
    }
}

/// The ids of requests that the record changes.
fn ended<'r>(parsed: &Parsed<'r>) -> impl Iterator<Item = PacketId> + use<'r> {
    let noted = parsed.notes().filter(|note| note.fate.is_of_request()).map(|note| note.id);
    noted.chain(parsed.packets().map(|accepted| accepted.id))
}
