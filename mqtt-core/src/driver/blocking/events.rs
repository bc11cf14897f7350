//! The receiving half. It is the driver as well: it connects, reads and keeps time.

use std::{
    fmt, io,
    sync::{Arc, MutexGuard},
    time::{self, Duration},
    vec::Vec,
};

use super::{
    BROKER_FIRST, Client, Connector, Error, Flushed, Gone, LONGEST_END, LONGEST_UNSENT, Outcome,
    Shared, State, Unfinished, Wait, attempt, event_range::EventRange, is_orderly,
    read_buffer::ReadBuffer,
};
use crate::{
    driver::{
        fault::fault_of,
        readiness::{Interest, wait},
        stream::{Source, is_pause},
    },
    error::{Reason, TransportFault},
    event::{ConnectionState, Event, OwnedEvent},
    log::log,
    session::Handle,
    time::Instant,
};

#[cfg(feature = "bytes")]
use crate::shared::SharedMessage;

#[cfg(unix)]
type OwnedSource = std::os::fd::OwnedFd;
#[cfg(windows)]
type OwnedSource = std::os::windows::io::OwnedSocket;

/// The same when the application drops everything.
const LONGEST_END_AT_DROP: Duration = Duration::from_secs(1);

/// The events of a client, one after the other. The thread that waits here keeps the connection alive, and connects
/// again after it breaks.
///
/// If `Events` is dropped, the connection ends, and all later requests fail with [`Error::NotServed`].
pub struct Events {
    shared: Arc<Shared>,
    connector: Arc<dyn Connector>,
    /// What the system waits for, while the link is with the state.
    source: Option<OwnedSource>,
    /// The transport may have bytes.
    readable: bool,
    /// The connection ends: the broker has until then to close it.
    ending: Option<time::Instant>,
    buffer: ReadBuffer,
    /// Bytes at the front of the buffer that the last event borrowed. The next call consumes them.
    event_len: usize,
    /// The `Up` of the first connection, which `Config::connect` waited for: the next event given.
    first_up: Option<Event<'static>>,
    last_error: Option<Error>,
    endpoint: u8,
    attempts: u64,
    /// The end of the events was told.
    ended: bool,
    _gone: Gone,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("last_error", &self.last_error).finish_non_exhaustive()
    }
}

/// The result of [`Events::advance`].
enum Outlook {
    Event(EventRange),
    TimedOut,
    /// The client is stopped and has no more events.
    Ended,
}

/// What the serving thread does next.
enum Next {
    /// Something has changed.
    Again,
    /// It waits for the transport, for a request and for this instant.
    Wait(Option<Interest>, Instant),
    /// The client is stopped.
    Ended,
}

impl Events {
    pub(super) fn new(
        shared: Arc<Shared>,
        connector: Arc<dyn Connector>,
        buffer: ReadBuffer,
    ) -> Self {
        Self {
            _gone: Gone(Arc::clone(&shared)),
            shared,
            connector,
            source: None,
            readable: false,
            ending: None,
            buffer,
            event_len: 0,
            first_up: None,
            last_error: None,
            endpoint: 0,
            attempts: 0,
            ended: false,
        }
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
            Outlook::Event(event) => Some(event.resolve(self.buffer.input())),
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
            Outlook::Event(event) => Some(event.resolve(self.buffer.input())),
            Outlook::TimedOut | Outlook::Ended => None,
        }
    }

    /// As [`next`](Self::next), with an event that outlives the read buffer: the bytes of a message are not copied, but
    /// shared with the buffer, which is replaced by and by.
    #[cfg(feature = "bytes")]
    pub fn next_shared(&mut self) -> Option<SharedEvent> {
        let Outlook::Event(range) = self.advance(None) else { return None };
        if !range.is_message() {
            return Some(SharedEvent::Other(range.resolve(self.buffer.input()).to_owned()));
        }
        let bytes = self.buffer.give(core::mem::take(&mut self.event_len));
        let event = range.resolve(&bytes);
        let shared =
            if let Event::Message(message) = &event { message.share(&bytes) } else { None };
        debug_assert!(shared.is_some(), "the message lies in the bytes that it was received from");
        Some(shared.map_or_else(|| SharedEvent::Other(event.to_owned()), SharedEvent::Message))
    }

    /// The events as an iterator, each with its bytes. It ends as [`next`](Self::next) does, and can be asked for again.
    pub const fn owned(&mut self) -> OwnedEvents<'_> {
        OwnedEvents { events: self }
    }

    /// The last failure of the transport or of the journal; `None` once another transport is open.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
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
        if let Some(outcome) = self.shared.lock().outcomes.of(handle) {
            return Ok(outcome.clone());
        }
        let until = time::Instant::now().checked_add(timeout);
        loop {
            match self.advance(until) {
                Outlook::Event(event) => {
                    let event = event.resolve(self.buffer.input());
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
        while !self.shared.lock().client.is_idle() {
            match self.advance(until) {
                Outlook::Event(event) => on_event(event.resolve(self.buffer.input())),
                Outlook::TimedOut | Outlook::Ended => break,
            }
        }
        let unfinished = Unfinished { handles: self.shared.lock().client.unanswered().collect() };
        Client::of(&self.shared).disconnect();
        while let Outlook::Event(event) = self.advance(None) {
            on_event(event.resolve(self.buffer.input()));
        }
        if unfinished.handles.is_empty() { Ok(()) } else { Err(unfinished) }
    }

    /// Waits until the broker accepts the first connection. Its `Up` is the next event given. Each broker gets its turn.
    pub(super) fn await_up(&mut self, brokers: usize) -> Result<(), Error> {
        let mut left = brokers.max(1);
        let mut protocol = self.shared.lock().client.protocol();
        let mut tried_both = false;
        loop {
            match self.next() {
                Some(Event::Up { endpoint, session, protocol }) => {
                    self.first_up = Some(Event::Up { endpoint, session, protocol });
                    return Ok(());
                }
                Some(Event::Down { reason, .. }) => {
                    // Version::Auto asks the same broker again, in the other version.
                    let next = self.shared.lock().client.protocol();
                    let falls_back = core::mem::replace(&mut protocol, next) != next;
                    if falls_back && !core::mem::replace(&mut tried_both, true) {
                        continue;
                    }
                    left -= 1;
                    tried_both = false;
                    if left == 0 || self.shared.lock().connection() == ConnectionState::Stopped {
                        return Err(self.last_error.take().unwrap_or(Error::NotConnected(reason)));
                    }
                }
                Some(_) => {}
                None => {
                    let stopped = Error::NotConnected(Reason::Requested);
                    return Err(self.last_error.take().unwrap_or(stopped));
                }
            }
        }
    }

    /// Sends what is due, and takes nothing in.
    pub(super) fn keep_alive(&mut self) {
        let now = self.shared.now();
        let _sent = self.shared.lock().flush(now);
    }

    fn advance(&mut self, until: Option<time::Instant>) -> Outlook {
        self.buffer.consume(core::mem::take(&mut self.event_len));
        if let Some(event) = self.first_up.take() {
            return Outlook::Event(EventRange::new(event, &[]));
        }
        let shared = Arc::clone(&self.shared);
        let (mut looked, mut between_events) = (false, true);
        loop {
            let now = shared.now();
            let mut state = shared.lock();
            if state.failed.is_some() {
                self.halt(&mut state, now);
            }
            if let Some(opened) = state.opening.opened.take() {
                self.begin(&mut state, opened, now);
            }
            if core::mem::take(&mut self.readable) {
                self.read(&mut state, now);
            }
            // Handling the events before this one may have taken long.
            if core::mem::take(&mut between_events)
                && self.source.is_some()
                && now.millis_since(state.flushed_at) >= LONGEST_UNSENT
            {
                match state.flush(now) {
                    Flushed::Close => self.close(&mut state, now),
                    Flushed::Until(deadline) if deadline <= now => {
                        self.look(state);
                    }
                    Flushed::Until(_) | Flushed::Congested => {}
                }
                continue;
            }
            if let Some(event) = self.receive(&mut state, now) {
                self.ended = false;
                return Outlook::Event(event);
            }
            let left = until.map(|until| until.saturating_duration_since(time::Instant::now()));
            let (interest, wake_at) = match self.serve(&mut state, now) {
                Next::Again => continue,
                Next::Wait(interest, wake_at) => (interest, wake_at),
                Next::Ended if !core::mem::replace(&mut self.ended, true) => return Outlook::Ended,
                Next::Ended => match left {
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
            });
            self.wait_for(state, interest, timeout);
        }
    }

    /// The next event, as ranges of the buffer.
    fn receive(&mut self, state: &mut State, now: Instant) -> Option<EventRange> {
        if self.ending.is_some() {
            return None;
        }
        let all = self.buffer.input();
        let mut input = all;
        // An error needs no handling here: `poll` says to close, and an event with the reason follows.
        let event = state.client.receive(&mut input, now).unwrap_or(None);
        let taken_len = all.len() - input.len();
        let Some(event) = event else {
            state.more_follows = false;
            self.buffer.consume(taken_len);
            return None;
        };
        self.event_len = taken_len;
        state.more_follows = taken_len < all.len();
        if let Some((handle, outcome)) = Outcome::of(&event) {
            state.outcomes.add(handle, outcome);
        }
        self.shared.tell(state);
        Some(EventRange::new(event, all))
    }

    /// Does what is due.
    fn serve(&mut self, state: &mut State, now: Instant) -> Next {
        if self.source.is_some() {
            return self.serve_link(state, now);
        }
        if state.failed.is_some() {
            return Next::Ended;
        }
        if state.client.state() == ConnectionState::Stopped {
            state.record_now(now);
            if state.failed.is_some() {
                self.halt(state, now);
            } else if state.disconnects && !state.client.is_idle() {
                state.client.lose_requests();
            }
            self.shared.tell(state);
            return if state.client.has_event() { Next::Again } else { Next::Ended };
        }
        let flushed = state.flush(now);
        if let Some(endpoint) = state.opening.connect.take() {
            self.attempt(state, endpoint, now);
            return Next::Again;
        }
        match flushed {
            Flushed::Until(_) if state.client.has_event() => Next::Again,
            Flushed::Until(deadline) => Next::Wait(None, deadline),
            // There is no transport to write to or to close.
            Flushed::Congested | Flushed::Close => {
                if state.failed.is_none() {
                    state.client.closed(now);
                }
                Next::Again
            }
        }
    }

    fn serve_link(&mut self, state: &mut State, now: Instant) -> Next {
        if let Some(until) = self.ending {
            return self.end(state, until, now);
        }
        let before = state.client.counters().bytes_out;
        let (deadline, writable) = match state.flush(now) {
            Flushed::Until(deadline) => (deadline, state.congested),
            Flushed::Congested => (state.client.deadline(), true),
            Flushed::Close => {
                self.close(state, now);
                return Next::Again;
            }
        };
        // Sending can cause an event, and makes room for answers to packets that are in the buffer already.
        if state.client.counters().bytes_out != before {
            self.shared.tell(state);
            return Next::Again;
        }
        // If the buffer is full, an answer finds no room in the outbox: only sending helps.
        let readable = !self.buffer.space().is_empty();
        if readable && state.link.as_ref().is_some_and(|link| link.has_input()) {
            self.readable = true;
            return Next::Again;
        }
        let interest = Interest { readable, writable };
        Next::Wait((readable || writable).then_some(interest), deadline)
    }

    /// Begins an attempt to connect.
    fn attempt(&mut self, state: &mut State, endpoint: u8, now: Instant) {
        self.endpoint = endpoint;
        self.attempts += 1;
        state.opening.attempt = Some(self.attempts);
        let timeout = Duration::from_millis(state.client.connect_timeout().into());
        let begun = attempt::begin(&self.shared, &self.connector, self.attempts, endpoint, timeout);
        if let Err(error) = begun {
            state.opening.attempt = None;
            self.begin(state, Err(error), now);
        }
    }

    /// The attempt has come to its end.
    fn begin(&mut self, state: &mut State, opened: io::Result<super::Link>, now: Instant) {
        let opened = opened.and_then(|link| Ok((link.source().try_clone_to_owned()?, link)));
        match opened {
            Ok((source, link)) => {
                // It belongs to an earlier connection.
                self.last_error = None;
                self.source = Some(source);
                self.readable = false;
                state.link = Some(link);
                state.congested = false;
                state.finished = false;
                state.client.connected(now);
            }
            Err(error) => {
                let fault = fault_of(&error);
                self.fail(error);
                state.client.failed(fault, now);
            }
        }
    }

    fn fail(&mut self, error: io::Error) {
        let broker = self.connector.name(self.endpoint);
        log!(warn, "mqtt: {}: {}", broker, error);
        self.last_error = Some(Error::Io { broker, error });
    }

    /// The journal failed: ends the connection, so that nothing more is received.
    fn halt(&mut self, state: &mut State, now: Instant) {
        if self.source.is_some() || state.opening.is_under_way() {
            self.drop_link(state);
            state.opening.give_up();
            state.client.closed(now);
        }
        self.last_error = state.failed.as_ref().map(Error::again);
        self.shared.tell(state);
    }

    /// The transport has failed or has to be closed.
    fn close(&mut self, state: &mut State, now: Instant) {
        if state.failed.is_some() {
            return self.halt(state, now);
        }
        if let Some(error) = state.broken.take() {
            return self.broke(state, error, now);
        }
        // The action says why. It comes again until the transport is closed.
        let orderly =
            matches!(state.client.poll(now), crate::Action::Close(reason) if is_orderly(reason));
        if orderly && state.link.is_some() {
            self.ending = Some(time::Instant::now() + LONGEST_END);
            return;
        }
        self.drop_link(state);
        state.client.closed(now);
        self.shared.tell(state);
    }

    fn broke(&mut self, state: &mut State, error: io::Error, now: Instant) {
        let fault = fault_of(&error);
        self.fail(error);
        self.drop_link(state);
        if fault == TransportFault::Reset {
            // Whether the end of the peer comes as a reset is chance.
            state.client.closed(now);
        } else {
            state.client.failed(fault, now);
        }
        self.shared.tell(state);
    }

    fn drop_link(&mut self, state: &mut State) {
        state.link = None;
        state.congested = false;
        self.source = None;
        self.readable = false;
        self.ending = None;
        self.buffer.clear();
    }

    /// A DISCONNECT was sent: nothing more is sent, and what still comes is read and dropped, so that the system does
    /// not reset the connection before the broker has read all.
    fn end(&mut self, state: &mut State, until: time::Instant, now: Instant) -> Next {
        let left = until.saturating_duration_since(time::Instant::now());
        let for_the_broker = (left + BROKER_FIRST).saturating_sub(LONGEST_END);
        let (mut over, mut writable) = (true, false);
        if let Some(link) = &mut state.link {
            let told = if state.finished {
                Ok(())
            } else if for_the_broker.is_zero() {
                let finished = link.finish();
                state.finished = finished.is_ok();
                finished
            } else if link.has_output() {
                link.flush()
            } else {
                Ok(())
            };
            writable = matches!(&told, Err(error) if is_pause(error));
            // A broker that is busy with sending may read nothing until it is read from.
            over = (told.is_err() && !writable) || is_at_end(&mut **link);
            if over && !state.finished {
                // The layers say goodbye to those that still listen.
                let _told = link.finish();
            }
        }
        if over || left.is_zero() {
            self.drop_link(state);
            state.client.closed(now);
            self.shared.tell(state);
            return Next::Again;
        }
        let next = if for_the_broker.is_zero() { left } else { for_the_broker };
        let wake_at = now.plus_millis(next.as_millis() as u64 + 1);
        Next::Wait(Some(Interest { readable: true, writable }), wake_at)
    }

    /// Reads once.
    fn read(&mut self, state: &mut State, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let space = self.buffer.space();
        if space.is_empty() {
            return;
        }
        // A transport that panics is not used again.
        let Some(mut link) = state.link.take() else { return };
        let read = link.read(space);
        state.link = Some(link);
        // What was read is handled first.
        state.flushed_at = now;
        match read {
            Ok(0) => {
                self.drop_link(state);
                state.client.closed(now);
                self.shared.tell(state);
            }
            Ok(count) => self.buffer.filled(count),
            Err(error) if is_pause(&error) => {}
            Err(error) => self.broke(state, error, now),
        }
    }

    /// Looks whether the transport has bytes, without waiting.
    fn look(&mut self, state: MutexGuard<'_, State>) {
        self.wait_for(state, Some(Interest::READABLE), Some(Duration::ZERO));
    }

    /// Waits for the transport and for requests of other threads.
    fn wait_for(
        &mut self,
        state: MutexGuard<'_, State>,
        interest: Option<Interest>,
        timeout: Option<Duration>,
    ) {
        drop(state);
        let waker = (self.shared.waker.source(), Interest::READABLE);
        let ready = match (&self.source, interest) {
            (Some(source), Some(interest)) => {
                let source: Source<'_> = borrowed(source);
                wait([(source, interest), waker], timeout).map(|[ready, _]| ready)
            }
            _ => wait([waker], timeout).map(|_| false),
        };
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if state.waits.take().is_some_and(|wait| wait.woken) {
            shared.waker.reset();
        }
        // An error of the wait is one of the transport, and a read tells which.
        let ready = ready.unwrap_or(true);
        if ready {
            self.readable = interest.is_some_and(|interest| interest.readable);
            state.congested = false;
        }
    }
}

fn borrowed(source: &OwnedSource) -> Source<'_> {
    #[cfg(unix)]
    return std::os::fd::AsFd::as_fd(source);
    #[cfg(windows)]
    return std::os::windows::io::AsSocket::as_socket(source);
}

/// Reads and drops all that is there. Gives whether the peer has closed the connection.
fn is_at_end(link: &mut dyn crate::driver::stream::Stream) -> bool {
    let mut dropped: Vec<u8> = std::vec![0; 4096];
    loop {
        match link.read(&mut dropped) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return !is_pause(&error),
        }
    }
}

impl Drop for Events {
    /// If the application has disconnected, the broker gets a second to read all that was sent.
    fn drop(&mut self) {
        let until = time::Instant::now() + LONGEST_END_AT_DROP;
        while self.source.is_some() && self.shared.lock().disconnects {
            match self.advance(Some(until)) {
                Outlook::Event(_) => {}
                Outlook::TimedOut | Outlook::Ended => break,
            }
        }
    }
}

/// An event that outlives the read buffer: see [`Events::next_shared`].
#[cfg(feature = "bytes")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedEvent {
    /// A message. Its bytes are shared with the read buffer.
    Message(SharedMessage),
    /// Anything else.
    Other(OwnedEvent),
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
