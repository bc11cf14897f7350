//! Virtual time, and an executor that polls nothing that was not woken. Time moves only when nothing is left to poll.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use embedded_hal_async::delay::DelayNs;
use mqtt_core::Instant;

/// Polls at one instant that no healthy program comes to.
const MOST_POLLS: usize = 100_000;

/// The time, those who wait for it, and chance.
pub(crate) struct World {
    now: Cell<u64>,
    timers: RefCell<Vec<(u64, Waker)>>,
    chance: Cell<u64>,
    polls: Cell<usize>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(0),
            timers: RefCell::default(),
            chance: Cell::new(seed.wrapping_mul(2).wrapping_add(1)),
            polls: Cell::new(0),
        })
    }

    /// Milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant::from_millis(self.now())
    }

    /// The clock goes on, as if the device had slept.
    pub(crate) fn sleep(&self, millis: u64) {
        self.now.set(self.now() + millis);
    }

    /// Polls of tasks so far.
    pub(crate) fn polls(&self) -> usize {
        self.polls.get()
    }

    /// A number from 0 to `most`.
    pub(crate) fn draw(&self, most: usize) -> usize {
        // A linear congruential generator; its high bits are good enough.
        let next = self.chance.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.chance.set(next);
        (next >> 33) as usize % (most + 1)
    }

    pub(crate) async fn until(&self, at: u64) {
        poll_fn(|context| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            self.timers.borrow_mut().push((at, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    pub(crate) async fn after(&self, millis: u64) {
        self.until(self.now() + millis).await;
    }

    /// Moves to the next timer. Gives whether there is one.
    fn advance(&self) -> bool {
        let next = self.timers.borrow().iter().map(|(at, _)| *at).min();
        let Some(next) = next else { return false };
        self.now.set(self.now().max(next));
        let mut timers = self.timers.borrow_mut();
        let (due, later): (Vec<_>, Vec<_>) =
            timers.drain(..).partition(|(at, _)| *at <= self.now.get());
        *timers = later;
        drop(timers);
        due.into_iter().for_each(|(_, waker)| waker.wake());
        true
    }
}

/// The delays of a device.
pub(crate) struct Delay(pub(crate) Rc<World>);

impl DelayNs for Delay {
    async fn delay_ns(&mut self, nanos: u32) {
        self.0.after(u64::from(nanos).div_ceil(1_000_000)).await;
    }

    async fn delay_ms(&mut self, millis: u32) {
        self.0.after(millis.into()).await;
    }
}

pub(crate) type Task<'t> = Pin<Box<dyn Future<Output = ()> + 't>>;

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `main` to its end, and `others` beside it.
pub(crate) fn run<T>(world: &World, main: impl Future<Output = T>, others: Vec<Task<'_>>) -> T {
    let mut main = pin!(main);
    let (mut end, ended) = (None, Cell::new(false));
    let first: Task<'_> = Box::pin(poll_fn(|context| {
        main.as_mut().poll(context).map(|value| {
            end = Some(value);
            ended.set(true);
        })
    }));
    let mut tasks: Vec<_> = std::iter::once(first).chain(others).map(Some).collect();
    let flags: Vec<Arc<Flag>> = tasks.iter().map(|_| Arc::default()).collect();
    flags.iter().for_each(|flag| flag.0.store(true, Ordering::SeqCst));
    let mut polls = 0;
    while !ended.get() {
        let mut idle = true;
        for (task, flag) in tasks.iter_mut().zip(&flags) {
            if !flag.0.swap(false, Ordering::SeqCst) {
                continue;
            }
            let Some(future) = task else { continue };
            idle = false;
            polls += 1;
            world.polls.set(world.polls.get() + 1);
            assert!(polls < MOST_POLLS, "polled for ever at {} ms", world.now());
            let waker = Waker::from(Arc::clone(flag));
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *task = None;
            }
        }
        if idle {
            polls = 0;
            assert!(world.advance(), "nothing will ever wake a task at {} ms", world.now());
        }
    }
    drop(tasks);
    end.expect("it has ended")
}

/// Drops `future` before its poll number `polls`. Gives its value if it has ended before that.
pub(crate) async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut left = polls;
    let mut future = pin!(future);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
