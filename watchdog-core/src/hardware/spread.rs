//! [`Spread`]: a time with its tolerance, and its rounding to the whole milliseconds of a plan.

use core::time::Duration;

/// The minimum, the typical and the maximum value of a time, over parts and temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spread {
    /// The minimum: no part has a shorter time.
    pub min: Duration,
    /// The typical value, as on the desk.
    pub typical: Duration,
    /// The maximum: no part has a longer time.
    pub max: Duration,
}

impl Spread {
    /// A spread from milliseconds.
    #[must_use]
    pub const fn millis(min: u64, typical: u64, max: u64) -> Self {
        Self {
            min: Duration::from_millis(min),
            typical: Duration::from_millis(typical),
            max: Duration::from_millis(max),
        }
    }

    /// A spread from microseconds.
    #[must_use]
    pub const fn micros(min: u64, typical: u64, max: u64) -> Self {
        Self {
            min: Duration::from_micros(min),
            typical: Duration::from_micros(typical),
            max: Duration::from_micros(max),
        }
    }

    /// A spread of `typical` ± `percent`; more than 100 percent counts as 100 for the minimum.
    #[must_use]
    pub const fn percent(typical: Duration, percent: u32) -> Self {
        Self::exact(typical).wider(percent)
    }

    /// This spread, with a minimum that is lower by `percent`, and a maximum that is higher by `percent`: for the
    /// tolerance of a capacitor, for example. More than 100 percent counts as 100 for the minimum.
    #[must_use]
    pub const fn wider(self, percent: u32) -> Self {
        Self {
            min: scaled(self.min, 100_u32.saturating_sub(percent), 100),
            typical: self.typical,
            max: scaled(self.max, percent.saturating_add(100), 100),
        }
    }

    /// This spread times `numerator` / `denominator`. A denominator of 0 counts as 1.
    #[must_use]
    pub const fn times(self, numerator: u32, denominator: u32) -> Self {
        Self {
            min: scaled(self.min, numerator, denominator),
            typical: scaled(self.typical, numerator, denominator),
            max: scaled(self.max, numerator, denominator),
        }
    }

    /// The time of two spreads, one after the other.
    #[must_use]
    pub const fn then(self, next: Self) -> Self {
        Self {
            min: self.min.saturating_add(next.min),
            typical: self.typical.saturating_add(next.typical),
            max: self.max.saturating_add(next.max),
        }
    }

    /// A time without a tolerance, or one whose tolerance nobody reports: all three values are `time`.
    #[must_use]
    pub const fn exact(time: Duration) -> Self {
        Self { min: time, typical: time, max: time }
    }

    /// The time that a clock takes for `ticks`: at its lowest, its typical and its highest frequency, in hertz, as the
    /// data sheet gives them. The minimum and the typical value are rounded down to a nanosecond, the maximum up.
    ///
    /// ```
    /// use watchdog_core::hardware::Spread;
    ///
    /// // The LSI of an STM32F4, divided by 256: 32 kHz on the desk, 17 to 47 kHz over all parts.
    /// let second = Spread::ticks(125 * 256, [17_000, 32_000, 47_000]);
    /// assert_eq!((second.min.as_millis(), second.typical.as_millis(), second.max.as_millis()), (680, 1_000, 1_882));
    /// ```
    #[must_use]
    pub const fn ticks(ticks: u64, [lowest, typical, highest]: [u32; 3]) -> Self {
        Self {
            min: time_of(ticks, highest),
            typical: time_of(ticks, typical),
            max: time_of(ticks, lowest).saturating_add(inexactness(ticks, lowest)),
        }
    }

    /// The minimum in whole milliseconds, rounded down: the first number of [`Plan::chip`](crate::Plan::chip) if this is
    /// a time-out.
    #[must_use]
    pub const fn shortest_millis(&self) -> u32 {
        saturated(self.min.as_millis())
    }

    /// The maximum in whole milliseconds, rounded up: the second number of [`Plan::chip`](crate::Plan::chip) if this is
    /// a time-out.
    #[must_use]
    pub const fn longest_millis(&self) -> u32 {
        saturated(self.max.as_nanos().div_ceil(NANOS_PER_MILLI))
    }

    /// The maximum for [`Plan::window`](crate::Plan::window) if this is a closed window: in whole milliseconds, rounded
    /// up, and one more, because the real time between two [`Instant`](crate::Instant)s can be up to one millisecond less
    /// than their difference.
    #[must_use]
    pub const fn window_millis(&self) -> u32 {
        self.longest_millis().saturating_add(1)
    }

    /// Whether `min <= typical <= max`.
    pub(crate) const fn is_ordered(&self) -> bool {
        self.min.as_nanos() <= self.typical.as_nanos()
            && self.typical.as_nanos() <= self.max.as_nanos()
    }
}

const NANOS_PER_MILLI: u128 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

const fn saturated(count: u128) -> u32 {
    if count > u32::MAX as u128 { u32::MAX } else { count as u32 }
}

const fn scaled(of: Duration, numerator: u32, denominator: u32) -> Duration {
    match of.saturating_mul(numerator).checked_div(denominator) {
        Some(part) => part,
        None => of.saturating_mul(numerator),
    }
}

/// Rounded down to a nanosecond. A clock that stands still never ends.
const fn time_of(ticks: u64, hertz: u32) -> Duration {
    let hertz = hertz as u64;
    match (ticks.checked_div(hertz), ticks.checked_rem(hertz)) {
        // The rest is below 2^32, and its nanoseconds are below one second.
        (Some(seconds), Some(rest)) => {
            Duration::new(seconds, (rest * NANOS_PER_SECOND / hertz) as u32)
        }
        _ => Duration::MAX,
    }
}

/// A nanosecond if [`time_of`] has rounded.
const fn inexactness(ticks: u64, hertz: u32) -> Duration {
    match (ticks as u128 * NANOS_PER_SECOND as u128).checked_rem(hertz as u128) {
        Some(0) | None => Duration::ZERO,
        Some(_) => Duration::from_nanos(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ticks_are_rounded_so_that_the_spread_is_never_too_narrow() {
        let third = Spread::ticks(1, [3, 3, 3]);
        let nanos = [third.min, third.typical, third.max].map(|time| time.as_nanos());
        assert_eq!(nanos, [333_333_333, 333_333_333, 333_333_334]);
        assert!(third.is_ordered());
        let exact = Spread::exact(Duration::from_millis(500));
        assert_eq!(Spread::ticks(16_384, [32_768; 3]), exact);
    }

    #[test]
    fn the_longest_count_of_any_clock_is_a_time() {
        let longest = Spread::ticks(u64::MAX, [0, 1, u32::MAX]);
        assert_eq!(longest.max, Duration::MAX);
        assert_eq!(longest.typical.as_secs(), u64::MAX);
        assert_eq!(longest.min.as_secs(), u64::MAX / u64::from(u32::MAX));
        assert_eq!(longest.longest_millis(), u32::MAX);
    }

    #[test]
    fn milliseconds_are_rounded_to_the_safe_side() {
        let spread = Spread::micros(100_900, 110_000, 120_100);
        assert_eq!((spread.shortest_millis(), spread.longest_millis()), (100, 121));
        assert_eq!(spread.window_millis(), 122);
        assert_eq!(Spread::exact(Duration::MAX).window_millis(), u32::MAX);
    }

    #[test]
    fn a_tolerance_applies_in_both_directions() {
        let spread = Spread::percent(SECOND, 10);
        assert_eq!(spread, Spread::millis(900, 1_000, 1_100));
        assert_eq!(spread.wider(10), Spread::millis(810, 1_000, 1_210));
        assert_eq!(Spread::percent(SECOND, 150).min, Duration::ZERO);
        assert_eq!(Spread::percent(Duration::MAX, 10).typical, Duration::MAX);
    }

    #[test]
    fn spreads_are_scaled_and_follow_each_other() {
        let spread = Spread::millis(8, 16, 24);
        assert_eq!(spread.times(3, 4), Spread::millis(6, 12, 18));
        assert_eq!(spread.times(2, 0), Spread::millis(16, 32, 48));
        assert_eq!(spread.then(Spread::millis(1, 2, 3)), Spread::millis(9, 18, 27));
    }
}
