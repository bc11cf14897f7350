//! How the last requests ended, for those who ask late.

use std::{collections::VecDeque, vec::Vec};

use crate::{codec::QoS, driver::outcome, session::Handle};

/// How a request ended. A subscription has the granted QoS of each filter; `None`: refused.
pub type Outcome = outcome::Outcome<Vec<Option<QoS>>>;

/// The last outcomes, for those who ask late, and the awaited ones, however late their thread looks.
pub(crate) struct Outcomes {
    last: VecDeque<(Handle, Outcome)>,
    most: usize,
    awaited: Vec<Awaited>,
}

/// A request that threads wait for.
struct Awaited {
    handle: Handle,
    threads: usize,
    outcome: Option<Outcome>,
}

impl Outcomes {
    pub(crate) const fn new(most: usize) -> Self {
        Self { last: VecDeque::new(), most, awaited: Vec::new() }
    }

    pub(crate) fn add(&mut self, handle: Handle, outcome: Outcome) {
        if let Some(awaited) = self.awaited.iter_mut().find(|awaited| awaited.handle == handle) {
            awaited.outcome = Some(outcome.clone());
        }
        if self.last.len() >= self.most {
            self.last.pop_front();
        }
        self.last.push_back((handle, outcome));
    }

    pub(crate) fn of(&self, handle: Handle) -> Option<&Outcome> {
        let awaited = self.awaited.iter().find(|awaited| awaited.handle == handle);
        awaited.and_then(|awaited| awaited.outcome.as_ref()).or_else(|| {
            self.last.iter().rev().find(|(ended, _)| *ended == handle).map(|(_, outcome)| outcome)
        })
    }

    /// A thread waits for the outcome of `handle`, until [`leave`](Self::leave).
    pub(crate) fn wait(&mut self, handle: Handle) {
        match self.awaited.iter_mut().find(|awaited| awaited.handle == handle) {
            Some(awaited) => awaited.threads += 1,
            None => self.awaited.push(Awaited { handle, threads: 1, outcome: None }),
        }
    }

    /// A thread waits no more.
    pub(crate) fn leave(&mut self, handle: Handle) {
        self.awaited.retain_mut(|awaited| {
            if awaited.handle == handle {
                awaited.threads -= 1;
            }
            awaited.threads != 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_is_waited_for_outlives_any_number_of_later_ones() {
        let handle = |number| Handle::new(0, number);
        let mut outcomes = Outcomes::new(2);
        outcomes.wait(handle(0));
        outcomes.wait(handle(0));
        for number in 0..10 {
            outcomes.add(handle(number), Outcome::Published);
        }
        assert_eq!(outcomes.of(handle(1)), None, "nobody waits for it");
        for _thread in 0..2 {
            assert_eq!(outcomes.of(handle(0)), Some(&Outcome::Published));
            outcomes.leave(handle(0));
        }
        assert_eq!(outcomes.of(handle(0)), None);
    }
}
