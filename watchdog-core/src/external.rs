//! External watchdog chips: fed at their WDI pin, and connected to RESET by an enable gate if the board has one.
//!
//! An [`ExternalWatchdog`] follows the chip's [`Profile`]: the edge that feeds the chip, the shortest level, the
//! window. The type of the watchdog holds its state, and the state determines the possible calls:
//!
//! | state | the gate | feeding | `disarm` |
//! |---|---|---|---|
//! | [`Disarmed`] | off: a bite does not reach the board | [`feed_early`](ExternalWatchdog::feed_early) | |
//! | [`Armed`] | on | [`Watchdog::feed`], [`feed_at`](ExternalWatchdog::feed_at) | yes |
//! | [`Permanent`] | on, or there is no gate | as `Armed` | does not exist |
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
//! dog.feed_early(now())?; // during boot, at least every 0.9 s
//! let mut dog = dog.arm().map_err(|e| e.error)?;
//! dog.feed()?; // by the supervisor's verdict
//! let mut dog = dog.disarm().map_err(|e| e.error)?; // before an update that reports no progress
//! dog.feed_early(now())?; // during and after it
//! let mut dog = dog.arm_for_good().map_err(|e| e.error)?;
//! dog.feed()?;
//! # Ok::<(), watchdog_core::external::Error<core::convert::Infallible, core::convert::Infallible>>(())
//! ```
//!
//! A watchdog that is armed for good cannot be disarmed, and neither can a watchdog without a gate:
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
//! A value that goes out of scope disarms nothing: an [`ExternalWatchdog`] never drops its pins, whatever its state.
//!
//! # Pitfalls
//!
//! - The chip counts also while the gate is off. If it bites then, it holds its own RESET although the board does not
//!   see it. A TPS3823 that is fed at that moment latches RESET, and arming it then resets the board for ever. So feed
//!   it from the start with [`feed_early`](ExternalWatchdog::feed_early). Or leave WDI an input until arming, if the
//!   chip is off while WDI floats ([`HighImpedance`](crate::chips::HighImpedance)).
//! - For a chip with a window, an early feed is a fault. Feed it with the time, by
//!   [`feed_at`](ExternalWatchdog::feed_at) or through [`Clocked`]; [`Watchdog::feed`] has no time and returns an
//!   error.
//! - A pin expander may carry out an order and still return an error. After an error the level counts as unknown, and
//!   the next feed makes a certain edge from any level.
//! - For a boot that is longer than the time-out, see [`boot`].

pub mod boot;
mod clocked;
mod gate;
mod input;

use core::fmt::{self, Debug};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::chips::Profile;
use crate::hardware::{self, ErrorKind, Start, StartError, Started, Stop, StopError, Watchdog};
use crate::log::log;
use crate::time::Instant;

pub use self::clocked::Clocked;
pub use self::gate::{Enable, Gate, NoGate};
pub use self::input::{Input, Pulse, Toggle};

/// State: the gate is off. Without a gate: the chip has not been armed yet.
#[derive(Clone, Copy, Debug)]
pub enum Disarmed {}

/// State: the gate is on, and can be switched off.
#[derive(Clone, Copy, Debug)]
pub enum Armed {}

/// State: the chip is connected, and stays connected.
#[derive(Clone, Copy, Debug)]
pub enum Permanent {}

/// The states in which a bite reaches the board.
pub trait Connected {}

impl Connected for Armed {}
impl Connected for Permanent {}

/// An external watchdog chip, fed through `I`, enabled by `G`, in state `S`.
///
/// Dropping it changes nothing at the chip: the pins keep their levels for ever. Only
/// [`release`](ExternalWatchdog::release) gives them back, and only in the state [`Disarmed`].
pub struct ExternalWatchdog<I, G, S> {
    chip: &'static Profile,
    /// Never dropped: many HALs disconnect a pin that is dropped, and a floating WDI switches some chips off.
    input: ManuallyDrop<I>,
    /// Never dropped: a gate whose pin floats disconnects the chip.
    gate: ManuallyDrop<G>,
    /// The time of the last feed that had a time.
    last_feed: Option<Instant>,
    state: PhantomData<S>,
}

/// Shows the chip and its last feed only, because pins seldom implement `Debug`.
impl<I, G, S> Debug for ExternalWatchdog<I, G, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalWatchdog")
            .field("chip", &self.chip.name())
            .field("last_feed", &self.last_feed)
            .finish_non_exhaustive()
    }
}

/// An error of the feeder. `W` is the error type of the WDI pin, `G` the error type of the gate's pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error<W, G> {
    /// The WDI pin failed. The chip may have been fed or not.
    #[error("pin WDI: {0:?}")]
    Wdi(W),
    /// The pin of the enable gate failed. The gate may be on or off.
    #[error("pin of the enable gate: {0:?}")]
    Gate(G),
    /// The window may not be open yet, so the chip was not fed.
    #[error("a feed before {} ms is a fault", earliest.as_millis())]
    TooEarly {
        /// The earliest time for the next feed.
        earliest: Instant,
    },
    /// The chip has a window, so a feed needs the time: use `feed_at` or `Clocked`.
    #[error("the chip has a window, so a feed needs the time")]
    NeedsTime,
    /// The chip cannot be fed by this input. Toggling gives every second time an edge that does not count; a pulse
    /// gives two edges, and the window allows one.
    #[error("the chip cannot be fed by that kind of input")]
    Unsuitable,
    /// The time-out is not the fixed time-out of the chip.
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

/// The watchdog could not be created; [`release`](Self::release) gives the parts back. Dropping the error drops no pin,
/// so a chip that runs already is not switched off.
#[derive(thiserror::Error)]
#[error("the watchdog chip cannot be used: {error:?}")]
pub struct NewError<I, G, E> {
    /// The reason.
    pub error: E,
    input: ManuallyDrop<I>,
    gate: ManuallyDrop<G>,
}

impl<I, G, E> NewError<I, G, E> {
    /// The input and the gate, in their current state.
    pub fn release(self) -> (I, G) {
        (ManuallyDrop::into_inner(self.input), ManuallyDrop::into_inner(self.gate))
    }
}

impl<I, G, E: Debug> Debug for NewError<I, G, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewError").field("error", &self.error).finish_non_exhaustive()
    }
}

/// The result of arming.
pub type Arming<I, G, S> =
    Result<ExternalWatchdog<I, G, S>, StartError<ExternalWatchdog<I, G, Disarmed>, ErrorOf<I, G>>>;

/// The result of disarming.
pub type Disarming<I, G> = Result<
    ExternalWatchdog<I, G, Disarmed>,
    StopError<ExternalWatchdog<I, G, Armed>, ErrorOf<I, G>>,
>;

/// The error of a watchdog with input `I` and gate `G`.
pub type ErrorOf<I, G> = Error<<I as Input>::Error, <G as Enable>::Error>;

impl<I: Input, G: Enable> ExternalWatchdog<I, G, Disarmed> {
    /// Switches the gate off and brings WDI to its resting level. If only one kind of edge counts for the chip, this
    /// change does not feed it.
    ///
    /// Without a gate the chip counts from reset on: feed or arm it within
    /// [`first_feed_before`](Profile::first_feed_before) after reset.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`]: toggling for a chip that counts one kind of edge, or pulses for a chip with a window that
    /// counts both. [`Error::Gate`], [`Error::Wdi`]: a pin failed.
    pub fn new(
        chip: &'static Profile,
        input: I,
        gate: G,
    ) -> Result<Self, NewError<I, G, ErrorOf<I, G>>> {
        let (mut input, mut gate) = (ManuallyDrop::new(input), ManuallyDrop::new(gate));
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

    /// Feeds the disarmed chip, so that it does not hold RESET when it is armed. Such a feed says nothing about the
    /// program; during boot and long work a timer may call this.
    ///
    /// A chip with a [start-up delay](Profile::start_up) does not bite during the delay, and counts from the first
    /// feed.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: the chip was not fed. [`Error::Wdi`]: the pin failed.
    pub fn feed_early(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        self.feed_within_window(now)
    }

    /// Feeds once, so that a whole time-out lies ahead, and switches the gate on. A chip with a window is not fed,
    /// because that needs the time. Without a gate the watchdog is armed for good.
    ///
    /// # Errors
    ///
    /// [`Error::Wdi`], [`Error::Gate`]: a pin failed. The error gives the device back.
    pub fn arm(self) -> Arming<I, G, G::Armed> {
        self.connect()
    }

    /// Arms like [`arm`](Self::arm), and the watchdog cannot be disarmed any more.
    ///
    /// # Errors
    ///
    /// As [`arm`](Self::arm).
    pub fn arm_for_good(self) -> Arming<I, G, Permanent> {
        self.connect()
    }

    /// The parts in their current state: WDI at its resting level or at the level of the last feed, the gate off.
    ///
    /// The parts are ordinary values again. A pin that is dropped may float, which switches some chips off.
    pub fn release(self) -> (I, G) {
        (ManuallyDrop::into_inner(self.input), ManuallyDrop::into_inner(self.gate))
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
    /// Switches the gate off: from now on nothing resets a program that hangs. Use it only for work that can neither
    /// feed nor report progress, and only for the time of this work.
    ///
    /// The chip goes on counting: feed it with [`feed_early`](ExternalWatchdog::feed_early), at the latest before
    /// arming.
    ///
    /// # Errors
    ///
    /// [`Error::Gate`]: the pin failed. The error gives the watchdog back; it has to be fed.
    pub fn disarm(mut self) -> Disarming<I, G> {
        match self.gate.set(false) {
            Ok(()) => {
                log!(
                    warn,
                    "watchdog: {} is disarmed, its bite does not reach the board",
                    self.chip.name()
                );
                Ok(self.in_state())
            }
            Err(error) => Err(StopError { error: Error::Gate(error), watchdog: self }),
        }
    }

    /// Makes it permanent: it cannot be disarmed any more.
    pub fn for_good(self) -> ExternalWatchdog<I, G, Permanent> {
        self.in_state()
    }
}

impl<I: Input, G: Enable, S: Connected> ExternalWatchdog<I, G, S> {
    /// Feeds the chip, if its window is open. The clock of `now` must not have started before the chip's reset. The
    /// window counts as one millisecond longer, because `now` is in whole milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: the chip was not fed; try again at the instant in the error. [`Error::Wdi`]: the pin
    /// failed.
    pub fn feed_at(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        self.feed_within_window(now)
    }

    /// Adds a clock, which is read at each feed. A chip with a window needs it to be fed through [`Watchdog`].
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
        // Stored also if the pin fails: the chip may have seen the edge, and a second feed in its window is a fault.
        self.last_feed = Some(now);
        self.edge()
    }

    /// The earliest time at which a feed is not a fault; `None`: any time.
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
    /// [`Error::NeedsTime`]: the chip has a window, and was not fed. [`Error::Wdi`]: the pin failed.
    fn feed(&mut self) -> Result<(), Self::Error> {
        if self.chip.window().is_some() {
            return Err(Error::NeedsTime);
        }
        self.edge()
    }
}

/// Arms the chip. The only time-out is the chip's shortest one.
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
