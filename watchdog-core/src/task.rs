//! One watched task: its rules and its last report, in 32 bytes that interrupts and cores may share.
//!
//! A [`Task`] is storage, usually an element of a `static` array; the task itself holds a [`TaskHandle`]. Each report
//! is checked when it is made, against the previous one. So the verdict does not depend on the time of the poll. A
//! report that is too late is not stored, and the task starves. A report that is too early or out of order is stored
//! as a fault, and stays.
//!
//! ```
//! use watchdog_core::{Instant, Plan, Refused, Rules, Task, TaskHandle, Timing, plan, task};
//!
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASKS: [Task; 1] = [task!(TIMING, Rules::deadline(1_000))];
//! static SAMPLER: TaskHandle<'static> = TASKS[0].handle();
//!
//! // From a thread, an interrupt or another core: one atomic store.
//! fn timer_interrupt(now: Instant) {
//!     let _late = SAMPLER.feed(now);
//! }
//!
//! timer_interrupt(Instant::from_millis(0));
//! timer_interrupt(Instant::from_millis(1_000));
//! assert_eq!(SAMPLER.feed(Instant::from_millis(2_001)), Err(Refused::Late), "and it starves");
//! ```
//!
//! Invariants: each report is at most one store to `report`; a fault stays stored until the supervisor watches the task
//! anew; a deadline of 0 means that the place is vacant. Only loads and stores are used, so this runs on cores without
//! compare-and-swap. Several feeders may feed one task. A task with a window, checkpoints or grants should have one
//! feeder only, because the reports of several feeders would mix.

mod handle;

use crate::bite::Fault;
use crate::log::log;
use crate::name::Name;
use crate::plan::{PlanError, Timing};
use crate::report::{Age, Kind, MOST_STEPS, Report};
use crate::rules::{Reaction, Rules};
use crate::sync::{AtomicU8, AtomicU32, Ordering, const_fn};
use crate::time::Instant;

pub use self::handle::{End, Refused, TaskHandle};

/// The storage of a watched task: 32 bytes.
#[derive(Debug)]
pub struct Task {
    report: AtomicU32,
    /// 0: the place is vacant.
    deadline: AtomicU32,
    /// The window; [`NEVER`] while the place is vacant.
    earliest: AtomicU32,
    /// The number of checkpoints, and the flag [`REPORTED`]. 0: a plain feed counts.
    steps: AtomicU8,
    /// The number of grants that are left.
    grants: AtomicU8,
    /// The length of a grant in deadlines; 0: the task has no grants.
    times: AtomicU8,
    reaction: AtomicU8,
    /// The start of the supervisor, for the first report. Only the supervisor stores it, so no report is lost.
    start: AtomicU32,
    name: [AtomicU32; Name::LEN / 4],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Task>() == 32);

/// The window of a vacant place, so that the fast path of a feed needs no check of its own: no age is as long.
const NEVER: u32 = u32::MAX;
/// In [`Task::steps`]: the failure of the task was reported, and the task is not awaited until it is restarted.
const REPORTED: u8 = 0x80;
const _: () = assert!(MOST_STEPS < REPORTED);

/// Makes a [`Task`] from a constant [`Timing`] and constant [`Rules`]. Rules that cannot be kept, or do not fit the plan,
/// do not build.
///
/// ```
/// use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
///
/// const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
/// static TASKS: [Task; 2] =
///     [task!(TIMING, Rules::deadline(1_000)), task!(TIMING, Rules::deadline(5_000).steps(3))];
/// ```
///
/// ```compile_fail,E0080
/// use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
///
/// const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
/// // The window does not open before the deadline.
/// static TASK: Task = task!(TIMING, Rules::deadline(1_000).not_before(1_000));
/// ```
#[macro_export]
macro_rules! task {
    ($timing:expr, $rules:expr) => {
        const {
            match $crate::Task::new($rules, $timing) {
                ::core::result::Result::Ok(task) => task,
                ::core::result::Result::Err(error) => ::core::panic!("{}", error.message()),
            }
        }
    };
}

impl Task {
    const_fn! {
        /// A task that is awaited as soon as a supervisor starts, by the timing of that supervisor. The macro
        /// [`task!`](crate::task!) does the same for constants.
        ///
        /// # Errors
        ///
        /// [`PlanError`]: the rules cannot be kept, or do not fit the plan.
        pub fn new(rules: Rules, timing: Timing<'_>) -> Result<Self, PlanError> {
            match timing.fits(&rules) {
                Ok(()) => {
                    let [first, second, third] = words(rules.name());
                    Ok(Self {
                        report: AtomicU32::new(first_report(&rules).bits()),
                        deadline: AtomicU32::new(rules.deadline),
                        earliest: AtomicU32::new(rules.earliest),
                        steps: AtomicU8::new(rules.steps),
                        grants: AtomicU8::new(grants_left(&rules)),
                        times: AtomicU8::new(rules.times),
                        reaction: AtomicU8::new(rules.reaction as u8),
                        start: AtomicU32::new(Report::READY.bits()),
                        name: [AtomicU32::new(first), AtomicU32::new(second), AtomicU32::new(third)],
                    })
                }
                Err(error) => Err(error),
            }
        }

        /// A vacant place for a task that comes later: see [`Supervisor::watch`](crate::Supervisor::watch).
        #[must_use]
        pub fn vacant() -> Self {
            Self {
                report: AtomicU32::new(0),
                deadline: AtomicU32::new(0),
                earliest: AtomicU32::new(NEVER),
                steps: AtomicU8::new(0),
                grants: AtomicU8::new(0),
                times: AtomicU8::new(0),
                reaction: AtomicU8::new(0),
                start: AtomicU32::new(0),
                name: [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)],
            }
        }
    }

    /// The handle that the task reports with.
    pub const fn handle(&self) -> TaskHandle<'_> {
        TaskHandle::new(self)
    }

    /// The name of the task; [`Name::NONE`] if it has none.
    pub fn name(&self) -> Name {
        let mut bytes = [0; Name::LEN];
        for (place, word) in bytes.chunks_mut(4).zip(&self.name) {
            let word = word.load(Ordering::Relaxed).to_ne_bytes();
            place.iter_mut().zip(word).for_each(|(place, byte)| *place = byte);
        }
        Name::from_bytes(bytes)
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.deadline.load(Ordering::Relaxed) == 0
    }

    /// A supervisor starts at `now`: a task that has not reported yet is awaited from now on.
    pub(crate) fn start(&self, now: Instant) {
        self.start.store(Report::new(Kind::Ready, STARTED, now).bits(), Ordering::Release);
    }

    /// Watches a new task in this place. Only the supervisor calls it, and only while no task reports here.
    pub(crate) fn occupy(&self, rules: &Rules, now: Instant) {
        debug_assert!(rules.check().is_ok(), "rules are checked before a task is watched by them");
        self.earliest.store(rules.earliest, Ordering::Relaxed);
        self.steps.store(rules.steps, Ordering::Relaxed);
        self.grants.store(grants_left(rules), Ordering::Relaxed);
        self.times.store(rules.times, Ordering::Relaxed);
        self.reaction.store(rules.reaction as u8, Ordering::Relaxed);
        for (place, word) in self.name.iter().zip(words(rules.name())) {
            place.store(word, Ordering::Relaxed);
        }
        let kind = if rules.paused { Kind::Paused } else { Kind::Granted };
        self.write(Report::new(kind, 0, now));
        // Stored last: from here on the task is awaited.
        self.deadline.store(rules.deadline, Ordering::Release);
    }

    /// Makes the place vacant, whatever its task has reported: it does not count any more.
    pub(crate) fn vacate(&self) {
        self.earliest.store(NEVER, Ordering::Relaxed);
        self.deadline.store(0, Ordering::Release);
    }

    /// The next feed, or the first checkpoint of the next round, is not too early: the time stood still for the task. Only
    /// the task calls it, or the supervisor while no task reports.
    pub(crate) fn open_window(&self) {
        let last = self.read();
        if last.kind() == Kind::Fed && self.earliest.load(Ordering::Relaxed) != 0 {
            self.write(last.with_number(self.resumed(last)));
        }
    }

    /// The number of a report from which on the next feed, or the first checkpoint of the next round, is not too early.
    fn resumed(&self, last: Report) -> u8 {
        match self.step_count() {
            0 => RESUMED,
            // After a whole round this is `NO_ROUND`.
            steps => last.next_step(steps),
        }
    }

    /// Watches a restarted task by the same rules. Only for the supervisor.
    pub(crate) fn revive(&self, now: Instant) {
        self.write(Report::new(Kind::Granted, 0, now));
        self.steps.store(self.step_count(), Ordering::Release);
    }

    /// The device slept for `millis` milliseconds until `now`, which do not count. Only for the supervisor, and only
    /// while no task reports.
    pub(crate) fn slept(&self, millis: u32, now: Instant) {
        for word in [&self.report, &self.start] {
            let report = Report::from_bits(word.load(Ordering::Acquire));
            word.store(report.later(millis, now).bits(), Ordering::Release);
        }
        self.open_window();
    }

    /// The failure of the task is reported: it is not awaited until it is restarted. Only for the supervisor.
    pub(crate) fn set_reported(&self) {
        self.steps.store(self.step_count() | REPORTED, Ordering::Release);
    }

    pub(crate) fn is_reported(&self) -> bool {
        self.steps.load(Ordering::Relaxed) & REPORTED != 0
    }

    pub(crate) fn reaction(&self) -> Reaction {
        match self.reaction.load(Ordering::Relaxed) {
            1 => Reaction::Reset,
            2 => Reaction::Report,
            _ => Reaction::Stages,
        }
    }

    /// Whether the task is awaited: it is neither paused nor retired, and its failure was not only reported.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.is_vacant() && !self.is_reported() && self.read().kind() != Kind::Paused
    }

    /// Whether the task has no fault, by a quick check: if it has not, [`fault`](Self::fault) decides.
    #[inline]
    pub(crate) fn is_healthy(&self, now: Instant) -> bool {
        let deadline = self.deadline.load(Ordering::Acquire);
        let report = self.read();
        report.kind() == Kind::Fed && report.short_age(now) <= deadline
    }

    /// The fault of the task at `now`, if it has one. A stamp that is further ahead than its limit and `slack` is by
    /// another clock. `too_old`: the stamps are so old that their age is ambiguous, and at least this many milliseconds.
    #[inline(never)]
    pub(crate) fn fault(&self, now: Instant, slack: u32, too_old: Option<u32>) -> Option<Found> {
        let deadline = self.deadline.load(Ordering::Acquire);
        if deadline == 0 || self.is_reported() {
            return None;
        }
        let report = self.read();
        let (fault, since, limit) = match report.kind() {
            Kind::Paused => return None,
            Kind::Ready | Kind::Fed | Kind::Granted => {
                let (since, limit) = self.limit(report, deadline);
                (Fault::Starved, since?, limit)
            }
            Kind::Early => (Fault::Early, report, 0),
            Kind::OutOfOrder => (Fault::OutOfOrder, report, 0),
            Kind::Returned => (Fault::Returned, report, 0),
            Kind::Panicked => (Fault::Panicked, report, 0),
        };
        let step = if self.step_count() == 0 { None } else { report.step() };
        let silent = match (too_old, since.age(now)) {
            (Some(millis), _) | (None, Age::Past(millis)) => millis,
            // A task that fed while this poll was interrupted is ahead too, but not by so much.
            (None, Age::Ahead(millis))
                if fault == Fault::Starved && millis > limit.saturating_add(slack) =>
            {
                return Some(Found { fault: Fault::Clock, step, silent: 0, ago: 0 });
            }
            (None, Age::Ahead(_)) => 0,
        };
        let has_failed = fault != Fault::Starved || silent > limit;
        has_failed.then(|| Found { fault, step, silent, ago: silent.saturating_sub(limit) })
    }

    /// How long the task may still be silent at `now`, in milliseconds; `None` if it is not awaited, or has failed.
    pub(crate) fn time_left(&self, now: Instant) -> Option<u32> {
        let (deadline, report) = (self.deadline.load(Ordering::Acquire), self.read());
        if deadline == 0 || self.is_reported() || report.kind().is_fault() {
            return None;
        }
        let (since, limit) = self.limit(report, deadline);
        limit.checked_sub(since?.age(now).millis())
    }

    fn step_count(&self) -> u8 {
        self.steps.load(Ordering::Relaxed) & !REPORTED
    }

    fn read(&self) -> Report {
        Report::from_bits(self.report.load(Ordering::Acquire))
    }

    /// Every report is stored here. Release: the owner of the supervisor sees all that the task did before its report.
    fn write(&self, report: Report) {
        self.report.store(report.bits(), Ordering::Release);
    }

    /// The sign of life from which the task is awaited, and how long it may be silent, in milliseconds. The first is
    /// `None` if it is not awaited.
    fn limit(&self, report: Report, deadline: u32) -> (Option<Report>, u32) {
        let since = match report.kind() {
            Kind::Fed => return (Some(report), deadline),
            Kind::Granted => report,
            Kind::Ready => {
                let start = Report::from_bits(self.start.load(Ordering::Acquire));
                if start.number() != STARTED {
                    return (None, deadline);
                }
                start
            }
            Kind::Paused | Kind::Early | Kind::OutOfOrder | Kind::Returned | Kind::Panicked => {
                return (None, deadline);
            }
        };
        let times = self.times.load(Ordering::Relaxed).max(1);
        (Some(since), deadline.saturating_mul(times.into()))
    }

    /// The last report, if the task may report and is not late.
    #[inline(never)]
    fn in_time(&self, now: Instant) -> Result<Report, Refused> {
        let (deadline, report) = (self.deadline.load(Ordering::Relaxed), self.read());
        if deadline == 0 {
            return Err(Refused::NotWatched);
        }
        if report.kind().is_fault() || self.is_reported() {
            return Err(Refused::Failed);
        }
        let (since, limit) = self.limit(report, deadline);
        if since.is_some_and(|since| since.age(now).millis() > limit) {
            log!(debug, "watchdog: a report is refused: {}", Refused::Late);
            return Err(Refused::Late);
        }
        Ok(report)
    }

    /// The last report, if the task is awaited and not late.
    fn awaited(&self, now: Instant) -> Result<Report, Refused> {
        let report = self.in_time(now)?;
        if report.kind() == Kind::Paused { Err(Refused::Paused) } else { Ok(report) }
    }

    /// A feed that is not as usual: the first one, or one that does not count, for example.
    #[inline(never)]
    fn unusual_feed(&self, now: Instant) -> Result<(), Refused> {
        let last = self.awaited(now)?;
        if self.step_count() != 0 {
            return Err(Refused::NeedsStep);
        }
        self.progress(0, last, now)
    }

    /// A checkpoint that is not as usual.
    #[inline(never)]
    fn unusual_step(&self, step: u8, now: Instant) -> Result<(), Refused> {
        let last = self.awaited(now)?;
        let steps = self.step_count();
        if steps == 0 {
            return Err(Refused::NoSteps);
        }
        if step != last.next_step(steps) {
            // A checkpoint above the highest possible one is stored as none.
            let number = if step < MOST_STEPS { step.saturating_add(1) } else { 0 };
            self.write(Report::new(Kind::OutOfOrder, number, now));
            log!(warn, "watchdog: a report is refused: {}", Refused::OutOfOrder);
            return Err(Refused::OutOfOrder);
        }
        self.progress(step.saturating_add(1), last, now)
    }

    /// Stores a feed (`number` 0) or a checkpoint (`number`, counted from 1), or the fault that it is too early. Within a
    /// round, no checkpoint is too early.
    fn progress(&self, number: u8, last: Report, now: Instant) -> Result<(), Refused> {
        let marker = if number == 0 { RESUMED } else { NO_ROUND };
        let early = number <= 1
            && last.kind() == Kind::Fed
            && last.age(now).millis() < self.earliest.load(Ordering::Relaxed)
            && last.number() != marker;
        if early {
            self.write(Report::new(Kind::Early, last.number(), now));
            log!(warn, "watchdog: a report is refused: {}", Refused::Early);
            return Err(Refused::Early);
        }
        self.write(Report::new(Kind::Fed, number, now));
        Ok(())
    }
}

/// The number in `Task::start` from the start of a supervisor on. Before it, no first report is late.
const STARTED: u8 = 1;
/// The number in the report of a task without checkpoints that has resumed or slept, and has not fed since.
const RESUMED: u8 = MOST_STEPS;
/// The number in the report of a task with checkpoints that has not begun a round since it started, resumed or slept.
const NO_ROUND: u8 = 0;

/// The stored report before the task has made one.
const fn first_report(rules: &Rules) -> Report {
    if rules.paused { Report::PAUSED } else { Report::READY }
}

/// The start uses the first grant, except if the task begins paused: its start is the first `resume`.
const fn grants_left(rules: &Rules) -> u8 {
    if rules.paused { rules.grants } else { rules.grants.saturating_sub(1) }
}

/// A name as words.
const fn words(name: Name) -> [u32; Name::LEN / 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = name.to_bytes();
    let word = u32::from_ne_bytes;
    [word([a, b, c, d]), word([e, f, g, h]), word([i, j, k, l])]
}

/// The fault of a task, for the supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) fault: Fault,
    pub(crate) step: Option<u8>,
    /// The time since the last sign of life, in milliseconds.
    pub(crate) silent: u32,
    /// The time since the failure, in milliseconds; for a starved task, the time since its deadline.
    pub(crate) ago: u32,
}

#[cfg(test)]
mod tests;
