//! The output for the user: the progress of the run, and the table at its end.

use std::{cell::Cell, io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use mqtt_examples::print;

use crate::verdict::{Kind, Verdict};

/// Anomalies that are shown in full.
pub(crate) const SHOWN: usize = 6;

/// How often each process was killed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kills {
    pub(crate) publisher: u64,
    pub(crate) subscriber: u64,
    pub(crate) broker: u64,
}

/// A row of the table.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) kills: Kills,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
}

/// Prints the result. Returns whether all is right.
pub(crate) fn print(parts: &[Part]) -> bool {
    print::line(&format!(
        "\n{:<14} {:>9} {:>10} {:>9} {:>8} {:>8} {:>5} {:>7} {:>9} {:>8} {:>11} {:>6}",
        "killed",
        "publisher",
        "subscriber",
        "Mosquitto",
        "QoS 1",
        "QoS 2",
        "lost",
        "doubled",
        "disorder",
        "foreign",
        "QoS 1 again",
        "time"
    ));
    let (mut sum, mut kills, mut explained, mut blamed) = (Verdict::default(), 0, 0, 0);
    for Part { name, kills: killed, verdict, took } in parts {
        let [qos_1, qos_2] = verdict.published;
        print::line(&format!(
            "{name:<14} {:>9} {:>10} {:>9} {qos_1:>8} {qos_2:>8} {:>5} {:>7} {:>9} {:>8} {:>11} {:>4} s",
            killed.publisher,
            killed.subscriber,
            killed.broker,
            verdict.count(Kind::Lost),
            verdict.count(Kind::Doubled),
            verdict.count(Kind::Disorder),
            verdict.count(Kind::Foreign),
            verdict.repeated,
            took.as_secs()
        ));
        let (by_broker, by_clients): (Vec<_>, Vec<_>) =
            verdict.anomalies.iter().partition(|anomaly| anomaly.is_excused(killed.broker > 0));
        for anomaly in by_broker.iter().take(SHOWN) {
            let why = anomaly.by_broker.as_deref().unwrap_or_default();
            print::line(&format!("  Mosquitto's: {}: {why}", anomaly.what));
        }
        if by_broker.len() > SHOWN {
            print::line(&format!("  and {} more, each with its evidence", by_broker.len() - SHOWN));
        }
        for anomaly in by_clients.iter().take(SHOWN) {
            let hint = anomaly.by_broker.as_deref().unwrap_or("Mosquitto's log does not say why");
            print::line(&format!("  FAILED: {}: {hint}", anomaly.what));
        }
        kills += killed.publisher + killed.subscriber + killed.broker;
        explained += by_broker.len();
        blamed += by_clients.len();
        sum.merge(verdict.clone());
    }
    let [qos_1, qos_2] = sum.published;
    print::line(&format!(
        "\n{kills} kills, {} messages: {blamed} lost, doubled or out of order by a client; {explained} by Mosquitto, with evidence",
        qos_1 + qos_2
    ));
    blamed == 0
}

/// The progress of the run: a bar on a terminal, otherwise a line now and then.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    all: u64,
    done: Cell<u64>,
}

impl Progress {
    pub(crate) fn new(all: u64, what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(all);
            // If the template were wrong, the plain bar would be used.
            if let Ok(style) =
                ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {eta} left")
            {
                bar.set_style(style);
            }
            bar.with_message(what)
        });
        Self { bar, what, all, done: Cell::new(0) }
    }

    pub(crate) fn one(&self) {
        let done = self.done.get() + 1;
        self.done.set(done);
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if done % self.all.div_ceil(10) == 0 => {
                print::error(&format!("{done} of {} {}", self.all, self.what));
            }
            None => {}
        }
    }

    pub(crate) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
