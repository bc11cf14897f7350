//! The return to the first broker: `Reconnect::return_after`.
//!
//! The client looks for a moment in which nothing is unanswered in either direction. It looks at fixed times, because a
//! look at each packet would cost every client something. If it finds none for a while, it holds new requests back, so
//! that the answers to earlier ones catch up. In the end it leaves anyway: requests that are unanswered then are as
//! safe as over any broken connection.

use super::{Machine, connection::LeaveFor, settings::ReturnToFirst};
use crate::{time::Instant, timers::Timer};

/// Milliseconds from one look to the next.
const EVERY: u64 = 100;
/// From this look on requests are held back.
const HOLD: u8 = 50;
/// The look at which the client leaves in any case.
const LAST: u8 = 100;

/// The function behind `Settings::return_to_first`.
pub(crate) const RETURN_TO_FIRST: ReturnToFirst = |machine, now| machine.return_to_first(now);

impl Machine<'_> {
    /// It is time to leave this broker for the first one.
    #[cold]
    fn return_to_first(&mut self, now: Instant) {
        // These have an end of their own and would have to begin anew.
        let busy = self.state.stream.is_some()
            || self.session.is_passing_over()
            || self.session.is_reclaiming()
            || self.session.is_renewing();
        let looks = self.state.attempts.looks + u8::from(!busy);
        if busy || looks < LAST && !self.is_quiet() {
            self.state.attempts.looks = looks;
            if looks >= HOLD {
                self.session.hold_requests();
            }
            self.state.timers.set(Timer::Reconnect, now.plus_millis(EVERY));
        } else {
            self.state.begin_leaving(LeaveFor::First);
            self.session.hold_requests();
        }
    }

    /// Whether nothing is unanswered, or waits to be sent.
    fn is_quiet(&self) -> bool {
        self.state.unread == 0
            && !self.session.has_unanswered()
            && self.session.has_completed_messages()
            && !self.is_ready()
    }
}
