//! Granted subscriptions, kept to be made again when the broker has lost the session.
//!
//! They lie as filters with their QoS, as in the body of a SUBSCRIBE, between the CONNECT and the base of the outbox,
//! with room for a header in front: a renewal is one SUBSCRIBE that is already there. It goes out ahead of what waits
//! in the outbox, under a packet id that requests never get. It is due until it is answered: should the link break in
//! between, the broker may keep a session that does not have it.

use super::{
    Outbox, Requests, Slot,
    outbox::{Frame, copy, frame_at, move_bytes, put_u16, u16_at},
};
use crate::{
    codec::{Granted, Header, PacketId, QoS},
    error::Violation,
    topic::Filter,
};

const RENEWAL_ID: u16 = super::LAST_ID + 1;
/// Room for the longest header and the packet id.
pub(crate) const SPARE: usize = 5 + ID;
/// Bytes of a packet id.
const ID: usize = 2;
const SUBSCRIBE: u8 = 0x82;

/// A subscription that the client makes again should the broker lose the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription<'a> {
    /// What was subscribed to.
    pub filter: Filter<'a>,
    /// The QoS asked for.
    pub qos: QoS,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Subscriptions {
    /// Where they start; they end at the outbox's base.
    start: usize,
    /// Filters kept, or asked for and to be kept.
    count: usize,
    /// The bytes of a renewal that are still to be sent.
    cursor: usize,
    end: usize,
    /// Filters in the renewal that awaits its SUBACK; 0: none is due.
    asked: usize,
}

/// A filter with its length in front.
#[derive(Clone, Copy)]
struct Entry {
    at: usize,
    len: usize,
}

impl Entry {
    fn at(bytes: &[u8], at: usize) -> Self {
        Self { at, len: 2 + usize::from(u16_at(bytes, at)) }
    }

    fn bytes<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        bytes.get(self.at..self.at + self.len)
    }

    /// Where the next entry is, a QoS byte behind this one.
    const fn next(&self) -> usize {
        self.at + self.len + 1
    }
}

/// How many filters the SUBSCRIBE at `start` has.
pub(crate) fn filter_count(bytes: &[u8], start: usize) -> usize {
    let Some(Frame { header, len, .. }) = frame_at(bytes, start) else { return 0 };
    let mut at = start + header + ID;
    let mut count = 0;
    while at < start + len {
        at = Entry::at(bytes, at).next();
        count += 1;
    }
    count
}

impl Subscriptions {
    pub(crate) const fn new(start: usize) -> Self {
        Self { start, count: 0, cursor: 0, end: 0, asked: 0 }
    }

    /// Filters kept, or asked for and to be kept.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// A SUBSCRIBE of `filters` filters is under way.
    pub(crate) fn expect(&mut self, filters: usize) {
        self.count += filters;
    }

    /// The SUBSCRIBE at `place` in the outbox was answered and leaves it; what was granted stays here.
    pub(crate) fn granted(
        &mut self,
        outbox: &mut Outbox,
        requests: &Requests,
        bytes: &mut [u8],
        slots: &mut [Slot],
        place: u32,
        granted: Granted<'_>,
    ) {
        let mut kept = outbox.base();
        let Some(frame) = outbox.bring_down(bytes, slots, requests, place) else { return };
        let mut at = kept + frame.header + ID;
        for code in granted.iter() {
            let entry = Entry::at(bytes, at);
            at = entry.next();
            let known = self.find(bytes, kept, entry);
            match (code, known) {
                // [MQTT-3.8.4-3]: the newer one counts.
                (Some(_), Some(known)) => {
                    move_bytes(bytes, entry.at + entry.len, known.at + known.len, 1);
                    self.count -= 1;
                }
                (Some(_), None) => {
                    move_bytes(bytes, entry.at, kept, entry.len + 1);
                    kept += entry.len + 1;
                }
                (None, _) => self.count -= 1,
            }
        }
        outbox.set_base(kept);
    }

    /// The UNSUBSCRIBE at `place` in the outbox was answered: its filters leave.
    pub(crate) fn unsubscribed(&mut self, outbox: &mut Outbox, bytes: &mut [u8], place: u32) {
        let start = place as usize;
        let Some(frame) = frame_at(bytes, start) else { return };
        let mut at = start + frame.header + ID;
        while at < start + frame.len {
            let entry = Entry::at(bytes, at);
            at += entry.len;
            let kept = outbox.base();
            if let Some(known) = self.find(bytes, kept, entry) {
                move_bytes(bytes, known.next(), known.at, kept - known.next());
                outbox.set_base(kept - (known.len + 1));
                self.count -= 1;
            }
        }
    }

    /// The entry before `end` with the same filter as `wanted`.
    fn find(&self, bytes: &[u8], end: usize, wanted: Entry) -> Option<Entry> {
        let filter = wanted.bytes(bytes);
        let mut at = self.start;
        while at < end {
            let entry = Entry::at(bytes, at);
            if entry.bytes(bytes) == filter {
                return Some(entry);
            }
            at = entry.next();
        }
        None
    }

    /// The broker has no session: all are to be made again, ahead of everything else.
    pub(crate) fn renew(&mut self, outbox: &Outbox, bytes: &mut [u8]) {
        let len = outbox.base() - self.start;
        let mut header = [0; 5];
        let Ok(header_len) = Header::encode(SUBSCRIBE, ID + len, &mut header) else { return };
        if len == 0 {
            self.asked = 0;
            return;
        }
        self.cursor = self.start - ID - header_len;
        self.end = outbox.base();
        copy(bytes, self.cursor, header.get(..header_len).unwrap_or_default());
        put_u16(bytes, self.start - ID, RENEWAL_ID);
        self.asked = filter_count(bytes, self.cursor);
    }

    /// Whether a renewal was not answered.
    pub(crate) const fn is_due(&self) -> bool {
        self.asked != 0
    }

    /// The connection ended.
    pub(crate) fn disconnected(&mut self) {
        self.cursor = 0;
        self.end = 0;
    }

    /// Whether a renewal has bytes to send.
    pub(crate) const fn is_sending(&self) -> bool {
        self.cursor != self.end
    }

    /// The bytes of a renewal that are ready for the transport.
    pub(crate) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.end).unwrap_or_default()
    }

    /// Takes its part of `count` sent bytes; gives the rest.
    pub(crate) fn transmitted(&mut self, count: usize) -> usize {
        let part = count.min(self.end.saturating_sub(self.cursor));
        self.cursor += part;
        count - part
    }

    /// Whether a SUBACK with `id` and `codes` codes answers a renewal.
    pub(crate) fn is_answer(&mut self, id: PacketId, codes: usize) -> Result<bool, Violation> {
        if id.get() != RENEWAL_ID {
            return Ok(false);
        }
        if self.asked == 0 || self.end == 0 || self.cursor != self.end {
            return Err(Violation::UnknownSubscribeId);
        }
        // [MQTT-3.8.4-5]
        if self.asked != codes {
            return Err(Violation::SubAckCount);
        }
        self.asked = 0;
        Ok(true)
    }

    /// The bytes of all that are kept, as in the body of a SUBSCRIBE.
    pub(crate) fn kept<'b>(&self, outbox: &Outbox, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.start..outbox.base()).unwrap_or_default()
    }

    /// `kept`, which has been checked, is what is kept; the caller has seen to the room for it.
    pub(crate) fn restore(
        &mut self,
        outbox: &mut Outbox,
        requests: &Requests,
        bytes: &mut [u8],
        slots: &mut [Slot],
        kept: &[u8],
    ) {
        outbox.replace_kept(bytes, slots, requests, self.start, kept);
        self.count = self.iter(outbox, bytes).count();
        self.asked = 0;
    }

    /// Whether a renewal has been due, and not answered.
    pub(crate) fn set_due(&mut self, due: bool) {
        self.asked = if due { self.count } else { 0 };
    }

    /// Where they start.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Every subscription kept.
    pub(crate) fn iter<'b>(
        &self,
        outbox: &Outbox,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = Subscription<'b>> + use<'b> {
        let (mut at, end) = (self.start, outbox.base());
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let entry = Entry::at(bytes, at);
            at = entry.next();
            let filter = Filter::from_bytes(entry.bytes(bytes)?.get(2..)?).ok()?;
            let qos = QoS::from_bits(*bytes.get(entry.at + entry.len)?)?;
            Some(Subscription { filter, qos })
        })
    }
}
