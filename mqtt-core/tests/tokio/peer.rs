//! A client for tasks that is connected to the broker's end, and ways to look at tasks from outside.

#[path = "../peer/mod.rs"]
mod both;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use mqtt_core::{
    Event, Options, OwnedEvent, SessionStatus,
    driver::tokio::{Client, Config, Events},
};

pub(crate) use both::{PATIENCE, Peer, accepting, listen, options};

/// A connected client, and the broker's end.
pub(crate) async fn connected(options: &Options<'_>) -> (Client, Events, Peer) {
    connected_with(Config::new(options)).await
}

pub(crate) async fn connected_with(config: Config<'_>) -> (Client, Events, Peer) {
    let (address, peer) = accepting();
    let (client, mut events) = Client::connect(config, &[&address]).await.unwrap();
    assert!(matches!(events.next().await, Some(Event::Up { session: SessionStatus::New, .. })));
    (client, events, peer.join().unwrap())
}

/// Plays the broker in a thread of its own, while the tasks go on.
pub(crate) async fn play<T: Send + 'static>(part: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(part).await.unwrap()
}

/// The next event of the stream.
pub(crate) async fn next(
    events: &mut (impl futures_core::Stream<Item = OwnedEvent> + Unpin),
) -> Option<OwnedEvent> {
    poll_fn(|context| Pin::new(&mut *events).poll_next(context)).await
}

/// Polls `future` once, for nobody.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs `future`, and counts how often it is polled.
pub(crate) async fn counted<F: Future>(polls: Arc<AtomicUsize>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(context)
    })
    .await
}
