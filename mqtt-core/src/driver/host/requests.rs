//! [`Requests`]: the requesting half, as far as it does not wait.

use std::{
    boxed::Box,
    fmt,
    sync::{Arc, Weak},
};

use super::{Error, Payload, feeding::of_payload, shared::Shared, state::State};
use crate::{
    codec::{Login, PacketId, Protocol, Publish, QoS, Will},
    error::RequestError,
    event::{ConnectionState, Counters},
    session::{Delivery, Handle},
    source::{PublishFrom, SourceId},
    topic::{Filter, Topic},
};

/// The requests that a client of either driver makes without a wait: it is reached through
/// [`blocking::Client`](crate::driver::blocking::Client) or `tokio::Client`.
///
/// A request is accepted at once, also offline, and its outcome is an event. No call waits for the transport.
///
/// # Errors
///
/// All requests: [`Error::Request`] says why the request was refused. [`Error::Journal`]: the journal failed, at this
/// request or before; nothing is accepted any more. [`Error::NotServed`]: nobody serves the connection.
#[derive(Clone)]
pub struct Requests {
    pub(crate) shared: Arc<Shared>,
    _lease: Option<Arc<Lease>>,
}

/// All clones of a client hold it. The last one ends the client, if `Config::end_with_clients` is on.
struct Lease(Weak<Shared>);

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(shared) = self.0.upgrade() else { return };
        let ends = shared.lock().ends_with_clients;
        if ends {
            Requests::of(&shared).disconnect();
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Requests {
    /// The client of an application.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let lease = Lease(Arc::downgrade(shared));
        Self { shared: Arc::clone(shared), _lease: Some(Arc::new(lease)) }
    }

    /// The same for the driver itself.
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), _lease: None }
    }

    /// A client that does not count for `Config::end_with_clients`.
    pub(crate) fn for_the_driver(&self) -> Self {
        Self::of(&self.shared)
    }

    /// Publishes `payload` to `topic`.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the message was not accepted. `publish` of `tokio::Client` waits for room, and so does
    /// [`blocking::Client::send_within`](crate::driver::blocking::Client::send_within).
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
    /// As [`Requests::publish`].
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
    /// As [`Requests::publish`]; the position is unchanged.
    pub fn publish_at(&self, publish: &Publish<'_>, position: u64) -> Result<Handle, Error> {
        self.request(|state| publish_at(state, publish, Some(position)))
    }

    /// Publishes the bytes of `payload` to `topic`, a file for instance. They are not copied into the outbox, but read
    /// while they are sent, so the message may be far larger than the outbox.
    ///
    /// After a broken connection the payload is read again from its beginning. It is dropped once the message has
    /// ended. If it cannot be read, the message ends as `Event::SourceFailed`, and `Events::last_error` has the error.
    ///
    /// `source` is a number that the application chooses. With [`Config::journal`](super::Config::journal) it is
    /// recorded instead of the bytes, and after a restart [`Config::payloads`](super::Config::payloads) is asked for
    /// them. Without a journal it only names the payload in errors.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish`], and [`Error::Source`].
    pub fn publish_from(
        &self,
        topic: &str,
        source: SourceId,
        mut payload: impl Payload + 'static,
        qos: QoS,
        retain: bool,
    ) -> Result<Handle, Error> {
        let publish = of_payload(topic, source, &mut payload, qos, retain)?;
        self.request(|state| {
            let handle = state.client.publish_from(&publish)?;
            state.feeding.add(handle, Box::new(payload));
            Ok(handle)
        })
    }

    /// Asks for the messages that match `filter`.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish`].
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<Handle, Error> {
        self.subscribe_all(&[(Filter::new(filter)?, qos)])
    }

    /// Asks for the messages that match any of `filters`, in one packet.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish`].
    pub fn subscribe_all(&self, filters: &[(Filter<'_>, QoS)]) -> Result<Handle, Error> {
        self.request(|state| state.client.subscribe(filters))
    }

    /// Ends the subscription to `filter`.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish`].
    pub fn unsubscribe(&self, filter: &str) -> Result<Handle, Error> {
        self.unsubscribe_all(&[Filter::new(filter)?])
    }

    /// Ends the subscriptions to exactly these `filters`, in one packet.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish`].
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
    /// together with the acknowledgements of these, once the next event is asked for.
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
    /// As [`Requests::acknowledge`]; the position is unchanged.
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
    /// As [`Requests::publish`].
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

    /// Sends the accepted packets, then a DISCONNECT, and stays offline: the events end. The broker does not publish
    /// the will.
    ///
    /// The call itself does not wait. Whoever serves the connection then waits until the broker has read everything and
    /// closed the connection, at most five seconds. If `Events` is dropped instead, the one for threads waits at most
    /// for one second, and the one for tasks not at all. None of them waits for answers: `finish` does. With a clean
    /// session, requests that have no answer by then end as `Event::Lost`. With a kept session they stay in it: in the
    /// journal, if there is one, else in RAM.
    ///
    /// If [`reconnect`](Self::reconnect) follows before that is done, the client connects again, and the events go on.
    pub fn disconnect(&self) {
        let mut state = self.shared.lock();
        state.disconnects = true;
        state.client.disconnect();
        self.shared.serve(&mut state);
        self.shared.wake(&mut state);
    }

    /// Connects again: after [`Requests::disconnect`], before the back-off ends, or after the journal failed. The journal
    /// is then tried again.
    pub fn reconnect(&self) {
        let mut state = self.shared.lock();
        state.failed = None;
        state.disconnects = false;
        state.client.connect();
        self.shared.wake(&mut state);
        self.shared.tell_all(&mut state);
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

    fn request<T>(
        &self,
        make: impl FnOnce(&mut State) -> Result<T, RequestError>,
    ) -> Result<T, Error> {
        self.shared.request(&mut self.shared.lock(), make)
    }
}

/// How a publish that may wait for room went.
pub(crate) enum Sent {
    Accepted(Handle),
    /// There is no room now.
    Full(RequestError),
}

impl Shared {
    /// Makes a request.
    pub(crate) fn request<T>(
        &self,
        state: &mut State,
        make: impl FnOnce(&mut State) -> Result<T, RequestError>,
    ) -> Result<T, Error> {
        state.check()?;
        let made = make(state)?;
        self.serve(state);
        // The journal may have failed at this very request.
        if let Some(error) = &state.failed {
            let error = error.again();
            self.wake(state);
            return Err(error);
        }
        Ok(made)
    }

    /// Publishes if there is room.
    pub(crate) fn send(
        &self,
        state: &mut State,
        publish: &Publish<'_>,
        position: Option<u64>,
    ) -> Result<Sent, Error> {
        state.check()?;
        match publish_at(state, publish, position) {
            Ok(handle) => {
                self.serve(state);
                state.check().map(|()| Sent::Accepted(handle))
            }
            Err(full) if full.is_full() => Ok(Sent::Full(full)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Shared {
    /// Publishes `payload` if there is room.
    pub(crate) fn send_from(
        &self,
        state: &mut State,
        publish: &PublishFrom<'_>,
        payload: &mut Option<Box<dyn Payload>>,
    ) -> Result<Sent, Error> {
        state.check()?;
        match state.client.publish_from(publish) {
            Ok(handle) => {
                if let Some(payload) = payload.take() {
                    state.feeding.add(handle, payload);
                }
                self.serve(state);
                state.check().map(|()| Sent::Accepted(handle))
            }
            Err(full) if full.is_full() => Ok(Sent::Full(full)),
            Err(error) => Err(error.into()),
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
