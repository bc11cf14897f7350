//! What can be asked of a client. Nothing here changes it.

use core::hash::Hasher;

use super::Client;
use crate::{
    codec::{Protocol, Publish},
    event::{ConnectionState, Counters},
    session::{Handle, Slot, Subscription},
    time::Instant,
};

/// Room for requests: see [`Client::room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Requests of QoS 1 and 2, subscribes and unsubscribes.
    pub requests: usize,
    /// Bytes in the outbox.
    pub bytes: usize,
}

impl Room {
    /// Whether there is more room for requests, or for bytes, than there was at `before`.
    #[must_use]
    pub const fn has_grown_since(self, before: Self) -> bool {
        self.requests > before.requests || self.bytes > before.bytes
    }
}

impl<B, S> Client<B, S>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    /// Feeds everything that affects behaviour to `hasher`: two clients with the same digest answer the same calls with
    /// the same events and actions. The counters are left out. For model checkers.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        self.state.digest(hasher);
        self.session.digest(self.bytes.as_ref(), self.slots.as_ref(), hasher);
    }

    /// When [`poll`](Self::poll) has to be called at the latest, as [`Action::Wait`](crate::Action::Wait) says: for
    /// drivers that hold bytes or a connection attempt of an earlier action, and wait for their transport. An instant in
    /// the past: something that has to come in is overdue.
    pub fn deadline(&self) -> Instant {
        self.state.deadline()
    }

    /// The first deadline after `now`. Input may be overdue, and the driver cannot look for it yet: other deadlines, as
    /// that of a PINGREQ, do not wait for that.
    #[cfg(feature = "embedded-io-async")]
    pub(crate) fn deadline_after(&self, now: Instant) -> Instant {
        self.state.deadline_after(now)
    }

    /// Whether [`receive`](Self::receive) has an event that needs no input.
    pub fn has_event(&self) -> bool {
        self.state.has_untold() || self.session.has_untold()
    }

    /// The state of the connection.
    pub const fn state(&self) -> ConnectionState {
        self.state.connection_state()
    }

    /// The protocol version of the connection or the attempt under way; offline, that of the next attempt. With
    /// `Version::Auto` it can change with each attempt: `Version` has the rule, `Event::Up` the version of a connection.
    pub const fn protocol(&self) -> Protocol {
        self.state.protocol()
    }

    /// The time in milliseconds that the next attempt to connect may take, or the one under way. It is that of
    /// `Options::connect_timeout`, or up to eight times as long after attempts without a CONNACK. For drivers that give
    /// a time-out of their own to the transport.
    pub const fn connect_timeout(&self) -> u32 {
        self.state.connect_timeout()
    }

    /// Counts since the client was made.
    pub const fn counters(&self) -> &Counters {
        self.state.counters()
    }

    /// Whether no request waits or is unanswered, and every outcome was told.
    pub fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    /// The requests that have no answer: publishes of QoS 1 and 2, subscribes and unsubscribes.
    pub fn unanswered(&self) -> impl Iterator<Item = Handle> {
        self.session.unanswered(self.slots.as_ref())
    }

    /// Whether the outcome of the request `handle` may still come. At QoS 0 it may as long as any request is not done.
    pub fn may_be_unanswered(&self, handle: Handle) -> bool {
        if handle.packet_id().is_some() {
            self.has_event() || self.unanswered().any(|unanswered| unanswered == handle)
        } else {
            !self.is_idle()
        }
    }

    /// Requests that wait to be sent or for the broker's answer; at most the number of slots.
    pub fn in_flight(&self) -> usize {
        self.session.in_flight()
    }

    /// Bytes that requests can still take in the outbox.
    pub fn outbox_free(&self) -> usize {
        self.session.outbox_free(self.bytes.as_ref())
    }

    /// What requests can still take. If it [has grown](Room::has_grown_since) by a call of [`receive`](Self::receive) or
    /// [`transmitted`](Self::transmitted), a request that was refused for want of room may be accepted now.
    pub fn room(&self) -> Room {
        let slots = self.slots.as_ref().len();
        Room { requests: slots.saturating_sub(self.in_flight()), bytes: self.outbox_free() }
    }

    /// Whether the journal holds everything that was accepted: a power cut loses none of it. The end of a request may
    /// still be recorded later. Without a journal there is nothing to record.
    pub fn is_recorded(&self) -> bool {
        !self.session.needs_record()
    }

    /// The publishes of QoS 1 and 2 that have not ended, in the order in which they are sent. If the broker has the
    /// message already and only the end of the exchange is to come, it is `None`.
    ///
    /// After [`restore`](Self::restore) these are the publishes from before the restart, with the handles that their
    /// events will carry. The payload of a publish from a source is empty here; see [`sources`](Self::sources).
    pub fn publishes(&self) -> impl Iterator<Item = (Handle, Option<Publish<'_>>)> {
        self.session.publishes(self.bytes.as_ref(), self.slots.as_ref())
    }

    /// The subscriptions that are made again if the broker loses the session.
    pub fn subscriptions(&self) -> impl Iterator<Item = Subscription<'_>> {
        self.session.subscriptions(self.bytes.as_ref())
    }
}
