//! The properties of a watchdog chip, as its feeder needs them: [`Profile`].
//!
//! Invariants of a [`Profile`]: its spreads are in order, its window opens before the chip can bite, and two pulses fit
//! between two feeds, with the margin for temperature included. Only
//! [`ProfileBuilder::build`](super::ProfileBuilder::build) makes a profile.

use core::time::Duration;

use super::spread::Micros;
use crate::hardware::Spread;

/// The edges at WDI that feed the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// From low to high.
    Rising,
    /// From high to low. If the pin toggles once per interval, only every second toggle feeds such a chip.
    Falling,
    /// Both.
    Either,
}

/// The behaviour of the chip while its WDI pin floats. The pin floats from reset until a program drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HighImpedance {
    /// The chip feeds itself: a pin that is still an input, or a broken track, switches the watchdog off.
    FeedsItself,
    /// The chip goes on counting, or the data sheet says nothing: drive the pin, or hold it by a resistor.
    MustBeDriven,
}

/// The effect of an edge at WDI while the chip holds RESET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DuringReset {
    /// The edge has no effect.
    Ignored,
    /// RESET stays asserted for ever. The pin must not change until RESET is released.
    LatchesReset,
}

/// The behaviour of the chip from the release of RESET to its first feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// The chip counts at once.
    AtOnce,
    /// The chip does not count for this time. **The first edge ends the delay**, so do not change the pin before the
    /// program can go on feeding. If the chip counts either edge, or if it feeds itself while the pin floats, driving
    /// the pin for the first time may be this edge.
    Delay(Spread),
    /// The chip does not count for this time, and **ignores edges** in it: a feed in this time is none. The time-out
    /// begins at the end of the delay, so the program has to feed at intervals of less than a time-out anyway.
    DeafDelay(Spread),
    /// The chip does not count until the first edge, however long this takes. **A hang before the first edge is never
    /// found**: make it at the very beginning of the program.
    FirstEdge,
    /// The chip counts at once, but the first time-out is this one. Driving the pin for the first time may be the first
    /// edge, as with [`Delay`](Self::Delay).
    LongFirst(Spread),
}

/// The temperature at which the limits of a data sheet hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limits {
    /// Over the whole temperature range of the part, as the data sheet states.
    FullRange,
    /// At 25 °C only, or the data sheet does not say it. The profile is wider by
    /// [`DEFAULT_MARGIN_PERCENT`](super::DEFAULT_MARGIN_PERCENT), unless it has a margin of its own.
    At25C,
}

impl Limits {
    pub(super) const fn margin_percent(self) -> u32 {
        match self {
            Self::FullRange => 0,
            Self::At25C => super::DEFAULT_MARGIN_PERCENT,
        }
    }
}

/// The enable input of the chip, if it has one. While the chip is disabled, it neither counts nor holds RESET; when it
/// is enabled, it begins as after a RESET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnableInput {
    /// There is none, or it is not wired to the controller.
    None,
    /// The chip is enabled while the input is high.
    ActiveHigh,
    /// The chip is enabled while the input is low.
    ActiveLow,
}

/// The requirements of a chip for its feeder. [`chips`](crate::chips) has profiles as constants; a
/// [`ProfileBuilder`](super::ProfileBuilder) makes others.
///
/// All times that a profile returns include its [margin](Self::margin_percent).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    /// The spreads are those of the data sheet, without the margin.
    pub(super) timeout: Micros,
    pub(super) window: Option<Micros>,
    pub(super) start: StartMicros,
    pub(super) reset_pulse: Option<Micros>,
    pub(super) min_pulse_nanos: u32,
    pub(super) margin_percent: u8,
    pub(super) limits: Limits,
    pub(super) edge: Edge,
    pub(super) high_impedance: HighImpedance,
    pub(super) during_reset: DuringReset,
    pub(super) enable_input: EnableInput,
    pub(super) window_in_first_frame: bool,
    pub(super) feeding: Feeding,
}

/// The numbers that a feed needs, with the margin: computed once, so that a feed divides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Feeding {
    /// The shortest time at a level, in nanoseconds.
    pub(crate) pulse_nanos: u32,
    /// After a feed the chip certainly does not bite for this time, less the time of a feed, in milliseconds.
    pub(crate) safe_millis: u32,
    /// After RESET is released, the chip certainly does not bite for this time, less the time of a feed, in
    /// milliseconds.
    pub(crate) first_safe_millis: u32,
    /// See [`Profile::window_millis`].
    pub(crate) window_millis: u32,
    /// The longest RESET in whole milliseconds, rounded up. If it is not known: `None` for a chip that ignores edges
    /// meanwhile; otherwise so long that it never ends.
    pub(crate) longest_reset_millis: Option<u32>,
}

/// [`Start`] in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum StartMicros {
    AtOnce,
    Delay(Micros),
    DeafDelay(Micros),
    FirstEdge,
    LongFirst(Micros),
}

impl Profile {
    /// The name of the chip.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The source of the numbers; empty if none was given.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// The temperature at which the limits of the data sheet hold.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// By how much each minimum is below the data sheet's, and each maximum above it, in percent.
    #[must_use]
    pub const fn margin_percent(&self) -> u32 {
        self.margin_percent as u32
    }

    /// The edges that feed the chip.
    #[must_use]
    pub const fn edge(&self) -> Edge {
        self.edge
    }

    /// The time from a feed to the bite.
    #[must_use]
    pub const fn timeout(&self) -> Spread {
        self.widened(self.timeout).spread()
    }

    /// The next feed has to come within this time after the last one: the shortest time-out of all parts.
    #[must_use]
    pub const fn feed_before(&self) -> Duration {
        self.timeout().min
    }

    /// The closed window: the time after a feed in which the next feed is a fault. `None`: there is no window.
    #[must_use]
    pub const fn window(&self) -> Option<Spread> {
        match self.window {
            Some(window) => Some(self.widened(window).spread()),
            None => None,
        }
    }

    /// The next feed must not come within this time after the last one: the latest opening of the window over all
    /// parts. Zero if there is no window.
    #[must_use]
    pub const fn feed_from(&self) -> Duration {
        match self.window() {
            Some(window) => window.max,
            None => Duration::ZERO,
        }
    }

    pub(crate) const fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Whether the first feed after a reset can be too early, too.
    #[must_use]
    pub const fn has_window_in_first_frame(&self) -> bool {
        self.window.is_some() && self.window_in_first_frame
    }

    /// [`feed_before`](Self::feed_before) in whole milliseconds, rounded down: the first number of
    /// [`Plan::chip`](crate::Plan::chip).
    #[must_use]
    pub const fn shortest_millis(&self) -> u32 {
        self.widened(self.timeout).min_millis()
    }

    /// The longest time-out in whole milliseconds, rounded up: the second number of [`Plan::chip`](crate::Plan::chip).
    #[must_use]
    pub const fn longest_millis(&self) -> u32 {
        self.widened(self.timeout).max_millis()
    }

    /// [`feed_from`](Self::feed_from) in whole milliseconds, for [`Plan::window`](crate::Plan::window). It is rounded
    /// up, and one is added: the real time between two [`Instant`](crate::Instant)s can be up to one millisecond less
    /// than their difference. Zero if there is no window.
    #[must_use]
    pub const fn window_millis(&self) -> u32 {
        self.feeding.window_millis
    }

    /// The behaviour from the release of RESET to the first feed.
    #[must_use]
    pub const fn start(&self) -> Start {
        match self.start {
            StartMicros::AtOnce => Start::AtOnce,
            StartMicros::Delay(delay) => Start::Delay(self.widened(delay).spread()),
            StartMicros::DeafDelay(delay) => Start::DeafDelay(self.widened(delay).spread()),
            StartMicros::FirstEdge => Start::FirstEdge,
            StartMicros::LongFirst(first) => Start::LongFirst(self.widened(first).spread()),
        }
    }

    /// Whether the chip ignores edges in its start-up delay.
    pub(crate) const fn is_deaf_at_start(&self) -> bool {
        matches!(self.start, StartMicros::DeafDelay(_))
    }

    /// The first feed has to come within this time after RESET is released. `None`: the chip waits for it for ever.
    #[must_use]
    pub const fn first_feed_before(&self) -> Option<Duration> {
        match self.start() {
            Start::AtOnce => Some(self.feed_before()),
            Start::Delay(delay) | Start::DeafDelay(delay) => {
                Some(delay.min.saturating_add(self.feed_before()))
            }
            Start::FirstEdge => None,
            Start::LongFirst(first) => Some(first.min),
        }
    }

    /// The shortest time at a level that the chip detects with certainty; at most about 4.29 s.
    #[must_use]
    pub const fn min_pulse(&self) -> Duration {
        Duration::from_nanos(self.feeding.pulse_nanos as u64)
    }

    /// The behaviour while WDI floats.
    #[must_use]
    pub const fn high_impedance(&self) -> HighImpedance {
        self.high_impedance
    }

    /// The effect of an edge while the chip holds RESET.
    #[must_use]
    pub const fn during_reset(&self) -> DuringReset {
        self.during_reset
    }

    /// How long the chip holds RESET when it bites, if this is known.
    #[must_use]
    pub const fn reset_pulse(&self) -> Option<Spread> {
        match self.reset_pulse {
            Some(width) => Some(self.widened(width).spread()),
            None => None,
        }
    }

    /// The enable input.
    #[must_use]
    pub const fn enable_input(&self) -> EnableInput {
        self.enable_input
    }

    /// The numbers that a feed needs.
    pub(crate) const fn feeding(&self) -> &Feeding {
        &self.feeding
    }

    /// `ProfileBuilder::build` has checked that the margin fits.
    const fn widened(&self, time: Micros) -> Micros {
        match time.wider(self.margin_percent as u32) {
            Some(wider) => wider,
            None => time,
        }
    }
}
