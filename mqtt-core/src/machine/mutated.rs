//! What the [mutations](crate::mutation) do in place of the right thing; nothing of this is linked without them.

use super::{
    Core,
    receive::{ANSWER_LEN, PUBREL},
};
use crate::{
    codec::PacketId,
    session::{Requests, journal::Fate, qos::Awaits},
};

impl Core<'_> {
    /// [`PublishAfterRelease`](crate::mutation::Mutation::PublishAfterRelease): against [MQTT-4.3.3-1].
    pub(super) fn release_without_discarding(&mut self, id: PacketId, index: usize, place: u32) {
        if self.make_room(ANSWER_LEN + self.note_len()) {
            self.note(Fate::Released, id);
            self.answer(PUBREL, id);
            Requests::advance(self.slots, index, Awaits::PubComp, place);
        }
    }

    /// [`PubrelOrderSwapped`](crate::mutation::Mutation::PubrelOrderSwapped): against [MQTT-4.6.0-4].
    pub(super) fn swap_with_pubrel_before(&mut self, start: usize) {
        let before = start.saturating_sub(ANSWER_LEN);
        let sent = self.machine.outbox.was_sent(before as u32);
        let ids = [before, start].map(|at| match self.bytes.get(at..at + ANSWER_LEN) {
            Some(&[PUBREL, 2, high, low]) => PacketId::new(u16::from_be_bytes([high, low])),
            _ => None,
        });
        let [Some(first), Some(second)] = ids else { return };
        if sent || before < self.machine.outbox.base() {
            return;
        }
        for (id, at) in [(second, before), (first, start)] {
            self.write_answer(at, PUBREL, id);
            if let Some(found) = self.machine.requests.find(self.slots, id) {
                Requests::advance(self.slots, found.index, Awaits::PubComp, at as u32);
            }
        }
    }
}
