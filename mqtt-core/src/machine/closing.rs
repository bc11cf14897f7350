//! The end of a connection, and what it means for the next one.

use super::{Core, Machine, Phase};
use crate::{
    codec::{Protocol, Refusal},
    error::{Fatal, Reason},
    time::Instant,
    timers::Timer,
};

impl Machine {
    /// The connection has to end.
    pub(super) fn fail(&mut self, fatal: Fatal) -> Fatal {
        self.close(Reason::Fatal(fatal));
        fatal
    }
    /// What was accepted is still to be sent, then the DISCONNECT.
    pub(super) fn begin_leaving(&mut self) {
        self.timers.clear_all();
        self.phase = Phase::Leaving;
        self.disconnect_sent = 0;
    }

    pub(super) fn close(&mut self, reason: Reason) {
        self.doubt_session();
        self.phase = Phase::Closing;
        self.why = reason;
        self.timers.clear_all();
    }

    /// A CONNECT that was not answered may have begun a new session.
    fn doubt_session(&mut self) {
        let asked = self.phase == Phase::Handshake && self.preamble.is_sent();
        self.doubt |= asked && self.has_session;
    }

    /// The connection is over, whoever ended it.
    fn ended(&mut self, reason: Reason, now: Instant) {
        self.doubt_session();
        if self.down.is_none() {
            self.down = Some(reason);
            self.connecting_first = self.connecting.is_some();
        } else {
            // An attempt that began and ended before the end of the one before was told leaves no trace.
            self.connecting = None;
        }
        self.timers.clear_all();
        self.stream = None;
        self.ping_sent = None;
        let delay = if reason == Reason::Requested || self.leave {
            None
        } else if reason == Reason::PassedOver || self.negotiate(reason) {
            // Nothing is wrong with the broker, or it said what is, and the other version is at hand: no reason to wait.
            self.reconnect.delay(self.failures.into()).map(|_| 0)
        } else {
            self.reconnect.delay(self.failures.into())
        };
        self.leave = false;
        self.failures = self.failures.saturating_add(1);
        match delay {
            Some(delay) => {
                self.phase = Phase::Waiting;
                self.timers.set(Timer::Reconnect, now.plus_millis(u64::from(delay)));
            }
            None => self.phase = Phase::Stopped,
        }
    }

    /// Changes the version for the next attempt where this one was refused, or the CONNECT was not answered; whether
    /// that attempt may follow at once.
    fn negotiate(&mut self, reason: Reason) -> bool {
        let refused = reason == Reason::Fatal(Fatal::Refused(Refusal::ProtocolVersion));
        self.negotiating |= refused && self.can_negotiate;
        let asked = self.phase == Phase::Handshake && self.preamble.is_sent();
        let unanswered = asked && reason == Reason::TransportClosed;
        if !self.negotiating || !(refused || unanswered) {
            return false;
        }
        // The same broker once more.
        self.endpoint_turn = self.endpoint_turn.wrapping_sub(1);
        let newer = self.protocol == Protocol::V311;
        self.protocol = if newer { Protocol::V31 } else { Protocol::V311 };
        refused && newer
    }
}

impl Core<'_> {
    /// The transport is closed, or could not be opened.
    pub(crate) fn closed(&mut self, now: Instant) {
        let machine = &mut *self.machine;
        let reason = match machine.phase {
            Phase::Stopped | Phase::Waiting => return,
            Phase::Closing => machine.why,
            Phase::Leaving => Reason::Requested,
            Phase::Opening | Phase::Handshake | Phase::Up => Reason::TransportClosed,
        };
        // First, for it decides in which version all is sent again.
        machine.ended(reason, now);
        let again =
            machine.outbox.rewind(self.bytes, self.slots, &machine.requests, machine.protocol);
        let counter = &mut machine.counters.retransmissions;
        *counter = counter.wrapping_add(again);
        machine.inbound.disown(self.slots);
        machine.subscriptions.disconnected();
    }
}
