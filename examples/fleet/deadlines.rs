//! The next deadline of each session.
//!
//! A deadline that gets later leaves the heap as it is: the entry comes up too early, and the session's own deadline
//! decides then. So an active session, whose keep alive moves with every packet, costs nothing here.

use std::{cmp::Reverse, collections::BinaryHeap};

use mqtt_core::Instant;

pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The earliest entry of each session in the heap; `FAR_FUTURE` for none.
    entered: Vec<Instant>,
}

impl Deadlines {
    pub(crate) fn new(sessions: usize) -> Self {
        let heap = BinaryHeap::with_capacity(sessions);
        Self { heap, entered: vec![Instant::FAR_FUTURE; sessions] }
    }

    /// The session has this deadline now.
    pub(crate) fn set(&mut self, session: usize, deadline: Instant) {
        let Some(entered) = self.entered.get_mut(session) else { return };
        if deadline < *entered {
            *entered = deadline;
            self.heap.push(Reverse((deadline, session)));
        }
    }

    /// A session whose entry has come up. Its deadline has to be [`set`](Self::set) afterwards.
    pub(crate) fn due(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((deadline, session))) = self.heap.peek().copied() {
            if deadline > now {
                return None;
            }
            self.heap.pop();
            match self.entered.get_mut(session) {
                Some(entered) if *entered == deadline => {
                    *entered = Instant::FAR_FUTURE;
                    return Some(session);
                }
                // An earlier entry of this session took its place.
                Some(_) | None => {}
            }
        }
        None
    }

    /// When the next entry comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn sessions_come_up_in_the_order_of_their_deadlines() {
        let mut deadlines = Deadlines::new(3);
        deadlines.set(0, at(30));
        deadlines.set(1, at(10));
        deadlines.set(2, Instant::FAR_FUTURE);
        assert_eq!((deadlines.next(), deadlines.due(at(9))), (Some(at(10)), None));
        assert_eq!((deadlines.due(at(30)), deadlines.due(at(30))), (Some(1), Some(0)));
        assert_eq!((deadlines.next(), deadlines.due(at(u64::MAX - 1))), (None, None));
    }

    #[test]
    fn an_earlier_deadline_replaces_the_entry_and_a_later_one_does_not_touch_the_heap() {
        let mut deadlines = Deadlines::new(1);
        deadlines.set(0, at(30));
        deadlines.set(0, at(40));
        assert_eq!((deadlines.heap.len(), deadlines.next()), (1, Some(at(30))));
        deadlines.set(0, at(20));
        assert_eq!(deadlines.due(at(20)), Some(0));
        deadlines.set(0, at(50));
        assert_eq!(deadlines.due(at(40)), None, "the entry at 30 is void");
        assert_eq!(deadlines.due(at(50)), Some(0));
    }
}
