//! One watched task: what is asked of it, and its last report, in 16 bytes that anyone may share.
//!
//! A [`Task`] is storage, usually an element of a `static` array; a [`TaskHandle`] is what the task itself holds.
//! Each report is judged where it is made, against the one before, so a verdict does not depend on when the
//! supervisor looks: one that comes too late is not stored at all, and the task starves; one that comes too early or
//! out of order is stored as what it is, for good.
//!
//! ```
//! use watchdog_core::{Instant, Refused, Rules, Task, TaskHandle, task};
//!
//! static TASKS: [Task; 1] = [task!(Rules::deadline(1_000))];
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
//! Invariants: only what the task reports writes its report, and with at most one store; a report that tells a fault
//! stays as it is; a deadline of 0 says that nobody is awaited here. Nothing but loads and stores is used, so it runs
//! on cores without compare-and-swap. Several may feed one task; where it has a window, checkpoints or grants it
//! should be one, or what they report mixes.

use thiserror::Error;

use crate::log::log;
use crate::report::{Kind, MOST_STEPS, Report};
use crate::rules::{Rules, RulesError};
use crate::sync::{AtomicU8, AtomicU32, Ordering, const_fn};
use crate::time::Instant;

/// Room for a watched task: 16 bytes.
#[derive(Debug)]
pub struct Task {
    report: AtomicU32,
    /// 0: nobody is awaited.
    deadline: AtomicU32,
    earliest: AtomicU32,
    steps: AtomicU8,
    /// Grants that are left.
    grants: AtomicU8,
    /// Deadlines in a grant.
    times: AtomicU8,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Task>() == 16);

/// A [`Task`] from [`Rules`]; rules that cannot be kept do not build.
///
/// ```
/// use watchdog_core::{Rules, Task, task};
///
/// static TASKS: [Task; 2] = [task!(Rules::deadline(1_000)), task!(Rules::deadline(5_000).steps(3))];
/// ```
///
/// ```compile_fail,E0080
/// use watchdog_core::{Rules, Task, task};
///
/// // The window opens no sooner than the deadline comes.
/// static TASK: Task = task!(Rules::deadline(1_000).not_before(1_000));
/// ```
#[macro_export]
macro_rules! task {
    ($rules:expr) => {
        const {
            match $crate::Task::new($rules) {
                ::core::result::Result::Ok(task) => task,
                ::core::result::Result::Err(error) => ::core::panic!("{}", error.message()),
            }
        }
    };
}

impl Task {
    const_fn! {
        /// A task that is awaited as soon as a supervisor starts. The macro [`task!`](crate::task!) does the same
        /// for constants.
        ///
        /// # Errors
        ///
        /// [`RulesError`]: the rules cannot be kept.
        pub fn new(rules: Rules) -> Result<Self, RulesError> {
            match rules.check() {
                Ok(()) => Ok(Self {
                    report: AtomicU32::new(first_report(&rules).bits()),
                    deadline: AtomicU32::new(rules.deadline),
                    earliest: AtomicU32::new(rules.earliest),
                    steps: AtomicU8::new(rules.steps),
                    grants: AtomicU8::new(grants_left(&rules)),
                    times: AtomicU8::new(rules.times),
                }),
                Err(error) => Err(error),
            }
        }

        /// Room for a task that comes later: see [`Supervisor::watch`](crate::Supervisor::watch).
        #[must_use]
        pub fn vacant() -> Self {
            Self {
                report: AtomicU32::new(0),
                deadline: AtomicU32::new(0),
                earliest: AtomicU32::new(0),
                steps: AtomicU8::new(0),
                grants: AtomicU8::new(0),
                times: AtomicU8::new(0),
            }
        }
    }

    /// The handle by which the task reports.
    pub const fn handle(&self) -> TaskHandle<'_> {
        TaskHandle { task: self }
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.deadline.load(Ordering::Relaxed) == 0
    }

    /// Watches anew. Only for the supervisor, and only while nobody else reports here.
    pub(crate) fn occupy(&self, rules: &Rules, now: Instant) {
        debug_assert!(rules.check().is_ok(), "rules are checked before a task is watched by them");
        self.earliest.store(rules.earliest, Ordering::Relaxed);
        self.steps.store(rules.steps, Ordering::Relaxed);
        self.grants.store(grants_left(rules), Ordering::Relaxed);
        self.times.store(rules.times, Ordering::Relaxed);
        let kind = match (rules.paused, rules.grants) {
            (true, _) => Kind::Paused,
            (false, 0) => Kind::Fed,
            (false, _) => Kind::Granted,
        };
        self.write(Report::new(kind, 0, now));
        // Last: from here on it is awaited.
        self.deadline.store(rules.deadline, Ordering::Release);
    }

    /// Watches a restarted task by the same rules. Only for the supervisor.
    pub(crate) fn revive(&self, now: Instant) {
        let kind = if self.times.load(Ordering::Relaxed) == 0 { Kind::Fed } else { Kind::Granted };
        self.write(Report::new(kind, 0, now));
    }

    /// What the supervisor looks at; `None` where nobody is awaited.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let deadline = self.deadline.load(Ordering::Acquire);
        if deadline == 0 {
            return None;
        }
        let report = self.read();
        Some(Snapshot { report, limit: self.limit(report.kind(), deadline) })
    }

    fn read(&self) -> Report {
        Report::from_bits(self.report.load(Ordering::Acquire))
    }

    /// All that a task reports goes through this store. Release: what it did before, the supervisor's owner can see.
    fn write(&self, report: Report) {
        self.report.store(report.bits(), Ordering::Release);
    }

    /// How long the task may be silent after a report of this kind.
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

    /// The last report, if the task may report at all, and has not been silent for too long.
    fn in_time(&self, now: Instant) -> Result<Report, Refused> {
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline == 0 {
            return Err(Refused::NotWatched);
        }
        let report = self.read();
        match report.kind() {
            Kind::Ready | Kind::Paused => Ok(report),
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

    /// The same, of a task that is awaited.
    fn awaited(&self, now: Instant) -> Result<Report, Refused> {
        let (deadline, report) = (self.deadline.load(Ordering::Relaxed), self.read());
        // Nearly always; the rest tells what else there is.
        let is_usual = deadline != 0 && report.kind() == Kind::Fed;
        if is_usual && report.age(now).millis() <= deadline {
            return Ok(report);
        }
        let report = self.in_time(now)?;
        if report.kind() == Kind::Paused { Err(Refused::Paused) } else { Ok(report) }
    }

    fn progress(&self, number: u8, last: Report, now: Instant) -> Result<(), Refused> {
        let early = last.kind() == Kind::Fed
            && last.age(now).millis() < self.earliest.load(Ordering::Relaxed);
        if early {
            self.write(Report::new(Kind::Early, last.number(), now));
            log!(warn, "watchdog: a report is refused: {}", Refused::Early);
            return Err(Refused::Early);
        }
        self.write(Report::new(Kind::Fed, number, now));
        Ok(())
    }
}

/// The report of a task that has not begun.
const fn first_report(rules: &Rules) -> Report {
    if rules.paused { Report::PAUSED } else { Report::READY }
}

/// The first grant is taken for the start, but by a task that begins when it resumes.
const fn grants_left(rules: &Rules) -> u8 {
    if rules.paused { rules.grants } else { rules.grants.saturating_sub(1) }
}

/// What the supervisor sees of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) report: Report,
    /// How long it may be silent, in milliseconds.
    pub(crate) limit: u32,
}

/// What a task holds to report. Every report is one atomic store at most, and may be made from anywhere.
///
/// Dropping a handle says nothing: the task is awaited on, and starves. Who ends on purpose says so with
/// [`TaskHandle::retire`]; destructors also run when a thread panics, so they are no proof of purpose.
#[derive(Debug)]
#[must_use = "a task that never reports starves"]
pub struct TaskHandle<'a> {
    task: &'a Task,
}

impl TaskHandle<'_> {
    /// Work has progressed, at `now`.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the feed does not count, and for most of the reasons a bite is near.
    pub fn feed(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.awaited(now)?;
        if self.task.steps.load(Ordering::Relaxed) != 0 {
            return Err(Refused::NeedsStep);
        }
        self.task.progress(0, last, now)
    }

    /// The checkpoint `step` is passed, at `now`. See [`Rules::steps`].
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
            // No number stands for those that there cannot be.
            let number = if step < MOST_STEPS { step.saturating_add(1) } else { 0 };
            self.task.write(Report::new(Kind::OutOfOrder, number, now));
            log!(warn, "watchdog: a report is refused: {}", Refused::OutOfOrder);
            return Err(Refused::OutOfOrder);
        }
        self.task.progress(step.saturating_add(1), last, now)
    }

    /// Takes a grant: the next feed or checkpoint may take as long as [`Rules::grants`] says, from `now`. It ends with
    /// that report; there is no other one before.
    ///
    /// # Errors
    ///
    /// [`Refused::NoProgress`] while the last grant (or the start) has not been followed by a report,
    /// [`Refused::NoGrant`] when all are used up, or as for a feed.
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
        // First: one that is interrupted here has lost a grant, not gained one.
        self.task.grants.store(left, Ordering::Relaxed);
        self.task.write(Report::new(Kind::Granted, last.number(), now));
        log!(info, "watchdog: a grant is taken, {} are left", left);
        Ok(())
    }

    /// The task is not awaited until it resumes: it waits for something that may never come, or the device sleeps.
    ///
    /// # Errors
    ///
    /// [`Refused::NoProgress`]: a grant, also that for the start, ends with a report and not with a pause. Else as for
    /// a feed: one that is late cannot get away by a pause.
    pub fn pause(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.awaited(now)?;
        // Resuming would stand for the progress that the next grant asks for.
        if last.kind() != Kind::Fed && self.task.times.load(Ordering::Relaxed) != 0 {
            return Err(Refused::NoProgress);
        }
        self.task.write(Report::new(Kind::Paused, last.number(), now));
        Ok(())
    }

    /// The task is awaited again, as if it had fed at `now`.
    ///
    /// # Errors
    ///
    /// [`Refused::NotPaused`]: it was awaited all the time, and this is no feed.
    pub fn resume(&self, now: Instant) -> Result<(), Refused> {
        let last = self.task.in_time(now)?;
        if last.kind() != Kind::Paused {
            return Err(Refused::NotPaused);
        }
        self.task.write(Report::new(Kind::Fed, last.number(), now));
        Ok(())
    }

    /// The task has ended on purpose and is awaited no more. A paused one may.
    ///
    /// # Errors
    ///
    /// [`Refused`]: one that is late cannot get away by ending.
    pub fn retire(self, now: Instant) -> Result<(), Refused> {
        self.task.in_time(now)?;
        self.task.deadline.store(0, Ordering::Release);
        Ok(())
    }

    /// The task has ended without purpose; nobody has to wait for its deadline to know. For panic handlers, and for
    /// what starts tasks and sees them end. Nothing happens where the task has failed or retired already.
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

/// How a task ended that should not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// Its function returned, and it had not retired.
    Returned,
    /// It panicked.
    Panicked,
}

/// Why a report does not count. But for the first four the supervisor will know of a failure at its next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refused {
    /// It is paused; it has to resume first.
    #[error("the task is paused")]
    Paused,
    /// It is not paused; to resume is not to feed.
    #[error("the task is not paused")]
    NotPaused,
    /// No grant is left, or it never had any.
    #[error("the task has no grant left")]
    NoGrant,
    /// A grant is renewed, or left for a pause, by progress only.
    #[error("the task has not progressed since its last grant")]
    NoProgress,
    /// It has checkpoints, and this was a feed without one: it does not count.
    #[error("the task has checkpoints, a plain feed does not count")]
    NeedsStep,
    /// It has no checkpoints, and this was one: it does not count.
    #[error("the task has no checkpoints")]
    NoSteps,
    /// Nobody is awaited here: the task was never watched, or has retired.
    #[error("the task is not watched")]
    NotWatched,
    /// The deadline, or the grant, is over. The task starves, whatever it does now.
    #[error("the task is too late")]
    Late,
    /// The window is not open yet.
    #[error("the task is too early")]
    Early,
    /// It was not the next checkpoint.
    #[error("the checkpoint is not the next one")]
    OutOfOrder,
    /// The task failed before.
    #[error("the task has failed before")]
    Failed,
}

#[cfg(test)]
mod tests;
