//! The requesting half for tasks: what waits. It is cheap to clone and can be shared by tasks and threads.

use core::{
    fmt,
    future::poll_fn,
    ops::Deref,
    task::{Context, Poll},
    time::Duration,
};

use std::boxed::Box;

use super::{Error, Outcome, Payload, Requests, Unfinished};
use crate::{
    codec::{Publish, QoS},
    driver::host::{
        feeding::of_payload,
        requests::Sent,
        shared::Shared,
        state::State,
        waiters::{Awaited, Place},
    },
    session::Handle,
    source::SourceId,
    topic::{Filter, Topic},
};

/// Makes requests; clones share one connection.
///
/// The requests that do not wait are those of [`Requests`], to which this type dereferences. The calls of this type
/// itself wait as long as it takes; `tokio::time::timeout` limits that. They wait in vain unless something polls
/// [`Events`](super::Events) meanwhile.
///
/// # Cancel safety
///
/// If the future of a publish is dropped before it is ready, nothing was accepted. After that a message is sent whether
/// or not anybody waits for its outcome: so a `_wait` that is dropped may have been accepted.
#[derive(Clone)]
pub struct Client {
    requests: Requests,
}

impl Deref for Client {
    type Target = Requests;

    fn deref(&self) -> &Requests {
        &self.requests
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) const fn new(requests: Requests) -> Self {
        Self { requests }
    }

    /// Publishes `payload` to `topic`; if there is no room, waits for room. With [`Config::journal`](super::Config::journal) the message is in
    /// the journal once this returns: the task that publishes appends the record, and its thread waits as long as that
    /// takes.
    ///
    /// Tasks that wait are served in the order in which they began to wait; a request that finds room does not wait for
    /// them.
    ///
    /// # Errors
    ///
    /// As all [`Requests`]; at once, if the message can never fit.
    pub async fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<Handle, Error> {
        self.send(&Publish::new(Topic::new(topic)?, payload).qos(qos).retain(retain)).await
    }

    /// Publishes this message, as [`publish`](Self::publish) does.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn send(&self, publish: &Publish<'_>) -> Result<Handle, Error> {
        self.send_with(publish, None).await
    }

    /// As [`try_publish_at`](Self::try_publish_at), but waits for room.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); the position is unchanged.
    pub async fn publish_at(&self, publish: &Publish<'_>, position: u64) -> Result<Handle, Error> {
        self.send_with(publish, Some(position)).await
    }

    /// Publishes `payload` to `topic` if there is room.
    ///
    /// # Errors
    ///
    /// As all [`Requests`]; the message was not accepted.
    pub fn try_publish(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<Handle, Error> {
        self.requests.publish(topic, payload, qos, retain)
    }

    /// Publishes this message if there is room.
    ///
    /// # Errors
    ///
    /// As [`try_publish`](Self::try_publish).
    pub fn try_send(&self, publish: &Publish<'_>) -> Result<Handle, Error> {
        self.requests.send(publish)
    }

    /// Publishes this message if there is room, and sets the position: see [`Requests::publish_at`].
    ///
    /// # Errors
    ///
    /// As [`try_publish`](Self::try_publish); the position is unchanged.
    pub fn try_publish_at(&self, publish: &Publish<'_>, position: u64) -> Result<Handle, Error> {
        self.requests.publish_at(publish, position)
    }

    /// Publishes `payload` to `topic`, and waits until the broker has it as often as `qos` says. For QoS 0: until the
    /// transport has taken it.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish) and [`wait`](Self::wait); [`Error::Failed`] with the outcome if the message was not
    /// published.
    pub async fn publish_wait(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<(), Error> {
        self.send_wait(&Publish::new(Topic::new(topic)?, payload).qos(qos).retain(retain)).await
    }

    /// The same for this message.
    ///
    /// # Errors
    ///
    /// As [`publish_wait`](Self::publish_wait).
    pub async fn send_wait(&self, publish: &Publish<'_>) -> Result<(), Error> {
        let sent = |state: &mut State| self.shared.send(state, publish, None);
        self.outcome_of(sent).await?.published()
    }

    /// Publishes the bytes of `payload` to `topic`; if there is no room for the head of the message, waits for room. See
    /// [`Requests::publish_from`]. A thread of the runtime for blocking work reads the payload, so its end waits for a
    /// read that is under way.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Source`].
    pub async fn publish_from(
        &self,
        topic: &str,
        source: SourceId,
        mut payload: impl Payload + 'static,
        qos: QoS,
        retain: bool,
    ) -> Result<Handle, Error> {
        let publish = of_payload(topic, source, &mut payload, qos, retain)?;
        let mut payload: Option<Box<dyn Payload>> = Some(Box::new(payload));
        self.when_there_is_room(|state| self.shared.send_from(state, &publish, &mut payload)).await
    }

    /// Asks for the messages that match `filter` and waits for the answer. Gives the granted QoS.
    ///
    /// # Errors
    ///
    /// As [`Requests::subscribe`] and [`wait`](Self::wait); [`Error::Failed`] if the broker refuses.
    pub async fn subscribe_wait(&self, filter: &str, qos: QoS) -> Result<QoS, Error> {
        let filters = [(Filter::new(filter)?, qos)];
        let subscribe = |state: &mut State| {
            let request = self.shared.request(state, |state| state.client.subscribe(&filters));
            request.map(Sent::Accepted)
        };
        self.outcome_of(subscribe).await?.granted()
    }

    /// Ends the subscription to `filter` and waits for the answer.
    ///
    /// # Errors
    ///
    /// As [`Requests::unsubscribe`] and [`wait`](Self::wait); [`Error::Failed`] with the outcome if the request was
    /// taken back.
    pub async fn unsubscribe_wait(&self, filter: &str) -> Result<(), Error> {
        let filters = [Filter::new(filter)?];
        let unsubscribe = |state: &mut State| {
            let request = self.shared.request(state, |state| state.client.unsubscribe(&filters));
            request.map(Sent::Accepted)
        };
        self.outcome_of(unsubscribe).await?.unsubscribed()
    }

    /// Waits for the outcome of a request. Several tasks may wait for one request.
    ///
    /// The outcomes of the last requests are kept, as many as `Config::window` says and 64 at least, so the call may
    /// come late.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] and [`Error::NotServed`] if it will not come; [`Error::Unknown`] if it came too long ago.
    pub async fn wait(&self, handle: Handle) -> Result<Outcome, Error> {
        self.outcome_of(|_: &mut State| Ok(Sent::Accepted(handle))).await
    }

    /// Waits until every request is answered, at most for `timeout`; then [`disconnect`](Requests::disconnect)s, and
    /// waits until the connection has ended: for the time of a connection attempt and five seconds at most.
    ///
    /// Another task has to serve the connection meanwhile; that task itself calls [`Events::finish`](super::Events::finish).
    ///
    /// # Errors
    ///
    /// [`Unfinished`]: these requests had no answer in time.
    pub async fn finish(&self, timeout: Duration) -> Result<(), Unfinished> {
        let _in_time = ::tokio::time::timeout(timeout, self.until(State::is_answered)).await;
        let finished = self.shared.lock().unfinished();
        self.disconnect();
        loop {
            let (longest, sent) = self.shared.lock().longest_disconnect();
            let ended = self.until(State::is_disconnected);
            // If nothing is sent for so long, nobody serves the connection.
            if ::tokio::time::timeout(longest, ended).await.is_ok()
                || self.shared.lock().client.counters().bytes_out == sent
            {
                break finished;
            }
        }
    }

    async fn send_with(
        &self,
        publish: &Publish<'_>,
        position: Option<u64>,
    ) -> Result<Handle, Error> {
        self.when_there_is_room(|state| self.shared.send(state, publish, position)).await
    }

    /// Not an async function: that would keep the request twice.
    fn when_there_is_room<'c>(
        &'c self,
        mut request: impl FnMut(&mut State) -> Result<Sent, Error> + 'c,
    ) -> impl Future<Output = Result<Handle, Error>> + 'c {
        let mut turn = self.turn();
        poll_fn(move |context| {
            let mut state = self.shared.lock();
            let full = match request(&mut state) {
                Ok(Sent::Accepted(handle)) => return Poll::Ready(Ok(handle)),
                Ok(Sent::Full(full)) => full,
                Err(error) => return Poll::Ready(Err(error)),
            };
            turn.wait(&mut state, Awaited::of(&full), context);
            Poll::Pending
        })
    }

    /// Makes a request, if need be once there is room, and waits for its outcome. It waits from the moment on in which
    /// the request was made, so no number of other outcomes hides its own.
    async fn outcome_of(
        &self,
        mut request: impl FnMut(&mut State) -> Result<Sent, Error>,
    ) -> Result<Outcome, Error> {
        let mut turn = self.turn();
        let mut made = None;
        poll_fn(|context| {
            let mut state = self.shared.lock();
            if let Some(outcome) = state.tasks.outcome(turn.place) {
                return Poll::Ready(Ok(outcome));
            }
            let handle =
                match made.map_or_else(|| request(&mut state), |made| Ok(Sent::Accepted(made))) {
                    Ok(Sent::Accepted(handle)) => handle,
                    Ok(Sent::Full(full)) => {
                        turn.wait(&mut state, Awaited::of(&full), context);
                        return Poll::Pending;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                };
            made = Some(handle);
            if let Some(end) = state.outcome(handle).transpose() {
                return Poll::Ready(end);
            }
            turn.wait(&mut state, Awaited::Outcome(handle), context);
            Poll::Pending
        })
        .await
    }

    /// Waits until the state is as `is_so` says.
    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        let mut turn = self.turn();
        poll_fn(|context| {
            let mut state = self.shared.lock();
            if is_so(&state) {
                return Poll::Ready(());
            }
            turn.wait(&mut state, Awaited::End, context);
            Poll::Pending
        })
        .await;
    }

    fn turn(&self) -> Turn<'_> {
        Turn { shared: &self.shared, place: None }
    }
}

/// A place among those who wait. It is given up with the future that holds it.
struct Turn<'c> {
    shared: &'c Shared,
    place: Option<Place>,
}

impl Turn<'_> {
    /// A method, so that a closure which moves takes the whole turn: of the bare field it would take a copy, and the
    /// turn would end at once.
    fn wait(&mut self, state: &mut State, awaited: Awaited, context: &Context<'_>) {
        state.tasks.wait(&mut self.place, awaited, context.waker());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.shared.lock().tasks.leave(&mut self.place);
        }
    }
}
