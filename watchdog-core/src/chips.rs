//! External watchdog chips: the requirements of each at its WDI pin, with their source document.
//!
//! A [`Profile`] holds more than times, because other properties cause trouble too: which edge counts, how early a feed
//! may come, the behaviour while the input floats, and the effect of an edge while the chip holds RESET. The feeder in
//! [`external`](crate::external) follows the profile, and a plan of intervals is checked against it.
//!
//! The times of such chips vary by tens of percent over temperature and from part to part. [`Profile::feed_before`] is
//! the shortest time-out that the data sheet allows, less a margin if its limits hold at 25 °C only: plan with it. The
//! typical time-out is only the behaviour of a part on the desk.
//!
//! # The margin for temperature
//!
//! Some data sheets state their limits for 25 °C only, that of TPS3823 for example. Such a profile is
//! [`Limits::At25C`], and all its times are wider by [`DEFAULT_MARGIN_PERCENT`]: minima are lower and maxima are
//! higher. The plan, the bounds after a take-over and the feeder read their numbers from the profile, so none of them
//! can forget the margin or use another one. A profile of your own has the margin, too, unless it says
//! [`Limits::FullRange`].
//!
//! 15 % is a choice that covers both data sheets that were found with a value at 25 °C and one over temperature:
//!
//! - MAX6323 and MAX6324 (19-1838, page 4, 'Normalized watchdog timeout period vs. temperature'): less than 1 % from
//!   -40 to 85 °C.
//! - TPS3430 (SBVS366A, Features and 6.6): ±2.5 % typically at 25 °C, at most ±15 % from -40 to 125 °C. So temperature
//!   and the spread of parts together add 12.5 %.
//!
//! [`ProfileBuilder::margin_percent`] sets another margin, for a device whose temperatures are known.
//!
//! # The list
//!
//! | chip | profile | edge |
//! |---|---|---|
//! | TPS3820, TPS3823, TPS3824, TPS3828 | [`TPS3823_33`], [`TPS3823A_33`], [`TPS3820`] | either |
//! | TPS3813 | [`TPS3813`], [`TPS3813_WDR_HIGH`], [`TPS3813_WDT_HIGH`], [`TPS3813_BOTH_HIGH`] | rising, window |
//! | TPS3851 | [`TPS3851_100NF`], [`TPS3851E_1UF`], [`tps3851`], [`tps3851e`] | falling |
//! | TPS3850, TPS3430 | [`tps3850`] | falling, window |
//! | TPS3435 | [`tps3435`], [`tps3435_capacitor`] | falling |
//! | TPS36, TPS3436 | [`tps36`], [`tps36_capacitor`] | falling, window |
//! | STWD100 | [`STWD100Y`], [`STWD100X`], [`STWD100W`], [`STWD100P`] | either; P: rising |
//! | ADM6316, ADM6318, ADM6320, ADM6321 | [`adm6316`] | pulse |
//! | ADM8323, ADM8324 | [`adm8323`] | falling, window |
//! | ADM8690, ADM8691, ADM8695 | [`ADM8690`], [`ADM8691_SHORT`], [`ADM8695_SHORT`] | either |
//! | MAX6369 to MAX6374 | [`max6369`], [`max6371`], [`max6373`] | either |
//! | MAX16998 | [`max16998`] | falling |
//! | DS1232 | [`DS1232_TD_LOW`], [`DS1232_TD_OPEN`], [`DS1232_TD_HIGH`] | falling |
//!
//! Where a number was not found, the documentation of the profile says 'not found', and names the choice that is used.
//!
//! **TPL5010 does not fit** (SNAS679, 8.3 and 8.4, of the -Q1). It is a timer that wakes the controller each interval,
//! and resets it if no DONE came before the next WAKE. DONE does not restart the interval. So no time-out counts from a
//! feed, and a feed early in an interval allows almost two intervals of silence. The number for a plan would be the
//! interval for the shortest time and two intervals for the longest, but the feed has to follow the pin WAKE, and a
//! feeder here knows no such pin.
//!
//! ```
//! use core::time::Duration;
//! use watchdog_core::chips::{Edge, Limits, Profile, ProfileBuilder, Spread, TPS3823_33};
//! use watchdog_core::{Plan, Timing};
//!
//! // 1.6 s is only typical, and 0.9 s is the minimum at 25 °C.
//! assert_eq!(TPS3823_33.feed_before(), Duration::from_millis(765));
//!
//! // A plan for this chip, checked at compile time, too.
//! const TIMING: Timing<'static> = watchdog_core::plan!(Plan::heartbeat(500).profile(&TPS3823_33));
//!
//! // A profile for another chip, checked at compile time.
//! const OWN: Profile = watchdog_core::profile!(
//!     ProfileBuilder::new("STM8 as a watchdog", Edge::Rising, Spread::percent(Duration::from_secs(4), 5))
//!         .source("its firmware")
//!         .limits(Limits::FullRange)
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
//! // The window opens (525 ms and the margin) after the chip may have bitten (475 ms less the margin).
//! const NEVER: Profile = watchdog_core::profile!(
//!     ProfileBuilder::new("never", Edge::Rising, Spread::percent(Duration::from_millis(500), 5))
//!         .window(Spread::percent(Duration::from_millis(500), 5))
//! );
//! # assert_eq!(NEVER.name(), "never");
//! ```

mod analog;
mod builder;
mod maxim;
mod profile;
mod spread;
mod stwd100;
mod tps343x;
mod tps3813;
mod tps382x;
mod tps385x;

pub use self::analog::{
    ADM8690, ADM8691_SHORT, ADM8695_SHORT, Adm6316Reset, Adm6316Watchdog, adm6316, adm8323,
};
pub use self::builder::{ProfileBuilder, ProfileError};
pub use self::maxim::{
    DS1232_TD_HIGH, DS1232_TD_LOW, DS1232_TD_OPEN, max6369, max6371, max6373, max16998,
};
pub use self::profile::{DuringReset, Edge, EnableInput, HighImpedance, Limits, Profile, Start};
pub use self::stwd100::{STWD100P, STWD100W, STWD100X, STWD100Y};
pub use self::tps343x::{Scaling, tps36, tps36_capacitor, tps3435, tps3435_capacitor};
pub use self::tps382x::{TPS3820, TPS3823_33, TPS3823A_33};
pub use self::tps385x::{
    Capacitor, Cwd, Sets, TPS3851_100NF, TPS3851E_1UF, tps3850, tps3851, tps3851e,
};
pub use self::tps3813::{TPS3813, TPS3813_BOTH_HIGH, TPS3813_WDR_HIGH, TPS3813_WDT_HIGH};
pub use crate::hardware::Spread;

/// The margin of a profile whose limits hold at 25 °C only; see the [module](crate::chips) for its reason.
pub const DEFAULT_MARGIN_PERCENT: u32 = 15;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::profile;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn every_listed_chip_names_its_source() {
        const TIMES: Spread = Spread::millis(900, 1_000, 1_100);
        const CLOSED: Spread = Spread::millis(100, 110, 120);
        const CWD: Capacitor = Capacitor { picofarads: 10_000, tolerance_percent: 10 };
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
            profile!(tps3851(CWD)),
            profile!(tps3851e(CWD)),
            profile!(tps3850(Cwd::Open, Sets::Neither)),
            profile!(tps3850(Cwd::Open, Sets::Set1)),
            profile!(tps3850(Cwd::Open, Sets::Both)),
            profile!(tps3850(Cwd::PullUp, Sets::Neither)),
            profile!(tps3850(Cwd::PullUp, Sets::Set1)),
            profile!(tps3850(Cwd::PullUp, Sets::Both)),
            profile!(tps3850(Cwd::Capacitor(CWD), Sets::Both)),
            profile!(tps3435(SECOND, SECOND)),
            profile!(tps3435_capacitor(SECOND, SECOND, 10)),
            profile!(tps36(SECOND, SECOND)),
            profile!(tps36_capacitor(SECOND, Duration::from_secs(3), 10)),
            STWD100Y,
            STWD100X,
            STWD100W,
            STWD100P,
            ADM8690,
            ADM8691_SHORT,
            ADM8695_SHORT,
            profile!(adm6316(Adm6316Watchdog::Y, Adm6316Reset::C)),
            profile!(adm8323(CLOSED, TIMES)),
            profile!(max6369(SECOND)),
            profile!(max6371(SECOND)),
            profile!(max6373(SECOND, None)),
            profile!(max16998(TIMES)),
            DS1232_TD_LOW,
            DS1232_TD_OPEN,
            DS1232_TD_HIGH,
        ] {
            assert!(!chip.source().is_empty(), "{}", chip.name());
        }
    }

    #[test]
    fn the_whole_family_of_tps3823_has_limits_at_25_degrees_and_the_pulse_of_its_data_sheet() {
        for chip in [TPS3823_33, TPS3823A_33, TPS3820] {
            assert_eq!(chip.limits(), Limits::At25C);
            assert_eq!(chip.margin_percent(), DEFAULT_MARGIN_PERCENT);
            assert_eq!(chip.min_pulse(), Duration::from_nanos(115), "100 ns and the margin");
        }
        assert_eq!((TPS3823_33.shortest_millis(), TPS3823_33.longest_millis()), (765, 2_875));
        assert_eq!((TPS3820.shortest_millis(), TPS3820.longest_millis()), (95, 345));
    }
}
