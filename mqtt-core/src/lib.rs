//! MQTT 3.1 / 3.1.1 client as a sans-IO state machine.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod codec;
mod error;
pub mod framer;
mod time;
pub mod topic;

pub use codec::{PacketId, Protocol, QoS};
pub use error::{EncodeError, Violation};
pub use time::Instant;
pub use topic::{Filter, Topic, TopicError};
