//! [`Intervals`]: how far apart a task's reports are, for choosing its deadline and its window.
//!
//! A deadline is a guess until the task has run. [`TaskHandle::measured`] makes a handle that also keeps the longest and
//! the shortest interval between two reports. A task with a plain handle pays nothing for it.
//!
//! ```
//! use watchdog_core::{Instant, Intervals, Plan, Rules, Task, Timing, plan, task};
//!
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASK: Task = task!(TIMING, Rules::deadline(1_000));
//! static SEEN: Intervals = Intervals::new();
//!
//! let at = Instant::from_millis;
//! let sampler = TASK.handle().measured(&SEEN);
//! for now in [0, 250, 490, 760] {
//!     sampler.feed(at(now))?;
//! }
//! assert_eq!((SEEN.count(), SEEN.shortest(), SEEN.longest()), (3, Some(240), Some(270)));
//!
//! // The report that was too late is the one that the deadline has to allow for.
//! assert!(sampler.feed(at(1_900)).is_err());
//! assert_eq!(SEEN.longest(), Some(1_140));
//! # Ok::<(), watchdog_core::Refused>(())
//! ```
//!
//! Invariants: only the reporting task stores the measurements, except for the wish to reset them; each field is one
//! atomic word. So any core may read them at any time. A reader may see an interval in one field before it sees it in
//! another.

use crate::sync::{AtomicBool, AtomicU32, Ordering, const_fn};
use crate::task::{Refused, TaskHandle};
use crate::time::{Instant, short};

/// The intervals between the reports of one task: the longest, the shortest, and their number. 24 bytes, for a `static`.
///
/// An interval lies between two feeds or checkpoints that count. Three kinds of time do not count: the time before the
/// first report, a pause, and the time of a grant. Of the reports that are refused, only one counts: the first one that
/// is too late. A clock that goes back gives an interval of 0.
#[derive(Debug)]
pub struct Intervals {
    /// The last report, as two halves of an [`Instant`]. [`Instant::FAR_FUTURE`]: there is none to count from.
    last: [AtomicU32; 2],
    longest: AtomicU32,
    shortest: AtomicU32,
    count: AtomicU32,
    /// The task forgets the intervals at its next report.
    reset: AtomicBool,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Intervals>() == 24);

impl Intervals {
    const_fn! {
        /// No interval yet.
        #[must_use]
        pub fn new() -> Self {
            Self {
                last: [AtomicU32::new(u32::MAX), AtomicU32::new(u32::MAX)],
                longest: AtomicU32::new(0),
                shortest: AtomicU32::new(u32::MAX),
                count: AtomicU32::new(0),
                reset: AtomicBool::new(false),
            }
        }
    }

    /// The number of intervals. It saturates.
    #[must_use]
    pub fn count(&self) -> u32 {
        if self.reset.load(Ordering::Acquire) { 0 } else { self.count.load(Ordering::Acquire) }
    }

    /// The longest interval in milliseconds; `u32::MAX` if it is longer than 49 days. `None`: there is no interval yet.
    #[must_use]
    pub fn longest(&self) -> Option<u32> {
        (self.count() > 0).then(|| self.longest.load(Ordering::Relaxed))
    }

    /// The shortest interval in milliseconds. `None`: there is no interval yet.
    #[must_use]
    pub fn shortest(&self) -> Option<u32> {
        (self.count() > 0).then(|| self.shortest.load(Ordering::Relaxed))
    }

    /// Forgets the intervals. Any core may call it at any time; an interval that the task measures meanwhile may be
    /// forgotten, too.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::Release);
    }

    /// Measures a report at `now`. Only the reporting task calls this.
    pub(crate) fn measure(&self, now: Instant, reported: Result<(), Refused>) {
        match reported {
            Ok(()) => {
                self.interval(now);
                self.count_from(now);
            }
            // Measured once: what such a task reports later says nothing about its intervals.
            Err(Refused::Late) => {
                self.interval(now);
                self.skip();
            }
            Err(_) => {}
        }
    }

    /// The next interval begins at `now`.
    pub(crate) fn count_from(&self, now: Instant) {
        let [low, high] = halves(now);
        self.last[0].store(low, Ordering::Relaxed);
        self.last[1].store(high, Ordering::Relaxed);
    }

    /// The interval up to the next report does not count.
    pub(crate) fn skip(&self) {
        self.count_from(Instant::FAR_FUTURE);
    }

    fn last(&self) -> Option<Instant> {
        let [low, high] = [&self.last[0], &self.last[1]].map(|half| half.load(Ordering::Relaxed));
        let last = Instant::from_millis(u64::from(high) << 32 | u64::from(low));
        (last != Instant::FAR_FUTURE).then_some(last)
    }

    /// Counts the interval from the last report to `now`, if there is one.
    fn interval(&self, now: Instant) {
        let Some(last) = self.last() else { return };
        let millis = short(since(last, now));
        let begins = self.reset.load(Ordering::Acquire);
        let (longest, shortest, count) = if begins {
            (0, u32::MAX, 0)
        } else {
            let load = |field: &AtomicU32| field.load(Ordering::Relaxed);
            (load(&self.longest), load(&self.shortest), load(&self.count))
        };
        self.longest.store(longest.max(millis), Ordering::Relaxed);
        self.shortest.store(shortest.min(millis), Ordering::Relaxed);
        // After the two: whoever sees a count sees an interval.
        self.count.store(count.saturating_add(1), Ordering::Release);
        if begins {
            self.reset.store(false, Ordering::Release);
        }
    }
}

impl Default for Intervals {
    fn default() -> Self {
        Self::new()
    }
}

/// The low and the high 32 bits.
const fn halves(at: Instant) -> [u32; 2] {
    [at.as_millis() as u32, (at.as_millis() >> 32) as u32]
}

/// The milliseconds from `last` to `now`. A [`SharedClock`](crate::SharedClock) gives the low 32 bits of the time only;
/// so if both have no high bits, and the time seems to go back by more than half of the range, it has gone round.
const fn since(last: Instant, now: Instant) -> u64 {
    let ([last_low, last_high], [now_low, now_high]) = (halves(last), halves(now));
    let forward = now_low.wrapping_sub(last_low);
    if last_high == 0 && now_high == 0 && now_low < last_low && forward <= u32::MAX / 2 {
        forward as u64
    } else {
        now.millis_since(last)
    }
}

impl<'a> TaskHandle<'a> {
    /// The same handle, which also measures the intervals between its reports.
    pub const fn measured(self, intervals: &'a Intervals) -> Measured<'a> {
        Measured { handle: self, intervals }
    }
}

/// The handle of a task that measures the intervals between its reports. One handle measures into one [`Intervals`].
///
/// Each report is made first and measured then, with a few loads and stores more.
#[derive(Debug)]
#[must_use = "a task that never reports starves"]
pub struct Measured<'a> {
    handle: TaskHandle<'a>,
    intervals: &'a Intervals,
}

impl<'a> Measured<'a> {
    /// Reports and measures as [`TaskHandle::feed`] does.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for the plain handle.
    pub fn feed(&self, now: Instant) -> Result<(), Refused> {
        let reported = self.handle.feed(now);
        self.intervals.measure(now, reported);
        reported
    }

    /// Reports and measures as [`TaskHandle::step`] does. With checkpoints, an interval lies between two of them.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for the plain handle.
    pub fn step(&self, step: u8, now: Instant) -> Result<(), Refused> {
        let reported = self.handle.step(step, now);
        self.intervals.measure(now, reported);
        reported
    }

    /// Takes a grant; see [`TaskHandle::grant`]. The interval that the grant makes longer does not count.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for the plain handle.
    pub fn grant(&self, now: Instant) -> Result<(), Refused> {
        self.handle.grant(now).inspect(|()| self.intervals.skip())
    }

    /// Pauses; see [`TaskHandle::pause`]. The pause does not count.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for the plain handle.
    pub fn pause(&self, now: Instant) -> Result<(), Refused> {
        self.handle.pause(now).inspect(|()| self.intervals.skip())
    }

    /// Resumes; see [`TaskHandle::resume`]. The next interval begins here.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for the plain handle.
    pub fn resume(&self, now: Instant) -> Result<(), Refused> {
        self.handle.resume(now).inspect(|()| self.intervals.count_from(now))
    }

    /// The plain handle. Its reports are not measured.
    pub const fn handle(&self) -> &TaskHandle<'a> {
        &self.handle
    }

    /// The plain handle, to retire, for example. Nothing is measured any more.
    pub fn into_handle(self) -> TaskHandle<'a> {
        self.handle
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::{Plan, Rules, Task, Timing, plan};

    const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn task(rules: Rules) -> Task {
        Task::new(rules, TIMING).unwrap()
    }

    fn seen(intervals: &Intervals) -> (u32, Option<u32>, Option<u32>) {
        (intervals.count(), intervals.shortest(), intervals.longest())
    }

    #[test]
    fn a_first_report_is_no_interval() {
        let (task, intervals) = (task(Rules::deadline(1_000)), Intervals::new());
        let handle = task.handle().measured(&intervals);
        handle.feed(at(700)).unwrap();
        assert_eq!(seen(&intervals), (0, None, None));
        handle.feed(at(700)).unwrap();
        assert_eq!(seen(&intervals), (1, Some(0), Some(0)));
    }

    #[test]
    fn checkpoints_are_measured_from_one_to_the_next() {
        let (task, intervals) = (task(Rules::deadline(1_000).steps(2)), Intervals::new());
        let handle = task.handle().measured(&intervals);
        for (step, now) in [(0, 0), (1, 10), (0, 500), (1, 530)] {
            handle.step(step, at(now)).unwrap();
        }
        assert_eq!(seen(&intervals), (3, Some(10), Some(490)));
    }

    #[test]
    fn refused_reports_do_not_count_except_for_the_first_late_one() {
        let rules = Rules::deadline(1_000).steps(2);
        let (task, intervals) = (task(rules), Intervals::new());
        let handle = task.handle().measured(&intervals);
        handle.step(0, at(0)).unwrap();
        assert_eq!(handle.feed(at(5)), Err(Refused::NeedsStep));
        assert_eq!(seen(&intervals), (0, None, None));
        assert_eq!(handle.step(1, at(1_001)), Err(Refused::Late));
        assert_eq!(handle.step(1, at(9_000)), Err(Refused::Late));
        assert_eq!(handle.step(1, at(9_001)), Err(Refused::Late));
        assert_eq!(seen(&intervals), (1, Some(1_001), Some(1_001)));
    }

    #[test]
    fn an_early_report_does_not_count() {
        let (task, intervals) = (task(Rules::deadline(1_000).not_before(100)), Intervals::new());
        let handle = task.handle().measured(&intervals);
        handle.feed(at(0)).unwrap();
        assert_eq!(handle.feed(at(99)), Err(Refused::Early));
        assert_eq!(handle.feed(at(200)), Err(Refused::Failed));
        assert_eq!(seen(&intervals), (0, None, None));
    }

    #[test]
    fn pauses_and_grants_do_not_count() {
        let (task, intervals) = (task(Rules::deadline(1_000).grants(3, 5)), Intervals::new());
        let handle = task.handle().measured(&intervals);
        handle.feed(at(0)).unwrap();
        handle.pause(at(10)).unwrap();
        handle.resume(at(90_000)).unwrap();
        handle.feed(at(90_070)).unwrap();
        handle.grant(at(90_080)).unwrap();
        handle.feed(at(94_000)).unwrap();
        handle.feed(at(94_080)).unwrap();
        assert_eq!(seen(&intervals), (2, Some(70), Some(80)));
        assert_eq!(handle.handle().feed(at(94_900)), Ok(()), "not measured");
        assert_eq!(handle.into_handle().retire(at(94_910)), Ok(()));
        assert_eq!(seen(&intervals), (2, Some(70), Some(80)));
    }

    #[test]
    fn a_reset_forgets_the_intervals_and_the_next_one_counts() {
        let (task, intervals) = (task(Rules::deadline(1_000)), Intervals::new());
        let handle = task.handle().measured(&intervals);
        for now in [0, 900, 910] {
            handle.feed(at(now)).unwrap();
        }
        intervals.reset();
        assert_eq!(seen(&intervals), (0, None, None));
        handle.feed(at(960)).unwrap();
        assert_eq!(seen(&intervals), (1, Some(50), Some(50)));
        handle.feed(at(1_000)).unwrap();
        assert_eq!(seen(&intervals), (2, Some(40), Some(50)));
    }

    #[test]
    fn long_intervals_saturate_and_a_clock_that_goes_back_or_round_is_measured_as_it_is_meant() {
        let days_50 = 50 * 24 * 60 * 60 * 1_000;
        let low = u64::from(u32::MAX);
        for (last, now, expected) in [
            (0, days_50, u32::MAX),
            (1 << 40, (1 << 40) + days_50, u32::MAX),
            (1 << 40, (1 << 40) + 7, 7),
            (low, low + 3, 3),
            // A shared clock has 32 bits.
            (low - 4, 5, 10),
            // The clock goes back.
            (5_000, 4_000, 0),
            ((1 << 40) + 9, 1 << 40, 0),
        ] {
            let intervals = Intervals::new();
            intervals.measure(at(last), Ok(()));
            intervals.measure(at(now), Ok(()));
            assert_eq!(intervals.longest(), Some(expected), "from {last} to {now}");
        }
    }
}
