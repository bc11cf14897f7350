//! The tasks that wait: for an outcome, or for any change.

use core::task::{Poll, Waker};

use super::{Outcome, Stopped};
use crate::handle::Handle;

/// Room for one task that waits: see [`Storage`](super::Storage).
#[derive(Clone, Debug)]
pub struct Waiter(Entry);

#[derive(Clone, Debug)]
enum Entry {
    Free,
    /// A task waits for room, or for another change.
    Change(Waker),
    /// A task waits for the outcome of a request, or is going to.
    Request(Handle, Option<Waker>),
    /// The outcome is there.
    Ended(Handle, Outcome),
}

impl Waiter {
    /// Room for one task.
    pub const FREE: Self = Self(Entry::Free);
}

#[derive(Debug)]
pub(super) struct Waiters<'a> {
    table: &'a mut [Waiter],
    /// The last task that found no room in the table. It wakes the one that came before it: see [`Seat`].
    last: Option<Waker>,
    /// Counts the changes that were told.
    told: u32,
}

/// Where a task waits for a change: in the table, or, if that is full, in a line. The line begins with the task that came
/// last, and each task in it keeps the waker of the one behind it.
#[derive(Debug, Default)]
pub(super) struct Seat {
    index: Option<usize>,
    /// It had a place in the table until it was polled.
    rose: bool,
    /// Its own waker, if it stands in the line.
    own: Option<Waker>,
    behind: Option<Waker>,
    /// The number of changes told when it was put there.
    since: u32,
}

impl<'a> Waiters<'a> {
    pub(super) const fn new(table: &'a mut [Waiter]) -> Self {
        Self { table, last: None, told: 0 }
    }

    /// Whether no request can ever be waited for.
    pub(super) const fn are_none(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether another request can be waited for.
    pub(super) fn has_free(&self) -> bool {
        self.table.iter().any(|waiter| matches!(waiter.0, Entry::Free))
    }

    /// The place of a request whose outcome will be waited for.
    pub(super) fn reserve(&mut self, handle: Handle) -> Option<usize> {
        let index = self.table.iter().position(|waiter| matches!(waiter.0, Entry::Free))?;
        self.set(index, Entry::Request(handle, None));
        Some(index)
    }

    fn set(&mut self, index: usize, entry: Entry) {
        if let Some(waiter) = self.table.get_mut(index) {
            waiter.0 = entry;
        }
    }

    /// The outcome of `handle`, or registers `waker` for it. `stopped`: none will come.
    pub(super) fn poll(
        &mut self,
        index: usize,
        handle: Handle,
        stopped: bool,
        waker: &Waker,
    ) -> Poll<Result<Outcome, Stopped>> {
        match self.table.get_mut(index).map(|waiter| &mut waiter.0) {
            Some(Entry::Ended(of, outcome)) if *of == handle => Poll::Ready(Ok(*outcome)),
            Some(Entry::Request(of, slot)) if *of == handle && !stopped => {
                register(slot, waker);
                Poll::Pending
            }
            _ => Poll::Ready(Err(Stopped)),
        }
    }

    /// Nobody waits for the outcome of `handle` any more.
    pub(super) fn forget(&mut self, index: usize, handle: Handle) {
        if let Some(Waiter(entry)) = self.table.get_mut(index) {
            if matches!(entry, Entry::Request(of, _) | Entry::Ended(of, _) if *of == handle) {
                *entry = Entry::Free;
                self.changed();
            }
        }
    }

    /// The request `handle` has ended.
    pub(super) fn ended(&mut self, handle: Handle, outcome: Outcome) {
        for Waiter(entry) in &mut *self.table {
            if let Entry::Request(of, waker) = entry {
                if *of == handle {
                    let waker = waker.take();
                    *entry = Entry::Ended(handle, outcome);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    return;
                }
            }
        }
    }

    /// No outcome will come.
    pub(super) fn stopped(&mut self) {
        for Waiter(entry) in &mut *self.table {
            if let Entry::Request(_, waker) = entry {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
        }
        self.changed();
    }

    /// The task at `seat` is being polled. If it has to wait again, [`wait`](Self::wait) follows. It holds no place in
    /// the table meanwhile, for its request may need it.
    pub(super) fn rise(&mut self, seat: &mut Seat) {
        if let Some(index) = seat.index.take() {
            self.set(index, Entry::Free);
            seat.rose = true;
        }
    }

    /// Registers `waker` for the next change.
    pub(super) fn wait(&mut self, seat: &mut Seat, waker: &Waker) {
        let stands = seat.own.as_ref().is_some_and(|own| own.will_wake(waker));
        if stands && seat.since == self.told {
            return;
        }
        self.leave_line(seat);
        seat.rose = false;
        seat.index = self.table.iter().position(|waiter| matches!(waiter.0, Entry::Free));
        if let Some(index) = seat.index {
            self.set(index, Entry::Change(waker.clone()));
            return;
        }
        seat.behind = self.last.replace(waker.clone());
        seat.own = Some(waker.clone());
        seat.since = self.told;
    }

    /// The task at `seat` waits no more.
    pub(super) fn leave(&mut self, seat: &mut Seat) {
        self.rise(seat);
        self.leave_line(seat);
        if seat.rose && self.last.is_some() && self.has_free() {
            // A task in the line may need the place, for the outcome of a request.
            self.changed();
        }
    }

    fn leave_line(&mut self, seat: &mut Seat) {
        if seat.own.take().is_some() && seat.since == self.told {
            // The others have to make a new line.
            self.changed();
        }
        if let Some(behind) = seat.behind.take() {
            behind.wake();
        }
    }

    /// Something has changed that tasks may wait for.
    pub(super) fn changed(&mut self) {
        self.told = self.told.wrapping_add(1);
        for Waiter(entry) in &*self.table {
            if let Entry::Change(waker) = entry {
                waker.wake_by_ref();
            }
        }
        if let Some(waker) = self.last.take() {
            waker.wake();
        }
    }
}

/// Keeps `waker` in `slot`, without a copy if it is there already.
pub(super) fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(registered) => registered.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
