//! The events that go to a logger: features `log` and `defmt`.
//!
//! Only rare events are logged: start, stop, failures, stages, grants, rejected reports and feeds that the hardware
//! did not take. A successful feed is never logged. A loop that spins logs its fault once. A rejected report is logged
//! by the code that makes the report, possibly in an interrupt: the logger has to allow that.
//!
//! Invariant: without the features the macro compiles to nothing; with them it only logs.

/// Logs at a level (`error`, `warn`, `info`, `debug`). Each argument is formatted with `{}`, so it needs `Display` and
/// `defmt::Format`.
macro_rules! log {
    ($level:ident, $text:literal $(, $value:expr)*) => {{
        #[cfg(feature = "log")]
        ::log::$level!($text $(, $value)*);
        // A host has no global defmt logger to link.
        #[cfg(all(feature = "defmt", target_os = "none"))]
        ::defmt::$level!($text $(, $value)*);
        // Uses the arguments also if no logger is built in.
        if false {
            $(let _ = &$value;)*
        }
    }};
}
pub(crate) use log;
