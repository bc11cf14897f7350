//! The time in which the client refuses input: all slots hold messages that the application has to acknowledge, or an
//! answer has no room in the outbox.
//!
//! A PINGRESP or an answer may lie behind the bytes that are refused. So nothing is judged as missing until input is
//! taken again, and `Options::unread_timeout` bounds that time.

use super::Machine;
use crate::{time::Instant, timers::Timer};

/// Input is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    /// Milliseconds that the answers still have; they go on once input is taken again.
    answer_left: Option<u64>,
}

impl Machine<'_> {
    /// `receive` has refused a packet, or has taken bytes after it refused some.
    #[cold]
    pub(super) fn refused_or_took(&mut self, took: bool, now: Instant) {
        if took && self.state.refusal.is_some() {
            self.takes_again(now);
        }
        if self.refused && self.state.refusal.is_none() {
            self.refuses(now);
        }
    }

    fn refuses(&mut self, now: Instant) {
        let state = &mut *self.state;
        state.refusal = Some(Refusal { answer_left: state.timers.left(Timer::Answer, now) });
        state.timers.clear(Timer::Answer);
        state.timers.clear(Timer::PingResponse);
        let patience = state.settings.unread_timeout;
        if patience != 0 {
            state.timers.set(Timer::Unread, now.plus_millis(u64::from(patience)));
        }
    }

    fn takes_again(&mut self, now: Instant) {
        let state = &mut *self.state;
        let answer_left = state.refusal.take().and_then(|refusal| refusal.answer_left);
        state.timers.clear(Timer::Unread);
        state.expect_pong(now);
        match answer_left {
            Some(millis) => state.timers.set(Timer::Answer, now.plus_millis(millis)),
            None => self.expect_answer(now),
        }
    }
}
