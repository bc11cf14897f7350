//! Scripted hardware for `tests/hardware.rs`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use watchdog_core::Instant;
use watchdog_core::hardware::{
    Adopt, AdoptError, AdoptResult, BiteNow, Capabilities, ErrorKind, ErrorType, NoBite,
    NotStarted, Settings, Spread, Start, StartResult, Started, State, Stop, StopError, Watchdog,
};

/// The time of the whole bench, in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Time(Rc<Cell<u64>>);

impl Time {
    pub(crate) fn set(&self, millis: u64) {
        self.0.set(millis);
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.0.get())
    }
}

/// The outcome of one feed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Fed,
    /// An error, and the hardware was not fed.
    Fails,
    /// An error, and the hardware was fed in spite of it.
    FailsFed,
    /// Refused as too early.
    TooEarly,
}

/// A running watchdog whose early feed resets the device. After its script every feed succeeds.
pub(crate) struct Scripted {
    time: Time,
    window: u64,
    delay: u64,
    script: Vec<Outcome>,
    stays: bool,
    last: u64,
    feeds: u32,
    early: bool,
    longest_gap: u64,
}

impl Scripted {
    /// The start counts as a feed, at time zero.
    pub(crate) fn new<const N: usize>(time: &Time, window: u64, script: [Outcome; N]) -> Self {
        let script = script.into_iter().rev().collect();
        Self {
            time: time.clone(),
            window,
            delay: 0,
            script,
            stays: false,
            last: 0,
            feeds: 0,
            early: false,
            longest_gap: 0,
        }
    }

    /// An interrupt comes before each feed.
    pub(crate) fn delayed_by(self, millis: u64) -> Self {
        Self { delay: millis, ..self }
    }

    /// It neither stops nor bites on order.
    pub(crate) fn that_stays(self) -> Self {
        Self { stays: true, ..self }
    }

    pub(crate) fn feeds(&self) -> u32 {
        self.feeds
    }

    pub(crate) fn was_fed_early(&self) -> bool {
        self.early
    }

    /// The longest time between two feeds, the last one included that has not ended yet.
    pub(crate) fn longest_gap(&self) -> u64 {
        self.longest_gap.max(self.time.0.get() - self.last)
    }

    fn counts(&mut self) {
        let now = self.time.0.get();
        let gap = now - self.last;
        self.early |= gap < self.window;
        self.longest_gap = self.longest_gap.max(gap);
        self.last = now;
        self.feeds += 1;
    }
}

impl ErrorType for Scripted {
    type Error = ErrorKind;
}

impl Watchdog for Scripted {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        self.time.set(self.time.0.get() + self.delay);
        match self.script.pop().unwrap_or(Outcome::Fed) {
            Outcome::Fed => {
                self.counts();
                Ok(())
            }
            Outcome::Fails => Err(ErrorKind::Connection),
            Outcome::FailsFed => {
                self.counts();
                Err(ErrorKind::Connection)
            }
            Outcome::TooEarly => Err(ErrorKind::TooEarly),
        }
    }
}

impl Stop for Scripted {
    type Stopped = ();

    fn stop(self) -> Result<(), StopError<Self, ErrorKind>> {
        if self.stays {
            Err(StopError { error: ErrorKind::InvalidState, watchdog: self })
        } else {
            Ok(())
        }
    }
}

impl BiteNow for Scripted {
    fn bite_now(self) -> Result<std::convert::Infallible, NoBite<Self, ErrorKind>> {
        if self.stays {
            Err(NoBite { error: ErrorKind::InvalidState, watchdog: self })
        } else {
            std::panic::panic_any("the device is reset")
        }
    }
}

/// A watchdog with steps of 10 ms and a tolerance of 10 %, which cannot be set while it runs.
pub(crate) struct Device {
    /// The time-out that it runs with.
    runs: Option<Duration>,
    locked: bool,
}

impl Device {
    pub(crate) fn stopped() -> Self {
        Self { runs: None, locked: false }
    }

    /// As an nRF after a soft reset, or an STM32 by its option bytes.
    pub(crate) fn running(timeout: Duration) -> Self {
        Self { runs: Some(timeout), locked: false }
    }

    /// Running, and its registers do not say how.
    pub(crate) fn locked() -> Self {
        Self { runs: Some(Duration::ZERO), locked: true }
    }
}

impl ErrorType for Device {
    type Error = NotStarted;
}

impl Start for Device {
    type Running = Scripted;

    fn capabilities(&self) -> Capabilities {
        let ms = Duration::from_millis;
        Capabilities::new(ms(1)..=ms(16_000)).window(ms(10)..=ms(16_000))
    }

    fn state(&self) -> State {
        State::known(self.runs.is_some())
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let _stopped = self.checked_and_stopped(&settings)?;
        let time = |ticks: u64| Spread::percent(Duration::from_millis(ticks * 10), 10);
        let started =
            Started::new(Scripted::new(&Time::default(), 0, []), time(settings.timeout_ticks(100)));
        Ok(match settings.get_window() {
            Some(_) => started.with_window(time(settings.window_ticks(100))),
            None => started,
        })
    }
}

impl Adopt for Device {
    fn adopt(self) -> AdoptResult<Self> {
        match self.runs {
            None => Err(AdoptError::NotRunning(self)),
            Some(_) if self.locked => {
                Err(AdoptError::Refused { error: NotStarted::RunsAlready, device: self })
            }
            Some(timeout) => {
                let running = Scripted::new(&Time::default(), 0, []);
                Ok(Started::adopted(running, Spread::percent(timeout, 10)))
            }
        }
    }
}
