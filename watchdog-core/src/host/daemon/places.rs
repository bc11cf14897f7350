//! The places of a daemon's threads: each thread has a place of its own, for as long as it may report.
//!
//! A thread that hangs cannot be ended. If it is replaced, its successor gets another place. The old place is vacated,
//! and stays reserved until the old thread has dropped its handle. So the old thread may pause at any point of a report
//! and go on later: it writes to a place that nobody looks at.
//!
//! Invariants: a place is given to a thread only if it is vacant and no other thread holds it; at most `most` places
//! are held by threads that were not replaced; there is one more place for each rescue, so a successor always finds one.

use std::boxed::Box;

use crate::bite::TaskId;
use crate::rules::Rules;
use crate::supervisor::WatchError;
use crate::sync::{AtomicU8, Ordering};
use crate::task::Task;
use crate::time::Instant;

/// No thread can report to the place.
const FREE: u8 = 0;
/// A thread can report to the place.
const HELD: u8 = 1;
/// A replaced thread can still report to the place, and nobody looks at it.
const REPLACED: u8 = 2;

/// The places. Only one thread at a time may call [`watch`](Self::watch), [`successor_place`](Self::successor_place),
/// [`replace`](Self::replace) and [`give_up`](Self::give_up).
#[derive(Debug)]
pub struct Places {
    tasks: Box<[Task]>,
    holders: Box<[AtomicU8]>,
    /// The most threads that are watched at a time.
    most: usize,
}

impl Places {
    /// Room for `most` threads, of which `rescues` may be replaced.
    #[must_use]
    pub fn new(most: usize, rescues: u8) -> Self {
        let all = most.saturating_add(rescues.into());
        Self {
            tasks: (0..all).map(|_| Task::vacant()).collect(),
            holders: (0..all).map(|_| AtomicU8::new(FREE)).collect(),
            most,
        }
    }

    /// All places, for the supervisor.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The index of a place in the lists.
    #[must_use]
    pub fn index(&self, id: TaskId) -> usize {
        let index = usize::try_from(id.index()).unwrap_or(usize::MAX);
        debug_assert!(index < self.tasks.len(), "an id is one of the daemon's places");
        index
    }

    /// Watches a new thread from `now` on. The thread holds the place until [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// [`WatchError`]: no place is vacant, or the rules cannot be kept.
    pub fn watch(&self, rules: &Rules, now: Instant) -> Result<TaskId, WatchError> {
        rules.check()?;
        let states = self.holders.iter().map(|holder| holder.load(Ordering::Acquire));
        let is_taken = |(task, state): (&Task, u8)| match state {
            FREE => !task.is_vacant(),
            state => state == HELD,
        };
        if self.tasks.iter().zip(states).filter(|place| is_taken(*place)).count() >= self.most {
            return Err(WatchError::NoVacancy);
        }
        let id = self.free().ok_or(WatchError::NoVacancy)?;
        self.occupy(id, rules, now);
        Ok(id)
    }

    /// A place for the successor of a thread.
    #[must_use]
    pub fn successor_place(&self) -> Option<TaskId> {
        self.free()
    }

    /// Watches the successor of a thread in another place, by the same rules. From here on, no report of the old thread
    /// counts.
    pub fn replace(&self, old: TaskId, successor: TaskId, rules: &Rules, now: Instant) {
        if let Some(holder) = self.holders.get(self.index(old)) {
            // If the old thread has dropped its handle, the place stays free.
            let _free =
                holder.compare_exchange(HELD, REPLACED, Ordering::AcqRel, Ordering::Acquire);
        }
        if let Some(task) = self.tasks.get(self.index(old)) {
            task.vacate();
        }
        // A restarted thread is awaited, also if the first one began paused.
        self.occupy(successor, &Rules { paused: false, ..*rules }, now);
    }

    /// The thread has failed, and nobody awaits it any more: no report of it counts. If another thread has its place by
    /// now, this does nothing.
    pub fn give_up(&self, id: TaskId) {
        if let Some(task) = self.tasks.get(self.index(id)).filter(|task| task.is_reported()) {
            task.vacate();
        }
    }

    /// The thread that held the place reports no more.
    pub fn release(&self, id: TaskId) {
        if let Some(holder) = self.holders.get(self.index(id)) {
            holder.store(FREE, Ordering::Release);
        }
    }

    /// A vacant place that nobody holds.
    fn free(&self) -> Option<TaskId> {
        let mut places = (0..).zip(self.tasks.iter().zip(&self.holders));
        let is_free = |task: &Task, holder: &AtomicU8| {
            // Acquire: the last report of the former thread comes before the first one of the next.
            holder.load(Ordering::Acquire) == FREE && task.is_vacant()
        };
        places
            .find(|(_, (task, holder))| is_free(task, holder))
            .map(|(index, _)| TaskId::new(index))
    }

    fn occupy(&self, id: TaskId, rules: &Rules, now: Instant) {
        let index = self.index(id);
        if let (Some(task), Some(holder)) = (self.tasks.get(index), self.holders.get(index)) {
            holder.store(HELD, Ordering::Release);
            task.occupy(rules, now);
        }
    }
}
