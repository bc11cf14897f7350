//! The enable circuit: a pin that lets the chip's RESET through to the board, or none.

use core::convert::Infallible;
use core::fmt::Debug;

use embedded_hal::digital::{OutputPin, PinState};

use super::{Armed, Connected, Permanent};

/// What connects the chip to the board: a [`Gate`], or [`NoGate`].
pub trait Enable {
    /// The error of its pin.
    type Error: Debug;
    /// The state after arming.
    type Armed: Connected;

    /// Switches it on or off.
    ///
    /// # Errors
    ///
    /// The pin's; it may be on or off then.
    fn set(&mut self, on: bool) -> Result<(), Self::Error>;
}

/// An output pin that connects the chip to RESET, through a transistor or a gate of logic.
#[derive(Debug, PartialEq, Eq)]
pub struct Gate<P> {
    pin: P,
    on: PinState,
}

impl<P> Gate<P> {
    /// The chip is connected while the pin is high.
    pub fn active_high(pin: P) -> Self {
        Self { pin, on: PinState::High }
    }

    /// The chip is connected while the pin is low.
    pub fn active_low(pin: P) -> Self {
        Self { pin, on: PinState::Low }
    }

    /// The pin, as it is.
    pub fn release(self) -> P {
        self.pin
    }
}

impl<P: OutputPin> Enable for Gate<P> {
    type Error = P::Error;
    type Armed = Armed;

    fn set(&mut self, on: bool) -> Result<(), P::Error> {
        self.pin.set_state(if on { self.on } else { !self.on })
    }
}

/// The chip is wired to RESET: it cannot be disarmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoGate;

impl Enable for NoGate {
    type Error = Infallible;
    type Armed = Permanent;

    fn set(&mut self, _: bool) -> Result<(), Infallible> {
        Ok(())
    }
}
