//! [`SharedClock`]: the time for code that cannot read a clock, such as an interrupt or another core.
//!
//! ```
//! use watchdog_core::{Instant, Plan, Rules, SharedClock, Task, Timing, plan, task};
//!
//! static CLOCK: SharedClock = SharedClock::new();
//! // Fed each 300 ms, by a clock that is set each 500 ms.
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static UART: Task = task!(TIMING, Rules::deadline(300 + 500));
//!
//! // In the loop that polls the supervisor, or in the timer's interrupt:
//! CLOCK.set(Instant::from_millis(61_500));
//!
//! // In the UART's interrupt, one load and one store:
//! UART.handle().feed(CLOCK.now())?;
//! # Ok::<(), watchdog_core::Refused>(())
//! ```
//!
//! Invariants: one place sets the time, any number of places read it; each does one atomic access.

use crate::sync::{AtomicU32, Ordering, const_fn};
use crate::time::Instant;

/// The time at the last call of [`set`](Self::set). 4 bytes, for a `static`.
///
/// The time is late by up to the interval between two calls of `set`. A task that feeds by this clock needs a deadline
/// that is longer by this interval, and cannot have a window.
#[derive(Debug)]
pub struct SharedClock(AtomicU32);

impl SharedClock {
    const_fn! {
        /// A clock that stands at 0 until it is set.
        #[must_use]
        pub fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Sets the time to `now`. Call it from one place only.
    pub fn set(&self, now: Instant) {
        self.0.store(low(now), Ordering::Release);
    }

    /// The low 32 bits of the time that was set last. This is enough for the reports of tasks; the supervisor needs
    /// the whole time.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::Acquire).into())
    }
}

impl Default for SharedClock {
    fn default() -> Self {
        Self::new()
    }
}

/// The low 32 bits.
const fn low(now: Instant) -> u32 {
    (now.as_millis() & 0xFFFF_FFFF) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::{Action, Plan, Rules, Supervisor, Task, Timing, plan};

    const TIMING: Timing<'static> = plan!(Plan::heartbeat(50));

    #[test]
    fn tasks_that_feed_by_a_shared_clock_stay_healthy_when_it_wraps() {
        let at = |millis: u64| Instant::from_millis(0xFFFF_FFFF - 120 + millis);
        let (clock, tasks) =
            (SharedClock::new(), [Task::new(Rules::deadline(150), TIMING).unwrap()]);
        let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
        for beat in 0..6 {
            clock.set(at(beat * 50));
            tasks.first().unwrap().handle().feed(clock.now()).unwrap();
            assert_eq!(supervisor.poll(at(beat * 50)).action, Action::Feed);
        }
        assert_eq!(supervisor.poll(at(400)).action, Action::Feed);
        assert!(matches!(supervisor.poll(at(401)).action, Action::Stage(..)));
        assert_eq!(supervisor.failure().unwrap().since, at(250));
    }
}
