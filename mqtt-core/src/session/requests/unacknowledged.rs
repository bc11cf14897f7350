//! Publishes of QoS 0: no answer comes for them, so they are counted instead of kept, unless they
//! can be [dropped](super::droppable).

use super::{Handle, Requests};

/// QoS 0 publishes: accepted, sent, and told to the application. If none can be dropped, they are sent in the order of
/// their numbers, and the count of told ones is the number of the last.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Tally {
    pub(super) accepted: u32,
    pub(super) sent: u32,
    pub(super) told: u32,
    /// Behind the sent ones come those that were shown when the connection ended. All are told before the next one.
    pub(super) lost: u32,
    /// The number of one whose source failed. It counts as sent until it is told.
    pub(super) failed: Option<u32>,
}

impl Requests {
    /// A QoS 0 publish was accepted.
    pub(in crate::session) const fn begin_unacknowledged(&mut self) -> Handle {
        self.unacknowledged.accepted = self.unacknowledged.accepted.wrapping_add(1);
        self.queue.number = self.queue.number.wrapping_add(1);
        Handle::new(0, self.queue.number)
    }

    /// The transport has taken a whole QoS 0 publish.
    pub(in crate::session) const fn sent_unacknowledged(&mut self) {
        self.unacknowledged.sent = self.unacknowledged.sent.wrapping_add(1);
    }

    /// The transport has taken every QoS 0 publish.
    pub(in crate::session) const fn sent_all_unacknowledged(&mut self) {
        self.unacknowledged.sent = self.unacknowledged.accepted;
    }

    /// The source of the oldest QoS 0 publish that was not sent has failed; false if another one that failed was not
    /// told yet.
    pub(in crate::session) fn fail_unacknowledged(&mut self, number: u32) -> bool {
        let free = self.unacknowledged.failed.is_none();
        if free {
            self.unacknowledged.failed = Some(number);
            self.sent_unacknowledged();
        } else {
            self.lose_unacknowledged();
        }
        free
    }

    /// The connection ended while the transport may have taken the oldest QoS 0 publish that was not sent.
    pub(in crate::session) const fn lose_unacknowledged(&mut self) {
        self.unacknowledged.lost += 1;
    }
}
