//! The pitfalls of watchdog chips, shown with the feeder on a simulated board.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod chip;

use std::time::Duration;

use chip::{Board, Fault, Part, WdiPin};
use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin, PinState};
use watchdog_core::Instant;
use watchdog_core::chips::{
    self, Profile, TPS3813, TPS3823_33, TPS3823A_33, TPS3851_100NF, TPS3851E_1UF,
};
use watchdog_core::external::boot::{Delayed, DelayedStart, EarlyFeeding};
use watchdog_core::external::{ExternalWatchdog, Gate, Input, NoGate, Pulse, Takeover, Toggle};
use watchdog_core::hardware::Watchdog;
use watchdog_core::profile;

const TPS3435: Profile =
    profile!(chips::tps3435(Duration::from_millis(1_600), Duration::from_secs(10)));
const TPS36: Profile =
    profile!(chips::tps36(Duration::from_millis(100), Duration::from_millis(300)));

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Feeds `count` times by a pulse, each time `interval` after the last one. The board records the reaction of the chip.
fn feed_by_pulses(chip: &'static Profile, part: Part, interval: Duration, count: u32) -> Board {
    let board = Board::new(chip, part);
    let input = Pulse::new(board.wdi(), board.delay());
    let dog = ExternalWatchdog::new(chip, input, NoGate, Takeover::Reset(board.now())).unwrap();
    // The first frame may have a window, too.
    board.advance(chip.feed_from() + ms(2));
    let mut dog = dog.arm(board.now()).unwrap();
    for _ in 0..count {
        board.advance(interval);
        dog.feed_at(board.now()).unwrap();
    }
    board
}

fn faults(board: &Board) -> Vec<Fault> {
    board.bites().iter().map(|bite| bite.fault).collect()
}

/// The three extreme parts, and two hundred random ones.
fn parts() -> impl Iterator<Item = Part> {
    let seeds = (0..200).map(Part::Random);
    [Part::Fastest, Part::Slowest, Part::Strictest].into_iter().chain(seeds)
}

#[test]
fn tps3823_counts_either_edge() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(board.wdi(), board.delay()),
        NoGate,
        Takeover::Reset(board.now()),
    )
    .unwrap();
    let mut dog = dog.arm(board.now()).unwrap();
    for _ in 0..10 {
        board.advance_millis(760);
        dog.feed().unwrap();
    }
    assert_eq!(board.bites(), []);
}

#[test]
fn a_chip_may_bite_at_its_shortest_time_out_and_always_bites_by_its_longest() {
    for (part, at) in [(Part::Fastest, 765), (Part::Slowest, 2_875)] {
        let board = Board::new(&TPS3823_33, part);
        let dog = ExternalWatchdog::new(
            &TPS3823_33,
            Toggle::new(board.wdi(), board.delay()),
            NoGate,
            Takeover::Reset(board.now()),
        )
        .unwrap();
        board.advance_millis(1);
        let _armed = dog.arm(board.now()).unwrap();
        board.advance_millis(at - 1);
        assert_eq!(board.bites(), [], "{part:?}");
        board.advance_millis(1);
        assert_eq!(board.bites().len(), 1, "{part:?}");
    }
}

#[test]
fn fed_at_its_typical_time_out_a_tps3823_bites_on_some_boards() {
    let bitten = (0..100).filter(|seed| {
        let interval = TPS3823_33.timeout().typical;
        !feed_by_pulses(&TPS3823_33, Part::Random(*seed), interval, 3).bites().is_empty()
    });
    assert!((20..100).contains(&bitten.count()));
}

#[test]
fn fed_within_its_limits_no_chip_bites_on_any_board() {
    for chip in [&TPS3823_33, &TPS3813, &TPS3851_100NF, &TPS3851E_1UF, &TPS36] {
        // As early and as late as allowed. The margins are for whole milliseconds and for the length of a pulse.
        let earliest = chip.feed_from() + ms(2);
        let latest = chip.feed_before() - ms(1);
        for part in parts() {
            for interval in [earliest, latest] {
                let board = feed_by_pulses(chip, part, interval.max(ms(1)), 20);
                assert_eq!(board.bites(), [], "{} {part:?} {interval:?}", chip.name());
            }
        }
    }
}

#[test]
fn tps3823_is_off_while_its_pin_is_still_an_input() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    board.advance(Duration::from_secs(3_600));
    assert_eq!(board.bites(), [], "a program that hangs before it drives the pin is never reset");
    // It counts while the pin is driven, until the pin floats again.
    let mut wdi = board.wdi();
    wdi.set_low().unwrap();
    board.advance_millis(500);
    board.float_wdi();
    board.advance(Duration::from_secs(3_600));
    assert_eq!(board.bites(), []);
    wdi.set_low().unwrap();
    board.advance_millis(765);
    assert_eq!(board.bites().len(), 1);
}

#[test]
fn a_resistor_to_ground_lets_tps3823_count_from_reset() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    board.resistor_at_wdi(PinState::Low);
    board.advance_millis(765);
    assert_eq!(board.bites().len(), 1);
}

#[test]
fn other_chips_count_while_their_pin_floats() {
    let board = Board::new(&TPS3851_100NF, Part::Fastest);
    board.advance_millis(293);
    assert_eq!(board.bites().len(), 1);
}

#[test]
fn tps3823_latches_reset_when_wdi_moves_while_reset_is_held() {
    for (chip, latches) in [(&TPS3823_33, true), (&TPS3823A_33, false)] {
        let board = Board::new(chip, Part::Fastest);
        let mut wdi = board.wdi();
        wdi.set_low().unwrap();
        // The chip bites at 765 ms, and holds RESET for 102 ms.
        board.advance_millis(800);
        wdi.set_high().unwrap();
        board.advance_millis(100);
        assert_eq!(board.is_latched(), latches, "{}", chip.name());
    }
}

#[test]
fn a_chip_that_is_fed_while_disarmed_does_not_bite_when_it_is_armed() {
    let board = Board::new(&TPS3823_33, Part::Fastest);
    let gate = Gate::active_low(board.gate(PinState::Low));
    let mut dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(board.wdi(), board.delay()),
        gate,
        Takeover::Reset(board.now()),
    )
    .unwrap();
    for _ in 0..10 {
        board.advance_millis(700);
        dog.feed_early(board.now()).unwrap();
    }
    let _armed = dog.arm(board.now()).unwrap();
    assert!(board.is_connected());
    board.advance_millis(764);
    assert_eq!(board.bites(), []);
    board.advance_millis(1);
    assert_eq!(board.board_resets().len(), 1);
}

#[test]
fn the_bite_of_a_disarmed_chip_does_not_reach_the_board() {
    let board = Board::new(&TPS3823A_33, Part::Fastest);
    let gate = Gate::active_high(board.gate(PinState::High));
    let dog = ExternalWatchdog::new(
        &TPS3823A_33,
        Toggle::new(board.wdi(), board.delay()),
        gate,
        Takeover::Reset(board.now()),
    )
    .unwrap();
    let _disarmed = dog.arm(board.now()).unwrap().disarm(board.now()).unwrap();
    board.advance(Duration::from_secs(60));
    assert!(board.bites().len() > 50);
    assert_eq!(board.board_resets(), []);
}

#[test]
fn an_early_feed_is_a_fault_for_tps3813() {
    let board = Board::new(&TPS3813, Part::Strictest);
    let mut wdi = board.wdi();
    wdi.set_low().unwrap();
    for wait in [50, 9] {
        board.advance_millis(wait);
        wdi.set_high().unwrap();
        board.advance(Duration::from_micros(1));
        wdi.set_low().unwrap();
    }
    assert_eq!(faults(&board), [Fault::Early]);
}

#[test]
fn the_feeder_never_feeds_tps3813_early_however_often_it_is_called() {
    for part in parts() {
        let board = Board::new(&TPS3813, part);
        let input = Pulse::new(board.wdi(), board.delay());
        let dog = ExternalWatchdog::new(&TPS3813, input, NoGate, Takeover::Reset(board.now()))
            .unwrap()
            .arm(board.now())
            .unwrap();
        let clock = board.clone();
        let mut dog = dog.clocked(move || clock.now());
        let mut fed = 0;
        for _ in 0..1_000 {
            board.advance(Duration::from_micros(700));
            fed += u32::from(dog.feed().is_ok());
        }
        assert_eq!(board.bites(), [], "{part:?}");
        assert!(fed >= 50, "{fed}");
    }
}

#[test]
fn the_first_window_of_tps3813_has_no_lower_bound() {
    let board = Board::new(&TPS3813, Part::Strictest);
    let input = Pulse::new(board.wdi(), board.delay());
    let dog = ExternalWatchdog::new(&TPS3813, input, NoGate, Takeover::Reset(board.now())).unwrap();
    board.advance(Duration::from_micros(100));
    let _armed = dog.arm(board.now()).unwrap();
    board.advance_millis(1);
    assert_eq!(board.bites(), []);
}

#[test]
fn a_falling_edge_chip_that_is_toggled_is_fed_at_every_second_toggle_only() {
    for chip in [&TPS3851_100NF, &TPS3435] {
        let board = Board::new(chip, Part::Fastest);
        let mut wdi = board.wdi();
        let interval = chip.feed_before() * 3 / 4;
        wdi.set_high().unwrap();
        for level in [PinState::Low, PinState::High, PinState::Low, PinState::High] {
            board.advance(interval);
            wdi.set_state(level).unwrap();
        }
        assert!(faults(&board).contains(&Fault::Late), "{}", chip.name());
        // A pulse at the same interval feeds it.
        assert_eq!(feed_by_pulses(chip, Part::Fastest, interval, 4).bites(), [], "{}", chip.name());
    }
}

#[test]
fn a_pulse_that_is_too_short_is_not_seen() {
    let board = Board::new(&TPS3851_100NF, Part::Fastest);
    let mut wdi = board.wdi();
    wdi.set_high().unwrap();
    board.advance_millis(200);
    wdi.set_low().unwrap();
    board.advance(Duration::from_nanos(49));
    wdi.set_high().unwrap();
    board.advance_millis(93);
    assert_eq!(board.bites().len(), 1);
}

#[test]
fn tps36_reports_early_and_late_faults() {
    let board = Board::new(&TPS36, Part::Strictest);
    let input = Pulse::new(board.wdi(), board.delay());
    let dog = ExternalWatchdog::new(&TPS36, input, NoGate, Takeover::Reset(board.now())).unwrap();
    board.advance_millis(200);
    let mut dog = dog.arm(board.now()).unwrap();
    board.advance_millis(200);
    dog.feed_at(board.now()).unwrap();
    board.advance_millis(359);
    assert_eq!(board.bites(), []);
    board.advance_millis(1);
    assert_eq!(faults(&board), [Fault::Late]);

    let board = Board::new(&TPS36, Part::Strictest);
    let mut wdi = board.wdi();
    wdi.set_high().unwrap();
    board.advance_millis(109);
    wdi.set_low().unwrap();
    board.advance_millis(1);
    assert_eq!(faults(&board), [Fault::Early]);
}

#[test]
fn tps3435_does_not_count_during_its_start_up_delay() {
    let board = Board::new(&TPS3435, Part::Fastest);
    let input = Pulse::new(board.wdi(), board.delay());
    let mut dog =
        ExternalWatchdog::new(&TPS3435, input, NoGate, Takeover::Reset(board.now())).unwrap();
    let latest = TPS3435.first_feed_before().unwrap() - ms(1);
    board.advance(latest);
    dog.feed_early(board.now()).unwrap();
    board.advance_millis(1_400);
    assert_eq!(board.bites(), []);
}

#[test]
fn the_first_edge_ends_the_start_up_delay_of_tps3435() {
    let board = Board::new(&TPS3435, Part::Fastest);
    let input = Pulse::new(board.wdi(), board.delay());
    let mut dog =
        ExternalWatchdog::new(&TPS3435, input, NoGate, Takeover::Reset(board.now())).unwrap();
    board.advance_millis(100);
    dog.feed_early(board.now()).unwrap();
    board.advance_millis(1_440);
    assert_eq!(board.bites().len(), 1, "after the first feed the program has to go on feeding");
}

/// A pin behind an expander: some orders fail, and some of the failed orders are carried out.
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

/// Feeds again and again, at once or later, and checks that the chip counted each feed that returned `Ok`.
fn each_feed_is_taken<I: Input>(board: &Board, chip: &'static Profile, input: I, seed: u64) {
    let Ok(mut dog) = ExternalWatchdog::new(chip, input, NoGate, Takeover::Reset(board.now()))
    else {
        return;
    };
    let mut made = 0;
    for turn in 0..200 {
        board.advance(Duration::from_micros((seed + turn) % 3 * 4_500));
        let before = board.feeds().len();
        if dog.feed_early(board.now()).is_ok() {
            made += 1;
            // The chip sees the last level after this time.
            board.advance(chip.min_pulse());
            assert!(board.feeds().len() > before, "{} {seed} {turn}", chip.name());
        }
    }
    assert!(made > 10, "{} {seed}", chip.name());
}

#[test]
fn a_feed_that_returns_ok_was_counted_whatever_failed_before() {
    for seed in 0..200 {
        for chip in [&TPS3823_33, &TPS3851_100NF, &TPS3813] {
            let board = Board::new(chip, Part::Slowest);
            let pin = Expander { pin: board.wdi(), random: seed };
            each_feed_is_taken(&board, chip, Pulse::new(pin, board.delay()), seed);
        }
        let board = Board::new(&TPS3823_33, Part::Slowest);
        let pin = Expander { pin: board.wdi(), random: seed };
        each_feed_is_taken(&board, &TPS3823_33, Toggle::new(pin, board.delay()), seed);
    }
}

#[test]
fn a_long_boot_that_feeds_by_steps_is_not_reset_and_a_hang_in_it_is() {
    for hangs in [false, true] {
        let board = Board::new(&TPS3823_33, Part::Fastest);
        let dog = ExternalWatchdog::new(
            &TPS3823_33,
            Toggle::new(board.wdi(), board.delay()),
            NoGate,
            Takeover::Reset(board.now()),
        )
        .unwrap();
        let mut boot = EarlyFeeding::new(dog.arm(board.now()).unwrap(), 10, 10_000, board.now());
        for step in 0..8 {
            board.advance_millis(if hangs && step == 5 { 5_000 } else { 700 });
            if board.holds_reset() || !board.bites().is_empty() {
                break;
            }
            boot.step(board.now()).unwrap();
        }
        assert_eq!(!board.board_resets().is_empty(), hangs);
    }
}

#[test]
fn a_boot_that_spins_through_its_steps_is_reset_in_the_end() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(board.wdi(), board.delay()),
        NoGate,
        Takeover::Reset(board.now()),
    )
    .unwrap();
    let mut boot = EarlyFeeding::new(dog.arm(board.now()).unwrap(), u32::MAX, 10_000, board.now());
    while board.board_resets().is_empty() {
        board.advance_millis(10);
        let _spent = boot.step(board.now());
    }
    assert!(board.now() <= Instant::from_millis(12_880));
}

#[test]
fn after_a_delayed_start_a_hang_in_boot_is_reset_if_the_timer_still_runs() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let gate = Gate::active_high(board.gate(PinState::High));
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(board.wdi(), board.delay()),
        gate,
        Takeover::Reset(board.now()),
    )
    .unwrap();
    let mut delayed = DelayedStart::new(dog, 10_000, board.now());
    let _armed = loop {
        board.advance_millis(100);
        match delayed.poll(board.now()).unwrap() {
            Delayed::Waiting(again) => delayed = again,
            Delayed::Started(armed) => break armed,
        }
    };
    assert_eq!(board.bites(), [], "it was fed while disarmed");
    board.advance_millis(2_874);
    assert_eq!(board.board_resets(), []);
    board.advance_millis(1);
    assert_eq!(board.board_resets().len(), 1);
}
