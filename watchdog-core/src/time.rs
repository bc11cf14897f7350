//! Time as the watchdog sees it: milliseconds on the caller's monotonic clock.
//!
//! Nothing here reads a clock. Every call that depends on time takes an [`Instant`], and a time in an answer is an
//! [`Instant`] too. Zero is the start of the caller's clock; only differences count.
//!
//! ```
//! use watchdog_core::Instant;
//!
//! let now = Instant::from_millis(1_500);
//! assert_eq!(now.plus_millis(500), Instant::from_millis(2_000));
//! assert_eq!(now.millis_since(Instant::from_millis(2_000)), 0, "saturates, never wraps");
//! ```

use core::time::Duration;

/// A point on the caller's monotonic clock, in milliseconds.
///
/// 64 bits last 584 million years, so arithmetic saturates and nothing handles a wrap. A program with a 32-bit tick
/// counter extends it by a [`TickClock`](crate::TickClock).
///
/// It converts to the [`Duration`] since the clock's zero, and back, and so to the instant of another library over the
/// same clock, such as `mqtt_core::Instant`:
///
/// ```
/// # mod mqtt_core { pub use watchdog_core::Instant; }
/// use core::time::Duration;
///
/// let now = mqtt_core::Instant::from_millis(1_500);
/// let same = watchdog_core::Instant::from(Duration::from(now));
/// assert_eq!(same.as_millis(), 1_500);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The latest possible instant. As a deadline it means 'never'.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The instant `millis` milliseconds after the clock's zero.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's zero.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant, `millis` milliseconds later; saturates at [`Instant::FAR_FUTURE`].
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later than this instant.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The milliseconds in 32 bits: more than 49 days count as 49 days.
pub(crate) fn short(millis: u64) -> u32 {
    u32::try_from(millis).unwrap_or(u32::MAX)
}

impl From<Duration> for Instant {
    /// The instant in whole milliseconds, rounded down; it saturates at [`Instant::FAR_FUTURE`].
    fn from(since_zero: Duration) -> Self {
        let millis = since_zero.as_secs().saturating_mul(1_000);
        Self(millis.saturating_add(since_zero.subsec_millis().into()))
    }
}

impl From<Instant> for Duration {
    fn from(instant: Instant) -> Self {
        Self::from_millis(instant.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant};

    #[test]
    fn an_instant_is_the_duration_since_zero_and_saturates() {
        for millis in [0, 1, 999, 1_000, 86_400_001, u64::MAX] {
            let instant = Instant::from_millis(millis);
            assert_eq!(Instant::from(Duration::from(instant)), instant);
        }
        assert_eq!(Instant::from(Duration::from_micros(1_999)), Instant::from_millis(1));
        assert_eq!(Instant::from(Duration::MAX), Instant::FAR_FUTURE);
    }

    #[test]
    fn time_saturates_at_both_ends() {
        let (start, end) = (Instant::from_millis(0), Instant::FAR_FUTURE);
        assert_eq!(end.plus_millis(1), end);
        assert_eq!(end.millis_since(start), u64::MAX);
        assert_eq!(start.millis_since(end), 0);
    }
}
