//! The agenda: a queue of events in virtual time.
//!
//! Events of the same millisecond happen in the order in which they were planned, so a run depends on nothing but its
//! seed.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::link::{Side, Way};

/// An event that is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The driver of a device looks again, unless it has planned another look since.
    Wake { device: usize, ticket: u32 },
    /// The application of a device acts.
    Tick { device: usize },
    /// A device is switched on.
    PowerOn { device: usize },
    /// A transport is open, or could not be opened.
    Opened { link: usize },
    /// Bytes, or the end of a direction, come out of a link.
    Arrive { link: usize, way: Way },
    /// One side learns that its link is dead.
    Dead { link: usize, side: Side },
    /// The broker checks if a client has been silent for too long.
    KeepAlive { link: usize },
    /// The broker sends a PINGRESP that it withheld.
    Pong { link: usize },
    /// The device should have noticed that nothing arrives.
    Notice { link: usize },
    /// A broker runs again.
    BrokerUp { broker: usize },
    /// An endpoint can be reached again.
    EndpointUp { endpoint: u8 },
    /// The next fault.
    Fault,
    /// Faults stop.
    Heal,
    /// The world checks if everything is delivered.
    Look,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
}

impl Agenda {
    /// Plans `event` for `at`, after all events that are planned for the same time already.
    pub(crate) fn plan(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, event)));
    }

    /// The next event and its time.
    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::{Agenda, Event};

    #[test]
    fn events_come_in_order_of_time_and_then_of_planning() {
        let mut agenda = Agenda::default();
        agenda.plan(7, Event::Heal);
        agenda.plan(5, Event::Look);
        agenda.plan(5, Event::Fault);
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, [(5, Event::Look), (5, Event::Fault), (7, Event::Heal)]);
    }
}
