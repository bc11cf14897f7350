//! The ids for [`Ids::Reclaimed`]: those of a session that the client did not open go round apart from the others.

use super::{Awaits, Ids, LARGEST_WINDOW, LAST_ID, PacketId, Range, Requests, Slot, abandoned};

impl Requests {
    /// The reclaimed ids, or those to be reclaimed.
    pub(in crate::session) const fn reclaimed_range(&self) -> Option<Range> {
        match self.ids {
            Ids::Reclaimed(range) => Some(range),
            Ids::MoveOn => None,
        }
    }

    /// The ids for [`Ids::Reclaimed`]: enough for `most` publishes of QoS 2 beside the ids that stay out of use. None
    /// of them belongs to another request in flight.
    pub(in crate::session) fn range_to_reclaim(&self, slots: &[Slot], most: u16) -> Range {
        let count = usize::from(most).min(slots.len()) + abandoned::MOST;
        let count = count.min(LARGEST_WINDOW) as u16;
        let mut range = Range { first: LAST_ID, last: 0 };
        for found in self.all(slots).filter(|found| found.awaits == Awaits::PubRec) {
            // Publishes that wait have ids that follow one another.
            range.first = range.first.min(found.id.get());
        }
        if range.first == LAST_ID {
            range.first = 1;
        }
        loop {
            range.last = range.first.saturating_add(count - 1);
            if range.last > LAST_ID {
                return Range { first: 1, last: count };
            }
            let mut highest = 0;
            for found in self.all(slots).filter(|found| found.awaits != Awaits::PubRec) {
                if range.has(found.id) {
                    highest = highest.max(found.id.get());
                }
            }
            if highest == 0 {
                return range;
            }
            range.first = highest + 1;
        }
    }

    /// The first id from `from` on of a publish that waits for its PUBREC and is not among the reclaimed ones; 0: there
    /// is none.
    pub(in crate::session) fn exactly_once_outside(&self, slots: &[Slot], from: u16) -> u16 {
        let Ids::Reclaimed(range) = self.ids else { return 0 };
        let mut first = 0;
        for found in self.all(slots) {
            let id = found.id.get();
            let outside = found.awaits == Awaits::PubRec && !range.has(found.id);
            if outside && id >= from && (first == 0 || id < first) {
                first = id;
            }
        }
        first
    }

    /// See [`Ids::Reclaimed`].
    #[cold]
    pub(super) fn next_id_beside_reclaimed(
        &self,
        slots: &[Slot],
        awaits: Awaits,
        range: Range,
    ) -> Option<PacketId> {
        if awaits == Awaits::PubRec {
            return self.next_reclaimed(slots, range);
        }
        let count = slots.len() as u32;
        let last = u32::from(self.last_other);
        // The next id that is the first free slot's own.
        let round = |id: u32| id.checked_rem(count).unwrap_or(0);
        let ahead = round(self.first_free + count - round(last)) + 1;
        let id = self.id_after(slots, (last + ahead).saturating_sub(count))?;
        self.free_id_from(slots, id, Some(range)).or_else(|| self.free_id_from(slots, id, None))
    }

    fn next_reclaimed(&self, slots: &[Slot], range: Range) -> Option<PacketId> {
        let Range { first, last } = range;
        let mut id = self.last_exactly_once;
        for _ in first..=last {
            id = if id < first || id >= last { first } else { id + 1 };
            let free = PacketId::new(id).filter(|id| self.is_free(slots, *id));
            if free.is_some() {
                return free;
            }
        }
        None
    }

    /// Whether there is an id for a publish of QoS 2, if a slot is free.
    pub(in crate::session) fn has_id_for_qos_2(&self, slots: &[Slot]) -> bool {
        let Ids::Reclaimed(range) = self.ids else { return true };
        self.next_reclaimed(slots, range).is_some()
    }

    #[cold]
    pub(super) fn use_beside_reclaimed(
        &mut self,
        slots: &[Slot],
        id: PacketId,
        awaits: Awaits,
        range: Range,
    ) {
        if awaits == Awaits::PubRec && range.has(id) {
            self.last_exactly_once = id.get();
        } else {
            self.last_other = id.get();
        }
        let count = slots.len() as u32;
        let own = u32::from(id.get() - 1).checked_rem(count).unwrap_or(0);
        let behind = (self.first_free + count - own).checked_rem(count).unwrap_or(0);
        self.farthest = self.farthest.max(behind as u16);
    }
}
