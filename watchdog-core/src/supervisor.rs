//! One verdict over many tasks: [`Supervisor`].
//!
//! A supervisor borrows the tasks and takes no action itself: [`Supervisor::poll`] checks the tasks, and returns the
//! next action and the time of the next poll. These times lie on a grid of heartbeats that begins at the start. So a
//! device whose tasks work at the same heartbeat wakes up once for all of them.
//!
//! ```
//! use watchdog_core::{Action, Instant, Plan, Rules, Supervisor, Task, Timing, plan, task};
//!
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASKS: [Task; 2] =
//!     [task!(TIMING, Rules::deadline(1_000)), task!(TIMING, Rules::deadline(3_000))];
//!
//! let at = Instant::from_millis;
//! let mut supervisor = Supervisor::new(&TASKS, TIMING, at(0));
//! let (pump, valve) = (TASKS[0].handle(), TASKS[1].handle());
//!
//! pump.feed(at(400))?;
//! let polled = supervisor.poll(at(500));
//! assert_eq!((polled.action, polled.next), (Action::Feed, at(1_000)));
//!
//! valve.feed(at(900))?;
//! assert_eq!(supervisor.poll(at(1_000)).action, Action::Feed);
//! // The pump has been silent for 1,100 ms. The valve's feeds cannot hide that.
//! assert!(matches!(supervisor.poll(at(1_500)).action, Action::Stage(_, failure) if failure.task.index() == 0));
//! # Ok::<(), watchdog_core::Refused>(())
//! ```
//!
//! Invariants: the action is [`Action::Feed`] only if every awaited task was in time; the first failure stays the
//! first, whatever the tasks do later; two feeds are never closer than the closed window of the plan, whatever happened
//! between them, and the start counts as a feed; a failed task is found at the first heartbeat after its deadline, so at most one
//! heartbeat later; a clock that goes back counts as a clock that stands still.

use thiserror::Error;

use crate::bite::{Bite, Failure, Fault, Stage, TaskId};
use crate::hardware::ErrorKind;
use crate::log::log;
use crate::plan::{PlanError, Timing};
use crate::report::{Age, Kind, MOST_BETWEEN_POLLS};
use crate::rules::{Rules, RulesError};
use crate::task::{Snapshot, Task, TaskHandle};
use crate::time::Instant;

/// The answer of [`Supervisor::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Poll {
    /// The action to take now.
    pub action: Action,
    /// When to poll again; polling sooner does no harm. If more has to be done at once, this is not after `now`.
    pub next: Instant,
}

/// An action for the owner of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// All tasks are healthy, and a heartbeat is due: feed the hardware.
    Feed,
    /// Do nothing yet. Do not feed the hardware.
    Wait,
    /// A task has failed: do this stage, once.
    Stage(Stage, Failure),
    /// All stages have been handed out. The hardware is never fed again, and no rescue is possible.
    Stopped(Failure),
}

/// One verdict over many tasks. The caller keeps the tasks.
#[derive(Debug)]
pub struct Supervisor<'a> {
    tasks: &'a [Task],
    timing: Timing<'a>,
    started: Instant,
    /// The latest time of a poll.
    latest: Instant,
    /// The last poll that found all tasks healthy.
    last_good: Instant,
    /// When the next feed of the hardware is due.
    next_feed: Instant,
    bite: Option<Bite<'a>>,
    rescues: u8,
}

#[cfg(not(loom))]
const _: () =
    assert!(size_of::<Supervisor<'_>>() <= if size_of::<usize>() > 4 { 152 } else { 128 });

impl<'a> Supervisor<'a> {
    /// Watches `tasks` from `now` on. Each task has to report within its deadline (or its first grant) from `now`.
    ///
    /// The grid of heartbeats begins at `now`. If the tasks' own heartbeats begin at the same instant, all share their
    /// wake-ups.
    ///
    /// The hardware may have been fed just now, by the start or by a boot loader. So if the plan has a window, the first
    /// feed follows one heartbeat later, and otherwise at once. With [`last_fed`](Self::last_fed) it may come earlier.
    pub fn new(tasks: &'a [Task], timing: Timing<'a>, now: Instant) -> Self {
        log!(info, "watchdog: started, with room for {} tasks", tasks.len());
        tasks.iter().for_each(|task| task.start(now));
        let rescues = timing.rescues;
        let first = if timing.window == 0 { 0 } else { timing.heartbeat };
        Self {
            tasks,
            timing,
            started: now,
            latest: now,
            last_good: now,
            next_feed: now.plus_millis(first.into()),
            bite: None,
            rescues,
        }
    }

    /// The hardware was fed last at `at`, before the start: for example when it was armed, or by a boot loader that knows
    /// the time. The first feed follows as soon as the window is open.
    #[must_use]
    pub fn last_fed(mut self, at: Instant) -> Self {
        self.next_feed = self.started.max(at.plus_millis(self.timing.window.into()));
        self
    }

    /// Checks the tasks, and returns the action to take at `now`.
    ///
    /// The time that it takes grows linearly with the number of tasks. It never waits and never panics.
    pub fn poll(&mut self, now: Instant) -> Poll {
        let now = self.judge(now);
        let Some(bite) = &mut self.bite else {
            let due = now >= self.next_feed;
            if due {
                // After a feed off the grid, the next heartbeat may come before the window opens.
                let opens = now.plus_millis(self.timing.window.into());
                self.next_feed = self.heartbeat_after(now).max(opens);
            }
            return Poll {
                action: if due { Action::Feed } else { Action::Wait },
                next: self.next_feed,
            };
        };
        let over = bite.is_over();
        let action = match bite.poll(now) {
            Some(stage) => {
                log!(warn, "watchdog: stage: {}", stage);
                Action::Stage(stage, bite.failure)
            }
            None if over => Action::Stopped(bite.failure),
            None => Action::Wait,
        };
        Poll { action, next: bite.next() }
    }

    /// Checks the tasks, and keeps the first failure. Returns `now`, or the latest time of a poll if that is later.
    pub(crate) fn judge(&mut self, now: Instant) -> Instant {
        let now = now.max(self.latest);
        self.latest = now;
        if self.bite.is_none() {
            match self.first_failure(now) {
                None => self.last_good = now,
                Some(failure) => {
                    log!(error, "watchdog: {}", failure);
                    self.bite = Some(Bite::new(failure, self.timing.stages));
                }
            }
        }
        now
    }

    /// The hardware could not be fed: the feed is due again at once, not only at the next heartbeat. If the hardware
    /// may have been fed in spite of the error, the feed is due when the window is open again.
    pub(crate) fn not_fed(&mut self, error: ErrorKind) {
        debug_assert!(self.bite.is_none(), "no feed is due after a failure");
        let wait = if error == ErrorKind::TooEarly { 0 } else { self.timing.window };
        self.next_feed = self.latest.plus_millis(wait.into());
    }

    /// Watches another task from `now` on, in the first vacant place. If the task has grants, its start uses the first
    /// one.
    ///
    /// # Errors
    ///
    /// [`WatchError`]: there is no vacant place, or the rules cannot be kept or do not fit the plan. Nothing has changed.
    pub fn watch(
        &mut self,
        rules: Rules,
        now: Instant,
    ) -> Result<(TaskId, TaskHandle<'a>), WatchError> {
        self.timing.fits(&rules)?;
        watch_in(self.tasks, rules, now.max(self.latest))
    }

    /// The handle of a watched task.
    ///
    /// # Errors
    ///
    /// [`UnknownTask`]: there is no such place, or the place is vacant.
    pub fn task(&self, id: TaskId) -> Result<TaskHandle<'a>, UnknownTask> {
        let task = usize::try_from(id.index()).ok().and_then(|index| self.tasks.get(index));
        match task.filter(|task| !task.is_vacant()) {
            Some(task) => Ok(task.handle()),
            None => Err(UnknownTask(id)),
        }
    }

    /// Takes back the failed task after it has been restarted: it is watched anew, by the same rules, and the hardware
    /// is fed again.
    ///
    /// This is the only way back. It is for a failure that the program has repaired, not for a task that comes back by
    /// itself. The old instance of the task must be dead: otherwise it could feed for the new one.
    ///
    /// # Errors
    ///
    /// [`NotRescued`]: the bite goes on.
    pub fn restarted(&mut self, id: TaskId, now: Instant) -> Result<TaskHandle<'a>, NotRescued> {
        let bite = self.bite.filter(|bite| bite.failure.task == id);
        let bite = bite.ok_or(NotRescued::NotFailed)?;
        if bite.is_past_rescue() {
            return Err(NotRescued::TooLate);
        }
        if !bite.may_rescue() {
            return Err(NotRescued::TooSoon);
        }
        let left = self.rescues.checked_sub(1).ok_or(NotRescued::NoneLeft)?;
        let index = usize::try_from(id.index()).ok();
        debug_assert!(
            index.is_some_and(|index| index < self.tasks.len()),
            "the failed task is one of the supervisor's"
        );
        // The task may have retired in the meantime, by a clock that is behind. Then the place is vacant.
        let task = index.and_then(|index| self.tasks.get(index)).filter(|task| !task.is_vacant());
        let task = task.ok_or(NotRescued::Retired)?;
        log!(warn, "watchdog: {} has been restarted", id);
        self.rescues = left;
        self.bite = None;
        task.revive(now.max(self.latest));
        Ok(task.handle())
    }

    /// The first failure, if there is one.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.bite.map(|bite| bite.failure)
    }

    /// The number of awaited tasks: all places that are neither vacant nor paused. While it is 0, a feed of the
    /// hardware shows only that the supervisor is polled.
    #[must_use]
    pub fn awaited(&self) -> usize {
        let awaited = |snapshot: &Snapshot| snapshot.report.kind() != Kind::Paused;
        self.tasks.iter().filter(|task| task.snapshot().as_ref().is_some_and(awaited)).count()
    }

    /// The timing of this supervisor.
    pub const fn timing(&self) -> Timing<'a> {
        self.timing
    }

    /// The first heartbeat of the grid after `now`.
    fn heartbeat_after(&self, now: Instant) -> Instant {
        let heartbeat = u64::from(self.timing.heartbeat);
        debug_assert!(heartbeat > 0, "a checked plan has a heartbeat");
        debug_assert!(now >= self.started, "time does not go back before the start");
        let past = now.millis_since(self.started);
        let into = past.checked_rem(heartbeat).unwrap_or(0);
        now.plus_millis(heartbeat.saturating_sub(into))
    }

    /// The task that failed first, of all tasks that have failed.
    fn first_failure(&self, now: Instant) -> Option<Failure> {
        let mut first: Option<(u64, Failure)> = None;
        for (index, task) in (0..).zip(self.tasks) {
            let Some(found) = task.snapshot().and_then(|snapshot| self.fault_of(snapshot, now))
            else {
                continue;
            };
            // The time since the failure; for a starved task, the time since its deadline.
            let ago = found.ago;
            if first.is_none_or(|(longest, _)| ago > longest) {
                let (id, step) = (TaskId::new(index), found.step.filter(|_| task.has_steps()));
                let failure =
                    Failure { task: id, fault: found.fault, step, since: found.since, at: now };
                first = Some((ago, failure));
            }
        }
        first.map(|(_, failure)| failure)
    }

    /// The fault of a task, if it has one.
    fn fault_of(&self, snapshot: Snapshot, now: Instant) -> Option<TaskFault> {
        let Snapshot { report, limit } = snapshot;
        let limit = u64::from(limit);
        let since_good = now.millis_since(self.last_good);
        // After hours without a good poll the stamps are ambiguous. No deadline is that long, so every awaited task has
        // failed then.
        let stamps_hold = since_good <= u64::from(MOST_BETWEEN_POLLS);
        let fault = match report.kind() {
            Kind::Paused => return None,
            Kind::Ready => {
                let silent = now.millis_since(self.started);
                let starved = TaskFault {
                    fault: Fault::Starved,
                    step: None,
                    since: self.started,
                    ago: silent.saturating_sub(limit),
                };
                return (silent > limit).then_some(starved);
            }
            Kind::Fed | Kind::Granted => {
                let silent = match report.age(now) {
                    _ if !stamps_hold => since_good,
                    Age::Past(millis) => u64::from(millis),
                    // A task that fed while this poll was interrupted is ahead too, but not by so much.
                    Age::Ahead(millis)
                        if u64::from(millis)
                            > limit.saturating_add(self.timing.heartbeat.into()) =>
                    {
                        return Some(TaskFault {
                            fault: Fault::Clock,
                            step: report.step(),
                            since: now,
                            ago: 0,
                        });
                    }
                    Age::Ahead(_) => 0,
                };
                let since = Instant::from_millis(now.as_millis().saturating_sub(silent));
                let starved = TaskFault {
                    fault: Fault::Starved,
                    step: report.step(),
                    since,
                    ago: silent.saturating_sub(limit),
                };
                return (silent > limit).then_some(starved);
            }
            Kind::Early => Fault::Early,
            Kind::OutOfOrder => Fault::OutOfOrder,
            Kind::Returned => Fault::Returned,
            Kind::Panicked => Fault::Panicked,
        };
        let ago = if stamps_hold { u64::from(report.age(now).millis()) } else { since_good };
        let since = Instant::from_millis(now.as_millis().saturating_sub(ago));
        Some(TaskFault { fault, step: report.step(), since, ago })
    }
}

/// [`Supervisor::watch`] while another thread polls. Only one thread at a time may call it.
pub(crate) fn watch_in(
    tasks: &[Task],
    rules: Rules,
    now: Instant,
) -> Result<(TaskId, TaskHandle<'_>), WatchError> {
    rules.check()?;
    let mut places = (0..).zip(tasks);
    let (index, task) = places.find(|(_, task)| task.is_vacant()).ok_or(WatchError::NoVacancy)?;
    task.occupy(&rules, now);
    Ok((TaskId::new(index), task.handle()))
}

/// The fault of a task, and its times.
struct TaskFault {
    fault: Fault,
    step: Option<u8>,
    since: Instant,
    /// The time since the failure, in milliseconds.
    ago: u64,
}

/// Why a task is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WatchError {
    /// No place is vacant.
    #[error("every place for a task is taken")]
    NoVacancy,
    /// Nobody supervises any more: the handler of the host's daemon has panicked.
    #[error("nobody supervises any more")]
    NoSupervisor,
    /// The rules cannot be kept.
    #[error("{0}")]
    Rules(#[from] RulesError),
    /// The rules do not fit the supervisor's plan.
    #[error("{0}")]
    Plan(PlanError),
}

impl From<PlanError> for WatchError {
    fn from(error: PlanError) -> Self {
        if let PlanError::Rules(error) = error { Self::Rules(error) } else { Self::Plan(error) }
    }
}

/// No task is watched under this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("{0} is not watched")]
pub struct UnknownTask(pub TaskId);

/// Why a restarted task is not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotRescued {
    /// This is not the task that failed.
    #[error("this is not the task that failed")]
    NotFailed,
    /// No stage that may help has been handed out yet.
    #[error("no stage that may help has been handed out")]
    TooSoon,
    /// The last words have been handed out.
    #[error("the last words have been handed out")]
    TooLate,
    /// All rescues that [`Plan::rescues`](crate::Plan::rescues) allows are used up.
    #[error("no rescue is left")]
    NoneLeft,
    /// The task has retired, and its place is vacant.
    #[error("the task has retired, and its place is vacant")]
    Retired,
}

#[cfg(test)]
mod tests;
