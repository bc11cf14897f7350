//! The client against a scripted peer in virtual time: one property a test, named for it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod awake;
mod between_calls;
mod broken_peer;
mod brokers;
mod cancelling;
mod connecting;
mod deferring;
mod disconnecting;
mod every_cut;
mod failing_sources;
mod fleet;
mod found;
mod from_source;
mod keep_alive;
mod large;
mod largest;
mod last_word;
mod manual;
mod passing_over;
mod publishing;
mod queue;
mod receiving;
mod recording;
mod refusals;
mod refusing;
mod resending;
mod restoring;
mod returning;
mod shown;
mod skipping;
mod storage;
mod stuck;
mod subscribing;
mod time_outs;
mod unanswered;
mod unexpected;
mod versions;
