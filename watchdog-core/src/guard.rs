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
use crate::supervisor::{Action, NotRescued, Poll, Supervisor, WatchError};
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
        log!(error, "watchdog: the hardware is not fed: {}", kind);
        self.supervisor.not_fed(kind);
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

    /// The next poll feeds the hardware, if all tasks are healthy. For a daemon whose time stands still.
    #[cfg(feature = "std")]
    pub(crate) fn feed_is_due(&mut self) {
        if self.supervisor.failure().is_none() {
            // Due at once: the supervisor's time stands still, so it cannot count a window.
            self.supervisor.not_fed(ErrorKind::TooEarly);
        }
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

    /// Checks the tasks once more, stops the hardware and ends the supervision. Only for hardware that can be stopped.
    ///
    /// # Errors
    ///
    /// The hardware goes on running, and the error gives the guard back. [`NotStopped::Failed`]: a task has failed, at
    /// `now` at the latest; a failure cannot be escaped by stopping. [`NotStopped::Hardware`]: the hardware did not stop, so the guard has to
    /// feed it.
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
            let unfinished = Unfinished(&mut self.supervisor);
            let fed = self.hardware.feed_async().await;
            mem::forget(unfinished);
            fed.inspect_err(|error| self.not_fed(error.kind()))?;
        }
        Ok(polled)
    }
}

/// A feed that has not ended. If it is dropped, the hardware may have been fed or not.
struct Unfinished<'g, 'a>(&'g mut Supervisor<'a>);

impl Drop for Unfinished<'_, '_> {
    fn drop(&mut self) {
        self.0.not_fed(ErrorKind::Other);
    }
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use crate::hardware::{ErrorKind, ErrorType};
    use crate::{Fault, Plan, Rules, Stage, Task, Timing, plan};

    use super::*;

    /// Counts feeds, and fails the first `failures` of them.
    struct Hardware {
        feeds: u32,
        failures: u32,
        stops: bool,
    }

    impl ErrorType for Hardware {
        type Error = ErrorKind;
    }

    impl Watchdog for Hardware {
        fn feed(&mut self) -> Result<(), ErrorKind> {
            if let Some(left) = self.failures.checked_sub(1) {
                self.failures = left;
                return Err(ErrorKind::Connection);
            }
            self.feeds += 1;
            Ok(())
        }
    }

    impl Stop for Hardware {
        type Stopped = u32;

        fn stop(self) -> Result<u32, StopError<Self, ErrorKind>> {
            if self.stops {
                Ok(self.feeds)
            } else {
                Err(StopError { error: ErrorKind::InvalidState, watchdog: self })
            }
        }
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));

    fn guard(tasks: &[Task], failures: u32, stops: bool) -> Guard<'_, Hardware> {
        Guard::new(Hardware { feeds: 0, failures, stops }, Supervisor::new(tasks, TIMING, at(0)))
    }

    #[test]
    fn the_hardware_is_fed_once_a_heartbeat_and_never_after_a_failure() {
        let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
        tasks.first().unwrap().handle().feed(at(0)).unwrap();
        let mut guard = guard(&tasks, 0, false);
        for millis in 0..=1_000 {
            let _poll = guard.poll(at(millis)).unwrap();
        }
        assert_eq!(guard.hardware().feeds, 3);
        assert!(matches!(guard.poll(at(1_001)).unwrap().action, Action::Stage(Stage::Reset, _)));
        for millis in 1_002..9_000 {
            assert!(tasks.iter().all(|task| task.handle().feed(at(millis)).is_err()));
            assert!(matches!(guard.poll(at(millis)).unwrap().action, Action::Stopped(_)));
        }
        assert_eq!(guard.hardware().feeds, 3);
    }

    #[test]
    fn a_feed_that_failed_is_tried_again_at_the_next_poll() {
        let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
        let mut guard = guard(&tasks, 2, false);
        assert_eq!(guard.poll(at(0)), Err(ErrorKind::Connection));
        assert_eq!(guard.poll(at(1)), Err(ErrorKind::Connection));
        assert_eq!(guard.poll(at(2)).unwrap(), Poll { action: Action::Feed, next: at(500) });
    }

    #[test]
    fn a_feed_that_may_have_counted_is_tried_again_after_the_window() {
        let timing = plan!(Plan::heartbeat(500).chip(1_000, 2_500).window(450));
        let hardware = Hardware { feeds: 0, failures: 1, stops: false };
        let mut guard = Guard::new(hardware, Supervisor::new(&[], timing, at(0)));
        assert_eq!(guard.poll(at(500)), Err(ErrorKind::Connection));
        for millis in 501..950 {
            assert_eq!(guard.poll(at(millis)).map(|polled| polled.action), Ok(Action::Wait));
        }
        assert_eq!(guard.poll(at(950)).map(|polled| polled.action), Ok(Action::Feed));
    }

    #[test]
    fn after_a_failed_feed_a_failed_task_still_stops_the_feeding() {
        let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
        let mut guard = guard(&tasks, 1, false);
        assert_eq!(guard.poll(at(1_000)), Err(ErrorKind::Connection));
        assert!(matches!(guard.poll(at(1_001)).unwrap().action, Action::Stage(..)));
        assert_eq!(guard.hardware().feeds, 0);
    }

    #[test]
    fn after_a_failure_the_hardware_is_not_stopped_even_if_it_could_be() {
        let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
        let mut guard = guard(&tasks, 0, true);
        let _bites = guard.poll(at(1_001)).unwrap();
        let failure = guard.supervisor().failure().unwrap();
        let mut failed = guard.stop(at(1_002)).unwrap_err();
        assert_eq!(failed.error, NotStopped::Failed(failure));
        assert_eq!(failed.watchdog.poll(at(1_002)).unwrap().action, Action::Stopped(failure));
    }

    #[test]
    fn a_failure_that_no_poll_has_found_prevents_the_stop() {
        use crate::task::End;
        type Fails = fn(&Task);
        let failures: [(Fails, Fault); 4] = [
            (|task| task.handle().abandon(End::Panicked, at(510)), Fault::Panicked),
            (|task| task.handle().abandon(End::Returned, at(510)), Fault::Returned),
            (|task| assert!(task.handle().step(1, at(510)).is_err()), Fault::OutOfOrder),
            (|_| (), Fault::Starved),
        ];
        for (fails, fault) in failures {
            let tasks = [Task::new(Rules::deadline(1_000).steps(3), TIMING).unwrap()];
            let mut guard = guard(&tasks, 0, true);
            assert_eq!(guard.poll(at(0)).unwrap().action, Action::Feed);
            assert_eq!(guard.poll(at(500)).unwrap().action, Action::Feed);
            tasks.iter().for_each(fails);
            let stop = if fault == Fault::Starved { 1_001 } else { 520 };
            let failed = guard.stop(at(stop)).unwrap_err();
            let NotStopped::Failed(failure) = failed.error else { panic!("it would stop") };
            assert_eq!((failure.fault, failure.at), (fault, at(stop)));
            let mut guard = failed.watchdog;
            let polled = guard.poll(at(stop)).unwrap();
            assert_eq!(polled.action, Action::Stage(Stage::Reset, failure), "the bite goes on");
        }
    }

    #[test]
    fn a_guard_takes_back_a_restarted_task_and_watches_another_one() {
        let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap(), Task::vacant()];
        let stages = [(Stage::Restart, 0), (Stage::Reset, 100)];
        let timing = Plan::heartbeat(500).stages(&stages).rescues(1).check().unwrap();
        let hardware = Hardware { feeds: 0, failures: 0, stops: false };
        let mut guard = Guard::new(hardware, Supervisor::new(&tasks, timing, at(0)));
        let _restart = guard.poll(at(1_500)).unwrap();
        let (id, _other) = guard.watch(Rules::deadline(2_000), at(1_510)).unwrap();
        assert_eq!(guard.restarted(id, at(1_520)).err(), Some(NotRescued::NotFailed));
        guard.restarted(TaskId::new(0), at(1_520)).unwrap().feed(at(1_530)).unwrap();
        assert_eq!(guard.poll(at(1_540)).unwrap().action, Action::Feed);
    }

    #[test]
    fn hardware_that_does_not_stop_stays_under_its_guard() {
        let mut failed = guard(&[], 0, false).stop(at(0)).unwrap_err();
        assert_eq!(failed.error, NotStopped::Hardware(ErrorKind::InvalidState));
        assert_eq!(failed.watchdog.poll(at(0)).unwrap().action, Action::Feed);
        assert_eq!(guard(&[], 0, true).stop(at(0)).map_err(|failed| failed.error), Ok(0));
    }
}
