//! The time by which the threads are judged: the daemon's clock, without the time in which the process did not run.
//!
//! A process that is stopped by `SIGSTOP` or a debugger, or whose machine pauses, does not run for some seconds. When it
//! goes on, every thread seems to be late. So the daemon's thread always says how far the time may run: to the end of its
//! wait, or from the begin of its work, plus a bound. There the time stands still, for all threads, until the daemon's
//! thread is back. This also holds if another thread is the first to run again.
//!
//! The daemon's thread can also stop the time on purpose, for a freeze.
//!
//! While the handler runs, the time runs without a limit: a handler may take long, and the threads go on.
//!
//! Invariants: the time never goes back; the time that the daemon's thread was late, beyond the bound, is not counted.

use std::boxed::Box;

use core::fmt;
use core::time::Duration;

use crate::host::clock::Clock;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Instant;

const NO_LIMIT: u64 = u64::MAX;

/// The time by which the threads are judged.
pub struct Time {
    clock: Box<dyn Clock>,
    /// The longest wait, and how late its end may be, in milliseconds.
    bound: u64,
    /// The milliseconds of the clock that do not count.
    lost: AtomicU64,
    /// The time does not run beyond this instant.
    limit: AtomicU64,
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock: _, bound, lost, limit } = self;
        f.debug_struct("Time")
            .field("bound", bound)
            .field("lost", lost)
            .field("limit", limit)
            .finish_non_exhaustive()
    }
}

impl Time {
    /// The time begins at that of `clock`.
    #[must_use]
    pub fn new(clock: Box<dyn Clock>, bound: Duration) -> Self {
        let bound = u64::try_from(bound.as_millis()).unwrap_or(NO_LIMIT).max(1);
        // The daemon's thread has to begin in time, too.
        let limit = clock.now().plus_millis(bound).as_millis();
        Self { clock, bound, lost: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    /// The time for all threads. It takes no lock.
    #[must_use]
    pub fn now(&self) -> Instant {
        // The limit comes first: a new limit comes with the new sum of lost time, see `wait`.
        let limit = self.limit.load(Ordering::Acquire);
        self.unlimited().min(Instant::from_millis(limit))
    }

    fn unlimited(&self) -> Instant {
        let lost = self.lost.load(Ordering::Acquire);
        Instant::from_millis(self.clock.now().as_millis().saturating_sub(lost))
    }

    /// The time of the clock, which always runs.
    pub(super) fn of_clock(&self) -> Instant {
        self.clock.now()
    }

    /// Whether the time stands still: the daemon's thread is late, or has stopped the time.
    pub(super) fn stands_still(&self) -> bool {
        let limit = self.limit.load(Ordering::Acquire);
        self.unlimited() > Instant::from_millis(limit)
    }

    /// Stops the time. Only the daemon's thread calls this.
    pub(super) fn stand_still(&self) {
        self.limit.store(self.now().as_millis(), Ordering::Release);
    }

    /// Lets the time run on from where it stands. Only the daemon's thread calls this.
    pub(super) fn run_on(&self) {
        let _on_purpose = self.work();
    }

    /// The handler runs: the time runs without a limit. Only the daemon's thread calls this.
    pub(super) fn run_freely(&self) {
        self.limit.store(NO_LIMIT, Ordering::Release);
    }

    /// The daemon's thread works from now on. Returns how late it was, if it was later than the bound. Only the daemon's
    /// thread calls this.
    pub fn work(&self) -> Option<Duration> {
        self.allow(self.now())
    }

    /// The daemon's thread is back, and will be back again at `end`. Returns as `work`.
    fn allow(&self, end: Instant) -> Option<Duration> {
        let limit = Instant::from_millis(self.limit.load(Ordering::Relaxed));
        let beyond = self.unlimited().millis_since(limit);
        let lost = self.lost.load(Ordering::Relaxed).saturating_add(beyond);
        // Before the limit: whoever sees the new limit sees this, too.
        self.lost.store(lost, Ordering::Release);
        self.limit.store(end.plus_millis(self.bound).as_millis(), Ordering::Release);
        (beyond > 0).then(|| Duration::from_millis(beyond.saturating_add(self.bound)))
    }

    /// Waits until `until` by the clock while the time stands still. Only the daemon's thread calls this.
    pub(super) fn wait_still(&self, until: Instant) {
        self.clock.wait(until);
    }

    /// Ends the current wait; if there is none, the next one.
    pub(super) fn wake(&self) {
        self.clock.wake();
    }

    /// Waits until `until`, or until [`wake`](Self::wake) is called. Returns as [`work`](Self::work). Only the daemon's
    /// thread calls this.
    pub(super) fn wait(&self, until: Instant) -> Option<Duration> {
        loop {
            // A longer wait would hide a stop in the midst of it.
            let end = until.min(self.now().plus_millis(self.bound));
            let late = self.allow(end);
            if late.is_some() {
                return late;
            }
            self.clock.wait(end.plus_millis(self.lost.load(Ordering::Relaxed)));
            let late = self.work();
            let now = self.now();
            if late.is_some() || now < end || now >= until {
                return late;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::sync::{Arc, Mutex};
    use std::vec::Vec;

    use super::*;

    /// A clock whose waits end at given times. While it waits, it reads the time as another thread would.
    #[derive(Default)]
    struct Script {
        now: Mutex<u64>,
        ends: Mutex<Vec<u64>>,
        waits: Mutex<Vec<u64>>,
        seen: Mutex<Vec<u64>>,
        time: Mutex<Option<Arc<Time>>>,
    }

    #[derive(Clone)]
    struct Shared(Arc<Script>);

    impl Clock for Shared {
        fn now(&self) -> Instant {
            Instant::from_millis(*self.0.now.lock().unwrap())
        }

        fn wait(&self, until: Instant) {
            self.0.waits.lock().unwrap().push(until.as_millis());
            let end = self.0.ends.lock().unwrap().remove(0);
            *self.0.now.lock().unwrap() = end;
            let time = self.0.time.lock().unwrap().clone();
            self.0.seen.lock().unwrap().push(time.unwrap().now().as_millis());
        }

        fn wake(&self) {}
    }

    fn script(bound: u64, ends: &[u64]) -> (Arc<Script>, Arc<Time>) {
        let script = Arc::new(Script::default());
        *script.ends.lock().unwrap() = ends.to_vec();
        let clock = Box::new(Shared(Arc::clone(&script)));
        let time = Arc::new(Time::new(clock, Duration::from_millis(bound)));
        *script.time.lock().unwrap() = Some(Arc::clone(&time));
        (script, time)
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn time_beyond_the_bound_is_told_once_and_does_not_count_for_any_thread() {
        let (script, time) = script(100, &[200, 3_100, 3_250]);
        // As late as the bound allows.
        assert_eq!(time.wait(at(100)), None);
        assert_eq!(time.wait(at(300)), Some(Duration::from_millis(2_800)));
        assert_eq!(time.now(), at(400), "the bound counts");
        assert_eq!(time.wait(at(500)), None);
        assert_eq!(time.now(), at(550));
        assert_eq!(*script.waits.lock().unwrap(), [100, 300, 3_200]);
        assert_eq!(*script.seen.lock().unwrap(), [200, 400, 550], "another thread, before it");
    }

    #[test]
    fn a_stop_before_the_first_work_or_during_work_does_not_count_either() {
        let (script, time) = script(100, &[]);
        for (clock, now) in [(3_000, 100), (6_000, 200)] {
            *script.now.lock().unwrap() = clock;
            assert_eq!(time.now(), at(now), "another thread, before it");
            assert_eq!(time.wait(at(9_000)), Some(Duration::from_millis(3_000)));
            assert_eq!(time.now(), at(now));
            time.work();
        }
    }

    #[test]
    fn while_the_handler_runs_all_time_counts() {
        let (script, time) = script(100, &[]);
        time.run_freely();
        *script.now.lock().unwrap() = 3_000;
        assert_eq!((time.now(), time.work()), (at(3_000), None));
    }

    #[test]
    fn a_long_wait_is_made_of_waits_no_longer_than_the_bound() {
        let (script, time) = script(100, &[100, 210, 250]);
        assert_eq!(time.wait(at(250)), None);
        assert_eq!(*script.waits.lock().unwrap(), [100, 200, 250]);
    }

    #[test]
    fn a_wake_ends_the_wait_before_its_time() {
        let (script, time) = script(100, &[40]);
        assert_eq!(time.wait(at(1_000)), None);
        assert_eq!((time.now(), script.waits.lock().unwrap().len()), (at(40), 1));
    }

    #[test]
    fn without_a_bound_every_lateness_counts() {
        let (_script, time) = script(NO_LIMIT, &[90_000]);
        assert_eq!(time.wait(at(100)), None);
        assert_eq!(time.now(), at(90_000));
    }
}
