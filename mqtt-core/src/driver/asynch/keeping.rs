//! The loop that keeps the deadlines and writes the journal.

use core::{future::poll_fn, task::Poll};

use embedded_hal_async::delay::DelayNs;

use super::{RunError, Share, race::race, state::Step};
use crate::{driver::journal::Journal, error::Reason, time::Instant};

/// The clock of a runner.
pub(super) struct Clock<'c, D, N> {
    pub(super) delay: &'c mut D,
    pub(super) now: &'c N,
}

impl<D: DelayNs, N: Fn() -> Instant> Clock<'_, D, N> {
    /// Waits until `at`; for ever, if that is `FAR_FUTURE`.
    pub(super) async fn until(&mut self, at: Instant) {
        if at == Instant::FAR_FUTURE {
            return core::future::pending().await;
        }
        loop {
            let left = at.millis_since((self.now)());
            if left == 0 {
                return;
            }
            self.delay.delay_ms(u32::try_from(left).unwrap_or(u32::MAX)).await;
        }
    }
}

/// A journal, and room for a copy of a record: requests may be made while it is written.
pub(super) struct Recorder<'r, J> {
    pub(super) journal: &'r mut J,
    pub(super) space: &'r mut [u8],
}

/// Why the keeper has ended.
pub(super) enum Kept {
    /// The transport has to be closed, or the attempt given up.
    Close(Reason),
    /// The client is stopped.
    Stopped,
}

/// Does what is due until the transport has to be closed, or the client is stopped.
pub(super) async fn keep<J: Journal>(
    share: &impl Share,
    clock: &mut Clock<'_, impl DelayNs, impl Fn() -> Instant>,
    recorder: &mut Recorder<'_, J>,
) -> Result<Kept, RunError<J::Error>> {
    loop {
        let Recorder { journal, space } = recorder;
        let capacity = space.len();
        let now = (clock.now)();
        let (step, seen) = share.with(|state| (state.keep(space, now), state.changes()));
        match step {
            Step::Record(record) => {
                let snapshot = record.is_snapshot();
                journal.append(&record).await.map_err(RunError::Journal)?;
                share.with(|state| {
                    state.recorded();
                    // If the journal is long after a snapshot, another snapshot does not help.
                    if !snapshot && journal.is_long() {
                        state.compact();
                    }
                });
            }
            Step::RecordTooLong(needed) => {
                return Err(RunError::RecordTooLong { needed, capacity });
            }
            Step::Close(reason) => return Ok(Kept::Close(reason)),
            Step::Stopped => return Ok(Kept::Stopped),
            Step::Wait(until) => {
                race(changed(share, seen), clock.until(until)).await;
            }
        }
    }
}

/// Waits until something has changed since the change number `seen`. The runner polls it at every change.
pub(super) async fn changed(share: &impl Share, seen: u32) {
    poll_fn(|_| {
        if share.with(|state| state.changes()) == seen { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
