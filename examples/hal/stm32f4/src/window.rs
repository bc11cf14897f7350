//! The window watchdog (WWDG), by the registers of the HAL's `pac`.
//!
//! Put it into `Windowed` and `Clocked`: an early feed resets the device. Enable its clock first, with the bit WWDGEN of
//! RCC_APB1ENR. It stops when the clock does, so it does not find a program whose clock has failed.

use core::convert::Infallible;
use core::hint;
use core::time::Duration;

use stm32f4xx_hal::pac::WWDG;
use watchdog_core::hardware::{
    BiteNow, Capabilities, ErrorType, NoBite, NotStarted, Settings, Spread, Start, StartResult,
    Started, State, Watchdog,
};

/// The window watchdog, not started by this program.
pub struct Idle {
    /// The registers.
    pub wwdg: WWDG,
    /// The frequency of PCLK1 in hertz: `rcc.clocks.pclk1().raw()`.
    pub pclk1: u32,
}
/// The window watchdog, running.
pub struct Running(WWDG, u8);

/// The cycles of PCLK1 in a step of the counter.
const STEP: u64 = 4_096 * 8;

/// The time of so many steps of the counter, give or take one: a feed does not restart the prescaler. A crystal is better
/// than 1 %; HSI is only at room temperature.
fn time(steps: u8, pclk1: u32) -> Spread {
    let clock = [pclk1 / 100 * 99, pclk1, pclk1 / 100 * 101];
    let time = |steps| Spread::ticks(u64::from(steps) * STEP, clock);
    let Spread { typical, .. } = time(steps);
    Spread { min: time(steps.saturating_sub(1)).min, typical, max: time(steps + 1).max }
}

/// The steps until the bite, and those of the closed window. One more until the bite, because the first may be shorter.
fn steps(settings: &Settings, pclk1: u32) -> (u8, u8) {
    let timeout = settings.timeout_ticks(pclk1).div_ceil(STEP) + 1;
    (timeout as u8, (settings.window_ticks(pclk1) / STEP) as u8)
}

impl ErrorType for Idle {
    type Error = NotStarted;
}

impl Start for Idle {
    type Running = Running;

    fn capabilities(&self) -> Capabilities {
        let [step, longest] = [1, 63].map(|steps| time(steps, self.pclk1).typical);
        let window = step + Duration::from_nanos(1)..=longest; // the step has been rounded down
        Capabilities::new(step..=longest).window(window).pretimeout(Duration::ZERO..=step)
    }

    fn state(&self) -> State {
        State::known(self.wwdg.cr().read().wdga().is_enabled())
    }

    fn start(self, settings: Settings) -> StartResult<Self> {
        let Self { wwdg, pclk1 } = self.checked_and_stopped(&settings)?;
        let (steps, closed) = steps(&settings, pclk1);
        let (counter, warns) = (0x3F + steps, settings.get_pretimeout().is_some());
        wwdg.cfr().write(|w| w.wdgtb().div8().ewi().bit(warns).w().set(counter - closed));
        let mut running = Running(wwdg, counter);
        let Ok(()) = running.feed();
        let started = Started::new(running, time(steps, pclk1));
        Ok(if closed > 0 { started.with_window(time(closed, pclk1)) } else { started })
    }
}

impl ErrorType for Running {
    type Error = Infallible;
}

impl Watchdog for Running {
    fn feed(&mut self) -> Result<(), Infallible> {
        self.0.cr().write(|w| w.wdga().enabled().t().set(self.1));
        Ok(())
    }
}

/// A counter without its highest bit resets at once.
impl BiteNow for Running {
    fn bite_now(self) -> Result<Infallible, NoBite<Self, Infallible>> {
        self.0.cr().write(|w| w.wdga().enabled().t().set(0));
        loop {
            hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_at_the_wanted_time_out_is_in_time_and_one_after_the_window_is_not_early() {
        for pclk1 in [8_000_000, 16_000_000, 42_000_000, 50_000_000] {
            // As the capabilities say: from one step, rounded up, to 63 steps.
            let [step, longest] = [1, 63].map(|steps| time(steps, pclk1).typical);
            for percent in 2..=100 {
                let wanted = (longest * percent / 100).max(step + Duration::from_nanos(2));
                let closed = step + Duration::from_nanos(1);
                let (bite, window) = steps(&Settings::new(wanted).window(closed), pclk1);
                assert!((2..=64).contains(&bite) && (1..bite).contains(&window));
                // By the nominal clock: the first step may be missing, and the window is not above.
                assert!(time(bite - 1, pclk1).typical >= wanted.min(longest), "{wanted:?}");
                assert!(time(window, pclk1).typical <= closed);
            }
        }
    }
}
