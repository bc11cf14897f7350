//! The interleavings of feeders with the supervisor that loom tries: `cargo xtask test --only loom`, which runs
//! `RUSTFLAGS="--cfg loom" cargo test -p watchdog-core --features std --test loom`.
//!
//! If one side only loads, and has spawned the other side, loom 0.7 leaves out interleavings: it may run a scenario
//! once, which shows nothing. So both sides are spawned threads, started in either order, and each scenario counts its
//! runs.

#![cfg(loom)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use watchdog_core::host::clock::Clock;
use watchdog_core::host::daemon::places::Places;
use watchdog_core::host::daemon::time::Time;
use watchdog_core::{
    Action, Beat, Countdown, End, Fault, Instant, Intervals, Plan, Refused, Rules, Stage,
    Supervisor, Task, TaskHandle, Timing, WatchError,
};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// The start time: the stamp wraps soon after it.
const START: u64 = (1 << 25) - 5;
const RULES: Rules = Rules::deadline(10);
const RESTARTS: &[(Stage, u32)] = &[(Stage::Restart, 0), (Stage::Reset, 100)];

fn timing() -> Timing<'static> {
    Plan::heartbeat(1).check().unwrap()
}

fn tasks<const N: usize>(rules: [Rules; N]) -> Arc<[Task; N]> {
    Arc::new(rules.map(|rules| Task::new(rules, timing()).unwrap()))
}

fn supervise<const N: usize>(tasks: &Arc<[Task; N]>, polls: &[u64]) -> Vec<Action> {
    let mut supervisor = Supervisor::new(&tasks[..], timing(), at(START));
    polls.iter().map(|poll| supervisor.poll(at(START + poll)).action).collect()
}

/// Runs a scenario in the interleavings of its threads, for both orders of starting the two sides.
fn in_all_orders(scenario: impl Fn(bool) + Copy + Send + Sync + 'static) {
    for polls_first in [false, true] {
        let runs = std::sync::Arc::new(AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&runs);
        loom::model(move || {
            count.fetch_add(1, Ordering::Relaxed);
            scenario(polls_first);
        });
        assert!(runs.load(Ordering::Relaxed) > 1, "nothing was interleaved");
    }
}

/// Polls in one thread while another thread reports.
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
        Action::Feed | Action::Report(_) | Action::Wait | Action::Stopped(_) => None,
    }
}

#[test]
fn a_task_that_feeds_in_time_is_never_found_however_the_polls_interleave() {
    in_all_orders(|polls_first| {
        let tasks = tasks([RULES]);
        tasks[0].handle().feed(at(START)).unwrap();
        let seen = supervise_during(&tasks, &[5, 10], polls_first, |tasks| {
            for feed in [5, 12] {
                tasks[0].handle().feed(at(START + feed)).unwrap();
            }
        });
        // Whichever feeds these polls saw, no poll came after the deadline of the first feed.
        assert_eq!(seen, [Action::Feed; 2]);
        assert_eq!(supervise(&tasks, &[22]), [Action::Feed], "the last feed is not lost");
        assert!(fault(&supervise(&tasks, &[23])[0]) == Some((Fault::Starved, 12)));
    });
}

#[test]
fn if_two_cores_feed_one_task_the_last_feed_of_one_of_them_counts() {
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
        // One feed overwrites the other, but one of the two always stays.
        assert_eq!(supervise(&tasks, &[17]), [Action::Feed]);
        assert!(fault(&supervise(&tasks, &[20])[0]).is_some());
    });
}

#[test]
fn a_fault_is_never_torn_and_never_lost() {
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
            // Kind, checkpoint and time are from the same report.
            if let Action::Stage(_, failure) = action {
                assert_eq!((failure.fault, failure.step), (Fault::OutOfOrder, Some(0)));
                assert_eq!(failure.since, at(START + 4));
            }
        }
        assert_eq!(fault(&supervise(&tasks, &[7])[0]), Some((Fault::OutOfOrder, 4)));
    });
}

#[test]
fn a_task_that_comes_back_late_is_found_in_every_interleaving() {
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
fn a_task_that_retires_or_pauses_in_time_is_not_found_and_a_task_that_panics_is() {
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
fn a_task_that_is_watched_during_a_poll_is_never_seen_in_part() {
    in_all_orders(|polls_first| {
        let tasks = Arc::new([Task::vacant()]);
        let seen = supervise_during(&tasks, &[25], polls_first, |tasks| {
            let timing = Plan::heartbeat(1).check().unwrap();
            let mut supervisor = Supervisor::new(&tasks[..], timing, at(START));
            let (_, handle) = supervisor.watch(RULES.grants(1, 2), at(START + 5)).unwrap();
            handle.feed(at(START + 25)).unwrap();
        });
        // The poll comes before, during or after the call of `watch`; the task is in time.
        assert_eq!(seen, [Action::Feed]);
    });
}

/// A thread hangs and is replaced at 11, while the old thread makes a last report with a time before its deadline. Then
/// the successor never reports.
fn replaced_during(report: fn(TaskHandle<'_>)) {
    in_all_orders(move |replaced_first| {
        let places = Arc::new(Places::new(1, 1));
        let old = places.watch(&RULES, at(START)).unwrap();
        let timing = Plan::heartbeat(1).stages(RESTARTS).rescues(1).check().unwrap();
        let (reports_to, replaces) = (Arc::clone(&places), Arc::clone(&places));
        let reporting = move || {
            report(reports_to.tasks()[0].handle());
            reports_to.release(old);
        };
        let replacing = move || {
            let mut supervisor = Supervisor::new(replaces.tasks(), timing, at(START));
            // If the report comes before this poll, there is nothing to replace.
            let Action::Stage(Stage::Restart, failure) = supervisor.poll(at(START + 11)).action
            else {
                return None;
            };
            let successor = replaces.successor_place().unwrap();
            let _handle = supervisor.restarted(failure.task, at(START + 11)).ok()?;
            replaces.replace(failure.task, successor, &RULES, at(START + 11));
            let more = replaces.watch(&RULES, at(START + 11));
            assert_eq!(more.err(), Some(WatchError::NoVacancy));
            Some((supervisor.poll(at(START + 21)).action, supervisor.poll(at(START + 22)).action))
        };
        let (reporting, replacing) = if replaced_first {
            let replacing = thread::spawn(replacing);
            (thread::spawn(reporting), replacing)
        } else {
            let reporting = thread::spawn(reporting);
            (reporting, thread::spawn(replacing))
        };
        reporting.join().unwrap();
        if let Some((in_time, late)) = replacing.join().unwrap() {
            assert_eq!(in_time, Action::Feed, "the successor is watched from its own start on");
            assert_eq!(fault(&late), Some((Fault::Starved, 11)), "and it is still watched");
        }
    });
}

#[test]
fn nothing_that_a_replaced_thread_reports_counts_for_its_successor() {
    replaced_during(|old| {
        let _orphaned = old.feed(at(START + 9));
    });
}

#[test]
fn a_replaced_thread_that_retires_does_not_unwatch_its_successor() {
    replaced_during(|old| {
        let _orphaned = old.retire(at(START + 9));
    });
}

#[test]
fn a_replaced_thread_that_ends_does_not_end_its_successor() {
    replaced_during(|old| old.abandon(End::Panicked, at(START + 9)));
}

/// A clock that is read for the first time at 0, and then after a stop of the process until 3,000 ms.
struct Stops(AtomicBool);

impl Clock for Stops {
    fn now(&self) -> Instant {
        if self.0.swap(true, Ordering::Relaxed) { at(3_000) } else { at(0) }
    }

    fn wait(&self, _until: Instant) {}

    fn wake(&self) {}
}

#[test]
fn the_time_of_a_stop_counts_for_no_thread_whichever_runs_first_after_it() {
    in_all_orders(|reads_first| {
        let clock = Box::new(Stops(AtomicBool::new(false)));
        let time = Arc::new(Time::new(clock, Duration::from_millis(100)));
        let (read, worked) = (Arc::clone(&time), Arc::clone(&time));
        let reading = move || assert_eq!([read.now(), read.now()], [at(100); 2]);
        let working = move || {
            assert_eq!(worked.work(), Some(Duration::from_millis(3_000)));
            assert_eq!(worked.work(), None);
        };
        let (first, second) = if reads_first {
            let first = thread::spawn(reading);
            (first, thread::spawn(working))
        } else {
            let first = thread::spawn(working);
            (first, thread::spawn(reading))
        };
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn a_reader_of_intervals_sees_none_or_a_true_one_also_during_a_reset() {
    in_all_orders(|polls_first| {
        let seen = Arc::new((Task::new(RULES, timing()).unwrap(), Intervals::new()));
        let (measured, read) = (Arc::clone(&seen), Arc::clone(&seen));
        let reporting = move || {
            let handle = measured.0.handle().measured(&measured.1);
            for feed in [0, 3, 5] {
                handle.feed(at(START + feed)).unwrap();
            }
        };
        let reading = move || {
            let shortest = read.1.shortest();
            assert!(matches!(shortest, None | Some(2 | 3)), "{shortest:?}");
            read.1.reset();
            let longest = read.1.longest();
            assert!(matches!(longest, None | Some(2 | 3)), "{longest:?}");
        };
        let threads = if polls_first {
            let reading = thread::spawn(reading);
            [reading, thread::spawn(reporting)]
        } else {
            let reporting = thread::spawn(reporting);
            [thread::spawn(reading), reporting]
        };
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(seen.1.count() <= 2);
        seen.0.handle().measured(&seen.1).feed(at(START + 9)).unwrap();
        assert_eq!(seen.1.longest(), Some(4), "after a reset, too");
    });
}

#[test]
fn a_countdown_loses_no_feed_and_bites_without_a_feed() {
    loom::model(|| {
        let countdown = Arc::new(Countdown::new(2));
        let feeder = Arc::clone(&countdown);
        let feeding = thread::spawn(move || feeder.feed());
        // The feed counts as a feed before this heartbeat, or just after it.
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
