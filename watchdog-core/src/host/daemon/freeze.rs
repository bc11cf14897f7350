//! A daemon that is frozen: its time stands still for a limited time, and the hardware is fed by the last verdict.
//!
//! Invariants: a freeze lasts whole heartbeats, so the hardware is fed at the same grid as before and after it; it ends
//! by itself at its limit, and at once if a thread fails; between two freezes the time runs at least as long as it stood;
//! no feed comes before the hardware's window is open by the clock, which runs on.

use thiserror::Error;

use super::time::Time;
use crate::bite::Failure;
use crate::log::log;
use crate::plan::Timing;
use crate::time::Instant;

/// Why a daemon is not frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// A thread has failed. A bite cannot be put off.
    #[error("{0}")]
    Failed(Failure),
    /// The daemon is frozen already.
    #[error("the daemon is frozen already")]
    Frozen,
    /// Since the last freeze the time has not run as long as it stood.
    #[error("the time has not run as long as it stood in the last freeze")]
    TooSoon,
    /// The limit is longer than [`Rules::MOST_MILLIS`](crate::Rules::MOST_MILLIS).
    #[error("a freeze cannot be longer than 14400000 ms")]
    TooLong,
    /// Nobody supervises any more: the handler has panicked.
    #[error("nobody supervises any more")]
    NoSupervisor,
}

/// The freezes of a daemon, and the window of its hardware. Only its thread has it. Instants are those of the clock,
/// which runs on.
#[derive(Debug)]
pub(super) struct Freezes {
    heartbeat: u64,
    window: u64,
    /// The window of the hardware is open from here on.
    opens: Instant,
    now: Option<Freeze>,
    /// The end of the last freeze in the daemon's time, and its length in milliseconds.
    last: Option<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Freeze {
    start: Instant,
    end: Instant,
    next_feed: Instant,
    /// When a feed that failed is tried again.
    retry: Option<Instant>,
}

impl Freeze {
    fn is_due(&self, now: Instant) -> bool {
        now >= self.next_feed || self.retry.is_some_and(|retry| now >= retry)
    }
}

impl Freezes {
    pub(super) const fn new(timing: Timing<'_>) -> Self {
        Self {
            heartbeat: timing.heartbeat as u64,
            window: timing.window as u64,
            opens: Instant::from_millis(0),
            now: None,
            last: None,
        }
    }

    /// The milliseconds for which the window of the hardware is still closed.
    pub(super) const fn closed(&self, now: Instant) -> u64 {
        self.opens.millis_since(now)
    }

    /// The hardware was fed at `now`, or the feed failed and may have counted. In a freeze, a failed feed is tried again
    /// after `retry_after` milliseconds.
    pub(super) fn fed(&mut self, now: Instant, retry_after: Option<u64>) {
        self.opens = now.plus_millis(self.window);
        if let Some(freeze) = &mut self.now {
            freeze.retry = retry_after.map(|millis| now.plus_millis(millis));
        }
    }

    /// A feed that was due in the freeze was put off by a report: it is due at once.
    pub(super) fn feed_again(&mut self, now: Instant) {
        if let Some(freeze) = &mut self.now {
            freeze.retry = Some(now);
        }
    }

    pub(super) const fn is_frozen(&self) -> bool {
        self.now.is_some()
    }

    /// Stops the time now. The next feed is due in `feed_in` milliseconds.
    pub(super) fn freeze(
        &mut self,
        time: &Time,
        most: u64,
        feed_in: u64,
    ) -> Result<(), FreezeError> {
        if self.now.is_some() {
            return Err(FreezeError::Frozen);
        }
        if self.last.is_some_and(|(end, length)| time.now().millis_since(end) < length) {
            return Err(FreezeError::TooSoon);
        }
        let start = time.of_clock();
        let beats = most.checked_div(self.heartbeat).unwrap_or(0).max(1);
        let end = start.plus_millis(beats.saturating_mul(self.heartbeat));
        time.stand_still();
        log!(warn, "watchdog: the daemon is frozen for at most {} ms", most);
        self.now = Some(Freeze { start, end, next_feed: start.plus_millis(feed_in), retry: None });
        Ok(())
    }

    /// Ends the freeze at the next whole heartbeat. Returns whether there was one.
    pub(super) fn thaw(&mut self, time: &Time) -> bool {
        let Some(freeze) = &mut self.now else { return false };
        let past = time.of_clock().millis_since(freeze.start);
        let beats = past.checked_div(self.heartbeat).unwrap_or(0).saturating_add(1);
        let end = freeze.start.plus_millis(beats.saturating_mul(self.heartbeat));
        freeze.end = freeze.end.min(end);
        true
    }

    /// Lets the time run on if the freeze is over. Returns whether a feed is due in the freeze.
    pub(super) fn feed_is_due(&mut self, time: &Time) -> bool {
        let now = time.of_clock();
        let Some(freeze) = &mut self.now else { return false };
        if now >= freeze.end {
            self.end(time);
            return false;
        }
        let is_due = now >= self.opens && freeze.is_due(now);
        if is_due && now >= freeze.next_feed {
            // If the daemon was late, it keeps to the grid.
            let past = now.millis_since(freeze.next_feed);
            let into = past.checked_rem(self.heartbeat).unwrap_or(0);
            freeze.next_feed = now.plus_millis(self.heartbeat.saturating_sub(into));
        }
        is_due
    }

    /// Lets the time run on.
    pub(super) fn end(&mut self, time: &Time) {
        if let Some(freeze) = self.now.take() {
            time.run_on();
            self.last = Some((time.now(), time.of_clock().millis_since(freeze.start)));
        }
    }

    /// How long to wait in the freeze, by the clock. `None`: the daemon is not frozen.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        self.now.map(|freeze| {
            let due = freeze.retry.map_or(freeze.next_feed, |retry| retry.min(freeze.next_feed));
            freeze.end.min(due.max(self.opens))
        })
    }
}
