//! How the last requests ended, for those who ask late.

use std::{collections::VecDeque, vec::Vec};

use crate::{codec::QoS, driver::outcome, session::Handle};

/// How a request ended. A subscription has the granted QoS of each filter; `None`: refused.
pub type Outcome = outcome::Outcome<Vec<Option<QoS>>>;

/// The last outcomes: who asks late still finds his.
pub(crate) struct Outcomes {
    last: VecDeque<(Handle, Outcome)>,
    most: usize,
}

impl Outcomes {
    pub(crate) const fn new(most: usize) -> Self {
        Self { last: VecDeque::new(), most }
    }

    pub(crate) fn add(&mut self, handle: Handle, outcome: Outcome) {
        if self.last.len() >= self.most {
            self.last.pop_front();
        }
        self.last.push_back((handle, outcome));
    }

    pub(crate) fn of(&self, handle: Handle) -> Option<&Outcome> {
        self.last.iter().rev().find(|(ended, _)| *ended == handle).map(|(_, outcome)| outcome)
    }
}
