//! An event that holds ranges of the read buffer instead of references to it.
//!
//! The loop of [`Events`](super::Events) returns a borrowed event on one path and reads into the same buffer on
//! another. The borrow checker does not accept that, so the loop returns ranges, and the buffer is borrowed once, at
//! the end.

use core::ops::Range;

use crate::{
    codec::Granted,
    event::{Event, Message, MessageStart, Skipped},
    topic::Topic,
};

/// An event and the ranges of the buffer that it was borrowed from.
pub(crate) struct EventRange {
    /// The event with placeholders for everything that lies in the buffer.
    event: Event<'static>,
    /// The range of the topic, the piece or the codes.
    first: Range<usize>,
    /// The range of the payload of a whole message.
    second: Range<usize>,
}

/// The range of `part`, a part of `whole`. An empty part may lie anywhere.
fn range_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return NOWHERE;
    }
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    let end = start.saturating_add(part.len());
    debug_assert!(end <= whole.len(), "an event lies in the input that it was received from");
    start..end
}

const NOWHERE: Range<usize> = 0..0;
/// Placeholders.
const SOME_TOPIC: Topic<'static> = crate::topic!("-");
const SOME_CODES: Granted<'static> = match Granted::from_bytes(&[0]) {
    Ok(codes) => codes,
    Err(_) => unreachable!(),
};

impl EventRange {
    pub(crate) fn new(event: Event<'_>, buffer: &[u8]) -> Self {
        let (event, first, second) = match event {
            Event::Message(message) => (
                Event::Message(Message { topic: SOME_TOPIC, payload: &[], ..message }),
                range_of(message.topic.as_bytes(), buffer),
                range_of(message.payload, buffer),
            ),
            Event::MessageStart(start) => (
                Event::MessageStart(MessageStart { topic: SOME_TOPIC, ..start }),
                range_of(start.topic.as_bytes(), buffer),
                NOWHERE,
            ),
            Event::Skipped(skipped) => (
                Event::Skipped(Skipped { topic: &[], ..skipped }),
                range_of(skipped.topic, buffer),
                NOWHERE,
            ),
            Event::MessageChunk(piece) => {
                (Event::MessageChunk(&[]), range_of(piece, buffer), NOWHERE)
            }
            Event::Subscribed { handle, granted } => (
                Event::Subscribed { handle, granted: SOME_CODES },
                range_of(granted.as_bytes(), buffer),
                NOWHERE,
            ),
            Event::Renewed { first, granted } => (
                Event::Renewed { first, granted: SOME_CODES },
                range_of(granted.as_bytes(), buffer),
                NOWHERE,
            ),
            Event::Connecting { endpoint } => (Event::Connecting { endpoint }, NOWHERE, NOWHERE),
            Event::Up { endpoint, session, protocol } => {
                (Event::Up { endpoint, session, protocol }, NOWHERE, NOWHERE)
            }
            Event::Down { endpoint, reason } => {
                (Event::Down { endpoint, reason }, NOWHERE, NOWHERE)
            }
            Event::MessageEnd { delivery } => (Event::MessageEnd { delivery }, NOWHERE, NOWHERE),
            Event::Published(handle) => (Event::Published(handle), NOWHERE, NOWHERE),
            Event::Unsubscribed(handle) => (Event::Unsubscribed(handle), NOWHERE, NOWHERE),
            Event::Downgraded(handle) => (Event::Downgraded(handle), NOWHERE, NOWHERE),
            Event::Lost(handle) => (Event::Lost(handle), NOWHERE, NOWHERE),
            Event::Dropped(handle) => (Event::Dropped(handle), NOWHERE, NOWHERE),
            Event::Cancelled { handle, sent } => {
                (Event::Cancelled { handle, sent }, NOWHERE, NOWHERE)
            }
            Event::GivenUp(handle) => (Event::GivenUp(handle), NOWHERE, NOWHERE),
            Event::SourceFailed(handle) => (Event::SourceFailed(handle), NOWHERE, NOWHERE),
            Event::NotReclaimed => (Event::NotReclaimed, NOWHERE, NOWHERE),
            Event::Stuck { handle, connections } => {
                (Event::Stuck { handle, connections }, NOWHERE, NOWHERE)
            }
            Event::RenewalStuck { first, count, connections } => {
                (Event::RenewalStuck { first, count, connections }, NOWHERE, NOWHERE)
            }
        };
        Self { event, first, second }
    }

    /// Whether it is a whole message.
    #[cfg(feature = "bytes")]
    pub(crate) const fn is_message(&self) -> bool {
        matches!(self.event, Event::Message(_))
    }

    /// The event again, borrowed from the buffer that it came from, whose content has not changed.
    pub(crate) fn resolve<'b>(self, buffer: &'b [u8]) -> Event<'b> {
        let part = |range: Range<usize>| {
            debug_assert!(range.end <= buffer.len(), "the buffer still holds the event");
            buffer.get(range).unwrap_or_default()
        };
        // They were checked when they were received, so the fallbacks are never used.
        let topic = |range| {
            let topic = Topic::from_bytes(part(range));
            debug_assert!(topic.is_ok(), "the topic was checked when it was received");
            topic.unwrap_or(SOME_TOPIC)
        };
        let codes = |range| {
            let codes = Granted::from_bytes(part(range));
            debug_assert!(codes.is_ok(), "the codes were checked when they were received");
            codes.unwrap_or(SOME_CODES)
        };
        match self.event {
            Event::Message(message) => Event::Message(Message {
                topic: topic(self.first),
                payload: part(self.second),
                ..message
            }),
            Event::MessageStart(start) => {
                Event::MessageStart(MessageStart { topic: topic(self.first), ..start })
            }
            Event::Skipped(skipped) => {
                Event::Skipped(Skipped { topic: part(self.first), ..skipped })
            }
            Event::MessageChunk(_) => Event::MessageChunk(part(self.first)),
            Event::Subscribed { handle, .. } => {
                Event::Subscribed { handle, granted: codes(self.first) }
            }
            Event::Renewed { first, .. } => Event::Renewed { first, granted: codes(self.first) },
            event @ (Event::Connecting { .. }
            | Event::Up { .. }
            | Event::Down { .. }
            | Event::MessageEnd { .. }
            | Event::Published(_)
            | Event::Unsubscribed(_)
            | Event::Downgraded(_)
            | Event::Lost(_)
            | Event::Dropped(_)
            | Event::Cancelled { .. }
            | Event::GivenUp(_)
            | Event::SourceFailed(_)
            | Event::NotReclaimed
            | Event::Stuck { .. }
            | Event::RenewalStuck { .. }) => event,
        }
    }
}
