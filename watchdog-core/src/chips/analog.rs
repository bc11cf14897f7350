//! ADM6316, ADM8323 and ADM8690 families by Analog Devices.

use core::time::Duration;

use super::{DuringReset, Edge, HighImpedance, Limits, Profile, ProfileBuilder, Spread, Start};
use crate::profile;

/// The watchdog time-out of an ADM6316, given by a letter of its order code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adm6316Watchdog {
    /// 6.3 ms.
    W,
    /// 102 ms.
    X,
    /// 1.6 s.
    Y,
    /// 25.6 s.
    Z,
}

/// The RESET of an ADM6316, given by a letter of its order code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adm6316Reset {
    /// At least 1 ms.
    A,
    /// At least 20 ms.
    B,
    /// At least 140 ms.
    C,
    /// At least 1.12 s.
    D,
}

/// ADM6316, ADM6318, ADM6320 and ADM6321: 6.3 ms, 102 ms, 1.6 s or 25.6 s typically. Give it pulses.
///
/// - While WDI floats, RESET is not asserted when the timer ends: **a pin that is still an input switches the watchdog
///   off** (Rev. F, page 10).
/// - The limits of the time-out were **not found**. 0.4 to 1.7 times the typical value is a choice: the widest limits
///   of this list, those of [`DS1232_TD_OPEN`](super::DS1232_TD_OPEN).
/// - Of RESET the minimum was found. 2 and 4 times of it as the typical value and the maximum are a choice, from
///   DS1232, too.
/// - Pulse width, and edges during RESET: not found. 1 µs is a choice; the profile takes it that an edge latches RESET,
///   so the feeder makes none then.
/// - WDI draws up to 160 µA while it is high, so the pulse is low, high, low (Rev. F, page 10). That either edge counts
///   was not found, so [`Toggle`](crate::external::Toggle) is refused.
///
/// Data sheet ADM6316/…/ADM6322, Rev. F and J, page 1. If you have its page 4, set the limits with
/// [`timeout`](ProfileBuilder::timeout) and [`reset_pulse`](ProfileBuilder::reset_pulse).
pub const fn adm6316(watchdog: Adm6316Watchdog, reset: Adm6316Reset) -> ProfileBuilder {
    let typical = Duration::from_micros(match watchdog {
        Adm6316Watchdog::W => 6_300,
        Adm6316Watchdog::X => 102_000,
        Adm6316Watchdog::Y => 1_600_000,
        Adm6316Watchdog::Z => 25_600_000,
    });
    let shortest_reset = match reset {
        Adm6316Reset::A => 1,
        Adm6316Reset::B => 20,
        Adm6316Reset::C => 140,
        Adm6316Reset::D => 1_120,
    };
    let exact = Spread::percent(typical, 0);
    let timeout = Spread { min: exact.times(4, 10).min, typical, max: exact.times(17, 10).max };
    ProfileBuilder::new("ADM6316", Edge::Rising, timeout)
        .source("ADM6316 Rev. F, pages 1 and 10; limits not found")
        .limits(Limits::FullRange)
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
        .reset_pulse(Spread::millis(shortest_reset, 2 * shortest_reset, 4 * shortest_reset))
}

/// ADM8323 and ADM8324: a window, from the last falling edge. **Both an early and a late feed are faults.**
///
/// - The eight windows are in its Table 5, which was **not found**. `closed` is the fast time-out there, `timeout` the
///   slow one.
/// - RESET is at least 1, 20, 140 or 1120 ms by the order code; the limits were not found. Without
///   [`reset_pulse`](ProfileBuilder::reset_pulse) it counts as endless, so behind a gate the chip has to be fed in
///   time.
/// - Edges during RESET: not found; the profile takes it that they latch RESET. A window in the first frame: not found;
///   the profile has one, which is the strict choice. While WDI floats: not found; drive it. Pulse width: not found; 1
///   µs is a choice, MAX6323 with the same function needs 300 ns (19-1838, page 1).
///
/// From -40 to 125 °C: ADM8323/ADM8324 Rev. A, pages 1 and 10.
pub const fn adm8323(closed: Spread, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new("ADM8323", Edge::Falling, timeout)
        .source("ADM8323 Rev. A, page 1; Table 5 by the caller")
        .limits(Limits::FullRange)
        .window(closed)
        .during_reset(DuringReset::LatchesReset)
}

/// ADM8690, and ADM8691 and ADM8695 with the long time-out (OSC IN high or open): 1.0 / 1.6 / 2.25 s at 25 °C, either
/// edge, RESET for 35 / 50 / 70 ms. RESET of ADM8695 is 140 / 200 / 280 ms.
///
/// - **While WDI floats, or is at half the supply, the watchdog is off.**
/// - The time-out begins at the end of RESET, and with each edge after it.
///
/// Behaviour: ADM8690/ADM8691/ADM8695 Rev. C, page 12. Its table of times was not found; the numbers, and the pulse of
/// 200 ns, are those of MAX690 to MAX695 at 25 °C (their data sheet, Electrical Characteristics, page 3), for which it
/// is an upgrade (Rev. C, page 1).
pub const ADM8690: Profile = profile!(adm869x("ADM8690", Spread::millis(1_000, 1_600, 2_250)));

/// ADM8691 with the short time-out (OSC IN low, OSC SEL high or open): 70 / 100 / 140 ms at 25 °C, but **1.0 / 1.6 /
/// 2.25 s until the first edge** after RESET.
///
/// Otherwise as [`ADM8690`]; from the same pages.
pub const ADM8691_SHORT: Profile = profile!(adm8691("ADM8691, short"));

/// ADM8695 with the short time-out: as [`ADM8691_SHORT`], but RESET for 140 / 200 / 280 ms.
pub const ADM8695_SHORT: Profile =
    profile!(adm8691("ADM8695, short").reset_pulse(Spread::millis(140, 200, 280)));

const fn adm8691(name: &'static str) -> ProfileBuilder {
    adm869x(name, Spread::millis(70, 100, 140))
        .start(Start::LongFirst(Spread::millis(1_000, 1_600, 2_250)))
}

const fn adm869x(name: &'static str, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Either, timeout)
        .source("ADM8690 Rev. C, page 12; MAX690-MAX695, page 3")
        .limits(Limits::At25C)
        .min_pulse(Duration::from_nanos(200))
        .high_impedance(HighImpedance::FeedsItself)
        .reset_pulse(Spread::millis(35, 50, 70))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_code_of_adm6316_makes_a_profile() {
        use Adm6316Reset::{A, B, C, D};
        use Adm6316Watchdog::{W, X, Y, Z};
        for (watchdog, shortest, longest) in
            [(W, 2, 11), (X, 40, 174), (Y, 640, 2_720), (Z, 10_240, 43_520)]
        {
            for (reset, longest_reset) in [(A, 4), (B, 80), (C, 560), (D, 4_480)] {
                let Ok(chip) = adm6316(watchdog, reset).build() else { panic!("it can be built") };
                assert_eq!((chip.shortest_millis(), chip.longest_millis()), (shortest, longest));
                let reset = chip.reset_pulse().map(|width| width.max);
                assert_eq!(reset, Some(Duration::from_millis(longest_reset)));
            }
        }
    }

    #[test]
    fn the_first_time_out_of_adm8691_is_the_long_one() {
        assert_eq!(ADM8691_SHORT.first_feed_before(), Some(Duration::from_millis(850)));
        assert_eq!(ADM8691_SHORT.shortest_millis(), 59);
        assert_eq!(ADM8690.first_feed_before(), Some(Duration::from_millis(850)));
    }
}
