//! The clock of a daemon's thread: the operating system's clock, or a clock that a test moves.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time;

use core::time::Duration;

use crate::time::Instant;

/// The longest wait in one call to the operating system: some systems cannot wait until the latest instant.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The time for all threads, and a wait for one of them.
pub trait Clock: Send + Sync + 'static {
    /// The time, which never goes back.
    fn now(&self) -> Instant;

    /// Waits until `until`, or until [`wake`](Self::wake) is called. A call of `wake` since the last wait counts, too.
    /// Only the daemon's thread calls this.
    fn wait(&self, until: Instant);

    /// Ends the current wait; if there is none, the next one.
    fn wake(&self);
}

/// The monotonic clock of the operating system; it begins at 0.
///
/// It is the clock of [`std::time::Instant`]. On Linux this is `CLOCK_MONOTONIC`, which stands still while the system is
/// suspended; so does `CLOCK_UPTIME_RAW` of macOS. So a suspend costs no thread any time, and the daemon is not late
/// after it. `CLOCK_BOOTTIME` counts the suspend. With such a [`Clock`], and on Windows, whose clock also runs during
/// sleep, the daemon finds itself [late](super::daemon#a-late-daemon) when the system resumes. In both cases a hardware
/// watchdog may run on during the suspend.
///
/// `SIGSTOP` and debuggers stop no clock.
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
    /// A clock that starts at 0.
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
            // The wait ends at the instant itself, not within the last millisecond before it.
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
