//! The receiving half. It is the driver as well: it connects, reads and keeps time.

use std::{
    boxed::Box,
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
    time::{self, Duration},
};

use super::{
    CONGESTED, Connector, Error, Flushed, LONGEST_UNSENT, ReadHalf, Shared, State,
    event_range::EventRange, is_pause,
};
use crate::{
    error::Reason,
    event::{ConnectionState, Event},
    framer::Framer,
    time::Instant,
};

/// The shortest read time-out that operating systems support.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest wait for bytes. A request of another thread can cause an event (a QoS 0 message was sent) but cannot end
/// a read, so such an event comes at most this late.
const LONGEST_READ: Duration = Duration::from_millis(250);
/// The longest single wait.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The events of a client, one after the other. The thread that waits here keeps the connection alive, and connects
/// again after it breaks.
pub struct Events {
    shared: Arc<Shared>,
    connector: Box<dyn Connector>,
    reader: Option<Box<dyn ReadHalf>>,
    read_timeout: Duration,
    buffer: Framer<Box<[u8]>>,
    /// Bytes at the front of the buffer that the last event borrowed. The next call consumes them.
    event_len: usize,
    /// The `Up` of the first connection, which `Config::connect` waited for: the next event given.
    first_up: Option<Event<'static>>,
    last_error: Option<Error>,
    endpoint: u8,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("last_error", &self.last_error).finish_non_exhaustive()
    }
}

/// The result of [`Events::advance`].
enum Outcome {
    Event(EventRange),
    TimedOut,
    /// The client is stopped and has no more events.
    Ended,
}

impl Events {
    pub(super) fn new(
        shared: Arc<Shared>,
        connector: Box<dyn Connector>,
        buffer: Framer<Box<[u8]>>,
    ) -> Self {
        Self {
            shared,
            connector,
            reader: None,
            read_timeout: Duration::ZERO,
            buffer,
            event_len: 0,
            first_up: None,
            last_error: None,
            endpoint: 0,
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
        reason = "an event borrows the buffer, no iterator can"
    )]
    pub fn next(&mut self) -> Option<Event<'_>> {
        match self.advance(None) {
            Outcome::Event(event) => Some(event.resolve(self.buffer.input())),
            Outcome::TimedOut | Outcome::Ended => None,
        }
    }

    /// The next event, if there is one within `timeout`. Zero does not wait.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event<'_>> {
        match self.advance(Some(time::Instant::now() + timeout)) {
            Outcome::Event(event) => Some(event.resolve(self.buffer.input())),
            Outcome::TimedOut | Outcome::Ended => None,
        }
    }

    /// The last failure of the transport or of the journal; `None` once another transport is open.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Waits until the broker accepts the first connection. Its `Up` is the next event given.
    pub(super) fn await_up(&mut self) -> Result<(), Error> {
        let first = self.shared.lock().client.protocol();
        let mut tried_both = false;
        loop {
            match self.next() {
                Some(Event::Up { endpoint, session, protocol }) => {
                    self.first_up = Some(Event::Up { endpoint, session, protocol });
                    return Ok(());
                }
                Some(Event::Down { reason, .. }) => {
                    // Version::Auto falls back once.
                    let falls_back = self.shared.lock().client.protocol() != first;
                    if falls_back && !std::mem::replace(&mut tried_both, true) {
                        continue;
                    }
                    return Err(self.last_error.take().unwrap_or(Error::NotConnected(reason)));
                }
                Some(_) => {}
                None => {
                    let stopped = Error::NotConnected(Reason::Requested);
                    return Err(self.last_error.take().unwrap_or(stopped));
                }
            }
        }
    }

    fn advance(&mut self, until: Option<time::Instant>) -> Outcome {
        self.buffer.consume(core::mem::take(&mut self.event_len));
        if let Some(event) = self.first_up.take() {
            return Outcome::Event(EventRange::new(event, &[]));
        }
        let shared = Arc::clone(&self.shared);
        let (mut looked, mut between_events) = (false, true);
        loop {
            let now = shared.now();
            let mut state = shared.lock();
            if state.halted {
                self.halt(&mut state, now);
            }
            // Handling the events before this one may have taken long.
            if core::mem::take(&mut between_events)
                && self.reader.is_some()
                && now.millis_since(state.flushed_at) >= LONGEST_UNSENT
            {
                match state.flush(now) {
                    Flushed::Close => self.close(&mut state, now),
                    Flushed::Until(deadline) if deadline <= now => self.read(state, SHORTEST),
                    Flushed::Until(_) | Flushed::Congested => drop(state),
                }
                continue;
            }
            let all = self.buffer.input();
            let mut input = all;
            // An error needs no handling here: `poll` says to close, and an event with the reason follows.
            let event = state.client.receive(&mut input, now).unwrap_or(None);
            let taken_len = all.len() - input.len();
            if let Some(event) = event {
                self.event_len = taken_len;
                shared.changed.notify_all();
                return Outcome::Event(EventRange::new(event, all));
            }
            self.buffer.consume(taken_len);
            let left = until
                .map_or(LONGEST, |until| until.saturating_duration_since(time::Instant::now()));
            let give_up = looked && left.is_zero();
            looked = true;
            if self.reader.is_some() {
                let before = state.client.counters().bytes_out;
                let wait = match state.flush(now) {
                    Flushed::Until(deadline) => pause(deadline, now).max(SHORTEST),
                    Flushed::Congested => CONGESTED,
                    Flushed::Close => {
                        self.close(&mut state, now);
                        continue;
                    }
                };
                // Sending can cause an event, and makes room for answers to packets that are in the buffer already.
                if state.client.counters().bytes_out != before {
                    shared.changed.notify_all();
                    continue;
                }
                if give_up {
                    return Outcome::TimedOut;
                }
                self.read(state, wait.min(left).min(LONGEST_READ));
                continue;
            }
            if state.halted {
                return Outcome::Ended;
            }
            if state.client.state() == ConnectionState::Stopped {
                state.record_now(now);
                if state.halted {
                    self.halt(&mut state, now);
                }
                return Outcome::Ended;
            }
            let flushed = state.flush(now);
            if let Some(endpoint) = state.connect.take() {
                let timeout = Duration::from_millis(state.client.connect_timeout().into());
                drop(state);
                self.open(endpoint, timeout);
                continue;
            }
            match flushed {
                Flushed::Until(_) if give_up => return Outcome::TimedOut,
                Flushed::Until(deadline) => {
                    let wait = pause(deadline, now).min(left);
                    let waited = shared.changed.wait_timeout(state, wait);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
                // There is no transport to write to or to close.
                Flushed::Congested | Flushed::Close => state.client.closed(now),
            }
        }
    }

    /// Opens a transport. No lock is held while it connects.
    fn open(&mut self, endpoint: u8, timeout: Duration) {
        self.endpoint = endpoint;
        let opened = self.connector.connect(endpoint, timeout);
        let now = self.shared.now();
        let mut state = self.shared.lock();
        match opened {
            Ok(link) => {
                // It belongs to an earlier connection.
                self.last_error = None;
                state.writer = Some(link.writer);
                state.congested = None;
                state.client.connected(now);
                self.reader = Some(link.reader);
                self.read_timeout = Duration::ZERO;
            }
            Err(error) => {
                let broker = self.connector.name(endpoint);
                self.last_error = Some(Error::Io { broker, error });
                state.client.closed(now);
            }
        }
    }

    /// The journal failed: ends the connection, so that nothing more is received.
    fn halt(&mut self, state: &mut State, now: Instant) {
        if self.reader.is_some() {
            self.close(state, now);
        }
        if let Some(error) = state.failure.take() {
            self.last_error = Some(error);
        }
    }

    fn close(&mut self, state: &mut State, now: Instant) {
        if let Some(mut writer) = state.writer.take() {
            writer.close();
        }
        self.reader = None;
        self.buffer.clear();
        state.client.closed(now);
        self.shared.changed.notify_all();
    }

    /// Waits at most `wait` for bytes and reads them.
    fn read(&mut self, mut state: MutexGuard<'_, State>, wait: Duration) {
        let space = self.buffer.space();
        let Some(reader) = self.reader.as_mut().filter(|_| !space.is_empty()) else {
            // The buffer is full, because an answer finds no room in the outbox: only sending helps.
            let waited = self.shared.changed.wait_timeout(state, CONGESTED);
            return drop(waited.unwrap_or_else(PoisonError::into_inner));
        };
        state.reading = true;
        drop(state);
        // The time-out is set only if it is too long or far too short, which saves system calls.
        let mut read = Ok(());
        if wait < self.read_timeout || wait > self.read_timeout * 2 {
            self.read_timeout = wait.max(SHORTEST);
            read = reader.set_read_timeout(self.read_timeout);
        }
        let read = read.and_then(|()| reader.read(space));
        let shared = Arc::clone(&self.shared);
        let (mut state, now) = (shared.lock(), shared.now());
        state.reading = false;
        // What was read is handled first.
        state.flushed_at = now;
        match read {
            Ok(0) => self.close(&mut state, now),
            Ok(count) => self.buffer.filled(count),
            Err(error) if is_pause(&error) => {}
            Err(error) => {
                let broker = self.connector.name(self.endpoint);
                self.last_error = Some(Error::Io { broker, error });
                self.close(&mut state, now);
            }
        }
    }
}

/// The time from `now` to `deadline`.
fn pause(deadline: Instant, now: Instant) -> Duration {
    Duration::from_millis(deadline.millis_since(now)).min(LONGEST)
}
