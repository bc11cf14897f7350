//! Iterators over the packets of the arena, for the journal and for a full queue.

use super::{
    Outbox, Table,
    bytes::u16_at,
    frames::{Frame, Stay, frame_at, frame_before, id_at, stay},
};
use crate::codec::{PacketId, PacketType};

impl Outbox {
    /// The QoS 0 publishes of which the driver was shown no byte.
    pub(in crate::session) fn unsent_qos_0<'b>(&self, bytes: &'b [u8]) -> UnsentQos0<'b> {
        let bytes = bytes.get(..self.tail).unwrap_or_default();
        // The cursor passes packets that are held back.
        let at = self.boundary.min(self.hold_from);
        UnsentQos0 { bytes, at, shown: self.shown.min(self.hold_from), position: 0 }
    }

    /// The packet ids of the requests that were shown on this connection and are not answered.
    pub(in crate::session) fn shown_unanswered<'b>(
        &self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = PacketId> + use<'b> {
        let end = self.shown.min(self.hold_from);
        let shown =
            move |at: usize, frame: Frame| at < end && stay(frame.first) == Stay::UntilReleased;
        let mut at = self.head;
        let tail = self.tail;
        core::iter::from_fn(move || {
            let here = at;
            let frame = frame_before(bytes, here, tail)?;
            at += frame.len;
            Some(shown(here, frame).then(|| id_at(bytes, here, frame)))
        })
        .flatten()
        .filter_map(PacketId::new)
    }

    /// Removes `count` of them, from the one at `position` on.
    pub(in crate::session) fn drop_unsent(
        &mut self,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        position: usize,
        count: usize,
    ) {
        for _ in 0..count {
            let mut unsent = self.unsent_qos_0(bytes);
            let found = unsent.find(|unsent| unsent.position == position);
            let found = found.and_then(|found| Some((found.place, frame_at(bytes, found.place)?)));
            debug_assert!(found.is_some(), "no unsent QoS 0 publish at position {position}");
            let Some((place, frame)) = found else { break };
            self.kill(bytes, place, frame);
        }
        self.compact(bytes, table);
        self.free_front();
    }
}

/// See [`Outbox::unsent_qos_0`].
pub(crate) struct UnsentQos0<'b> {
    bytes: &'b [u8],
    at: usize,
    shown: usize,
    position: usize,
}

/// A QoS 0 publish of which the driver was shown no byte.
pub(crate) struct Unsent<'b> {
    place: usize,
    /// Its index among the QoS 0 publishes that have not been sent whole.
    pub(crate) position: usize,
    pub(crate) len: usize,
    pub(crate) topic: &'b [u8],
}

impl<'b> Iterator for UnsentQos0<'b> {
    type Item = Unsent<'b>;

    fn next(&mut self) -> Option<Unsent<'b>> {
        loop {
            let place = self.at;
            let frame = frame_before(self.bytes, place, self.bytes.len())?;
            self.at += frame.len;
            if stay(frame.first) != Stay::UntilSent {
                continue;
            }
            let position = self.position;
            self.position += 1;
            if place >= self.shown {
                let start = place + frame.header + 2;
                let topic = start..start + usize::from(u16_at(self.bytes, start - 2));
                let topic = self.bytes.get(topic).unwrap_or_default();
                return Some(Unsent { place, position, len: frame.len, topic });
            }
        }
    }
}

/// The packets of the arena that wait for an answer, from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Unacknowledged<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

impl Unacknowledged<'_> {
    pub(in crate::session) const NONE: Self = Self { bytes: &[], at: 0 };
}

/// A packet that waits for an answer.
#[derive(Clone, Copy)]
pub(in crate::session) struct Unanswered<'b> {
    pub(in crate::session) id: u16,
    pub(in crate::session) is_pubrel: bool,
    /// Its bytes if it is a PUBLISH.
    pub(in crate::session) publish: Option<&'b [u8]>,
}

impl<'b> Iterator for Unacknowledged<'b> {
    type Item = Unanswered<'b>;

    fn next(&mut self) -> Option<Unanswered<'b>> {
        loop {
            let at = self.at;
            let frame = frame_before(self.bytes, at, self.bytes.len())?;
            self.at += frame.len;
            if stay(frame.first) == Stay::UntilReleased {
                let packet = self.bytes.get(at..self.at)?;
                return Some(Unanswered {
                    id: id_at(self.bytes, at, frame),
                    is_pubrel: frame.first.is(PacketType::PubRel),
                    publish: frame.first.is(PacketType::Publish).then_some(packet),
                });
            }
        }
    }
}
