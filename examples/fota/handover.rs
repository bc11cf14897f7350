//! [`Handover`]: from the task of the link to the task of the flash, through two buffers of 4 KiB.
//!
//! If the flash is slow, the link waits for a buffer, and so TCP makes the broker wait. It does not wait for long: a
//! task that hangs must not take the other one with it. What finds no buffer is dropped, and asked for again.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mqtt_core::Handle;

/// Bytes of a buffer: what the client's read buffer holds.
pub(crate) const BUFFER: usize = 4_096;
const BUFFERS: usize = 2;
/// Jobs without bytes that wait at most.
const MOST_JOBS: usize = 64;

/// What the link gives to the flash.
#[derive(Debug)]
pub(crate) enum Job {
    /// Connected and subscribed.
    Online,
    /// Not connected any more. A message that was begun is void.
    Offline,
    /// Whether the publisher is there.
    Publisher(bool),
    /// A manifest, and whether it was retained.
    Manifest(Vec<u8>, bool),
    /// A chunk message begins.
    Start,
    /// Its next bytes.
    Bytes(Vec<u8>),
    /// It is complete.
    End,
    /// The broker has this publish.
    Published(Handle),
    /// The run is over.
    Stop,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The device restarts.
    Restart,
    /// The update is done: `--once`.
    Done,
    /// The image was refused, with this reason: `--once`.
    Refused(String),
}

#[derive(Debug)]
pub(crate) struct Handover {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    jobs: VecDeque<Job>,
    buffers: Vec<Vec<u8>>,
    end: Option<End>,
}

impl Handover {
    pub(crate) fn new() -> Self {
        let buffers = (0..BUFFERS).map(|_| Vec::with_capacity(BUFFER)).collect();
        let state = State { jobs: VecDeque::with_capacity(MOST_JOBS), buffers, end: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Gives a job. `false`: there are too many.
    pub(crate) fn give(&self, job: Job) -> bool {
        let mut state = self.lock();
        let has_room = state.jobs.len() < MOST_JOBS || matches!(job, Job::Stop);
        if has_room {
            state.jobs.push_back(job);
            self.changed.notify_all();
        }
        has_room
    }

    /// Gives bytes, at most [`BUFFER`]. `false`: no buffer was free within the time.
    pub(crate) fn give_bytes(&self, bytes: &[u8], within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut state = self.lock();
        loop {
            if let Some(mut buffer) = state.buffers.pop() {
                buffer.clear();
                buffer.extend_from_slice(bytes);
                state.jobs.push_back(Job::Bytes(buffer));
                self.changed.notify_all();
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.wait(state, left);
        }
    }

    /// Waits for the next job.
    pub(crate) fn take(&self, within: Duration) -> Option<Job> {
        let until = Instant::now() + within;
        let mut state = self.lock();
        loop {
            let job = state.jobs.pop_front();
            let left = until.saturating_duration_since(Instant::now());
            if job.is_some() || left.is_zero() {
                return job;
            }
            state = self.wait(state, left);
        }
    }

    /// Gives a buffer back.
    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        self.lock().buffers.push(buffer);
        self.changed.notify_all();
    }

    /// The first end counts.
    pub(crate) fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
    }

    /// How the run ends, if somebody has said it.
    pub(crate) fn ending(&self) -> Option<End> {
        self.lock().end.clone()
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, within: Duration) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, within).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
