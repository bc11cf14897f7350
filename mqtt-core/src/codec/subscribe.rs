//! SUBSCRIBE, SUBACK and UNSUBSCRIBE: sections 3.8 to 3.10 of the standard.
//!
//! To encode, filters come from a slice; decoded, they stay in the packet's bytes, which have been checked once, and
//! are read by iteration. Two requests are equal where they ask for the same, wherever it lies.

use core::fmt;

use super::{
    PacketId, PacketType, Protocol, QoS,
    ack::{no_flags, request_first, request_flags},
    cursor::{Reader, Writer},
    header::frame_len,
};
use crate::{
    error::{EncodeError, Violation},
    topic::Filter,
};

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
    filters: List<'a, (Filter<'a>, QoS)>,
}

/// An UNSUBSCRIBE.
#[derive(Clone, Copy)]
pub struct Unsubscribe<'a> {
    /// Its packet id.
    pub id: PacketId,
    /// It may have been sent before. 3.1 only: in 3.1.1 this is a reserved bit.
    pub dup: bool,
    filters: List<'a, Filter<'a>>,
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

/// Filters in a slice, or in the checked bytes of a packet.
#[derive(Clone, Copy)]
enum List<'a, T> {
    Slice(&'a [T]),
    Wire(&'a [u8]),
}

/// What a list of filters is made of.
trait Entry<'a>: Copy + 'a {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation>;
    fn filter(&self) -> Filter<'a>;
    /// The byte behind the filter.
    fn options(&self) -> Option<u8>;
}

impl<'a> Entry<'a> for (Filter<'a>, QoS) {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        // [MQTT-3.8.3-1]
        let filter = Filter::from_bytes(reader.field()?)?;
        // [MQTT-3.8.3-4]
        let qos = QoS::from_bits(reader.u8()?).ok_or(Violation::SubscribeQoS)?;
        Ok((filter, qos))
    }

    fn filter(&self) -> Filter<'a> {
        self.0
    }

    fn options(&self) -> Option<u8> {
        Some(self.1 as u8)
    }
}

impl<'a> Entry<'a> for Filter<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        // [MQTT-3.10.3-1]
        Ok(Self::from_bytes(reader.field()?)?)
    }

    fn filter(&self) -> Self {
        *self
    }

    fn options(&self) -> Option<u8> {
        None
    }
}

impl<'a, T: Entry<'a>> List<'a, T> {
    /// The list that `reader` holds to its end; it is not empty.
    fn read(mut reader: Reader<'a>, empty: Violation) -> Result<Self, Violation> {
        if reader.is_empty() {
            return Err(empty);
        }
        let bytes = reader.rest();
        while !reader.is_empty() {
            T::read(&mut reader)?;
        }
        Ok(Self::Wire(bytes))
    }

    fn iter(self) -> impl Iterator<Item = T> + Clone + use<'a, T> {
        let (slice, wire) = match self {
            Self::Slice(slice) => (slice, &[][..]),
            Self::Wire(wire) => (&[][..], wire),
        };
        let mut reader = Reader::new(wire);
        let read = core::iter::from_fn(move || T::read(&mut reader).ok());
        slice.iter().copied().chain(read)
    }

    /// Bytes of a packet with this list behind its packet id.
    fn remaining(self) -> Result<usize, EncodeError> {
        let len = match self {
            // [MQTT-3.8.3-3], [MQTT-3.10.3-2]
            Self::Slice([]) => return Err(EncodeError::NoFilter),
            Self::Slice(slice) => slice.iter().fold(0, |len: usize, entry| {
                let options = usize::from(entry.options().is_some());
                len.saturating_add(2 + entry.filter().as_bytes().len() + options)
            }),
            Self::Wire(wire) => wire.len(),
        };
        Ok(len.saturating_add(2))
    }

    fn encode(self, first: u8, id: PacketId, out: &mut [u8]) -> Result<usize, EncodeError> {
        let (mut writer, len) = Writer::packet(out, first, self.remaining()?)?;
        writer.u16(id.get());
        match self {
            Self::Slice(slice) => {
                for entry in slice {
                    writer.field(entry.filter().as_bytes());
                    if let Some(options) = entry.options() {
                        writer.u8(options);
                    }
                }
            }
            Self::Wire(wire) => writer.bytes(wire),
        }
        Ok(len)
    }
}

impl<'a> Subscribe<'a> {
    /// A SUBSCRIBE to `filters`, each with the highest QoS wanted.
    #[must_use]
    pub const fn new(id: PacketId, filters: &'a [(Filter<'a>, QoS)]) -> Self {
        Self { id, dup: false, filters: List::Slice(filters) }
    }

    /// The SUBSCRIBE with this first byte, of which only the flags are looked at, and this body: all that follows
    /// the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the rule broken.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        let dup = request_flags(first, protocol)?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        // [MQTT-3.8.3-3]
        Ok(Self { id, dup, filters: List::read(reader, Violation::SubscribeEmpty)? })
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
        self.filters.encode(request_first(PacketType::Subscribe, self.dup), self.id, out)
    }
}

impl<'a> Unsubscribe<'a> {
    /// An UNSUBSCRIBE from exactly these filters.
    #[must_use]
    pub const fn new(id: PacketId, filters: &'a [Filter<'a>]) -> Self {
        Self { id, dup: false, filters: List::Slice(filters) }
    }

    /// The UNSUBSCRIBE with this first byte, of which only the flags are looked at, and this body: all that follows
    /// the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the rule broken.
    pub fn decode(first: u8, body: &'a [u8], protocol: Protocol) -> Result<Self, Violation> {
        let dup = request_flags(first, protocol)?;
        let mut reader = Reader::new(body);
        let id = reader.id()?;
        // [MQTT-3.10.3-2]
        Ok(Self { id, dup, filters: List::read(reader, Violation::UnsubscribeEmpty)? })
    }

    /// The filters.
    pub fn filters(&self) -> impl Iterator<Item = Filter<'a>> + Clone + use<'a> {
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
    /// As [`Unsubscribe::encoded_len`], and [`EncodeError::NoSpace`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.filters.encode(request_first(PacketType::Unsubscribe, self.dup), self.id, out)
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
        no_flags(first)?;
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
        frame_len(2 + self.granted.len())
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
        let first = (PacketType::SubAck as u8) << 4;
        let (mut writer, len) = Writer::packet(out, first, 2 + self.granted.len())?;
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
