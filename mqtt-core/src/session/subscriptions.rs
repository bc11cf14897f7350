//! Granted subscriptions. The client makes them again if the broker loses the session: that is a renewal.
//!
//! They lie as filters with their QoS, as in the body of a SUBSCRIBE, between the CONNECT and the base of the outbox,
//! with room for a header in front: so a renewal is one SUBSCRIBE that is already encoded. It goes out ahead of the
//! packets in the outbox, under a packet id that requests never get. It stays due until it is answered: if the link
//! breaks before, the broker may keep a session that does not have the subscriptions.

use super::{
    outbox::{Frame, Outbox, copy, frame_at, move_bytes, put_u16, u16_at},
    requests::{LAST_ID, Table},
};
use crate::{
    codec::{FirstByte, Granted, Header, PacketId, PacketType, QoS, Violation},
    topic::Filter,
};

const RENEWAL_ID: u16 = LAST_ID + 1;
/// Room for the longest header and the packet id.
pub(crate) const SPARE: usize = Header::MAX_LEN + PacketId::LEN;

/// Bytes of the longest SUBACK with `codes` codes.
pub(crate) const fn suback_len(codes: usize) -> usize {
    Header::MAX_LEN + PacketId::LEN + codes
}

/// A subscription that the client makes again if the broker loses the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription<'a> {
    /// The filter subscribed to.
    pub filter: Filter<'a>,
    /// The QoS asked for.
    pub qos: QoS,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Subscriptions {
    /// Where they start; they end at the outbox's base.
    start: usize,
    renewals: Renewals,
    /// Filters granted, and filters of SUBSCRIBEs in flight.
    count: usize,
    /// The bytes of a renewal that are still to be sent.
    cursor: usize,
    end: usize,
    /// Filters in the renewal that awaits its SUBACK; 0: no renewal is due.
    asked: usize,
}

/// Whether granted subscriptions are stored, and made again if the broker loses the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Renewals {
    On,
    Off,
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
pub(super) fn filter_count(bytes: &[u8], start: usize) -> usize {
    let Some(Frame { header, len, .. }) = frame_at(bytes, start) else { return 0 };
    let mut at = start + header + PacketId::LEN;
    let mut count = 0;
    while at < start + len {
        at = Entry::at(bytes, at).next();
        count += 1;
    }
    count
}

impl Subscriptions {
    pub(super) const fn new(start: usize, renewals: Renewals) -> Self {
        Self { start, renewals, count: 0, cursor: 0, end: 0, asked: 0 }
    }

    /// Filters granted, and filters of SUBSCRIBEs in flight; 0 if there are no renewals.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn are_renewed(&self) -> bool {
        matches!(self.renewals, Renewals::On)
    }

    /// A SUBSCRIBE of `filters` filters was accepted.
    pub(super) const fn expect(&mut self, filters: usize) {
        if self.are_renewed() {
            self.count += filters;
        }
    }

    /// A SUBSCRIBE of `filters` filters was given up.
    pub(super) const fn give_up(&mut self, filters: usize) {
        if self.are_renewed() {
            self.count = self.count.saturating_sub(filters);
        }
    }

    /// The SUBSCRIBE at `place` in the outbox was answered and leaves it; the granted filters stay here.
    pub(super) fn granted(
        &mut self,
        outbox: &mut Outbox,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        place: u32,
        granted: Granted<'_>,
    ) {
        let mut end = outbox.base();
        let Some(frame) = outbox.bring_down(bytes, table, place) else { return };
        let mut at = end + frame.header + PacketId::LEN;
        for code in granted.iter() {
            let entry = Entry::at(bytes, at);
            at = entry.next();
            let known = self.find(bytes, end, entry);
            match (code, known) {
                // [MQTT-3.8.4-3]: the newer subscription replaces the older one.
                (Some(_), Some(known)) => {
                    move_bytes(bytes, entry.at + entry.len, known.at + known.len, 1);
                    self.count -= 1;
                }
                (Some(_), None) => {
                    move_bytes(bytes, entry.at, end, entry.len + 1);
                    end += entry.len + 1;
                }
                (None, _) => self.count -= 1,
            }
        }
        outbox.set_base(end);
    }

    /// The UNSUBSCRIBE at `place` in the outbox was answered: its filters leave.
    pub(super) fn unsubscribed(&mut self, outbox: &mut Outbox, bytes: &mut [u8], place: u32) {
        let start = place as usize;
        let Some(frame) = frame_at(bytes, start) else { return };
        let mut at = start + frame.header + PacketId::LEN;
        while at < start + frame.len {
            let entry = Entry::at(bytes, at);
            at += entry.len;
            let end = outbox.base();
            if let Some(known) = self.find(bytes, end, entry) {
                move_bytes(bytes, known.next(), known.at, end - known.next());
                outbox.set_base(end - (known.len + 1));
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

    /// The broker may not have the subscriptions: all are made again, ahead of the packets in the outbox.
    pub(super) fn renew(&mut self, outbox: &Outbox, bytes: &mut [u8]) {
        let len = outbox.base() - self.start;
        let mut header = [0; Header::MAX_LEN];
        let Ok(header_len) = Header::encode(
            FirstByte::of(PacketType::Subscribe).get(),
            PacketId::LEN + len,
            &mut header,
        ) else {
            return;
        };
        if len == 0 {
            self.asked = 0;
            return;
        }
        self.cursor = self.start - PacketId::LEN - header_len;
        self.end = outbox.base();
        copy(bytes, self.cursor, header.get(..header_len).unwrap_or_default());
        put_u16(bytes, self.start - PacketId::LEN, RENEWAL_ID);
        self.asked = filter_count(bytes, self.cursor);
    }

    /// Whether a renewal is not answered yet.
    pub(super) const fn is_due(&self) -> bool {
        self.asked != 0
    }

    /// The connection ended.
    pub(super) const fn disconnected(&mut self) {
        self.cursor = 0;
        self.end = 0;
    }

    /// How many bytes of a renewal are ready for the transport.
    pub(super) const fn ready_len(&self) -> usize {
        self.end - self.cursor
    }

    /// The bytes of a renewal that are ready for the transport.
    pub(super) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.end).unwrap_or_default()
    }

    /// The transport has taken `count` bytes; whether that completed the renewal.
    pub(super) fn transmitted(&mut self, count: usize) -> bool {
        self.cursor += count.min(self.ready_len());
        self.cursor == self.end
    }

    /// Whether a SUBACK with `id` and `codes` codes answers a renewal.
    pub(super) fn is_answer(&mut self, id: PacketId, codes: usize) -> Result<bool, Violation> {
        let awaited = self.asked != 0 && self.end != 0 && self.ready_len() == 0;
        if id.get() != RENEWAL_ID || !awaited {
            return Ok(false);
        }
        // [MQTT-3.8.4-5]
        if self.asked != codes {
            return Err(Violation::SubAckCount);
        }
        self.asked = 0;
        Ok(true)
    }

    /// The filters granted, as in the body of a SUBSCRIBE.
    pub(super) fn filters<'b>(&self, outbox: &Outbox, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.start..outbox.base()).unwrap_or_default()
    }

    /// Replaces the filters granted by `filters`. The caller has checked them, and that there is room.
    pub(super) fn restore(
        &mut self,
        outbox: &mut Outbox,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        filters: &[u8],
    ) {
        outbox.replace_subscriptions(bytes, table, self.start, filters);
        self.count = self.iter(outbox, bytes).count();
        self.asked = 0;
    }

    /// Restores whether a renewal was due when the record was written.
    pub(super) fn set_due(&mut self, due: bool) {
        self.asked = if due { self.count } else { 0 };
    }

    /// Where they start.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Every subscription granted.
    pub(super) fn iter<'b>(
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
