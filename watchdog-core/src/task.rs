//! One watched task: its rules and its last report, in 20 bytes that interrupts and cores may share.
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

use thiserror::Error;

use crate::log::log;
use crate::plan::{PlanError, Timing};
use crate::report::{Kind, MOST_STEPS, Report};
use crate::rules::Rules;
use crate::sync::{AtomicU8, AtomicU32, Ordering, const_fn};
use crate::time::Instant;

/// The storage of a watched task: 20 bytes.
#[derive(Debug)]
pub struct Task {
    report: AtomicU32,
    /// The start of the supervisor, for the first report. Only the supervisor stores it, so no report is lost.
    start: AtomicU32,
    /// 0: the place is vacant.
    deadline: AtomicU32,
    earliest: AtomicU32,
    steps: AtomicU8,
    /// The number of grants that are left.
    grants: AtomicU8,
    /// The length of a grant in deadlines; 0: the task has no grants.
    times: AtomicU8,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Task>() == 20);

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
                Ok(()) => Ok(Self {
                    report: AtomicU32::new(first_report(&rules).bits()),
                    start: AtomicU32::new(Report::READY.bits()),
                    deadline: AtomicU32::new(rules.deadline),
                    earliest: AtomicU32::new(rules.earliest),
                    steps: AtomicU8::new(rules.steps),
                    grants: AtomicU8::new(grants_left(&rules)),
                    times: AtomicU8::new(rules.times),
                }),
                Err(error) => Err(error),
            }
        }

        /// A vacant place for a task that comes later: see [`Supervisor::watch`](crate::Supervisor::watch).
        #[must_use]
        pub fn vacant() -> Self {
            Self {
                report: AtomicU32::new(0),
                start: AtomicU32::new(0),
                deadline: AtomicU32::new(0),
                earliest: AtomicU32::new(0),
                steps: AtomicU8::new(0),
                grants: AtomicU8::new(0),
                times: AtomicU8::new(0),
            }
        }
    }

    /// The handle that the task reports with.
    pub const fn handle(&self) -> TaskHandle<'_> {
        TaskHandle { task: self }
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
        let kind = if rules.paused { Kind::Paused } else { Kind::Granted };
        self.write(Report::new(kind, 0, now));
        // Stored last: from here on the task is awaited.
        self.deadline.store(rules.deadline, Ordering::Release);
    }

    /// Makes the place vacant, whatever its task has reported: it does not count any more. Only for the supervisor.
    #[cfg(feature = "std")]
    pub(crate) fn vacate(&self) {
        self.deadline.store(0, Ordering::Release);
    }

    /// The next feed or checkpoint is not too early. For a daemon whose time stood still; only the task calls it.
    #[cfg(feature = "std")]
    pub(crate) fn open_window(&self) {
        let last = self.read();
        if last.kind() == Kind::Fed && self.earliest.load(Ordering::Relaxed) != 0 {
            // After a grant no report is too early.
            self.write(last.of_kind(Kind::Granted));
        }
    }

    /// Watches a restarted task by the same rules. Only for the supervisor.
    pub(crate) fn revive(&self, now: Instant) {
        self.write(Report::new(Kind::Granted, 0, now));
    }

    /// The state of the task for the supervisor; `None` if the place is vacant.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let deadline = self.deadline.load(Ordering::Acquire);
        if deadline == 0 {
            return None;
        }
        let report = self.read();
        Some(Snapshot { report, limit: self.limit(report.kind(), deadline) })
    }

    /// Whether the number in a report is a checkpoint.
    pub(crate) fn has_steps(&self) -> bool {
        self.steps.load(Ordering::Relaxed) != 0
    }

    fn read(&self) -> Report {
        Report::from_bits(self.report.load(Ordering::Acquire))
    }

    /// Every report is stored here. Release: the owner of the supervisor sees all that the task did before its report.
    fn write(&self, report: Report) {
        self.report.store(report.bits(), Ordering::Release);
    }

    /// How long the task may be silent after a report of this kind, in milliseconds.
    fn limit(&self, kind: Kind, deadline: u32) -> u32 {
        match kind {
            Kind::Ready | Kind::Granted => match self.times.load(Ordering::Relaxed) {
                0 => deadline,
                times => deadline.saturating_mul(u32::from(times)),
            },
            Kind::Fed
            | Kind::Paused
            | Kind::Early
            | Kind::OutOfOrder
            | Kind::Returned
            | Kind::Panicked => deadline,
        }
    }

    /// The last report, if the task may report and is not late. Not inlined, so that a usual feed stays short.
    #[inline(never)]
    fn in_time(&self, now: Instant) -> Result<Report, Refused> {
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline == 0 {
            return Err(Refused::NotWatched);
        }
        let report = self.read();
        match report.kind() {
            Kind::Paused => Ok(report),
            Kind::Ready => {
                let start = Report::from_bits(self.start.load(Ordering::Acquire));
                let is_late = start.number() == STARTED
                    && start.age(now).millis() > self.limit(Kind::Ready, deadline);
                if is_late {
                    log!(debug, "watchdog: a report is refused: {}", Refused::Late);
                    return Err(Refused::Late);
                }
                Ok(report)
            }
            Kind::Fed | Kind::Granted => {
                if report.age(now).millis() > self.limit(report.kind(), deadline) {
                    log!(debug, "watchdog: a report is refused: {}", Refused::Late);
                    return Err(Refused::Late);
                }
                Ok(report)
            }
            Kind::Early | Kind::OutOfOrder | Kind::Returned | Kind::Panicked => {
                Err(Refused::Failed)
            }
        }
    }

    /// The last report, if the task is awaited and not late.
    #[inline]
    fn awaited(&self, now: Instant) -> Result<Report, Refused> {
        let (deadline, report) = (self.deadline.load(Ordering::Relaxed), self.read());
        // The usual case; the code below distinguishes the others.
        let is_usual = deadline != 0 && report.kind() == Kind::Fed;
        if is_usual && report.age(now).millis() <= deadline {
            return Ok(report);
        }
        let report = self.in_time(now)?;
        if report.kind() == Kind::Paused { Err(Refused::Paused) } else { Ok(report) }
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

/// The number in `Task::start` from the start of a supervisor on. Before it, no report is late.
const STARTED: u8 = 1;
/// The number in the report of a task without checkpoints that has resumed, and has not fed since.
const RESUMED: u8 = MOST_STEPS;
/// The number in the report of a task with checkpoints that has not begun a round since it started or resumed.
const NO_ROUND: u8 = 0;

/// The stored report before the task has made one.
const fn first_report(rules: &Rules) -> Report {
    if rules.paused { Report::PAUSED } else { Report::READY }
}

/// The start uses the first grant, except if the task begins paused: its start is the first `resume`.
const fn grants_left(rules: &Rules) -> u8 {
    if rules.paused { rules.grants } else { rules.grants.saturating_sub(1) }
}

/// The state of a task for the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) report: Report,
    /// How long the task may be silent, in milliseconds.
    pub(crate) limit: u32,
}

/// The handle that a task reports with. A report is at most one atomic store, and may come from a thread, an interrupt
/// or another core.
///
/// Dropping a handle reports nothing: the task stays awaited, and starves. A task that ends on purpose calls
/// [`TaskHandle::retire`]. A destructor also runs when a thread panics, so it does not show that the end was on
/// purpose.
#[derive(Debug)]
#[must_use = "a task that never reports starves"]
pub struct TaskHandle<'a> {
    task: &'a Task,
}

impl TaskHandle<'_> {
    /// Reports that work has progressed, at `now`.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the feed does not count. For most of the reasons the task has failed, or will fail soon.
    pub fn feed(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.awaited(now)?;
        if self.task.steps.load(Ordering::Relaxed) != 0 {
            return Err(Refused::NeedsStep);
        }
        self.task.progress(0, last, now)
    }

    /// Reports that the checkpoint `step` is passed, at `now`. See [`Rules::steps`].
    ///
    /// # Errors
    ///
    /// [`Refused`], as for a feed.
    pub fn step(&self, step: u8, now: Instant) -> Result<(), Refused> {
        let last = self.task.awaited(now)?;
        let steps = self.task.steps.load(Ordering::Relaxed);
        if steps == 0 {
            return Err(Refused::NoSteps);
        }
        let next = if last.number() >= steps { 0 } else { last.number() };
        if step != next {
            // A checkpoint above the highest possible one is stored as none.
            let number = if step < MOST_STEPS { step.saturating_add(1) } else { 0 };
            self.task.write(Report::new(Kind::OutOfOrder, number, now));
            log!(warn, "watchdog: a report is refused: {}", Refused::OutOfOrder);
            return Err(Refused::OutOfOrder);
        }
        self.task.progress(step.saturating_add(1), last, now)
    }

    /// Takes a grant: from `now` on, the next feed or checkpoint may take as long as [`Rules::grants`] says. The grant
    /// ends with that report; before it, the task cannot take another grant.
    ///
    /// # Errors
    ///
    /// [`Refused::NoProgress`]: there was no report after the last grant, or after the start. [`Refused::NoGrant`]: all
    /// grants are used up. Otherwise as for a feed.
    pub fn grant(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.awaited(now)?;
        if self.task.times.load(Ordering::Relaxed) == 0 {
            return Err(Refused::NoGrant);
        }
        if last.kind() != Kind::Fed {
            return Err(Refused::NoProgress);
        }
        let Some(left) = self.task.grants.load(Ordering::Relaxed).checked_sub(1) else {
            return Err(Refused::NoGrant);
        };
        // Stored first: a task that is interrupted here loses a grant; it does not gain one.
        self.task.grants.store(left, Ordering::Relaxed);
        self.task.write(Report::new(Kind::Granted, last.number(), now));
        log!(info, "watchdog: a grant is taken, {} are left", left);
        Ok(())
    }

    /// Pauses: the task is not awaited until it resumes. For a task that waits for something that may never come, or
    /// for a device that sleeps.
    ///
    /// # Errors
    ///
    /// [`Refused::NoProgress`]: a grant, also the grant for the start, ends with a report and not with a pause.
    /// Otherwise as for a feed: a late task cannot escape by a pause.
    pub fn pause(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.awaited(now)?;
        // After a pause, `resume` would count as the progress that the next grant needs.
        if last.kind() != Kind::Fed && self.task.times.load(Ordering::Relaxed) != 0 {
            return Err(Refused::NoProgress);
        }
        self.task.write(Report::new(Kind::Paused, last.number(), now));
        Ok(())
    }

    /// Resumes: the task is awaited again, as if it had fed at `now`.
    ///
    /// # Errors
    ///
    /// [`Refused::NotPaused`]: the task is not paused, and resuming does not feed. [`Refused::Late`],
    /// [`Refused::Failed`], [`Refused::NotWatched`]: as for a feed.
    pub fn resume(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.in_time(now)?;
        if last.kind() != Kind::Paused {
            return Err(Refused::NotPaused);
        }
        // The next feed, or the first checkpoint of the next round, is not too early.
        let number = match (last.number(), self.task.steps.load(Ordering::Relaxed)) {
            (_, 0) => RESUMED,
            (number, steps) if number >= steps => NO_ROUND,
            (number, _) => number,
        };
        self.task.write(Report::new(Kind::Fed, number, now));
        Ok(())
    }

    /// Reports that the task ends on purpose; it is not awaited any more. A paused task may retire, too.
    ///
    /// # Errors
    ///
    /// [`Refused`]: a late or failed task cannot escape by retiring.
    pub fn retire(self, now: Instant) -> Result<(), Refused> {
        self.task.in_time(now)?;
        self.task.deadline.store(0, Ordering::Release);
        Ok(())
    }

    /// Reports that the task ended unexpectedly, so that the supervisor does not wait for its deadline. For panic
    /// handlers, and for code that starts tasks and sees them end. Does nothing if the task is late, has failed or has
    /// retired.
    pub fn abandon(&self, how: End, now: Instant) {
        if let Ok(last) = self.task.in_time(now) {
            let kind = match how {
                End::Returned => Kind::Returned,
                End::Panicked => Kind::Panicked,
            };
            self.task.write(Report::new(kind, last.number(), now));
        }
    }
}

/// How a task ended unexpectedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// Its function returned, and the task had not retired.
    Returned,
    /// The task panicked.
    Panicked,
}

/// Why a report does not count.
///
/// After [`Late`](Self::Late), [`Early`](Self::Early), [`OutOfOrder`](Self::OutOfOrder) and [`Failed`](Self::Failed)
/// the next poll finds a failure. A task that gets [`NeedsStep`](Self::NeedsStep) or [`NoSteps`](Self::NoSteps) only,
/// starves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refused {
    /// The task is paused; it has to resume first.
    #[error("the task is paused")]
    Paused,
    /// The task is not paused; resuming does not feed.
    #[error("the task is not paused")]
    NotPaused,
    /// The task has no grant left, or never had one.
    #[error("the task has no grant left")]
    NoGrant,
    /// The task has made no progress since its last grant or its start. It needs progress before the next grant or a
    /// pause.
    #[error("the task has not progressed since its last grant")]
    NoProgress,
    /// The task has checkpoints, so a plain feed does not count.
    #[error("the task has checkpoints, a plain feed does not count")]
    NeedsStep,
    /// The task has no checkpoints, so a checkpoint does not count.
    #[error("the task has no checkpoints")]
    NoSteps,
    /// The place is vacant: the task was never watched, or has retired.
    #[error("the task is not watched")]
    NotWatched,
    /// Nobody supervises any more: the daemon of the host was stopped, or its handler has panicked.
    #[error("nobody supervises any more")]
    NoSupervisor,
    /// The deadline or the grant is over. The task starves, whatever it does now.
    #[error("the task is too late")]
    Late,
    /// The window is not open yet.
    #[error("the task is too early")]
    Early,
    /// The checkpoint was not the next one.
    #[error("the checkpoint is not the next one")]
    OutOfOrder,
    /// The task failed before.
    #[error("the task has failed before")]
    Failed,
}

#[cfg(test)]
mod tests;
