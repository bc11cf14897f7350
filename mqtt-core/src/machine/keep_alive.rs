//! Keep alive: when a PINGREQ is due, and how long its PINGRESP may take. Sections 3.1.2.10, 3.12 and 3.13 of the
//! standard.
//!
//! Any byte that comes after a PINGREQ proves that the link is alive, not only its PINGRESP: the PINGRESP may wait
//! behind a large message. The time-out judges a PINGREQ that nothing followed [MQTT-3.12.4-1].

use super::{Machine, State, transmit::bytes_ahead};
use crate::{time::Instant, timers::Timer};

/// PINGREQs whose PINGRESPs have not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ping {
    /// When the first was made.
    pub(super) at: Instant,
    /// The count of sent bytes at which the one that is judged is out; `None` if bytes that came behind it have proved
    /// the link.
    pub(super) judged: Option<u32>,
    /// The count of sent bytes at which the last is out.
    pub(super) last: u32,
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

    /// Whether a PINGREQ that ends at this count of sent bytes is out.
    const fn is_out(&self, end: u32) -> bool {
        end.wrapping_sub(self.counters.bytes_out) as i32 <= 0
    }

    /// Whether a PINGREQ is out that no bytes have followed.
    fn awaits_proof(&self) -> bool {
        let judged = self.ping.and_then(|ping| ping.judged);
        judged.is_some_and(|end| self.is_out(end))
    }

    /// Bytes came: they prove the link for all PINGREQs that are out.
    #[cold]
    fn prove_ping(&mut self) {
        let Some(ping) = self.ping else { return };
        let waits = !self.is_out(ping.last);
        self.ping = Some(Ping { judged: waits.then_some(ping.last), ..ping });
    }

    /// Nothing is left to send, so every PINGREQ is out. Packets ahead of it may have been taken back since it was
    /// queued.
    #[cold]
    pub(super) fn all_pings_are_out(&mut self) {
        let Some(ping) = self.ping.filter(|ping| !self.is_out(ping.last)) else { return };
        let last = self.counters.bytes_out;
        let judged = ping.judged.map(|end| if self.is_out(end) { end } else { last });
        self.ping = Some(Ping { at: ping.at, judged, last });
    }

    /// Starts the time for the PINGRESP once the PINGREQ is out.
    pub(super) fn expect_pong(&mut self, now: Instant) {
        if self.awaits_proof() && !self.timers.is_set(Timer::PingResponse) {
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
        let done = if timer == Timer::Silence {
            // Against silence, a PINGREQ that no bytes have followed is enough.
            self.state.ping.is_some_and(|ping| ping.judged.is_some())
        } else {
            // For the keep alive, any bytes that wait to be sent are enough.
            self.is_ready()
        };
        if !done {
            self.probe(now);
        }
        // If the transport takes no bytes, the PINGREQ is not sent and no PINGRESP is awaited: this ends the connection.
        if self.is_ready() {
            self.state.await_transport(now);
        }
    }

    /// Asks whether the broker still reads. The question goes behind everything that waits to be sent.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.session.append_pingreq() {
            self.note_ping(now);
        }
    }

    /// A PINGREQ was put at the end of the outbox. If no bytes have followed an earlier one, the time-out judges that
    /// one.
    fn note_ping(&mut self, now: Instant) {
        let (session, bytes) = self.session.parts();
        // Counts are compared by their difference, so it has to stay below half of their range.
        let ahead = bytes_ahead(session, bytes).min(i32::MAX as usize) as u32;
        let last = self.state.counters.bytes_out.wrapping_add(ahead);
        let (at, judged) = self.state.ping.map_or((now, None), |ping| (ping.at, ping.judged));
        self.state.ping = Some(Ping { at, judged: judged.or(Some(last)), last });
        // It serves both timers, so the other one need not wake the device.
        self.state.arm(Timer::Silence, now);
    }

    /// Whether a PINGREQ that ends at this count of sent bytes was shown to the driver, which may report later that the
    /// transport has taken it.
    fn may_be_out(&self, end: u32) -> bool {
        self.state.is_out(end.wrapping_sub(self.shown_len() as u32))
    }

    /// PINGRESP.
    pub(super) fn pong(&mut self, now: Instant) {
        let Some(ping) = self.state.ping else { return };
        // It answers an earlier PINGREQ if one is still to be sent.
        let waits = !self.may_be_out(ping.last);
        let state = &mut *self.state;
        state.counters.ping_round_trip = Some(now.millis_since(ping.at) as u32);
        state.ping = waits.then_some(Ping { at: now, judged: Some(ping.last), ..ping });
    }

    /// New bytes came in, and those that could be taken are.
    pub(super) fn heard(&mut self, now: Instant) {
        let state = &mut *self.state;
        if !state.phase.is_up() {
            return;
        }
        state.arm(Timer::Silence, now);
        state.timers.clear(Timer::PingResponse);
        if state.ping.is_some() {
            state.prove_ping();
        }
    }
}
