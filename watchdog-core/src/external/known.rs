//! The knowledge of the chip's state that makes an edge safe: [`Takeover`], and the bounds that follow from it.
//!
//! A program cannot ask a chip whether it counts or holds its RESET. It can only know: after a feed, the chip certainly
//! counts until its shortest time-out is over, and its window is certainly open after the longest closed window.
//!
//! All its times are those of the [`Profile`], so they include its margin.
//!
//! Invariants: an edge before `opens` is never made. Between `settled` and `until` the chip does not hold RESET, on any
//! board. While the program knows less, the interval is empty.

use crate::chips::{HighImpedance, Profile};
use crate::time::Instant;

/// The state of the chip when the program takes it over.
///
/// The controller may have restarted alone, by its own watchdog, a debugger or a software reset; the chip then runs on.
/// So without further knowledge the chip may be anywhere between two feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Takeover {
    /// WDI has floated until this instant. The usual case: the pin is an input after each reset of the controller, no
    /// boot loader has driven it, and no resistor holds it. A chip that [feeds itself](HighImpedance::FeedsItself) then
    /// was not counting; any other chip counts as [`Unknown`](Self::Unknown).
    ///
    /// With a resistor at WDI the chip counts also while no pin drives it. Then this is wrong: use
    /// [`Reset`](Self::Reset) or [`Unknown`](Self::Unknown).
    Floating(Instant),
    /// The chip released RESET at this instant, and nothing has fed it since. For a chip without a gate this is the
    /// start of the program, if the [reset cause](crate::hardware::ReadResetCause) is power-on or the reset pin.
    Reset(Instant),
    /// The chip was fed last at this instant, for example by the boot loader. The pin stays at its level until the next
    /// feed.
    Fed(Instant),
    /// The chip may be running at this instant, and may just have been fed. The pin stays at its level until the first
    /// feed.
    Unknown(Instant),
}

/// The bounds for the next edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The window is certainly open from here on.
    pub(super) opens: Instant,
    /// From here on, and before `until`, the chip certainly does not hold RESET.
    pub(super) settled: Instant,
    pub(super) until: Instant,
}

impl Known {
    pub(super) fn at(chip: &Profile, takeover: Takeover) -> Self {
        match takeover {
            Takeover::Floating(now) if chip.high_impedance() == HighImpedance::FeedsItself => {
                Self::settling(chip, now)
            }
            Takeover::Reset(at) => Self {
                opens: if chip.has_window_in_first_frame() { opening(chip, at) } else { at },
                settled: at,
                until: at.plus_millis(chip.feeding().first_safe_millis.into()),
            },
            Takeover::Fed(at) => Self::fed(chip, at),
            Takeover::Floating(now) | Takeover::Unknown(now) => {
                Self { opens: opening(chip, now), settled: Instant::FAR_FUTURE, until: now }
            }
        }
    }

    /// The chip has counted an edge at `now`.
    pub(super) fn fed(chip: &Profile, now: Instant) -> Self {
        Self {
            opens: opening(chip, now),
            settled: now,
            until: now.plus_millis(chip.feeding().safe_millis.into()),
        }
    }

    /// The chip counts from `now` on, or it holds RESET now and counts from its end on. In both cases it does not hold
    /// RESET after one reset time, until the shortest time-out from `now` is over.
    pub(super) fn settling(chip: &Profile, now: Instant) -> Self {
        // One more, because the true time may be up to a millisecond after `now`.
        let reset = chip.feeding().longest_reset_millis;
        let reset = reset.map(|reset| u64::from(reset).saturating_add(1));
        let settled = reset.map_or(now, |reset| now.plus_millis(reset));
        Self { opens: opening(chip, settled), settled, ..Self::fed(chip, now) }
    }

    /// An edge was made at `now`, and the chip has counted it, or has ignored it in its start-up delay.
    pub(super) fn after_edge(self, chip: &Profile, now: Instant) -> Self {
        let fed = Self::fed(chip, now);
        if chip.is_deaf_at_start() {
            // In the start-up delay the edge was no feed, and did not shorten the delay.
            return Self { until: fed.until.max(self.until), ..fed };
        }
        fed
    }

    /// An edge was made at `now`, and the chip has counted it, or has ignored it because it holds RESET. If the end of
    /// that RESET is known already, a further edge does not defer it.
    pub(super) fn after_ignored_edge(self, chip: &Profile, now: Instant) -> Self {
        let settling = Self::settling(chip, now);
        if self.is_settling(now) {
            let settled = self.settled;
            return Self { opens: opening(chip, settled), settled, ..settling };
        }
        settling
    }

    /// An edge at `now` may have been made or not. If it was, it may have ended a start-up delay or a long first
    /// time-out.
    pub(super) fn perhaps_fed(self, chip: &Profile, now: Instant) -> Self {
        let Self { opens, until, .. } = Self::fed(chip, now);
        let until = if chip.is_deaf_at_start() { self.until } else { until.min(self.until) };
        Self { opens, until, ..self }
    }

    /// Whether the chip certainly does not hold RESET.
    pub(super) fn is_counting(&self, now: Instant) -> bool {
        self.settled <= now && now < self.until
    }

    /// When the next edge is neither too early nor meets a RESET that ends by itself.
    pub(super) fn earliest(&self) -> Instant {
        self.opens.max(self.settled)
    }

    /// Whether one reset time is not over yet, and the chip does not hold RESET after it.
    pub(super) fn is_settling(&self, now: Instant) -> bool {
        now < self.settled && self.settled < self.until
    }
}

fn opening(chip: &Profile, now: Instant) -> Instant {
    now.plus_millis(chip.window_millis().into())
}
