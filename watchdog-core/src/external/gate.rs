//! The enable circuit: a pin that connects the chip's RESET to the board, or no such pin.

use core::convert::Infallible;
use core::fmt::Debug;

use embedded_hal::digital::{OutputPin, PinState};

use super::{Armed, Connected, Permanent};

/// The connection of the chip to the board: a [`Gate`], or [`NoGate`].
pub trait Enable {
    /// The error of the pin.
    type Error: Debug;
    /// The state after arming.
    type Armed: Connected;
    /// Whether the connection can be off. While it is off, the chip may hold its RESET, and the program does not notice
    /// it; so it needs proof that the chip was fed in time.
    const CAN_BE_OFF: bool = true;

    /// Switches the connection on or off.
    ///
    /// # Errors
    ///
    /// The error of the pin. The connection may be on or off then.
    fn set(&mut self, on: bool) -> Result<(), Self::Error>;
}

/// An output pin that connects the chip to RESET, through a transistor or a logic gate.
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

    /// The pin, in its current state.
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
    // A program that runs proves that the chip does not hold RESET.
    const CAN_BE_OFF: bool = false;

    fn set(&mut self, _: bool) -> Result<(), Infallible> {
        Ok(())
    }
}
