//! The loop that keeps the deadlines and writes the journal.

use core::{convert::Infallible, future::poll_fn, pin::pin, task::Poll};

use embedded_hal_async::delay::DelayNs;

use super::{RunError, Share, race::race, state::Step};
use crate::{driver::journal::Journal, error::Reason, session::Record, time::Instant};

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

/// Where records go. A client without a journal does not link the code for records.
pub(super) trait Recorder {
    type Error;

    /// Copies `record`, so that requests can be made while it is written.
    fn copy(&mut self, record: &Record<'_>) -> Result<(), RunError<Self::Error>>;

    /// Appends the copy to the journal. Gives whether a snapshot has to follow.
    async fn append(&mut self) -> Result<bool, RunError<Self::Error>>;

    /// Whether the journal is long before the first record.
    fn is_long(&self) -> bool;
}

/// No journal.
pub(super) struct NoJournal;

impl Recorder for NoJournal {
    type Error = Infallible;

    fn copy(&mut self, _record: &Record<'_>) -> Result<(), RunError<Infallible>> {
        Err(RunError::NoJournal)
    }

    async fn append(&mut self) -> Result<bool, RunError<Infallible>> {
        Ok(false)
    }

    fn is_long(&self) -> bool {
        false
    }
}

/// A journal, and room for a copy of a record.
pub(super) struct Recording<'r, J> {
    pub(super) journal: &'r mut J,
    pub(super) space: &'r mut [u8],
    /// The length of the copy.
    pub(super) len: usize,
}

impl<J: Journal> Recorder for Recording<'_, J> {
    type Error = J::Error;

    fn copy(&mut self, record: &Record<'_>) -> Result<(), RunError<J::Error>> {
        let capacity = self.space.len();
        match record.copy_to(self.space) {
            Some(copied) => {
                self.len = copied.len();
                Ok(())
            }
            None => Err(RunError::RecordTooLong { needed: record.len(), capacity }),
        }
    }

    async fn append(&mut self) -> Result<bool, RunError<J::Error>> {
        let record = Record::of_bytes(self.space.get(..self.len).unwrap_or_default());
        self.journal.append(&record).await.map_err(RunError::Journal)?;
        // If the journal is long after a snapshot, another snapshot does not help.
        Ok(!record.is_snapshot() && self.journal.is_long())
    }

    fn is_long(&self) -> bool {
        self.journal.is_long()
    }
}

/// Why the keeper has ended.
pub(super) enum Kept {
    /// The transport has to be closed, or the attempt given up.
    Close(Reason),
    /// The client is stopped.
    Stopped,
}

/// Does what is due until the transport has to be closed, or the client is stopped.
pub(super) async fn keep<R: Recorder>(
    share: &impl Share,
    clock: &mut Clock<'_, impl DelayNs, impl Fn() -> Instant>,
    recorder: &mut R,
) -> Result<Kept, RunError<R::Error>> {
    loop {
        let now = (clock.now)();
        let (step, seen) =
            share.with(|state| (state.keep(now, |record| recorder.copy(record)), state.changes()));
        match step {
            Step::Record(copied) => {
                copied?;
                let long = recorder.append().await?;
                share.with(|state| {
                    state.recorded();
                    if long {
                        state.compact();
                    }
                });
            }
            Step::Close(reason) => return Ok(Kept::Close(reason)),
            Step::Stopped => return Ok(Kept::Stopped),
            Step::Wait(until) => {
                race(pin!(changed(share, seen)), pin!(clock.until(until))).await;
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
