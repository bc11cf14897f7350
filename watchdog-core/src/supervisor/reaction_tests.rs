//! Reactions to a failure other than the stages of the plan, and what can be asked of a supervisor.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::string::ToString;

use super::*;
use crate::{Plan, plan};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const TIMING: Timing<'static> = plan!(Plan::heartbeat(100));

fn task(rules: Rules) -> Task {
    Task::new(rules, TIMING).unwrap()
}

#[test]
fn a_task_that_the_device_can_do_without_is_reported_once_and_the_hardware_is_fed_on() {
    let report = Rules::deadline(150).named("display").on_failure(Reaction::Report);
    let tasks = [task(report), task(Rules::deadline(500))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    let [_, pump] = &tasks;
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    let polled = supervisor.poll(at(200));
    let Action::Report(failure) = polled.action else { panic!("{polled:?}") };
    assert_eq!(failure.to_string(), "task 0 (display) starved, nothing heard since 0 ms");
    assert_eq!(polled.next, at(200), "more is to be done at once");
    for now in (200..1_000).step_by(100) {
        pump.handle().feed(at(now)).unwrap();
        assert_eq!(supervisor.poll(at(now)).action, Action::Feed);
    }
    assert_eq!((supervisor.awaited(), supervisor.failure()), (1, None));
    // It is no rescue, and any number of times.
    supervisor.restarted(failure.task, at(1_000)).unwrap().feed(at(1_010)).unwrap();
    assert_eq!(supervisor.awaited(), 2);
    assert_eq!(supervisor.restarted(failure.task, at(1_020)).err(), Some(NotRescued::NotFailed));
    assert!(
        matches!(supervisor.poll(at(1_300)).action, Action::Report(again) if again.task == failure.task)
    );
}

#[test]
fn a_failure_that_is_only_reported_hides_no_other_one() {
    let report = Rules::deadline(100).on_failure(Reaction::Report);
    let tasks = [task(report), task(Rules::deadline(150)), task(report)];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    let polled = supervisor.poll(at(200));
    assert!(matches!(polled.action, Action::Stage(_, failure) if failure.task == TaskId::new(1)));
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    tasks[1].handle().feed(at(100)).unwrap();
    for index in [0, 2] {
        let polled = supervisor.poll(at(200));
        assert!(
            matches!(polled.action, Action::Report(failure) if failure.task == TaskId::new(index))
        );
    }
    assert_eq!(supervisor.poll(at(200)).action, Action::Feed);
}

#[test]
fn a_task_that_nothing_repairs_has_only_the_last_words_and_the_reset() {
    let stages = [(Stage::Restart, 0), (Stage::LastWords, 300), (Stage::Reset, 50)];
    let timing = Plan::heartbeat(100).stages(&stages).rescues(3).check().unwrap();
    let tasks = [task(Rules::deadline(150).on_failure(Reaction::Reset))];
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    let polled = supervisor.poll(at(200));
    assert!(matches!(polled.action, Action::Stage(Stage::LastWords, _)));
    assert_eq!(supervisor.restarted(TaskId::new(0), at(210)).err(), Some(NotRescued::TooLate));
    assert!(matches!(supervisor.poll(at(250)).action, Action::Stage(Stage::Reset, _)));
}

#[test]
fn a_bite_on_request_stops_the_feeding_at_once_and_names_the_supervisor() {
    let mut supervisor = Supervisor::new(&[], TIMING, at(0));
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    supervisor.bite(at(150));
    let failure = supervisor.failure().unwrap();
    assert_eq!((failure.task, failure.fault), (TaskId::SUPERVISOR, Fault::Requested));
    assert_eq!(supervisor.poll(at(150)).action, Action::Stage(Stage::Reset, failure));
    assert_eq!(supervisor.poll(at(9_000)).action, Action::Stopped(failure));
    assert_eq!(supervisor.task(TaskId::SUPERVISOR).err(), Some(UnknownTask(TaskId::SUPERVISOR)));
    supervisor.bite(at(9_100));
    assert_eq!(supervisor.failure(), Some(failure), "the first one stays");
}

#[test]
fn the_worst_lateness_of_a_poll_is_kept() {
    let mut supervisor = Supervisor::new(&[], TIMING, at(0));
    for (now, worst) in [(0, 0), (103, 3), (150, 3), (201, 3), (377, 77), (400, 77)] {
        let _polled = supervisor.poll(at(now));
        assert_eq!(supervisor.worst_lateness_millis(), worst, "{now}");
    }
}

#[test]
fn a_view_finds_the_failure_that_the_next_poll_finds() {
    let tasks = [task(Rules::deadline(300)), task(Rules::deadline(150).named("pump"))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    let view = supervisor.view();
    assert_eq!((view.failure(at(150)), view.culprit(at(150)).task), (None, TaskId::SUPERVISOR));
    let failure = view.failure(at(151)).unwrap();
    assert_eq!(failure.name.as_str(), "pump");
    assert_eq!(supervisor.poll(at(151)).action, Action::Stage(Stage::Reset, failure));
    assert_eq!(supervisor.name(failure.task).unwrap().as_str(), "pump");
}

#[test]
fn a_report_that_is_still_to_come_does_not_mark_a_new_task_in_the_same_place() {
    let timing = plan!(Plan::heartbeat(100).sleep(1_000));
    let rules = Rules::deadline(100);
    let tasks = [Task::new(rules.on_failure(Reaction::Report), timing).unwrap()];
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    // Found, and not reported yet; then it retires by a clock that is behind.
    assert!(matches!(supervisor.suspend(at(101)), Err(NotSuspended::Failed(_))));
    tasks[0].handle().retire(at(99)).unwrap();
    let (_, new) = supervisor.watch(rules, at(102)).unwrap();
    let _report = supervisor.poll(at(110));
    assert_eq!((new.feed(at(120)), supervisor.awaited()), (Ok(()), 1));
}
