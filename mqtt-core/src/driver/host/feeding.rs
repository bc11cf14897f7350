//! [`Feeding`]: the payloads of messages that are read while they are sent.
//!
//! A payload is read without the lock of the client, by the half that serves the connection: it takes a [`Job`] with the
//! payload in it, and gives it back with the bytes, see [`reading`](super::reading). They are kept until the transport
//! has taken them.

use std::{
    boxed::Box,
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    vec::Vec,
};

use super::{Error, Payload};
use crate::{
    codec::{EncodeError, QoS},
    error::RequestError,
    session::Handle,
    source::{Piece, PublishFrom, SourceId},
    time::Instant,
    topic::Topic,
};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

#[derive(Default)]
pub(crate) struct Feeding {
    /// `None`: a job has it.
    pub(super) payloads: BTreeMap<Handle, Option<Box<dyn Payload>>>,
    /// The bytes of the payload of `of` from this offset on.
    pub(super) of: Option<Handle>,
    pub(super) offset: u32,
    pub(super) chunk: Vec<u8>,
    /// The head of a message, with its first bytes behind it.
    front: Vec<u8>,
    /// A job is under way.
    pub(super) reads: bool,
    /// A payload had no bytes, and is asked again then.
    pub(super) retry: Option<(Handle, Instant)>,
    /// The last error of a payload.
    pub(super) error: Option<(SourceId, io::Error)>,
}

impl Feeding {
    /// The payload of an accepted message.
    pub(crate) fn add(&mut self, handle: Handle, payload: Box<dyn Payload>) {
        self.payloads.insert(handle, Some(payload));
    }

    /// The message has ended.
    pub(crate) fn forget(&mut self, handle: Handle) {
        self.payloads.remove(&handle);
        if self.of == Some(handle) {
            self.of = None;
            self.chunk = Vec::new();
        }
    }

    /// Bytes for the transport, if they are read.
    pub(super) fn bytes(&mut self, piece: &Piece<'_>) -> Option<&[u8]> {
        if self.of != Some(piece.handle) {
            return None;
        }
        let at = piece.offset.checked_sub(self.offset)? as usize;
        let payload = self.chunk.get(at..).filter(|payload| !payload.is_empty())?;
        let head = piece.head_len();
        if head == 0 {
            return Some(payload);
        }
        self.front.clear();
        self.front.resize(head, 0);
        piece.copy_head(&mut self.front);
        self.front.extend_from_slice(payload);
        Some(&self.front)
    }

    /// Whether a job is under way.
    pub(super) const fn reads(&self) -> bool {
        self.reads
    }

    /// The message whose payload is asked again by now.
    pub(super) fn take_retry(&mut self, now: Instant) -> Option<Handle> {
        let (handle, at) = self.retry?;
        (at <= now).then(|| {
            self.retry = None;
            handle
        })
    }

    /// When a payload is asked again.
    pub(super) fn retry_at(&self) -> Instant {
        self.retry.map_or(Instant::FAR_FUTURE, |(_, at)| at)
    }

    /// The last error of a payload, once.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        let (source_id, error) = self.error.take()?;
        Some(Error::Source { source_id, error })
    }
}

/// A payload that is to be read, without the lock.
pub(crate) struct Job {
    pub(super) handle: Handle,
    pub(super) source: SourceId,
    pub(super) offset: u32,
    pub(super) left: u32,
    pub(super) payload: Box<dyn Payload>,
    pub(super) chunk: Vec<u8>,
    pub(super) read: Result<usize, Failure>,
}

/// Why a read gave no bytes.
pub(super) enum Failure {
    Io(io::Error),
    Length,
}

impl Job {
    /// Reads.
    pub(crate) fn run(&mut self) {
        self.chunk.resize((self.left as usize).min(CHUNK), 0);
        let read = || {
            let whole = u64::from(self.offset) + u64::from(self.left);
            if self.payload.len()? != whole {
                return Ok(0);
            }
            loop {
                match self.payload.read_at(self.offset.into(), &mut self.chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => return read,
                }
            }
        };
        let read = catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err(io::Error::other("the payload panicked")));
        self.read = match read {
            Ok(0) => Err(Failure::Length),
            Ok(count) => Ok(count.min(self.chunk.len())),
            Err(error) => Err(Failure::Io(error)),
        };
    }
}

/// The message whose payload is `payload`.
pub(crate) fn of_payload<'t>(
    topic: &'t str,
    source: SourceId,
    payload: &mut dyn Payload,
    qos: QoS,
    retain: bool,
) -> Result<PublishFrom<'t>, Error> {
    let topic = Topic::new(topic)?;
    let len = payload.len().map_err(|error| Error::Source { source_id: source, error })?;
    let Ok(len) = u32::try_from(len) else {
        return Err(RequestError::Encode(EncodeError::PacketTooLong).into());
    };
    Ok(PublishFrom::new(topic, source, len).qos(qos).retain(retain))
}
