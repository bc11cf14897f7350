//! [`race`]: two futures in one, without a crate for it.

use core::{future::poll_fn, pin::Pin, task::Poll};

/// Polls both until one has ended, `first` first. Gives the value of `first`; `None` if `second` was faster.
///
/// They are pinned by the caller: an async function keeps an argument that it pins itself twice.
pub(super) async fn race<T>(
    mut first: Pin<&mut impl Future<Output = T>>,
    mut second: Pin<&mut impl Future>,
) -> Option<T> {
    poll_fn(|context| {
        if let Poll::Ready(value) = first.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        second.as_mut().poll(context).map(|_| None)
    })
    .await
}
