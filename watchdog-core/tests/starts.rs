//! The ways in which a chip starts after RESET, its enable input, and the margin for temperature, on a simulated board.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod chip;

use std::time::Duration;

use chip::random::Random;
use chip::{Board, Fault, GatePin, Part, WdiPin};
use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin, PinState};
use watchdog_core::chips::{
    self, ADM8691_SHORT, Adm6316Reset, Adm6316Watchdog, Cwd, DS1232_TD_LOW, DuringReset, Edge,
    EnableInput, HighImpedance, Limits, Profile, ProfileBuilder, STWD100P, STWD100W, STWD100X,
    STWD100Y, Sets, Spread, Start, TPS3820, TPS3823_33, TPS3823A_33,
};
use watchdog_core::external::boot::{Delayed, DelayedStart};
use watchdog_core::external::{
    EnablePin, Error, ExternalWatchdog, Gate, NoGate, Pulse, Takeover, Toggle,
};
use watchdog_core::hardware::Watchdog;
use watchdog_core::{Instant, Plan, PlanError, Timing, plan, profile};

const SECOND: Duration = Duration::from_secs(1);
const MAX6369: Profile = profile!(chips::max6369(SECOND));
const MAX6373: Profile = profile!(chips::max6373(SECOND, None));
const MAX6370: Profile = profile!(
    chips::max6369(Duration::from_secs(60))
        .enable_input(EnableInput::ActiveHigh)
        .reset_pulse(Spread::millis(1, 2, 3))
);

fn parts() -> impl Iterator<Item = Part> {
    let seeds = (0..100).map(Part::Random);
    [Part::Fastest, Part::Slowest, Part::Strictest].into_iter().chain(seeds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_feed_in_an_ignored_start_up_delay_does_not_count() {
    let board = Board::new(&MAX6369, Part::Slowest);
    let input = Toggle::new(board.wdi(), board.delay());
    let mut dog =
        ExternalWatchdog::new(&MAX6369, input, NoGate, Takeover::Reset(board.now())).unwrap();
    // At most 3 s, and 15 %.
    for _ in 0..34 {
        board.advance_millis(100);
        dog.feed_early(board.now()).unwrap();
    }
    assert_eq!(board.feeds(), [], "the chip does not listen");
    board.advance_millis(100);
    dog.feed_early(board.now()).unwrap();
    assert_eq!(board.feeds().len(), 1);
}

#[test]
fn a_chip_with_an_ignored_start_up_delay_is_fed_in_time_at_intervals_of_its_time_out() {
    let heartbeat = ms((MAX6369.shortest_millis() - 1).into());
    for part in parts() {
        for first in [0, 500, 900, 1_600] {
            let board = Board::new(&MAX6369, part);
            let input = Toggle::new(board.wdi(), board.delay());
            board.advance_millis(first);
            let reset = Takeover::Reset(Instant::from_millis(0));
            let dog = ExternalWatchdog::new(&MAX6369, input, NoGate, reset).unwrap();
            let mut dog = dog.arm(board.now()).unwrap();
            for _ in 0..20 {
                board.advance(heartbeat);
                dog.feed().unwrap();
            }
            assert_eq!(board.bites(), [], "{part:?} {first}");
        }
    }
}

#[test]
fn behind_a_gate_an_ignored_feed_does_not_shorten_the_time_of_the_start_up_delay() {
    for part in parts() {
        let board = Board::new(&MAX6369, part);
        let gate = Gate::active_high(board.gate(PinState::High));
        let input = Toggle::new(board.wdi(), board.delay());
        let since = Takeover::Reset(board.now());
        let mut dog = ExternalWatchdog::new(&MAX6369, input, gate, since).unwrap();
        board.advance_millis(10);
        dog.feed_early(board.now()).unwrap();
        // 0.85 s of delay and 0.85 s of time-out at least.
        board.advance_millis(1_680);
        let _armed = dog.arm(board.now()).map_err(|failed| failed.error).unwrap();
        board.advance_millis(840);
        assert_eq!(board.board_resets(), [], "{part:?}");
    }
}

#[test]
fn a_hang_before_the_first_edge_is_never_found_and_one_after_it_is() {
    for edge in [false, true] {
        let board = Board::new(&MAX6373, Part::Fastest);
        let input = Toggle::new(board.wdi(), board.delay());
        let dog = ExternalWatchdog::new(&MAX6373, input, NoGate, Takeover::Reset(board.now()));
        let dog = dog.unwrap();
        if edge {
            let _armed = dog.arm(board.now()).unwrap();
        }
        board.advance(Duration::from_secs(3_600));
        assert_eq!(!board.bites().is_empty(), edge);
    }
    assert_eq!(MAX6373.first_feed_before(), None);
}

#[test]
fn the_first_time_out_of_adm8691_is_long_and_its_next_ones_are_short() {
    for part in parts() {
        let board = Board::new(&ADM8691_SHORT, part);
        board.resistor_at_wdi(PinState::Low);
        let input = Toggle::new(board.wdi(), board.delay());
        let since = Takeover::Reset(board.now());
        let dog = ExternalWatchdog::new(&ADM8691_SHORT, input, NoGate, since).unwrap();
        board.advance_millis(840);
        assert_eq!(board.bites(), [], "{part:?}");
        let _armed = dog.arm(board.now()).unwrap();
        board.advance_millis(58);
        assert_eq!(board.bites(), [], "{part:?}");
        board.advance_millis(161 - 58 + 1);
        assert_eq!(board.bites().len(), 1, "{part:?}");
    }
}

/// Fails the order with this number, and carries it out.
struct Fails {
    pin: WdiPin,
    in_orders: u32,
}

impl Fails {
    fn obey(&mut self, level: PinState) -> Result<(), ErrorKind> {
        let Ok(()) = self.pin.set_state(level);
        self.in_orders = self.in_orders.wrapping_sub(1);
        if self.in_orders == 0 { Err(ErrorKind::Other) } else { Ok(()) }
    }
}

impl ErrorType for Fails {
    type Error = ErrorKind;
}

impl OutputPin for Fails {
    fn set_low(&mut self) -> Result<(), ErrorKind> {
        self.obey(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        self.obey(PinState::High)
    }
}

/// An edge ends its start-up delay, and latches RESET.
const DELAYED: Profile = profile!(
    ProfileBuilder::new("delayed", Edge::Falling, Spread::millis(900, 1_000, 1_100))
        .limits(Limits::FullRange)
        .start(Start::Delay(Spread::millis(5_000, 6_000, 7_000)))
        .during_reset(DuringReset::LatchesReset)
        .reset_pulse(Spread::millis(120, 200, 300))
);

#[test]
fn a_first_feed_that_failed_may_have_ended_the_start_up_delay() {
    let board = Board::new(&DELAYED, Part::Fastest);
    let gate = Gate::active_high(board.gate(PinState::High));
    let input = Pulse::new(Fails { pin: board.wdi(), in_orders: 2 }, board.delay());
    let since = Takeover::Reset(board.now());
    let mut dog = ExternalWatchdog::new(&DELAYED, input, gate, since).unwrap();
    board.advance_millis(10);
    assert_eq!(dog.feed_early(board.now()), Err(Error::Wdi(ErrorKind::Other)));
    // The failed order was carried out, so the chip counts since then, bites, and holds RESET.
    board.advance_millis(950);
    assert!(board.holds_reset());
    assert_eq!(dog.feed_early(board.now()), Err(Error::MayHoldReset));
    assert!(!board.is_latched());
}

#[test]
fn a_delayed_start_arms_a_chip_that_ignores_edges_in_reset_however_often_it_is_polled() {
    for pause in [1, 10, 100, 300, 340] {
        for part in parts() {
            let board = Board::new(&TPS3823A_33, part);
            let gate = Gate::active_high(board.gate(PinState::High));
            let input = Toggle::new(board.wdi(), board.delay());
            let since = Takeover::Floating(board.now());
            let dog = ExternalWatchdog::new(&TPS3823A_33, input, gate, since).unwrap();
            let mut delayed = Some(DelayedStart::new(dog, 100, board.now()));
            while let Some(waiting) = delayed.take() {
                board.advance_millis(pause);
                assert!(board.now() < Instant::from_millis(1_500), "{pause} {part:?}: never armed");
                match waiting.poll(board.now()).map_err(|failed| failed.error).unwrap() {
                    Delayed::Waiting(again) => delayed = Some(again),
                    Delayed::Started(_) => assert!(board.is_connected() && !board.holds_reset()),
                }
            }
            assert_eq!(board.board_resets(), []);
        }
    }
}

#[test]
fn a_chip_that_is_disabled_needs_no_feed_and_begins_anew_when_it_is_armed() {
    for part in parts() {
        let board = Board::new(&STWD100Y, part);
        let enable = EnablePin::active_low(board.enable_input(PinState::Low));
        let input = Toggle::new(board.wdi(), board.delay());
        let since = Takeover::Unknown(board.now());
        let dog = ExternalWatchdog::new(&STWD100Y, input, enable, since).unwrap();
        board.advance(SECOND * 60);
        let mut dog = dog.arm(board.now()).map_err(|failed| failed.error).unwrap();
        for _ in 0..5 {
            board.advance_millis(1_119);
            dog.feed().unwrap();
        }
        let dog = dog.disarm(board.now()).unwrap();
        board.advance(SECOND * 60);
        assert_eq!(board.bites(), [], "{part:?}");
        let _armed = dog.arm(board.now()).map_err(|failed| failed.error).unwrap();
        board.advance_millis(2_241);
        assert_eq!(board.bites().len(), 1, "{part:?}");
    }
}

#[test]
fn a_chip_with_a_start_up_delay_begins_with_it_when_it_is_enabled() {
    let board = Board::new(&MAX6370, Part::Slowest);
    let enable = EnablePin::active_high(board.enable_input(PinState::High));
    let input = Toggle::new(board.wdi(), board.delay());
    let since = Takeover::Unknown(board.now());
    let dog = ExternalWatchdog::new(&MAX6370, input, enable, since).unwrap();
    board.advance(SECOND * 600);
    let mut dog = dog.arm(board.now()).map_err(|failed| failed.error).unwrap();
    let enabled = board.elapsed();
    while board.feeds().is_empty() {
        board.advance(SECOND * 10);
        dog.feed().unwrap();
    }
    let delay = board.feeds().first().unwrap().checked_sub(enabled).unwrap();
    assert!(delay >= SECOND * 207, "60 s times 3 and 15 %, not {delay:?}");
    assert_eq!(board.bites(), []);
}

#[test]
fn an_enable_pin_needs_an_enable_input_of_its_level() {
    let board = Board::new(&STWD100Y, Part::Fastest);
    let now = Takeover::Reset(board.now());
    let wrong = EnablePin::active_high(board.enable_input(PinState::Low));
    let input = Toggle::new(board.wdi(), board.delay());
    let refused = ExternalWatchdog::new(&STWD100Y, input, wrong, now).unwrap_err();
    assert_eq!(refused.error, Error::Unsuitable);
    let none = EnablePin::active_low(board.enable_input(PinState::Low));
    let input = Toggle::new(board.wdi(), board.delay());
    let refused = ExternalWatchdog::new(&TPS3820, input, none, now).unwrap_err();
    assert_eq!(refused.error, Error::Unsuitable);
    drop(refused.release());
}

#[test]
fn each_new_chip_is_fed_within_its_limits_and_bites_after_them() {
    let closed = Spread::millis(10, 12, 15);
    let list = [
        STWD100Y,
        STWD100X,
        STWD100W,
        STWD100P,
        ADM8691_SHORT,
        DS1232_TD_LOW,
        MAX6369,
        MAX6373,
        profile!(chips::adm6316(Adm6316Watchdog::X, Adm6316Reset::A)),
        profile!(chips::tps3850(Cwd::Open, Sets::Neither)),
        profile!(chips::tps3850(Cwd::PullUp, Sets::Set1)),
        profile!(chips::max16998(Spread::millis(90, 100, 110))),
        chips::adm8323(closed, Spread::millis(100, 120, 150)).build().unwrap(),
    ];
    for chip in list {
        let chip: &'static Profile = Box::leak(Box::new(chip));
        for part in parts() {
            let board = Board::new(chip, part);
            let since = Takeover::Reset(board.now());
            let input = Pulse::new(board.wdi(), board.delay());
            let dog = ExternalWatchdog::new(chip, input, NoGate, since).unwrap();
            board.advance(chip.feed_from() + ms(2));
            let mut dog = dog.arm(board.now()).unwrap();
            for _ in 0..20 {
                // As late as a plan in whole milliseconds allows.
                board.advance_millis(u64::from(chip.shortest_millis()) - 1);
                dog.feed_at(board.now()).unwrap();
            }
            assert_eq!(board.bites(), [], "{} {part:?}", chip.name());
            let delay = match chip.start() {
                Start::DeafDelay(delay) => delay.max,
                Start::AtOnce | Start::Delay(_) | Start::FirstEdge | Start::LongFirst(_) => {
                    Duration::ZERO
                }
            };
            board.advance(delay + chip.timeout().max + ms(1));
            let fault = board.bites().first().map(|bite| bite.fault);
            assert_eq!(fault, Some(Fault::Late), "{} {part:?}", chip.name());
        }
    }
}

#[test]
fn a_plan_for_25_degrees_has_the_margin_and_another_one_only_by_name() {
    const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).profile(&TPS3823_33));
    assert_eq!(TIMING.heartbeat_millis(), 500);
    let plan = |chip: &Profile| Plan::heartbeat(800).profile(chip).check().map(drop);
    assert_eq!(plan(&TPS3823_33), Err(PlanError::ChipBitesFirst), "0.9 s holds at 25 °C only");
    let measured = TPS3823_33.builder().margin_percent(5).build().unwrap();
    assert_eq!(plan(&measured), Ok(()));
}

#[test]
fn a_board_in_the_cold_does_not_bite_earlier_than_plan_and_feeder_reckon() {
    // 12 % faster than the limit at 25 °C allows.
    let cold = TPS3823_33
        .builder()
        .timeout(Spread::millis(792, 1_408, 2_200))
        .limits(Limits::FullRange)
        .build()
        .unwrap();
    for part in parts() {
        let board = Board::new(&cold, part);
        let gate: Gate<GatePin> = Gate::active_high(board.gate(PinState::High));
        let input = Toggle::new(board.wdi(), board.delay());
        let since = Takeover::Reset(board.now());
        let mut dog = ExternalWatchdog::new(&TPS3823_33, input, gate, since).unwrap();
        let mut random = Random::new(7);
        for _ in 0..20 {
            board.advance_millis(random.between(0, 830));
            if dog.feed_early(board.now()) == Err(Error::MayHoldReset) {
                break;
            }
        }
        assert!(!board.is_latched(), "{part:?}");
    }
    assert_eq!(TPS3823_33.high_impedance(), HighImpedance::FeedsItself);
}
