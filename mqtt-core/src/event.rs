//! What a client says: [`Event`] to the application, [`Action`] to the driver, [`Handle`] and [`Delivery`] to name
//! requests and messages later.
//!
//! ```
//! use mqtt_core::{Event, QoS};
//!
//! fn show(event: Event<'_>) {
//!     match event {
//!         Event::Message(message) => println!("{}: {} bytes", message.topic, message.payload.len()),
//!         Event::Published(handle) => println!("{handle:?} arrived"),
//!         Event::Down(reason) => println!("offline: {reason}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # let _ = show;
//! ```

use crate::{
    codec::{Granted, PacketId, Protocol, QoS},
    error::Reason,
    session::Record,
    time::Instant,
    topic::Topic,
};

/// Names one accepted request until its event: packet id and generation.
///
/// A handle whose request has ended never equals that of a later one, though packet ids are reused (the generation
/// counts 2^32 requests). QoS 0 publishes have handles as well, without a packet id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "a handle is how the request's outcome is told from others; `let _ =` it where that does not matter"]
pub struct Handle {
    generation: u32,
    id: u16,
}

const _: () = assert!(size_of::<Handle>() == 8);

impl Handle {
    pub(crate) const fn new(id: u16, generation: u32) -> Self {
        Self { generation, id }
    }

    /// The packet id on the wire; `None` for a publish of QoS 0.
    #[must_use]
    pub const fn packet_id(self) -> Option<PacketId> {
        PacketId::new(self.id)
    }
}

/// Names one received message that the application acknowledges itself, see `Options::manual_acknowledge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a message that is never acknowledged stops those behind it"]
pub struct Delivery {
    sequence: u32,
    id: u16,
}

impl Delivery {
    pub(crate) const fn new(id: u16, sequence: u32) -> Self {
        Self { sequence, id }
    }

    pub(crate) const fn sequence(self) -> u32 {
        self.sequence
    }

    pub(crate) const fn id(self) -> u16 {
        self.id
    }
}

/// A message from the broker, borrowed from the driver's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Where it was published.
    pub topic: Topic<'a>,
    /// What was published; may be empty.
    pub payload: &'a [u8],
    /// The QoS of the delivery: the lower one of publisher and subscription.
    pub qos: QoS,
    /// It was retained: a state from before the subscription, not a new event.
    pub retain: bool,
    /// The broker says that it may have sent it before. QoS 2 messages are handed over once all the same.
    pub dup: bool,
    /// What to acknowledge, with `Options::manual_acknowledge` and above QoS 0.
    pub delivery: Option<Delivery>,
}

/// The head of a message whose payload follows in pieces, because its packet is longer than
/// `Options::receive_capacity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageStart<'a> {
    /// Where it was published.
    pub topic: Topic<'a>,
    /// Bytes of payload to come.
    pub payload_len: usize,
    /// As in [`Message`].
    pub qos: QoS,
    /// As in [`Message`].
    pub retain: bool,
    /// As in [`Message`].
    pub dup: bool,
}

/// What the broker knew of this client when it took the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStatus {
    /// A new session, as expected: the first connection, or a clean session.
    New,
    /// The session of the connection before goes on; what was unanswered is sent again.
    Resumed,
    /// The broker has lost the session. Subscriptions are made again; QoS 2 publishes that were under way end as
    /// [`Event::Lost`].
    Lost,
    /// The broker has a session from before this client was made: the device restarted without its state. Its
    /// subscriptions and its waiting messages come with it.
    ///
    /// Before anything else is sent, the packet ids that the broker may still hold are released, so that none of them
    /// swallows a new message.
    Found,
}

/// What came in, or came about. Messages borrow the input; everything else is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The driver was told to open a transport.
    Connecting {
        /// Which broker, counted from 0; see `Reconnect::endpoints`.
        endpoint: u8,
    },
    /// The broker accepted the connection.
    Up {
        /// What it knew of this client.
        session: SessionStatus,
        /// The version spoken.
        protocol: Protocol,
    },
    /// The connection, or the attempt at one, is over. A message begun and not ended is void.
    Down(Reason),
    /// A message.
    Message(Message<'a>),
    /// The head of a message larger than the driver's buffer.
    MessageStart(MessageStart<'a>),
    /// The next bytes of its payload.
    MessageChunk(&'a [u8]),
    /// Its payload is complete.
    MessageEnd {
        /// As in [`Message::delivery`].
        delivery: Option<Delivery>,
    },
    /// QoS 1: the broker has the message (PUBACK). QoS 2: it has it exactly once (PUBCOMP). QoS 0: it was handed to
    /// the transport.
    Published(Handle),
    /// A subscription was answered.
    Subscribed {
        /// The request.
        handle: Handle,
        /// What was granted, a code a filter; a refused filter is `None`.
        granted: Granted<'a>,
    },
    /// The filters are unsubscribed.
    Unsubscribed(Handle),
    /// The request went with its session: a QoS 2 publish of which nobody can say whether it arrived.
    Lost(Handle),
    /// QoS 0: the message gave way to another one before it was sent, as `Options::queue` has it.
    Dropped(Handle),
    /// The subscriptions that were made again, after the broker had lost the session, were answered.
    Renewed {
        /// What was granted now, in the order of `Client::subscriptions`.
        granted: Granted<'a>,
    },
}

/// What the driver has to do next, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Open a transport to the broker of this number, counted from 0; then call `connected`, or `closed` where that
    /// fails. Said once an attempt.
    Connect {
        /// Which broker; always 0 unless `Reconnect::endpoints` says otherwise.
        endpoint: u8,
    },
    /// Close the transport, then call `closed`. Said until that is done.
    Close(Reason),
    /// Append the record to the journal, and call `persisted` once it is durable. Said until that is done; nothing is
    /// transmitted before. Only with `Options::journal`.
    Persist(Record<'a>),
    /// Write some of these bytes, then call `transmitted` with how many the transport took.
    Transmit(&'a [u8]),
    /// Nothing to do until bytes come in, this instant has come, or a request is made;
    /// [`Instant::FAR_FUTURE`]: no deadline.
    Wait(Instant),
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Offline until `Client::connect` is called.
    Stopped,
    /// Offline until the next attempt.
    Waiting,
    /// The transport is being opened, or the CONNACK is awaited.
    Connecting,
    /// The broker has accepted the connection.
    Up,
    /// The connection is being ended, by a request, a broken rule or a time-out.
    Closing,
}

/// Numbers since the client was made; each wraps at 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes handed to the transport.
    pub bytes_out: u32,
    /// Bytes taken from the input.
    pub bytes_in: u32,
    /// Packets handed to the transport whole.
    pub packets_out: u32,
    /// Packets taken from the input.
    pub packets_in: u32,
    /// Packets queued again after a broken connection.
    pub retransmissions: u32,
    /// Connections that the broker accepted.
    pub connections: u32,
    /// Milliseconds between the last answered PINGREQ and its PINGRESP.
    pub ping_round_trip: Option<u32>,
}
