//! [`Slot`]: the storage that the caller gives for one request in flight, and beside it for the receiver's memory.

use core::hash::{Hash, Hasher};

use super::{known::MOST_BROKERS, qos::Awaits};

/// No slot, no place.
pub(super) const NIL: u32 = u32::MAX;

/// The request of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Use {
    Free,
    InFlight(Awaits),
    /// The broker lost the session before the request was done. The event of this state and of the next four is still
    /// to come.
    Lost,
    /// The application took the request back, and its packet was never shown to the driver.
    Cancelled,
    /// The application took the request back, and its packet may have been sent.
    CancelledSent,
    /// The client gave the request up.
    GivenUp,
    /// The source of the publish failed.
    SourceFailed,
    /// A publish of QoS 0 that can be dropped from a full queue. It waits to be sent, or its event is still to come.
    Droppable,
}

/// Storage of one request in flight, one incoming message that the application has not acknowledged, and one packet
/// id of an incoming QoS 2 message. 16 bytes; made by [`Slot::EMPTY`] or `Default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(super) generation: u32,
    /// In flight: the packet's place in the outbox. Free or droppable: the next such slot.
    pub(super) place: u32,
    pub(super) id: u16,
    pub(super) state: Use,
    /// This field and the next two are about incoming messages, see [`inbound`](super::inbound). Only one bit of the
    /// marks is about the request.
    pub(super) marks: Marks,
    pub(super) owed_id: u16,
    pub(super) seen: u16,
}

const _: () = assert!(size_of::<Slot>() == 16);

impl Slot {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self {
        generation: 0,
        place: NIL,
        id: 0,
        state: Use::Free,
        marks: Marks::NONE,
        owed_id: 0,
        seen: 0,
    };
}

/// Hashes only what affects behaviour; the generation of a free slot does not.
impl Hash for Slot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let generation = if self.state == Use::Free { 0 } else { self.generation };
        (generation, self.place, self.id, self.state, self.marks, self.owed_id, self.seen)
            .hash(hasher);
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// One entry of the ring of messages that the application has to acknowledge.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Owed {
    Nothing = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
    /// The application has acknowledged the message; the answer to the broker waits for its turn.
    AtLeastOnceAcknowledged = 3,
    ExactlyOnceAcknowledged = 4,
}

/// What the client knows of the id in the table that lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is of the message of this broker, see [`brokers`](super::brokers).
    By(u8),
    /// It may belong to a session that the broker has lost, of which the client is at home now.
    Stale,
    /// As `By` for the broker of which the client is at home, and the application has to acknowledge the message. Used
    /// only in a record: see [`Inbound::mark_owed`](super::inbound::Inbound::mark_owed).
    Unacknowledged,
}

/// The state of the ring entry and of the table entry that lie in a slot, and one bit of its request, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    const OWED: u8 = 0x07;
    /// The packet of the slot's request was shown on an earlier connection. While a record is being checked: the record
    /// ends the request.
    const SENT: u8 = 0x08;
    /// The four bits of [`Seen`]: the number of the broker, or one of the two values behind.
    const SEEN: u8 = 0xF0;
    const SEEN_SHIFT: u8 = 4;
    const STALE: u8 = 8;
    const UNACKNOWLEDGED: u8 = 9;

    pub(super) const fn owed(self) -> Owed {
        match self.0 & Self::OWED {
            1 => Owed::AtLeastOnce,
            2 => Owed::ExactlyOnce,
            3 => Owed::AtLeastOnceAcknowledged,
            4 => Owed::ExactlyOnceAcknowledged,
            _ => Owed::Nothing,
        }
    }

    pub(super) const fn set_owed(&mut self, owed: Owed) {
        self.0 = self.0 & !Self::OWED | owed as u8;
    }

    pub(super) const fn was_sent(self) -> bool {
        self.0 & Self::SENT != 0
    }

    pub(super) const fn set_sent(&mut self, sent: bool) {
        self.0 = self.0 & !Self::SENT | if sent { Self::SENT } else { 0 };
    }

    /// Whether a record that is being checked ends the request of the slot.
    pub(super) const fn ends(self) -> bool {
        self.was_sent()
    }

    /// See [`Marks::ends`]. No request counts as sent before the restore is over.
    pub(super) const fn set_ends(&mut self, ends: bool) {
        self.set_sent(ends);
    }

    pub(super) const fn seen(self) -> Seen {
        match self.0 >> Self::SEEN_SHIFT {
            Self::STALE => Seen::Stale,
            Self::UNACKNOWLEDGED => Seen::Unacknowledged,
            broker => Seen::By(broker),
        }
    }

    pub(super) const fn set_seen(&mut self, seen: Seen) {
        let value = match seen {
            Seen::By(broker) => broker % MOST_BROKERS,
            Seen::Stale => Self::STALE,
            Seen::Unacknowledged => Self::UNACKNOWLEDGED,
        };
        self.0 = self.0 & !Self::SEEN | value << Self::SEEN_SHIFT;
    }
}

const _: () = assert!(MOST_BROKERS <= Marks::STALE);
