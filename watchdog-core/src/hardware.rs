//! Traits for hardware watchdogs: small, fallible, and without a time type of their own.
//!
//! `embedded-hal` 1.0 has no watchdog traits. The traits of 0.2 were removed because no generic code could use them
//! ([324], [357], [360]): each HAL chose its own `Time` type, so code that starts a watchdog had to know its HAL. No
//! method could fail, so HALs panicked or clamped a time-out that was out of range; and a program could feed a watchdog
//! that had not been started ([98]). The traits here avoid this:
//!
//! - a [`Watchdog`] is running: its owner knows that it was started, and can only feed it;
//! - [`Start`] takes the device by move and [`Settings`]; it says before the start what is possible ([`Capabilities`])
//!   and after it which time-out was set, with its spread ([`Started`]). A setting that the hardware cannot keep is an
//!   error, and an error gives the device back;
//! - [`Adopt`] takes over a watchdog that runs before the program does;
//! - [`Stop`] is a trait of its own, because most watchdogs cannot be stopped, and the others should not be stopped
//!   without a reason;
//! - [`BiteNow`] makes the hardware bite, for a test in the factory;
//! - [`ReadResetCause`] reports after a reset whether a watchdog was the cause;
//! - errors are the implementation's own types, with an [`ErrorKind`] for generic code, as in `embedded-hal` 1.0.
//!
//! [`Watchdog`] does not use time at all. A [`Supervisor`](crate::Supervisor) decides when to feed, and a
//! [`Guard`](crate::Guard) prevents all other feeds. A watchdog with a window needs the time: [`Windowed`] keeps the
//! window, and [`Clocked`] brings the clock. [`Pair`] puts two watchdogs behind one verdict.
//!
//! # An adapter for a HAL
//!
//! Two newtypes implement the traits for a HAL: one that can be started, one that runs. A HAL that implements the traits
//! itself needs no newtypes. Adapters for rp2040-hal, nrf52840-hal, atsamd-hal and stm32f4xx-hal are in `examples/hal`,
//! to be copied. This is the whole adapter for a watchdog with a counter at 1,024 Hz, of 10 % tolerance:
//!
//! ```
//! # mod hal {
//! #     pub struct Wdt(pub u16);
//! #     impl Wdt {
//! #         pub fn start(&mut self, ticks: u16) { self.0 = ticks }
//! #         pub fn feed(&mut self) {}
//! #     }
//! # }
//! use core::{convert::Infallible, time::Duration};
//!
//! use watchdog_core::hardware::{
//!     Capabilities, Error, ErrorKind, ErrorType, Settings, Spread, Start, StartResult, Started,
//!     Unsupported, Watchdog,
//! };
//!
//! pub struct Idle(pub hal::Wdt);
//! pub struct Running(hal::Wdt);
//!
//! impl ErrorType for Idle {
//!     type Error = Unsupported;
//! }
//!
//! impl Start for Idle {
//!     type Running = Running;
//!
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::new(Duration::from_millis(1)..=Duration::from_secs(63))
//!     }
//!
//!     fn start(self, settings: Settings) -> StartResult<Self> {
//!         let Self(mut wdt) = self.checked(&settings)?;
//!         let ticks = settings.timeout_ticks(1_024);
//!         wdt.start(ticks as u16); // it fits: it was checked
//!         Ok(Started::new(Running(wdt), Spread::ticks(ticks, [922, 1_024, 1_126])))
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
//! // Generic code limits its wish to the possible range, and makes its plan from the times that were set.
//! fn start_within<S: Start>(device: S, wanted: Duration) -> StartResult<S> {
//!     let range = device.timeout_range();
//!     device.start(Settings::new(wanted.clamp(*range.start(), *range.end())))
//! }
//!
//! let windowed = Settings::new(Duration::from_secs(2)).window(Duration::from_secs(1));
//! let refused = Idle(hal::Wdt(0)).start(windowed).map(|_| ()).unwrap_err();
//! assert_eq!(refused.error.kind(), ErrorKind::UnsupportedSetting);
//! let mut started = start_within(refused.device, Duration::from_secs(600))?;
//! assert_eq!((started.shortest_millis(), started.longest_millis()), (57_293, 69_970));
//! started.watchdog.feed().unwrap();
//! # Ok::<(), watchdog_core::hardware::StartError<Idle, Unsupported>>(())
//! ```
//!
//! [98]: https://github.com/rust-embedded/embedded-hal/issues/98
//! [324]: https://github.com/rust-embedded/embedded-hal/pull/324
//! [357]: https://github.com/rust-embedded/embedded-hal/issues/357
//! [360]: https://github.com/rust-embedded/embedded-hal/issues/360

mod bite_now;
mod clocked;
mod pair;
mod reset_cause;
mod settings;
mod spread;
mod start;
mod stop;
mod windowed;

use core::convert::Infallible;
use core::fmt::Debug;

pub use self::bite_now::{BiteNow, NoBite};
pub use self::clocked::{Clocked, FeedAt};
pub use self::pair::{Pair, PairError};
pub use self::reset_cause::{ReadResetCause, ResetCause};
pub use self::settings::{Capabilities, Pause, Setting, Settings, Unsupported};
pub use self::spread::Spread;
pub use self::start::{
    Adopt, AdoptError, AdoptResult, NotStarted, Start, StartError, StartResult, Started, State,
};
pub use self::stop::{Stop, StopError};
pub use self::windowed::{Windowed, WindowedError};

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
    /// The hardware does not support another setting; [`Start::capabilities`] gives the supported ones.
    #[error("the watchdog has no such setting")]
    UnsupportedSetting,
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

/// Whether a feed with this result may have reached the hardware.
pub(crate) fn may_have_fed<E: Error>(fed: &Result<(), E>) -> bool {
    !matches!(fed, Err(error) if error.kind() == ErrorKind::TooEarly)
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
