//! The requesting half for threads: what waits. It is cheap to clone and can be shared by threads.

use std::{
    boxed::Box,
    fmt,
    ops::Deref,
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Config, Error, Events, Outcome, Payload, Requests, Unfinished};
use crate::{
    codec::{Publish, QoS},
    driver::host::{feeding::of_payload, requests::Sent, shared::Shared, state::State},
    options::Options,
    session::Handle,
    source::SourceId,
    topic::Filter,
};

/// Makes requests; clones share one connection.
///
/// The requests that do not wait are those of [`Requests`], to which this type dereferences. The calls of this type
/// itself wait, at most for a time that they are given, and never for the transport.
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

    /// A client that does not count for `Config::end_with_clients`.
    pub(super) fn for_the_driver(&self) -> Self {
        Self::new(self.requests.for_the_driver())
    }

    /// Connects over TCP to `broker`, `host:port`, with default sizes, and waits until it accepts the connection.
    /// [`Config`] has more settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], or the reason why the connection could not be made.
    pub fn connect(broker: &str, options: &Options<'_>) -> Result<(Self, Events), Error> {
        Config::new(options).connect(&[broker])
    }

    /// Waits until every request is answered, at most for `timeout`; then [`disconnect`](Requests::disconnect)s, and waits
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
        while !state.is_answered() {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.shared.wait(state, left);
        }
        let finished = state.unfinished();
        drop(state);
        self.disconnect();
        let mut state = self.shared.lock();
        let (longest, mut sent) = state.longest_disconnect();
        let mut start = Instant::now();
        while !state.is_disconnected() {
            let left = longest.saturating_sub(start.elapsed());
            if left.is_zero() {
                let sent_now = state.client.counters().bytes_out;
                if sent_now == sent {
                    // Nobody serves the connection.
                    break;
                }
                sent = sent_now;
                start = Instant::now();
                continue;
            }
            state = self.shared.wait(state, left);
        }
        finished
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
        self.outcome_in(self.shared.lock(), handle, timeout)
    }

    /// Waits for the outcome from this state on.
    fn outcome_in<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        handle: Handle,
        timeout: Duration,
    ) -> Result<Outcome, Error> {
        let start = Instant::now();
        state.outcomes.wait(handle);
        let outcome = loop {
            match state.outcome(handle) {
                Ok(None) => {}
                Ok(Some(outcome)) => break Ok(outcome),
                Err(error) => break Err(error),
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                break Err(Error::TimedOut);
            }
            state = self.shared.wait(state, left);
        };
        state.outcomes.leave(handle);
        outcome
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
        let (state, handle) = self.publish_within(publish, None, timeout)?;
        self.outcome_in(state, handle, timeout.saturating_sub(start.elapsed()))?.published()
    }

    /// Asks for the messages that match `filter` and waits for the answer. Gives the granted QoS.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Requests::subscribe) and [`wait`](Self::wait); [`Error::Failed`] if the broker refuses.
    pub fn subscribe_wait(&self, filter: &str, qos: QoS, timeout: Duration) -> Result<QoS, Error> {
        let filters = [(Filter::new(filter)?, qos)];
        let mut state = self.shared.lock();
        let handle = self.shared.request(&mut state, |state| state.client.subscribe(&filters))?;
        self.outcome_in(state, handle, timeout)?.granted()
    }

    /// Publishes this message; if there is no room, waits for room, at most for `timeout`.
    ///
    /// It is not for the thread that calls [`Events::next`](super::Events::next): that thread makes the room, so it
    /// would wait in vain.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish`]: at once if the message can never fit, else after `timeout`.
    pub fn send_within(&self, publish: &Publish<'_>, timeout: Duration) -> Result<Handle, Error> {
        self.publish_within(publish, None, timeout).map(|(_, handle)| handle)
    }

    /// As [`Requests::publish_at`], but waits for room as [`Client::send_within`] does.
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
        self.publish_within(publish, Some(position), timeout).map(|(_, handle)| handle)
    }

    /// As [`Requests::publish_from`]; if there is no room for the head of the message, waits for room, as
    /// [`Client::send_within`] does.
    ///
    /// # Errors
    ///
    /// As [`Requests::publish_from`]: at once if the head can never fit, else after `timeout`.
    pub fn publish_from_within(
        &self,
        topic: &str,
        source: SourceId,
        mut payload: impl Payload + 'static,
        (qos, retain): (QoS, bool),
        timeout: Duration,
    ) -> Result<Handle, Error> {
        let publish = of_payload(topic, source, &mut payload, qos, retain)?;
        let mut payload: Option<Box<dyn Payload>> = Some(Box::new(payload));
        let send = |state: &mut State| self.shared.send_from(state, &publish, &mut payload);
        self.within(send, timeout).map(|(_, handle)| handle)
    }

    fn publish_within(
        &self,
        publish: &Publish<'_>,
        position: Option<u64>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'_, State>, Handle), Error> {
        self.within(|state| self.shared.send(state, publish, position), timeout)
    }

    fn within(
        &self,
        mut send: impl FnMut(&mut State) -> Result<Sent, Error>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'_, State>, Handle), Error> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let full = match send(&mut state)? {
                Sent::Accepted(handle) => return Ok((state, handle)),
                Sent::Full(full) => full,
            };
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(full.into());
            }
            // The lock is released only while this thread waits, so no change is missed.
            state = self.shared.wait(state, left);
        }
    }
}

impl Shared {
    /// Waits for a change, at most for `timeout`.
    pub(super) fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        timeout: Duration,
    ) -> MutexGuard<'s, State> {
        state.waiters += 1;
        // A longer time is no limit, and some systems cannot express it.
        let timeout = timeout.min(Duration::from_secs(1 << 30));
        let waited = self.changed.wait_timeout(state, timeout);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiters -= 1;
        state
    }
}
