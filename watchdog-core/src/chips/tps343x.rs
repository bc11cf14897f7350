//! TPS3435, TPS3436 and TPS36 by Texas Instruments: fixed times, or times set by a capacitor, and SET pins.

use core::time::Duration;

use super::{Edge, HighImpedance, Limits, ProfileBuilder, Spread, Start};

/// TPS3435 with a fixed time-out and start-up delay, which are given by the letters of its order code. Falling edges
/// only. **The chip does not count during the start-up delay**; the first falling edge ends the delay.
/// With a pin SET0 the time-out is longer while SET0 is high: [`Scaling::of`].
///
/// - A time-out of 1 ms to 100 s, ±10 % from 10 ms on and ±20 % below.
/// - On pinouts without WD-EN and SET pins, a floating WDI switches the watchdog off; drive WDI high, then low, to
///   switch it on.
/// - On pinouts with WD-EN, WD-EN = 1 enables it: add
///   [`enable_input(EnableInput::ActiveHigh)`](ProfileBuilder::enable_input) and use an
///   [`EnablePin`](crate::external::EnablePin).
/// - On pinouts with SET0 and SET1, SET1 = 0 with SET0 = 1 disables it; the scaling of the other two combinations was
///   not found. A change of the SET pins ends the running frame at once.
///
/// SNVSCF7 (TPS3435), Device Comparison, 'tSD Watchdog Start Up Delay', 'Watchdog Enable Disable Operation' and 'SET
/// Pin Behavior'. The tolerance is from the fixed options of the same timer in TPS35 (SLVSGE8B, 7.3.2.1), and is used
/// for the delay, too. Pulse width: not found; 1 µs is a choice.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::{chips::{self, Profile}, profile};
///
/// const SLOW: Profile = profile!(chips::tps3435(Duration::from_millis(1_600), Duration::from_secs(10)));
/// assert_eq!(SLOW.first_feed_before(), Some(Duration::from_millis(9_000 + 1_440)));
/// ```
pub const fn tps3435(timeout: Duration, start_up: Duration) -> ProfileBuilder {
    let chip = ProfileBuilder::new("TPS3435", Edge::Falling, fixed_option(timeout))
        .source("SNVSCF7, Device Comparison and tSD; tolerance as TPS35, 7.3.2.1")
        .limits(Limits::FullRange)
        .high_impedance(HighImpedance::FeedsItself);
    if start_up.is_zero() { chip } else { chip.start(Start::Delay(fixed_option(start_up))) }
}

/// TPS3435 with a capacitor at CWD: ±20 %, and the tolerance of the capacitor.
///
/// The formula is an image in each edition of the data sheet that was looked at: **not found**. So `timeout` is the
/// time that the formula there gives for the nominal capacitance, in seconds from farads.
///
/// - The chip measures the capacitor once, at power-up and after a fault. A capacitor above the recommended range, or
///   CWD at ground, disables the watchdog.
/// - CWD must be less than 200 times the capacitor at CRST.
///
/// Otherwise as [`tps3435`]. Tolerance for an ideal capacitor: SLVSGE8B (TPS35-Q1), 7.3.2.1.
pub const fn tps3435_capacitor(
    timeout: Duration,
    start_up: Duration,
    tolerance_percent: u32,
) -> ProfileBuilder {
    tps3435(timeout, start_up).timeout(measured(timeout, tolerance_percent))
}

/// The factor of the time-out of TPS3435 and TPS35 while SET0 is high, given by a letter of the order code. For pinouts
/// with SET0 alone.
///
/// SLVSGF0A (TPS3435-Q1), Table 8-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scaling {
    /// Times 2.
    A,
    /// Times 4.
    B,
    /// Times 8.
    C,
    /// Times 16.
    D,
    /// Times 32.
    E,
    /// Times 64.
    F,
    /// Times 128.
    G,
}

impl Scaling {
    /// The time-out while SET0 is high, from the time-out while it is low.
    ///
    /// ```
    /// use core::time::Duration;
    /// use watchdog_core::chips::{Scaling, tps3435};
    ///
    /// let asleep = tps3435(Scaling::G.of(Duration::from_millis(10)), Duration::ZERO).build()?;
    /// assert_eq!(asleep.timeout().typical, Duration::from_millis(1_280));
    /// # Ok::<(), watchdog_core::chips::ProfileError>(())
    /// ```
    #[must_use]
    pub const fn of(self, timeout: Duration) -> Duration {
        timeout.saturating_mul(match self {
            Self::A => 2,
            Self::B => 4,
            Self::C => 8,
            Self::D => 16,
            Self::E => 32,
            Self::F => 64,
            Self::G => 128,
        })
    }
}

/// TPS36 (and TPS3436, the same without the voltage supervisor): a closed window, then an open window, both given by
/// the letters of its order code. Falling edges only.
///
/// - **It reports both faults**: early (a falling edge in the closed window) and late (no falling edge until the end of
///   the open window).
/// - The first frame after reset has a closed window, too, unless there is a start-up delay
///   ([`Start::Delay`]). The first edge ends this delay.
/// - SET pins scale the open window in operation; their factors, and those of WD-EN, were not found. Give the times of
///   the combination that is used.
///
/// SLVSGE9A (TPS36-Q1), 8.3.2 Window Watchdog Timer. The tolerance is from the fixed options of the same timer in
/// TPS35 (SLVSGE8B, 7.3.2.1). Pulse width: not found; 1 µs is a choice.
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
    windowed(fixed_option(closed), fixed_option(open))
}

/// TPS36 (and TPS3436) with a capacitor at CWD: ±20 % for both windows, and the tolerance of the capacitor.
///
/// The formula is an image in each edition of the data sheet that was looked at: **not found**. So the times are those
/// that the formula there gives for the nominal capacitance.
///
/// Otherwise as [`tps36`].
pub const fn tps36_capacitor(
    closed: Duration,
    open: Duration,
    tolerance_percent: u32,
) -> ProfileBuilder {
    windowed(measured(closed, tolerance_percent), measured(open, tolerance_percent))
}

const fn windowed(closed: Spread, open: Spread) -> ProfileBuilder {
    ProfileBuilder::new("TPS36", Edge::Falling, closed.then(open))
        .source("SLVSGE9A, 8.3.2; tolerance as TPS35, 7.3.2.1")
        .limits(Limits::FullRange)
        .window(closed)
}

/// TPS35, 7.3.2.1: ±20 % for an ideal capacitor.
const fn measured(time: Duration, tolerance_percent: u32) -> Spread {
    Spread::percent(time, 20).wider(tolerance_percent)
}

/// TPS35, 7.3.2.1: ±10 % from 10 ms on, ±20 % below.
const fn fixed_option(time: Duration) -> Spread {
    Spread::percent(time, if time.as_millis() >= 10 { 10 } else { 20 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_start_up_delay_comes_before_the_first_time_out() {
        let chip = tps3435(SECOND, SECOND).build();
        let first = chip.map(|chip| chip.first_feed_before());
        assert_eq!(first, Ok(Some(Duration::from_millis(1_800))));
        let chip = tps3435(SECOND, Duration::ZERO).build();
        assert_eq!(chip.map(|chip| chip.start()), Ok(Start::AtOnce));
    }

    #[test]
    fn short_fixed_options_have_a_larger_tolerance() {
        assert_eq!(fixed_option(Duration::from_millis(10)).min, Duration::from_millis(9));
        assert_eq!(fixed_option(Duration::from_millis(9)).min, Duration::from_micros(7_200));
    }

    #[test]
    fn a_capacitor_adds_its_tolerance_to_the_chip_s() {
        let chip = tps3435_capacitor(SECOND, Duration::ZERO, 10).build();
        assert_eq!(chip.map(|chip| chip.timeout()), Ok(Spread::millis(720, 1_000, 1_320)));
        let chip = tps36_capacitor(SECOND, SECOND * 3, 10).build();
        let window = chip.map(|chip| (chip.feed_from(), chip.feed_before()));
        assert_eq!(window, Ok((Duration::from_millis(1_320), Duration::from_millis(2_880))));
    }

    #[test]
    fn set0_scales_by_powers_of_two() {
        use Scaling::{A, B, C, D, E, F, G};
        let scaled = [A, B, C, D, E, F, G].map(|letter| letter.of(SECOND).as_secs());
        assert_eq!(scaled, [2, 4, 8, 16, 32, 64, 128]);
    }
}
