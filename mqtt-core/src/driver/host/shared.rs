//! [`Shared`]: what the two halves of a client hold together, and how they wake each other.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time,
};

use super::{
    Outcome,
    state::{Flushed, State},
};
use crate::{session::Handle, time::Instant};

/// State that the two halves of a client share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Signals a change that a requesting thread waits for: room for requests, an outcome, the end.
    pub(crate) changed: Condvar,
    start: time::Instant,
}

/// How long packets that are due may wait while the events of one read are handled, in milliseconds. Quick handlers
/// share a write, slow ones cause at most 100 writes a second, and no time-out of the protocol is that short.
pub(crate) const LONGEST_UNSENT: u64 = 10;

impl Shared {
    pub(crate) fn new(state: State) -> Arc<Self> {
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Arc::new(Self { state, changed, start: time::Instant::now() })
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.start.elapsed().as_millis() as u64)
    }

    /// The instant of the system's clock.
    #[cfg(feature = "tokio")]
    pub(crate) fn at(&self, instant: Instant) -> time::Instant {
        self.start + time::Duration::from_millis(instant.millis_since(Instant::from_millis(0)))
    }

    /// The state. A thread that panicked with the lock held leaves it usable: no call leaves it half changed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait of the serving thread.
    pub(crate) fn wake(&self, state: &mut State) {
        if let Some(wait) = &mut state.waits {
            if !core::mem::replace(&mut wait.woken, true) {
                wait.waker.wake_by_ref();
            }
        }
    }

    /// There may be room: tells those who wait for it.
    pub(crate) fn tell_room(&self, state: &mut State) {
        self.notify(state);
        #[cfg(feature = "tokio")]
        state.tasks.room();
    }

    /// A request has ended: tells those who wait for its outcome, and keeps it for those who come late.
    pub(crate) fn tell_outcome(&self, state: &mut State, handle: Handle, outcome: Outcome) {
        self.notify(state);
        #[cfg(feature = "tokio")]
        state.tasks.ended(handle, &outcome);
        state.feeding.forget(handle);
        state.outcomes.add(handle, outcome);
    }

    /// The connection or the client may have ended: tells everybody who waits.
    pub(crate) fn tell_all(&self, state: &mut State) {
        self.notify(state);
        #[cfg(feature = "tokio")]
        state.tasks.wake_all();
    }

    /// Tells the threads that wait.
    fn notify(&self, state: &State) {
        if state.waiters != 0 {
            self.changed.notify_all();
        }
    }

    /// An acknowledgement was made: those of the events of one read share a write, as if the client had made them.
    pub(crate) fn serve_later(&self, state: &mut State) {
        let soon = self.now().millis_since(state.flushed_at) < LONGEST_UNSENT;
        if !(state.more_follows && soon && state.waits.is_none() && state.journal.is_none()) {
            self.serve(state);
        }
    }

    /// A request was made: sends what is due, and wakes the serving thread if it has something to do that it does not
    /// know of.
    pub(crate) fn serve(&self, state: &mut State) {
        let flushed = if state.link.is_some() || state.journal.is_some() {
            state.flush(self.now())
        } else {
            Flushed::Until(state.client.deadline())
        };
        // Sent acknowledgements have made room without an event.
        #[cfg(feature = "tokio")]
        state.tasks.room();
        let Some(wait) = &state.waits else { return };
        let news = match flushed {
            Flushed::Until(deadline) => deadline < wait.until || state.link.is_none(),
            Flushed::Congested => !wait.for_writing,
            Flushed::Close | Flushed::Reads => true,
        };
        if news || state.client.has_event() {
            self.wake(state);
        }
    }
}

/// Says that the serving thread has gone, also if it panicked.
pub(crate) struct Gone(pub(crate) Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        state.opening.give_up();
        let link = state.link.take();
        self.0.tell_all(&mut state);
        drop(state);
        drop(link);
    }
}
