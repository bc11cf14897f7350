//! Messages that outlive the read buffer, without a copy: feature `bytes`.
//!
//! A driver that reads into [`Bytes`] can hand a message to another task: topic and payload are references into the
//! same allocation.
//!
//! ```
//! # use mqtt_core::{Event, Instant, Options, StaticClient, Action};
//! use bytes::Bytes;
//! # let mut client = StaticClient::<128, 1>::new_static(&Options::new("doc"))?;
//! # let now = Instant::from_millis(0);
//! # client.poll(now);
//! # client.connected(now);
//! # let Action::Transmit(connect) = client.poll(now) else { panic!() };
//! # let sent = connect.len();
//! # client.transmitted(sent, now);
//! # let mut connack: &[u8] = &[0x20, 2, 0, 0];
//! # while client.receive(&mut connack, now)?.is_some() {}
//!
//! let read = Bytes::from_static(b"\x30\x06\0\x01thi!"); // what a driver read: a PUBLISH
//! let mut input = &read[..];
//! let Some(Event::Message(message)) = client.receive(&mut input, now)? else { panic!() };
//! let kept = message.share(&read).expect("the message came from these bytes");
//! assert_eq!(kept.payload, &b"hi!"[..]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use bytes::Bytes;

use crate::{codec::QoS, event::Message, session::Delivery, topic::Topic};

/// A [`Message`] that shares the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedMessage {
    topic: Bytes,
    /// As in [`Message`].
    pub payload: Bytes,
    /// As in [`Message`].
    pub qos: QoS,
    /// As in [`Message`].
    pub retain: bool,
    /// As in [`Message`].
    pub dup: bool,
    /// As in [`Message`].
    pub delivery: Option<Delivery>,
}

impl SharedMessage {
    /// The topic that it was published to.
    #[must_use]
    pub fn topic(&self) -> Topic<'_> {
        let topic = Topic::from_bytes(&self.topic);
        debug_assert!(topic.is_ok(), "the topic was checked when it was received");
        topic.unwrap_or(crate::topic!("-"))
    }

    /// The topic as shared bytes.
    #[must_use]
    pub const fn topic_bytes(&self) -> &Bytes {
        &self.topic
    }
}

impl Message<'_> {
    /// The message as references into `input`, the bytes that it was received from; `None` if it was received from
    /// other bytes.
    #[must_use]
    pub fn share(&self, input: &Bytes) -> Option<SharedMessage> {
        Some(SharedMessage {
            topic: part(self.topic.as_bytes(), input)?,
            payload: part(self.payload, input)?,
            qos: self.qos,
            retain: self.retain,
            dup: self.dup,
            delivery: self.delivery,
        })
    }
}

/// `part` as a reference into `whole`.
fn part(part: &[u8], whole: &Bytes) -> Option<Bytes> {
    if part.is_empty() {
        return Some(Bytes::new());
    }
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len()).filter(|end| *end <= whole.len())?;
    Some(whole.slice(start..end))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use bytes::Bytes;

    use super::Message;
    use crate::{codec::QoS, topic::Topic};

    fn message<'a>(topic: &'a [u8], payload: &'a [u8]) -> Option<Message<'a>> {
        let topic = Topic::from_bytes(topic).ok()?;
        let (qos, delivery) = (QoS::AtMostOnce, None);
        Some(Message { topic, payload, qos, retain: false, dup: false, delivery })
    }

    #[test]
    fn a_shared_message_lies_in_the_bytes_it_came_from() {
        let read = Bytes::from_static(b"xxtopicpayloadxx");
        let shared = message(&read[2..7], &read[7..14]).and_then(|message| message.share(&read));
        let shared = shared.expect("both parts are in there");
        assert_eq!(shared.topic().as_str(), "topic");
        assert_eq!(shared.payload.as_ptr(), read[7..].as_ptr());
    }

    #[test]
    fn a_message_from_elsewhere_is_not_shared() {
        let (read, other) = (Bytes::from_static(b"topicpayload"), Bytes::copy_from_slice(b"topic"));
        assert_eq!(message(&read[..5], b"").and_then(|message| message.share(&other)), None);
    }

    #[test]
    fn an_empty_payload_needs_no_place() {
        let read = Bytes::from_static(b"t");
        let shared = message(&read, b"").and_then(|message| message.share(&read));
        assert!(shared.is_some_and(|shared| shared.payload.is_empty()));
    }
}
