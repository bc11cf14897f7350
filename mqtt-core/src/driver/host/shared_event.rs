//! [`SharedEvent`]: an event that outlives the read buffer without a copy.

use bytes::Bytes;

use crate::{
    event::{Event, OwnedEvent},
    shared::SharedMessage,
};

/// An event that outlives the read buffer: see `next_shared` of both drivers' `Events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedEvent {
    /// A message. Its bytes are shared with the read buffer.
    Message(SharedMessage),
    /// Anything else.
    Other(OwnedEvent),
}

impl SharedEvent {
    /// `event`, which lies in `bytes`.
    pub(crate) fn new(event: &Event<'_>, bytes: &Bytes) -> Self {
        let shared = if let Event::Message(message) = event { message.share(bytes) } else { None };
        debug_assert!(shared.is_some(), "the message lies in the bytes that it was received from");
        shared.map_or_else(|| Self::Other(event.to_owned()), Self::Message)
    }
}
