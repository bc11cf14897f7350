//! [`Beat`]: the handle of a watched thread, and the time of its last feed for the view.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use watchdog_core::{Refused, host::daemon::Watched};

use crate::time::Clock;

/// A task as the view shows it.
#[derive(Debug)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Its deadline, in milliseconds.
    pub deadline: u32,
    /// Its last feed, in milliseconds of the program's clock.
    fed: AtomicU64,
}

impl Task {
    /// A task that is watched from now on.
    #[must_use]
    pub fn new(name: &str, deadline: u32, now: u64) -> Arc<Self> {
        Arc::new(Self { name: name.into(), deadline, fed: AtomicU64::new(now) })
    }

    /// The rest of its deadline at `now`, in milliseconds.
    #[must_use]
    pub fn left(&self, now: u64) -> u32 {
        let silent = now.saturating_sub(self.fed.load(Ordering::Relaxed));
        self.deadline.saturating_sub(u32::try_from(silent).unwrap_or(u32::MAX))
    }
}

/// The handle of a watched thread. If a panic drops it, the daemon is told so.
#[derive(Debug)]
pub struct Beat {
    watched: Watched,
    task: Arc<Task>,
    clock: Clock,
}

impl Beat {
    /// The thread is watched by `watched`, and shown as `task`.
    #[must_use]
    pub fn new(watched: Watched, task: &Arc<Task>, clock: Clock) -> Self {
        Self { watched, task: Arc::clone(task), clock }
    }

    /// The work has progressed.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the feed comes too late, and the watchdog bites.
    pub fn feed(&self) -> Result<(), Refused> {
        self.watched.feed()?;
        self.task.fed.store(self.clock.millis(), Ordering::Relaxed);
        Ok(())
    }

    /// The thread ends on purpose.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread is late, and the watchdog bites.
    pub fn retire(self) -> Result<(), Refused> {
        self.watched.retire()
    }
}
