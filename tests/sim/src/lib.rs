//! A seeded, deterministic world in virtual time around the real client.
//!
//! Many [`mqtt_core::Client`]s with all kinds of settings, a model broker that is faithful to the specification and
//! strict, links that delay, split, merge, stall and break at any byte, brokers that restart with or without their
//! sessions, devices that lose power between any two actions and come back with what their journal then holds. What the
//! library promises is checked all the time ([`Invariant`]), and every run ends with a healing phase, in which faults
//! stop and all that was accepted has to be done.
//!
//! A run depends on its seed alone. One that breaks a promise is told in one line that plays it again, and drawn as a
//! sequence chart.
//!
//! ```
//! let outcome = simulation::run(7);
//! assert_eq!(outcome.violation, None);
//! assert_eq!(simulation::run(7), outcome);
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "a simulator fails by panicking, and every index is one that it has made itself"
)]

mod agenda;
mod broker;
mod campaign;
mod chart;
mod checks;
mod device;
mod faults;
mod ledger;
mod link;
mod setup;
mod stage;
mod topics;
mod totals;
mod trace;
mod world;

pub use campaign::{Campaign, Failure, Outcome, chart, run, run_without_faults};
pub use checks::{Invariant, Violation};
pub use faults::Fault;
pub use totals::Totals;
