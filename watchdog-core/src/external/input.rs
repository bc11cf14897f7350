//! The inputs that drive the WDI pin: [`Toggle`] or [`Pulse`]. They store the level of the pin, because a plain output
//! pin cannot be read. They cannot be cloned: a clone would not know the level, and could feed without the supervisor.
//!
//! Invariants: if `edge` returns `Counted::Yes`, the chip has counted an edge, whatever failed before, and however short
//! the time since the last edge is: each level lasts at least the chip's shortest pulse. For a chip with a window, one
//! call makes at most one edge that counts.

use core::fmt::Debug;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{OutputPin, PinState};

use crate::chips::{Edge, Profile};

/// Whether the chip has counted an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// It has.
    Yes,
    /// The level before was unknown, so the change may have been an edge or none. The level is known now: the next
    /// change is an edge.
    Perhaps,
}

/// A way to feed a chip at its WDI pin.
pub trait Input {
    /// The error of the pin.
    type Error: Debug;

    /// Whether this input can feed the chip: each feed makes an edge that counts, and none that is a fault.
    fn suits(&self, chip: &Profile) -> bool;

    /// Brings the pin to its resting level, from which the first feed starts. This is not called while the pin may be
    /// driven already.
    ///
    /// # Errors
    ///
    /// The error of the pin.
    fn rest(&mut self, chip: &Profile) -> Result<(), Self::Error>;

    /// Makes an edge that the chip counts. If the chip has a window, it makes one such edge and no second one.
    ///
    /// # Errors
    ///
    /// The error of the pin. The chip may have seen the edge or not.
    fn edge(&mut self, chip: &Profile) -> Result<Counted, Self::Error>;
}

/// Feeds by a change of level, for chips that count [either edge](Edge::Either).
///
/// The pin is high half of the time. With a 1 kΩ resistor to ground, 3.3 mA flow then; [`Pulse`] saves this current.
#[derive(Debug, PartialEq, Eq)]
pub struct Toggle<P, D> {
    pin: P,
    delay: D,
    /// `None`: the level is unknown.
    level: Option<PinState>,
}

impl<P, D> Toggle<P, D> {
    /// Toggles this pin. Without the delay after each change, two changes in a row could be a pulse that is too short
    /// for the chip, and the chip would see neither edge.
    pub fn new(wdi: P, delay: D) -> Self {
        Self { pin: wdi, delay, level: None }
    }

    /// The pin and the delay, in their current state.
    pub fn release(self) -> (P, D) {
        (self.pin, self.delay)
    }
}

impl<P: OutputPin, D: DelayNs> Toggle<P, D> {
    fn set(&mut self, level: PinState, chip: &Profile) -> Result<(), P::Error> {
        // If the pin fails, its level is unknown.
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

    fn edge(&mut self, chip: &Profile) -> Result<Counted, P::Error> {
        let from = match self.level {
            Some(level) => level,
            // From any level, one of the two changes is an edge. Perhaps both are, and the window allows one.
            None => {
                self.set(PinState::Low, chip)?;
                if chip.window().is_some() {
                    return Ok(Counted::Perhaps);
                }
                PinState::Low
            }
        };
        self.set(!from, chip)?;
        Ok(Counted::Yes)
    }
}

/// Feeds by a pulse of the chip's shortest length. For every chip without a window, and for chips that count one kind
/// of edge.
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
    /// Makes pulses at this pin, and waits with this delay.
    pub fn new(wdi: P, delay: D) -> Self {
        Self { pin: wdi, delay, at_rest: false }
    }

    /// The pin and the delay, in their current state.
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

    fn edge(&mut self, chip: &Profile) -> Result<Counted, P::Error> {
        if !self.at_rest {
            self.rest(chip)?;
        }
        self.at_rest = false;
        self.pin.set_state(!resting_level(chip))?;
        wait(&mut self.delay, chip);
        self.rest(chip)?;
        Ok(Counted::Yes)
    }
}

fn resting_level(chip: &Profile) -> PinState {
    match chip.edge() {
        Edge::Falling => PinState::High,
        Edge::Rising | Edge::Either => PinState::Low,
    }
}

/// Waits until the chip has detected the level.
fn wait(delay: &mut impl DelayNs, chip: &Profile) {
    let nanos = u32::try_from(chip.min_pulse().as_nanos());
    debug_assert!(
        nanos.is_ok(),
        "a checked profile has no longer pulse than 32 bits of nanoseconds"
    );
    delay.delay_ns(nanos.unwrap_or(u32::MAX));
}
