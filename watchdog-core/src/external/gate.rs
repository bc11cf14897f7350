//! The enable circuit: a pin that connects the chip's RESET to the board ([`Gate`]), a pin at the chip's own enable
//! input ([`EnablePin`]), or no such pin ([`NoGate`]).
//!
//! # The pin without a glitch
//!
//! From reset until the program drives the pin, a resistor decides; between 'output' and the first level, the HAL does.
//! A glitch that arms a chip that holds RESET resets the board; one that disarms goes unnoticed. So:
//!
//! 1. **A resistor sets the level of the floating pin.** Towards 'off' (disarmed), if the boot is longer than the
//!    chip's first time-out, or if the chip may be fed late before it is armed. Towards 'on' (armed), if a program that
//!    never starts has to be reset; the chip's first time-out then covers the whole boot. 10 kΩ is stronger than the
//!    pull resistors of microcontrollers (usually 30 to 50 kΩ), so a pull-up in a boot loader does not move the gate.
//! 2. **The level comes before the direction.** Set the output register to 'off' while the pin is an input still, then
//!    make the pin an output: `into_push_pull_output_in_state` (stm32f4xx-hal, atsamd-hal and others),
//!    `Output::new(pin, Level::Low, ..)` (embassy), `into_push_pull_output(Level::Low)` (nrf-hal). A function that
//!    makes it an output first, and takes no level, drives the reset value of the register, mostly low: harmless for an
//!    [active-high](Gate::active_high) gate, an armed chip for an [active-low](Gate::active_low) one. On Linux the
//!    request of the line carries the level.
//! 3. **The order at boot**: the gate's pin first, then [`ExternalWatchdog::new`](super::ExternalWatchdog::new) with
//!    the WDI pin, which switches the gate off (the level that it has already) and gives WDI its resting level; then
//!    the feeds of the boot; then [`arm`](super::ExternalWatchdog::arm). WDI wants the same care: its first level
//!    should be the resting level, low, or high for chips that count falling edges.
//! 4. **Nothing else owns the pin.** A debugger, a sleep mode or a pin multiplexer that floats it leaves the resistor
//!    in charge, so choose its direction for this, too.
//!
//! ```
//! # use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
//! # struct PA5(Mock);
//! # impl PA5 { fn into_push_pull_output_in_state(self, _: embedded_hal::digital::PinState) -> Mock { self.0 } }
//! # let mut mock = Mock::new(&[Transaction::set(State::Low)]);
//! # let pins = (PA5(mock.clone()),);
//! use embedded_hal::digital::PinState;
//! use watchdog_core::external::{Enable, Gate};
//!
//! // A transistor connects RESET while the pin is high; 10 kΩ to ground.
//! let mut gate = Gate::active_high(pins.0.into_push_pull_output_in_state(PinState::Low));
//! # gate.set(false)?;
//! # mock.done();
//! # Ok::<(), embedded_hal_mock::eh1::MockError>(())
//! ```

use core::convert::Infallible;
use core::fmt::Debug;

use embedded_hal::digital::{OutputPin, PinState};

use super::{Armed, Connected, Permanent};
use crate::chips::{EnableInput, Profile};

/// The connection of the chip to the board: a [`Gate`], an [`EnablePin`], or [`NoGate`].
pub trait Enable {
    /// The error of the pin.
    type Error: Debug;
    /// The state after arming.
    type Armed: Connected;
    /// Whether the chip counts while the connection is off. It may hold its RESET then, and the program does not notice
    /// it; so it needs proof that the chip was fed in time.
    const CAN_BE_OFF: bool = true;
    /// Whether the chip begins as after a RESET when the connection is switched on.
    const RESTARTS: bool = false;

    /// Whether this connection fits the chip.
    fn suits(&self, _: &Profile) -> bool {
        true
    }

    /// Switches the connection on or off.
    ///
    /// # Errors
    ///
    /// The error of the pin. The connection may be on or off then.
    fn set(&mut self, on: bool) -> Result<(), Self::Error>;
}

/// An output pin that connects the chip to RESET, through a transistor or a logic gate. See the
/// [module](crate::external::gate) for a start without a glitch.
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

/// An output pin at the chip's own [enable input](EnableInput). While the chip is disabled, it neither counts nor holds
/// RESET. So arming needs no proof that it was fed in time: it begins as after a RESET.
///
/// The input of most chips has a pull resistor that enables them while the pin floats: then the chip counts from reset
/// until the program disables it.
#[derive(Debug, PartialEq, Eq)]
pub struct EnablePin<P>(Gate<P>);

impl<P> EnablePin<P> {
    /// The chip is enabled while the pin is high.
    pub fn active_high(pin: P) -> Self {
        Self(Gate::active_high(pin))
    }

    /// The chip is enabled while the pin is low.
    pub fn active_low(pin: P) -> Self {
        Self(Gate::active_low(pin))
    }

    /// The pin, in its current state.
    pub fn release(self) -> P {
        self.0.release()
    }
}

impl<P: OutputPin> Enable for EnablePin<P> {
    type Error = P::Error;
    type Armed = Armed;
    const CAN_BE_OFF: bool = false;
    const RESTARTS: bool = true;

    fn suits(&self, chip: &Profile) -> bool {
        match chip.enable_input() {
            EnableInput::None => false,
            EnableInput::ActiveHigh => self.0.on == PinState::High,
            EnableInput::ActiveLow => self.0.on == PinState::Low,
        }
    }

    fn set(&mut self, on: bool) -> Result<(), P::Error> {
        self.0.set(on)
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
