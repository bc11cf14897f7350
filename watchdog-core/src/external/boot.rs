//! Boots that are longer than the time-out: a healthy boot is not reset, and a hang in the boot still is.
//!
//! | | while booting | a hang in boot | needs |
//! |---|---|---|---|
//! | [`EarlyFeeding`] | each step of the boot feeds; number and time are limited | bites | any running watchdog |
//! | [`DelayedStart`] | the gate is off until the boot ends or its time is over | bites later, if a timer runs on | a gate |
//!
//! Prefer [`EarlyFeeding`]: it depends on nothing that can hang together with the boot. The chip's own
//! [`Start`](crate::chips::Start) matters, too:
//!
//! - With a start-up delay, or a long first time-out, neither is needed during this time, and a hang in it is found
//!   after it. If the first edge ends it ([`Delay`](crate::chips::Start::Delay),
//!   [`LongFirst`](crate::chips::Start::LongFirst)), do not feed before the boot is done. If edges in it are ignored
//!   ([`DeafDelay`](crate::chips::Start::DeafDelay)), feeds do no harm, and save nothing: be ready to feed at intervals
//!   of less than a time-out from the end of the shortest delay on.
//! - With [`FirstEdge`](crate::chips::Start::FirstEdge) the chip waits for ever, and **a hang in boot is never found**.
//!   Make the first edge at the beginning of the boot, by [`arm`](ExternalWatchdog::arm), and go on with
//!   [`EarlyFeeding`].
//! - With an [`EnablePin`](super::EnablePin) the chip is off until it is armed, so [`DelayedStart`] needs no feeds.
//!
//! ```
//! use watchdog_core::Instant;
//! use watchdog_core::external::boot::EarlyFeeding;
//! # use watchdog_core::hardware::{ErrorType, Watchdog};
//! # struct Dog;
//! # impl ErrorType for Dog { type Error = core::convert::Infallible; }
//! # impl Watchdog for Dog { fn feed(&mut self) -> Result<(), Self::Error> { Ok(()) } }
//! # let (dog, now) = (Dog, || Instant::from_millis(0));
//! # fn check_flash() {}
//! # fn mount() {}
//! // At most three feeds within ten seconds.
//! let mut boot = EarlyFeeding::new(dog, 3, 10_000, now());
//! check_flash();
//! boot.step(now())?;
//! mount();
//! boot.step(now())?;
//! let dog = boot.finish(); // for the supervisor
//! # Ok::<(), watchdog_core::external::boot::StepError<core::convert::Infallible>>(())
//! ```

use core::mem::ManuallyDrop;

use super::{Armed, Disarmed, Enable, Error, ErrorOf, ExternalWatchdog, Input};
use crate::hardware::{StartError, Watchdog};
use crate::time::Instant;

/// Feeds a watchdog at each step of a boot: a limited number of times, for a limited time.
///
/// If it is dropped, the watchdog stays as it is and bites: only [`finish`](Self::finish) gives it back.
#[derive(Debug)]
pub struct EarlyFeeding<D> {
    /// Never dropped: a HAL may stop a watchdog, or disconnect its pin, when it is dropped.
    dog: ManuallyDrop<D>,
    steps_left: u32,
    end: Instant,
}

/// Why a step did not feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StepError<E> {
    /// The boot has used more steps or more time than allowed. It does not feed any more.
    #[error("the boot took too many steps or too long")]
    Spent,
    /// The watchdog could not be fed.
    #[error("the watchdog could not be fed: {0:?}")]
    Feed(E),
}

impl<D: Watchdog> EarlyFeeding<D> {
    /// For a boot that begins at `now`, with at most `steps` feeds within `millis` milliseconds.
    pub fn new(dog: D, steps: u32, millis: u64, now: Instant) -> Self {
        Self { dog: ManuallyDrop::new(dog), steps_left: steps, end: now.plus_millis(millis) }
    }

    /// Feeds, because a step of the boot is done.
    ///
    /// # Errors
    ///
    /// [`StepError::Spent`]: this step and all later ones do not feed; the watchdog bites unless the boot ends first.
    /// [`StepError::Feed`]: the error of the hardware; the step does not count.
    pub fn step(&mut self, now: Instant) -> Result<(), StepError<D::Error>> {
        if now > self.end {
            self.steps_left = 0;
        }
        let steps_left = self.steps_left.checked_sub(1).ok_or(StepError::Spent)?;
        self.dog.feed().map_err(StepError::Feed)?;
        self.steps_left = steps_left;
        Ok(())
    }

    /// Ends the boot, and gives the watchdog back, for the supervisor.
    pub fn finish(self) -> D {
        ManuallyDrop::into_inner(self.dog)
    }
}

/// Arms a chip when the boot is done, or when the time for the boot is over.
///
/// Call [`poll`](Self::poll) from a timer during the boot. A timer may arm the chip, because arming needs no proof of
/// progress. A timer must never feed an armed chip. A hang that stops the timer, too, is not noticed.
#[derive(Debug)]
pub struct DelayedStart<I, G> {
    dog: ExternalWatchdog<I, G, Disarmed>,
    due: Instant,
}

/// The result of polling a delayed start.
#[derive(Debug)]
#[must_use = "it holds the watchdog"]
pub enum Delayed<I, G, S = Armed> {
    /// The chip is not armed yet. It was fed if its window was open, so that it does not bite.
    Waiting(DelayedStart<I, G>),
    /// The chip is armed: from now on only the supervisor feeds it.
    Started(ExternalWatchdog<I, G, S>),
}

/// The result of a call of a delayed start: `T`, or an error that gives the delayed start back.
pub type Delaying<I, G, T> = Result<T, StartError<DelayedStart<I, G>, ErrorOf<I, G>>>;

impl<I: Input, G: Enable> DelayedStart<I, G> {
    /// For a boot that begins at `now`, and has to be done within `millis` milliseconds.
    pub fn new(dog: ExternalWatchdog<I, G, Disarmed>, millis: u64, now: Instant) -> Self {
        Self { dog, due: now.plus_millis(millis) }
    }

    /// The time from which on [`poll`](Self::poll) arms the chip.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Arms the chip if the time for the boot is over; otherwise feeds it, so that it does not bite. Call it more often
    /// than the chip's shortest time-out. While it is too early for a feed, it waits.
    ///
    /// # Errors
    ///
    /// A pin failed; poll it again. [`Error::MayHoldReset`]: it was not polled in time. The error gives the delayed
    /// start back.
    pub fn poll(mut self, now: Instant) -> Delaying<I, G, Delayed<I, G, G::Armed>> {
        if now >= self.due {
            return match self.arm(now) {
                Ok(dog) => Ok(Delayed::Started(dog)),
                Err(StartError { error: Error::TooEarly { .. }, device }) => {
                    Ok(Delayed::Waiting(device))
                }
                Err(error) => Err(error),
            };
        }
        match self.dog.feed_early(now) {
            Ok(()) | Err(Error::TooEarly { .. }) => Ok(Delayed::Waiting(self)),
            Err(error) => Err(StartError { error, device: self }),
        }
    }

    /// Arms the chip, because the boot is done.
    ///
    /// # Errors
    ///
    /// As [`ExternalWatchdog::arm`]. The error gives the delayed start back; arm it again.
    pub fn arm(self, now: Instant) -> Delaying<I, G, ExternalWatchdog<I, G, G::Armed>> {
        let Self { dog, due } = self;
        dog.arm(now).map_err(|StartError { error, device }| StartError {
            error,
            device: Self { dog: device, due },
        })
    }
}
