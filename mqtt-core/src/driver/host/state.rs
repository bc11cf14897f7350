//! [`State`]: the client, its link and its journal, behind one lock; and how due bytes get to the link.

use std::{boxed::Box, io, task::Waker, time::Duration, vec::Vec};

#[cfg(feature = "tokio")]
use super::waiters::Waiters;
use super::{
    Error, Outcome, Unfinished, dyn_journal::DynJournal, feeding::Feeding, outcomes::Outcomes,
};
use crate::{
    client::BoxedClient,
    driver::stream::{Link, is_pause},
    event::{Action, ConnectionState},
    session::Handle,
    time::Instant,
};

/// How long the end of a connection waits for the broker, which closes it after a DISCONNECT.
pub(crate) const LONGEST_END: Duration = Duration::from_secs(5);

pub(crate) struct State {
    pub(crate) client: BoxedClient,
    pub(crate) link: Option<Link>,
    pub(crate) journal: Option<Box<dyn DynJournal>>,
    pub(crate) outcomes: Outcomes,
    pub(crate) feeding: Feeding,
    /// The journal failed: nothing is done until `Client::reconnect`.
    pub(crate) failed: Option<Error>,
    /// The transport failed at a write.
    pub(crate) broken: Option<io::Error>,
    /// The serving thread has gone, or has panicked.
    pub(crate) gone: bool,
    pub(crate) opening: Opening,
    /// The broker was told that nothing more is sent on this connection.
    pub(crate) finished: bool,
    /// The transport took no more bytes. `Events` writes again once it does.
    pub(crate) congested: bool,
    /// `Events` waits: until then, unless it is woken.
    pub(crate) waits: Option<Wait>,
    /// Threads that wait for `Shared::changed`.
    pub(crate) waiters: usize,
    /// Tasks that wait.
    #[cfg(feature = "tokio")]
    pub(crate) tasks: Waiters,
    /// The last event was not the last one of its read, so the application asks for the next one soon.
    pub(crate) more_follows: bool,
    /// When a thread flushed last, or `Events` read.
    pub(crate) flushed_at: Instant,
    /// The application asked for the end: a clean session ends with it.
    pub(crate) disconnects: bool,
    /// `Config::end_with_clients`
    pub(crate) ends_with_clients: bool,
}

/// A transport that is to be opened.
#[derive(Default)]
pub(crate) struct Opening {
    /// The broker to connect to. Any thread that flushes may learn of it, but only `Events` opens a transport.
    pub(crate) connect: Option<u8>,
    /// The number of the attempt under way.
    pub(crate) attempt: Option<u64>,
    /// What came of it.
    pub(crate) opened: Option<io::Result<Link>>,
}

impl Opening {
    pub(crate) const fn is_under_way(&self) -> bool {
        self.connect.is_some() || self.attempt.is_some() || self.opened.is_some()
    }

    pub(crate) fn give_up(&mut self) {
        *self = Self::default();
    }
}

/// The wait of the serving thread.
pub(crate) struct Wait {
    pub(crate) until: Instant,
    /// It wakes up once the transport takes bytes.
    pub(crate) for_writing: bool,
    pub(crate) woken: bool,
    pub(crate) waker: Waker,
}

/// Why [`State::flush`] ended.
pub(crate) enum Flushed {
    /// There is nothing more to write before this instant. If it has passed, something that has to come in is overdue:
    /// it is missed only if a read without a wait, and `receive` after it, do not find it.
    Until(Instant),
    /// The transport takes no more bytes now.
    Congested,
    /// A payload has to be read before there is more to write.
    Reads,
    /// The transport has failed or has to be closed.
    Close,
}

impl State {
    pub(crate) fn new(
        client: BoxedClient,
        journal: Option<Box<dyn DynJournal>>,
        outcomes: usize,
    ) -> Self {
        Self {
            client,
            link: None,
            journal,
            outcomes: Outcomes::new(outcomes),
            feeding: Feeding::default(),
            failed: None,
            broken: None,
            gone: false,
            opening: Opening::default(),
            finished: false,
            congested: false,
            waits: None,
            waiters: 0,
            #[cfg(feature = "tokio")]
            tasks: Waiters::default(),
            more_follows: false,
            flushed_at: Instant::from_millis(0),
            disconnects: false,
            ends_with_clients: false,
        }
    }

    /// Why a request cannot be made.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.failed {
            _ if self.gone => Err(Error::NotServed),
            Some(error) => Err(error.again()),
            None => Ok(()),
        }
    }

    /// How the request ended; `None` if that is still to come.
    pub(crate) fn outcome(&self, handle: Handle) -> Result<Option<Outcome>, Error> {
        if let Some(outcome) = self.outcomes.of(handle) {
            return Ok(Some(outcome.clone()));
        }
        self.check()?;
        if !self.client.may_be_unanswered(handle) {
            return Err(Error::Unknown);
        }
        if self.connection() == ConnectionState::Stopped && !self.client.has_event() {
            return Err(Error::Stopped);
        }
        Ok(None)
    }

    /// Whether no answer is to be waited for before the client disconnects.
    pub(crate) fn is_answered(&self) -> bool {
        self.client.is_idle() || self.check().is_err()
    }

    /// Whether the connection that the application disconnected has ended, or is wanted again.
    pub(crate) fn is_disconnected(&self) -> bool {
        let ended = self.link.is_none() && self.connection() == ConnectionState::Stopped;
        ended || self.check().is_err() || !self.disconnects
    }

    /// How long a `disconnect` may take: a transport may take no DISCONNECT for the time of an attempt, and the broker
    /// may stay open for [`LONGEST_END`] after it. It starts again if bytes were sent meanwhile: the count of those sent.
    pub(crate) fn longest_disconnect(&self) -> (Duration, u32) {
        let longest = Duration::from_millis(self.client.connect_timeout().into()) + LONGEST_END;
        (longest, self.client.counters().bytes_out)
    }

    /// The requests that have no answer, if there are any.
    pub(crate) fn unfinished(&self) -> Result<(), Unfinished> {
        let handles: Vec<_> = self.client.unanswered().collect();
        if handles.is_empty() { Ok(()) } else { Err(Unfinished { handles }) }
    }

    /// The state of the connection, as the application sees it.
    pub(crate) fn connection(&self) -> ConnectionState {
        if self.failed.is_some() || self.gone {
            ConnectionState::Stopped
        } else {
            self.client.state()
        }
    }

    /// Appends the records that are due and writes the ready bytes until the transport takes no more. If there is no
    /// transport, it may set `connect`.
    pub(crate) fn flush(&mut self, now: Instant) -> Flushed {
        if self.failed.is_some() {
            return Flushed::Close;
        }
        self.flushed_at = now;
        // A transport that panics is not used again.
        let mut link = self.link.take();
        if let Some(handle) = self.feeding.take_retry(now) {
            self.client.source_ready(handle);
        }
        let flushed = self.flush_to(&mut link, now);
        self.link = link;
        match flushed {
            Flushed::Until(deadline) => Flushed::Until(deadline.min(self.feeding.retry_at())),
            flushed @ (Flushed::Congested | Flushed::Reads | Flushed::Close) => flushed,
        }
    }

    fn flush_to(&mut self, link: &mut Option<Link>, now: Instant) -> Flushed {
        loop {
            let written = match (self.client.poll(now), &mut *link) {
                (Action::Persist(record), _) => {
                    // The lock is held: the record borrows the outbox. A thread that waits for the lock has a request
                    // that goes into a later record anyway.
                    let snapshot = record.is_snapshot();
                    let appended =
                        self.journal.as_mut().map_or(Ok(()), |journal| journal.append(&record));
                    if let Err(error) = appended {
                        self.failed = Some(error);
                        // The journal may take only a snapshot now.
                        self.compact();
                        return Flushed::Close;
                    }
                    self.client.persisted();
                    // If the journal is long after a snapshot, another snapshot does not help.
                    if !snapshot {
                        self.compact();
                    }
                    continue;
                }
                (Action::Wait(deadline), link) => {
                    let kept = link.as_mut().filter(|link| link.has_output() && !self.congested);
                    match kept.map(|link| link.flush()) {
                        Some(Err(error)) if is_pause(&error) => self.congested = true,
                        Some(Err(error)) => {
                            self.broken = Some(error);
                            return Flushed::Close;
                        }
                        Some(Ok(())) | None => {}
                    }
                    return Flushed::Until(deadline);
                }
                (Action::Connect { endpoint }, None) => {
                    self.opening.connect = Some(endpoint);
                    continue;
                }
                // The attempt is given up.
                (Action::Close(_), None) if self.opening.is_under_way() => {
                    self.opening.give_up();
                    self.client.closed(now);
                    continue;
                }
                (Action::Close(reason), Some(link)) => {
                    if reason.is_orderly() && link.has_output() {
                        // If it does not work now, the serving thread tries again.
                        let _sent = link.flush();
                    }
                    return Flushed::Close;
                }
                (Action::Close(_) | Action::Transmit(_) | Action::TransmitFrom(_), None)
                // The client asks for no second transport, but the compiler does not know that.
                | (Action::Connect { .. }, Some(_)) => return Flushed::Close,
                (Action::Transmit(_) | Action::TransmitFrom(_), Some(_)) if self.congested => {
                    return Flushed::Congested;
                }
                (Action::Transmit(bytes), Some(link)) => link.write(bytes),
                (Action::TransmitFrom(piece), Some(link)) => {
                    let reads = self.feeding.reads();
                    match self.feeding.bytes(&piece) {
                        Some(bytes) => link.write(bytes),
                        None if reads => return Flushed::Until(self.client.deadline()),
                        None => return Flushed::Reads,
                    }
                }
            };
            match written {
                Ok(0) => return Flushed::Close,
                Ok(count) => self.client.transmitted(count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_pause(&error) => {
                    self.congested = true;
                    return Flushed::Congested;
                }
                Err(error) => {
                    self.broken = Some(error);
                    return Flushed::Close;
                }
            }
        }
    }

    /// Writes the last record without its delay: the client is stopped, so no later call would write it.
    pub(crate) fn record_now(&mut self, now: Instant) {
        let recorded = matches!(self.flush(now), Flushed::Until(Instant::FAR_FUTURE));
        if !recorded && self.failed.is_none() {
            // A record that holds a position is due at once.
            self.client.set_position(self.client.position());
            let _done = self.flush(now);
        }
    }

    /// Asks for a snapshot if the journal is long.
    pub(crate) fn compact(&mut self) {
        if self.journal.as_ref().is_some_and(|journal| journal.is_long()) {
            self.client.compact();
        }
    }
}
