//! The numbers of a campaign.

use std::{fmt::Write as _, time::Duration};

use crate::faults::Fault;

/// Sums over runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs.
    pub seeds: u64,
    /// Runs that broke a promise.
    pub failed: u64,
    /// Milliseconds that devices were connected.
    pub connected: u64,
    /// Milliseconds of virtual time.
    pub simulated: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// By [`Fault`].
    pub faults: [u64; Fault::ALL.len()],
    /// Messages accepted by clients, by QoS.
    pub published: [u64; 3],
    /// Messages that applications received, by QoS of the delivery.
    pub received: [u64; 3],
    /// Publishes that ended as lost.
    pub lost: u64,
    /// Publishes that gave way in a queue.
    pub dropped: u64,
    /// Records appended to journals.
    pub records: u64,
    /// The snapshots among them.
    pub snapshots: u64,
    /// Restarts from a journal.
    pub restores: u64,
}

impl Totals {
    /// Adds the sums of another run.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.failed += other.failed;
        self.connected += other.connected;
        self.simulated += other.simulated;
        self.connections += other.connections;
        for (sum, more) in self.faults.iter_mut().zip(other.faults) {
            *sum += more;
        }
        for (sum, more) in self.published.iter_mut().zip(other.published) {
            *sum += more;
        }
        for (sum, more) in self.received.iter_mut().zip(other.received) {
            *sum += more;
        }
        self.lost += other.lost;
        self.dropped += other.dropped;
        self.records += other.records;
        self.snapshots += other.snapshots;
        self.restores += other.restores;
    }

    /// How often a kind of fault occurred.
    #[must_use]
    pub const fn count(&self, fault: Fault) -> u64 {
        // Every kind has its place.
        #[expect(clippy::indexing_slicing, reason = "as many places as kinds")]
        self.faults[fault as usize]
    }

    /// Faults that occurred. Those that only change grouping or timing are not counted.
    #[must_use]
    pub fn faults(&self) -> u64 {
        Fault::ALL.iter().filter(|fault| !fault.is_texture()).map(|fault| self.count(*fault)).sum()
    }

    /// The report, with a line for each subject.
    #[must_use]
    pub fn report(&self, took: Duration) -> String {
        let mut text = String::new();
        for fault in Fault::ALL {
            let _ = writeln!(text, "  {:<34}{:>12}", fault.words(), self.count(fault));
        }
        let seconds = took.as_secs_f64().max(0.001);
        let rate = |count: u64| count as f64 / seconds;
        let [p0, p1, p2] = self.published;
        let [r0, r1, r2] = self.received;
        let hours = self.connected / 3_600_000;
        let _ = writeln!(text, "  published, QoS 0 / 1 / 2          {p0} / {p1} / {p2}");
        let _ = writeln!(text, "  received, QoS 0 / 1 / 2           {r0} / {r1} / {r2}");
        let _ =
            writeln!(text, "  publishes lost, dropped           {} / {}", self.lost, self.dropped);
        let _ = writeln!(
            text,
            "  records, snapshots, restores      {} / {} / {}",
            self.records, self.snapshots, self.restores
        );
        let _ =
            writeln!(text, "  connections, connection-hours     {} / {hours}", self.connections);
        let _ = writeln!(
            text,
            "  per second of {seconds:.1} s: {:.0} seeds, {:.1} connection-hours, {:.0} faults, {:.0} messages",
            rate(self.seeds),
            rate(self.connected) / 3_600_000.0,
            rate(self.faults()),
            rate(p0 + p1 + p2 + r0 + r1 + r2),
        );
        text
    }

    /// The closing line.
    #[must_use]
    pub fn line(&self) -> String {
        let messages: u64 = self.published.iter().chain(&self.received).sum();
        format!(
            "{} seeds, {} connection-hours, {} faults, {messages} messages, {} failed",
            self.seeds,
            self.connected / 3_600_000,
            self.faults(),
            self.failed
        )
    }
}
