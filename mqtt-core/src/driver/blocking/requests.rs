//! The requesting half. It is cheap to clone and can be shared by threads.

use std::{
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{CONGESTED, Flushed, Shared, State};
use crate::{
    codec::{PacketId, Protocol, Publish, QoS},
    error::RequestError,
    event::{ConnectionState, Counters},
    session::{Delivery, Handle},
    topic::{Filter, Topic},
};

/// Makes requests; clones share one connection.
///
/// A request is accepted at once, also offline, and its outcome is an event. If another thread waits in
/// [`Events::next`](super::Events::next), a call returns only once the transport has taken the ready bytes or is
/// closed.
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Client {
    /// Publishes `payload` to `topic`.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the message was not accepted. [`Client::send_within`] waits for room.
    pub fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<Handle, RequestError> {
        self.send(&Publish::new(Topic::new(topic)?, payload).qos(qos).retain(retain))
    }

    /// Publishes this message.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn send(&self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        self.request(|state| state.client.publish(publish))
    }

    /// Publishes this message and sets the position, both in the same record of the journal.
    ///
    /// It is for messages that come from a source that can be read again, such as a file, with
    /// [`Config::journal`](super::Config::journal). `position` is the place in the source behind this message. After a
    /// restart the application reads the source from [`position`](Self::position) on, so no message is lost and none is
    /// published twice.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`]; the position is unchanged.
    pub fn publish_at(&self, publish: &Publish<'_>, position: u64) -> Result<Handle, RequestError> {
        self.request(|state| publish_at(state, publish, Some(position)))
    }

    /// Asks for the messages that match `filter`.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<Handle, RequestError> {
        self.subscribe_all(&[(Filter::new(filter)?, qos)])
    }

    /// Asks for the messages that match any of `filters`, in one packet.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn subscribe_all(&self, filters: &[(Filter<'_>, QoS)]) -> Result<Handle, RequestError> {
        self.request(|state| state.client.subscribe(filters))
    }

    /// Ends the subscription to `filter`.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn unsubscribe(&self, filter: &str) -> Result<Handle, RequestError> {
        self.unsubscribe_all(&[Filter::new(filter)?])
    }

    /// Ends the subscriptions to exactly these `filters`, in one packet.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn unsubscribe_all(&self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        self.request(|state| state.client.unsubscribe(filters))
    }

    /// Takes back a request that is not answered, see [`mqtt_core::Client::cancel`](crate::Client::cancel): for one
    /// that stands in the way of the others, such as after `Event::Stuck`. It ends with `Event::Cancelled`.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::cancel`](crate::Client::cancel).
    pub fn cancel(&self, handle: Handle) -> Result<(), RequestError> {
        self.request(|state| state.client.cancel(handle))
    }

    /// Forgets `count` subscriptions from the position `first` on, for use after `Event::RenewalStuck`.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::forget_subscriptions`](crate::Client::forget_subscriptions).
    pub fn forget_subscriptions(&self, first: usize, count: usize) -> Result<(), RequestError> {
        self.request(|state| state.client.forget_subscriptions(first, count))
    }

    /// Sets `Options::skip_unreadable` anew.
    pub fn set_skip_unreadable(&self, on: bool) {
        self.shared.lock().client.set_skip_unreadable(on);
    }

    /// Acknowledges a message, with `Options::manual_acknowledge`.
    ///
    /// # Errors
    ///
    /// [`RequestError::StaleDelivery`] if the message is acknowledged already, or will be sent again by the broker.
    pub fn acknowledge(&self, delivery: Delivery) -> Result<(), RequestError> {
        self.request(|state| state.client.acknowledge(delivery))
    }

    /// Acknowledges a message, with `Options::manual_acknowledge`, and sets the position, both in the same record of
    /// the journal.
    ///
    /// It is for an application that stores the messages that it receives, with
    /// [`Config::journal`](super::Config::journal). `position` is the length of the store with this message in it.
    /// After a restart the application cuts its store to [`position`](Self::position). A message behind that was not
    /// acknowledged, so the broker sends it again, and each message of QoS 2 is in the store once.
    ///
    /// This needs manual acknowledgement: the acknowledgement of the client itself may be recorded, by a request of any
    /// thread, before the application has stored the message and set the position.
    ///
    /// # Errors
    ///
    /// As [`Client::acknowledge`]; the position is unchanged.
    pub fn acknowledge_at(&self, delivery: Delivery, position: u64) -> Result<(), RequestError> {
        self.request(|state| {
            state.client.acknowledge(delivery)?;
            state.client.set_position(position);
            Ok(())
        })
    }

    /// Forgets a QoS 2 message of the broker whose PUBREL never comes: see `Client::forget_message` of the crate's
    /// root.
    ///
    /// # Errors
    ///
    /// [`RequestError::OutboxFull`] if the note for the journal has no room.
    pub fn forget_message(&self, id: PacketId) -> Result<(), RequestError> {
        self.request(|state| state.client.forget_message(id))
    }

    /// Sets the position, a number of the application that [`Config::journal`](super::Config::journal) stores with the
    /// session.
    pub fn set_position(&self, position: u64) {
        let _set = self.request(|state| {
            state.client.set_position(position);
            Ok(())
        });
    }

    /// The position that was set last or, after a restart, the one in the journal; 0 if none was set.
    pub fn position(&self) -> u64 {
        self.shared.lock().client.position()
    }

    /// Sends the accepted packets, then a DISCONNECT, and stays offline: [`Events::next`](super::Events::next) ends.
    /// The broker does not publish the will.
    ///
    /// If [`reconnect`](Self::reconnect) follows before that is done, the client connects again, and
    /// [`Events::next`](super::Events::next) goes on.
    pub fn disconnect(&self) {
        let _sent = self.request(|state| {
            state.client.disconnect();
            Ok(())
        });
    }

    /// Connects again: after [`Client::disconnect`], before the back-off ends, or after the journal failed. The journal
    /// is then tried again.
    pub fn reconnect(&self) {
        let mut state = self.shared.lock();
        state.halted = false;
        state.failure = None;
        state.client.connect();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The state of the connection.
    pub fn state(&self) -> ConnectionState {
        let state = self.shared.lock();
        if state.halted { ConnectionState::Stopped } else { state.client.state() }
    }

    /// The protocol version of the connection or the attempt under way; offline, that of the next attempt.
    pub fn protocol(&self) -> Protocol {
        self.shared.lock().client.protocol()
    }

    /// Counters since the client was made.
    pub fn counters(&self) -> Counters {
        *self.shared.lock().client.counters()
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().client.in_flight()
    }

    /// Publishes this message; if there is no room, waits for room, at most for `timeout`.
    ///
    /// It is not for the thread that calls [`Events::next`](super::Events::next): that thread makes the room, so it
    /// would wait in vain.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`]: at once if the message can never fit, else after `timeout`.
    pub fn send_within(
        &self,
        publish: &Publish<'_>,
        timeout: Duration,
    ) -> Result<Handle, RequestError> {
        self.publish_within(publish, None, timeout)
    }

    /// As [`Client::publish_at`], but waits for room as [`Client::send_within`] does.
    ///
    /// # Errors
    ///
    /// As [`Client::send_within`]; the position is unchanged.
    pub fn publish_at_within(
        &self,
        publish: &Publish<'_>,
        position: u64,
        timeout: Duration,
    ) -> Result<Handle, RequestError> {
        self.publish_within(publish, Some(position), timeout)
    }

    fn publish_within(
        &self,
        publish: &Publish<'_>,
        position: Option<u64>,
        timeout: Duration,
    ) -> Result<Handle, RequestError> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let full = match publish_at(&mut state, publish, position) {
                Ok(handle) => {
                    self.flush(state);
                    return Ok(handle);
                }
                Err(full @ (RequestError::WindowFull { .. } | RequestError::OutboxFull { .. })) => {
                    full
                }
                Err(error) => return Err(error),
            };
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(full);
            }
            // The lock is released only while this thread waits, so no change is missed.
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn request<T>(
        &self,
        make: impl FnOnce(&mut State) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        let mut state = self.shared.lock();
        let made = make(&mut state)?;
        self.flush(state);
        self.shared.changed.notify_all();
        Ok(made)
    }

    /// Appends the records that are due and writes the ready bytes: all of them if no other thread would go on
    /// writing.
    fn flush(&self, mut state: MutexGuard<'_, State>) {
        if state.writer.is_none() && state.journal.is_none() {
            return;
        }
        while matches!(state.flush(self.shared.now()), Flushed::Congested) && state.reading {
            // The receiving thread gets the lock meanwhile.
            let waited = self.shared.changed.wait_timeout(state, CONGESTED);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn publish_at(
    state: &mut State,
    publish: &Publish<'_>,
    position: Option<u64>,
) -> Result<Handle, RequestError> {
    let handle = state.client.publish(publish)?;
    if let Some(position) = position {
        state.client.set_position(position);
    }
    Ok(handle)
}
