//! External watchdog chips: fed at their WDI pin, connected to RESET by an enable gate where the board has one.
//!
//! An [`ExternalWatchdog`] follows the chip's [`Profile`]: which edge feeds it, how long a level has to last, from when
//! on a feed may come. Its type tells what can be done with it:
//!
//! | state | the gate | feeding | `disarm` |
//! |---|---|---|---|
//! | [`Disarmed`] | off: bites go nowhere | [`feed_early`](ExternalWatchdog::feed_early) | |
//! | [`Armed`] | on | [`Watchdog::feed`], [`feed_at`](ExternalWatchdog::feed_at) | yes |
//! | [`Permanent`] | on, or there is none | the same | does not exist |
//!
//! ```
//! # use embedded_hal::digital::{ErrorType, OutputPin};
//! # struct Pin;
//! # impl ErrorType for Pin { type Error = core::convert::Infallible; }
//! # impl OutputPin for Pin {
//! #     fn set_low(&mut self) -> Result<(), Self::Error> { Ok(()) }
//! #     fn set_high(&mut self) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! # let (wdi, enable, delay) = (Pin, Pin, embedded_hal_mock::eh1::delay::NoopDelay);
//! # let now = || watchdog_core::Instant::from_millis(0);
//! use watchdog_core::chips::TPS3823_33;
//! use watchdog_core::external::{ExternalWatchdog, Gate, Toggle};
//! use watchdog_core::hardware::Watchdog;
//!
//! // The chip counts from power-on; its RESET reaches the microcontroller through a transistor.
//! let gate = Gate::active_high(enable);
//! let mut dog = ExternalWatchdog::new(&TPS3823_33, Toggle::new(wdi, delay), gate).map_err(|e| e.error)?;
//! dog.feed_early(now())?; // boot: before 0.9 s have passed, and again
//! let mut dog = dog.arm().map_err(|e| e.error)?;
//! dog.feed()?; // by the supervisor's verdict
//! let mut dog = dog.disarm().map_err(|e| e.error)?; // before an update that reports no progress
//! dog.feed_early(now())?; // during and after it
//! let mut dog = dog.arm_for_good().map_err(|e| e.error)?;
//! dog.feed()?;
//! # Ok::<(), watchdog_core::external::Error<core::convert::Infallible, core::convert::Infallible>>(())
//! ```
//!
//! What is armed for good stays so; what has no gate cannot be disarmed either:
//!
//! ```compile_fail,E0599
//! # use embedded_hal::digital::{ErrorType, OutputPin};
//! # struct Pin;
//! # impl ErrorType for Pin { type Error = core::convert::Infallible; }
//! # impl OutputPin for Pin {
//! #     fn set_low(&mut self) -> Result<(), Self::Error> { Ok(()) }
//! #     fn set_high(&mut self) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! # use watchdog_core::{chips::TPS3823_33, external::{ExternalWatchdog, Gate, Toggle}};
//! # let dog = ExternalWatchdog::new(&TPS3823_33, Toggle::new(Pin, embedded_hal_mock::eh1::delay::NoopDelay), Gate::active_high(Pin));
//! # let Ok(dog) = dog else { return };
//! let Ok(dog) = dog.arm_for_good() else { return };
//! let _ = dog.disarm(); // no method named `disarm`
//! ```
//!
//! # What bites
//!
//! - The chip counts also while the gate is off, and holds its own RESET when it bites into the void. A TPS3823 that
//!   is fed at that moment latches RESET, and arming it then resets the board for ever. So feed from the start with
//!   [`feed_early`](ExternalWatchdog::feed_early), or leave WDI an input until arming, where the chip is off meanwhile
//!   ([`HighImpedance`](crate::chips::HighImpedance)).
//! - A chip with a window takes an early feed for a fault. It is fed with the time, by
//!   [`feed_at`](ExternalWatchdog::feed_at) or through [`Clocked`]; [`Watchdog::feed`] without a time refuses.
//! - A pin expander may follow an order and fail to say so. After an error the level counts as unknown, and the next
//!   feed makes sure of an edge all the same.
//! - A boot that is longer than the time-out has the means of [`boot`].

pub mod boot;
mod clocked;
mod gate;
mod input;

use core::fmt::{self, Debug};
use core::marker::PhantomData;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::chips::Profile;
use crate::hardware::{self, ErrorKind, Start, StartError, Started, Stop, StopError, Watchdog};
use crate::log::log;
use crate::time::Instant;

pub use self::clocked::Clocked;
pub use self::gate::{Enable, Gate, NoGate};
pub use self::input::{Input, Pulse, Toggle};

/// State: the gate is off, or nobody has fed yet where there is no gate.
#[derive(Clone, Copy, Debug)]
pub enum Disarmed {}

/// State: the gate is on, and can be switched off.
#[derive(Clone, Copy, Debug)]
pub enum Armed {}

/// State: the chip is connected, and stays so.
#[derive(Clone, Copy, Debug)]
pub enum Permanent {}

/// The states in which a bite reaches the board.
pub trait Connected {}

impl Connected for Armed {}
impl Connected for Permanent {}

/// An external watchdog chip, fed through `I`, enabled by `G`, in state `S`.
pub struct ExternalWatchdog<I, G, S> {
    chip: &'static Profile,
    input: I,
    gate: G,
    /// When it was fed last, where anybody said.
    last_feed: Option<Instant>,
    state: PhantomData<S>,
}

/// Tells the chip and its last feed; pins seldom have a `Debug`.
impl<I, G, S> Debug for ExternalWatchdog<I, G, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalWatchdog")
            .field("chip", &self.chip.name())
            .field("last_feed", &self.last_feed)
            .finish_non_exhaustive()
    }
}

/// What went wrong at which pin; `W` is the error of the WDI pin, `G` that of the gate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error<W, G> {
    /// The WDI pin. The chip may have been fed, or not.
    #[error("pin WDI: {0:?}")]
    Wdi(W),
    /// The pin of the enable gate. The gate may be on or off.
    #[error("pin of the enable gate: {0:?}")]
    Gate(G),
    /// The feed would have come before the window is surely open, and was not made.
    #[error("a feed before {} ms is a fault", earliest.as_millis())]
    TooEarly {
        /// From when on it may come.
        earliest: Instant,
    },
    /// The chip has a window, so a feed needs to know the time: `feed_at`, `Clocked`.
    #[error("the chip has a window: it is fed with the time")]
    NeedsTime,
    /// The chip cannot be fed that way: toggling gives an edge of the wrong kind every second time, a pulse gives two
    /// edges where a window allows one.
    #[error("the chip cannot be fed by that kind of input")]
    Unsuitable,
    /// The time-out asked for is not the chip's.
    #[error("the time-out of the chip is fixed")]
    FixedTimeout,
}

impl<W: Debug, G: Debug> hardware::Error for Error<W, G> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Wdi(_) | Self::Gate(_) => ErrorKind::Connection,
            Self::TooEarly { .. } => ErrorKind::TooEarly,
            Self::NeedsTime | Self::Unsuitable => ErrorKind::InvalidState,
            Self::FixedTimeout => ErrorKind::UnsupportedTimeout,
        }
    }
}

/// It could not be put together; here are the parts.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog chip cannot be used: {error:?}")]
pub struct NewError<I, G, E> {
    /// Why.
    pub error: E,
    /// The input.
    pub input: I,
    /// The gate.
    pub gate: G,
}

impl<I, G, E: Debug> Debug for NewError<I, G, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewError").field("error", &self.error).finish_non_exhaustive()
    }
}

/// What arming gives.
pub type Arming<I, G, S> =
    Result<ExternalWatchdog<I, G, S>, StartError<ExternalWatchdog<I, G, Disarmed>, ErrorOf<I, G>>>;

/// What disarming gives.
pub type Disarming<I, G> = Result<
    ExternalWatchdog<I, G, Disarmed>,
    StopError<ExternalWatchdog<I, G, Armed>, ErrorOf<I, G>>,
>;

/// The errors of a feeder of `I` with a gate of `G`.
pub type ErrorOf<I, G> = Error<<I as Input>::Error, <G as Enable>::Error>;

impl<I: Input, G: Enable> ExternalWatchdog<I, G, Disarmed> {
    /// Switches the gate off and brings WDI to rest, by a change that does not feed the chip where it has one edge only.
    ///
    /// Without a gate nothing keeps the chip from counting: feed or arm it before
    /// [`first_feed_before`](Profile::first_feed_before) has passed since reset.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`]: toggling for a chip that takes one kind of edge; pulses for one with a window that takes
    /// both. [`Error::Gate`], [`Error::Wdi`]: a pin failed.
    pub fn new(
        chip: &'static Profile,
        mut input: I,
        mut gate: G,
    ) -> Result<Self, NewError<I, G, ErrorOf<I, G>>> {
        let ready = if input.suits(chip) {
            gate.set(false).map_err(Error::Gate).and_then(|()| input.rest(chip).map_err(Error::Wdi))
        } else {
            Err(Error::Unsuitable)
        };
        match ready {
            Ok(()) => Ok(Self { chip, input, gate, last_feed: None, state: PhantomData }),
            Err(error) => Err(NewError { error, input, gate }),
        }
    }

    /// Feeds the chip although its bite would go nowhere, so that it does not hold RESET when it is armed. It says
    /// nothing about the program; during boot and long work a timer may do it.
    ///
    /// A chip with a [start-up delay](Profile::start_up) is quiet by itself so long, and counts from the first feed.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: nothing was fed. [`Error::Wdi`].
    pub fn feed_early(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        self.feed_within_window(now)
    }

    /// Feeds once, so that a whole time-out lies ahead (not where there is a window, which needs the time), and switches
    /// the gate on. Without a gate it is armed for good.
    ///
    /// # Errors
    ///
    /// [`Error::Wdi`], [`Error::Gate`]; the device is given back.
    pub fn arm(self) -> Arming<I, G, G::Armed> {
        self.connect()
    }

    /// The same, and there is no way back.
    ///
    /// # Errors
    ///
    /// As [`arm`](Self::arm).
    pub fn arm_for_good(self) -> Arming<I, G, Permanent> {
        self.connect()
    }

    /// The parts, as they are: WDI at rest or wherever the last feed left it, the gate off.
    pub fn release(self) -> (I, G) {
        (self.input, self.gate)
    }

    fn connect<S>(mut self) -> Arming<I, G, S> {
        let fed = if self.chip.window().is_none() { self.edge() } else { Ok(()) };
        match fed.and_then(|()| self.gate.set(true).map_err(Error::Gate)) {
            Ok(()) => {
                log!(info, "watchdog: {} is armed", self.chip.name());
                Ok(self.in_state())
            }
            Err(error) => Err(StartError { error, device: self }),
        }
    }
}

impl<I: Input, G: Enable> ExternalWatchdog<I, G, Armed> {
    /// Switches the gate off: from here on nothing resets a program that hangs. For work that cannot feed and cannot
    /// report progress, no longer than that.
    ///
    /// The chip goes on counting; feed it with [`feed_early`](ExternalWatchdog::feed_early), at the latest before arming.
    ///
    /// # Errors
    ///
    /// [`Error::Gate`]; the watchdog is given back, and has to be fed.
    pub fn disarm(mut self) -> Disarming<I, G> {
        match self.gate.set(false) {
            Ok(()) => {
                log!(warn, "watchdog: {} is disarmed, its bite goes nowhere", self.chip.name());
                Ok(self.in_state())
            }
            Err(error) => Err(StopError { error: Error::Gate(error), watchdog: self }),
        }
    }

    /// From now on it stays armed.
    pub fn for_good(self) -> ExternalWatchdog<I, G, Permanent> {
        self.in_state()
    }
}

impl<I: Input, G: Enable, S: Connected> ExternalWatchdog<I, G, S> {
    /// Feeds the chip, unless that would be too early for it. `now` is on a clock that does not run ahead of the chip's
    /// reset; a millisecond is added to the window, since `now` is a whole one.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: nothing was fed, try again from the instant on that it tells. [`Error::Wdi`].
    pub fn feed_at(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        self.feed_within_window(now)
    }

    /// The same watchdog as a [`Watchdog`] that asks a clock at each feed: what a chip with a window needs.
    pub fn clocked<C: FnMut() -> Instant>(self, clock: C) -> Clocked<Self, C> {
        Clocked::new(self, clock)
    }
}

impl<I: Input, G: Enable, S> ExternalWatchdog<I, G, S> {
    /// The chip.
    #[must_use]
    pub fn chip(&self) -> &'static Profile {
        self.chip
    }

    fn feed_within_window(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        if let Some(earliest) = self.earliest_feed() {
            if now < earliest {
                return Err(Error::TooEarly { earliest });
            }
        }
        // Also where the pin fails: the chip may have seen it, and a second feed in its window would be a fault.
        self.last_feed = Some(now);
        self.edge()
    }

    /// From when on a feed is no fault; `None`: at any time.
    fn earliest_feed(&self) -> Option<Instant> {
        self.chip.window()?;
        let since = match self.last_feed {
            Some(fed) => fed,
            None if self.chip.has_window_in_first_frame() => Instant::from_millis(0),
            None => return None,
        };
        Some(since.plus_millis(self.chip.window_millis().into()))
    }

    fn edge(&mut self) -> Result<(), ErrorOf<I, G>> {
        self.input.edge(self.chip).map_err(Error::Wdi)
    }

    fn in_state<T>(self) -> ExternalWatchdog<I, G, T> {
        let Self { chip, input, gate, last_feed, state: _ } = self;
        ExternalWatchdog { chip, input, gate, last_feed, state: PhantomData }
    }
}

impl<I: Input, G: Enable, S> hardware::ErrorType for ExternalWatchdog<I, G, S> {
    type Error = ErrorOf<I, G>;
}

impl<I: Input, G: Enable, S: Connected> Watchdog for ExternalWatchdog<I, G, S> {
    /// Feeds the chip.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsTime`] where the chip has a window; nothing was fed. [`Error::Wdi`].
    fn feed(&mut self) -> Result<(), Self::Error> {
        if self.chip.window().is_some() {
            return Err(Error::NeedsTime);
        }
        self.edge()
    }
}

/// Arms it, with the one time-out that the chip has: its shortest.
impl<I: Input, G: Enable> Start for ExternalWatchdog<I, G, Disarmed> {
    type Running = ExternalWatchdog<I, G, G::Armed>;

    fn timeout_range(&self) -> RangeInclusive<Duration> {
        self.chip.feed_before()..=self.chip.feed_before()
    }

    fn start(
        self,
        timeout: Duration,
    ) -> Result<Started<Self::Running>, StartError<Self, Self::Error>> {
        if timeout != self.chip.feed_before() {
            return Err(StartError { error: Error::FixedTimeout, device: self });
        }
        self.arm().map(|watchdog| Started { watchdog, timeout })
    }
}

impl<I: Input, G: Enable> Stop for ExternalWatchdog<I, G, Armed> {
    type Stopped = ExternalWatchdog<I, G, Disarmed>;

    fn stop(self) -> Result<Self::Stopped, StopError<Self, Self::Error>> {
        self.disarm()
    }
}
