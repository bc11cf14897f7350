//! The watchdog of the nRF52840, by `nrf52840-hal` 0.19: one channel.
//!
//! - It goes on over a soft reset, and cannot be set then: [`Start::start`] fails with [`NotStarted::RunsAlready`], and
//!   `Adopt` takes it over with the time-out that it has.
//! - The HAL raises a time-out below 16 ticks silently, so [`Start::capabilities`] begins above.
//! - The interrupt before the bite comes at a fixed 61 µs, so there is no warning that could be set.
#![no_std]

mod more;

use core::convert::Infallible;
use core::time::Duration;

use nrf52840_hal::pac::WDT;
use nrf52840_hal::wdt::handles::Hdl0;
use nrf52840_hal::wdt::{Watchdog as HalWatchdog, WatchdogHandle, count::One};
use watchdog_core::hardware::{
    Capabilities, ErrorType, NotStarted, Pause, Settings, Spread, Start, StartError, StartResult,
    Started, State, Watchdog,
};

/// The watchdog of the nRF52840, not started by this program.
pub struct Idle(pub WDT);
/// The watchdog of the nRF52840, running.
pub struct Running(WatchdogHandle<Hdl0>);

/// The lowest, the nominal and the highest frequency of LFCLK, in hertz: the RC oscillator with 5 %. With a crystal,
/// write its tolerance.
const LFCLK: [u32; 3] = [31_130, 32_768, 34_406];

impl ErrorType for Idle {
    type Error = NotStarted;
}

impl Start for Idle {
    type Running = Running;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Duration::from_millis(1)..=Duration::from_secs(1 << 17))
            .pause_in_sleep(Pause::Selectable)
            .pause_in_debug(Pause::Selectable)
    }

    fn state(&self) -> State {
        State::known(self.0.runstatus.read().runstatus().bit_is_set())
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let Self(wdt) = self.checked(&settings)?;
        let running = |wdt| StartError { error: NotStarted::RunsAlready, device: Self(wdt) };
        let mut hal = HalWatchdog::try_new(wdt).map_err(running)?;
        let ticks = settings.timeout_ticks(32_768);
        hal.set_lfosc_ticks((ticks - 1) as u32); // CRV + 1 ticks
        hal.run_during_sleep(settings.get_pause_in_sleep() != Some(true));
        hal.run_during_debug_halt(settings.get_pause_in_debug() == Some(false));
        let (channel,) = hal.activate::<One>().handles;
        Ok(Started::new(Running(channel), Spread::ticks(ticks, LFCLK)))
    }
}

impl ErrorType for Running {
    type Error = Infallible;
}

impl Watchdog for Running {
    fn feed(&mut self) -> Result<(), Infallible> {
        self.0.pet();
        Ok(())
    }
}
