//! A session found at the broker: until all ids from before the restart are released, the client sends nothing else
//! except a PINGREQ, and passes over messages without room for their answers. The room is known to the byte, because
//! nothing leaves the outbox meanwhile.

use mqtt_core::{PacketId, Protocol, SessionStatus};

use super::settings::{PING_TIMEOUT, Settings};

/// After this many connections without a PUBCOMP the client goes on without releasing.
const ATTEMPTS: u8 = 3;
/// At least this many ids are reclaimed.
const LEAST: u16 = 8;
/// Bytes of the outbox that requests cannot use.
const ANSWER_ROOM: usize = 32;
/// Bytes of a PUBACK, PUBREC or PUBCOMP.
const ANSWER: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Reclaim {
    slots: u16,
    /// Ids that are reclaimed.
    range: u16,
    /// The client publishes at QoS 2.
    needed: bool,
    clean: bool,
    /// The client has a session of its own.
    known: bool,
    /// The session was found, so publishes of QoS 2 have only ids that were reclaimed.
    fixed: bool,
    on: bool,
    /// PUBCOMPs that have come, on any connection.
    answered: u16,
    attempts: u8,
    /// On this connection: the last id that was released, and when bytes came in last.
    sent: u16,
    heard: u64,
    /// Bytes of the outbox that answers can take.
    room: usize,
    /// Packets were lost with the session, and have made room.
    roomier: bool,
}

impl Reclaim {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            slots: settings.window as u16,
            range: (settings.window as u16).max(LEAST),
            needed: settings.exactly_once,
            clean: settings.clean,
            known: false,
            fixed: false,
            on: false,
            answered: 0,
            attempts: 0,
            sent: 0,
            heard: 0,
            room: 0,
            roomier: false,
        }
    }

    /// Whether ids are being released, once this connection is accepted.
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether the client has a session of its own.
    pub(super) const fn knows(&self) -> bool {
        self.known
    }

    /// Slots of the client.
    pub(super) fn slots(&self) -> usize {
        usize::from(self.slots)
    }

    /// The last of the reclaimed ids, if only those are for publishes of QoS 2.
    pub(super) const fn last_id(&self) -> Option<u16> {
        if self.fixed { Some(self.range) } else { None }
    }

    /// A CONNACK was taken. Returns the session status that the client has to report.
    pub(super) fn accepted(&mut self, protocol: Protocol, present: bool) -> SessionStatus {
        let told = protocol == Protocol::V311;
        let status = match (self.known, told, present) {
            (true, true, true) | (true, false, _) => SessionStatus::Resumed,
            (true, true, false) => SessionStatus::Lost,
            (false, true, true) => SessionStatus::Found,
            (false, true, false) | (false, false, _) => SessionStatus::New,
        };
        if told && !present {
            (self.fixed, self.on) = (false, false);
        } else if !self.known && (told || !self.clean) && self.needed {
            // A session that is kept against the client's wish goes on with a reclaim that has begun.
            if !(self.clean && self.on) {
                (self.on, self.answered, self.attempts) = (true, 0, 0);
            }
            self.fixed = true;
        }
        self.known = !self.clean;
        self.roomier = self.clean;
        self.on &= self.attempts < ATTEMPTS;
        self.attempts += u8::from(self.on);
        self.sent = self.answered;
        status
    }

    /// Bytes came in.
    pub(super) const fn hear(&mut self, now: u64) {
        self.heard = now;
    }

    /// Whether PUBCOMPs have been due for longer than the ping time-out.
    pub(super) const fn is_late(&self, now: u64) -> bool {
        self.on && now >= self.heard.saturating_add(PING_TIMEOUT)
    }

    /// A PUBREL was sent: each id once on a connection, in order.
    pub(super) fn sent(&mut self, id: PacketId) {
        self.sent += 1;
        assert_eq!(id.get(), self.sent, "not the next id to release");
        assert!(self.sent <= self.range, "no publish of QoS 2 gets this id");
    }

    /// A PUBCOMP was taken. Returns whether it answers such a PUBREL.
    pub(super) const fn take_answer(&mut self) -> bool {
        if !self.on || self.answered == self.sent {
            return false;
        }
        self.answered += 1;
        self.attempts = 0;
        self.on = self.answered < self.range;
        true
    }

    /// Whether all PUBRELs were sent.
    pub(super) const fn is_sent(&self) -> bool {
        !self.on || self.sent == self.range
    }

    /// The outbox has `free` bytes for requests. If `known`, only answers to packets that were taken can have changed
    /// that.
    pub(super) fn measure(&mut self, free: usize, known: bool) {
        if known && !std::mem::take(&mut self.roomier) {
            assert_eq!(free, self.room.saturating_sub(ANSWER_ROOM), "answers to what was taken");
        } else {
            self.room = free + ANSWER_ROOM;
        }
    }

    /// A request was accepted and left `free` bytes.
    pub(super) const fn requested(&mut self, free: usize) {
        self.room = free + ANSWER_ROOM;
    }

    /// Requests or subscriptions are gone, and `bytes` bytes are free again.
    pub(super) const fn freed(&mut self, bytes: usize) {
        self.room += bytes;
    }

    /// Whether there is room for an answer.
    pub(super) const fn has_room(&self) -> bool {
        self.room >= ANSWER
    }

    /// Takes the room for an answer. Returns false if there is none.
    pub(super) fn take_room(&mut self) -> bool {
        let rest = self.room.checked_sub(ANSWER);
        self.room = rest.unwrap_or(self.room);
        rest.is_some()
    }
}
