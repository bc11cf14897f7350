//! [`View`]: what an interrupt may ask while another context polls the supervisor.
//!
//! Many watchdogs raise an interrupt some time before they reset the device. At that moment the loop that polls the
//! supervisor may hang, so the interrupt cannot ask the supervisor itself. It asks a view, which reads the tasks only:
//!
//! ```
//! use watchdog_core::{
//!     CrashRecord, Fault, Instant, Plan, Rules, Supervisor, Task, TaskId, Timing, View, plan, task,
//! };
//!
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASKS: [Task; 1] = [task!(TIMING, Rules::deadline(1_000).named("pump"))];
//! static VIEW: View<'static> = View::of(&TASKS, TIMING);
//!
//! // The interrupt that comes before the reset, with the time of a timer.
//! fn pre_timeout(now: Instant, survives_reset: &mut [u8; CrashRecord::LEN]) {
//!     *survives_reset = CrashRecord::new(VIEW.culprit(now)).to_bytes();
//! }
//!
//! let _supervisor = Supervisor::new(&TASKS, TIMING, Instant::from_millis(0));
//! let mut bytes = [0; CrashRecord::LEN];
//! pre_timeout(Instant::from_millis(1_600), &mut bytes);
//! let failure = CrashRecord::take(&mut bytes)?.failure.unwrap();
//! assert_eq!(failure.to_string(), "task 0 (pump) starved, nothing heard since 0 ms");
//!
//! // No task is late, so it is the loop that polls the supervisor.
//! TASKS[0].handle().feed(Instant::from_millis(900)).unwrap();
//! assert_eq!(VIEW.culprit(Instant::from_millis(1_600)).task, TaskId::SUPERVISOR);
//! # Ok::<(), watchdog_core::RecordError>(())
//! ```

use crate::bite::{Failure, Fault, TaskId};
use crate::name::Name;
use crate::plan::Timing;
use crate::rules::Reaction;
use crate::task::{Found, Task};
use crate::time::{Instant, short};

/// The tasks of a supervisor, for reading only. It can be copied, and lie in a `static`.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct View<'a> {
    tasks: &'a [Task],
    heartbeat: u32,
}

impl<'a> View<'a> {
    pub(crate) const fn new(tasks: &'a [Task], heartbeat: u32) -> Self {
        Self { tasks, heartbeat }
    }

    /// A view of these tasks, before their supervisor starts.
    pub const fn of(tasks: &'a [Task], timing: Timing<'_>) -> Self {
        Self::new(tasks, timing.heartbeat)
    }

    /// The task that has failed first at `now`, if one has. The supervisor comes to the same result at its next poll, if
    /// it was polled within the last four hours. A sleep that is not ended yet counts here; for the supervisor it does
    /// not.
    #[must_use]
    pub fn failure(&self, now: Instant) -> Option<Failure> {
        let (_, failure) = first_failure(self.tasks, now, self.heartbeat, None)?;
        Some(failure)
    }

    /// The reason why the hardware is about to bite: the task that has failed first, or else
    /// [`TaskId::SUPERVISOR`], because the loop that polls the supervisor hangs.
    #[must_use]
    pub fn culprit(&self, now: Instant) -> Failure {
        self.failure(now).unwrap_or(Failure {
            task: TaskId::SUPERVISOR,
            name: Name::NONE,
            fault: Fault::Starved,
            step: None,
            since: now,
            at: now,
        })
    }
}

/// The task that failed first; a task whose failure is only reported comes after all others. `last_good`: the stamps are
/// ambiguous, and all tasks were healthy then. See [`Task::fault`].
pub(crate) fn first_failure(
    tasks: &[Task],
    now: Instant,
    slack: u32,
    last_good: Option<Instant>,
) -> Option<(Reaction, Failure)> {
    let too_old = last_good.map(|last_good| short(now.millis_since(last_good)));
    let (mut highest, mut first) = (0, None);
    let mut rest = tasks.iter();
    // The usual task takes the few instructions of the search.
    while let Some(task) = rest.find(|task| too_old.is_some() || !task.is_healthy(now)) {
        if let Some(found) = task.fault(now, slack, too_old) {
            // More than 24 days count as 24 days.
            let counts = if task.reaction() == Reaction::Report { 0 } else { 1 << 31 };
            let rank = found.ago.min(i32::MAX as u32) | counts;
            if rank > highest || first.is_none() {
                (highest, first) = (rank, Some((rest.len(), task, found)));
            }
        }
    }
    let (behind, task, Found { fault, step, silent, ago: _ }) = first?;
    // A supervisor has fewer tasks than ids.
    let index = tasks.len().saturating_sub(behind).saturating_sub(1) as u32;
    let since = match last_good {
        Some(last_good) => last_good,
        None => Instant::from_millis(now.as_millis().saturating_sub(silent.into())),
    };
    let (id, name) = (TaskId::new(index), task.name());
    Some((task.reaction(), Failure { task: id, name, fault, step, since, at: now }))
}
