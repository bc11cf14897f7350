#![cfg_attr(feature = "std", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "std"),
    doc = "Watchdog primitives: start with [`Supervisor`] and [`Guard`], or with [`design`]."
)]
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
mod log;
pub mod plan;
pub mod record;
mod report;
pub mod rules;
pub mod supervisor;
mod sync;
pub mod task;
mod time;

pub use bite::{Failure, Fault, Stage, TaskId};
pub use clock::SharedClock;
pub use countdown::{Beat, Countdown};
pub use guard::{Guard, NotStopped};
pub use plan::{Plan, PlanError, Timing};
pub use record::{CrashRecord, RecordError};
pub use rules::{Rules, RulesError};
pub use supervisor::{Action, NotRescued, Poll, Supervisor, UnknownTask, WatchError};
pub use task::{End, Refused, Task, TaskHandle};
pub use time::Instant;
