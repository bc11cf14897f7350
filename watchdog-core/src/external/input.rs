//! What moves the WDI pin: [`Toggle`] or [`Pulse`]. They remember what they made of it, since a plain output pin cannot
//! be asked. Nor can they be cloned: a second one would not know what the first has done, and would feed behind the
//! supervisor's back.
//!
//! Invariant: an `edge` that gives `Ok` was one that the chip counts, whatever failed before and however soon it comes
//! after another: each level lasts at least the chip's shortest pulse.

use core::fmt::Debug;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{OutputPin, PinState};

use crate::chips::{Edge, Profile};

/// A way to feed a chip at its WDI pin.
pub trait Input {
    /// The error of the pin.
    type Error: Debug;

    /// Whether each feed is one to the chip.
    fn suits(&self, chip: &Profile) -> bool;

    /// Brings the pin to the level from which the first feed starts.
    ///
    /// # Errors
    ///
    /// The pin's.
    fn rest(&mut self, chip: &Profile) -> Result<(), Self::Error>;

    /// Makes one edge that the chip counts.
    ///
    /// # Errors
    ///
    /// The pin's; the chip may have seen the edge, or not.
    fn edge(&mut self, chip: &Profile) -> Result<(), Self::Error>;
}

/// Feeds by a change of level, for chips that take [either edge](Edge::Either).
///
/// The pin is high half of the time: through a 1 kΩ resistor to ground 3.3 mA flow then, which [`Pulse`] saves.
#[derive(Debug, PartialEq, Eq)]
pub struct Toggle<P, D> {
    pin: P,
    delay: D,
    /// `None`: unknown.
    level: Option<PinState>,
}

impl<P, D> Toggle<P, D> {
    /// Through this pin. The delay keeps two changes in a row from becoming a pulse too short for the chip, which would
    /// see neither.
    pub fn new(wdi: P, delay: D) -> Self {
        Self { pin: wdi, delay, level: None }
    }

    /// The pin and the delay, as they are.
    pub fn release(self) -> (P, D) {
        (self.pin, self.delay)
    }
}

impl<P: OutputPin, D: DelayNs> Toggle<P, D> {
    fn set(&mut self, level: PinState, chip: &Profile) -> Result<(), P::Error> {
        // Should it fail, nobody knows which level the pin has.
        self.level = None;
        self.pin.set_state(level)?;
        wait(&mut self.delay, chip);
        self.level = Some(level);
        Ok(())
    }
}

impl<P: OutputPin, D: DelayNs> Input for Toggle<P, D> {
    type Error = P::Error;

    fn suits(&self, chip: &Profile) -> bool {
        chip.edge() == Edge::Either
    }

    fn rest(&mut self, chip: &Profile) -> Result<(), P::Error> {
        self.set(PinState::Low, chip)
    }

    fn edge(&mut self, chip: &Profile) -> Result<(), P::Error> {
        let from = match self.level {
            Some(level) => level,
            // One of the two is an edge.
            None => {
                self.set(PinState::Low, chip)?;
                PinState::Low
            }
        };
        self.set(!from, chip)
    }
}

/// Feeds by a pulse as long as the chip's shortest, for any chip without a window and for those with one edge.
///
/// The pin rests at the level from which the counted edge starts: low, or high for chips that count
/// [falling edges](Edge::Falling).
#[derive(Debug, PartialEq, Eq)]
pub struct Pulse<P, D> {
    pin: P,
    delay: D,
    /// Whether the pin is known to be at its resting level.
    at_rest: bool,
}

impl<P, D> Pulse<P, D> {
    /// Through this pin, waiting with this delay.
    pub fn new(wdi: P, delay: D) -> Self {
        Self { pin: wdi, delay, at_rest: false }
    }

    /// The pin and the delay, as they are.
    pub fn release(self) -> (P, D) {
        (self.pin, self.delay)
    }
}

impl<P: OutputPin, D: DelayNs> Input for Pulse<P, D> {
    type Error = P::Error;

    fn suits(&self, chip: &Profile) -> bool {
        chip.edge() != Edge::Either || chip.window().is_none()
    }

    fn rest(&mut self, chip: &Profile) -> Result<(), P::Error> {
        self.at_rest = false;
        self.pin.set_state(resting_level(chip))?;
        wait(&mut self.delay, chip);
        self.at_rest = true;
        Ok(())
    }

    fn edge(&mut self, chip: &Profile) -> Result<(), P::Error> {
        if !self.at_rest {
            self.rest(chip)?;
        }
        self.at_rest = false;
        self.pin.set_state(!resting_level(chip))?;
        wait(&mut self.delay, chip);
        self.rest(chip)
    }
}

fn resting_level(chip: &Profile) -> PinState {
    match chip.edge() {
        Edge::Falling => PinState::High,
        Edge::Rising | Edge::Either => PinState::Low,
    }
}

/// So long that the chip sees the level; a profile has no longer pulse than 32 bits of nanoseconds.
fn wait(delay: &mut impl DelayNs, chip: &Profile) {
    let nanos = u32::try_from(chip.min_pulse().as_nanos());
    debug_assert!(
        nanos.is_ok(),
        "a checked profile has no longer pulse than 32 bits of nanoseconds"
    );
    delay.delay_ns(nanos.unwrap_or(u32::MAX));
}
