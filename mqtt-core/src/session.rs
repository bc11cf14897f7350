//! [`Session`]: everything that outlives a connection, as one type with one place for each change of its life.
//!
//! A session holds the requests in flight and the packets that wait for the broker, the packet ids of messages between
//! PUBLISH and PUBREL, the granted subscriptions, and the changes that the journal does not have yet. Nothing outside
//! this folder touches these parts: others call the session's verbs.
//!
//! | change | verb |
//! |---|---|
//! | the broker began a new session | [`begin`](SessionMut::begin) |
//! | the broker kept the session | [`resume`](SessionMut::resume) |
//! | the broker has a session that this client did not open | [`adopt`](SessionMut::adopt) |
//! | the broker kept a session against this client's wish | [`begin`](SessionMut::begin) with [`Former::Kept`] |
//! | the connection is gone | [`suspend`](SessionMut::suspend) |
//! | another broker than before has accepted a connection | [`arrive`](SessionMut::arrive), before one of these |
//! | a record from the journal | [`restore`](SessionMut::restore) |
//! | a snapshot from the journal replaces it | `forget`, in `restore` |
//! | the first use after a restore | [`finish_restore`](SessionMut::finish_restore) |
//!
//! [`SessionMut`] is a session together with the caller's storage, for the length of one call. `sending` has the verbs
//! for requests, `receiving` and `pass_over` those for messages, `changes` those for the journal.

mod brokers;
mod cancelling;
mod changes;
mod crc;
mod from_source;
mod inbound;
mod known;
mod note;
mod outbox;
mod outgoing;
mod pass_over;
pub(crate) mod qos;
mod receiving;
mod reclaim;
mod record;
mod requests;
mod restore;
mod sending;
mod settings;
mod slot;
mod stray;
mod stuck;
mod subscriptions;

use core::hash::{Hash, Hasher};

use crate::{codec::Protocol, handle};
use changes::Changes;
pub(crate) use changes::Recorder;
pub use handle::{Delivery, Handle};
use inbound::Inbound;
pub(crate) use known::Endpoints;
use known::{AtBroker, Brokers, Known};
pub(crate) use outbox::{ANSWER_ROOM, LARGEST_OUTBOX, copy, feed::Sources, put_u16, u16_at};
use outbox::{Outbox, Until};
use pass_over::PassOver;
pub(crate) use qos::InDoubt;
pub(crate) use receiving::Judgement;
use reclaim::Reclaim;
pub(crate) use reclaim::Reclaimed;
#[cfg(feature = "journal-file")]
pub(crate) use record::Parsed;
pub use record::{Chunk, Record};
use requests::{Abandoned, Ids, Requests, Table};
pub(crate) use requests::{Ended, LARGEST_WINDOW, LAST_ID};
pub(crate) use sending::{Done, NoAnswer, Overdue, SubAckFor, Waiting};
pub(crate) use settings::{Acknowledge, Lifetime, RenewOn, SessionSettings, Strictness};
pub use slot::Slot;
use stray::StrayRelease;
pub(crate) use stuck::StuckAt;
use stuck::{Hold, Stuck};
pub use subscriptions::Subscription;
use subscriptions::Subscriptions;
pub(crate) use subscriptions::{Renewals, SPARE as SUBSCRIPTIONS_SPARE, suback_len};

/// The session that the broker had for this client when a clean one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Former {
    /// It is discarded.
    Gone,
    /// The broker has kept it against the client's wish: it is treated as found.
    Kept,
}

/// A session's state. The bytes of its packets and its slots are the caller's.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    lifetime: Lifetime,
    acknowledge: Acknowledge,
    exactly_once_window: u16,
    in_doubt: InDoubt,
    renew_on: RenewOn,
    brokers: Brokers,
    at_broker: AtBroker,
    requests: Requests,
    outbox: Outbox,
    /// `Some` if publishes from a source are on.
    sources: Option<&'static Sources>,
    inbound: Inbound,
    pass_over: PassOver,
    /// The broker lost the session behind the last pass-over.
    forgetful: bool,
    subscriptions: Subscriptions,
    reclaim: Reclaim,
    stray: StrayRelease,
    /// Only the outbox has bytes to send, no request is held back and no message passed over. While it is true, nobody
    /// has to look at the rest.
    plain: bool,
    stuck: Stuck,
    hold: Hold,
    stuck_after: u8,
    changes: Changes,
    /// The application's position in its source or store.
    position: u64,
}

/// A session and its storage, for the length of one call.
pub(crate) struct SessionMut<'a> {
    session: &'a mut Session,
    bytes: &'a mut [u8],
    slots: &'a mut [Slot],
}

impl Session {
    /// A session that holds nothing. Its packets lie above the first `start` bytes, which are the CONNECT and the room
    /// for the header of a renewal. At most `most_shown` bytes of several packets are shown to the driver at once.
    /// `seed`: see [`Requests::new`].
    pub(crate) fn new(
        start: usize,
        slots: &mut [Slot],
        lifetime: Lifetime,
        settings: SessionSettings,
        most_shown: usize,
        seed: u32,
    ) -> Self {
        let SessionSettings {
            acknowledge,
            renewals,
            filters_per_subscribe,
            exactly_once_window,
            stuck_after,
            give_up_stuck,
            endpoints,
            renew_on,
            in_doubt,
            recorder,
            sources,
        } = settings;
        let mut outbox = Outbox::new(start, most_shown);
        if recorder.is_some() {
            outbox.keep_journal();
        }
        Self {
            lifetime,
            acknowledge,
            exactly_once_window,
            in_doubt,
            renew_on,
            brokers: Brokers::new(endpoints),
            at_broker: AtBroker::None,
            requests: Requests::new(slots, seed),
            outbox,
            sources,
            inbound: Inbound::default(),
            pass_over: PassOver::Off,
            forgetful: false,
            subscriptions: Subscriptions::new(start, renewals, filters_per_subscribe),
            reclaim: Reclaim::default(),
            stray: StrayRelease::default(),
            plain: true,
            stuck: Stuck::new(give_up_stuck),
            hold: Hold::No,
            stuck_after,
            changes: Changes::new(recorder),
            position: 0,
        }
    }

    /// The session together with its storage.
    pub(crate) const fn with<'a>(
        &'a mut self,
        bytes: &'a mut [u8],
        slots: &'a mut [Slot],
    ) -> SessionMut<'a> {
        SessionMut { session: self, bytes, slots }
    }

    /// The application's position.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// Requests that hold a slot.
    pub(crate) const fn in_flight(&self) -> usize {
        self.requests.in_flight()
    }

    /// Bytes that requests can still take in the outbox.
    pub(crate) fn outbox_free(&self, bytes: &[u8]) -> usize {
        self.outbox.free(bytes)
    }

    /// The granted subscriptions.
    pub(crate) fn subscriptions<'b>(
        &self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = Subscription<'b>> + use<'b> {
        self.subscriptions.iter(&self.outbox, bytes)
    }

    /// Feeds everything that affects behaviour to `hasher`.
    pub(crate) fn digest(&self, bytes: &[u8], slots: &[Slot], hasher: &mut impl Hasher) {
        // Destructured, so that no field is forgotten.
        let Self {
            lifetime,
            acknowledge,
            exactly_once_window,
            in_doubt,
            renew_on,
            brokers,
            at_broker,
            requests,
            outbox,
            sources: _,
            inbound,
            pass_over,
            forgetful,
            subscriptions,
            reclaim,
            stray,
            plain: _,
            stuck,
            hold,
            stuck_after,
            changes,
            position,
        } = self;
        (lifetime, acknowledge, exactly_once_window, at_broker, requests, outbox).hash(hasher);
        (inbound, pass_over, forgetful, subscriptions, reclaim, stray, changes, position)
            .hash(hasher);
        (stuck, hold, stuck_after).hash(hasher);
        (in_doubt, renew_on, brokers).hash(hasher);
        (outbox.in_use(bytes), slots).hash(hasher);
    }
}

impl<'a> SessionMut<'a> {
    /// The session and its bytes, for reading.
    pub(crate) const fn parts(&self) -> (&Session, &[u8]) {
        (self.session, self.bytes)
    }

    /// As [`parts`](Self::parts), for as long as the storage is borrowed.
    pub(crate) const fn into_parts(self) -> (&'a Session, &'a [u8]) {
        (self.session, self.bytes)
    }
}

impl SessionMut<'_> {
    /// The bytes in front of the session's own, where the CONNECT lies.
    pub(crate) fn connect_bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.session.subscriptions.start()).unwrap_or_default()
    }

    pub(crate) const fn lifetime(&self) -> Lifetime {
        self.session.lifetime
    }

    /// Whether the client should find this session at the broker.
    pub(crate) fn is_at_broker(&self) -> bool {
        self.session.at_broker != AtBroker::None
    }

    /// The broker began a new session [MQTT-3.1.2-6], or it should have. [`Outbox::start_session`] decides about each
    /// packet.
    ///
    /// MQTT 3.1 has no session-present flag, so an unknown session may exist: it is treated as adopted, unless the client
    /// has just ended it.
    #[inline(never)] // for less flash
    pub(crate) fn begin(&mut self, protocol: Protocol, former: Former) {
        self.start_requests_anew();
        let session = &mut *self.session;
        session.changes.need_snapshot();
        let unknown = match former {
            Former::Gone => {
                session.reclaim.cancel();
                session.requests.set_ids(self.slots, Ids::MoveOn);
                session.requests.abandoned = Abandoned::NONE;
                session.inbound.clear(self.slots);
                self.session_was_lost();
                let brokers = &self.session.brokers;
                protocol == Protocol::V31
                    && self.session.lifetime == Lifetime::Persistent
                    && !brokers.of(brokers.home).has(Known::ENDED)
            }
            Former::Kept => {
                session.inbound.suspect_lost(self.slots);
                // On every connection: a reclaim that has begun goes on.
                !session.reclaim.is_due()
            }
        };
        if unknown {
            self.reclaim_is_due();
        }
        self.connected(true);
    }

    /// The broker kept the session: unanswered packets are sent again, in order [MQTT-4.4.0-1].
    pub(crate) fn resume(&mut self, protocol: Protocol) {
        self.session.forgetful = false;
        // MQTT 3.1 has no session-present flag, so the session may be a new one each time.
        let uncertain = self.session.at_broker == AtBroker::Uncertain || protocol == Protocol::V31;
        if uncertain {
            self.session.inbound.suspect_lost(self.slots);
        }
        let renew = uncertain && !self.waits_for_messages();
        self.connected(renew || self.session.subscriptions.is_due());
    }

    /// The broker has a session that this client did not open: the device lost its state.
    pub(crate) fn adopt(&mut self) {
        self.start_requests_anew();
        self.reclaim_is_due();
        self.connected(true);
    }

    /// The common part of [`begin`](Self::begin), [`resume`](Self::resume) and [`adopt`](Self::adopt).
    fn connected(&mut self, renew: bool) {
        let session = &mut *self.session;
        session.brokers.set(session.brokers.home, Known::NOTHING);
        session.reclaim.connected();
        // Behind a pass-over, the retained messages that come again would be more than those that were taken.
        let goes_on = matches!(session.pass_over, PassOver::Complete | PassOver::Unconfirmed);
        if renew || session.renew_on == RenewOn::Connection && !goes_on {
            let one_by_one = session.stuck.one_by_one;
            session.subscriptions.renew(&session.outbox, self.bytes, one_by_one);
        }
        self.begin_hold();
        let session = &mut *self.session;
        session.plain = false;
        session.changes.connected = true;
        session.at_broker = match session.lifetime {
            Lifetime::Connection => AtBroker::None,
            Lifetime::Persistent => AtBroker::Expected,
        };
    }

    /// The connection is gone; `protocol` is the version in which packets will be sent again. Gives how many those are.
    ///
    /// `blame`: its end may be the fault of a packet.
    pub(crate) fn suspend(&mut self, protocol: Protocol, blame: bool) -> u32 {
        self.count_end(blame && !self.session.reclaim.awaits_answer());
        self.session.reclaim.disconnected();
        self.end_pass_over();
        self.session.hold = Hold::No;
        if self.session.requests.has_finishing() {
            self.drop_cancelled();
        }
        let session = &mut *self.session;
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        let retransmissions = session.outbox.rewind(self.bytes, &mut table, protocol);
        session.inbound.empty_ring(self.slots);
        if session.inbound.drop_stale_if_gone_on(self.slots) {
            session.changes.need_snapshot();
        }
        session.subscriptions.disconnected();
        session.stray.clear();
        retransmissions
    }

    /// Whether `len` bytes are free at the end of the outbox.
    fn has_room(&self, len: usize) -> bool {
        self.session.outbox.has_room(self.bytes, len)
    }

    /// Makes `len` bytes free at the end of the outbox, for an answer or a request.
    #[inline(never)] // for less flash
    fn make_room(&mut self, len: usize) -> bool {
        self.has_room(len) || self.make_room_slowly(len)
    }

    #[cold]
    fn make_room_slowly(&mut self, len: usize) -> bool {
        let session = &mut *self.session;
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.outbox.make_room(self.bytes, &mut table, len)
    }

    /// Appends `packet` to the outbox and gives its place. The caller has made room.
    #[inline(always)] // for less flash
    fn append(&mut self, packet: &[u8], until: Until) -> u32 {
        let start = self.session.outbox.append(packet.len(), until);
        let space = self.bytes.get_mut(start..start + packet.len());
        debug_assert!(space.is_some(), "{} bytes at {start} are outside the outbox", packet.len());
        if let Some(space) = space {
            space.copy_from_slice(packet);
        }
        start as u32
    }
}
