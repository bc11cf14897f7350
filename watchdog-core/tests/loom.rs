//! All interleavings of feeders with the supervisor, as loom tries them: `cargo xtask test --only loom`, which is
//! `RUSTFLAGS="--cfg loom" cargo test -p watchdog-core --test loom`.
//!
//! Loom 0.7 leaves out interleavings where one side only loads and is the thread that spawned the other: a world may
//! then be tried once, and shows nothing. So both sides are threads of their own, started in either order, and each
//! world counts how often it was tried.

#![cfg(loom)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Tries a world with all interleavings of what it starts, whichever of the two sides it starts first.
fn in_all_orders(world: impl Fn(bool) + Copy + Send + Sync + 'static) {
    for polls_first in [false, true] {
        let tried = std::sync::Arc::new(AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&tried);
        loom::model(move || {
            count.fetch_add(1, Ordering::Relaxed);
            world(polls_first);
        });
        assert!(tried.load(Ordering::Relaxed) > 1, "nothing was interleaved");
    }
}

/// Polls while somebody reports.
fn supervise_during<const N: usize>(
    tasks: &Arc<[Task; N]>,
    polls: &'static [u64],
    polls_first: bool,
    reports: impl FnOnce(&[Task; N]) + Send + 'static,
) -> Vec<Action> {
    let (polled, reported) = (Arc::clone(tasks), Arc::clone(tasks));
    let polling = move || supervise(&polled, polls);
    let reporting = move || reports(&reported);
    let (polling, reporting) = if polls_first {
        let polling = thread::spawn(polling);
        (polling, thread::spawn(reporting))
    } else {
        let reporting = thread::spawn(reporting);
        (thread::spawn(polling), reporting)
    };
    reporting.join().unwrap();
    polling.join().unwrap()
}

fn fault(action: &Action) -> Option<(Fault, u64)> {
    match action {
        Action::Stage(_, failure) => Some((failure.fault, failure.since.as_millis() - START)),
        Action::Feed | Action::Wait | Action::Stopped(_) => None,
    }
}

#[test]
fn a_task_that_feeds_in_time_is_never_found_however_polls_come_between() {
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES]);
        tasks[0].handle().feed(at(START)).unwrap();
        let seen = supervise_during(&tasks, &[5, 10], polls_first, |tasks| {
            for feed in [5, 12] {
                tasks[0].handle().feed(at(START + feed)).unwrap();
            }
        });
        // Whatever of the feeds each of these saw, none was later than the deadline of the first.
        assert_eq!(seen, [Action::Feed; 2]);
        assert_eq!(supervise(&tasks, &[22]), [Action::Feed], "the last feed is not lost");
        assert!(fault(&supervise(&tasks, &[23])[0]) == Some((Fault::Starved, 12)));
    });
}

#[test]
fn two_cores_feed_one_task_and_the_last_of_either_counts() {
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES]);
        tasks[0].handle().feed(at(START)).unwrap();
        let other = Arc::clone(&tasks);
        let core = thread::spawn(move || other[0].handle().feed(at(START + 7)).unwrap());
        let seen = supervise_during(&tasks, &[10], polls_first, |tasks| {
            tasks[0].handle().feed(at(START + 9)).unwrap();
        });
        assert_eq!(seen, [Action::Feed]);
        core.join().unwrap();
        // They overwrite each other, but neither undoes both.
        assert_eq!(supervise(&tasks, &[17]), [Action::Feed]);
        assert!(fault(&supervise(&tasks, &[20])[0]).is_some());
    });
}

#[test]
fn a_fault_is_seen_whole_and_not_lost() {
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES.steps(3)]);
        tasks[0].handle().step(0, at(START)).unwrap();
        let seen = supervise_during(&tasks, &[6, 7], polls_first, |tasks| {
            let handle = tasks[0].handle();
            handle.step(1, at(START + 2)).unwrap();
            assert_eq!(handle.step(0, at(START + 4)), Err(Refused::OutOfOrder));
            assert_eq!(handle.step(2, at(START + 6)), Err(Refused::Failed));
        });
        for action in seen {
            // Kind, checkpoint and time are those of one report.
            if let Action::Stage(_, failure) = action {
                assert_eq!((failure.fault, failure.step), (Fault::OutOfOrder, Some(0)));
                assert_eq!(failure.since, at(START + 4));
            }
        }
        assert_eq!(fault(&supervise(&tasks, &[7])[0]), Some((Fault::OutOfOrder, 4)));
    });
}

#[test]
fn a_task_that_comes_back_late_is_found_on_every_path() {
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES]);
        let seen = supervise_during(&tasks, &[11, 12], polls_first, |tasks| {
            let handle = tasks[0].handle();
            handle.feed(at(START)).unwrap();
            assert_eq!(handle.feed(at(START + 11)), Err(Refused::Late));
        });
        assert_eq!(fault(&seen[0]), Some((Fault::Starved, 0)));
    });
}

#[test]
fn one_that_retires_or_pauses_in_time_is_not_found_and_one_that_panics_is() {
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES, RULES]);
        let seen = supervise_during(&tasks, &[10], polls_first, |tasks| {
            tasks[0].handle().retire(at(START + 10)).unwrap();
            tasks[1].handle().pause(at(START + 10)).unwrap();
        });
        assert_eq!(seen, [Action::Feed]);
        assert_eq!(supervise(&tasks, &[1_000]), [Action::Feed]);
    });
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES]);
        let seen = supervise_during(&tasks, &[3], polls_first, |tasks| {
            tasks[0].handle().abandon(End::Panicked, at(START + 3));
        });
        assert!(fault(&seen[0]).is_none_or(|fault| fault == (Fault::Panicked, 3)));
        assert_eq!(fault(&supervise(&tasks, &[4])[0]), Some((Fault::Panicked, 3)));
    });
}

#[test]
fn a_task_that_is_watched_while_another_polls_is_never_seen_by_halves() {
    in_all_orders(|polls_first| {
        let tasks = Arc::new([Task::vacant()]);
        let seen = supervise_during(&tasks, &[25], polls_first, |tasks| {
            let timing = Plan::heartbeat(1).check().unwrap();
            let mut supervisor = Supervisor::new(&tasks[..], timing, at(START));
            let (_, handle) = supervisor.watch(RULES.grants(1, 2), at(START + 5)).unwrap();
            handle.feed(at(START + 25)).unwrap();
        });
        // Before, during or after: it is in time.
        assert_eq!(seen, [Action::Feed]);
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
