//! QoS 0 publishes that can be dropped from a full queue: their order, and the numbers of the dropped ones.
//!
//! If the queue drops nothing, QoS 0 publishes are sent in the order of their numbers and hold no slot. If it may drop
//! them, each holds a slot until the application is told of its end. These slots are a list in the order of the outbox.
//! The numbers of dropped publishes are stored as ranges until they are told. The oldest are dropped first, so one
//! range is usually enough.

use super::{
    super::slot::{NIL, Slot, Use},
    Requests, Tally,
};

#[derive(Clone, Debug, Hash)]
pub(super) struct Queue {
    /// The two ends of the list, linked through `place`.
    first: u32,
    last: u32,
    /// The number of the publish that was accepted last.
    pub(super) number: u32,
    pub(super) dropped: Dropped,
}

impl Queue {
    pub(super) const EMPTY: Self =
        Self { first: NIL, last: NIL, number: 0, dropped: Dropped([Range::EMPTY; RANGES]) };
}

/// Numbers of dropped publishes that are still to be told.
#[derive(Clone, Debug, Hash)]
pub(super) struct Dropped([Range; RANGES]);

const RANGES: usize = 2;

#[derive(Clone, Copy, Debug, Hash)]
struct Range {
    first: u32,
    count: u32,
}

impl Range {
    const EMPTY: Self = Self { first: 0, count: 0 };

    /// Whether `number` extends this range, or the range is empty.
    const fn can_hold(&self, number: u32) -> bool {
        self.count == 0 || self.first.wrapping_add(self.count) == number
    }
}

impl Dropped {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|range| range.count == 0)
    }

    fn has_room_for(&self, number: u32) -> bool {
        self.0.iter().any(|range| range.can_hold(number))
    }

    fn add(&mut self, number: u32) {
        let extends = |range: &&mut Range| range.count != 0 && range.can_hold(number);
        let range = match self.0.iter_mut().find(extends) {
            Some(range) => range,
            None => match self.0.iter_mut().find(|range| range.count == 0) {
                Some(range) => range,
                None => {
                    debug_assert!(false, "`has_room_for` was not asked before `add`");
                    return;
                }
            },
        };
        if range.count == 0 {
            range.first = number;
        }
        range.count += 1;
    }

    pub(super) fn next(&mut self) -> Option<u32> {
        let range = self.0.iter_mut().find(|range| range.count != 0)?;
        let number = range.first;
        range.first = number.wrapping_add(1);
        range.count -= 1;
        Some(number)
    }
}

impl Requests {
    /// QoS 0 publishes that have not been sent.
    pub(in crate::session) const fn unsent(&self) -> usize {
        let Tally { accepted, sent, lost, .. } = self.unacknowledged;
        accepted.wrapping_sub(sent).wrapping_sub(lost) as usize
    }

    /// The QoS 0 publish that was accepted last holds a slot from now on. The caller has checked that one is free.
    pub(in crate::session) fn enter_queue(&mut self, slots: &mut [Slot]) {
        let index = self.first_free;
        let number = self.queue.number;
        let Some(slot) = slots.get_mut(index as usize) else {
            debug_assert!(false, "no slot is free for a droppable publish");
            return;
        };
        self.first_free = slot.place;
        self.used += 1;
        slot.generation = number;
        slot.state = Use::Droppable;
        slot.place = NIL;
        if self.queue.first == NIL {
            self.queue.first = index;
        } else if let Some(last) = slots.get_mut(self.queue.last as usize) {
            last.place = index;
        }
        self.queue.last = index;
    }

    /// The oldest leaves the list; gives its number.
    pub(super) fn leave_queue(&mut self, slots: &mut [Slot]) -> Option<u32> {
        let index = self.queue.first as usize;
        let slot = slots.get(index)?;
        let number = slot.generation;
        self.queue.first = slot.place;
        self.end(slots, index);
        Some(number)
    }

    /// The number of the publish at `position`, counted among those that have not been sent whole.
    pub(in crate::session) fn number_at(&self, slots: &[Slot], position: usize) -> Option<u32> {
        let mut at = self.queue.first;
        for _ in 0..self.untold() + position {
            at = slots.get(at as usize)?.place;
        }
        slots.get(at as usize).map(|slot| slot.generation)
    }

    /// Whether there is room to remember that the publish `number` was dropped.
    pub(in crate::session) fn can_drop(&self, number: u32) -> bool {
        self.queue.dropped.has_room_for(number)
    }

    /// Drops the publish at `position`, counted among those that have not been sent whole.
    pub(in crate::session) fn drop_at(&mut self, slots: &mut [Slot], position: usize) {
        let mut before = NIL;
        let mut at = self.queue.first;
        for _ in 0..self.untold() + position {
            before = at;
            at = slots.get(at as usize).map_or(NIL, |slot| slot.place);
        }
        let Some(slot) = slots.get(at as usize) else {
            debug_assert!(false, "no droppable publish is at position {position}");
            return;
        };
        let (number, next) = (slot.generation, slot.place);
        match slots.get_mut(before as usize) {
            Some(before) => before.place = next,
            None => self.queue.first = next,
        }
        if self.queue.last == at {
            self.queue.last = before;
        }
        self.queue.dropped.add(number);
        self.unacknowledged.accepted = self.unacknowledged.accepted.wrapping_sub(1);
        self.end(slots, at as usize);
    }

    /// How many publishes at the front of the list were sent, or lost, and are still to be told.
    fn untold(&self) -> usize {
        let Tally { sent, told, lost, .. } = self.unacknowledged;
        sent.wrapping_sub(told).wrapping_add(lost) as usize
    }
}
