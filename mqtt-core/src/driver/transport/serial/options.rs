//! Speed and framing of a line.

use std::{format, io, os::fd::AsFd};

use rustix::termios::{
    ControlModes, InputModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr,
};

/// The parity bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// The stop bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopBits {
    /// One.
    #[default]
    One,
    /// Two.
    Two,
}

/// Who may send when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowControl {
    /// Both may always send.
    #[default]
    None,
    /// Each end says by a wire whether it can receive (RTS and CTS).
    Hardware,
}

/// The options of a serial line. There are always eight data bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SerialOptions {
    baud: u32,
    parity: Parity,
    stop_bits: StopBits,
    flow_control: FlowControl,
}

impl SerialOptions {
    /// A line with so many bits in a second, without parity and flow control, with one stop bit.
    pub const fn new(baud: u32) -> Self {
        Self {
            baud,
            parity: Parity::None,
            stop_bits: StopBits::One,
            flow_control: FlowControl::None,
        }
    }

    /// The parity bit; none by default. A byte with a wrong one is dropped.
    pub const fn parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// The stop bits; one by default.
    pub const fn stop_bits(mut self, stop_bits: StopBits) -> Self {
        self.stop_bits = stop_bits;
        self
    }

    /// Flow control; none by default. Modems want it.
    pub const fn flow_control(mut self, flow_control: FlowControl) -> Self {
        self.flow_control = flow_control;
        self
    }

    /// Sets the line up: raw bytes, and a read that does not wait fails instead of giving nothing.
    pub(super) fn apply(&self, line: &impl AsFd) -> io::Result<()> {
        let mut settings = tcgetattr(line)?;
        settings.make_raw();
        settings.special_codes[SpecialCodeIndex::VMIN] = 1;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        settings.input_modes.set(InputModes::INPCK, self.parity != Parity::None);
        settings.input_modes.set(InputModes::IGNPAR, self.parity != Parity::None);
        settings.input_modes.remove(InputModes::IXOFF | InputModes::IXANY);
        let modes = &mut settings.control_modes;
        // CLOCAL: before a call there is no carrier.
        *modes |= ControlModes::CREAD | ControlModes::CLOCAL | ControlModes::HUPCL;
        modes.set(ControlModes::PARENB, self.parity != Parity::None);
        modes.set(ControlModes::PARODD, self.parity == Parity::Odd);
        modes.set(ControlModes::CSTOPB, self.stop_bits == StopBits::Two);
        modes.set(ControlModes::CRTSCTS, self.flow_control == FlowControl::Hardware);
        settings.set_speed(self.baud)?;
        tcsetattr(line, OptionalActions::Now, &settings)?;
        // That succeeds if the system could do a part of it.
        let now = tcgetattr(line)?;
        let near = |speed: u32| speed.abs_diff(self.baud) <= self.baud / 33;
        let framing = ControlModes::PARENB
            | ControlModes::PARODD
            | ControlModes::CSTOPB
            | ControlModes::CRTSCTS
            | ControlModes::CSIZE;
        let wanted = settings.control_modes & framing;
        if near(now.output_speed()) && now.control_modes & framing == wanted {
            return Ok(());
        }
        let text = format!("the device cannot do that: {self:?}");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}
