//! Sleeps of the device: what counts, and what does not.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::{Plan, Refused, plan};

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

#[test]
fn hardware_that_sleeps_too_is_not_fed_inside_its_window_after_the_sleep() {
    let plan = Plan::heartbeat(100).chip(300, 400).window(60).sleep(5_000).hardware_sleeps();
    let mut supervisor = Supervisor::new(&[], plan.check().unwrap(), at(0));
    assert_eq!(supervisor.suspend(at(200)).unwrap().action, Action::Feed);
    supervisor.resume(at(3_200));
    // Its counter has stood still since the feed, so a feed at once would be early.
    assert_eq!(supervisor.poll(at(3_200)), Poll { action: Action::Wait, next: at(3_260) });
    assert_eq!(supervisor.poll(at(3_260)).action, Action::Feed);
    assert_eq!(supervisor.suspend(at(3_290)).unwrap().action, Action::Wait, "30 ms are closed");
    supervisor.resume(at(7_000));
    assert_eq!(supervisor.poll(at(7_029)), Poll { action: Action::Wait, next: at(7_030) });
    assert_eq!(supervisor.poll(at(7_030)).action, Action::Feed);
}

#[test]
fn after_a_sleep_no_report_is_too_early() {
    let rules = Rules::deadline(150).not_before(60);
    let tasks = [task(rules), task(rules.steps(2)), task(rules.grants(2, 4))];
    let mut supervisor = Supervisor::new(&tasks, SLEEPS, at(0));
    let [plain, steps, grants] = tasks.each_ref().map(Task::handle);
    plain.feed(at(10)).unwrap();
    steps.step(0, at(10)).unwrap();
    steps.step(1, at(10)).unwrap();
    grants.feed(at(10)).unwrap();
    assert_eq!(supervisor.suspend(at(20)).unwrap().action, Action::Feed);
    supervisor.resume(at(4_020));
    assert_eq!((plain.feed(at(4_030)), steps.step(0, at(4_030))), (Ok(()), Ok(())));
    assert_eq!(plain.feed(at(4_040)), Err(Refused::Early), "from here on");
    // A sleep takes nothing from the task, and gives it no grant.
    assert_eq!(supervisor.time_left(TaskId::new(2), at(4_030)), Ok(Some(130)));
    assert_eq!(grants.pause(at(4_030)), Ok(()));
}

#[test]
fn a_bite_on_request_follows_the_sleep() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, SLEEPS, at(0));
    assert_eq!(supervisor.suspend(at(100)).unwrap().action, Action::Feed);
    supervisor.resume(at(5_100));
    supervisor.bite(at(5_100));
    assert_eq!(supervisor.failure().unwrap().fault, Fault::Requested);
}

#[test]
fn if_the_device_does_not_say_that_it_is_awake_the_sleep_counts_and_no_window_is_broken() {
    let plan = Plan::heartbeat(100).chip(300, 400).window(60).sleep(5_000).hardware_sleeps();
    let timing = plan.check().unwrap();
    let tasks = [Task::new(Rules::deadline(1_000), timing).unwrap()];
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    tasks[0].handle().feed(at(200)).unwrap();
    assert_eq!(supervisor.suspend(at(200)).unwrap().action, Action::Feed);
    // The hardware may have slept all the time.
    assert_eq!(supervisor.poll(at(900)), Poll { action: Action::Wait, next: at(960) });
    assert_eq!(supervisor.poll(at(960)).action, Action::Feed);
    // Too late: the device has been awake.
    supervisor.resume(at(1_190));
    assert!(matches!(supervisor.poll(at(1_201)).action, Action::Stage(..)));
}

#[test]
fn a_device_that_oversleeps_bites_also_after_so_long_that_stamps_are_ambiguous() {
    const HOUR: u64 = 60 * 60 * 1_000;
    let timing = Plan::heartbeat(100).sleep(Rules::MOST_MILLIS).check().unwrap();
    for (silent, overslept) in [(1, 4), (2, 3), (3, 2), (4, 1)] {
        let tasks = [Task::new(Rules::deadline(Rules::MOST_MILLIS), timing).unwrap()];
        let mut supervisor = Supervisor::new(&tasks, timing, at(0));
        let asleep = silent * HOUR;
        for hour in 1..=silent {
            let _fed = supervisor.poll(at(hour * HOUR));
        }
        let polled = supervisor.suspend(at(asleep)).unwrap();
        let awake = polled.next.plus_millis(overslept * HOUR + 60_000);
        supervisor.resume(awake);
        let action = supervisor.poll(awake).action;
        assert!(matches!(action, Action::Stage(..)), "{silent} {overslept}: {action:?}");
    }
}
