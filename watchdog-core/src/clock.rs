//! [`SharedClock`]: the time for those who cannot read a clock, such as an interrupt that has none or another core.
//!
//! ```
//! use watchdog_core::{Instant, Rules, SharedClock, Task, task};
//!
//! static CLOCK: SharedClock = SharedClock::new();
//! // Fed each 300 ms, by a clock that is set each 500 ms.
//! static UART: Task = task!(Rules::deadline(300 + 500));
//!
//! // Where the supervisor is polled, or in the timer's interrupt:
//! CLOCK.set(Instant::from_millis(61_500));
//!
//! // In the UART's interrupt, one load and one store:
//! UART.handle().feed(CLOCK.now())?;
//! # Ok::<(), watchdog_core::Refused>(())
//! ```
//!
//! Invariants: one sets it, any number read it; each is one atomic access.

use crate::sync::{AtomicU32, Ordering, const_fn};
use crate::time::Instant;

/// The time when somebody last set it. 4 bytes, for a `static`.
///
/// It is behind by up to the interval at which it is set; a task that feeds by it needs a deadline that is longer by
/// so much, and cannot have a window.
#[derive(Debug)]
pub struct SharedClock(AtomicU32);

impl SharedClock {
    const_fn! {
        /// At 0, until it is set.
        #[must_use]
        pub fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// It is `now`. To be called from one place.
    pub fn set(&self, now: Instant) {
        self.0.store(low(now), Ordering::Release);
    }

    /// The time as it was set last, without what is above 32 bits: for reports of tasks, which need no more. The
    /// supervisor wants the whole time.
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
    use crate::{Action, Plan, Rules, Supervisor, Task, plan};

    #[test]
    fn tasks_that_feed_by_it_are_well_after_its_wrap() {
        let at = |millis: u64| Instant::from_millis(0xFFFF_FFFF - 120 + millis);
        let (clock, tasks) = (SharedClock::new(), [Task::new(Rules::deadline(150)).unwrap()]);
        let mut supervisor = Supervisor::new(&tasks, plan!(Plan::heartbeat(50)), at(0));
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
