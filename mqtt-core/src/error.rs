//! Two blames, two families.
//!
//! [`RequestError`] is yours, and now: the request was not taken and nothing has changed. [`Fatal`] is the
//! connection's: it is over, the session is kept. Under `Fatal` lies [`Violation`], the rule that the peer broke,
//! which names its statement in the standard.
//!
//! ```
//! use mqtt_core::{Protocol, Violation, codec::Packet};
//!
//! // A PUBREL (type 6) whose reserved bits are 0000.
//! let violation = Packet::decode(&[0x60, 0x02, 0x00, 0x01], Protocol::V311).unwrap_err();
//! assert_eq!(violation, Violation::Flags);
//! assert_eq!(violation.statement(), "MQTT-2.2.2-2");
//! ```

use thiserror::Error;

pub(crate) use crate::codec::{EncodeError, Violation};
use crate::{codec::Refusal, topic::TopicError};

/// Why a request was not taken. Nothing has changed; the remedies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Every slot holds a request in flight, or as many are of QoS 2 as `Options::exactly_once_window` allows. Wait
    /// for an event that ends one.
    #[error("{in_flight} requests in flight, the window is full")]
    WindowFull {
        /// Requests in flight that count against the limit.
        in_flight: usize,
    },
    /// The packet does not fit beside what waits in the outbox. Let the driver drain it.
    #[error("packet of {needed} bytes, the outbox has {free} free")]
    OutboxFull {
        /// Bytes that the packet takes.
        needed: usize,
        /// Bytes that requests can take now.
        free: usize,
    },
    /// As many messages wait or are unanswered as `Options::queue_messages` allows. Wait for an event that ends one.
    #[error("{messages} messages wait, the queue is full")]
    QueueFull {
        /// Messages that wait or are unanswered.
        messages: usize,
    },
    /// The packet never fits: it, or its answer, is larger than the storage that it has to pass.
    #[error("packet of {needed} bytes, there is room for {capacity}")]
    TooLarge {
        /// Bytes that the packet, or its answer, takes.
        needed: usize,
        /// Bytes that there are for it at the most.
        capacity: usize,
    },
    /// The packet has no form on the wire.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// A topic name or filter is not one.
    #[error("{0}")]
    Topic(#[from] TopicError),
    /// The SUBACK would be longer than `Options::receive_capacity`: that of this request, or that of a renewal, which
    /// names all subscriptions kept. Raise the capacity, or switch `Options::renew_subscriptions` off.
    #[error("a SUBACK of {needed} bytes, the receive capacity is {capacity}")]
    TooManySubscriptions {
        /// Bytes of the SUBACK.
        needed: usize,
        /// `Options::receive_capacity`.
        capacity: usize,
    },
    /// The message is acknowledged already, or its connection is gone: it will come again.
    #[error("the message is not, or no longer, to be acknowledged")]
    StaleDelivery,
}

/// Why `Client::new` did not make a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The CONNECT cannot be encoded from these options.
    #[error("options: {0}")]
    Connect(EncodeError),
    /// The outbox does not hold the CONNECT and its smallest reserve.
    #[error("the outbox has {capacity} bytes, at least {needed} are needed")]
    OutboxTooSmall {
        /// Bytes that the outbox needs to have at least.
        needed: usize,
        /// Bytes that it has.
        capacity: usize,
    },
    /// There is no slot, or there are more than there are packet ids for requests.
    #[error("{count} slots, from 1 to {most} are possible")]
    Window {
        /// Slots given.
        count: usize,
        /// Slots that are possible.
        most: usize,
    },
    /// `Options::receive_capacity` is less than the 16 bytes that the fixed packets take.
    #[error("receive capacity of {capacity} bytes, at least 16 are needed")]
    ReceiveCapacity {
        /// The capacity given.
        capacity: usize,
    },
}

/// Why a record was not restored. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The record is cut short or damaged. Power that failed while it was written leaves that, of the last one only.
    #[error("the record is cut short or damaged")]
    Torn,
    /// A later version of this library wrote the record.
    #[error("record of version {found}, this library knows version 1")]
    Version {
        /// The version of the record.
        found: u8,
    },
    /// The record is whole, and yet not one that this library writes.
    #[error("the record is whole, but no record of a session")]
    Malformed,
    /// The outbox is smaller than what it held when the record was written.
    #[error("the session needs an outbox of {needed} bytes, there are {capacity}")]
    OutboxTooSmall {
        /// Bytes that the outbox needs to have.
        needed: usize,
        /// Bytes that it has.
        capacity: usize,
    },
    /// There are fewer slots than the session had in use.
    #[error("the session needs {needed} slots, there are {slots}")]
    Window {
        /// Slots in use.
        needed: usize,
        /// Slots given.
        slots: usize,
    },
    /// The SUBACK of a renewal would be longer than `Options::receive_capacity`.
    #[error("a SUBACK of {needed} bytes, the receive capacity is {capacity}")]
    TooManySubscriptions {
        /// Bytes of the SUBACK.
        needed: usize,
        /// `Options::receive_capacity`.
        capacity: usize,
    },
    /// The client has been asked to connect, or to send: what is restored has to be there first.
    #[error("the client is in use already")]
    InUse,
    /// `Options::journal` is off: what is restored would not be kept up to date.
    #[error("the client keeps no journal")]
    NoJournal,
}

/// Why a connection is over, by the broker's doing or its silence. The session is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Fatal {
    /// The broker broke a rule of the protocol [MQTT-4.8.0-1].
    #[error("{0} [{statement}]", statement = .0.statement())]
    Violation(#[from] Violation),
    /// The broker refused the connection.
    #[error("connection refused: {0}")]
    Refused(#[from] Refusal),
    /// No CONNACK within `Options::connect_timeout`.
    #[error("no CONNACK in time")]
    ConnectTimeout,
    /// No PINGRESP within `Options::ping_timeout` [MQTT-3.12.4-1], or as long no PUBCOMP to the PUBRELs with which a session
    /// that was [found](crate::SessionStatus::Found) begins.
    #[error("no PINGRESP in time")]
    PingTimeout,
    /// The transport took no bytes for `Options::ping_timeout` after the keep alive had run out.
    #[error("the transport takes no bytes")]
    Stalled,
    /// A packet above `Options::max_packet`, or one that is no PUBLISH above `Options::receive_capacity`.
    #[error("packet of {len} bytes, the limit is {limit}")]
    PacketTooLarge {
        /// Bytes of the packet.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// More QoS 2 messages under way than there are slots to remember their ids. Nothing was acknowledged that was
    /// not taken: the broker sends it again on the next connection.
    #[error("{slots} QoS 2 messages under way, no slot for another")]
    InboundFull {
        /// Slots that there are.
        slots: usize,
    },
}

/// Why the client is offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Reason {
    /// `Client::disconnect` was called.
    #[error("disconnected on request")]
    Requested,
    /// The transport closed, or could not be opened.
    #[error("the transport closed")]
    TransportClosed,
    /// The session was found at the broker and is the client's now; messages that found no room meanwhile were passed
    /// over, and come again on the next connection.
    #[error("messages were passed over")]
    PassedOver,
    /// The client closed it.
    #[error("{0}")]
    Fatal(#[from] Fatal),
}
