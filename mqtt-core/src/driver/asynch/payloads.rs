//! [`Payloads`]: where the bytes of publishes from a source come from.

use core::{future::poll_fn, pin::pin};

use super::Share;
use crate::{
    source::{SourceFault, SourceId},
    time::Instant,
};

/// The sources of an application, by their numbers: files on a card, a region of flash, a buffer. See
/// [`Runner::run_from`](super::Runner::run_from).
pub trait Payloads {
    /// Reads bytes of `source` from `offset` on, at least one, and gives how many. The buffer is not longer than what
    /// is left of the payload. Waits until there are some; nothing else is sent meanwhile, see
    /// [`Client::source_pending`](crate::Client::source_pending).
    ///
    /// A source gives the same bytes until its publish has ended, for they are read again after a broken connection. The
    /// future is dropped if the connection ends.
    ///
    /// # Errors
    ///
    /// The publish ends as [`Event::SourceFailed`](crate::Event::SourceFailed).
    fn read(
        &mut self,
        source: SourceId,
        offset: u32,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<usize, SourceFault>>;
}

/// [`Payloads`], or none. A client without them does not link the code.
pub(super) trait Feeder {
    const ANY: bool;

    /// Fills `out` with the next bytes of a publish from a source; 0: none is due.
    async fn feed(
        &mut self,
        share: &impl Share,
        out: &mut [u8],
        now: &impl Fn() -> Instant,
    ) -> usize;
}

/// No payloads.
pub(super) struct NoPayloads;

impl Feeder for NoPayloads {
    const ANY: bool = false;

    async fn feed(&mut self, _: &impl Share, _: &mut [u8], _: &impl Fn() -> Instant) -> usize {
        0
    }
}

/// Those of the application.
pub(super) struct From<'p, P>(pub(super) &'p mut P);

impl<P: Payloads> Feeder for From<'_, P> {
    const ANY: bool = true;

    async fn feed(
        &mut self,
        share: &impl Share,
        out: &mut [u8],
        now: &impl Fn() -> Instant,
    ) -> usize {
        let Some(due) = share.with(|state| state.piece(out, now())) else { return 0 };
        let Some((_, space)) = out.split_at_mut_checked(due.head) else { return 0 };
        let left = usize::try_from(due.left).unwrap_or(usize::MAX);
        let space = match space.split_at_mut_checked(left) {
            Some((space, _)) => space,
            None => space,
        };
        if space.is_empty() {
            return due.head;
        }
        let most = space.len();
        let read = {
            let mut reading = pin!(self.0.read(due.source, due.offset, space));
            let mut told = false;
            poll_fn(|context| {
                let read = reading.as_mut().poll(context);
                if read.is_pending() && !told {
                    told = true;
                    share.with(|state| state.client.source_pending(due.handle, now()));
                } else if read.is_ready() && told {
                    share.with(|state| state.client.source_ready(due.handle));
                }
                read
            })
            .await
        };
        let fault = match read {
            Ok(0) => SourceFault::Length,
            Ok(count) => return due.head + count.min(most),
            Err(fault) => fault,
        };
        share.with(|state| {
            state.client.source_failed(due.handle, fault);
            state.wake();
        });
        0
    }
}
