//! How requests ended, for those who wait for them.

use std::{collections::VecDeque, fmt, vec::Vec};

use crate::{codec::QoS, event::Event, session::Handle};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The broker has the message, as often as its QoS says. QoS 0: the transport has taken it.
    Published,
    /// The broker has no QoS 2 and took the message at least once.
    Downgraded,
    /// The granted QoS of each filter; `None`: refused.
    Subscribed(Vec<Option<QoS>>),
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
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Published => "published",
            Self::Downgraded => "published at least once, not exactly once",
            Self::Subscribed(granted) if granted.contains(&None) => {
                "the broker refused a subscription"
            }
            Self::Subscribed(_) => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Lost => "lost with its session",
            Self::Dropped => "dropped from a full queue",
            Self::Cancelled { sent: false } => "taken back before it was sent",
            Self::Cancelled { sent: true } => "taken back; it may have arrived",
            Self::GivenUp => "given up, because it stood in the way of all others",
        })
    }
}

impl Outcome {
    /// The request that ends with `event`, and how.
    pub(crate) fn of(event: &Event<'_>) -> Option<(Handle, Self)> {
        Some(match *event {
            Event::Published(handle) => (handle, Self::Published),
            Event::Downgraded(handle) => (handle, Self::Downgraded),
            Event::Subscribed { handle, granted } => {
                (handle, Self::Subscribed(granted.iter().collect()))
            }
            Event::Unsubscribed(handle) => (handle, Self::Unsubscribed),
            Event::Lost(handle) => (handle, Self::Lost),
            Event::Dropped(handle) => (handle, Self::Dropped),
            Event::Cancelled { handle, sent } => (handle, Self::Cancelled { sent }),
            Event::GivenUp(handle) => (handle, Self::GivenUp),
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

/// The last outcomes: who asks late still finds his.
pub(crate) struct Outcomes {
    last: VecDeque<(Handle, Outcome)>,
    most: usize,
}

impl Outcomes {
    pub(crate) const fn new(most: usize) -> Self {
        Self { last: VecDeque::new(), most }
    }

    pub(crate) fn add(&mut self, handle: Handle, outcome: Outcome) {
        if self.last.len() >= self.most {
            self.last.pop_front();
        }
        self.last.push_back((handle, outcome));
    }

    pub(crate) fn of(&self, handle: Handle) -> Option<&Outcome> {
        self.last.iter().rev().find(|(ended, _)| *ended == handle).map(|(_, outcome)| outcome)
    }
}
