//! QoS 0 publishes that may give way: which of those that wait is which, and what became of those that gave way.
//!
//! Where nothing gives way, QoS 0 publishes are sent in the order of their numbers and hold no slot. Where they may, each
//! holds a slot until it is reported, in a list in the order of the outbox. Numbers of those that gave way are kept as
//! ranges until they are reported: the oldest go first, so one range is the rule.

use super::{NIL, Requests, Slot, State};

#[derive(Clone, Debug, Hash)]
pub(super) struct Queued {
    /// Ends of the list, linked through `place`.
    first: u32,
    last: u32,
    /// The last number given.
    pub(super) number: u32,
    pub(super) dropped: Dropped,
}

impl Queued {
    pub(super) const EMPTY: Self =
        Self { first: NIL, last: NIL, number: 0, dropped: Dropped([Range::EMPTY; RANGES]) };
}

/// Numbers that gave way and are to be reported.
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

    /// Whether `number` can be the next of this range.
    const fn takes(&self, number: u32) -> bool {
        self.count == 0 || self.first.wrapping_add(self.count) == number
    }
}

impl Dropped {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|range| range.count == 0)
    }

    fn takes(&self, number: u32) -> bool {
        self.0.iter().any(|range| range.takes(number))
    }

    fn add(&mut self, number: u32) {
        let extends = |range: &&mut Range| range.count != 0 && range.takes(number);
        let range = match self.0.iter_mut().find(extends) {
            Some(range) => range,
            None => match self.0.iter_mut().find(|range| range.count == 0) {
                Some(range) => range,
                None => return,
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
    pub(crate) const fn unsent(&self) -> usize {
        self.unacknowledged.accepted.wrapping_sub(self.unacknowledged.sent) as usize
    }

    /// The QoS 0 publish that was accepted last holds a slot from now on; there is one that is free.
    pub(crate) fn enter_queue(&mut self, slots: &mut [Slot]) {
        let index = self.first_free;
        let number = self.queued.number;
        let Some(slot) = slots.get_mut(index as usize) else { return };
        self.first_free = slot.place;
        self.used += 1;
        slot.generation = number;
        slot.state = State::Queued;
        slot.place = NIL;
        if self.queued.first == NIL {
            self.queued.first = index;
        } else if let Some(last) = slots.get_mut(self.queued.last as usize) {
            last.place = index;
        }
        self.queued.last = index;
    }

    /// The oldest leaves; gives its number.
    pub(super) fn leave_queue(&mut self, slots: &mut [Slot]) -> Option<u32> {
        let index = self.queued.first as usize;
        let slot = slots.get(index)?;
        let number = slot.generation;
        self.queued.first = slot.place;
        self.end(slots, index);
        Some(number)
    }

    /// The number of the one at `position` among those that have not been sent whole.
    pub(crate) fn number_at(&self, slots: &[Slot], position: usize) -> Option<u32> {
        let mut at = self.queued.first;
        for _ in 0..self.reportable() + position {
            at = slots.get(at as usize)?.place;
        }
        slots.get(at as usize).map(|slot| slot.generation)
    }

    /// Whether it can be remembered that the publish `number` gave way.
    pub(crate) fn can_drop(&self, number: u32) -> bool {
        self.queued.dropped.takes(number)
    }

    /// The one at `position` among those that have not been sent whole gives way.
    pub(crate) fn drop_at(&mut self, slots: &mut [Slot], position: usize) {
        let mut before = NIL;
        let mut at = self.queued.first;
        for _ in 0..self.reportable() + position {
            before = at;
            at = slots.get(at as usize).map_or(NIL, |slot| slot.place);
        }
        let Some(slot) = slots.get(at as usize) else { return };
        let (number, next) = (slot.generation, slot.place);
        match slots.get_mut(before as usize) {
            Some(before) => before.place = next,
            None => self.queued.first = next,
        }
        if self.queued.last == at {
            self.queued.last = before;
        }
        self.queued.dropped.add(number);
        self.unacknowledged.accepted = self.unacknowledged.accepted.wrapping_sub(1);
        self.end(slots, at as usize);
    }

    /// Those at the front of the queue that were sent and are to be reported.
    fn reportable(&self) -> usize {
        self.unacknowledged.sent.wrapping_sub(self.unacknowledged.reported) as usize
    }
}
