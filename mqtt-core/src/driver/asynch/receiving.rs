//! The loop that reads, and hands events to the application.

use core::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use embedded_io_async::Read;

use super::{Requests, Share, fault};
use crate::{error::TransportFault, event::Event, framer::Framer, time::Instant};

/// Reads from `reader` and gives every event to `handle`, until the runner says to stop or the transport fails; `None`:
/// the peer has closed it. Without a `reader` only events come that need no input.
///
/// A read is not dropped before that. While the handler waits, a read goes on, and no other one is begun.
pub(super) async fn receive<L: Share, R: Read>(
    share: &L,
    framer: &mut Framer<&mut [u8]>,
    mut reader: Option<R>,
    now: &impl Fn() -> Instant,
    handle: &mut impl AsyncFnMut(Requests<'_, L>, Event<'_>),
) -> Option<TransportFault> {
    let requests = Requests::new(share);
    loop {
        // It makes room at the end. If there is none, only sending helps: an answer has no room.
        let full = framer.space().is_empty();
        let (mut input, space) = framer.parts();
        let held = input.len();
        let (taken, done, waited) = {
            let mut reading = pin!(async {
                match &mut reader {
                    Some(reader) if !full => reader.read(space).await,
                    _ => pending().await,
                }
            });
            let mut read = Reading { future: reading.as_mut(), done: None, waited: false };
            let mut call = Call::New;
            loop {
                let goes_on = match read.done {
                    // If the buffer was full, it can be read into once something was taken.
                    None => !(full && input.len() < held && call != Call::More),
                    // What came before the end still counts.
                    Some(Ok(0) | Err(_)) => call != Call::IfNeeded,
                    Some(Ok(_)) => false,
                };
                if !goes_on {
                    break;
                }
                match next(share, &mut read, call, !input.is_empty(), now).await {
                    Next::Stop => return None,
                    Next::Read => {}
                    Next::Serve => {
                        let event = share.with(|state| state.receive(&mut input, now()));
                        call = if event.is_some() { Call::More } else { Call::IfNeeded };
                        if let Some(event) = event {
                            read.beside(pin!(handle(requests, event))).await;
                        }
                    }
                }
            }
            (held - input.len(), read.done, read.waited)
        };
        framer.consume(taken);
        match done {
            // The peer has closed it.
            Some(Ok(0)) => return None,
            Some(Ok(count)) => framer.filled(count),
            Some(Err(error)) => return Some(fault(&error)),
            None => {}
        }
        if !waited {
            // A transport that always has bytes leaves time to other tasks.
            yield_once(share).await;
        }
    }
}

/// A read that has begun.
struct Reading<'r, F: Future> {
    future: Pin<&'r mut F>,
    done: Option<F::Output>,
    /// It was not ready at once.
    waited: bool,
}

impl<F: Future> Reading<'_, F> {
    /// Whether it is done.
    fn poll(&mut self, context: &mut core::task::Context<'_>) -> bool {
        if self.done.is_none() {
            match self.future.as_mut().poll(context) {
                Poll::Ready(done) => self.done = Some(done),
                Poll::Pending => self.waited = true,
            }
        }
        self.done.is_some()
    }

    /// Waits for `other`, and polls the read beside it.
    async fn beside(&mut self, mut other: Pin<&mut impl Future<Output = ()>>) {
        poll_fn(|context| {
            self.poll(context);
            other.as_mut().poll(context)
        })
        .await;
    }
}

/// Why `receive` is to be called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    /// Bytes came since the last call.
    New,
    /// The last call gave an event.
    More,
    /// Not without a cause.
    IfNeeded,
}

/// What the receiver does next.
enum Next {
    /// It ends.
    Stop,
    /// Bytes came.
    Read,
    /// It calls `receive`.
    Serve,
}

/// Waits for the read, or until `receive` has to be called. `held`: there is input that was not taken.
///
/// If a time-out waits for a look at the input, a call of `receive` without new bytes is the proof that nothing came. So
/// it waits until the read had its time.
async fn next<F: Future>(
    share: &impl Share,
    read: &mut Reading<'_, F>,
    call: Call,
    held: bool,
    now: &impl Fn() -> Instant,
) -> Next {
    poll_fn(|context| {
        let (stop, called, looks) =
            share.with(|state| (state.stop, state.calls_receiver(held), state.looks()));
        if stop {
            return Poll::Ready(Next::Stop);
        }
        if call == Call::New || call == Call::More && (!looks || read.done.is_some()) {
            return Poll::Ready(Next::Serve);
        }
        if read.poll(context) {
            return Poll::Ready(Next::Read);
        }
        let called = if looks { share.with(|state| state.listens(now())) } else { called };
        if called { Poll::Ready(Next::Serve) } else { Poll::Pending }
    })
    .await
}

/// Lets the executor run other tasks.
async fn yield_once(share: &impl Share) {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        share.with(|state| state.yields());
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
