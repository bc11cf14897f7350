//! Packet ids that the broker may hold from before: they are reclaimed before a publish of QoS 2 uses them.
//!
//! The broker may have a session that this client did not open, because the device lost its state, or that it left
//! behind at this broker. It may hold QoS 2 publishes from then whose PUBREL never came. If a new publish used one of
//! their packet ids, the broker would take it for a duplicate and drop it. So a PUBREL goes out first for every id that
//! publishes of QoS 2 may get. The broker answers each with a PUBCOMP [MQTT-4.3.3-2] and publishes the message that it
//! held, once.
//!
//! - A reclaim that is due costs nothing until a publish of QoS 2 waits to be sent. Many clients never make one, and
//!   many brokers do not answer such a PUBREL, or close the connection at it.
//! - Requests ahead of that publish, and all answers, go on as usual. The publish, and whatever lies behind it, is
//!   [held back](super::stuck::Hold) until the last PUBCOMP: the order stays.
//! - Ids in flight are not reclaimed. `requests` chooses a range of ids without them and keeps other requests out of
//!   it. A publish of QoS 2 that was accepted before, and never sent, may have an id outside; that is reclaimed as well.
//! - While a reclaim is due, no publish of QoS 2 has been sent in this session.
//!
//! The broker may not answer. Once all PUBRELs are sent, after `Options::ping_timeout` without one more PUBCOMP, the
//! client goes on without them: the broker gets the PUBRELs before the publish in any case, because the transport keeps
//! their order. A PINGREQ follows: a broker that reads nothing behind such a PUBREL, as RabbitMQ does, is found out
//! within that time once more, and gets the publish on the next connection. If the broker closes the connection instead,
//! the client gives the reclaim up after [`ATTEMPTS`] connections without a PUBCOMP. They are counted for each broker.
//! Both are told as `Event::NotReclaimed`.

use super::{
    Session, SessionMut,
    qos::Awaits,
    requests::{Ids, Range},
    stuck::Hold,
};
use crate::codec::{
    FirstByte, PacketId, PacketType,
    ack::{self, ACK_LEN},
};

/// Connections without progress.
const ATTEMPTS: u8 = 3;
/// PUBRELs that the driver is shown at once.
const BATCH: usize = 8;

/// The meaning of a PUBCOMP for the reclaim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reclaimed {
    /// It answers a PUBREL of a request.
    No,
    /// It may answer a PUBREL that is not reported as taken.
    NotYet,
    /// One id more is reclaimed.
    One,
    /// It was the last one.
    Last,
    /// The client has given up waiting for it.
    Late,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Step {
    /// The broker holds none of the ids.
    #[default]
    Nothing,
    /// It may hold some, and no publish of QoS 2 waits to be sent on this connection.
    Due,
    /// PUBRELs are sent.
    Running,
}

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Reclaim {
    step: Step,
    /// Every id below is reclaimed.
    first: u16,
    /// The next id whose PUBREL goes into a batch; 0: there is none.
    next: u16,
    /// The last id whose PUBREL went into a batch, and the last one whose PUBREL was sent; 0: none on this connection.
    last: u16,
    last_sent: u16,
    /// The PUBRELs that are being sent.
    batch: [[u8; ACK_LEN]; BATCH],
    /// Bytes of the batch, and those of them that are sent.
    len: u8,
    sent: u8,
    /// The driver was shown PUBRELs on this connection.
    shown: bool,
    /// Connections in a row on which it was, and no PUBCOMP came.
    attempts: u8,
    /// The next id outside of the range; 0: there is none.
    outside: u16,
    /// The broker has accepted a connection, and it is not gone.
    connected: bool,
    /// The application is to be told that the reclaim was given up.
    untold: bool,
}

impl Reclaim {
    /// The broker may hold ids.
    const fn set_due(&mut self) {
        self.step = Step::Due;
        self.first = 0;
        self.attempts = 0;
    }

    /// Restores whether a reclaim was due when the record was written.
    pub(super) fn restore(&mut self, due: bool) {
        self.cancel();
        if due {
            self.set_due();
        }
    }

    /// The broker holds no ids: it has a new session, or one that is this client's.
    pub(super) fn cancel(&mut self) {
        *self = Self { connected: self.connected, untold: self.untold, ..Self::default() };
    }

    /// Whether ids are still to be reclaimed.
    pub(super) fn is_due(&self) -> bool {
        self.step != Step::Nothing
    }

    pub(super) fn is_running(&self) -> bool {
        self.step == Step::Running
    }

    /// The broker accepted a connection.
    pub(super) const fn connected(&mut self) {
        self.connected = true;
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        if self.is_running() {
            self.step = Step::Due;
        }
        self.next = 0;
        self.last = 0;
        self.last_sent = 0;
        self.len = 0;
        self.sent = 0;
        self.shown = false;
    }

    /// Whether a PUBREL may have been sent and has no PUBCOMP.
    pub(super) fn awaits_answer(&self) -> bool {
        self.is_running() && self.shown
    }

    /// Whether all PUBRELs are sent, and some have no PUBCOMP.
    fn awaits_only_answers(&self) -> bool {
        self.awaits_answer() && self.next == 0 && self.ready_len() == 0
    }

    /// The driver is going to see the ready bytes.
    pub(super) const fn show(&mut self) {
        if !self.shown {
            self.shown = true;
            self.attempts += 1;
        }
    }

    /// How many bytes are ready for the transport.
    pub(super) const fn ready_len(&self) -> usize {
        self.len.saturating_sub(self.sent) as usize
    }

    /// The bytes ready for the transport.
    pub(super) fn ready(&self) -> &[u8] {
        self.batch.as_flattened().get(self.sent.into()..self.len.into()).unwrap_or_default()
    }

    /// Whether a PUBREL is sent in part.
    pub(super) fn is_begun(&self) -> bool {
        usize::from(self.sent) % ACK_LEN != 0
    }

    /// Bytes of the PUBRELs that come behind the batch, at most.
    pub(super) fn later_len(&self, range: Range) -> usize {
        let next = usize::from(self.next);
        let later = if next == 0 { 0 } else { (usize::from(range.last) + 1).saturating_sub(next) };
        later * ACK_LEN
    }

    /// The transport has taken `count` bytes; gives how many packets that completed.
    fn transmitted(&mut self, count: usize) -> u32 {
        let before = usize::from(self.sent) / ACK_LEN;
        self.sent = self.sent.saturating_add(count.min(BATCH * ACK_LEN) as u8).min(self.len);
        let packets = usize::from(self.sent) / ACK_LEN;
        let last = packets.checked_sub(1).and_then(|at| self.batch.get(at));
        if let Some([_, _, high, low]) = last {
            self.last_sent = u16::from_be_bytes([*high, *low]);
        }
        (packets - before) as u32
    }

    /// The connections without progress that count when the client comes back to this broker. If the reclaim was given
    /// up, there is one more chance.
    pub(super) fn attempts_to_keep(&self) -> u8 {
        if self.is_due() { self.attempts } else { self.attempts.min(ATTEMPTS - 1) }
    }

    /// The client has come back to a broker where so many connections were without progress.
    pub(super) const fn go_on(&mut self, attempts: u8) {
        self.attempts = attempts;
    }

    /// Whether the application is to be told that the reclaim was given up.
    pub(super) const fn is_untold(&self) -> bool {
        self.untold
    }

    const fn give_up(&mut self) {
        self.step = Step::Nothing;
        self.next = 0;
        self.attempts = ATTEMPTS;
        self.untold = true;
    }
}

impl SessionMut<'_> {
    /// The broker may hold packet ids from before. Only publishes of QoS 2 could collide with them.
    #[inline(never)] // for less flash
    pub(super) fn reclaim_is_due(&mut self) {
        if self.session.exactly_once_window != 0 {
            let session = &mut *self.session;
            let most = session.exactly_once_window;
            let range = session.requests.range_to_reclaim(self.slots, most);
            session.requests.set_ids(self.slots, Ids::Reclaimed(range));
            session.reclaim.set_due();
            session.changes.need();
        }
    }

    /// Whether a publish of QoS 2 waits for a reclaim.
    pub(crate) fn is_reclaiming(&self) -> bool {
        let session = &*self.session;
        session.reclaim.is_running()
            || session.reclaim.is_due() && session.outbox.unsent_qos_2(self.bytes).is_some()
    }

    /// Begins the reclaim if it is due, a publish of QoS 2 waits to be sent, and nothing is held back. That publish, and
    /// whatever is behind it, is held back.
    #[cold]
    pub(super) fn begin_reclaim(&mut self) {
        let session = &mut *self.session;
        let due = session.reclaim.step == Step::Due && session.reclaim.connected;
        if !due || session.outbox.is_holding() {
            return;
        }
        let Some(place) = session.outbox.unsent_qos_2(self.bytes) else { return };
        if session.reclaim.attempts >= ATTEMPTS {
            self.give_up_reclaim();
            return;
        }
        session.outbox.hold_at(place);
        session.hold = Hold::Reclaim;
        session.plain = false;
        session.reclaim.step = Step::Running;
        session.reclaim.next = session.reclaim.first.max(1);
        session.reclaim.outside =
            session.requests.exactly_once_outside(self.slots, session.reclaim.next);
        self.load_pubrels();
    }

    /// Puts the next PUBRELs into the batch.
    fn load_pubrels(&mut self) {
        self.session.reclaim.len = 0;
        self.session.reclaim.sent = 0;
        for place in 0..BATCH {
            let Some(id) = self.next_to_reclaim() else { break };
            let reclaim = &mut self.session.reclaim;
            reclaim.last = id.get();
            reclaim.len += ACK_LEN as u8;
            if let Some(packet) = reclaim.batch.get_mut(place) {
                *packet = ack::packet(FirstByte::of(PacketType::PubRel), id);
            }
        }
        if self.session.reclaim.last == 0 {
            // Nothing is left to reclaim: all ids are in flight, or the last one was reclaimed at the end of the last
            // connection.
            self.end_reclaim();
        }
    }

    /// The next id to be reclaimed; `None` if there are no more.
    fn next_to_reclaim(&mut self) -> Option<PacketId> {
        let Session { reclaim, requests, .. } = &mut *self.session;
        let Range { first, last } = requests.reclaimed_range()?;
        let mut next = reclaim.next;
        if next == 0 {
            return None;
        }
        next = next.max(first);
        // Ids in flight are left out, unless a publish of QoS 2 waits under them.
        let is_left_out = |id| {
            let found = PacketId::new(id).and_then(|id| requests.find(self.slots, id));
            found.is_some_and(|found| found.awaits != Awaits::PubRec)
        };
        while next <= last && is_left_out(next) {
            next += 1;
        }
        let outside = reclaim.outside;
        if outside != 0 && (outside < next || next > last) {
            next = outside;
            reclaim.outside = requests.exactly_once_outside(self.slots, outside + 1);
        } else if next > last {
            next = 0;
        }
        reclaim.next = if next == 0 { 0 } else { next + 1 };
        PacketId::new(next)
    }

    /// Whether a PUBREL that reclaims an id may have been sent and is not answered.
    pub(crate) fn reclaim_awaits_answer(&self) -> bool {
        self.session.reclaim.awaits_answer()
    }

    /// As [`reclaim_awaits_answer`](Self::reclaim_awaits_answer), once all of these PUBRELs are sent.
    pub(crate) fn reclaim_awaits_only_answers(&self) -> bool {
        self.session.reclaim.awaits_only_answers()
    }

    /// Whether the application is to be told that the reclaim was given up.
    pub(crate) const fn next_not_reclaimed(&mut self) -> bool {
        core::mem::replace(&mut self.session.reclaim.untold, false)
    }

    /// The transport has taken `count` bytes of the PUBRELs; gives how many packets that completed.
    pub(crate) fn reclaim_transmitted(&mut self, count: usize) -> u32 {
        let packets = self.session.reclaim.transmitted(count);
        if self.session.reclaim.ready_len() == 0 && self.session.reclaim.next != 0 {
            self.load_pubrels();
        }
        packets
    }

    /// A PUBCOMP for `id` came: does it answer a PUBREL that reclaims an id?
    pub(crate) fn reclaimed(&mut self, id: PacketId) -> Reclaimed {
        let Session { reclaim, requests, .. } = &*self.session;
        // Other requests, and released publishes, have answers of their own.
        let found = requests.find(self.slots, id).map(|found| found.awaits);
        let waits = matches!(found, Some(Awaits::PubRec | Awaits::Nothing));
        let is_free = requests.reclaimed_range().is_some_and(|range| range.has(id));
        let known = waits || found.is_none() && is_free;
        if !known || !(reclaim.first..=reclaim.last).contains(&id.get()) {
            return Reclaimed::No;
        }
        if id.get() > reclaim.last_sent {
            return Reclaimed::NotYet;
        }
        let reclaim = &mut self.session.reclaim;
        // Whoever answers this PUBREL has got all earlier ones.
        reclaim.first = id.get() + 1;
        reclaim.attempts = 0;
        if !reclaim.is_running() {
            return Reclaimed::Late;
        }
        if reclaim.next != 0 || id.get() != reclaim.last {
            return Reclaimed::One;
        }
        self.end_reclaim();
        Reclaimed::Last
    }

    /// All ids are reclaimed.
    fn end_reclaim(&mut self) {
        self.session.reclaim.cancel();
        // It has to be recorded before a QoS 2 publish is sent.
        self.session.changes.need();
    }

    /// The broker does not answer: publishes of QoS 2 go on.
    #[cold]
    pub(crate) fn give_up_reclaim(&mut self) {
        self.session.reclaim.give_up();
        self.session.changes.need();
    }
}
