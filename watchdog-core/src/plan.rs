//! The intervals, checked against each other before anything runs: a [`Plan`] holds the intervals that are wanted, a
//! [`Timing`] is a plan that passed the check.
//!
//! A [`Supervisor`](crate::Supervisor) takes a `Timing` only, and each [`Task`](crate::Task) is made for a `Timing`, so
//! that its rules are checked against the same plan. The macros [`plan!`](crate::plan!) and [`task!`](crate::task!) make
//! them from constants and fail the build if they are wrong; [`Plan::check`] and [`Task::new`](crate::Task::new) are for
//! numbers that are known at run time only.
//!
//! ```
//! use watchdog_core::chips::TPS3823_33;
//! use watchdog_core::{Plan, Rules, Stage, Task, Timing, plan, task};
//!
//! const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 100)];
//! const TIMING: Timing<'static> = plan!(
//!     Plan::heartbeat(500)          // the tasks are checked and the chip is fed each 500 ms
//!         .late(20)                 // or up to 20 ms later
//!         .profile(&TPS3823_33)     // it bites between 0.765 and 2.875 s after a feed
//!         .stages(STAGES)
//!         .recovery(4_500)          // the device has to be reset within 4.5 s
//! );
//! // It works each 250 ms, for up to 180 ms. It is never silent for more than 4.5 s less the chip's 2.875 s.
//! static SAMPLER: Task = task!(TIMING, Rules::deadline(1_200).works(250, 180));
//! ```
//!
//! # Plans that do not build
//!
//! The chip's typical time-out is longer than the heartbeat, but its minimum time-out is not:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(1_000).chip(900, 2_500));
//! ```
//!
//! The heartbeat comes before the chip's window opens:
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
//! # Tasks that do not build
//!
//! Two feeds of a healthy task may be a period and a run apart, here 430 ms:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASK: Task = task!(TIMING, Rules::deadline(300).works(250, 180));
//! ```
//!
//! They may be a period less a run apart, here 70 ms, so the window opens too late:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASK: Task = task!(TIMING, Rules::deadline(1_000).works(250, 180).not_before(70));
//! ```
//!
//! The heartbeat is not a multiple of the work's own heartbeat, so the device wakes up twice instead of once:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));
//! static TASK: Task = task!(TIMING, Rules::deadline(1_000).works(200, 10));
//! ```
//!
//! The task may be silent for two seconds, also by a grant, and the chip takes 2.5 s more; so the device would be reset
//! later than wanted:
//!
//! ```compile_fail,E0080
//! # use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).chip(900, 2_500).recovery(4_000));
//! static TASK: Task = task!(TIMING, Rules::deadline(1_000).grants(1, 2));
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
}

/// The reset as the only stage.
const RESET: &[(Stage, u32)] = &[(Stage::Reset, 0)];

impl<'a> Plan<'a> {
    /// The supervisor checks the tasks, and the hardware is fed, each `millis` milliseconds.
    pub const fn heartbeat(millis: u32) -> Self {
        Self {
            heartbeat: millis,
            late: 0,
            chip: None,
            window: 0,
            recovery: None,
            stages: RESET,
            rescues: 0,
        }
    }

    /// A poll, a stage or a run of a task may be up to `millis` milliseconds late: timer jitter, higher-priority work,
    /// and the clock's tolerance over a heartbeat.
    pub const fn late(mut self, millis: u32) -> Self {
        self.late = millis;
        self
    }

    /// The hardware bites between `min` and `max` milliseconds after a feed: the limits of the data sheet, not its
    /// typical value.
    pub const fn chip(mut self, min: u32, max: u32) -> Self {
        self.chip = Some((min, max));
        self
    }

    /// The hardware is this chip. Its time-out and its window are rounded to whole milliseconds on the safe side, and
    /// they include the [margin](Profile::margin_percent) of the profile: a chip whose limits hold at 25 °C only gets one
    /// by itself. The feeder uses the same numbers. [`Profile::builder`] sets another margin.
    pub const fn profile(self, chip: &Profile) -> Self {
        self.chip(chip.shortest_millis(), chip.longest_millis()).window(chip.window_millis())
    }

    /// The hardware bites if a feed comes less than `millis` milliseconds after the previous one. The true time between
    /// two [`Instant`](crate::Instant)s may be up to a millisecond shorter than their difference, so add one to the
    /// number of the data sheet.
    pub const fn window(mut self, millis: u32) -> Self {
        self.window = millis;
        self
    }

    /// The stages after a task has failed, each with its delay in milliseconds after the previous stage; see
    /// [`bite`](crate::bite). By default the reset is the only stage.
    pub const fn stages(mut self, stages: &'a [(Stage, u32)]) -> Self {
        self.stages = stages;
        self
    }

    /// Restarted tasks are taken back up to `count` times in all; the default is 0.
    pub const fn rescues(mut self, count: u8) -> Self {
        self.rescues = count;
        self
    }

    /// At most `millis` milliseconds may pass from the last sign of life of a task to the reset. So each task's deadline
    /// and grants have to leave time for the reset.
    pub const fn recovery(mut self, millis: u32) -> Self {
        self.recovery = Some(millis);
        self
    }

    /// Checks the plan, and gives its timing.
    ///
    /// # Errors
    ///
    /// [`PlanError`]: the first rule that the plan breaks.
    pub const fn check(&self) -> Result<Timing<'a>, PlanError> {
        if self.heartbeat == 0 {
            return Err(PlanError::NoHeartbeat);
        }
        if self.heartbeat > Rules::MOST_MILLIS / 2 {
            return Err(PlanError::HeartbeatTooLong);
        }
        let delays = match check_stages(self.stages) {
            Ok(delays) => delays,
            Err(error) => return Err(error),
        };
        // Each stage may run late.
        let staged = delays as u64 + self.late as u64 * self.stages.len() as u64;
        let looked = self.heartbeat as u64 + self.late as u64;
        if (self.heartbeat as u64) < self.window as u64 + self.late as u64 && self.window > 0 {
            return Err(PlanError::ChipTooEarly);
        }
        let reset = match self.chip {
            None => looked + staged,
            Some((min, max)) => {
                if looked >= min as u64 || min > max {
                    return Err(PlanError::ChipBitesFirst);
                }
                if looked + staged >= min as u64 {
                    return Err(PlanError::StagesTooLong);
                }
                // The chip resets the device even if no stage runs: its last feed was within the deadline.
                max as u64 + self.late as u64
            }
        };
        let longest_silence = match self.recovery {
            None => u32::MAX,
            Some(wanted) => match (wanted as u64).checked_sub(reset) {
                // It fits: it is at most `wanted`.
                Some(left) if left > 0 => left as u32,
                _ => return Err(PlanError::RecoveryTooSlow),
            },
        };
        let Self { heartbeat, late, window, stages, rescues, .. } = *self;
        Ok(Timing { heartbeat, late, window, longest_silence, stages, rescues })
    }
}

/// Whether the longer interval is a multiple of the shorter one, so that they share their wake-ups. A period of 0 has
/// no wake-ups.
const fn coincide(heartbeat: u32, period: u32) -> bool {
    match (heartbeat.checked_rem(period), period.checked_rem(heartbeat)) {
        (Some(0) | None, _) | (_, Some(0)) => true,
        (Some(_), _) => false,
    }
}

/// The sum of all delays in milliseconds, if the stages are in a valid order. It saturates: no chip and no recovery
/// time allows a sum of `u32::MAX`.
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

/// A [`Plan`] that passed [`Plan::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Timing<'a> {
    pub(crate) heartbeat: u32,
    pub(crate) late: u32,
    pub(crate) window: u32,
    /// No task may be silent for longer, because the reset has to follow within the recovery time.
    longest_silence: u32,
    pub(crate) stages: &'a [(Stage, u32)],
    pub(crate) rescues: u8,
}

impl Timing<'_> {
    /// The interval at which the tasks are checked and the hardware is fed, in milliseconds.
    #[must_use]
    pub const fn heartbeat_millis(&self) -> u32 {
        self.heartbeat
    }

    /// The closed window of the hardware, in milliseconds: two feeds are never closer. 0: there is no window.
    #[must_use]
    pub const fn window_millis(&self) -> u32 {
        self.window
    }

    /// Whether a task with these rules can be watched by this plan: a healthy task keeps them, it shares its wake-ups
    /// with the supervisor, and its longest silence leaves time for the reset.
    ///
    /// Two feeds of a healthy task are at most its period, one run and the lateness apart, and at least its period less
    /// one run and the lateness. The window of a task without a period is not checked.
    ///
    /// # Errors
    ///
    /// [`PlanError`]: the first rule that they break.
    pub const fn fits(&self, rules: &Rules) -> Result<(), PlanError> {
        if let Err(error) = rules.check() {
            return Err(PlanError::Rules(error));
        }
        let period = rules.period as u64;
        let jitter = rules.run as u64 + self.late as u64;
        if rules.deadline as u64 <= period + jitter {
            Err(PlanError::DeadlineTooShort)
        } else if rules.earliest > 0 && period > 0 && rules.earliest as u64 + jitter >= period {
            Err(PlanError::WindowTooLate)
        } else if !coincide(self.heartbeat, rules.period) {
            Err(PlanError::NoMultiple)
        } else if rules.longest_millis() > self.longest_silence {
            Err(PlanError::RecoveryTooSlow)
        } else {
            Ok(())
        }
    }
}

/// Makes a [`Timing`] from a constant [`Plan`]. A plan that breaks a rule does not build.
///
/// See the [module](mod@crate::plan) for examples.
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
    /// The heartbeat is 0.
    NoHeartbeat,
    /// The heartbeat is longer than half of [`Rules::MOST_MILLIS`].
    HeartbeatTooLong,
    /// The rules of a task cannot be kept.
    Rules(RulesError),
    /// A task's deadline is not longer than its period, one run of its work and the lateness together: a healthy task
    /// may be late.
    DeadlineTooShort,
    /// A task's window opens later than its period less one run of its work and the lateness: a healthy task may be
    /// early.
    WindowTooLate,
    /// Neither the heartbeat nor a task's own period is an integer multiple of the other.
    NoMultiple,
    /// The chip's minimum time-out is not longer than a late heartbeat, or it is longer than the maximum.
    ChipBitesFirst,
    /// A heartbeat that follows a late one may come before the chip's window opens.
    ChipTooEarly,
    /// The chip's minimum time-out is not longer than a late heartbeat and all stages together.
    StagesTooLong,
    /// A reset, or the longest silence of a task and a reset, takes longer than the recovery time that is wanted.
    RecoveryTooSlow,
    /// The stages do not end with the reset.
    NoReset,
    /// A stage follows the reset.
    ResetNotLast,
    /// Another stage than the reset follows the last words.
    LastWordsNotLast,
}

impl PlanError {
    /// The text of the error as a constant, for `const` code that cannot format.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoHeartbeat => "the heartbeat is 0",
            Self::HeartbeatTooLong => "the heartbeat is longer than 7200000 ms",
            Self::Rules(error) => error.message(),
            Self::DeadlineTooShort => {
                "a task's deadline is not longer than its period, one run and the lateness"
            }
            Self::WindowTooLate => {
                "a task's window opens later than its period less one run and the lateness"
            }
            Self::NoMultiple => {
                "neither the heartbeat nor a task's own is an integer multiple of the other"
            }
            Self::ChipBitesFirst => "the chip's minimum time-out does not cover a late heartbeat",
            Self::ChipTooEarly => "a heartbeat may come before the chip's window is open",
            Self::StagesTooLong => "the chip's minimum time-out does not cover the stages",
            Self::RecoveryTooSlow => "a reset takes longer than the recovery time wanted",
            Self::NoReset => "the stages do not end with the reset",
            Self::ResetNotLast => "a stage follows the reset",
            Self::LastWordsNotLast => "another stage than the reset follows the last words",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Rules = Rules::deadline(1_000);

    #[test]
    fn each_broken_rule_has_its_error() {
        let beat = Plan::heartbeat(500);
        for (plan, error) in [
            (Plan::heartbeat(0), PlanError::NoHeartbeat),
            (Plan::heartbeat(7_200_001), PlanError::HeartbeatTooLong),
            (beat.chip(500, 2_000), PlanError::ChipBitesFirst),
            (beat.late(400).chip(900, 2_500), PlanError::ChipBitesFirst),
            (beat.chip(900, 800), PlanError::ChipBitesFirst),
            (beat.window(501), PlanError::ChipTooEarly),
            (beat.chip(900, 2_500).window(501), PlanError::ChipTooEarly),
            (beat.chip(900, 2_500).window(490).late(11), PlanError::ChipTooEarly),
            (beat.chip(900, 2_500).stages(&[(Stage::Reset, 400)]), PlanError::StagesTooLong),
            (
                beat.late(1).chip(900, 2_500).stages(&[(Stage::Warn, 0), (Stage::Reset, 397)]),
                PlanError::StagesTooLong,
            ),
            (beat.recovery(500), PlanError::RecoveryTooSlow),
            (beat.chip(900, 2_500).recovery(2_500), PlanError::RecoveryTooSlow),
            (beat.stages(&[]), PlanError::NoReset),
        ] {
            assert_eq!(plan.check(), Err(error), "{plan:?}");
        }
    }

    #[test]
    fn each_task_that_does_not_fit_the_plan_has_its_error() {
        let beat = Plan::heartbeat(500);
        for (plan, rules, error) in [
            (beat, Rules::deadline(0), PlanError::Rules(RulesError::NoDeadline)),
            (beat, TASK.works(0, 1_000), PlanError::DeadlineTooShort),
            (beat, TASK.works(1_000, 0), PlanError::DeadlineTooShort),
            (beat, TASK.works(500, 500), PlanError::DeadlineTooShort),
            (beat.late(20), TASK.works(500, 480), PlanError::DeadlineTooShort),
            (beat.late(1_000), TASK, PlanError::DeadlineTooShort),
            (beat, Rules::deadline(300).works(250, 180), PlanError::DeadlineTooShort),
            (beat, TASK.works(250, 0).not_before(400), PlanError::WindowTooLate),
            (beat, TASK.works(500, 100).not_before(400), PlanError::WindowTooLate),
            (beat.late(20), TASK.works(500, 100).not_before(380), PlanError::WindowTooLate),
            (beat, TASK.works(500, 499).not_before(1), PlanError::WindowTooLate),
            (beat, TASK.works(300, 0), PlanError::NoMultiple),
            (beat, TASK.works(750, 0), PlanError::NoMultiple),
            (beat.recovery(1_499), TASK, PlanError::RecoveryTooSlow),
            (beat.chip(900, 2_500).recovery(3_499), TASK, PlanError::RecoveryTooSlow),
            (beat.recovery(3_500), Rules::deadline(7_000_000), PlanError::RecoveryTooSlow),
            (beat.recovery(2_500), TASK.grants(1, 3), PlanError::RecoveryTooSlow),
        ] {
            let fits = plan.check().and_then(|timing| timing.fits(&rules));
            assert_eq!(fits, Err(error), "{plan:?} {rules:?}");
        }
    }

    #[test]
    fn a_task_at_a_limit_fits() {
        let beat = Plan::heartbeat(500);
        for (plan, rules) in [
            (beat, TASK.works(250, 749)),
            (beat.late(20), TASK.works(500, 479)),
            (beat, Rules::deadline(10_001).works(5_000, 5_000)),
            (beat, TASK.works(500, 100).not_before(399)),
            (beat.late(20), TASK.works(500, 100).not_before(379)),
            (beat, TASK.works(0, 100).not_before(900)),
            (beat.recovery(1_500), TASK),
            (beat.chip(900, 2_500).recovery(3_500), TASK),
            (beat.recovery(3_500), TASK.grants(1, 3)),
            (beat, Rules::deadline(Rules::MOST_MILLIS).works(0, Rules::MOST_MILLIS - 1)),
        ] {
            let fits = plan.check().and_then(|timing| timing.fits(&rules));
            assert_eq!(fits, Ok(()), "{plan:?} {rules:?}");
        }
    }

    #[test]
    fn the_reset_is_the_last_stage_and_only_the_reset_follows_the_last_words() {
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
    fn a_plan_at_a_limit_passes() {
        let beat = Plan::heartbeat(500);
        for plan in [
            Plan::heartbeat(1),
            Plan::heartbeat(Rules::MOST_MILLIS / 2),
            beat.chip(501, 501),
            beat.late(399).chip(1_300, 2_500),
            beat.chip(900, 2_500).window(490).late(10),
            beat.chip(900, 2_500).stages(&[(Stage::Reset, 399)]),
            beat.recovery(501),
            beat.chip(900, 2_500).recovery(2_501),
        ] {
            assert_eq!(plan.check().map(|timing| timing.heartbeat), Ok(plan.heartbeat), "{plan:?}");
        }
    }

    #[test]
    fn a_plan_takes_the_limits_of_a_chip_rounded_to_the_strict_side() {
        use crate::chips::{TPS3813, TPS3823_33};
        let beat = Plan::heartbeat(500);
        assert_eq!(beat.profile(&TPS3823_33), beat.chip(765, 2_875), "0.9 and 2.5 s, 15 %");
        // The window opens at 9.46 ms, which is 11 on a clock of whole milliseconds; the time-out is 0.2 s.
        assert_eq!(Plan::heartbeat(11).profile(&TPS3813).window, 11);
        assert_eq!(Plan::heartbeat(11).profile(&TPS3813).check().map(drop), Ok(()));
        assert_eq!(Plan::heartbeat(10).profile(&TPS3813).check(), Err(PlanError::ChipTooEarly));
        assert_eq!(Plan::heartbeat(200).profile(&TPS3813).check(), Err(PlanError::ChipBitesFirst));
    }

    #[test]
    fn the_largest_numbers_are_rejected_and_do_not_wrap() {
        let most = Plan::heartbeat(1).late(u32::MAX).check();
        let rules = TASK.works(u32::MAX, u32::MAX).not_before(999);
        assert_eq!(most.and_then(|timing| timing.fits(&rules)), Err(PlanError::DeadlineTooShort));
        let plan = Plan::heartbeat(1).late(u32::MAX).chip(u32::MAX, u32::MAX);
        assert_eq!(plan.check(), Err(PlanError::ChipBitesFirst));
        let stages = [(Stage::Warn, u32::MAX), (Stage::Reset, u32::MAX)];
        let plan = Plan::heartbeat(1).chip(u32::MAX, u32::MAX).stages(&stages);
        assert_eq!(plan.check(), Err(PlanError::StagesTooLong));
    }
}
