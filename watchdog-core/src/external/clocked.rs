//! A chip with a window as a [`Watchdog`]: the trait has no time, so [`Clocked`] reads a clock.

use core::fmt;

use super::{Connected, Enable, ErrorOf, ExternalWatchdog, Input};
use crate::hardware::{ErrorType, Stop, StopError, Watchdog};
use crate::time::Instant;

/// A watchdog that keeps to the chip's window with its own clock. [`ExternalWatchdog::clocked`] makes it.
pub struct Clocked<D, C> {
    dog: D,
    clock: C,
}

impl<D, C> Clocked<D, C> {
    pub(super) fn new(dog: D, clock: C) -> Self {
        Self { dog, clock }
    }

    /// The watchdog without its clock.
    pub fn into_inner(self) -> D {
        self.dog
    }
}

impl<D: fmt::Debug, C> fmt::Debug for Clocked<D, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clocked").field("dog", &self.dog).finish_non_exhaustive()
    }
}

impl<D: ErrorType, C> ErrorType for Clocked<D, C> {
    type Error = D::Error;
}

impl<I, G, S, C> Watchdog for Clocked<ExternalWatchdog<I, G, S>, C>
where
    I: Input,
    G: Enable,
    S: Connected,
    C: FnMut() -> Instant,
{
    /// Feeds the chip.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`](super::Error::TooEarly): the chip was not fed. [`Error::Wdi`](super::Error::Wdi): the pin
    /// failed.
    fn feed(&mut self) -> Result<(), ErrorOf<I, G>> {
        self.dog.feed_at((self.clock)())
    }
}

impl<I, G, S, C> Stop for Clocked<ExternalWatchdog<I, G, S>, C>
where
    I: Input,
    G: Enable,
    S: Connected,
    C: FnMut() -> Instant,
    ExternalWatchdog<I, G, S>: Stop<Error = ErrorOf<I, G>>,
{
    type Stopped = <ExternalWatchdog<I, G, S> as Stop>::Stopped;

    fn stop(self) -> Result<Self::Stopped, StopError<Self, Self::Error>> {
        let Self { dog, clock } = self;
        dog.stop().map_err(|StopError { error, watchdog }| StopError {
            error,
            watchdog: Self { dog: watchdog, clock },
        })
    }
}
