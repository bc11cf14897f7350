//! Sleeps of the device: what counts, and what does not.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::{Plan, plan};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn task(rules: Rules) -> Task {
    Task::new(rules, SLEEPS).unwrap()
}

const SLEEPS: Timing<'static> = plan!(Plan::heartbeat(100).sleep(5_000));

#[test]
fn a_sleep_of_the_planned_length_does_not_count_and_the_rest_of_a_longer_one_does() {
    for (slept, bites) in
        [(1, false), (5_000, false), (5_120, false), (5_121, true), (60_000, true)]
    {
        let tasks = [task(Rules::deadline(150))];
        let mut supervisor = Supervisor::new(&tasks, SLEEPS, at(0));
        tasks[0].handle().feed(at(70)).unwrap();
        let asleep = Poll { action: Action::Feed, next: at(5_100) };
        assert_eq!(supervisor.suspend(at(100)), Ok(asleep));
        supervisor.resume(at(100 + slept));
        let action = supervisor.poll(at(100 + slept)).action;
        assert_eq!(matches!(action, Action::Stage(..)), bites, "{slept}");
        assert!(bites || action == Action::Feed, "{slept}");
    }
}

#[test]
fn a_poll_before_the_device_says_that_it_is_awake_counts_the_sleep() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, SLEEPS, at(0));
    tasks[0].handle().feed(at(100)).unwrap();
    let _polled = supervisor.suspend(at(100)).unwrap();
    assert_eq!(supervisor.poll(at(200)).action, Action::Feed);
    // Too late: the device was awake since.
    supervisor.resume(at(240));
    assert!(matches!(supervisor.poll(at(251)).action, Action::Stage(..)));
}

#[test]
fn sleeps_do_not_hide_a_task_that_hangs() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, SLEEPS, at(0));
    let (mut now, mut awake) = (0, 0);
    let failure = loop {
        now += 40;
        awake += 40;
        match supervisor.suspend(at(now)) {
            Ok(polled) => now = polled.next.as_millis(),
            Err(NotSuspended::Failed(failure)) => break failure,
            Err(error) => panic!("{error}"),
        }
        supervisor.resume(at(now));
    };
    assert_eq!((failure.fault, awake), (Fault::Starved, 160));
    assert!(matches!(supervisor.poll(at(now)).action, Action::Stage(Stage::Reset, _)));
}

#[test]
fn a_device_falls_asleep_by_its_plan_only() {
    let mut supervisor = Supervisor::new(&[], plan!(Plan::heartbeat(100)), at(0));
    assert_eq!(supervisor.suspend(at(10)), Err(NotSuspended::NotPlanned));
    supervisor.resume(at(20));
    assert_eq!(supervisor.poll(at(20)), Poll { action: Action::Feed, next: at(100) });
}

#[test]
fn the_window_of_the_hardware_is_kept_before_and_after_a_sleep() {
    let timing = Plan::heartbeat(100).window(60).sleep(500).check().unwrap();
    let mut supervisor = Supervisor::new(&[], timing, at(0));
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    let polled = supervisor.suspend(at(130)).unwrap();
    assert_eq!(polled.action, Action::Wait, "the window is closed");
    supervisor.resume(at(140));
    let polled = supervisor.poll(at(140));
    assert_eq!(polled, Poll { action: Action::Wait, next: at(160) });
    assert_eq!(supervisor.poll(at(160)).action, Action::Feed);
}
