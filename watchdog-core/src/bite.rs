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

use crate::name::Name;
use crate::rules::Reaction;
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

    /// Whether only a reset may follow.
    const fn is_last(self) -> bool {
        matches!(self, Self::LastWords | Self::Reset)
    }
}

/// The fault of a task. The numbers are those of the [crash record](crate::record).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The task did not feed within its deadline or its grant: it blocks, or spins without reaching its checkpoints.
    Starved = 1,
    /// The task fed before its window opened.
    Early = 2,
    /// The task reported a checkpoint that was not the next one.
    OutOfOrder = 3,
    /// The task ended without retiring first.
    Returned = 4,
    /// The task panicked.
    Panicked = 5,
    /// The task feeds by another clock than the supervisor's: its time is ahead by more than its deadline plus a
    /// heartbeat.
    Clock = 6,
    /// The program asked for the bite: [`Supervisor::bite`](crate::Supervisor::bite).
    Requested = 7,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::Starved,
        Self::Early,
        Self::OutOfOrder,
        Self::Returned,
        Self::Panicked,
        Self::Clock,
        Self::Requested,
    ];

    /// The fault with this number, as in a record.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
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
            Self::Requested => "was asked to bite",
        })
    }
}

/// The id of a task: its index among the supervisor's tasks, or [`SUPERVISOR`](Self::SUPERVISOR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TaskId(u32);

impl TaskId {
    /// No task but the supervisor itself: the loop that polls it hangs, or the program asked for the bite.
    pub const SUPERVISOR: Self = Self(u32::MAX);

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
        match *self {
            Self::SUPERVISOR => f.write_str("the supervisor"),
            Self(index) => write!(f, "task {index}"),
        }
    }
}

/// A failure: the task, its fault, and its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// The task that failed.
    pub task: TaskId,
    /// Its name, if it has one.
    pub name: Name,
    /// Its fault.
    pub fault: Fault,
    /// The checkpoint reported last, from 0. For [`Fault::OutOfOrder`] it is the wrong checkpoint. `None` if the task
    /// has reported no checkpoint since it started, or resumed or slept after a whole round, or one above the highest
    /// possible number.
    pub step: Option<u8>,
    /// The last sign of life: for [`Fault::Starved`] the last feed that counted, for other faults the fault itself.
    pub since: Instant,
    /// The time at which the supervisor found the failure.
    pub at: Instant,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, name, fault, step, since, at: _ } = self;
        write!(f, "{task} ")?;
        if name.is_some() {
            write!(f, "({name}) ")?;
        }
        write!(f, "{fault}")?;
        match fault {
            Fault::Starved => write!(f, ", nothing heard since {} ms", since.as_millis())?,
            Fault::Early
            | Fault::OutOfOrder
            | Fault::Returned
            | Fault::Panicked
            | Fault::Clock
            | Fault::Requested => write!(f, " at {} ms", since.as_millis())?,
        }
        match step {
            Some(step) => write!(f, ", checkpoint {step}"),
            None => Ok(()),
        }
    }
}

/// The first failure, and what is still to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bite<'a> {
    pub(crate) failure: Failure,
    /// The stages to come. None at all: the failure is only reported.
    stages: &'a [(Stage, u32)],
    /// The next stage is due from here on.
    due: Instant,
    /// The stage handed out last.
    last: Option<Stage>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Stage(Stage),
    Nothing,
    /// All stages have been handed out.
    Over,
    /// The failure is only reported.
    Report,
}

impl<'a> Bite<'a> {
    /// By `reaction`. The delay of the first stage counts from the failure.
    pub(crate) fn new(failure: Failure, reaction: Reaction, stages: &'a [(Stage, u32)]) -> Self {
        let mut left = if reaction == Reaction::Report { &[] } else { stages };
        while let ([(stage, _), rest @ ..], Reaction::Reset) = (left, reaction) {
            if stage.is_last() {
                break;
            }
            left = rest;
        }
        let due = if reaction == Reaction::Stages { due(failure.at, left) } else { failure.at };
        Self { failure, stages: left, due, last: None }
    }

    /// What is due at `now`. Each stage is handed out once.
    pub(crate) fn poll(&mut self, now: Instant) -> Due {
        let [(stage, _), rest @ ..] = self.stages else {
            return if self.is_report() { Due::Report } else { Due::Over };
        };
        if now < self.due {
            return Due::Nothing;
        }
        self.stages = rest;
        self.due = due(now, rest);
        self.last = Some(*stage);
        Due::Stage(*stage)
    }

    /// When the next stage is due.
    pub(crate) const fn next(&self) -> Instant {
        self.due
    }

    /// Whether the failure is only reported.
    pub(crate) const fn is_report(&self) -> bool {
        self.stages.is_empty() && self.last.is_none()
    }

    /// Whether the last words or the reset have been handed out: no rescue is possible then.
    pub(crate) fn is_past_rescue(&self) -> bool {
        self.last.is_some_and(Stage::is_last)
    }

    /// Whether the stage handed out last was one that may help.
    pub(crate) fn may_rescue(&self) -> bool {
        self.last.is_some_and(Stage::may_rescue)
    }
}

/// The first of the stages is due at this instant, if the stage before it was handed out at `from`.
const fn due(from: Instant, stages: &[(Stage, u32)]) -> Instant {
    match stages {
        [(_, delay), ..] => from.plus_millis(*delay as u64),
        [] => Instant::FAR_FUTURE,
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
        name: Name::NONE,
        fault: Fault::Starved,
        step: Some(1),
        since: at(10),
        at: at(20),
    };

    fn bite<'a>(stages: &'a [(Stage, u32)], reaction: Reaction) -> Bite<'a> {
        Bite::new(FAILURE, reaction, stages)
    }

    #[test]
    fn each_stage_is_handed_out_once_after_its_own_delay() {
        let stages = [(Stage::Warn, 0), (Stage::Other(7), 100), (Stage::Reset, 50)];
        let mut bite = bite(&stages, Reaction::Stages);
        assert_eq!((bite.poll(at(20)), bite.next()), (Due::Stage(Stage::Warn), at(120)));
        assert_eq!(bite.poll(at(119)), Due::Nothing);
        assert_eq!(bite.poll(at(200)), Due::Stage(Stage::Other(7)), "polled late");
        assert_eq!(
            (bite.poll(at(249)), bite.next()),
            (Due::Nothing, at(250)),
            "its delay counts from the stage before"
        );
        assert_eq!(bite.poll(at(250)), Due::Stage(Stage::Reset));
        assert_eq!((bite.poll(at(250)), bite.next()), (Due::Over, Instant::FAR_FUTURE));
    }

    #[test]
    fn a_rescue_is_possible_only_after_a_stage_that_may_help_and_never_after_the_last_words() {
        let stages =
            [(Stage::Warn, 0), (Stage::ResetLink, 0), (Stage::LastWords, 0), (Stage::Reset, 0)];
        let mut bite = bite(&stages, Reaction::Stages);
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
    fn a_bite_at_once_leaves_out_what_may_help_and_waits_for_no_stage() {
        let stages = [(Stage::Warn, 0), (Stage::LastWords, 700), (Stage::Reset, 50)];
        let mut words = bite(&stages, Reaction::Reset);
        assert_eq!((words.poll(at(20)), words.next()), (Due::Stage(Stage::LastWords), at(70)));
        let mut reset = bite(&[(Stage::Warn, 0), (Stage::Reset, 900)], Reaction::Reset);
        assert_eq!(reset.poll(at(20)), Due::Stage(Stage::Reset));
        assert_eq!(reset.poll(at(20)), Due::Over);
    }

    #[test]
    fn a_failure_that_is_only_reported_has_no_stages() {
        let mut bite = bite(&[(Stage::Reset, 0)], Reaction::Report);
        assert_eq!((bite.is_report(), bite.poll(at(20)), bite.next()), (true, Due::Report, at(20)));
    }

    #[test]
    fn a_failure_prints_the_task_the_fault_and_the_time() {
        assert_eq!(FAILURE.to_string(), "task 3 starved, nothing heard since 10 ms, checkpoint 1");
        let failure = Failure { fault: Fault::OutOfOrder, step: None, ..FAILURE };
        assert_eq!(failure.to_string(), "task 3 reported a checkpoint out of order at 10 ms");
        let failure = Failure { name: Name::cut("pump"), ..failure };
        assert_eq!(
            failure.to_string(),
            "task 3 (pump) reported a checkpoint out of order at 10 ms"
        );
        let failure = Failure {
            task: TaskId::SUPERVISOR,
            fault: Fault::Requested,
            name: Name::NONE,
            ..failure
        };
        assert_eq!(failure.to_string(), "the supervisor was asked to bite at 10 ms");
    }
}
