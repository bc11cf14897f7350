//! The state that a daemon, its handle and the watched threads share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use core::fmt;

use super::freeze::FreezeError;
use super::places::Places;
use super::time::Time;
use crate::bite::{Failure, TaskId};
use crate::rules::Rules;

pub(super) struct Shared {
    pub(super) places: Places,
    /// The entry of each place. Under this lock, places are given to threads. A feed takes no lock.
    pub(super) entries: Mutex<Vec<Entry>>,
    /// Held by the thread that asks.
    turn: Mutex<()>,
    talk: Mutex<Talk>,
    told: Condvar,
    pub(super) time: Time,
    /// Whether the daemon's thread has ended: nobody looks at the reports any more.
    ended: AtomicBool,
}

impl Shared {
    pub(super) fn new(places: Places, time: Time) -> Self {
        Self {
            entries: Mutex::new(places.tasks().iter().map(|_| Entry::default()).collect()),
            places,
            turn: Mutex::new(()),
            talk: Mutex::new(Talk::Silent),
            told: Condvar::new(),
            time,
            ended: AtomicBool::new(false),
        }
    }

    /// The failure of the thread is only reported: its place is vacant once it drops its handle.
    pub(super) fn give_up(&self, id: TaskId) {
        let _places = lock(&self.entries);
        self.places.give_up(id);
    }

    /// The name of the thread that holds the place.
    pub(super) fn name(&self, id: TaskId) -> Arc<str> {
        let entries = lock(&self.entries);
        let entry = entries.get(self.places.index(id));
        entry.map_or_else(|| Arc::from(""), |entry| Arc::clone(&entry.name))
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

/// A request to the daemon's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Stop,
    /// Freezes for at most so many milliseconds.
    Freeze(u64),
    Thaw,
}

/// Why the daemon's thread did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Failed(Failure),
    Freeze(FreezeError),
    NotFrozen,
}

/// The talk with the daemon's thread: one request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    Silent,
    Asked(Request),
    Answered(Result<(), Refusal>),
    /// The daemon's thread ends, or has panicked.
    Ended,
}

impl Shared {
    /// Asks the daemon's thread, and waits for its answer. `None`: it has ended.
    pub(super) fn ask(&self, request: Request) -> Option<Result<(), Refusal>> {
        let _turn = lock(&self.turn);
        let mut talk = lock(&self.talk);
        if *talk == Talk::Ended {
            return None;
        }
        *talk = Talk::Asked(request);
        self.time.wake();
        loop {
            match *talk {
                Talk::Ended => return None,
                Talk::Answered(answer) => {
                    *talk = Talk::Silent;
                    return Some(answer);
                }
                Talk::Silent | Talk::Asked(_) => {
                    talk = self.told.wait(talk).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The request that is not answered yet.
    pub(super) fn request(&self) -> Option<Request> {
        match *lock(&self.talk) {
            Talk::Asked(request) => Some(request),
            Talk::Silent | Talk::Answered(_) | Talk::Ended => None,
        }
    }

    pub(super) fn answer(&self, answer: Result<(), Refusal>) {
        *lock(&self.talk) = Talk::Answered(answer);
        self.told.notify_all();
    }

    /// The daemon's thread ends. It answers nothing any more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        *lock(&self.talk) = Talk::Ended;
        self.told.notify_all();
    }
}

/// Locks also a poisoned mutex: the data behind these locks is consistent at every point where a thread may panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
