//! What a session leaves behind for the day after a power cut: the format of records.
//!
//! A record states everything that changed since the one before, and is valid as a whole or not at all:
//!
//! ```text
//! version 1 | flags | position (8) | notes (3 each) | 0 | [length (4) subscriptions] | PUBLISH packets | CRC-32 (4)
//! ```
//!
//! Numbers are big-endian, as on the wire. A *note* says what became of a packet id; the packets are those of QoS 1 and
//! 2 that were accepted, as they lie in the outbox; the subscriptions are those kept, as in the body of a SUBSCRIBE. A
//! record with the flag [`SNAPSHOT`] states the whole session, so that those before it may go. Notes apply before
//! packets.
//!
//! The version comes first and the checksum, of everything in front of it, last, in every version there may ever be:
//! a record that was cut short is told from one that is too new.

use super::{Inbound, Outbox, Slot, Subscriptions, outbox::Packets};
use crate::{
    codec::{Header, PacketId, Publish, QoS},
    error::RestoreError,
    topic::Filter,
};

const VERSION: u8 = 1;
/// Version, flags, position.
const HEADER_LEN: usize = 10;
const CRC_LEN: usize = 4;
pub(crate) const NOTE_LEN: usize = 3;
/// Ends the notes.
const NO_MORE_NOTES: u8 = 0;

/// Forget all that came before.
pub(crate) const SNAPSHOT: u8 = 1;
/// The kept subscriptions follow the notes.
pub(crate) const SUBSCRIPTIONS: u8 = 2;
/// The broker should have a session for this client.
pub(crate) const SESSION: u8 = 4;
/// Packets may have been sent.
pub(crate) const CONNECTED: u8 = 8;
/// The subscriptions are to be made again.
pub(crate) const RENEWAL_DUE: u8 = 16;
/// The broker's session is from before this client: ids stay with their slots.
pub(crate) const FOUND: u8 = 32;
/// The ids of that session are to be purged.
pub(crate) const PURGE_DUE: u8 = 64;

const ALL_FLAGS: u8 =
    SNAPSHOT | SUBSCRIPTIONS | SESSION | CONNECTED | RENEWAL_DUE | FOUND | PURGE_DUE;

/// What became of a packet id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fate {
    /// Our publish is done: PUBACK or PUBCOMP came, or it was lost.
    Done = 1,
    /// Our publish of QoS 2 is the broker's: PUBREC came, and a PUBREL is to be sent.
    Released = 2,
    /// The broker's publish of QoS 2 was taken.
    Seen = 3,
    /// Its PUBREL came: the id is new from now on.
    Forgotten = 4,
}

/// A packet id and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) fate: Fate,
    pub(crate) id: PacketId,
}

impl Note {
    pub(super) const fn encode(self) -> [u8; NOTE_LEN] {
        let [high, low] = self.id.get().to_be_bytes();
        [self.fate as u8, high, low]
    }

    fn decode(bytes: [u8; NOTE_LEN]) -> Option<Self> {
        let [fate, high, low] = bytes;
        let fate = match fate {
            1 => Fate::Done,
            2 => Fate::Released,
            3 => Fate::Seen,
            4 => Fate::Forgotten,
            _ => return None,
        };
        let id = PacketId::new(u16::from_be_bytes([high, low]))?;
        let ours = matches!(fate, Fate::Done | Fate::Released);
        (!ours || id.get() <= super::LAST_ID).then_some(Self { fate, id })
    }
}

/// What a journal has to keep: everything that changed since the record before.
///
/// See `Options::journal` for when there are records, and `Client::restore` for what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nothing is sent before the record is durable and `Client::persisted` has been called"]
pub struct Record<'a> {
    header: [u8; HEADER_LEN],
    /// Newest first, without a journal's snapshot.
    notes: &'a [u8],
    /// Where the ids are seen that a snapshot notes.
    slots: &'a [Slot],
    subscriptions: Option<&'a [u8]>,
    packets: Packets<'a>,
}

/// A few bytes of a record: its own or borrowed.
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
    pub(crate) fn new(
        flags: u8,
        position: u64,
        bytes: &'a [u8],
        slots: &'a [Slot],
        outbox: &Outbox,
        subscriptions: &Subscriptions,
    ) -> Self {
        let [a, b, c, d, e, f, g, h] = position.to_be_bytes();
        let snapshot = flags & SNAPSHOT != 0;
        let kept = flags & SUBSCRIPTIONS != 0;
        Self {
            header: [VERSION, flags, a, b, c, d, e, f, g, h],
            notes: if snapshot { &[] } else { outbox.notes(bytes) },
            slots: if snapshot { slots } else { &[] },
            subscriptions: kept.then(|| subscriptions.kept(outbox, bytes)),
            packets: outbox.packets(bytes, snapshot),
        }
    }

    /// Whether the record states the whole session: once it is durable, those before it may go.
    #[must_use]
    pub const fn is_snapshot(&self) -> bool {
        let [_, flags, ..] = self.header;
        flags & SNAPSHOT != 0
    }

    /// Its bytes, in pieces, so that nobody has to copy a packet that is in the outbox.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut crc = Crc::new();
        self.body().map(Some).chain(core::iter::once(None)).map(move |chunk| match chunk {
            Some(chunk) => {
                crc.add(chunk.as_ref());
                chunk
            }
            None => Chunk::few(crc.finish().to_be_bytes()),
        })
    }

    fn body(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let Self { header, notes, slots, subscriptions, packets } = *self;
        let snapshot = self.is_snapshot();
        // Oldest first.
        let noted = notes.rchunks(NOTE_LEN).map(Chunk::borrowed);
        let seen = slots
            .iter()
            .filter_map(|slot| Inbound::taken(slot, slots))
            .map(|id| Chunk::few(Note { fate: Fate::Seen, id }.encode()));
        let released = packets.filter(move |kept| snapshot && kept.is_pubrel).filter_map(|kept| {
            let id = PacketId::new(kept.id)?;
            Some(Chunk::few(Note { fate: Fate::Released, id }.encode()))
        });
        let subscriptions = subscriptions.into_iter().flat_map(|kept| {
            [Chunk::few((kept.len() as u32).to_be_bytes()), Chunk::borrowed(kept)]
        });
        core::iter::once(Chunk::few(header))
            .chain(noted)
            .chain(seen)
            .chain(released)
            .chain(core::iter::once(Chunk::few([NO_MORE_NOTES])))
            .chain(subscriptions)
            .chain(packets.filter_map(|kept| kept.publish).filter(is_recorded).map(Chunk::borrowed))
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no record is empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.body().map(|chunk| chunk.as_ref().len()).sum::<usize>() + CRC_LEN
    }

    /// Writes it to the front of `space` and gives that; `None` where it does not fit.
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

/// Only what has to arrive.
fn is_recorded(packet: &&[u8]) -> bool {
    packet.first().is_some_and(|first| first & 0b0110 != 0)
}

/// A record that is valid as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Parsed<'r> {
    pub(crate) flags: u8,
    pub(crate) position: u64,
    notes: &'r [u8],
    pub(crate) subscriptions: Option<&'r [u8]>,
    packets: &'r [u8],
}

/// A PUBLISH of a record.
#[derive(Clone, Copy)]
pub(crate) struct Accepted<'r> {
    pub(crate) id: PacketId,
    pub(crate) qos: QoS,
    pub(crate) packet: &'r [u8],
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
            Some(&VERSION) => Self::body(checked).ok_or(RestoreError::Malformed),
            Some(&found) => Err(RestoreError::Version { found }),
            None => Err(RestoreError::Torn),
        }
    }

    fn body(checked: &'r [u8]) -> Option<Self> {
        let (&[_, flags, ref position @ ..], body) = checked.split_first_chunk::<HEADER_LEN>()?;
        if flags & !ALL_FLAGS != 0 {
            return None;
        }
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
            let (kept, behind) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            let mut left = kept;
            while !left.is_empty() {
                left = after_filter(left)?;
            }
            subscriptions = Some(kept);
            packets = behind;
        }
        let parsed =
            Self { flags, position: u64::from_be_bytes(*position), notes, subscriptions, packets };
        let len: usize = parsed.packets().map(|accepted| accepted.packet.len()).sum();
        (len == packets.len()).then_some(parsed)
    }

    pub(crate) const fn is_snapshot(&self) -> bool {
        self.flags & SNAPSHOT != 0
    }

    /// Oldest first.
    pub(crate) fn notes(&self) -> impl Iterator<Item = Note> + use<'r> {
        self.notes.chunks_exact(NOTE_LEN).filter_map(|note| Note::decode(*note.first_chunk()?))
    }

    /// The ids whose last word, of `fate` and `other`, is `fate`; each once.
    pub(crate) fn ids(&self, fate: Fate, other: Fate) -> impl Iterator<Item = PacketId> + use<'r> {
        let notes = *self;
        self.notes().enumerate().filter_map(move |(at, note)| {
            let mut behind = notes.notes().skip(at + 1);
            let last =
                !behind.any(|later| later.id == note.id && [fate, other].contains(&later.fate));
            (note.fate == fate && last).then_some(note.id)
        })
    }

    /// Up to the first that is none.
    pub(crate) fn packets(&self) -> impl Iterator<Item = Accepted<'r>> + use<'r> {
        let mut rest = self.packets;
        core::iter::from_fn(move || {
            let header = Header::decode(rest).ok()??;
            let (packet, behind) = rest.split_at_checked(header.frame_len())?;
            if header.first() >> 4 != 3 {
                return None;
            }
            let publish =
                Publish::decode(header.first(), packet.get(header.header_len()..)?).ok()?;
            let id = publish.id.filter(|id| id.get() <= super::LAST_ID)?;
            rest = behind;
            Some(Accepted { id, qos: publish.qos, packet })
        })
    }
}

/// How many filters `kept` has, up to the first that is none.
pub(crate) fn filters_in(kept: &[u8]) -> usize {
    let mut rest = kept;
    core::iter::from_fn(|| {
        rest = after_filter(rest)?;
        Some(())
    })
    .count()
}

/// What follows a filter with a length in front and a QoS behind; `None` where there is none.
fn after_filter(bytes: &[u8]) -> Option<&[u8]> {
    let (len, behind) = bytes.split_first_chunk()?;
    let (filter, behind) = behind.split_at_checked(u16::from_be_bytes(*len).into())?;
    Filter::from_bytes(filter).ok()?;
    let (qos, behind) = behind.split_first()?;
    QoS::from_bits(*qos)?;
    Some(behind)
}

/// CRC-32 as in IEEE 802.3, four bits at a time: the table takes 64 bytes.
struct Crc(u32);

impl Crc {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut nibble = 0;
        while nibble < 16 {
            let mut crc = nibble;
            let mut bit = 0;
            while bit < 4 {
                crc = (crc >> 1) ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 };
                bit += 1;
            }
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            {
                table[nibble as usize] = crc;
            }
            nibble += 1;
        }
        table
    };

    const fn new() -> Self {
        Self(u32::MAX)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.nibble(*byte);
            self.nibble(*byte >> 4);
        }
    }

    fn nibble(&mut self, bits: u8) {
        let index = (self.0 as u8 ^ bits) & 15;
        self.0 = (self.0 >> 4) ^ Self::TABLE.get(usize::from(index)).copied().unwrap_or(0);
    }

    const fn finish(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests;
