//! The requesting half. It is cheap to clone and can be shared by threads.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::{Duration, Instant},
    vec::Vec,
};

use super::{Error, LONGEST_END, Outcome, Shared, State, Unfinished};
use crate::{
    codec::{Login, PacketId, Protocol, Publish, QoS, Will},
    error::RequestError,
    event::{ConnectionState, Counters},
    session::{Delivery, Handle},
    topic::{Filter, Topic},
};

/// Makes requests; clones share one connection.
///
/// A request is accepted at once, also offline, and its outcome is an event. No call waits for the transport.
///
/// # Errors
///
/// All requests: [`Error::Request`] says why the request was refused. [`Error::Journal`]: the journal failed, at this
/// request or before; nothing is accepted any more. [`Error::NotServed`]: nobody serves the connection.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    _lease: Option<Arc<Lease>>,
}

/// All clones of a client hold it. The last one ends the client, if `Config::end_with_clients` is on.
struct Lease(Weak<Shared>);

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(shared) = self.0.upgrade() else { return };
        let ends = shared.lock().ends_with_clients;
        if ends {
            Client::of(&shared).disconnect();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Client {
    /// The client of an application.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let lease = Lease(Arc::downgrade(shared));
        Self { shared: Arc::clone(shared), _lease: Some(Arc::new(lease)) }
    }

    /// The same for the driver itself.
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), _lease: None }
    }

    /// A client that does not count for `Config::end_with_clients`.
    pub(super) fn for_the_driver(&self) -> Self {
        Self::of(&self.shared)
    }

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
    ) -> Result<Handle, Error> {
        self.send(&Publish::new(Topic::new(topic)?, payload).qos(qos).retain(retain))
    }

    /// Publishes this message.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn send(&self, publish: &Publish<'_>) -> Result<Handle, Error> {
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
    pub fn publish_at(&self, publish: &Publish<'_>, position: u64) -> Result<Handle, Error> {
        self.request(|state| publish_at(state, publish, Some(position)))
    }

    /// Asks for the messages that match `filter`.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<Handle, Error> {
        self.subscribe_all(&[(Filter::new(filter)?, qos)])
    }

    /// Asks for the messages that match any of `filters`, in one packet.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn subscribe_all(&self, filters: &[(Filter<'_>, QoS)]) -> Result<Handle, Error> {
        self.request(|state| state.client.subscribe(filters))
    }

    /// Ends the subscription to `filter`.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn unsubscribe(&self, filter: &str) -> Result<Handle, Error> {
        self.unsubscribe_all(&[Filter::new(filter)?])
    }

    /// Ends the subscriptions to exactly these `filters`, in one packet.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn unsubscribe_all(&self, filters: &[Filter<'_>]) -> Result<Handle, Error> {
        self.request(|state| state.client.unsubscribe(filters))
    }

    /// Takes back a request that is not answered, see [`mqtt_core::Client::cancel`](crate::Client::cancel): for one
    /// that stands in the way of the others, such as after `Event::Stuck`. It ends with `Event::Cancelled`.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::cancel`](crate::Client::cancel).
    pub fn cancel(&self, handle: Handle) -> Result<(), Error> {
        self.request(|state| state.client.cancel(handle))
    }

    /// Forgets `count` subscriptions from the position `first` on, for use after `Event::RenewalStuck`.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::forget_subscriptions`](crate::Client::forget_subscriptions).
    pub fn forget_subscriptions(&self, first: usize, count: usize) -> Result<(), Error> {
        self.request(|state| state.client.forget_subscriptions(first, count))
    }

    /// Sets `Options::skip_unreadable` anew.
    pub fn set_skip_unreadable(&self, on: bool) {
        self.shared.lock().client.set_skip_unreadable(on);
    }

    /// Acknowledges a message, with `Options::manual_acknowledge`. If more events of the same read follow, it is sent
    /// together with the acknowledgements of these, once [`Events::next`](super::Events::next) is called again.
    ///
    /// # Errors
    ///
    /// [`RequestError::StaleDelivery`] if the message is acknowledged already, or will be sent again by the broker.
    pub fn acknowledge(&self, delivery: Delivery) -> Result<(), Error> {
        let mut state = self.shared.lock();
        state.check()?;
        state.client.acknowledge(delivery)?;
        self.shared.serve_later(&mut state);
        state.check()
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
    pub fn acknowledge_at(&self, delivery: Delivery, position: u64) -> Result<(), Error> {
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
    pub fn forget_message(&self, id: PacketId) -> Result<(), Error> {
        self.request(|state| state.client.forget_message(id))
    }

    /// Sets the position, a number of the application that [`Config::journal`](super::Config::journal) stores with the
    /// session.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn set_position(&self, position: u64) -> Result<(), Error> {
        self.request(|state| {
            state.client.set_position(position);
            Ok(())
        })
    }

    /// The position that was set last or, after a restart, the one in the journal; 0 if none was set.
    pub fn position(&self) -> u64 {
        self.shared.lock().client.position()
    }

    /// Sends the accepted packets, then a DISCONNECT, and stays offline: [`Events::next`](super::Events::next) ends.
    /// The broker does not publish the will.
    ///
    /// The call itself does not wait. The serving thread then waits until the broker has read everything and closed the
    /// connection, at most five seconds; if [`Events`](super::Events) is dropped instead, at most one. Neither waits for
    /// answers: see [`finish`](Self::finish). With a clean session, requests that have no answer by then end as
    /// `Event::Lost`. With a kept session they stay in it: in the journal, if there is one, else in RAM.
    ///
    /// If [`reconnect`](Self::reconnect) follows before that is done, the client connects again, and
    /// [`Events::next`](super::Events::next) goes on.
    pub fn disconnect(&self) {
        let mut state = self.shared.lock();
        state.disconnects = true;
        state.client.disconnect();
        self.shared.serve(&mut state);
        self.shared.wake(&mut state);
    }

    /// Waits until every request is answered, at most for `timeout`; then [`disconnect`](Self::disconnect)s, and waits
    /// until the connection has ended.
    ///
    /// Another thread has to serve the connection meanwhile, such as that of [`Config::spawn`](super::Config::spawn).
    /// The serving thread itself calls [`Events::finish`](super::Events::finish).
    ///
    /// # Errors
    ///
    /// [`Unfinished`]: these requests had no answer in time.
    pub fn finish(&self, timeout: Duration) -> Result<(), Unfinished> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            if state.client.is_idle() || state.check().is_err() || left.is_zero() {
                break;
            }
            state = self.shared.wait(state, left);
        }
        let handles: Vec<_> = state.client.unanswered().collect();
        drop(state);
        self.disconnect();
        let mut state = self.shared.lock();
        // A transport may take no DISCONNECT for the first time, and a broker may stay open for the second.
        let longest = Duration::from_millis(state.client.connect_timeout().into()) + LONGEST_END;
        let start = Instant::now();
        while state.check().is_ok()
            && (state.link.is_some() || state.connection() != ConnectionState::Stopped)
            && state.disconnects
        {
            let left = longest.saturating_sub(start.elapsed());
            if left.is_zero() {
                // Nobody serves the connection.
                break;
            }
            state = self.shared.wait(state, left);
        }
        if handles.is_empty() { Ok(()) } else { Err(Unfinished { handles }) }
    }

    /// Waits for the outcome of a request, at most for `timeout`. Another thread has to serve the connection meanwhile;
    /// the serving thread itself calls [`Events::wait`](super::Events::wait).
    ///
    /// The outcomes of the last requests are kept, as many as `Config::window` says and 64 at least, so the call may
    /// come late. Several threads may wait for one request.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Stopped`] and [`Error::NotServed`] if it will not come; [`Error::Unknown`] if it
    /// came too long ago.
    pub fn wait(&self, handle: Handle, timeout: Duration) -> Result<Outcome, Error> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        loop {
            if let Some(outcome) = state.outcomes.of(handle) {
                return Ok(outcome.clone());
            }
            state.check()?;
            if !state.client.may_be_unanswered(handle) {
                return Err(Error::Unknown);
            }
            if state.connection() == ConnectionState::Stopped && !state.client.has_event() {
                return Err(Error::Stopped);
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(Error::TimedOut);
            }
            state = self.shared.wait(state, left);
        }
    }

    /// Publishes this message and waits for its outcome: [`send_within`](Self::send_within), then [`wait`](Self::wait),
    /// in `timeout` together.
    ///
    /// # Errors
    ///
    /// Those of both; [`Error::Failed`] with the outcome if the message was not published. After [`Error::TimedOut`] it
    /// may still be.
    pub fn publish_wait(&self, publish: &Publish<'_>, timeout: Duration) -> Result<(), Error> {
        let start = Instant::now();
        let handle = self.send_within(publish, timeout)?;
        let outcome = self.wait(handle, timeout.saturating_sub(start.elapsed()))?;
        let published = matches!(outcome, Outcome::Published | Outcome::Downgraded);
        if published { Ok(()) } else { Err(Error::Failed(outcome)) }
    }

    /// Asks for the messages that match `filter` and waits for the answer. Gives the granted QoS.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe) and [`wait`](Self::wait); [`Error::Failed`] if the broker refuses.
    pub fn subscribe_wait(&self, filter: &str, qos: QoS, timeout: Duration) -> Result<QoS, Error> {
        let handle = self.subscribe(filter, qos)?;
        let outcome = self.wait(handle, timeout)?;
        if let Outcome::Subscribed(granted) = &outcome {
            if let Some(Some(granted)) = granted.first() {
                return Ok(*granted);
            }
        }
        Err(Error::Failed(outcome))
    }

    /// Connects again: after [`Client::disconnect`], before the back-off ends, or after the journal failed. The journal
    /// is then tried again.
    pub fn reconnect(&self) {
        let mut state = self.shared.lock();
        state.failed = None;
        state.disconnects = false;
        state.client.connect();
        self.shared.wake(&mut state);
        self.shared.tell(&state);
    }

    /// The login of the next connections, for one that expires. `Options::connect_room` makes room for a longer one.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::set_login`](crate::Client::set_login), as [`Error::Config`].
    pub fn set_login(&self, login: Option<Login<'_>>) -> Result<(), Error> {
        Ok(self.shared.lock().client.set_login(login)?)
    }

    /// The will of the next connections.
    ///
    /// # Errors
    ///
    /// As [`set_login`](Self::set_login).
    pub fn set_will(&self, will: Option<Will<'_>>) -> Result<(), Error> {
        Ok(self.shared.lock().client.set_will(will)?)
    }

    /// The state of the connection.
    pub fn state(&self) -> ConnectionState {
        self.shared.lock().connection()
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
    pub fn send_within(&self, publish: &Publish<'_>, timeout: Duration) -> Result<Handle, Error> {
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
    ) -> Result<Handle, Error> {
        self.publish_within(publish, Some(position), timeout)
    }

    fn publish_within(
        &self,
        publish: &Publish<'_>,
        position: Option<u64>,
        timeout: Duration,
    ) -> Result<Handle, Error> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        loop {
            state.check()?;
            let full = match publish_at(&mut state, publish, position) {
                Ok(handle) => {
                    self.shared.serve(&mut state);
                    return state.check().map(|()| handle);
                }
                Err(full @ (RequestError::WindowFull { .. } | RequestError::OutboxFull { .. })) => {
                    full
                }
                Err(error) => return Err(error.into()),
            };
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(full.into());
            }
            // The lock is released only while this thread waits, so no change is missed.
            state = self.shared.wait(state, left);
        }
    }

    fn request<T>(
        &self,
        make: impl FnOnce(&mut State) -> Result<T, RequestError>,
    ) -> Result<T, Error> {
        let mut state = self.shared.lock();
        state.check()?;
        let made = make(&mut state)?;
        self.shared.serve(&mut state);
        // The journal may have failed at this very request.
        if let Some(error) = &state.failed {
            let error = error.again();
            self.shared.wake(&mut state);
            return Err(error);
        }
        Ok(made)
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
