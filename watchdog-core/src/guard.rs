//! [`Guard`]: the hardware watchdog behind the supervisor's verdict, where nothing else reaches it.
//!
//! ```
//! use core::convert::Infallible;
//! use watchdog_core::{Action, Guard, Instant, Plan, Rules, Supervisor, Task, plan, task};
//! use watchdog_core::hardware::{ErrorType, Watchdog};
//!
//! // In place of a HAL's watchdog, or of an `ExternalWatchdog`.
//! struct Chip { feeds: u32 }
//! impl ErrorType for Chip { type Error = Infallible; }
//! impl Watchdog for Chip {
//!     fn feed(&mut self) -> Result<(), Infallible> { self.feeds += 1; Ok(()) }
//! }
//!
//! static TASKS: [Task; 1] = [task!(Rules::deadline(1_000))];
//!
//! let at = Instant::from_millis;
//! let supervisor = Supervisor::new(&TASKS, plan!(Plan::heartbeat(500).chip(900, 2_500)), at(0));
//! let mut guard = Guard::new(Chip { feeds: 0 }, supervisor);
//! assert_eq!(guard.poll(at(0))?.action, Action::Feed);
//! assert_eq!(guard.hardware().feeds, 1);
//! assert!(matches!(guard.poll(at(1_500))?.action, Action::Stage(..)));
//! assert_eq!(guard.hardware().feeds, 1, "the task has never fed");
//! # Ok::<(), Infallible>(())
//! ```
//!
//! ```compile_fail,E0596
//! # use watchdog_core::{Guard, hardware::Watchdog};
//! // There is no other way to the hardware.
//! fn feed_it_anyway<W: Watchdog>(guard: &mut Guard<'_, W>) {
//!     let _ = guard.hardware().feed();
//! }
//! ```

use crate::hardware::{Stop, StopError, Watchdog};
use crate::supervisor::{Action, Poll, Supervisor};
use crate::time::Instant;

/// A running hardware watchdog that is fed by a supervisor's verdict, and by nothing else.
#[derive(Debug)]
#[must_use = "a guard that is never polled lets the hardware bite"]
pub struct Guard<'a, W> {
    hardware: W,
    supervisor: Supervisor<'a>,
}

impl<'a, W: Watchdog> Guard<'a, W> {
    /// Puts the hardware behind the supervisor.
    pub const fn new(hardware: W, supervisor: Supervisor<'a>) -> Self {
        Self { hardware, supervisor }
    }

    /// Polls the supervisor, and feeds the hardware where it says so: [`Action::Feed`] tells that it was fed.
    ///
    /// Belongs at the place of the lowest priority, so that whatever runs away above it is noticed; not in a timer
    /// interrupt, which goes on when nothing else does.
    ///
    /// # Errors
    ///
    /// The hardware could not be fed. The next call tries again, if all is well still.
    pub fn poll(&mut self, now: Instant) -> Result<Poll, W::Error> {
        let polled = self.supervisor.poll(now);
        if polled.action == Action::Feed {
            self.hardware.feed().inspect_err(|_| self.supervisor.not_fed())?;
        }
        Ok(polled)
    }

    /// The supervisor.
    #[must_use]
    pub const fn supervisor(&self) -> &Supervisor<'a> {
        &self.supervisor
    }

    /// The supervisor: to watch more tasks, and to take back restarted ones. To poll it here feeds nothing.
    pub const fn supervisor_mut(&mut self) -> &mut Supervisor<'a> {
        &mut self.supervisor
    }

    /// The hardware, to look at.
    #[must_use]
    pub const fn hardware(&self) -> &W {
        &self.hardware
    }

    /// Ends the supervision; the hardware runs on.
    #[cfg(feature = "std")]
    pub(crate) fn into_hardware(self) -> W {
        self.hardware
    }

    /// Stops the hardware, where it can be stopped, and ends the supervision.
    ///
    /// # Errors
    ///
    /// It runs on, and here is the guard to feed it.
    #[expect(clippy::result_large_err, reason = "the guard comes back, and there is no heap")]
    pub fn stop(self) -> Result<W::Stopped, StopError<Self, W::Error>>
    where
        W: Stop,
    {
        let Self { hardware, supervisor } = self;
        hardware.stop().map_err(|StopError { error, watchdog }| StopError {
            error,
            watchdog: Self { hardware: watchdog, supervisor },
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use crate::hardware::{ErrorKind, ErrorType};
    use crate::{Plan, Rules, Stage, Task, Timing, plan};

    use super::*;

    /// Counts feeds; fails as often as told.
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
        let tasks = [Task::new(Rules::deadline(1_000)).unwrap()];
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
            let _fed_nothing = guard.supervisor_mut().poll(at(millis));
        }
        assert_eq!(guard.hardware().feeds, 3);
    }

    #[test]
    fn a_feed_that_failed_is_tried_again_at_the_next_poll() {
        let tasks = [Task::new(Rules::deadline(1_000)).unwrap()];
        let mut guard = guard(&tasks, 2, false);
        assert_eq!(guard.poll(at(0)), Err(ErrorKind::Connection));
        assert_eq!(guard.poll(at(1)), Err(ErrorKind::Connection));
        assert_eq!(guard.poll(at(2)).unwrap(), Poll { action: Action::Feed, next: at(500) });
    }

    #[test]
    fn a_failed_task_is_not_fed_for_even_when_feeding_failed_before() {
        let tasks = [Task::new(Rules::deadline(1_000)).unwrap()];
        let mut guard = guard(&tasks, 1, false);
        assert_eq!(guard.poll(at(1_000)), Err(ErrorKind::Connection));
        assert!(matches!(guard.poll(at(1_001)).unwrap().action, Action::Stage(..)));
        assert_eq!(guard.hardware().feeds, 0);
    }

    #[test]
    fn hardware_that_does_not_stop_is_guarded_on() {
        let mut failed = guard(&[], 0, false).stop().unwrap_err();
        assert_eq!(failed.error, ErrorKind::InvalidState);
        assert_eq!(failed.watchdog.poll(at(0)).unwrap().action, Action::Feed);
        assert_eq!(guard(&[], 0, true).stop().map_err(|failed| failed.error), Ok(0));
    }
}
