//! The bite: after a task has failed, the supervisor hands out each [`Stage`] once, up to the reset.
//!
//! A [`Failure`] names the task, its fault, the time of its last sign of life, and its last checkpoint. From the
//! failure on the hardware is not fed. The stages before [`Stage::LastWords`] can still help: a task that was
//! *restarted* may be taken back ([`Supervisor::restarted`](crate::Supervisor::restarted)), as often in all as the
//! [`Plan`](crate::Plan) allows. A task that only comes back late is not taken back. After the last words, only the
//! reset follows.
//!
//! ```
//! use watchdog_core::{Action, Fault, Instant, Plan, Rules, Stage, Supervisor, Task, Timing, plan, task};
//!
//! const STAGES: &[(Stage, u32)] = &[(Stage::Warn, 0), (Stage::LastWords, 100), (Stage::Reset, 50)];
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).stages(STAGES));
//! static TASKS: [Task; 1] = [task!(TIMING, Rules::deadline(1_000))];
//!
//! let mut supervisor = Supervisor::new(&TASKS, TIMING, Instant::from_millis(0));
//! let polled = supervisor.poll(Instant::from_millis(1_500));
//! let Action::Stage(Stage::Warn, failure) = polled.action else { unreachable!() };
//! assert_eq!((failure.task.index(), failure.fault), (0, Fault::Starved));
//! assert_eq!(failure.to_string(), "task 0 starved, nothing heard since 0 ms");
//!
//! let polled = supervisor.poll(polled.next);
//! assert_eq!(polled.action, Action::Stage(Stage::LastWords, failure));
//! ```

use core::fmt;

use crate::time::Instant;

/// A stage of a bite: an action for the program. The program decides how it carries the action out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stage {
    /// Warn: log the failure, or notify an operator.
    Warn,
    /// Restart the task, and call [`Supervisor::restarted`](crate::Supervisor::restarted) if the restart worked.
    Restart,
    /// Reset the link that the task waits for; then do as for `Restart`.
    ResetLink,
    /// Do something else that may help; then do as for `Restart`. The program chooses the number.
    Other(u8),
    /// Write the [`CrashRecord`](crate::CrashRecord). Only the reset follows.
    LastWords,
    /// Reset the device.
    Reset,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warn => f.write_str("warn"),
            Self::Restart => f.write_str("restart the task"),
            Self::ResetLink => f.write_str("reset the link"),
            Self::Other(number) => write!(f, "stage {number} of the program"),
            Self::LastWords => f.write_str("last words"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

impl Stage {
    /// Whether a restarted task may be taken back after this stage.
    const fn may_rescue(self) -> bool {
        match self {
            Self::Restart | Self::ResetLink | Self::Other(_) => true,
            Self::Warn | Self::LastWords | Self::Reset => false,
        }
    }
}

/// The fault of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The task did not feed within its deadline or its grant: it blocks, or spins without reaching its checkpoints.
    Starved,
    /// The task fed before its window opened.
    Early,
    /// The task reported a checkpoint that was not the next one.
    OutOfOrder,
    /// The task ended without retiring first.
    Returned,
    /// The task panicked.
    Panicked,
    /// The task feeds by another clock than the supervisor's: its time is ahead by more than its deadline plus a
    /// heartbeat.
    Clock,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starved => "starved",
            Self::Early => "fed too early",
            Self::OutOfOrder => "reported a checkpoint out of order",
            Self::Returned => "returned",
            Self::Panicked => "panicked",
            Self::Clock => "feeds by another clock",
        })
    }
}

/// The id of a task: its index among the supervisor's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TaskId(u32);

impl TaskId {
    /// The id of the task at `index`. The supervisor rejects an id without a task.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.0)
    }
}

/// A failure: the task, its fault, and its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// The task that failed.
    pub task: TaskId,
    /// Its fault.
    pub fault: Fault,
    /// The checkpoint reported last, from 0. For [`Fault::OutOfOrder`] it is the wrong checkpoint. `None` if the task
    /// has reported no checkpoint since it started or resumed after a whole round, or one above the highest possible
    /// number.
    pub step: Option<u8>,
    /// The last sign of life: for [`Fault::Starved`] the last feed that counted, for other faults the fault itself.
    pub since: Instant,
    /// The time at which the supervisor found the failure.
    pub at: Instant,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, fault, step, since, .. } = self;
        write!(f, "{task} {fault}")?;
        match fault {
            Fault::Starved => write!(f, ", nothing heard since {} ms", since.as_millis())?,
            Fault::Early | Fault::OutOfOrder | Fault::Returned | Fault::Panicked | Fault::Clock => {
                write!(f, " at {} ms", since.as_millis())?
            }
        }
        match step {
            Some(step) => write!(f, ", checkpoint {step}"),
            None => Ok(()),
        }
    }
}

/// The first failure, and the stages that are still to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bite<'a> {
    pub(crate) failure: Failure,
    /// The stages to come.
    stages: &'a [(Stage, u32)],
    /// The delay of the next stage counts from here.
    from: Instant,
    may_rescue: bool,
    past_rescue: bool,
}

impl<'a> Bite<'a> {
    pub(crate) const fn new(failure: Failure, stages: &'a [(Stage, u32)]) -> Self {
        debug_assert!(matches!(stages, [.., (Stage::Reset, _)]), "the stages end with the reset");
        Self { failure, stages, from: failure.at, may_rescue: false, past_rescue: false }
    }

    /// The next stage, if it is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Stage> {
        debug_assert!(now >= self.from, "time does not go back between two stages");
        let [(stage, delay), tail @ ..] = self.stages else { return None };
        if now.millis_since(self.from) < u64::from(*delay) {
            return None;
        }
        self.stages = tail;
        self.from = now;
        self.may_rescue = stage.may_rescue();
        self.past_rescue |= matches!(stage, Stage::LastWords | Stage::Reset);
        Some(*stage)
    }

    /// When the next stage is due.
    pub(crate) const fn next(&self) -> Instant {
        match self.stages {
            [(_, delay), ..] => self.from.plus_millis(*delay as u64),
            [] => Instant::FAR_FUTURE,
        }
    }

    /// Whether all stages have been handed out.
    pub(crate) const fn is_over(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether the last words or the reset have been handed out: no rescue is possible then.
    pub(crate) const fn is_past_rescue(&self) -> bool {
        self.past_rescue
    }

    /// Whether the stage handed out last was one that may help.
    pub(crate) const fn may_rescue(&self) -> bool {
        self.may_rescue
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    const FAILURE: Failure = Failure {
        task: TaskId::new(3),
        fault: Fault::Starved,
        step: Some(1),
        since: at(10),
        at: at(20),
    };

    #[test]
    fn each_stage_is_handed_out_once_after_its_own_delay() {
        let stages = [(Stage::Warn, 0), (Stage::Other(7), 100), (Stage::Reset, 50)];
        let mut bite = Bite::new(FAILURE, &stages);
        assert_eq!((bite.poll(at(20)), bite.next()), (Some(Stage::Warn), at(120)));
        assert_eq!(bite.poll(at(119)), None);
        assert_eq!(bite.poll(at(200)), Some(Stage::Other(7)), "polled late");
        assert_eq!(
            (bite.poll(at(249)), bite.next()),
            (None, at(250)),
            "its delay counts from the stage before"
        );
        assert_eq!((bite.poll(at(250)), bite.is_over()), (Some(Stage::Reset), true));
        assert_eq!((bite.poll(Instant::FAR_FUTURE), bite.next()), (None, Instant::FAR_FUTURE));
    }

    #[test]
    fn a_rescue_is_possible_only_after_a_stage_that_may_help_and_never_after_the_last_words() {
        let stages =
            [(Stage::Warn, 0), (Stage::ResetLink, 0), (Stage::LastWords, 0), (Stage::Reset, 0)];
        let mut bite = Bite::new(FAILURE, &stages);
        let mut seen = [(false, false); 5];
        for state in &mut seen {
            *state = (bite.may_rescue(), bite.is_past_rescue());
            bite.poll(at(20));
        }
        assert_eq!(
            seen,
            [(false, false), (false, false), (true, false), (false, true), (false, true)]
        );
    }

    #[test]
    fn a_failure_prints_the_task_the_fault_and_the_time() {
        assert_eq!(FAILURE.to_string(), "task 3 starved, nothing heard since 10 ms, checkpoint 1");
        let failure = Failure { fault: Fault::OutOfOrder, step: None, ..FAILURE };
        assert_eq!(failure.to_string(), "task 3 reported a checkpoint out of order at 10 ms");
    }
}
