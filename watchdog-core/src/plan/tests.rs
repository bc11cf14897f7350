//! Plans and tasks at their limits, and one step beyond.

use super::*;
use crate::rules::Reaction;

const TASK: Rules = Rules::deadline(1_000);

#[test]
fn each_broken_rule_has_its_error() {
    let beat = Plan::heartbeat(500);
    for (plan, error) in [
        (Plan::heartbeat(0), PlanError::NoHeartbeat),
        (Plan::heartbeat(7_200_001), PlanError::HeartbeatTooLong),
        (beat.slack(500), PlanError::SlackTooLong),
        (Plan::heartbeat(1).slack(u32::MAX), PlanError::SlackTooLong),
        (beat.slack(400).chip(900, 2_500), PlanError::ChipBitesFirst),
        (beat.slack(300).late(100).chip(900, 2_500), PlanError::ChipBitesFirst),
        (beat.slack(100).chip(900, 2_500).stages(&[(Stage::Reset, 300)]), PlanError::StagesTooLong),
        (beat.slack(100).recovery(600), PlanError::RecoveryTooSlow),
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
        (beat.chip(900, 2_500).sleep(900), PlanError::SleepTooLong),
        (beat.late(20).chip(900, 2_500).sleep(860), PlanError::SleepTooLong),
        (beat.chip(900, 2_500).window(400).sleep(500), PlanError::SleepTooLong),
        (beat.sleep(Rules::MOST_MILLIS + 1), PlanError::SleepTooLong),
        // A failure that is found after the sleep has its stages, too.
        (beat.late(20).chip(900, 2_500).sleep(840), PlanError::StagesTooLong),
        (
            beat.chip(900, 2_500).sleep(800).stages(&[(Stage::LastWords, 0), (Stage::Reset, 100)]),
            PlanError::StagesTooLong,
        ),
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
        // No reset follows the failure of this task.
        (beat.recovery(600), TASK.on_failure(Reaction::Report)),
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
        beat.late(20).chip(900, 2_500).sleep(839),
        beat.chip(900, 2_500).sleep(799).stages(&[(Stage::LastWords, 0), (Stage::Reset, 100)]),
        beat.chip(900, 2_500).window(400).sleep(499),
        beat.chip(900, 2_500).sleep(Rules::MOST_MILLIS).hardware_sleeps(),
        beat.sleep(Rules::MOST_MILLIS),
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
