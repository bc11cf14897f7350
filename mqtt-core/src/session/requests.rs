//! Requests in flight: packet ids and handles. [`ended`] has the requests that end without an answer,
//! `unacknowledged` the publishes of QoS 0, `reclaimed` the ids for [`Ids::Reclaimed`].
//!
//! A request that awaits an answer holds a [`Slot`] from the call that made it until its event; its packet lies in the
//! [`outbox`](super::outbox). The packet id names the slot: id = index + 1 + n × (number of slots). So one division
//! finds the slot of an acknowledgement, however many requests are in flight, and an id in use cannot be given out
//! again [MQTT-2.3.1-2]. Slots are reused in the order in which they became free, so the ids of an orderly exchange
//! count up. Every slot is either in use or in the list of free slots.
//!
//! If a session is restored into another number of slots, a request may find the slot of its id taken. Then it lies in
//! the next free one, and `farthest` bounds the search for it.

mod abandoned;
mod droppable;
mod ended;
mod reclaimed;
mod unacknowledged;

use super::{
    handle::Handle,
    qos::Awaits,
    slot::{NIL, Slot, Use},
};
use crate::codec::PacketId;
pub(super) use abandoned::Abandoned;
use droppable::Queue;
pub(crate) use ended::Ended;
pub(super) use ended::Ending;
use unacknowledged::Tally;

/// The last id of a request; the two ids above belong to renewed subscriptions, see
/// [`subscriptions`](super::subscriptions).
pub(crate) const LAST_ID: u16 = u16::MAX - 2;
/// The largest window: one id for each slot.
pub(crate) const LARGEST_WINDOW: usize = LAST_ID as usize;

/// Which id a slot gives to its next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ids {
    /// Another one each time, so that a late answer is not mistaken for the answer to a new request.
    MoveOn,
    /// Publishes of QoS 2 go round among these ids, which are reclaimed before, because the broker may hold others from
    /// a session that the client did not open. The ids of all other requests go round among the rest: the broker holds
    /// none of theirs.
    Reclaimed(Range),
}

/// A range of packet ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl Range {
    pub(super) const fn has(self, id: PacketId) -> bool {
        self.first <= id.get() && id.get() <= self.last
    }
}

/// The requests in flight; the slots themselves are the caller's.
#[derive(Clone, Debug, Hash)]
pub(super) struct Requests {
    /// The two ends of the list of free slots, linked through `place`.
    first_free: u32,
    last_free: u32,
    used: u32,
    /// Publishes of QoS 2 among the used slots.
    exactly_once: u32,
    /// A request lies at most so many slots behind the slot of its id. It is 0 unless the window had another size when
    /// the request was made, or ids are given out beside the reclaimed ones.
    farthest: u16,
    ids: Ids,
    /// With [`Ids::Reclaimed`]: the last id of a publish of QoS 2, and of another request.
    last_exactly_once: u16,
    last_other: u16,
    /// Requests that ended without an answer, and whose event is still to come. None is in a slot below the second
    /// number.
    ended: u16,
    first_ended: u16,
    /// Cancelled requests whose packet is being sent.
    finishing: u32,
    pub(super) abandoned: Abandoned,
    generation: u32,
    seed: u32,
    /// Counts of QoS 0 publishes. A dropped publish is in none of them.
    unacknowledged: Tally,
    /// QoS 0 publishes that hold a slot, and those that were dropped.
    queue: Queue,
}

/// The requests together with their slots.
pub(super) struct Table<'a> {
    pub(super) requests: &'a mut Requests,
    pub(super) slots: &'a mut [Slot],
}

impl Table<'_> {
    /// The packet of the request under `id` has moved to `place`.
    pub(super) fn relocate(&mut self, id: u16, place: u32) {
        self.requests.relocate(self.slots, id, place);
    }

    /// The broker lost the session, and the request under `id` with it.
    pub(super) fn lose(&mut self, id: u16) {
        self.requests.lose(self.slots, id);
    }

    /// The packet of the request under `id` was shown to the driver, and the connection has ended.
    pub(super) fn was_sent(&mut self, id: u16) {
        let found = PacketId::new(id).and_then(|id| self.requests.find(self.slots, id));
        if let Some(slot) = found.and_then(|found| self.slots.get_mut(found.index)) {
            slot.marks.set_sent(true);
        }
    }
}

/// A request that an answer belongs to.
pub(super) struct InFlight {
    pub(super) index: usize,
    pub(super) id: PacketId,
    pub(super) awaits: Awaits,
    pub(super) place: u32,
    pub(super) handle: Handle,
    /// Its packet was shown on an earlier connection.
    pub(super) was_sent: bool,
}

impl InFlight {
    /// Whether it was not cancelled.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaits != Awaits::Nothing
    }
}

impl Requests {
    /// No requests. `seed` chooses the first packet id; it is 1 if the seed is 0.
    ///
    /// Some brokers keep packet ids of a client and say that they have no session for it. If each life of the client
    /// has another seed, it does not begin with the ids of the one before.
    pub(super) fn new(slots: &mut [Slot], seed: u32) -> Self {
        let count = slots.len() as u32;
        // The ids of a slot lie `count` apart.
        let rounds = u32::from(LAST_ID).checked_div(count).unwrap_or(0);
        let round = (seed.wrapping_mul(0x9E37_79B9) >> 16).checked_rem(rounds).unwrap_or(0);
        for (slot, next) in slots.iter_mut().zip(1..) {
            // The next id of a slot is `count` behind this one.
            let id = (round * count + next).saturating_sub(count) as u16;
            let place = if next == count { NIL } else { next };
            *slot = Slot { place, id: if round == 0 { 0 } else { id }, ..Slot::EMPTY };
        }
        Self {
            first_free: if count == 0 { NIL } else { 0 },
            last_free: count.wrapping_sub(1),
            used: 0,
            exactly_once: 0,
            farthest: 0,
            ids: Ids::MoveOn,
            last_exactly_once: 0,
            last_other: 0,
            ended: 0,
            first_ended: 0,
            finishing: 0,
            abandoned: Abandoned::NONE,
            generation: 0,
            seed,
            unacknowledged: Tally::default(),
            queue: Queue::EMPTY,
        }
    }

    pub(super) const fn seed(&self) -> u32 {
        self.seed
    }

    /// From now on ids are given out as `ids` says.
    pub(super) fn set_ids(&mut self, slots: &[Slot], ids: Ids) {
        self.ids = ids;
        if let Ids::Reclaimed(range) = ids {
            // Those in flight are not used again at once.
            let (mut exactly_once, mut other) = (0, range.last);
            for found in self.all(slots) {
                other = other.max(found.id.get());
                if range.has(found.id) {
                    exactly_once = exactly_once.max(found.id.get());
                }
            }
            self.last_exactly_once = exactly_once;
            self.last_other = other;
        }
    }

    pub(super) const fn ids(&self) -> Ids {
        self.ids
    }

    /// Requests that hold a slot.
    pub(super) const fn in_flight(&self) -> usize {
        self.used as usize
    }

    /// Publishes of QoS 2 that hold a slot.
    pub(super) const fn exactly_once(&self) -> usize {
        self.exactly_once as usize
    }

    /// Whether a slot is free.
    pub(super) const fn has_free(&self) -> bool {
        self.first_free != NIL
    }

    /// The id that the next request gets; `None` while every slot is used. Nothing changes until [`Requests::begin`].
    pub(super) fn next_id(&self, slots: &[Slot], awaits: Awaits) -> Option<PacketId> {
        let slot = slots.get(self.first_free as usize)?;
        if let Ids::Reclaimed(range) = self.ids {
            return self.next_id_beside_reclaimed(slots, awaits, range);
        }
        let id = self.id_after(slots, u32::from(slot.id))?;
        if self.farthest != 0 || !self.abandoned.is_empty() {
            self.free_id_from(slots, id, None)
        } else {
            Some(id)
        }
    }

    fn is_free(&self, slots: &[Slot], id: PacketId) -> bool {
        self.find(slots, id).is_none() && !self.abandoned.has(id)
    }

    /// The id of the first free slot that follows its id `last`. If `last` is 0, it is the first id of the slot.
    fn id_after(&self, slots: &[Slot], last: u32) -> Option<PacketId> {
        // Each round over all slots adds their number; above LAST_ID a slot starts again with its first id.
        let next = last + slots.len() as u32;
        let again = last == 0 || next > u32::from(LAST_ID);
        PacketId::new(if again { self.first_free + 1 } else { next } as u16)
    }

    /// `id`, or the next id of the same slot that is in use by no other slot, not kept out of use, and not in `beside`.
    #[cold]
    fn free_id_from(
        &self,
        slots: &[Slot],
        id: PacketId,
        beside: Option<Range>,
    ) -> Option<PacketId> {
        let mut id = id;
        for _ in 0..slots.len() + 3 * abandoned::MOST {
            if self.is_free(slots, id) && !beside.is_some_and(|range| range.has(id)) {
                return Some(id);
            }
            id = self.id_after(slots, u32::from(id.get()))?;
        }
        None
    }

    /// Takes the slot whose id [`Requests::next_id`] gave, for the packet at `place`.
    pub(super) fn begin(
        &mut self,
        slots: &mut [Slot],
        id: PacketId,
        awaits: Awaits,
        place: u32,
    ) -> Handle {
        debug_assert_eq!(
            self.next_id(slots, awaits),
            Some(id),
            "a request gets the id that is next"
        );
        if let Ids::Reclaimed(range) = self.ids {
            self.use_beside_reclaimed(slots, id, awaits, range);
        }
        self.generation = self.generation.wrapping_add(1);
        if let Some(slot) = slots.get_mut(self.first_free as usize) {
            debug_assert!(slot.state == Use::Free, "the list of free slots holds free slots");
            self.first_free = slot.place;
            self.used += 1;
            self.exactly_once += u32::from(awaits == Awaits::PubRec);
            slot.generation = self.generation;
            slot.place = place;
            slot.id = id.get();
            slot.state = Use::InFlight(awaits);
            slot.marks.set_sent(false);
        }
        Handle::new(id.get(), self.generation)
    }

    /// The request in flight under `id`.
    pub(super) fn find(&self, slots: &[Slot], id: PacketId) -> Option<InFlight> {
        let mut index = usize::from(id.get() - 1).checked_rem(slots.len())?;
        let mut farther = self.farthest;
        loop {
            let found = in_flight(slots, index).filter(|found| found.id == id);
            if found.is_some() || farther == 0 {
                return found;
            }
            farther -= 1;
            index = if index + 1 >= slots.len() { 0 } else { index + 1 };
        }
    }

    /// All requests in flight, in no particular order.
    pub(super) fn all(&self, slots: &[Slot]) -> impl Iterator<Item = InFlight> {
        (0..slots.len()).filter_map(|index| in_flight(slots, index))
    }

    /// Puts a restored request into a free slot: its own, or the next one behind it. Call [`Requests::rebuild`]
    /// afterwards.
    pub(super) fn restore(&mut self, slots: &mut [Slot], id: PacketId, awaits: Awaits, place: u32) {
        let own = usize::from(id.get() - 1).checked_rem(slots.len()).unwrap_or(0);
        let mut from_own = (own..slots.len()).chain(0..own).zip(0..);
        let is_free = |index: usize| slots.get(index).is_some_and(|slot| slot.state == Use::Free);
        let found = from_own.find(|(index, _)| is_free(*index));
        debug_assert!(found.is_some(), "the record was checked against the number of slots");
        self.generation = self.generation.wrapping_add(1);
        if let Some((index, behind)) = found {
            if let Some(slot) = slots.get_mut(index) {
                self.farthest = self.farthest.max(behind);
                self.used += 1;
                slot.generation = self.generation;
                slot.place = place;
                slot.id = id.get();
                slot.state = Use::InFlight(awaits);
            }
        }
    }

    /// Frees the slot `index`. The caller links it into the list of free slots.
    #[inline(always)]
    pub(super) fn vacate(&mut self, slots: &mut [Slot], index: usize) {
        debug_assert!(self.used != 0, "a request that ends was counted when it began");
        self.used = self.used.saturating_sub(1);
        let count = slots.len();
        if let Some(slot) = slots.get_mut(index) {
            debug_assert!(slot.state != Use::Free, "a slot is freed once");
            slot.state = Use::Free;
            slot.place = NIL;
            if self.farthest != 0 {
                // The next id must not be counted from an id that is not the slot's own, and must not be an earlier one.
                slot.id = own_id(slot.id, index, count);
                if self.used == 0 {
                    self.farthest = 0;
                }
            }
        }
    }

    /// Links the free slots anew, and counts the publishes of QoS 2.
    pub(super) fn rebuild(&mut self, slots: &mut [Slot]) {
        self.first_free = NIL;
        self.last_free = NIL;
        self.exactly_once = 0;
        for index in 0..slots.len() {
            match slots.get(index).map(|slot| slot.state) {
                Some(Use::Free) => self.append_free(slots, index),
                Some(Use::InFlight(Awaits::PubRec | Awaits::PubComp)) => self.exactly_once += 1,
                _ => {}
            }
        }
        self.set_ids(slots, self.ids);
    }

    /// From now on ids are given out as `ids` says. Call [`Requests::rebuild`] afterwards.
    pub(super) const fn restore_ids(&mut self, ids: Ids) {
        self.ids = ids;
    }

    fn append_free(&mut self, slots: &mut [Slot], index: usize) {
        if let Some(slot) = slots.get_mut(index) {
            slot.place = NIL;
        }
        if self.first_free == NIL {
            self.first_free = index as u32;
        } else if let Some(last) = slots.get_mut(self.last_free as usize) {
            last.place = index as u32;
        }
        self.last_free = index as u32;
    }

    /// The request in slot `index` now waits for `awaits`, with its packet at `place`.
    pub(super) fn advance(slots: &mut [Slot], index: usize, awaits: Awaits, place: u32) {
        debug_assert!(in_flight(slots, index).is_some(), "only a request in flight advances");
        if let Some(slot) = slots.get_mut(index) {
            slot.state = Use::InFlight(awaits);
            slot.place = place;
        }
    }

    /// The request in slot `index` is done; its id is free again.
    pub(super) fn end(&mut self, slots: &mut [Slot], index: usize) {
        if let Some(slot) = slots.get_mut(index) {
            // Only publishes of QoS 2 are lost.
            let exactly_once =
                matches!(slot.state, Use::Lost | Use::InFlight(Awaits::PubRec | Awaits::PubComp));
            self.exactly_once = self.exactly_once.saturating_sub(u32::from(exactly_once));
        }
        self.vacate(slots, index);
        self.append_free(slots, index);
    }

    /// Every request may have been sent before a power cut, in this session or in an earlier one.
    pub(super) fn suspect_sent(&self, slots: &mut [Slot]) {
        for slot in slots {
            slot.marks.set_sent(matches!(slot.state, Use::InFlight(_)));
        }
    }

    /// See [`Table::relocate`].
    fn relocate(&self, slots: &mut [Slot], id: u16, place: u32) {
        let found = PacketId::new(id).and_then(|id| self.find(slots, id));
        debug_assert!(found.is_some(), "the packet of id {id} is in the outbox without a request");
        if let Some(slot) = found.and_then(|found| slots.get_mut(found.index)) {
            slot.place = place;
        }
    }

    /// The generation of the request that began last.
    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }
}

/// The id of slot `index`, one of `count`, in the same round over all slots as `id`; 0 if it has none there.
#[cold]
fn own_id(id: u16, index: usize, count: usize) -> u16 {
    let id = usize::from(id);
    let round = id.saturating_sub(1).checked_rem(count).map_or(0, |place| id.saturating_sub(place));
    if id == 0 || round + index > usize::from(LAST_ID) { 0 } else { (round + index) as u16 }
}

/// The requests that have no answer.
pub(super) fn unanswered(slots: &[Slot]) -> impl Iterator<Item = Handle> {
    let all = (0..slots.len()).filter_map(|index| in_flight(slots, index));
    all.filter(InFlight::is_awaited).map(|found| found.handle)
}

/// The request in slot `index`.
fn in_flight(slots: &[Slot], index: usize) -> Option<InFlight> {
    let slot = slots.get(index)?;
    let Use::InFlight(awaits) = slot.state else { return None };
    Some(InFlight {
        index,
        id: PacketId::new(slot.id)?,
        awaits,
        place: slot.place,
        handle: Handle::new(slot.id, slot.generation),
        was_sent: slot.marks.was_sent(),
    })
}

#[cfg(test)]
mod tests;
