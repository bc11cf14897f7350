//! MAX6369 to MAX6374, MAX16998 and DS1232 by Maxim and Dallas.

use core::time::Duration;

use super::{DuringReset, Edge, Limits, Profile, ProfileBuilder, Spread, Start};
use crate::profile;

/// MAX6369 and MAX6370: start-up delay and time-out are equal, and set by the pins SET0 to SET2. `shortest` is the
/// minimum in Table 1.
///
/// - **Edges in the start-up delay are ignored**, and so are edges during WDO and for 300 µs after a change of SET.
/// - SET2 = 0, SET1 = SET0 = 1 disables the watchdog. With SET1 = SET0 = 1 (60 s) SET2 is an
///   [`EnablePin`](crate::external::EnablePin): add
///   [`enable_input(EnableInput::ActiveHigh)`](ProfileBuilder::enable_input).
/// - WDO is low for at least 100 ms (MAX6369, open drain) or 1 ms (MAX6370, push-pull). The profile has the longer one,
///   which is the strict choice; its maximum was not found, and 3 times the minimum, as for the other times, is a
///   choice.
/// - While WDI floats: not found. Drive the pin.
///
/// Either edge, pulse of 100 ns, ignored edges: 19-1676, 'Input Signal Considerations' and 'Selecting Device Timing'.
/// Minima, and a maximum of 3 times of them: Linux, `drivers/watchdog/max63xx_wdt.c`, from the data sheet. Its author
/// measured 2.5 times, which stands for the typical value, as that was not found. Temperature of the limits: not found,
/// so they have the margin.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::{chips::{self, Profile, Start}, profile};
///
/// // SET2 = 1, SET1 = 1, SET0 = 0.
/// const CHIP: Profile = profile!(chips::max6369(Duration::from_secs(10)));
/// assert!(matches!(CHIP.start(), Start::DeafDelay(_)));
/// assert_eq!(CHIP.feed_before(), Duration::from_millis(8_500));
/// ```
pub const fn max6369(shortest: Duration) -> ProfileBuilder {
    max63xx("MAX6369", shortest).start(Start::DeafDelay(one_to_three(shortest)))
}

/// MAX6371 and MAX6372: as [`max6369`], but the start-up delay is at least 60 s at each setting.
///
/// 19-1676, Selector Guide.
pub const fn max6371(shortest: Duration) -> ProfileBuilder {
    max63xx("MAX6371", shortest).start(Start::DeafDelay(one_to_three(Duration::from_secs(60))))
}

/// MAX6373 and MAX6374: as [`max6369`], but with a start-up delay of its own. `None`: the setting 'first edge'.
///
/// | SET2, SET1, SET0 | start-up delay | time-out |
/// |---|---|---|
/// | 0, 0, 1 | 3 s | 3 s |
/// | 0, 1, 0 | 60 s | 1 s |
/// | 1, 0, 1 | until the first edge | 1 s |
/// | 1, 1, 0 | until the first edge | 10 s |
/// | 1, 1, 1 | 60 s | 10 s |
///
/// **With 'first edge' there is no limit for the first edge: a hang before it is never found.** Make it at the
/// beginning of the program.
///
/// 19-1676, 'first edge'; settings of a second and more: Linux, `max63xx_wdt.c`.
pub const fn max6373(shortest: Duration, start_up: Option<Duration>) -> ProfileBuilder {
    max63xx("MAX6373", shortest).start(match start_up {
        Some(delay) => Start::DeafDelay(one_to_three(delay)),
        None => Start::FirstEdge,
    })
}

const fn max63xx(name: &'static str, shortest: Duration) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Either, one_to_three(shortest))
        .source("19-1676 Rev 2; Linux, max63xx_wdt.c")
        .limits(Limits::At25C)
        .min_pulse(Duration::from_nanos(100))
        .during_reset(DuringReset::Ignored)
        .reset_pulse(one_to_three(Duration::from_millis(100)))
}

const fn one_to_three(shortest: Duration) -> Spread {
    let exact = Spread::percent(shortest, 0);
    Spread { min: shortest, typical: exact.times(5, 2).typical, max: exact.times(3, 1).max }
}

/// MAX16998A, and with [`window`](ProfileBuilder::window) MAX16998B and D: falling edges, from the time-out that the
/// capacitor at SWT sets.
///
/// - Edges while RESET is low are ignored. The time-out begins at the end of RESET.
/// - Formula of the capacitor, its limits, and the part of the window that is closed at B and D: **not found**. Give
///   them from the data sheet. The capacitor at SRT sets RESET: [`reset_pulse`](ProfileBuilder::reset_pulse).
/// - **A first time-out of 8 times the time-out** was found for MAX16997A only, each time its pin EN rises (19-4000,
///   page 10). MAX16997A has no RESET: its output ENABLE falls after three time-outs in a row, and rises after three
///   feeds. It does not fit a profile. If your part has the long first time-out, add it with [`Start::LongFirst`];
///   without it the profile is strict.
/// - Three faults in a row pull ENABLE low, too, until three good feeds.
/// - Pulse width: not found, the data sheet names a 'narrow pulse immunity' only; 100 µs is a choice.
/// - While WDI floats: not found. Drive the pin.
///
/// From -40 to 125 °C: 19-4000 Rev 2, pages 2 and 12.
pub const fn max16998(timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new("MAX16998", Edge::Falling, timeout)
        .source("19-4000 Rev 2, pages 2, 10 and 12; times by the caller")
        .limits(Limits::FullRange)
        .min_pulse(Duration::from_micros(100))
        .during_reset(DuringReset::Ignored)
}

/// DS1232, DS1232LP and TC1232 with TD at ground: 62.5 / 150 / 250 ms, falling edges at ST, RESET for 250 / 610 / 1000
/// ms.
///
/// - Edges during RESET: not found; the profile takes it that they latch RESET, so the feeder makes none then. While ST
///   floats: not found; drive it.
///
/// Typical time-outs, falling edge, and 250 ms of RESET at least: DS1232 (111899), pages 1 and 2. Its table of limits
/// was not found; they, and the pulse of 20 ns, are those of TC1232, a second source (DS21370D, page 4, over its
/// temperature range).
pub const DS1232_TD_LOW: Profile =
    profile!(ds1232("DS1232, TD low", Spread::micros(62_500, 150_000, 250_000)));

/// DS1232 with TD open: 250 / 600 / 1000 ms. Otherwise as [`DS1232_TD_LOW`].
pub const DS1232_TD_OPEN: Profile =
    profile!(ds1232("DS1232, TD open", Spread::millis(250, 600, 1_000)));

/// DS1232 with TD at VCC: 0.5 / 1.2 / 2 s. Otherwise as [`DS1232_TD_LOW`].
pub const DS1232_TD_HIGH: Profile =
    profile!(ds1232("DS1232, TD high", Spread::millis(500, 1_200, 2_000)));

const fn ds1232(name: &'static str, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Falling, timeout)
        .source("DS1232 111899, pages 1 and 2; TC1232 DS21370D, page 4")
        .limits(Limits::FullRange)
        .min_pulse(Duration::from_nanos(20))
        .during_reset(DuringReset::LatchesReset)
        .reset_pulse(Spread::millis(250, 610, 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_start_up_of_each_max63xx_is_its_own() {
        let start =
            |builder: ProfileBuilder| builder.margin_percent(0).build().map(|chip| chip.start());
        let deaf = |millis: [u64; 3]| {
            let [min, typical, max] = millis;
            Ok(Start::DeafDelay(Spread::millis(min, typical, max)))
        };
        let minute = deaf([60_000, 150_000, 180_000]);
        assert_eq!(start(max6369(SECOND)), deaf([1_000, 2_500, 3_000]));
        assert_eq!(start(max6371(SECOND)), minute);
        assert_eq!(start(max6373(SECOND, Some(SECOND * 60))), minute);
        assert_eq!(start(max6373(SECOND, None)), Ok(Start::FirstEdge));
    }

    #[test]
    fn the_choice_for_an_unknown_spread_is_that_of_ds1232() {
        for (chip, typical) in
            [(DS1232_TD_LOW, 150.0), (DS1232_TD_OPEN, 600.0), (DS1232_TD_HIGH, 1_200.0)]
        {
            assert!(f64::from(chip.shortest_millis()) / typical > 0.4, "{}", chip.name());
            assert!(f64::from(chip.longest_millis()) / typical < 1.7, "{}", chip.name());
        }
    }
}
