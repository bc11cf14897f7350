//! The settings that outlast `Client::new`, and their defaults. `Options` sets them.

use super::{Machine, State, transmit::Source};
use crate::{
    codec::{Header, Publish},
    error::{Fatal, RequestError},
    event::Action,
    reconnect::Reconnect,
    session::Session,
    time::Instant,
};

/// Which version of the protocol to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1 only.
    V31,
    /// MQTT 3.1.1 only.
    #[default]
    V311,
    /// 3.1.1 first. If the broker refuses the version (code 1), or the connection closes before the CONNACK, one
    /// attempt in 3.1 follows at the same broker, then the next broker has its turn.
    ///
    /// Only a refusal counts for later: the client then begins with 3.1 at this broker, until the broker refuses 3.1
    /// or accepts 3.1.1. After a close it begins with 3.1.1 again, for the link may just have broken. It does not try
    /// 3.1 after a close at a broker that has accepted 3.1.1 before.
    ///
    /// This is remembered for each of the first 32 endpoints of `Reconnect::endpoints`. A broker of 3.1 that closes in
    /// silence costs one attempt more at each connection: choose [`V31`](Self::V31) for it.
    Auto,
}

/// Which message is dropped if the queue is full: the outbox, the window, or `Options::queue_messages`.
///
/// Only messages of QoS 0 that wait to be sent are ever dropped, and each of them is an `Event::Dropped`. With
/// [`DropOldest`](Self::DropOldest) and [`LatestPerTopic`](Self::LatestPerTopic) messages of QoS 0 take a slot as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Queue {
    /// None: the new message is refused with an error that names the full part.
    #[default]
    RefuseNew,
    /// The oldest messages of QoS 0, as many as the new message needs.
    DropOldest,
    /// For telemetry: a message of QoS 0 that still waits is dropped for any later one of the same topic, even if there
    /// is room. If there is no room and no such message, the new message is refused.
    LatestPerTopic,
}

/// The treatment of a message that is too large: its packet is longer than `Options::max_packet`, or its topic is
/// longer than the driver's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oversized {
    /// The message is told as `Event::Skipped`, read away, and acknowledged at its end.
    #[default]
    Skip,
    /// The connection ends with `Fatal::PacketTooLarge`. If the message is retained or queued, it ends each connection.
    Close,
}

/// Whether a publish will hold a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Only above QoS 0.
    ByQos,
    /// A publish of QoS 0 holds one, so that it can be dropped.
    Droppable,
}

/// Applies the limits of the queue to a publish before it is accepted.
pub(crate) type LimitQueue =
    for<'a, 'p> fn(&mut Machine<'a>, &Publish<'p>) -> Result<Place, RequestError>;

/// What a client with publishes from a source does besides. Each is a pointer for the same reason.
#[derive(Debug)]
pub(crate) struct SourceRules {
    /// `State::transmission`, also of a publish from a source.
    pub(super) action: for<'a> fn(&'a State, Option<Source>, &'a Session, &'a [u8]) -> Action<'a>,
    /// The transport has taken bytes.
    pub(super) fed: for<'a> fn(&mut Machine<'a>, Instant),
    /// Why no bytes were taken for too long, if that is the fault of a source.
    pub(super) stalled: for<'a> fn(&Machine<'a>) -> Option<Fatal>,
}

/// Leaves the broker for the first one at a quiet moment.
pub(crate) type ReturnToFirst = for<'a> fn(&mut Machine<'a>, Instant);

/// The largest packet that MQTT has: the longest remaining length and its header.
const LARGEST_PACKET: u32 = 268_435_455 + Header::MAX_LEN as u32;
/// Room for every packet of fixed length, and for the heads of most others.
pub(super) const LEAST_RECEIVE_CAPACITY: usize = 16;

/// See the methods of `Options` with these names. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: Version,
    pub(crate) reconnect: Reconnect,
    pub(crate) connect_timeout: u32,
    pub(crate) ping_timeout: u32,
    pub(crate) ping_on_silence: bool,
    pub(crate) answer_timeout: u32,
    pub(crate) strict: bool,
    pub(crate) unread_timeout: u32,
    pub(crate) max_packet: u32,
    pub(crate) receive_capacity: usize,
    pub(crate) oversized: Oversized,
    pub(crate) skip_unreadable: bool,
    pub(crate) record_delay: u32,
    pub(crate) queue: Queue,
    pub(crate) queue_messages: usize,
    /// A pointer, so that a client without limits does not link the code that applies them.
    pub(crate) limit_queue: Option<LimitQueue>,
    /// In the same way for publishes from a source.
    pub(crate) sources: Option<&'static SourceRules>,
    /// In the same way for a client that does not return to its first broker.
    pub(crate) return_to_first: Option<ReturnToFirst>,
}

/// How many bytes the driver is shown at once, if they are not of one packet. Shown packets may have left if the
/// connection ends, so more is not shown than fills a large write: the answers to 64 KiB of the shortest messages.
const MOST_SHOWN: usize = 32 << 10;
/// The same if the queue may drop messages, because a shown message cannot be dropped: about one segment of TCP.
const MOST_SHOWN_DROPPABLE: usize = 1400;

impl Settings {
    /// How many bytes of several packets the driver is shown at once.
    pub(super) const fn most_shown(&self) -> usize {
        match self.queue {
            Queue::RefuseNew => MOST_SHOWN,
            Queue::DropOldest | Queue::LatestPerTopic => MOST_SHOWN_DROPPABLE,
        }
    }

    pub(crate) const DEFAULT: Self = Self {
        version: Version::V311,
        reconnect: Reconnect::after(1_000),
        connect_timeout: 20_000,
        ping_timeout: 10_000,
        ping_on_silence: true,
        answer_timeout: 120_000,
        strict: false,
        unread_timeout: 300_000,
        max_packet: LARGEST_PACKET,
        receive_capacity: 1024,
        oversized: Oversized::Skip,
        skip_unreadable: false,
        record_delay: 1_000,
        queue: Queue::RefuseNew,
        queue_messages: usize::MAX,
        limit_queue: None,
        sources: None,
        return_to_first: None,
    };

    /// Bytes of the largest packet other than a PUBLISH that can be received. Only a SUBACK can be larger.
    pub(crate) fn largest_suback(&self) -> usize {
        self.receive_capacity.min(self.max_packet as usize)
    }
}
