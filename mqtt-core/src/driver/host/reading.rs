//! Payloads that are read, without the lock: what a [`Job`] takes from the state, and what it brings back.

use std::io;

use super::{
    feeding::{Failure, Job},
    shared::Shared,
    state::State,
};
use crate::{
    event::Action,
    source::{Piece, SourceFault},
    time::Instant,
};

/// How long a payload that has no bytes is left alone, in milliseconds.
const PAUSE: u64 = 20;

impl State {
    /// The read that is to be made; `None` if there is none any more.
    pub(super) fn begin_read(&mut self, now: Instant) -> Option<Job> {
        let Action::TransmitFrom(piece) = self.client.poll(now) else { return None };
        let Piece { handle, source, offset, left, .. } = piece;
        let Some(payload) = self.feeding.payloads.get_mut(&handle).and_then(Option::take) else {
            self.client.source_failed(handle, SourceFault::Gone);
            return None;
        };
        self.feeding.reads = true;
        self.feeding.of = None;
        let chunk = core::mem::take(&mut self.feeding.chunk);
        Some(Job { handle, source, offset, left, payload, chunk, read: Ok(0) })
    }

    fn end_read(&mut self, job: Job, now: Instant) {
        let Job { handle, source, offset, payload, mut chunk, read, .. } = job;
        let feeding = &mut self.feeding;
        feeding.reads = false;
        // The message may have ended meanwhile.
        let Some(place) = feeding.payloads.get_mut(&handle) else { return };
        *place = Some(payload);
        match read {
            Ok(count) => {
                chunk.truncate(count);
                feeding.of = Some(handle);
                feeding.offset = offset;
                feeding.chunk = chunk;
            }
            Err(Failure::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                feeding.chunk = chunk;
                feeding.retry = Some((handle, now.plus_millis(PAUSE)));
                self.client.source_pending(handle, now);
            }
            Err(Failure::Io(error)) => {
                feeding.error = Some((source, error));
                self.client.source_failed(handle, SourceFault::Failed);
            }
            Err(Failure::Length) => {
                let error = io::Error::other(SourceFault::Length);
                feeding.error = Some((source, error));
                self.client.source_failed(handle, SourceFault::Length);
            }
        }
    }
}

impl Shared {
    /// A job has read.
    pub(crate) fn end_read(&self, job: Job) {
        let now = self.now();
        let mut state = self.lock();
        state.end_read(job, now);
        self.wake(&mut state);
    }
}
