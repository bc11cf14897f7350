//! The figures of all sessions together, and the table at the end.

use std::{fmt::Write as _, time::Duration};

use mqtt_core::{Reason, SessionStatus};

use crate::{attempts::Outage, histogram::Histogram};

/// How many reasons for the end of a connection are told apart.
const MOST_REASONS: usize = 8;

pub(crate) struct Figures {
    /// From an attempt to connect to the CONNACK, before the first loss of a session's link.
    pub(crate) connected: Histogram,
    /// From the loss of a link to the CONNACK.
    pub(crate) back: Histogram,
    /// From the acceptance of a message to its arrival.
    pub(crate) round_trip: Histogram,
    pub(crate) published: u64,
    /// Publishes that found no room in their window.
    pub(crate) held_back: u64,
    pub(crate) acknowledged: u64,
    pub(crate) lost_publishes: u64,
    /// Refused subscriptions.
    pub(crate) refused: usize,
    arrived: u64,
    again: u64,
    foreign: u64,
    sessions: Sessions,
    attempts: u64,
    reasons: Vec<(Reason, u64)>,
    other_reasons: u64,
    outage: Option<Outage>,
    outages: Vec<String>,
}

/// How often each came with a connection.
#[derive(Default)]
struct Sessions {
    new: u64,
    resumed: u64,
    lost: u64,
    found: u64,
    other: u64,
}

/// What a message was.
pub(crate) enum Seen {
    First,
    Again,
    /// Not of this run.
    Foreign,
}

/// What the process has cost.
pub(crate) struct Costs {
    pub(crate) clients: u32,
    /// From the start until all were up.
    pub(crate) all_up: Option<Duration>,
    /// How long messages were published.
    pub(crate) span: Duration,
    /// CPU time in that span.
    pub(crate) cpu: Option<Duration>,
    /// Bytes in memory with all sessions up, less those before the first one.
    pub(crate) memory: Option<u64>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            connected: Histogram::new(),
            back: Histogram::new(),
            round_trip: Histogram::new(),
            published: 0,
            held_back: 0,
            acknowledged: 0,
            lost_publishes: 0,
            refused: 0,
            arrived: 0,
            again: 0,
            foreign: 0,
            sessions: Sessions::default(),
            attempts: 0,
            reasons: Vec::new(),
            other_reasons: 0,
            outage: None,
            outages: Vec::new(),
        }
    }

    pub(crate) fn attempt(&mut self, at: Duration) {
        self.attempts += 1;
        if let Some(outage) = &mut self.outage {
            outage.attempt(at);
        }
    }

    pub(crate) fn up(&mut self, session: SessionStatus) {
        let Sessions { new, resumed, lost, found, other } = &mut self.sessions;
        *match session {
            SessionStatus::New => new,
            SessionStatus::Resumed => resumed,
            SessionStatus::Lost => lost,
            SessionStatus::Found => found,
            _ => other,
        } += 1;
    }

    pub(crate) fn down(&mut self, reason: Reason, was_up: bool, at: Duration) {
        if let Some((_, count)) = self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            *count += 1;
        } else if self.reasons.len() < MOST_REASONS {
            self.reasons.push((reason, 1));
        } else {
            self.other_reasons += 1;
        }
        if was_up && reason != Reason::Requested {
            self.outage.get_or_insert_with(|| Outage::new(at)).lose();
        }
    }

    /// All sessions are up. If it ends an outage, it says so.
    pub(crate) fn all_up(&mut self, at: Duration) -> Option<String> {
        let outage = self.outage.take()?;
        let took = at.saturating_sub(outage.began()).as_secs_f64();
        let text = format!("{outage}; all up after {took:.1} s");
        self.outages.push(text.clone());
        Some(text)
    }

    pub(crate) fn seen(&mut self, message: Seen) {
        match message {
            Seen::First => self.arrived += 1,
            Seen::Again => self.again += 1,
            Seen::Foreign => self.foreign += 1,
        }
    }

    /// Whether every message is answered and has arrived.
    pub(crate) const fn is_settled(&self) -> bool {
        self.acknowledged + self.lost_publishes >= self.published && self.arrived >= self.published
    }

    /// The table.
    pub(crate) fn table(&self, costs: &Costs) -> String {
        let mut table = String::new();
        let mut row = |name: &str, text: String| {
            // A string takes everything.
            let _ = writeln!(table, "| {name} | {text} |");
        };
        let Costs { clients, all_up, span, cpu, memory } = costs;
        let seconds = span.as_secs_f64().max(0.001);
        let all_up = all_up.map_or("never".into(), |took| format!("{:.1} s", took.as_secs_f64()));
        row("sessions", format!("{clients}, all up after {all_up}"));
        row("connect", self.connected.to_string());
        row("back after a loss", self.back.to_string());
        for (number, outage) in self.outages.iter().enumerate() {
            row(&format!("outage {}", number + 1), outage.clone());
        }
        let Sessions { new, resumed, lost, found, other } = &self.sessions;
        let other = if *other > 0 { format!(", {other} other") } else { String::new() };
        row(
            "connections",
            format!("{new} new, {found} found, {resumed} resumed, {lost} lost{other}"),
        );
        row("attempts", self.attempts.to_string());
        for (reason, count) in &self.reasons {
            row("ended", format!("{count}: {reason}"));
        }
        if self.other_reasons > 0 {
            row("ended", format!("{}: other reasons", self.other_reasons));
        }
        let rate = self.published as f64 / seconds;
        row("published", format!("{}, {rate:.0} a second for {seconds:.1} s", self.published));
        row("no room for", self.held_back.to_string());
        let Self { acknowledged, lost_publishes, arrived, again, foreign, refused, .. } = self;
        row("acknowledged", format!("{acknowledged}, and {lost_publishes} lost"));
        let missing = self.published.saturating_sub(*arrived);
        row(
            "arrived",
            format!("{arrived}, {missing} missing, {again} again, {foreign} of another run"),
        );
        row("round trip", self.round_trip.to_string());
        if *refused > 0 {
            row("subscriptions refused", refused.to_string());
        }
        let cpu = cpu.map(|cpu| format!("{:.0} % of a core", cpu.as_secs_f64() * 100.0 / seconds));
        row("CPU", cpu.unwrap_or_else(|| "unknown".into()));
        let memory = memory.map_or("unknown".into(), |bytes| {
            let each = bytes / u64::from(*clients).max(1);
            format!("{each} bytes a session, {:.1} MB in all", bytes as f64 / 1e6)
        });
        row("memory", memory);
        table.insert_str(0, "| | |\n|---|---|\n");
        table.truncate(table.trim_end().len());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_with_the_first_link_that_is_lost_and_ends_when_all_are_up() {
        let at = Duration::from_millis;
        let mut figures = Figures::new();
        figures.attempt(at(1));
        figures.up(SessionStatus::New);
        assert_eq!(figures.all_up(at(2)), None);
        figures.down(Reason::TransportClosed, true, at(1_000));
        figures.attempt(at(1_500));
        figures.down(Reason::TransportClosed, false, at(1_500));
        figures.attempt(at(3_000));
        figures.up(SessionStatus::Resumed);
        let told = figures.all_up(at(3_000)).expect("an outage");
        assert_eq!(
            told,
            "1 lost their link; 2 attempts, most in 1 ms 1, in 100 ms 1 (100 % of them); all up after 2.0 s"
        );
        let costs = Costs {
            clients: 1,
            all_up: None,
            span: at(1_000),
            cpu: Some(at(80)),
            memory: Some(1_500),
        };
        let table = figures.table(&costs);
        for row in [
            &format!("| outage 1 | {told} |"),
            "| connections | 1 new, 0 found, 1 resumed, 0 lost |",
            "| ended | 2: the transport closed |",
            "| CPU | 8 % of a core |",
            "| memory | 1500 bytes a session, 0.0 MB in all |",
        ] {
            assert!(table.lines().any(|line| line == row), "{row} in\n{table}");
        }
    }

    #[test]
    fn an_end_on_request_is_no_outage() {
        let mut figures = Figures::new();
        figures.down(Reason::Requested, true, Duration::ZERO);
        assert_eq!(figures.all_up(Duration::ZERO), None);
    }
}
