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
//! between them, and the start counts as a feed; a failed task is found at the first heartbeat after its deadline, so
//! at most one heartbeat later, and the slack of the plan if that heartbeat was fed early; an early feed moves no
//! heartbeat; a clock that goes back counts as a clock that stands still; of a sleep, at most the time
//! that the plan allows does not count.

use thiserror::Error;

use crate::bite::{Bite, Due, Failure, Fault, Stage, TaskId};
use crate::hardware::ErrorKind;
use crate::log::log;
use crate::name::Name;
use crate::plan::{PlanError, Timing};
use crate::report::MOST_BETWEEN_POLLS;
use crate::rules::{Reaction, Rules, RulesError};
use crate::task::{Task, TaskHandle};
use crate::time::{Instant, short};
use crate::view::{View, first_failure};

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
    /// All tasks are healthy, and a heartbeat is due, or due within the [slack](crate::Plan::slack): feed the hardware.
    Feed,
    /// A task with the reaction [`Report`](crate::Reaction::Report) has failed, and is not awaited any more. This is
    /// returned once. Do not feed the hardware now; poll again, and it is fed on.
    Report(Failure),
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
    /// The latest time of a poll.
    latest: Instant,
    /// The last poll that found all tasks healthy.
    last_good: Instant,
    /// A heartbeat of the grid: the last one before `latest`, or the one that was fed early.
    beat: Instant,
    /// When the next feed of the hardware is due.
    next_feed: Instant,
    /// The hardware is not fed before this: its window is closed.
    opens: Instant,
    /// The begin of a sleep; [`Instant::FAR_FUTURE`] while the device is awake.
    asleep: Instant,
    bite: Option<Bite<'a>>,
    rescues: u8,
    /// The hardware was not fed since the start, or its last feed failed.
    unfed: bool,
    /// The longest time from the due time of a feed to its poll, in milliseconds.
    worst_lateness: u32,
}

#[cfg(not(loom))]
const _: () =
    assert!(size_of::<Supervisor<'_>>() <= if size_of::<usize>() > 4 { 192 } else { 168 });

impl<'a> Supervisor<'a> {
    /// Watches `tasks` from `now` on. Each task has to report within its deadline (or its first grant) from `now`; a task
    /// that has reported before, from its last report.
    ///
    /// The grid of heartbeats begins at `now`. If the tasks' own heartbeats begin at the same instant, all share their
    /// wake-ups.
    ///
    /// The hardware may have been fed just now, by the start or by a boot loader. So if the plan has a window, the first
    /// feed follows one heartbeat later, and otherwise at once. With [`last_fed`](Self::last_fed) it may come earlier.
    pub fn new(tasks: &'a [Task], timing: Timing<'a>, now: Instant) -> Self {
        log!(info, "watchdog: started, with room for {} tasks", tasks.len());
        tasks.iter().for_each(|task| task.start(now));
        let first = if timing.window == 0 { 0 } else { timing.heartbeat };
        Self {
            tasks,
            timing,
            latest: now,
            last_good: now,
            beat: now,
            next_feed: now.plus_millis(first.into()),
            opens: now.plus_millis(timing.window.into()),
            asleep: Instant::FAR_FUTURE,
            bite: None,
            rescues: timing.rescues,
            unfed: true,
            worst_lateness: 0,
        }
    }

    /// The hardware was fed last at `at`, before the start: for example when it was armed, or by a boot loader that knows
    /// the time. The first feed follows as soon as the window is open.
    #[must_use]
    pub fn last_fed(mut self, at: Instant) -> Self {
        self.opens = at.plus_millis(self.timing.window.into());
        self.next_feed = self.latest.max(self.opens);
        self.unfed = false;
        self
    }

    /// Checks the tasks, and returns the action to take at `now`. A poll means that the device is awake: with a
    /// [slack](crate::Plan::slack) a feed that is due soon is due now. After a sleep, call [`resume`](Self::resume) first:
    /// otherwise the sleep counts as time awake, and the tasks are late.
    ///
    /// The time that it takes grows linearly with the number of tasks. It never waits and never panics.
    pub fn poll(&mut self, now: Instant) -> Poll {
        let now = self.judge(now);
        let Some(bite) = &mut self.bite else {
            // A feed is never due before the window opens.
            let due =
                now >= self.opens && now.plus_millis(self.timing.slack.into()) >= self.next_feed;
            if due {
                let late = now.millis_since(self.next_feed);
                self.worst_lateness = self.worst_lateness.max(short(late));
                self.feeds(now, now.max(self.next_feed));
            }
            return Poll {
                action: if due { Action::Feed } else { Action::Wait },
                next: self.next_feed,
            };
        };
        let (due, failure, mut next) = (bite.poll(now), bite.failure, bite.next());
        let action = match due {
            Due::Stage(stage) => {
                log!(warn, "watchdog: stage: {}", stage);
                Action::Stage(stage, failure)
            }
            Due::Nothing => Action::Wait,
            Due::Over => Action::Stopped(failure),
            Due::Report => {
                self.bite = None;
                self.place(failure.task).into_iter().for_each(Task::set_reported);
                next = self.next_feed.max(now);
                Action::Report(failure)
            }
        };
        Poll { action, next }
    }

    /// Checks the tasks, and keeps the first failure. Returns `now`, or the latest time of a poll if that is later.
    #[inline(never)]
    pub(crate) fn judge(&mut self, now: Instant) -> Instant {
        let now = now.max(self.latest);
        self.latest = now;
        if self.asleep != Instant::FAR_FUTURE {
            // Without `resume` nothing tells how long the device slept, so hardware that slept, too, may just have been
            // fed.
            self.asleep = Instant::FAR_FUTURE;
            self.opens = now.plus_millis(self.timing.window.into());
            self.next_feed = self.next_feed.max(self.opens);
        }
        if self.bite.is_none() {
            // After hours without a good poll the stamps are ambiguous. No deadline is that long, so every awaited task
            // has failed then.
            let is_long = now.millis_since(self.last_good) > MOST_BETWEEN_POLLS.into();
            let last_good = is_long.then_some(self.last_good);
            match first_failure(self.tasks, now, self.timing.heartbeat, last_good) {
                None => self.last_good = now,
                Some((reaction, failure)) => {
                    log!(error, "watchdog: {}", failure);
                    self.bite = Some(Bite::new(failure, reaction, self.timing.stages));
                }
            }
        }
        now
    }

    /// Bites on request, for a test in the factory or after a fault that no task can report: only the last words and the
    /// reset follow. The hardware is never fed again. After another failure this changes nothing. If the device was
    /// asleep, this ends the sleep.
    pub fn bite(&mut self, now: Instant) {
        let now = self.judge(now);
        if self.bite.as_ref().is_none_or(Bite::is_report) {
            let (task, name, fault) = (TaskId::SUPERVISOR, Name::NONE, Fault::Requested);
            let failure = Failure { task, name, fault, step: None, since: now, at: now };
            log!(error, "watchdog: {}", failure);
            self.bite = Some(Bite::new(failure, Reaction::Reset, self.timing.stages));
        }
    }

    /// The device falls asleep: from `now` on, up to the time of [`Plan::sleep`](crate::Plan::sleep) does not count for
    /// the deadlines of the tasks. A longer sleep counts from there on, so a device that oversleeps bites.
    ///
    /// For the windows of the tasks all of it counts: after a sleep no report is too early.
    ///
    /// If the action of the answer is [`Action::Feed`], feed the hardware before the sleep. Wake up, and call
    /// [`resume`](Self::resume) before a task reports, at the latest at the time `next` of the answer.
    ///
    /// # Errors
    ///
    /// [`NotSuspended`]: the device stays awake.
    pub fn suspend(&mut self, now: Instant) -> Result<Poll, NotSuspended> {
        if self.timing.sleep == 0 {
            return Err(NotSuspended::NotPlanned);
        }
        let now = self.judge(now);
        if let Some(failure) = self.failure() {
            return Err(NotSuspended::Failed(failure));
        }
        let opened = now >= self.opens;
        if !opened && self.unfed {
            return Err(NotSuspended::NotFed);
        }
        self.asleep = now;
        if opened {
            self.feeds(now, now.max(self.beat));
        }
        let action = if opened { Action::Feed } else { Action::Wait };
        Ok(Poll { action, next: now.plus_millis(self.timing.sleep.into()) })
    }

    /// The device is awake again, at `now`. A new grid of heartbeats begins, and the hardware is fed at the next poll, or
    /// when its window opens: by the time awake, if it [sleeps, too](crate::Plan::hardware_sleeps). If the device was not
    /// asleep, or the tasks were checked since, this does nothing.
    ///
    /// No task may report during the call, or during the sleep: such a report may be lost.
    pub fn resume(&mut self, now: Instant) {
        if self.asleep == Instant::FAR_FUTURE {
            return;
        }
        let passed = now.millis_since(self.asleep);
        let slept = passed.min(self.timing.sleep.into());
        self.asleep = Instant::FAR_FUTURE;
        self.tasks.iter().for_each(|task| task.slept(short(slept), now));
        // After a longer time the stamps are ambiguous, as after hours without a poll.
        if passed <= MOST_BETWEEN_POLLS.into() {
            self.last_good = self.last_good.plus_millis(slept);
        }
        if self.timing.hardware_sleeps {
            self.opens = self.opens.plus_millis(passed);
        }
        self.latest = self.latest.max(now);
        self.beat = self.latest;
        self.next_feed = self.latest.max(self.opens);
    }

    /// The hardware is fed at `now`. Up to `covered` no heartbeat needs another feed.
    fn feeds(&mut self, now: Instant, covered: Instant) {
        self.unfed = false;
        self.opens = now.plus_millis(self.timing.window.into());
        // Without a 64-bit division. After 49 days without a poll a new grid begins.
        let since = u32::try_from(covered.millis_since(self.beat)).unwrap_or(0);
        let into = since.checked_rem(self.timing.heartbeat).unwrap_or(0);
        self.beat = Instant::from_millis(covered.as_millis().saturating_sub(into.into()));
        // After a feed off the grid, the next heartbeat may come before the window opens.
        self.next_feed = self.beat.plus_millis(self.timing.heartbeat.into()).max(self.opens);
    }

    /// The hardware could not be fed: the feed is due again at once, not only at the next heartbeat. If the hardware
    /// may have been fed in spite of the error, the feed is due when the window is open again.
    pub(crate) fn not_fed(&mut self, error: ErrorKind) {
        debug_assert!(self.bite.is_none(), "no feed is due after a failure");
        let wait = if error == ErrorKind::TooEarly { 0 } else { self.timing.window };
        self.next_feed = self.latest.plus_millis(wait.into());
        self.opens = self.next_feed;
        self.unfed = true;
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
        let (id, handle) = watch_in(self.tasks, rules, now.max(self.latest))?;
        // A failure of the former task that is still to be reported would mark this one. It has retired by a clock that
        // is behind.
        self.bite = self.bite.filter(|bite| !bite.is_report() || bite.failure.task != id);
        Ok((id, handle))
    }

    /// The handle of a watched task.
    ///
    /// # Errors
    ///
    /// [`UnknownTask`]: there is no such place, or the place is vacant.
    pub fn task(&self, id: TaskId) -> Result<TaskHandle<'a>, UnknownTask> {
        Ok(self.watched(id)?.handle())
    }

    /// The name of a watched task; [`Name::NONE`] if it has none.
    ///
    /// # Errors
    ///
    /// [`UnknownTask`], as for [`task`](Self::task).
    pub fn name(&self, id: TaskId) -> Result<Name, UnknownTask> {
        Ok(self.watched(id)?.name())
    }

    /// How long a watched task may still be silent at `now`, in milliseconds; `None` if it is not awaited, or has failed. A
    /// sleep that is not ended yet counts.
    ///
    /// # Errors
    ///
    /// [`UnknownTask`], as for [`task`](Self::task).
    pub fn time_left(&self, id: TaskId, now: Instant) -> Result<Option<u32>, UnknownTask> {
        Ok(self.watched(id)?.time_left(now))
    }

    fn watched(&self, id: TaskId) -> Result<&'a Task, UnknownTask> {
        self.place(id).filter(|task| !task.is_vacant()).ok_or(UnknownTask(id))
    }

    fn place(&self, id: TaskId) -> Option<&'a Task> {
        usize::try_from(id.index()).ok().and_then(|index| self.tasks.get(index))
    }

    /// What an interrupt may ask while another context polls: which task is late.
    pub const fn view(&self) -> View<'a> {
        View::new(self.tasks, self.timing.heartbeat)
    }

    /// The longest time from the due time of a feed to its poll so far, in milliseconds. If it is longer than
    /// [`Plan::late`](crate::Plan::late), the plan is too tight.
    #[must_use]
    pub const fn worst_lateness_millis(&self) -> u32 {
        self.worst_lateness
    }

    /// Takes back the failed task after it has been restarted: it is watched anew, by the same rules, and the hardware
    /// is fed again.
    ///
    /// A task whose failure was only reported is taken back, too; that is no rescue, and always possible.
    ///
    /// This is the only way back. It is for a failure that the program has repaired, not for a task that comes back by
    /// itself. The old instance of the task must be dead: otherwise it could feed for the new one.
    ///
    /// # Errors
    ///
    /// [`NotRescued`]: the bite goes on.
    pub fn restarted(&mut self, id: TaskId, now: Instant) -> Result<TaskHandle<'a>, NotRescued> {
        if let Some(task) = self.watched(id).ok().filter(|task| task.is_reported()) {
            task.revive(now.max(self.latest));
            return Ok(task.handle());
        }
        let bite = self.bite.as_ref().filter(|bite| bite.failure.task == id);
        let bite = bite.ok_or(NotRescued::NotFailed)?;
        if bite.is_past_rescue() {
            return Err(NotRescued::TooLate);
        }
        if !bite.may_rescue() {
            return Err(NotRescued::TooSoon);
        }
        let left = self.rescues.checked_sub(1).ok_or(NotRescued::NoneLeft)?;
        // The task may have retired in the meantime, by a clock that is behind. Then the place is vacant.
        let task = self.watched(id).map_err(|_| NotRescued::Retired)?;
        log!(warn, "watchdog: {} has been restarted", id);
        self.rescues = left;
        self.bite = None;
        task.revive(now.max(self.latest));
        Ok(task.handle())
    }

    /// The first failure, if there is one. A failure that is only reported counts until it is reported.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.bite.map(|bite| bite.failure)
    }

    /// The number of awaited tasks: all places that are neither vacant nor paused, without the tasks whose failure was
    /// only reported. While it is 0, a feed of the hardware shows only that the supervisor is polled.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.tasks.iter().filter(|task| task.is_awaited()).count()
    }

    /// The timing of this supervisor.
    pub const fn timing(&self) -> Timing<'a> {
        self.timing
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

/// Why the device stays awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotSuspended {
    /// The plan allows no sleep: [`Plan::sleep`](crate::Plan::sleep).
    #[error("the plan allows no sleep")]
    NotPlanned,
    /// A task has failed; a failure cannot be slept through.
    #[error("{0}")]
    Failed(Failure),
    /// The hardware has not been fed since the start, or its last feed failed, and its window is closed. So it might bite
    /// during the sleep. Poll until it is fed, or say when it was: [`Supervisor::last_fed`].
    #[error("the hardware has to be fed before a sleep, and its window is closed")]
    NotFed,
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
mod reaction_tests;
#[cfg(test)]
mod slack_tests;
#[cfg(test)]
mod sleep_tests;
#[cfg(test)]
mod tests;
