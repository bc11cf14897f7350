//! Messages that are passed over, and the delayed close behind them. `session/pass_over.rs` says when that begins.
//!
//! The connection ends once the messages that were taken are complete: the packets that wait go out, then a DISCONNECT,
//! so the broker does not publish the will. The client connects again at once, to the same broker. That is neither a
//! failure nor a back-off.
//!
//! If the broker never sends a PUBREL, the connection would never end. So each PUBREL starts `Options::answer_timeout`
//! again, and its end is `Fatal::NotReleased`.

use super::{
    Machine,
    connection::{Intent, LeaveFor, Phase},
};
use crate::{
    error::{Fatal, Reason},
    time::Instant,
    timers::Timer,
};

impl Machine<'_> {
    /// A message is passed over, and all later ones are.
    #[cold]
    pub(super) const fn pass_over(&mut self) {
        self.session.pass_over();
        let counters = &mut self.state.counters;
        counters.passed_over = counters.passed_over.wrapping_add(1);
    }

    /// Ends the connection once the messages that were taken are complete, if others were passed over.
    #[cold]
    pub(super) fn delayed_close(&mut self, now: Instant) {
        let state = &mut *self.state;
        let passing = self.session.is_passing_over();
        // A message in pieces is not cut off.
        if !passing || !matches!(state.phase, Phase::Up(Intent::Stay)) || state.is_delivering() {
            return;
        }
        if self.session.has_completed_messages() {
            if self.session.is_renewing() {
                // A renewal that is cut off begins anew, and the broker sends every retained message again.
                return;
            }
            state.begin_leaving(LeaveFor::Again);
            // They go out on the next connection and do not put the end off.
            self.session.hold_requests();
        } else if state.settings.answer_timeout != 0 && !state.timers.is_set(Timer::Release) {
            let patience = u64::from(state.settings.answer_timeout);
            state.timers.set(Timer::Release, now.plus_millis(patience));
        }
    }

    /// The connection has lasted long enough to forget failed attempts.
    pub(super) fn stable(&mut self, now: Instant) {
        let on_first = self.state.attempts.stable();
        if let Some(millis) = self.state.settings.reconnect.return_delay().filter(|_| !on_first) {
            self.state.timers.set(Timer::Reconnect, now.plus_millis(millis.into()));
        }
    }

    /// The messages that were passed over have had the time of a PINGRESP to come.
    #[cold]
    pub(super) fn look_for_messages(&mut self, now: Instant) {
        let state = &mut *self.state;
        if !self.session.misses_messages() {
            return;
        }
        if state.stream.is_some() || state.unread != 0 {
            // The first of them may have come in part.
            state.timers.set(Timer::Connect, state.patience(now));
        } else {
            state.begin_leaving(LeaveFor::Again);
        }
    }

    /// No PUBREL came in time.
    #[cold]
    pub(super) fn not_released(&mut self) {
        // If the application owes acknowledgements, the next `poll` starts the time again.
        if let Some(id) = self.session.suspect_unreleased() {
            self.close(Reason::Fatal(Fatal::NotReleased { id }));
        }
    }
}
