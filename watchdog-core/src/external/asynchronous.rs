//! The feeder for executors: the wait for the shortest pulse does not block. The steps, the checks and the knowledge of
//! the chip are those of the blocking feeder; only the waits differ.
//!
//! Every future may be dropped at any time. The pin keeps the level that was set last, the chip counts as perhaps fed,
//! and the next feed is a whole one. No future owns the watchdog, so no drop loses it: arming and disarming do not
//! wait, and use a feed that is done, by [`ExternalWatchdog::arm_fed`] and [`ExternalWatchdog::disarm_fed`].

use core::future::Future;

use embedded_hal::digital::OutputPin;
use embedded_hal_async::delay::DelayNs;

use super::clocked::edge_until;
use super::{
    Clocked, Connected, Counted, Disarmed, Enable, Error, ErrorOf, ExternalWatchdog, Progress,
    Pulse, Step, Steps, Toggle,
};
use crate::chips::Profile;
use crate::hardware::{AsyncWatchdog, may_have_fed};
use crate::time::Instant;

/// An input that waits without blocking while a level has to last. Give [`Toggle`] or [`Pulse`] a delay of
/// `embedded-hal-async`.
pub trait AsyncInput: Steps {
    /// Waits for this time.
    fn wait(&mut self, nanos: u32) -> impl Future<Output = ()>;

    /// Makes an edge that the chip counts, by [`steps`](Steps::step) and [waits](Self::wait).
    ///
    /// # Errors
    ///
    /// As [`Steps::step`].
    fn edge(&mut self, chip: &Profile) -> impl Future<Output = Result<Counted, Self::Error>> {
        async {
            let mut progress = Progress::Begun;
            loop {
                match self.step(&mut progress, chip)? {
                    Step::Wait => {
                        self.wait(chip.feeding().pulse_nanos).await;
                        self.held();
                    }
                    Step::Done(counted) => return Ok(counted),
                }
            }
        }
    }
}

impl<P: OutputPin, D: DelayNs> AsyncInput for Toggle<P, D> {
    async fn wait(&mut self, nanos: u32) {
        self.delay.delay_ns(nanos).await;
    }
}

impl<P: OutputPin, D: DelayNs> AsyncInput for Pulse<P, D> {
    async fn wait(&mut self, nanos: u32) {
        self.delay.delay_ns(nanos).await;
    }
}

impl<I: AsyncInput, G: Enable> ExternalWatchdog<I, G, Disarmed> {
    /// As [`feed_early`](Self::feed_early), without blocking. [`arm_fed`](Self::arm_fed) arms the chip after it.
    ///
    /// # Errors
    ///
    /// As [`feed_early`](Self::feed_early).
    pub async fn feed_early_async(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        let (proves, before) = (self.allows_edge(now)?, self.known);
        self.edge_async(now).await?;
        self.after_early_edge(proves, before, now);
        Ok(())
    }
}

impl<I: AsyncInput, G: Enable, S: Connected> ExternalWatchdog<I, G, S> {
    /// As [`feed_at`](Self::feed_at), without blocking. [`disarm_fed`](ExternalWatchdog::disarm_fed) disarms the chip
    /// after it.
    ///
    /// # Errors
    ///
    /// As [`feed_at`](Self::feed_at).
    pub async fn feed_at_async(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        self.in_window(now)?;
        self.edge_async(now).await
    }
}

impl<I: AsyncInput, G: Enable, S> ExternalWatchdog<I, G, S> {
    async fn edge_async(&mut self, now: Instant) -> Result<(), ErrorOf<I, G>> {
        let before = self.before_edge(now);
        let counted = self.input.edge(self.chip).await;
        self.after_edge(counted, before, now)
    }
}

impl<I: AsyncInput, G: Enable, S: Connected> AsyncWatchdog for ExternalWatchdog<I, G, S> {
    /// Feeds the chip.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsTime`]: the chip has a window, and was not fed. [`Error::Wdi`]: the pin failed.
    async fn feed_async(&mut self) -> Result<(), Self::Error> {
        self.needs_no_time()?;
        // Without a window each feed is sure.
        self.input.edge(self.chip).await.map(drop).map_err(Error::Wdi)
    }
}

impl<I, G, S, C> AsyncWatchdog for Clocked<ExternalWatchdog<I, G, S>, C>
where
    I: AsyncInput,
    G: Enable,
    S: Connected,
    C: FnMut() -> Instant,
{
    /// Feeds the chip.
    ///
    /// # Errors
    ///
    /// [`Error::TooEarly`]: the chip was not fed. [`Error::Wdi`]: the pin failed.
    async fn feed_async(&mut self) -> Result<(), Self::Error> {
        let (dog, clock) = self.parts();
        let fed = dog.feed_at_async(clock()).await;
        if may_have_fed(&fed) {
            edge_until(dog, clock());
        }
        fed
    }
}
