//! TPS3813 by Texas Instruments: a window watchdog.

use core::time::Duration;

use super::{Edge, Limits, Profile, ProfileBuilder, Spread};
use crate::profile;

/// TPS3813 with WDT and WDR at ground: a window. Rising edges only, after 9.46 ms at worst and before 0.2 s at worst;
/// RESET for 20 / 25 / 30 ms.
///
/// - **A feed within the first 6.27 to 9.46 ms after a feed is a fault**, like a late feed: the chip bites if a loop
///   spins.
/// - The first rising edge starts the window: the first frame after reset has no lower bound.
///
/// Window: SLVS331G, page 8, table 'Implemented window-watchdog settings', which holds from -40 to 85 °C, and 'Timing
/// rules of window-watchdog'. Pulse of 50 ns: its Recommended Operating Conditions. RESET: SPRS288H, 6.7 Switching
/// Characteristics.
pub const TPS3813: Profile = profile!(tps3813(
    "TPS3813, WDT = WDR = 0",
    Spread::millis(200, 250, 300),
    Spread::micros(6_270, 7_860, 9_460)
));

/// TPS3813 with WDT at ground and WDR at VDD: after 2.43 ms at worst and before 0.2 s at worst.
///
/// Otherwise as [`TPS3813`]; from the same table.
pub const TPS3813_WDR_HIGH: Profile = profile!(tps3813(
    "TPS3813, WDT = 0, WDR = 1",
    Spread::millis(200, 250, 300),
    Spread::micros(1_580, 2_000, 2_430)
));

/// TPS3813 with WDT at VDD and WDR at ground: after 93.8 ms at worst and before 2 s at worst.
///
/// Otherwise as [`TPS3813`]; from the same table.
pub const TPS3813_WDT_HIGH: Profile = profile!(tps3813(
    "TPS3813, WDT = 1, WDR = 0",
    Spread::millis(2_000, 2_500, 3_000),
    Spread::micros(62_500, 78_200, 93_800)
));

/// TPS3813 with WDT and WDR at VDD: after 23.5 ms at worst and before 2 s at worst.
///
/// Otherwise as [`TPS3813`]; from the same table.
pub const TPS3813_BOTH_HIGH: Profile = profile!(tps3813(
    "TPS3813, WDT = WDR = 1",
    Spread::millis(2_000, 2_500, 3_000),
    Spread::micros(15_600, 19_600, 23_500)
));

const fn tps3813(name: &'static str, timeout: Spread, window: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Rising, timeout)
        .source("SLVS331G, Detailed Description; SPRS288H, 6.7")
        .limits(Limits::FullRange)
        .window(window)
        .first_frame_without_window()
        .min_pulse(Duration::from_nanos(50))
        .reset_pulse(Spread::millis(20, 25, 30))
}
