//! A seeded, deterministic world in virtual time around the real client.
//!
//! In this world there are many [`mqtt_core::Client`]s with all kinds of settings, and a model broker that is faithful
//! to the specification and strict; or a cluster of three nodes, or up to three brokers that share nothing. Links delay,
//! split, merge, stall and break at any byte. Brokers restart with or without their sessions. Devices lose power between
//! any two actions, and come back with the content of their journal.
//! The promises of the library are checked all the time ([`Invariant`]). Every run ends with a healing phase: faults
//! stop, and everything that was accepted has to be done.
//!
//! Some seeds are a fleet instead: many clients of one kind, whose broker stops and comes back.
//!
//! A run depends on its seed alone. A failing seed prints one line that replays it, and is drawn as a sequence chart.
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
mod fleet;
mod landscape;
mod ledger;
mod link;
pub mod open;
mod progress;
mod quirks;
mod setup;
mod stage;
mod topics;
mod totals;
mod trace;
mod world;

pub use campaign::{Campaign, Failure, Outcome, chart, run, run_without_faults};
pub use checks::{Invariant, Violation};
pub use faults::Fault;
pub use quirks::Quirk;
pub use totals::{ByQuirk, Shown, Totals};
