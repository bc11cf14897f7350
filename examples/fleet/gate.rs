//! How many attempts to connect may be under way at once. The others wait in a queue.
//!
//! A broker that accepts a few hundred connections a second would let most attempts of a large fleet time out, and each
//! of them would come again and cost it more.

use std::collections::VecDeque;

pub(crate) struct Gate {
    limit: usize,
    inside: usize,
    waiting: VecDeque<usize>,
}

impl Gate {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, inside: 0, waiting: VecDeque::new() }
    }

    /// Whether the session may begin an attempt now. Otherwise it waits.
    pub(crate) fn enter(&mut self, session: usize) -> bool {
        let admitted = self.inside < self.limit;
        if admitted {
            self.inside += 1;
        } else {
            self.waiting.push_back(session);
        }
        admitted
    }

    /// An attempt is over.
    pub(crate) const fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }

    /// A session that waits and for which there is room now. It has to [`enter`](Self::enter) again.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.inside < self.limit { self.waiting.pop_front() } else { None }
    }

    /// Nobody waits any more.
    pub(crate) fn dismiss(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_inside_and_the_first_in_the_queue_is_next() {
        let mut gate = Gate::new(2);
        assert_eq!([0, 1, 2, 3].map(|session| gate.enter(session)), [true, true, false, false]);
        assert_eq!(gate.next(), None);
        gate.leave();
        assert_eq!(gate.next(), Some(2));
        assert!(gate.enter(2));
        assert_eq!(gate.next(), None);
        gate.dismiss();
        gate.leave();
        assert_eq!(gate.next(), None);
    }
}
