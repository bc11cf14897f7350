//! The watchdog of the SAM D21, by `atsamd-hal` 0.23, without its window.
//!
//! - `start` takes any number as the period and knows no window; its register ignores the period while the watchdog runs.
//!   So a running watchdog, as by the fuses, is [`NotStarted::RunsAlready`], and `Adopt` takes it over.
//! - It always pauses under a debugger (DS40001882D, 18.5.7).
//! - The periods are powers of two from 8 to 16,384 ticks.
//! - GCLK_WDT has to run at 1,024 Hz, as it does after power-on; the HAL neither sets nor checks it.
#![no_std]

mod more;

use core::convert::Infallible;
use core::time::Duration;

use atsamd_hal::pac::Wdt;
use atsamd_hal::watchdog::Watchdog as HalWatchdog;
use embedded_hal_02::watchdog::{Watchdog as _, WatchdogEnable as _};
use watchdog_core::hardware::{
    Capabilities, ErrorType, NotStarted, Pause, Settings, Spread, Start, StartResult, Started,
    State, Watchdog,
};

/// The watchdog of the SAM D21, not started by this program.
pub struct Idle(pub Wdt);
/// The watchdog of the SAM D21, running.
pub struct Running(HalWatchdog);

/// The lowest, the nominal and the highest frequency of GCLK_WDT, in hertz: OSCULP32K divided by 32, with 30 %. See
/// README.md.
const CLOCK: [u32; 3] = [716, 1_024, 1_332];

impl ErrorType for Idle {
    type Error = NotStarted;
}

impl Start for Idle {
    type Running = Running;

    fn capabilities(&self) -> Capabilities {
        let range = Duration::from_millis(1)..=Duration::from_secs(16);
        Capabilities::new(range).pause_in_debug(Pause::Always)
    }

    /// With ALWAYSON it runs whatever ENABLE says.
    fn state(&self) -> State {
        let ctrl = self.0.ctrl().read();
        State::known(ctrl.enable().bit_is_set() || ctrl.alwayson().bit_is_set())
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let Self(wdt) = self.checked_and_stopped(&settings)?;
        let ticks = settings.timeout_ticks(1_024).next_power_of_two().max(8);
        let mut hal = HalWatchdog::new(wdt);
        hal.start(ticks.ilog2() as u8 - 3); // 0 is 8 ticks
        Ok(Started::new(Running(hal), Spread::ticks(ticks, CLOCK)))
    }
}

impl ErrorType for Running {
    type Error = Infallible;
}

impl Watchdog for Running {
    fn feed(&mut self) -> Result<(), Infallible> {
        self.0.feed();
        Ok(())
    }
}
