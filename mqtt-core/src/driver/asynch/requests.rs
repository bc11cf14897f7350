//! [`Requests`]: everything that an application asks for without waiting.

use core::fmt;

use super::{Outcome, Share, Stopped, TicketError, state::Borrowed};
use crate::{
    codec::{Login, PacketId, Protocol, Publish, QoS, Will},
    error::{ConfigError, RequestError},
    event::{ConnectionState, Counters},
    handle::{Delivery, Handle},
    source::PublishFrom,
    time::Instant,
    topic::Filter,
};

/// Makes requests. It can be copied, and tasks can share it. No call waits.
///
/// A request is accepted at once, also offline, or refused at once. Its outcome is an event; a [`Ticket`] waits for it.
pub struct Requests<'s, L> {
    share: &'s L,
}

impl<L> Clone for Requests<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Requests<'_, L> {}

impl<L> fmt::Debug for Requests<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

impl<'s, L: Share> Requests<'s, L> {
    pub(super) const fn new(share: &'s L) -> Self {
        Self { share }
    }

    pub(super) const fn share(self) -> &'s L {
        self.share
    }

    fn request<T>(
        self,
        make: impl FnOnce(&mut Borrowed<'_>) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        self.share.with(|state| state.request(make))
    }

    /// As [`mqtt_core::Client::publish`](crate::Client::publish).
    ///
    /// # Errors
    ///
    /// As that function. [`Client::publish`](super::Client::publish) waits for room.
    pub fn try_publish(self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        self.request(|client| client.publish(publish))
    }

    /// As [`mqtt_core::Client::publish_from`](crate::Client::publish_from).
    ///
    /// # Errors
    ///
    /// As that function. [`Client::publish_from`](super::Client::publish_from) waits for room.
    pub fn try_publish_from(self, publish: &PublishFrom<'_>) -> Result<Handle, RequestError> {
        self.request(|client| client.publish_from(publish))
    }

    /// As [`try_publish`](Self::try_publish), and sets the position, both in the same record of the journal: for
    /// messages from a source that can be read again. See [`mqtt_core::Client::set_position`](crate::Client::set_position).
    ///
    /// # Errors
    ///
    /// As [`try_publish`](Self::try_publish); the position is unchanged.
    pub fn try_publish_at(
        self,
        publish: &Publish<'_>,
        position: u64,
    ) -> Result<Handle, RequestError> {
        self.request(|client| publish_at(client, publish, Some(position)))
    }

    /// As [`mqtt_core::Client::subscribe`](crate::Client::subscribe).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn subscribe(self, filters: &[(Filter<'_>, QoS)]) -> Result<Handle, RequestError> {
        self.request(|client| client.subscribe(filters))
    }

    /// As [`mqtt_core::Client::unsubscribe`](crate::Client::unsubscribe).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn unsubscribe(self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        self.request(|client| client.unsubscribe(filters))
    }

    /// As [`try_publish`](Self::try_publish), with a ticket for the outcome.
    ///
    /// # Errors
    ///
    /// [`TicketError`]; then nothing was accepted.
    pub fn publish_ticket(self, publish: &Publish<'_>) -> Result<Ticket<'s, L>, TicketError> {
        self.ticket(|client| client.publish(publish))
    }

    /// As [`subscribe`](Self::subscribe), with a ticket for the outcome.
    ///
    /// # Errors
    ///
    /// As [`publish_ticket`](Self::publish_ticket).
    pub fn subscribe_ticket(
        self,
        filters: &[(Filter<'_>, QoS)],
    ) -> Result<Ticket<'s, L>, TicketError> {
        self.ticket(|client| client.subscribe(filters))
    }

    /// As [`unsubscribe`](Self::unsubscribe), with a ticket for the outcome.
    ///
    /// # Errors
    ///
    /// As [`publish_ticket`](Self::publish_ticket).
    pub fn unsubscribe_ticket(self, filters: &[Filter<'_>]) -> Result<Ticket<'s, L>, TicketError> {
        self.ticket(|client| client.unsubscribe(filters))
    }

    fn ticket(
        self,
        make: impl FnOnce(&mut Borrowed<'_>) -> Result<Handle, RequestError>,
    ) -> Result<Ticket<'s, L>, TicketError> {
        let waiting = self.share.with(|state| state.ticket(make))?;
        Ok(Ticket::new(self.share, waiting))
    }

    /// As [`mqtt_core::Client::acknowledge`](crate::Client::acknowledge).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn acknowledge(self, delivery: Delivery) -> Result<(), RequestError> {
        self.request(|client| client.acknowledge(delivery))
    }

    /// As [`acknowledge`](Self::acknowledge), and sets the position, both in the same record of the journal.
    ///
    /// # Errors
    ///
    /// As [`acknowledge`](Self::acknowledge); the position is unchanged.
    pub fn acknowledge_at(self, delivery: Delivery, position: u64) -> Result<(), RequestError> {
        self.request(|client| {
            client.acknowledge(delivery)?;
            client.set_position(position);
            Ok(())
        })
    }

    /// As [`mqtt_core::Client::cancel`](crate::Client::cancel).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn cancel(self, handle: Handle) -> Result<(), RequestError> {
        self.request(|client| client.cancel(handle))
    }

    /// As [`mqtt_core::Client::forget_subscriptions`](crate::Client::forget_subscriptions).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn forget_subscriptions(self, first: usize, count: usize) -> Result<(), RequestError> {
        self.request(|client| client.forget_subscriptions(first, count))
    }

    /// As [`mqtt_core::Client::forget_message`](crate::Client::forget_message).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn forget_message(self, id: PacketId) -> Result<(), RequestError> {
        self.request(|client| client.forget_message(id))
    }

    /// Ends the connection with a DISCONNECT once all accepted requests are sent, and stays offline. The broker does not
    /// publish the will. [`Runner::run`](super::Runner::run) then ends. Requests of a clean session that have no answer
    /// by then end as `Event::Lost`; those of a kept session stay in it.
    pub fn disconnect(self) {
        self.share.with(|state| state.disconnect());
    }

    /// Connects again: after [`disconnect`](Self::disconnect), or before the back-off ends.
    pub fn connect(self) {
        self.share.with(|state| state.connect());
    }

    /// As [`mqtt_core::Client::awake`](crate::Client::awake), for a device that sleeps: work that would be due within
    /// `slack` milliseconds is done now. `now` is by the clock of the runner.
    pub fn awake(self, slack: u32, now: Instant) {
        self.share.with(|state| state.awake(slack, now));
    }

    /// As [`mqtt_core::Client::set_login`](crate::Client::set_login).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn set_login(self, login: Option<Login<'_>>) -> Result<(), ConfigError> {
        self.share.with(|state| state.client.set_login(login))
    }

    /// As [`mqtt_core::Client::set_will`](crate::Client::set_will).
    ///
    /// # Errors
    ///
    /// As that function.
    pub fn set_will(self, will: Option<Will<'_>>) -> Result<(), ConfigError> {
        self.share.with(|state| state.client.set_will(will))
    }

    /// Sets `Options::skip_unreadable` anew.
    pub fn set_skip_unreadable(self, on: bool) {
        self.share.with(|state| state.client.set_skip_unreadable(on));
    }

    /// The state of the connection.
    pub fn state(self) -> ConnectionState {
        self.share.with(|state| state.client.state())
    }

    /// As [`mqtt_core::Client::protocol`](crate::Client::protocol).
    pub fn protocol(self) -> Protocol {
        self.share.with(|state| state.client.protocol())
    }

    /// Counts since the client was made.
    pub fn counters(self) -> Counters {
        self.share.with(|state| *state.client.counters())
    }

    /// Requests in flight.
    pub fn in_flight(self) -> usize {
        self.share.with(|state| state.client.in_flight())
    }

    /// The last position set or restored; 0 at first.
    pub fn position(self) -> u64 {
        self.share.with(|state| state.client.position())
    }

    /// Whether the journal holds everything that was accepted. [`Client::recorded`](super::Client::recorded) waits for it.
    pub fn is_recorded(self) -> bool {
        self.share.with(|state| state.client.is_recorded())
    }
}

/// Publishes, and sets the position behind this message, if there is one.
pub(super) fn publish_at(
    client: &mut Borrowed<'_>,
    publish: &Publish<'_>,
    position: Option<u64>,
) -> Result<Handle, RequestError> {
    let handle = client.publish(publish)?;
    if let Some(position) = position {
        client.set_position(position);
    }
    Ok(handle)
}

/// The right to wait for the outcome of a request. It takes a waiter of the [`Storage`](super::Storage).
///
/// If it is dropped, the outcome is forgotten, and the request stands.
#[must_use = "the outcome is forgotten if the ticket is dropped"]
pub struct Ticket<'s, L: Share> {
    share: &'s L,
    index: usize,
    handle: Handle,
}

impl<L: Share> fmt::Debug for Ticket<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<'s, L: Share> Ticket<'s, L> {
    pub(super) const fn new(share: &'s L, (index, handle): (usize, Handle)) -> Self {
        Self { share, index, handle }
    }

    /// The request.
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: the client has stopped, so there is none.
    pub async fn outcome(self) -> Result<Outcome, Stopped> {
        core::future::poll_fn(|context| {
            self.share.with(|state| state.poll_outcome(self.index, self.handle, context.waker()))
        })
        .await
    }
}

impl<L: Share> Drop for Ticket<'_, L> {
    fn drop(&mut self) {
        self.share.with(|state| state.waiters.forget(self.index, self.handle));
    }
}
