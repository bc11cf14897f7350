//! [`Stop`]: the few watchdogs that can be stopped.

use core::fmt::{self, Debug};

use super::Watchdog;

/// A running watchdog that can be stopped. Most watchdogs cannot.
///
/// A stopped watchdog cannot reset a program that hangs. Stop it only for work during which feeding is impossible, such
/// as a boot loader that writes flash with interrupts off, and start it again afterwards.
pub trait Stop: Watchdog + Sized {
    /// The same watchdog, stopped. It usually implements [`Start`](super::Start).
    type Stopped;

    /// Stops the watchdog.
    ///
    /// # Errors
    ///
    /// [`StopError`] with the watchdog, which is still running and has to be fed.
    fn stop(self) -> Result<Self::Stopped, StopError<Self, Self::Error>>;
}

/// The watchdog did not stop; the error gives it back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog did not stop: {error:?}")]
pub struct StopError<W, E> {
    /// The reason.
    pub error: E,
    /// The watchdog, which is still running.
    pub watchdog: W,
}

/// Shows the error only, because devices seldom implement `Debug`.
impl<W, E: Debug> Debug for StopError<W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopError").field("error", &self.error).finish_non_exhaustive()
    }
}
