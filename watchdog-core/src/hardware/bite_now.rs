//! [`BiteNow`]: a reset by the watchdog on order, to test in the factory that its bite reaches the board.

use core::convert::Infallible;
use core::fmt::{self, Debug};

use super::Watchdog;

/// A watchdog that can be made to bite at once: by a trigger bit, a wrong key, or a feed with a forbidden value.
///
/// It tests the whole way from the watchdog to the board, and the report of the cause after the reset, in less time than
/// a time-out. Without this trait, stop feeding for the longest time-out.
pub trait BiteNow: Watchdog + Sized {
    /// Makes the hardware reset the device as soon as it can. The call does not return if it does: there is no value for
    /// success.
    ///
    /// An implementation waits for the reset. If it is still running after the longest time that the data sheet allows
    /// for it, it returns the error. An implementation without errors waits for ever: it does not feed, so the time-out
    /// bites at the latest.
    ///
    /// # Errors
    ///
    /// [`NoBite`] with the watchdog: the reset did not come. It may still come, so do not rely on either.
    fn bite_now(self) -> Result<Infallible, NoBite<Self, Self::Error>>;
}

/// The watchdog did not bite; the error gives it back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog did not bite: {error:?}")]
pub struct NoBite<W, E> {
    /// The reason.
    pub error: E,
    /// The watchdog, which runs and has to be fed.
    pub watchdog: W,
}

/// Shows the error only, because devices seldom implement `Debug`.
impl<W, E: Debug> Debug for NoBite<W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoBite").field("error", &self.error).finish_non_exhaustive()
    }
}
