//! Granted subscriptions. The client makes them again if the broker loses the session: that is a renewal.
//!
//! They lie as filters with their QoS, as in the body of a SUBSCRIBE, between the CONNECT and the base of the outbox. A
//! renewal asks for a few of them at a time, because some brokers take only a few filters in one SUBSCRIBE. It goes out
//! ahead of the requests in the outbox, under two packet ids that requests never get, and its next packet follows the
//! answer to the one before. The ids take turns, so a SUBACK that comes twice does not answer two packets. In front of
//! the filters is room for a header; the packets behind the first one have their header there and their body apart. A
//! renewal stays due until all of it is answered: if the link breaks before, the broker may keep a session that does
//! not have the subscriptions.

use super::{
    outbox::{Frame, Outbox, copy, frame_at, move_bytes, put_u16, u16_at},
    requests::{LAST_ID, Table},
};
use crate::{
    codec::{FirstByte, Granted, Header, PacketId, PacketType, QoS, Violation},
    topic::Filter,
};

/// The ids of the packets of a renewal, in turns.
const FIRST_RENEWAL_ID: u16 = LAST_ID + 2;
const OTHER_RENEWAL_ID: u16 = LAST_ID + 1;
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
    /// Filters that a SUBSCRIBE of a renewal has at most.
    most: u16,
    /// The same in the renewal that goes on.
    most_now: u16,
    /// Filters granted, and filters of SUBSCRIBEs in flight.
    count: usize,
    /// A renewal is not answered in full.
    due: bool,
    /// The driver was shown the packet of the renewal that is being sent.
    shown: bool,
    /// The bytes of that packet that are still to be sent: its header, and its body if that lies apart.
    head: Span,
    body: Span,
    /// Filters in the packet that is being sent or awaits its SUBACK, and the position of the first one.
    asked: u16,
    first: u16,
    /// Its packet id.
    id: u16,
    /// Where the filters start that follow; 0: none.
    next: usize,
    /// The packet was sent when the time for its answer began. See [`Subscriptions::watch_answer`].
    awaited: bool,
}

/// A range of the arena.
#[derive(Clone, Copy, Debug, Hash)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    const EMPTY: Self = Self { start: 0, end: 0 };

    const fn len(self) -> usize {
        self.end - self.start
    }

    /// Takes `count` bytes from the front; gives how many are left of `count`.
    fn take(&mut self, count: usize) -> usize {
        let taken = count.min(self.len());
        self.start += taken;
        count - taken
    }
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
    pub(super) const fn new(start: usize, renewals: Renewals, most: u16) -> Self {
        Self {
            start,
            renewals,
            most,
            most_now: most,
            count: 0,
            due: false,
            shown: false,
            head: Span::EMPTY,
            body: Span::EMPTY,
            asked: 0,
            first: 0,
            id: FIRST_RENEWAL_ID,
            next: 0,
            awaited: false,
        }
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

    /// Filters in the longest SUBSCRIBE of a renewal of `filters` filters.
    pub(super) fn most_asked(&self, filters: usize) -> usize {
        filters.min(usize::from(self.most.max(1)))
    }

    /// The broker may not have the subscriptions: all are made again, ahead of the requests in the outbox.
    pub(super) fn renew(&mut self, outbox: &Outbox, bytes: &mut [u8], one_by_one: bool) {
        self.most_now = if one_by_one { 1 } else { self.most.max(1) };
        self.due = outbox.base() != self.start;
        self.asked = 0;
        self.id = OTHER_RENEWAL_ID;
        self.next = self.start;
        self.ask(outbox.base(), bytes);
    }

    /// Prepares the next packet of a renewal: some filters from `next` on. All of them end at `end`.
    fn ask(&mut self, end: usize, bytes: &mut [u8]) {
        self.asked = 0;
        self.awaited = false;
        let start = core::mem::take(&mut self.next);
        self.first = self.count_before(bytes, start);
        let mut at = start;
        while at < end && self.asked < self.most_now {
            at = Entry::at(bytes, at).next();
            self.asked += 1;
        }
        let mut header = [0; Header::MAX_LEN];
        let first = FirstByte::of(PacketType::Subscribe).get();
        let header_len = Header::encode(first, PacketId::LEN + (at - start), &mut header);
        let (1.., Ok(header_len)) = (self.asked, header_len) else { return };
        let head = self.start - PacketId::LEN - header_len;
        copy(bytes, head, header.get(..header_len).unwrap_or_default());
        self.id ^= FIRST_RENEWAL_ID ^ OTHER_RENEWAL_ID;
        put_u16(bytes, self.start - PacketId::LEN, self.id);
        self.head = Span { start: head, end: self.start };
        self.body = Span { start, end: at };
        self.next = if at < end { at } else { 0 };
        self.shown = false;
    }

    /// How many filters lie before `position`.
    fn count_before(&self, bytes: &[u8], position: usize) -> u16 {
        let (mut at, mut count) = (self.start, 0);
        while at < position {
            at = Entry::at(bytes, at).next();
            count += 1;
        }
        count
    }

    /// Takes back the packet of a renewal that is ready and was not shown. Gives whether there was one.
    fn take_back(&mut self) -> bool {
        let ready = self.ready_len() != 0;
        if ready {
            self.next = self.body.start;
            self.asked = 0;
            self.id ^= FIRST_RENEWAL_ID ^ OTHER_RENEWAL_ID;
            self.head = Span::EMPTY;
            self.body = Span::EMPTY;
        }
        ready
    }

    /// Whether a renewal is not answered in full.
    pub(super) const fn is_due(&self) -> bool {
        self.due
    }

    /// Whether filters of a renewal are still to be sent.
    pub(super) const fn has_more_to_ask(&self) -> bool {
        self.next != 0 || self.ready_len() != 0
    }

    /// The position of the first filter, and the number of filters, of the packet that may have been sent and is not
    /// answered.
    pub(super) fn awaited(&self) -> Option<(usize, usize)> {
        (self.shown && self.asked != 0).then(|| (self.first.into(), self.asked.into()))
    }

    /// The connection ended.
    pub(super) const fn disconnected(&mut self) {
        self.head = Span::EMPTY;
        self.body = Span::EMPTY;
        self.asked = 0;
        self.next = 0;
        self.shown = false;
        self.awaited = false;
    }

    /// Whether a renewal was sent and awaits its answer.
    pub(super) const fn awaits_answer(&self) -> bool {
        self.asked != 0 && self.ready_len() == 0
    }

    /// From now on a renewal that was sent is awaited.
    pub(super) const fn watch_answer(&mut self) {
        self.awaited = self.awaits_answer();
    }

    /// Whether it is awaited since [`Subscriptions::watch_answer`].
    pub(super) const fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// The driver is going to see the ready bytes.
    pub(super) const fn show(&mut self) {
        self.shown = true;
    }

    /// Whether a packet of a renewal was shown and is not sent.
    pub(super) const fn is_begun(&self) -> bool {
        self.shown && self.ready_len() != 0
    }

    /// How many bytes of a renewal are ready for the transport.
    pub(super) const fn ready_len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The bytes of a renewal that are ready for the transport; if the body lies apart, the header comes first.
    pub(super) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let Span { start, end } = self.head;
        let ready = if self.head.len() == 0 {
            self.body.start..self.body.end
        } else if end == self.body.start {
            start..self.body.end
        } else {
            start..end
        };
        bytes.get(ready).unwrap_or_default()
    }

    /// The transport has taken `count` bytes; whether that completed a packet.
    pub(super) fn transmitted(&mut self, count: usize) -> bool {
        let left = self.head.take(count);
        self.body.take(left);
        self.ready_len() == 0
    }

    /// Whether a SUBACK with `id` may answer a packet of a renewal that was shown and is not reported as taken.
    pub(super) const fn may_be_answered(&self, id: PacketId) -> bool {
        id.get() == self.id && self.is_begun()
    }

    /// Whether a SUBACK with `id` and `codes` codes answers a renewal; gives the position of the first filter. The next
    /// filters are asked for.
    pub(super) fn answered(
        &mut self,
        outbox: &Outbox,
        bytes: &mut [u8],
        id: PacketId,
        codes: usize,
    ) -> Result<Option<usize>, Violation> {
        if id.get() != self.id || !self.awaits_answer() {
            return Ok(None);
        }
        // [MQTT-3.8.4-5]
        if usize::from(self.asked) != codes {
            return Err(Violation::SubAckCount);
        }
        let first = self.first.into();
        if self.next == 0 {
            self.asked = 0;
            self.due = false;
        } else {
            self.ask(outbox.base(), bytes);
        }
        Ok(Some(first))
    }

    /// Whether a SUBACK with `id` may answer a packet of a renewal that is not reported as taken.
    pub(super) fn is_answered_early(&self, id: PacketId) -> bool {
        id.get() == self.id && self.is_begun()
    }

    /// Takes `count` subscriptions out, from the one at position `first` on. No renewal is sent in part.
    pub(super) fn forget(
        &mut self,
        outbox: &mut Outbox,
        bytes: &mut [u8],
        first: usize,
        count: usize,
    ) {
        let end = outbox.base();
        let (mut at, mut position) = (self.start, 0);
        let (mut from, mut removed) = (None, 0);
        while at < end && removed < count {
            if position == first {
                from = Some(at);
            }
            removed += usize::from(from.is_some());
            at = Entry::at(bytes, at).next();
            position += 1;
        }
        let Some(from) = from else { return };
        let again = self.take_back();
        move_bytes(bytes, at, from, end - at);
        if self.next >= at {
            self.next -= at - from;
        } else if self.next > from {
            self.next = from;
        }
        if first < usize::from(self.first) {
            self.first -= removed.min(usize::from(self.first) - first) as u16;
        }
        let end = end - (at - from);
        if self.next == end {
            self.next = 0;
        }
        self.count = self.count.saturating_sub(removed);
        outbox.set_base(end);
        if again && self.next != 0 {
            self.ask(end, bytes);
        } else if again {
            // Nothing is left to ask for.
            self.due = false;
        }
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
        self.due = false;
    }

    /// Restores whether a renewal was due when the record was written.
    pub(super) const fn set_due(&mut self, due: bool) {
        self.due = due;
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
