//! One verdict over many tasks: [`Supervisor`].
//!
//! It holds no task and does nothing itself: [`Supervisor::poll`] looks at the tasks, says what is to be done, and
//! when it wants to be asked again. That is on a grid of heartbeats from the start on, so that a device whose tasks
//! work at the same beat wakes up once for all of them.
//!
//! ```
//! use watchdog_core::{Action, Instant, Plan, Rules, Supervisor, Task, plan, task};
//!
//! static TASKS: [Task; 2] = [task!(Rules::deadline(1_000)), task!(Rules::deadline(3_000))];
//!
//! let at = Instant::from_millis;
//! let mut supervisor = Supervisor::new(&TASKS, plan!(Plan::heartbeat(500)), at(0));
//! let (pump, valve) = (TASKS[0].handle(), TASKS[1].handle());
//!
//! pump.feed(at(400))?;
//! let polled = supervisor.poll(at(500));
//! assert_eq!((polled.action, polled.next), (Action::Feed, at(1_000)));
//!
//! valve.feed(at(900))?;
//! assert_eq!(supervisor.poll(at(1_000)).action, Action::Feed);
//! // The pump has been silent for 1,100 ms. The valve's feeding cannot hide that.
//! assert!(matches!(supervisor.poll(at(1_500)).action, Action::Stage(_, failure) if failure.task.index() == 0));
//! # Ok::<(), watchdog_core::Refused>(())
//! ```
//!
//! Invariants: the hardware is to be fed only where every task that is awaited was in time; the first failure stays
//! the first, whatever the tasks do later; a task that fails is found at the next heartbeat after its deadline, and
//! at the latest one heartbeat later; a clock that goes back is taken to stand still.

use thiserror::Error;

use crate::bite::{Bite, Failure, Fault, Stage, TaskId};
use crate::log::log;
use crate::plan::Timing;
use crate::report::{Age, Kind, MOST_BETWEEN_POLLS};
use crate::rules::{Rules, RulesError};
use crate::task::{Snapshot, Task, TaskHandle};
use crate::time::Instant;

/// What [`Supervisor::poll`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Poll {
    /// What is to be done.
    pub action: Action,
    /// When to poll again; sooner does no harm. Not later than the action was polled for where more is to be done at
    /// once.
    pub next: Instant,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// All is well, and a heartbeat is due: feed the hardware.
    Feed,
    /// Nothing yet. The hardware is not to be fed.
    Wait,
    /// A task has failed: do this, once.
    Stage(Stage, Failure),
    /// All stages are done. Nothing feeds the hardware any more, and nothing leads back.
    Stopped(Failure),
}

/// One verdict over many tasks, which are the caller's.
#[derive(Debug)]
pub struct Supervisor<'a> {
    tasks: &'a [Task],
    timing: Timing<'a>,
    started: Instant,
    /// The latest time that it was told.
    latest: Instant,
    /// When all tasks were last found to be well.
    last_good: Instant,
    /// When the hardware is due.
    next_feed: Instant,
    bite: Option<Bite<'a>>,
    rescues: u8,
}

#[cfg(not(loom))]
const _: () =
    assert!(size_of::<Supervisor<'_>>() <= if size_of::<usize>() > 4 { 136 } else { 112 });

impl<'a> Supervisor<'a> {
    /// Watches `tasks` from `now` on. Each has to report within its deadline (or its first grant) from now.
    ///
    /// `now` is also where the grid of heartbeats begins: choose the instant at which the tasks' own beat begins, and
    /// they share their wake-ups.
    pub const fn new(tasks: &'a [Task], timing: Timing<'a>, now: Instant) -> Self {
        let rescues = timing.rescues;
        Self {
            tasks,
            timing,
            started: now,
            latest: now,
            last_good: now,
            next_feed: now,
            bite: None,
            rescues,
        }
    }

    /// Looks at the tasks, and says what is to be done at `now`.
    ///
    /// Takes time in proportion to the number of tasks, waits for nothing, never panics.
    pub fn poll(&mut self, now: Instant) -> Poll {
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
        let Some(bite) = &mut self.bite else {
            let due = now >= self.next_feed;
            if due {
                if self.next_feed == self.started {
                    log!(info, "watchdog: it begins, with room for {} tasks", self.tasks.len());
                }
                self.next_feed = self.heartbeat_after(now);
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

    /// The hardware could not be fed: it is due at once, not only at the next heartbeat.
    pub(crate) fn not_fed(&mut self) {
        debug_assert!(self.bite.is_none(), "no feed is due after a failure");
        self.next_feed = self.latest;
    }

    /// Watches another task, from `now` on, in the first place that is vacant. With grants it has the first one for
    /// its start.
    ///
    /// # Errors
    ///
    /// [`WatchError`]: there is no place, or the rules cannot be kept. Nothing has changed.
    pub fn watch(
        &mut self,
        rules: Rules,
        now: Instant,
    ) -> Result<(TaskId, TaskHandle<'a>), WatchError> {
        watch_in(self.tasks, rules, now.max(self.latest))
    }

    /// The handle of a task that is watched.
    ///
    /// # Errors
    ///
    /// [`UnknownTask`]: there is no such place, or nobody is watched there.
    pub fn task(&self, id: TaskId) -> Result<TaskHandle<'a>, UnknownTask> {
        let task = usize::try_from(id.index()).ok().and_then(|index| self.tasks.get(index));
        match task.filter(|task| !task.is_vacant()) {
            Some(task) => Ok(task.handle()),
            None => Err(UnknownTask(id)),
        }
    }

    /// The task that failed has been restarted: it is watched anew, by the same rules, and the verdict is good again.
    ///
    /// That is the only way back, for what is done about a failure, not for a task that comes back by itself. Its old
    /// instance must be dead, else that one could feed for the new one.
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
        // By a clock that is behind it may have retired since: nobody would be awaited there.
        let task = index.and_then(|index| self.tasks.get(index)).filter(|task| !task.is_vacant());
        let task = task.ok_or(NotRescued::Retired)?;
        log!(warn, "watchdog: {} has been restarted", id);
        self.rescues = left;
        self.bite = None;
        task.revive(now.max(self.latest));
        Ok(task.handle())
    }

    /// The first failure, once there is one.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.bite.map(|bite| bite.failure)
    }

    /// How many tasks are awaited: neither vacant nor paused. While it is 0, feeding says nothing but that the
    /// supervisor is polled.
    #[must_use]
    pub fn awaited(&self) -> usize {
        let awaited = |snapshot: &Snapshot| snapshot.report.kind() != Kind::Paused;
        self.tasks.iter().filter(|task| task.snapshot().as_ref().is_some_and(awaited)).count()
    }

    /// The timing by which it goes.
    pub const fn timing(&self) -> Timing<'a> {
        self.timing
    }

    /// The first point of the grid after `now`.
    fn heartbeat_after(&self, now: Instant) -> Instant {
        let heartbeat = u64::from(self.timing.heartbeat);
        debug_assert!(heartbeat > 0, "a checked plan has a heartbeat");
        debug_assert!(now >= self.started, "time does not go back before the start");
        let past = now.millis_since(self.started);
        let into = past.checked_rem(heartbeat).unwrap_or(0);
        now.plus_millis(heartbeat.saturating_sub(into))
    }

    /// Of the tasks that have failed the one that did so first.
    fn first_failure(&self, now: Instant) -> Option<Failure> {
        let mut first: Option<(u64, Failure)> = None;
        for (index, task) in (0..).zip(self.tasks) {
            let Some(found) = task.snapshot().and_then(|snapshot| self.fault_of(snapshot, now))
            else {
                continue;
            };
            // How long ago it failed: for one that starved, since its deadline.
            let ago = found.ago;
            if first.is_none_or(|(longest, _)| ago > longest) {
                let (id, step) = (TaskId::new(index), found.step);
                let failure =
                    Failure { task: id, fault: found.fault, step, since: found.since, at: now };
                first = Some((ago, failure));
            }
        }
        first.map(|(_, failure)| failure)
    }

    /// What is wrong with a task, if anything.
    fn fault_of(&self, snapshot: Snapshot, now: Instant) -> Option<TaskFault> {
        let Snapshot { report, limit } = snapshot;
        let limit = u64::from(limit);
        let since_good = now.millis_since(self.last_good);
        // Nobody looked for hours: stamps cannot be told apart any more, and no deadline is that long.
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
                    // One that fed while this was interrupted, after it had been told the time, is no further ahead.
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

/// [`Supervisor::watch`] beside the one who polls. Only one at a time.
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

/// What is wrong with a task.
struct TaskFault {
    fault: Fault,
    step: Option<u8>,
    since: Instant,
    /// How long ago it failed, in milliseconds.
    ago: u64,
}

/// Why a task is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WatchError {
    /// Every place is taken.
    #[error("every place for a task is taken")]
    NoVacancy,
    /// The rules cannot be kept.
    #[error("{0}")]
    Rules(#[from] RulesError),
}

/// Nobody is watched under this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("{0} is not watched")]
pub struct UnknownTask(pub TaskId);

/// Why a restarted task is not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotRescued {
    /// It is not the task that failed.
    #[error("it is not the task that failed")]
    NotFailed,
    /// The stage that may help has not come yet.
    #[error("no stage that may help has been handed out")]
    TooSoon,
    /// The last words have been handed out.
    #[error("the last words have been handed out")]
    TooLate,
    /// [`Plan::rescues`](crate::Plan::rescues) of them are used up.
    #[error("no rescue is left")]
    NoneLeft,
    /// It retired before its failure was found; nobody is watched in its place.
    #[error("it has retired, and nobody is watched in its place")]
    Retired,
}

#[cfg(test)]
mod tests;
