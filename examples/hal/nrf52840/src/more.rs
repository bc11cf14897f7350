//! The take-over of a watchdog that runs already, as after a soft reset.

use nrf52840_hal::wdt::{Watchdog as HalWatchdog, count::One};
use watchdog_core::hardware::{
    Adopt, AdoptError, AdoptResult, NotStarted, Spread, Start as _, Started, State,
};

use super::{Idle, LFCLK, Running};

impl Adopt for Idle {
    /// It is refused if it runs with another number of channels: each of them has to be fed.
    fn adopt(self) -> AdoptResult<Self> {
        if self.state() == State::NotRunning {
            return Err(AdoptError::NotRunning(self));
        }
        let ticks = u64::from(self.0.crv.read().crv().bits()) + 1;
        match HalWatchdog::try_recover::<One>(self.0) {
            Ok(parts) => {
                let (channel,) = parts.handles;
                Ok(Started::adopted(Running(channel), Spread::ticks(ticks, LFCLK)))
            }
            Err(wdt) => {
                Err(AdoptError::Refused { error: NotStarted::RunsAlready, device: Self(wdt) })
            }
        }
    }
}
