//! [`Daemon`]: a thread that watches other threads, and feeds a hardware watchdog while they are healthy.
//!
//! ```
//! use watchdog_core::host::daemon::{Daemon, Event, NoHardware};
//! use watchdog_core::{Plan, Rules, Stage, plan};
//!
//! const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 100)];
//!
//! let daemon = Daemon::start(NoHardware, 8, plan!(Plan::heartbeat(100).stages(STAGES)), |event| match event {
//!     Event::Stage(bite) => match bite.stage() {
//!         Stage::Reset => std::process::abort(),
//!         _ => eprintln!("{:?}: {}, {}", bite.stage(), bite.name(), bite.failure()),
//!     },
//!     Event::Report(report) => eprintln!("{}: {}, it goes on without", report.name(), report.failure()),
//!     Event::Late(by) => eprintln!("the process did not run for {by:?}"),
//!     Event::NotFed(never) => match never {},
//! })?;
//!
//! let pump = daemon.watch("pump", Rules::deadline(1_000).steps(2))?;
//! let thread = std::thread::spawn(move || {
//!     for _ in 0..3 {
//!         pump.step(0)?; // the level is read
//!         pump.step(1)?; // the motor is set
//!     }
//!     pump.retire()
//! });
//! thread.join().unwrap()?;
//! daemon.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Faults of a thread
//!
//! | the thread | fault | found |
//! |---|---|---|
//! | panics | [`Fault::Panicked`] | at once: the panic drops its [`Watched`] |
//! | returns without [`Watched::retire`], or drops its `Watched` | [`Fault::Returned`] | at once |
//! | blocks, or spins without reaching a feed | [`Fault::Starved`] | at the heartbeat after its deadline |
//! | spins around one checkpoint | [`Fault::OutOfOrder`] | at the next heartbeat |
//! | spins around a feed, with [`Rules::not_before`] | [`Fault::Early`] | at the next heartbeat |
//!
//! A panic drops the `Watched` after the panic hook. If the hook prints a backtrace for longer than the deadline, the
//! thread is found as starved. A thread that spins around a feed, within its window and without checkpoints, looks like
//! a thread that works. With `panic = "abort"` the first panic ends the process with its daemon; then only the hardware
//! can bite.
//!
//! If the handler panics, the daemon ends, and no report counts any more. The hardware is not dropped, is not fed any
//! more, and bites.
//!
//! # A late daemon
//!
//! A process may not run for some seconds: it is stopped by `SIGSTOP` or a debugger, its control group is frozen, its
//! virtual machine pauses, or the machine has no time for it. No thread is to blame for that. If the daemon's thread
//! runs later than a heartbeat after its time ([`Settings::late`]), the handler gets [`Event::Late`], and the rest of
//! the time does not count for any thread. So a stop costs a thread at most two heartbeats of its deadline: one that is
//! not noticed, and one of lateness. The hardware is not fed during the stop, and bites if the stop is too long.
//!
//! A handler decides whether a late daemon is a failure: one that is late again and again watches badly. While the
//! handler runs, all time counts, and a stop is not noticed. The instants of a [`Failure`] leave out the time that
//! does not count. [`Daemon::freeze`] stops the time on purpose. For suspend, see [`Monotonic`](super::clock::Monotonic).
//!
//! # Last resort
//!
//! The handler may block: it prints while another thread holds the lock of the standard output, or it waits for a
//! thread that hangs. No stage follows then, and without hardware nothing would bite. So a second thread stands behind
//! the daemon's thread, and aborts the process ([`std::process::abort`]) in these cases:
//!
//! - The daemon's thread is not back at its next heartbeat or stage plus a bound: the handler, or a feed of the
//!   hardware, blocks, or the handler has panicked.
//! - The process still runs when the bound is over since the handler was called for [`Stage::Reset`].
//!
//! The bound is 10 seconds by default; [`Settings::last_resort`] sets it, and [`Settings::without_last_resort`] turns
//! this off. The thread only sleeps and counts: it takes no lock, allocates nothing and prints nothing. So the status of
//! the process is all that it tells: `SIGABRT` on Unix, and a core dump shows the thread `watchdog-last`. A handler of
//! the program for `SIGABRT` runs first, and must not block.
//!
//! [`Fault::Panicked`]: crate::Fault::Panicked
//! [`Fault::Returned`]: crate::Fault::Returned
//! [`Fault::Starved`]: crate::Fault::Starved
//! [`Fault::OutOfOrder`]: crate::Fault::OutOfOrder
//! [`Fault::Early`]: crate::Fault::Early

// Under loom, tests drive the places and the time: tests/loom.rs.
mod freeze;
mod last_resort;
#[cfg(loom)]
#[doc(hidden)]
pub mod places;
#[cfg(not(loom))]
#[expect(unreachable_pub, reason = "public under loom")]
mod places;
#[cfg(all(target_os = "linux", feature = "linux-realtime"))]
mod real_time;
mod runner;
mod settings;
mod shared;
#[cfg(loom)]
#[doc(hidden)]
pub mod time;
#[cfg(not(loom))]
#[expect(unreachable_pub, reason = "public under loom")]
mod time;
mod watched;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, SendError, Sender};
use std::thread::{self, JoinHandle};

use core::convert::Infallible;
use core::fmt;
use core::mem::ManuallyDrop;
use core::time::Duration;

use thiserror::Error;

use self::last_resort::LastResort;
use self::places::Places;
use self::runner::Runner;
use self::shared::{Entry, Refusal, Request, Shared, lock};
use self::time::Time;
use crate::bite::{Failure, Stage, TaskId};
use crate::hardware::{ErrorType, Watchdog};
use crate::plan::Timing;
use crate::rules::Rules;
use crate::supervisor::{NotRescued, WatchError};
use crate::time::Instant;

pub use self::freeze::FreezeError;
pub use self::settings::Settings;
pub use self::watched::Watched;

/// Stands for the hardware if there is no hardware watchdog: a bite consists of the stages only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoHardware;

impl ErrorType for NoHardware {
    type Error = Infallible;
}

impl Watchdog for NoHardware {
    fn feed(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// An event for the handler. The handler runs on the daemon's thread: while it runs, the hardware is not fed.
#[derive(Debug)]
pub enum Event<'e, E> {
    /// A thread has failed, and a stage of the bite is due.
    Stage(Bite<'e>),
    /// A thread whose [reaction](crate::Reaction) is a report has failed. It is not awaited any more, and its reports do
    /// not count. Its place is vacant when it drops its handle.
    Report(Report<'e>),
    /// The hardware could not be fed; the daemon tries again several times a heartbeat.
    NotFed(E),
    /// The daemon itself was late by this time. See [a late daemon](self#a-late-daemon).
    Late(Duration),
}

/// The handle of a running daemon.
///
/// Dropping the handle changes nothing: the daemon goes on watching. Only [`Daemon::stop`] ends it.
#[derive(Debug)]
#[must_use = "no thread can be watched without it"]
pub struct Daemon<W> {
    shared: Arc<Shared>,
    timing: Timing<'static>,
    thread: JoinHandle<Option<W>>,
}

impl<W> Daemon<W>
where
    W: Watchdog + Send + 'static,
{
    /// Starts a daemon with room for `places` threads, by the default [`Settings`].
    ///
    /// # Errors
    ///
    /// [`NotStarted`]: a thread could not be started, or a setting needs a privilege. The error has the hardware, which
    /// was not fed.
    pub fn start(
        hardware: W,
        places: usize,
        timing: Timing<'static>,
        handler: impl FnMut(Event<'_, W::Error>) + Send + 'static,
    ) -> Result<Self, NotStarted<W>> {
        Self::start_with(Settings::new(), hardware, places, timing, handler)
    }

    /// Starts a daemon with settings of its own.
    ///
    /// # Errors
    ///
    /// [`NotStarted`]: a thread could not be started, or a setting needs a privilege. The error has the hardware, which
    /// was not fed.
    pub fn start_with(
        settings: Settings,
        hardware: W,
        places: usize,
        timing: Timing<'static>,
        handler: impl FnMut(Event<'_, W::Error>) + Send + 'static,
    ) -> Result<Self, NotStarted<W>> {
        let (daemon, hand_over) = match Self::start_threads(settings, places, timing, handler) {
            Ok(started) => started,
            Err(error) => return Err(NotStarted::new(error, hardware)),
        };
        match hand_over.send(hardware) {
            Ok(()) => Ok(daemon),
            Err(SendError(hardware)) => {
                let error = io::Error::other("the thread has ended");
                Err(NotStarted::new(StartError::Thread(error), hardware))
            }
        }
    }

    /// Starts the threads; that of the daemon waits for its hardware. If it gets none, it ends.
    fn start_threads(
        settings: Settings,
        places: usize,
        timing: Timing<'static>,
        handler: impl FnMut(Event<'_, W::Error>) + Send + 'static,
    ) -> Result<(Self, Sender<W>), StartError> {
        let places = Places::new(places, timing.rescues);
        let heartbeat = Duration::from_millis(timing.heartbeat_millis().into());
        let time = Time::new(settings.clock, settings.late.unwrap_or(heartbeat));
        let shared = Arc::new(Shared::new(places, time));
        #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
        if settings.lock_memory {
            real_time::lock_memory().map_err(StartError::Memory)?;
        }
        let (last_resort, behind) =
            LastResort::start(settings.last_resort).map_err(StartError::Thread)?;
        let runner =
            Runner { shared: Arc::clone(&shared), last_resort: last_resort.clone(), handler };
        let (hand_over, handed_over) = mpsc::channel();
        let started = thread::Builder::new().name("watchdog".into()).spawn(move || {
            let hardware = handed_over.recv().ok()?;
            Some(runner.until_stopped(hardware, timing))
        });
        let thread = started.map_err(|error| {
            last_resort.off();
            StartError::Thread(error)
        })?;
        #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
        if let Some(priority) = settings.real_time {
            let set =
                behind.as_ref().map_or(Ok(()), |thread| real_time::prioritize(thread, priority));
            if let Err(error) = set.and_then(|()| real_time::prioritize(&thread, priority)) {
                last_resort.off();
                return Err(StartError::RealTime { priority, error });
            }
        }
        #[cfg(not(all(target_os = "linux", feature = "linux-realtime")))]
        drop(behind);
        Ok((Self { shared, timing, thread }, hand_over))
    }

    /// Watches another thread from now on. The thread has to own the returned [`Watched`].
    ///
    /// # Errors
    ///
    /// [`WatchError`]: no place is vacant, the rules cannot be kept or do not fit the plan, or the handler has panicked.
    pub fn watch(&self, name: &str, rules: Rules) -> Result<Watched, WatchError> {
        self.timing.fits(&rules)?;
        if self.shared.has_ended() {
            return Err(WatchError::NoSupervisor);
        }
        let now = self.shared.time.now();
        let mut entries = lock(&self.shared.entries);
        let id = self.shared.places.watch(&rules, now)?;
        if let Some(entry) = entries.get_mut(self.shared.places.index(id)) {
            *entry = Entry { name: Arc::from(name), rules };
        }
        Ok(Watched::new(&self.shared, id))
    }

    /// Ends the supervision, and gives the hardware back. The hardware goes on running.
    ///
    /// # Errors
    ///
    /// [`StopError`]: a thread has failed, so the bite goes on; or the daemon has panicked.
    pub fn stop(self) -> Result<W, StopError> {
        if let Some(Err(Refusal::Failed(failure))) = self.shared.ask(Request::Stop) {
            return Err(StopError::Failed(failure));
        }
        self.thread.join().ok().flatten().ok_or(StopError::Panicked)
    }

    /// Freezes the daemon for at most `most`: the time stands still for all threads, and the hardware is fed on. For a
    /// debugger that stops one thread while the others run, or a sleep of the whole program.
    ///
    /// A freeze lasts whole heartbeats, at least one. It ends by itself, by [`thaw`](Self::thaw), or at once if a thread
    /// panics or returns. Reports count during a freeze, and none is too early. Before the next freeze, the time has to
    /// run as long as it stood. This waits for the handler if it runs; the handler itself must not call it.
    ///
    /// # Errors
    ///
    /// [`FreezeError`]: the time runs on.
    pub fn freeze(&self, most: Duration) -> Result<(), FreezeError> {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        if most > Rules::MOST_MILLIS.into() {
            return Err(FreezeError::TooLong);
        }
        match self.shared.ask(Request::Freeze(most)) {
            Some(Ok(())) => Ok(()),
            Some(Err(Refusal::Failed(failure))) => Err(FreezeError::Failed(failure)),
            Some(Err(Refusal::Freeze(error))) => Err(error),
            Some(Err(Refusal::NotFrozen)) | None => Err(FreezeError::NoSupervisor),
        }
    }

    /// Ends a freeze at the next whole heartbeat of it. Returns whether the daemon was frozen.
    pub fn thaw(&self) -> bool {
        self.shared.ask(Request::Thaw) == Some(Ok(()))
    }
}

/// Why a daemon was not started, and its hardware.
///
/// If the error is dropped, the hardware is not: it stays as it is, and bites if it runs. So `?` does not disarm it.
#[must_use = "the hardware is not fed"]
pub struct NotStarted<W> {
    /// The reason.
    pub error: StartError,
    /// Never dropped.
    hardware: ManuallyDrop<W>,
}

impl<W> NotStarted<W> {
    const fn new(error: StartError, hardware: W) -> Self {
        Self { error, hardware: ManuallyDrop::new(hardware) }
    }

    /// The reason, and the hardware, to stop it or to feed it in another way.
    pub fn into_parts(self) -> (StartError, W) {
        (self.error, ManuallyDrop::into_inner(self.hardware))
    }
}

/// Shows the error only, because devices seldom implement `Debug`.
impl<W> fmt::Debug for NotStarted<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStarted").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<W> fmt::Display for NotStarted<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<W> core::error::Error for NotStarted<W> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.error.source()
    }
}

/// Why a daemon was not started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A thread could not be started.
    #[error("a thread of the daemon cannot be started: {0}")]
    Thread(#[source] io::Error),
    /// The threads did not get their real-time priority. It needs `CAP_SYS_NICE` or `RLIMIT_RTPRIO`, and is 1 to 99.
    #[error("the daemon does not get the real-time priority {priority}: {error}")]
    RealTime {
        /// The priority.
        priority: u8,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// The memory could not be locked. It needs `CAP_IPC_LOCK` or `RLIMIT_MEMLOCK`.
    #[error("the memory cannot be locked: {0}")]
    Memory(#[source] io::Error),
}

/// Why a daemon was not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StopError {
    /// A thread has failed. The daemon goes on with the stages, and does not feed any more.
    #[error("{0}")]
    Failed(Failure),
    /// The daemon's handler has panicked. The hardware is not fed any more.
    #[error("the daemon has panicked")]
    Panicked,
}

/// A stage of a bite, for the handler.
pub struct Bite<'e> {
    stage: Stage,
    failure: Failure,
    shared: &'e Arc<Shared>,
    rescue: &'e mut dyn FnMut(TaskId, Instant) -> Result<(), NotRescued>,
}

impl fmt::Debug for Bite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, failure, .. } = self;
        f.debug_struct("Bite")
            .field("stage", stage)
            .field("failure", failure)
            .finish_non_exhaustive()
    }
}

/// The failure of a thread that the program can do without.
#[derive(Debug)]
pub struct Report<'e> {
    failure: Failure,
    shared: &'e Shared,
}

impl Report<'_> {
    /// The failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        self.failure
    }

    /// The name of the thread that failed.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.shared.name(self.failure.task)
    }
}

impl Bite<'_> {
    /// The stage.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        self.failure
    }

    /// The name of the thread that failed.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.shared.name(self.failure.task)
    }

    /// Watches a new thread instead of the failed one, by the same rules. It has another id. The old thread cannot be
    /// ended; if it comes back, its reports do not count.
    ///
    /// # Errors
    ///
    /// [`NotRescued`]: the bite goes on.
    pub fn restarted(&mut self) -> Result<Watched, NotRescued> {
        let (old, now) = (self.failure.task, self.shared.time.now());
        let places = &self.shared.places;
        let mut entries = lock(&self.shared.entries);
        // There is a place for each rescue, so only the supervisor's error can be met here.
        let successor = places.successor_place();
        (self.rescue)(old, now)?;
        debug_assert!(successor.is_some(), "there is a place for each rescue");
        let successor = successor.ok_or(NotRescued::NoneLeft)?;
        let entry = entries.get(places.index(old)).cloned().unwrap_or_default();
        places.replace(old, successor, &entry.rules, now);
        if let Some(place) = entries.get_mut(places.index(successor)) {
            *place = entry;
        }
        Ok(Watched::new(self.shared, successor))
    }
}
