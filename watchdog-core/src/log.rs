//! What happened, for whoever reads a log: features `log` and `defmt`.
//!
//! Told is what seldom comes: that watching begins and ends, a failure and its stages, a grant, a report or a feed
//! that does not count. Never a feed that does, and a fault of a loop that spins once. Reports are told where they are
//! made, in an interrupt as well: the logger has to bear that.
//!
//! Invariant: without the features nothing is left of it, and with them nothing else is done.

/// Tells at a level (`error`, `warn`, `info`, `debug`); each argument by `{}`, so it has `Display` and `defmt::Format`.
macro_rules! log {
    ($level:ident, $text:literal $(, $value:expr)*) => {{
        #[cfg(feature = "log")]
        ::log::$level!($text $(, $value)*);
        // Hosts have no global logger of defmt to link.
        #[cfg(all(feature = "defmt", target_os = "none"))]
        ::defmt::$level!($text $(, $value)*);
        // Used, also where nobody is told.
        if false {
            $(let _ = &$value;)*
        }
    }};
}
pub(crate) use log;
