//! A session found at the broker that this client knows nothing of.
//!
//! The device lost its state, and the broker has not: it may hold QoS 2 publishes of the former life whose PUBREL never
//! came. A publish of this life under one of their ids would be taken for a duplicate and swallowed. So before anything
//! else is sent, a PUBREL goes out for every id that requests may get; the broker answers each with a PUBCOMP
//! [MQTT-4.3.3-2], and publishes what it held, once. From then on ids do not move on: each slot keeps its own.
//!
//! What comes in meanwhile is taken as far as there is room for its answers, which wait. What finds none is passed over,
//! and the client connects again afterwards, so that the broker sends it again.
//!
//! A broker that ends the connection at such a PUBREL, or does not answer it within `Options::ping_timeout`, breaks the
//! rule; after [`ATTEMPTS`] connections without one PUBCOMP the purge is given up.

use super::{
    Machine, PINGREQ, Phase,
    receive::{ANSWER_LEN, PUBREL},
};
use crate::{error::Reason, time::Instant, timers::Timer};

/// Connections without progress.
const ATTEMPTS: u8 = 5;

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Purge {
    /// The first id whose PUBCOMP has not come; 0: there is nothing to purge.
    first: u16,
    last: u16,
    /// The id whose PUBREL is being sent, or would be next.
    sending: u16,
    /// The packet that is being sent, and what is left of it.
    packet: [u8; ANSWER_LEN],
    left: u8,
    attempts: u8,
    /// Packets were passed over.
    passed_over: bool,
}

impl Purge {
    /// The ids up to `last` may be those of a former life.
    pub(super) const fn need(&mut self, last: u16) {
        self.first = 1;
        self.last = last;
        self.attempts = 0;
    }

    /// All is released; a PINGREQ that is sent in part goes on.
    pub(super) fn end(&mut self) {
        *self = Self { packet: self.packet, left: self.left, ..Self::default() };
    }

    /// Whether what it has to send goes first.
    pub(super) const fn is_sending(&self) -> bool {
        self.is_on() || self.left != 0
    }

    /// The broker has no session.
    pub(super) fn cancel(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn is_on(&self) -> bool {
        self.first != 0
    }

    /// A connection is there.
    pub(super) fn begin(&mut self) {
        self.left = 0;
        if self.attempts == ATTEMPTS {
            self.cancel();
        }
        if self.is_on() {
            self.attempts += 1;
            self.passed_over = false;
            self.sending = self.first;
            self.load_pubrel();
        }
    }

    fn load_pubrel(&mut self) {
        if self.sending <= self.last {
            let [high, low] = self.sending.to_be_bytes();
            self.load([PUBREL, 2, high, low], ANSWER_LEN);
        }
    }

    /// The last `len` bytes of `packet` are to be sent.
    fn load(&mut self, packet: [u8; ANSWER_LEN], len: usize) {
        self.packet = packet;
        self.left = len as u8;
    }

    /// What is ready for the transport, once a connection is there.
    pub(super) fn ready(&self) -> &[u8] {
        let left = usize::from(self.left).min(ANSWER_LEN);
        self.packet.get(ANSWER_LEN - left..).unwrap_or_default()
    }

    /// A PINGREQ is due; whether it goes out: a PUBREL that is being sent is as good.
    pub(super) fn ping(&mut self) -> bool {
        let [first, second] = PINGREQ;
        let idle = self.left == 0;
        if idle {
            self.load([0, 0, first, second], PINGREQ.len());
        }
        idle
    }

    /// The transport has taken `count` bytes; whether that completed a packet.
    pub(super) fn transmitted(&mut self, count: usize) -> bool {
        self.left = self.left.saturating_sub(count.min(ANSWER_LEN) as u8);
        if self.left != 0 {
            return false;
        }
        let [first, ..] = self.packet;
        if first == PUBREL {
            self.sending = self.sending.saturating_add(1);
            self.load_pubrel();
        }
        true
    }

    /// Once one packet was passed over all are, or those behind it would come before it.
    pub(super) const fn passes_over(&self) -> bool {
        self.first != 0 && self.passed_over
    }

    /// A packet found no room.
    pub(super) const fn pass_over(&mut self) {
        self.passed_over = true;
    }
}

impl Machine {
    /// The broker has a session with which this client has nothing to do.
    pub(super) fn found(&mut self, slots: usize) {
        if self.limits.exactly_once_window != 0 {
            self.purge.need(slots as u16);
            self.requests.fix_ids(true);
            self.journal.need();
        }
    }

    /// The broker has a new session.
    pub(super) fn forget_found(&mut self) {
        self.purge.cancel();
        self.requests.fix_ids(false);
    }

    /// Something came in: the time for the next PUBCOMP starts again.
    pub(super) fn await_purge(&mut self, now: Instant) {
        if self.phase == Phase::Up && !self.purge.is_on() {
            self.expect_pong(now);
        } else if self.phase == Phase::Up {
            let patience = u64::from(self.limits.ping_timeout);
            self.timers.set(Timer::PingResponse, now.plus_millis(patience));
        }
    }

    /// A PUBCOMP came; whether it was that of a purge.
    pub(super) fn purged(&mut self) -> bool {
        let purge = &mut self.purge;
        if !purge.is_on() || purge.first >= purge.sending {
            return false;
        }
        purge.first += 1;
        purge.attempts = 0;
        if purge.first > purge.last {
            let again = purge.passed_over;
            purge.end();
            self.timers.clear(Timer::PingResponse);
            // That it is done has to be known before a QoS 2 publish is sent.
            self.journal.need();
            if core::mem::take(&mut self.leave) {
                self.begin_leaving();
            } else if again {
                self.close(Reason::PassedOver);
            }
        }
        true
    }
}
