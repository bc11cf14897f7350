//! The intervals, checked against each other before anything runs: [`Plan`] says what is wanted, [`Timing`] is one
//! that holds.
//!
//! A [`Supervisor`](crate::Supervisor) takes a `Timing` only. The macro [`plan!`](crate::plan!) makes one from
//! constants and fails the build where they are wrong; [`Plan::check`] is for numbers that come at run time.
//!
//! ```
//! use watchdog_core::chips::TPS3823_33;
//! use watchdog_core::{Plan, Rules, Stage, Timing, plan};
//!
//! const SAMPLER: Rules = Rules::deadline(1_200);
//! const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 100)];
//! const TIMING: Timing<'static> = plan!(
//!     Plan::heartbeat(500)          // tasks are looked at, and the chip is fed, each 500 ms
//!         .late(20)                 // or up to 20 ms later
//!         .task(SAMPLER, 250, 180)  // it works each 250 ms, for up to 180
//!         .profile(&TPS3823_33)     // it bites between 0.9 and 2.5 s after a feed
//!         .stages(STAGES)
//!         .recovery(4_000)          // the device is to be reset within 4 s
//! );
//! assert_eq!(TIMING.heartbeat_millis(), 500);
//! ```
//!
//! # What does not build
//!
//! The deadline is not longer than a run of the work:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).task(Rules::deadline(1_000), 0, 1_000));
//! ```
//!
//! The deadline is not longer than the work's own heartbeat:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).task(Rules::deadline(1_000), 1_000, 10));
//! ```
//!
//! The heartbeat is no multiple of the work's own, so the device wakes up twice where once would do:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).task(Rules::deadline(1_000), 200, 10));
//! ```
//!
//! The chip's typical time-out covers the heartbeat, its minimum does not:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(1_000).chip(900, 2_500));
//! ```
//!
//! The chip's window is not open yet:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(9).chip(200, 300).window(10));
//! ```
//!
//! The chip may bite before the last words are written:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Stage, Timing, plan};
//! const STAGES: &[(Stage, u32)] = &[(Stage::Warn, 0), (Stage::LastWords, 400), (Stage::Reset, 0)];
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).chip(900, 2_500).stages(STAGES));
//! ```
//!
//! The device would be reset later than wanted:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Timing, plan};
//! const TIMING: Timing<'static> =
//!     plan!(Plan::heartbeat(500).task(Rules::deadline(2_000), 500, 10).chip(900, 2_500).recovery(4_000));
//! ```

use thiserror::Error;

use crate::bite::Stage;
use crate::chips::Profile;
use crate::rules::{Rules, RulesError};

/// The intervals that are wanted, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Plan<'a> {
    heartbeat: u32,
    late: u32,
    chip: Option<(u32, u32)>,
    window: u32,
    recovery: Option<u32>,
    stages: &'a [(Stage, u32)],
    rescues: u8,
    /// The longest deadline of the tasks.
    deadline: u32,
    /// The first that was wrong with a task.
    task_error: Option<PlanError>,
}

/// Nothing but the reset.
const RESET: &[(Stage, u32)] = &[(Stage::Reset, 0)];

impl<'a> Plan<'a> {
    /// The tasks are looked at, and the hardware is fed, each `millis` milliseconds.
    pub const fn heartbeat(millis: u32) -> Self {
        Self {
            heartbeat: millis,
            late: 0,
            chip: None,
            window: 0,
            recovery: None,
            stages: RESET,
            rescues: 0,
            deadline: 0,
            task_error: None,
        }
    }

    /// So much later than at a heartbeat the supervisor may be polled, or a stage be run: by timers that are not
    /// exact, by what goes first, by the clock's tolerance over a heartbeat.
    pub const fn late(mut self, millis: u32) -> Self {
        self.late = millis;
        self
    }

    /// One of the tasks; may be repeated. It works each `period` milliseconds (0: whenever something happens), and for
    /// `run` at most.
    pub const fn task(mut self, rules: Rules, period: u32, run: u32) -> Self {
        if rules.deadline > self.deadline {
            self.deadline = rules.deadline;
        }
        if self.task_error.is_none() {
            self.task_error = self.check_task(&rules, period, run);
        }
        self
    }

    /// The hardware bites `min` milliseconds after a feed at the soonest, and `max` at the latest: the data sheet's
    /// limits, not its typical value.
    pub const fn chip(mut self, min: u32, max: u32) -> Self {
        self.chip = Some((min, max));
        self
    }

    /// The hardware is this chip: its time-out and its window, to the millisecond that leaves less room.
    pub const fn profile(self, chip: &Profile) -> Self {
        self.chip(chip.shortest_millis(), chip.longest_millis()).window(chip.window_millis())
    }

    /// The hardware takes a feed for a fault when it comes less than `millis` milliseconds after the one before.
    pub const fn window(mut self, millis: u32) -> Self {
        self.window = millis;
        self
    }

    /// What is done when a task has failed, each so many milliseconds after the one before; see
    /// [`bite`](crate::bite). Without it there is the reset alone.
    pub const fn stages(mut self, stages: &'a [(Stage, u32)]) -> Self {
        self.stages = stages;
        self
    }

    /// Restarted tasks are taken back `count` times in all; by default never.
    pub const fn rescues(mut self, count: u8) -> Self {
        self.rescues = count;
        self
    }

    /// From the last sign of life of a task to the reset no more than `millis` milliseconds are to pass. Grants come
    /// on top.
    pub const fn recovery(mut self, millis: u32) -> Self {
        self.recovery = Some(millis);
        self
    }

    const fn check_task(&self, rules: &Rules, period: u32, run: u32) -> Option<PlanError> {
        if let Err(error) = rules.check() {
            Some(PlanError::Rules(error))
        } else if rules.deadline <= run {
            Some(PlanError::DeadlineWithinRun)
        } else if rules.deadline <= period {
            Some(PlanError::DeadlineWithinPeriod)
        } else if !coincide(self.heartbeat, period) {
            Some(PlanError::NoMultiple)
        } else {
            None
        }
    }

    /// The timing, if the plan holds.
    ///
    /// # Errors
    ///
    /// [`PlanError`]: the first rule that it breaks.
    pub const fn check(&self) -> Result<Timing<'a>, PlanError> {
        if self.heartbeat == 0 {
            return Err(PlanError::NoHeartbeat);
        }
        if self.heartbeat > Rules::MOST_MILLIS / 2 {
            return Err(PlanError::HeartbeatTooLong);
        }
        if let Some(error) = self.task_error {
            return Err(error);
        }
        let delays = match check_stages(self.stages) {
            Ok(delays) => delays,
            Err(error) => return Err(error),
        };
        // Of the stages each may be run so late.
        let staged = delays as u64 + self.late as u64 * self.stages.len() as u64;
        let looked = self.heartbeat as u64 + self.late as u64;
        let reset = match self.chip {
            None => looked + staged,
            Some((min, max)) => {
                if looked >= min as u64 || min > max {
                    return Err(PlanError::ChipBitesFirst);
                }
                if (self.heartbeat as u64) < self.window as u64 + self.late as u64 {
                    return Err(PlanError::ChipTooEarly);
                }
                if looked + staged >= min as u64 {
                    return Err(PlanError::StagesTooLong);
                }
                // Whatever the stages do, and that they are done at all: the last feed was within the deadline.
                max as u64 + self.late as u64
            }
        };
        match self.recovery {
            Some(wanted) if self.deadline as u64 + reset > wanted as u64 => {
                Err(PlanError::RecoveryTooSlow)
            }
            _ => {
                Ok(Timing { heartbeat: self.heartbeat, stages: self.stages, rescues: self.rescues })
            }
        }
    }
}

/// Whether every wake-up of the rarer of the two is one of the other, too. A period of 0 is none.
const fn coincide(heartbeat: u32, period: u32) -> bool {
    match (heartbeat.checked_rem(period), period.checked_rem(heartbeat)) {
        (Some(0) | None, _) | (_, Some(0)) => true,
        (Some(_), _) => false,
    }
}

/// The sum of all delays in milliseconds, if the stages are in a valid order.
const fn check_stages(stages: &[(Stage, u32)]) -> Result<u32, PlanError> {
    let mut rest = stages;
    let mut sum: u32 = 0;
    let mut last_words = false;
    while let [(stage, delay), tail @ ..] = rest {
        sum = sum.saturating_add(*delay);
        match (*stage, tail.is_empty()) {
            (Stage::Reset, true) => return Ok(sum),
            (Stage::Reset, false) => return Err(PlanError::ResetNotLast),
            _ if last_words => return Err(PlanError::LastWordsNotLast),
            (Stage::LastWords, _) => last_words = true,
            (Stage::Warn | Stage::Restart | Stage::ResetLink | Stage::Other(_), _) => {}
        }
        rest = tail;
    }
    Err(PlanError::NoReset)
}

/// A [`Plan`] that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Timing<'a> {
    pub(crate) heartbeat: u32,
    pub(crate) stages: &'a [(Stage, u32)],
    pub(crate) rescues: u8,
}

impl Timing<'_> {
    /// The interval at which the tasks are looked at and the hardware is fed, in milliseconds.
    #[must_use]
    pub const fn heartbeat_millis(&self) -> u32 {
        self.heartbeat
    }
}

/// A [`Timing`] from a constant [`Plan`]; one that does not hold does not build.
///
/// See the [module](mod@crate::plan) for what that looks like.
#[macro_export]
macro_rules! plan {
    ($plan:expr) => {
        const {
            match $plan.check() {
                ::core::result::Result::Ok(timing) => timing,
                ::core::result::Result::Err(error) => ::core::panic!("{}", error.message()),
            }
        }
    };
}

/// The rule that a [`Plan`] breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum PlanError {
    /// A heartbeat of 0.
    NoHeartbeat,
    /// A heartbeat above half of [`Rules::MOST_MILLIS`].
    HeartbeatTooLong,
    /// The rules of a task cannot be kept.
    Rules(RulesError),
    /// A task's deadline is not longer than one run of its work.
    DeadlineWithinRun,
    /// A task's deadline is not longer than the heartbeat of its work.
    DeadlineWithinPeriod,
    /// The heartbeat is no integer multiple of a task's own, nor that one of it.
    NoMultiple,
    /// The chip's minimum time-out does not cover a heartbeat that comes late.
    ChipBitesFirst,
    /// A heartbeat after a late one comes before the chip's window is open.
    ChipTooEarly,
    /// The chip's minimum time-out does not cover the stages.
    StagesTooLong,
    /// A reset takes longer than the recovery time wanted.
    RecoveryTooSlow,
    /// The stages do not end with the reset.
    NoReset,
    /// Something follows the reset.
    ResetNotLast,
    /// Something else than the reset follows the last words.
    LastWordsNotLast,
}

impl PlanError {
    /// What is wrong, also where nothing can be formatted: in constants.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoHeartbeat => "the heartbeat is 0",
            Self::HeartbeatTooLong => "the heartbeat is longer than 7200000 ms",
            Self::Rules(error) => error.message(),
            Self::DeadlineWithinRun => "a task's deadline is not longer than one run of its work",
            Self::DeadlineWithinPeriod => {
                "a task's deadline is not longer than the heartbeat of its work"
            }
            Self::NoMultiple => {
                "neither the heartbeat nor a task's own is an integer multiple of the other"
            }
            Self::ChipBitesFirst => "the chip's minimum time-out does not cover a late heartbeat",
            Self::ChipTooEarly => "a heartbeat may come before the chip's window is open",
            Self::StagesTooLong => "the chip's minimum time-out does not cover the stages",
            Self::RecoveryTooSlow => "a reset takes longer than the recovery time wanted",
            Self::NoReset => "the stages do not end with the reset",
            Self::ResetNotLast => "something follows the reset",
            Self::LastWordsNotLast => "something else than the reset follows the last words",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Rules = Rules::deadline(1_000);

    #[test]
    fn each_rule_is_named_when_it_is_broken() {
        let beat = Plan::heartbeat(500);
        for (plan, error) in [
            (Plan::heartbeat(0), PlanError::NoHeartbeat),
            (Plan::heartbeat(7_200_001), PlanError::HeartbeatTooLong),
            (beat.task(Rules::deadline(0), 0, 0), PlanError::Rules(RulesError::NoDeadline)),
            (beat.task(TASK, 0, 1_000), PlanError::DeadlineWithinRun),
            (beat.task(TASK, 1_000, 0), PlanError::DeadlineWithinPeriod),
            (beat.task(TASK, 300, 0), PlanError::NoMultiple),
            (beat.task(TASK, 750, 0), PlanError::NoMultiple),
            (beat.task(TASK, 300, 0).task(TASK, 100, 0), PlanError::NoMultiple),
            (beat.chip(500, 2_000), PlanError::ChipBitesFirst),
            (beat.late(400).chip(900, 2_500), PlanError::ChipBitesFirst),
            (beat.chip(900, 800), PlanError::ChipBitesFirst),
            (beat.chip(900, 2_500).window(501), PlanError::ChipTooEarly),
            (beat.chip(900, 2_500).window(490).late(11), PlanError::ChipTooEarly),
            (beat.chip(900, 2_500).stages(&[(Stage::Reset, 400)]), PlanError::StagesTooLong),
            (
                beat.late(1).chip(900, 2_500).stages(&[(Stage::Warn, 0), (Stage::Reset, 397)]),
                PlanError::StagesTooLong,
            ),
            (beat.task(TASK, 0, 0).recovery(1_499), PlanError::RecoveryTooSlow),
            (beat.task(TASK, 0, 0).chip(900, 2_500).recovery(3_499), PlanError::RecoveryTooSlow),
            (beat.stages(&[]), PlanError::NoReset),
        ] {
            assert_eq!(plan.check(), Err(error), "{plan:?}");
        }
    }

    #[test]
    fn stages_end_with_the_one_reset_and_last_words_are_the_last() {
        use Stage::{LastWords, Reset, Restart, Warn};
        for (stages, result) in [
            (&[(Reset, 7)][..], Ok(7)),
            (&[(Warn, 1), (Restart, 2), (LastWords, 3), (Reset, 4)], Ok(10)),
            (&[(Warn, u32::MAX), (Reset, 4)], Ok(u32::MAX)),
            (&[], Err(PlanError::NoReset)),
            (&[(Warn, 0), (LastWords, 0)], Err(PlanError::NoReset)),
            (&[(Reset, 0), (Warn, 0), (Reset, 0)], Err(PlanError::ResetNotLast)),
            (&[(LastWords, 0), (Warn, 0), (Reset, 0)], Err(PlanError::LastWordsNotLast)),
            (&[(LastWords, 0), (LastWords, 0), (Reset, 0)], Err(PlanError::LastWordsNotLast)),
        ] {
            assert_eq!(check_stages(stages), result, "{stages:?}");
        }
    }

    #[test]
    fn the_limits_themselves_hold() {
        let beat = Plan::heartbeat(500);
        for plan in [
            Plan::heartbeat(1),
            Plan::heartbeat(Rules::MOST_MILLIS / 2),
            beat.task(TASK, 250, 999).task(Rules::deadline(5_001), 5_000, 5_000),
            beat.chip(501, 501),
            beat.late(399).chip(1_300, 2_500),
            beat.chip(900, 2_500).window(490).late(10),
            beat.chip(900, 2_500).stages(&[(Stage::Reset, 399)]),
            beat.task(TASK, 0, 0).recovery(1_500),
            beat.task(TASK, 0, 0).chip(900, 2_500).recovery(3_500),
        ] {
            assert_eq!(plan.check().map(|timing| timing.heartbeat), Ok(plan.heartbeat), "{plan:?}");
        }
    }

    #[test]
    fn a_chip_is_planned_for_by_its_limits_rounded_to_the_strict_side() {
        use crate::chips::{TPS3813, TPS3823_33};
        let beat = Plan::heartbeat(500);
        assert_eq!(beat.profile(&TPS3823_33), beat.chip(900, 2_500));
        // Not before 9.46 ms, which a clock of whole milliseconds tells as 11, and before 0.2 s.
        assert_eq!(Plan::heartbeat(11).profile(&TPS3813).window, 11);
        assert_eq!(Plan::heartbeat(11).profile(&TPS3813).check().map(drop), Ok(()));
        assert_eq!(Plan::heartbeat(10).profile(&TPS3813).check(), Err(PlanError::ChipTooEarly));
        assert_eq!(Plan::heartbeat(200).profile(&TPS3813).check(), Err(PlanError::ChipBitesFirst));
    }

    #[test]
    fn the_largest_numbers_are_refused_not_wrapped() {
        let plan = Plan::heartbeat(1).late(u32::MAX).chip(u32::MAX, u32::MAX);
        assert_eq!(plan.check(), Err(PlanError::ChipBitesFirst));
        let stages = [(Stage::Warn, u32::MAX), (Stage::Reset, u32::MAX)];
        let plan = Plan::heartbeat(1).chip(u32::MAX, u32::MAX).stages(&stages);
        assert_eq!(plan.check(), Err(PlanError::StagesTooLong));
    }
}
