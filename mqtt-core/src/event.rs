//! The client's side of the conversation: [`Event`] for the application, [`Action`] for the driver.
//!
//! ```
//! use mqtt_core::{Event, QoS};
//!
//! fn show(event: Event<'_>) {
//!     match event {
//!         Event::Message(message) => println!("{}: {} bytes", message.topic, message.payload.len()),
//!         Event::Published(handle) => println!("{handle:?} arrived"),
//!         Event::Down { reason, .. } => println!("offline: {reason}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # let _ = show;
//! ```

#[cfg(feature = "alloc")]
mod owned;

#[cfg(feature = "alloc")]
pub use owned::{OwnedEvent, OwnedMessage};

use core::fmt;

use crate::{
    codec::{Granted, PacketId, Protocol, QoS, Violation},
    error::Reason,
    session::{Delivery, Handle, Record},
    source::Piece,
    time::Instant,
    topic::Topic,
};

/// A message from the broker, borrowed from the driver's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Its topic.
    pub topic: Topic<'a>,
    /// Its payload; may be empty.
    pub payload: &'a [u8],
    /// The QoS of the delivery: the lower one of the publisher's and the subscription's.
    pub qos: QoS,
    /// It was retained: it was published before the subscription and is not new.
    pub retain: bool,
    /// The broker may have sent it before. A QoS 2 message is handed over once nevertheless.
    pub dup: bool,
    /// The argument for `Client::acknowledge`, with `Options::manual_acknowledge` and above QoS 0.
    pub delivery: Option<Delivery>,
}

/// The head of a message whose packet is longer than `Options::receive_capacity`. Its payload follows in pieces:
/// [`Event::MessageChunk`]s with `payload_len` bytes together, then [`Event::MessageEnd`]. No other message comes
/// between them.
///
/// The message is acknowledged after its end, so not before the application has taken its last chunk. If
/// [`Event::Down`] comes before the end, the message is void: drop what was stored of it. Each start is the beginning of
/// a payload, never the continuation of one that broke off. At QoS 1 and 2 the broker sends the whole message again if
/// it keeps the session, usually as the first one on the next connection, with `dup` and the same `id`. With a clean
/// session, or at QoS 0, it does not come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageStart<'a> {
    /// Its topic.
    pub topic: Topic<'a>,
    /// Bytes of payload to come.
    pub payload_len: usize,
    /// As in [`Message`].
    pub qos: QoS,
    /// As in [`Message`].
    pub retain: bool,
    /// As in [`Message`]. At QoS 2 a message that was taken to its end is not handed over again. At QoS 1 it may be.
    pub dup: bool,
    /// Its packet id, if it has one. The broker uses it for other messages once this one has ended.
    pub id: Option<PacketId>,
}

/// A message that was not handed over, borrowed from the driver's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped<'a> {
    /// The bytes of its topic; only the beginning if the driver's buffer cannot hold the topic. They are not checked.
    pub topic: &'a [u8],
    /// Bytes of the whole packet.
    pub len: usize,
    /// As in [`Message`].
    pub qos: QoS,
    /// As in [`Message`].
    pub retain: bool,
    /// As in [`Message`].
    pub dup: bool,
    /// Its packet id. `None` at QoS 0, or if the driver's buffer cannot hold the topic. In the second case a repetition
    /// of a QoS 2 message cannot be recognised in time, so it is told again.
    pub id: Option<PacketId>,
    /// Why it was not handed over.
    pub cause: SkipCause,
}

/// Why a message was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipCause {
    /// The packet is longer than `Options::max_packet`, or its topic is longer than the driver's buffer.
    TooLarge,
    /// The topic breaks this rule. The next `receive` gives it as an error, unless `Options::skip_unreadable` is on.
    Unreadable(Violation),
    /// No slot is left to remember the packet id of a QoS 2 message, and it would not come again: the session is clean,
    /// or the broker keeps none.
    NoSlot,
}

/// The session that this broker had for this client when it accepted the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStatus {
    /// A new session, as expected: the first connection to this broker, or a clean session.
    New,
    /// The session that the client has at this broker goes on. If the last connection was to the same broker,
    /// unanswered packets are sent again; otherwise see `Options::cluster`.
    Resumed,
    /// The broker has lost the session. Subscriptions are made again; QoS 2 publishes that were in flight end as
    /// [`Event::Lost`].
    Lost,
    /// The broker has a session that this client did not open: the device restarted without its state, or the broker
    /// kept a session though a clean one was asked for. The session's subscriptions and waiting messages come with it.
    ///
    /// The broker may still hold packet ids of its publishes. The client reclaims them before it sends its first
    /// publish of QoS 2, so the broker does not mistake a new message for an old one. If that takes long, the
    /// application hears of it by [`Event::NotReclaimed`].
    Found,
}

/// Something that came in or happened. Messages borrow the input; everything else is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The driver was told to open a transport. If the driver puts that off, the event is not repeated.
    Connecting {
        /// Which broker, counted from 0; see `Reconnect::endpoints`.
        endpoint: u8,
    },
    /// The broker accepted the connection.
    Up {
        /// The broker, counted from 0; see `Reconnect::endpoints`.
        endpoint: u8,
        /// The session that it had for this client.
        session: SessionStatus,
        /// The version spoken.
        protocol: Protocol,
    },
    /// The connection, or the attempt to connect, is over. A message that was begun and not ended is void: see
    /// [`MessageStart`].
    Down {
        /// The broker, counted from 0. If no attempt was made yet, it is 0.
        endpoint: u8,
        /// Why.
        reason: Reason,
    },
    /// A message.
    Message(Message<'a>),
    /// The head of a message larger than the driver's buffer.
    MessageStart(MessageStart<'a>),
    /// The next bytes of its payload; at least one, and never more than were announced.
    MessageChunk(&'a [u8]),
    /// Its payload is complete. Only now is the message acknowledged.
    MessageEnd {
        /// As in [`Message::delivery`].
        delivery: Option<Delivery>,
    },
    /// A message was not handed over. At its end it is acknowledged, so the broker does not send it again
    /// [MQTT-4.5.0-2]; see [`SkipCause::Unreadable`] for the exception.
    Skipped(Skipped<'a>),
    /// QoS 1: the broker has the message (PUBACK). QoS 2: it has it exactly once (PUBCOMP). QoS 0: the transport has
    /// taken it.
    Published(Handle),
    /// A subscription was answered.
    Subscribed {
        /// The request.
        handle: Handle,
        /// The granted QoS of each filter; `None` for a refused one.
        granted: Granted<'a>,
    },
    /// The filters are unsubscribed.
    Unsubscribed(Handle),
    /// The broker answered a publish of QoS 2 with PUBACK: it has no QoS 2. It has the message at least once.
    Downgraded(Handle),
    /// Nobody can say whether the message arrived. QoS 2: the broker lost the session, and with it the publish that was
    /// in flight, or another broker accepted the next connection (`Options::cluster`). QoS 0: the connection ended while
    /// the transport was taking it.
    Lost(Handle),
    /// The request was taken back with `Client::cancel`.
    Cancelled {
        /// The request.
        handle: Handle,
        /// Its packet was shown to the driver, on this connection or an earlier one: the message may have arrived, the
        /// filters may be subscribed or unsubscribed.
        sent: bool,
    },
    /// The client gave the request up, because it stood in the way of all others: see `Options::give_up_stuck`. It may
    /// have arrived.
    GivenUp(Handle),
    /// The source of this publish failed before the whole message was sent, see `Client::source_failed`. The broker
    /// does not have it from this attempt. If an earlier connection ended while its last bytes were under way, it may
    /// have arrived then.
    SourceFailed(Handle),
    /// The broker does not let the client reclaim packet ids of a session that was [found](SessionStatus::Found) or left
    /// behind: it did not answer a PUBREL within `Options::ping_timeout`, or closed three connections at it. The
    /// publishes of QoS 2 that waited for it are sent now.
    ///
    /// A broker has to answer [MQTT-4.3.3-2]. If it did not take these PUBRELs and holds one of the ids, it takes a new
    /// message under it for a repetition and drops it; the event for this message is `Published` nevertheless.
    NotReclaimed,
    /// QoS 0: the message was dropped from the full queue before it was sent, see `Options::queue`.
    Dropped(Handle),
    /// The broker had lost the session. Some of its subscriptions were made again, and this is the answer. A renewal of
    /// more than `Options::filters_per_subscribe` has several answers.
    Renewed {
        /// The position of the first of them in `Client::subscriptions`.
        first: usize,
        /// The QoS granted now, in the order of `Client::subscriptions`. It has a code for each filter that was asked
        /// for, also for those that `Client::forget_subscriptions` has taken out since then.
        granted: Granted<'a>,
    },
    /// A request stands in the way: this many connections in a row ended with it as the first unanswered one. The
    /// broker may close at this packet, or never answer it. `Client::cancel` takes it back, also after a PUBREC. Until
    /// then it is sent alone on each connection, and the event comes again: see `Options::stuck_after`.
    Stuck {
        /// The request.
        handle: Handle,
        /// Connections that ended so.
        connections: u16,
    },
    /// As [`Stuck`](Self::Stuck), for a renewal of subscriptions. `Client::forget_subscriptions` takes it away.
    RenewalStuck {
        /// The position of the first subscription in `Client::subscriptions`.
        first: usize,
        /// How many subscriptions the packet asked for.
        count: usize,
        /// Connections that ended so.
        connections: u16,
    },
}

/// The driver's next task, most urgent first. Its `Debug` text has no bytes, for they may hold the password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Open a transport to the broker of this number, counted from 0. Then call `connected`, or `closed` if that fails,
    /// or `defer_connect` if it has to wait. `poll` says it once for each attempt.
    Connect {
        /// Which broker; always 0 unless `Reconnect::endpoints` says otherwise.
        endpoint: u8,
    },
    /// Close the transport, then call `closed`. `poll` says it until that is done.
    Close(Reason),
    /// Append the record to the journal, and call `persisted` once it is durable. `poll` says it until that is done,
    /// and nothing is transmitted before. Only with `Options::journal`.
    Persist(Record<'a>),
    /// Write some of these bytes, then call `transmitted` with the number that the transport took.
    Transmit(&'a [u8]),
    /// Send bytes of a publish from a source. Read some bytes of the payload from `offset` on, at most `left`. Write
    /// what is left of the head ([`Piece::copy_head`]) and, behind it, those bytes. Then call `transmitted` with the
    /// number of all bytes that the transport took. Only with `Options::sources`.
    ///
    /// If the source has no bytes now, call `source_pending`, and write nothing. If it never will, call
    /// `source_failed`. A driver may read the source without holding the client: the piece names its publish, and
    /// `poll` gives the same piece again unless something more urgent has happened.
    TransmitFrom(Piece<'a>),
    /// Nothing is to be done until bytes come in, a request is made, or this instant has come.
    /// [`Instant::FAR_FUTURE`] means no deadline.
    ///
    /// An instant that is not in the future says that a time-out for input has passed. Bytes that came in time may
    /// still be in the transport: read once without waiting, and call `receive`, also if no bytes came. Only then does
    /// `poll` give the verdict.
    Wait(Instant),
}

impl fmt::Debug for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { endpoint } => {
                f.debug_struct("Connect").field("endpoint", endpoint).finish()
            }
            Self::Close(reason) => f.debug_tuple("Close").field(reason).finish(),
            Self::Persist(record) => f.debug_tuple("Persist").field(record).finish(),
            Self::Transmit(bytes) => write!(f, "Transmit({} bytes)", bytes.len()),
            Self::TransmitFrom(piece) => f.debug_tuple("TransmitFrom").field(piece).finish(),
            Self::Wait(deadline) => f.debug_tuple("Wait").field(deadline).finish(),
        }
    }
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Offline until `Client::connect` is called.
    Stopped,
    /// Offline until the next attempt.
    Waiting,
    /// The transport is being opened, or the CONNACK has not come yet.
    Connecting,
    /// The broker has accepted the connection.
    Up,
    /// The connection is being ended, because of a request, a broken rule or a time-out.
    Closing,
}

/// Numbers since the client was made; each wraps at 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes that the transport has taken.
    pub bytes_out: u32,
    /// Bytes taken from the input.
    pub bytes_in: u32,
    /// Whole packets that the transport has taken, without the DISCONNECT.
    pub packets_out: u32,
    /// Packets taken from the input.
    pub packets_in: u32,
    /// Answers of the broker to requests: PUBACK, PUBREC, PUBCOMP, SUBACK and UNSUBACK that ended a request or moved it
    /// on. While requests are in flight and this number stands still, the broker does not do its work, whatever else it
    /// sends.
    pub answers: u32,
    /// Answers of the broker that no request awaited: repeated ones, or for an unknown packet id.
    pub unexpected_acks: u32,
    /// Packets queued again after a broken connection.
    pub retransmissions: u32,
    /// Connections that the broker accepted.
    pub connections: u32,
    /// Messages that were told as [`Event::Skipped`].
    pub skipped: u32,
    /// Messages that were left unanswered because an earlier one found no slot. They come again on the next connection.
    pub passed_over: u32,
    /// Milliseconds between the last answered PINGREQ and its PINGRESP.
    pub ping_round_trip: Option<u32>,
}
