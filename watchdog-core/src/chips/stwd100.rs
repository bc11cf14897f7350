//! STWD100 by STMicroelectronics.

use core::time::Duration;

use super::{DuringReset, Edge, EnableInput, Limits, Profile, ProfileBuilder, Spread};
use crate::profile;

/// STWD100xY: 1.12 / 1.6 / 2.24 s, either edge; the output is low for 140 / 210 / 280 ms.
///
/// - The output is WDO, not RESET: it is asserted at a bite only, so a supervisor beside it resets the board at
///   power-on.
/// - The output stays low for its time whatever WDI does.
/// - EN has a pull-down: the chip is enabled while EN floats. A controller's pin at EN is an
///   [`EnablePin`](crate::external::EnablePin): no gate is needed.
/// - While WDI floats: not found. Drive the pin.
///
/// Times and the pulse of 1 µs, from -40 to 125 °C: Doc ID 14134 Rev 7, Table 5, page 17. Edges, and the timer that a
/// pulse at EN clears: 2.1, page 7.
pub const STWD100Y: Profile =
    profile!(stwd100("STWD100Y", Edge::Either, Spread::millis(1_120, 1_600, 2_240)));

/// STWD100xX: as [`STWD100Y`], but 71 / 102 / 142 ms.
pub const STWD100X: Profile =
    profile!(stwd100("STWD100X", Edge::Either, Spread::millis(71, 102, 142)));

/// STWD100xW: as [`STWD100Y`], but 4.3 / 6.3 / 8.6 ms.
pub const STWD100W: Profile =
    profile!(stwd100("STWD100W", Edge::Either, Spread::micros(4_300, 6_300, 8_600)));

/// STWD100xP: 2.3 / 3.4 / 4.6 ms, **rising edges only**; the output is low for 10 µs to one time-out, until the next
/// edge. Its typical length was not found; the typical time-out stands for it.
///
/// Otherwise as [`STWD100Y`]; from the same tables.
pub const STWD100P: Profile = profile!(
    stwd100("STWD100P", Edge::Rising, Spread::micros(2_300, 3_400, 4_600))
        .reset_pulse(Spread::micros(10, 3_400, 4_600))
);

const fn stwd100(name: &'static str, edge: Edge, timeout: Spread) -> ProfileBuilder {
    ProfileBuilder::new(name, edge, timeout)
        .source("Doc ID 14134 Rev 7, 2.1 and Table 5")
        .limits(Limits::FullRange)
        .min_pulse(Duration::from_micros(1))
        .during_reset(DuringReset::Ignored)
        .reset_pulse(Spread::millis(140, 210, 280))
        .enable_input(EnableInput::ActiveLow)
}
