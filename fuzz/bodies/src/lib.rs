//! What the fuzz targets check, without the fuzzer.
//!
//! Each body takes any bytes and panics where a property does not hold. The targets in `fuzz/fuzz_targets` hand
//! them libFuzzer's bytes; a system test hands them the checked-in corpora, so that every compiler runs them.

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
