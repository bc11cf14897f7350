//! [`Settings`] for the start of a watchdog, and the [`Capabilities`] of a hardware, which say in advance which settings
//! it can keep.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::{Error, ErrorKind};

/// The settings for [`Start::start`](super::Start::start). Only the time-out is required. A setting that is left out
/// stays as the hardware has it by default; a setting that is given is kept, or the start fails.
///
/// ```
/// use core::time::Duration;
/// use watchdog_core::hardware::Settings;
///
/// let settings = Settings::new(Duration::from_secs(2)).window(Duration::from_millis(400)).pause_in_debug(true);
/// assert_eq!(settings.get_window(), Some(Duration::from_millis(400)));
/// assert_eq!(settings.get_pause_in_sleep(), None, "as the hardware has it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Settings {
    timeout: Duration,
    window: Option<Duration>,
    pretimeout: Option<Duration>,
    pause_in_sleep: Option<bool>,
    pause_in_debug: Option<bool>,
}

impl Settings {
    /// The time-out: the watchdog bites so long after a feed, or later. The hardware is set to its shortest time-out
    /// that is not below.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, window: None, pretimeout: None, pause_in_sleep: None, pause_in_debug: None }
    }

    /// The closed window: a feed within this time after the last one is a fault, and the watchdog bites. The hardware is
    /// set to its longest closed window that is not above.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// The warning before the bite: an interrupt comes so long before it, or earlier.
    pub const fn pretimeout(mut self, pretimeout: Duration) -> Self {
        self.pretimeout = Some(pretimeout);
        self
    }

    /// Whether the watchdog stops counting while the processor sleeps.
    pub const fn pause_in_sleep(mut self, pause: bool) -> Self {
        self.pause_in_sleep = Some(pause);
        self
    }

    /// Whether the watchdog stops counting while a debugger has stopped the processor.
    pub const fn pause_in_debug(mut self, pause: bool) -> Self {
        self.pause_in_debug = Some(pause);
        self
    }

    /// The time-out that is wanted.
    #[must_use]
    pub const fn get_timeout(&self) -> Duration {
        self.timeout
    }

    /// The closed window that is wanted.
    #[must_use]
    pub const fn get_window(&self) -> Option<Duration> {
        self.window
    }

    /// The warning that is wanted.
    #[must_use]
    pub const fn get_pretimeout(&self) -> Option<Duration> {
        self.pretimeout
    }

    /// Whether a pause in sleep is wanted.
    #[must_use]
    pub const fn get_pause_in_sleep(&self) -> Option<bool> {
        self.pause_in_sleep
    }

    /// Whether a pause under a debugger is wanted.
    #[must_use]
    pub const fn get_pause_in_debug(&self) -> Option<bool> {
        self.pause_in_debug
    }

    /// The time-out in ticks of a clock, rounded up: never shorter than wanted.
    #[must_use]
    pub const fn timeout_ticks(&self, hertz: u32) -> u64 {
        saturated(ticks_by_second(self.timeout, hertz).div_ceil(NANOS_PER_SECOND))
    }

    /// The closed window in ticks of a clock, rounded down: never longer than wanted. Without a window it is 0.
    #[must_use]
    pub const fn window_ticks(&self, hertz: u32) -> u64 {
        match self.window {
            Some(window) => saturated(ticks_by_second(window, hertz) / NANOS_PER_SECOND),
            None => 0,
        }
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Below 2^94 nanoseconds by 2^32.
const fn ticks_by_second(time: Duration, hertz: u32) -> u128 {
    time.as_nanos() * hertz as u128
}

const fn saturated(ticks: u128) -> u64 {
    if ticks > u64::MAX as u128 { u64::MAX } else { ticks as u64 }
}

/// Whether a hardware can pause in a certain state of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Pause {
    /// It always goes on counting.
    Never,
    /// It always pauses.
    Always,
    /// The settings decide.
    Selectable,
    /// The implementation does not know, or cannot set it. So it refuses both wishes.
    Unknown,
}

impl Pause {
    const fn allows(self, wanted: Option<bool>) -> bool {
        match (self, wanted) {
            (_, None) | (Self::Selectable, _) => true,
            (Self::Always, Some(pause)) => pause,
            (Self::Never, Some(pause)) => !pause,
            (Self::Unknown, Some(_)) => false,
        }
    }
}

/// The settings that a hardware can keep. All times are nominal: by the typical frequency of its clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Capabilities {
    /// The possible time-outs, both ends included. If there is a single one, both ends are equal to it.
    pub timeout: RangeInclusive<Duration>,
    /// The possible closed windows. `None`: it has no window.
    pub window: Option<RangeInclusive<Duration>>,
    /// The possible warnings before the bite. `None`: it has no warning.
    pub pretimeout: Option<RangeInclusive<Duration>>,
    /// Whether it can pause while the processor sleeps.
    pub pause_in_sleep: Pause,
    /// Whether it can pause while a debugger has stopped the processor.
    pub pause_in_debug: Pause,
}

impl Capabilities {
    /// These time-outs and nothing else: no window, no warning, and nothing is known of pauses.
    #[must_use]
    pub const fn new(timeout: RangeInclusive<Duration>) -> Self {
        Self {
            timeout,
            window: None,
            pretimeout: None,
            pause_in_sleep: Pause::Unknown,
            pause_in_debug: Pause::Unknown,
        }
    }

    /// These closed windows. A window that is not shorter than the time-out is refused in any case.
    #[must_use]
    pub const fn window(mut self, window: RangeInclusive<Duration>) -> Self {
        self.window = Some(window);
        self
    }

    /// These warnings. A warning that is not shorter than the time-out is refused in any case.
    #[must_use]
    pub const fn pretimeout(mut self, pretimeout: RangeInclusive<Duration>) -> Self {
        self.pretimeout = Some(pretimeout);
        self
    }

    /// This pause in sleep.
    #[must_use]
    pub const fn pause_in_sleep(mut self, pause: Pause) -> Self {
        self.pause_in_sleep = pause;
        self
    }

    /// This pause under a debugger.
    #[must_use]
    pub const fn pause_in_debug(mut self, pause: Pause) -> Self {
        self.pause_in_debug = pause;
        self
    }

    /// Whether the hardware can keep all settings.
    ///
    /// # Errors
    ///
    /// [`Unsupported`]: the first setting that it cannot keep.
    pub fn check(&self, settings: &Settings) -> Result<(), Unsupported> {
        let Settings { timeout, window, pretimeout, pause_in_sleep, pause_in_debug } = *settings;
        let within = |range: &Option<RangeInclusive<Duration>>, wanted: Option<Duration>| {
            wanted.is_none_or(|wanted| {
                wanted < timeout && range.as_ref().is_some_and(|range| range.contains(&wanted))
            })
        };
        for (kept, setting) in [
            (self.timeout.contains(&timeout), Setting::Timeout),
            (within(&self.window, window), Setting::Window),
            (within(&self.pretimeout, pretimeout), Setting::Pretimeout),
            (self.pause_in_sleep.allows(pause_in_sleep), Setting::PauseInSleep),
            (self.pause_in_debug.allows(pause_in_debug), Setting::PauseInDebug),
        ] {
            if !kept {
                return Err(Unsupported(setting));
            }
        }
        Ok(())
    }
}

/// A setting of a watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Setting {
    /// The time from a feed to the bite.
    Timeout,
    /// The closed window.
    Window,
    /// The warning before the bite.
    Pretimeout,
    /// The pause while the processor sleeps.
    PauseInSleep,
    /// The pause under a debugger.
    PauseInDebug,
}

impl Setting {
    const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "time-out",
            Self::Window => "window",
            Self::Pretimeout => "warning before the bite",
            Self::PauseInSleep => "behaviour in sleep",
            Self::PauseInDebug => "behaviour under a debugger",
        }
    }
}

/// The hardware cannot keep this setting. An implementation without other errors uses it as its own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the watchdog has no such {}", .0.name())]
pub struct Unsupported(pub Setting);

impl Error for Unsupported {
    fn kind(&self) -> ErrorKind {
        match self.0 {
            Setting::Timeout => ErrorKind::UnsupportedTimeout,
            Setting::Window
            | Setting::Pretimeout
            | Setting::PauseInSleep
            | Setting::PauseInDebug => ErrorKind::UnsupportedSetting,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn each_setting_that_cannot_be_kept_is_named_and_none_is_ignored() {
        let plain = Capabilities::new(ms(10)..=ms(1_000));
        let wanted = Settings::new(ms(100));
        assert_eq!(plain.check(&wanted), Ok(()));
        for (settings, setting) in [
            (Settings::new(ms(9)), Setting::Timeout),
            (Settings::new(ms(1_001)), Setting::Timeout),
            (wanted.window(ms(1)), Setting::Window),
            (wanted.pretimeout(ms(1)), Setting::Pretimeout),
            (wanted.pause_in_sleep(false), Setting::PauseInSleep),
            (wanted.pause_in_debug(true), Setting::PauseInDebug),
        ] {
            assert_eq!(plain.check(&settings), Err(Unsupported(setting)), "{settings:?}");
        }
    }

    #[test]
    fn settings_within_the_capabilities_are_kept() {
        let able = Capabilities::new(ms(10)..=ms(1_000))
            .window(ms(5)..=ms(500))
            .pretimeout(ms(1)..=ms(1))
            .pause_in_sleep(Pause::Selectable)
            .pause_in_debug(Pause::Always);
        let wanted = Settings::new(ms(100));
        for settings in [
            wanted.window(ms(5)).pretimeout(ms(1)).pause_in_sleep(true).pause_in_debug(true),
            wanted.window(ms(99)).pause_in_sleep(false),
        ] {
            assert_eq!(able.check(&settings), Ok(()), "{settings:?}");
        }
        for (settings, setting) in [
            (wanted.window(ms(4)), Setting::Window),
            (wanted.window(ms(100)), Setting::Window),
            (wanted.pretimeout(ms(2)), Setting::Pretimeout),
            (wanted.pause_in_debug(false), Setting::PauseInDebug),
        ] {
            assert_eq!(able.check(&settings), Err(Unsupported(setting)), "{settings:?}");
        }
        let never = Capabilities::new(ms(10)..=ms(1_000)).pause_in_sleep(Pause::Never);
        assert_eq!(never.check(&wanted.pause_in_sleep(false)), Ok(()));
        let refused = never.check(&wanted.pause_in_sleep(true));
        assert_eq!(refused, Err(Unsupported(Setting::PauseInSleep)));
    }

    #[test]
    fn ticks_never_make_the_time_out_shorter_nor_the_window_longer() {
        let settings = Settings::new(Duration::from_nanos(1)).window(Duration::from_nanos(999_999));
        assert_eq!((settings.timeout_ticks(1_000), settings.window_ticks(1_000)), (1, 0));
        let settings = Settings::new(ms(1_000)).window(ms(500));
        assert_eq!(
            (settings.timeout_ticks(32_768), settings.window_ticks(32_768)),
            (32_768, 16_384)
        );
        let endless = Settings::new(Duration::MAX);
        assert_eq!((endless.timeout_ticks(u32::MAX), endless.window_ticks(1)), (u64::MAX, 0));
    }

    #[test]
    fn the_error_names_the_setting_and_has_a_kind() {
        let window = Unsupported(Setting::Window);
        assert_eq!(window.to_string(), "the watchdog has no such window");
        assert_eq!(window.kind(), ErrorKind::UnsupportedSetting);
        assert_eq!(Unsupported(Setting::Timeout).kind(), ErrorKind::UnsupportedTimeout);
    }
}
