//! [`TaskHandle`]: the reports that a task can make, and the reasons why one does not count ([`Refused`]).

use thiserror::Error;

use super::Task;
use crate::log::log;
use crate::report::{Kind, MOST_STEPS, Report};
#[cfg(doc)]
use crate::rules::Rules;
use crate::sync::Ordering;
use crate::time::Instant;

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

impl<'a> TaskHandle<'a> {
    pub(super) const fn new(task: &'a Task) -> Self {
        Self { task }
    }

    /// Reports that work has progressed, at `now`.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the feed does not count. For most of the reasons the task has failed, or will fail soon.
    pub fn feed(&self, now: Instant) -> Result<(), Refused> {
        let task = self.task;
        let last = task.read();
        let age = last.short_age(now);
        // In a vacant place no age is long enough.
        let is_usual = last.is_feed()
            && age <= task.deadline.load(Ordering::Relaxed)
            && age >= task.earliest.load(Ordering::Relaxed)
            && task.steps.load(Ordering::Relaxed) == 0;
        if !is_usual {
            return task.unusual_feed(now);
        }
        task.write(Report::feed(now));
        Ok(())
    }

    /// Reports that the checkpoint `step` is passed, at `now`. See [`Rules::steps`].
    ///
    /// # Errors
    ///
    /// [`Refused`], as for a feed.
    pub fn step(&self, step: u8, now: Instant) -> Result<(), Refused> {
        let task = self.task;
        let last = task.read();
        let age = last.short_age(now);
        let deadline = task.deadline.load(Ordering::Relaxed);
        let steps = task.steps.load(Ordering::Relaxed);
        let earliest = if step == 0 { task.earliest.load(Ordering::Relaxed) } else { 0 };
        // The first checkpoint of all is not usual. With `REPORTED` set, there are more steps than any task has.
        let is_usual = last.is_checkpoint()
            && age <= deadline
            && deadline != 0
            && age >= earliest
            && step == last.next_step(steps)
            && step < steps
            && steps <= MOST_STEPS;
        if !is_usual {
            return task.unusual_step(step, now);
        }
        task.write(Report::new(Kind::Fed, step.saturating_add(1), now));
        Ok(())
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
        self.task.write(Report::new(Kind::Fed, self.task.resumed(last), now));
        Ok(())
    }

    /// Reports that the task ends on purpose; it is not awaited any more. A paused task may retire, too.
    ///
    /// # Errors
    ///
    /// [`Refused`]: a late or failed task cannot escape by retiring.
    pub fn retire(self, now: Instant) -> Result<(), Refused> {
        self.task.in_time(now)?;
        self.task.vacate();
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
