//! What a daemon's thread knows of time: the operating system's clock, or one that a test moves.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time;

use core::time::Duration;

use crate::time::Instant;

/// Of one call to the operating system: the end of time is too far for some.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Tells the time to all threads, and lets one of them wait.
pub trait Clock: Send + Sync + 'static {
    /// The time, which never goes back.
    fn now(&self) -> Instant;

    /// Waits until `until`, or until somebody wakes the one who waits; that may also have happened since the last
    /// wait. Only the daemon's thread calls it.
    fn wait(&self, until: Instant);

    /// Ends the wait, or the next one.
    fn wake(&self);
}

/// The monotonic clock of the operating system; it begins at 0.
#[derive(Debug)]
pub struct Monotonic {
    start: time::Instant,
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Default for Monotonic {
    fn default() -> Self {
        Self::new()
    }
}

impl Monotonic {
    /// It is 0 now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: time::Instant::now(), woken: Mutex::new(false), changed: Condvar::new() }
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn wait(&self, until: Instant) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            // Up to the instant itself, not into the last millisecond before it.
            let left =
                Duration::from_millis(until.as_millis()).saturating_sub(self.start.elapsed());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(woken, left.min(LONGEST_WAIT));
            woken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *woken = false;
    }

    fn wake(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}
