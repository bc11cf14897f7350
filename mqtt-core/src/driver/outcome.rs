//! [`Outcome`]: how a request ended, for those who wait for it.

use core::fmt;

use crate::{
    codec::{Granted, QoS},
    event::Event,
    handle::Handle,
};

/// How a request ended. `G` holds what the broker granted to a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<G> {
    /// The broker has the message, as often as its QoS says. QoS 0: the transport has taken it.
    Published,
    /// The broker has no QoS 2 and took the message at least once.
    Downgraded,
    /// The granted QoS; `None`: refused.
    Subscribed(G),
    /// The subscriptions have ended.
    Unsubscribed,
    /// The session was lost, and nobody can say whether the message arrived.
    Lost,
    /// It was dropped from a full queue.
    Dropped,
    /// It was taken back.
    Cancelled {
        /// Its packet may have been sent.
        sent: bool,
    },
    /// It stood in the way of all others and was given up.
    GivenUp,
    /// The source of its payload failed.
    SourceFailed,
}

/// What a broker grants to a SUBSCRIBE.
pub trait Grant {
    /// Takes the codes of a SUBACK.
    fn of(granted: Granted<'_>) -> Self;

    /// Whether a filter was refused.
    fn has_refusal(&self) -> bool;
}

/// The lowest QoS that was granted to any of the filters; `None` if one was refused.
impl Grant for Option<QoS> {
    fn of(granted: Granted<'_>) -> Self {
        // `None` is below every QoS.
        granted.iter().min().flatten()
    }

    fn has_refusal(&self) -> bool {
        self.is_none()
    }
}

/// The QoS that was granted to each filter; `None`: refused.
#[cfg(feature = "alloc")]
impl Grant for alloc::vec::Vec<Option<QoS>> {
    fn of(granted: Granted<'_>) -> Self {
        granted.iter().collect()
    }

    fn has_refusal(&self) -> bool {
        self.contains(&None)
    }
}

impl<G: Grant> fmt::Display for Outcome<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Published => "published",
            Self::Downgraded => "published at least once, not exactly once",
            Self::Subscribed(granted) if granted.has_refusal() => {
                "the broker refused a subscription"
            }
            Self::Subscribed(_) => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Lost => "lost with its session",
            Self::Dropped => "dropped from a full queue",
            Self::Cancelled { sent: false } => "taken back before it was sent",
            Self::Cancelled { sent: true } => "taken back; it may have arrived",
            Self::GivenUp => "given up, because it stood in the way of all others",
            Self::SourceFailed => "not published, because its source failed",
        })
    }
}

impl<G: Grant> Outcome<G> {
    /// The request that ends with `event`, and how.
    pub(crate) fn of(event: &Event<'_>) -> Option<(Handle, Self)> {
        Some(match *event {
            Event::Published(handle) => (handle, Self::Published),
            Event::Downgraded(handle) => (handle, Self::Downgraded),
            Event::Subscribed { handle, granted } => (handle, Self::Subscribed(G::of(granted))),
            Event::Unsubscribed(handle) => (handle, Self::Unsubscribed),
            Event::Lost(handle) => (handle, Self::Lost),
            Event::Dropped(handle) => (handle, Self::Dropped),
            Event::Cancelled { handle, sent } => (handle, Self::Cancelled { sent }),
            Event::GivenUp(handle) => (handle, Self::GivenUp),
            Event::SourceFailed(handle) => (handle, Self::SourceFailed),
            Event::Connecting { .. }
            | Event::Up { .. }
            | Event::Down { .. }
            | Event::Message(_)
            | Event::MessageStart(_)
            | Event::MessageChunk(_)
            | Event::MessageEnd { .. }
            | Event::Skipped(_)
            | Event::Renewed { .. }
            | Event::NotReclaimed
            | Event::Stuck { .. }
            | Event::RenewalStuck { .. } => return None,
        })
    }
}
