//! A chip behind the traits of [`hardware`](crate::hardware): they have no time, so [`Clocked`] reads a clock.
//!
//! A window, arming and disarming need the time. Only a chip without a window can be fed without a clock.

use super::{Armed, Connected, Disarmed, Enable, Error, ErrorOf, ExternalWatchdog, Input};
pub use crate::hardware::Clocked;
use crate::hardware::{
    Capabilities, FeedAt, Setting, Settings, Spread, Start, StartError, StartResult, Started,
    State, Stop, StopError, Unsupported,
};
use crate::time::Instant;

impl<I: Input, G: Enable, S: Connected> FeedAt for ExternalWatchdog<I, G, S> {
    fn feed_at(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        Self::feed_at(self, now)
    }

    fn fed_until(&mut self, now: Instant) {
        edge_until(self, now);
    }
}

/// The last edge came at `now` at the latest, so the window counts from here.
pub(super) fn edge_until<I, G, S>(dog: &mut ExternalWatchdog<I, G, S>, now: Instant) {
    let later = dog.known.perhaps_fed(dog.chip, now);
    if dog.known.opens < later.opens {
        dog.known = later;
    }
}

/// Arms the chip. The only time-out is the chip's shortest one, and the only window its own.
impl<I, G, C> Start for Clocked<ExternalWatchdog<I, G, Disarmed>, C>
where
    I: Input,
    G: Enable,
    C: FnMut() -> Instant,
{
    type Running = Clocked<ExternalWatchdog<I, G, G::Armed>, C>;

    fn capabilities(&self) -> Capabilities {
        let chip = self.get().chip();
        let only = Capabilities::new(chip.feed_before()..=chip.feed_before());
        match chip.window() {
            Some(Spread { max, .. }) => only.window(max..=max),
            None => only,
        }
    }

    /// A chip without a gate runs. The gate may be on after an order to it that failed, so with a gate it is unknown.
    fn state(&self) -> State {
        if G::CAN_BE_OFF { State::Unknown } else { State::Running }
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let (dog, mut clock) = self.checked(&settings)?.into_parts();
        let chip = dog.chip();
        match dog.arm(clock()) {
            Ok(mut dog) => {
                edge_until(&mut dog, clock());
                let started = Started::new(Clocked::new(dog, clock), chip.timeout());
                Ok(match chip.window() {
                    Some(window) => started.with_window(window),
                    None => started,
                })
            }
            Err(StartError { error, device }) => {
                Err(StartError { error, device: Self::new(device, clock) })
            }
        }
    }
}

impl<W, G> From<Unsupported> for Error<W, G> {
    fn from(unsupported: Unsupported) -> Self {
        match unsupported {
            Unsupported(Setting::Timeout) => Self::FixedTimeout,
            unsupported => Self::Unsupported(unsupported),
        }
    }
}

impl<I, G, C> Stop for Clocked<ExternalWatchdog<I, G, Armed>, C>
where
    I: Input,
    G: Enable,
    C: FnMut() -> Instant,
{
    type Stopped = Clocked<ExternalWatchdog<I, G, Disarmed>, C>;

    fn stop(self) -> Result<Self::Stopped, StopError<Self, Self::Error>> {
        let (dog, mut clock) = self.into_parts();
        match dog.disarm(clock()) {
            Ok(mut dog) => {
                edge_until(&mut dog, clock());
                Ok(Clocked::new(dog, clock))
            }
            Err(StopError { error, watchdog }) => {
                Err(StopError { error, watchdog: Self::new(watchdog, clock) })
            }
        }
    }
}
