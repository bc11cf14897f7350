//! The state that a daemon, its handle and the watched threads share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use core::fmt;

use super::places::Places;
use super::time::Time;
use crate::bite::Failure;
use crate::rules::Rules;

pub(super) struct Shared {
    pub(super) places: Places,
    /// The entry of each place. Under this lock, places are given to threads. A feed takes no lock.
    pub(super) entries: Mutex<Vec<Entry>>,
    pub(super) stop: Mutex<Stop>,
    pub(super) stopped: Condvar,
    pub(super) time: Time,
    /// Whether the daemon's thread has ended: nobody looks at the reports any more.
    pub(super) ended: AtomicBool,
}

impl Shared {
    pub(super) fn new(places: Places, time: Time) -> Self {
        Self {
            entries: Mutex::new(places.tasks().iter().map(|_| Entry::default()).collect()),
            places,
            stop: Mutex::new(Stop::No),
            stopped: Condvar::new(),
            time,
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("places", &self.places).finish_non_exhaustive()
    }
}

/// A thread of a place.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) rules: Rules,
}

impl Default for Entry {
    /// The entry of a place that nobody has taken yet.
    fn default() -> Self {
        Self { name: Arc::from(""), rules: Rules::deadline(0) }
    }
}

/// The progress of stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    Asked,
    Refused(Failure),
    /// The daemon's thread ends, or has panicked.
    Done,
}

/// Locks also a poisoned mutex: the data behind these locks is consistent at every point where a thread may panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
