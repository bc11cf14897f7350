//! The time in which the client refuses input: all slots hold messages that the application has to acknowledge, or an
//! answer has no room in the outbox.
//!
//! A PINGRESP or an answer may lie behind the bytes that are refused. So their time-outs rest until input is taken
//! again, and then have `Options::ping_timeout` at least. `Options::unread_timeout` bounds the time in between.

use super::Machine;
use crate::{time::Instant, timers::Timer};

impl Machine<'_> {
    /// `receive` has refused a packet, or has taken bytes after it refused some.
    #[cold]
    pub(super) fn refused_or_took(&mut self, took: bool, now: Instant) {
        let state = &mut *self.state;
        if took {
            state.refuses = false;
            state.timers.clear(Timer::Unread);
            let patience = state.patience(now);
            state.timers.postpone(Timer::PingResponse, patience);
            state.timers.postpone(Timer::Answer, patience);
            state.timers.postpone(Timer::Release, patience);
            state.timers.postpone(Timer::Reclaim, patience);
        }
        let millis = state.settings.unread_timeout;
        if self.refused && !state.refuses {
            state.refuses = true;
            if millis != 0 {
                state.timers.set(Timer::Unread, now.plus_millis(u64::from(millis)));
            }
        }
    }
}
