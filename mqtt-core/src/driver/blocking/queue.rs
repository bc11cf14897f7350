//! Events from a background thread, in a queue with a bound.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::event::OwnedEvent;

/// The events of a client that [`Config::spawn_queue`](super::Config::spawn_queue) serves.
///
/// If nobody takes events and the queue is full, the client reads nothing more, so the broker waits; what is due, such
/// as PINGREQs and answers, is still sent. Drop the queue to end the client.
pub struct EventQueue {
    inner: Arc<Inner>,
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue").field("len", &self.inner.lock().events.len()).finish()
    }
}

struct Inner {
    state: Mutex<Waiting>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<OwnedEvent>,
    /// No event follows.
    ended: bool,
    /// Nobody takes events any more.
    abandoned: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventQueue {
    /// The next event, waited for; `None` if the client has ended.
    pub fn next(&self) -> Option<OwnedEvent> {
        self.next_until(None)
    }

    /// The next event, if there is one within `timeout`.
    pub fn next_timeout(&self, timeout: Duration) -> Option<OwnedEvent> {
        // A time beyond the clock is no limit.
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Whether the client has ended and all events are taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        let waiting = self.inner.lock();
        waiting.ended && waiting.events.is_empty()
    }

    fn next_until(&self, until: Option<Instant>) -> Option<OwnedEvent> {
        let mut waiting = self.inner.lock();
        loop {
            if let Some(event) = waiting.events.pop_front() {
                self.inner.changed.notify_all();
                return Some(event);
            }
            if waiting.ended {
                return None;
            }
            waiting = match until {
                None => self.inner.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let waited = self.inner.changed.wait_timeout(waiting, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Iterator for EventQueue {
    type Item = OwnedEvent;

    fn next(&mut self) -> Option<OwnedEvent> {
        Self::next(self)
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        self.inner.lock().abandoned = true;
        self.inner.changed.notify_all();
    }
}

/// The end of the thread that serves the client.
pub(super) struct Filling(Arc<Inner>);

/// How an event was taken.
pub(super) enum Filled {
    Yes,
    /// The queue was full all the time: the event comes back.
    NotYet(OwnedEvent),
    /// Nobody takes events any more.
    Abandoned,
}

impl Filling {
    /// Puts `event` into the queue; if it is full, waits at most for `timeout`.
    pub(super) fn put(&self, event: OwnedEvent, timeout: Duration) -> Filled {
        let mut waiting = self.0.lock();
        let until = Instant::now() + timeout;
        while waiting.events.len() >= self.0.most && !waiting.abandoned {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Filled::NotYet(event);
            }
            let waited = self.0.changed.wait_timeout(waiting, left);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if waiting.abandoned {
            return Filled::Abandoned;
        }
        waiting.events.push_back(event);
        self.0.changed.notify_all();
        Filled::Yes
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

/// A queue of at most `most` events, at least one.
pub(super) fn queue(most: usize) -> (Filling, EventQueue) {
    let inner = Arc::new(Inner {
        state: Mutex::new(Waiting::default()),
        changed: Condvar::new(),
        most: most.max(1),
    });
    (Filling(Arc::clone(&inner)), EventQueue { inner })
}
