//! The wire: all 14 packets of MQTT 3.1 and 3.1.1, both directions, no state. Sections 1.5, 2 and 3 of the standard.
//!
//! A decoded packet borrows the bytes that it came in. A packet is encoded into a slice of the caller, and its length
//! is known before. Any bytes are a packet, or the beginning of one, or break a rule that the [`Violation`] names.
//! Nothing here allocates, recurses or panics.
//!
//! [`Packet`] holds any packet. A program that needs only a few of them, such as a client, calls their own `decode` and
//! `encode`, and links nothing else.
//!
//! ```
//! use mqtt_core::codec::{Decoded, Packet, Protocol, Publish};
//! use mqtt_core::topic;
//!
//! let packet = Packet::Publish(Publish::new(topic!("a/b"), b"21.5"));
//! let mut bytes = [0; 11];
//! assert_eq!(packet.encoded_len(), Ok(11));
//! assert_eq!(packet.encode(&mut bytes, Protocol::V311), Ok(11));
//!
//! assert_eq!(Packet::decode(&bytes, Protocol::V311), Ok(Decoded::Packet { packet, len: 11 }));
//! assert_eq!(Packet::decode(&bytes[..8], Protocol::V311), Ok(Decoded::NeedMore(3)));
//! ```
//!
//! The files import each other in one direction only: `error`, `types`, `first_byte`, `cursor`, `header`, `ack`, then
//! `connect`, `publish` and `subscribe`, then `packet`, then `interop`; each imports only files before it.

pub(crate) mod ack;
mod connect;
mod cursor;
mod error;
mod first_byte;
mod header;
#[cfg(feature = "mqttbytes")]
pub mod interop;
mod packet;
mod publish;
mod subscribe;
mod types;

pub use crate::topic::{Filter, Topic};
pub use connect::{ConnAck, Connect, Login, Refusal, Will};
pub use error::{EncodeError, Violation};
pub(crate) use first_byte::FirstByte;
pub use header::Header;
pub(crate) use packet::incomplete;
pub use packet::{Decoded, Packet};
pub(crate) use publish::RawHead;
pub use publish::{Publish, PublishHead};
pub use subscribe::{Granted, SubAck, Subscribe, Unsubscribe};
pub use types::{PacketId, PacketType, Protocol, QoS};

#[cfg(test)]
mod tests;
