//! Feeds with the time: [`FeedAt`] for a watchdog with a window, and [`Clocked`], which reads a clock, so that such a
//! watchdog is a [`Watchdog`].

use core::fmt;

use super::{ErrorType, Watchdog, may_have_fed};
use crate::time::Instant;

/// A running watchdog whose feed needs the time, because it has a window.
pub trait FeedAt: ErrorType {
    /// Feeds the hardware, if its window is certainly open at `now`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooEarly`](super::ErrorKind::TooEarly): the hardware was not fed. Any other error: it may have been fed or not.
    fn feed_at(&mut self, now: Instant) -> Result<(), Self::Error>;

    /// The feed reached the hardware at `now` at the latest: the next window counts from here. Without this call the
    /// window counts from the time of [`feed_at`](Self::feed_at), and an interrupt between reading the clock and the feed
    /// shortens it.
    fn fed_until(&mut self, now: Instant);
}

impl<T: FeedAt + ?Sized> FeedAt for &mut T {
    fn feed_at(&mut self, now: Instant) -> Result<(), Self::Error> {
        T::feed_at(self, now)
    }

    fn fed_until(&mut self, now: Instant) {
        T::fed_until(self, now);
    }
}

/// A watchdog with its own clock, so that it can be used through [`Watchdog`].
///
/// The clock is read before each feed and after it. So the window is kept even if an interrupt delays the feed.
pub struct Clocked<D, C> {
    dog: D,
    clock: C,
}

impl<D, C> Clocked<D, C> {
    /// Adds a clock to a watchdog.
    pub const fn new(dog: D, clock: C) -> Self {
        Self { dog, clock }
    }

    /// The watchdog without its clock.
    pub fn into_inner(self) -> D {
        self.dog
    }

    /// The watchdog, for reading only.
    pub const fn get(&self) -> &D {
        &self.dog
    }

    #[cfg(feature = "embedded-hal-async")]
    pub(crate) fn parts(&mut self) -> (&mut D, &mut C) {
        (&mut self.dog, &mut self.clock)
    }

    pub(crate) fn into_parts(self) -> (D, C) {
        (self.dog, self.clock)
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

impl<D: FeedAt, C: FnMut() -> Instant> Watchdog for Clocked<D, C> {
    /// Feeds the hardware, if its window is open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooEarly`](super::ErrorKind::TooEarly): the hardware was not fed. Any other error: it may have been fed or not.
    fn feed(&mut self) -> Result<(), D::Error> {
        let fed = self.dog.feed_at((self.clock)());
        if may_have_fed(&fed) {
            self.dog.fed_until((self.clock)());
        }
        fed
    }
}
