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
#![cfg_attr(not(feature = "linux-ioctl"), forbid(unsafe_code))]

#[cfg(any(feature = "std", test))]
extern crate std;

pub mod bite;
pub mod chips;
pub mod clock;
pub mod countdown;
pub mod external;
pub mod guard;
pub mod hardware;
#[cfg(feature = "std")]
pub mod host;
pub mod plan;
pub mod record;
pub mod rules;
pub mod supervisor;
mod sync;
pub mod task;
mod time;
mod word;

pub use bite::{Failure, Fault, Stage, TaskId};
pub use clock::SharedClock;
pub use countdown::{Beat, Countdown};
pub use guard::Guard;
pub use plan::{Plan, PlanError, Timing};
pub use record::{CrashRecord, RecordError};
pub use rules::{Rules, RulesError};
pub use supervisor::{Action, NotRescued, Poll, Supervisor, UnknownTask, WatchError};
pub use task::{End, Refused, Task, TaskHandle};
pub use time::Instant;
