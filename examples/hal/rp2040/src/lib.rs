//! The watchdog of the RP2040, by `rp2040-hal` 0.12.
//!
//! - `Watchdog::start` panics above 8.388607 s, so [`Start::capabilities`] ends there.
//! - The HAL always lets it pause under a debugger: each start writes the reset value of the pause bits.
//! - It counts the ticks of `clk_ref`. Without `enable_tick_generation`, which `init_clocks_and_plls` calls, it does not
//!   count at all, and nothing reports it.
//! - Whether it runs cannot be read back, so [`Start::state`] is unknown. A start is right also if it runs.
#![no_std]

mod more;

use core::convert::Infallible;
use core::time::Duration;

use fugit::MicrosDurationU32;
use rp2040_hal::watchdog::Watchdog as HalWatchdog;
use watchdog_core::hardware::{
    Capabilities, ErrorType, Pause, Settings, Spread, Start, StartResult, Started, Unsupported,
    Watchdog,
};

/// The watchdog of the RP2040, not started by this program.
pub struct Idle(pub HalWatchdog);
/// The watchdog of the RP2040, running.
pub struct Running(HalWatchdog);

impl ErrorType for Idle {
    type Error = Unsupported;
}

impl Start for Idle {
    type Running = Running;

    fn capabilities(&self) -> Capabilities {
        let longest = Duration::from_micros(0xFF_FFFF / 2); // it counts by two: erratum RP2040-E1
        Capabilities::new(Duration::from_micros(1)..=longest).pause_in_debug(Pause::Always)
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let Self(mut hal) = self.checked(&settings)?;
        let micros = settings.timeout_ticks(1_000_000);
        hal.start(MicrosDurationU32::micros(micros as u32));
        // A crystal at clk_ref is far better than 1 %. Without a crystal, write the tolerance of yours.
        Ok(Started::new(Running(hal), Spread::percent(Duration::from_micros(micros), 1)))
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
