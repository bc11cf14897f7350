//! [`State`]: a client and the tasks that wait for it.

use core::task::{Context, Poll, Waker};

use super::{
    Outcome, Stopped, TicketError,
    waiters::{Waiter, Waiters, register},
};
use crate::{
    client::{self, Room},
    error::{ConfigError, Reason, RequestError},
    event::{Action, ConnectionState, Event},
    handle::Handle,
    options::Options,
    session::{Record, Slot},
    source::{Piece, SourceId},
    time::Instant,
};

/// A client whose storage is borrowed.
pub(super) type Borrowed<'a> = client::Client<&'a mut [u8], &'a mut [Slot]>;

/// The storage of a client: an outbox of `BYTES` bytes, `WINDOW` requests in flight, and `WAITERS` tasks that wait at
/// the same time for room or for an outcome. If more tasks wait, they still go on, but each of them is polled in vain
/// now and then.
///
/// The sizes end here: [`State`] has none of them in its type.
#[derive(Clone, Debug)]
pub struct Storage<const BYTES: usize, const WINDOW: usize, const WAITERS: usize> {
    outbox: [u8; BYTES],
    slots: [Slot; WINDOW],
    waiters: [Waiter; WAITERS],
}

impl<const BYTES: usize, const WINDOW: usize, const WAITERS: usize>
    Storage<BYTES, WINDOW, WAITERS>
{
    /// Empty storage; it may be in a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            outbox: [0; BYTES],
            slots: [Slot::EMPTY; WINDOW],
            waiters: [const { Waiter::FREE }; WAITERS],
        }
    }

    /// A client with these options in this storage.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::new`](crate::Client::new).
    pub fn state(&mut self, options: &Options<'_>) -> Result<State<'_>, ConfigError> {
        State::new(options, &mut self.outbox, &mut self.slots, &mut self.waiters)
    }
}

impl<const BYTES: usize, const WINDOW: usize, const WAITERS: usize> Default
    for Storage<BYTES, WINDOW, WAITERS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// A client, and the tasks that wait for it. It goes into a [`Share`](super::Share).
#[derive(Debug)]
pub struct State<'a> {
    pub(super) client: Borrowed<'a>,
    pub(super) waiters: Waiters<'a>,
    /// The task of [`Runner::run`](super::Runner::run).
    runner: Option<Waker>,
    /// Counts what one of the loops of the runner may have to act on.
    changes: u32,
    /// The runner opens a transport to this broker.
    pub(super) connect: Option<u8>,
    /// The receiver ends as soon as it may.
    pub(super) stop: bool,
    /// A record is being written. Until then nobody polls: the client counts `persisted` for the record that the last
    /// poll gave.
    recording: bool,
    look: Look,
    /// The count of sent bytes when the receiver found no room for an answer.
    sent: u32,
    /// The executor has its turn before the loops go on.
    yields: bool,
    /// The application asked for the end: a clean session ends with it.
    disconnects: bool,
    /// The client has stopped, and every event was handled.
    stopped: bool,
    /// The last event is being handled.
    handles: bool,
}

/// How far the proof is that input is missing: see `Client::poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// None is needed.
    No,
    /// The receiver has to look. It may be busy with a handler.
    Asked,
    /// A read waits, and has until then.
    Listens(Instant),
    /// Nothing came.
    Over,
}

/// How long a read may wait for bytes that came in time, in milliseconds: they may be in a network stack that another
/// task serves, or be part of a record of TLS.
const LONGEST_LOOK: u64 = 100;

/// Bytes of a publish from a source that are due.
pub(super) struct DuePiece {
    pub(super) handle: Handle,
    pub(super) source: SourceId,
    pub(super) offset: u32,
    pub(super) left: u32,
    /// Bytes of the head that were copied.
    pub(super) head: usize,
}

/// What the keeper does next.
pub(super) enum Step<R> {
    /// A record was copied, and it appends the copy to the journal.
    Record(R),
    /// The transport has to be closed.
    Close(Reason),
    /// The client is stopped.
    Stopped,
    /// It waits for a change, and until this instant.
    Wait(Instant),
}

impl<'a> State<'a> {
    /// A client with these options in this storage: for storage whose sizes are not constants.
    ///
    /// # Errors
    ///
    /// As [`mqtt_core::Client::new`](crate::Client::new).
    pub fn new(
        options: &Options<'_>,
        outbox: &'a mut [u8],
        slots: &'a mut [Slot],
        waiters: &'a mut [Waiter],
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            client: client::Client::new(options, outbox, slots)?,
            waiters: Waiters::new(waiters),
            runner: None,
            changes: 0,
            connect: None,
            stop: false,
            recording: false,
            look: Look::No,
            sent: 0,
            yields: false,
            disconnects: false,
            stopped: false,
            handles: false,
        })
    }

    /// Restores the session that `journal` holds; before the first request and before [`split`](super::split).
    ///
    /// # Errors
    ///
    /// As [`replay`](crate::driver::journal::replay).
    pub async fn replay<J: crate::driver::journal::Journal>(
        &mut self,
        journal: &mut J,
    ) -> Result<(), crate::driver::journal::ReplayError<J::Error>> {
        crate::driver::journal::replay(journal, &mut self.client).await
    }

    /// The number of changes so far.
    pub(super) const fn changes(&self) -> u32 {
        self.changes
    }

    /// A loop of the runner has something to do, and the runner is being polled.
    const fn changed(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// A loop of the runner has something to do.
    pub(super) fn wake(&mut self) {
        self.changed();
        if let Some(runner) = &self.runner {
            runner.wake_by_ref();
        }
    }

    /// The runner is being polled.
    pub(super) fn register(&mut self, context: &Context<'_>) {
        register(&mut self.runner, context.waker());
    }

    /// The application makes a request.
    pub(super) fn request<T>(
        &mut self,
        make: impl FnOnce(&mut Borrowed<'a>) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        let room = self.client.room();
        let made = make(&mut self.client)?;
        // Subscriptions that are forgotten make room.
        self.tell_of_room(room);
        self.wake();
        Ok(made)
    }

    /// The application makes a request, and is going to wait for its outcome; gives its place among the waiters.
    pub(super) fn ticket(
        &mut self,
        make: impl FnOnce(&mut Borrowed<'a>) -> Result<Handle, RequestError>,
    ) -> Result<(usize, Handle), TicketError> {
        if !self.waiters.has_free() {
            return Err(TicketError::NoWaiter);
        }
        let handle = self.request(make)?;
        let index = self.waiters.reserve(handle).ok_or(TicketError::NoWaiter)?;
        Ok((index, handle))
    }

    /// A request that was refused for want of room may be accepted now.
    fn tell_of_room(&mut self, before: Room) {
        if self.client.room().has_grown_since(before) {
            self.waiters.changed();
        }
    }

    pub(super) fn poll_outcome(
        &mut self,
        index: usize,
        handle: Handle,
        waker: &Waker,
    ) -> Poll<Result<Outcome, Stopped>> {
        self.waiters.poll(index, handle, self.stopped, waker)
    }

    pub(super) fn disconnect(&mut self) {
        self.disconnects = true;
        self.client.disconnect();
        // If it was offline, it is stopped already.
        self.waiters.changed();
        self.wake();
    }

    pub(super) fn connect(&mut self) {
        self.disconnects = false;
        self.stopped = false;
        self.client.connect();
        self.wake();
    }

    /// The device is awake anyway.
    pub(super) fn awake(&mut self, slack: u32, now: Instant) {
        self.client.awake(slack, now);
        self.wake();
    }

    /// A runner begins. The one before it may have been dropped anywhere.
    pub(super) fn begin(&mut self, now: Instant) {
        self.recording = false;
        self.stopped = false;
        self.end(None, now);
    }

    /// The transport is gone, or could not be opened.
    pub(super) fn end(&mut self, fault: Option<crate::TransportFault>, now: Instant) {
        self.connect = None;
        self.stop = false;
        self.look = Look::No;
        self.handles = false;
        match fault {
            None => self.client.closed(now),
            Some(fault) => self.client.failed(fault, now),
        }
        self.waiters.changed();
    }

    /// The transport is open.
    pub(super) fn begin_link(&mut self, now: Instant) {
        self.connect = None;
        self.stop = false;
        self.sent = self.client.counters().bytes_out;
        self.client.connected(now);
    }

    /// Whether the receiver has something to do but to read. `held`: it holds input that was not taken.
    pub(super) fn calls_receiver(&self, held: bool) -> bool {
        let sent = held && self.client.counters().bytes_out != self.sent;
        sent || self.client.has_event()
    }

    /// The loops go on after the executor had its turn.
    pub(super) const fn yields(&mut self) {
        self.yields = true;
    }

    /// Whether the executor has its turn.
    pub(super) const fn take_yield(&mut self) -> bool {
        core::mem::replace(&mut self.yields, false)
    }

    /// Whether a record is being written.
    pub(super) const fn is_recording(&self) -> bool {
        self.recording
    }

    /// Whether the receiver has to prove that no input is there.
    pub(super) fn looks(&self) -> bool {
        self.look != Look::No
    }

    /// A read waits. Gives whether it had its time, so that the receiver may call `receive`.
    pub(super) fn listens(&mut self, now: Instant) -> bool {
        if self.look == Look::Asked {
            self.look = Look::Listens(now.plus_millis(LONGEST_LOOK));
            self.changed();
        }
        self.look == Look::Over
    }

    /// The next event.
    pub(super) fn receive<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Option<Event<'i>> {
        if self.stop {
            return None;
        }
        let room = self.client.room();
        self.look = Look::No;
        // An error needs no handling here: `poll` says to close, and an event with the reason follows.
        let event = self.client.receive(input, now).unwrap_or(None);
        self.handles = event.is_some();
        match &event {
            None => {
                self.sent = self.client.counters().bytes_out;
            }
            Some(event) => {
                let ended = Outcome::of(event);
                if let Some((handle, outcome)) = ended {
                    self.waiters.ended(handle, outcome);
                }
                if ended.is_some() || matches!(event, Event::Up { .. } | Event::Down { .. }) {
                    self.waiters.changed();
                }
            }
        }
        self.tell_of_room(room);
        self.changed();
        event
    }

    /// Copies bytes that are ready for the transport; gives how many.
    pub(super) fn transmit(&mut self, out: &mut [u8], now: Instant) -> usize {
        if self.recording {
            return 0;
        }
        let mut count = 0;
        if let Action::Transmit(bytes) = self.client.poll(now) {
            count = bytes.len().min(out.len());
            for (space, byte) in out.iter_mut().zip(bytes) {
                *space = *byte;
            }
        }
        self.look(now);
        count
    }

    /// The next bytes of a publish from a source, if some are due; their head is copied to the front of `out`.
    pub(super) fn piece(&mut self, out: &mut [u8], now: Instant) -> Option<DuePiece> {
        if self.recording {
            return None;
        }
        let Action::TransmitFrom(piece) = self.client.poll(now) else { return None };
        let head = piece.copy_head(out);
        let Piece { handle, source, offset, left, .. } = piece;
        Some(DuePiece { handle, source, offset, left, head })
    }

    /// Asks for a look if a poll found that input is overdue. Gives when the keeper is needed again.
    fn look(&mut self, now: Instant) -> Instant {
        let deadline = self.client.deadline();
        if deadline > now {
            // The one that asked for a look has moved, and the next look has a time of its own.
            self.look = Look::No;
            return deadline;
        }
        match self.look {
            Look::No => {
                self.look = Look::Asked;
                self.changed();
            }
            Look::Listens(until) if until > now => return until,
            Look::Listens(_) => {
                self.look = Look::Over;
                self.changed();
            }
            Look::Asked | Look::Over => {}
        }
        // That the receiver goes on is a change. It may be busy with a handler, and a PINGREQ gets due meanwhile.
        self.client.deadline_after(now)
    }

    /// The transport has taken `count` bytes.
    pub(super) fn transmitted(&mut self, count: usize, now: Instant) {
        let room = self.client.room();
        self.client.transmitted(count, now);
        self.tell_of_room(room);
        self.changed();
    }

    /// What is due; a record is given to `copy`.
    pub(super) fn keep<R>(&mut self, now: Instant, copy: impl FnOnce(&Record<'_>) -> R) -> Step<R> {
        loop {
            match self.client.poll(now) {
                Action::Connect { endpoint } => {
                    self.connect = Some(endpoint);
                    self.changed();
                }
                Action::Close(reason) => return Step::Close(reason),
                Action::Persist(record) => {
                    self.recording = true;
                    return Step::Record(copy(&record));
                }
                Action::Transmit(_) | Action::TransmitFrom(_) => {
                    // Bytes may have become ready by this call: a PINGREQ.
                    self.changed();
                    return Step::Wait(self.look(now));
                }
                Action::Wait(_) => {
                    if self.client.state() != ConnectionState::Stopped {
                        return Step::Wait(self.look(now));
                    }
                    if let Some(step) = self.stop(self.client.deadline()) {
                        return step;
                    }
                }
            }
        }
    }

    /// The client is stopped. `None`: it has something left to do.
    fn stop<R>(&mut self, deadline: Instant) -> Option<Step<R>> {
        if deadline != Instant::FAR_FUTURE {
            // The last record is written without its delay. A record that holds a position is due at once.
            self.client.set_position(self.client.position());
            return None;
        }
        if self.handles {
            // The handler may connect again.
            return Some(Step::Wait(Instant::FAR_FUTURE));
        }
        if self.disconnects && !self.client.has_event() && !self.client.is_idle() {
            self.client.lose_requests();
        }
        if self.client.has_event() {
            return Some(Step::Wait(Instant::FAR_FUTURE));
        }
        self.stopped = true;
        self.waiters.stopped();
        Some(Step::Stopped)
    }

    /// The record is durable.
    pub(super) fn recorded(&mut self) {
        self.recording = false;
        self.client.persisted();
        self.waiters.changed();
        self.changed();
    }

    /// The next record states the whole session.
    pub(super) fn compact(&mut self) {
        self.client.compact();
        self.changed();
    }
}
