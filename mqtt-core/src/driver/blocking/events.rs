//! The receiving half. It is the driver as well: it connects, reads and keeps time.

use std::{
    fmt, io,
    sync::Arc,
    task::Waker,
    time::{self, Duration},
};

use super::{Error, Outcome, Requests, Unfinished, pipe::Pipe};
#[cfg(feature = "bytes")]
use crate::driver::host::SharedEvent;
use crate::{
    driver::{
        host::{
            event_range::EventRange,
            feeding::Job,
            first::FirstConnection,
            service::{Service, Step, Watch},
            shared::Shared,
            state::Wait,
        },
        readiness::{Interest, wait},
        stream::Source,
    },
    event::{Event, OwnedEvent},
    session::Handle,
    time::Instant,
};

#[cfg(unix)]
type OwnedSource = std::os::fd::OwnedFd;
#[cfg(windows)]
type OwnedSource = std::os::windows::io::OwnedSocket;

/// It waits with poll(2), for a second descriptor of the link.
pub(super) struct Polling;

impl Watch for Polling {
    const ONCE: bool = false;

    type Source = OwnedSource;

    fn read(&self, shared: &Arc<Shared>, mut job: Job) {
        job.run();
        shared.end_read(job);
    }

    fn watch(&self, source: Source<'_>) -> io::Result<OwnedSource> {
        source.try_clone_to_owned()
    }
}

/// How long the end of a connection waits for the broker when the application drops everything.
const LONGEST_END_AT_DROP: Duration = Duration::from_secs(1);

/// The events of a client, one after the other. The thread that waits here keeps the connection alive, and connects
/// again after it breaks.
///
/// If `Events` is dropped, the connection ends, and all later requests fail with [`Error::NotServed`].
pub struct Events {
    service: Service<Polling>,
    /// Ends the wait of this thread.
    pipe: Arc<Pipe>,
    /// The same, for those who do so.
    waker: Waker,
    /// The end of the events was told.
    ended: bool,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("last_error", &self.last_error()).finish_non_exhaustive()
    }
}

/// The result of [`Events::advance`].
enum Outlook {
    Event(EventRange),
    TimedOut,
    /// The client is stopped and has no more events.
    Ended,
}

impl Events {
    pub(super) fn new(service: Service<Polling>) -> Result<Self, Error> {
        let pipe = Arc::new(Pipe::new().map_err(Error::of_this_program)?);
        let waker = Waker::from(Arc::clone(&pipe));
        Ok(Self { service, pipe, waker, ended: false })
    }

    /// Waits for the next event. `None` if the client is stopped: after `disconnect`, after the connection ended with
    /// `Reconnect::never`, or if the journal failed.
    ///
    /// The application may take time for each event. If that is more than 10 milliseconds for one or several events,
    /// acknowledgements, PINGREQs and other packets that are due go out before the next event. They do not go out
    /// while the application works, so one event should not take longer than half of the keep alive.
    #[expect(
        clippy::should_implement_trait,
        reason = "an event borrows the buffer, no iterator can; see `owned`"
    )]
    pub fn next(&mut self) -> Option<Event<'_>> {
        match self.advance(None) {
            Outlook::Event(event) => Some(self.service.event(event)),
            Outlook::TimedOut | Outlook::Ended => None,
        }
    }

    /// The next event, if there is one within `timeout`. Zero does not wait, also while a connection is being made.
    ///
    /// If the client is stopped, the first call says so at once with `None`. Later ones wait for their time, so that a
    /// loop that does something else as well does not spin; `Client::reconnect` ends such a wait.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event<'_>> {
        // A time beyond the clock is no limit.
        match self.advance(time::Instant::now().checked_add(timeout)) {
            Outlook::Event(event) => Some(self.service.event(event)),
            Outlook::TimedOut | Outlook::Ended => None,
        }
    }

    /// As [`next`](Self::next), with an event that outlives the read buffer: the bytes of a message are not copied, but
    /// shared with the buffer, which is replaced by and by.
    #[cfg(feature = "bytes")]
    pub fn next_shared(&mut self) -> Option<SharedEvent> {
        let Outlook::Event(range) = self.advance(None) else { return None };
        Some(self.service.shared_event(range))
    }

    /// The events as an iterator, each with its bytes. It ends as [`next`](Self::next) does, and can be asked for again.
    pub const fn owned(&mut self) -> OwnedEvents<'_> {
        OwnedEvents { events: self }
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
    /// [`Error::TimedOut`], [`Error::Stopped`].
    pub fn wait(
        &mut self,
        handle: Handle,
        timeout: Duration,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<Outcome, Error> {
        if let Some(outcome) = self.service.shared.lock().outcomes.of(handle) {
            return Ok(outcome.clone());
        }
        let until = time::Instant::now().checked_add(timeout);
        loop {
            match self.advance(until) {
                Outlook::Event(event) => {
                    let event = self.service.event(event);
                    let outcome = Outcome::of(&event).filter(|(ended, _)| *ended == handle);
                    on_event(event);
                    if let Some((_, outcome)) = outcome {
                        return Ok(outcome);
                    }
                }
                Outlook::TimedOut => return Err(Error::TimedOut),
                Outlook::Ended => return Err(Error::Stopped),
            }
        }
    }

    /// Ends the connection in order: waits until all requests are answered, at most for `timeout`, then disconnects,
    /// and waits until the broker has closed the connection, five seconds at most. Gives every event to `on_event`.
    ///
    /// # Errors
    ///
    /// [`Unfinished`]: these requests had no answer in time.
    pub fn finish(
        &mut self,
        timeout: Duration,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), Unfinished> {
        let until = time::Instant::now().checked_add(timeout);
        while !self.service.shared.lock().client.is_idle() {
            match self.advance(until) {
                Outlook::Event(event) => on_event(self.service.event(event)),
                Outlook::TimedOut | Outlook::Ended => break,
            }
        }
        let finished = self.service.shared.lock().unfinished();
        Requests::of(&self.service.shared).disconnect();
        while let Outlook::Event(event) = self.advance(None) {
            on_event(self.service.event(event));
        }
        finished
    }

    /// Waits until the broker accepts the first connection. Its `Up` is the next event given. Each broker gets its turn.
    pub(super) fn await_up(&mut self, brokers: usize) -> Result<(), Error> {
        let mut first = FirstConnection::new(brokers, &self.service.shared.lock());
        loop {
            let event = match self.advance(None) {
                Outlook::Event(event) => Some(event),
                Outlook::TimedOut | Outlook::Ended => None,
            };
            if let Some(end) = self.service.follow(&mut first, event) {
                return end;
            }
        }
    }

    /// Sends what is due, and takes nothing in.
    pub(super) fn keep_alive(&self) {
        self.service.keep_alive();
    }

    fn advance(&mut self, until: Option<time::Instant>) -> Outlook {
        self.service.resume();
        let shared = Arc::clone(&self.service.shared);
        let mut looked = false;
        loop {
            let now = shared.now();
            let mut state = shared.lock();
            let step = self.service.step(&mut state, now);
            let left = until.map(|until| until.saturating_duration_since(time::Instant::now()));
            let (interest, wake_at) = match step {
                Step::Again => continue,
                Step::Event(event) => {
                    self.ended = false;
                    return Outlook::Event(event);
                }
                Step::Read(job) => {
                    drop(state);
                    self.service.watch().read(&shared, job);
                    continue;
                }
                Step::Wait(interest, wake_at) => (interest, wake_at),
                Step::Ended if !core::mem::replace(&mut self.ended, true) => return Outlook::Ended,
                Step::Ended => match left {
                    None => return Outlook::Ended,
                    Some(_) => (None, Instant::FAR_FUTURE),
                },
            };
            if looked && left.is_some_and(|left| left.is_zero()) {
                return Outlook::TimedOut;
            }
            looked = true;
            let due = (wake_at != Instant::FAR_FUTURE)
                .then(|| Duration::from_millis(wake_at.millis_since(now)));
            let timeout = match (due, left) {
                (Some(due), Some(left)) => Some(due.min(left)),
                (due, left) => due.or(left),
            };
            state.waits = Some(Wait {
                until: wake_at,
                for_writing: interest.is_some_and(|interest| interest.writable),
                woken: false,
                waker: self.waker.clone(),
            });
            drop(state);
            self.wait_for(interest, timeout);
        }
    }

    /// Waits for the transport and for requests of other threads.
    fn wait_for(&mut self, interest: Option<Interest>, timeout: Option<Duration>) {
        let pipe = (self.pipe.source(), Interest::READABLE);
        let ready = match (self.service.source(), interest) {
            (Some(source), Some(interest)) => {
                let source: Source<'_> = borrowed(source);
                wait([(source, interest), pipe], timeout).map(|[ready, _]| ready)
            }
            _ => wait([pipe], timeout).map(|_| false),
        };
        let shared = Arc::clone(&self.service.shared);
        let mut state = shared.lock();
        if state.waits.take().is_some_and(|wait| wait.woken) {
            self.pipe.reset();
        }
        // An error of the wait is one of the transport, and a read tells which.
        if let (true, Some(interest)) = (ready.unwrap_or(true), interest) {
            self.service.ready(&mut state, interest);
        }
    }
}

fn borrowed(source: &OwnedSource) -> Source<'_> {
    #[cfg(unix)]
    return std::os::fd::AsFd::as_fd(source);
    #[cfg(windows)]
    return std::os::windows::io::AsSocket::as_socket(source);
}

impl Drop for Events {
    /// If the application has disconnected, the broker gets a second to read all that was sent.
    fn drop(&mut self) {
        let until = time::Instant::now() + LONGEST_END_AT_DROP;
        while self.service.source().is_some() && self.service.shared.lock().disconnects {
            match self.advance(Some(until)) {
                Outlook::Event(_) => {}
                Outlook::TimedOut | Outlook::Ended => break,
            }
        }
    }
}

/// The events of a client, each with its bytes: see [`Events::owned`].
#[derive(Debug)]
pub struct OwnedEvents<'e> {
    events: &'e mut Events,
}

impl Iterator for OwnedEvents<'_> {
    type Item = OwnedEvent;

    fn next(&mut self) -> Option<OwnedEvent> {
        self.events.next().map(|event| event.to_owned())
    }
}
