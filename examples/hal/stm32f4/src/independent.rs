//! The independent watchdog (IWDG).
//!
//! - `start` panics at 32.768 s or more, and from 4.097 s on it rounds half of all time-outs down, by up to 7 ms. This
//!   adapter asks for a number that the HAL turns into the wanted one.
//! - `interval` may read the old time-out while the new one is on its way, so the time is computed, not read back.
//! - Whether it runs cannot be read. A start is right also if it runs, as by the option bytes: so there is no `Adopt`.
//! - The pause under a debugger is in DBGMCU: call `stop_on_debug` before, and leave it out of the settings.

use core::convert::Infallible;
use core::time::Duration;

use fugit::MillisDurationU32;
use stm32f4xx_hal::watchdog::IndependentWatchdog;
use watchdog_core::hardware::{
    Capabilities, ErrorType, Settings, Spread, Start, StartResult, Started, Unsupported, Watchdog,
};

/// The independent watchdog, not started by this program.
pub struct Idle(pub IndependentWatchdog);
/// The independent watchdog, running.
pub struct Running(IndependentWatchdog);

/// The lowest, the typical and the highest frequency of the LSI, in hertz.
const LSI: [u32; 3] = [17_000, 32_000, 47_000];

impl ErrorType for Idle {
    type Error = Unsupported;
}

impl Start for Idle {
    type Running = Running;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Duration::from_millis(40)..=Duration::from_millis(8 * 4_095))
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let Self(mut hal) = self.checked(&settings)?;
        let count = settings.timeout_ticks(125); // of 8 ms: LSI / 256
        hal.start(MillisDurationU32::millis(millis_for(count as u32)));
        Ok(Started::new(Running(hal), Spread::ticks(count * 256, LSI)))
    }
}

/// The time-out to ask the HAL for, so that it counts to `count`: it loads `millis * 4_095 / 32_768`, rounded down, and
/// the counter takes one more.
const fn millis_for(count: u32) -> u32 {
    ((count - 1) * 32_768).div_ceil(4_095)
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

#[cfg(test)]
mod tests {
    use super::millis_for;

    /// `IndependentWatchdog::setup` of stm32f4xx-hal 0.23: the prescaler's exponent and the load.
    fn setup(millis: u32) -> (u32, u32) {
        assert!(millis < 1 << 15, "it panics");
        let prescaler = match millis {
            0 => 0,
            t if t <= 7 * 8 / 32 => 1,
            t if t <= 7 * 16 / 32 => 2,
            t if t <= 7 * 32 / 32 => 3,
            t if t <= 7 * 64 / 32 => 4,
            t if t <= 7 * 128 / 32 => 5,
            _ => 6,
        };
        let longest = 4_096 * (4 << prescaler) / 32;
        (prescaler, (millis * 4_095 / longest).min(4_095))
    }

    #[test]
    fn the_hal_counts_to_each_number_that_it_is_asked_for() {
        for count in 5..=4_095 {
            assert_eq!(setup(millis_for(count)), (6, count - 1), "{count}");
        }
    }

    #[test]
    fn asked_for_the_time_out_itself_the_hal_would_round_some_down() {
        let mut short = (40..32_768).filter(|millis| (setup(*millis).1 + 1) * 8 < *millis);
        assert_eq!(short.next(), Some(4_097));
        assert_eq!(short.count(), 14_335);
    }
}
