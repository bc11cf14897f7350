//! Proof that input is missing: bytes that came in time may still wait in the transport or in the driver if the device
//! slept or its application was busy.
//!
//! A time-out for input gives no verdict when its deadline passes. `poll` tells the driver of the deadline, with a
//! `Wait` that is over. The driver then reads once more without waiting, and calls `receive`. The next `poll` gives the
//! verdict only if no byte came. In the same way the transport is offered bytes once more before it counts as stalled.
//! Polls in between change nothing, because other threads may poll and not read.

use super::{Machine, State};
use crate::{
    time::Instant,
    timers::{Timer, Timers},
};

/// The driver's look at the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Listening {
    /// `receive` has more to give.
    Taking,
    /// `receive` has given `None`: the driver is about to wait for bytes.
    Drained,
    /// As `Drained`. A deadline has passed, and bytes are sent first. The count of sent bytes at that time.
    Sending(u32),
    /// `poll` has told the driver of the deadline.
    Asked,
    /// `receive` was called since then, and no byte came.
    Silent,
}

/// The bytes that are offered to a transport once more before it counts as stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LastOffer {
    /// [`Timer::Stall`] has not run out.
    NotMade,
    /// `poll` has given the bytes.
    Made,
    /// The driver came back to `receive`, and the transport had taken none of them.
    Refused,
}

impl Listening {
    /// `receive` gives an event that needs no input.
    pub(super) const fn event_given(self) -> Self {
        match self {
            Self::Taking | Self::Drained | Self::Sending(_) => Self::Taking,
            Self::Asked | Self::Silent => self,
        }
    }

    const fn nothing_came(self) -> Self {
        match self {
            Self::Taking | Self::Drained => Self::Drained,
            Self::Sending(_) => self,
            Self::Asked | Self::Silent => Self::Silent,
        }
    }
}

impl State {
    /// Bytes are ready, and something depends on it that the transport takes some: starts its time, unless it runs.
    #[inline(never)] // for less flash
    pub(super) fn await_transport(&mut self, now: Instant) {
        if !self.timers.is_set(Timer::Stall) {
            self.timers.set(Timer::Stall, self.patience(now));
            self.last_offer = LastOffer::NotMade;
        }
    }

    /// `receive` gives `None`. `nothing`: no byte came or was taken.
    pub(super) const fn drained(&mut self, nothing: bool) {
        self.listening = if nothing { self.listening.nothing_came() } else { Listening::Drained };
        if matches!(self.last_offer, LastOffer::Made) {
            self.last_offer = LastOffer::Refused;
        }
    }

    /// The timers that rest, because the client refuses the input that they wait for.
    pub(super) const fn resting(&self) -> u16 {
        const FOR_INPUT_BEHIND: u16 =
            Timers::set_of(&[Timer::PingResponse, Timer::Answer, Timer::Release, Timer::Reclaim]);
        if self.refuses { FOR_INPUT_BEHIND } else { 0 }
    }

    /// The timers that wait for input.
    pub(super) const fn for_input(&self) -> u16 {
        let waits = self.awaits_connack() || self.phase.is_up();
        let connect = if waits { Timers::set_of(&[Timer::Connect]) } else { 0 };
        Timers::set_of(&[
            Timer::PingResponse,
            Timer::Answer,
            Timer::Release,
            Timer::Reclaim,
            Timer::Unread,
        ]) | connect
    }

    /// The timers whose end proves nothing yet.
    pub(super) const fn unproven(&self) -> u16 {
        let refused = matches!(self.last_offer, LastOffer::Refused);
        let stall = if refused { 0 } else { Timers::set_of(&[Timer::Stall]) };
        if matches!(self.listening, Listening::Silent) { stall } else { stall | self.for_input() }
    }
}

impl Machine<'_> {
    /// A deadline has passed without a verdict. Gives it if the driver has to look at the input before it sends.
    #[cold]
    pub(super) fn ask(&mut self, now: Instant) -> Option<Instant> {
        let ready = self.is_ready();
        let state = &mut *self.state;
        let sent = state.counters.bytes_out;
        let stall = Timers::set_of(&[Timer::Stall]);
        if ready && state.timers.has_passed(stall, now) {
            if state.last_offer == LastOffer::NotMade {
                self.session.ask_source_again();
            }
            state.last_offer = LastOffer::Made;
        }
        if !state.timers.has_passed(state.for_input() & !state.resting(), now) {
            return None;
        }
        state.listening = match state.listening {
            Listening::Drained if ready => {
                // Without a keep alive nothing else ends the wait.
                state.await_transport(now);
                Listening::Sending(sent)
            }
            Listening::Sending(before) if ready && before == sent => return None,
            Listening::Drained | Listening::Sending(_) => Listening::Asked,
            Listening::Taking | Listening::Asked | Listening::Silent => return None,
        };
        // If bytes are always ready, the driver would never come to wait.
        (state.listening == Listening::Asked && ready).then(|| state.timers.next(state.resting()))
    }
}
