//! [`Spread`]: the minimum, the typical and the maximum value of a time, and the same in whole microseconds for a
//! profile.

use core::time::Duration;

/// The minimum, the typical and the maximum value of a time, over all parts. Whether they hold over temperature, too,
/// is said by the profile's [`Limits`](super::Limits).
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
        Self { min: typical, typical, max: typical }.wider(percent)
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

    /// Whether `min <= typical <= max`.
    pub(super) const fn is_ordered(&self) -> bool {
        self.min.as_nanos() <= self.typical.as_nanos()
            && self.typical.as_nanos() <= self.max.as_nanos()
    }
}

const fn scaled(of: Duration, numerator: u32, denominator: u32) -> Duration {
    match of.saturating_mul(numerator).checked_div(denominator) {
        Some(part) => part,
        None => of.saturating_mul(numerator),
    }
}

/// A spread in whole microseconds, rounded to the strict side. It takes a quarter of the flash of a [`Spread`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Micros {
    pub(super) min: u32,
    typical: u32,
    pub(super) max: u32,
}

impl Micros {
    /// `None`: the maximum is longer than about 71 minutes.
    pub(super) const fn of(spread: Spread) -> Option<Self> {
        let max = spread.max.as_nanos().div_ceil(1_000);
        if max > u32::MAX as u128 {
            return None;
        }
        // These fit, because they are at most the maximum.
        let (min, typical) = (spread.min.as_micros() as u32, spread.typical.as_micros() as u32);
        Some(Self { min, typical, max: max as u32 })
    }

    /// Wider by `percent` on both sides. `None`: the maximum is longer than about 71 minutes.
    pub(super) const fn wider(self, percent: u32) -> Option<Self> {
        let min = self.min as u64 * 100_u32.saturating_sub(percent) as u64 / 100;
        let max = (self.max as u64).saturating_mul(100 + percent as u64).div_ceil(100);
        if max > u32::MAX as u64 {
            return None;
        }
        Some(Self { min: min as u32, typical: self.typical, max: max as u32 })
    }

    pub(super) const fn spread(self) -> Spread {
        Spread::micros(self.min as u64, self.typical as u64, self.max as u64)
    }

    /// The minimum in whole milliseconds, rounded down.
    pub(super) const fn min_millis(self) -> u32 {
        self.min / MILLI
    }

    /// The maximum in whole milliseconds, rounded up.
    pub(super) const fn max_millis(self) -> u32 {
        self.max.div_ceil(MILLI)
    }
}

const MILLI: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

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

    #[test]
    fn microseconds_are_rounded_to_the_strict_side() {
        let nanos = Duration::from_nanos;
        let spread = Spread { min: nanos(1_900), typical: nanos(2_500), max: nanos(3_001) };
        let micros = Micros::of(spread).map(Micros::spread);
        assert_eq!(micros, Some(Spread::micros(1, 2, 4)));
        let wider = Micros::of(Spread::micros(999, 1_000, 1_001)).and_then(|time| time.wider(10));
        assert_eq!(wider.map(Micros::spread), Some(Spread::micros(899, 1_000, 1_102)));
        let longest = Duration::from_micros(u32::MAX.into());
        let longest = Micros::of(Spread { min: SECOND, typical: SECOND, max: longest });
        assert_eq!(longest.map(Micros::max_millis), Some(4_294_968));
        assert_eq!(longest.and_then(|time| time.wider(1)), None);
        assert_eq!(Micros::of(Spread::percent(SECOND * 5_000, 0)), None);
    }
}
