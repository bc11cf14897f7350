//! External watchdog chips: the requirements of each at its WDI pin, with their source document.
//!
//! A [`Profile`] holds more than times, because other properties cause trouble too: which edge counts, how early a feed
//! may come, the behaviour while the input floats, and the effect of an edge while the chip holds RESET. The feeder in
//! [`external`](crate::external) follows the profile, and a plan of intervals is checked against it.
//!
//! The times of such chips vary by tens of percent over temperature and from part to part. [`Profile::feed_before`] is
//! the shortest time-out that the data sheet allows: plan with it. The typical time-out is only the behaviour of a part
//! on the desk.
//!
//! ```
//! use core::time::Duration;
//! use watchdog_core::chips::{Edge, Profile, ProfileBuilder, Spread, TPS3823_33};
//! use watchdog_core::{Plan, Timing};
//!
//! assert_eq!(TPS3823_33.feed_before(), Duration::from_millis(900), "1.6 s is only typical");
//!
//! // A plan for this chip, checked at compile time, too.
//! const CHIP: Profile = TPS3823_33;
//! const TIMING: Timing<'static> = watchdog_core::plan!(
//!     Plan::heartbeat(500).chip(CHIP.shortest_millis(), CHIP.longest_millis()).window(CHIP.window_millis())
//! );
//!
//! // A profile for another chip, checked at compile time.
//! const OWN: Profile = watchdog_core::profile!(
//!     ProfileBuilder::new("STM8 as a watchdog", Edge::Rising, Spread::percent(Duration::from_secs(4), 5))
//!         .source("its firmware")
//!         .window(Spread::percent(Duration::from_millis(500), 5))
//!         .min_pulse(Duration::from_micros(20))
//! );
//! assert_eq!(OWN.feed_from(), Duration::from_millis(525));
//! assert_eq!(OWN.feed_before(), Duration::from_millis(3_800));
//! # let _ = TIMING;
//! ```
//!
//! Impossible numbers fail the build:
//!
//! ```compile_fail,E0080
//! use core::time::Duration;
//! use watchdog_core::chips::{Edge, Profile, ProfileBuilder, Spread};
//!
//! // The window opens (525 ms) after the chip may have bitten (475 ms).
//! const NEVER: Profile = watchdog_core::profile!(
//!     ProfileBuilder::new("never", Edge::Rising, Spread::percent(Duration::from_millis(500), 5))
//!         .window(Spread::percent(Duration::from_millis(500), 5))
//! );
//! # assert_eq!(NEVER.name(), "never");
//! ```

mod profile;

use core::time::Duration;

use crate::profile;

pub use self::profile::{DuringReset, Edge, HighImpedance, Profile, ProfileBuilder, ProfileError};
pub use crate::hardware::Spread;

/// TPS3823-33 (and the other thresholds of TPS3823, TPS3824, TPS3828): 0.9 / 1.6 / 2.5 s, either edge, RESET for
/// 120 / 200 / 300 ms, low at TPS3823 and TPS3828.
///
/// - While WDI is high-impedance, the chip generates WDI pulses itself: **a pin that is still an input after reset
///   switches the watchdog off**, and so does a broken track. 1 kΩ from WDI to ground prevents this.
/// - **An edge at WDI while RESET is asserted latches RESET.** Neither a boot loader nor an interrupt may change the
///   pin while RESET is held, unless a FET decouples it. The A version, [`TPS3823A_33`], does not latch.
///
/// Times: SLVS165N, 7.8 Switching Characteristics. Behaviour: SLVS165N, 8.3.4 Watchdog Timer. The pulse
/// width (1 µs) is not from the data sheet; it is a choice on the safe side.
pub const TPS3823_33: Profile = profile!(
    tps382x("TPS3823-33", Spread::millis(900, 1_600, 2_500))
        .reset_pulse(Spread::millis(120, 200, 300))
);

/// TPS3823A-33: as [`TPS3823_33`], but edges at WDI while RESET is asserted do not latch it.
///
/// SLVS165N, 7.8 and 8.3.4.
pub const TPS3823A_33: Profile = profile!(
    tps382x("TPS3823A-33", Spread::millis(900, 1_600, 2_500))
        .during_reset(DuringReset::Ignored)
        .reset_pulse(Spread::millis(120, 200, 300))
);

/// TPS3820: as [`TPS3823_33`], but 112 / 200 / 300 ms, and RESET for 15 / 25 / 37 ms.
///
/// SLVS165N, 7.8 and 8.3.4.
pub const TPS3820: Profile = profile!(
    tps382x("TPS3820", Spread::millis(112, 200, 300)).reset_pulse(Spread::millis(15, 25, 37))
);

const fn tps382x(name: &'static str, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Either, timeout)
        .source("SLVS165N, 7.8 and 8.3.4")
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
}

/// TPS3813 with WDT and WDR at ground: a window. Rising edges only, after 9.46 ms at worst and before 0.2 s at worst;
/// RESET for 20 / 25 / 30 ms.
///
/// - **A feed within the first 6.27 to 9.46 ms after a feed is a fault**, like a late feed: the chip bites if a loop
///   spins.
/// - The first rising edge starts the window: the first frame after reset has no lower bound.
///
/// Window: SLVS331G, table 'Implemented window-watchdog settings' and 'Timing rules of window-watchdog'. Pulse of
/// 50 ns: its Recommended Operating Conditions. RESET: SPRS288H, 6.7 Switching Characteristics.
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
        .window(window)
        .first_frame_without_window()
        .min_pulse(Duration::from_nanos(50))
        .reset_pulse(Spread::millis(20, 25, 30))
}

/// TPS3851, standard timing, 100 nF at CWD: 292.7 / 323.4 / 354.1 ms, **falling edges only**.
///
/// - If the pin toggles once per interval, only every second toggle feeds the chip. So give it pulses.
/// - Edges while RESET is asserted are ignored. WDI has to be driven high or low at all times.
/// - The tolerance of the capacitor comes on top: the table assumes an ideal capacitor.
///
/// Times: SBVS300 (TPS3851), Adjustable Capacitor Timing, table of tWD for common capacitors (8-3 in the edition of
/// 2021 for the -Q1). Edges: the same document, Watchdog Input WDI. Pulse of 50 ns: as in Zephyr's driver
/// `wdt_ti_tps3851.c`.
pub const TPS3851_100NF: Profile =
    profile!(tps3851("TPS3851, 100 nF", Spread::micros(292_700, 323_400, 354_100)));

/// TPS3851, extended timing (E version), 1 µF at CWD: 70.1 / 77.5 / 84.8 s, the longest time-out of this list.
///
/// Otherwise as [`TPS3851_100NF`]; from the same table. With this time-out a hang in boot lasts more than a minute.
pub const TPS3851E_1UF: Profile =
    profile!(tps3851("TPS3851E, 1 µF", Spread::millis(70_096, 77_455, 84_814)));

const fn tps3851(name: &'static str, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Falling, timeout)
        .source("SBVS300, Adjustable Capacitor Timing; Watchdog Input WDI")
        .min_pulse(Duration::from_nanos(50))
}

/// TPS3435 with a fixed time-out and start-up delay, which are given by the letters of its order code. Falling edges
/// only. **The chip does not count during the start-up delay**; the first falling edge ends the delay.
///
/// - A time-out of 1 ms to 100 s, ±10 % from 10 ms on and ±20 % below.
/// - On pinouts without WD-EN and SET pins, a floating WDI switches the watchdog off; drive WDI high, then low, to
///   switch it on.
///
/// SNVSCF7 (TPS3435), Device Comparison and 'tSD Watchdog Start Up Delay'. The tolerance is from the fixed options of
/// the same timer in TPS35 (its 7.3.2.1), and is used for the delay, too. The pulse width (1 µs) is not from the data
/// sheet; it is a choice on the safe side.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::{chips::{self, Profile}, profile};
///
/// const SLOW: Profile = profile!(chips::tps3435(Duration::from_millis(1_600), Duration::from_secs(10)));
/// assert_eq!(SLOW.first_feed_before(), Duration::from_millis(9_000 + 1_440));
/// ```
pub const fn tps3435(timeout: Duration, start_up: Duration) -> ProfileBuilder {
    let chip = ProfileBuilder::new("TPS3435", Edge::Falling, fixed_option(timeout))
        .source("SNVSCF7, Device Comparison and tSD; tolerance as TPS35, 7.3.2.1")
        .high_impedance(HighImpedance::FeedsItself);
    if start_up.is_zero() { chip } else { chip.start_up(fixed_option(start_up)) }
}

/// TPS36 (and TPS3436, the same without the voltage supervisor): a closed window, then an open window, both given by
/// the letters of its order code. Falling edges only.
///
/// - **It reports both faults**: early (a falling edge in the closed window) and late (no falling edge until the end of
///   the open window).
/// - The first frame after reset has a closed window, too, unless there is a start-up delay
///   ([`start_up`](ProfileBuilder::start_up)). The first edge ends this delay.
///
/// SLVSGE9A (TPS36-Q1), 8.3.2 Window Watchdog Timer. The tolerance is from the fixed options of the same timer in
/// TPS35 (7.3.2.1). The pulse width (1 µs) is not from the data sheet; it is a choice on the safe side.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::{chips::{self, Profile}, profile};
///
/// const CHIP: Profile =
///     profile!(chips::tps36(Duration::from_millis(100), Duration::from_millis(300)));
/// assert_eq!(CHIP.feed_from(), Duration::from_millis(110));
/// assert_eq!(CHIP.feed_before(), Duration::from_millis(360));
/// ```
pub const fn tps36(closed: Duration, open: Duration) -> ProfileBuilder {
    let window = fixed_option(closed);
    let rest = fixed_option(open);
    let timeout = Spread {
        min: window.min.saturating_add(rest.min),
        typical: window.typical.saturating_add(rest.typical),
        max: window.max.saturating_add(rest.max),
    };
    ProfileBuilder::new("TPS36", Edge::Falling, timeout)
        .source("SLVSGE9A, 8.3.2; tolerance as TPS35, 7.3.2.1")
        .window(window)
}

/// TPS35, 7.3.2.1: ±10 % from 10 ms on, ±20 % below.
const fn fixed_option(time: Duration) -> Spread {
    Spread::percent(time, if time.as_millis() >= 10 { 10 } else { 20 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn every_listed_chip_names_its_source() {
        for chip in [
            TPS3823_33,
            TPS3823A_33,
            TPS3820,
            TPS3813,
            TPS3813_WDR_HIGH,
            TPS3813_WDT_HIGH,
            TPS3813_BOTH_HIGH,
            TPS3851_100NF,
            TPS3851E_1UF,
            profile!(tps3435(SECOND, SECOND)),
            profile!(tps36(SECOND, SECOND)),
        ] {
            assert!(!chip.source().is_empty(), "{}", chip.name());
        }
    }

    #[test]
    fn the_start_up_delay_comes_before_the_first_time_out() {
        assert_eq!(TPS3823_33.first_feed_before(), Duration::from_millis(900));
        assert_eq!(
            profile!(tps3435(SECOND, SECOND)).first_feed_before(),
            Duration::from_millis(1_800)
        );
        assert_eq!(profile!(tps3435(SECOND, Duration::ZERO)).start_up(), None);
    }

    #[test]
    fn short_fixed_options_have_a_larger_tolerance() {
        assert_eq!(fixed_option(Duration::from_millis(10)).min, Duration::from_millis(9));
        assert_eq!(fixed_option(Duration::from_millis(9)).min, Duration::from_micros(7_200));
    }
}
