//! Many times as three numbers, and all of them as a table.

use std::fmt::Write as _;
use std::time::Duration;

use system_tests::transports::Kind;

/// Median, 99th percentile and worst, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    median: f64,
    ninety_nine: f64,
    worst: f64,
}

impl Summary {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        let at = |place: usize| times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6);
        Self { median: at(last / 2), ninety_nine: at(last * 99 / 100), worst: at(last) }
    }
}

/// A transport, and its times in the order of [`TITLES`].
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) between: &'static str,
    pub(crate) summaries: [Summary; 4],
}

const TITLES: [&str; 4] = ["call, QoS 0", "call, QoS 1", "message, QoS 0", "message, QoS 1"];

/// Markdown: a row for each transport, with the ratio of its median to that of the first row.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!("| transport | in between | {} |\n", TITLES.join(" | "));
    let _ = writeln!(text, "|---|---{}|", "|---:".repeat(TITLES.len()));
    for Row { kind, between, summaries } in rows {
        let _ = write!(text, "| {} | {between} |", kind.name());
        for (place, Summary { median, ninety_nine, worst }) in summaries.iter().enumerate() {
            let base = rows.first().and_then(|row| row.summaries.get(place));
            let ratio = base.map_or(1.0, |base| median / base.median);
            let _ = write!(text, " {median:.0} / {ninety_nine:.0} / {worst:.0} (x {ratio:.1}) |");
        }
        text.push('\n');
    }
    text
}
