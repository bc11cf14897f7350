//! Every order of calls, and random calls at random times, compared with the simple model of the fuzz bodies.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use fuzz_bodies::watchdog_model::{Call, run};
use proptest::prelude::*;
use watchdog_core::{End, Plan, Reaction, Rules, Stage, Timing};

/// Runs every sequence of `length` calls out of `calls`.
fn every_order(
    length: u32,
    calls: &[Call],
    rules: &[Option<Rules>],
    stages: &[(Stage, u32)],
    start: u64,
) {
    let timing = Plan::heartbeat(100).stages(stages).rescues(1).check().unwrap();
    in_every_order(length, calls, rules, timing, stages, 1, start);
}

fn in_every_order(
    length: u32,
    calls: &[Call],
    rules: &[Option<Rules>],
    timing: Timing<'_>,
    stages: &[(Stage, u32)],
    rescues: u8,
    start: u64,
) {
    let count = calls.len().pow(length);
    for number in 0..count {
        let mut rest = number;
        let sequence = (0..length).map(|_| {
            let call = calls.get(rest % calls.len()).unwrap();
            rest /= calls.len();
            *call
        });
        // A last poll shows the outcome of each sequence.
        run(rules, timing, stages, rescues, start, sequence.chain([Call::Poll]));
    }
}

const STAGES: &[(Stage, u32)] = &[(Stage::Restart, 0), (Stage::LastWords, 30), (Stage::Reset, 0)];

#[test]
fn every_order_of_six_calls_of_a_plain_task_agrees_with_the_model() {
    let rules = Rules::deadline(100).not_before(30).grants(3, 2);
    let calls = [
        Call::Advance(30),
        Call::Advance(101),
        Call::Feed(0),
        Call::Grant(0),
        Call::Pause(0),
        Call::Resume(0),
        Call::Retire(0),
        Call::Abandon(0, End::Returned),
        Call::Poll,
    ];
    every_order(6, &calls, &[Some(rules)], STAGES, (1 << 25) - 60);
}

#[test]
fn every_order_of_six_calls_of_a_task_with_checkpoints_agrees_with_the_model() {
    let rules = Rules::deadline(100).steps(2).paused();
    let calls = [
        Call::Advance(100),
        Call::Back(20),
        Call::Step(0, 0),
        Call::Step(0, 1),
        Call::Feed(0),
        Call::Pause(0),
        Call::Resume(0),
        Call::Restarted(0),
        Call::PollWhenDue,
    ];
    every_order(6, &calls, &[Some(rules)], STAGES, 0);
}

#[test]
fn every_order_of_seven_calls_of_tasks_that_come_and_go_agrees_with_the_model() {
    let calls = [
        Call::Advance(60),
        Call::Watch(Rules::deadline(100)),
        Call::Feed(0),
        Call::Feed(1),
        Call::Retire(0),
        Call::Restarted(1),
        Call::Poll,
    ];
    every_order(7, &calls, &[None, Some(Rules::deadline(100))], STAGES, u64::MAX - 300);
}

#[test]
fn every_order_of_seven_calls_of_a_device_that_sleeps_agrees_with_the_model() {
    let calls = [
        Call::Advance(70),
        Call::Advance(160),
        Call::Suspend,
        Call::Awake,
        Call::Feed(0),
        Call::Bite,
        Call::PollWhenDue,
    ];
    let rules = Some(Rules::deadline(200));
    let timing = Plan::heartbeat(100).window(50).sleep(150).stages(STAGES).check().unwrap();
    for start in [0, (1 << 25) - 200] {
        in_every_order(7, &calls, &[rules], timing, STAGES, 0, start);
    }
}

#[test]
fn every_order_of_seven_calls_of_a_device_with_slack_agrees_with_the_model() {
    let calls = [
        Call::Advance(30),
        Call::Advance(75),
        Call::Suspend,
        Call::Awake,
        Call::Feed(0),
        Call::Poll,
        Call::PollWhenDue,
    ];
    let rules = Some(Rules::deadline(200));
    let plan = Plan::heartbeat(100).slack(40).sleep(150).stages(STAGES);
    for window in [0, 70] {
        let timing = plan.window(window).check().unwrap();
        in_every_order(7, &calls, &[rules], timing, STAGES, 0, (1 << 25) - 200);
    }
}

#[test]
fn every_order_of_seven_calls_of_tasks_with_reactions_of_their_own_agrees_with_the_model() {
    let calls = [
        Call::Advance(60),
        Call::Feed(0),
        Call::Feed(1),
        Call::Abandon(0, End::Panicked),
        Call::Restarted(0),
        Call::Abandon(1, End::Returned),
        Call::Poll,
    ];
    let report = Rules::deadline(100).on_failure(Reaction::Report);
    let reset = Rules::deadline(100).on_failure(Reaction::Reset);
    every_order(7, &calls, &[Some(report), Some(reset)], STAGES, 0);
}

fn rules() -> impl Strategy<Value = Rules> {
    let deadline = prop_oneof![1..500u32, Just(Rules::MOST_MILLIS)];
    let counts = (prop_oneof![Just(0u8), 2..5u8], 0..4u8, 2..5u8);
    (deadline, 0..50u32, counts, any::<bool>()).prop_map(|(deadline, early, counts, paused)| {
        let (steps, grants, times) = counts;
        let rules = Rules::deadline(deadline).not_before(early).steps(steps);
        let rules = if deadline < 500 { rules.grants(grants, times) } else { rules };
        if paused { rules.paused() } else { rules }
    })
}

fn rules_and_reaction() -> impl Strategy<Value = Rules> {
    let reaction = prop_oneof![2 => Just(Reaction::Stages), 1 => Just(Reaction::Reset), 1 => Just(Reaction::Report)];
    (rules(), reaction).prop_map(|(rules, reaction)| rules.named("task").on_failure(reaction))
}

fn stage() -> impl Strategy<Value = (Stage, u32)> {
    let help = prop_oneof![Just(Stage::Warn), Just(Stage::Restart), Just(Stage::Other(7))];
    (help, 0..200u32)
}

fn call() -> impl Strategy<Value = Call> {
    let task = 0..4u8;
    prop_oneof![
        4 => (0..120u64).prop_map(Call::Advance),
        4 => Just(Call::PollWhenDue),
        1 => Just(Call::Poll),
        1 => (0..60u64).prop_map(Call::Back),
        1 => (0..1u64 << 26).prop_map(Call::Advance),
        8 => task.clone().prop_map(Call::Feed),
        8 => task.clone().prop_map(Call::NextStep),
        1 => (task.clone(), 0..20u8).prop_map(|(task, step)| Call::Step(task, step)),
        2 => task.clone().prop_map(Call::Grant),
        2 => task.clone().prop_map(Call::Pause),
        2 => task.clone().prop_map(Call::Resume),
        1 => task.clone().prop_map(Call::Retire),
        1 => task.clone().prop_map(|task| Call::Abandon(task, End::Panicked)),
        1 => rules_and_reaction().prop_map(Call::Watch),
        1 => task.prop_map(Call::Restarted),
        1 => Just(Call::Suspend),
        1 => Just(Call::Awake),
    ]
}

/// Near the wrap of stamps, near the wrap of 32 bits, near the latest instant, or anywhere.
fn start() -> impl Strategy<Value = u64> {
    let near = prop_oneof![Just(1u64 << 25), Just(1 << 32), Just(u64::MAX)];
    prop_oneof![(near, 0..5_000u64).prop_map(|(near, before)| near - before), any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_agree_with_the_model(
        tasks in prop::collection::vec(prop::option::of(rules_and_reaction()), 0..4),
        heartbeat in 1..300u32,
        (window, sleep, slack) in (0..300u32, 0..400u32, prop_oneof![Just(0), 0..300u32]),
        stages in prop::collection::vec(stage(), 0..3),
        start in start(),
        calls in prop::collection::vec(call(), 0..120),
    ) {
        let mut stages = stages;
        stages.push((Stage::Reset, 5));
        let plan = Plan::heartbeat(heartbeat).window(window % (heartbeat + 1)).sleep(sleep);
        let plan = plan.slack(slack % heartbeat);
        let timing = plan.stages(&stages).rescues(2).check().unwrap();
        run(&tasks, timing, &stages, 2, start, calls);
    }
}
