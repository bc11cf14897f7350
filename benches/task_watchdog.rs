//! The crate `task-watchdog` beside ours: eight tasks, a clock that only counts, and hardware that does nothing.
//!
//! Its runners exist for the executor and the chips of embassy only, so they do not build for a host. Each keeps its
//! watchdog in the same mutex, and feeds it in one line, which stands here again: [`Locked::feed`].

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use task_watchdog::{Clock, HardwareWatchdog, Id, ResetReason, Watchdog, WatchdogConfig};

use crate::repeat;

/// It compares the variants of an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
}

impl Id for Name {}

const NAMES: [Name; 8] = [Name::A, Name::B, Name::C, Name::D, Name::E, Name::F, Name::G, Name::H];

/// The time in milliseconds.
struct Millis(Cell<u64>);

impl Clock for Millis {
    type Instant = u64;
    type Duration = u64;

    fn now(&self) -> u64 {
        self.0.get()
    }

    fn elapsed_since(&self, instant: u64) -> u64 {
        self.0.get() - instant
    }

    fn has_elapsed(&self, instant: u64, duration: &u64) -> bool {
        self.elapsed_since(instant) >= *duration
    }

    fn duration_from_millis(&self, millis: u64) -> u64 {
        millis
    }
}

struct Hardware;

impl HardwareWatchdog<Millis> for Hardware {
    fn start(&mut self, _: u64) {}

    fn feed(&mut self) {}

    fn trigger_reset(&mut self) -> ! {
        unreachable!("all tasks are healthy")
    }

    fn reset_reason(&self) -> Option<ResetReason> {
        None
    }
}

type Eight = Watchdog<Name, 8, Hardware, Millis>;

fn eight() -> Eight {
    let clock = Millis(Cell::new(0));
    let config = WatchdogConfig::new(1_000, 100, &clock);
    let mut watchdog = Watchdog::new(Hardware, config, clock);
    for name in &NAMES {
        assert!(watchdog.register_task(name, 1_000).is_ok(), "there is room");
    }
    watchdog
}

/// The watchdog as its runners keep it.
struct Locked(Mutex<CriticalSectionRawMutex, RefCell<Eight>>);

impl Locked {
    async fn feed(&self, name: &Name) {
        self.0.lock().await.borrow_mut().feed(name);
    }
}

#[inline(never)]
fn feed(watchdog: &mut Eight, name: &Name) {
    watchdog.feed(name);
}

/// Nobody else has the lock, so the first poll of the future feeds.
#[inline(never)]
fn feed_locked(watchdog: &Locked, name: &Name) -> Poll<()> {
    pin!(watchdog.feed(name)).poll(&mut Context::from_waker(Waker::noop()))
}

#[inline(never)]
fn check(watchdog: &mut Eight) -> bool {
    watchdog.check()
}

#[inline(never)]
fn nothing(_: &Name) {}

/// The work around a feed that is not part of it: each task has its turn.
pub(crate) fn taking_turns(times: u64) {
    let mut names = NAMES.iter().cycle();
    repeat(times, || {
        if let Some(name) = names.next() {
            nothing(black_box(name));
        }
    });
}

pub(crate) fn feeding(times: u64) {
    let (mut watchdog, mut names) = (eight(), NAMES.iter().cycle());
    repeat(times, || {
        if let Some(name) = names.next() {
            feed(black_box(&mut watchdog), black_box(name));
        }
    });
}

pub(crate) fn feeding_locked(times: u64) {
    let (watchdog, mut names) = (Locked(Mutex::new(RefCell::new(eight()))), NAMES.iter().cycle());
    repeat(times, || {
        if let Some(name) = names.next() {
            assert_eq!(feed_locked(black_box(&watchdog), black_box(name)), Poll::Ready(()));
        }
    });
}

pub(crate) fn polling(times: u64) {
    let mut watchdog = eight();
    repeat(times, || assert!(!check(black_box(&mut watchdog)), "all tasks are healthy"));
}
