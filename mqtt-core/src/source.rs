//! A publish whose payload stays where it is: [`PublishFrom`] names its source, and the driver reads the bytes when
//! their turn comes ([`Piece`]).

use core::fmt;

use thiserror::Error;

use crate::{codec::QoS, handle::Handle, topic::Topic};

/// The application's number of a source of payload bytes: a file, a region of flash, a buffer of its own.
///
/// The client stores it with the publish, also in the journal, and gives it back when it asks for the bytes. So an
/// application that restarts needs numbers that name the same bytes as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SourceId(u32);

impl SourceId {
    /// The source of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A message whose payload is read from a source while it is sent, for `Client::publish_from`.
///
/// ```
/// use mqtt_core::{PublishFrom, QoS, SourceId, topic};
///
/// let image = PublishFrom::new(topic!("camera/7"), SourceId::new(3), 100_000_000).qos(QoS::AtLeastOnce);
/// # let _ = image;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct PublishFrom<'a> {
    /// The topic that it is published to.
    pub topic: Topic<'a>,
    /// The source of the payload.
    pub source: SourceId,
    /// Bytes of the payload.
    pub len: u32,
    /// The quality of service.
    pub qos: QoS,
    /// The broker keeps this message for later subscribers.
    pub retain: bool,
}

impl<'a> PublishFrom<'a> {
    /// A message of QoS 0 that is not retained.
    pub const fn new(topic: Topic<'a>, source: SourceId, len: u32) -> Self {
        Self { topic, source, len, qos: QoS::AtMostOnce, retain: false }
    }

    /// The same message with this QoS.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The same message with this retain flag.
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }
}

/// Why a source does not give the bytes that its publish needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SourceFault {
    /// The application has no source of this number (any more).
    #[error("there is no such source")]
    Gone,
    /// It could not be read.
    #[error("the source cannot be read")]
    Failed,
    /// It has fewer or more bytes than the publish said.
    #[error("the source has another length than its publish")]
    Length,
    /// It had no bytes for too long. Only the client says so: a driver calls `Client::source_pending`.
    #[error("the source had no bytes in time")]
    TooSlow,
}

/// The next bytes of a publish from a source: those of its head that are not sent, then those of its payload. See
/// `Action::TransmitFrom`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The publish.
    pub handle: Handle,
    /// Its source.
    pub source: SourceId,
    /// The first byte of the payload that is not sent.
    pub offset: u32,
    /// How many bytes of the payload are not sent, from `offset` to its end: more must not be written.
    pub left: u32,
    /// The fixed header, of which the first bytes are sent.
    pub(crate) fixed: [u8; FIXED_HEADER],
    pub(crate) fixed_sent: u8,
    pub(crate) fixed_len: u8,
    /// Topic and packet id.
    pub(crate) rest: &'a [u8],
}

/// Bytes of the longest fixed header.
pub(crate) const FIXED_HEADER: usize = 5;

impl Piece<'_> {
    /// Bytes of the head that are not sent.
    #[must_use]
    pub fn head_len(&self) -> usize {
        self.fixed().len() + self.rest.len()
    }

    fn fixed(&self) -> &[u8] {
        self.fixed.get(self.fixed_sent.into()..self.fixed_len.into()).unwrap_or_default()
    }

    /// Copies the bytes of the head that are not sent to the front of `buffer`, as many as there is room for, and gives
    /// how many. The payload belongs behind them once all of them are there.
    pub fn copy_head(&self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        for (space, byte) in buffer.iter_mut().zip(self.fixed().iter().chain(self.rest)) {
            *space = *byte;
            count += 1;
        }
        count
    }
}

/// Without the bytes, like all actions.
impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, offset, left, .. } = self;
        write!(f, "{} bytes and {left} of {source:?} from {offset}", self.head_len())
    }
}
