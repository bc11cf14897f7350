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
use crate::rules::{Reaction, Rules, RulesError};

/// The intervals that are wanted, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Plan<'a> {
    heartbeat: u32,
    slack: u32,
    late: u32,
    chip: Option<(u32, u32)>,
    window: u32,
    recovery: Option<u32>,
    stages: &'a [(Stage, u32)],
    rescues: u8,
    sleep: u32,
    hardware_sleeps: bool,
}

/// The reset as the only stage.
const RESET: &[(Stage, u32)] = &[(Stage::Reset, 0)];

impl<'a> Plan<'a> {
    /// The supervisor checks the tasks, and the hardware is fed, each `millis` milliseconds.
    pub const fn heartbeat(millis: u32) -> Self {
        Self {
            heartbeat: millis,
            slack: 0,
            late: 0,
            chip: None,
            window: 0,
            recovery: None,
            stages: RESET,
            rescues: 0,
            sleep: 0,
            hardware_sleeps: false,
        }
    }

    /// A poll, a stage or a run of a task may be up to `millis` milliseconds late: timer jitter, higher-priority work,
    /// and the clock's tolerance over a heartbeat.
    pub const fn late(mut self, millis: u32) -> Self {
        self.late = millis;
        self
    }

    /// A feed may come up to `millis` milliseconds before its heartbeat if the supervisor is polled then, because the
    /// device is awake anyway. So a device that sleeps wakes up once for its work and for the feed. The slack is shorter
    /// than the heartbeat; by default it is 0.
    ///
    /// The heartbeats stay where they are: the next feed is not earlier for it. So two feeds may be a heartbeat and the
    /// slack apart, and a failed task may be found as much later. The chip and the recovery time have to allow for that,
    /// and the plan proves it. No feed comes before the hardware's window is open, and no task is judged by it: a deadline
    /// is the same with every slack.
    ///
    /// ```
    /// use watchdog_core::{Action, Instant, Plan, Supervisor, Timing, plan};
    ///
    /// // Fed each five minutes, or up to 20 s earlier. The chip bites after 6 to 10 minutes.
    /// const TIMING: Timing<'static> =
    ///     plan!(Plan::heartbeat(300_000).slack(20_000).late(1_000).chip(360_000, 600_000));
    ///
    /// let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
    /// let mut supervisor = Supervisor::new(&[], TIMING, at(0));
    /// assert_eq!(supervisor.poll(at(0)).action, Action::Feed);
    /// // The device wakes up each minute for its work, a few seconds ahead of the heartbeats.
    /// assert_eq!(supervisor.poll(at(233)).action, Action::Wait);
    /// let polled = supervisor.poll(at(293));
    /// assert_eq!((polled.action, polled.next), (Action::Feed, at(600)));
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use watchdog_core::{Plan, Timing, plan};
    /// // The chip may bite before a heartbeat that follows an early feed.
    /// const TIMING: Timing<'static> = plan!(Plan::heartbeat(300_000).slack(60_000).chip(360_000, 600_000));
    /// ```
    pub const fn slack(mut self, millis: u32) -> Self {
        self.slack = millis;
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

    /// The device sleeps for up to `millis` milliseconds at a time, at most four hours:
    /// [`Supervisor::suspend`](crate::Supervisor::suspend). Neither the deadlines of the tasks nor the recovery time count
    /// meanwhile. The hardware counts, so it must not bite before the device is awake again and all stages of a failure
    /// have run.
    pub const fn sleep(mut self, millis: u32) -> Self {
        self.sleep = millis;
        self
    }

    /// The hardware does not count while the device sleeps: a setting of many built-in watchdogs. Say it if it is so: with
    /// a window, a feed right after a sleep would be early.
    pub const fn hardware_sleeps(mut self) -> Self {
        self.hardware_sleeps = true;
        self
    }

    /// At most `millis` milliseconds may pass from the last sign of life of a task to the reset. So each task's deadline
    /// and grants have to leave time for the reset. A task whose failure is only [reported](Reaction::Report) is not
    /// limited by it, because no reset follows.
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
        if self.slack > 0 && self.slack >= self.heartbeat {
            return Err(PlanError::SlackTooLong);
        }
        let delays = match check_stages(self.stages) {
            Ok(delays) => delays,
            Err(error) => return Err(error),
        };
        // Each stage may run late.
        let staged = delays as u64 + self.late as u64 * self.stages.len() as u64;
        // A heartbeat may follow an early feed.
        let looked = self.heartbeat as u64 + self.slack as u64 + self.late as u64;
        if (self.heartbeat as u64) < self.window as u64 + self.late as u64 && self.window > 0 {
            return Err(PlanError::ChipTooEarly);
        }
        if self.sleep > Rules::MOST_MILLIS {
            return Err(PlanError::SleepTooLong);
        }
        // The device falls asleep up to a window after a feed, and both the begin and the end of the sleep may be late.
        let asleep = self.window as u64 + self.sleep as u64 + 2 * self.late as u64;
        let reset = match self.chip {
            None => looked + staged,
            Some((min, _)) if self.sleep > 0 && !self.hardware_sleeps && asleep >= min as u64 => {
                return Err(PlanError::SleepTooLong);
            }
            // A failure that is found after the sleep.
            Some((min, _))
                if self.sleep > 0 && !self.hardware_sleeps && asleep + staged >= min as u64 =>
            {
                return Err(PlanError::StagesTooLong);
            }
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
        let Self {
            heartbeat, slack, late, window, stages, rescues, sleep, hardware_sleeps, ..
        } = *self;
        Ok(Timing {
            heartbeat,
            slack,
            late,
            window,
            longest_silence,
            stages,
            rescues,
            sleep,
            hardware_sleeps,
        })
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
    /// A feed may be so much earlier than its heartbeat.
    pub(crate) slack: u32,
    pub(crate) late: u32,
    pub(crate) window: u32,
    /// No task may be silent for longer, because the reset has to follow within the recovery time.
    longest_silence: u32,
    pub(crate) stages: &'a [(Stage, u32)],
    pub(crate) rescues: u8,
    /// The longest sleep; 0: the device does not sleep.
    pub(crate) sleep: u32,
    /// The hardware does not count during a sleep.
    pub(crate) hardware_sleeps: bool,
}

impl Timing<'_> {
    /// The interval at which the tasks are checked and the hardware is fed, in milliseconds.
    #[must_use]
    pub const fn heartbeat_millis(&self) -> u32 {
        self.heartbeat
    }

    /// How much earlier than its heartbeat a feed may come, in milliseconds; 0: never.
    #[must_use]
    pub const fn slack_millis(&self) -> u32 {
        self.slack
    }

    /// The closed window of the hardware, in milliseconds: two feeds are never closer. 0: there is no window.
    #[must_use]
    pub const fn window_millis(&self) -> u32 {
        self.window
    }

    /// The longest sleep of the device, in milliseconds; 0 if it does not sleep.
    #[must_use]
    pub const fn sleep_millis(&self) -> u32 {
        self.sleep
    }

    /// Whether a task with these rules can be watched by this plan: a healthy task keeps them, it shares its wake-ups
    /// with the supervisor, and its longest silence leaves time for the reset, if one follows.
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
        } else if rules.longest_millis() > self.longest_silence
            && !matches!(rules.reaction, Reaction::Report)
        {
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
    /// The slack is not shorter than the heartbeat.
    SlackTooLong,
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
    /// The chip's minimum time-out is not longer than a late heartbeat after an early feed, or it is longer than the
    /// maximum.
    ChipBitesFirst,
    /// A heartbeat that follows a late one may come before the chip's window opens.
    ChipTooEarly,
    /// The chip's minimum time-out is not longer than a late heartbeat after an early feed, or a sleep, and all stages
    /// together.
    StagesTooLong,
    /// The device sleeps for longer than the chip's minimum time-out allows, or for longer than
    /// [`Rules::MOST_MILLIS`].
    SleepTooLong,
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
            Self::SlackTooLong => "the slack is not shorter than the heartbeat",
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
            Self::SleepTooLong => "the chip's minimum time-out does not cover a sleep",
            Self::RecoveryTooSlow => "a reset takes longer than the recovery time wanted",
            Self::NoReset => "the stages do not end with the reset",
            Self::ResetNotLast => "a stage follows the reset",
            Self::LastWordsNotLast => "another stage than the reset follows the last words",
        }
    }
}

#[cfg(test)]
mod tests;
