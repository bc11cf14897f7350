//! Traits for hardware watchdogs: small, fallible, and without a time type of their own.
//!
//! `embedded-hal` 1.0 has no watchdog traits. The traits of 0.2 were removed because no generic code could use them
//! ([324], [357], [360]): each HAL chose its own `Time` type, so code that starts a watchdog had to know its HAL. No
//! method could fail, so HALs panicked or clamped a time-out that was out of range; and a program could feed a watchdog
//! that had not been started ([98]). The traits here avoid this:
//!
//! - a [`Watchdog`] is running: its owner knows that it was started, and can only feed it;
//! - [`Start`] takes the device by move and a [`Duration`]; it gives the possible time-outs before the start and the
//!   actual time-out after it, and an error gives the device back;
//! - [`Stop`] is a trait of its own, because most watchdogs cannot be stopped, and the others should not be stopped
//!   without a reason;
//! - [`ReadResetCause`] reports after a reset whether a watchdog was the cause;
//! - errors are the implementation's own types, with an [`ErrorKind`] for generic code, as in `embedded-hal` 1.0.
//!
//! [`Watchdog`] does not use time at all. A [`Supervisor`](crate::Supervisor) decides when to feed, and a
//! [`Guard`](crate::Guard) prevents all other feeds.
//!
//! # An adapter for a HAL
//!
//! `rp2040-hal` 0.12 has one type for the running and the stopped watchdog, with `Watchdog::start` (which panics above
//! 8.388607 s), `feed` and `disable`. Two newtypes implement the traits for it. A HAL that implements the traits itself
//! needs no newtypes.
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
//! /// The watchdog of the RP2040, running.
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
//!         // Rounded up to a whole microsecond: the bite may come later than asked for, but never sooner.
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
//! // Generic code limits its wish to the possible range, and uses the actual time-out.
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
    /// The kind of the error, for generic code. The implementation's own type may hold more details.
    fn kind(&self) -> ErrorKind;
}

/// The kind of an error, independent of the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The hardware does not support this time-out; [`Start::timeout_range`] gives the supported ones.
    #[error("the watchdog has no such time-out")]
    UnsupportedTimeout,
    /// The feed came before the window of a windowed watchdog was open. The watchdog was not fed.
    #[error("the feed came before the watchdog's window")]
    TooEarly,
    /// The device does not allow the action in its current state: it is locked, cannot be stopped, or is latched.
    #[error("the watchdog does not allow this in its current state")]
    InvalidState,
    /// The connection to the watchdog failed: a pin, a bus, a file.
    #[error("the watchdog cannot be reached")]
    Connection,
    /// None of the above; see the implementation's own error.
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

/// The error type of the methods of a device.
pub trait ErrorType {
    /// The error.
    type Error: Error;
}

impl<T: ErrorType + ?Sized> ErrorType for &mut T {
    type Error = T::Error;
}

/// A running watchdog. Its owner can feed it, and nothing else.
pub trait Watchdog: ErrorType {
    /// Delays the bite by one time-out.
    ///
    /// A feed means that work has progressed, never that a timer has fired; so only a supervisor's verdict should feed.
    /// The call returns when the hardware has been fed. This takes microseconds if it is a register or a pin.
    ///
    /// # Errors
    ///
    /// The implementation could not feed the hardware, or does not know whether it did. The hardware goes on counting.
    fn feed(&mut self) -> Result<(), Self::Error>;
}

impl<T: Watchdog + ?Sized> Watchdog for &mut T {
    fn feed(&mut self) -> Result<(), Self::Error> {
        T::feed(self)
    }
}

/// A running watchdog whose feed may have to wait, for a pulse or a bus, without blocking an executor.
///
/// A type may implement [`Watchdog`], too, so the method has a name of its own.
pub trait AsyncWatchdog: ErrorType {
    /// Starts the time-out anew. After `Ok` the hardware has been fed.
    ///
    /// The future may be dropped at any time. The hardware may have been fed or not then, and the next feed is a whole
    /// one.
    ///
    /// # Errors
    ///
    /// As [`Watchdog::feed`].
    fn feed_async(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
}

impl<T: AsyncWatchdog + ?Sized> AsyncWatchdog for &mut T {
    fn feed_async(&mut self) -> impl Future<Output = Result<(), Self::Error>> {
        T::feed_async(self)
    }
}

/// A watchdog that is not running yet.
pub trait Start: ErrorType + Sized {
    /// The same watchdog, running.
    type Running: Watchdog;

    /// The time-outs that [`start`](Self::start) accepts, both ends included. If the hardware has a single time-out,
    /// both ends are equal to it.
    fn timeout_range(&self) -> RangeInclusive<Duration>;

    /// Starts the watchdog. The hardware is set to its shortest time-out that is not below `timeout`, and this time-out
    /// is returned. Feeding at intervals of `timeout`, measured by the device's clock, is therefore safe. The data
    /// sheet gives the tolerance of that clock, and the plan of intervals has to allow for it.
    ///
    /// # Errors
    ///
    /// [`StartError`] with the device, which is not running. A time-out outside the range is
    /// [`ErrorKind::UnsupportedTimeout`]; a time-out is never clamped silently.
    fn start(
        self,
        timeout: Duration,
    ) -> Result<Started<Self::Running>, StartError<Self, Self::Error>>;
}

/// The result of [`Start::start`]: the running watchdog, and its actual time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a running watchdog bites if it is not fed"]
pub struct Started<W> {
    /// The running watchdog.
    pub watchdog: W,
    /// The time from a feed to the bite, by the device's clock: the time-out asked for, or the next longer one.
    pub timeout: Duration,
}

/// The watchdog did not start; the error gives it back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog did not start: {error:?}")]
pub struct StartError<D, E> {
    /// The reason.
    pub error: E,
    /// The device, which is not running.
    pub device: D,
}

/// Shows the error only, because devices seldom implement `Debug`.
impl<D, E: Debug> Debug for StartError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartError").field("error", &self.error).finish_non_exhaustive()
    }
}

/// A running watchdog that can be stopped. Most watchdogs cannot.
///
/// A stopped watchdog cannot reset a program that hangs. Stop it only for work during which feeding is impossible, such
/// as a boot loader that writes flash with interrupts off, and start it again afterwards.
pub trait Stop: Watchdog + Sized {
    /// The same watchdog, stopped. It usually implements [`Start`].
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

/// The cause of the last reset of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResetCause {
    /// The power was switched on.
    PowerOn,
    /// The supply fell too low and recovered.
    BrownOut,
    /// The reset pin, and no other cause. The bite of an external watchdog looks like this.
    ExternalPin,
    /// A built-in watchdog: it was not fed in time.
    Watchdog,
    /// A built-in window watchdog: it was fed too early or too late.
    WindowWatchdog,
    /// The program requested the reset.
    Software,
    /// The core was locked up, by a fault within a fault handler.
    Lockup,
    /// A wake-up from a sleep mode that ends with a reset.
    WakeUp,
    /// The hardware does not report the cause, or the cause is not in this list.
    Unknown,
}

impl ResetCause {
    /// Whether a built-in watchdog was the cause.
    #[must_use]
    pub const fn is_watchdog(self) -> bool {
        matches!(self, Self::Watchdog | Self::WindowWatchdog)
    }
}

/// A device that reports the cause of its last reset.
///
/// Often several flags are set, because an internal reset pulls the reset pin, too. An implementation returns the
/// innermost cause: a watchdog rather than the pin. Flags usually stay set until they are cleared. An implementation
/// makes sure that a cause does not appear again after the next reset, and that each call until then returns it.
pub trait ReadResetCause: ErrorType {
    /// The cause of the last reset.
    ///
    /// # Errors
    ///
    /// The cause could not be read.
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
    fn a_borrowed_watchdog_is_a_watchdog_also_as_a_trait_object() {
        let mut counter = Counter::default();
        assert_eq!(feed_by_value(&mut counter), Ok(()));
        let object: &mut dyn Watchdog<Error = ErrorKind> = &mut counter;
        assert_eq!(feed_by_value(object), Ok(()));
        assert_eq!(counter.0, 2);
    }

    #[test]
    fn a_borrowed_device_reports_its_reset_cause() {
        fn cause<R: ReadResetCause>(mut device: R) -> Result<ResetCause, R::Error> {
            device.reset_cause()
        }
        assert_eq!(cause(&mut Counter::default()), Ok(ResetCause::Watchdog));
    }

    #[test]
    fn only_causes_of_built_in_watchdogs_count_as_watchdog() {
        assert!(ResetCause::Watchdog.is_watchdog() && ResetCause::WindowWatchdog.is_watchdog());
        assert!(!ResetCause::ExternalPin.is_watchdog() && !ResetCause::Unknown.is_watchdog());
    }

    #[test]
    fn errors_implement_the_error_trait_of_core() {
        let error = StartError { error: ErrorKind::UnsupportedTimeout, device: () };
        assert!(error.source().is_none());
        assert_eq!(error.error.kind(), ErrorKind::UnsupportedTimeout);
        let _: &dyn core::error::Error = &StopError { error: ErrorKind::TooEarly, watchdog: () };
        let _: &dyn core::error::Error = &ErrorKind::Other;
    }
}
