//! PUBLISH: section 3.3 of the standard.
//!
//! [`PublishHead`] reads everything before the payload and works before the payload has come; [`Publish::decode`] reads
//! the whole packet. [`RawHead`] works even before the topic has come in full, and does not check it.
//!
//! `#[inline]` is only on the functions that a busy connection needs. At opt-level s it makes the compiler inline large
//! functions; everywhere in the codec it would cost a client 2 KiB of flash on a Cortex-M3.

use super::{
    cursor::{Writer, frame_len},
    error::{EncodeError, Violation},
    first_byte::FirstByte,
    types::{PacketId, QoS},
};
use crate::topic::Topic;

/// A PUBLISH: received, or to be published by a client.
///
/// ```
/// use mqtt_core::{PacketId, Publish, QoS, topic};
///
/// let mut publish = Publish::new(topic!("a/b"), b"21.5").qos(QoS::AtLeastOnce).retain(true);
/// publish.id = PacketId::new(1); // a client chooses the id itself
/// let mut out = [0; 16];
/// assert_eq!(publish.encode(&mut out), Ok(13));
/// assert_eq!(&out[..13], b"\x33\x0B\0\x03a/b\0\x0121.5");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Publish<'a> {
    /// The topic that it is published to.
    pub topic: Topic<'a>,
    /// The content; may be empty.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// To a broker: keep this message for later subscribers. From a broker: this message was kept.
    pub retain: bool,
    /// The packet may have been sent before; always false with QoS 0.
    pub dup: bool,
    /// The packet id. On the wire it is `None` with QoS 0, and only then.
    pub id: Option<PacketId>,
}

/// A PUBLISH without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublishHead<'a> {
    /// As in [`Publish`].
    pub topic: Topic<'a>,
    /// As in [`Publish`].
    pub qos: QoS,
    /// As in [`Publish`].
    pub retain: bool,
    /// As in [`Publish`].
    pub dup: bool,
    /// As in [`Publish`].
    pub id: Option<PacketId>,
    /// Bytes of payload.
    pub payload_len: usize,
    /// Bytes between the fixed header and the payload.
    pub head_len: usize,
}

impl<'a> Publish<'a> {
    /// A PUBLISH of QoS 0 that is not retained.
    #[must_use]
    pub const fn new(topic: Topic<'a>, payload: &'a [u8]) -> Self {
        Self { topic, payload, qos: QoS::AtMostOnce, retain: false, dup: false, id: None }
    }

    /// The same message with this QoS.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The same message with this retain flag. With an empty payload it deletes the retained message of the topic.
    #[must_use]
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// Decodes a PUBLISH. Only the flags of `first` are checked; `body` is everything behind the fixed header.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule.
    #[inline]
    pub fn decode(first: u8, body: &'a [u8]) -> Result<Self, Violation> {
        let Some(head) = PublishHead::decode(first, body.len(), body)? else {
            return Err(Violation::Truncated);
        };
        let PublishHead { topic, qos, retain, dup, id, head_len, .. } = head;
        debug_assert!(head_len <= body.len(), "a head that was read is in the body");
        let payload = body.get(head_len..).unwrap_or_default();
        Ok(Self { topic, payload, qos, retain, dup, id })
    }

    /// Bytes of the packet on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketIdMissing`], [`EncodeError::QoS0`], [`EncodeError::PacketTooLong`].
    pub const fn encoded_len(&self) -> Result<usize, EncodeError> {
        match self.remaining() {
            Ok(remaining) => frame_len(remaining),
            Err(error) => Err(error),
        }
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// As [`Publish::encoded_len`], and [`EncodeError::NoSpace`].
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let first = FirstByte::publish(self.qos, self.dup, self.retain);
        let (mut writer, len) = Writer::packet(out, first, self.remaining()?)?;
        writer.field(self.topic.as_bytes());
        if let Some(id) = self.id {
            writer.u16(id.get());
        }
        writer.bytes(self.payload);
        writer.end();
        Ok(len)
    }

    const fn remaining(&self) -> Result<usize, EncodeError> {
        let id_len = match (self.qos, self.id) {
            // [MQTT-3.3.1-2], [MQTT-2.3.1-5]
            (QoS::AtMostOnce, None) if !self.dup => 0,
            (QoS::AtMostOnce, _) => return Err(EncodeError::QoS0),
            (QoS::AtLeastOnce | QoS::ExactlyOnce, Some(_)) => PacketId::LEN,
            // [MQTT-2.3.1-1]
            (QoS::AtLeastOnce | QoS::ExactlyOnce, None) => {
                return Err(EncodeError::PacketIdMissing);
            }
        };
        Ok(2 + self.topic.as_bytes().len() + id_len + self.payload.len())
    }
}

impl<'a> PublishHead<'a> {
    /// Decodes the head of a PUBLISH; `None` if more bytes are needed. Only the flags of `first` are checked.
    /// `remaining` is the remaining length, and `body_so_far` the received bytes behind the fixed header: the topic and
    /// the packet id are enough.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the broken rule, as soon as it shows.
    #[inline]
    pub fn decode(
        first: u8,
        remaining: usize,
        body_so_far: &'a [u8],
    ) -> Result<Option<Self>, Violation> {
        let Some(front) = Front::decode(first, remaining, body_so_far)? else { return Ok(None) };
        let Front { qos, retain, dup, topic_len, id_len, payload_len, rest } = front;
        let Some((topic, rest)) = rest.split_at_checked(topic_len) else { return Ok(None) };
        let id = if id_len == 0 {
            None
        } else {
            let Some(pair) = rest.first_chunk() else { return Ok(None) };
            Some(packet_id(*pair)?)
        };
        // [MQTT-3.3.2-1], [MQTT-3.3.2-2]
        let topic = Topic::from_bytes(topic)?;
        let head_len = 2 + topic_len + id_len;
        Ok(Some(Self { topic, qos, retain, dup, id, payload_len, head_len }))
    }
}

/// [MQTT-2.3.1-1]
fn packet_id(pair: [u8; 2]) -> Result<PacketId, Violation> {
    PacketId::new(u16::from_be_bytes(pair)).ok_or(Violation::PacketIdZero)
}

/// The flags of a PUBLISH and the lengths of its parts.
struct Front<'a> {
    qos: QoS,
    retain: bool,
    dup: bool,
    topic_len: usize,
    id_len: usize,
    payload_len: usize,
    /// The received bytes behind the length of the topic.
    rest: &'a [u8],
}

impl<'a> Front<'a> {
    /// `None` if the length of the topic has not come.
    #[inline(always)]
    fn decode(
        first: u8,
        remaining: usize,
        body_so_far: &'a [u8],
    ) -> Result<Option<Self>, Violation> {
        let first = FirstByte::new(first);
        let (qos, dup) = first.publish_flags()?;
        let body = body_so_far.get(..remaining).unwrap_or(body_so_far);
        let id_len = if matches!(qos, QoS::AtMostOnce) { 0 } else { PacketId::LEN };
        let Some((pair, rest)) = body.split_first_chunk() else {
            return if 2 + id_len > remaining { Err(Violation::Truncated) } else { Ok(None) };
        };
        let topic_len = usize::from(u16::from_be_bytes(*pair));
        let Some(payload_len) = remaining.checked_sub(2 + topic_len + id_len) else {
            return Err(Violation::Truncated);
        };
        let retain = first.has_retain();
        Ok(Some(Self { qos, retain, dup, topic_len, id_len, payload_len, rest }))
    }
}

/// A PUBLISH without its payload, as much of it as has come. Its topic is not checked.
#[derive(Clone, Copy)]
pub(crate) struct RawHead<'a> {
    /// The topic, or its beginning.
    pub(crate) topic: &'a [u8],
    /// Bytes of the topic that have not come.
    pub(crate) topic_left: usize,
    /// As in [`Publish`].
    pub(crate) qos: QoS,
    /// As in [`Publish`].
    pub(crate) retain: bool,
    /// As in [`Publish`].
    pub(crate) dup: bool,
    /// The packet id, if there is one and it has come.
    pub(crate) id: Option<PacketId>,
    /// Everything in front of the payload has come.
    pub(crate) is_whole: bool,
    /// As in [`PublishHead`].
    pub(crate) payload_len: usize,
    /// Bytes between the fixed header and the first byte that is not in this head.
    pub(crate) head_len: usize,
}

impl<'a> RawHead<'a> {
    /// As [`PublishHead::decode`]. It is `None` only if the length of the topic has not come.
    pub(crate) fn decode(
        first: u8,
        remaining: usize,
        body_so_far: &'a [u8],
    ) -> Result<Option<Self>, Violation> {
        let Some(front) = Front::decode(first, remaining, body_so_far)? else { return Ok(None) };
        let Front { qos, retain, dup, topic_len, id_len, payload_len, rest } = front;
        let (topic, rest) = rest.split_at_checked(topic_len).unwrap_or((rest, &[]));
        let topic_left = topic_len - topic.len();
        let mut head = Self {
            topic,
            topic_left,
            qos,
            retain,
            dup,
            id: None,
            is_whole: topic_left == 0,
            payload_len,
            head_len: 2 + topic.len(),
        };
        if id_len != 0 && head.is_whole {
            if let Some(pair) = rest.first_chunk() {
                head.id = Some(packet_id(*pair)?);
                head.head_len += PacketId::LEN;
            } else {
                head.is_whole = false;
            }
        }
        Ok(Some(head))
    }
}
