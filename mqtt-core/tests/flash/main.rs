//! The journal in flash: what it keeps when power fails, what it refuses, and what it costs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod cuts;
mod device;
mod keeping;
mod nor;
mod wear;
