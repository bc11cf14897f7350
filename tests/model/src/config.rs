//! The content of a closed world. [`worlds`] lists those that are explored.

mod worlds;

use mqtt_core::{Protocol, QoS, Version};

use crate::{broker::Method, device::LARGEST_OUTBOX};
pub use worlds::ALL;

/// The end of a write that stops in the middle of a packet. It only matters if the packet was begun and if it is whole,
/// so one place for each is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// Nowhere: the transport takes whole packets.
    Never,
    /// Behind the first byte of the packet.
    FirstByte,
    /// Before its last byte.
    LastByte,
}

/// A broker that treats one request badly, the same way each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It closes the connection when it reads the request [MQTT-3.3.5-2].
    Closes,
    /// It ignores the request.
    Ignores,
    /// It ignores the PUBREL of a QoS 2 publish.
    NeverCompletes,
    /// It closes the connection when it reads the SUBSCRIBE for the filter with this number, once the session was lost.
    ClosesAtRenewal,
    /// It closes the connection at a PUBREL for an id that it does not hold.
    ClosesAtReclaim,
    /// It ignores such a PUBREL.
    IgnoresReclaim,
}

impl Manner {
    /// Whether an answer is missing, and the connection stays.
    pub(crate) const fn never_answers(self) -> bool {
        matches!(self, Self::Ignores | Self::NeverCompletes | Self::IgnoresReclaim)
    }

    /// Whether it is about PUBRELs that reclaim ids, and about no request.
    pub(crate) const fn is_at_reclaim(self) -> bool {
        matches!(self, Self::ClosesAtReclaim | Self::IgnoresReclaim)
    }
}

/// The request that the broker treats badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The number of its message; the number behind the last message stands for the SUBSCRIBE.
    pub request: u8,
    /// The broker's treatment.
    pub manner: Manner,
}

/// The way in which the driver hands bytes to the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// It asks for bytes, writes some and reports them, all at once.
    Writes,
    /// It asks for bytes, writes them and reports them in three steps. Anything may happen between them.
    Copies,
}

/// Who ends the exchange of a message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// The client, when it hands the message over.
    Automatic,
    /// The application, in any order.
    Manual,
}

/// The brokers behind the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// One endpoint, one broker.
    One,
    /// Two endpoints of one cluster: the session is the same at both.
    Cluster,
    /// Two endpoints, each a broker with a session of its own.
    Two,
    /// The same, and the client is told that they are a cluster.
    TwoAsCluster,
}

impl Brokers {
    /// How many endpoints there are.
    pub(crate) const fn endpoints(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Cluster | Self::Two | Self::TwoAsCluster => 2,
        }
    }

    /// Whether there are two brokers, each with a session of its own.
    pub(crate) const fn are_two(self) -> bool {
        matches!(self, Self::Two | Self::TwoAsCluster)
    }

    /// `Options::cluster`.
    pub(crate) const fn seem_a_cluster(self) -> bool {
        matches!(self, Self::Cluster | Self::TwoAsCluster)
    }
}

/// The versions that the brokers speak. They refuse others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Both versions.
    Both,
    /// 3.1 only.
    V31,
    /// The first broker 3.1 only, the second one 3.1.1 only.
    OneEach,
}

impl Speaks {
    /// The version that the broker with this number speaks; `None`: both.
    pub(crate) const fn only(self, broker: u8) -> Option<Protocol> {
        match (self, broker) {
            (Self::Both, _) => None,
            (Self::V31, _) | (Self::OneEach, 0) => Some(Protocol::V31),
            (Self::OneEach, _) => Some(Protocol::V311),
        }
    }
}

/// One closed world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// The messages that the client's application publishes, in this order.
    pub outbound: &'static [QoS],
    /// The messages that the broker, or each broker, has for the client, in this order.
    pub inbound: &'static [QoS],
    /// The brokers. The client turns to the other endpoint at each attempt.
    pub brokers: Brokers,
    /// The link breaks at most this many times.
    pub cuts: u8,
    /// Power fails at most this many times. With 0 there is no journal.
    pub power_cuts: u8,
    /// At most this many of the cuts lose the session.
    pub lost_sessions: u8,
    /// The link or power may fail even before the client has heard and recorded that the session was lost.
    pub loss_unheard: bool,
    /// The application asks for a snapshot at most this many times.
    pub snapshots: u8,
    /// A record cannot be appended at most this many times.
    pub failed_records: u8,
    /// The application takes requests back at most this many times.
    pub cancels: u8,
    /// The messages whose payload is read from a source while they are sent.
    pub from_source: &'static [u8],
    /// A source has no bytes, or fails, at most this many times.
    pub source_faults: u8,
    /// The application subscribes to one more filter ahead of the message with this number.
    pub subscribes_at: Option<u8>,
    /// The request that the broker treats badly.
    pub bad: Option<Bad>,
    /// `Options::stuck_after`; 0: off.
    pub stuck_after: u8,
    /// `Options::give_up_stuck`. If it is off, the application takes back whatever is stuck.
    pub give_up_stuck: bool,
    /// `Options::version`.
    pub version: Version,
    /// The versions that the brokers speak.
    pub speaks: Speaks,
    /// `Options::resend_lost`.
    pub resend_lost: bool,
    /// `Options::renew_on_each_connection`.
    pub renew_each_time: bool,
    /// Slots of the client, at most 3.
    pub window: usize,
    /// Messages that the broker has in flight at once.
    pub broker_window: usize,
    /// The message of the broker that is larger than the client takes.
    pub too_large: Option<u8>,
    /// Who acknowledges messages.
    pub acknowledge: Acknowledge,
    /// Filters that the client has subscribed to before the world begins, one SUBSCRIBE each.
    pub filters: u8,
    /// `Options::filters_per_subscribe`.
    pub filters_per_subscribe: u16,
    /// The driver's way to write.
    pub driver: Driver,
    /// The broker's method for QoS 2.
    pub method: Method,
    /// Where writes may end.
    pub partial: Partial,
    /// The broker's answers of different types come in any order.
    pub shuffled: bool,
    /// Bytes of a message, at least 1.
    pub payload: usize,
    /// Bytes of the outbox, at most 128.
    pub outbox: usize,
    /// Only explored on demand.
    pub large: bool,
}

impl Config {
    /// The number of the SUBSCRIBE that the application makes in between, behind those of the messages.
    pub(crate) const fn subscribe_number(&self) -> u8 {
        self.outbound.len() as u8
    }

    /// Its content in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let list = |qoses: &[QoS]| -> String {
            qoses.iter().map(|qos| char::from(b'0' + *qos as u8)).collect()
        };
        let mut parts = Vec::new();
        for (what, qoses) in [("out", self.outbound), ("in", self.inbound)] {
            if !qoses.is_empty() {
                parts.push(format!("{what} QoS {}", list(qoses)));
            }
        }
        match self.brokers {
            Brokers::One => {}
            Brokers::Cluster => parts.push("a cluster of 2".to_owned()),
            Brokers::Two => parts.push("2 brokers".to_owned()),
            Brokers::TwoAsCluster => parts.push("2 brokers taken for a cluster".to_owned()),
        }
        for (count, what) in [
            (self.cuts, "link cut"),
            (self.power_cuts, "power cut"),
            (self.lost_sessions, "lost session"),
            (self.snapshots, "snapshot"),
            (self.failed_records, "failed record"),
            (self.cancels, "cancel"),
            (self.source_faults, "source fault"),
        ] {
            match count {
                0 => {}
                1 => parts.push(format!("1 {what}")),
                _ => parts.push(format!("{count} {what}s")),
            }
        }
        if !self.from_source.is_empty() {
            parts.push(format!("{} from sources", self.from_source.len()));
        }
        if let Some(bad) = self.bad {
            let manner = match bad.manner {
                Manner::Closes => "closes at",
                Manner::Ignores => "ignores",
                Manner::NeverCompletes => "ignores the PUBREL of",
                Manner::ClosesAtRenewal => "closes at the renewal of",
                Manner::ClosesAtReclaim => "closes at a reclaim",
                Manner::IgnoresReclaim => "ignores a reclaim",
            };
            let what = match bad.manner {
                Manner::ClosesAtReclaim | Manner::IgnoresReclaim => String::new(),
                Manner::ClosesAtRenewal => format!(" filter {}", bad.request),
                Manner::Closes | Manner::Ignores | Manner::NeverCompletes => {
                    format!(" request {}", bad.request)
                }
            };
            parts.push(format!("broker {manner}{what}"));
        }
        if let Some(at) = self.subscribes_at {
            parts.push(format!("SUBSCRIBE ahead of message {at}"));
        }
        if self.stuck_after != 0 {
            let then = if self.give_up_stuck { ", then given up" } else { "" };
            parts.push(format!("stuck after {} connections{then}", self.stuck_after));
        }
        if self.version == Version::Auto {
            parts.push(match self.speaks {
                Speaks::Both => "any version".to_owned(),
                Speaks::V31 => "any version, 3.1 is spoken".to_owned(),
                Speaks::OneEach => "any version, 3.1 and 3.1.1 are spoken".to_owned(),
            });
        }
        if self.resend_lost {
            parts.push("lost publishes are sent again".to_owned());
        }
        if self.renew_each_time {
            parts.push("a renewal on each connection".to_owned());
        }
        if self.broker_window > self.window {
            parts.push(format!("broker's window {}", self.broker_window));
        }
        if let Some(message) = self.too_large {
            parts.push(format!("message {message} is too large"));
        }
        if self.acknowledge == Acknowledge::Manual {
            parts.push("manual acknowledgement".to_owned());
        }
        if self.filters > 1 {
            let each = self.filters_per_subscribe;
            parts.push(format!("{} subscriptions, {each} in a renewal's packet", self.filters));
        }
        if self.driver == Driver::Copies {
            parts.push("the driver copies".to_owned());
        }
        if !self.outbound.is_empty() {
            parts.push(format!("method {:?}", self.method));
        }
        match self.partial {
            Partial::Never => parts.push("whole packets".to_owned()),
            Partial::FirstByte => {}
            Partial::LastByte => parts.push("parts without the last byte".to_owned()),
        }
        if self.loss_unheard {
            parts.push("also unheard".to_owned());
        }
        if self.shuffled {
            parts.push("answers in any order".to_owned());
        }
        if self.outbox < LARGEST_OUTBOX {
            parts.push(format!("outbox {} bytes", self.outbox));
        }
        parts.join(", ")
    }
}
