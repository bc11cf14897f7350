//! The packet ids of a session that the client did not open: each has its PUBREL before a publish of QoS 2 is sent.
//!
//! A reclaim is due from the CONNACK on. It may begin once a publish of QoS 2 waits on an accepted connection, and has
//! to if no other request is held back. Until its end that publish stays behind, and so do all requests behind it. The
//! ids are those of the range, and those of publishes of QoS 2 that wait outside of it; they go up, and no other request
//! has one. The end is the PUBCOMP for the last one; or the client gives up, with an event, after
//! `Options::ping_timeout` without a PUBCOMP, or after three connections.

use std::{collections::VecDeque, ops::RangeInclusive};

use mqtt_core::{PacketId, Protocol, SessionStatus};

use super::{
    sender::Sender,
    settings::{PING_TIMEOUT, Settings},
};

/// After this many connections without a PUBCOMP the client goes on without releasing.
const ATTEMPTS: u8 = 3;
/// The range has this many ids more than there can be publishes of QoS 2.
const SPARE: u16 = 8;
/// PUBRELs that the driver is shown at once.
const BATCH: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Reclaim {
    /// Ids of the range.
    count: u16,
    /// The client publishes at QoS 2.
    needed: bool,
    clean: bool,
    /// The client has a session of its own.
    known: bool,
    /// The only ids for publishes of QoS 2, if the session was found.
    range: Option<RangeInclusive<u16>>,
    due: bool,
    /// Every id below is reclaimed.
    first: u16,
    /// Connections in a row on which PUBRELs were shown, and no PUBCOMP came.
    attempts: u8,
    /// The client gave up, and the application was not told.
    untold: bool,
    on_connection: OnConnection,
}

/// The reclaim on one connection.
#[derive(Clone, Debug, Default)]
struct OnConnection {
    /// The place of the publish that waited first, and the highest id outside of the range at that time.
    wanted: Option<u64>,
    outside: u16,
    /// The ids whose PUBRELs were shown and are not sent.
    shown: VecDeque<u16>,
    /// The last id whose PUBREL was shown, and the last one that was sent; 0: none.
    last_shown: u16,
    last_sent: u16,
    /// The end of the time for the next PUBCOMP, once all PUBRELs are sent.
    deadline: Option<u64>,
    /// The client was polled behind that, so it may have given up.
    late: bool,
}

impl Reclaim {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            count: settings.exactly_once_window.min(settings.window) as u16 + SPARE,
            needed: settings.exactly_once_window != 0,
            clean: settings.clean,
            known: false,
            range: None,
            due: false,
            first: 0,
            attempts: 0,
            untold: false,
            on_connection: OnConnection::default(),
        }
    }

    /// Whether the client has a session of its own.
    pub(super) const fn knows(&self) -> bool {
        self.known
    }

    /// The ids that only publishes of QoS 2 have.
    pub(super) const fn range(&self) -> Option<&RangeInclusive<u16>> {
        self.range.as_ref()
    }

    /// The session status that the client has to report for a CONNACK.
    pub(super) const fn status(&self, protocol: Protocol, present: bool) -> SessionStatus {
        match (self.known, matches!(protocol, Protocol::V311), present) {
            (true, true, true) | (true, false, _) => SessionStatus::Resumed,
            (true, true, false) => SessionStatus::Lost,
            (false, true, true) => SessionStatus::Found,
            (false, true, false) | (false, false, _) => SessionStatus::New,
        }
    }

    /// A CONNACK was taken, and `sender` has lost what is lost with it.
    pub(super) fn accepted(&mut self, protocol: Protocol, status: SessionStatus, sender: &Sender) {
        // MQTT 3.1 does not tell whether there was a session.
        let found = match status {
            SessionStatus::Found => true,
            SessionStatus::New => protocol == Protocol::V31 && !self.clean,
            SessionStatus::Resumed | SessionStatus::Lost | _ => false,
        };
        if matches!(status, SessionStatus::New | SessionStatus::Lost) {
            (self.range, self.due) = (None, false);
        }
        // A reclaim goes on in a session that is kept against the client's wish on each connection.
        if found && self.needed && !(self.clean && self.due) {
            self.range = Some(self.choose_range(sender));
            (self.due, self.first, self.attempts) = (true, 0, 0);
        }
        self.known = !self.clean;
        self.look(sender);
    }

    /// The first ids, from those of the waiting publishes on, among which is none of another request.
    fn choose_range(&self, sender: &Sender) -> RangeInclusive<u16> {
        let range = |first: u16| first..=first + (self.count - 1);
        let is_free = |first: &u16| {
            sender.ids().all(|(id, exactly_once)| exactly_once || !range(*first).contains(&id))
        };
        let from = self.waiting(sender).min().unwrap_or(1);
        (from..).find(is_free).map(range).expect("a few thousand requests at most")
    }

    /// The connection is accepted, or a request was: a publish of QoS 2 may wait from now on.
    pub(super) fn look(&mut self, sender: &Sender) {
        if self.due && self.on_connection.wanted.is_none() {
            self.on_connection.wanted = sender.waiting_exactly_once();
            let outside = self.waiting(sender).filter(|id| !self.has(*id)).max();
            self.on_connection.outside = outside.unwrap_or(0);
        }
    }

    /// The ids of the publishes that wait for their PUBREC.
    fn waiting(&self, sender: &Sender) -> impl Iterator<Item = u16> {
        sender.ids().filter(|(_, exactly_once)| *exactly_once).map(|(id, _)| id)
    }

    /// Whether the range has this id.
    fn has(&self, id: u16) -> bool {
        self.range.as_ref().is_some_and(|range| range.contains(&id))
    }

    /// Whether publishes of QoS 2 have to wait.
    pub(super) const fn is_due(&self) -> bool {
        self.due
    }

    /// Whether a PUBREL was shown on this connection, and the reclaim is not over.
    pub(super) const fn awaits_answer(&self) -> bool {
        self.due && self.on_connection.last_shown != 0
    }

    /// The place from which on requests may be held back.
    pub(super) fn holds_from(&self) -> Option<u64> {
        self.on_connection.wanted.filter(|_| self.due)
    }

    /// Whether the client has to give up instead of another attempt.
    pub(super) const fn is_hopeless(&self) -> bool {
        self.attempts == ATTEMPTS && !self.awaits_answer()
    }

    /// The next id from `from` on whose PUBREL is to be sent.
    fn next(&self, from: u16, sender: &Sender) -> Option<u16> {
        let range = self.range.clone().into_iter().flatten();
        range
            .chain(self.waiting(sender))
            .filter(|id| *id >= from && self.is_reclaimable(*id, sender))
            .min()
    }

    /// No other request has this id.
    fn is_reclaimable(&self, id: u16, sender: &Sender) -> bool {
        sender.ids().all(|(other, exactly_once)| other != id || exactly_once)
    }

    /// Whether all PUBRELs of this connection were sent.
    pub(super) fn is_sent(&self, sender: &Sender) -> bool {
        let last = self.on_connection.last_shown;
        self.on_connection.shown.is_empty() && self.next(self.first.max(last + 1), sender).is_none()
    }

    /// Whether the next PUBREL is for `id`, and comes alone.
    pub(super) fn comes_alone(&self, id: PacketId, sender: &Sender) -> bool {
        let begins = self.on_connection.wanted.is_some() && !sender.may_hold();
        let goes_on = self.awaits_answer() || begins && !self.is_hopeless();
        let next = self.next(self.first.max(self.on_connection.last_shown + 1), sender);
        goes_on && next == Some(id.get()) && self.next(id.get() + 1, sender).is_none()
    }

    /// The driver is shown these PUBRELs; none of another kind is among them.
    pub(super) fn show(&mut self, ids: &[PacketId], sender: &Sender) {
        assert!(
            self.due && self.on_connection.wanted.is_some(),
            "no publish of QoS 2 waits for {ids:?}"
        );
        assert!(!self.is_hopeless(), "another attempt");
        assert!(ids.len() <= BATCH && self.on_connection.shown.is_empty(), "too many at once");
        if !self.awaits_answer() {
            self.attempts += 1;
        }
        for id in ids.iter().map(|id| id.get()) {
            let from = self.first.max(self.on_connection.last_shown + 1);
            assert!(from <= id, "{id} is reclaimed, or its PUBREL was sent");
            assert!(self.is_reclaimable(id, sender), "a request in flight has {id}");
            // A publish outside of the range may have been taken back.
            let next = self.next(from, sender);
            assert!(next.is_none_or(|next| id <= next), "{id} before {next:?}");
            let outside = id <= self.on_connection.outside;
            assert!(next == Some(id) || outside, "nothing needs {id}");
            self.on_connection.shown.push_back(id);
            self.on_connection.last_shown = id;
        }
        let next = self.next(self.on_connection.last_shown + 1, sender);
        assert!(ids.len() == BATCH || next.is_none(), "{next:?} is shown later");
    }

    /// A PUBREL was sent. Returns whether it reclaims an id.
    pub(super) fn sent(&mut self, id: PacketId, now: u64, sender: &Sender) -> bool {
        let next = self.on_connection.shown.pop_front();
        assert!(next.is_none_or(|next| next == id.get()), "{next:?} was shown before {id:?}");
        if next.is_some() {
            self.on_connection.last_sent = id.get();
            self.expect(now, sender);
        }
        next.is_some()
    }

    /// The time for the next PUBCOMP begins, if all PUBRELs are sent.
    fn expect(&mut self, now: u64, sender: &Sender) {
        let is_sent = self.due && self.is_sent(sender);
        self.on_connection.deadline = is_sent.then(|| now.saturating_add(PING_TIMEOUT));
        self.on_connection.late = false;
    }

    /// The client refused input, and takes it again: the PUBCOMP may lie behind.
    pub(super) fn postpone(&mut self, now: u64) {
        let least = now.saturating_add(PING_TIMEOUT);
        let deadline = &mut self.on_connection.deadline;
        *deadline = deadline.map(|deadline| deadline.max(least));
    }

    /// The end of the time for the next PUBCOMP.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.on_connection.deadline.filter(|_| self.due)
    }

    /// The client is polled behind that time.
    pub(super) const fn is_late(&mut self) {
        self.on_connection.late = true;
    }

    /// Whether the client may give up, or may have given up and not said so.
    pub(super) const fn may_give_up(&self) -> bool {
        let hopeless = self.on_connection.wanted.is_some() && self.is_hopeless();
        self.due && (self.on_connection.late || hopeless)
    }

    /// A PUBCOMP was taken. Returns whether it answers a PUBREL that reclaims an id.
    pub(super) fn take_answer(&mut self, id: PacketId, now: u64, sender: &Sender) -> bool {
        let last_sent = self.on_connection.last_sent;
        let id = id.get();
        // An id outside of the range is asked for as long as its publish waits.
        let counts = self.has(id) || self.waiting(sender).any(|waiting| waiting == id);
        let asked = (self.first..=last_sent).contains(&id) && counts;
        if !asked || !self.is_reclaimable(id, sender) {
            return false;
        }
        // The answers come in order.
        self.first = id + 1;
        self.attempts = 0;
        if self.due && id == last_sent && self.is_sent(sender) {
            self.due = false;
            self.on_connection = OnConnection::default();
        } else if self.due {
            self.expect(now, sender);
        }
        true
    }

    /// A publish of QoS 2 is shown.
    pub(super) fn goes_on(&mut self, sender: &Sender) {
        let nothing_left = self.on_connection.last_shown == 0 && self.is_sent(sender);
        if !nothing_left {
            assert!(self.may_give_up(), "a publish before the ids are reclaimed");
            self.untold = true;
        }
        self.due = false;
    }

    /// The application is told that the client gave up.
    pub(super) fn not_reclaimed(&mut self) {
        if !std::mem::take(&mut self.untold) {
            assert!(self.may_give_up(), "the broker can still answer");
            self.due = false;
        }
    }

    /// The application has been told of everything.
    pub(super) fn all_is_told(&self) {
        assert!(!self.untold, "nobody is told that ids were not reclaimed");
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.on_connection = OnConnection::default();
    }
}
