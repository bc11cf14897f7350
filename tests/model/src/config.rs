//! The closed worlds that are explored, each to its end.

use mqtt_core::QoS;

use crate::{broker::Method, device::LARGEST_OUTBOX};

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;

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

/// One closed world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// The messages that the client's application publishes, in this order.
    pub outbound: &'static [QoS],
    /// The messages that the broker has for the client, in this order.
    pub inbound: &'static [QoS],
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

/// The usual world: two cuts, one power cut, method B, parts of one byte, and more room than is ever needed.
const BASE: Config = Config {
    name: "",
    outbound: &[],
    inbound: &[],
    cuts: 2,
    power_cuts: 1,
    lost_sessions: 0,
    loss_unheard: false,
    snapshots: 0,
    failed_records: 0,
    method: Method::B,
    partial: Partial::FirstByte,
    shuffled: false,
    payload: 1,
    outbox: LARGEST_OUTBOX,
    large: false,
};

const OUT: Config = Config { outbound: &[ONE, TWO, TWO, ONE], ..BASE };
const IN: Config = Config { inbound: &[ONE, TWO, TWO, ONE], ..BASE };
const BOTH: Config = Config { outbound: &[ONE, TWO], inbound: &[ONE, TWO], ..BASE };
const LARGE: bool = true;

/// Every world. The worlds that are explored on demand come last.
///
/// The numbers in a name are the QoS of the messages, in their order.
pub const ALL: &[Config] = &[
    Config { name: "smallest", outbound: &[TWO], cuts: 1, power_cuts: 0, ..BASE },
    Config { name: "in-1221", ..IN },
    Config { name: "out-1221", ..OUT },
    Config { name: "in-2112", inbound: &[TWO, ONE, ONE, TWO], ..IN },
    Config { name: "in-1212", inbound: &[ONE, TWO, ONE, TWO], ..IN },
    Config { name: "in-2121", inbound: &[TWO, ONE, TWO, ONE], ..IN },
    Config { name: "in-1122", inbound: &[ONE, ONE, TWO, TWO], ..IN },
    Config { name: "in-2211", inbound: &[TWO, TWO, ONE, ONE], ..IN },
    Config { name: "in-last-byte", partial: Partial::LastByte, ..IN },
    Config { name: "in-shuffled", shuffled: true, ..IN },
    Config { name: "in-snapshot", snapshots: 1, ..IN },
    Config { name: "in-failed", failed_records: 1, ..IN },
    Config { name: "in-lost", lost_sessions: 1, loss_unheard: true, ..IN },
    Config { name: "out-2112", outbound: &[TWO, ONE, ONE, TWO], ..OUT },
    Config { name: "out-1212", outbound: &[ONE, TWO, ONE, TWO], ..OUT },
    Config { name: "out-2121", outbound: &[TWO, ONE, TWO, ONE], ..OUT },
    Config { name: "out-1122", outbound: &[ONE, ONE, TWO, TWO], ..OUT },
    Config { name: "out-2211", outbound: &[TWO, TWO, ONE, ONE], ..OUT },
    Config { name: "out-a", method: Method::A, ..OUT },
    Config { name: "out-last-byte", partial: Partial::LastByte, ..OUT },
    Config { name: "out-tight", payload: 20, outbox: 106, ..OUT },
    Config { name: "out-no-journal", power_cuts: 0, ..OUT },
    Config { name: "out-shuffled", shuffled: true, cuts: 1, ..OUT },
    Config { name: "out-snapshot", snapshots: 1, cuts: 1, ..OUT },
    Config { name: "out-failed", failed_records: 1, cuts: 1, ..OUT },
    Config { name: "out-lost", lost_sessions: 1, cuts: 1, ..OUT },
    Config { name: "both", cuts: 1, ..BOTH },
    Config { name: "both-cuts", large: LARGE, ..BOTH },
    Config { name: "both-lost", lost_sessions: 1, large: LARGE, ..BOTH },
    Config { name: "both-shuffled", shuffled: true, cuts: 1, large: LARGE, ..BOTH },
    Config {
        name: "both-calm",
        outbound: &[ONE, TWO, TWO, ONE],
        cuts: 1,
        power_cuts: 0,
        large: LARGE,
        ..IN
    },
    Config { name: "out-shuffled-a", shuffled: true, method: Method::A, large: LARGE, ..OUT },
    Config { name: "out-snapshots", snapshots: 1, large: LARGE, ..OUT },
    Config { name: "out-failures", failed_records: 1, large: LARGE, ..OUT },
    Config { name: "out-lost-cuts", lost_sessions: 1, large: LARGE, ..OUT },
    Config { name: "out-lost-a", lost_sessions: 1, method: Method::A, large: LARGE, ..OUT },
    Config { name: "out-cuts", cuts: 3, large: LARGE, ..OUT },
    Config { name: "out-power", power_cuts: 2, cuts: 1, large: LARGE, ..OUT },
    Config { name: "in-power", power_cuts: 2, cuts: 3, large: LARGE, ..IN },
];

impl Config {
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
        for (count, what) in [
            (self.cuts, "link cut"),
            (self.power_cuts, "power cut"),
            (self.lost_sessions, "lost session"),
            (self.snapshots, "snapshot"),
            (self.failed_records, "failed record"),
        ] {
            match count {
                0 => {}
                1 => parts.push(format!("1 {what}")),
                _ => parts.push(format!("{count} {what}s")),
            }
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
