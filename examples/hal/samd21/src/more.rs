//! The take-over of a watchdog that runs already.

use atsamd_hal::watchdog::Watchdog as HalWatchdog;
use watchdog_core::hardware::{
    Adopt, AdoptError, AdoptResult, NotStarted, Spread, Start as _, Started, State,
};

use super::{CLOCK, Idle, Running};

impl Adopt for Idle {
    /// It is refused if it has a window, because this adapter knows none.
    fn adopt(self) -> AdoptResult<Self> {
        if self.state() == State::NotRunning {
            return Err(AdoptError::NotRunning(self));
        }
        if self.0.ctrl().read().wen().bit_is_set() {
            return Err(AdoptError::Refused { error: NotStarted::RunsAlready, device: self });
        }
        let ticks = 8_u64 << self.0.config().read().per().bits();
        let running = Running(HalWatchdog::new(self.0));
        Ok(Started::adopted(running, Spread::ticks(ticks, CLOCK)))
    }
}
