//! [`Service`]: the loop that connects, reads and keeps time, without the waits. The drivers wait, each in its way.

use std::{
    io,
    sync::Arc,
    time::{self, Duration},
};

use super::{
    Connector, Error, Outcome, attempt,
    event_range::EventRange,
    feeding::Job,
    first::FirstConnection,
    read_buffer::ReadBuffer,
    shared::{Gone, LONGEST_UNSENT, Shared},
    state::{Flushed, LONGEST_END, State},
};
use crate::{
    driver::{
        fault::fault_of,
        readiness::Interest,
        stream::{Link, Source, is_pause},
    },
    error::{Reason, TransportFault},
    event::{Action, ConnectionState, Event},
    log::log,
    time::Instant,
};

#[cfg(feature = "bytes")]
use super::SharedEvent;

/// How a driver waits for links.
pub(crate) trait Watch {
    /// Whether the system tells only once that there are bytes, so all have to be read before the next wait.
    const ONCE: bool;

    /// What the system waits for, while the link is with the state.
    type Source;

    /// Runs a job and gives it back to `shared`. The caller does not hold the lock.
    fn read(&self, shared: &Arc<Shared>, job: Job);

    /// Watches a link whose source this is.
    fn watch(&self, source: Source<'_>) -> io::Result<Self::Source>;
}

/// The serving half of a client: it connects, reads, sends what is due, and gives the events.
pub(crate) struct Service<W: Watch> {
    pub(crate) shared: Arc<Shared>,
    watch: W,
    connector: Arc<dyn Connector>,
    pub(super) source: Option<W::Source>,
    /// The transport may have bytes.
    readable: bool,
    /// The last read has found all that there was.
    drained: bool,
    /// The connection ends: the broker has until then to close it.
    pub(super) ending: Option<time::Instant>,
    buffer: ReadBuffer,
    /// Bytes at the front of the buffer that the last event borrowed. The next call consumes them.
    event_len: usize,
    /// The application had the last event until now.
    between_events: bool,
    /// The `Up` of the first connection, which the start waited for: the next event given.
    first_up: Option<Event<'static>>,
    last_error: Option<Error>,
    endpoint: u8,
    attempts: u64,
    _gone: Gone,
}

/// What the serving half does next.
pub(crate) enum Step {
    /// Something has changed: it takes the next step.
    Again,
    /// It gives an event.
    Event(EventRange),
    /// It reads a payload with [`Watch::read`], without the lock.
    Read(Job),
    /// It waits for the transport, for a request and for this instant.
    Wait(Option<Interest>, Instant),
    /// The client is stopped and has no more events.
    Ended,
}

impl<W: Watch> Service<W> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        watch: W,
        connector: Arc<dyn Connector>,
        buffer: ReadBuffer,
    ) -> Self {
        Self {
            _gone: Gone(Arc::clone(&shared)),
            shared,
            watch,
            connector,
            source: None,
            readable: false,
            drained: true,
            ending: None,
            buffer,
            event_len: 0,
            between_events: true,
            first_up: None,
            last_error: None,
            endpoint: 0,
            attempts: 0,
        }
    }

    /// How it waits.
    pub(crate) const fn watch(&self) -> &W {
        &self.watch
    }

    /// The source of the open link.
    pub(crate) const fn source(&self) -> Option<&W::Source> {
        self.source.as_ref()
    }

    /// The last failure of the transport or of the journal.
    pub(crate) const fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Takes an event of a client that starts; `None`: it is stopped. Gives the end of its first attempts.
    pub(crate) fn follow(
        &mut self,
        first: &mut FirstConnection,
        event: Option<EventRange>,
    ) -> Option<Result<(), Error>> {
        let reason = match event.map(|event| self.event(event)) {
            Some(Event::Up { endpoint, session, protocol }) => {
                self.first_up = Some(Event::Up { endpoint, session, protocol });
                return Some(Ok(()));
            }
            Some(Event::Down { reason, .. }) if first.has_failed(&self.shared.lock()) => reason,
            Some(_) => return None,
            None => Reason::Requested,
        };
        Some(Err(self.last_error.take().unwrap_or(Error::NotConnected(reason))))
    }

    /// The event of the last step.
    pub(crate) fn event(&self, range: EventRange) -> Event<'_> {
        range.resolve(self.buffer.input())
    }

    /// The same, sharing the bytes of a message with the buffer.
    #[cfg(feature = "bytes")]
    pub(crate) fn shared_event(&mut self, range: EventRange) -> SharedEvent {
        if !range.is_message() {
            return SharedEvent::Other(self.event(range).to_owned());
        }
        let bytes = self.buffer.give(core::mem::take(&mut self.event_len));
        SharedEvent::new(&range.resolve(&bytes), &bytes)
    }

    /// The application asks for the next event, so it does not need the last one any more.
    pub(crate) fn resume(&mut self) {
        self.buffer.consume(core::mem::take(&mut self.event_len));
        self.between_events = true;
    }

    /// The wait for the transport has ended.
    pub(crate) fn ready(&mut self, state: &mut State, interest: Interest) {
        self.readable |= interest.readable;
        state.congested = false;
    }

    /// Reads before the next wait, though the system has not told that there are bytes.
    pub(crate) const fn look(&mut self) {
        self.readable = true;
    }

    /// Sends what is due, and takes nothing in.
    pub(crate) fn keep_alive(&self) {
        loop {
            let now = self.shared.now();
            let mut state = self.shared.lock();
            // Nobody waits until the transport takes bytes again.
            state.congested = false;
            if !matches!(state.flush(now), Flushed::Reads) {
                return;
            }
            if let Some(job) = state.begin_read(now) {
                drop(state);
                self.watch.read(&self.shared, job);
            }
        }
    }

    /// Takes one step, with the state locked. The lock is kept until the wait, if one follows, is in the state.
    pub(crate) fn step(&mut self, state: &mut State, now: Instant) -> Step {
        if let Some(event) = self.first_up.take() {
            return Step::Event(EventRange::new(event, &[]));
        }
        if state.failed.is_some() {
            self.halt(state, now);
        }
        if let Some(opened) = state.opening.opened.take() {
            self.begin(state, opened, now);
        }
        if core::mem::take(&mut self.readable) {
            self.read(state, now);
        }
        // Handling the events before this one may have taken long. At the end nothing more is sent.
        if core::mem::take(&mut self.between_events)
            && self.source.is_some()
            && self.ending.is_none()
            && now.millis_since(state.flushed_at) >= LONGEST_UNSENT
        {
            match state.flush(now) {
                Flushed::Close => self.close(state, now),
                Flushed::Until(deadline) if deadline <= now => self.look(),
                Flushed::Until(_) | Flushed::Congested | Flushed::Reads => {}
            }
            return Step::Again;
        }
        match self.receive(state, now) {
            Some(event) => Step::Event(event),
            None => self.serve(state, now),
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
        match Outcome::of(&event) {
            Some((handle, outcome)) => self.shared.tell_outcome(state, handle, outcome),
            None => self.shared.tell_room(state),
        }
        Some(EventRange::new(event, all))
    }

    /// Does what is due.
    fn serve(&mut self, state: &mut State, now: Instant) -> Step {
        if self.source.is_some() {
            return self.serve_link(state, now);
        }
        if state.failed.is_some() {
            return Step::Ended;
        }
        if state.client.state() == ConnectionState::Stopped {
            state.record_now(now);
            if state.failed.is_some() {
                self.halt(state, now);
            } else if state.disconnects && !state.client.is_idle() {
                state.client.lose_requests();
            }
            self.shared.tell_all(state);
            return if state.client.has_event() { Step::Again } else { Step::Ended };
        }
        let flushed = state.flush(now);
        if let Some(endpoint) = state.opening.connect.take() {
            self.attempt(state, endpoint, now);
            return Step::Again;
        }
        match flushed {
            Flushed::Until(_) if state.client.has_event() => Step::Again,
            Flushed::Until(deadline) => Step::Wait(None, deadline),
            // There is no transport to write to or to close.
            Flushed::Congested | Flushed::Close | Flushed::Reads => {
                if state.failed.is_none() {
                    state.client.closed(now);
                }
                Step::Again
            }
        }
    }

    fn serve_link(&mut self, state: &mut State, now: Instant) -> Step {
        if let Some(until) = self.ending {
            return self.end(state, until, now);
        }
        if let Some(error) = state.feeding.take_error() {
            log!(warn, "mqtt: {}", error);
            self.last_error = Some(error);
        }
        let before = state.client.counters().bytes_out;
        let (deadline, writable) = match state.flush(now) {
            Flushed::Until(deadline) => (deadline, state.congested),
            Flushed::Congested => (state.client.deadline(), true),
            Flushed::Reads => {
                self.shared.tell_room(state);
                return state.begin_read(now).map_or(Step::Again, Step::Read);
            }
            Flushed::Close => {
                self.close(state, now);
                return Step::Again;
            }
        };
        // Sending can cause an event, and makes room for answers to packets that are in the buffer already.
        if state.client.counters().bytes_out != before {
            self.shared.tell_room(state);
            return Step::Again;
        }
        // If the buffer is full, an answer finds no room in the outbox: only sending helps.
        let readable = !self.buffer.space().is_empty();
        let unread = W::ONCE && !self.drained;
        if readable && (unread || state.link.as_ref().is_some_and(|link| link.has_input())) {
            self.readable = true;
            return Step::Again;
        }
        let interest = Interest { readable, writable };
        Step::Wait((readable || writable).then_some(interest), deadline)
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
    fn begin(&mut self, state: &mut State, opened: io::Result<Link>, now: Instant) {
        let opened = opened.and_then(|link| Ok((self.watch.watch(link.source())?, link)));
        match opened {
            Ok((source, link)) => {
                // It belongs to an earlier connection.
                self.last_error = None;
                self.source = Some(source);
                self.readable = false;
                self.drained = true;
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
        self.shared.tell_all(state);
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
            matches!(state.client.poll(now), Action::Close(reason) if reason.is_orderly());
        if orderly && state.link.is_some() {
            self.ending = Some(time::Instant::now() + LONGEST_END);
            return;
        }
        self.drop_link(state);
        state.client.closed(now);
        self.shared.tell_all(state);
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
        self.shared.tell_all(state);
    }

    pub(super) fn drop_link(&mut self, state: &mut State) {
        state.link = None;
        state.congested = false;
        self.source = None;
        self.readable = false;
        self.ending = None;
        self.buffer.clear();
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
        let space_len = space.len();
        // A transport that panics is not used again.
        let Some(mut link) = state.link.take() else { return };
        let read = link.read(space);
        let drains = link.short_read_drains();
        state.link = Some(link);
        // What was read is handled first.
        state.flushed_at = now;
        self.drained = read.as_ref().is_ok_and(|count| drains && *count < space_len);
        match read {
            Ok(0) => {
                self.drop_link(state);
                state.client.closed(now);
                self.shared.tell_all(state);
            }
            Ok(count) => self.buffer.filled(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained = true,
            Err(error) if is_pause(&error) => {}
            Err(error) => self.broke(state, error, now),
        }
    }
}
