//! [`Windowed`]: a built-in watchdog whose window is kept by the time, such as the WWDG of an STM32.
//!
//! Such a hardware takes any feed, and an early one resets the device. Invariant: between two feeds that may have reached
//! the hardware there is at least the longest closed window.

use core::convert::Infallible;

use super::{
    BiteNow, Clocked, Error, ErrorKind, ErrorType, FeedAt, NoBite, Started, Stop, StopError,
    Watchdog, may_have_fed,
};
use crate::time::Instant;

/// A running watchdog with a closed window. A feed that could be early does not reach it.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::Instant;
/// use watchdog_core::hardware::{Clocked, Error, ErrorKind, Spread, Started, Watchdog, Windowed};
/// # use watchdog_core::hardware::ErrorType;
/// # struct Wwdg;
/// # impl ErrorType for Wwdg { type Error = core::convert::Infallible; }
/// # impl Watchdog for Wwdg { fn feed(&mut self) -> Result<(), Self::Error> { Ok(()) } }
/// # let time = core::cell::Cell::new(0);
/// # let clock = || Instant::from_millis(time.get());
///
/// let started = Started::new(Wwdg, Spread::percent(Duration::from_millis(40), 1))
///     .with_window(Spread::percent(Duration::from_millis(10), 1));
/// let mut dog = Clocked::new(Windowed::new(started, clock()), clock); // any `FnMut() -> Instant`
/// let early = dog.feed().unwrap_err();
/// assert_eq!(early.kind(), ErrorKind::TooEarly, "it would have reset the device");
/// # time.set(12);
/// dog.feed()?; // 12 ms later
/// # Ok::<(), watchdog_core::hardware::WindowedError<core::convert::Infallible>>(())
/// ```
#[derive(Debug)]
pub struct Windowed<W> {
    watchdog: W,
    window_millis: u32,
    /// The window is certainly open from here on.
    opens: Instant,
}

impl<W> Windowed<W> {
    /// Keeps the window of a watchdog that has been started or adopted at `now`, and may have been fed until then. Read
    /// the clock after the start. Without a window, every feed reaches the hardware.
    pub fn new(started: Started<W>, now: Instant) -> Self {
        let window_millis = started.window_millis();
        let mut windowed = Self { watchdog: started.watchdog, window_millis, opens: now };
        windowed.close(now);
        windowed
    }

    /// The watchdog itself. It can be fed at any time, also too early.
    pub fn into_inner(self) -> W {
        self.watchdog
    }

    /// The watchdog, for reading only.
    pub const fn get(&self) -> &W {
        &self.watchdog
    }

    fn close(&mut self, now: Instant) {
        self.opens = self.opens.max(now.plus_millis(self.window_millis.into()));
    }
}

impl<W: ErrorType> ErrorType for Windowed<W> {
    type Error = WindowedError<W::Error>;
}

impl<W: Watchdog> FeedAt for Windowed<W> {
    fn feed_at(&mut self, now: Instant) -> Result<(), Self::Error> {
        if now < self.opens {
            return Err(WindowedError::TooEarly { earliest: self.opens });
        }
        let fed = self.watchdog.feed();
        if may_have_fed(&fed) {
            self.close(now);
        }
        fed.map_err(WindowedError::Hardware)
    }

    fn fed_until(&mut self, now: Instant) {
        self.close(now);
    }
}

/// The clock is kept out: it is of no use to a watchdog that does not run.
impl<W: Stop, C: FnMut() -> Instant> Stop for Clocked<Windowed<W>, C> {
    type Stopped = W::Stopped;

    fn stop(self) -> Result<W::Stopped, StopError<Self, Self::Error>> {
        let (Windowed { watchdog, window_millis, opens }, clock) = self.into_parts();
        watchdog.stop().map_err(|StopError { error, watchdog }| StopError {
            error: WindowedError::Hardware(error),
            watchdog: Self::new(Windowed { watchdog, window_millis, opens }, clock),
        })
    }
}

impl<W: BiteNow, C: FnMut() -> Instant> BiteNow for Clocked<Windowed<W>, C> {
    fn bite_now(self) -> Result<Infallible, NoBite<Self, Self::Error>> {
        let (Windowed { watchdog, window_millis, opens }, clock) = self.into_parts();
        watchdog.bite_now().map_err(|NoBite { error, watchdog }| NoBite {
            error: WindowedError::Hardware(error),
            watchdog: Self::new(Windowed { watchdog, window_millis, opens }, clock),
        })
    }
}

/// An error of a [`Windowed`] watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WindowedError<E> {
    /// The window may not be open yet. The hardware was not fed; try again at the earliest time.
    #[error("a feed before {} ms may be a fault", earliest.as_millis())]
    TooEarly {
        /// The earliest time for the next feed.
        earliest: Instant,
    },
    /// The hardware failed.
    #[error("{0:?}")]
    Hardware(E),
}

impl<E: Error> Error for WindowedError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooEarly { .. } => ErrorKind::TooEarly,
            Self::Hardware(error) => error.kind(),
        }
    }
}
