//! Traits for hardware watchdogs: small, fallible, and without a time type of their own.
//!
//! `embedded-hal` 1.0 has no watchdog traits. Those of 0.2 were taken out because nothing generic could be written
//! over them ([324], [357], [360]): each HAL chose its own `Time` type, so code that starts a watchdog had to know
//! which HAL it ran on. Nothing could fail either, so HALs panicked or clamped where a time-out was out of range, and
//! a watchdog could be fed that nobody had started ([98]). Here
//!
//! - a [`Watchdog`] is a running one: holding it proves that it was started, and all it can do is be fed;
//! - [`Start`] takes the device by move and a [`Duration`]; it tells which time-outs there are beforehand, which one
//!   was set afterwards, and gives the device back where it fails;
//! - [`Stop`] is apart, since most watchdogs cannot be stopped, and those that can should not be without a reason;
//! - [`ReadResetCause`] tells after a reset whether a watchdog was the cause;
//! - errors are the implementation's own, with an [`ErrorKind`] that generic code can look at, as in `embedded-hal` 1.0.
//!
//! Time does not appear in [`Watchdog`] at all. When to feed is for a [`Supervisor`](crate::Supervisor) to say, and a
//! [`Guard`](crate::Guard) keeps everything else away from it.
//!
//! # An adapter for a HAL
//!
//! `rp2040-hal` 0.12 has `Watchdog::start`, which panics above 8.388607 s, `feed` and `disable`, on one type for the
//! running and the stopped watchdog. Two newtypes make of it what the traits say; a HAL that implements them itself
//! needs none.
//!
//! ```
//! # mod rp2040_hal { pub mod watchdog {
//! #     // As in rp2040-hal 0.12, with the registers left out.
//! #     pub struct Watchdog { load: u32, enabled: core::cell::Cell<bool> }
//! #     impl Watchdog {
//! #         pub fn new() -> Self { Self { load: 0, enabled: false.into() } }
//! #         pub fn start<T: Into<super::fugit::MicrosDurationU32>>(&mut self, period: T) {
//! #             let micros = period.into().0;
//! #             if micros > 0xFF_FFFF / 2 { panic!("Period cannot exceed maximum load value") }
//! #             (self.load, self.enabled) = (micros * 2, true.into());
//! #         }
//! #         pub fn feed(&self) { assert!(self.enabled.get()) }
//! #         pub fn disable(&self) { self.enabled.set(false) }
//! #     }
//! # }
//! # pub mod fugit {
//! #     pub struct MicrosDurationU32(pub u32);
//! #     impl MicrosDurationU32 { pub fn micros(ticks: u32) -> Self { Self(ticks) } }
//! # } }
//! # use rp2040_hal::fugit;
//! use core::{convert::Infallible, ops::RangeInclusive, time::Duration};
//!
//! use fugit::MicrosDurationU32;
//! use rp2040_hal::watchdog::Watchdog as HalWatchdog;
//! use watchdog_core::hardware::{
//!     Error, ErrorKind, ErrorType, Start, StartError, Started, Stop, StopError, Watchdog,
//! };
//!
//! /// The watchdog of the RP2040, stopped.
//! pub struct Idle(HalWatchdog);
//! /// The same, running.
//! pub struct Running(HalWatchdog);
//!
//! #[derive(Debug, PartialEq)]
//! pub struct OutOfRange(Duration);
//!
//! impl Error for OutOfRange {
//!     fn kind(&self) -> ErrorKind {
//!         ErrorKind::UnsupportedTimeout
//!     }
//! }
//!
//! impl ErrorType for Idle {
//!     type Error = OutOfRange;
//! }
//!
//! impl Start for Idle {
//!     type Running = Running;
//!
//!     fn timeout_range(&self) -> RangeInclusive<Duration> {
//!         // 24 bits that count down by two each microsecond: erratum RP2040-E1.
//!         Duration::from_micros(1)..=Duration::from_micros(0xFF_FFFF / 2)
//!     }
//!
//!     fn start(mut self, timeout: Duration) -> Result<Started<Running>, StartError<Self, OutOfRange>> {
//!         if !self.timeout_range().contains(&timeout) {
//!             return Err(StartError { error: OutOfRange(timeout), device: self });
//!         }
//!         // Up to the next whole microsecond: it may bite later than asked for, never sooner.
//!         let micros = timeout.as_nanos().div_ceil(1_000) as u32;
//!         self.0.start(MicrosDurationU32::micros(micros));
//!         let timeout = Duration::from_micros(u64::from(micros));
//!         Ok(Started { watchdog: Running(self.0), timeout })
//!     }
//! }
//!
//! impl ErrorType for Running {
//!     type Error = Infallible;
//! }
//!
//! impl Watchdog for Running {
//!     fn feed(&mut self) -> Result<(), Infallible> {
//!         self.0.feed();
//!         Ok(())
//!     }
//! }
//!
//! impl Stop for Running {
//!     type Stopped = Idle;
//!
//!     fn stop(self) -> Result<Idle, StopError<Self, Infallible>> {
//!         self.0.disable();
//!         Ok(Idle(self.0))
//!     }
//! }
//!
//! // Generic code asks for what it wants within what there is, and goes by what it got.
//! fn start_within<S: Start>(device: S, wanted: Duration) -> Result<Started<S::Running>, S::Error> {
//!     let range = device.timeout_range();
//!     let timeout = wanted.clamp(*range.start(), *range.end());
//!     device.start(timeout).map_err(|failed| failed.error)
//! }
//!
//! let refused = Idle(HalWatchdog::new()).start(Duration::from_secs(60)).map(|_| ()).unwrap_err();
//! assert_eq!(refused.error.kind(), ErrorKind::UnsupportedTimeout);
//! let mut started = start_within(refused.device, Duration::from_secs(60))?;
//! assert_eq!(started.timeout, Duration::from_micros(8_388_607));
//! started.watchdog.feed().unwrap();
//! # Ok::<(), OutOfRange>(())
//! ```
//!
//! [98]: https://github.com/rust-embedded/embedded-hal/issues/98
//! [324]: https://github.com/rust-embedded/embedded-hal/pull/324
//! [357]: https://github.com/rust-embedded/embedded-hal/issues/357
//! [360]: https://github.com/rust-embedded/embedded-hal/issues/360

use core::convert::Infallible;
use core::fmt::{self, Debug};
use core::ops::RangeInclusive;
use core::time::Duration;

/// An error of a watchdog.
pub trait Error: Debug {
    /// What went wrong, as far as generic code can tell; the implementation's own type may say more.
    fn kind(&self) -> ErrorKind;
}

/// What went wrong, whatever the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The hardware has no such time-out; [`Start::timeout_range`] tells which it has.
    #[error("the watchdog has no such time-out")]
    UnsupportedTimeout,
    /// The feed came before the window of a windowed watchdog was open. Nothing was fed.
    #[error("the watchdog was to be fed before its window")]
    TooEarly,
    /// The state of the device does not allow it: locked, not to be stopped, already latched.
    #[error("the watchdog does not allow that in its state")]
    InvalidState,
    /// What leads to the watchdog failed: a pin, a bus, a file.
    #[error("the watchdog cannot be reached")]
    Connection,
    /// None of the above; the implementation's own error says more.
    #[error("the watchdog failed")]
    Other,
}

impl Error for ErrorKind {
    fn kind(&self) -> ErrorKind {
        *self
    }
}

impl Error for Infallible {
    fn kind(&self) -> ErrorKind {
        match *self {}
    }
}

/// The error that the methods of a device give.
pub trait ErrorType {
    /// The error.
    type Error: Error;
}

impl<T: ErrorType + ?Sized> ErrorType for &mut T {
    type Error = T::Error;
}

/// A running watchdog. Whoever holds one can feed it, and that is all.
pub trait Watchdog: ErrorType {
    /// Puts the bite off by one time-out.
    ///
    /// A feed says that work progressed, never that a timer fired; so it belongs behind a supervisor's verdict. It
    /// returns when the hardware was told, and takes microseconds where that is a register or a pin.
    ///
    /// # Errors
    ///
    /// The hardware was not told, as far as the implementation knows. It goes on counting.
    fn feed(&mut self) -> Result<(), Self::Error>;
}

impl<T: Watchdog + ?Sized> Watchdog for &mut T {
    fn feed(&mut self) -> Result<(), Self::Error> {
        T::feed(self)
    }
}

/// A watchdog that does not run yet.
pub trait Start: ErrorType + Sized {
    /// The same watchdog, running.
    type Running: Watchdog;

    /// The time-outs that [`start`](Self::start) takes, both ends included. Where the hardware has one only, both
    /// ends are it.
    fn timeout_range(&self) -> RangeInclusive<Duration>;

    /// Starts it. The hardware is set to the shortest time-out it has that is not below `timeout`, and that one is
    /// reported: who feeds at intervals of `timeout` as the device's clock runs is safe. How far that clock may be
    /// off is for its data sheet to say, and for the plan of intervals to allow for.
    ///
    /// # Errors
    ///
    /// [`StartError`] with the device, which does not run. A time-out outside the range is
    /// [`ErrorKind::UnsupportedTimeout`]; nothing is clamped in silence.
    fn start(
        self,
        timeout: Duration,
    ) -> Result<Started<Self::Running>, StartError<Self, Self::Error>>;
}

/// What [`Start::start`] gives: the running watchdog, and the time-out that it has in fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a running watchdog that nobody feeds bites"]
pub struct Started<W> {
    /// It runs.
    pub watchdog: W,
    /// From a feed to the bite, by the device's clock: what was asked for, or the next longer one that there is.
    pub timeout: Duration,
}

/// The watchdog did not start; here it is.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog did not start: {error:?}")]
pub struct StartError<D, E> {
    /// Why.
    pub error: E,
    /// The device, which does not run.
    pub device: D,
}

/// Tells the error; devices seldom have a `Debug`.
impl<D, E: Debug> Debug for StartError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartError").field("error", &self.error).finish_non_exhaustive()
    }
}

/// A running watchdog that can be stopped. Most cannot.
///
/// Where nothing watches any more nothing rescues either: stop one for what cannot be fed through, such as a boot
/// loader that writes flash with interrupts off, and start it again.
pub trait Stop: Watchdog + Sized {
    /// The same watchdog, stopped; it usually implements [`Start`].
    type Stopped;

    /// Stops it.
    ///
    /// # Errors
    ///
    /// [`StopError`] with the watchdog, which still runs and has to be fed.
    fn stop(self) -> Result<Self::Stopped, StopError<Self, Self::Error>>;
}

/// The watchdog did not stop; here it is.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog did not stop: {error:?}")]
pub struct StopError<W, E> {
    /// Why.
    pub error: E,
    /// The watchdog, which still runs.
    pub watchdog: W,
}

/// Tells the error; devices seldom have a `Debug`.
impl<W, E: Debug> Debug for StopError<W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopError").field("error", &self.error).finish_non_exhaustive()
    }
}

/// Why the device was reset last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResetCause {
    /// Power came on.
    PowerOn,
    /// The supply fell too low and recovered.
    BrownOut,
    /// The reset pin, and nothing else that would explain it. An external watchdog's bite looks like this.
    ExternalPin,
    /// A built-in watchdog: nobody fed it in time.
    Watchdog,
    /// A built-in window watchdog: it was fed too early or too late.
    WindowWatchdog,
    /// The program asked for it.
    Software,
    /// The core was locked up, by a fault within a fault handler.
    Lockup,
    /// Woken from a sleep that goes through reset.
    WakeUp,
    /// The hardware does not tell, or has causes that are not in this list.
    Unknown,
}

impl ResetCause {
    /// Whether a built-in watchdog was it.
    #[must_use]
    pub const fn is_watchdog(self) -> bool {
        matches!(self, Self::Watchdog | Self::WindowWatchdog)
    }
}

/// A device that tells why it was reset last.
///
/// Several flags are often set at once, since a reset from within pulls the reset pin as well: an implementation tells
/// the innermost cause, a watchdog rather than the pin. Flags tend to add up until they are cleared: it sees to it that
/// a cause is not told again after the next reset, and that it is told as often as asked until then.
pub trait ReadResetCause: ErrorType {
    /// The cause of the last reset.
    ///
    /// # Errors
    ///
    /// What holds the cause could not be read.
    fn reset_cause(&mut self) -> Result<ResetCause, Self::Error>;
}

impl<T: ReadResetCause + ?Sized> ReadResetCause for &mut T {
    fn reset_cause(&mut self) -> Result<ResetCause, Self::Error> {
        T::reset_cause(self)
    }
}

#[cfg(test)]
mod tests {
    use core::error::Error as _;

    use super::*;

    #[derive(Default)]
    struct Counter(u32);

    impl ErrorType for Counter {
        type Error = ErrorKind;
    }

    impl Watchdog for Counter {
        fn feed(&mut self) -> Result<(), ErrorKind> {
            self.0 += 1;
            Ok(())
        }
    }

    impl ReadResetCause for Counter {
        fn reset_cause(&mut self) -> Result<ResetCause, ErrorKind> {
            Ok(ResetCause::Watchdog)
        }
    }

    fn feed_by_value<W: Watchdog>(mut watchdog: W) -> Result<(), W::Error> {
        watchdog.feed()
    }

    #[test]
    fn a_borrowed_watchdog_is_one_too_also_behind_a_trait_object() {
        let mut counter = Counter::default();
        assert_eq!(feed_by_value(&mut counter), Ok(()));
        let object: &mut dyn Watchdog<Error = ErrorKind> = &mut counter;
        assert_eq!(feed_by_value(object), Ok(()));
        assert_eq!(counter.0, 2);
    }

    #[test]
    fn a_borrowed_device_tells_its_reset_cause() {
        fn cause<R: ReadResetCause>(mut device: R) -> Result<ResetCause, R::Error> {
            device.reset_cause()
        }
        assert_eq!(cause(&mut Counter::default()), Ok(ResetCause::Watchdog));
    }

    #[test]
    fn only_built_in_watchdogs_are_surely_watchdogs() {
        assert!(ResetCause::Watchdog.is_watchdog() && ResetCause::WindowWatchdog.is_watchdog());
        assert!(!ResetCause::ExternalPin.is_watchdog() && !ResetCause::Unknown.is_watchdog());
    }

    #[test]
    fn errors_are_errors_of_core_as_well() {
        let error = StartError { error: ErrorKind::UnsupportedTimeout, device: () };
        assert!(error.source().is_none());
        assert_eq!(error.error.kind(), ErrorKind::UnsupportedTimeout);
        let _: &dyn core::error::Error = &StopError { error: ErrorKind::TooEarly, watchdog: () };
        let _: &dyn core::error::Error = &ErrorKind::Other;
    }
}
