//! Counterexamples as text.

use mqtt_core::{Protocol, Record};
use test_kit::{text, wire::next_packet};

use crate::{broker::Down, world::Action};

/// Collects lines about each event, or nothing.
pub(crate) enum Trace {
    Off,
    Lines(Vec<String>),
}

impl Trace {
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Self::Lines(lines) = self {
            lines.push(line());
        }
    }

    /// The action, and behind it all lines that were collected.
    pub(crate) fn line(&self, action: Action) -> String {
        let said = match self {
            Self::Off => "",
            Self::Lines(lines) => &lines.join("; "),
        };
        let what = match action {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
            Action::Cancel(_) => "CANCEL",
            Action::Acknowledge(_) => "acknowledge",
            Action::Close => "client closes",
            Action::AnswerOverdue => "time for an answer is over",
            Action::Show => "driver copies",
            Action::Report => "driver reports",
            Action::Connect => "time to connect",
            Action::Connected => "connected",
            Action::SourceFails => "SOURCE FAILS",
            Action::SourcePauses => "source has no bytes",
            Action::SourceGoesOn => "source has bytes",
            Action::TransmitPart => "client writes",
            Action::Transmit(_) => "client writes",
            Action::Arrive => "broker gets",
            Action::Send => "broker sends",
            Action::Deliver(_) => "client gets",
            Action::Persist => "record begun",
            Action::PersistAtLast => "record begun, as it has waited long enough",
            Action::Persisted => "record durable",
            Action::PersistFailed { whole: true } => "record failed, though it is there",
            Action::PersistFailed { whole: false } => "record failed",
            Action::Compact => "snapshot wanted",
            Action::Cut { lose_session: false } => "LINK CUT",
            Action::Cut { lose_session: true } => "LINK CUT, SESSION LOST",
            Action::PowerCut { whole: true } => "POWER CUT, the last record is whole",
            Action::PowerCut { whole: false } => "POWER CUT",
        };
        if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") }
    }
}

pub(crate) fn record(record: &Record<'_>) -> String {
    let kind = if record.is_snapshot() { "a snapshot" } else { "a record" };
    format!("{kind} of {} bytes", record.len())
}

/// A packet of the broker's.
pub(crate) fn down(down: Down) -> String {
    // The payload says which message it is, and one byte of it is enough.
    let bytes = down.encode(1);
    next_packet(&bytes, Protocol::V311)
        .map_or_else(String::new, |(packet, _)| text::packet(&packet))
}
