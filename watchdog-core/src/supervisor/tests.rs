//! The supervisor, poll by poll, over tasks that report at given times.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::vec::Vec;

use crate::task::{End, Refused};
use crate::{Plan, plan};

use super::*;

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const TIMING: Timing<'static> = plan!(Plan::heartbeat(100));

fn task(rules: Rules) -> Task {
    Task::new(rules, TIMING).unwrap()
}

/// The failure after polls at these instants, with the reset as the only stage.
fn first_bite(supervisor: &mut Supervisor<'_>, polls: impl IntoIterator<Item = u64>) -> Failure {
    for millis in polls {
        if let Action::Stage(Stage::Reset, failure) = supervisor.poll(at(millis)).action {
            return failure;
        }
    }
    panic!("the supervisor did not bite");
}

#[test]
fn polls_lie_on_the_grid_that_begins_at_the_start() {
    let mut supervisor = Supervisor::new(&[], TIMING, at(30));
    for (now, action, next) in [
        (30, Action::Feed, 130),
        (31, Action::Wait, 130),
        (129, Action::Wait, 130),
        (130, Action::Feed, 230),
        (229, Action::Wait, 230),
        (471, Action::Feed, 530),
        (530, Action::Feed, 630),
    ] {
        assert_eq!(supervisor.poll(at(now)), Poll { action, next: at(next) }, "{now}");
    }
}

const WINDOW: Timing<'static> =
    plan!(Plan::heartbeat(500).late(20).chip(1_000, 2_500).window(450).stages(HELP).rescues(9));

#[test]
fn the_first_feed_keeps_the_window_that_begins_at_the_start() {
    let mut supervisor = Supervisor::new(&[], WINDOW, at(1_000));
    for millis in 1_000..1_500 {
        assert_eq!(supervisor.poll(at(millis)), Poll { action: Action::Wait, next: at(1_500) });
    }
    assert_eq!(supervisor.poll(at(1_500)).action, Action::Feed);
}

#[test]
fn after_a_known_feed_the_first_feed_follows_when_the_window_opens() {
    for (fed, first) in [(995, 1_445), (700, 1_150), (550, 1_000), (0, 1_000), (1_000, 1_450)] {
        let mut supervisor = Supervisor::new(&[], WINDOW, at(1_000)).last_fed(at(fed));
        let due = (1_000..2_000).find(|now| supervisor.poll(at(*now)).action == Action::Feed);
        assert_eq!(due, Some(first), "fed at {fed}");
    }
    let mut supervisor = Supervisor::new(&[], TIMING, at(1_000)).last_fed(at(999));
    assert_eq!(supervisor.poll(at(1_000)).action, Action::Feed, "without a window, at once");
}

#[test]
fn after_a_rescue_the_feeds_keep_the_window_and_return_to_the_grid() {
    // The task fails at 601 and is handed out for a restart at 651.
    for rescued in 652..1_652 {
        let tasks = [task(Rules::deadline(600))];
        let mut supervisor = Supervisor::new(&tasks, WINDOW, at(0));
        let (mut fed, mut restarts) = (0, false);
        for now in 0..8_000 {
            if now == rescued {
                let _handle = supervisor.restarted(TaskId::new(0), at(now)).unwrap();
                restarts = false;
            }
            if now > rescued && now % 100 == 0 {
                tasks.first().unwrap().handle().feed(at(now)).unwrap();
            }
            if restarts {
                continue;
            }
            match supervisor.poll(at(now)).action {
                Action::Feed => {
                    assert!(now - fed >= 450, "{rescued}: {fed}, {now}");
                    assert!(now - fed <= 500 || fed < rescued, "{rescued}: {fed}, {now}");
                    fed = now;
                }
                Action::Stage(stage, _) => restarts = stage == Stage::Restart,
                Action::Wait | Action::Report(_) | Action::Stopped(_) => {}
            }
        }
        assert_eq!(fed, 7_500, "{rescued}: on the grid again");
    }
}

#[test]
fn two_feeds_are_never_closer_than_the_window_whenever_it_is_polled() {
    let mut random = 1_u64;
    for _ in 0..200 {
        let mut supervisor = Supervisor::new(&[], WINDOW, at(7));
        let (mut fed, mut now) = (7, 7);
        while now < 50_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now += random >> 55;
            if supervisor.poll(at(now)).action == Action::Feed {
                assert!(now - fed >= 450, "{fed}, {now}");
                fed = now;
            }
        }
    }
}

#[test]
fn a_task_that_never_feeds_is_found_at_the_first_heartbeat_after_its_deadline() {
    let tasks = [task(Rules::deadline(250))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(1_000));
    let failure = first_bite(&mut supervisor, (1_000..).step_by(100));
    let (task, name, fault) = (TaskId::new(0), Name::NONE, Fault::Starved);
    let expected = Failure { task, name, fault, step: None, since: at(1_000), at: at(1_300) };
    assert_eq!(failure, expected);
}

#[test]
fn a_late_first_report_or_end_between_two_polls_does_not_save_a_task() {
    type Reports = fn(TaskHandle<'_>, Instant) -> Result<(), Refused>;
    let reports: [Reports; 3] =
        [|task, now| task.feed(now), |task, now| task.retire(now), |task, now| task.pause(now)];
    for report in reports {
        let tasks = [task(Rules::deadline(250))];
        let mut supervisor = Supervisor::new(&tasks, TIMING, at(1_000));
        assert_eq!(supervisor.poll(at(1_200)).action, Action::Feed);
        let handle = tasks.first().unwrap().handle();
        assert_eq!(report(handle, at(1_251)), Err(Refused::Late));
        let failure = first_bite(&mut supervisor, [1_300]);
        assert_eq!((failure.fault, failure.since), (Fault::Starved, at(1_000)));
    }
}

#[test]
fn a_report_at_the_deadline_is_in_time() {
    let tasks = [task(Rules::deadline(100))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    assert!(matches!(supervisor.poll(at(101)).action, Action::Stage(..)));
}

#[test]
fn one_task_that_starves_is_named_even_if_all_others_feed() {
    let tasks = [(); 5].map(|()| task(Rules::deadline(150)));
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    for beat in 0..3 {
        for (index, task) in tasks.iter().enumerate() {
            if index != 3 || beat == 0 {
                task.handle().feed(at(beat * 100)).unwrap();
            }
        }
        let healthy = supervisor.poll(at(beat * 100)).action == Action::Feed;
        assert_eq!(healthy, beat < 2);
    }
    let failure = supervisor.failure().unwrap();
    assert_eq!((failure.task.index(), failure.since), (3, at(0)));
}

#[test]
fn of_several_failures_the_first_in_time_is_named() {
    let tasks = [Rules::deadline(190), Rules::deadline(110), Rules::deadline(110)].map(task);
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    tasks.iter().for_each(|task| task.handle().feed(at(100)).unwrap());
    // The deadline of the second task is over at 210; the third task panicked before.
    tasks.iter().skip(2).for_each(|task| task.handle().abandon(End::Panicked, at(180)));
    let failure = first_bite(&mut supervisor, [300]);
    assert_eq!((failure.task.index(), failure.fault), (2, Fault::Panicked));
    assert_eq!((failure.since, failure.at), (at(180), at(300)));
}

#[test]
fn a_late_feed_does_not_prevent_the_bite_before_or_after_the_poll() {
    let tasks = [task(Rules::deadline(150))];
    let handle = tasks.first().unwrap().handle();
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    handle.feed(at(0)).unwrap();
    assert!(handle.feed(at(151)).is_err());
    let failure = first_bite(&mut supervisor, [200]);
    assert_eq!(failure.since, at(0));
    assert!(handle.feed(at(201)).is_err());
    assert_eq!(supervisor.poll(at(300)).action, Action::Stopped(failure));
}

#[test]
fn each_fault_in_a_report_is_named_with_its_checkpoint() {
    type Report = fn(&TaskHandle<'_>);
    let reports: [(Report, Fault, Option<u8>); 4] = [
        (|task| assert!(task.step(0, at(115)).is_err()), Fault::Early, Some(2)),
        (|task| assert!(task.step(2, at(115)).is_err()), Fault::OutOfOrder, Some(2)),
        (|task| task.abandon(End::Returned, at(115)), Fault::Returned, Some(0)),
        (|task| task.abandon(End::Panicked, at(115)), Fault::Panicked, Some(0)),
    ];
    for (report, fault, step) in reports {
        let tasks = [task(Rules::deadline(500).steps(3).not_before(10))];
        let handle = tasks.first().unwrap().handle();
        let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
        handle.step(0, at(110)).unwrap();
        if fault == Fault::Early {
            (1..3).for_each(|step| handle.step(step, at(110)).unwrap());
        }
        report(&handle);
        let failure = first_bite(&mut supervisor, [200]);
        assert_eq!((failure.fault, failure.step, failure.since), (fault, step, at(115)));
    }
}

#[test]
fn a_stamp_a_little_ahead_is_accepted_and_a_stamp_far_ahead_is_a_clock_fault() {
    let tasks = [task(Rules::deadline(150))];
    let handle = tasks.first().unwrap().handle();
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    handle.pause(at(0)).unwrap();
    handle.resume(at(250)).unwrap();
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    let tasks = [task(Rules::deadline(150))];
    let handle = tasks.first().unwrap().handle();
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    handle.pause(at(0)).unwrap();
    handle.resume(at(451)).unwrap();
    let failure = first_bite(&mut supervisor, [200]);
    assert_eq!((failure.fault, failure.since), (Fault::Clock, at(200)));
}

#[test]
fn a_poll_that_is_interrupted_for_longer_than_a_deadline_finds_no_clock_fault() {
    let tasks = [task(Rules::deadline(5))];
    let handle = tasks.first().unwrap().handle();
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    handle.feed(at(0)).unwrap();
    // The poll is for the time 5. The task goes on feeding before the poll reads its report.
    for millis in (5..=100).step_by(5) {
        handle.feed(at(millis)).unwrap();
    }
    assert_eq!(supervisor.poll(at(5)).action, Action::Feed);
}

#[test]
fn a_task_without_checkpoints_is_never_named_with_one() {
    let tasks = [task(Rules::deadline(150))];
    let handle = tasks.first().unwrap().handle();
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    handle.pause(at(10)).unwrap();
    handle.resume(at(20)).unwrap();
    handle.abandon(End::Returned, at(30));
    assert_eq!(first_bite(&mut supervisor, [100]).step, None);
}

#[test]
fn a_task_that_does_not_fit_the_plan_is_not_watched() {
    let tasks = [Task::vacant()];
    let timing = plan!(Plan::heartbeat(500).chip(900, 2_500).recovery(3_500));
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    let silent = supervisor.watch(Rules::deadline(7_000_000), at(0)).err();
    assert_eq!(silent, Some(WatchError::Plan(PlanError::RecoveryTooSlow)));
    let late = supervisor.watch(Rules::deadline(300).works(250, 180), at(0)).err();
    assert_eq!(late, Some(WatchError::Plan(PlanError::DeadlineTooShort)));
    assert!(supervisor.watch(Rules::deadline(1_000).works(250, 180), at(0)).is_ok());
}

#[test]
fn paused_and_retired_tasks_are_not_awaited() {
    let tasks = [task(Rules::deadline(150)), task(Rules::deadline(150)), Task::vacant()];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    let handles: Vec<_> = tasks.iter().map(Task::handle).collect();
    assert_eq!(supervisor.awaited(), 2);
    let [first, second, _] = <[_; 3]>::try_from(handles).unwrap();
    first.pause(at(100)).unwrap();
    second.retire(at(100)).unwrap();
    assert_eq!(supervisor.awaited(), 0);
    assert_eq!(supervisor.poll(at(40_000_000)).action, Action::Feed);
    first.resume(at(40_000_000)).unwrap();
    let failure = first_bite(&mut supervisor, [40_000_100, 40_000_200]);
    assert_eq!((failure.task.index(), failure.since), (0, at(40_000_000)));
}

#[test]
fn after_hours_without_a_poll_no_stamp_is_trusted() {
    // After 9.3 hours the stamp has wrapped to the same value.
    for absence in
        [u64::from(MOST_BETWEEN_POLLS) + 1, 1 << 25, (1 << 25) - 1, (1 << 32) + 1, 1 << 50]
    {
        let tasks = [task(Rules::deadline(Rules::MOST_MILLIS))];
        tasks.first().unwrap().handle().feed(at(0)).unwrap();
        let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
        assert_eq!(supervisor.poll(at(5)).action, Action::Feed);
        let bites = matches!(supervisor.poll(at(5 + absence)).action, Action::Stage(..));
        let failure = supervisor.failure().unwrap();
        assert_eq!((bites, failure.fault, failure.since), (true, Fault::Starved, at(5)));
    }
}

#[test]
fn a_failure_is_dated_correctly_after_the_longest_allowed_time_without_a_poll() {
    let tasks = [task(Rules::deadline(Rules::MOST_MILLIS))];
    tasks.first().unwrap().handle().feed(at(0)).unwrap();
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    for now in [Rules::MOST_MILLIS / 2, Rules::MOST_MILLIS] {
        assert_eq!(supervisor.poll(at(now.into())).action, Action::Feed);
    }
    let failure = first_bite(&mut supervisor, [u64::from(Rules::MOST_MILLIS + MOST_BETWEEN_POLLS)]);
    assert_eq!(failure.since, at(0));
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(1_000));
    tasks.first().unwrap().handle().feed(at(1_090)).unwrap();
    assert_eq!(supervisor.poll(at(1_100)).action, Action::Feed);
    assert_eq!(supervisor.poll(at(3)), Poll { action: Action::Wait, next: at(1_200) });
    assert!(matches!(supervisor.poll(at(1_300)).action, Action::Stage(..)));
}

#[test]
fn a_task_is_watched_in_the_first_vacant_place() {
    let tasks = [task(Rules::deadline(900)), Task::vacant(), Task::vacant()];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    let unknown = |index| UnknownTask(TaskId::new(index));
    assert_eq!(supervisor.task(TaskId::new(1)).err(), Some(unknown(1)));
    assert_eq!(supervisor.task(TaskId::new(3)).err(), Some(unknown(3)));
    assert_eq!(
        supervisor.watch(Rules::deadline(0), at(10)).err(),
        Some(WatchError::Rules(RulesError::NoDeadline))
    );

    let (id, handle) = supervisor.watch(Rules::deadline(150), at(10)).unwrap();
    assert_eq!(id.index(), 1);
    let _granted = supervisor.watch(Rules::deadline(150).grants(1, 2), at(10)).unwrap();
    assert_eq!(supervisor.watch(Rules::deadline(1), at(10)).err(), Some(WatchError::NoVacancy));
    assert!(supervisor.task(id).is_ok());
    handle.retire(at(160)).unwrap();
    assert_eq!(supervisor.task(id).err(), Some(UnknownTask(id)));

    let (id, _) = supervisor.watch(Rules::deadline(500).paused(), at(160)).unwrap();
    assert_eq!((id.index(), supervisor.awaited()), (1, 2));
    let failure = first_bite(&mut supervisor, [310, 311]);
    assert_eq!((failure.task.index(), failure.since), (2, at(10)));
}

const HELP: &[(Stage, u32)] =
    &[(Stage::Warn, 0), (Stage::Restart, 50), (Stage::LastWords, 50), (Stage::Reset, 50)];

#[test]
fn stages_follow_each_other_and_nothing_is_fed() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, plan!(Plan::heartbeat(100).stages(HELP)), at(0));
    let mut seen = Vec::new();
    let mut now = at(0);
    while now < at(1_000) {
        let polled = supervisor.poll(now);
        if let Action::Stage(stage, _) = polled.action {
            seen.push((stage, now.as_millis()));
        }
        now = polled.next.max(now.plus_millis(1));
    }
    use Stage::{LastWords, Reset, Restart, Warn};
    assert_eq!(seen, [(Warn, 200), (Restart, 250), (LastWords, 300), (Reset, 350)]);
    let failure = supervisor.failure().unwrap();
    assert_eq!(
        supervisor.poll(at(2_000)),
        Poll { action: Action::Stopped(failure), next: Instant::FAR_FUTURE }
    );
}

#[test]
fn a_restarted_task_is_taken_back_if_a_rescue_is_left_and_before_the_last_words() {
    let tasks = [task(Rules::deadline(150).steps(2)), task(Rules::deadline(10_000))];
    let timing = plan!(Plan::heartbeat(100).stages(HELP).rescues(1));
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    let (id, other) = (TaskId::new(0), TaskId::new(1));
    assert_eq!(supervisor.restarted(id, at(0)).err(), Some(NotRescued::NotFailed));
    let _warn = supervisor.poll(at(200));
    assert_eq!(supervisor.restarted(id, at(210)).err(), Some(NotRescued::TooSoon));
    let _restart = supervisor.poll(at(250));
    assert_eq!(supervisor.restarted(other, at(260)).err(), Some(NotRescued::NotFailed));

    let handle = supervisor.restarted(id, at(260)).unwrap();
    assert_eq!((supervisor.failure(), supervisor.poll(at(261)).action), (None, Action::Feed));
    handle.step(0, at(410)).unwrap();

    for millis in [600, 650] {
        assert!(matches!(supervisor.poll(at(millis)).action, Action::Stage(..)));
    }
    assert_eq!(supervisor.restarted(id, at(660)).err(), Some(NotRescued::NoneLeft));
    let _last_words = supervisor.poll(at(700));
    assert_eq!(supervisor.restarted(id, at(710)).err(), Some(NotRescued::TooLate));
}

#[test]
fn a_failed_task_that_retired_by_a_late_clock_is_not_taken_back() {
    let tasks = [task(Rules::deadline(150))];
    let timing = plan!(Plan::heartbeat(100).stages(HELP).rescues(1));
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    tasks.first().unwrap().handle().feed(at(0)).unwrap();
    let (_warn, _restart) = (supervisor.poll(at(200)), supervisor.poll(at(250)));
    tasks.first().unwrap().handle().retire(at(150)).unwrap();
    let restarted = supervisor.restarted(TaskId::new(0), at(250)).err();
    assert_eq!(restarted, Some(NotRescued::Retired), "no task would be awaited");
    assert!(supervisor.failure().is_some());
}

#[test]
fn a_fault_during_hours_without_a_poll_is_dated_by_the_last_good_poll() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(0));
    assert_eq!(supervisor.poll(at(100)).action, Action::Feed);
    tasks.first().unwrap().handle().pause(at(100)).unwrap();
    tasks.first().unwrap().handle().abandon(End::Panicked, at(1 << 24));
    let failure = first_bite(&mut supervisor, [1 << 26]);
    assert_eq!((failure.fault, failure.since), (Fault::Panicked, at(100)));
}

#[test]
fn polls_work_up_to_the_latest_instant() {
    let tasks = [task(Rules::deadline(150))];
    let mut supervisor = Supervisor::new(&tasks, TIMING, at(u64::MAX - 100));
    let polled = supervisor.poll(at(u64::MAX - 10));
    assert_eq!(polled, Poll { action: Action::Feed, next: Instant::FAR_FUTURE });
    assert_eq!(supervisor.poll(polled.next).action, Action::Feed);
}
