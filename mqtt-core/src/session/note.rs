//! [`Note`]: a change that the next record states and that no packet in the outbox shows.

use super::{known::MOST_BROKERS, requests::LAST_ID};
use crate::codec::PacketId;

/// Bytes of a note.
pub(super) const NOTE_LEN: usize = 3;

/// What happened to the exchange of a packet id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    /// The client's publish is done: PUBACK or PUBCOMP came, or the publish was lost or taken back before it was sent.
    /// If it was abandoned, its id is free.
    Done = 1,
    /// The client's publish of QoS 2 is the broker's: PUBREC came, and a PUBREL is to be sent.
    Released = 2,
    /// The broker's publish of QoS 2 was taken.
    Seen = 3,
    /// The PUBREL for it came: from now on the id is a new message.
    Forgotten = 4,
    /// The client's request was given up after its packet may have been sent: the id stays out of use until it is
    /// answered.
    Abandoned = 5,
}

impl Fate {
    /// Whether the exchange is one that the client began.
    pub(super) const fn is_of_request(self) -> bool {
        matches!(self, Self::Done | Self::Released | Self::Abandoned)
    }
}

/// A packet id and its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) fate: Fate,
    pub(super) id: PacketId,
    /// The [broker](super::brokers) that sent the message; 0 for requests.
    pub(super) broker: u8,
}

/// The broker lies in the high bits of the byte of the fate.
const BROKER_SHIFT: u8 = 4;
const FATE: u8 = (1 << BROKER_SHIFT) - 1;

impl Note {
    pub(super) const fn encode(self) -> [u8; NOTE_LEN] {
        let [high, low] = self.id.get().to_be_bytes();
        [self.fate as u8 | self.broker << BROKER_SHIFT, high, low]
    }

    pub(super) fn decode(bytes: [u8; NOTE_LEN]) -> Option<Self> {
        let [first, high, low] = bytes;
        let broker = first >> BROKER_SHIFT;
        let fate = match first & FATE {
            1 => Fate::Done,
            2 => Fate::Released,
            3 => Fate::Seen,
            4 => Fate::Forgotten,
            5 => Fate::Abandoned,
            _ => return None,
        };
        let id = PacketId::new(u16::from_be_bytes([high, low]))?;
        let valid = if fate.is_of_request() {
            id.get() <= LAST_ID && broker == 0
        } else {
            broker < MOST_BROKERS
        };
        valid.then_some(Self { fate, id, broker })
    }
}
