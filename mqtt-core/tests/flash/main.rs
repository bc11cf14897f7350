//! The journal in flash: the records that survive a power cut, the errors, and the wear.

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
