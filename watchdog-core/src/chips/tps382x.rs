//! TPS3820, TPS3823, TPS3824 and TPS3828 by Texas Instruments.

use core::time::Duration;

use super::{DuringReset, Edge, HighImpedance, Limits, Profile, ProfileBuilder, Spread};
use crate::profile;

/// TPS3823-33 (and the other thresholds of TPS3823, TPS3824, TPS3828): 0.9 / 1.6 / 2.5 s **at 25 °C**, either edge,
/// RESET for 120 / 200 / 300 ms, low at TPS3823 and TPS3828. With the margin the chip bites between 0.765 and 2.875 s.
///
/// - While WDI is high-impedance, the chip generates WDI pulses itself: **a pin that is still an input after reset
///   switches the watchdog off**, and so does a broken track. 1 kΩ from WDI to ground prevents this.
/// - **An edge at WDI while RESET is asserted latches RESET.** Neither a boot loader nor an interrupt may change the
///   pin while RESET is held, unless a FET decouples it. The A version, [`TPS3823A_33`], does not latch.
///
/// Times, and the pulse of 100 ns at WDI, at TA = 25 °C: SLVS165J, Timing Requirements and Switching Characteristics,
/// page 6 (7.7 and 7.8 in SLVS165N). Limits over temperature: not found. Behaviour: SLVS165N, 8.3.4 Watchdog Timer.
pub const TPS3823_33: Profile = profile!(
    tps382x("TPS3823-33", Spread::millis(900, 1_600, 2_500))
        .reset_pulse(Spread::millis(120, 200, 300))
);

/// TPS3823A-33: as [`TPS3823_33`], but edges at WDI while RESET is asserted do not latch it.
///
/// SLVS165J, page 6; SLVS165N, 8.3.4.
pub const TPS3823A_33: Profile = profile!(
    tps382x("TPS3823A-33", Spread::millis(900, 1_600, 2_500))
        .during_reset(DuringReset::Ignored)
        .reset_pulse(Spread::millis(120, 200, 300))
);

/// TPS3820: as [`TPS3823_33`], but 112 / 200 / 300 ms, and RESET for 15 / 25 / 37 ms.
///
/// SLVS165J, page 6; SLVS165N, 8.3.4.
pub const TPS3820: Profile = profile!(
    tps382x("TPS3820", Spread::millis(112, 200, 300)).reset_pulse(Spread::millis(15, 25, 37))
);

const fn tps382x(name: &'static str, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Either, timeout)
        .source("SLVS165J, page 6; SLVS165N, 8.3.4")
        .limits(Limits::At25C)
        .min_pulse(Duration::from_nanos(100))
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
}
