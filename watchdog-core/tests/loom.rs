//! All interleavings of feeders with the supervisor, as loom tries them: `cargo xtask test --only loom`, which is
//! `RUSTFLAGS="--cfg loom" cargo test --release -p watchdog-core --test loom`.

#![cfg(loom)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use loom::sync::Arc;
use loom::thread;
use watchdog_core::{
    Action, Beat, Countdown, End, Fault, Instant, Plan, Refused, Rules, Supervisor, Task,
};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A task whose stamp is about to wrap.
const START: u64 = (1 << 25) - 5;
const RULES: Rules = Rules::deadline(10);

fn tasks<const N: usize>(rules: [Rules; N]) -> Arc<[Task; N]> {
    Arc::new(rules.map(|rules| Task::new(rules).unwrap()))
}

fn supervise<const N: usize>(tasks: &Arc<[Task; N]>, polls: &[u64]) -> Vec<Action> {
    let timing = Plan::heartbeat(1).check().unwrap();
    let mut supervisor = Supervisor::new(&tasks[..], timing, at(START));
    polls.iter().map(|poll| supervisor.poll(at(START + poll)).action).collect()
}

fn fault(action: &Action) -> Option<(Fault, u64)> {
    match action {
        Action::Stage(_, failure) => Some((failure.fault, failure.since.as_millis() - START)),
        Action::Feed | Action::Wait | Action::Stopped(_) => None,
    }
}

#[test]
fn a_task_that_feeds_in_time_is_never_found_however_polls_come_between() {
    loom::model(|| {
        let tasks = tasks([RULES]);
        tasks[0].handle().feed(at(START)).unwrap();
        let feeder = Arc::clone(&tasks);
        let feeding = thread::spawn(move || {
            for feed in [5, 15, 20] {
                feeder[0].handle().feed(at(START + feed)).unwrap();
            }
        });
        // Whatever of the feeds each of these sees, none is later than the deadline of the first.
        let seen = supervise(&tasks, &[5, 8, 10]);
        assert_eq!(seen, [Action::Feed; 3]);
        feeding.join().unwrap();
        assert_eq!(supervise(&tasks, &[30]), [Action::Feed], "the last feed is not lost");
        assert!(fault(&supervise(&tasks, &[31])[0]) == Some((Fault::Starved, 20)));
    });
}

#[test]
fn two_cores_feed_one_task_and_the_last_of_either_counts() {
    loom::model(|| {
        let tasks = tasks([RULES]);
        tasks[0].handle().feed(at(START)).unwrap();
        let threads = [7, 9].map(|feed| {
            let feeder = Arc::clone(&tasks);
            thread::spawn(move || feeder[0].handle().feed(at(START + feed)).unwrap())
        });
        assert_eq!(supervise(&tasks, &[9, 10]), [Action::Feed; 2]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // They overwrite each other, but neither undoes both.
        assert_eq!(supervise(&tasks, &[17]), [Action::Feed]);
        assert!(fault(&supervise(&tasks, &[20])[0]).is_some());
    });
}

#[test]
fn a_fault_is_seen_whole_and_not_lost() {
    loom::model(|| {
        let tasks = tasks([RULES.steps(3)]);
        tasks[0].handle().step(0, at(START)).unwrap();
        let feeder = Arc::clone(&tasks);
        let feeding = thread::spawn(move || {
            let handle = feeder[0].handle();
            handle.step(1, at(START + 2)).unwrap();
            assert_eq!(handle.step(0, at(START + 4)), Err(Refused::OutOfOrder));
            assert_eq!(handle.step(2, at(START + 6)), Err(Refused::Failed));
        });
        for action in supervise(&tasks, &[6, 7]) {
            // Kind, checkpoint and time are those of one report.
            if let Action::Stage(_, failure) = action {
                assert_eq!((failure.fault, failure.step), (Fault::OutOfOrder, Some(0)));
                assert_eq!(failure.since, at(START + 4));
            }
        }
        feeding.join().unwrap();
        assert_eq!(fault(&supervise(&tasks, &[7])[0]), Some((Fault::OutOfOrder, 4)));
    });
}

#[test]
fn a_task_that_comes_back_late_is_found_on_every_path() {
    loom::model(|| {
        let tasks = tasks([RULES]);
        tasks[0].handle().feed(at(START)).unwrap();
        let feeder = Arc::clone(&tasks);
        let feeding = thread::spawn(move || {
            assert_eq!(feeder[0].handle().feed(at(START + 11)), Err(Refused::Late));
        });
        let seen = supervise(&tasks, &[11, 12]);
        assert_eq!(fault(&seen[0]), Some((Fault::Starved, 0)));
        feeding.join().unwrap();
    });
}

#[test]
fn one_that_retires_or_pauses_in_time_is_not_found_and_one_that_panics_is() {
    loom::model(|| {
        let tasks = tasks([RULES, RULES]);
        let feeder = Arc::clone(&tasks);
        let going = thread::spawn(move || {
            feeder[0].handle().retire(at(START + 10)).unwrap();
            feeder[1].handle().pause(at(START + 10)).unwrap();
        });
        assert_eq!(supervise(&tasks, &[10]), [Action::Feed]);
        going.join().unwrap();
        assert_eq!(supervise(&tasks, &[1_000]), [Action::Feed]);
    });
    loom::model(|| {
        let tasks = tasks([RULES]);
        let feeder = Arc::clone(&tasks);
        let going = thread::spawn(move || feeder[0].handle().abandon(End::Panicked, at(START + 3)));
        let seen = supervise(&tasks, &[3]);
        assert!(fault(&seen[0]).is_none_or(|fault| fault == (Fault::Panicked, 3)));
        going.join().unwrap();
        assert_eq!(fault(&supervise(&tasks, &[4])[0]), Some((Fault::Panicked, 3)));
    });
}

#[test]
fn a_task_that_is_watched_while_another_polls_is_never_seen_by_halves() {
    loom::model(|| {
        let tasks = Arc::new([Task::vacant()]);
        let other = Arc::clone(&tasks);
        let timing = Plan::heartbeat(1).check().unwrap();
        let watching = thread::spawn(move || {
            let mut supervisor = Supervisor::new(&other[..], timing, at(START));
            let (_, handle) = supervisor.watch(RULES.grants(1, 2), at(START + 5)).unwrap();
            handle.feed(at(START + 25)).unwrap();
        });
        // Before, during or after: it is in time.
        assert_eq!(supervise(&tasks, &[25]), [Action::Feed]);
        watching.join().unwrap();
    });
}

#[test]
fn a_countdown_loses_no_feed_and_bites_where_there_was_none() {
    loom::model(|| {
        let countdown = Arc::new(Countdown::new(2));
        let feeder = Arc::clone(&countdown);
        let feeding = thread::spawn(move || feeder.feed());
        // The feed counts as one before this heartbeat, or as one just after it.
        let first = countdown.heartbeat();
        assert!(matches!(first, Beat::Left(1 | 2)));
        feeding.join().unwrap();
        let second = countdown.heartbeat();
        assert!(matches!((first, second), (Beat::Left(1), Beat::Bite) | (_, Beat::Left(1))));
        countdown.feed();
        let bitten = second == Beat::Bite;
        assert_eq!(countdown.heartbeat(), if bitten { Beat::Bitten } else { Beat::Left(1) });
    });
}
