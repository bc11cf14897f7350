//! Requests that stand in the way: the same one was the first unanswered request at the end of several connections.
//!
//! A broker may close the connection at a packet that it does not allow [MQTT-3.3.5-2], and the next one at the same
//! packet, because it is sent again first. Or it never answers. Nobody says which packet it was, so the client counts
//! the ends of connections by their first unanswered request. If several requests were under way, the next connection
//! sends that one alone, to be sure. After `Options::stuck_after` ends the application hears of it, or the request is
//! given up.
//!
//! A renewal of the subscriptions can be stuck as well. Its filters are then asked for one by one.

use super::{
    Handle, SessionMut,
    qos::Awaits,
    requests::{Ending, InFlight, Table},
};

/// A request that had no answer when a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Suspect {
    Nobody,
    Request(Handle),
    /// The renewal of the subscriptions from this one on.
    Renewal(u32),
}

/// What speaks against a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Case<S> {
    suspect: S,
    /// Connections in a row that ended with it as the first unanswered request; 0: nobody is suspected.
    ends: u16,
    /// The application is to be told.
    untold: bool,
    /// The application was told of this suspect.
    told: bool,
}

impl<S: Copy + PartialEq> Case<S> {
    const fn new(suspect: S) -> Self {
        Self { suspect, ends: 0, untold: false, told: false }
    }

    const fn suspect(&self) -> Option<S> {
        if self.ends == 0 { None } else { Some(self.suspect) }
    }

    /// A connection ended with `suspect` as the first unanswered request. `alone`: it was the only one.
    fn count(&mut self, suspect: S, alone: bool, after: u16) {
        if self.suspect != suspect {
            *self = Self::new(suspect);
        }
        self.ends = self.ends.saturating_add(1);
        if alone && self.ends >= after && self.ends % after == 0 {
            self.untold = true;
            self.told = true;
        }
    }
}

const NO_REQUEST: Case<Handle> = Case::new(Handle::new(0, 0));
const NO_RENEWAL: Case<u32> = Case::new(0);

/// The memory of ends.
#[derive(Clone, Debug, Hash)]
pub(super) struct Stuck {
    request: Case<Handle>,
    /// By the position of the first subscription that was asked for. It is renewed ahead of the requests, so an end at
    /// the renewal says nothing about a request.
    renewal: Case<u32>,
    /// `Options::give_up_stuck`
    gives_up: bool,
    /// A renewal was unanswered: filters are asked for one by one until all are answered.
    pub(super) one_by_one: bool,
    /// The renewal is out, and the suspect comes next.
    suspect_follows: bool,
    /// The broker has accepted the connection, so its end may be the fault of a packet.
    up: bool,
}

impl Stuck {
    pub(super) const fn new(gives_up: bool) -> Self {
        Self {
            request: NO_REQUEST,
            renewal: NO_RENEWAL,
            gives_up,
            one_by_one: false,
            suspect_follows: false,
            up: false,
        }
    }

    pub(super) const fn is_untold(&self) -> bool {
        self.request.untold || self.renewal.untold
    }

    /// A request was taken back after it was sent on this connection. If the connection ends now, the broker may have
    /// closed it at that packet, so no other request is to blame.
    pub(super) const fn blame_nobody(&mut self) {
        self.up = false;
    }

    /// Subscriptions were forgotten, so the position of a suspected one may be that of another now.
    pub(super) const fn positions_changed(&mut self) {
        self.renewal = NO_RENEWAL;
    }
}

/// Why requests are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hold {
    No,
    /// Only the suspect is sent.
    Alone,
    /// Subscriptions are renewed first.
    Renewal,
    /// Packet ids are [reclaimed](super::reclaim) first.
    Reclaim,
    /// The connection is about to end.
    Leaving,
}

/// What stands in the way, for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StuckAt {
    Request { handle: Handle, connections: u16 },
    Renewal { first: usize, count: usize, connections: u16 },
}

impl SessionMut<'_> {
    /// The connection ended. `blame`: it may be the fault of a packet.
    pub(super) fn count_end(&mut self, blame: bool) {
        let after = u16::from(self.session.stuck_after);
        let up = core::mem::take(&mut self.session.stuck.up);
        if !up || !blame || after == 0 {
            return;
        }
        let (suspect, alone) = self.first_unanswered();
        if suspect == Suspect::Nobody && self.suspect().is_some() {
            // The suspect was not sent, so this end says nothing about it.
            return;
        }
        let stuck = &mut self.session.stuck;
        match suspect {
            Suspect::Nobody => {
                stuck.request = NO_REQUEST;
                stuck.renewal = NO_RENEWAL;
            }
            Suspect::Request(handle) => {
                stuck.renewal = NO_RENEWAL;
                stuck.request.count(handle, alone, after);
            }
            Suspect::Renewal(first) => {
                stuck.renewal.count(first, alone, after);
                if stuck.renewal.ends + 1 >= after {
                    stuck.one_by_one = true;
                }
            }
        }
    }

    /// The first request that was shown and is not answered, and whether it was the only one.
    fn first_unanswered(&self) -> (Suspect, bool) {
        let session = &*self.session;
        let mut shown = session.outbox.shown_unanswered(self.bytes);
        if let Some((first, count)) = session.subscriptions.awaited() {
            return (Suspect::Renewal(first as u32), count == 1 && shown.next().is_none());
        }
        let find = |id| self.session.requests.find(self.slots, id).filter(InFlight::is_awaited);
        let mut requests = shown.filter_map(find);
        match requests.next() {
            Some(first) => (Suspect::Request(first.handle), requests.next().is_none()),
            None => (Suspect::Nobody, true),
        }
    }

    /// Whether a request of which something was shown is not answered.
    pub(crate) fn has_unanswered(&self) -> bool {
        self.session.outbox.shown_unanswered(self.bytes).next().is_some()
    }

    /// The broker accepted a connection, and the session is begun or resumed: holds back whatever has to wait.
    pub(super) fn begin_hold(&mut self) {
        let session = &mut *self.session;
        session.stuck.up = true;
        session.stuck.suspect_follows = false;
        if session.subscriptions.has_more_to_ask() {
            session.outbox.hold(self.bytes);
            session.hold = Hold::Renewal;
        } else {
            self.hold_for_suspect_or_reclaim();
        }
    }

    /// The suspect, if it is a request in flight.
    fn suspect(&self) -> Option<InFlight> {
        let handle = self.session.stuck.request.suspect()?;
        let found = self.session.requests.find(self.slots, handle.packet_id()?)?;
        (found.handle == handle).then_some(found)
    }

    /// Whether the application was told that this request is stuck.
    pub(super) fn is_told_as_stuck(&self, handle: Handle) -> bool {
        let Case { suspect, told, .. } = self.session.stuck.request;
        told && suspect == handle
    }

    /// From now on no request is sent, and answers go on: the connection is about to end.
    pub(crate) fn hold_requests(&mut self) {
        if !self.session.outbox.is_holding() {
            self.session.outbox.hold(self.bytes);
        }
        self.session.hold = Hold::Leaving;
        self.session.plain = false;
    }

    /// Brings the outbox up to date while requests are held back. `leaves`: the client leaves for good.
    pub(crate) fn keep_hold(&mut self, leaves: bool) {
        let session = &*self.session;
        // If the answer to the renewal were not awaited, nobody could say which of the packets is in the way.
        let Stuck { one_by_one, request, renewal, .. } = &session.stuck;
        let awaited = *one_by_one || request.ends != 0 || renewal.ends != 0;
        let goes_on = match session.hold {
            Hold::No => false,
            Hold::Reclaim => session.reclaim.is_running(),
            _ if leaves => false,
            Hold::Leaving => true,
            // A PUBREL lies behind the place of its PUBLISH.
            Hold::Alone => {
                self.suspect().is_some_and(|suspect| session.outbox.is_before_hold(suspect.place))
            }
            Hold::Renewal if awaited => session.subscriptions.is_due(),
            Hold::Renewal => session.subscriptions.has_more_to_ask(),
        };
        let session = &mut *self.session;
        if goes_on {
            session.outbox.pass_held(self.bytes);
        } else {
            if session.hold == Hold::Renewal && !leaves {
                session.stuck.suspect_follows = true;
            }
            session.hold = Hold::No;
            if session.outbox.is_between_packets() {
                let mut table = Table { requests: &mut session.requests, slots: self.slots };
                session.outbox.end_hold(self.bytes, &mut table);
                // The bytes ahead of it were counted without the held packets.
                session.stray.goes_next();
                let follows = core::mem::take(&mut self.session.stuck.suspect_follows);
                if follows && !leaves {
                    self.hold_for_suspect_or_reclaim();
                } else {
                    self.begin_reclaim();
                }
            }
        }
    }

    /// If a request is suspected, all others are held back. None has been shown on this connection. If it has to wait
    /// for packet ids, or if no request is suspected, these come first.
    fn hold_for_suspect_or_reclaim(&mut self) {
        let suspect = self.suspect().filter(|_| self.is_suspected());
        if suspect.as_ref().is_none_or(|suspect| suspect.awaits == Awaits::PubRec) {
            self.begin_reclaim();
        }
        let session = &mut *self.session;
        if session.outbox.is_holding() {
            session.stuck.suspect_follows = suspect.is_some();
        } else if let Some(suspect) = suspect {
            session.outbox.hold_all_but(self.bytes, suspect.place);
            session.hold = Hold::Alone;
        }
    }

    /// Whether enough connections have ended with the suspect to be sure at the next end.
    fn is_suspected(&self) -> bool {
        let after = u16::from(self.session.stuck_after);
        after != 0 && self.session.stuck.request.ends >= after.saturating_sub(1).max(1)
    }

    /// What the application has to hear of. If `Options::give_up_stuck` is on, it is given up.
    pub(crate) fn next_stuck(&mut self) -> Option<StuckAt> {
        let Stuck { request, renewal, .. } = &mut self.session.stuck;
        if core::mem::take(&mut renewal.untold) {
            let (first, connections) = (renewal.suspect as usize, renewal.ends);
            if self.session.stuck.gives_up {
                let _given_up = self.forget_subscriptions(first, 1);
            }
            return Some(StuckAt::Renewal { first, count: 1, connections });
        }
        if !core::mem::take(&mut request.untold) {
            return None;
        }
        let connections = request.ends;
        let found = self.suspect()?;
        if self.session.stuck.gives_up {
            self.give_up(found.id, Ending::GivenUp);
        }
        Some(StuckAt::Request { handle: found.handle, connections })
    }

    /// Whether `Client::cancel` may end this request.
    pub(super) fn may_cancel(&self, request: &InFlight) -> bool {
        request.awaits != Awaits::PubComp || self.is_told_as_stuck(request.handle)
    }
}
