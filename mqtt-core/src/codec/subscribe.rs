//! SUBSCRIBE, SUBACK and UNSUBSCRIBE: sections 3.8 to 3.10 of the standard.
//!
//! To encode, filters come from a slice; decoded, they stay in the packet's bytes, which have been checked once, and
//! are read by iteration. Two requests are equal where they ask for the same, wherever it lies.

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
    /// Its packet id.
    pub id: PacketId,
    /// It may have been sent before. 3.1 only: in 3.1.1 this is a reserved bit.
    pub dup: bool,
    filters: List<'a>,
}

/// An UNSUBSCRIBE.
#[derive(Clone, Copy)]
pub struct Unsubscribe<'a> {
    /// Its packet id.
    pub id: PacketId,
    /// It may have been sent before. 3.1 only: in 3.1.1 this is a reserved bit.
    pub dup: bool,
    filters: List<'a>,
}

/// A SUBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The packet id of the SUBSCRIBE.
    pub id: PacketId,
    /// What was granted, in the order of the filters.
    pub granted: Granted<'a>,
}

/// What a broker granted: a code for each filter of the SUBSCRIBE, in its order [MQTT-3.9.3-1]. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Granted<'a>(&'a [u8]);

/// Filters in a slice, or in the checked bytes of a packet. One type for both requests, so that there is one copy of
/// its code; where there is no QoS, it says 0.
#[derive(Clone, Copy)]
enum List<'a> {
    WithQoS(&'a [(Filter<'a>, QoS)]),
    WithoutQoS(&'a [Filter<'a>]),
    Wire { bytes: &'a [u8], with_qos: bool },
}

impl<'a> List<'a> {
    /// The list that `reader` holds to its end; it is not empty.
    fn read(mut reader: Reader<'a>, with_qos: bool, empty: Violation) -> Result<Self, Violation> {
        if reader.is_empty() {
            return Err(empty);
        }
        let bytes = reader.rest();
        while !reader.is_empty() {
            read_entry(&mut reader, with_qos)?;
        }
        Ok(Self::Wire { bytes, with_qos })
    }

    fn iter(self) -> impl Iterator<Item = (Filter<'a>, QoS)> + Clone + use<'a> {
        let mut index = 0;
        let mut left = self;
        core::iter::from_fn(move || match &mut left {
            Self::WithQoS(_) | Self::WithoutQoS(_) => {
                index += 1;
                left.get(index - 1)
            }
            Self::Wire { bytes, with_qos } => {
                let mut reader = Reader::new(bytes);
                let entry = read_entry(&mut reader, *with_qos).ok()?;
                *bytes = reader.rest();
                Some(entry)
            }
        })
    }

    /// An entry of a slice.
    fn get(&self, index: usize) -> Option<(Filter<'a>, QoS)> {
        match self {
            Self::WithQoS(entries) => entries.get(index).copied(),
            Self::WithoutQoS(filters) => Some((*filters.get(index)?, QoS::AtMostOnce)),
            Self::Wire { .. } => None,
        }
    }

    /// Bytes of a packet with this list behind its packet id.
    fn remaining(&self) -> Result<usize, EncodeError> {
        let around = match self {
            Self::Wire { bytes, .. } => return Ok(PacketId::LEN + bytes.len()),
            Self::WithQoS(_) => 3,
            Self::WithoutQoS(_) => 2,
        };
        let (mut len, mut index) = (PacketId::LEN, 0_usize);
        while let Some((filter, _)) = self.get(index) {
            // Filters in a slice may all be the same bytes, so their sum is not bounded by memory.
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
            if matches!(self, Self::WithQoS(_)) {
                writer.u8(qos as u8);
            }
            index += 1;
        }
        Ok(len)
    }
}

fn read_entry<'a>(reader: &mut Reader<'a>, with_qos: bool) -> Result<(Filter<'a>, QoS), Violation> {
    // [MQTT-3.8.3-1], [MQTT-3.10.3-1]
    let filter = Filter::from_bytes(reader.field()?)?;
    let qos = if with_qos { reader.u8()? } else { 0 };
    // [MQTT-3.8.3-4]
    Ok((filter, QoS::from_bits(qos).ok_or(Violation::SubscribeQoS)?))
}

impl<'a> Subscribe<'a> {
    /// A SUBSCRIBE to `filters`, each with the highest QoS wanted.
    #[must_use]
    pub const fn new(id: PacketId, filters: &'a [(Filter<'a>, QoS)]) -> Self {
        Self { id, dup: false, filters: List::WithQoS(filters) }
    }

    /// The SUBSCRIBE with this first byte, of which only the flags are looked at, and this body: all that follows
    /// the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the rule broken.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        let dup = FirstByte::new(first).request_flags(protocol)?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        // [MQTT-3.8.3-3]
        Ok(Self { id, dup, filters: List::read(reader, true, Violation::SubscribeEmpty)? })
    }

    /// The filters, each with the QoS asked for.
    pub fn filters(&self) -> impl Iterator<Item = (Filter<'a>, QoS)> + Clone + use<'a> {
        self.filters.iter()
    }

    /// Bytes that it takes on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoFilter`], [`EncodeError::PacketTooLong`].
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(self.filters.remaining()?)
    }

    /// Writes it to the front of `out` and gives its length.
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
        Self { id, dup: false, filters: List::WithoutQoS(filters) }
    }

    /// The UNSUBSCRIBE with this first byte, of which only the flags are looked at, and this body: all that follows
    /// the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the rule broken.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        let dup = FirstByte::new(first).request_flags(protocol)?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        // [MQTT-3.10.3-2]
        Ok(Self { id, dup, filters: List::read(reader, false, Violation::UnsubscribeEmpty)? })
    }

    /// The filters.
    pub fn filters(&self) -> impl Iterator<Item = Filter<'a>> + Clone + use<'a> {
        self.filters.iter().map(|(filter, _)| filter)
    }

    /// Bytes that it takes on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoFilter`], [`EncodeError::PacketTooLong`].
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(self.filters.remaining()?)
    }

    /// Writes it to the front of `out` and gives its length.
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
    /// The SUBACK with this first byte, of which only the flags are looked at, and this body: all that follows the
    /// fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the rule broken.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        FirstByte::new(first).no_flags()?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        Ok(Self { id, granted: Granted::from_bytes(reader.rest(), protocol)? })
    }

    /// Bytes that it takes on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketTooLong`].
    pub const fn encoded_len(&self) -> Result<usize, EncodeError> {
        frame_len(PacketId::LEN + self.granted.len())
    }

    /// Writes it to the front of `out` and gives its length.
    ///
    /// # Errors
    ///
    /// As [`SubAck::encoded_len`], and [`EncodeError::NotInV31`], [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8], protocol: Protocol) -> Result<usize, EncodeError> {
        if protocol == Protocol::V31 && self.granted.0.contains(&REFUSED) {
            return Err(EncodeError::NotInV31);
        }
        let first = FirstByte::of(PacketType::SubAck);
        let (mut writer, len) = Writer::packet(out, first, PacketId::LEN + self.granted.len())?;
        writer.u16(self.id.get());
        writer.bytes(self.granted.0);
        Ok(len)
    }
}

impl<'a> Granted<'a> {
    /// The codes of a SUBACK as they are on the wire.
    ///
    /// # Errors
    ///
    /// [`Violation::SubAckCode`]: only 0, 1, 2 and, in 3.1.1, 0x80 are codes [MQTT-3.9.3-2].
    /// [`Violation::SubAckCount`]: there is none.
    pub const fn from_bytes(codes: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        // [MQTT-3.8.4-5]: there is a code for each filter, and [MQTT-3.8.3-3] at least one filter.
        if codes.is_empty() {
            return Err(Violation::SubAckCount);
        }
        let mut rest = codes;
        while let [code, tail @ ..] = rest {
            // [MQTT-3.9.3-2]
            match (*code, protocol) {
                (0..=2, _) | (REFUSED, Protocol::V311) => rest = tail,
                _ => return Err(Violation::SubAckCode),
            }
        }
        Ok(Self(codes))
    }

    /// The codes as they are on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Codes that have been checked.
    #[cfg(feature = "mqttbytes")]
    pub(super) const fn from_codes(codes: &'a [u8]) -> Self {
        Self(codes)
    }

    /// The codes, one for each filter: the QoS granted, or `None` where the filter was refused.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<QoS>> + Clone + use<'a> {
        self.0.iter().map(|code| QoS::from_bits(*code))
    }

    /// How many codes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The code of the filter at `index`: the QoS granted, or `Some(None)` where that was refused; `None` beyond the
    /// last filter.
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
