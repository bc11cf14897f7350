#![cfg_attr(feature = "std", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "std"),
    doc = "MQTT 3.1 / 3.1.1 client as a sans-IO state machine: start with [`Client`]."
)]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod client;
pub mod codec;
pub mod driver;
mod error;
mod event;
pub mod framer;
mod handle;
mod log;
mod machine;
mod options;
mod reconnect;
mod session;
#[cfg(feature = "bytes")]
mod shared;
mod source;
mod time;
mod timers;
pub mod topic;

#[cfg(feature = "alloc")]
pub use client::BoxedClient;
pub use client::{Client, Room, StaticClient};
pub use codec::{
    EncodeError, Granted, Login, PacketId, Protocol, Publish, QoS, Refusal, Violation, Will,
};
pub use error::{ConfigError, Fatal, Reason, RequestError, RestoreError, TransportFault};
pub use event::{
    Action, ConnectionState, Counters, Event, Message, MessageStart, SessionStatus, SkipCause,
    Skipped,
};
#[cfg(feature = "alloc")]
pub use event::{OwnedEvent, OwnedMessage};
pub use machine::{Oversized, Queue, Version};
pub use options::Options;
pub use reconnect::Reconnect;
pub use session::{Chunk, Delivery, Handle, Record, Slot, Subscription};
#[cfg(feature = "bytes")]
pub use shared::SharedMessage;
pub use source::{Piece, PublishFrom, SourceFault, SourceId};
pub use time::Instant;
pub use topic::{Filter, Topic, TopicError};
