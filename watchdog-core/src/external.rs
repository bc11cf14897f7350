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
//! use watchdog_core::external::{ExternalWatchdog, Gate, Takeover, Toggle};
//! use watchdog_core::hardware::Watchdog;
//!
//! // Its RESET reaches the microcontroller through a transistor. The chip counts as soon as its pin is driven.
//! let (input, gate) = (Toggle::new(wdi, delay), Gate::active_high(enable));
//! let dog = ExternalWatchdog::new(&TPS3823_33, input, gate, Takeover::Floating(now()));
//! let mut dog = dog.map_err(|failed| failed.error)?;
//! # let now = || watchdog_core::Instant::from_millis(700);
//! dog.feed_early(now())?; // during boot, from 0.35 s on, at least every 0.76 s
//! let mut dog = dog.arm(now()).map_err(|failed| failed.error)?;
//! dog.feed()?; // by the supervisor's verdict
//! let mut dog = dog.disarm(now()).map_err(|failed| failed.error)?; // before an update that reports no progress
//! dog.feed_early(now())?; // during and after it, at least every 0.76 s
//! let mut dog = dog.arm_for_good(now()).map_err(|failed| failed.error)?;
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
//! # use watchdog_core::{chips::TPS3823_33, external::{ExternalWatchdog, Gate, Takeover, Toggle}};
//! # let now = watchdog_core::Instant::from_millis(0);
//! # let input = Toggle::new(Pin, embedded_hal_mock::eh1::delay::NoopDelay);
//! # let dog = ExternalWatchdog::new(&TPS3823_33, input, Gate::active_high(Pin), Takeover::Fed(now));
//! # let Ok(dog) = dog else { return };
//! let Ok(dog) = dog.arm_for_good(now) else { return };
//! let _ = dog.disarm(now); // no method named `disarm`
//! ```
//!
//! A value that goes out of scope disarms nothing: an [`ExternalWatchdog`] never drops its pins, whatever its state.
//!
//! # Proof that the chip was fed
//!
//! The chip counts also while the gate is off. If it bites then, it holds its own RESET although the board does not
//! see it. A TPS3823 that is fed at that moment latches RESET until the power is cut; any other chip resets the board
//! if it is armed at that moment. So while the gate is off, every edge and arming need proof: the feeder knows when the
//! chip was taken over ([`Takeover`]) and fed, and computes from the [`Profile`] whether it may hold RESET.
//!
//! | the chip | [`feed_early`](ExternalWatchdog::feed_early) | [`arm`](ExternalWatchdog::arm) |
//! |---|---|---|
//! | was fed in time | feeds | feeds, and switches the gate on |
//! | may hold RESET for one reset time at most, as after floating, and an edge latches it | [`Error::TooEarly`] | [`Error::TooEarly`] |
//! | may hold RESET, and an edge latches it | [`Error::MayHoldReset`] | [`Error::MayHoldReset`] |
//! | may hold RESET, and ignores edges then | makes an edge | makes an edge, and [`Error::TooEarly`] for one reset time |
//!
//! After [`Error::MayHoldReset`], [release](ExternalWatchdog::release) the parts, make the pin an input for one reset
//! time, and take the chip over again as [`Takeover::Floating`]. If a resistor holds the pin, so that it cannot float,
//! use [`arm_unfed`](ExternalWatchdog::arm_unfed): it may cost one reset of the board.
//!
//! With an [`EnablePin`] there is nothing to prove either: a disabled chip does not hold RESET.
//!
//! Without a gate there is nothing to prove: a program that runs shows that the chip does not hold RESET.
//!
//! # Without blocking
//!
//! With the feature `embedded-hal-async` the wait for the shortest pulse is an `.await`: `feed_early_async`,
//! `feed_at_async`, and [`AsyncWatchdog`](crate::hardware::AsyncWatchdog) for
//! [`Guard::poll_async`](crate::Guard::poll_async). Every future may be dropped at any time.
//!
//! # Pitfalls
//!
//! - For a chip with a window, an early feed is a fault. Feed it with the time, by
//!   [`feed_at`](ExternalWatchdog::feed_at) or through [`Clocked`]; [`Watchdog::feed`] has no time and returns an
//!   error.
//! - A pin expander may carry out an order and still return an error. After an error the level counts as unknown, and
//!   the next feed makes a certain edge from any level. If the chip counts both edges and has a window, this takes two
//!   calls, one closed window apart.
//! - The time between reading `now` and the edge is the program's: an interrupt there delays the edge.
//! - For a boot that is longer than the time-out, see [`boot`].

#[cfg(feature = "embedded-hal-async")]
mod asynchronous;
pub mod boot;
mod clocked;
mod error;
pub mod gate;
mod input;
mod known;

use core::fmt::{self, Debug};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;

use crate::chips::{DuringReset, Profile};
use crate::hardware::{self, StartError, StopError, Watchdog};
use crate::log::log;
use crate::time::Instant;

#[cfg(feature = "embedded-hal-async")]
pub use self::asynchronous::AsyncInput;
pub use self::clocked::Clocked;
pub use self::error::{Error, NewError};
pub use self::gate::{Enable, EnablePin, Gate, NoGate};
pub use self::input::{Counted, Input, Progress, Pulse, Step, Steps, Toggle};
use self::known::Known;
pub use self::known::Takeover;

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
    /// While the gate is on and the chip has no window, this is not used, and not kept up to date.
    known: Known,
    state: PhantomData<S>,
}

/// Shows the chip and what is known of it only, because pins seldom implement `Debug`.
impl<I, G, S> Debug for ExternalWatchdog<I, G, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalWatchdog")
            .field("chip", &self.chip.name())
            .field("known", &self.known)
            .finish_non_exhaustive()
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
pub type ErrorOf<I, G> = Error<<I as Steps>::Error, <G as Enable>::Error>;

impl<I: Steps, G: Enable> ExternalWatchdog<I, G, Disarmed> {
    /// Takes the chip over: switches the gate off, and brings a floating WDI to its resting level, which does not feed
    /// the chip. A pin that may be driven already stays at its level.
    ///
    /// Without a gate the chip counts from reset on: feed or arm it within
    /// [`first_feed_before`](Profile::first_feed_before) after reset.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`]: toggling for a chip that counts one kind of edge, pulses for a chip with a window that
    /// counts both, or an enable pin for a chip without an enable input of that level. [`Error::Gate`],
    /// [`Error::Wdi`]: a pin failed.
    pub fn new(
        chip: &'static Profile,
        input: I,
        gate: G,
        takeover: Takeover,
    ) -> Result<Self, NewError<I, G, ErrorOf<I, G>>> {
        let (mut input, mut gate) = (ManuallyDrop::new(input), ManuallyDrop::new(gate));
        let ready = if input.suits(chip) && gate.suits(chip) {
            gate.set(false).map_err(Error::Gate).and_then(|()| match takeover {
                Takeover::Floating(_) | Takeover::Reset(_) => input.rest(chip).map_err(Error::Wdi),
                // The boot loader may have left the pin at any level, and a change would feed the chip.
                Takeover::Fed(_) | Takeover::Unknown(_) => Ok(()),
            })
        } else {
            Err(Error::Unsuitable)
        };
        let known = Known::at(chip, takeover);
        match ready {
            Ok(()) => Ok(Self { chip, input, gate, known, state: PhantomData }),
            Err(error) => Err(NewError { error, input, gate }),
        }
    }

    /// Switches the gate on without an edge, for a chip that was not fed in time. If the chip holds RESET, or bites
    /// before the next feed, the board is reset. So a program that still runs shows that the chip does not hold RESET,
    /// and it has to feed as soon as it may: at once, or when a window that may begin at `now` is open.
    ///
    /// Before the first feed, wait until a RESET would have reached the controller: the time constant of its reset pin.
    ///
    /// # Errors
    ///
    /// [`Error::Gate`]: the pin failed. The error gives the device back.
    pub fn arm_unfed(mut self, now: Instant) -> Arming<I, G, G::Armed> {
        self.known = Known::at(self.chip, Takeover::Unknown(now));
        match self.gate.set(true).map_err(Error::Gate) {
            Ok(()) => {
                log!(warn, "watchdog: {} is armed, and may bite at once", self.chip.name());
                Ok(self.in_state())
            }
            Err(error) => Err(StartError { error, device: self }),
        }
    }

    /// The parts in their current state: WDI at its resting level or at the level of the last feed, the gate off.
    ///
    /// The parts are ordinary values again. A pin that is dropped may float, which switches some chips off.
    pub fn release(self) -> (I, G) {
        (ManuallyDrop::into_inner(self.input), ManuallyDrop::into_inner(self.gate))
    }

    /// Switches the gate on without an edge, if the chip certainly does not hold RESET: it was fed in time by
    /// [`feed_early`](Self::feed_early), for example by its asynchronous form. Call it right after a feed, so that
    /// almost a whole time-out lies ahead. Without a gate the watchdog is armed for good.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: it is not armed; try again at the instant in the error. [`Error::MayHoldReset`]: the chip
    /// was not fed in time. [`Error::Gate`]: the pin failed. The error gives the device back.
    pub fn arm_fed(self, now: Instant) -> Arming<I, G, G::Armed> {
        let proven = self.proof(now);
        self.connect(proven, now)
    }

    /// Whether the chip certainly does not hold RESET.
    fn proof(&self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        if !G::CAN_BE_OFF || self.known.is_counting(now) {
            Ok(())
        } else if self.known.is_settling(now) {
            Err(Error::TooEarly { earliest: self.known.earliest() })
        } else {
            Err(Error::MayHoldReset)
        }
    }

    /// Whether an edge is allowed now; and whether it proves that the chip counts.
    fn allows_edge(&self, now: Instant) -> Result<bool, ErrorOf<I, G>> {
        self.in_window(now)?;
        match (self.proof(now), self.chip.during_reset()) {
            (Ok(()), _) => Ok(true),
            // The edge feeds the chip, or it holds RESET and ignores the edge.
            (Err(_), DuringReset::Ignored) => Ok(false),
            (Err(error), DuringReset::LatchesReset) => Err(error),
        }
    }

    /// The edge that was allowed has been made.
    fn after_early_edge(&mut self, proves: bool, before: Known, now: Instant) {
        if !proves {
            self.known = before.after_ignored_edge(self.chip, now);
        }
    }

    fn connect<S>(mut self, proven: Result<(), ErrorOf<I, G>>, now: Instant) -> Arming<I, G, S> {
        match proven.and_then(|()| self.gate.set(true).map_err(Error::Gate)) {
            Ok(()) => {
                if G::RESTARTS {
                    self.known = Known::at(self.chip, Takeover::Reset(now));
                }
                log!(info, "watchdog: {} is armed", self.chip.name());
                Ok(self.in_state())
            }
            Err(error) => Err(StartError { error, device: self }),
        }
    }
}

impl<I: Input, G: Enable> ExternalWatchdog<I, G, Disarmed> {
    /// Feeds the disarmed chip, so that it does not hold RESET when it is armed. Such a feed says nothing about the
    /// program; during boot and long work a timer may call this.
    ///
    /// A chip with a start-up delay does not bite during the delay. If the first feed ends the delay, the chip counts
    /// from it on; if the chip [ignores edges](crate::chips::Start::DeafDelay) meanwhile, such a feed is none, and the
    /// time-out begins at the end of the delay. A chip that waits for the
    /// [first edge](crate::chips::Start::FirstEdge) counts from the first feed on.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: the chip was not fed; try again at the instant in the error. [`Error::MayHoldReset`]: an
    /// edge could latch RESET. [`Error::Wdi`]: the pin failed.
    pub fn feed_early(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        let (proves, before) = (self.allows_edge(now)?, self.known);
        self.edge(now)?;
        self.after_early_edge(proves, before, now);
        Ok(())
    }

    /// Feeds once, so that a whole time-out lies ahead, and switches the gate on. The chip certainly does not hold
    /// RESET then. Without a gate the watchdog is armed for good.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: it is not armed; try again at the instant in the error. [`Error::MayHoldReset`]: the chip
    /// was not fed in time. [`Error::Wdi`], [`Error::Gate`]: a pin failed. The error gives the device back.
    pub fn arm(self, now: Instant) -> Arming<I, G, G::Armed> {
        self.feed_and_connect(now)
    }

    /// Arms like [`arm`](Self::arm), and the watchdog cannot be disarmed any more.
    ///
    /// # Errors
    ///
    /// As [`arm`](Self::arm).
    pub fn arm_for_good(self, now: Instant) -> Arming<I, G, Permanent> {
        self.feed_and_connect(now)
    }

    fn feed_and_connect<S>(mut self, now: Instant) -> Arming<I, G, S> {
        let proven = self.feed_early(now).and_then(|()| self.proof(now));
        self.connect(proven, now)
    }
}

impl<I: Input, G: Enable> ExternalWatchdog<I, G, Armed> {
    /// Feeds once, unless the window is closed, and switches the gate off: from now on nothing resets a program that
    /// hangs. Use it only for work that can neither feed nor report progress, and only for the time of this work.
    ///
    /// The chip goes on counting: feed it with [`feed_early`](ExternalWatchdog::feed_early) before its shortest
    /// time-out is over. Otherwise it cannot be armed again.
    ///
    /// # Errors
    ///
    /// [`Error::Gate`], [`Error::Wdi`]: a pin failed. [`Error::TooEarly`]: the level of the pin was unknown; try again
    /// at the instant in the error. The error gives the watchdog back; it has to be fed.
    pub fn disarm(mut self, now: Instant) -> Disarming<I, G> {
        // The chip is connected, so a program that runs shows that it does not hold RESET.
        let fed = if self.in_window(now).is_ok() { self.edge(now) } else { Ok(()) };
        match fed {
            Ok(()) => self.disconnect(),
            Err(error) => Err(StopError { error, watchdog: self }),
        }
    }
}

impl<I: Steps, G: Enable> ExternalWatchdog<I, G, Armed> {
    /// Switches the gate off without an edge: for a watchdog that was just fed, for example by the asynchronous form of
    /// [`feed_at`](Self::feed_at). It can be armed again if it is fed before the shortest time-out since that feed is
    /// over. Otherwise as [`disarm`](Self::disarm).
    ///
    /// # Errors
    ///
    /// [`Error::Gate`]: the pin failed. The error gives the watchdog back; it has to be fed.
    pub fn disarm_fed(self) -> Disarming<I, G> {
        self.disconnect()
    }

    fn disconnect(mut self) -> Disarming<I, G> {
        match self.gate.set(false).map_err(Error::Gate) {
            Ok(()) => {
                log!(
                    warn,
                    "watchdog: {} is disarmed, its bite does not reach the board",
                    self.chip.name()
                );
                Ok(self.in_state())
            }
            Err(error) => Err(StopError { error, watchdog: self }),
        }
    }

    /// Makes it permanent: it cannot be disarmed any more.
    pub fn for_good(self) -> ExternalWatchdog<I, G, Permanent> {
        self.in_state()
    }
}

impl<I: Input, G: Enable, S: Connected> ExternalWatchdog<I, G, S> {
    /// Feeds the chip, if its window is open. The window counts as one millisecond longer, because `now` is in whole
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: try again at the instant in the error. [`Error::Wdi`]: the pin failed.
    pub fn feed_at(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        self.in_window(now)?;
        self.edge(now)
    }
}

impl<I: Steps, G: Enable, S> ExternalWatchdog<I, G, S> {
    /// The chip.
    #[must_use]
    pub fn chip(&self) -> &'static Profile {
        self.chip
    }

    /// Adds a clock, which is read at each feed, at arming and at disarming, so that the watchdog can be used through
    /// the traits of [`hardware`].
    pub fn clocked<C: FnMut() -> Instant>(self, clock: C) -> Clocked<Self, C> {
        Clocked::new(self, clock)
    }

    fn in_window(&self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        let earliest = self.known.opens;
        if self.chip.has_window() && now < earliest {
            return Err(Error::TooEarly { earliest });
        }
        Ok(())
    }

    fn needs_no_time(&self) -> Result<(), ErrorOf<I, G>> {
        if self.chip.has_window() { Err(Error::NeedsTime) } else { Ok(()) }
    }

    /// An edge begins. If it does not end, because its future is dropped, the chip may have counted it. Returns the
    /// knowledge before it.
    fn before_edge(&mut self, now: Instant) -> Known {
        let before = self.known;
        self.known = before.perhaps_fed(self.chip, now);
        before
    }

    /// An edge has ended; `before` is the knowledge before it.
    fn after_edge(
        &mut self,
        counted: Result<Counted, I::Error>,
        before: Known,
        now: Instant,
    ) -> Result<(), ErrorOf<I, G>> {
        match counted.map_err(Error::Wdi)? {
            Counted::Yes => {
                self.known = before.after_edge(self.chip, now);
                Ok(())
            }
            Counted::Perhaps => Err(Error::TooEarly { earliest: self.known.opens }),
        }
    }

    fn in_state<T>(self) -> ExternalWatchdog<I, G, T> {
        let Self { chip, input, gate, known, state: _ } = self;
        ExternalWatchdog { chip, input, gate, known, state: PhantomData }
    }
}

impl<I: Input, G: Enable, S> ExternalWatchdog<I, G, S> {
    fn edge(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        let before = self.before_edge(now);
        let counted = self.input.edge(self.chip);
        self.after_edge(counted, before, now)
    }
}

impl<I: Steps, G: Enable, S> hardware::ErrorType for ExternalWatchdog<I, G, S> {
    type Error = ErrorOf<I, G>;
}

impl<I: Input, G: Enable, S: Connected> Watchdog for ExternalWatchdog<I, G, S> {
    /// Feeds the chip.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsTime`]: the chip has a window, and was not fed. [`Error::Wdi`]: the pin failed.
    fn feed(&mut self) -> Result<(), Self::Error> {
        self.needs_no_time()?;
        // Without a window each feed is sure.
        self.input.edge(self.chip).map(drop).map_err(Error::Wdi)
    }
}
