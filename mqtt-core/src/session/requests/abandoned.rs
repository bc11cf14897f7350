//! Packet ids of requests that were given up after their packet may have been sent.
//!
//! Such an id stays out of use until the broker answers it or the session ends [MQTT-2.3.1-3]. Otherwise a late answer
//! would hit a new request, or the broker would take a new publish of QoS 2 for the old one. The slot is free at once,
//! so that whoever gives a request up gets its room back.
//!
//! [`MOST`] ids are remembered, and one more replaces the oldest. Ids go round, so the oldest is used again only after
//! all other ids of its slot.

use crate::codec::PacketId;

/// How many ids are remembered.
pub(in crate::session) const MOST: usize = 8;

/// The ids, oldest first; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::session) struct Abandoned([u16; MOST]);

impl Abandoned {
    pub(in crate::session) const NONE: Self = Self([0; MOST]);

    pub(in crate::session) fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    pub(in crate::session) fn has(&self, id: PacketId) -> bool {
        self.0.contains(&id.get())
    }

    /// `id` stays out of use.
    pub(in crate::session) fn add(&mut self, id: PacketId) {
        if !self.remove(id) && !self.0.contains(&0) {
            self.take_out(0);
        }
        if let Some(free) = self.0.iter_mut().find(|kept| **kept == 0) {
            *free = id.get();
        }
    }

    /// `id` is answered; gives whether it was kept out of use.
    pub(in crate::session) fn remove(&mut self, id: PacketId) -> bool {
        let at = self.0.iter().position(|kept| *kept == id.get());
        if let Some(at) = at {
            self.take_out(at);
        }
        at.is_some()
    }

    /// Takes out the id at `at`; the later ones move up.
    fn take_out(&mut self, at: usize) {
        // The slice's own methods for this would link `memmove`.
        let mut later = 0;
        for kept in self.0.iter_mut().skip(at).rev() {
            later = core::mem::replace(kept, later);
        }
    }

    pub(in crate::session) fn iter(self) -> impl Iterator<Item = PacketId> {
        self.0.into_iter().filter_map(PacketId::new)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::vec::Vec;

    use super::{Abandoned, MOST};
    use crate::codec::PacketId;

    fn ids(abandoned: Abandoned) -> Vec<u16> {
        abandoned.iter().map(PacketId::get).collect()
    }

    #[test]
    fn the_oldest_id_gives_way_to_one_too_many() {
        let mut abandoned = Abandoned::NONE;
        for id in 1..=MOST as u16 + 1 {
            abandoned.add(PacketId::new(id).unwrap());
        }
        assert_eq!(ids(abandoned), (2..=MOST as u16 + 1).collect::<Vec<_>>());
    }

    #[test]
    fn an_answered_id_is_free_and_the_others_keep_their_order() {
        let mut abandoned = Abandoned::NONE;
        for id in [5, 6, 7] {
            abandoned.add(PacketId::new(id).unwrap());
        }
        assert!(abandoned.remove(PacketId::new(6).unwrap()));
        assert!(!abandoned.remove(PacketId::new(6).unwrap()));
        assert_eq!(ids(abandoned), [5, 7]);
        abandoned.add(PacketId::new(8).unwrap());
        assert_eq!(ids(abandoned), [5, 7, 8]);
    }
}
