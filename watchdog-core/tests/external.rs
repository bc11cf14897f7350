//! The pin changes of the feeder, one by one, checked with mocked pins.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::delay::{CheckedDelay, NoopDelay, Transaction as Wait};
use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
use watchdog_core::chips::{
    Edge, Limits, Profile, ProfileBuilder, Spread, TPS3813, TPS3823_33, TPS3851_100NF,
};
use watchdog_core::external::boot::{Delayed, DelayedStart, EarlyFeeding, StepError};
use watchdog_core::external::{Error, ExternalWatchdog, Gate, NoGate, Pulse, Takeover, Toggle};
use watchdog_core::hardware::{
    Error as _, ErrorKind, Setting, Settings, Start, Stop, Unsupported, Watchdog,
};
use watchdog_core::{Instant, profile};

const EITHER_WITH_WINDOW: Profile = profile!(
    ProfileBuilder::new("either", Edge::Either, Spread::millis(100, 110, 120))
        .limits(Limits::FullRange)
        .window(Spread::millis(10, 11, 12))
);
const IN_FIRST_FRAME: Profile = profile!(
    ProfileBuilder::new("first frame", Edge::Falling, Spread::millis(100, 110, 120))
        .limits(Limits::FullRange)
        .window(Spread::millis(10, 11, 12))
);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn low() -> Transaction {
    Transaction::set(State::Low)
}

fn high() -> Transaction {
    Transaction::set(State::High)
}

fn broken() -> MockError {
    MockError::Io(std::io::ErrorKind::BrokenPipe)
}

/// A pin that expects these orders, and a second handle to check it afterwards.
fn pin(orders: &[Transaction]) -> (Mock, Mock) {
    let pin = Mock::new(orders);
    (pin.clone(), pin)
}

#[test]
fn toggling_starts_low_and_changes_the_level_at_each_feed_for_the_shortest_pulse() {
    let (wdi, mut seen) = pin(&[low(), high(), low(), high()]);
    let mut delay = CheckedDelay::new(&[115; 4].map(Wait::delay_ns));
    let input = Toggle::new(wdi, delay.clone());
    let dog = ExternalWatchdog::new(&TPS3823_33, input, NoGate, Takeover::Reset(at(0))).unwrap();
    let mut dog = dog.arm(at(0)).unwrap();
    dog.feed().unwrap();
    dog.feed().unwrap();
    seen.done();
    delay.done();
}

#[test]
fn a_chip_with_falling_edges_gets_a_low_pulse_of_its_shortest_width() {
    let (wdi, mut seen) = pin(&[high(), low(), high(), low(), high()]);
    let mut delay = CheckedDelay::new(&[50; 5].map(Wait::delay_ns));
    let input = Pulse::new(wdi, delay.clone());
    let mut dog = ExternalWatchdog::new(&TPS3851_100NF, input, NoGate, Takeover::Reset(at(0)))
        .unwrap()
        .arm(at(0))
        .unwrap();
    dog.feed().unwrap();
    seen.done();
    delay.done();
}

#[test]
fn a_chip_with_rising_edges_gets_a_high_pulse() {
    let (wdi, mut seen) = pin(&[low(), high(), low()]);
    let mut delay = CheckedDelay::new(&[50; 3].map(Wait::delay_ns));
    let input = Pulse::new(wdi, delay.clone());
    let _armed = ExternalWatchdog::new(&TPS3813, input, NoGate, Takeover::Reset(at(0)))
        .unwrap()
        .arm(at(0))
        .unwrap();
    seen.done();
    delay.done();
}

#[test]
fn the_gate_is_off_at_first_on_when_armed_and_off_when_disarmed() {
    for active_high in [true, false] {
        let (on, off) = if active_high { (high(), low()) } else { (low(), high()) };
        let (enable, mut gate) = pin(&[off.clone(), on.clone(), off.clone(), on.clone(), off, on]);
        // At rest; fed, armed, fed; disarmed and armed, twice. Each of these is one edge.
        let edges = [low(), high(), low(), high(), low(), high(), low(), high()];
        let (wdi, mut seen) = pin(&edges);
        let enable = if active_high { Gate::active_high(enable) } else { Gate::active_low(enable) };
        let mut dog = ExternalWatchdog::new(
            &TPS3823_33,
            Toggle::new(wdi, NoopDelay),
            enable,
            Takeover::Reset(at(0)),
        )
        .unwrap();
        dog.feed_early(at(0)).unwrap();
        let mut dog = dog.arm(at(0)).unwrap();
        dog.feed().unwrap();
        let dog = dog.disarm(at(0)).unwrap().arm(at(0)).unwrap();
        let mut dog = dog.disarm(at(0)).unwrap().arm_for_good(at(0)).unwrap();
        seen.done();
        gate.done();
        seen.update_expectations(&[low()]);
        dog.feed().unwrap();
        seen.done();
    }
}

#[test]
fn through_the_traits_a_chip_starts_with_its_shortest_time_out_and_stops() {
    let (enable, mut gate) = pin(&[low(), high(), low()]);
    let (wdi, mut seen) = pin(&[low(), high(), low()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        Gate::active_high(enable),
        Takeover::Reset(at(0)),
    )
    .unwrap()
    .clocked(|| at(0));
    let shortest = Duration::from_millis(765);
    assert_eq!(dog.timeout_range(), shortest..=shortest);
    let refused = dog.start(Settings::new(Duration::from_secs(1))).map(drop).unwrap_err();
    assert_eq!(refused.error, Error::FixedTimeout);
    assert_eq!(refused.error.kind(), ErrorKind::UnsupportedTimeout);
    let window = Settings::new(shortest).window(Duration::from_millis(1));
    let refused = refused.device.start(window).map(drop).unwrap_err();
    assert_eq!(refused.error, Error::Unsupported(Unsupported(Setting::Window)));
    let started = refused.device.start(Settings::new(shortest)).unwrap();
    assert_eq!(started.timeout, TPS3823_33.timeout());
    assert_eq!((started.shortest_millis(), started.longest_millis()), (765, 2_875));
    let _stopped = started.watchdog.stop().unwrap();
    seen.done();
    gate.done();
}

#[test]
fn errors_name_the_pin_and_give_everything_back() {
    // The gate cannot be switched off.
    let (enable, mut gate) = pin(&[low().with_error(broken())]);
    let (wdi, mut seen) = pin(&[]);
    let failed = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        Gate::active_high(enable),
        Takeover::Reset(at(0)),
    )
    .unwrap_err();
    assert_eq!(failed.error, Error::Gate(broken()));
    assert_eq!(failed.error.to_string(), "pin of the enable gate: Io(BrokenPipe)");
    // WDI cannot be brought to rest.
    gate.update_expectations(&[low(), low(), high().with_error(broken())]);
    seen.update_expectations(&[low().with_error(broken()), low(), high()]);
    let (input, enable) = failed.release();
    let failed =
        ExternalWatchdog::new(&TPS3823_33, input, enable, Takeover::Reset(at(0))).unwrap_err();
    assert_eq!(failed.error, Error::Wdi(broken()));
    assert_eq!(failed.error.kind(), ErrorKind::Connection);
    let (input, enable) = failed.release();
    let dog = ExternalWatchdog::new(&TPS3823_33, input, enable, Takeover::Reset(at(0))).unwrap();
    // It cannot be armed.
    let failed = dog.arm(at(0)).unwrap_err();
    assert_eq!(failed.error, Error::Gate(broken()));
    gate.done();
    seen.done();
    // It cannot be disarmed.
    gate.update_expectations(&[high(), low().with_error(broken()), low()]);
    seen.update_expectations(&[low(), high(), low()]);
    let failed = failed.device.arm(at(0)).unwrap().disarm(at(0)).unwrap_err();
    assert_eq!(failed.error, Error::Gate(broken()));
    let (_input, _gate) = failed.watchdog.disarm(at(0)).unwrap().release();
    gate.done();
    seen.done();
}

#[test]
fn after_a_failed_toggle_the_next_feed_makes_an_edge_from_any_level() {
    let (wdi, mut seen) = pin(&[low(), high(), low().with_error(broken()), low(), high(), low()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        NoGate,
        Takeover::Reset(at(0)),
    )
    .unwrap();
    let mut dog = dog.arm(at(0)).unwrap();
    assert_eq!(dog.feed(), Err(Error::Wdi(broken())));
    dog.feed().unwrap(); // low, high
    dog.feed().unwrap(); // low
    seen.done();
}

#[test]
fn after_a_failed_pulse_the_pin_returns_to_rest_before_the_next_edge() {
    let (wdi, mut seen) =
        pin(&[high(), low(), high(), low(), high().with_error(broken()), high(), low(), high()]);
    let mut delay = CheckedDelay::new(&[50; 7].map(Wait::delay_ns));
    let input = Pulse::new(wdi, delay.clone());
    let mut dog = ExternalWatchdog::new(&TPS3851_100NF, input, NoGate, Takeover::Reset(at(0)))
        .unwrap()
        .arm(at(0))
        .unwrap();
    assert_eq!(dog.feed(), Err(Error::Wdi(broken())));
    dog.feed().unwrap();
    seen.done();
    delay.done();
}

#[test]
fn an_unsuitable_input_is_rejected_before_a_pin_changes() {
    let (wdi, mut seen) = pin(&[]);
    let failed = ExternalWatchdog::new(
        &TPS3851_100NF,
        Toggle::new(wdi.clone(), NoopDelay),
        NoGate,
        Takeover::Reset(at(0)),
    )
    .unwrap_err();
    assert_eq!(failed.error, Error::Unsuitable);
    let mut delay = CheckedDelay::new(&[]);
    let input = Pulse::new(wdi, delay.clone());
    let failed = ExternalWatchdog::new(&EITHER_WITH_WINDOW, input, NoGate, Takeover::Reset(at(0)))
        .unwrap_err();
    assert_eq!(failed.error, Error::Unsuitable);
    assert_eq!(failed.error.kind(), ErrorKind::InvalidState);
    seen.done();
    delay.done();
}

#[test]
fn a_feed_before_the_window_is_rejected_with_the_earliest_time() {
    // TPS3813: 9.46 ms, rounded up to 10, plus 1 because instants are whole milliseconds.
    let (wdi, mut seen) = pin(&[low(), high(), low(), high(), low()]);
    let mut delay = CheckedDelay::new(&[50; 5].map(Wait::delay_ns));
    let input = Pulse::new(wdi, delay.clone());
    let mut dog = ExternalWatchdog::new(&TPS3813, input, NoGate, Takeover::Reset(at(0)))
        .unwrap()
        .arm(at(1_000))
        .unwrap();
    assert_eq!(dog.feed_at(at(1_010)), Err(Error::TooEarly { earliest: at(1_011) }));
    dog.feed_at(at(1_011)).unwrap();
    let refused = dog.feed_at(at(1_012)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooEarly);
    assert_eq!(refused.to_string(), "a feed before 1022 ms is a fault");
    seen.done();
    delay.done();
}

#[test]
fn the_first_frame_has_a_window_if_the_profile_says_so() {
    let (wdi, mut seen) = pin(&[high(), low(), high()]);
    let mut delay = CheckedDelay::new(&[1_000; 3].map(Wait::delay_ns));
    let input = Pulse::new(wdi, delay.clone());
    let mut dog =
        ExternalWatchdog::new(&IN_FIRST_FRAME, input, NoGate, Takeover::Reset(at(0))).unwrap();
    assert_eq!(dog.feed_early(at(12)), Err(Error::TooEarly { earliest: at(13) }));
    dog.feed_early(at(13)).unwrap();
    seen.done();
    delay.done();
}

#[test]
fn a_chip_with_a_window_can_be_fed_through_the_trait_only_with_a_clock() {
    let (wdi, mut seen) = pin(&[low(), high(), low(), high(), low()]);
    let (enable, mut gate) = pin(&[low(), high(), low()]);
    let mut delay = CheckedDelay::new(&[50; 5].map(Wait::delay_ns));
    let input = Pulse::new(wdi, delay.clone());
    let dog =
        ExternalWatchdog::new(&TPS3813, input, Gate::active_high(enable), Takeover::Reset(at(0)))
            .unwrap();
    let mut dog = dog.arm(at(0)).unwrap();
    assert_eq!(dog.feed(), Err(Error::NeedsTime));
    let mut now = 6;
    let mut dog = dog.clocked(|| {
        now += 5;
        at(now)
    });
    dog.feed().unwrap(); // between 11 and 16, after the arming edge at 0
    assert_eq!(dog.feed(), Err(Error::TooEarly { earliest: at(27) }));
    let _stopped = dog.stop().unwrap();
    seen.done();
    gate.done();
    delay.done();
}

#[test]
fn early_feeding_is_limited_in_number() {
    let (wdi, mut seen) = pin(&[low(), high(), low(), high()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        NoGate,
        Takeover::Reset(at(0)),
    )
    .unwrap()
    .arm(at(0))
    .unwrap();
    let mut boot = EarlyFeeding::new(dog, 2, 10_000, at(0));
    assert_eq!(boot.step(at(500)), Ok(()));
    assert_eq!(boot.step(at(1_000)), Ok(()));
    assert_eq!(boot.step(at(1_500)), Err(StepError::Spent));
    seen.done();
}

#[test]
fn early_feeding_is_limited_in_time_and_does_not_begin_again() {
    let (wdi, mut seen) = pin(&[low(), high(), low(), high()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        NoGate,
        Takeover::Reset(at(0)),
    )
    .unwrap()
    .arm(at(0))
    .unwrap();
    let mut boot = EarlyFeeding::new(dog, 100, 1_000, at(0));
    assert_eq!(boot.step(at(1_000)), Ok(()));
    assert_eq!(boot.step(at(1_001)), Err(StepError::Spent));
    assert_eq!(boot.step(at(1_000)), Err(StepError::Spent));
    boot.finish().feed().unwrap();
    seen.done();
}

#[test]
fn a_step_whose_feed_failed_does_not_count() {
    let (wdi, mut seen) = pin(&[low(), high(), low().with_error(broken()), low(), high()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        NoGate,
        Takeover::Reset(at(0)),
    )
    .unwrap()
    .arm(at(0))
    .unwrap();
    let mut boot = EarlyFeeding::new(dog, 1, 1_000, at(0));
    assert_eq!(boot.step(at(1)), Err(StepError::Feed(Error::Wdi(broken()))));
    assert_eq!(boot.step(at(2)), Ok(()));
    seen.done();
}

#[test]
fn a_delayed_start_feeds_the_disarmed_chip_and_arms_it_when_due() {
    let (wdi, mut seen) = pin(&[low(), high(), low()]);
    let (enable, mut gate) = pin(&[low(), high()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        Gate::active_high(enable),
        Takeover::Reset(at(0)),
    )
    .unwrap();
    let delayed = DelayedStart::new(dog, 500, at(100));
    assert_eq!(delayed.due(), at(600));
    let Ok(Delayed::Waiting(delayed)) = delayed.poll(at(599)) else { panic!("armed early") };
    let Ok(Delayed::Started(_)) = delayed.poll(at(600)) else { panic!("not armed") };
    seen.done();
    gate.done();
}

#[test]
fn a_finished_boot_arms_before_the_due_time_and_can_try_again_if_the_gate_fails() {
    let (wdi, mut seen) = pin(&[low(), high(), low()]);
    let (enable, mut gate) = pin(&[low(), high().with_error(broken()), high()]);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(wdi, NoopDelay),
        Gate::active_high(enable),
        Takeover::Reset(at(0)),
    )
    .unwrap();
    let failed = DelayedStart::new(dog, 5_000, at(0)).arm(at(0)).unwrap_err();
    assert_eq!(failed.error, Error::Gate(broken()));
    let _armed = failed.device.arm(at(0)).unwrap();
    seen.done();
    gate.done();
}
