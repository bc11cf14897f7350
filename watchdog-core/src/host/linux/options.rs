//! The bits for the abilities of a driver and for the events it found: `WDIOF_…` of include/uapi/linux/watchdog.h.

use core::fmt;

/// The abilities of a driver, or the events it found: a set of `WDIOF_…` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options(u32);

/// Each bit with its name from the header, in lower case and with dashes.
const NAMES: &[(Options, &str)] = &[
    (Options::OVERHEAT, "overheat"),
    (Options::FAN_FAULT, "fan-fault"),
    (Options::EXTERN_1, "extern-1"),
    (Options::EXTERN_2, "extern-2"),
    (Options::POWER_UNDER, "power-under"),
    (Options::CARD_RESET, "card-reset"),
    (Options::POWER_OVER, "power-over"),
    (Options::SET_TIMEOUT, "set-timeout"),
    (Options::MAGIC_CLOSE, "magic-close"),
    (Options::PRETIMEOUT, "pretimeout"),
    (Options::ALARM_ONLY, "alarm-only"),
    (Options::KEEPALIVE_PING, "keepalive-ping"),
];

impl Options {
    /// The last reset was due to overheat of the processor.
    pub const OVERHEAT: Self = Self(0x0001);
    /// A fan failed.
    pub const FAN_FAULT: Self = Self(0x0002);
    /// External relay 1.
    pub const EXTERN_1: Self = Self(0x0004);
    /// External relay 2.
    pub const EXTERN_2: Self = Self(0x0008);
    /// The supply is too low, or failed.
    pub const POWER_UNDER: Self = Self(0x0010);
    /// The watchdog caused the last reset.
    pub const CARD_RESET: Self = Self(0x0020);
    /// The supply is too high.
    pub const POWER_OVER: Self = Self(0x0040);
    /// The time-out can be set. As a status of some drivers: the watchdog was fed since the last query.
    pub const SET_TIMEOUT: Self = Self(0x0080);
    /// The magic close can stop the watchdog.
    pub const MAGIC_CLOSE: Self = Self(0x0100);
    /// The watchdog has a pretimeout.
    pub const PRETIMEOUT: Self = Self(0x0200);
    /// The watchdog raises an alarm and does not reset.
    pub const ALARM_ONLY: Self = Self(0x0400);
    /// The watchdog can be fed. As a status: it was fed since the last query.
    pub const KEEPALIVE_PING: Self = Self(0x8000);

    /// A set of these bits, including unknown bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set contains all of `others`.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// The names, separated by spaces; unknown bits as a number; `none` for an empty set.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut space = "";
        for (option, name) in NAMES.iter().filter(|(option, _)| self.contains(*option)) {
            write!(f, "{space}{name}")?;
            rest &= !option.0;
            space = " ";
        }
        match rest {
            0 if space.is_empty() => f.write_str("none"),
            0 => Ok(()),
            rest => write!(f, "{space}{rest:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn options_print_their_names_and_unknown_bits_as_a_number() {
        assert_eq!(
            Options::from_bits(0x8180).to_string(),
            "set-timeout magic-close keepalive-ping"
        );
        assert_eq!(Options::from_bits(0x1_0020).to_string(), "card-reset 0x10000");
        assert_eq!(Options::default().to_string(), "none");
    }
}
