//! The contract of `poll`: the reasons for a close, the deadline of a wait, and nothing left to do behind it.

use mqtt_core::{Action, ConnectionState, Fatal, Instant, Reason};

use super::{
    END_OF_TIME, Run,
    settings::{ANSWER_TIMEOUT, PING_TIMEOUT},
};

impl Run {
    /// Checks that the client closes for a good reason: a time-out has run out, or messages were passed over.
    pub(super) fn closes_well(&self, reason: Reason) {
        let stalled = self.unsent && self.now >= self.last_sent.saturating_add(PING_TIMEOUT);
        match reason {
            Reason::Fatal(Fatal::PingTimeout) => {
                let missed = self.link.misses_pong(self.now);
                assert!(stalled || missed, "bytes flow, and nothing is due");
            }
            Reason::Fatal(Fatal::Unanswered(handle)) => {
                assert!(self.session.sender.awaits_answer(handle), "{handle:?} was answered");
                assert!(self.now >= ANSWER_TIMEOUT);
            }
            Reason::PassedOver | Reason::Fatal(Fatal::NotReleased { .. }) => {
                assert!(self.link.is_passing_over(), "nothing was passed over");
            }
            Reason::Fatal(Fatal::Unread) => {
                let unread = self.link.is_unread(self.now) || self.link.had_pieces();
                assert!(unread, "input is taken");
            }
            Reason::Fatal(Fatal::Stalled) => assert!(stalled, "bytes flow"),
            Reason::Fatal(Fatal::ConnectTimeout) => assert!(!self.link.is_accepted()),
            Reason::Requested | Reason::TransportClosed | Reason::Fatal(_) | _ => {}
        }
    }

    /// Returns whether there is more to do at this time.
    pub(super) fn waits_well(&mut self, deadline: Instant) -> bool {
        let now = self.instant();
        let past = |at: Instant| at <= now && at != Instant::FAR_FUTURE;
        // A time-out for input is judged after the next look at the input, and not before.
        assert!(!past(deadline) || self.listens(), "a wait in the past, and no input is awaited");
        // Bytes that are ready let the driver look at the input first.
        let again = self.next();
        let more = past(deadline) && matches!(again, Action::Transmit(_));
        assert!(more || again == Action::Wait(deadline), "another answer at the same time");
        let timed = match self.client.state() {
            ConnectionState::Stopped => false,
            ConnectionState::Up => self.settings.keep_alive != 0,
            ConnectionState::Waiting
            | ConnectionState::Connecting
            | ConnectionState::Closing
            | _ => true,
        };
        if timed && self.now < END_OF_TIME {
            assert_ne!(deadline, Instant::FAR_FUTURE, "in {:?}", self.client.state());
        }
        if self.client.state() == ConnectionState::Up && self.settings.keep_alive != 0 {
            // [MQTT-3.1.2-23]
            let latest = self.last_sent.saturating_add(self.settings.keep_alive);
            assert!(deadline.as_millis() <= latest || past(deadline), "silent for too long");
        }
        let rests = self.link.refuses() || self.link.had_pieces();
        let over = self.link.reclaim.may_give_up();
        if self.client.state() == ConnectionState::Up && !rests && !over {
            let latest = self.link.reclaim.deadline().unwrap_or(u64::MAX);
            assert!(deadline.as_millis() <= latest, "a reclaim without end");
        }
        more
    }

    /// Checks that the client has nothing left to do at this time.
    pub(super) fn all_is_sent(&mut self) {
        let late = self.link.misses_pubcomp(self.now) && self.now < END_OF_TIME;
        assert!(!late || self.link.had_pieces(), "no PUBCOMP, and nothing happens");
        let sender = &self.session.sender;
        if self.link.is_reclaiming(&self.session) && !sender.may_hold() {
            assert!(!self.link.reclaim.is_hopeless(), "another attempt, and nothing happens");
            assert!(self.link.reclaim.is_sent(sender), "ids that nobody releases");
        }
        let over = self.link.has_to_end(&self.session);
        assert!(!over, "the connection has to end");
        // [MQTT-3.12.4-1]: near the end of time no deadline comes.
        let missed = self.link.misses_pong(self.now) && self.now < END_OF_TIME;
        assert!(!missed || self.link.had_pieces(), "no sign of life, and nothing happens");
        let unread = self.link.is_unread(self.now) && self.now < END_OF_TIME;
        assert!(!unread, "unread for too long, and nothing happens");
        if self.settings.renews {
            self.session.sender.has_renewed();
        }
        self.session.sender.all_are_sent(self.link.reclaim.holds_from());
        if self.session.sender.outstanding() == 0 {
            let kept = self.client.subscriptions();
            let most: usize = kept.map(|kept| kept.filter.as_bytes().len() + 8).sum();
            assert!(self.client.outbox_free() + most >= self.free, "the outbox is not empty");
        }
    }
}
