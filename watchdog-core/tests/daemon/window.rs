//! A hardware with a window: it is never fed too early, and never a heartbeat too late, also if the time stands still.

use watchdog_core::{Plan, Stage, Timing, plan};

use crate::bench::{Bench, bench_by};
use crate::freeze::MOST;

const RESET: &[(Stage, u32)] = &[(Stage::Reset, 0)];
/// The hardware bites if it is fed sooner than 90 ms or later than 150 ms after the last feed.
const WINDOW: u64 = 90;
const BITES: u64 = 150;
const WINDOWED: Timing<'static> =
    plan!(Plan::heartbeat(100).late(10).chip(150, 200).window(90).stages(RESET));

/// The times of the feeds, and of those that failed. Both may count for the hardware.
fn feeds(bench: &Bench) -> Vec<u64> {
    let lines = bench.lines();
    let times = lines.iter().filter(|line| !line.contains("late by"));
    times.map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect()
}

fn gaps(feeds: &[u64]) -> impl Iterator<Item = u64> {
    feeds.iter().zip(feeds.iter().skip(1)).map(|(before, after)| after - before)
}

#[track_caller]
fn keeps_the_window(feeds: &[u64]) {
    let early = gaps(feeds).find(|gap| *gap < WINDOW);
    assert_eq!(early, None, "fed too early: {feeds:?}");
}

#[track_caller]
fn keeps_the_time_out(feeds: &[u64]) {
    let late = gaps(feeds).find(|gap| *gap >= BITES);
    assert_eq!(late, None, "the hardware bites: {feeds:?}");
}

#[test]
fn a_windowed_hardware_is_fed_at_the_same_grid_before_in_and_after_a_freeze() {
    for start in [110, 150, 190] {
        let bench = bench_by(WINDOWED, 0);
        bench.clock.reach(start);
        bench.daemon.freeze(MOST).unwrap();
        bench.clock.reach(1_500);
        assert_eq!(feeds(&bench), (1..=15).map(|beat| beat * 100).collect::<Vec<_>>(), "{start}");
    }
}

#[test]
fn in_a_freeze_a_late_daemon_does_not_feed_a_windowed_hardware_too_early() {
    // In the midst of the freeze, and just before its end.
    for late in [380, 1_120, 1_140] {
        let bench = bench_by(WINDOWED, 0);
        bench.clock.reach(150);
        bench.daemon.freeze(MOST).unwrap();
        bench.clock.reach(late / 100 * 100 - 10);
        bench.clock.jump(late);
        bench.clock.0.1.notify_all();
        bench.clock.reach(1_600);
        let feeds = feeds(&bench);
        assert!(feeds.contains(&late), "{feeds:?}");
        keeps_the_window(&feeds);
        assert_eq!(feeds.last(), Some(&1_600), "it returns to the grid: {feeds:?}");
    }
}

#[test]
fn a_feed_that_may_have_counted_is_not_repeated_too_early_in_a_freeze() {
    let bench = bench_by(WINDOWED, 0);
    bench.clock.reach(150);
    *bench.broken.lock().unwrap() = true;
    bench.clock.reach(200);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(450);
    *bench.broken.lock().unwrap() = false;
    bench.clock.reach(1_500);
    let feeds = feeds(&bench);
    keeps_the_window(&feeds);
    keeps_the_time_out(&feeds);
}

#[test]
fn a_freeze_that_is_ended_does_not_feed_a_windowed_hardware_too_early_or_too_late() {
    for (start, thaw) in [(110, 333), (150, 260), (199, 201)] {
        let bench = bench_by(WINDOWED, 0);
        bench.clock.reach(start);
        bench.daemon.freeze(MOST).unwrap();
        bench.clock.reach(thaw);
        assert!(bench.daemon.thaw());
        bench.clock.reach(1_500);
        let feeds = feeds(&bench);
        keeps_the_window(&feeds);
        keeps_the_time_out(&feeds);
    }
}
