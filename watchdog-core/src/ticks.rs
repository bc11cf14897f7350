//! [`TickClock`]: the time from a timer that counts 32 bits and wraps.
//!
//! ```
//! use watchdog_core::{Instant, TickClock, UnsupportedRate};
//!
//! // A timer that counts at 32,768 Hz.
//! let mut clock = TickClock::new(32_768)?;
//! assert_eq!(clock.now(32_768), Instant::from_millis(1_000));
//! assert_eq!(clock.now(u32::MAX), Instant::from_millis(131_071_999));
//! // It has wrapped, and 33 more ticks have passed.
//! assert_eq!(clock.now(32), Instant::from_millis(131_072_000));
//! # Ok::<(), UnsupportedRate>(())
//! ```
//!
//! Invariants: the time never goes back, and has no drift: it is the number of all ticks by the rate, rounded down to
//! whole milliseconds. Only 32-bit divisions are used.

use thiserror::Error;

use crate::time::Instant;

/// A clock over a 32-bit tick counter. It starts at 0, with a counter that stands at 0.
///
/// It has to be read at least once in each turn of the counter: 2³² ticks, which are 36 hours at 32,768 Hz, 71 minutes
/// at 1 MHz. One context owns it; for others there is [`SharedClock`](crate::SharedClock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct TickClock {
    /// The counter when it was read last.
    last: u32,
    millis: u64,
    /// Behind `millis`, in units of a millisecond by `divisor`.
    rest: u32,
    /// A tick has `factor` by `divisor` milliseconds.
    factor: u32,
    divisor: u32,
}

impl TickClock {
    /// A clock over a counter with this many ticks a second.
    ///
    /// # Errors
    ///
    /// [`UnsupportedRate`]: the rate is 0, or the calculation does not fit 32 bits. Every rate up to 4,290,676 Hz fits,
    /// and so does every multiple of 1 kHz.
    pub const fn new(ticks_per_second: u32) -> Result<Self, UnsupportedRate> {
        let common = greatest_common_divisor(ticks_per_second, 1_000);
        let (Some(factor), Some(divisor)) =
            (1_000_u32.checked_div(common), ticks_per_second.checked_div(common))
        else {
            return Err(UnsupportedRate(ticks_per_second));
        };
        // The largest value that `now` calculates is below this one.
        if divisor == 0 || divisor.checked_mul(factor.saturating_add(1)).is_none() {
            return Err(UnsupportedRate(ticks_per_second));
        }
        Ok(Self { last: 0, millis: 0, rest: 0, factor, divisor })
    }

    /// The time, if the counter stands at `ticks`.
    pub fn now(&mut self, ticks: u32) -> Instant {
        let passed = ticks.wrapping_sub(self.last);
        self.last = ticks;
        let by = |ticks: u32| {
            (
                ticks.checked_div(self.divisor).unwrap_or(0),
                ticks.checked_rem(self.divisor).unwrap_or(0),
            )
        };
        let (whole, part) = by(passed);
        let (carry, rest) = by(part.saturating_mul(self.factor).saturating_add(self.rest));
        self.rest = rest;
        let millis = u64::from(whole).saturating_mul(self.factor.into());
        self.millis = self.millis.saturating_add(millis).saturating_add(carry.into());
        Instant::from_millis(self.millis)
    }
}

/// Euclid's algorithm.
const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// The rate of a counter, in ticks a second, for which the calculation does not fit 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("a counter with {0} ticks a second is not supported")]
pub struct UnsupportedRate(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u32; 13] = [
        1,
        3,
        997,
        1_000,
        32_768,
        1_000_000,
        4_194_304,
        4_290_676,
        12_288_000,
        16_000_000,
        72_000_000,
        64_000_000,
        4_294_967_000,
    ];

    #[test]
    fn the_time_has_no_drift_and_never_goes_back() {
        for rate in RATES {
            let mut clock = TickClock::new(rate).expect("the rate is supported");
            let (mut ticks, mut random, mut before) = (0_u64, 1_u64, Instant::default());
            for _ in 0..10_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Short and long steps, up to a whole turn less one tick.
                ticks += (random >> 32) >> (random & 31);
                let now = clock.now(ticks as u32);
                assert_eq!(
                    u128::from(now.as_millis()),
                    u128::from(ticks) * 1_000 / u128::from(rate)
                );
                assert!(now >= before);
                before = now;
            }
        }
    }

    #[test]
    fn a_rate_that_does_not_fit_is_refused() {
        for rate in [0, 4_290_677, u32::MAX] {
            assert_eq!(TickClock::new(rate), Err(UnsupportedRate(rate)));
        }
    }
}
