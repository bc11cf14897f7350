//! [`Settings`]: how a daemon runs, apart from its plan.

use std::boxed::Box;

use core::fmt;
use core::time::Duration;

use crate::host::clock::{Clock, Monotonic};

/// How a daemon runs: its clock, the lateness that it may have, and its last resort.
///
/// ```
/// use std::time::Duration;
/// use watchdog_core::host::daemon::Settings;
///
/// // The stages write a dump, which takes up to a minute.
/// let settings = Settings::new().last_resort(Duration::from_secs(90));
/// ```
#[must_use]
pub struct Settings {
    pub(super) clock: Box<dyn Clock>,
    /// `None`: a heartbeat.
    pub(super) late: Option<Duration>,
    /// `None`: there is no last resort.
    pub(super) last_resort: Option<Duration>,
    #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
    pub(super) real_time: Option<u8>,
    #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
    pub(super) lock_memory: bool,
}

impl Settings {
    /// The bound of the [last resort](super#last-resort) if none is set: 10 seconds.
    pub const LAST_RESORT: Duration = Duration::from_secs(10);

    /// The clock of the operating system, a lateness of one heartbeat, and a last resort after [`Self::LAST_RESORT`].
    pub fn new() -> Self {
        Self {
            clock: Box::new(Monotonic::new()),
            late: None,
            last_resort: Some(Self::LAST_RESORT),
            #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
            real_time: None,
            #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
            lock_memory: false,
        }
    }

    /// Another clock, such as a clock that a test moves. The last resort counts the time of the operating system
    /// nevertheless.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The daemon's thread may run up to `bound` late, which counts for the threads as any other time does. If it is
    /// later, this is [`Event::Late`](super::Event::Late), and the rest of the time does not count. The default is the
    /// heartbeat; with `Duration::MAX` every time counts. See [a late daemon](super#a-late-daemon).
    ///
    /// A bound below the heartbeat finds shorter stops, and makes the daemon wake up more often: once in each bound.
    pub const fn late(mut self, bound: Duration) -> Self {
        self.late = Some(bound);
        self
    }

    /// The process is aborted if the daemon's thread, or the reset, takes `bound` longer than it should. Choose a bound
    /// that is longer than the longest run of the handler. See [last resort](super#last-resort).
    pub const fn last_resort(mut self, bound: Duration) -> Self {
        self.last_resort = Some(bound);
        self
    }

    /// The process is never aborted. If the handler blocks, only the hardware can bite; without hardware, nothing does.
    pub const fn without_last_resort(mut self) -> Self {
        self.last_resort = None;
        self
    }

    /// The threads of the daemon get the priority `priority` of `SCHED_FIFO`, 1 to 99. Then they are in time on a machine
    /// that is too busy for the watched threads. The handler runs at this priority, too: while it computes, no thread of
    /// a lower priority runs on its core, and a thread that it starts inherits the priority.
    ///
    /// This needs `CAP_SYS_NICE`, or an `RLIMIT_RTPRIO` that is not lower than the priority (`LimitRTPRIO=` in a unit of
    /// systemd). Otherwise the daemon is not started: [`StartError::RealTime`](super::StartError::RealTime).
    #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
    pub const fn real_time(mut self, priority: u8) -> Self {
        self.real_time = Some(priority);
        self
    }

    /// All memory of the process, now and later, stays in RAM (`mlockall`), so the daemon never waits for a page of the
    /// disk. This holds for the whole process, also after the daemon, and for the stacks of all its threads.
    ///
    /// This needs `CAP_IPC_LOCK`, or an `RLIMIT_MEMLOCK` above the memory of the process (`LimitMEMLOCK=`). Otherwise
    /// the daemon is not started: [`StartError::Memory`](super::StartError::Memory). If the limit is met later, the
    /// process gets no more memory.
    #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
    pub const fn lock_memory(mut self) -> Self {
        self.lock_memory = true;
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { late, last_resort, .. } = self;
        f.debug_struct("Settings")
            .field("late", late)
            .field("last_resort", last_resort)
            .finish_non_exhaustive()
    }
}
