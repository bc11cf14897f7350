//! [`Guard`]: owns the hardware watchdog, and feeds it by the supervisor's verdict only.
//!
//! ```
//! use core::convert::Infallible;
//! use watchdog_core::{Action, Guard, Instant, Plan, Rules, Supervisor, Task, Timing, plan, task};
//! use watchdog_core::hardware::{ErrorType, Watchdog};
//!
//! // Stands for a HAL's watchdog, or for an `ExternalWatchdog`.
//! struct Chip { feeds: u32 }
//! impl ErrorType for Chip { type Error = Infallible; }
//! impl Watchdog for Chip {
//!     fn feed(&mut self) -> Result<(), Infallible> { self.feeds += 1; Ok(()) }
//! }
//!
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).chip(900, 2_500));
//! static TASKS: [Task; 1] = [task!(TIMING, Rules::deadline(1_000))];
//!
//! let at = Instant::from_millis;
//! let supervisor = Supervisor::new(&TASKS, TIMING, at(0));
//! let mut guard = Guard::new(Chip { feeds: 0 }, supervisor);
//! assert_eq!(guard.poll(at(0))?.action, Action::Feed);
//! assert_eq!(guard.hardware().feeds, 1);
//! assert!(matches!(guard.poll(at(1_500))?.action, Action::Stage(..)));
//! assert_eq!(guard.hardware().feeds, 1, "the task has never fed");
//! # Ok::<(), Infallible>(())
//! ```
//!
//! There is no other way to feed the hardware:
//!
//! ```compile_fail,E0596
//! # use watchdog_core::{Guard, hardware::Watchdog};
//! fn feed_it_anyway<W: Watchdog>(guard: &mut Guard<'_, W>) {
//!     let _ = guard.hardware().feed();
//! }
//! ```
//!
//! A supervisor that has found a failure cannot be replaced by a new supervisor:
//!
//! ```compile_fail,E0594
//! # use watchdog_core::{Guard, Supervisor, hardware::Watchdog};
//! fn forget_it<'a, W: Watchdog>(guard: &mut Guard<'a, W>, innocent: Supervisor<'a>) {
//!     *guard.supervisor() = innocent;
//! }
//! ```
//!
//! If a guard owns only a `&mut` of the hardware, dropping the guard makes the hardware accessible again. So give it
//! the hardware itself.
//!
//! Invariants: from the first failure on, whether a poll has found it or not, the hardware is neither fed nor given
//! back, until a restarted task is taken back. A guard that is dropped, also in a panic, keeps the hardware as it is, for ever: a HAL may stop a watchdog, or
//! disconnect its pin, when it is dropped.

use core::mem::{self, ManuallyDrop};

use thiserror::Error;

use crate::bite::{Failure, TaskId};
use crate::hardware::ErrorKind;
use crate::hardware::{AsyncWatchdog, Error as _, Stop, StopError, Watchdog};
use crate::log::log;
use crate::rules::Rules;
use crate::supervisor::{Action, NotRescued, NotSuspended, Poll, Supervisor, WatchError};
use crate::task::TaskHandle;
use crate::time::Instant;

/// A running hardware watchdog that is fed by a supervisor's verdict, and by nothing else.
///
/// Dropping a guard ends the feeding and nothing else: the hardware is not dropped, and bites. Only
/// [`stop`](Self::stop) gives it back.
#[derive(Debug)]
#[must_use = "a guard that is never polled lets the hardware bite"]
pub struct Guard<'a, W> {
    /// Never dropped.
    hardware: ManuallyDrop<W>,
    supervisor: Supervisor<'a>,
}

impl<'a, W> Guard<'a, W> {
    /// Takes the hardware and its supervisor.
    pub const fn new(hardware: W, supervisor: Supervisor<'a>) -> Self {
        Self { hardware: ManuallyDrop::new(hardware), supervisor }
    }

    /// The supervisor's verdict. [`Action::Feed`]: the caller feeds the hardware, or calls [`not_fed`](Self::not_fed).
    fn verdict(&mut self, now: Instant) -> Poll {
        let polled = self.supervisor.poll(now);
        debug_assert!(
            polled.action != Action::Feed || self.supervisor.failure().is_none(),
            "the hardware is never fed after a failure"
        );
        polled
    }

    fn not_fed(&mut self, kind: ErrorKind) {
        log_not_fed(kind);
        self.supervisor.not_fed(kind);
    }

    fn stays_awake(&mut self, kind: ErrorKind, now: Instant) {
        self.supervisor.resume(now);
        self.not_fed(kind);
    }

    /// The device is awake again; see [`Supervisor::resume`]. The next poll feeds the hardware.
    pub fn resume(&mut self, now: Instant) {
        self.supervisor.resume(now);
    }

    /// Bites on request; see [`Supervisor::bite`].
    pub fn bite(&mut self, now: Instant) {
        self.supervisor.bite(now);
    }

    /// Watches another task; see [`Supervisor::watch`].
    ///
    /// # Errors
    ///
    /// [`WatchError`]: there is no vacant place, or the rules cannot be kept. Nothing has changed.
    pub fn watch(
        &mut self,
        rules: Rules,
        now: Instant,
    ) -> Result<(TaskId, TaskHandle<'a>), WatchError> {
        self.supervisor.watch(rules, now)
    }

    /// Takes back the failed task after it has been restarted; see [`Supervisor::restarted`].
    ///
    /// # Errors
    ///
    /// [`NotRescued`]: the bite goes on.
    pub fn restarted(&mut self, id: TaskId, now: Instant) -> Result<TaskHandle<'a>, NotRescued> {
        self.supervisor.restarted(id, now)
    }

    /// The supervisor, for reading only.
    #[must_use]
    pub const fn supervisor(&self) -> &Supervisor<'a> {
        &self.supervisor
    }

    /// The hardware, for reading only.
    #[must_use]
    pub fn hardware(&self) -> &W {
        &self.hardware
    }

    /// Ends the supervision; the hardware goes on running.
    #[cfg(feature = "std")]
    pub(crate) fn into_hardware(self) -> W {
        ManuallyDrop::into_inner(self.hardware)
    }
}

impl<'a, W: Watchdog> Guard<'a, W> {
    /// Polls the supervisor, and feeds the hardware if the action is [`Action::Feed`]. The hardware has been fed then.
    ///
    /// Call it at the lowest priority, so that the hardware bites if code of a higher priority runs away. Do not call
    /// it in a timer interrupt: that goes on when nothing else does.
    ///
    /// # Errors
    ///
    /// The hardware could not be fed. The next call tries again, if all tasks are still healthy. If the plan has a
    /// window, it tries again when the window is certainly open: the hardware may have been fed in spite of the error.
    pub fn poll(&mut self, now: Instant) -> Result<Poll, W::Error> {
        let polled = self.verdict(now);
        if polled.action == Action::Feed {
            let fed = self.hardware.feed();
            fed.inspect_err(|error| self.not_fed(error.kind()))?;
        }
        Ok(polled)
    }

    /// The device falls asleep; see [`Supervisor::suspend`]. The hardware is fed before, if its window is open. Returns the
    /// time by which the device has to be awake, and [`resume`](Self::resume) called, before a task reports and before any
    /// other call: otherwise the sleep counts as time awake.
    ///
    /// # Errors
    ///
    /// [`SuspendError`]: the device stays awake.
    pub fn suspend(&mut self, now: Instant) -> Result<Instant, SuspendError<W::Error>> {
        let polled = self.supervisor.suspend(now).map_err(SuspendError::Supervisor)?;
        if polled.action == Action::Feed {
            self.hardware.feed().map_err(|error| {
                self.stays_awake(error.kind(), now);
                SuspendError::Hardware(error)
            })?;
        }
        Ok(polled.next)
    }

    /// Polls as [`poll`](Self::poll), while the window of the hardware is closed for `closed` more milliseconds: a feed
    /// that is due waits for it. For a daemon whose time stood still, so that the supervisor opens the window too soon.
    #[cfg(feature = "std")]
    pub(crate) fn poll_in_window(&mut self, now: Instant, closed: u64) -> Result<Poll, W::Error> {
        if closed == 0 {
            return self.poll(now);
        }
        let polled = self.supervisor.poll(now);
        if polled.action != Action::Feed {
            return Ok(polled);
        }
        // Due again at once: the caller keeps the window.
        self.supervisor.not_fed(ErrorKind::TooEarly);
        Ok(Poll { action: Action::Wait, next: now.plus_millis(closed) })
    }

    /// Polls at an instant at which the time stands still, and feeds the hardware if `feeds` and all tasks are healthy.
    /// The next feed by [`poll`](Self::poll) stays due at its time. For a daemon that is frozen; it keeps the window.
    #[cfg(feature = "std")]
    pub(crate) fn poll_frozen(&mut self, now: Instant, feeds: bool) -> Result<Poll, W::Error> {
        let now = self.supervisor.judge(now);
        if self.supervisor.failure().is_some() {
            return Ok(self.supervisor.poll(now));
        }
        if !feeds {
            return Ok(Poll { action: Action::Wait, next: now });
        }
        // If the feed failed, it is due as soon as the time runs on.
        let fed = self.hardware.feed();
        fed.inspect_err(|error| {
            log_not_fed(error.kind());
            self.supervisor.not_fed(ErrorKind::TooEarly);
        })?;
        Ok(Poll { action: Action::Feed, next: now })
    }

    /// Checks the tasks once more, stops the hardware and ends the supervision. Only for hardware that can be stopped.
    ///
    /// # Errors
    ///
    /// The hardware goes on running, and the error gives the guard back. [`NotStopped::Failed`]: a task has failed, at
    /// `now` at the latest; a failure cannot be escaped by stopping. [`NotStopped::Hardware`]: the hardware did not stop,
    /// so the guard has to feed it.
    #[expect(clippy::result_large_err, reason = "the guard comes back, and there is no heap")]
    pub fn stop(mut self, now: Instant) -> Result<W::Stopped, StopError<Self, NotStopped<W::Error>>>
    where
        W: Stop,
    {
        self.supervisor.judge(now);
        if let Some(failure) = self.supervisor.failure() {
            return Err(StopError { error: NotStopped::Failed(failure), watchdog: self });
        }
        let Self { hardware, supervisor } = self;
        let stopped = ManuallyDrop::into_inner(hardware).stop();
        let stopped = stopped.map_err(|StopError { error, watchdog }| StopError {
            error: NotStopped::Hardware(error),
            watchdog: Self::new(watchdog, supervisor),
        });
        if stopped.is_ok() {
            log!(warn, "watchdog: stopped, no task is watched any more");
        }
        stopped
    }
}

impl<W: AsyncWatchdog> Guard<'_, W> {
    /// As [`poll`](Self::poll), for hardware whose feed may wait.
    ///
    /// The future may be dropped at any time. If it had begun to feed, the feed counts as one that failed: the next call
    /// tries again, if all tasks are still healthy, at once or when the window of the plan is certainly open.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    pub async fn poll_async(&mut self, now: Instant) -> Result<Poll, W::Error> {
        let polled = self.verdict(now);
        if polled.action == Action::Feed {
            let fed = self.feed_async(now).await;
            fed.inspect_err(|error| self.not_fed(error.kind()))?;
        }
        Ok(polled)
    }

    /// As [`suspend`](Self::suspend), for hardware whose feed may wait. If the future is dropped, the device stays awake,
    /// and the feed counts as one that failed.
    ///
    /// # Errors
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn suspend_async(&mut self, now: Instant) -> Result<Instant, SuspendError<W::Error>> {
        let polled = self.supervisor.suspend(now).map_err(SuspendError::Supervisor)?;
        if polled.action == Action::Feed {
            self.feed_async(now).await.map_err(|error| {
                self.stays_awake(error.kind(), now);
                SuspendError::Hardware(error)
            })?;
        }
        Ok(polled.next)
    }

    async fn feed_async(&mut self, now: Instant) -> Result<(), W::Error> {
        let unfinished = Unfinished { supervisor: &mut self.supervisor, now };
        let fed = self.hardware.feed_async().await;
        mem::forget(unfinished);
        fed
    }
}

fn log_not_fed(kind: ErrorKind) {
    log!(error, "watchdog: the hardware is not fed: {}", kind);
}

/// A feed that has not ended. If it is dropped, the hardware may have been fed or not, and the device is awake.
struct Unfinished<'g, 'a> {
    supervisor: &'g mut Supervisor<'a>,
    now: Instant,
}

impl Drop for Unfinished<'_, '_> {
    fn drop(&mut self) {
        self.supervisor.resume(self.now);
        self.supervisor.not_fed(ErrorKind::Other);
    }
}

/// Why the device stays awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SuspendError<E> {
    /// The supervisor does not allow it.
    #[error("{0}")]
    Supervisor(NotSuspended),
    /// The hardware could not be fed. The next poll tries again.
    #[error("the hardware is not fed: {0:?}")]
    Hardware(E),
}

/// Why a guard's hardware was not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotStopped<E> {
    /// A task has failed, and the bite goes on.
    #[error("{0}")]
    Failed(Failure),
    /// The hardware did not stop.
    #[error("the hardware does not stop: {0:?}")]
    Hardware(E),
}

#[cfg(all(test, not(loom)))]
mod tests;
