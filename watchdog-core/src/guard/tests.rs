//! A guard over hardware that counts feeds and fails some of them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use crate::hardware::{ErrorKind, ErrorType};
use crate::{Fault, Plan, Rules, Stage, Task, Timing, plan};

use super::*;

/// Counts feeds, and fails the first `failures` of them.
struct Hardware {
    feeds: u32,
    failures: u32,
    stops: bool,
}

impl ErrorType for Hardware {
    type Error = ErrorKind;
}

impl Watchdog for Hardware {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        if let Some(left) = self.failures.checked_sub(1) {
            self.failures = left;
            return Err(ErrorKind::Connection);
        }
        self.feeds += 1;
        Ok(())
    }
}

impl Stop for Hardware {
    type Stopped = u32;

    fn stop(self) -> Result<u32, StopError<Self, ErrorKind>> {
        if self.stops {
            Ok(self.feeds)
        } else {
            Err(StopError { error: ErrorKind::InvalidState, watchdog: self })
        }
    }
}

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));

fn guard(tasks: &[Task], failures: u32, stops: bool) -> Guard<'_, Hardware> {
    Guard::new(Hardware { feeds: 0, failures, stops }, Supervisor::new(tasks, TIMING, at(0)))
}

#[test]
fn the_hardware_is_fed_once_a_heartbeat_and_never_after_a_failure() {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    tasks.first().unwrap().handle().feed(at(0)).unwrap();
    let mut guard = guard(&tasks, 0, false);
    for millis in 0..=1_000 {
        let _poll = guard.poll(at(millis)).unwrap();
    }
    assert_eq!(guard.hardware().feeds, 3);
    assert!(matches!(guard.poll(at(1_001)).unwrap().action, Action::Stage(Stage::Reset, _)));
    for millis in 1_002..9_000 {
        assert!(tasks.iter().all(|task| task.handle().feed(at(millis)).is_err()));
        assert!(matches!(guard.poll(at(millis)).unwrap().action, Action::Stopped(_)));
    }
    assert_eq!(guard.hardware().feeds, 3);
}

#[test]
fn a_feed_that_failed_is_tried_again_at_the_next_poll() {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let mut guard = guard(&tasks, 2, false);
    assert_eq!(guard.poll(at(0)), Err(ErrorKind::Connection));
    assert_eq!(guard.poll(at(1)), Err(ErrorKind::Connection));
    assert_eq!(guard.poll(at(2)).unwrap(), Poll { action: Action::Feed, next: at(500) });
}

#[test]
fn a_feed_that_may_have_counted_is_tried_again_after_the_window() {
    let timing = plan!(Plan::heartbeat(500).chip(1_000, 2_500).window(450));
    let hardware = Hardware { feeds: 0, failures: 1, stops: false };
    let mut guard = Guard::new(hardware, Supervisor::new(&[], timing, at(0)));
    assert_eq!(guard.poll(at(500)), Err(ErrorKind::Connection));
    for millis in 501..950 {
        assert_eq!(guard.poll(at(millis)).map(|polled| polled.action), Ok(Action::Wait));
    }
    assert_eq!(guard.poll(at(950)).map(|polled| polled.action), Ok(Action::Feed));
}

#[test]
fn after_a_failed_feed_a_failed_task_still_stops_the_feeding() {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let mut guard = guard(&tasks, 1, false);
    assert_eq!(guard.poll(at(1_000)), Err(ErrorKind::Connection));
    assert!(matches!(guard.poll(at(1_001)).unwrap().action, Action::Stage(..)));
    assert_eq!(guard.hardware().feeds, 0);
}

#[test]
fn after_a_failure_the_hardware_is_not_stopped_even_if_it_could_be() {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let mut guard = guard(&tasks, 0, true);
    let _bites = guard.poll(at(1_001)).unwrap();
    let failure = guard.supervisor().failure().unwrap();
    let mut failed = guard.stop(at(1_002)).unwrap_err();
    assert_eq!(failed.error, NotStopped::Failed(failure));
    assert_eq!(failed.watchdog.poll(at(1_002)).unwrap().action, Action::Stopped(failure));
}

#[test]
fn a_failure_that_no_poll_has_found_prevents_the_stop() {
    use crate::task::End;
    type Fails = fn(&Task);
    let failures: [(Fails, Fault); 4] = [
        (|task| task.handle().abandon(End::Panicked, at(510)), Fault::Panicked),
        (|task| task.handle().abandon(End::Returned, at(510)), Fault::Returned),
        (|task| assert!(task.handle().step(1, at(510)).is_err()), Fault::OutOfOrder),
        (|_| (), Fault::Starved),
    ];
    for (fails, fault) in failures {
        let tasks = [Task::new(Rules::deadline(1_000).steps(3), TIMING).unwrap()];
        let mut guard = guard(&tasks, 0, true);
        assert_eq!(guard.poll(at(0)).unwrap().action, Action::Feed);
        assert_eq!(guard.poll(at(500)).unwrap().action, Action::Feed);
        tasks.iter().for_each(fails);
        let stop = if fault == Fault::Starved { 1_001 } else { 520 };
        let failed = guard.stop(at(stop)).unwrap_err();
        let NotStopped::Failed(failure) = failed.error else { panic!("it would stop") };
        assert_eq!((failure.fault, failure.at), (fault, at(stop)));
        let mut guard = failed.watchdog;
        let polled = guard.poll(at(stop)).unwrap();
        assert_eq!(polled.action, Action::Stage(Stage::Reset, failure), "the bite goes on");
    }
}

#[test]
fn a_guard_takes_back_a_restarted_task_and_watches_another_one() {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap(), Task::vacant()];
    let stages = [(Stage::Restart, 0), (Stage::Reset, 100)];
    let timing = Plan::heartbeat(500).stages(&stages).rescues(1).check().unwrap();
    let hardware = Hardware { feeds: 0, failures: 0, stops: false };
    let mut guard = Guard::new(hardware, Supervisor::new(&tasks, timing, at(0)));
    let _restart = guard.poll(at(1_500)).unwrap();
    let (id, _other) = guard.watch(Rules::deadline(2_000), at(1_510)).unwrap();
    assert_eq!(guard.restarted(id, at(1_520)).err(), Some(NotRescued::NotFailed));
    guard.restarted(TaskId::new(0), at(1_520)).unwrap().feed(at(1_530)).unwrap();
    assert_eq!(guard.poll(at(1_540)).unwrap().action, Action::Feed);
}

#[test]
fn hardware_that_does_not_stop_stays_under_its_guard() {
    let mut failed = guard(&[], 0, false).stop(at(0)).unwrap_err();
    assert_eq!(failed.error, NotStopped::Hardware(ErrorKind::InvalidState));
    assert_eq!(failed.watchdog.poll(at(0)).unwrap().action, Action::Feed);
    assert_eq!(guard(&[], 0, true).stop(at(0)).map_err(|failed| failed.error), Ok(0));
}

const SLEEPS: Timing<'static> = plan!(Plan::heartbeat(500).window(450).sleep(5_000));

#[test]
fn before_a_sleep_the_hardware_is_fed_if_its_window_is_open_and_after_it_at_once() {
    for (asleep, feeds, awake) in [(500, 1, 950), (900, 1, 950), (960, 2, 1_410), (960, 2, 3_000)] {
        let hardware = Hardware { feeds: 0, failures: 0, stops: false };
        let mut guard = Guard::new(hardware, Supervisor::new(&[], SLEEPS, at(0)));
        assert_eq!(guard.poll(at(500)).map(|polled| polled.action), Ok(Action::Feed));
        assert_eq!(guard.suspend(at(asleep)), Ok(at(asleep + 5_000)));
        assert_eq!(guard.hardware().feeds, feeds);
        guard.resume(at(awake));
        assert_eq!(guard.poll(at(awake)).map(|polled| polled.action), Ok(Action::Feed));
    }
}

#[test]
fn a_device_whose_hardware_is_not_fed_stays_awake_and_tries_again_after_the_window() {
    let hardware = Hardware { feeds: 0, failures: 1, stops: false };
    let mut guard = Guard::new(hardware, Supervisor::new(&[], SLEEPS, at(0)));
    assert_eq!(guard.suspend(at(460)), Err(SuspendError::Hardware(ErrorKind::Connection)));
    assert_eq!(guard.poll(at(909)).map(|polled| polled.action), Ok(Action::Wait));
    assert_eq!(guard.poll(at(910)).map(|polled| polled.action), Ok(Action::Feed));
}

#[test]
fn a_device_with_a_failure_or_without_a_plan_for_sleep_stays_awake() {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let mut guard = guard(&tasks, 0, false);
    let refused = guard.suspend(at(100));
    assert_eq!(refused, Err(SuspendError::Supervisor(NotSuspended::NotPlanned)));
    let hardware = Hardware { feeds: 0, failures: 0, stops: false };
    let mut guard = Guard::new(hardware, Supervisor::new(&tasks, SLEEPS, at(0)));
    let Err(SuspendError::Supervisor(NotSuspended::Failed(failure))) = guard.suspend(at(1_001))
    else {
        panic!("it would sleep");
    };
    assert_eq!((failure.fault, guard.hardware().feeds), (Fault::Starved, 0));
}

#[test]
fn after_a_bite_on_request_the_hardware_is_never_fed() {
    let mut guard = guard(&[], 0, true);
    assert_eq!(guard.poll(at(0)).map(|polled| polled.action), Ok(Action::Feed));
    guard.bite(at(10));
    for millis in 10..5_000 {
        let _stages = guard.poll(at(millis)).unwrap();
    }
    assert_eq!(guard.hardware().feeds, 1);
    assert!(matches!(guard.stop(at(5_000)).unwrap_err().error, NotStopped::Failed(_)));
}

#[test]
fn a_second_attempt_to_sleep_does_not_forget_a_feed_that_failed() {
    let hardware = Hardware { feeds: 0, failures: 1, stops: false };
    let mut guard = Guard::new(hardware, Supervisor::new(&[], SLEEPS, at(0)));
    assert_eq!(guard.suspend(at(460)), Err(SuspendError::Hardware(ErrorKind::Connection)));
    let refused = guard.suspend(at(461));
    assert_eq!(refused, Err(SuspendError::Supervisor(NotSuspended::NotFed)));
    assert_eq!(guard.suspend(at(910)), Ok(at(5_910)));
    assert_eq!(guard.hardware().feeds, 1);
}

#[test]
fn a_stop_after_a_sleep_finds_no_failure_in_the_time_of_the_sleep() {
    let tasks = [Task::new(Rules::deadline(1_000), SLEEPS).unwrap()];
    let hardware = Hardware { feeds: 0, failures: 0, stops: true };
    let mut guard = Guard::new(hardware, Supervisor::new(&tasks, SLEEPS, at(0)));
    assert_eq!(guard.suspend(at(500)), Ok(at(5_500)));
    guard.resume(at(5_500));
    assert_eq!(guard.stop(at(5_500)).map_err(|failed| failed.error), Ok(1));
}
