//! The requesting half: cheap to clone, shared by threads.

use std::{
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{CONGESTED, Config, Error, Events, Flushed, Shared, State};
use crate::{
    codec::{Protocol, Publish, QoS},
    error::RequestError,
    event::{ConnectionState, Counters, Delivery, Handle},
    options::Options,
    topic::{Filter, Topic},
};

/// Makes requests; clones share one connection.
///
/// A request is accepted at once, also offline, and its outcome is an event. While another thread waits in
/// [`Events::next`] a call returns only when the transport has taken what was ready, or is gone.
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
    /// Connects over TCP to `broker`, `host:port`, with default sizes, and waits until it accepts; [`Config`] has
    /// more to choose.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], or why the connection could not be made.
    pub fn connect(broker: &str, options: &Options<'_>) -> Result<(Self, Events), Error> {
        Config::new(options).connect(&[broker])
    }

    /// Publishes `payload` to `topic`.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was accepted. [`Client::send_within`] waits for room.
    pub fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<Handle, RequestError> {
        self.send(&Publish::new(Topic::new(topic)?, payload).qos(qos).retain(retain))
    }

    /// Publishes a message made beforehand.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn send(&self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        self.request(|state| state.client.publish(publish))
    }

    /// Publishes a message made beforehand, and sets the position: both are kept in the same record.
    ///
    /// With [`Config::journal`], where messages come from a source that can be read again: the position is the place
    /// behind this one. After a restart the application goes on from [`position`](Self::position), and none is lost or
    /// published twice.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`]; the position is what it was.
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

    /// Acknowledges a message, with `Options::manual_acknowledge`.
    ///
    /// # Errors
    ///
    /// [`RequestError::StaleDelivery`] where that was done before, or the message comes again.
    pub fn acknowledge(&self, delivery: Delivery) -> Result<(), RequestError> {
        self.request(|state| state.client.acknowledge(delivery))
    }

    /// Acknowledges a message, with `Options::manual_acknowledge`, and sets the position: both are kept in the same record.
    ///
    /// With [`Config::journal`], where messages are stored: the position is the length of the store with this one in it.
    /// After a restart the application cuts its store to [`position`](Self::position); a message behind that was not
    /// acknowledged and comes again, so each of QoS 2 is in the store once.
    ///
    /// It takes manual acknowledgement: a message that is acknowledged by itself may be in a record, by any thread's
    /// doing, before the application has stored it and set the position.
    ///
    /// # Errors
    ///
    /// As [`Client::acknowledge`]; the position is what it was.
    pub fn acknowledge_at(&self, delivery: Delivery, position: u64) -> Result<(), RequestError> {
        self.request(|state| {
            state.client.acknowledge(delivery)?;
            state.client.set_position(position);
            Ok(())
        })
    }

    /// Sets the position, a number of the application's that [`Config::journal`] keeps.
    pub fn set_position(&self, position: u64) {
        let _set = self.request(|state| {
            state.client.set_position(position);
            Ok(())
        });
    }

    /// The position as last set or, after a restart, as kept; 0 at first.
    pub fn position(&self) -> u64 {
        self.shared.lock().client.position()
    }

    /// Sends what was accepted, then a DISCONNECT, and stays offline: [`Events::next`] ends. The will is not
    /// published.
    pub fn disconnect(&self) {
        let _sent = self.request(|state| {
            state.client.disconnect();
            Ok(())
        });
    }

    /// Connects again after [`Client::disconnect`], or ahead of the back-off; after the journal failed, tries that
    /// again as well.
    pub fn reconnect(&self) {
        let mut state = self.shared.lock();
        state.halted = false;
        state.failure = None;
        state.client.connect();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Where the connection stands.
    pub fn state(&self) -> ConnectionState {
        let state = self.shared.lock();
        if state.halted { ConnectionState::Stopped } else { state.client.state() }
    }

    /// The protocol version in use; with `Version::Auto`, the one to be tried next or the one that worked.
    pub fn protocol(&self) -> Protocol {
        self.shared.lock().client.protocol()
    }

    /// Numbers since the client was made.
    pub fn counters(&self) -> Counters {
        *self.shared.lock().client.counters()
    }

    /// Requests that await an answer.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().client.in_flight()
    }

    /// Publishes a message made beforehand; where it finds no room, waits for some, at most for `timeout`.
    ///
    /// For threads other than the one that calls [`Events::next`]: that is the one that makes room.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`]: at once where it never fits, else after `timeout`.
    pub fn send_within(
        &self,
        publish: &Publish<'_>,
        timeout: Duration,
    ) -> Result<Handle, RequestError> {
        self.publish_within(publish, None, timeout)
    }

    /// [`Client::publish_at`], waiting for room as [`Client::send_within`] does.
    ///
    /// # Errors
    ///
    /// As [`Client::send_within`]; the position is what it was.
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
            // The lock is let go only while it waits, so no change is missed.
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

    /// Records what has to be, and writes what is ready; with nobody else to go on writing, all of it.
    fn flush(&self, mut state: MutexGuard<'_, State>) {
        if state.writer.is_none() && state.keeper.is_none() {
            return;
        }
        while matches!(state.flush(self.shared.now()), Flushed::Congested) && state.reading {
            // Also lets the receiving thread have the lock.
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
