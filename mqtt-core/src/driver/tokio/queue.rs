//! Events from a task in the background, in a queue with a bound.

use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use ::tokio::sync::mpsc::{Receiver, Sender, channel};
use futures_core::Stream;

use super::Events;
use crate::event::OwnedEvent;

/// The events of a client that [`Events::into_queue`] serves.
#[derive(Debug)]
pub struct EventQueue {
    receiver: Receiver<OwnedEvent>,
}

impl EventQueue {
    /// The next event, waited for; `None` if the client has ended. If the future is dropped, no event is lost.
    pub async fn next(&mut self) -> Option<OwnedEvent> {
        self.receiver.recv().await
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<OwnedEvent> {
        self.receiver.try_recv().ok()
    }

    /// Whether the client has ended and all events are taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.receiver.is_closed() && self.receiver.is_empty()
    }
}

impl Stream for EventQueue {
    type Item = OwnedEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<OwnedEvent>> {
        self.receiver.poll_recv(context)
    }
}

/// While nobody takes events, what is due is sent this often.
const BETWEEN_SENDS: Duration = Duration::from_millis(250);

/// A queue of at most `most` events, at least one, and the future that fills it.
pub(super) fn queue(events: Events, most: usize) -> (impl Future<Output = ()> + Send, EventQueue) {
    let (sender, receiver) = channel(most.max(1));
    (fill(events, sender), EventQueue { receiver })
}

/// Ends with the client, or once nobody takes events any more.
async fn fill(mut events: Events, sender: Sender<OwnedEvent>) {
    while let Some(event) = next(&mut events, &sender).await {
        let room = loop {
            match ::tokio::time::timeout(BETWEEN_SENDS, sender.reserve()).await {
                Ok(Ok(room)) => break room,
                Ok(Err(_abandoned)) => return,
                Err(_full) => events.keep_alive(),
            }
        };
        room.send(event);
    }
}

/// The next event; `None` also if nobody takes events any more.
async fn next(events: &mut Events, sender: &Sender<OwnedEvent>) -> Option<OwnedEvent> {
    let mut abandoned = pin!(sender.closed());
    poll_fn(|context| match abandoned.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => Pin::new(&mut *events).poll_next(context),
    })
    .await
}
