//! An event as places in the read buffer.
//!
//! A loop that returns what it borrowed on one path and reads into the same buffer on another is more than today's
//! borrow checker follows, so [`Events`](super::Events) leaves its loop with places and borrows once, at the end.

use core::ops::Range;

use crate::{
    codec::{Granted, Protocol},
    event::{Event, Message, MessageStart},
    topic::Topic,
};

pub(super) struct Located {
    event: Event<'static>,
    /// Topic, payload, piece or codes; which, the event says.
    first: Range<usize>,
    second: Range<usize>,
}

/// Where `part` lies in `whole`.
fn place(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.saturating_add(part.len())
}

const NOWHERE: Range<usize> = 0..0;
/// Stand-ins for what is in the buffer.
const SOME_TOPIC: Topic<'static> = crate::topic!("-");
const SOME_CODES: Granted<'static> = match Granted::from_bytes(&[0], Protocol::V311) {
    Ok(codes) => codes,
    Err(_) => unreachable!(),
};

impl Located {
    pub(super) fn new(event: Event<'_>, buffer: &[u8]) -> Self {
        let (event, first, second) = match event {
            Event::Message(message) => (
                Event::Message(Message { topic: SOME_TOPIC, payload: &[], ..message }),
                place(message.topic.as_bytes(), buffer),
                place(message.payload, buffer),
            ),
            Event::MessageStart(start) => (
                Event::MessageStart(MessageStart { topic: SOME_TOPIC, ..start }),
                place(start.topic.as_bytes(), buffer),
                NOWHERE,
            ),
            Event::MessageChunk(piece) => (Event::MessageChunk(&[]), place(piece, buffer), NOWHERE),
            Event::Subscribed { handle, granted } => (
                Event::Subscribed { handle, granted: SOME_CODES },
                place(granted.as_bytes(), buffer),
                NOWHERE,
            ),
            Event::Renewed { granted } => {
                (Event::Renewed { granted: SOME_CODES }, place(granted.as_bytes(), buffer), NOWHERE)
            }
            Event::Connecting { endpoint } => (Event::Connecting { endpoint }, NOWHERE, NOWHERE),
            Event::Up { session, protocol } => (Event::Up { session, protocol }, NOWHERE, NOWHERE),
            Event::Down(reason) => (Event::Down(reason), NOWHERE, NOWHERE),
            Event::MessageEnd { delivery } => (Event::MessageEnd { delivery }, NOWHERE, NOWHERE),
            Event::Published(handle) => (Event::Published(handle), NOWHERE, NOWHERE),
            Event::Unsubscribed(handle) => (Event::Unsubscribed(handle), NOWHERE, NOWHERE),
            Event::Lost(handle) => (Event::Lost(handle), NOWHERE, NOWHERE),
            Event::Dropped(handle) => (Event::Dropped(handle), NOWHERE, NOWHERE),
        };
        Self { event, first, second }
    }

    /// The event again, borrowed from the buffer that it was located in.
    pub(super) fn resolve<'b>(self, buffer: &'b [u8]) -> Event<'b> {
        let part = |range: Range<usize>| buffer.get(range).unwrap_or_default();
        // Each was validated when it came; the fallbacks are for the compiler.
        let topic = |range| Topic::from_bytes(part(range)).unwrap_or(SOME_TOPIC);
        let codes = |range| Granted::from_bytes(part(range), Protocol::V311).unwrap_or(SOME_CODES);
        match self.event {
            Event::Message(message) => Event::Message(Message {
                topic: topic(self.first),
                payload: part(self.second),
                ..message
            }),
            Event::MessageStart(start) => {
                Event::MessageStart(MessageStart { topic: topic(self.first), ..start })
            }
            Event::MessageChunk(_) => Event::MessageChunk(part(self.first)),
            Event::Subscribed { handle, .. } => {
                Event::Subscribed { handle, granted: codes(self.first) }
            }
            Event::Renewed { .. } => Event::Renewed { granted: codes(self.first) },
            event @ (Event::Connecting { .. }
            | Event::Up { .. }
            | Event::Down(_)
            | Event::MessageEnd { .. }
            | Event::Published(_)
            | Event::Unsubscribed(_)
            | Event::Lost(_)
            | Event::Dropped(_)) => event,
        }
    }
}
