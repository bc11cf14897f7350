#![cfg_attr(feature = "std", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "std"),
    doc = "Watchdog primitives: start with [`Supervisor`] and [`Guard`], or with [`design`]."
)]
//!
//! # Broken invariants
//!
//! A broken invariant is a bug of this library; no input and no order of calls causes one. It fails a `debug_assert!`,
//! so a test, or any build with debug assertions, stops at the first slip. A release build leaves the assertions out:
//! it goes on with a fixed fallback, such as 0 for a missing field, and never panics. Invariants over constants are
//! checked when the library is built.
#![no_std]
#![cfg_attr(not(feature = "linux-ioctl"), forbid(unsafe_code))]

#[cfg(any(feature = "std", test))]
extern crate std;

pub mod bite;
pub mod chips;
pub mod clock;
pub mod countdown;
#[doc = include_str!("../docs/designing-with-a-watchdog.md")]
pub mod design {}
pub mod external;
pub mod guard;
pub mod hardware;
#[cfg(feature = "std")]
pub mod host;
pub mod intervals;
mod log;
mod name;
#[doc = include_str!("../docs/peers.md")]
pub mod peers {}
pub mod plan;
pub mod record;
mod report;
pub mod rules;
pub mod supervisor;
mod sync;
pub mod task;
pub mod ticks;
mod time;
pub mod view;

pub use bite::{Failure, Fault, Stage, TaskId};
pub use clock::SharedClock;
pub use countdown::{Beat, Countdown};
pub use guard::{Guard, NotStopped, SuspendError};
pub use intervals::{Intervals, Measured};
pub use name::{Name, NameError};
pub use plan::{Plan, PlanError, Timing};
pub use record::{CrashRecord, RecordError};
pub use rules::{Reaction, Rules, RulesError};
pub use supervisor::{Action, NotRescued, NotSuspended, Poll, Supervisor, UnknownTask, WatchError};
pub use task::{End, Refused, Task, TaskHandle};
pub use ticks::{TickClock, UnsupportedRate};
pub use time::Instant;
pub use view::View;
