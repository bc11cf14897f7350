//! The traits that a program needs seldom: the stop, and the bite on order.

use core::convert::Infallible;
use core::hint;

use fugit::MicrosDurationU32;
use watchdog_core::hardware::{BiteNow, NoBite, Stop, StopError};

use super::{Idle, Running};

impl Stop for Running {
    type Stopped = Idle;

    fn stop(self) -> Result<Idle, StopError<Self, Infallible>> {
        self.0.disable();
        Ok(Idle(self.0))
    }
}

/// The HAL does not reach the trigger bit. A time-out of one microsecond is as good, and the cause is 'timer' as after a
/// real bite.
impl BiteNow for Running {
    fn bite_now(mut self) -> Result<Infallible, NoBite<Self, Infallible>> {
        self.0.start(MicrosDurationU32::micros(1));
        loop {
            hint::spin_loop();
        }
    }
}
