//! Publishes from a source: see [`feed`](super::outbox::feed) for their form in the outbox.

use super::{
    Handle, Session, SessionMut, Slot, Table,
    outbox::{
        feed::{Pending, described, encode, is_from_source},
        frame_at,
    },
    qos::Awaits,
    requests::Ending,
    sending::decoded,
};
use crate::{
    codec::PacketId,
    error::RequestError,
    source::{Piece, PublishFrom, SourceId},
};

/// A publish whose source has failed.
pub(crate) struct Failed {
    pub(crate) source: SourceId,
    /// The connection cannot go on: bytes of the packet were sent.
    pub(crate) closes: bool,
}

impl Session {
    /// The next bytes of the publish from a source that is being sent.
    pub(crate) fn piece<'b>(&self, bytes: &'b [u8]) -> Option<Piece<'b>> {
        self.outbox.piece(bytes)
    }

    /// Whether its source has no bytes yet.
    pub(crate) const fn source_is_pending(&self) -> bool {
        self.outbox.source_is_pending()
    }

    /// Whether publishes from a source are on.
    #[cfg(feature = "embedded-io-async")]
    pub(crate) const fn has_sources_on(&self) -> bool {
        self.sources.is_some()
    }

    /// Whether there may be publishes from a source.
    pub(crate) const fn may_have_sources(&self) -> bool {
        self.outbox.may_have_sources()
    }

    /// The publishes from a source above QoS 0 that the broker may not have.
    pub(crate) fn publishes_from<'b>(
        &self,
        bytes: &'b [u8],
        slots: &'b [Slot],
    ) -> impl Iterator<Item = (Handle, PublishFrom<'b>)> {
        self.outbox.unacknowledged(bytes).filter_map(move |packet| {
            let found = self.requests.find(slots, PacketId::new(packet.id)?)?;
            let bytes = packet.publish.filter(|_| found.is_awaited())?;
            if !is_from_source(frame_at(bytes, 0)?) {
                return None;
            }
            let publish = decoded(bytes)?;
            let (source, len) = described(publish.payload)?;
            let (topic, qos, retain) = (publish.topic, publish.qos, publish.retain);
            Some((found.handle, PublishFrom { topic, source, len, qos, retain }))
        })
    }
}

impl SessionMut<'_> {
    /// Accepts a publish from a source.
    pub(crate) fn accept_from(
        &mut self,
        publish: &PublishFrom<'_>,
    ) -> Result<Handle, RequestError> {
        if self.session.sources.is_none() {
            return Err(RequestError::NoSources);
        }
        let awaits = Awaits::of_publish(publish.qos);
        let handle = self.accept(awaits, &|id, space| encode(publish, id, space))?;
        self.begin_source(handle.generation());
        Ok(handle)
    }

    /// The packet that was appended last is a publish from a source, with this generation.
    pub(super) fn begin_source(&mut self, generation: u32) {
        let session = &mut *self.session;
        if let Some(sources) = session.sources {
            session.outbox.expect_sources(sources);
            session.outbox.set_generation(self.bytes, generation);
            session.plain = false;
        }
    }

    /// The source of this publish has no bytes yet, or has some now; false if it is not being sent.
    pub(crate) fn set_source_pending(&mut self, handle: Handle, pending: bool) -> bool {
        let piece = self.session.outbox.piece(self.bytes);
        let is_sent = piece.is_some_and(|piece| piece.handle == handle);
        if is_sent {
            self.session.outbox.set_pending(if pending { Pending::Yes } else { Pending::No });
        }
        is_sent
    }

    /// The source that the driver waits for is asked once more.
    pub(crate) const fn ask_source_again(&mut self) {
        self.session.outbox.ask_source_again();
    }

    /// The source that has no bytes yet, also if it is asked once more.
    pub(crate) fn pending_source(&self) -> Option<SourceId> {
        let piece = self.session.outbox.piece(self.bytes);
        piece.filter(|_| self.session.outbox.source_has_been_pending()).map(|piece| piece.source)
    }

    /// The source of this publish has failed, and the publish ends. `None`: it is not being sent.
    pub(crate) fn fail_source(&mut self, handle: Handle) -> Option<Failed> {
        let piece = self.session.outbox.piece(self.bytes)?;
        if piece.handle != handle {
            return None;
        }
        let source = piece.source;
        let (place, mut closes) = self.session.outbox.stop_feeding(self.bytes)?;
        let found = handle.packet_id().and_then(|id| self.session.requests.find(self.slots, id));
        if let Some(awaited) = found.as_ref().filter(|found| found.is_awaited()) {
            self.give_up(awaited.id, Ending::SourceFailed);
            return Some(Failed { source, closes });
        }
        let session = &mut *self.session;
        match found {
            // It was taken back while it was being sent.
            Some(finishing) => session.requests.finished(self.slots, finishing.index),
            None => closes |= !session.requests.fail_unacknowledged(handle.generation()),
        }
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.outbox.remove(self.bytes, &mut table, place);
        Some(Failed { source, closes })
    }
}
