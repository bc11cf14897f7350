//! Start and take-over: [`Start`] begins a watchdog that is not running, [`Adopt`] takes over one that runs already.
//!
//! A watchdog may be running before the program has begun: an nRF goes on over a soft reset, an STM32 is started by its
//! option bytes, a SAM by its fuses, and any of them by a boot loader.

use core::fmt::{self, Debug};
use core::ops::RangeInclusive;
use core::time::Duration;

use super::{Capabilities, Error, ErrorKind, ErrorType, Settings, Spread, Unsupported, Watchdog};

/// Whether a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum State {
    /// It does not run: it cannot bite.
    NotRunning,
    /// It runs, and bites if it is not fed. [`Adopt`] it.
    Running,
    /// The hardware cannot be asked. It may run.
    Unknown,
}

impl State {
    /// The state of hardware that can be asked.
    #[must_use]
    pub const fn known(runs: bool) -> Self {
        if runs { Self::Running } else { Self::NotRunning }
    }
}

/// A watchdog that this program has not started yet.
pub trait Start: ErrorType + Sized {
    /// The same watchdog, running.
    type Running: Watchdog;

    /// The settings that [`start`](Self::start) accepts.
    fn capabilities(&self) -> Capabilities;

    /// The time-outs that [`start`](Self::start) accepts, both ends included.
    fn timeout_range(&self) -> RangeInclusive<Duration> {
        self.capabilities().timeout
    }

    /// Whether the device runs now, also before the start and after a start that failed.
    fn state(&self) -> State {
        State::Unknown
    }

    /// Starts the watchdog. The hardware is set to its shortest time-out that is not below the wanted one, and to its
    /// longest closed window that is not above. So feeds are safe at intervals between the two, measured by the device's
    /// clock. [`Started`] holds the times that were really set, and their spread over the tolerance of this clock: make
    /// the plan from it.
    ///
    /// # Errors
    ///
    /// [`StartError`] with the device. Ask [`state`](Self::state) whether it runs: a watchdog that ran before goes on,
    /// and some hardware starts before it can be set. A setting that the hardware cannot keep is
    /// [`ErrorKind::UnsupportedTimeout`](super::ErrorKind::UnsupportedTimeout) or
    /// [`ErrorKind::UnsupportedSetting`](super::ErrorKind::UnsupportedSetting); no setting is ignored or clamped. A
    /// device that runs already and cannot be set any more is
    /// [`ErrorKind::InvalidState`](super::ErrorKind::InvalidState).
    fn start(self, settings: Settings) -> StartResult<Self>;

    /// The device, if it can keep all settings: the first line of an implementation of [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`StartError`] with the first setting that it cannot keep. Nothing has changed.
    fn checked(self, settings: &Settings) -> Result<Self, StartError<Self, Self::Error>>
    where
        Self::Error: From<Unsupported>,
    {
        match self.capabilities().check(settings) {
            Ok(()) => Ok(self),
            Err(unsupported) => Err(StartError { error: unsupported.into(), device: self }),
        }
    }

    /// As [`checked`](Self::checked), for hardware that cannot be set while it runs.
    ///
    /// # Errors
    ///
    /// [`StartError`] with the first setting that it cannot keep, or because it runs. Nothing has changed.
    fn checked_and_stopped(self, settings: &Settings) -> Result<Self, StartError<Self, Self::Error>>
    where
        Self::Error: From<Unsupported> + From<NotStarted>,
    {
        let device = self.checked(settings)?;
        match device.state() {
            State::Running => Err(StartError { error: NotStarted::RunsAlready.into(), device }),
            State::NotRunning | State::Unknown => Ok(device),
        }
    }
}

/// The result of [`Start::start`].
pub type StartResult<S> =
    Result<Started<<S as Start>::Running>, StartError<S, <S as ErrorType>::Error>>;

/// A watchdog that may run before this program starts it.
pub trait Adopt: Start {
    /// Takes over the watchdog, if it runs already. It is neither set nor fed: [`Started`] holds the time-out and the
    /// window that it runs with. Feed it soon, because nobody knows when it was fed last; if it has a window, it may also
    /// have been fed just now.
    ///
    /// # Errors
    ///
    /// [`AdoptError`] with the device.
    fn adopt(self) -> AdoptResult<Self>;

    /// Adopts the watchdog if it runs already, and starts it otherwise. [`Started::adopted`] says which: a watchdog that
    /// was adopted has its own settings, not these.
    ///
    /// # Errors
    ///
    /// [`StartError`] with the device: it can neither be adopted nor started.
    fn adopt_or_start(self, settings: Settings) -> StartResult<Self> {
        match self.adopt() {
            Ok(adopted) => Ok(adopted),
            Err(AdoptError::NotRunning(device)) => device.start(settings),
            Err(AdoptError::Refused { error, device }) => Err(StartError { error, device }),
        }
    }
}

/// The result of [`Adopt::adopt`].
pub type AdoptResult<S> =
    Result<Started<<S as Start>::Running>, AdoptError<S, <S as ErrorType>::Error>>;

/// A running watchdog, with the times that it really has.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::Plan;
/// use watchdog_core::hardware::{Spread, Started};
///
/// # fn plan<W>(watchdog: W) -> Result<(), watchdog_core::PlanError> {
/// // As an implementation makes it: 2 s on the desk, ± 5 %, and a window of 0.4 s.
/// let started = Started::new(watchdog, Spread::percent(Duration::from_secs(2), 5))
///     .with_window(Spread::percent(Duration::from_millis(400), 5));
///
/// let timing = Plan::heartbeat(500)
///     .chip(started.shortest_millis(), started.longest_millis())
///     .window(started.window_millis())
///     .check()?;
/// assert_eq!((started.shortest_millis(), timing.window_millis()), (1_900, 421));
/// # Ok(()) }
/// # plan(()).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a running watchdog bites if it is not fed"]
#[non_exhaustive]
pub struct Started<W> {
    /// The running watchdog.
    pub watchdog: W,
    /// The time from a feed to the bite: the typical value is the one that was set, by the nominal clock.
    pub timeout: Spread,
    /// The closed window: a feed within this time after the last one is a fault. `None`: there is no window.
    pub window: Option<Spread>,
    /// The watchdog ran before, so only its time-out and its window are known.
    pub adopted: bool,
}

impl<W> Started<W> {
    /// A watchdog that has been started, without a window.
    pub const fn new(watchdog: W, timeout: Spread) -> Self {
        Self { watchdog, timeout, window: None, adopted: false }
    }

    /// A watchdog that ran before, without a window.
    pub const fn adopted(watchdog: W, timeout: Spread) -> Self {
        Self { watchdog, timeout, window: None, adopted: true }
    }

    /// With this closed window.
    pub fn with_window(self, window: Spread) -> Self {
        Self { window: Some(window), ..self }
    }

    /// The same with another watchdog, such as a wrapper around this one.
    pub fn map<V>(self, wrap: impl FnOnce(W) -> V) -> Started<V> {
        let Self { watchdog, timeout, window, adopted } = self;
        Started { watchdog: wrap(watchdog), timeout, window, adopted }
    }

    /// The shortest time-out in whole milliseconds, rounded down: the first number of
    /// [`Plan::chip`](crate::Plan::chip).
    #[must_use]
    pub const fn shortest_millis(&self) -> u32 {
        self.timeout.shortest_millis()
    }

    /// The longest time-out in whole milliseconds, rounded up: the second number of [`Plan::chip`](crate::Plan::chip).
    #[must_use]
    pub const fn longest_millis(&self) -> u32 {
        self.timeout.longest_millis()
    }

    /// The longest closed window for [`Plan::window`](crate::Plan::window), rounded as in [`Spread::window_millis`]; 0
    /// if there is no window.
    #[must_use]
    pub const fn window_millis(&self) -> u32 {
        match self.window {
            Some(window) => window.window_millis(),
            None => 0,
        }
    }
}

/// The watchdog did not start; the error gives it back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watchdog did not start: {error:?}")]
pub struct StartError<D, E> {
    /// The reason.
    pub error: E,
    /// The device. [`Start::state`] says whether it runs.
    pub device: D,
}

/// Shows the error only, because devices seldom implement `Debug`.
impl<D, E: Debug> Debug for StartError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartError").field("error", &self.error).finish_non_exhaustive()
    }
}

/// Why a watchdog did not start, for an implementation that has no other errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NotStarted {
    /// It cannot keep a setting.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// It runs already, and cannot be set any more. [Adopt](Adopt::adopt) it.
    #[error("the watchdog runs already")]
    RunsAlready,
}

impl Error for NotStarted {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported(unsupported) => unsupported.kind(),
            Self::RunsAlready => ErrorKind::InvalidState,
        }
    }
}

/// The watchdog was not adopted; the error gives the device back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError<D, E> {
    /// It does not run, or a start is right even if it runs. [Start](Start::start) it.
    #[error("the watchdog is not running")]
    NotRunning(D),
    /// It runs or may run, and the implementation cannot take it over: it is locked, or its time-out is unknown.
    #[error("the watchdog cannot be adopted: {error:?}")]
    Refused {
        /// The reason.
        error: E,
        /// The device. It has to be fed by its owner, or it bites.
        device: D,
    },
}

/// Shows the error only, because devices seldom implement `Debug`.
impl<D, E: Debug> Debug for AdoptError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(_) => f.debug_tuple("NotRunning").finish_non_exhaustive(),
            Self::Refused { error, .. } => {
                f.debug_struct("Refused").field("error", error).finish_non_exhaustive()
            }
        }
    }
}
