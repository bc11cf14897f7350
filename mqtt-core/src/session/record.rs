//! The format of records: how a session is written down so that it survives a power cut.
//!
//! A record states everything that changed since the record before. It is valid as a whole or not at all:
//!
//! ```text
//! version (1) | flags | position (8) | [first (2) last (2)] | [home, known (8)] | notes (3 each) | 0
//!   | [length (4) subscriptions] | PUBLISH packets | CRC-32 (4)
//! ```
//!
//! Numbers are big-endian, as on the wire. A [note](super::note) names a packet id and its fate. The packets are the
//! accepted publishes of QoS 1 and 2, as they lie in the outbox. A publish from a source is there without its payload:
//! [`feed`](super::outbox::feed) has its form, and its generation means nothing here. A record that may hold one is of
//! version 2, all others are of version 1. First and last are the packet ids that are reclaimed, or
//! to be reclaimed, if the client did not open the broker's session. Home and known are there if the client has been at
//! several [brokers](super::brokers). The subscriptions are the granted ones, as in the body
//! of a SUBSCRIBE. A record with the flag [`SNAPSHOT`] states the whole session, so the records before it may be
//! deleted. Notes apply before packets.
//!
//! In every version that there will ever be, the version comes first and the checksum last, over everything in front of
//! it. So a record that was cut short is told from a record that is too new.

use core::fmt;

use super::{
    Session,
    crc::Crc,
    inbound::Inbound,
    known::BROKERS_LEN,
    note::{Fate, NOTE_LEN, Note},
    outbox::{
        Unacknowledged,
        feed::{described, is_from_source},
        frame_at,
    },
    requests::{Abandoned, LAST_ID, Range},
    slot::Slot,
};
use crate::{
    codec::{Header, PacketId, PacketType, Publish, QoS},
    error::RestoreError,
    topic::Filter,
};

const VERSION: u8 = 1;
/// The record may hold publishes from a source.
const VERSION_WITH_SOURCES: u8 = 2;
/// Version, flags, position.
const HEADER_LEN: usize = 10;
const CRC_LEN: usize = 4;
/// Ends the notes.
const NO_MORE_NOTES: u8 = 0;

/// The record states the whole session: forget all records before it.
pub(super) const SNAPSHOT: u8 = 1;
/// The granted subscriptions follow the notes.
pub(super) const SUBSCRIPTIONS: u8 = 2;
/// The broker should have a session for this client.
pub(super) const SESSION: u8 = 4;
/// Packets may have been sent.
pub(super) const CONNECTED: u8 = 8;
/// A renewal of the subscriptions is due.
pub(super) const RENEWAL_DUE: u8 = 16;
/// The client did not open the broker's session: publishes of QoS 2 get reclaimed ids only.
pub(super) const FOUND: u8 = 32;
/// The packet ids of that session are still to be reclaimed.
pub(super) const RECLAIM_DUE: u8 = 64;

/// The client has been at several brokers.
pub(super) const BROKERS: u8 = 128;

/// Bytes for the journal to keep: everything that changed since the record before.
///
/// `Options::journal` says when there are records, and `Client::restore` rebuilds the session from them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "nothing is sent before the record is durable and `Client::persisted` has been called"]
pub struct Record<'a> {
    header: [u8; HEADER_LEN],
    reclaimed: Option<Range>,
    brokers: Option<[u8; BROKERS_LEN]>,
    /// The home among them, as the ids in the slots name it.
    here: u8,
    /// Newest first; empty in a snapshot.
    notes: &'a [u8],
    /// In a snapshot, the seen ids lie here; empty otherwise.
    slots: &'a [Slot],
    /// Listed in a snapshot. Their packets are left out.
    abandoned: Abandoned,
    subscriptions: Option<&'a [u8]>,
    packets: Unacknowledged<'a>,
    /// All its bytes, if it is a copy: then the parts above but the header are empty.
    copied: Option<&'a [u8]>,
}

/// Without the bytes: the record borrows the outbox, which holds the password.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_snapshot() { "snapshot, " } else { "" };
        write!(f, "Record({kind}{} bytes)", self.len())
    }
}

/// A piece of a record.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a>(Bytes<'a>);

#[derive(Clone, Copy, Debug)]
enum Bytes<'a> {
    Few([u8; HEADER_LEN], usize),
    Borrowed(&'a [u8]),
}

impl<'a> Chunk<'a> {
    fn few<const N: usize>(bytes: [u8; N]) -> Self {
        let mut all = [0; HEADER_LEN];
        for (space, byte) in all.iter_mut().zip(bytes) {
            *space = byte;
        }
        Self(Bytes::Few(all, N))
    }

    const fn borrowed(bytes: &'a [u8]) -> Self {
        Self(Bytes::Borrowed(bytes))
    }
}

impl AsRef<[u8]> for Chunk<'_> {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Few(bytes, len) => bytes.get(..*len).unwrap_or_default(),
            Bytes::Borrowed(bytes) => bytes,
        }
    }
}

impl<'a> Record<'a> {
    pub(super) fn new(
        flags: u8,
        position: u64,
        bytes: &'a [u8],
        slots: &'a [Slot],
        session: &Session,
    ) -> Self {
        let Session { requests, brokers, outbox, subscriptions, .. } = session;
        let [a, b, c, d, e, f, g, h] = position.to_be_bytes();
        let snapshot = flags & SNAPSHOT != 0;
        let has_subscriptions = flags & SUBSCRIPTIONS != 0;
        let version = if outbox.may_have_sources() { VERSION_WITH_SOURCES } else { VERSION };
        Self {
            header: [version, flags, a, b, c, d, e, f, g, h],
            reclaimed: requests.reclaimed_range(),
            brokers: (flags & BROKERS != 0).then(|| brokers.encode()),
            here: brokers.home(),
            notes: if snapshot { &[] } else { outbox.notes(bytes) },
            slots: if snapshot { slots } else { &[] },
            abandoned: requests.abandoned,
            subscriptions: has_subscriptions.then(|| subscriptions.filters(outbox, bytes)),
            packets: if snapshot { outbox.unacknowledged(bytes) } else { outbox.unrecorded(bytes) },
            copied: None,
        }
    }

    /// A record that was copied by [`copy_to`](Self::copy_to), so that the client can be used while it is being written.
    /// Bytes that are no record are void in the journal.
    ///
    /// `Client::persisted` counts for the record that the last `Client::poll` gave. So nobody may call `poll` between
    /// the one that gave the record and the `persisted` for its copy. Requests may be made.
    pub fn of_bytes(copied: &'a [u8]) -> Self {
        Self {
            header: copied.first_chunk().copied().unwrap_or_default(),
            reclaimed: None,
            brokers: None,
            here: 0,
            notes: &[],
            slots: &[],
            abandoned: Abandoned::NONE,
            subscriptions: None,
            packets: Unacknowledged::NONE,
            copied: Some(copied),
        }
    }

    /// Whether the record states the whole session. Once it is durable, the records before it may be deleted.
    #[must_use]
    pub const fn is_snapshot(&self) -> bool {
        let [_, flags, ..] = self.header;
        flags & SNAPSHOT != 0
    }

    /// Its bytes in pieces, so that no packet has to be copied out of the outbox.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let assembled = self.copied.is_none().then_some(*self).into_iter().flat_map(|record| {
            let mut crc = Crc::new();
            record.body().map(Some).chain(core::iter::once(None)).map(move |chunk| match chunk {
                Some(chunk) => {
                    crc.add(chunk.as_ref());
                    chunk
                }
                None => Chunk::few(crc.finish().to_be_bytes()),
            })
        });
        self.copied.map(Chunk::borrowed).into_iter().chain(assembled)
    }

    fn body(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let Self {
            header,
            reclaimed,
            brokers,
            here,
            notes,
            slots,
            abandoned,
            subscriptions,
            packets,
            copied: _,
        } = *self;
        let snapshot = self.is_snapshot();
        // Oldest first.
        let noted = notes.rchunks(NOTE_LEN).map(Chunk::borrowed);
        let seen = slots
            .iter()
            .filter_map(move |slot| Inbound::acknowledged_id(slot, here))
            .map(|(id, broker)| Chunk::few(Note { fate: Fate::Seen, id, broker }.encode()));
        let given_up = abandoned
            .iter()
            .filter(move |_| snapshot)
            .map(|id| Chunk::few(Note { fate: Fate::Abandoned, id, broker: 0 }.encode()));
        let is_abandoned =
            move |packet: u16| PacketId::new(packet).is_some_and(|id| abandoned.has(id));
        let packets = packets.filter(move |packet| !is_abandoned(packet.id));
        let released = packets
            .clone()
            .filter(move |packet| snapshot && packet.is_pubrel)
            .filter_map(|packet| {
                let id = PacketId::new(packet.id)?;
                Some(Chunk::few(Note { fate: Fate::Released, id, broker: 0 }.encode()))
            });
        let subscriptions = subscriptions.into_iter().flat_map(|filters| {
            [Chunk::few((filters.len() as u32).to_be_bytes()), Chunk::borrowed(filters)]
        });
        let reclaimed = reclaimed
            .into_iter()
            .flat_map(|Range { first, last }| [first, last])
            .map(|id| Chunk::few(id.to_be_bytes()));
        core::iter::once(Chunk::few(header))
            .chain(reclaimed)
            .chain(brokers.map(Chunk::few))
            .chain(noted)
            .chain(seen)
            .chain(released)
            .chain(given_up)
            .chain(core::iter::once(Chunk::few([NO_MORE_NOTES])))
            .chain(subscriptions)
            .chain(packets.filter_map(|packet| packet.publish).map(Chunk::borrowed))
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no record is empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.copied.map_or_else(
            || self.body().map(|chunk| chunk.as_ref().len()).sum::<usize>() + CRC_LEN,
            <[u8]>::len,
        )
    }

    /// Writes it to the front of `space` and gives that part; `None` if it does not fit.
    #[must_use]
    pub fn copy_to<'s>(&self, space: &'s mut [u8]) -> Option<&'s [u8]> {
        let mut at = 0;
        for chunk in self.chunks() {
            let chunk = chunk.as_ref();
            space.get_mut(at..at + chunk.len())?.copy_from_slice(chunk);
            at += chunk.len();
        }
        space.get(..at)
    }
}

/// A valid record.
#[derive(Clone, Copy)]
pub(crate) struct Parsed<'r> {
    pub(super) flags: u8,
    pub(super) position: u64,
    /// The ids that are reclaimed, or to be reclaimed.
    pub(super) reclaimed: Option<Range>,
    pub(super) brokers: Option<[u8; BROKERS_LEN]>,
    notes: &'r [u8],
    pub(super) subscriptions: Option<&'r [u8]>,
    packets: &'r [u8],
    may_have_sources: bool,
}

/// A PUBLISH of a record.
#[derive(Clone, Copy)]
pub(super) struct Accepted<'r> {
    pub(super) id: PacketId,
    pub(super) qos: QoS,
    pub(super) packet: &'r [u8],
    pub(super) is_from_source: bool,
}

impl<'r> Parsed<'r> {
    pub(crate) fn new(record: &'r [u8]) -> Result<Self, RestoreError> {
        let Some((checked, crc)) = record.split_last_chunk::<CRC_LEN>() else {
            return Err(RestoreError::Torn);
        };
        let mut sum = Crc::new();
        sum.add(checked);
        if sum.finish() != u32::from_be_bytes(*crc) {
            return Err(RestoreError::Torn);
        }
        match checked.first() {
            Some(&(VERSION | VERSION_WITH_SOURCES)) => {
                Self::body(checked).ok_or(RestoreError::Malformed)
            }
            Some(&found) => Err(RestoreError::Version { found }),
            None => Err(RestoreError::Torn),
        }
    }

    fn body(checked: &'r [u8]) -> Option<Self> {
        let (&[version, flags, ref position @ ..], body) =
            checked.split_first_chunk::<HEADER_LEN>()?;
        let (reclaimed, body) = reclaimed_range(flags, body)?;
        let (brokers, body) = known_brokers(flags, body)?;
        let mut rest = body;
        while *rest.first()? != NO_MORE_NOTES {
            let (note, behind) = rest.split_first_chunk()?;
            Note::decode(*note)?;
            rest = behind;
        }
        let notes = body.get(..body.len() - rest.len())?;
        let mut packets = rest.get(1..)?;
        let mut subscriptions = None;
        if flags & SUBSCRIPTIONS != 0 {
            let (len, behind) = packets.split_first_chunk()?;
            let (filters, behind) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            let mut left = filters;
            while !left.is_empty() {
                left = after_filter(left)?;
            }
            subscriptions = Some(filters);
            packets = behind;
        }
        let position = u64::from_be_bytes(*position);
        let may_have_sources = version == VERSION_WITH_SOURCES;
        let parsed = Self {
            flags,
            position,
            reclaimed,
            brokers,
            notes,
            subscriptions,
            packets,
            may_have_sources,
        };
        let len: usize = parsed.packets().map(|accepted| accepted.packet.len()).sum();
        (len == packets.len()).then_some(parsed)
    }

    pub(crate) const fn is_snapshot(&self) -> bool {
        self.flags & SNAPSHOT != 0
    }

    /// Oldest first.
    pub(super) fn notes(&self) -> impl DoubleEndedIterator<Item = Note> + use<'r> {
        self.notes.chunks_exact(NOTE_LEN).filter_map(|note| Note::decode(*note.first_chunk()?))
    }

    /// The brokers that notes name, as a set of bits.
    pub(super) fn brokers_noted(&self) -> u8 {
        self.notes().fold(0, |set, note| set | 1 << note.broker)
    }

    /// How many notes are of `fate`.
    pub(super) fn count(&self, fate: Fate) -> usize {
        self.notes().filter(|note| note.fate == fate).count()
    }

    /// Gives the ids of `broker` to `take` whose last note, among those of `fate` and `others`, is of `fate`; each once.
    ///
    /// The notes are read newest first, once for each [`Block`] of ids that has a note of `fate`: at most 32 times. So
    /// this takes time in proportion to the notes, and little room.
    pub(super) fn ids(
        &self,
        broker: u8,
        fate: Fate,
        others: &[Fate],
        take: &mut dyn FnMut(PacketId),
    ) {
        let notes = || self.notes().filter(|note| note.broker == broker);
        let mut blocks = 0_u32;
        for note in notes().filter(|note| note.fate == fate) {
            blocks |= 1 << Block::of(note.id);
        }
        while blocks != 0 {
            let mut block = Block::new(blocks.trailing_zeros());
            blocks &= blocks - 1;
            for note in notes().rev() {
                let counts = note.fate == fate || others.contains(&note.fate);
                if counts && block.add(note.id) && note.fate == fate {
                    take(note.id);
                }
            }
        }
    }

    /// The publishes, up to the first bytes that are none.
    pub(super) fn packets(&self) -> impl Iterator<Item = Accepted<'r>> + use<'r> {
        let (mut rest, may_have_sources) = (self.packets, self.may_have_sources);
        core::iter::from_fn(move || {
            let header = Header::decode(rest).ok()??;
            let (packet, behind) = rest.split_at_checked(header.frame_len())?;
            if !header.first_byte().is(PacketType::Publish) {
                return None;
            }
            let publish =
                Publish::decode(header.first(), packet.get(header.header_len()..)?).ok()?;
            let id = publish.id.filter(|id| id.get() <= LAST_ID)?;
            let is_from_source = frame_at(packet, 0).is_some_and(is_from_source);
            if is_from_source && (!may_have_sources || described(publish.payload).is_none()) {
                return None;
            }
            rest = behind;
            Some(Accepted { id, qos: publish.qos, packet, is_from_source })
        })
    }
}

/// The range of reclaimed ids at the front of `body`, if the flags say that there is one, and the rest.
fn reclaimed_range(flags: u8, body: &[u8]) -> Option<(Option<Range>, &[u8])> {
    if flags & FOUND == 0 {
        return (flags & RECLAIM_DUE == 0).then_some((None, body));
    }
    let (&[a, b, c, d], rest) = body.split_first_chunk()?;
    let (first, last) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let valid = first != 0 && first <= last && last <= LAST_ID;
    valid.then_some((Some(Range { first, last }), rest))
}

/// What is known of each broker, at the front of `body`, if the flags say that it is there, and the rest.
fn known_brokers(flags: u8, body: &[u8]) -> Option<(Option<[u8; BROKERS_LEN]>, &[u8])> {
    if flags & BROKERS == 0 {
        return Some((None, body));
    }
    let (known, rest) = body.split_first_chunk()?;
    Some((Some(*known), rest))
}

/// A set of packet ids out of 2,048 that follow one another.
struct Block {
    number: u32,
    ids: [u32; Self::LEN / 32],
}

impl Block {
    const LEN: usize = 1 << Self::BITS;
    /// Bits of an id that tell the ids of a block apart.
    const BITS: u32 = 11;

    const fn new(number: u32) -> Self {
        Self { number, ids: [0; Self::LEN / 32] }
    }

    /// The number of the block that `id` belongs to, below 32.
    const fn of(id: PacketId) -> u32 {
        (id.get() >> Self::BITS) as u32
    }

    /// Adds `id`, if it belongs to the block and is not there.
    fn add(&mut self, id: PacketId) -> bool {
        let at = usize::from(id.get()) % Self::LEN;
        let Some(word) = self.ids.get_mut(at / 32).filter(|_| Self::of(id) == self.number) else {
            return false;
        };
        let bit = 1 << (at % 32);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// How many filters `subscriptions` has, up to the first bytes that are none.
pub(super) fn filters_in(subscriptions: &[u8]) -> usize {
    let mut rest = subscriptions;
    core::iter::from_fn(|| {
        rest = after_filter(rest)?;
        Some(())
    })
    .count()
}

/// The bytes behind a filter, which has a length in front and a QoS behind; `None` if there is no filter.
fn after_filter(bytes: &[u8]) -> Option<&[u8]> {
    let (len, behind) = bytes.split_first_chunk()?;
    let (filter, behind) = behind.split_at_checked(u16::from_be_bytes(*len).into())?;
    Filter::from_bytes(filter).ok()?;
    let (qos, behind) = behind.split_first()?;
    QoS::from_bits(*qos)?;
    Some(behind)
}

#[cfg(test)]
mod tests;
