//! The receiving half. It is the driver as well: it connects, reads and keeps time.

use core::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::time::Duration;

use ::tokio::{runtime::Handle as Runtime, task::coop};
use futures_core::Stream;

use super::{Error, Outcome, Unfinished, source::Reactor, timer::Timer};
#[cfg(feature = "bytes")]
use crate::driver::host::SharedEvent;
use crate::{
    driver::{
        host::{
            Requests,
            event_range::EventRange,
            first::FirstConnection,
            service::{Service, Step, Watch as _},
            state::Wait,
        },
        readiness::Interest,
    },
    event::{Event, OwnedEvent},
    session::Handle,
    time::Instant,
};

/// The events of a client, one after the other. The task that waits here keeps the connection alive, and connects again
/// after it breaks.
///
/// It is a [`Stream`] of owned events, and [`next`](Self::next) gives events that borrow the read buffer. Only while one
/// of them is polled, something is received, and time-outs are kept. [`spawn`](Self::spawn) and
/// [`into_queue`](Self::into_queue) have a task of their own for that.
///
/// If `Events` is dropped, the connection ends at once, and all later requests fail with [`Error::NotServed`]. What the
/// system has taken is still sent; but if input was left unread, the system may reset the connection, and the broker then
/// loses what it has not read, also the DISCONNECT. [`finish`](Self::finish) and
/// [`Client::finish`](super::Client::finish) end it in order.
pub struct Events {
    service: Service<Reactor>,
    timer: Timer,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("last_error", &self.last_error()).finish_non_exhaustive()
    }
}

impl Events {
    pub(super) fn new(service: Service<Reactor>) -> Self {
        Self { service, timer: Timer::default() }
    }

    /// Waits for the next event. `None` if the client is stopped: after `disconnect`, after the connection ended with
    /// `Reconnect::never`, or if the journal failed.
    ///
    /// If the future is dropped, no event is lost.
    ///
    /// The application may take time for each event. If that is more than 10 milliseconds for one or several events,
    /// acknowledgements, PINGREQs and other packets that are due go out before the next event. They do not go out
    /// while the application works, so one event should not take longer than half of the keep alive. Never wait for
    /// room or for an outcome here: this task makes both.
    pub async fn next(&mut self) -> Option<Event<'_>> {
        let event = self.advance().await?;
        Some(self.service.event(event))
    }

    /// As [`next`](Self::next), with an event that outlives the read buffer: the bytes of a message are not copied, but
    /// shared with the buffer, which is replaced by and by.
    #[cfg(feature = "bytes")]
    pub async fn next_shared(&mut self) -> Option<SharedEvent> {
        let event = self.advance().await?;
        Some(self.service.shared_event(event))
    }

    /// The last failure of the transport or of the journal; `None` once another transport is open.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.service.last_error()
    }

    /// Waits for the outcome of a request, and gives every event until then to `on_event`, that of the outcome last.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if it will not come.
    pub async fn wait(
        &mut self,
        handle: Handle,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<Outcome, Error> {
        if let Some(outcome) = self.service.shared.lock().outcomes.of(handle) {
            return Ok(outcome.clone());
        }
        while let Some(event) = self.next().await {
            let outcome = Outcome::of(&event).filter(|(ended, _)| *ended == handle);
            on_event(event);
            if let Some((_, outcome)) = outcome {
                return Ok(outcome);
            }
        }
        Err(Error::Stopped)
    }

    /// Ends the connection in order: waits until all requests are answered, at most for `timeout`, then disconnects,
    /// and waits until the broker has closed the connection, five seconds at most. Gives every event to `on_event`.
    ///
    /// # Errors
    ///
    /// [`Unfinished`]: these requests had no answer in time.
    pub async fn finish(
        &mut self,
        timeout: Duration,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), Unfinished> {
        let answered = async {
            while !self.service.shared.lock().client.is_idle() {
                match self.next().await {
                    Some(event) => on_event(event),
                    None => break,
                }
            }
        };
        let _in_time = ::tokio::time::timeout(timeout, answered).await;
        let finished = self.service.shared.lock().unfinished();
        self.requests().disconnect();
        while let Some(event) = self.next().await {
            on_event(event);
        }
        finished
    }

    /// Waits until the broker accepts the first connection. Its `Up` is the next event given.
    pub(super) async fn await_up(&mut self, brokers: usize) -> Result<(), Error> {
        let mut first = FirstConnection::new(brokers, &self.service.shared.lock());
        loop {
            let event = self.advance().await;
            if let Some(end) = self.service.follow(&mut first, event) {
                return end;
            }
        }
    }

    /// The runtime that the client was made in.
    pub(super) fn runtime(&self) -> Runtime {
        self.service.watch().0.clone()
    }

    /// The requests of the driver itself, which do not count for `Config::end_with_clients`.
    pub(super) fn requests(&self) -> Requests {
        Requests::of(&self.service.shared)
    }

    /// Sends what is due, and takes nothing in.
    pub(super) fn keep_alive(&self) {
        self.service.keep_alive();
    }

    async fn advance(&mut self) -> Option<EventRange> {
        poll_fn(|context| self.poll_advance(context)).await
    }

    fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Option<EventRange>> {
        // A task that always finds an event lets others run now and then.
        let budget = ready!(coop::poll_proceed(context));
        let Self { service, timer } = self;
        service.resume();
        let shared = service.shared.clone();
        loop {
            let now = shared.now();
            let mut state = shared.lock();
            state.waits = None;
            let (interest, until) = match service.step(&mut state, now) {
                Step::Again => continue,
                Step::Event(event) => {
                    budget.made_progress();
                    return Poll::Ready(Some(event));
                }
                Step::Ended => {
                    budget.made_progress();
                    return Poll::Ready(None);
                }
                Step::Read(job) => {
                    drop(state);
                    service.watch().read(&shared, job);
                    continue;
                }
                Step::Wait(interest, until) if until <= now => {
                    // The last look before a time-out.
                    if interest.is_some_and(|interest| interest.readable) {
                        service.look();
                    }
                    continue;
                }
                Step::Wait(interest, until) => (interest, until),
            };
            state.waits = Some(Wait {
                until,
                for_writing: interest.is_some_and(|interest| interest.writable),
                woken: false,
                waker: context.waker().clone(),
            });
            drop(state);
            let context_of_runtime = service.watch().0.enter();
            let ready = match (service.source(), interest) {
                (Some(source), Some(interest)) => source.poll(context, interest),
                _ => Interest { readable: false, writable: false },
            };
            let until = (until != Instant::FAR_FUTURE).then(|| shared.at(until));
            let is_due = timer.poll(context, until);
            drop(context_of_runtime);
            if ready.readable || ready.writable {
                service.ready(&mut shared.lock(), ready);
            } else if !is_due {
                return Poll::Pending;
            }
        }
    }
}

/// The events, each with its bytes. It ends as [`Events::next`] does, and can be asked again after
/// [`reconnect`](Requests::reconnect).
impl Stream for Events {
    type Item = OwnedEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<OwnedEvent>> {
        let event = ready!(self.poll_advance(context));
        Poll::Ready(event.map(|event| self.service.event(event).to_owned()))
    }
}

impl Drop for Events {
    /// If the application has disconnected, what is left goes to the system, as far as that takes it without a wait.
    fn drop(&mut self) {
        let now = self.service.shared.now();
        let mut state = self.service.shared.lock();
        if state.disconnects {
            let _sent = state.flush(now);
            let _told = state.link.as_mut().map(|link| link.finish());
        }
    }
}
