//! Work that is done early because the device is awake anyway: `Client::awake`.
//!
//! Early: a PINGREQ, and a record that may wait. Never early: a time-out that ends a connection, an attempt to connect
//! (the back-off protects the broker), the time after which a connection counts as stable, the return to the first
//! broker. A time-out for an answer starts with its packet and runs in full. Nothing gets later: a deadline moves only if
//! the PINGREQ is in the outbox, so the promise of [MQTT-3.1.2-23] holds as without slack.
//!
//! All of this is one call that nothing else uses, so a client without it does not link the code, and keeps no number for
//! it.

use super::{Machine, connection::Phase};
use crate::{
    time::Instant,
    timers::{Timer, Timers},
};

impl Machine<'_> {
    /// The device is awake, and would wake up again within `slack` milliseconds for something that can be done now.
    pub(crate) fn awake(&mut self, slack: u32, now: Instant) {
        let until = now.plus_millis(slack.into());
        if let Phase::Up(_) = self.state.phase {
            self.ping_early(until, now);
        }
        self.record_early(slack, until);
    }

    /// Sends the PINGREQ that is due by `until`, unless another packet does its work.
    fn ping_early(&mut self, until: Instant, now: Instant) {
        if self.has_judged_ping() {
            return;
        }
        let timers = &self.state.timers;
        let is_due = |timer| timers.has_passed(Timers::set_of(&[timer]), until);
        // Bytes that wait to be sent are no silence, and a request will be answered.
        let keep_alive = is_due(Timer::KeepAlive) && !self.is_ready();
        let silence = is_due(Timer::Silence) && !self.expects_answer();
        if keep_alive || silence {
            self.probe(now);
            if self.has_judged_ping() {
                // As when it is due.
                self.state.await_transport(now);
            }
        }
    }

    /// Whether a PINGREQ waits to be sent, or no bytes have followed it.
    fn has_judged_ping(&self) -> bool {
        self.state.ping.is_some_and(|ping| ping.judged.is_some())
    }

    /// Whether a request is unanswered, or waits to be sent.
    fn expects_answer(&self) -> bool {
        self.session.awaits_answer() || self.session.parts().0.in_flight() != 0
    }

    /// Asks for the record that is due by `until`, `slack` milliseconds from now.
    fn record_early(&mut self, slack: u32, until: Instant) {
        if !self.session.has_changes() || self.session.recorder_due().is_some() {
            return;
        }
        let timers = &mut self.state.timers;
        let due = if timers.is_set(Timer::Record) {
            timers.has_passed(Timers::set_of(&[Timer::Record]), until)
        } else {
            // No poll has started its time yet.
            self.state.settings.record_delay <= slack
        };
        if due {
            timers.clear(Timer::Record);
            self.session.need_record();
        }
    }
}
