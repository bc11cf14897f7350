//! The numbers of a campaign.

use std::{fmt::Write as _, time::Duration};

use crate::{faults::Fault, quirks::Quirk};

/// How often a quirk showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Seeds in which it showed.
    pub seeds: u64,
    /// The seeds among them that broke a promise.
    pub failed: u64,
}

/// How often each quirk showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByQuirk([Shown; Quirk::ALL.len()]);

impl Default for ByQuirk {
    fn default() -> Self {
        Self([Shown { seeds: 0, failed: 0 }; Quirk::ALL.len()])
    }
}

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
    /// By [`Quirk`].
    pub quirks: ByQuirk,
    /// Messages accepted by clients, by QoS.
    pub published: [u64; 3],
    /// Messages that applications received, by QoS of the delivery.
    pub received: [u64; 3],
    /// Fleets whose broker stopped and came back.
    pub fleets: u64,
    /// Connections to another broker than the last one.
    pub moves: u64,
    /// Sessions that clients ended because they could not remember all packet ids.
    pub ended: u64,
    /// Publishes that ended as lost.
    pub lost: u64,
    /// Requests that applications took back.
    pub cancelled: u64,
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
        for (sum, more) in self.quirks.0.iter_mut().zip(other.quirks.0) {
            sum.seeds += more.seeds;
            sum.failed += more.failed;
        }
        for (sum, more) in self.published.iter_mut().zip(other.published) {
            *sum += more;
        }
        for (sum, more) in self.received.iter_mut().zip(other.received) {
            *sum += more;
        }
        self.fleets += other.fleets;
        self.moves += other.moves;
        self.ended += other.ended;
        self.lost += other.lost;
        self.cancelled += other.cancelled;
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

    /// How often a quirk showed.
    #[must_use]
    pub const fn shown(&self, quirk: Quirk) -> Shown {
        #[expect(clippy::indexing_slicing, reason = "as many places as quirks")]
        self.quirks.0[quirk as usize]
    }

    /// A quirk shows in this run.
    pub(crate) fn shows(&mut self, quirk: Quirk) {
        self.quirks.0[quirk as usize].seeds = 1;
    }

    /// The quirks that showed.
    #[must_use]
    pub fn quirks_shown(&self) -> Vec<Quirk> {
        Quirk::ALL.into_iter().filter(|quirk| self.shown(*quirk).seeds != 0).collect()
    }

    /// The run is over, and a promise was broken or not.
    pub(crate) fn end(&mut self, failed: bool) {
        self.seeds = 1;
        self.failed = u64::from(failed);
        for shown in &mut self.quirks.0 {
            shown.failed = shown.seeds * self.failed;
        }
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
        for quirk in Quirk::ALL {
            let Shown { seeds, failed } = self.shown(quirk);
            let _ = write!(text, "  {:<34}{seeds:>12} seeds", quirk.words());
            let _ = if failed == 0 { writeln!(text) } else { writeln!(text, ", {failed} failed") };
        }
        let seconds = took.as_secs_f64().max(0.001);
        let rate = |count: u64| count as f64 / seconds;
        let [p0, p1, p2] = self.published;
        let [r0, r1, r2] = self.received;
        let hours = self.connected / 3_600_000;
        let _ = writeln!(text, "  published, QoS 0 / 1 / 2          {p0} / {p1} / {p2}");
        let _ = writeln!(text, "  received, QoS 0 / 1 / 2           {r0} / {r1} / {r2}");
        let _ = writeln!(
            text,
            "  lost, dropped, cancelled          {} / {} / {}",
            self.lost, self.dropped, self.cancelled
        );
        let _ = writeln!(
            text,
            "  records, snapshots, restores      {} / {} / {}",
            self.records, self.snapshots, self.restores
        );
        let _ =
            writeln!(text, "  connections, connection-hours     {} / {hours}", self.connections);
        let _ = writeln!(
            text,
            "  moves, ended sessions, fleets     {} / {} / {}",
            self.moves, self.ended, self.fleets
        );
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
