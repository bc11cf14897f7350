//! [`Client`]: requests that wait for room, and for outcomes.

use core::{fmt, future::poll_fn, ops::Deref, task::Poll};

use super::{
    Outcome, Requests, Share, State, Ticket, TicketError, WaitError, requests::publish_at,
    state::Borrowed, waiters::Seat,
};
use crate::{
    codec::{Publish, QoS},
    error::RequestError,
    event::ConnectionState,
    handle::Handle,
    source::PublishFrom,
    topic::Filter,
};

/// Makes requests, and waits: for the tasks of an application, but for the one that handles events. It can be copied,
/// and has all methods of [`Requests`].
///
/// Every future may be dropped while it is pending. If it waited for room, nothing was accepted. If it waited for an
/// outcome, the request stands.
pub struct Client<'s, L> {
    requests: Requests<'s, L>,
}

impl<L> Clone for Client<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Client<'_, L> {}

impl<L> fmt::Debug for Client<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl<'s, L> Deref for Client<'s, L> {
    type Target = Requests<'s, L>;

    fn deref(&self) -> &Requests<'s, L> {
        &self.requests
    }
}

impl<'s, L: Share> Client<'s, L> {
    pub(super) const fn new(requests: Requests<'s, L>) -> Self {
        Self { requests }
    }

    /// Publishes this message; if there is no room, waits for room.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::publish`](crate::Client::publish), but for those that say that there is no room now.
    pub async fn publish(self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        self.accepted(|client| client.publish(publish)).await
    }

    /// Publishes this message from a source; if there is no room for its head, waits for room.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::publish_from`](crate::Client::publish_from), but for those that say that there is no room
    /// now.
    pub async fn publish_from(self, publish: &PublishFrom<'_>) -> Result<Handle, RequestError> {
        self.accepted(|client| client.publish_from(publish)).await
    }

    /// Publishes this message from a source, and waits for its outcome.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub async fn publish_from_wait(self, publish: &PublishFrom<'_>) -> Result<Outcome, WaitError> {
        self.outcome(|client| client.publish_from(publish)).await
    }

    /// As [`Requests::try_publish_at`]; if there is no room, waits for room.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_at(
        self,
        publish: &Publish<'_>,
        position: u64,
    ) -> Result<Handle, RequestError> {
        self.accepted(|client| publish_at(client, publish, Some(position))).await
    }

    /// Publishes this message, and waits for its outcome.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub async fn publish_wait(self, publish: &Publish<'_>) -> Result<Outcome, WaitError> {
        self.outcome(|client| client.publish(publish)).await
    }

    /// Asks for the messages that match `filters`, and waits for the answer: the lowest QoS that was granted, or `None`
    /// if a filter was refused. The event has the code of each.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub async fn subscribe_wait(self, filters: &[(Filter<'_>, QoS)]) -> Result<Outcome, WaitError> {
        self.outcome(|client| client.subscribe(filters)).await
    }

    /// Ends the subscriptions to exactly these `filters`, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub async fn unsubscribe_wait(self, filters: &[Filter<'_>]) -> Result<Outcome, WaitError> {
        self.outcome(|client| client.unsubscribe(filters)).await
    }

    /// Waits until the broker has accepted a connection.
    pub async fn up(self) {
        self.until(|state| state.client.state() == ConnectionState::Up).await;
    }

    /// Waits until the journal holds everything that was accepted so far: a power cut then loses none of it.
    pub async fn recorded(self) {
        self.until(|state| state.client.is_recorded()).await;
    }

    /// Waits until every request is answered, and its event was given.
    pub async fn idle(self) {
        self.until(|state| state.client.is_idle()).await;
    }

    /// Waits until the client is stopped.
    pub async fn stopped(self) {
        self.until(|state| state.client.state() == ConnectionState::Stopped).await;
    }

    /// Waits until every request is answered, then disconnects, and waits until that is done. A time-out around it is
    /// the application's; after it, `disconnect` ends the connection without the answers.
    pub async fn finish(self) {
        self.idle().await;
        self.disconnect();
        self.stopped().await;
    }

    /// Waits until `make` is accepted, or refused for another reason than room.
    async fn accepted<T>(
        self,
        mut make: impl FnMut(&mut Borrowed<'_>) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        self.poll_changes(|state| match state.request(&mut make) {
            Err(error) if error.is_full() => Poll::Pending,
            made => Poll::Ready(made),
        })
        .await
    }

    async fn outcome(
        self,
        mut make: impl FnMut(&mut Borrowed<'_>) -> Result<Handle, RequestError>,
    ) -> Result<Outcome, WaitError> {
        let waiting = self
            .poll_changes(|state| match state.ticket(&mut make) {
                Err(TicketError::NoWaiter) if state.waiters.are_none() => {
                    Poll::Ready(Err(WaitError::NoWaiters))
                }
                Err(TicketError::NoWaiter) => Poll::Pending,
                Err(TicketError::Request(error)) if error.is_full() => Poll::Pending,
                Err(TicketError::Request(error)) => Poll::Ready(Err(error.into())),
                Ok(waiting) => Poll::Ready(Ok(waiting)),
            })
            .await?;
        Ok(Ticket::new(self.requests.share(), waiting).outcome().await?)
    }

    async fn until(self, mut reached: impl FnMut(&State<'_>) -> bool) {
        self.poll_changes(|state| if reached(state) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    /// Calls `poll` now, and after each change that tasks may wait for.
    async fn poll_changes<T>(self, mut poll: impl FnMut(&mut State<'_>) -> Poll<T>) -> T {
        let share = self.requests.share();
        let mut place = Place { share, seat: Seat::default() };
        poll_fn(|context| {
            share.with(|state| {
                state.waiters.rise(&mut place.seat);
                let polled = poll(state);
                if polled.is_pending() {
                    state.waiters.wait(&mut place.seat, context.waker());
                }
                polled
            })
        })
        .await
    }
}

/// The place of a task that waits. It is free again when this is dropped.
struct Place<'s, L: Share> {
    share: &'s L,
    seat: Seat,
}

impl<L: Share> Drop for Place<'_, L> {
    fn drop(&mut self) {
        self.share.with(|state| state.waiters.leave(&mut self.seat));
    }
}
