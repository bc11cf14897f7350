//! The properties of a watchdog chip, and the check that a chip with these properties can be fed.
//!
//! Invariants of a [`Profile`]: its spreads are in order, its window opens before the chip can bite, and two pulses fit
//! between two feeds. Only [`ProfileBuilder::build`] makes a profile.

use core::time::Duration;

use crate::hardware::Spread;

/// The edges at WDI that feed the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// From low to high.
    Rising,
    /// From high to low. If the pin toggles once per interval, only every second toggle feeds such a chip.
    Falling,
    /// Both.
    Either,
}

/// The behaviour of the chip while its WDI pin floats. The pin floats from reset until a program drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HighImpedance {
    /// The chip feeds itself: a pin that is still an input, or a broken track, switches the watchdog off.
    FeedsItself,
    /// The chip goes on counting, or the data sheet says nothing: drive the pin, or hold it by a resistor.
    MustBeDriven,
}

/// The effect of an edge at WDI while the chip holds RESET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DuringReset {
    /// The edge has no effect.
    Ignored,
    /// RESET stays asserted for ever. The pin must not change until RESET is released.
    LatchesReset,
}

/// The requirements of a chip for its feeder. [`chips`](crate::chips) has profiles as constants; a [`ProfileBuilder`]
/// makes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    name: &'static str,
    source: &'static str,
    edge: Edge,
    timeout: Spread,
    window: Option<Spread>,
    window_in_first_frame: bool,
    start_up: Option<Spread>,
    min_pulse: Duration,
    high_impedance: HighImpedance,
    during_reset: DuringReset,
    reset_pulse: Option<Spread>,
}

impl Profile {
    /// The name of the chip.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The source of the numbers; empty if none was given.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// The edges that feed the chip.
    #[must_use]
    pub const fn edge(&self) -> Edge {
        self.edge
    }

    /// The time from a feed to the bite.
    #[must_use]
    pub const fn timeout(&self) -> Spread {
        self.timeout
    }

    /// The next feed has to come within this time after the last one: the shortest time-out of all parts.
    #[must_use]
    pub const fn feed_before(&self) -> Duration {
        self.timeout.min
    }

    /// The closed window: the time after a feed in which the next feed is a fault. `None`: there is no window.
    #[must_use]
    pub const fn window(&self) -> Option<Spread> {
        self.window
    }

    /// The next feed must not come within this time after the last one: the latest opening of the window over all
    /// parts. Zero if there is no window.
    #[must_use]
    pub const fn feed_from(&self) -> Duration {
        match self.window {
            Some(window) => window.max,
            None => Duration::ZERO,
        }
    }

    /// Whether the first feed after a reset can be too early, too.
    #[must_use]
    pub const fn has_window_in_first_frame(&self) -> bool {
        self.window.is_some() && self.window_in_first_frame
    }

    /// [`feed_before`](Self::feed_before) in whole milliseconds, rounded down: the first number of
    /// [`Plan::chip`](crate::Plan::chip).
    #[must_use]
    pub const fn shortest_millis(&self) -> u32 {
        self.timeout.shortest_millis()
    }

    /// The longest time-out in whole milliseconds, rounded up: the second number of [`Plan::chip`](crate::Plan::chip).
    #[must_use]
    pub const fn longest_millis(&self) -> u32 {
        self.timeout.longest_millis()
    }

    /// [`feed_from`](Self::feed_from) in whole milliseconds, for [`Plan::window`](crate::Plan::window). It is rounded
    /// up, and one is added: the real time between two [`Instant`](crate::Instant)s can be up to one millisecond less
    /// than their difference. Zero if there is no window.
    #[must_use]
    pub const fn window_millis(&self) -> u32 {
        match self.window {
            Some(window) => window.window_millis(),
            None => 0,
        }
    }

    /// The start-up delay: the chip does not count for this time after reset. The first edge ends the delay. So do not
    /// change the pin before the program can go on feeding.
    #[must_use]
    pub const fn start_up(&self) -> Option<Spread> {
        self.start_up
    }

    /// The first feed has to come within this time after RESET is released.
    #[must_use]
    pub const fn first_feed_before(&self) -> Duration {
        match self.start_up {
            Some(start_up) => start_up.min.saturating_add(self.timeout.min),
            None => self.timeout.min,
        }
    }

    /// [`first_feed_before`](Self::first_feed_before) in whole milliseconds, rounded down.
    pub(crate) const fn first_feed_before_millis(&self) -> u32 {
        saturated(self.first_feed_before().as_millis())
    }

    /// The longest RESET in whole milliseconds, rounded up. If it is not known: `None` for a chip that ignores edges
    /// meanwhile; otherwise so long that it never ends.
    pub(crate) const fn longest_reset_millis(&self) -> Option<u32> {
        match (self.reset_pulse, self.during_reset) {
            (Some(width), _) => Some(saturated(width.max.as_nanos().div_ceil(NANOS_PER_MILLI))),
            (None, DuringReset::Ignored) => None,
            (None, DuringReset::LatchesReset) => Some(u32::MAX),
        }
    }

    /// The time that one feed takes at the pin, in whole milliseconds, rounded up: two levels.
    pub(crate) const fn feed_millis(&self) -> u32 {
        saturated(self.min_pulse.as_nanos().saturating_mul(2).div_ceil(NANOS_PER_MILLI))
    }

    /// The shortest time at a level that the chip detects with certainty; at most about 4.29 s.
    #[must_use]
    pub const fn min_pulse(&self) -> Duration {
        self.min_pulse
    }

    /// The behaviour while WDI floats.
    #[must_use]
    pub const fn high_impedance(&self) -> HighImpedance {
        self.high_impedance
    }

    /// The effect of an edge while the chip holds RESET.
    #[must_use]
    pub const fn during_reset(&self) -> DuringReset {
        self.during_reset
    }

    /// How long the chip holds RESET when it bites, if this is known.
    #[must_use]
    pub const fn reset_pulse(&self) -> Option<Spread> {
        self.reset_pulse
    }
}

const NANOS_PER_MILLI: u128 = 1_000_000;

const fn saturated(count: u128) -> u32 {
    if count > u32::MAX as u128 { u32::MAX } else { count as u32 }
}

/// Builds a [`Profile`]: with [`build`](Self::build) at run time, with [`profile!`](crate::profile) at compile time.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ProfileBuilder(Profile);

impl ProfileBuilder {
    /// A chip without a window and without a start-up delay. Its pin must be driven, it ignores edges during RESET, and
    /// it detects a level of one microsecond.
    pub const fn new(name: &'static str, edge: Edge, timeout: Spread) -> Self {
        Self(Profile {
            name,
            source: "",
            edge,
            timeout,
            window: None,
            window_in_first_frame: true,
            start_up: None,
            min_pulse: Duration::from_micros(1),
            high_impedance: HighImpedance::MustBeDriven,
            during_reset: DuringReset::Ignored,
            reset_pulse: None,
        })
    }

    /// Sets the source of the numbers: document, revision, table.
    pub const fn source(mut self, source: &'static str) -> Self {
        self.0.source = source;
        self
    }

    /// Sets the closed window: a feed within this time after the last one is a fault.
    pub const fn window(mut self, window: Spread) -> Self {
        self.0.window = Some(window);
        self
    }

    /// The first feed after a reset is never too early.
    pub const fn first_frame_without_window(mut self) -> Self {
        self.0.window_in_first_frame = false;
        self
    }

    /// Sets the start-up delay: the chip does not count for this time after RESET is released, or until the first edge.
    pub const fn start_up(mut self, delay: Spread) -> Self {
        self.0.start_up = Some(delay);
        self
    }

    /// Sets the shortest time at a level that the chip detects.
    pub const fn min_pulse(mut self, width: Duration) -> Self {
        self.0.min_pulse = width;
        self
    }

    /// The behaviour while WDI floats.
    pub const fn high_impedance(mut self, behaviour: HighImpedance) -> Self {
        self.0.high_impedance = behaviour;
        self
    }

    /// The effect of an edge while the chip holds RESET.
    pub const fn during_reset(mut self, behaviour: DuringReset) -> Self {
        self.0.during_reset = behaviour;
        self
    }

    /// Sets how long the chip holds RESET.
    pub const fn reset_pulse(mut self, width: Spread) -> Self {
        self.0.reset_pulse = Some(width);
        self
    }

    /// Checks the properties, and gives the profile.
    ///
    /// # Errors
    ///
    /// [`ProfileError`]: no chip can have these properties.
    pub const fn build(self) -> Result<Profile, ProfileError> {
        let Profile { timeout, window, start_up, reset_pulse, min_pulse, .. } = self.0;
        if timeout.min.is_zero() {
            return Err(ProfileError::NoTimeout);
        }
        let ordered = timeout.is_ordered()
            && is_ordered(window)
            && is_ordered(start_up)
            && is_ordered(reset_pulse);
        if !ordered {
            return Err(ProfileError::OutOfOrder);
        }
        if let Some(window) = window {
            if window.max.as_nanos() >= timeout.min.as_nanos() {
                return Err(ProfileError::NeverOpen);
            }
        }
        // A pulse and the pause after it have to fit between two feeds, and DelayNs counts 32 bits of nanoseconds.
        if min_pulse.as_nanos() > u32::MAX as u128
            || min_pulse.as_nanos().saturating_mul(2) >= timeout.min.as_nanos()
        {
            return Err(ProfileError::PulseTooLong);
        }
        Ok(self.0)
    }
}

const fn is_ordered(spread: Option<Spread>) -> bool {
    match spread {
        Some(spread) => spread.is_ordered(),
        None => true,
    }
}

/// Why the properties of a chip are impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum ProfileError {
    /// The shortest time-out is zero: the chip would bite at once.
    NoTimeout,
    /// A minimum is above its typical value, or a typical value is above its maximum.
    OutOfOrder,
    /// The window of one part may open after another part has bitten: no feed is safe.
    NeverOpen,
    /// Two pulses do not fit into the shortest time-out, or a pulse is longer than about 4.29 s.
    PulseTooLong,
}

impl ProfileError {
    /// The text of the error as a constant, for `const` code that cannot format.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::NoTimeout => "the shortest time-out is zero",
            Self::OutOfOrder => {
                "a minimum is above its typical value, or a typical value is above its maximum"
            }
            Self::NeverOpen => "the window may open after the shortest time-out",
            Self::PulseTooLong => "two pulses do not fit into the shortest time-out",
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
        ProfileBuilder::new("", Edge::Either, Spread::percent(SECOND, 10))
    }

    #[test]
    fn each_rule_of_a_profile_has_its_error() {
        let zero = Spread::millis(0, 1, 2);
        let unordered = Spread::millis(10, 9, 11);
        let ms = Duration::from_millis;
        for (builder, error) in [
            (ProfileBuilder::new("", Edge::Either, zero), ProfileError::NoTimeout),
            (ProfileBuilder::new("", Edge::Either, unordered), ProfileError::OutOfOrder),
            (chip().window(unordered), ProfileError::OutOfOrder),
            (chip().start_up(unordered), ProfileError::OutOfOrder),
            (chip().reset_pulse(unordered), ProfileError::OutOfOrder),
            (chip().window(Spread::millis(100, 500, 900)), ProfileError::NeverOpen),
            (chip().min_pulse(ms(450)), ProfileError::PulseTooLong),
            (
                ProfileBuilder::new("", Edge::Either, Spread::percent(SECOND * 100, 10))
                    .min_pulse(SECOND * 5),
                ProfileError::PulseTooLong,
            ),
        ] {
            assert_eq!(builder.build(), Err(error));
        }
        assert!(chip().window(Spread::millis(100, 500, 899)).build().is_ok());
        assert!(chip().min_pulse(ms(449)).build().is_ok());
    }

    #[test]
    fn a_tolerance_applies_in_both_directions() {
        let spread = Spread::percent(SECOND, 10);
        assert_eq!(spread, Spread::millis(900, 1_000, 1_100));
        assert_eq!(Spread::percent(SECOND, 150).min, Duration::ZERO);
        assert_eq!(Spread::percent(Duration::MAX, 10).typical, Duration::MAX);
    }

    #[test]
    fn milliseconds_for_a_plan_are_rounded_to_the_safe_side() {
        let timeout = Spread::micros(100_900, 110_000, 120_100);
        let chip = ProfileBuilder::new("", Edge::Rising, timeout);
        let windowed = chip.window(Spread::micros(1_000, 5_000, 9_460)).build();
        let millis = windowed
            .map(|chip| (chip.shortest_millis(), chip.longest_millis(), chip.window_millis()));
        assert_eq!(millis, Ok((100, 121, 11)));
        assert_eq!(chip.build().map(|chip| chip.window_millis()), Ok(0));
        let longest = Duration::MAX;
        let endless = Spread { min: longest, typical: longest, max: longest };
        let endless = ProfileBuilder::new("", Edge::Rising, endless);
        assert_eq!(endless.build().map(|chip| chip.shortest_millis()), Ok(u32::MAX));
    }

    #[test]
    fn errors_print_their_message() {
        extern crate std;
        use std::string::ToString as _;
        assert_eq!(ProfileError::NoTimeout.to_string(), "the shortest time-out is zero");
    }
}
