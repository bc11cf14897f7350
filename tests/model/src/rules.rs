//! The rules, as small ledgers. A ledger gets each event and names the rule that the event breaks. Ledgers know nothing
//! of the client: they see requests, events, packets on the wire and messages that were handed over.

mod order;
mod requests;
mod sessions;
mod versions;

use mqtt_core::QoS;

pub(crate) use order::Order;
pub(crate) use requests::{End, Requests};
pub(crate) use sessions::Sessions;
pub(crate) use versions::Versions;

/// A rule of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// A message of QoS 2 reaches its application once, never twice.
    ExactlyOnce,
    /// If all goes on without faults, every message is delivered and nothing is left to do.
    AtLeastOnce,
    /// Messages arrive, and packets are sent, in their order [MQTT-4.6.0-1] to [MQTT-4.6.0-4].
    Order,
    /// No packet id is in flight twice [MQTT-2.3.1-2], [MQTT-2.3.1-4].
    PacketIds,
    /// Every accepted request ends in exactly one event, and `Published` is true.
    OneEvent,
    /// Neither side refuses a packet of the other, and DUP is set [MQTT-3.3.1-1].
    Protocol,
    /// `Up` tells the truth about the session at the broker.
    SessionStatus,
    /// Each connection leaves less to do for the next one, or an event names the request that stands in the way.
    Progress,
    /// No call panics.
    NoPanic,
}

impl Rule {
    /// The name of its property.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly once",
            Self::AtLeastOnce => "at least once",
            Self::Order => "order",
            Self::PacketIds => "packet ids",
            Self::OneEvent => "one event a request",
            Self::Protocol => "protocol",
            Self::SessionStatus => "session status",
            Self::Progress => "progress",
            Self::NoPanic => "no panic",
        }
    }
}

/// A rule that was broken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    /// Which rule.
    pub(crate) rule: Rule,
    /// How it was broken.
    pub(crate) how: &'static str,
}

impl Broken {
    pub(crate) const fn new(rule: Rule, how: &'static str) -> Self {
        Self { rule, how }
    }
}

/// The verdict of a ledger on one event.
pub(crate) type Verdict = Result<(), Broken>;

/// A set of messages, which are numbered from 0 in the order in which they were published; or of packet ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Set(u8);

impl Set {
    /// The most messages that a set can hold.
    const MOST: usize = 8;

    /// No message.
    pub(crate) const EMPTY: Self = Self(0);

    /// The messages from 0 up to `count`, without `count`.
    pub(crate) fn first(count: usize) -> Self {
        (0..count as u8).fold(Self::EMPTY, Self::with)
    }

    /// Whether `message` is in it.
    pub(crate) const fn has(self, message: u8) -> bool {
        self.0 & (1 << message) != 0
    }

    /// The set and `message`.
    pub(crate) const fn with(self, message: u8) -> Self {
        Self(self.0 | 1 << message)
    }

    /// The set without `message`.
    pub(crate) const fn without(self, message: u8) -> Self {
        Self(self.0 & !(1 << message))
    }

    /// How many messages are in it.
    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Its messages from `first` on, counted from there.
    pub(crate) const fn from(self, first: u8) -> Self {
        Self(self.0 >> first)
    }

    /// Both sets.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its messages, in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..Self::MOST as u8).filter(move |message| self.has(*message))
    }
}

/// Whether `message` may be handed over after the messages in `before`. A QoS 2 message may come once. For the first
/// time, a message may only come after all earlier ones that come at all. If a QoS 1 message may overtake one of QoS 2
/// (method A hands the latter over at its PUBREL), each QoS has an order of its own.
///
/// # Errors
///
/// The rule that is broken.
pub(crate) fn hand_over(before: Set, message: u8, qoses: &[QoS], overtakes: bool) -> Verdict {
    let qos = |message: u8| qoses.get(usize::from(message)).copied();
    if before.has(message) {
        return match qos(message) {
            Some(QoS::ExactlyOnce) => {
                Err(Broken::new(Rule::ExactlyOnce, "a QoS 2 message was handed over twice"))
            }
            _ => Ok(()),
        };
    }
    let late = before
        .iter()
        .any(|earlier| earlier > message && (!overtakes || qos(earlier) == qos(message)));
    if late {
        return Err(Broken::new(Rule::Order, "a message was handed over behind a later one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
