//! The bodies of the fuzz targets, without the fuzzer.
//!
//! Each body takes any bytes and panics if a property does not hold. The targets in `fuzz/fuzz_targets` give them
//! libFuzzer's bytes. A system test gives them the checked-in corpora, so that every compiler runs them.

#![forbid(unsafe_code)]

mod client;
mod decode;
mod input;
mod records;
mod topic;
mod watchdog;

pub use client::{client, program};
pub use decode::decode;
pub use records::journal;
pub use topic::topic;
pub use watchdog::{model as watchdog_model, watchdog};
