//! The rules that one task has to keep ([`Rules`]), and the reasons to reject them ([`RulesError`]).
//!
//! ```
//! use watchdog_core::{Plan, Rules, Task, Timing, plan, task};
//!
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).late(20));
//! // A sampler: it works each 500 ms for up to 180 ms, with four checkpoints in each round. It reports at least once a
//! // second, and begins no round within 100 ms after the last one. It may take ten seconds up to three times; the first
//! // time is for its start.
//! static SAMPLER: Task = task!(
//!     TIMING,
//!     Rules::deadline(1_000).works(500, 180).not_before(100).steps(4).grants(3, 10)
//! );
//! ```

use thiserror::Error;

use crate::name::{Name, NameError};
use crate::report::{MOST_MILLIS, MOST_STEPS};

/// The rules that one task has to keep, and the work that they are for. They can be a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Rules {
    pub(crate) deadline: u32,
    pub(crate) earliest: u32,
    pub(crate) period: u32,
    pub(crate) run: u32,
    pub(crate) steps: u8,
    pub(crate) grants: u8,
    pub(crate) times: u8,
    pub(crate) paused: bool,
    pub(crate) reaction: Reaction,
    pub(crate) name: Result<Name, NameError>,
}

/// What follows if a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reaction {
    /// All stages of the plan, in order.
    #[default]
    Stages = 0,
    /// The last words and the reset, at once: for a task whose failure nothing else repairs.
    Reset = 1,
    /// The failure is reported once, and the hardware is fed on: for a task that the device can do without. It is not
    /// awaited any more, until it is [restarted](crate::Supervisor::restarted).
    Report = 2,
}

impl Rules {
    /// The longest deadline, and the longest grant: 4 hours, in milliseconds.
    pub const MOST_MILLIS: u32 = MOST_MILLIS;
    /// The most checkpoints that a round can have.
    pub const MOST_STEPS: u8 = MOST_STEPS;

    /// The task feeds at intervals of at most `millis` milliseconds. A feed exactly at the deadline is in time.
    pub const fn deadline(millis: u32) -> Self {
        Self {
            deadline: millis,
            earliest: 0,
            period: 0,
            run: 0,
            steps: 0,
            grants: 0,
            times: 0,
            paused: false,
            reaction: Reaction::Stages,
            name: Ok(Name::NONE),
        }
    }

    /// The name of the task, for its failure and for the crash record: at most 12 bytes.
    pub const fn named(mut self, name: &str) -> Self {
        self.name = Name::new(name);
        self
    }

    /// What follows if the task fails. By default, the stages of the plan.
    pub const fn on_failure(mut self, reaction: Reaction) -> Self {
        self.reaction = reaction;
        self
    }

    /// The task works each `period` milliseconds (0: it has no period and works on events), and one run of its work
    /// takes at most `run` milliseconds. The plan checks that a healthy task keeps its rules.
    pub const fn works(mut self, period: u32, run: u32) -> Self {
        self.period = period;
        self.run = run;
        self
    }

    /// A feed sooner than `millis` milliseconds after the previous one is a fault. This finds a loop that runs away: it
    /// feeds in time, but too often. If the task has checkpoints, the first one of a round is such a feed, and the time
    /// counts from the last one of the previous round; within a round no checkpoint is too early. After the start, a
    /// pause, a grant or a sleep of the device, no feed is too early.
    pub const fn not_before(mut self, millis: u32) -> Self {
        self.earliest = millis;
        self
    }

    /// The task reports the checkpoints 0, 1, … `count - 1` and then 0 again, each within the deadline after the
    /// previous one. A plain feed does not count, and a checkpoint out of order is a fault. So a loop that spins
    /// without doing its work cannot feed by accident.
    pub const fn steps(mut self, count: u8) -> Self {
        self.steps = count;
        self
    }

    /// The task has `count` grants for long work; each grant is `times` deadlines long. The first grant is for the
    /// start: the first feed may take this long. (A task that begins paused has all its grants for later.) All grants
    /// together are never longer than `count` times `times` deadlines.
    pub const fn grants(mut self, count: u8, times: u8) -> Self {
        self.grants = count;
        self.times = if count == 0 { 0 } else { times };
        self
    }

    /// The task is not awaited until it is resumed for the first time.
    pub const fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    /// The deadline, in milliseconds.
    #[must_use]
    pub const fn deadline_millis(&self) -> u32 {
        self.deadline
    }

    /// A feed sooner than this after the previous one is a fault, in milliseconds; 0 if there is no window.
    #[must_use]
    pub const fn not_before_millis(&self) -> u32 {
        self.earliest
    }

    /// The number of checkpoints in a round; 0 if there are none.
    #[must_use]
    pub const fn step_count(&self) -> u8 {
        self.steps
    }

    /// The number of grants, including the grant for the start.
    #[must_use]
    pub const fn grant_count(&self) -> u8 {
        self.grants
    }

    /// Whether the task begins paused.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// What follows if the task fails.
    #[must_use]
    pub const fn reaction(&self) -> Reaction {
        self.reaction
    }

    /// The name of the task; [`Name::NONE`] if it has none.
    pub const fn name(&self) -> Name {
        match self.name {
            Ok(name) => name,
            Err(_) => Name::NONE,
        }
    }

    /// The longest time that the task may be silent, in milliseconds: a grant, or the deadline if it has no grants.
    #[must_use]
    pub const fn longest_millis(&self) -> u32 {
        if self.grants == 0 {
            self.deadline
        } else {
            self.deadline.saturating_mul(self.times as u32)
        }
    }

    /// Whether these rules can be kept. The [`Timing`](crate::Timing) of a plan checks more: whether a healthy task
    /// keeps them.
    ///
    /// # Errors
    ///
    /// [`RulesError`]: the first rule that cannot be kept.
    pub const fn check(&self) -> Result<(), RulesError> {
        if let Err(error) = self.name {
            Err(RulesError::Name(error))
        } else if self.deadline == 0 {
            Err(RulesError::NoDeadline)
        } else if self.deadline > MOST_MILLIS {
            Err(RulesError::DeadlineTooLong)
        } else if self.earliest >= self.deadline {
            Err(RulesError::WindowEmpty)
        } else if self.steps == 1 || self.steps > MOST_STEPS {
            Err(RulesError::Steps)
        } else if self.grants > 0 && self.times < 2 {
            Err(RulesError::GrantTooShort)
        } else if self.longest_millis() > MOST_MILLIS {
            Err(RulesError::GrantTooLong)
        } else {
            Ok(())
        }
    }
}

/// Rules that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum RulesError {
    /// The name cannot be kept.
    Name(NameError),
    /// A deadline of 0.
    NoDeadline,
    /// A deadline above [`Rules::MOST_MILLIS`].
    DeadlineTooLong,
    /// The window opens at the deadline or later.
    WindowEmpty,
    /// A single checkpoint, which has no order, or more than [`Rules::MOST_STEPS`] checkpoints.
    Steps,
    /// A grant that is no longer than the deadline.
    GrantTooShort,
    /// A grant above [`Rules::MOST_MILLIS`].
    GrantTooLong,
}

impl RulesError {
    /// The text of the error as a constant, for `const` code that cannot format.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Name(NameError::TooLong) => "the name of a task has at most 12 bytes",
            Self::Name(NameError::ZeroByte) => "the name of a task has no zero byte",
            Self::NoDeadline => "a task needs a deadline above 0 ms",
            Self::DeadlineTooLong => "the deadline is longer than 14400000 ms",
            Self::WindowEmpty => "the window does not open before the deadline",
            Self::Steps => "a round has 2 to 15 checkpoints, or none",
            Self::GrantTooShort => "a grant needs to be at least two deadlines long",
            Self::GrantTooLong => "a grant is longer than 14400000 ms",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn each_rule_that_cannot_be_kept_has_its_error() {
        let good = Rules::deadline(1_000);
        for (rules, error) in [
            (Rules::deadline(0), RulesError::NoDeadline),
            (Rules::deadline(Rules::MOST_MILLIS + 1), RulesError::DeadlineTooLong),
            (good.not_before(1_000), RulesError::WindowEmpty),
            (good.steps(1), RulesError::Steps),
            (good.steps(16), RulesError::Steps),
            (good.grants(1, 1), RulesError::GrantTooShort),
            (Rules::deadline(100_000).grants(1, 145), RulesError::GrantTooLong),
            (good.named("thirteen byte"), RulesError::Name(NameError::TooLong)),
            (good.named("a\0b"), RulesError::Name(NameError::ZeroByte)),
        ] {
            assert_eq!(rules.check(), Err(error), "{rules:?}");
        }
        let all = good.not_before(999).steps(15).grants(255, 255).paused().named("twelve bytes");
        for rules in [good, all, Rules::deadline(1), Rules::deadline(Rules::MOST_MILLIS)] {
            assert_eq!(rules.check(), Ok(()), "{rules:?}");
        }
    }

    #[test]
    fn messages_contain_the_actual_limits() {
        let most = Rules::MOST_MILLIS.to_string();
        assert!(RulesError::DeadlineTooLong.message().contains(&most));
        assert!(RulesError::GrantTooLong.message().contains(&most));
        let longest = Name::LEN.to_string();
        assert!(RulesError::Name(NameError::TooLong).message().contains(&longest));
        assert!(RulesError::Steps.message().contains(&Rules::MOST_STEPS.to_string()));
    }
}
