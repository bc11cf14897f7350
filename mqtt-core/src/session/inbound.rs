//! The receiver's memory: packet ids of QoS 2 messages between PUBLISH and PUBREL, and messages that the application
//! has to acknowledge.
//!
//! The seen ids are a hash table with open addressing inside the slots. The home of an id is the place `id mod slots`,
//! and the ids lie in the order of their homes, each as near behind its home as that allows. A broker counts its ids
//! up, so usually each lies in its home and a look-up takes one probe. Removal moves displaced ids back, so there are no
//! tombstones. A look-up, and a removal, ends at the first id that lies in its home, so also a full table is quick.
//!
//! Invariants of the table:
//!
//! - An id is in it once, and there are never more ids than slots: a message without a place is not taken, see
//!   [`pass_over`](super::pass_over).
//! - No place between the home of an id and the id is empty, and the ids from there to the id are at least as far from
//!   their own homes as that place is from the home of the id. So a look-up ends at the first empty place, or at the
//!   first id that is nearer to its home.
//! - Of two ids with one home the smaller one comes first, so the table does not depend on the order of arrival.
//! - `seen` counts the ids, and `stale` those of them that are marked as stale.
//! - An id stays over broken connections until its PUBREL comes, the broker begins a new session, the application
//!   [forgets](super::SessionMut::forget_message) it, or it is stale and its place is needed. If the connection breaks
//!   before the application has acknowledged the message, the id leaves as well, and the message comes again as new.
//!
//! The owed acknowledgements are a ring inside the slots, in order of arrival, used with manual acknowledgement only.
//! They go out in that order, whatever the order of the application's calls [MQTT-4.6.0-2], [MQTT-4.6.0-3].

use super::{
    handle::Delivery,
    slot::{Owed, Slot},
};
use crate::codec::{PacketId, QoS};

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Inbound {
    /// Ids in the table.
    seen: u32,
    /// The ring's first slot and its length.
    first_owed: u32,
    owed: u32,
    /// The number of the ring's first entry: entries count up, over all connections.
    sequence: u32,
    /// Ids that may belong to a session that the broker has lost. The broker has not used them on this connection.
    stale: u32,
}

impl Inbound {
    /// Whether the message under `id` was taken and its PUBREL has not come yet.
    pub(super) fn has_seen(&self, slots: &[Slot], id: PacketId) -> bool {
        self.seen != 0 && find(slots, id.get()).is_some()
    }

    /// Whether the message under `id` was taken before.
    ///
    /// If the id may be stale, a message without DUP is new, because a message that is sent again has DUP
    /// [MQTT-3.3.1-1].
    pub(super) fn is_repeated(&mut self, slots: &mut [Slot], id: PacketId, dup: bool) -> bool {
        if self.seen == 0 {
            return false;
        }
        let found = find(slots, id.get()).and_then(|at| slots.get_mut(at));
        let Some(slot) = found.filter(|slot| dup || !slot.marks.is_stale()) else { return false };
        self.stale = self.stale.saturating_sub(u32::from(slot.marks.is_stale()));
        slot.marks.set_stale(false);
        true
    }

    /// The broker may have begun a new session, and the ids in the table may belong to the old one.
    pub(super) fn suspect_lost(&mut self, slots: &mut [Slot]) {
        self.stale = self.seen;
        for slot in slots.iter_mut() {
            slot.marks.set_stale(slot.seen != 0);
        }
    }

    /// Forgets the ids that may be stale; false if there are none. A broker that kept the session first sends again the
    /// messages that are in flight [MQTT-4.4.0-1]. So if it goes on to other ids, the stale ones belong to a lost
    /// session.
    pub(super) fn drop_stale(&mut self, slots: &mut [Slot]) -> bool {
        let some = self.stale != 0;
        let mut at = 0;
        while let Some(slot) = slots.get(at).filter(|_| self.stale != 0) {
            if slot.marks.is_stale() {
                // The next id may move here.
                self.remove(slots, at);
            } else {
                at += 1;
            }
        }
        debug_assert!(self.stale == 0, "{} ids are stale, and no slot holds one", self.stale);
        self.stale = 0;
        some
    }

    /// Marks the ids of messages that the application still has to acknowledge, for
    /// [`Inbound::acknowledged_id`].
    pub(super) fn mark_owed(slots: &mut [Slot]) {
        for slot in slots.iter_mut() {
            slot.marks.set_unacknowledged(false);
        }
        for at in 0..slots.len() {
            let owed = slots.get(at).filter(|slot| slot.marks.owed() == Owed::ExactlyOnce);
            let found = owed.and_then(|owed| find(slots, owed.owed_id));
            if let Some(slot) = found.and_then(|found| slots.get_mut(found)) {
                slot.marks.set_unacknowledged(true);
            }
        }
    }

    /// The id in the table at `slot`, unless the application still has to acknowledge its message. The caller has called
    /// [`Inbound::mark_owed`].
    pub(super) fn acknowledged_id(slot: &Slot) -> Option<PacketId> {
        PacketId::new(slot.seen).filter(|_| !slot.marks.is_unacknowledged())
    }

    /// Ids between their PUBLISH and their PUBREL.
    pub(super) fn seen(&self) -> usize {
        self.seen as usize
    }

    /// Whether another QoS 2 message can be taken.
    pub(super) fn has_room(&self, slots: &[Slot]) -> bool {
        (self.seen as usize) < slots.len()
    }

    /// Keeps `id` until its PUBREL. The caller has asked [`Inbound::has_room`].
    pub(super) fn remember(&mut self, slots: &mut [Slot], id: PacketId) {
        let count = slots.len();
        let (mut id, mut stale) = (id.get(), false);
        let mut at = home(id, count);
        let mut from_home = 0;
        for _ in 0..count {
            let Some(slot) = slots.get_mut(at) else { return };
            let (there, there_stale) = (slot.seen, slot.marks.is_stale());
            if there == 0 || there == id {
                // An id that is there already is there before another one goes on.
                self.seen += u32::from(there == 0);
                self.stale = self.stale.saturating_sub(u32::from(there_stale));
                slot.seen = id;
                slot.marks.set_stale(stale);
                return;
            }
            let there_from_home = distance(home(there, count), at, count);
            if (there_from_home, id) < (from_home, there) {
                // The id that is there goes on, to the next place that suits it.
                slot.seen = id;
                slot.marks.set_stale(stale);
                (id, stale, from_home) = (there, there_stale, there_from_home);
            }
            at = after(at, count);
            from_home += 1;
        }
        debug_assert!(false, "`has_room` was not asked before id {id} was to be remembered");
    }

    /// From now on `id` is a new message [MQTT-4.3.3-2].
    pub(super) fn forget(&mut self, slots: &mut [Slot], id: PacketId) {
        if self.seen == 0 {
            return;
        }
        if let Some(at) = find(slots, id.get()) {
            self.remove(slots, at);
        }
    }

    /// Removes the id at `hole`. The displaced ids behind it move back by one place.
    fn remove(&mut self, slots: &mut [Slot], mut hole: usize) {
        self.seen -= 1;
        let stale = slots.get(hole).is_some_and(|slot| slot.marks.is_stale());
        self.stale = self.stale.saturating_sub(u32::from(stale));
        let count = slots.len();
        for _ in 1..count {
            let at = after(hole, count);
            let Some(slot) = slots.get(at) else { break };
            let (id, stale) = (slot.seen, slot.marks.is_stale());
            if id == 0 || home(id, count) == at {
                break;
            }
            set_seen(slots, hole, id, stale);
            hole = at;
        }
        set_seen(slots, hole, 0, false);
    }

    /// Whether the ring has room for another message to acknowledge.
    pub(super) fn can_owe(&self, slots: &[Slot]) -> bool {
        (self.owed as usize) < slots.len()
    }

    /// The application has to acknowledge `id`. The caller has asked [`Inbound::can_owe`].
    pub(super) fn owe(&mut self, slots: &mut [Slot], id: PacketId, qos: QoS) -> Delivery {
        debug_assert!(self.can_owe(slots), "`can_owe` was not asked before");
        let sequence = self.sequence.wrapping_add(self.owed);
        if let Some(slot) = self.ring(slots, self.owed) {
            slot.owed_id = id.get();
            slot.marks.set_owed(match qos {
                QoS::AtMostOnce | QoS::AtLeastOnce => Owed::AtLeastOnce,
                QoS::ExactlyOnce => Owed::ExactlyOnce,
            });
            self.owed += 1;
        }
        Delivery::new(id.get(), sequence)
    }

    /// Whether the ring holds a message: one to be acknowledged by the application, or to be answered to the broker.
    pub(super) const fn is_owed(&self) -> bool {
        self.owed != 0
    }

    /// The application acknowledges `delivery`. Gives its QoS; `None` if it is acknowledged already or not in the ring.
    pub(super) fn acknowledge(&mut self, slots: &mut [Slot], delivery: Delivery) -> Option<QoS> {
        let position = delivery.sequence().wrapping_sub(self.sequence);
        if position >= self.owed {
            return None;
        }
        let slot = self.ring(slots, position).filter(|slot| slot.owed_id == delivery.id())?;
        let (owed, qos) = match slot.marks.owed() {
            Owed::AtLeastOnce => (Owed::AtLeastOnceAcknowledged, QoS::AtLeastOnce),
            Owed::ExactlyOnce => (Owed::ExactlyOnceAcknowledged, QoS::ExactlyOnce),
            Owed::Nothing | Owed::AtLeastOnceAcknowledged | Owed::ExactlyOnceAcknowledged => {
                return None;
            }
        };
        slot.marks.set_owed(owed);
        Some(qos)
    }

    /// The oldest message of the ring, if the application has acknowledged it. It stays until
    /// [`Inbound::remove_oldest`].
    pub(super) fn oldest_acknowledged(&self, slots: &[Slot]) -> Option<(PacketId, QoS)> {
        if self.owed == 0 {
            return None;
        }
        let slot = slots.get(self.first_owed as usize)?;
        let qos = match slot.marks.owed() {
            Owed::AtLeastOnceAcknowledged => QoS::AtLeastOnce,
            Owed::ExactlyOnceAcknowledged => QoS::ExactlyOnce,
            Owed::Nothing | Owed::AtLeastOnce | Owed::ExactlyOnce => return None,
        };
        Some((PacketId::new(slot.owed_id)?, qos))
    }

    /// The oldest message leaves the ring: it is answered, or never will be.
    pub(super) fn remove_oldest(&mut self, slots: &mut [Slot]) {
        debug_assert!(self.owed != 0, "the ring is empty");
        let count = slots.len();
        if let Some(slot) = self.ring(slots, 0) {
            slot.marks.set_owed(Owed::Nothing);
        }
        self.owed = self.owed.saturating_sub(1);
        self.sequence = self.sequence.wrapping_add(1);
        self.first_owed = after(self.first_owed as usize, count) as u32;
    }

    /// The connection ended. The broker sends unacknowledged messages again, and they count as never seen.
    pub(super) fn empty_ring(&mut self, slots: &mut [Slot]) {
        while self.owed != 0 {
            let oldest =
                self.ring(slots, 0).map(|slot| (slot.marks.owed(), PacketId::new(slot.owed_id)));
            if let Some((Owed::ExactlyOnce, Some(id))) = oldest {
                self.forget(slots, id);
            }
            self.remove_oldest(slots);
        }
    }

    /// The broker has a new session: every id is new.
    pub(super) fn clear(&mut self, slots: &mut [Slot]) {
        self.empty_ring(slots);
        for slot in slots.iter_mut() {
            slot.seen = 0;
            slot.marks.set_stale(false);
        }
        self.seen = 0;
        self.stale = 0;
    }

    /// The slot of the ring's entry at `position`.
    fn ring<'s>(&self, slots: &'s mut [Slot], position: u32) -> Option<&'s mut Slot> {
        let at = (self.first_owed as usize + position as usize).checked_rem(slots.len())?;
        slots.get_mut(at)
    }
}

fn home(id: u16, count: usize) -> usize {
    usize::from(id).checked_rem(count).unwrap_or(0)
}

fn after(at: usize, count: usize) -> usize {
    if at + 1 >= count { 0 } else { at + 1 }
}

/// Steps from `from` up to `to`, beginning again at 0 behind the last slot.
fn distance(from: usize, to: usize, count: usize) -> usize {
    if to >= from { to - from } else { to + count - from }
}

fn set_seen(slots: &mut [Slot], at: usize, id: u16, stale: bool) {
    if let Some(slot) = slots.get_mut(at) {
        slot.seen = id;
        slot.marks.set_stale(stale);
    }
}

fn find(slots: &[Slot], id: u16) -> Option<usize> {
    let count = slots.len();
    let mut at = home(id, count);
    for from_home in 0..count {
        match slots.get(at)?.seen {
            seen if seen == id => return Some(at),
            // An id that is nearer to its home lies where `id` would lie.
            seen if seen == 0 || distance(home(seen, count), at, count) < from_home => return None,
            _ => at = after(at, count),
        }
    }
    None
}

#[cfg(test)]
mod tests;
