//! Walks over the packets of the arena, for the journal and for what gives way.

use super::{
    Outbox, Requests, Slot,
    bytes::{set_first, u16_at},
    frames::{HOLE, Keep, PUBLISH, PUBREL, frame_at, id_at, keep},
};

impl Outbox {
    /// The QoS 0 publishes of which no byte was sent.
    pub(crate) fn waiting<'b>(&self, bytes: &'b [u8]) -> Waiting<'b> {
        let bytes = bytes.get(..self.tail).unwrap_or_default();
        Waiting { bytes, at: self.boundary, cursor: self.cursor, position: 0 }
    }
    /// `count` of them are taken out, from the one at `from` on.
    pub(crate) fn give_way(
        &mut self,
        bytes: &mut [u8],
        slots: &mut [Slot],
        requests: &Requests,
        from: usize,
        count: usize,
    ) {
        for _ in 0..count {
            let mut waiting = self.waiting(bytes);
            let Some(old) = waiting.find(|old| old.position == from) else { break };
            let (place, len) = (old.place, old.len);
            set_first(bytes, place, HOLE);
            self.live = self.live.saturating_sub(len);
        }
        self.squeeze(bytes, slots, requests);
        self.settle();
    }
}

/// See [`Outbox::waiting`].
pub(crate) struct Waiting<'b> {
    bytes: &'b [u8],
    at: usize,
    cursor: usize,
    position: usize,
}

/// One of [`Waiting`].
pub(crate) struct Idle<'b> {
    place: usize,
    /// Which one it is of the QoS 0 publishes that have not been sent whole.
    pub(crate) position: usize,
    pub(crate) len: usize,
    pub(crate) topic: &'b [u8],
}

impl<'b> Iterator for Waiting<'b> {
    type Item = Idle<'b>;

    fn next(&mut self) -> Option<Idle<'b>> {
        loop {
            let place = self.at;
            let frame = frame_at(self.bytes, place)?;
            self.at += frame.len;
            if keep(frame.first) != Keep::UntilSent {
                continue;
            }
            let position = self.position;
            self.position += 1;
            if place >= self.cursor {
                let start = place + frame.header + 2;
                let topic = start..start + usize::from(u16_at(self.bytes, start - 2));
                let topic = self.bytes.get(topic).unwrap_or_default();
                return Some(Idle { place, position, len: frame.len, topic });
            }
        }
    }
}

/// The packets of the arena that wait for an answer, from a position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packets<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

/// One of [`Packets`].
#[derive(Clone, Copy)]
pub(crate) struct Kept<'b> {
    pub(crate) id: u16,
    pub(crate) is_pubrel: bool,
    /// Its bytes where it is a PUBLISH.
    pub(crate) publish: Option<&'b [u8]>,
}

impl<'b> Iterator for Packets<'b> {
    type Item = Kept<'b>;

    fn next(&mut self) -> Option<Kept<'b>> {
        loop {
            let at = self.at;
            let frame = frame_at(self.bytes, at)?;
            self.at += frame.len;
            if keep(frame.first) == Keep::UntilAnswered {
                let kind = frame.first >> 4;
                let packet = self.bytes.get(at..self.at)?;
                return Some(Kept {
                    id: id_at(self.bytes, at, frame),
                    is_pubrel: kind == PUBREL,
                    publish: (kind == PUBLISH).then_some(packet),
                });
            }
        }
    }
}
