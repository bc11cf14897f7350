//! Granted subscriptions, kept as the SUBSCRIBE packets that made them, to be made again when the broker has lost
//! the session.
//!
//! They lie between the CONNECT and the base of the outbox. A renewal sends them all, ahead of what waits in the
//! outbox, under packet ids of their own (0xF000 and up), which requests never get. It is due until every one is
//! answered: should the link break in between, the broker may keep a session that has only half of them.

use super::{
    Outbox, Requests, Slot,
    outbox::{Frame, frame_at, move_bytes, put_u16, u16_at},
};
use crate::{
    codec::{Granted, Header, PacketId, QoS},
    error::Violation,
    topic::Filter,
};

const FIRST_ID: u16 = super::LAST_ID + 1;
/// As many SUBSCRIBE packets as there are ids for them.
const MOST: u16 = u16::MAX - super::LAST_ID;
/// Bytes of the packet id, ahead of the filters.
const ID: usize = 2;

/// A subscription that the client makes again should the broker lose the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription<'a> {
    /// Which SUBSCRIBE packet it came with, counted from 0: `Event::Renewed` names it.
    pub packet: u16,
    /// What was subscribed to.
    pub filter: Filter<'a>,
    /// The QoS asked for.
    pub qos: QoS,
}

#[derive(Clone, Debug)]
pub(crate) struct Subscriptions {
    /// Where they start: behind the CONNECT. They end at the outbox's base.
    start: usize,
    /// SUBSCRIBE packets kept or in flight.
    count: u16,
    /// What a renewal still has to send.
    cursor: usize,
    end: usize,
    /// SUBACKs that a renewal still awaits; not zero after a broken connection means that it starts again.
    unanswered: u16,
}

/// One filter of a SUBSCRIBE or UNSUBSCRIBE: its length field and its bytes, without the QoS.
#[derive(Clone, Copy)]
struct Entry {
    at: usize,
    len: usize,
}

/// The filters of the packet `frame` at `start`.
fn entries(bytes: &[u8], start: usize, frame: Frame) -> impl Iterator<Item = Entry> {
    let mut at = start + frame.header + ID;
    let end = start + frame.len;
    // A SUBSCRIBE has a QoS behind each filter.
    let behind = usize::from(is_subscribe(frame));
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let entry = Entry { at, len: 2 + usize::from(u16_at(bytes, at)) };
        at += entry.len + behind;
        Some(entry)
    })
}

const fn is_subscribe(frame: Frame) -> bool {
    frame.first >> 4 == 8
}

/// How many filters the SUBSCRIBE at `start` has.
pub(crate) fn filter_count(bytes: &[u8], start: usize) -> usize {
    frame_at(bytes, start).map_or(0, |frame| entries(bytes, start, frame).count())
}

impl Subscriptions {
    pub(crate) const fn new(start: usize) -> Self {
        Self { start, count: 0, cursor: 0, end: 0, unanswered: 0 }
    }

    /// Whether another SUBSCRIBE can be kept.
    pub(crate) const fn has_room(&self) -> bool {
        self.count < MOST
    }

    /// A SUBSCRIBE is under way that is to be kept.
    pub(crate) fn expect(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// The SUBSCRIBE at `place` in the outbox was answered. It leaves the outbox; with `kept`, what was granted stays
    /// here.
    pub(crate) fn granted(
        &mut self,
        outbox: &mut Outbox,
        requests: &Requests,
        bytes: &mut [u8],
        slots: &mut [Slot],
        place: u32,
        kept: Option<Granted<'_>>,
    ) {
        let Some(granted) = kept else { return outbox.release(bytes, place) };
        if granted.iter().all(|code| code.is_none()) {
            self.count = self.count.saturating_sub(1);
            return outbox.release(bytes, place);
        }
        if let Some(start) = outbox.remember(bytes, slots, requests, place) {
            self.add(outbox, bytes, start, granted);
        }
    }

    /// A SUBSCRIBE was answered and lies at `start`, the last one below the base. Filters that are subscribed anew
    /// leave the packets that they lay in [MQTT-3.8.4-3], and refused ones leave this one.
    fn add(
        &mut self,
        outbox: &mut Outbox,
        bytes: &mut [u8],
        mut start: usize,
        granted: Granted<'_>,
    ) {
        let Some(frame) = frame_at(bytes, start) else { return };
        let mut at = start + frame.header + ID;
        for code in granted.iter() {
            let len = 2 + usize::from(u16_at(bytes, at));
            if code.is_some() {
                let moved = self.remove(outbox, bytes, start, Entry { at, len });
                start -= moved;
                at -= moved;
            }
            at += len + 1;
        }
        for nth in (0..granted.len()).rev().filter(|nth| granted.get(*nth) == Some(None)) {
            let Some(frame) = frame_at(bytes, start) else { return };
            let Some(refused) = entries(bytes, start, frame).nth(nth) else { return };
            self.cut(outbox, bytes, start, frame, refused);
        }
    }

    /// The UNSUBSCRIBE at `start` in the outbox was answered.
    pub(crate) fn unsubscribed(&mut self, outbox: &mut Outbox, bytes: &mut [u8], start: usize) {
        let Some(frame) = frame_at(bytes, start) else { return };
        let mut at = start + frame.header + ID;
        while at < start + frame.len {
            let len = 2 + usize::from(u16_at(bytes, at));
            let limit = outbox.base();
            self.remove(outbox, bytes, limit, Entry { at, len });
            at += len;
        }
    }

    /// Takes every filter equal to `wanted` out of the packets before `limit`; gives how many bytes that was.
    fn remove(
        &mut self,
        outbox: &mut Outbox,
        bytes: &mut [u8],
        limit: usize,
        wanted: Entry,
    ) -> usize {
        let mut removed = 0;
        let mut start = self.start;
        // What is wanted moves too where it lies below the base.
        let moves = wanted.at < outbox.base();
        while start < limit - removed {
            let Some(frame) = frame_at(bytes, start) else { break };
            let at = if moves { wanted.at - removed } else { wanted.at };
            let filter = bytes.get(at..at + wanted.len);
            let found = entries(bytes, start, frame)
                .find(|entry| bytes.get(entry.at..entry.at + entry.len) == filter);
            match found {
                Some(entry) => removed += self.cut(outbox, bytes, start, frame, entry),
                None => start += frame.len,
            }
        }
        removed
    }

    /// Takes `entry` out of the packet at `start`, and the packet itself with its last filter; gives how many bytes
    /// shorter all is.
    fn cut(
        &mut self,
        outbox: &mut Outbox,
        bytes: &mut [u8],
        start: usize,
        frame: Frame,
        entry: Entry,
    ) -> usize {
        let base = outbox.base();
        let with_qos = entry.len + 1;
        let mut removed = with_qos;
        if frame.len == frame.header + ID + with_qos {
            removed = frame.len;
            move_bytes(bytes, start + frame.len, start, base - (start + frame.len));
            self.count = self.count.saturating_sub(1);
        } else {
            let behind = entry.at + with_qos;
            move_bytes(bytes, behind, entry.at, base - behind);
            let remaining = frame.len - frame.header - with_qos;
            let space = bytes.get_mut(start..).unwrap_or_default();
            let header = Header::encode(frame.first, remaining, space).unwrap_or(frame.header);
            if header < frame.header {
                let body = start + frame.header;
                move_bytes(bytes, body, start + header, base - with_qos - body);
                removed += frame.header - header;
            }
        }
        outbox.lower_base(base - removed);
        removed
    }

    /// The broker has no session: all are to be made again, ahead of everything else.
    pub(crate) fn renew(&mut self, outbox: &Outbox, bytes: &mut [u8]) {
        self.cursor = self.start;
        self.end = outbox.base();
        self.unanswered = 0;
        let mut start = self.start;
        while start < self.end {
            let Some(frame) = frame_at(bytes, start) else { break };
            put_u16(bytes, start + frame.header, FIRST_ID + self.unanswered % MOST);
            self.unanswered += 1;
            start += frame.len;
        }
    }

    /// Whether a renewal was not answered in full.
    pub(crate) const fn is_due(&self) -> bool {
        self.unanswered != 0
    }

    /// The connection ended.
    pub(crate) fn disconnected(&mut self) {
        self.cursor = 0;
        self.end = 0;
    }

    /// The bytes of a renewal that are ready for the transport.
    #[inline]
    pub(crate) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.end).unwrap_or_default()
    }

    /// Takes its part of `count` sent bytes; gives the rest.
    #[inline]
    pub(crate) fn transmitted(&mut self, count: usize) -> usize {
        let part = count.min(self.end.saturating_sub(self.cursor));
        self.cursor += part;
        count - part
    }

    /// A SUBACK for a renewal, with `codes` codes: which packet it answers; `None` where its id is no renewal's.
    pub(crate) fn answered(
        &mut self,
        bytes: &mut [u8],
        id: PacketId,
        codes: usize,
    ) -> Option<Result<u16, Violation>> {
        if id.get() < FIRST_ID {
            return None;
        }
        let (mut start, mut packet) = (self.start, 0);
        while start < self.cursor {
            let Some(frame) = frame_at(bytes, start) else { break };
            if u16_at(bytes, start + frame.header) == id.get() && start + frame.len <= self.cursor {
                if filter_count(bytes, start) != codes {
                    return Some(Err(Violation::SubAckCount));
                }
                put_u16(bytes, start + frame.header, 0);
                self.unanswered = self.unanswered.saturating_sub(1);
                return Some(Ok(packet));
            }
            start += frame.len;
            packet += 1;
        }
        Some(Err(Violation::UnknownSubscribeId))
    }

    /// Every subscription kept.
    pub(crate) fn iter<'b>(
        &self,
        outbox: &Outbox,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = Subscription<'b>> + use<'b> {
        let (mut start, end) = (self.start, outbox.base());
        let mut packet = 0;
        let mut at = 0;
        core::iter::from_fn(move || {
            while start < end {
                let frame = frame_at(bytes, start)?;
                at = if at == 0 { start + frame.header + ID } else { at };
                if at < start + frame.len {
                    let len = usize::from(u16_at(bytes, at));
                    let filter = Filter::from_bytes(bytes.get(at + 2..at + 2 + len)?).ok()?;
                    let qos = *bytes.get(at + 2 + len)?;
                    at += 2 + len + 1;
                    return Some(Subscription { packet, filter, qos: QoS::from_bits(qos)? });
                }
                start += frame.len;
                packet += 1;
                at = 0;
            }
            None
        })
    }
}
