//! Time as the client sees it: milliseconds on the caller's monotonic clock.
//!
//! The client reads no clock. Every call that depends on time takes an [`Instant`], and the client states deadlines as
//! an [`Instant`]. The zero of the clock has no meaning; only differences count.
//!
//! ```
//! use mqtt_core::Instant;
//!
//! let now = Instant::from_millis(1_500);
//! assert_eq!(now.plus_millis(500), Instant::from_millis(2_000));
//! assert_eq!(now.millis_since(Instant::from_millis(2_000)), 0, "saturates, never wraps");
//! ```

/// A point on the caller's monotonic clock, in milliseconds.
///
/// 64 bits last 584 million years, so arithmetic saturates and a wrap is not handled. A driver with a 32-bit tick
/// counter extends it to 64 bits before it calls the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The last instant; as a deadline it means 'never'.
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
