//! The time in which the client refuses input: all slots hold messages that the application has to acknowledge, or an
//! answer has no room in the outbox.
//!
//! A PINGRESP or an answer may lie behind the bytes that are refused. So nothing is judged as missing until input is
//! taken again, and `Options::unread_timeout` bounds that time.

use super::{Machine, State};
use crate::{time::Instant, timers::Timer};

/// Input is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refusal;

impl Machine<'_> {
    /// `receive` has refused a packet, or has taken bytes after it refused some.
    #[cold]
    pub(super) fn refused_or_took(&mut self, took: bool, now: Instant) {
        let state = &mut *self.state;
        if took {
            state.takes_again(now);
        }
        if self.refused && state.refusal.is_none() {
            state.refuses(now);
        }
    }
}

impl State {
    fn refuses(&mut self, now: Instant) {
        self.refusal = Some(Refusal);
        self.timers.clear(Timer::PingResponse);
        let patience = self.settings.unread_timeout;
        if patience != 0 {
            self.timers.set(Timer::Unread, now.plus_millis(u64::from(patience)));
        }
    }

    fn takes_again(&mut self, now: Instant) {
        self.refusal = None;
        self.timers.clear(Timer::Unread);
        self.expect_pong(now);
    }
}
