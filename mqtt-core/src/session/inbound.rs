//! The receiver's memory: ids of QoS 2 messages between PUBLISH and PUBREL, and messages that the application still
//! has to acknowledge.
//!
//! `seen` is a hash table by open addressing inside the slots: an id lies in the first free place from `id mod slots`
//! on. A broker counts its ids up, so each has a place of its own and a look-up is one probe. Removal moves back what
//! had to give way, so there are no tombstones.
//!
//! `owed` is a ring inside the slots, in order of arrival, used with manual acknowledgement only: acknowledgements go
//! out in that order whatever the order of the application's calls [MQTT-4.6.0-2], [MQTT-4.6.0-3].

use super::Slot;
use crate::{
    codec::{PacketId, QoS},
    event::Delivery,
};

/// One entry of the ring of messages that the application still has to acknowledge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owed {
    Nothing,
    AtLeastOnce,
    ExactlyOnce,
    /// Acknowledged by the application; the answer waits for its turn.
    AtLeastOnceTaken,
    ExactlyOnceTaken,
}

/// What a slot says of the entries of ring and table that lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    /// The id in the table may be of a session that the broker has lost.
    const STALE: u8 = 0x80;

    const fn owed(self) -> Owed {
        match self.0 & !Self::STALE {
            1 => Owed::AtLeastOnce,
            2 => Owed::ExactlyOnce,
            3 => Owed::AtLeastOnceTaken,
            4 => Owed::ExactlyOnceTaken,
            _ => Owed::Nothing,
        }
    }

    const fn set_owed(&mut self, owed: Owed) {
        self.0 = self.0 & Self::STALE | owed as u8;
    }

    const fn is_stale(self) -> bool {
        self.0 & Self::STALE != 0
    }

    const fn set_stale(&mut self, stale: bool) {
        self.0 = self.0 & !Self::STALE | if stale { Self::STALE } else { 0 };
    }
}

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Inbound {
    seen: u32,
    first_owed: u32,
    owed: u32,
    /// The number of the ring's first entry.
    sequence: u32,
    /// Ids that may be of a session that the broker has lost, and that it has not named on this connection.
    stale: u32,
}

impl Inbound {
    /// Whether `id` was taken and its PUBREL has not come yet.
    pub(crate) fn has_seen(&self, slots: &[Slot], id: PacketId) -> bool {
        self.seen != 0 && find(slots, id.get()).is_some()
    }

    /// Whether the message under `id` was taken before.
    ///
    /// Where the id may be stale, one without DUP was not: what is sent again has it [MQTT-3.3.1-1].
    pub(crate) fn is_repeated(&mut self, slots: &mut [Slot], id: PacketId, dup: bool) -> bool {
        if self.seen == 0 {
            return false;
        }
        let found = find(slots, id.get()).and_then(|at| slots.get_mut(at));
        let Some(slot) = found.filter(|slot| dup || !slot.marks.is_stale()) else { return false };
        self.stale = self.stale.saturating_sub(u32::from(slot.marks.is_stale()));
        slot.marks.set_stale(false);
        true
    }

    /// Nobody can tell whether the broker's session is still the one of the table.
    pub(crate) fn doubt(&mut self, slots: &mut [Slot]) {
        self.stale = self.seen;
        for slot in slots.iter_mut() {
            slot.marks.set_stale(slot.seen != 0);
        }
    }

    /// Forgets the ids that may be stale, where there are some: a broker that keeps a session begins by sending again what
    /// it has under way [MQTT-4.4.0-1], so when it goes on to other ids, those are of a session that is lost.
    pub(crate) fn drop_stale(&mut self, slots: &mut [Slot]) -> bool {
        let some = self.stale != 0;
        while self.stale != 0 {
            let stale = slots.iter().find(|slot| slot.marks.is_stale());
            match stale.and_then(|slot| PacketId::new(slot.seen)) {
                Some(id) => self.forget(slots, id),
                None => self.stale = 0,
            }
        }
        some
    }

    /// The id in the table at `slot`, one of `slots`, unless the application has still to acknowledge it.
    pub(super) fn taken(slot: &Slot, slots: &[Slot]) -> Option<PacketId> {
        let id = PacketId::new(slot.seen)?;
        let owed = |slot: &Slot| slot.marks.owed() == Owed::ExactlyOnce && slot.owed_id == id.get();
        (!slots.iter().any(owed)).then_some(id)
    }

    /// Ids between their PUBLISH and their PUBREL.
    pub(crate) fn seen(&self) -> usize {
        self.seen as usize
    }

    /// Whether another QoS 2 message can be taken.
    pub(crate) fn has_room(&self, slots: &[Slot]) -> bool {
        (self.seen as usize) < slots.len()
    }

    /// Keeps `id` until its PUBREL; the caller has asked [`Inbound::has_room`].
    pub(crate) fn remember(&mut self, slots: &mut [Slot], id: PacketId) {
        if let Some(slot) = find(slots, id.get()).and_then(|at| slots.get_mut(at)) {
            self.stale = self.stale.saturating_sub(u32::from(slot.marks.is_stale()));
            slot.marks.set_stale(false);
            return;
        }
        let count = slots.len();
        let mut at = home(id.get(), count);
        for _ in 0..count {
            let Some(slot) = slots.get_mut(at) else { return };
            if slot.seen == 0 {
                slot.seen = id.get();
                self.seen += 1;
                return;
            }
            at = after(at, count);
        }
    }

    /// `id` is a new message from now on [MQTT-4.3.3-2].
    pub(crate) fn forget(&mut self, slots: &mut [Slot], id: PacketId) {
        if self.seen == 0 {
            return;
        }
        let Some(mut hole) = find(slots, id.get()) else { return };
        self.seen -= 1;
        let stale = slots.get(hole).is_some_and(|slot| slot.marks.is_stale());
        self.stale = self.stale.saturating_sub(u32::from(stale));
        let count = slots.len();
        let mut at = hole;
        for _ in 1..count {
            at = after(at, count);
            let (candidate, stale) =
                slots.get(at).map_or((0, false), |slot| (slot.seen, slot.marks.is_stale()));
            if candidate == 0 {
                break;
            }
            // It may move back only where it does not come before its home.
            let from_home = distance(home(candidate, count), at, count);
            if from_home >= distance(hole, at, count) {
                set_seen(slots, hole, candidate, stale);
                hole = at;
            }
        }
        set_seen(slots, hole, 0, false);
    }

    /// Whether the application may be handed another message to acknowledge.
    pub(crate) fn can_owe(&self, slots: &[Slot]) -> bool {
        (self.owed as usize) < slots.len()
    }

    /// The application has to acknowledge `id`; the caller has asked [`Inbound::can_owe`].
    pub(crate) fn owe(&mut self, slots: &mut [Slot], id: PacketId, qos: QoS) -> Delivery {
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

    /// Whether the application has messages to acknowledge, or has acknowledged some that are not answered.
    pub(crate) fn is_owed(&self) -> bool {
        self.owed != 0
    }

    /// The application acknowledges `delivery`, which is of the QoS given; `None` where that is not, or no longer,
    /// owed.
    pub(crate) fn take(&mut self, slots: &mut [Slot], delivery: Delivery) -> Option<QoS> {
        let position = delivery.sequence().wrapping_sub(self.sequence);
        if position >= self.owed {
            return None;
        }
        let slot = self.ring(slots, position).filter(|slot| slot.owed_id == delivery.id())?;
        let (owed, qos) = match slot.marks.owed() {
            Owed::AtLeastOnce => (Owed::AtLeastOnceTaken, QoS::AtLeastOnce),
            Owed::ExactlyOnce => (Owed::ExactlyOnceTaken, QoS::ExactlyOnce),
            Owed::Nothing | Owed::AtLeastOnceTaken | Owed::ExactlyOnceTaken => return None,
        };
        slot.marks.set_owed(owed);
        Some(qos)
    }

    /// The oldest owed message, where the application has acknowledged it; it stays until [`Inbound::settle`].
    pub(crate) fn settled(&self, slots: &[Slot]) -> Option<(PacketId, QoS)> {
        if self.owed == 0 {
            return None;
        }
        let slot = slots.get(self.first_owed as usize)?;
        let qos = match slot.marks.owed() {
            Owed::AtLeastOnceTaken => QoS::AtLeastOnce,
            Owed::ExactlyOnceTaken => QoS::ExactlyOnce,
            Owed::Nothing | Owed::AtLeastOnce | Owed::ExactlyOnce => return None,
        };
        Some((PacketId::new(slot.owed_id)?, qos))
    }

    /// The oldest owed message is answered, or never will be.
    pub(crate) fn settle(&mut self, slots: &mut [Slot]) {
        let count = slots.len();
        if let Some(slot) = self.ring(slots, 0) {
            slot.marks.set_owed(Owed::Nothing);
        }
        self.owed = self.owed.saturating_sub(1);
        self.sequence = self.sequence.wrapping_add(1);
        self.first_owed = after(self.first_owed as usize, count) as u32;
    }

    /// The connection ended: what the application has not acknowledged comes again, as if never seen.
    pub(crate) fn disown(&mut self, slots: &mut [Slot]) {
        while self.owed != 0 {
            let oldest =
                self.ring(slots, 0).map(|slot| (slot.marks.owed(), PacketId::new(slot.owed_id)));
            if let Some((Owed::ExactlyOnce, Some(id))) = oldest {
                self.forget(slots, id);
            }
            self.settle(slots);
        }
    }

    /// The session is lost: every id is new.
    pub(crate) fn clear(&mut self, slots: &mut [Slot]) {
        self.disown(slots);
        for slot in slots.iter_mut() {
            slot.seen = 0;
            slot.marks.set_stale(false);
        }
        self.seen = 0;
        self.stale = 0;
    }

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

/// Steps from `from` to `to`, going up and round.
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
    for _ in 0..count {
        match slots.get(at)?.seen {
            0 => return None,
            seen if seen == id => return Some(at),
            _ => at = after(at, count),
        }
    }
    None
}
