//! The broker's answers to requests: PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK.
//!
//! Brokers repeat answers, or answer a request that has ended. By default such an answer is ignored and counted; with
//! `Options::strict` it ends the connection [MQTT-4.8.0-1].

use super::{Machine, Taken, connection::Phase};
use crate::{
    codec::{Granted, PacketId, Protocol},
    event::Event,
    session::{Done, NoAnswer, Reclaimed, Strictness, SubAckFor, qos::Answer},
    time::Instant,
    timers::Timer,
};

impl Machine<'_> {
    /// PUBACK and PUBREC; PUBCOMP, if it does not answer a PUBREL that reclaims an id.
    pub(super) fn acknowledged<'i>(&mut self, answer: Answer, id: PacketId) -> Taken<'i> {
        // A 3.1 broker may get, and answer, a retry that crossed the first answer.
        let v31 = self.state.protocol == Protocol::V31;
        let strictness = if v31 { Strictness::Lenient } else { self.strictness() };
        match self.session.acknowledged(answer, id, strictness) {
            Ok(done) => {
                self.count_answer();
                Ok(done.map(|done| match done {
                    Done::Published(handle) => Event::Published(handle),
                    Done::Downgraded(handle) => Event::Downgraded(handle),
                }))
            }
            Err(why) => self.no_answer_to_a_request(why),
        }
    }

    /// PUBCOMP.
    pub(super) fn completed<'i>(&mut self, id: PacketId, now: Instant) -> Taken<'i> {
        match self.session.reclaimed(id) {
            Reclaimed::No => return self.acknowledged(Answer::PubComp, id),
            Reclaimed::NotYet => return self.refuse(),
            // The time for the next one starts again.
            Reclaimed::One => {
                self.state.timers.clear(Timer::Reclaim);
                self.expect_pubcomp(now);
            }
            Reclaimed::Last => self.state.timers.clear(Timer::Reclaim),
            Reclaimed::Late => {}
        }
        Ok(None)
    }

    /// Packets were sent: starts the time for the PUBCOMPs of reclaimed ids if their PUBRELs are out, unless it runs.
    pub(super) fn expect_pubcomp(&mut self, now: Instant) {
        if self.session.reclaim_awaits_only_answers() && !self.state.timers.is_set(Timer::Reclaim) {
            self.state.timers.set(Timer::Reclaim, self.state.patience(now));
        }
    }

    /// The broker does not answer the PUBRELs of reclaimed ids. Some brokers read nothing behind them, so it is asked.
    #[cold]
    pub(super) fn reclaim_timed_out(&mut self, now: Instant) {
        self.session.give_up_reclaim();
        self.probe(now);
        self.leave_once_reclaimed();
    }

    /// The application wants to leave, and no publish waits for packet ids any more.
    #[cold]
    pub(super) fn leave_once_reclaimed(&mut self) {
        let Phase::Up(intent) = self.state.phase else { return };
        if let Some(goal) = intent.goal().filter(|_| !self.session.is_reclaiming()) {
            self.state.begin_leaving(goal);
        }
    }

    /// SUBACK.
    pub(super) fn subscribed<'i>(&mut self, id: PacketId, granted: Granted<'i>) -> Taken<'i> {
        let strictness = self.strictness();
        match self.session.subscribed(id, granted, strictness) {
            Ok(done) => {
                self.count_answer();
                Ok(Some(match done {
                    SubAckFor::Renewal { first } => Event::Renewed { first, granted },
                    SubAckFor::Request(handle) => Event::Subscribed { handle, granted },
                }))
            }
            Err(why) => self.no_answer_to_a_request(why),
        }
    }

    /// UNSUBACK.
    pub(super) fn unsubscribed<'i>(&mut self, id: PacketId) -> Taken<'i> {
        let strictness = self.strictness();
        match self.session.unsubscribed(id, strictness) {
            Ok(handle) => {
                self.count_answer();
                Ok(Some(Event::Unsubscribed(handle)))
            }
            Err(why) => self.no_answer_to_a_request(why),
        }
    }

    const fn count_answer(&mut self) {
        self.state.counters.answers = self.state.counters.answers.wrapping_add(1);
    }

    const fn strictness(&self) -> Strictness {
        if self.state.settings.strict { Strictness::Strict } else { Strictness::Lenient }
    }

    /// An answer that ends no request.
    #[cold]
    fn no_answer_to_a_request<'i>(&mut self, why: NoAnswer) -> Taken<'i> {
        match why {
            NoAnswer::Violation(violation) => Err(violation.into()),
            NoAnswer::Unexpected => {
                let count = &mut self.state.counters.unexpected_acks;
                *count = count.wrapping_add(1);
                Ok(None)
            }
            NoAnswer::Late => Ok(None),
            NoAnswer::NotYet => self.refuse(),
        }
    }
}
