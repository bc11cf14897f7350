//! Requests that end without an answer from the broker: their slots stay until the application is told.

use super::{Requests, in_flight};
use crate::{
    codec::PacketId,
    session::{
        handle::Handle,
        qos::Awaits,
        slot::{Slot, Use},
    },
};

/// Why a request ends without an answer while the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Ending {
    /// The application took it back. Its packet was never shown to the driver.
    Cancelled,
    /// The application took it back. Its packet may have been sent.
    CancelledSent,
    /// The client gave it up, because it stood in the way of the others.
    GivenUp,
    /// Its source failed.
    SourceFailed,
}

/// A request that ended without an answer from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// QoS 0: the transport has taken it.
    Sent(Handle),
    /// The broker lost the session; QoS 0: the connection ended while the transport was taking it.
    Lost(Handle),
    /// QoS 0: it was dropped from a full queue.
    Dropped(Handle),
    /// The application took it back. `sent`: its packet may have been sent.
    Cancelled { handle: Handle, sent: bool },
    /// The client gave it up.
    GivenUp(Handle),
    /// Its source failed.
    SourceFailed(Handle),
}

impl Requests {
    /// See [`Table::lose`](super::Table::lose).
    pub(super) fn lose(&mut self, slots: &mut [Slot], id: u16) {
        let found = PacketId::new(id).and_then(|id| self.find(slots, id));
        debug_assert!(found.is_some(), "the packet of id {id} is in the outbox without a request");
        let Some(index) = found.map(|found| found.index) else { return };
        if let Some(slot) = slots.get_mut(index) {
            slot.state = Use::Lost;
            self.count_ended(index);
        }
    }

    /// The request in slot `index` has ended, and its event is still to come.
    fn count_ended(&mut self, index: usize) {
        let index = index as u16;
        self.first_ended = if self.ended == 0 { index } else { self.first_ended.min(index) };
        self.ended += 1;
    }

    /// The request in slot `index` ends without an answer. If its packet is being sent, the slot stays until
    /// [`Requests::finished`].
    pub(in crate::session) fn give_up(
        &mut self,
        slots: &mut [Slot],
        index: usize,
        ending: Ending,
        being_sent: bool,
    ) {
        let Some(slot) = slots.get_mut(index) else { return };
        let exactly_once = matches!(slot.state, Use::InFlight(Awaits::PubRec | Awaits::PubComp));
        self.exactly_once = self.exactly_once.saturating_sub(u32::from(exactly_once));
        if being_sent {
            slot.state = Use::InFlight(Awaits::Nothing);
            self.finishing += 1;
        } else {
            slot.state = match ending {
                Ending::Cancelled => Use::Cancelled,
                Ending::CancelledSent => Use::CancelledSent,
                Ending::GivenUp => Use::GivenUp,
                Ending::SourceFailed => Use::SourceFailed,
            };
            self.count_ended(index);
        }
    }

    /// Whether packets of cancelled requests are being sent.
    pub(in crate::session) const fn has_finishing(&self) -> bool {
        self.finishing != 0
    }

    /// The first of these requests from slot `from` on whose packet lies below `boundary`: its slot, and the place of
    /// the packet.
    pub(in crate::session) fn finishing(
        &self,
        slots: &[Slot],
        from: usize,
        boundary: usize,
    ) -> Option<(usize, u32)> {
        (from..slots.len())
            .filter_map(|index| in_flight(slots, index))
            .find(|found| !found.is_awaited() && (found.place as usize) < boundary)
            .map(|found| (found.index, found.place))
    }

    /// The packet of the cancelled request in slot `index` is sent, or its connection is gone.
    pub(in crate::session) fn finished(&mut self, slots: &mut [Slot], index: usize) {
        if let Some(slot) = slots.get_mut(index) {
            slot.state = Use::CancelledSent;
            self.finishing -= 1;
            self.count_ended(index);
        }
    }

    /// Whether [`Requests::next_ended`] has something to tell.
    pub(in crate::session) fn has_ended(&self) -> bool {
        self.ended != 0
            || self.unacknowledged.lost != 0
            || !self.queue.dropped.is_empty()
            || self.unacknowledged.sent != self.unacknowledged.told
    }

    /// The next request that ended without an answer from the broker and was not told yet.
    pub(in crate::session) fn next_ended(&mut self, slots: &mut [Slot]) -> Option<Ended> {
        if self.unacknowledged.sent != self.unacknowledged.told {
            self.unacknowledged.told = self.unacknowledged.told.wrapping_add(1);
            let number = self.leave_queue(slots).unwrap_or(self.unacknowledged.told);
            let handle = Handle::new(0, number);
            if self.unacknowledged.failed == Some(number) {
                self.unacknowledged.failed = None;
                return Some(Ended::SourceFailed(handle));
            }
            return Some(Ended::Sent(handle));
        }
        if self.unacknowledged.lost != 0 {
            let tally = &mut self.unacknowledged;
            tally.lost -= 1;
            tally.sent = tally.sent.wrapping_add(1);
            tally.told = tally.told.wrapping_add(1);
            let told = tally.told;
            let number = self.leave_queue(slots).unwrap_or(told);
            return Some(Ended::Lost(Handle::new(0, number)));
        }
        if let Some(number) = self.queue.dropped.next() {
            return Some(Ended::Dropped(Handle::new(0, number)));
        }
        if self.ended == 0 {
            return None;
        }
        let mut rest = slots.iter().enumerate().skip(self.first_ended.into());
        let ended = rest.find_map(|(index, slot)| Some((index, ended(slot)?)));
        let Some((index, ended)) = ended else {
            debug_assert!(false, "{} requests have ended, and no slot holds one", self.ended);
            self.ended = 0;
            return None;
        };
        self.ended -= 1;
        self.first_ended = if self.ended == 0 { 0 } else { index as u16 };
        let count = slots.len() as u16;
        if let (Ended::Cancelled { sent: false, .. }, Some(slot)) = (ended, slots.get_mut(index)) {
            // Nobody has seen the id, so it is the slot's next one again.
            slot.id = slot.id.saturating_sub(count);
        }
        self.end(slots, index);
        Some(ended)
    }
}

/// The event of the request in `slot`, if it has ended.
fn ended(slot: &Slot) -> Option<Ended> {
    let handle = Handle::new(slot.id, slot.generation);
    match slot.state {
        Use::Lost => Some(Ended::Lost(handle)),
        Use::Cancelled => Some(Ended::Cancelled { handle, sent: false }),
        Use::CancelledSent => Some(Ended::Cancelled { handle, sent: true }),
        Use::GivenUp => Some(Ended::GivenUp(handle)),
        Use::SourceFailed => Some(Ended::SourceFailed(handle)),
        Use::Free | Use::InFlight(_) | Use::Droppable => None,
    }
}
