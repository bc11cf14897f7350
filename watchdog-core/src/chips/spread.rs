//! [`Micros`]: a [`Spread`] in whole microseconds, for a profile.

use crate::hardware::Spread;

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
    use core::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

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
