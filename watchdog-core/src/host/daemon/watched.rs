//! [`Watched`]: the handle that a watched thread reports with.

use std::sync::Arc;
use std::thread;

use super::shared::Shared;
use crate::bite::TaskId;
use crate::intervals::Intervals;
use crate::task::{End, Refused, Task, TaskHandle};
use crate::time::Instant;

/// The handle that a watched thread owns and reports with. See [`TaskHandle`] for the meaning of the reports.
///
/// If a panic or the end of the thread drops it, it reports the fault, and the daemon bites. [`Watched::retire`] ends
/// the watching on purpose.
#[derive(Debug)]
#[must_use = "dropping it makes the daemon bite"]
pub struct Watched {
    shared: Arc<Shared>,
    /// The place, which no other thread has while this handle lives.
    id: TaskId,
    intervals: Arc<Intervals>,
    ended: bool,
}

impl Watched {
    /// The handle for the thread that holds the place.
    pub(super) fn new(shared: &Arc<Shared>, id: TaskId) -> Self {
        let (shared, intervals) = (Arc::clone(shared), Arc::new(Intervals::new()));
        Self { shared, id, intervals, ended: false }
    }

    fn handle(&self) -> Result<(TaskHandle<'_>, Instant), Refused> {
        if self.shared.has_ended() {
            return Err(Refused::NoSupervisor);
        }
        let places = &self.shared.places;
        let task = places.tasks().get(places.index(self.id)).ok_or(Refused::NotWatched)?;
        Ok((task.handle(), self.shared.time.now()))
    }

    /// The id of the thread among the daemon's threads.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// The intervals between the reports of this thread, for choosing its deadline. They can be read from any thread,
    /// also after this one has ended. A report that is made while the time stands still is not measured.
    #[must_use]
    pub fn intervals(&self) -> Arc<Intervals> {
        Arc::clone(&self.intervals)
    }

    /// Reports that work has progressed.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the feed does not count. [`Refused::NotWatched`]: the thread was replaced; this happens to a
    /// thread that comes back too late. [`Refused::NoSupervisor`]: the daemon has ended.
    pub fn feed(&self) -> Result<(), Refused> {
        self.progress(|handle, now| handle.feed(now))
    }

    /// Reports that the checkpoint `step` is passed.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the checkpoint does not count.
    pub fn step(&self, step: u8) -> Result<(), Refused> {
        self.progress(|handle, now| handle.step(step, now))
    }

    /// Reports progress. If the time stands still, neither this report nor the next one is too early.
    fn progress(
        &self,
        report: impl FnOnce(TaskHandle<'_>, Instant) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let (handle, now) = self.handle()?;
        let places = &self.shared.places;
        let still = places.tasks().get(places.index(self.id));
        let still = still.filter(|_| self.shared.time.stands_still());
        still.into_iter().for_each(Task::open_window);
        let reported = report(handle, now);
        if still.is_some() {
            self.intervals.skip();
        } else {
            self.intervals.measure(now, reported);
        }
        still.into_iter().for_each(Task::open_window);
        reported
    }

    /// Takes a grant for long work.
    ///
    /// # Errors
    ///
    /// [`Refused`]: no grant is left, or none is allowed yet.
    pub fn grant(&self) -> Result<(), Refused> {
        let (handle, now) = self.handle()?;
        handle.measured(&self.intervals).grant(now)
    }

    /// Pauses: the thread is not awaited until it resumes.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread is late or has failed, or it has to make progress first.
    pub fn pause(&self) -> Result<(), Refused> {
        let (handle, now) = self.handle()?;
        handle.measured(&self.intervals).pause(now)
    }

    /// Resumes: the thread is awaited again.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread was not paused.
    pub fn resume(&self) -> Result<(), Refused> {
        let (handle, now) = self.handle()?;
        handle.measured(&self.intervals).resume(now)
    }

    /// Reports that the thread ends on purpose.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread is late or has failed.
    pub fn retire(mut self) -> Result<(), Refused> {
        self.ended = true;
        self.handle().and_then(|(handle, now)| handle.retire(now))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended {
            if let Ok((handle, now)) = self.handle() {
                handle
                    .abandon(if thread::panicking() { End::Panicked } else { End::Returned }, now);
                self.shared.time.wake();
            }
        }
        self.shared.places.release(self.id);
    }
}
