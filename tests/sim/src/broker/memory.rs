//! The knowledge that client and broker have of each other, and what follows if one of them forgets, or is told something
//! wrong.

use super::{
    Outlet, Post,
    session::{Session, is_exact},
};
use crate::{checks::Invariant, stage::Stage};

impl Session {
    /// The client has lost the news that the session is new.
    pub(super) const fn peer_missed_the_news(&mut self) {
        self.missed = true;
    }

    /// The client is told that this session is a new one, and forgets the old one.
    pub(super) fn is_taken_for_new(&mut self, stage: &mut Stage<'_>) {
        self.peer_forgot(stage);
        self.epoch = stage.ledger.next_epoch();
        self.unheard = true;
        stage.ledger.set_epoch(self.pair, self.epoch);
    }

    /// The client is told that this new session is an old one.
    pub(super) fn is_taken_for_old(&mut self, stage: &mut Stage<'_>) {
        self.was_not_told = true;
        self.stale.append(&mut self.forgotten);
        excuse_publishes(stage, self.pair.device);
    }

    /// The client asks for a clean session. One that keeps its sessions does so only if it could not remember all ids of
    /// QoS 2 messages, so it does not know any more which of the messages here it has taken.
    pub(super) fn is_ended_by_the_client(&self, stage: &mut Stage<'_>) {
        if !self.keeps {
            return;
        }
        let taken = self.outbound.iter().filter(|outbound| is_exact(&outbound.post)).count();
        let may_know_ids = taken != 0 || self.was_not_told;
        let ends = self.exists() && !stage.ledger.knows_of_an_end(self.pair);
        if self.remembers_all || ends && !may_know_ids {
            let remembers_all = self.remembers_all;
            stage.fail(Invariant::Sessions, self.pair.device, || {
                format!(
                    "a session is ended in which {taken} messages of QoS 2 are under way; the \
                     client has room for all ids: {remembers_all}"
                )
            });
        }
        if self.exists() {
            stage.ledger.ends_session(self.pair);
        }
    }

    /// The client has lost its memory.
    pub(super) fn peer_forgot(&mut self, stage: &mut Stage<'_>) {
        self.forgot = true;
        self.stale.clear();
        for outbound in self.outbound.iter().filter(|outbound| is_exact(&outbound.post)) {
            if let Some(number) = outbound.post.number {
                stage.ledger.receipt_mut(self.pair, number).counts[2].may_double += 1;
            }
        }
    }

    /// With DUP, the client cannot distinguish a new message from one that it remembers from a lost session.
    pub(super) fn may_be_swallowed(&mut self, outlet: &mut Outlet<'_, '_>, id: u16, post: &Post) {
        let remembered = self.stale.iter().position(|stale| *stale == id);
        if let (Some(at), true, Some(number)) = (remembered, is_exact(post), post.number) {
            self.stale.swap_remove(at);
            let receipt = outlet.stage.ledger.receipt_mut(self.pair, number);
            receipt.counts[2].void += 1;
        }
    }
}

/// Publishes in flight go on as if the session were still the one that they began in, so some may be missing and some
/// may come twice.
pub(super) fn excuse_publishes(stage: &mut Stage<'_>, device: usize) {
    let numbers: Vec<u32> = stage.ledger.in_flight(device).collect();
    for number in numbers {
        let message = stage.ledger.message_mut(number);
        message.may_double += 1;
        message.may_miss = true;
    }
}
