//! What outlives connections: requests in flight, ids seen, and the bytes that wait for the broker.
//!
//! A request that awaits an answer holds a [`Slot`] from the call that made it until its event; its packet lies in the
//! [`outbox`]. The packet id names the slot: id = index + 1 + n × (number of slots), so finding the slot of an
//! acknowledgement takes one division however many are in flight, and an id in use cannot be given out again
//! [MQTT-2.3.1-2]. Slots are reused in the order in which they became free, which makes the ids of an orderly
//! exchange count up.

mod inbound;
pub(crate) mod journal;
mod outbox;
mod preamble;
pub(crate) mod qos;
mod queue;
mod subscriptions;

pub(crate) use inbound::Inbound;
pub use journal::{Chunk, Record};
pub(crate) use outbox::{ANSWER_ROOM, Outbox};
pub(crate) use preamble::Preamble;
pub use subscriptions::Subscription;
pub(crate) use subscriptions::{SPARE as SUBSCRIPTIONS_SPARE, Subscriptions, filter_count};

use core::hash::{Hash, Hasher};

use crate::{codec::PacketId, event::Handle};
use inbound::Marks;
use qos::Awaits;
use queue::Queued;

/// The last id of a request; the one above is that of renewed subscriptions, see [`subscriptions`].
pub(crate) const LAST_ID: u16 = u16::MAX - 1;
/// The largest window: one id a slot.
pub(crate) const LARGEST_WINDOW: usize = LAST_ID as usize;

const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Free,
    InFlight(Awaits),
    /// Its session went before it was done; the event is still to be given.
    Lost,
    /// A publish of QoS 0 that may give way to another one, see [`queue`]: waits, or was sent and is to be reported.
    Queued,
}

/// Storage of one request in flight, one incoming message that the application has not acknowledged, and one id of
/// an incoming QoS 2 message. 16 bytes; made by [`Slot::EMPTY`] or `Default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    generation: u32,
    /// In flight: where the packet is in the outbox. Free, queued: the next such slot.
    place: u32,
    id: u16,
    state: State,
    /// These two are about incoming messages, see [`inbound`], and have nothing to do with the request.
    marks: Marks,
    owed_id: u16,
    seen: u16,
}

const _: () = assert!(size_of::<Slot>() == 16);

impl Slot {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self {
        generation: 0,
        place: NIL,
        id: 0,
        state: State::Free,
        marks: Marks::NONE,
        owed_id: 0,
        seen: 0,
    };
}

/// What decides about anything: a free slot's generation does not.
impl Hash for Slot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let generation = if self.state == State::Free { 0 } else { self.generation };
        (generation, self.place, self.id, self.state, self.marks, self.owed_id, self.seen)
            .hash(hasher);
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The requests in flight; the slots themselves are the caller's.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Requests {
    /// Ends of the list of free slots, linked through `place`.
    first_free: u32,
    last_free: u32,
    used: u32,
    /// Of these, publishes of QoS 2.
    exactly_once: u32,
    /// Some ids were restored into other slots than their own, because the window was another one.
    misplaced: bool,
    /// Ids stay with their slots.
    fixed: bool,
    lost: u32,
    generation: u32,
    /// QoS 0 publishes accepted, sent, and reported as sent: their number is their handle. Those that gave way are in
    /// none of these.
    unacknowledged: Tally,
    /// Those that hold a slot.
    queued: Queued,
}

#[derive(Clone, Debug, Default, Hash)]
struct Tally {
    accepted: u32,
    sent: u32,
    reported: u32,
}

/// What an answer found.
pub(crate) struct InFlight {
    pub(crate) index: usize,
    pub(crate) id: PacketId,
    pub(crate) awaits: Awaits,
    pub(crate) place: u32,
    pub(crate) handle: Handle,
}

impl Requests {
    pub(crate) fn new(slots: &mut [Slot]) -> Self {
        let count = slots.len() as u32;
        for (slot, next) in slots.iter_mut().zip(1..) {
            *slot = Slot { place: if next == count { NIL } else { next }, ..Slot::EMPTY };
        }
        Self {
            first_free: if count == 0 { NIL } else { 0 },
            last_free: count.wrapping_sub(1),
            used: 0,
            exactly_once: 0,
            misplaced: false,
            fixed: false,
            lost: 0,
            generation: 0,
            unacknowledged: Tally::default(),
            queued: Queued::EMPTY,
        }
    }

    /// Whether a slot always gives the same id, or each time another.
    pub(crate) const fn fix_ids(&mut self, fixed: bool) {
        self.fixed = fixed;
    }

    pub(crate) const fn ids_are_fixed(&self) -> bool {
        self.fixed
    }

    /// Requests that hold a slot.
    pub(crate) fn in_flight(&self) -> usize {
        self.used as usize
    }

    /// Publishes of QoS 2 that hold a slot.
    pub(crate) fn exactly_once(&self) -> usize {
        self.exactly_once as usize
    }

    /// The id that the next request gets; `None` while every slot is taken. Nothing changes until
    /// [`Requests::begin`].
    pub(crate) fn next_id(&self, slots: &[Slot]) -> Option<PacketId> {
        let index = self.first_free;
        let slot = slots.get(index as usize)?;
        let id = self.id_after(slots, u32::from(slot.id))?;
        if self.misplaced { self.free_id_from(slots, id) } else { Some(id) }
    }

    /// The id of the first free slot that follows `last`.
    fn id_after(&self, slots: &[Slot], last: u32) -> Option<PacketId> {
        // Once round the slots since this one's last id; from the start again above LAST_ID.
        let next = last + slots.len() as u32;
        let again = last == 0 || self.fixed || next > u32::from(LAST_ID);
        PacketId::new(if again { self.first_free + 1 } else { next } as u16)
    }

    /// `id`, or the next one of its slot that is in no other slot's.
    #[cold]
    fn free_id_from(&self, slots: &[Slot], id: PacketId) -> Option<PacketId> {
        let mut id = id;
        for _ in slots {
            if self.find(slots, id).is_none() {
                return Some(id);
            }
            id = self.id_after(slots, u32::from(id.get()))?;
        }
        None
    }

    /// Takes the slot whose id [`Requests::next_id`] gave, for the packet at `place`.
    pub(crate) fn begin(
        &mut self,
        slots: &mut [Slot],
        id: PacketId,
        awaits: Awaits,
        place: u32,
    ) -> Handle {
        self.generation = self.generation.wrapping_add(1);
        if let Some(slot) = slots.get_mut(self.first_free as usize) {
            self.first_free = slot.place;
            self.used += 1;
            self.exactly_once += u32::from(awaits == Awaits::PubRec);
            slot.generation = self.generation;
            slot.place = place;
            slot.id = id.get();
            slot.state = State::InFlight(awaits);
        }
        Handle::new(id.get(), self.generation)
    }

    /// The request in flight under `id`.
    pub(crate) fn find(&self, slots: &[Slot], id: PacketId) -> Option<InFlight> {
        let index = usize::from(id.get() - 1).checked_rem(slots.len())?;
        match in_flight(slots, index) {
            Some(found) if found.id == id => Some(found),
            _ if self.misplaced => self.all(slots).find(|found| found.id == id),
            _ => None,
        }
    }

    /// All requests in flight, in no particular order.
    pub(crate) fn all(&self, slots: &[Slot]) -> impl Iterator<Item = InFlight> {
        (0..slots.len()).filter_map(|index| in_flight(slots, index))
    }

    /// Puts a request of a former life into a free slot, its own where that is free. [`Requests::relist`] has to follow.
    pub(crate) fn restore(&mut self, slots: &mut [Slot], id: PacketId, awaits: Awaits, place: u32) {
        let own = usize::from(id.get() - 1).checked_rem(slots.len()).unwrap_or(0);
        let is_free = |slot: &Slot| slot.state == State::Free;
        let index = if slots.get(own).is_some_and(is_free) {
            Some(own)
        } else {
            slots.iter().position(is_free)
        };
        self.generation = self.generation.wrapping_add(1);
        if let Some((index, slot)) = index.and_then(|index| Some((index, slots.get_mut(index)?))) {
            self.misplaced |= index != own;
            slot.generation = self.generation;
            slot.place = place;
            slot.id = id.get();
            slot.state = State::InFlight(awaits);
        }
    }

    /// Frees the slot `index`. [`Requests::relist`] has to follow.
    pub(crate) fn vacate(&self, slots: &mut [Slot], index: usize) {
        if let Some(slot) = slots.get_mut(index) {
            slot.state = State::Free;
            slot.place = NIL;
            // An id that is not the slot's own must not be counted on from.
            if self.misplaced {
                slot.id = 0;
            }
        }
    }

    /// Counts and links the slots anew.
    pub(crate) fn relist(&mut self, slots: &mut [Slot]) {
        self.first_free = NIL;
        self.last_free = NIL;
        self.used = 0;
        self.exactly_once = 0;
        for index in 0..slots.len() {
            match in_flight(slots, index) {
                Some(found) => {
                    self.used += 1;
                    let exactly_once = matches!(found.awaits, Awaits::PubRec | Awaits::PubComp);
                    self.exactly_once += u32::from(exactly_once);
                }
                None => self.append_free(slots, index),
            }
        }
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

    /// Moves the request in slot `index` on to `awaits`, with its packet at `place`.
    pub(crate) fn advance(slots: &mut [Slot], index: usize, awaits: Awaits, place: u32) {
        if let Some(slot) = slots.get_mut(index) {
            slot.state = State::InFlight(awaits);
            slot.place = place;
        }
    }

    /// The request in slot `index` is done; its id is free again.
    pub(crate) fn end(&mut self, slots: &mut [Slot], index: usize) {
        if let Some(slot) = slots.get_mut(index) {
            // Only publishes of QoS 2 are lost.
            let exactly_once = matches!(
                slot.state,
                State::Lost | State::InFlight(Awaits::PubRec | Awaits::PubComp)
            );
            self.exactly_once = self.exactly_once.saturating_sub(u32::from(exactly_once));
        }
        self.vacate(slots, index);
        self.used = self.used.saturating_sub(1);
        self.append_free(slots, index);
    }

    /// The request under `id` went with its session.
    fn lose(&mut self, slots: &mut [Slot], id: u16) {
        let Some(found) = PacketId::new(id).and_then(|id| self.find(slots, id)) else { return };
        if let Some(slot) = slots.get_mut(found.index) {
            slot.state = State::Lost;
            self.lost += 1;
        }
    }

    /// The packet of the request under `id` has moved to `place`.
    fn relocate(&self, slots: &mut [Slot], id: u16, place: u32) {
        let Some(found) = PacketId::new(id).and_then(|id| self.find(slots, id)) else { return };
        if let Some(slot) = slots.get_mut(found.index) {
            slot.place = place;
        }
    }

    /// A QoS 0 publish was accepted.
    pub(crate) fn begin_unacknowledged(&mut self) -> Handle {
        self.unacknowledged.accepted = self.unacknowledged.accepted.wrapping_add(1);
        self.queued.number = self.queued.number.wrapping_add(1);
        Handle::new(0, self.queued.number)
    }

    /// A QoS 0 publish has been handed to the transport whole.
    fn sent_unacknowledged(&mut self) {
        self.unacknowledged.sent = self.unacknowledged.sent.wrapping_add(1);
    }

    /// Every QoS 0 publish has.
    fn sent_all_unacknowledged(&mut self) {
        self.unacknowledged.sent = self.unacknowledged.accepted;
    }

    pub(crate) fn has_reports(&self) -> bool {
        self.lost != 0
            || !self.queued.dropped.is_empty()
            || self.unacknowledged.sent != self.unacknowledged.reported
    }

    /// The next request that ended without an answer from the broker.
    pub(crate) fn report(&mut self, slots: &mut [Slot]) -> Option<Report> {
        if self.unacknowledged.sent != self.unacknowledged.reported {
            self.unacknowledged.reported = self.unacknowledged.reported.wrapping_add(1);
            let number = self.leave_queue(slots).unwrap_or(self.unacknowledged.reported);
            return Some(Report::Sent(Handle::new(0, number)));
        }
        if let Some(number) = self.queued.dropped.next() {
            return Some(Report::Dropped(Handle::new(0, number)));
        }
        if self.lost == 0 {
            return None;
        }
        let lost = slots.iter().position(|slot| slot.state == State::Lost);
        let Some((index, slot)) = lost.and_then(|at| Some((at, slots.get(at)?))) else {
            self.lost = 0;
            return None;
        };
        let handle = Handle::new(slot.id, slot.generation);
        self.lost -= 1;
        self.end(slots, index);
        Some(Report::Lost(handle))
    }
}

/// The request in slot `index`.
fn in_flight(slots: &[Slot], index: usize) -> Option<InFlight> {
    let slot = slots.get(index)?;
    let State::InFlight(awaits) = slot.state else { return None };
    Some(InFlight {
        index,
        id: PacketId::new(slot.id)?,
        awaits,
        place: slot.place,
        handle: Handle::new(slot.id, slot.generation),
    })
}

/// A request that ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// QoS 0: it was handed to the transport.
    Sent(Handle),
    /// It went with its session.
    Lost(Handle),
    /// QoS 0: it gave way to another one.
    Dropped(Handle),
}

#[cfg(test)]
mod tests;
