//! The thread of a sensor: it takes a reading each period, publishes it, and feeds its task.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use watchdog_core::Refused;

use crate::{
    beat::Beat,
    board::Board,
    inject::{AFTER, ThreadFault},
    sensor::Sensor,
    time::Span,
    uplink::Uplink,
};

/// What other threads tell the thread of a sensor.
#[derive(Debug)]
pub struct Control {
    /// The name of the sensor.
    pub name: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    period: Duration,
    stops: bool,
}

impl Control {
    /// The control of the sensor `name`.
    #[must_use]
    pub fn new(name: &str, period: Span) -> Arc<Self> {
        let state = Mutex::new(State { period: period.duration(), stops: false });
        Arc::new(Self { name: name.into(), state, changed: Condvar::new() })
    }

    /// A reading is taken at this interval from now on.
    pub fn set_period(&self, period: Span) {
        self.lock().period = period.duration();
        self.changed.notify_all();
    }

    /// The thread ends.
    pub fn stop(&self) {
        self.lock().stops = true;
        self.changed.notify_all();
    }

    /// Waits until a period after `last`. Returns whether the thread goes on.
    fn wait(&self, last: Instant) -> bool {
        let mut state = self.lock();
        loop {
            let left = (last + state.period).saturating_duration_since(Instant::now());
            if state.stops || left.is_zero() {
                return !state.stops;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work of the thread.
pub struct Sampling {
    /// What it reads.
    pub sensor: Box<dyn Sensor>,
    /// What it is told.
    pub control: Arc<Control>,
    /// Where the readings go.
    pub uplink: Arc<Uplink>,
    /// Where events are shown.
    pub board: Arc<Board>,
    /// Its task.
    pub beat: Beat,
    /// Its fault on purpose.
    pub fault: Option<ThreadFault>,
}

impl Sampling {
    /// Takes readings until it is told to stop.
    ///
    /// # Errors
    ///
    /// [`Refused`]: a feed came too late, and the watchdog bites.
    pub fn run(mut self) -> Result<(), Refused> {
        let mut taken = 0;
        let mut accepted = true;
        loop {
            let began = Instant::now();
            match self.sensor.measure() {
                Ok(value) => {
                    let published = self.uplink.reading(&self.control.name, value);
                    // Only the first one of a row is told.
                    match &published {
                        Err(error) if accepted => {
                            self.tell(&format!("readings are dropped: {error}"));
                        }
                        Ok(_) if !accepted => self.tell("readings are accepted again"),
                        Ok(_) | Err(_) => {}
                    }
                    accepted = published.is_ok();
                    self.beat.feed()?;
                    taken += 1;
                }
                Err(error) => self.tell(&format!("no reading: {error}")),
            }
            if let Some(fault) = self.fault.filter(|_| taken >= AFTER) {
                self.tell(&format!("{fault}, as injected"));
                fault.happen();
            }
            if !self.control.wait(began) {
                return self.beat.retire();
            }
        }
    }

    fn tell(&self, what: &str) {
        self.board.tell(&format!("{}: {what}", self.control.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_period_counts_from_the_last_reading_and_a_stop_ends_the_wait() {
        let control = Control::new("a", Span::from_millis(3_600_000));
        let last = Instant::now();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| control.wait(last));
            control.set_period(Span::from_millis(20));
            assert!(waiting.join().expect("it ends"), "it goes on");
            assert!(last.elapsed() >= Duration::from_millis(20));
            control.set_period(Span::from_millis(3_600_000));
            let waiting = scope.spawn(|| control.wait(Instant::now()));
            control.stop();
            assert!(!waiting.join().expect("it ends"), "it stops");
        });
    }
}
