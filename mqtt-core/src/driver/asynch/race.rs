//! [`race`]: two futures in one, without a crate for it.

use core::{future::poll_fn, pin::pin, task::Poll};

/// Polls both until one has ended, `first` first. Gives the value of `first`; `None` if `second` was faster.
pub(super) async fn race<T>(first: impl Future<Output = T>, second: impl Future) -> Option<T> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|context| {
        if let Poll::Ready(value) = first.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        second.as_mut().poll(context).map(|_| None)
    })
    .await
}
