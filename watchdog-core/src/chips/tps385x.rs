//! TPS3850, TPS3851 and TPS3430 by Texas Instruments: fixed times, or times set by a capacitor at CWD.

use core::time::Duration;

use super::{Edge, Limits, Profile, ProfileBuilder, Spread};
use crate::profile;

/// A capacitor at the pin that sets the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capacitor {
    /// Its capacitance in picofarads. TPS3850, TPS3851 and TPS3430 take 100 pF to 1 µF.
    pub picofarads: u32,
    /// Its own tolerance in percent, with temperature, voltage and age. The chip's tolerance comes on top.
    pub tolerance_percent: u32,
}

/// TPS3851, standard timing, 100 nF at CWD: 292.7 / 323.4 / 354.1 ms, **falling edges only**.
///
/// - If the pin toggles once per interval, only every second toggle feeds the chip. So give it pulses.
/// - Edges while RESET is asserted are ignored. WDI has to be driven high or low at all times.
/// - The tolerance of the capacitor comes on top: the table assumes an ideal capacitor. [`tps3851`] adds it.
/// - SET1 = 0 disables the watchdog. For a pin of the controller there add
///   [`enable_input(EnableInput::ActiveHigh)`](ProfileBuilder::enable_input), and use an
///   [`EnablePin`](crate::external::EnablePin). The delay from SET1 to the first count was not found.
///
/// Times: SBVS300 (TPS3851), Adjustable Capacitor Timing, table of tWD for common capacitors (8-3 in the edition of
/// 2021 for the -Q1). Edges: the same document, Watchdog Input WDI. Pulse of 50 ns: as in Zephyr's driver
/// `wdt_ti_tps3851.c`.
pub const TPS3851_100NF: Profile =
    profile!(chip3851("TPS3851, 100 nF", Spread::micros(292_700, 323_400, 354_100)));

/// TPS3851, extended timing (E version), 1 µF at CWD: 70.1 / 77.5 / 84.8 s, the longest time-out of this list.
///
/// Otherwise as [`TPS3851_100NF`]; from the same table. With this time-out a hang in boot lasts more than a minute.
pub const TPS3851E_1UF: Profile =
    profile!(chip3851("TPS3851E, 1 µF", Spread::millis(70_096, 77_455, 84_814)));

/// TPS3851, standard timing, with a capacitor at CWD: 3.23 ms per nanofarad and 0.381 ms, ±9.5 %, and the tolerance of
/// the capacitor.
///
/// Otherwise as [`TPS3851_100NF`]. The formula is an image in the data sheet; these numbers give each line of its table
/// for ideal capacitors. The design example of SBVS286B (TPS3851-Q1, 2025) reckons with ±15 % instead: add 7 percent to
/// the tolerance of the capacitor to follow it.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::{chips::{self, Capacitor, Profile}, profile};
///
/// const CHIP: Profile =
///     profile!(chips::tps3851(Capacitor { picofarads: 100_000, tolerance_percent: 10 }));
/// assert_eq!(CHIP.shortest_millis(), 263);
/// ```
pub const fn tps3851(cwd: Capacitor) -> ProfileBuilder {
    chip3851("TPS3851", charged(cwd, 3_230, 381))
}

/// TPS3851, extended timing (E version), with a capacitor at CWD: 77.4 ms per nanofarad and 55 ms, ±9.5 %, and the
/// tolerance of the capacitor.
///
/// Otherwise as [`tps3851`].
pub const fn tps3851e(cwd: Capacitor) -> ProfileBuilder {
    chip3851("TPS3851E", charged(cwd, 77_400, 55_000))
}

const fn chip3851(name: &'static str, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Falling, timeout)
        .source("SBVS300, Adjustable Capacitor Timing; Watchdog Input WDI")
        .limits(Limits::FullRange)
        .min_pulse(Duration::from_nanos(50))
}

/// A time that is linear in the capacitance, ±9.5 %, wider by the tolerance of the capacitor.
const fn charged(cwd: Capacitor, micros_per_nanofarad: u64, micros: u64) -> Spread {
    let micros = micros_per_nanofarad * cwd.picofarads as u64 / 1_000 + micros;
    Spread::micros(micros * 905 / 1_000, micros, (micros * 1_095).div_ceil(1_000))
        .wider(cwd.tolerance_percent)
}

/// The pin CWD of TPS3850 and TPS3430.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cwd {
    /// Not connected.
    Open,
    /// 10 kΩ to VDD.
    PullUp,
    /// A capacitor to ground.
    Capacitor(Capacitor),
}

/// The pins SET0 and SET1 of TPS3850 and TPS3430. SET0 = 1 with SET1 = 0 disables the watchdog, so it is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sets {
    /// SET0 = 0, SET1 = 0. With a capacitor the window opens after 1/8 of the time-out.
    Neither,
    /// SET0 = 0, SET1 = 1. With a capacitor the window opens after 3/4 of the time-out, so the capacitor has to be
    /// exact.
    Set1,
    /// SET0 = 1, SET1 = 1. With a capacitor the window opens after 1/2 of the time-out.
    Both,
}

/// TPS3850 and TPS3430: a window, set by the pins CWD, SET0 and SET1. **Both an early and a late feed are faults.**
///
/// - Falling edges, as TPS3851: the text about WDI of these two was not found. Edges during RESET: as TPS3851.
/// - Whether the first frame has a window was not found; the profile has one there, which is the strict choice.
/// - RESET lasts 170 / 200 / 230 ms with CRST open. With 10 kΩ from CRST to VDD it is 8.5 / 10 / 11.5 ms, and a
///   capacitor sets other times: use [`reset_pulse`](ProfileBuilder::reset_pulse).
/// - If SET0 and SET1 change in operation, the chip takes the new times after its next RESET only (SBVS301B,
///   7.3.5.1.3). So they are no enable input.
///
/// Times, from -40 to 125 °C: SBVS366A (TPS3430), 6.6; SBVS264B (TPS3850-Q1), Table 8-3 and the tables of 'Adjustable
/// Capacitor Timing'. The formula is an image; 77.4 ms per nanofarad and 55 ms give each line of its table. Pulse: not
/// found; 50 ns of TPS3851 times 20 is a choice.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::{chips::{self, Cwd, Profile, Sets}, profile};
///
/// const CHIP: Profile = profile!(chips::tps3850(Cwd::Open, Sets::Both));
/// assert_eq!(CHIP.feed_from(), Duration::from_millis(920));
/// assert_eq!(CHIP.feed_before(), Duration::from_millis(1_360));
/// ```
pub const fn tps3850(cwd: Cwd, sets: Sets) -> ProfileBuilder {
    let (window, timeout) = match (cwd, sets) {
        (Cwd::Open, Sets::Neither) => {
            (Spread::micros(19_100, 22_500, 25_900), Spread::micros(46_800, 55_000, 63_300))
        }
        (Cwd::Open, Sets::Set1) => {
            (Spread::micros(1_480, 1_850, 2_220), Spread::micros(23_375, 27_500, 31_625))
        }
        (Cwd::Open, Sets::Both) => {
            (Spread::millis(680, 800, 920), Spread::millis(1_360, 1_600, 1_840))
        }
        (Cwd::PullUp, Sets::Neither) => {
            (Spread::micros(7_650, 9_000, 10_350), Spread::micros(92_700, 109_000, 125_400))
        }
        (Cwd::PullUp, Sets::Set1) => {
            (Spread::micros(7_650, 9_000, 10_350), Spread::micros(165_800, 195_000, 224_300))
        }
        (Cwd::PullUp, Sets::Both) => {
            (Spread::micros(1_480, 1_850, 2_220), Spread::micros(9_350, 11_000, 12_650))
        }
        (Cwd::Capacitor(capacitor), sets) => {
            let timeout = charged(capacitor, 77_400, 55_000);
            let window = match sets {
                Sets::Neither => timeout.times(1, 8),
                Sets::Set1 => timeout.times(3, 4),
                Sets::Both => timeout.times(1, 2),
            };
            (window, timeout)
        }
    };
    ProfileBuilder::new("TPS3850", Edge::Falling, timeout)
        .source("SBVS366A, 6.6; SBVS264B, 8.1.2")
        .limits(Limits::FullRange)
        .window(window)
        .min_pulse(Duration::from_micros(1))
        .reset_pulse(Spread::millis(170, 200, 230))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ideal(picofarads: u32) -> Capacitor {
        Capacitor { picofarads, tolerance_percent: 0 }
    }

    /// Whether two times differ by less than the rounding of the data sheet's tables.
    fn is_near(time: Duration, millis: f64) -> bool {
        (time.as_secs_f64() * 1_000.0 - millis).abs() <= millis * 0.001
    }

    #[test]
    fn the_formulas_give_the_tables_for_ideal_capacitors() {
        for (picofarads, standard, extended) in [
            (100, [0.637, 0.704, 0.771], [56.77, 62.74, 68.7]),
            (1_000, [3.268, 3.611, 3.954], [119.82, 132.4, 144.98]),
            (10_000, [29.58, 32.68, 35.79], [750.0, 829.0, 908.0]),
            (100_000, [292.7, 323.4, 354.1], [7_054.0, 7_795.0, 8_536.0]),
            (1_000_000, [2_923.0, 3_230.0, 3_537.0], [70_096.0, 77_455.0, 84_814.0]),
        ] {
            for (micros_per_nanofarad, micros, table) in
                [(3_230, 381, standard), (77_400, 55_000, extended)]
            {
                let spread = charged(ideal(picofarads), micros_per_nanofarad, micros);
                let times = [spread.min, spread.typical, spread.max];
                for (time, millis) in times.into_iter().zip(table) {
                    assert!(is_near(time, millis), "{picofarads} pF: {time:?} {millis} ms");
                }
            }
        }
    }

    #[test]
    fn a_window_of_three_quarters_needs_an_exact_capacitor() {
        let exact = tps3850(Cwd::Capacitor(ideal(1_000)), Sets::Set1);
        assert!(exact.build().is_ok());
        let rough = Capacitor { picofarads: 1_000, tolerance_percent: 5 };
        for (sets, can_be_fed) in [(Sets::Neither, true), (Sets::Both, true), (Sets::Set1, false)] {
            let chip = tps3850(Cwd::Capacitor(rough), sets).build();
            assert_eq!(chip.is_ok(), can_be_fed, "{sets:?}");
        }
    }
}
