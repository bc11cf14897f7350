//! `Options::answer_timeout`: how long a request may stay unanswered while the link is alive.
//!
//! One timer serves all requests. It starts when a packet that awaits an answer is sent and it does not run yet; the
//! session marks the packets that were sent by then. When it runs out, the first marked packet that has no answer is
//! the culprit. If all of them are answered, the timer starts anew for later ones. So a request is found after the time
//! at the earliest and after twice the time at the latest, and no request needs room for a time of its own.

use super::Machine;
use crate::{
    error::{Fatal, Reason},
    session::Overdue,
    time::Instant,
    timers::{Timer, Timers},
};

impl Machine<'_> {
    /// Packets were sent: starts the time for their answers, unless it runs.
    pub(super) fn expect_answer(&mut self, now: Instant) {
        let state = &mut *self.state;
        let millis = state.settings.answer_timeout;
        if state.timers.is_set(Timer::Answer) || millis == 0 {
            return;
        }
        if self.session.awaits_answer() {
            state.timers.set(Timer::Answer, now.plus_millis(u64::from(millis)));
            self.session.watch_answers();
        }
    }

    /// Packets came: if none that was sent awaits an answer, no deadline is left.
    pub(super) fn expect_no_answer(&mut self) {
        if self.state.timers.is_set(Timer::Answer) && !self.session.awaits_answer() {
            self.state.timers.clear(Timer::Answer);
        }
    }

    /// Starts the time anew if it has run out and all packets that it was for are answered.
    pub(super) fn watch_later_answers(&mut self, now: Instant) {
        let answer = Timers::set_of(&[Timer::Answer]);
        if self.state.timers.has_passed(answer, now) && self.session.overdue().is_none() {
            self.state.timers.clear(Timer::Answer);
            self.expect_answer(now);
        }
    }

    /// The time has run out.
    #[cold]
    pub(super) fn no_answer(&mut self) {
        let fatal = match self.session.overdue() {
            None => return,
            Some(Overdue::Request(handle)) => Fatal::Unanswered(handle),
            Some(Overdue::Renewal) => Fatal::RenewalUnanswered,
        };
        self.close(Reason::Fatal(fatal));
    }
}
