//! SUBSCRIBE, SUBACK and UNSUBSCRIBE: sections 3.8 to 3.10 of the standard.
//!
//! The filters of a packet to encode are in a slice. The filters of a decoded packet stay in its bytes, which are
//! checked once, and are read by iteration. Two requests are equal if they ask for the same, in a slice or in bytes.

use core::fmt;

use super::{
    cursor::{Reader, Writer, frame_len},
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::{PacketId, PacketType, Protocol, QoS},
};
use crate::topic::Filter;

/// The SUBACK code of a refused filter.
const REFUSED: u8 = 0x80;

/// A SUBSCRIBE.
///
/// ```
/// use mqtt_core::{PacketId, QoS, codec::Subscribe, filter};
///
/// let filters = [(filter!("a/#"), QoS::AtLeastOnce)];
/// let id = PacketId::new(7).expect("7 is not 0");
/// let mut out = [0; 16];
/// assert_eq!(Subscribe::new(id, &filters).encode(&mut out), Ok(10));
/// assert_eq!(&out[..10], b"\x82\x08\0\x07\0\x03a/#\x01");
/// ```
#[derive(Clone, Copy)]
pub struct Subscribe<'a> {
    /// The packet id.
    pub id: PacketId,
    /// The packet may have been sent before. Only in 3.1: this bit is reserved in 3.1.1.
    pub dup: bool,
    filters: List<'a>,
}

/// An UNSUBSCRIBE.
#[derive(Clone, Copy)]
pub struct Unsubscribe<'a> {
    /// The packet id.
    pub id: PacketId,
    /// The packet may have been sent before. Only in 3.1: this bit is reserved in 3.1.1.
    pub dup: bool,
    filters: List<'a>,
}

/// A SUBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The packet id of the SUBSCRIBE.
    pub id: PacketId,
    /// The codes, in the order of the filters.
    pub granted: Granted<'a>,
}

/// The codes of a SUBACK: the result for each filter of the SUBSCRIBE, in its order [MQTT-3.9.3-1]. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Granted<'a>(&'a [u8]);

/// Filters in a slice, or in the checked bytes of a packet. SUBSCRIBE and UNSUBSCRIBE share this type so that its code
/// is linked once; a filter of an UNSUBSCRIBE gets QoS 0.
#[derive(Clone, Copy)]
enum List<'a> {
    Subscribe(&'a [(Filter<'a>, QoS)]),
    Unsubscribe(&'a [Filter<'a>]),
    Wire { bytes: &'a [u8], entries: Entries },
}

/// The form of the entries in the bytes of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entries {
    /// Filter and QoS: SUBSCRIBE.
    FilterAndQoS,
    /// Filter alone: UNSUBSCRIBE.
    Filter,
}

impl<'a> List<'a> {
    /// Reads a list up to the end of the packet; the error `empty` if it is empty.
    fn read(mut reader: Reader<'a>, entries: Entries, empty: Violation) -> Result<Self, Violation> {
        if reader.is_empty() {
            return Err(empty);
        }
        let bytes = reader.rest();
        while !reader.is_empty() {
            read_entry(&mut reader, entries)?;
        }
        Ok(Self::Wire { bytes, entries })
    }

    fn iter(self) -> impl Iterator<Item = (Filter<'a>, QoS)> + Clone + use<'a> {
        let mut index = 0;
        let mut left = self;
        core::iter::from_fn(move || match &mut left {
            Self::Subscribe(_) | Self::Unsubscribe(_) => {
                index += 1;
                left.get(index - 1)
            }
            Self::Wire { bytes, entries } => {
                let mut reader = Reader::new(bytes);
                let entry = read_entry(&mut reader, *entries).ok()?;
                *bytes = reader.rest();
                Some(entry)
            }
        })
    }

    /// The entry of a slice at `index`.
    fn get(&self, index: usize) -> Option<(Filter<'a>, QoS)> {
        match self {
            Self::Subscribe(entries) => entries.get(index).copied(),
            Self::Unsubscribe(filters) => Some((*filters.get(index)?, QoS::AtMostOnce)),
            Self::Wire { .. } => None,
        }
    }

    /// The remaining length of a packet with a packet id and this list.
    fn remaining(&self) -> Result<usize, EncodeError> {
        let around = match self {
            Self::Wire { bytes, .. } => return Ok(PacketId::LEN + bytes.len()),
            Self::Subscribe(_) => 3,
            Self::Unsubscribe(_) => 2,
        };
        let (mut len, mut index) = (PacketId::LEN, 0_usize);
        while let Some((filter, _)) = self.get(index) {
            // All filters of a slice may borrow the same bytes, so memory does not limit the sum of their lengths.
            len = len.saturating_add(around + filter.as_bytes().len());
            index += 1;
        }
        // [MQTT-3.8.3-3], [MQTT-3.10.3-2]
        if index == 0 { Err(EncodeError::NoFilter) } else { Ok(len) }
    }

    fn encode(&self, first: FirstByte, id: PacketId, out: &mut [u8]) -> Result<usize, EncodeError> {
        let (mut writer, len) = Writer::packet(out, first, self.remaining()?)?;
        writer.u16(id.get());
        if let Self::Wire { bytes, .. } = self {
            writer.bytes(bytes);
        }
        let mut index = 0;
        while let Some((filter, qos)) = self.get(index) {
            writer.field(filter.as_bytes());
            if matches!(self, Self::Subscribe(_)) {
                writer.u8(qos as u8);
            }
            index += 1;
        }
        writer.end();
        Ok(len)
    }
}

fn read_entry<'a>(
    reader: &mut Reader<'a>,
    entries: Entries,
) -> Result<(Filter<'a>, QoS), Violation> {
    // [MQTT-3.8.3-1], [MQTT-3.10.3-1]
    let filter = Filter::from_bytes(reader.field()?)?;
    let qos = if entries == Entries::FilterAndQoS { reader.u8()? } else { 0 };
    // [MQTT-3.8.3-4]
    Ok((filter, QoS::from_bits(qos).ok_or(Violation::SubscribeQoS)?))
}

impl<'a> Subscribe<'a> {
    /// A SUBSCRIBE to `filters`, each with the highest QoS that is wanted.
    #[must_use]
    pub const fn new(id: PacketId, filters: &'a [(Filter<'a>, QoS)]) -> Self {
        Self { id, dup: false, filters: List::Subscribe(filters) }
    }

    /// Decodes a SUBSCRIBE. Only the flags of `first` are checked; `body` is everything behind the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        let dup = FirstByte::new(first).request_flags(protocol)?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        // [MQTT-3.8.3-3]
        Ok(Self {
            id,
            dup,
            filters: List::read(reader, Entries::FilterAndQoS, Violation::SubscribeEmpty)?,
        })
    }

    /// The filters, each with the QoS asked for.
    pub fn filters(&self) -> impl Iterator<Item = (Filter<'a>, QoS)> + Clone + use<'a> {
        self.filters.iter()
    }

    /// Bytes of the packet on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoFilter`], [`EncodeError::PacketTooLong`].
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(self.filters.remaining()?)
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// As [`Subscribe::encoded_len`], and [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let first = FirstByte::of(PacketType::Subscribe).dup_if(self.dup);
        self.filters.encode(first, self.id, out)
    }
}

impl<'a> Unsubscribe<'a> {
    /// An UNSUBSCRIBE from exactly these filters.
    #[must_use]
    pub const fn new(id: PacketId, filters: &'a [Filter<'a>]) -> Self {
        Self { id, dup: false, filters: List::Unsubscribe(filters) }
    }

    /// Decodes an UNSUBSCRIBE. Only the flags of `first` are checked; `body` is everything behind the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        let dup = FirstByte::new(first).request_flags(protocol)?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        // [MQTT-3.10.3-2]
        Ok(Self {
            id,
            dup,
            filters: List::read(reader, Entries::Filter, Violation::UnsubscribeEmpty)?,
        })
    }

    /// The filters.
    pub fn filters(&self) -> impl Iterator<Item = Filter<'a>> + Clone + use<'a> {
        self.filters.iter().map(|(filter, _)| filter)
    }

    /// Bytes of the packet on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoFilter`], [`EncodeError::PacketTooLong`].
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(self.filters.remaining()?)
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// As [`Unsubscribe::encoded_len`], and [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let first = FirstByte::of(PacketType::Unsubscribe).dup_if(self.dup);
        self.filters.encode(first, self.id, out)
    }
}

impl<'a> SubAck<'a> {
    /// Decodes a SUBACK. Only the flags of `first` are checked; `body` is everything behind the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule.
    pub fn decode(first: u8, body: &'a [u8]) -> Result<Self, Violation> {
        FirstByte::new(first).no_flags()?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        Ok(Self { id, granted: Granted::from_bytes(reader.rest())? })
    }

    /// Bytes of the packet on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketTooLong`].
    pub const fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(PacketId::LEN + self.granted.len())
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// As [`SubAck::encoded_len`], and [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let first = FirstByte::of(PacketType::SubAck);
        let (mut writer, len) = Writer::packet(out, first, PacketId::LEN + self.granted.len())?;
        writer.u16(self.id.get());
        writer.bytes(self.granted.0);
        writer.end();
        Ok(len)
    }
}

impl<'a> IntoIterator for Granted<'a> {
    type Item = Option<QoS>;
    type IntoIter = core::iter::Map<core::slice::Iter<'a, u8>, fn(&u8) -> Option<QoS>>;

    /// As [`Granted::iter`].
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|code| QoS::from_bits(*code))
    }
}

impl<'a> Granted<'a> {
    /// The codes of a SUBACK, as on the wire.
    ///
    /// 0x80, a refusal, is a code in both versions. The text of 3.1 does not have it, but brokers send it to clients of
    /// 3.1 as well, and it has no other meaning. [`has_refusals`](Self::has_refusals) finds it.
    ///
    /// # Errors
    ///
    /// [`Violation::SubAckCode`]: only 0, 1, 2 and 0x80 are codes [MQTT-3.9.3-2].
    /// [`Violation::SubAckCount`]: there is no code.
    pub const fn from_bytes(codes: &'a [u8]) -> Result<Self, Violation> {
        // [MQTT-3.8.4-5]: there is a code for each filter, and [MQTT-3.8.3-3] at least one filter.
        if codes.is_empty() {
            return Err(Violation::SubAckCount);
        }
        let mut rest = codes;
        while let [code, tail @ ..] = rest {
            // [MQTT-3.9.3-2]
            match *code {
                0..=2 | REFUSED => rest = tail,
                _ => return Err(Violation::SubAckCode),
            }
        }
        Ok(Self(codes))
    }

    /// The codes, as on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The caller has checked the codes.
    #[cfg(feature = "mqttbytes")]
    pub(super) const fn from_codes(codes: &'a [u8]) -> Self {
        Self(codes)
    }

    /// The result for each filter: the QoS granted, or `None` if the filter was refused.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<QoS>> + Clone + use<'a> {
        self.into_iter()
    }

    /// Whether any filter was refused. MQTT 3.1 has no code for that: a strict reading of 3.1 takes such a SUBACK for a
    /// [`Violation::SubAckCode`].
    #[must_use]
    pub fn has_refusals(&self) -> bool {
        self.0.contains(&REFUSED)
    }

    /// The number of codes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no code: always false.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The result for the filter at `index`: the QoS granted, or `Some(None)` if the filter was refused; `None` beyond
    /// the last filter.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Option<QoS>> {
        self.0.get(index).map(|code| QoS::from_bits(*code))
    }
}

impl PartialEq for Subscribe<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.dup) == (other.id, other.dup) && self.filters().eq(other.filters())
    }
}

impl Eq for Subscribe<'_> {}

impl PartialEq for Unsubscribe<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.dup) == (other.id, other.dup) && self.filters().eq(other.filters())
    }
}

impl Eq for Unsubscribe<'_> {}

impl fmt::Debug for Subscribe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        request(f, "Subscribe", self.id, self.dup, self.filters())
    }
}

impl fmt::Debug for Unsubscribe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        request(f, "Unsubscribe", self.id, self.dup, self.filters())
    }
}

impl fmt::Debug for Granted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn request<T: fmt::Debug>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    id: PacketId,
    dup: bool,
    filters: impl Iterator<Item = T> + Clone,
) -> fmt::Result {
    let mut packet = f.debug_struct(name);
    packet.field("id", &id).field("dup", &dup).field("filters", &Listed(filters)).finish()
}

struct Listed<I>(I);

impl<I: Iterator<Item: fmt::Debug> + Clone> fmt::Debug for Listed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.clone()).finish()
    }
}
