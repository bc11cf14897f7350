//! The receiver's memory: packet ids of QoS 2 messages between PUBLISH and PUBREL, and messages that the application
//! has to acknowledge.
//!
//! The seen ids are a hash table with open addressing inside the slots. The home of an id is the place `id mod slots`,
//! and the ids lie in the order of their homes, each as near behind its home as that allows. A broker counts its ids
//! up, so usually each lies in its home and a look-up takes one probe. Removal moves displaced ids back, so there are no
//! tombstones. A look-up, and a removal, ends at the first id that lies in its home, so also a full table is quick.
//!
//! An id belongs to the broker that sent the message, see [`brokers`](super::brokers). The table has the ids of all
//! brokers; look-ups are for those of the broker at which the client is at home now.
//!
//! Invariants of the table:
//!
//! - An id is in it once for each broker, and there are never more ids than slots: a message without a place is not
//!   taken, see [`pass_over`](super::pass_over).
//! - No place between the home of an id and the id is empty, and the ids from there to the id are at least as far from
//!   their own homes as that place is from the home of the id. So a look-up ends at the first empty place, or at the
//!   first id that is nearer to its home.
//! - Of two ids with one home the smaller one comes first, so the table does not depend on the order of arrival.
//! - `seen` counts the ids, `elsewhere` those of other brokers, and `stale` those that are marked as stale. Only ids of
//!   the broker here are.
//! - An id stays over broken connections until its PUBREL comes, the broker begins a new session, the application
//!   [forgets](super::SessionMut::forget_message) it, or it is stale. A stale id leaves if its place is needed, or at the
//!   end of a connection on which new messages came. If the connection breaks before the application has acknowledged
//!   the message, the id leaves as well, and the message comes again as new.
//!
//! The owed acknowledgements are a ring inside the slots, in order of arrival, used with manual acknowledgement only.
//! They go out in that order, whatever the order of the application's calls [MQTT-4.6.0-2], [MQTT-4.6.0-3].

use super::{
    handle::Delivery,
    slot::{Owed, Seen, Slot},
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
    /// Ids of messages of other brokers.
    elsewhere: u32,
    /// The broker at which the client is at home.
    here: u8,
    /// A new message came while ids were stale.
    went_on: bool,
}

/// An id of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    id: u16,
    broker: u8,
}

impl Inbound {
    const fn key(&self, id: PacketId) -> Key {
        Key { id: id.get(), broker: self.here }
    }

    /// The id in the table that lies in `slot`.
    fn key_in(&self, slot: &Slot) -> Key {
        let broker = match slot.marks.seen() {
            Seen::By(broker) => broker,
            Seen::Stale | Seen::Unacknowledged => self.here,
        };
        Key { id: slot.seen, broker }
    }

    fn is_here(&self, slot: &Slot) -> bool {
        slot.seen != 0 && self.key_in(slot).broker == self.here
    }

    /// Whether the message under `id` was taken and its PUBREL has not come yet.
    pub(super) fn has_seen(&self, slots: &[Slot], id: PacketId) -> bool {
        self.seen != 0 && self.find(slots, self.key(id)).is_some()
    }

    /// As [`Inbound::has_seen`], for a message of `broker`.
    pub(super) fn has_seen_of(&self, slots: &[Slot], id: PacketId, broker: u8) -> bool {
        self.seen != 0 && self.find(slots, Key { id: id.get(), broker }).is_some()
    }

    /// From now on ids are those of `broker`. It is for a restore, and [`Inbound::move_to`] follows.
    pub(super) const fn look_at(&mut self, broker: u8) {
        self.here = broker;
    }

    /// Whether the message under `id` was taken before, and can be answered again.
    ///
    /// If the id may be stale, a message without DUP is new, because a message that is sent again has DUP
    /// [MQTT-3.3.1-1]. `behind`: an earlier message was left unanswered. Then a message that is sent again for the first
    /// time on this connection is not answered either, to keep the order [MQTT-4.6.0-3].
    pub(super) fn is_repeated(
        &mut self,
        slots: &mut [Slot],
        id: PacketId,
        dup: bool,
        behind: bool,
    ) -> bool {
        if self.seen == 0 {
            return false;
        }
        let found = self.find(slots, self.key(id)).and_then(|at| slots.get_mut(at));
        let Some(slot) = found.filter(|slot| dup && !behind || !is_stale(slot)) else {
            self.went_on |= !dup && self.stale != 0;
            return false;
        };
        self.stale = self.stale.saturating_sub(u32::from(is_stale(slot)));
        slot.marks.set_seen(Seen::By(self.here));
        true
    }

    /// The broker may have begun a new session, and the ids in the table may belong to the old one.
    pub(super) fn suspect_lost(&mut self, slots: &mut [Slot]) {
        self.stale = self.seen - self.elsewhere;
        self.went_on = false;
        for slot in slots.iter_mut().filter(|slot| self.is_here(slot)) {
            slot.marks.set_seen(Seen::Stale);
        }
    }

    /// Forgets the ids that may be stale; false if there are none. A broker that kept the session first sends again the
    /// messages that are in flight [MQTT-4.4.0-1], in their order [MQTT-4.6.0-1]. So if it goes on to other ids, the stale
    /// ones belong to a lost session.
    pub(super) fn drop_stale(&mut self, slots: &mut [Slot]) -> bool {
        let some = self.stale != 0;
        if some {
            self.remove_all(slots, is_stale);
        }
        debug_assert!(self.stale == 0, "{} ids are stale, and no slot holds one", self.stale);
        self.stale = 0;
        some
    }

    /// The connection is gone. If new messages came behind those that the broker sent again, the ids that are still
    /// stale belong to a lost session, and are forgotten. Otherwise they would take places for ever if the client goes to
    /// another broker. Gives whether there were any.
    pub(super) fn drop_stale_if_gone_on(&mut self, slots: &mut [Slot]) -> bool {
        core::mem::take(&mut self.went_on) && self.drop_stale(slots)
    }

    /// Removes all ids that `gone` is true for.
    fn remove_all(&mut self, slots: &mut [Slot], gone: impl Fn(&Slot) -> bool) {
        let mut at = 0;
        while let Some(slot) = slots.get(at) {
            if slot.seen != 0 && gone(slot) {
                // The next id may move here.
                self.remove(slots, at);
            } else {
                at += 1;
            }
        }
    }

    /// The client is at home at `broker` from now on. Gives whether ids of the broker that it leaves were stale: there
    /// they are not told from the others.
    pub(super) fn move_to(&mut self, slots: &mut [Slot], broker: u8) -> bool {
        let left = self.here;
        let were_stale = self.stale != 0;
        for slot in slots.iter_mut() {
            // Marks of a record may be among them.
            if matches!(slot.marks.seen(), Seen::Stale | Seen::Unacknowledged) {
                slot.marks.set_seen(Seen::By(left));
            }
        }
        self.stale = 0;
        self.here = broker;
        let all = slots.iter().filter(|slot| slot.seen != 0);
        self.elsewhere = all.filter(|slot| !self.is_here(slot)).count() as u32;
        were_stale
    }

    /// Forgets the ids of an absent broker, and gives which; `None` if there are none.
    pub(super) fn forget_absent(&mut self, slots: &mut [Slot]) -> Option<u8> {
        if self.elsewhere == 0 {
            return None;
        }
        let mut absent = slots.iter().filter(|slot| slot.seen != 0 && !self.is_here(slot));
        let broker = self.key_in(absent.next()?).broker;
        self.remove_all(slots, |slot| slot.marks.seen() == Seen::By(broker));
        Some(broker)
    }

    /// Marks the ids of messages that the application still has to acknowledge, for
    /// [`Inbound::acknowledged_id`].
    pub(super) fn mark_owed(&self, slots: &mut [Slot]) {
        for slot in slots.iter_mut().filter(|slot| slot.marks.seen() == Seen::Unacknowledged) {
            slot.marks.set_seen(Seen::By(self.here));
        }
        for at in 0..slots.len() {
            let owed = slots.get(at).filter(|slot| slot.marks.owed() == Owed::ExactlyOnce);
            let id = owed.and_then(|owed| PacketId::new(owed.owed_id));
            let found = id.and_then(|id| self.find(slots, self.key(id)));
            if let Some(slot) = found.and_then(|found| slots.get_mut(found)) {
                slot.marks.set_seen(Seen::Unacknowledged);
            }
        }
    }

    /// The id in the table at `slot`, and its broker, unless the application still has to acknowledge its message. The
    /// caller has called [`Inbound::mark_owed`].
    pub(super) fn acknowledged_id(slot: &Slot, here: u8) -> Option<(PacketId, u8)> {
        let broker = match slot.marks.seen() {
            Seen::By(broker) => broker,
            Seen::Stale => here,
            Seen::Unacknowledged => return None,
        };
        PacketId::new(slot.seen).map(|id| (id, broker))
    }

    /// The first id of a message of the broker here that is between its PUBLISH and its PUBREL.
    pub(super) fn first_seen(&self, slots: &[Slot]) -> Option<PacketId> {
        slots.iter().find(|slot| self.is_here(slot)).and_then(|slot| PacketId::new(slot.seen))
    }

    /// Ids between their PUBLISH and their PUBREL.
    pub(super) const fn seen(&self) -> usize {
        self.seen as usize
    }

    /// Those of messages of the broker here that are not stale.
    pub(super) const fn confirmed(&self) -> usize {
        (self.seen - self.elsewhere - self.stale) as usize
    }

    /// Whether ids may be stale.
    pub(super) const fn has_stale(&self) -> bool {
        self.stale != 0
    }

    /// Those of messages of the broker here.
    pub(super) const fn seen_here(&self) -> usize {
        (self.seen - self.elsewhere) as usize
    }

    /// Whether another QoS 2 message can be taken.
    pub(super) fn has_room(&self, slots: &[Slot]) -> bool {
        (self.seen as usize) < slots.len()
    }

    /// Keeps `id` until its PUBREL. The caller has asked [`Inbound::has_room`].
    pub(super) fn remember(&mut self, slots: &mut [Slot], id: PacketId) {
        let mut key = self.key(id);
        let count = slots.len();
        let mut seen = Seen::By(self.here);
        let mut at = home(key.id, count);
        let mut from_home = 0;
        for _ in 0..count {
            let Some(slot) = slots.get_mut(at) else { return };
            let (there, there_seen) = (self.key_in(slot), slot.marks.seen());
            if there.id == 0 || there == key {
                // An id that is there already is there before another one goes on.
                self.seen += u32::from(there.id == 0);
                self.stale = self.stale.saturating_sub(u32::from(is_stale(slot)));
                put(slot, key.id, seen);
                return;
            }
            let there_from_home = distance(home(there.id, count), at, count);
            if (there_from_home, key) < (from_home, there) {
                // The id that is there goes on, to the next place that suits it.
                put(slot, key.id, seen);
                (key, seen, from_home) = (there, there_seen, there_from_home);
            }
            at = after(at, count);
            from_home += 1;
        }
        debug_assert!(false, "`has_room` was not asked before id {} was to be remembered", key.id);
    }

    /// From now on `id` is a new message [MQTT-4.3.3-2].
    pub(super) fn forget(&mut self, slots: &mut [Slot], id: PacketId) {
        if self.seen == 0 {
            return;
        }
        if let Some(at) = self.find(slots, self.key(id)) {
            self.remove(slots, at);
        }
    }

    /// Removes the id at `hole`. The displaced ids behind it move back by one place.
    fn remove(&mut self, slots: &mut [Slot], mut hole: usize) {
        self.seen -= 1;
        if let Some(slot) = slots.get(hole) {
            self.stale = self.stale.saturating_sub(u32::from(is_stale(slot)));
            self.elsewhere = self.elsewhere.saturating_sub(u32::from(!self.is_here(slot)));
        }
        let count = slots.len();
        for _ in 1..count {
            let at = after(hole, count);
            let Some(slot) = slots.get(at) else { break };
            let (id, seen) = (slot.seen, slot.marks.seen());
            if id == 0 || home(id, count) == at {
                break;
            }
            set_seen(slots, hole, id, seen);
            hole = at;
        }
        set_seen(slots, hole, 0, Seen::By(0));
    }

    fn find(&self, slots: &[Slot], key: Key) -> Option<usize> {
        let count = slots.len();
        let mut at = home(key.id, count);
        for from_home in 0..count {
            let slot = slots.get(at)?;
            match slot.seen {
                seen if seen == key.id && self.key_in(slot) == key => return Some(at),
                // An id that is nearer to its home lies where `id` would lie.
                seen if seen == 0 || distance(home(seen, count), at, count) < from_home => {
                    return None;
                }
                _ => at = after(at, count),
            }
        }
        None
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

    /// The broker here has a new session: every id of it is new.
    pub(super) fn clear(&mut self, slots: &mut [Slot]) {
        self.empty_ring(slots);
        if self.seen_here() != 0 {
            let here = self.here;
            self.remove_all(slots, |slot| match slot.marks.seen() {
                Seen::By(broker) => broker == here,
                Seen::Stale | Seen::Unacknowledged => true,
            });
        }
    }

    /// No session at any broker goes on.
    pub(super) fn clear_all(&mut self, slots: &mut [Slot]) {
        self.empty_ring(slots);
        for slot in slots.iter_mut() {
            put(slot, 0, Seen::By(0));
        }
        self.seen = 0;
        self.stale = 0;
        self.elsewhere = 0;
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

fn put(slot: &mut Slot, id: u16, seen: Seen) {
    slot.seen = id;
    slot.marks.set_seen(seen);
}

fn set_seen(slots: &mut [Slot], at: usize, id: u16, seen: Seen) {
    if let Some(slot) = slots.get_mut(at) {
        put(slot, id, seen);
    }
}

fn is_stale(slot: &Slot) -> bool {
    slot.marks.seen() == Seen::Stale
}

#[cfg(test)]
mod tests;
