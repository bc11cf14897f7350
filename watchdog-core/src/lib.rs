//! Watchdog primitives: one verdict over many tasks, external watchdog chips, built-in watchdogs.
//!
//! Only the vocabulary is here so far; the changelog says when the rest comes.
//!
//! - **Feed**: to say that work progressed. Never that a timer fired.
//! - **Bite**: what happens when nobody fed in time.
//! - **Heartbeat**: the interval at which tasks are looked at; a multiple of their own.
//! - **Deadline**: how long a task may go without feeding.
//! - **Grant**: a bounded extension of a deadline for long work, tied to its progress.
#![no_std]
#![forbid(unsafe_code)]

pub mod chips;
pub mod external;
pub mod hardware;
mod time;

pub use time::Instant;
