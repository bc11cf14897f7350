//! Messages that are passed over: the client leaves them unanswered for the rest of the connection, so the broker sends
//! them again on the next one.
//!
//! It begins if a QoS 2 message of a kept session finds no slot for its packet id.
//!
//! From then on every QoS 1 and QoS 2 message is passed over, because a later one would overtake the first. QoS 0
//! messages, PUBRELs and repetitions of messages that were answered on this connection go on as usual. Once all messages that were taken are
//! complete, the machine ends the connection with a DISCONNECT and connects again at once: a delayed close in the sense
//! of [MQTT-4.8.0-2]. So each connection takes at least as many messages as were complete at its end.
//!
//! With a clean session nothing would come again. So a message without a slot is lost, and the application is told. The
//! same goes for a broker that keeps no session although it should: it sends its retained messages anew on each
//! connection, and the client would pass over the same ones for ever. If the session was lost behind two pass-overs in
//! a row, no message is passed over on that connection.
//!
//! In MQTT 3.1 each connection may begin a new session unseen, so each one renews the subscriptions, and the broker
//! sends every retained message again. Between connections of a pass-over these could be more than the client takes. So
//! there the client leaves the renewal out. The messages that were passed over come again, with DUP, only if the broker
//! kept the session; others may come because of a new SUBSCRIBE. If none comes again within `Options::ping_timeout`, the
//! client connects once more and renews.

use super::{
    SessionMut,
    note::{Fate, NOTE_LEN},
};
use crate::{codec::PacketId, error::RequestError};

/// How far the pass-over is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PassOver {
    Off,
    /// Messages are passed over for the rest of this connection.
    On,
    /// The same, and it is still unknown whether the broker kept the session with the subscriptions.
    OnUnconfirmed,
    /// The connection ended after all messages that were taken were complete.
    Complete,
    /// This connection follows a complete pass-over and renews no subscriptions, and no message has come again yet.
    Unconfirmed,
    /// The broker keeps no session: messages that were passed over would not come again.
    Pointless,
}

impl PassOver {
    /// From now on messages are passed over.
    pub(super) const fn begin(&mut self) {
        *self = match *self {
            Self::Unconfirmed | Self::OnUnconfirmed => Self::OnUnconfirmed,
            Self::Off | Self::On | Self::Complete | Self::Pointless => Self::On,
        };
    }
}

impl SessionMut<'_> {
    /// From now on messages are passed over.
    pub(crate) const fn pass_over(&mut self) {
        self.session.pass_over.begin();
        self.session.plain = false;
    }

    pub(crate) const fn is_passing_over(&self) -> bool {
        matches!(self.session.pass_over, PassOver::On | PassOver::OnUnconfirmed)
    }

    /// The connection is gone.
    pub(super) fn end_pass_over(&mut self) {
        let on = matches!(self.session.pass_over, PassOver::On);
        let complete = on && self.has_completed_messages();
        self.session.pass_over = if complete { PassOver::Complete } else { PassOver::Off };
    }

    /// The broker has lost the session.
    pub(super) fn session_was_lost(&mut self) {
        let session = &mut *self.session;
        let behind_pass_over = session.pass_over == PassOver::Complete;
        session.pass_over =
            if behind_pass_over && session.forgetful { PassOver::Pointless } else { PassOver::Off };
        session.forgetful = behind_pass_over;
    }

    /// The broker seems to have kept the session, but maybe it has not. Gives whether the subscriptions need not be
    /// renewed, because the messages that were passed over will show it.
    pub(super) const fn waits_for_messages(&mut self) -> bool {
        let session = &mut *self.session;
        let waits = matches!(session.pass_over, PassOver::Complete)
            && !session.subscriptions.is_due()
            && session.subscriptions.count() != 0;
        session.pass_over = if waits { PassOver::Unconfirmed } else { PassOver::Off };
        waits
    }

    /// Whether a renewal is not answered in full.
    pub(crate) fn is_renewing(&self) -> bool {
        let subscriptions = &self.session.subscriptions;
        subscriptions.has_more_to_ask() || subscriptions.awaited().is_some()
    }

    /// Whether no message has come where some had to come. Then the next connection renews the subscriptions.
    pub(crate) const fn misses_messages(&self) -> bool {
        matches!(self.session.pass_over, PassOver::Unconfirmed)
    }

    /// Whether the messages that were taken are complete: no id is between PUBLISH and PUBREL, unless it may be stale, and
    /// no acknowledgement is owed.
    pub(crate) fn has_completed_messages(&self) -> bool {
        self.session.inbound.confirmed() == 0 && !self.session.inbound.is_owed()
    }

    /// The PUBREL of a message that was answered is overdue. Gives the message's id; `None` if the application still
    /// owes acknowledgements, so the broker cannot go on.
    ///
    /// From now on the ids in the table are suspect: if the broker does not send them again on the next connection,
    /// they give way to new messages.
    pub(crate) fn suspect_unreleased(&mut self) -> Option<PacketId> {
        let inbound = &mut self.session.inbound;
        let id = inbound.first_seen(self.slots);
        let id = id.filter(|_| !inbound.is_owed())?;
        inbound.suspect_lost(self.slots);
        // Nothing is complete.
        self.session.pass_over = PassOver::Off;
        Some(id)
    }

    /// The application gives up the PUBREL for `id`.
    pub(crate) fn forget_message(&mut self, id: PacketId) -> Result<(), RequestError> {
        if !self.make_room(self.note_len()) {
            let free = self.outbox_free();
            return Err(RequestError::OutboxFull { needed: NOTE_LEN, free });
        }
        if self.session.inbound.has_seen(self.slots, id) {
            self.session.inbound.forget(self.slots, id);
            self.note(Fate::Forgotten, id);
        }
        Ok(())
    }
}
