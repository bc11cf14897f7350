//! [`ProfileBuilder`]: makes a profile from the numbers of a data sheet, and checks that a chip with these numbers can
//! be fed.

use core::time::Duration;

use super::profile::{
    DuringReset, Edge, EnableInput, Feeding, HighImpedance, Limits, Profile, Start, StartMicros,
};
use super::spread::Micros;
use crate::hardware::Spread;

/// Builds a [`Profile`]: with [`build`](Self::build) at run time, with [`profile!`](crate::profile) at compile time.
///
/// The spreads are those of the data sheet. [`build`](Self::build) adds the margin.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ProfileBuilder {
    name: &'static str,
    source: &'static str,
    limits: Limits,
    margin_percent: Option<u32>,
    edge: Edge,
    timeout: Spread,
    window: Option<Spread>,
    window_in_first_frame: bool,
    start: Start,
    min_pulse: Duration,
    high_impedance: HighImpedance,
    during_reset: DuringReset,
    reset_pulse: Option<Spread>,
    enable_input: EnableInput,
}

impl Profile {
    /// A builder with the properties of this chip as the data sheet has them, to change some of them.
    ///
    /// ```
    /// use watchdog_core::{chips::{Profile, TPS3823_33}, profile};
    ///
    /// // This device lives between 15 and 35 °C, and its boards were measured.
    /// const CHIP: Profile = profile!(TPS3823_33.builder().margin_percent(4));
    /// assert_eq!((TPS3823_33.shortest_millis(), CHIP.shortest_millis()), (765, 864));
    /// ```
    pub const fn builder(&self) -> ProfileBuilder {
        ProfileBuilder::of(self)
    }
}

impl ProfileBuilder {
    /// A chip without a window and without a start-up delay. Its limits hold at 25 °C only, its pin must be driven, it
    /// ignores edges during RESET, it detects a level of one microsecond, and it has no enable input.
    pub const fn new(name: &'static str, edge: Edge, timeout: Spread) -> Self {
        Self {
            name,
            source: "",
            limits: Limits::At25C,
            margin_percent: None,
            edge,
            timeout,
            window: None,
            window_in_first_frame: true,
            start: Start::AtOnce,
            min_pulse: Duration::from_micros(1),
            high_impedance: HighImpedance::MustBeDriven,
            during_reset: DuringReset::Ignored,
            reset_pulse: None,
            enable_input: EnableInput::None,
        }
    }

    const fn of(chip: &Profile) -> Self {
        let margin_percent = chip.margin_percent();
        Self {
            name: chip.name,
            source: chip.source,
            limits: chip.limits,
            margin_percent: if margin_percent == chip.limits.margin_percent() {
                None
            } else {
                Some(margin_percent)
            },
            edge: chip.edge,
            timeout: chip.timeout.spread(),
            window: match chip.window {
                Some(window) => Some(window.spread()),
                None => None,
            },
            window_in_first_frame: chip.window_in_first_frame,
            start: match chip.start {
                StartMicros::AtOnce => Start::AtOnce,
                StartMicros::Delay(delay) => Start::Delay(delay.spread()),
                StartMicros::DeafDelay(delay) => Start::DeafDelay(delay.spread()),
                StartMicros::FirstEdge => Start::FirstEdge,
                StartMicros::LongFirst(first) => Start::LongFirst(first.spread()),
            },
            min_pulse: Duration::from_nanos(chip.min_pulse_nanos as u64),
            high_impedance: chip.high_impedance,
            during_reset: chip.during_reset,
            reset_pulse: match chip.reset_pulse {
                Some(width) => Some(width.spread()),
                None => None,
            },
            enable_input: chip.enable_input,
        }
    }

    /// Sets the name of the chip.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Sets the time from a feed to the bite.
    pub const fn timeout(mut self, timeout: Spread) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the source of the numbers: document, revision, table.
    pub const fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// Sets the temperature at which the limits hold. Without this call they hold at 25 °C only, so a margin that is
    /// needed cannot be forgotten.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the margin: each minimum is taken as lower by this part, each maximum as higher by it, and so is the
    /// shortest pulse. The default follows from the [limits](Self::limits).
    pub const fn margin_percent(mut self, percent: u32) -> Self {
        self.margin_percent = Some(percent);
        self
    }

    /// Sets the closed window: a feed within this time after the last one is a fault.
    pub const fn window(mut self, window: Spread) -> Self {
        self.window = Some(window);
        self
    }

    /// The first feed after a reset is never too early.
    pub const fn first_frame_without_window(mut self) -> Self {
        self.window_in_first_frame = false;
        self
    }

    /// Sets the behaviour from the release of RESET to the first feed.
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets the shortest time at a level that the chip detects.
    pub const fn min_pulse(mut self, width: Duration) -> Self {
        self.min_pulse = width;
        self
    }

    /// The behaviour while WDI floats.
    pub const fn high_impedance(mut self, behaviour: HighImpedance) -> Self {
        self.high_impedance = behaviour;
        self
    }

    /// The effect of an edge while the chip holds RESET.
    pub const fn during_reset(mut self, behaviour: DuringReset) -> Self {
        self.during_reset = behaviour;
        self
    }

    /// Sets how long the chip holds RESET.
    pub const fn reset_pulse(mut self, width: Spread) -> Self {
        self.reset_pulse = Some(width);
        self
    }

    /// Sets the enable input.
    pub const fn enable_input(mut self, input: EnableInput) -> Self {
        self.enable_input = input;
        self
    }

    /// Checks the properties, adds the margin, and gives the profile.
    ///
    /// # Errors
    ///
    /// [`ProfileError`]: no chip can have these properties.
    pub const fn build(self) -> Result<Profile, ProfileError> {
        let margin = match self.margin_percent {
            Some(percent) => percent,
            None => self.limits.margin_percent(),
        };
        if margin >= 100 {
            return Err(ProfileError::NoTimeout);
        }
        let (timeout, widest) = match checked(self.timeout, margin) {
            Ok(times) => times,
            Err(error) => return Err(error),
        };
        if widest.min == 0 {
            return Err(ProfileError::NoTimeout);
        }
        let (window, window_max) = match self.window {
            None => (None, 0),
            Some(window) => match checked(window, margin) {
                Ok((window, wider)) if wider.max < widest.min => (Some(window), wider.max),
                Ok(_) => return Err(ProfileError::NeverOpen),
                Err(error) => return Err(error),
            },
        };
        // If it floated before, a pin that is driven for the first time may make the first edge.
        let first_edge_is_unseen = matches!(self.edge, Edge::Either)
            || matches!(self.high_impedance, HighImpedance::FeedsItself);
        let (start, first_min) = match checked_start(self.start, margin, widest.min) {
            Ok((start @ (StartMicros::Delay(_) | StartMicros::LongFirst(_)), first_min)) => {
                (start, if first_edge_is_unseen { widest.min } else { first_min })
            }
            Ok(start) => start,
            Err(error) => return Err(error),
        };
        let (reset_pulse, longest_reset_millis) = match (self.reset_pulse, self.during_reset) {
            (Some(width), _) => match checked(width, margin) {
                Ok((width, wider)) => (Some(width), Some(wider.max_millis())),
                Err(error) => return Err(error),
            },
            (None, DuringReset::Ignored) => (None, None),
            (None, DuringReset::LatchesReset) => (None, Some(u32::MAX)),
        };
        let pulse = self.min_pulse.as_nanos().saturating_mul(100 + margin as u128).div_ceil(100);
        // A pulse and the pause after it have to fit between two feeds, and DelayNs counts 32 bits of nanoseconds.
        if pulse > u32::MAX as u128 || pulse * 2 >= widest.min as u128 * 1_000 {
            return Err(ProfileError::PulseTooLong);
        }
        // The time that a feed takes at the pin: two levels.
        let feed_millis = (pulse * 2).div_ceil(NANOS_PER_MILLI) as u32;
        let feeding = Feeding {
            pulse_nanos: pulse as u32,
            safe_millis: widest.min_millis().saturating_sub(feed_millis),
            first_safe_millis: (first_min / 1_000).saturating_sub(feed_millis),
            // One more, because the time between two instants may be shorter by up to a millisecond.
            window_millis: if window.is_some() { window_max.div_ceil(1_000) + 1 } else { 0 },
            longest_reset_millis,
        };
        Ok(Profile {
            name: self.name,
            source: self.source,
            timeout,
            window,
            start,
            reset_pulse,
            // It is shorter than the pulse with its margin.
            min_pulse_nanos: self.min_pulse.as_nanos() as u32,
            margin_percent: margin as u8,
            limits: self.limits,
            edge: self.edge,
            high_impedance: self.high_impedance,
            during_reset: self.during_reset,
            enable_input: self.enable_input,
            window_in_first_frame: self.window_in_first_frame,
            feeding,
        })
    }
}

const NANOS_PER_MILLI: u128 = 1_000_000;

/// The spread in microseconds, and the same with the margin.
const fn checked(spread: Spread, margin: u32) -> Result<(Micros, Micros), ProfileError> {
    if !spread.is_ordered() {
        return Err(ProfileError::OutOfOrder);
    }
    let Some(micros) = Micros::of(spread) else { return Err(ProfileError::TooLong) };
    match micros.wider(margin) {
        Some(wider) => Ok((micros, wider)),
        None => Err(ProfileError::TooLong),
    }
}

/// The start, and the time from the release of RESET in which the chip certainly does not bite, in microseconds.
const fn checked_start(
    start: Start,
    margin: u32,
    timeout_min: u32,
) -> Result<(StartMicros, u32), ProfileError> {
    let spread = match start {
        Start::AtOnce => return Ok((StartMicros::AtOnce, timeout_min)),
        // A pin that is driven for the first time may make the first edge, so the chip may count from then on.
        Start::FirstEdge => return Ok((StartMicros::FirstEdge, timeout_min)),
        Start::Delay(spread) | Start::DeafDelay(spread) | Start::LongFirst(spread) => spread,
    };
    let (micros, wider) = match checked(spread, margin) {
        Ok(times) => times,
        Err(error) => return Err(error),
    };
    let delayed = wider.min.saturating_add(timeout_min);
    Ok(match start {
        Start::LongFirst(_) => (StartMicros::LongFirst(micros), wider.min),
        Start::DeafDelay(_) => (StartMicros::DeafDelay(micros), delayed),
        Start::Delay(_) | Start::AtOnce | Start::FirstEdge => (StartMicros::Delay(micros), delayed),
    })
}

/// Why the properties of a chip are impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum ProfileError {
    /// The shortest time-out less the margin is zero: the chip would bite at once.
    NoTimeout,
    /// A minimum is above its typical value, or a typical value is above its maximum.
    OutOfOrder,
    /// The window of one part may open after another part has bitten: no feed is safe.
    NeverOpen,
    /// Two pulses do not fit into the shortest time-out, or a pulse is longer than about 4.29 s.
    PulseTooLong,
    /// A time is longer than about 71 minutes.
    TooLong,
}

impl ProfileError {
    /// The text of the error as a constant, for `const` code that cannot format.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::NoTimeout => "the shortest time-out less the margin is zero",
            Self::OutOfOrder => {
                "a minimum is above its typical value, or a typical value is above its maximum"
            }
            Self::NeverOpen => "the window may open after the shortest time-out",
            Self::PulseTooLong => "two pulses do not fit into the shortest time-out",
            Self::TooLong => "a time is longer than 71 minutes",
        }
    }
}

/// Makes a [`Profile`](crate::chips::Profile) from a [`ProfileBuilder`](crate::chips::ProfileBuilder), checked at
/// compile time. See [`chips`](crate::chips) for an example.
#[macro_export]
macro_rules! profile {
    ($builder:expr) => {
        const {
            match $crate::chips::ProfileBuilder::build($builder) {
                Ok(profile) => profile,
                Err(error) => panic!("{}", error.message()),
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn chip() -> ProfileBuilder {
        ProfileBuilder::new("", Edge::Either, Spread::percent(SECOND, 10)).limits(Limits::FullRange)
    }

    #[test]
    fn each_rule_of_a_profile_has_its_error() {
        let zero = Spread::millis(0, 1, 2);
        let unordered = Spread::millis(10, 9, 11);
        let long = Spread::percent(SECOND * 4_000, 10);
        let ms = Duration::from_millis;
        for (builder, error) in [
            (ProfileBuilder::new("", Edge::Either, zero), ProfileError::NoTimeout),
            (chip().margin_percent(100), ProfileError::NoTimeout),
            (ProfileBuilder::new("", Edge::Either, unordered), ProfileError::OutOfOrder),
            (chip().window(unordered), ProfileError::OutOfOrder),
            (chip().start(Start::Delay(unordered)), ProfileError::OutOfOrder),
            (chip().start(Start::LongFirst(unordered)), ProfileError::OutOfOrder),
            (chip().reset_pulse(unordered), ProfileError::OutOfOrder),
            (chip().window(Spread::millis(100, 500, 900)), ProfileError::NeverOpen),
            (chip().window(Spread::millis(1, 2, 818)).margin_percent(5), ProfileError::NeverOpen),
            (chip().min_pulse(ms(450)), ProfileError::PulseTooLong),
            (
                ProfileBuilder::new("", Edge::Either, Spread::percent(SECOND * 100, 10))
                    .min_pulse(SECOND * 5),
                ProfileError::PulseTooLong,
            ),
            (ProfileBuilder::new("", Edge::Either, long), ProfileError::TooLong),
            (chip().start(Start::DeafDelay(long)), ProfileError::TooLong),
        ] {
            assert_eq!(builder.build(), Err(error));
        }
        assert!(chip().window(Spread::millis(100, 500, 899)).build().is_ok());
        assert!(chip().min_pulse(ms(449)).build().is_ok());
    }

    #[test]
    fn milliseconds_for_a_plan_are_rounded_to_the_safe_side() {
        let timeout = Spread::micros(100_900, 110_000, 120_100);
        let chip = ProfileBuilder::new("", Edge::Rising, timeout).limits(Limits::FullRange);
        let windowed = chip.window(Spread::micros(1_000, 5_000, 9_460)).build();
        let millis = windowed
            .map(|chip| (chip.shortest_millis(), chip.longest_millis(), chip.window_millis()));
        assert_eq!(millis, Ok((100, 121, 11)));
        assert_eq!(chip.build().map(|chip| chip.window_millis()), Ok(0));
    }

    #[test]
    fn limits_at_25_degrees_are_widened_everywhere_on_the_strict_side() {
        let builder = ProfileBuilder::new("", Edge::Either, Spread::millis(1_000, 1_500, 2_000))
            .window(Spread::millis(100, 150, 200))
            .start(Start::DeafDelay(Spread::millis(3_000, 4_000, 5_000)))
            .reset_pulse(Spread::millis(100, 200, 300))
            .min_pulse(Duration::from_nanos(100));
        let Ok(chip) = builder.build() else { panic!("it can be built") };
        assert_eq!((chip.limits(), chip.margin_percent()), (Limits::At25C, 15));
        assert_eq!(chip.timeout(), Spread::millis(850, 1_500, 2_300));
        assert_eq!(chip.window(), Some(Spread::millis(85, 150, 230)));
        assert_eq!(chip.start(), Start::DeafDelay(Spread::millis(2_550, 4_000, 5_750)));
        assert_eq!(chip.reset_pulse(), Some(Spread::millis(85, 200, 345)));
        assert_eq!(chip.min_pulse(), Duration::from_nanos(115));
        let feeding = Feeding {
            pulse_nanos: 115,
            safe_millis: 849,
            first_safe_millis: 3_399,
            window_millis: 231,
            longest_reset_millis: Some(345),
        };
        assert_eq!(chip.feeding, feeding);
        let Ok(exact) = chip.builder().margin_percent(0).build() else { panic!("it can be built") };
        assert_eq!(exact.timeout(), Spread::millis(1_000, 1_500, 2_000));
        let Ok(full) = chip.builder().limits(Limits::FullRange).build() else { panic!("it can") };
        assert_eq!((full.timeout(), full.margin_percent()), (exact.timeout(), 0));
    }

    #[test]
    fn a_builder_of_a_profile_makes_the_same_profile() {
        let spread = Spread::micros(200, 300, 400);
        for start in [
            Start::AtOnce,
            Start::Delay(spread),
            Start::DeafDelay(spread),
            Start::FirstEdge,
            Start::LongFirst(spread),
        ] {
            for margin in [None, Some(3)] {
                let builder = ProfileBuilder { margin_percent: margin, ..chip() };
                let builder =
                    builder.start(start).window(spread).enable_input(EnableInput::ActiveLow);
                let Ok(built) = builder.build() else { panic!("it can be built") };
                assert_eq!(built.builder().build(), Ok(built));
            }
        }
    }

    #[test]
    fn each_start_has_its_time_for_the_first_feed() {
        let spread = Spread::millis(3_000, 4_000, 5_000);
        let ms = |millis| Some(Duration::from_millis(millis));
        // If the chip counts either edge, driving the floating pin may be the first one.
        for (start, first, safe, safe_of_either) in [
            (Start::AtOnce, ms(900), 899, 899),
            (Start::Delay(spread), ms(3_900), 3_899, 899),
            (Start::DeafDelay(spread), ms(3_900), 3_899, 3_899),
            (Start::FirstEdge, None, 899, 899),
            (Start::LongFirst(spread), ms(3_000), 2_999, 899),
        ] {
            for (edge, safe) in [(Edge::Falling, safe), (Edge::Either, safe_of_either)] {
                let builder = ProfileBuilder { edge, ..chip() }.start(start);
                let Ok(chip) = builder.build() else { panic!("it can be built") };
                assert_eq!(chip.first_feed_before(), first);
                assert_eq!(chip.feeding.first_safe_millis, safe);
            }
        }
    }

    #[test]
    fn errors_print_their_message() {
        extern crate std;
        use std::string::ToString as _;
        assert_eq!(ProfileError::TooLong.to_string(), "a time is longer than 71 minutes");
    }
}
