//! The errors of the feeder: [`Error`] of a call, [`NewError`] of a watchdog that could not be made.

use core::fmt::{self, Debug};
use core::mem::ManuallyDrop;

use crate::hardware::{self, ErrorKind};
use crate::time::Instant;

/// An error of the feeder. `W` is the error type of the WDI pin, `G` the error type of the gate's pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error<W, G> {
    /// The WDI pin failed. The chip may have been fed or not.
    #[error("pin WDI: {0:?}")]
    Wdi(W),
    /// The pin of the enable gate failed. The gate may be on or off.
    #[error("pin of the enable gate: {0:?}")]
    Gate(G),
    /// The window may not be open yet, or one reset time is not over yet. Try again at the earliest time.
    #[error("a feed before {} ms is a fault", earliest.as_millis())]
    TooEarly {
        /// The earliest time for the next feed.
        earliest: Instant,
    },
    /// The gate is off, and the chip was not fed in time. It may hold its RESET now, and an edge would latch it.
    #[error("the chip was not fed in time, and an edge could latch its RESET")]
    MayHoldReset,
    /// The chip has a window, so a feed needs the time: use `feed_at` or `Clocked`.
    #[error("the chip has a window, so a feed needs the time")]
    NeedsTime,
    /// The chip cannot be fed by this input, or not enabled by this pin. Toggling gives every second time an edge that
    /// does not count; a pulse gives two edges, and the window allows one. An enable pin needs an enable input of its
    /// level.
    #[error("the chip cannot be fed by that kind of input, or not enabled by that pin")]
    Unsuitable,
    /// The time-out is not the fixed time-out of the chip.
    #[error("the time-out of the chip is fixed")]
    FixedTimeout,
    /// The chip has no such setting.
    #[error(transparent)]
    Unsupported(hardware::Unsupported),
}

impl<W: Debug, G: Debug> hardware::Error for Error<W, G> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Wdi(_) | Self::Gate(_) => ErrorKind::Connection,
            Self::TooEarly { .. } => ErrorKind::TooEarly,
            Self::MayHoldReset | Self::NeedsTime | Self::Unsuitable => ErrorKind::InvalidState,
            Self::FixedTimeout => ErrorKind::UnsupportedTimeout,
            Self::Unsupported(unsupported) => unsupported.kind(),
        }
    }
}

/// The watchdog could not be created; [`release`](Self::release) gives the parts back. Dropping the error drops no pin,
/// so a chip that runs already is not switched off.
#[derive(thiserror::Error)]
#[error("the watchdog chip cannot be used: {error:?}")]
pub struct NewError<I, G, E> {
    /// The reason.
    pub error: E,
    pub(super) input: ManuallyDrop<I>,
    pub(super) gate: ManuallyDrop<G>,
}

impl<I, G, E> NewError<I, G, E> {
    /// The input and the gate, in their current state.
    pub fn release(self) -> (I, G) {
        (ManuallyDrop::into_inner(self.input), ManuallyDrop::into_inner(self.gate))
    }
}

impl<I, G, E: Debug> Debug for NewError<I, G, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewError").field("error", &self.error).finish_non_exhaustive()
    }
}
