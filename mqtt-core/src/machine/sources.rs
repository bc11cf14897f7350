//! Publishes from a source: the driver reads their payload while they are sent.
//!
//! While a source has no bytes, nothing is sent, because no other packet may come between the bytes of one. If the
//! keep alive runs out meanwhile, the source has `Options::ping_timeout` left, as a transport that takes no bytes has;
//! without a keep alive it has `Options::answer_timeout`. Then it is asked once more before the connection ends.

use super::{
    Machine,
    connection::Phase,
    listening::LastOffer,
    settings::{Place, SourceRules},
    transmit::Source,
};
use crate::{
    codec::Publish,
    error::{Fatal, Reason, RequestError},
    event::Action,
    session::Handle,
    source::{PublishFrom, SourceFault},
    time::Instant,
    timers::Timer,
};

/// At least as long as the description of a payload in the outbox.
const DESCRIPTION: &[u8] = &[0; 16];

/// The functions behind `Settings::sources`.
pub(crate) const SOURCE_RULES: &SourceRules = &SourceRules {
    action: |state, source, session, bytes| {
        let piece = if source == Some(Source::Outbox) { session.piece(bytes) } else { None };
        let Some(piece) = piece else { return state.transmission(source, session, bytes) };
        if !session.source_is_pending() {
            return Action::TransmitFrom(piece);
        }
        // Time-outs come first in a poll, so a connection that has begun to end in this one has no deadline yet.
        let untimed =
            matches!(state.phase, Phase::Leaving { .. }) && !state.timers.is_set(Timer::Connect);
        let deadline = if untimed { Instant::from_millis(0) } else { state.deadline() };
        Action::Wait(deadline)
    },
    fed: |machine, now| machine.fed(now),
    stalled: |machine| {
        let source_id = machine.session.pending_source()?;
        Some(Fatal::Source { source_id, fault: SourceFault::TooSlow })
    },
};

impl Machine<'_> {
    pub(crate) fn publish_from(
        &mut self,
        publish: &PublishFrom<'_>,
    ) -> Result<Handle, RequestError> {
        let PublishFrom { topic, source: _, len, qos, retain } = *publish;
        let in_outbox = Publish::new(topic, DESCRIPTION).qos(qos).retain(retain);
        if len == 0 {
            return self.publish(&Publish { payload: &[], ..in_outbox });
        }
        let place = match self.state.settings.limit_queue {
            Some(limit_queue) => limit_queue(self, &in_outbox)?,
            None => Place::ByQos,
        };
        let handle = self.session.accept_from(publish)?;
        if place == Place::Droppable {
            self.session.make_droppable();
        }
        Ok(handle)
    }

    /// The source of the publish that is being sent has no bytes yet.
    pub(crate) fn source_pending(&mut self, handle: Handle, now: Instant) {
        let state = &mut *self.state;
        let millis = state.settings.answer_timeout;
        let pending = self.session.set_source_pending(handle, true);
        // With a keep alive its end starts the time.
        let untimed = state.keep_alive == 0 && millis != 0 && state.phase.is_up();
        if pending && untimed && !state.timers.is_set(Timer::Stall) {
            state.timers.set(Timer::Stall, now.plus_millis(u64::from(millis)));
            state.last_offer = LastOffer::NotMade;
        }
    }

    /// The source of the publish that is being sent has bytes.
    pub(crate) fn source_ready(&mut self, handle: Handle) {
        let _is_sent = self.session.set_source_pending(handle, false);
    }

    /// The source of the publish that is being sent will not give the bytes.
    pub(crate) fn source_failed(&mut self, handle: Handle, fault: SourceFault) {
        let Some(failed) = self.session.fail_source(handle) else { return };
        if failed.closes {
            self.close(Reason::Fatal(Fatal::Source { source_id: failed.source, fault }));
            return;
        }
        let timers = &mut self.state.timers;
        if timers.is_set(Timer::Stall) {
            // No other packet was sent while the client waited for it. If the keep alive has run out meanwhile, a PINGREQ
            // is due.
            timers.clear(Timer::Stall);
            if self.state.keep_alive != 0 {
                self.state.timers.set(Timer::KeepAlive, Instant::from_millis(0));
            }
        }
    }

    /// The transport has taken bytes. If they may be of a publish from a source, what waits behind it has its time.
    fn fed(&mut self, now: Instant) {
        if !self.session.parts().0.may_have_sources() {
            return;
        }
        let state = &mut *self.state;
        let settings = &state.settings;
        let after = |millis: u32| now.plus_millis(u64::from(millis));
        if let Phase::Leaving { .. } = state.phase {
            state.timers.set(Timer::Connect, after(settings.connect_timeout));
        } else {
            // The broker awaits answers that lie behind it.
            state.timers.postpone(Timer::Release, after(settings.answer_timeout));
            state.timers.postpone(Timer::Unread, after(settings.unread_timeout));
        }
    }
}
