//! Keep alive: when a PINGREQ is due, and how long its PINGRESP may take. Sections 3.1.2.10, 3.12 and 3.13 of the
//! standard.

use super::{
    Machine, State,
    transmit::{Source, bytes_through},
};
use crate::{time::Instant, timers::Timer};

/// A PINGREQ whose PINGRESP has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ping {
    /// When it was made.
    pub(super) at: Instant,
    /// The count of sent bytes at which it is out.
    pub(super) end: u32,
}

impl State {
    /// Starts the time after which a PINGREQ is due.
    pub(super) fn arm(&mut self, timer: Timer, now: Instant) {
        let on = timer != Timer::Silence || self.settings.ping_on_silence;
        if self.keep_alive != 0 && on {
            // Three quarters: the rest is for the way to the broker.
            let millis = u32::from(self.keep_alive) * 750;
            self.timers.set(timer, now.plus_millis(u64::from(millis)));
        }
    }

    /// Starts the time for the PINGRESP once the PINGREQ is out.
    pub(super) fn expect_pong(&mut self, now: Instant) {
        let Some(Ping { end, .. }) = self.ping else { return };
        let ahead = end.wrapping_sub(self.counters.bytes_out) as i32;
        if ahead <= 0 && !self.timers.is_set(Timer::PingResponse) {
            self.timers.set(Timer::PingResponse, self.patience(now));
        }
    }

    /// When `Options::ping_timeout` ends if it starts at `now`.
    #[inline(never)] // for less flash
    pub(super) fn patience(&self, now: Instant) -> Instant {
        now.plus_millis(u64::from(self.settings.ping_timeout))
    }
}

impl Machine<'_> {
    /// Nothing was sent, or received, for as long as the keep alive allows [MQTT-3.1.2-23].
    pub(super) fn ping(&mut self, timer: Timer, now: Instant) {
        self.state.arm(timer, now);
        if self.session.is_reclaiming() {
            if self.session.ping_while_reclaiming() {
                self.note_ping(Source::Reclaim, now);
            }
            return;
        }
        let done = if timer == Timer::Silence {
            // Against silence, a PINGREQ that waits for its answer is enough.
            self.state.ping.is_some()
        } else {
            // For the keep alive, any bytes that wait to be sent are enough.
            self.is_ready()
        };
        if !done && self.session.append_pingreq() {
            self.note_ping(Source::Outbox, now);
        }
        // If the transport takes no bytes, the PINGREQ is not sent and no PINGRESP is awaited: this timer ends the
        // connection.
        if !self.state.timers.is_set(Timer::Stall) && self.is_ready() {
            self.state.timers.set(Timer::Stall, self.state.patience(now));
        }
    }

    /// A PINGREQ was put at the end of `source`.
    fn note_ping(&mut self, source: Source, now: Instant) {
        if self.state.ping.is_none() {
            let (session, bytes) = self.session.parts();
            let ahead = bytes_through(source, session, bytes);
            let end = self.state.counters.bytes_out.wrapping_add(ahead as u32);
            self.state.ping = Some(Ping { at: now, end });
        }
    }

    /// PINGRESP.
    pub(super) fn pong(&mut self, now: Instant) {
        self.state.timers.clear(Timer::PingResponse);
        if let Some(ping) = self.state.ping.take() {
            self.state.counters.ping_round_trip = Some(now.millis_since(ping.at) as u32);
        }
    }

    /// Bytes came in.
    pub(super) fn heard(&mut self, now: Instant) {
        self.state.arm(Timer::Silence, now);
        if !self.state.phase.is_up() {
            return;
        }
        if self.session.is_reclaiming() {
            // The time for the next PUBCOMP starts again.
            self.state.timers.set(Timer::PingResponse, self.state.patience(now));
        } else {
            self.state.expect_pong(now);
        }
    }
}
