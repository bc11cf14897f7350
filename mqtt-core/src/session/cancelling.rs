//! Requests that the application takes back, and those that the client gives up.
//!
//! The request ends with one event that says whether its packet was ever shown to the driver: then it may have arrived.
//! Its packet id stays out of use in that case, see [`abandoned`](super::requests::Abandoned). A packet that is being
//! sent is finished, because the broker would not find the next one otherwise. To give up a packet that was sent is a
//! departure from [MQTT-4.4.0-1], which wants it sent again.

use super::{
    Handle, SessionMut,
    note::{Fate, NOTE_LEN},
    qos::Awaits,
    requests::{Ending, InFlight, Table},
    subscriptions::filter_count,
};
use crate::{codec::PacketId, error::RequestError};

impl SessionMut<'_> {
    /// The application takes back the request `handle`.
    pub(crate) fn cancel(&mut self, handle: Handle) -> Result<(), RequestError> {
        self.finish_restore();
        let Some(id) = handle.packet_id() else { return Err(RequestError::AtMostOnce) };
        let found = self.session.requests.find(self.slots, id);
        let Some(found) = found.filter(|found| found.handle == handle && found.is_awaited()) else {
            return Err(RequestError::NotInFlight);
        };
        if !self.may_cancel(&found) {
            return Err(RequestError::Released);
        }
        if self.session.changes.are_recorded() && self.is_being_sent(&found) {
            // Only this packet stays in the outbox, so only here the note may have no room.
            if !self.make_room(NOTE_LEN) {
                let free = self.outbox_free();
                return Err(RequestError::OutboxFull { needed: NOTE_LEN, free });
            }
        }
        self.give_up(id, Ending::Cancelled);
        Ok(())
    }

    /// Whether the driver was shown bytes of the packet that the transport has not taken.
    fn is_being_sent(&self, request: &InFlight) -> bool {
        let outbox = &self.session.outbox;
        outbox.was_shown(request.place) && !outbox.was_sent(request.place)
    }

    /// The request under `id` ends without an answer. There is room for a note.
    pub(super) fn give_up(&mut self, id: PacketId, ending: Ending) {
        let Some(found) = self.session.requests.find(self.slots, id) else { return };
        let sent = self.session.outbox.was_shown(found.place) || found.was_sent;
        let being_sent = self.is_being_sent(&found);
        let session = &mut *self.session;
        if session.outbox.was_shown(found.place) {
            session.stuck.blame_nobody();
        }
        if found.awaits == Awaits::SubAck {
            session.subscriptions.give_up(filter_count(self.bytes, found.place as usize));
        }
        let ending =
            if ending == Ending::Cancelled && sent { Ending::CancelledSent } else { ending };
        session.requests.give_up(self.slots, found.index, ending, being_sent);
        if !being_sent {
            let mut table = Table { requests: &mut session.requests, slots: self.slots };
            session.outbox.remove(self.bytes, &mut table, found.place);
        }
        if sent {
            session.requests.abandoned.add(id);
        }
        if session.changes.are_recorded() {
            let roomy = self.make_room(NOTE_LEN);
            debug_assert!(roomy, "the packet made room for the note, or it was asked for");
            self.note(if sent { Fate::Abandoned } else { Fate::Done }, id);
            // Otherwise a power cut would bring the request back.
            self.session.changes.need();
        }
    }

    /// The session has ended, no other one follows, and nothing is being sent: every request ends as lost.
    #[cold]
    pub(crate) fn lose_requests(&mut self) {
        self.finish_restore();
        let session = &mut *self.session;
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        let (bytes, subscriptions) = (&*self.bytes, &mut session.subscriptions);
        let forget = |place| subscriptions.give_up(filter_count(bytes, place));
        session.outbox.lose_all(bytes, &mut table, forget);
        session.changes.need_snapshot();
    }

    /// Subscriptions from the position `first` on are not made again; false while a renewal is sent in part.
    pub(crate) fn forget_subscriptions(&mut self, first: usize, count: usize) -> bool {
        let session = &mut *self.session;
        let free = !session.subscriptions.is_begun();
        if free {
            if session.subscriptions.awaited().is_some() {
                // The broker may close the connection at a filter that is gone.
                session.stuck.blame_nobody();
            }
            session.subscriptions.forget(&mut session.outbox, self.bytes, first, count);
            session.stuck.positions_changed();
            session.changes.need_subscriptions();
        }
        free
    }

    /// The transport has taken bytes: packets of cancelled requests are no longer needed once they are sent.
    #[cold]
    pub(super) fn finish_cancelled(&mut self) {
        let session = &mut *self.session;
        let mut from = 0;
        while let Some((index, place)) =
            session.requests.finishing(self.slots, from, session.outbox.boundary())
        {
            session.outbox.release(self.bytes, place);
            session.requests.finished(self.slots, index);
            from = index + 1;
        }
    }

    /// The connection is gone: packets of cancelled requests are not sent again.
    #[cold]
    pub(super) fn drop_cancelled(&mut self) {
        let session = &mut *self.session;
        let mut from = 0;
        while let Some((index, place)) = session.requests.finishing(self.slots, from, usize::MAX) {
            session.outbox.kill_at(self.bytes, place);
            session.requests.finished(self.slots, index);
            from = index + 1;
        }
    }

    /// A late answer to a request that was given up: its packet id is free.
    pub(super) fn free_abandoned(&mut self, id: PacketId) {
        if self.session.requests.abandoned.remove(id) {
            self.note_done(id);
        }
    }
}
