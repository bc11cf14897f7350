//! [`Waiters`]: tasks that wait for room, for an outcome or for the end, each woken for what it waits for alone.
//!
//! Those that wait for room are woken one after the other, in the order in which they came: one that was woken and did
//! not use the room, or used a part of it, passes the word on.

use std::{collections::BTreeMap, task::Waker};

use super::Outcome;
use crate::{error::RequestError, session::Handle};

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Awaited {
    /// A request less in flight.
    Slot,
    /// Bytes in the outbox.
    Bytes,
    /// The outcome of a request.
    Outcome(Handle),
    /// That all requests are answered, or that the connection has ended.
    End,
}

impl Awaited {
    /// What has to come before a request that was refused with `full` can be made.
    pub(crate) const fn of(full: &RequestError) -> Self {
        if let RequestError::WindowFull { .. } = full { Self::Slot } else { Self::Bytes }
    }
}

/// The place of a waiting task: what it waits for, and its number.
pub(crate) type Place = (Awaited, u64);

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: BTreeMap<Place, Waiter>,
    /// Places that were given.
    given: u64,
}

#[derive(Debug)]
struct Waiter {
    /// `None`: it was woken, and has not looked since.
    waker: Option<Waker>,
    outcome: Option<Outcome>,
}

impl Waiter {
    fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Waiters {
    /// Has `waker` woken once there may be what is `awaited`. A task that looks again keeps its `place`.
    pub(crate) fn wait(&mut self, place: &mut Option<Place>, awaited: Awaited, waker: &Waker) {
        let kept = place.filter(|(before, _)| *before == awaited);
        if kept.is_none() {
            self.leave(place);
        }
        let kept = kept.unwrap_or_else(|| {
            self.given += 1;
            (awaited, self.given)
        });
        self.waiting.insert(kept, Waiter { waker: Some(waker.clone()), outcome: None });
        *place = Some(kept);
    }

    /// The task of this place waits no more.
    pub(crate) fn leave(&mut self, place: &mut Option<Place>) {
        let Some(place) = place.take() else { return };
        let left = self.waiting.remove(&place);
        if left.is_some_and(|waiter| waiter.waker.is_none()) {
            // There may be room that it did not use.
            self.wake_first(place.0);
        }
    }

    /// The outcome that came for the task of this place.
    pub(crate) fn outcome(&mut self, place: Option<Place>) -> Option<Outcome> {
        self.waiting.get_mut(&place?)?.outcome.take()
    }

    /// There may be room.
    pub(crate) fn room(&mut self) {
        self.wake_first(Awaited::Slot);
        self.wake_first(Awaited::Bytes);
    }

    /// A request has ended.
    pub(crate) fn ended(&mut self, handle: Handle, outcome: &Outcome) {
        for waiter in self.waiting_for(Awaited::Outcome(handle)) {
            waiter.outcome = Some(outcome.clone());
            waiter.wake();
        }
        self.waiting_for(Awaited::End).for_each(Waiter::wake);
        self.room();
    }

    /// Nothing may be as it was.
    pub(crate) fn wake_all(&mut self) {
        self.waiting.values_mut().for_each(Waiter::wake);
    }

    fn wake_first(&mut self, awaited: Awaited) {
        let first = self.waiting_for(awaited).find(|waiter| waiter.waker.is_some());
        first.into_iter().for_each(Waiter::wake);
    }

    /// Those who wait for this, in the order in which they came.
    fn waiting_for(&mut self, awaited: Awaited) -> impl Iterator<Item = &mut Waiter> {
        let places = (awaited, 0)..=(awaited, u64::MAX);
        self.waiting.range_mut(places).map(|(_, waiter)| waiter)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A task, with its place and the number of times that it was woken.
    #[derive(Default)]
    struct Task(Option<Place>, Arc<Count>);

    impl Task {
        fn wait(&mut self, waiters: &mut Waiters, awaited: Awaited) {
            waiters.wait(&mut self.0, awaited, &Waker::from(Arc::clone(&self.1)));
        }

        fn woken(&self) -> usize {
            self.1.0.load(Ordering::Relaxed)
        }
    }

    fn woken<const N: usize>(tasks: &[Task; N]) -> [usize; N] {
        tasks.each_ref().map(Task::woken)
    }

    #[test]
    fn each_room_wakes_the_next_task() {
        let (mut waiters, mut tasks) = (Waiters::default(), [(); 3].map(|()| Task::default()));
        tasks.iter_mut().for_each(|task| task.wait(&mut waiters, Awaited::Slot));
        waiters.room();
        assert_eq!(woken(&tasks), [1, 0, 0]);
        waiters.room();
        assert_eq!(woken(&tasks), [1, 1, 0]);
    }

    #[test]
    fn a_task_that_finds_no_room_keeps_its_place() {
        let (mut waiters, mut tasks) = (Waiters::default(), [(); 2].map(|()| Task::default()));
        tasks.iter_mut().for_each(|task| task.wait(&mut waiters, Awaited::Bytes));
        for round in 1..4 {
            waiters.room();
            tasks[0].wait(&mut waiters, Awaited::Bytes);
            assert_eq!(woken(&tasks), [round, 0]);
        }
    }

    #[test]
    fn a_woken_task_that_leaves_passes_the_word_on() {
        let (mut waiters, mut tasks) = (Waiters::default(), [(); 2].map(|()| Task::default()));
        tasks.iter_mut().for_each(|task| task.wait(&mut waiters, Awaited::Slot));
        waiters.room();
        waiters.leave(&mut tasks[0].0);
        assert_eq!(woken(&tasks), [1, 1]);
    }

    #[test]
    fn a_sleeping_task_that_leaves_wakes_nobody() {
        let (mut waiters, mut tasks) = (Waiters::default(), [(); 2].map(|()| Task::default()));
        tasks.iter_mut().for_each(|task| task.wait(&mut waiters, Awaited::Slot));
        waiters.leave(&mut tasks[0].0);
        assert_eq!(woken(&tasks), [0, 0]);
        waiters.room();
        assert_eq!(woken(&tasks), [0, 1]);
    }

    #[test]
    fn a_task_that_has_a_slot_and_lacks_bytes_passes_the_word_on() {
        let (mut waiters, mut tasks) = (Waiters::default(), [(); 2].map(|()| Task::default()));
        tasks.iter_mut().for_each(|task| task.wait(&mut waiters, Awaited::Slot));
        waiters.room();
        tasks[0].wait(&mut waiters, Awaited::Bytes);
        assert_eq!(woken(&tasks), [1, 1]);
    }

    #[test]
    fn an_outcome_wakes_those_who_wait_for_it_and_waits_for_them() {
        let (mut waiters, mut tasks) = (Waiters::default(), [(); 3].map(|()| Task::default()));
        let [one, two] = [1, 2].map(|id| Handle::new(id, 0));
        for (task, handle) in tasks.iter_mut().zip([one, two, one]) {
            task.wait(&mut waiters, Awaited::Outcome(handle));
        }
        waiters.ended(one, &Outcome::Published);
        assert_eq!(woken(&tasks), [1, 0, 1]);
        let outcomes = tasks.each_ref().map(|task| waiters.outcome(task.0));
        assert_eq!(outcomes, [Some(Outcome::Published), None, Some(Outcome::Published)]);
    }

    #[test]
    fn nobody_stays_behind() {
        let (mut waiters, mut task) = (Waiters::default(), Task::default());
        for awaited in [Awaited::Slot, Awaited::Bytes, Awaited::End] {
            task.wait(&mut waiters, awaited);
        }
        waiters.leave(&mut task.0);
        assert!(waiters.waiting.is_empty());
    }
}
