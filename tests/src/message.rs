//! A message as a client on the other side received it.

use std::fmt;

use mqtt_core::QoS;

/// A message received by an independent client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// Payload, of any length.
    pub payload: Vec<u8>,
    /// QoS of this delivery.
    pub qos: QoS,
    /// Whether the broker had it in store before the subscription.
    pub retain: bool,
}

impl Message {
    /// A message to compare a received one with.
    #[must_use]
    pub fn new(topic: &str, payload: &[u8], qos: QoS, retain: bool) -> Self {
        Self { topic: topic.into(), payload: payload.into(), qos, retain }
    }

    /// Reads the four fields `qos retain hex topic`, which all the clients print.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        let qos = match fields.next()? {
            "0" => QoS::AtMostOnce,
            "1" => QoS::AtLeastOnce,
            "2" => QoS::ExactlyOnce,
            _ => return None,
        };
        let retain = match fields.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let payload = from_hex(fields.next()?)?;
        Some(Self { topic: fields.next()?.into(), payload, qos, retain })
    }
}

/// Shows the first bytes of a long payload only.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.payload.get(..self.payload.len().min(64)).unwrap_or_default();
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field(
                "payload",
                &format_args!("{} bytes: b\"{}\"", self.payload.len(), shown.escape_ascii()),
            )
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish()
    }
}

/// `len` bytes that differ from place to place and contain every value, so that a lost, doubled or moved part is
/// noticed.
#[must_use]
pub fn content(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks(2) {
        let &[high, low] = pair else { return None };
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}
