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
//! If the handler panics, the daemon ends. The hardware is not fed any more, and bites.
//!
//! [`Fault::Panicked`]: crate::Fault::Panicked
//! [`Fault::Returned`]: crate::Fault::Returned
//! [`Fault::Starved`]: crate::Fault::Starved
//! [`Fault::OutOfOrder`]: crate::Fault::OutOfOrder
//! [`Fault::Early`]: crate::Fault::Early

use std::boxed::Box;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::vec::Vec;

use core::convert::Infallible;
use core::fmt;

use thiserror::Error;

use crate::bite::{Failure, Stage, TaskId};
use crate::guard::Guard;
use crate::hardware::{ErrorType, Watchdog};
use crate::host::clock::{Clock, Monotonic};
use crate::log::log;
use crate::plan::Timing;
use crate::rules::Rules;
use crate::supervisor::{Action, NotRescued, Supervisor, WatchError, watch_in};
use crate::task::{End, Refused, Task, TaskHandle};
use crate::time::Instant;

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
    /// The hardware could not be fed; the daemon tries again several times a heartbeat.
    NotFed(E),
}

/// The handle of a running daemon.
///
/// Dropping the handle changes nothing: the daemon goes on watching. Only [`Daemon::stop`] ends it.
#[derive(Debug)]
#[must_use = "no thread can be watched without it"]
pub struct Daemon<W> {
    shared: Arc<Shared>,
    thread: JoinHandle<W>,
}

impl<W> Daemon<W>
where
    W: Watchdog + Send + 'static,
{
    /// Starts a daemon with room for `places` threads, on the clock of the operating system.
    ///
    /// # Errors
    ///
    /// The daemon's thread could not be started.
    pub fn start(
        hardware: W,
        places: usize,
        timing: Timing<'static>,
        handler: impl FnMut(Event<'_, W::Error>) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_with(Monotonic::new(), hardware, places, timing, handler)
    }

    /// Starts a daemon with another clock, such as a clock that a test moves.
    ///
    /// # Errors
    ///
    /// The daemon's thread could not be started.
    pub fn start_with(
        clock: impl Clock,
        hardware: W,
        places: usize,
        timing: Timing<'static>,
        handler: impl FnMut(Event<'_, W::Error>) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            tasks: (0..places).map(|_| Task::vacant()).collect(),
            instances: (0..places).map(|_| AtomicU32::new(0)).collect(),
            names: Mutex::new((0..places).map(|_| Arc::from("")).collect()),
            stop: Mutex::new(Stop::No),
            stopped: Condvar::new(),
            clock: Box::new(clock),
        });
        let runner = Runner { shared: Arc::clone(&shared), handler };
        let thread = thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || runner.until_stopped(hardware, timing))?;
        Ok(Self { shared, thread })
    }

    /// Watches another thread from now on. The thread has to own the returned [`Watched`].
    ///
    /// # Errors
    ///
    /// [`WatchError`]: no place is vacant, or the rules cannot be kept.
    pub fn watch(&self, name: &str, rules: Rules) -> Result<Watched, WatchError> {
        let mut names = lock(&self.shared.names);
        let (id, _handle) = watch_in(&self.shared.tasks, rules, self.shared.clock.now())?;
        if let Some(place) = names.get_mut(self.shared.index(id)) {
            *place = Arc::from(name);
        }
        Ok(Watched::next_instance(&self.shared, id))
    }

    /// Ends the supervision, and gives the hardware back. The hardware goes on running.
    ///
    /// # Errors
    ///
    /// [`StopError`]: a thread has failed, so the bite goes on; or the daemon has panicked.
    pub fn stop(self) -> Result<W, StopError> {
        let mut stop = lock(&self.shared.stop);
        if *stop == Stop::No {
            *stop = Stop::Asked;
        }
        self.shared.clock.wake();
        while *stop == Stop::Asked {
            stop = self.shared.stopped.wait(stop).unwrap_or_else(PoisonError::into_inner);
        }
        if let Stop::Refused(failure) = *stop {
            return Err(StopError::Failed(failure));
        }
        drop(stop);
        self.thread.join().map_err(|_| StopError::Panicked)
    }
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

/// The handle that a watched thread owns and reports with. See [`TaskHandle`] for the meaning of the reports.
///
/// If a panic or the end of the thread drops it, it reports the fault, and the daemon bites. [`Watched::retire`] ends
/// the watching on purpose.
#[derive(Debug)]
#[must_use = "dropping it makes the daemon bite"]
pub struct Watched {
    shared: Arc<Shared>,
    id: TaskId,
    /// The number of this instance, of all threads that have had this place.
    instance: u32,
    ended: bool,
}

impl Watched {
    /// Makes a new instance for a place. Reports of earlier instances do not count from now on.
    fn next_instance(shared: &Arc<Shared>, id: TaskId) -> Self {
        let counter = shared.instances.get(shared.index(id));
        let before = counter.map_or(0, |counter| counter.fetch_add(1, Ordering::AcqRel));
        Self { shared: Arc::clone(shared), id, instance: before.wrapping_add(1), ended: false }
    }

    fn handle(&self) -> Result<(TaskHandle<'_>, Instant), Refused> {
        let index = self.shared.index(self.id);
        let counter = self.shared.instances.get(index);
        if counter.is_none_or(|counter| counter.load(Ordering::Acquire) != self.instance) {
            return Err(Refused::NotWatched);
        }
        let task = self.shared.tasks.get(index).ok_or(Refused::NotWatched)?;
        Ok((task.handle(), self.shared.clock.now()))
    }

    /// The thread's place among the daemon's threads.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// Reports that work has progressed.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the feed does not count. [`Refused::NotWatched`]: another thread has taken this place; this happens
    /// to a thread that comes back too late.
    pub fn feed(&self) -> Result<(), Refused> {
        self.handle().and_then(|(handle, now)| handle.feed(now))
    }

    /// Reports that the checkpoint `step` is passed.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the checkpoint does not count.
    pub fn step(&self, step: u8) -> Result<(), Refused> {
        self.handle().and_then(|(handle, now)| handle.step(step, now))
    }

    /// Takes a grant for long work.
    ///
    /// # Errors
    ///
    /// [`Refused`]: no grant is left, or none is allowed yet.
    pub fn grant(&self) -> Result<(), Refused> {
        self.handle().and_then(|(handle, now)| handle.grant(now))
    }

    /// Pauses: the thread is not awaited until it resumes.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread is late or has failed, or it has to make progress first.
    pub fn pause(&self) -> Result<(), Refused> {
        self.handle().and_then(|(handle, now)| handle.pause(now))
    }

    /// Resumes: the thread is awaited again.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread was not paused.
    pub fn resume(&self) -> Result<(), Refused> {
        self.handle().and_then(|(handle, now)| handle.resume(now))
    }

    /// Reports that the thread ends on purpose.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the thread is late or has failed.
    pub fn retire(mut self) -> Result<(), Refused> {
        self.ended = true;
        self.handle().and_then(|(handle, now)| handle.retire(now))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Ok((handle, now)) = self.handle() {
            handle.abandon(if thread::panicking() { End::Panicked } else { End::Returned }, now);
            self.shared.clock.wake();
        }
    }
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
        let names = lock(&self.shared.names);
        names.get(self.shared.index(self.failure.task)).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Watches a new thread in the place of the failed one, by the same rules. The old thread cannot be ended; if it
    /// comes back, its reports do not count.
    ///
    /// # Errors
    ///
    /// [`NotRescued`]: the bite goes on.
    pub fn restarted(&mut self) -> Result<Watched, NotRescued> {
        let id = self.failure.task;
        // The new instance comes first, so that no report of the old thread counts for the new one.
        let watched = Watched::next_instance(self.shared, id);
        match (self.rescue)(id, self.shared.clock.now()) {
            Ok(()) => Ok(watched),
            Err(error) => {
                // No thread has owned it yet, so dropping it must not report an end.
                let mut watched = watched;
                watched.ended = true;
                Err(error)
            }
        }
    }
}

/// The state that the daemon, its handle and the watched threads share.
struct Shared {
    tasks: Box<[Task]>,
    /// For each task, the number of threads that have had its place.
    instances: Box<[AtomicU32]>,
    /// This lock also prevents two threads from taking the same place. A feed takes no lock.
    names: Mutex<Vec<Arc<str>>>,
    stop: Mutex<Stop>,
    stopped: Condvar,
    clock: Box<dyn Clock>,
}

impl Shared {
    /// The index of a task's place in the three lists.
    fn index(&self, id: TaskId) -> usize {
        let index = usize::try_from(id.index()).unwrap_or(usize::MAX);
        debug_assert!(index < self.tasks.len(), "an id is one of the daemon's places");
        index
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

/// The progress of stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Asked,
    Refused(Failure),
    /// The daemon's thread ends, or has panicked.
    Done,
}

/// The daemon's thread.
struct Runner<H> {
    shared: Arc<Shared>,
    handler: H,
}

impl<H> Runner<H> {
    fn until_stopped<W>(self, hardware: W, timing: Timing<'static>) -> W
    where
        W: Watchdog,
        H: FnMut(Event<'_, W::Error>),
    {
        let Self { shared, mut handler } = self;
        let _signals_end = SignalsEnd(&shared);
        let clock = &shared.clock;
        let supervisor = Supervisor::new(&shared.tasks, timing, clock.now());
        let mut guard = Guard::new(hardware, supervisor);
        // Several attempts fit before the hardware's time-out, which is longer than a heartbeat.
        let retry_after = u64::from(timing.heartbeat_millis() / 8).max(1);
        loop {
            // Read before the poll: so the poll sees every failure that was reported before the call of `stop`.
            let stop_asked = *lock(&shared.stop) == Stop::Asked;
            let now = clock.now();
            let polled = guard.poll(now);
            match guard.supervisor().failure() {
                Some(failure) if stop_asked => {
                    *lock(&shared.stop) = Stop::Refused(failure);
                    shared.stopped.notify_all();
                }
                None if stop_asked => {
                    log!(warn, "watchdog: the daemon is stopped, no thread is watched any more");
                    return guard.into_hardware();
                }
                Some(_) | None => {}
            }
            let next = match polled {
                Ok(polled) => {
                    if let Action::Stage(stage, failure) = polled.action {
                        let rescue = &mut |id, now| guard.restarted(id, now).map(drop);
                        handler(Event::Stage(Bite { stage, failure, shared: &shared, rescue }));
                    }
                    // After a thread has been replaced, the hardware is fed at once.
                    let rescued = matches!(polled.action, Action::Stage(..))
                        && guard.supervisor().failure().is_none();
                    if rescued { now } else { polled.next }
                }
                Err(error) => {
                    handler(Event::NotFed(error));
                    now.plus_millis(retry_after)
                }
            };
            clock.wait(next);
        }
    }
}

/// Wakes `Daemon::stop` when the thread ends, also if it panics.
struct SignalsEnd<'a>(&'a Shared);

impl Drop for SignalsEnd<'_> {
    fn drop(&mut self) {
        *lock(&self.0.stop) = Stop::Done;
        self.0.stopped.notify_all();
    }
}

/// Locks also a poisoned mutex: the data behind these locks is consistent at every point where a thread may panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
