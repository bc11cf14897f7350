//! The feeder on boards whose state it does not see: a chip that bites behind its gate, a controller that restarts
//! alone, a boot loader that has fed, pins that fail.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod chip;

use std::time::Duration;

use chip::{Board, Delay, Fault, GatePin, Part, WdiPin};
use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin, PinState};
use watchdog_core::chips::{
    DuringReset, Edge, HighImpedance, Limits, Profile, ProfileBuilder, Spread, TPS3813, TPS3820,
    TPS3823_33, TPS3823A_33,
};
use watchdog_core::external::boot::{Delayed, DelayedStart};
use watchdog_core::external::{
    Disarmed, Enable, Error, ExternalWatchdog, Gate, Input, NoGate, Pulse, Takeover, Toggle,
};
use watchdog_core::hardware::{Settings, Start, Stop, Watchdog};
use watchdog_core::{Guard, Instant, Plan, Supervisor, Timing, plan, profile};

/// Counts both edges, has a window, and latches RESET: the strictest chip there can be.
const STRICT: Profile = profile!(
    ProfileBuilder::new("strict", Edge::Either, Spread::millis(1_600, 1_800, 2_500))
        .limits(Limits::FullRange)
        .window(Spread::millis(300, 400, 450))
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
        .reset_pulse(Spread::millis(120, 200, 300))
);
/// As [`STRICT`], but it counts also while its pin floats, and nobody knows how long it holds RESET.
const UNKNOWN_RESET: Profile = profile!(
    ProfileBuilder::new("unknown", Edge::Either, Spread::millis(900, 1_600, 2_500))
        .limits(Limits::FullRange)
        .during_reset(DuringReset::LatchesReset)
);

type Gated = ExternalWatchdog<Toggle<WdiPin, Delay>, Gate<GatePin>, Disarmed>;

fn gated(board: &Board, chip: &'static Profile) -> Gated {
    let gate = Gate::active_high(board.gate(PinState::High));
    let input = Toggle::new(board.wdi(), board.delay());
    ExternalWatchdog::new(chip, input, gate, Takeover::Floating(board.now())).unwrap()
}

/// Three extreme parts and some random ones.
fn parts() -> impl Iterator<Item = Part> {
    let seeds = (0..40).map(Part::Random);
    [Part::Fastest, Part::Slowest, Part::Strictest].into_iter().chain(seeds)
}

/// Checks that arming gave a chip that counts and is connected, or none that is harmed.
fn is_sound<S, I: Input, G: Enable>(
    board: &Board,
    armed: Result<ExternalWatchdog<I, G, S>, impl Sized>,
    what: &str,
) {
    assert!(!board.is_latched(), "{what}: latched");
    assert_eq!(board.board_resets(), [], "{what}: the board was reset");
    if armed.is_ok() {
        assert!(board.is_connected() && !board.holds_reset(), "{what}: armed");
        let shortest = board.now();
        board.advance_millis(94);
        assert_eq!(board.board_resets(), [], "{what}: no whole time-out lay ahead of {shortest:?}");
    }
}

#[test]
fn after_a_boot_of_any_length_without_feeds_arming_never_latches_reset() {
    for chip in [&TPS3823_33, &TPS3820, &TPS3823A_33, &STRICT] {
        for part in parts() {
            for boot in (0..=400).map(|tenths| tenths * 50 + 7) {
                let board = Board::new(chip, part);
                let dog = gated(&board, chip);
                board.advance_millis(boot);
                is_sound(&board, dog.arm(board.now()), &format!("{} {part:?} {boot}", chip.name()));
            }
        }
    }
}

#[test]
fn after_a_boot_of_any_length_feeding_early_never_latches_reset() {
    for chip in [&TPS3823_33, &TPS3820, &STRICT, &UNKNOWN_RESET] {
        for part in parts() {
            for boot in (0..=400).map(|tenths| tenths * 50 + 7) {
                let board = Board::new(chip, part);
                let mut dog = gated(&board, chip);
                board.advance_millis(boot);
                let _may_be_refused = dog.feed_early(board.now());
                board.advance_millis(1);
                assert!(!board.is_latched(), "{} {part:?} {boot}", chip.name());
            }
        }
    }
}

#[test]
fn a_chip_that_floated_is_armed_after_one_reset_time_and_before_its_shortest_time_out() {
    for part in parts() {
        let board = Board::new(&TPS3823_33, part);
        board.advance(Duration::from_secs(3));
        let dog = gated(&board, &TPS3823_33);
        board.advance_millis(345);
        let Err(early) = dog.arm(board.now()) else { panic!("the chip may hold RESET still") };
        assert_eq!(early.error, Error::TooEarly { earliest: Instant::from_millis(3_346) });
        board.advance_millis(1);
        is_sound(&board, early.device.arm(board.now()), "one reset time is over");
    }
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let dog = gated(&board, &TPS3823_33);
    board.advance_millis(764);
    assert_eq!(dog.arm(board.now()).unwrap_err().error, Error::MayHoldReset);
}

#[test]
fn a_chip_that_bit_before_the_controller_restarted_alone_is_not_latched() {
    for part in parts() {
        for boot in (0..90).map(|turn| turn * 10) {
            let board = Board::new(&TPS3823_33, part);
            let last = gated(&board, &TPS3823_33);
            while !board.holds_reset() {
                board.advance_millis(1);
            }
            // The gate kept the bite from the controller, which restarts now: its pins float.
            drop(last.release());
            let dog = gated(&board, &TPS3823_33);
            board.advance_millis(boot);
            is_sound(&board, dog.arm(board.now()), &format!("{part:?} {boot}"));
        }
    }
}

#[test]
fn a_chip_that_was_not_fed_in_time_is_armed_after_its_pin_has_floated() {
    for boot in (0..40).map(|turn| 1_000 + turn * 57) {
        let board = Board::new(&TPS3823_33, Part::Random(boot));
        let dog = gated(&board, &TPS3823_33);
        board.advance_millis(boot);
        let Err(failed) = dog.arm(board.now()) else { panic!("the chip may hold RESET") };
        assert_eq!(failed.error, Error::MayHoldReset);
        drop(failed.device.release());
        board.advance_millis(345);
        let mut dog = gated(&board, &TPS3823_33);
        board.advance_millis(346);
        dog.feed_early(board.now()).unwrap();
        is_sound(&board, dog.arm(board.now()), "after it has floated");
    }
}

#[test]
fn a_chip_whose_pin_a_resistor_holds_is_armed_unfed_at_the_cost_of_one_reset() {
    let mut resets = 0;
    for boot in (0..200).map(|turn| 800 + turn * 57) {
        let board = Board::new(&TPS3823_33, Part::Random(boot));
        board.resistor_at_wdi(PinState::Low);
        let gate = Gate::active_high(board.gate(PinState::High));
        let input = Toggle::new(board.wdi(), board.delay());
        let since = Takeover::Reset(board.now());
        let dog = ExternalWatchdog::new(&TPS3823_33, input, gate, since).unwrap();
        board.advance_millis(boot);
        let Err(failed) = dog.arm(board.now()) else { panic!("the chip may hold RESET") };
        assert_eq!(failed.error, Error::MayHoldReset);
        let mut dog = failed.device.arm_unfed(board.now()).unwrap();
        if board.board_resets().is_empty() {
            dog.feed().unwrap();
            board.advance_millis(760);
            assert_eq!(board.board_resets(), [], "{boot}: it was fed");
        } else {
            // The controller is reset, and restarts when the chip releases RESET.
            resets += 1;
            board.advance_millis(345);
        }
        assert!(!board.is_latched(), "{boot}");
    }
    assert!((5..60).contains(&resets), "{resets}");
}

#[test]
fn a_chip_that_ignores_edges_in_reset_is_armed_one_reset_time_after_an_edge() {
    for boot in (0..200).map(|turn| 1_000 + turn * 57) {
        let board = Board::new(&TPS3823A_33, Part::Random(boot));
        let dog = gated(&board, &TPS3823A_33);
        board.advance_millis(boot);
        let Err(early) = dog.arm(board.now()) else { panic!("the chip may hold RESET") };
        let earliest = board.now().plus_millis(346);
        assert_eq!(early.error, Error::TooEarly { earliest });
        board.advance_millis(346);
        is_sound(&board, Ok::<_, ()>(early.device.arm(board.now()).unwrap()), "a reset time later");
    }
}

#[test]
fn a_delayed_start_waits_for_one_reset_time_and_does_not_latch_reset_if_it_is_polled_late() {
    for pause in [10, 344, 380, 700, 905, 1_050, 2_600] {
        for part in parts() {
            let board = Board::new(&TPS3823_33, part);
            let mut delayed = DelayedStart::new(gated(&board, &TPS3823_33), 100, board.now());
            for _ in 0..60 {
                board.advance_millis(pause);
                match delayed.poll(board.now()) {
                    Ok(Delayed::Waiting(again)) => delayed = again,
                    Ok(Delayed::Started(dog)) => {
                        is_sound(&board, Ok::<_, ()>(dog), "delayed");
                        break;
                    }
                    Err(failed) => {
                        assert_eq!((failed.error, pause > 418), (Error::MayHoldReset, true));
                        break;
                    }
                }
            }
            assert!(!board.is_latched(), "{pause} {part:?}");
        }
    }
}

#[test]
fn after_a_stop_and_long_work_arming_never_latches_reset() {
    const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).profile(&TPS3823_33));
    for work in (0..400).map(|turn| turn * 31) {
        let board = Board::new(&TPS3823_33, Part::Random(work));
        let clock = board.clone();
        let dog = gated(&board, &TPS3823_33);
        board.advance_millis(400);
        let dog = dog.clocked(move || clock.now());
        let dog = dog.start(Settings::new(TPS3823_33.feed_before())).unwrap().watchdog;
        let mut guard = Guard::new(dog, Supervisor::new(&[], TIMING, board.now()));
        for _ in 0..3 {
            board.advance_millis(500);
            let _fed = guard.poll(board.now()).unwrap();
        }
        board.advance_millis(work % 500);
        let stopped = guard.stop(board.now()).map_err(|failed| failed.error).unwrap();
        board.advance_millis(work);
        let armed = stopped.into_inner().arm(board.now());
        assert_eq!(armed.is_ok(), work < 764, "{work}");
        is_sound(&board, armed, &format!("{work} ms of work"));
    }
}

#[test]
fn disarming_feeds_so_that_a_whole_time_out_lies_ahead() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let dog = gated(&board, &TPS3823_33);
    board.advance_millis(400);
    let dog = dog.arm(board.now()).unwrap();
    board.advance_millis(700);
    let dog = dog.disarm(board.now()).unwrap();
    board.advance_millis(700);
    is_sound(&board, dog.arm(board.now()), "disarmed for 700 ms");
}

#[test]
fn a_chip_with_a_window_is_disarmed_without_an_early_feed() {
    let board = Board::new(&STRICT, Part::Strictest);
    let dog = gated(&board, &STRICT);
    board.advance_millis(800);
    let dog = dog.arm(board.now()).unwrap();
    board.advance_millis(10);
    let dog = dog.disarm(board.now()).unwrap();
    board.advance_millis(460);
    is_sound(&board, dog.arm(board.now()), "disarmed in the closed window");
    assert_eq!(board.bites(), []);
}

/// A boot loader that has fed a chip with a window, and left its pin at any level: the controller restarts alone.
fn boot_loader(chip: &Profile, part: Part, level: PinState) -> Board {
    let board = Board::new(chip, part);
    let mut wdi = board.wdi();
    wdi.set_state(!level).unwrap();
    board.advance_millis(500);
    wdi.set_state(level).unwrap();
    board.advance_millis(5);
    std::mem::forget(wdi);
    board
}

#[test]
fn after_a_restart_of_the_controller_alone_no_feed_is_early() {
    for part in parts() {
        for level in [PinState::Low, PinState::High] {
            let now = Instant::from_millis(505);
            for since in [Takeover::Fed(Instant::from_millis(500)), Takeover::Unknown(now)] {
                let board = boot_loader(&STRICT, part, level);
                assert_eq!(board.now(), now);
                let input = Toggle::new(board.wdi(), board.delay());
                let mut dog = ExternalWatchdog::new(&STRICT, input, NoGate, since).unwrap();
                let mut fed = 0;
                for _ in 0..1_200 {
                    fed += u32::from(dog.feed_early(board.now()).is_ok());
                    board.advance_millis(1);
                }
                assert_eq!(board.bites(), [], "{part:?} {level:?} {since:?}");
                assert!(fed >= 1);
            }
        }
    }
}

#[test]
fn a_chip_that_the_boot_loader_just_fed_can_be_armed_at_once_if_it_has_no_window() {
    let board = boot_loader(&TPS3823_33, Part::Fastest, PinState::High);
    let gate = Gate::active_high(board.gate(PinState::High));
    let fed = Takeover::Fed(Instant::from_millis(500));
    let input = Toggle::new(board.wdi(), board.delay());
    let dog = ExternalWatchdog::new(&TPS3823_33, input, gate, fed).unwrap();
    is_sound(&board, Ok::<_, ()>(dog.arm(board.now()).unwrap()), "just fed");
}

#[test]
fn a_chip_whose_last_feed_is_unknown_is_not_fed_while_it_may_hold_reset() {
    for seed in 0..200 {
        let board = boot_loader(&TPS3823_33, Part::Random(seed), PinState::High);
        board.advance_millis(seed * 41);
        let gate = Gate::active_high(board.gate(PinState::High));
        let input = Toggle::new(board.wdi(), board.delay());
        let unknown = Takeover::Unknown(board.now());
        let mut dog = ExternalWatchdog::new(&TPS3823_33, input, gate, unknown).unwrap();
        assert_eq!(dog.feed_early(board.now()), Err(Error::MayHoldReset));
        board.advance_millis(350);
        assert_eq!(dog.arm(board.now()).unwrap_err().error, Error::MayHoldReset);
        assert!(!board.is_latched());
    }
}

#[test]
fn a_first_window_that_the_profile_does_not_have_is_kept_if_the_controller_restarted_alone() {
    let board = Board::new(&TPS3813, Part::Strictest);
    let mut wdi = board.wdi();
    wdi.set_low().unwrap();
    board.advance_millis(50);
    wdi.set_high().unwrap();
    board.advance_millis(1);
    drop(wdi);
    let input = Pulse::new(board.wdi(), board.delay());
    let floating = Takeover::Floating(board.now());
    let mut dog = ExternalWatchdog::new(&TPS3813, input, NoGate, floating).unwrap();
    for _ in 0..40 {
        let _may_be_refused = dog.feed_early(board.now());
        board.advance_millis(1);
    }
    assert_eq!(board.bites(), []);
}

/// A pin whose orders fail at random; some of the failed orders are carried out.
struct Expander {
    pin: WdiPin,
    random: u64,
}

impl Expander {
    fn obey(&mut self, level: PinState) -> Result<(), ErrorKind> {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let luck = self.random >> 60;
        if luck != 0 {
            let Ok(()) = self.pin.set_state(level);
        }
        if luck < 4 { Err(ErrorKind::Other) } else { Ok(()) }
    }
}

impl ErrorType for Expander {
    type Error = ErrorKind;
}

impl OutputPin for Expander {
    fn set_low(&mut self) -> Result<(), ErrorKind> {
        self.obey(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        self.obey(PinState::High)
    }
}

#[test]
fn a_chip_with_a_window_is_never_fed_early_whatever_failed_before() {
    for seed in 0..500 {
        let board = Board::new(&STRICT, Part::Random(seed));
        let pin = Expander { pin: board.wdi(), random: seed };
        let input = Toggle::new(pin, board.delay());
        let since = Takeover::Floating(board.now());
        let Ok(mut dog) = ExternalWatchdog::new(&STRICT, input, NoGate, since) else { continue };
        for turn in 0..400 {
            board.advance_millis(1 + (seed + turn) % 7);
            let before = board.feeds().len();
            if dog.feed_early(board.now()).is_ok() {
                board.advance_millis(1);
                assert!(board.feeds().len() > before, "{seed} {turn}");
            }
        }
        let early = board.bites().iter().filter(|bite| bite.fault == Fault::Early).count();
        assert_eq!(early, 0, "{seed}");
    }
}

#[test]
fn a_chip_without_a_window_is_fed_at_once_after_a_failed_order() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let pin = Expander { pin: board.wdi(), random: 7 };
    let input = Toggle::new(pin, board.delay());
    let since = Takeover::Floating(board.now());
    let Ok(mut dog) = ExternalWatchdog::new(&TPS3823_33, input, NoGate, since) else {
        panic!("the first order of this pin is carried out")
    };
    let mut armed = loop {
        board.advance_millis(10);
        match dog.arm(board.now()) {
            Ok(armed) => break armed,
            Err(failed) => dog = failed.device,
        }
    };
    for _ in 0..500 {
        board.advance_millis(80);
        let fed = (0..10).any(|_| armed.feed().is_ok());
        assert!(fed);
    }
    assert_eq!(board.bites(), []);
}

#[test]
fn a_chip_behind_a_clock_starts_and_stops_again_and_again() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let clock = board.clone();
    let mut dog = gated(&board, &TPS3823_33).clocked(move || clock.now());
    board.advance_millis(346);
    for _ in 0..10 {
        let started = dog
            .start(Settings::new(TPS3823_33.feed_before()))
            .map_err(|failed| failed.error)
            .unwrap();
        board.advance_millis(720);
        dog = started.watchdog.stop().map_err(|failed| failed.error).unwrap();
        board.advance_millis(720);
    }
    assert_eq!(board.bites(), []);
}
