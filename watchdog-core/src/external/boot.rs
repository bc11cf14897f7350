//! Boots that are longer than the time-out, so that they do not bite and a hang in them still does.
//!
//! | | while booting | a hang in boot | needs |
//! |---|---|---|---|
//! | [`EarlyFeeding`] | each step of the boot feeds, so many times and so long at most | bites | any running watchdog |
//! | [`DelayedStart`] | the gate is off until the boot is done, or has had its time | bites later, if a timer still runs | a gate |
//!
//! Where there is a choice, take the first: it depends on nothing that a hang can take along. A chip with a start-up
//! delay ([`Profile::start_up`](crate::chips::Profile::start_up)) needs neither for that long.
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
//! // Three steps, ten seconds together.
//! let mut boot = EarlyFeeding::new(dog, 3, 10_000, now());
//! check_flash();
//! boot.step(now())?;
//! mount();
//! boot.step(now())?;
//! let dog = boot.finish(); // for the supervisor
//! # Ok::<(), watchdog_core::external::boot::StepError<core::convert::Infallible>>(())
//! ```

use super::{Armed, Disarmed, Enable, Error, ErrorOf, ExternalWatchdog, Input};
use crate::hardware::{StartError, Watchdog};
use crate::time::Instant;

/// Feeds a watchdog at each step of a boot: a bounded number of times, for a bounded time.
#[derive(Debug)]
pub struct EarlyFeeding<D> {
    dog: D,
    steps_left: u32,
    end: Instant,
}

/// A step was not fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StepError<E> {
    /// The boot had more steps, or more time, than it was given. It is not fed any more.
    #[error("the boot took longer than it may")]
    Spent,
    /// The watchdog could not be fed.
    #[error("the watchdog could not be fed: {0:?}")]
    Feed(E),
}

impl<D: Watchdog> EarlyFeeding<D> {
    /// For a boot that begins now, of at most `steps` feeds and `millis` milliseconds.
    pub fn new(dog: D, steps: u32, millis: u64, now: Instant) -> Self {
        Self { dog, steps_left: steps, end: now.plus_millis(millis) }
    }

    /// A step of the boot is done: feeds.
    ///
    /// # Errors
    ///
    /// [`StepError::Spent`]: it was not fed, nor will it be; the watchdog bites unless the boot comes to its end first.
    /// [`StepError::Feed`]: the hardware's error; the step does not count.
    pub fn step(&mut self, now: Instant) -> Result<(), StepError<D::Error>> {
        if now > self.end {
            self.steps_left = 0;
        }
        let steps_left = self.steps_left.checked_sub(1).ok_or(StepError::Spent)?;
        self.dog.feed().map_err(StepError::Feed)?;
        self.steps_left = steps_left;
        Ok(())
    }

    /// The boot is done; here is the watchdog, for the supervisor.
    pub fn finish(self) -> D {
        self.dog
    }
}

/// Arms a chip when the boot is done, or when it has had its time.
///
/// [`poll`](Self::poll) it from a timer during the boot. Arming from a timer is right, since it needs no proof of
/// progress; feeding from one never is, once armed. A hang that takes the timer along is not noticed.
#[derive(Debug)]
pub struct DelayedStart<I, G> {
    dog: ExternalWatchdog<I, G, Disarmed>,
    due: Instant,
}

/// Whether a delayed start came.
#[derive(Debug)]
#[must_use = "it holds the watchdog"]
pub enum Delayed<I, G, S = Armed> {
    /// Not yet. The chip was fed where its window allowed that, so that it stays quiet.
    Waiting(DelayedStart<I, G>),
    /// It is armed: from here on only the supervisor feeds.
    Started(ExternalWatchdog<I, G, S>),
}

/// What a delayed start gives: `T`, or itself with an error.
pub type Delaying<I, G, T> = Result<T, StartError<DelayedStart<I, G>, ErrorOf<I, G>>>;

impl<I: Input, G: Enable> DelayedStart<I, G> {
    /// For a boot that begins now, and is to be done in `millis` milliseconds.
    pub fn new(dog: ExternalWatchdog<I, G, Disarmed>, millis: u64, now: Instant) -> Self {
        Self { dog, due: now.plus_millis(millis) }
    }

    /// When [`poll`](Self::poll) arms it.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Arms it if it is due, else keeps the chip quiet. To be called more often than the chip's shortest time-out.
    ///
    /// # Errors
    ///
    /// A pin failed; the delayed start is given back, to be polled again.
    pub fn poll(mut self, now: Instant) -> Delaying<I, G, Delayed<I, G, G::Armed>> {
        if now >= self.due {
            return self.arm().map(Delayed::Started);
        }
        match self.dog.feed_early(now) {
            Ok(()) | Err(Error::TooEarly { .. }) => Ok(Delayed::Waiting(self)),
            Err(error) => Err(StartError { error, device: self }),
        }
    }

    /// The boot is done: arms it.
    ///
    /// # Errors
    ///
    /// A pin failed; the delayed start is given back, to be armed again.
    pub fn arm(self) -> Delaying<I, G, ExternalWatchdog<I, G, G::Armed>> {
        let Self { dog, due } = self;
        dog.arm().map_err(|StartError { error, device }| StartError {
            error,
            device: Self { dog: device, due },
        })
    }
}
