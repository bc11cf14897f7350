//! What seldom happens goes to a logger: features `log` and `defmt`.
//!
//! Connections, their ends with the reason, packets that are sent again, messages that are skipped, requests that are
//! stuck. No payload is logged, no topic, and nothing of a login.
//!
//! Invariant: without the features the macro compiles to nothing; with them it only logs.

/// Logs at a level (`warn`, `info`, `debug`). Each argument is formatted with `{}`, so it needs `Display` and
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
