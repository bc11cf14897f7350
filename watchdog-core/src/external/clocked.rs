//! A chip behind the traits of [`hardware`](crate::hardware): they have no time, so [`Clocked`] reads a clock.
//!
//! A window, arming and disarming need the time. Only a chip without a window can be fed without a clock.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::{Armed, Connected, Disarmed, Enable, Error, ErrorOf, ExternalWatchdog, Input};
use crate::hardware::{ErrorType, Start, StartError, Started, Stop, StopError, Watchdog};
use crate::time::Instant;

/// A watchdog with its own clock. [`ExternalWatchdog::clocked`] makes it.
pub struct Clocked<D, C> {
    pub(super) dog: D,
    pub(super) clock: C,
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

/// Arms the chip. The only time-out is the chip's shortest one.
impl<I, G, C> Start for Clocked<ExternalWatchdog<I, G, Disarmed>, C>
where
    I: Input,
    G: Enable,
    C: FnMut() -> Instant,
{
    type Running = Clocked<ExternalWatchdog<I, G, G::Armed>, C>;

    fn timeout_range(&self) -> RangeInclusive<Duration> {
        self.dog.chip().feed_before()..=self.dog.chip().feed_before()
    }

    fn start(
        self,
        timeout: Duration,
    ) -> Result<Started<Self::Running>, StartError<Self, Self::Error>> {
        if timeout != self.dog.chip().feed_before() {
            return Err(StartError { error: Error::FixedTimeout, device: self });
        }
        let Self { dog, mut clock } = self;
        match dog.arm(clock()) {
            Ok(dog) => Ok(Started { watchdog: Clocked { dog, clock }, timeout }),
            Err(StartError { error, device }) => {
                Err(StartError { error, device: Self { dog: device, clock } })
            }
        }
    }
}

impl<I, G, C> Stop for Clocked<ExternalWatchdog<I, G, Armed>, C>
where
    I: Input,
    G: Enable,
    C: FnMut() -> Instant,
{
    type Stopped = Clocked<ExternalWatchdog<I, G, Disarmed>, C>;

    fn stop(self) -> Result<Self::Stopped, StopError<Self, Self::Error>> {
        let Self { dog, mut clock } = self;
        match dog.disarm(clock()) {
            Ok(dog) => Ok(Clocked { dog, clock }),
            Err(StopError { error, watchdog }) => {
                Err(StopError { error, watchdog: Self { dog: watchdog, clock } })
            }
        }
    }
}
