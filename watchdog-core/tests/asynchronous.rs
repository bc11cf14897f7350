//! The feeder without blocking: the same edges as the blocking one, and futures that are dropped at each poll.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod chip;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chip::random::Random;
use chip::{Board, Change, Fault, Part, WdiPin};
use embedded_hal::digital::PinState;
use embedded_hal_async::delay::DelayNs;
use watchdog_core::chips::{
    DuringReset, Edge, HighImpedance, Limits, Profile, ProfileBuilder, Spread, TPS3823_33,
    TPS3851_100NF,
};
use watchdog_core::external::{
    Armed, AsyncInput, Error, ErrorOf, ExternalWatchdog, Gate, Input, NoGate, Permanent, Pulse,
    Takeover, Toggle,
};
use watchdog_core::hardware::{AsyncWatchdog, Watchdog};
use watchdog_core::{
    Action, End, Guard, Instant, Plan, Rules, Supervisor, Task, TaskId, Timing, plan, profile,
};

/// Counts both edges, and has a window.
const EITHER: Profile = profile!(
    ProfileBuilder::new("either", Edge::Either, Spread::millis(900, 1_000, 1_100))
        .limits(Limits::FullRange)
        .window(Spread::millis(100, 150, 200))
        .min_pulse(Duration::from_micros(100))
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
        .reset_pulse(Spread::millis(120, 200, 300))
);
/// Counts falling edges, and has a window.
const FALLING: Profile = profile!(
    ProfileBuilder::new("falling", Edge::Falling, Spread::millis(900, 1_000, 1_100))
        .limits(Limits::FullRange)
        .window(Spread::millis(100, 150, 200))
        .min_pulse(Duration::from_micros(100))
);

/// Passes virtual time at the end of the wait. The first poll of a wait is not ready.
struct Later(Board);

impl DelayNs for Later {
    async fn delay_ns(&mut self, ns: u32) {
        let mut polled = false;
        poll_fn(
            |_| {
                if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
        .await;
        self.0.advance(Duration::from_nanos(ns.into()));
    }
}

/// Polls a future up to `polls` times, and drops it. `None`: it was not ready.
fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let context = &mut Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn whole<F: Future>(future: F) -> F::Output {
    polled(future, 100).expect("a feed is a few waits")
}

type Feeder<I> = ExternalWatchdog<I, NoGate, Permanent>;

fn armed<I: AsyncInput>(board: &Board, chip: &'static Profile, input: I) -> Feeder<I> {
    let since = Takeover::Reset(board.now());
    let Ok(mut dog) = ExternalWatchdog::new(chip, input, NoGate, since) else {
        panic!("pins of a board do not fail")
    };
    board.advance_millis(chip.window_millis().into());
    assert!(whole(dog.feed_early_async(board.now())).is_ok());
    dog.arm_fed(board.now()).map_err(|failed| failed.error).expect("it was fed")
}

/// The changes of the pin by an arming and some feeds, at the same times.
fn blocking<I: Input>(board: &Board, chip: &'static Profile, input: I) -> Vec<Change> {
    let since = Takeover::Reset(board.now());
    let Ok(mut dog) = ExternalWatchdog::new(chip, input, NoGate, since) else {
        panic!("pins of a board do not fail")
    };
    board.advance_millis(chip.window_millis().into());
    assert!(dog.feed_early(board.now()).is_ok());
    let mut dog = dog.arm_fed(board.now()).map_err(|failed| failed.error).expect("it was fed");
    for _ in 0..5 {
        board.advance_millis(250);
        assert!(dog.feed_at(board.now()).is_ok());
    }
    board.changes()
}

fn asynchronous<I: AsyncInput>(board: &Board, chip: &'static Profile, input: I) -> Vec<Change> {
    let mut dog = armed(board, chip, input);
    for _ in 0..5 {
        board.advance_millis(250);
        assert!(whole(dog.feed_at_async(board.now())).is_ok());
    }
    board.changes()
}

#[test]
fn both_feeders_make_the_same_edges_at_the_same_times() {
    for chip in [&TPS3823_33, &EITHER] {
        let (one, other) = (Board::new(chip, Part::Fastest), Board::new(chip, Part::Fastest));
        let changes = blocking(&one, chip, Toggle::new(one.wdi(), one.delay()));
        let input = Toggle::new(other.wdi(), Later(other.clone()));
        assert_eq!(asynchronous(&other, chip, input), changes, "{}", chip.name());
    }
    for chip in [&TPS3823_33, &TPS3851_100NF, &FALLING] {
        let (one, other) = (Board::new(chip, Part::Fastest), Board::new(chip, Part::Fastest));
        let changes = blocking(&one, chip, Pulse::new(one.wdi(), one.delay()));
        let input = Pulse::new(other.wdi(), Later(other.clone()));
        assert_eq!(asynchronous(&other, chip, input), changes, "{}", chip.name());
    }
}

/// Feeds whose futures are dropped after `polls` polls, each followed by a whole feed after `gap`.
fn dropped_feeds<I: AsyncInput>(
    chip: &'static Profile,
    part: Part,
    polls: usize,
    gap: Duration,
    input: fn(WdiPin, Later) -> I,
) {
    let what = format!("{} {part:?}, dropped after {polls} polls, {gap:?}", chip.name());
    let board = Board::new(chip, part);
    let mut dog = armed(&board, chip, input(board.wdi(), Later(board.clone())));
    for _ in 0..10 {
        board.advance_millis(if chip.window().is_some() { 210 } else { 10 });
        let _dropped = polled(dog.feed_at_async(board.now()), polls);
        board.advance(gap);
        let fed = loop {
            let before = board.feeds().len();
            match whole(dog.feed_at_async(board.now())) {
                Ok(()) => break board.feeds().len() > before,
                Err(Error::TooEarly { earliest }) => {
                    board.advance_millis(earliest.millis_since(board.now()));
                }
                Err(_) => panic!("{what}: pins of a board do not fail"),
            }
        };
        assert!(fed, "{what}: the whole feed is not counted");
    }
    assert_eq!(board.bites(), [], "{what}");
}

#[test]
fn after_a_feed_that_was_dropped_at_any_poll_the_next_one_counts_and_is_not_early() {
    let gaps = [0, 20, 115, 60_000, 3_000_000].map(Duration::from_nanos);
    let parts = (0..20).map(Part::Random).chain([Part::Fastest, Part::Slowest, Part::Strictest]);
    for part in parts {
        for polls in 0..8 {
            for gap in gaps {
                dropped_feeds(&TPS3823_33, part, polls, gap, Toggle::new);
                dropped_feeds(&EITHER, part, polls, gap, Toggle::new);
                dropped_feeds(&TPS3823_33, part, polls, gap, Pulse::new);
                dropped_feeds(&TPS3851_100NF, part, polls, gap, Pulse::new);
                dropped_feeds(&FALLING, part, polls, gap, Pulse::new);
            }
        }
    }
}

#[test]
fn behind_a_gate_dropped_feeds_never_latch_reset() {
    for seed in 0..2_000 {
        let random = &mut Random::new(seed);
        let chip = if random.one_in(2) { &TPS3823_33 } else { &EITHER };
        let board = Board::new(chip, Part::Random(seed));
        let gate = Gate::active_high(board.gate(PinState::High));
        let input = Toggle::new(board.wdi(), Later(board.clone()));
        let since = Takeover::Floating(board.now());
        let mut dog = ExternalWatchdog::new(chip, input, gate, since).unwrap();
        for _ in 0..20 {
            board.advance_millis(random.between(0, 900));
            let polls = random.between(0, 6) as usize;
            let _refused_or_dropped = polled(dog.feed_early_async(board.now()), polls);
        }
        assert!(!board.is_latched(), "{seed}");
        assert!(board.bites().iter().all(|bite| bite.fault == Fault::Late), "{seed}");
        if let Ok(dog) = dog.arm_fed(board.now()) {
            assert!(!board.holds_reset() && board.is_connected(), "{seed}");
            let _disarmed: ExternalWatchdog<_, _, _> = dog.disarm_fed().unwrap();
        }
    }
}

#[test]
fn a_chip_that_was_not_fed_in_time_is_not_armed_as_fed() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let gate = Gate::active_high(board.gate(PinState::High));
    let input = Toggle::new(board.wdi(), Later(board.clone()));
    let dog =
        ExternalWatchdog::new(&TPS3823_33, input, gate, Takeover::Floating(board.now())).unwrap();
    let early = dog.arm_fed(board.now()).unwrap_err();
    assert_eq!(early.error, Error::TooEarly { earliest: Instant::from_millis(346) });
    board.advance_millis(764);
    let late = early.device.arm_fed(board.now()).unwrap_err();
    assert_eq!(late.error, Error::MayHoldReset);
    assert!(!board.is_connected());
}

#[test]
fn after_a_feed_a_chip_is_disarmed_and_armed_again_without_a_wait() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let gate = Gate::active_high(board.gate(PinState::High));
    let input = Toggle::new(board.wdi(), Later(board.clone()));
    let mut dog =
        ExternalWatchdog::new(&TPS3823_33, input, gate, Takeover::Floating(board.now())).unwrap();
    board.advance_millis(346);
    for _ in 0..5 {
        whole(dog.feed_early_async(board.now())).unwrap();
        let mut armed: ExternalWatchdog<_, _, Armed> = dog.arm_fed(board.now()).unwrap();
        board.advance_millis(700);
        whole(armed.feed_at_async(board.now())).unwrap();
        dog = armed.disarm_fed().unwrap();
        board.advance_millis(700);
    }
    assert_eq!(board.bites(), []);
}

const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).profile(&TPS3823_33));

#[test]
fn a_guard_whose_poll_is_dropped_feeds_again_at_once_and_the_chip_does_not_bite() {
    for polls in 0..6 {
        let board = Board::new(&TPS3823_33, Part::Fastest);
        let input = Toggle::new(board.wdi(), Later(board.clone()));
        let dog = armed(&board, &TPS3823_33, input);
        let mut guard = Guard::new(dog, Supervisor::new(&[], TIMING, board.now()));
        for _ in 0..20 {
            let begun = polled(guard.poll_async(board.now()), polls);
            board.advance_millis(1);
            let action = whole(guard.poll_async(board.now())).unwrap().action;
            let fed = begun.is_some();
            assert_eq!(action, if fed { Action::Wait } else { Action::Feed }, "{polls}");
            board.advance_millis(499);
        }
        assert_eq!(board.bites(), [], "{polls}");
    }
}

#[test]
fn a_device_whose_way_into_sleep_is_dropped_is_awake_and_feeds_at_once() {
    const SLEEPS: Timing<'static> = plan!(Plan::heartbeat(250).profile(&TPS3823_33).sleep(700));
    for polls in 0..6 {
        let tasks = [Task::new(Rules::deadline(1_000), SLEEPS).unwrap()];
        let board = Board::new(&TPS3823_33, Part::Fastest);
        let input = Toggle::new(board.wdi(), Later(board.clone()));
        let dog = armed(&board, &TPS3823_33, input);
        let mut guard = Guard::new(dog, Supervisor::new(&tasks, SLEEPS, board.now()));
        let asleep = polled(guard.suspend_async(board.now()), polls).is_some();
        board.advance_millis(700);
        guard.resume(board.now());
        let action = whole(guard.poll_async(board.now())).unwrap().action;
        assert_eq!(action, Action::Feed, "{polls}");
        // Only a sleep is not counted.
        let left = guard.supervisor().time_left(TaskId::new(0), board.now());
        assert_eq!(left, Ok(Some(if asleep { 1_000 } else { 300 })), "{polls}");
        assert_eq!(board.bites(), [], "{polls}");
    }
}

#[test]
fn after_a_dropped_poll_a_task_that_failed_meanwhile_still_stops_the_feeding() {
    for polls in 0..4 {
        let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
        let board = Board::new(&TPS3823_33, Part::Slowest);
        let input = Toggle::new(board.wdi(), Later(board.clone()));
        let dog = armed(&board, &TPS3823_33, input);
        let mut guard = Guard::new(dog, Supervisor::new(&tasks, TIMING, board.now()));
        let _dropped = polled(guard.poll_async(board.now()), polls);
        tasks.first().unwrap().handle().abandon(End::Panicked, board.now());
        board.advance_millis(1);
        let fed = board.feeds().len();
        for _ in 0..10 {
            let action = whole(guard.poll_async(board.now())).unwrap().action;
            assert!(
                matches!(action, Action::Stage(..) | Action::Stopped(_)),
                "{polls}: {action:?}"
            );
            board.advance_millis(100);
        }
        // The edge that was made before the drop may be counted since.
        assert!(board.feeds().len() <= fed + 1, "{polls}");
    }
}

/// A watchdog whose feeds fail `failures` times.
struct Bus(u32);

impl watchdog_core::hardware::ErrorType for Bus {
    type Error = watchdog_core::hardware::ErrorKind;
}

impl AsyncWatchdog for Bus {
    async fn feed_async(&mut self) -> Result<(), Self::Error> {
        match self.0.checked_sub(1) {
            None => Ok(()),
            Some(left) => {
                self.0 = left;
                Err(watchdog_core::hardware::ErrorKind::Connection)
            }
        }
    }
}

#[test]
fn a_feed_that_failed_is_tried_again_at_the_next_poll() {
    let at = Instant::from_millis;
    let mut borrowed = Bus(0);
    let mut guard = Guard::new(Bus(2), Supervisor::new(&[], TIMING, at(0)));
    for millis in [0, 1] {
        let failed = whole(guard.poll_async(at(millis)));
        assert_eq!(failed, Err(watchdog_core::hardware::ErrorKind::Connection));
    }
    assert_eq!(whole(guard.poll_async(at(2))).unwrap().action, Action::Feed);
    let mut guard = Guard::new(&mut borrowed, Supervisor::new(&[], TIMING, at(0)));
    assert_eq!(whole(guard.poll_async(at(0))).unwrap().action, Action::Feed);
}

#[test]
fn a_chip_with_a_window_needs_the_time_or_a_clock() {
    type Failed = ErrorOf<Pulse<WdiPin, Later>, NoGate>;
    let board = Board::new(&FALLING, Part::Strictest);
    let input = Pulse::new(board.wdi(), Later(board.clone()));
    let mut dog = armed(&board, &FALLING, input);
    let refused: Result<(), Failed> = whole(dog.feed_async());
    assert_eq!(refused, Err(Error::NeedsTime));
    let clock = board.clone();
    let mut dog = dog.clocked(move || clock.now());
    let early = whole(dog.feed_async());
    assert!(matches!(early, Err(Error::TooEarly { .. })));
    board.advance_millis(201);
    assert_eq!(whole(dog.feed_async()), Ok(()));
    assert_eq!(board.bites(), []);
}

#[test]
fn a_delay_of_both_kinds_gives_a_watchdog_of_both_kinds() {
    struct Both(Board);
    impl embedded_hal::delay::DelayNs for Both {
        fn delay_ns(&mut self, ns: u32) {
            self.0.advance(Duration::from_nanos(ns.into()));
        }
    }
    impl DelayNs for Both {
        async fn delay_ns(&mut self, ns: u32) {
            self.0.advance(Duration::from_nanos(ns.into()));
        }
    }
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let mut dog = armed(&board, &TPS3823_33, Toggle::new(board.wdi(), Both(board.clone())));
    dog.feed().unwrap();
    whole(dog.feed_async()).unwrap();
    assert_eq!(board.feeds().len(), 3);
}
