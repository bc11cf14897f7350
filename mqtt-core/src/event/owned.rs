//! Events that own their bytes, for queues and other threads: feature `alloc`.

use alloc::{string::String, vec::Vec};

use super::{Event, Message, MessageStart, SessionStatus, SkipCause, Skipped};
use crate::{
    codec::{Granted, PacketId, Protocol, QoS},
    error::Reason,
    session::{Delivery, Handle},
    topic::Topic,
};

/// A [`Message`] with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedMessage {
    /// Its topic.
    pub topic: String,
    /// Its payload; may be empty.
    pub payload: Vec<u8>,
    /// As in [`Message`].
    pub qos: QoS,
    /// As in [`Message`].
    pub retain: bool,
    /// As in [`Message`].
    pub dup: bool,
    /// As in [`Message`].
    pub delivery: Option<Delivery>,
}

impl OwnedMessage {
    /// The topic as the type that the rest of the crate takes.
    #[must_use]
    pub fn topic(&self) -> Topic<'_> {
        let topic = Topic::new(&self.topic);
        debug_assert!(topic.is_ok(), "the topic was checked when it was received");
        topic.unwrap_or(crate::topic!("-"))
    }
}

impl Message<'_> {
    /// The message with its bytes.
    #[must_use]
    pub fn to_owned(&self) -> OwnedMessage {
        OwnedMessage {
            topic: self.topic.as_str().into(),
            payload: self.payload.into(),
            qos: self.qos,
            retain: self.retain,
            dup: self.dup,
            delivery: self.delivery,
        }
    }
}

/// An [`Event`] with its bytes. The variants are those of [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant and field is described at `Event`")]
pub enum OwnedEvent {
    Connecting {
        endpoint: u8,
    },
    Up {
        endpoint: u8,
        session: SessionStatus,
        protocol: Protocol,
    },
    Down {
        endpoint: u8,
        reason: Reason,
    },
    Message(OwnedMessage),
    MessageStart {
        topic: String,
        payload_len: usize,
        qos: QoS,
        retain: bool,
        dup: bool,
        id: Option<PacketId>,
    },
    MessageChunk(Vec<u8>),
    MessageEnd {
        delivery: Option<Delivery>,
    },
    Skipped {
        topic: Vec<u8>,
        len: usize,
        qos: QoS,
        retain: bool,
        dup: bool,
        id: Option<PacketId>,
        cause: SkipCause,
    },
    Published(Handle),
    Subscribed {
        handle: Handle,
        granted: Vec<Option<QoS>>,
    },
    Unsubscribed(Handle),
    Downgraded(Handle),
    Lost(Handle),
    Cancelled {
        handle: Handle,
        sent: bool,
    },
    GivenUp(Handle),
    SourceFailed(Handle),
    NotReclaimed,
    Dropped(Handle),
    Renewed {
        first: usize,
        granted: Vec<Option<QoS>>,
    },
    Stuck {
        handle: Handle,
        connections: u16,
    },
    RenewalStuck {
        first: usize,
        count: usize,
        connections: u16,
    },
}

impl Event<'_> {
    /// The event with its bytes.
    #[must_use]
    pub fn to_owned(&self) -> OwnedEvent {
        let codes = |granted: Granted<'_>| granted.iter().collect();
        match *self {
            Self::Connecting { endpoint } => OwnedEvent::Connecting { endpoint },
            Self::Up { endpoint, session, protocol } => {
                OwnedEvent::Up { endpoint, session, protocol }
            }
            Self::Down { endpoint, reason } => OwnedEvent::Down { endpoint, reason },
            Self::Message(message) => OwnedEvent::Message(message.to_owned()),
            Self::MessageStart(MessageStart { topic, payload_len, qos, retain, dup, id }) => {
                let topic = topic.as_str().into();
                OwnedEvent::MessageStart { topic, payload_len, qos, retain, dup, id }
            }
            Self::MessageChunk(chunk) => OwnedEvent::MessageChunk(chunk.into()),
            Self::MessageEnd { delivery } => OwnedEvent::MessageEnd { delivery },
            Self::Skipped(Skipped { topic, len, qos, retain, dup, id, cause }) => {
                OwnedEvent::Skipped { topic: topic.into(), len, qos, retain, dup, id, cause }
            }
            Self::Published(handle) => OwnedEvent::Published(handle),
            Self::Subscribed { handle, granted } => {
                OwnedEvent::Subscribed { handle, granted: codes(granted) }
            }
            Self::Unsubscribed(handle) => OwnedEvent::Unsubscribed(handle),
            Self::Downgraded(handle) => OwnedEvent::Downgraded(handle),
            Self::Lost(handle) => OwnedEvent::Lost(handle),
            Self::Cancelled { handle, sent } => OwnedEvent::Cancelled { handle, sent },
            Self::GivenUp(handle) => OwnedEvent::GivenUp(handle),
            Self::SourceFailed(handle) => OwnedEvent::SourceFailed(handle),
            Self::NotReclaimed => OwnedEvent::NotReclaimed,
            Self::Dropped(handle) => OwnedEvent::Dropped(handle),
            Self::Renewed { first, granted } => {
                OwnedEvent::Renewed { first, granted: codes(granted) }
            }
            Self::Stuck { handle, connections } => OwnedEvent::Stuck { handle, connections },
            Self::RenewalStuck { first, count, connections } => {
                OwnedEvent::RenewalStuck { first, count, connections }
            }
        }
    }
}
