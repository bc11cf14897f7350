//! Slack: a feed that is due soon comes while the device is awake.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{Plan, plan};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const SLACK: Timing<'static> = plan!(Plan::heartbeat(100).slack(30));

#[test]
fn a_feed_within_the_slack_comes_early_and_moves_no_heartbeat() {
    let mut supervisor = Supervisor::new(&[], SLACK, at(0));
    assert_eq!(supervisor.poll(at(0)).action, Action::Feed);
    for beat in [100, 200, 300] {
        let wait = Poll { action: Action::Wait, next: at(beat) };
        assert_eq!(supervisor.poll(at(beat - 31)), wait);
        assert_eq!(supervisor.poll(at(beat - 30)).action, Action::Feed);
        // Once for each heartbeat.
        for millis in [beat - 30, beat - 1, beat, beat + 69] {
            let wait = Poll { action: Action::Wait, next: at(beat + 100) };
            assert_eq!(supervisor.poll(at(millis)), wait);
        }
    }
    assert_eq!(supervisor.worst_lateness_millis(), 0);
}

#[test]
fn no_feed_comes_before_the_window_is_open_however_long_the_slack_is() {
    let timing = Plan::heartbeat(100).window(90).slack(80).check().unwrap();
    let mut supervisor = Supervisor::new(&[], timing, at(0));
    assert_eq!(supervisor.poll(at(89)), Poll { action: Action::Wait, next: at(100) });
    assert_eq!(supervisor.poll(at(90)), Poll { action: Action::Feed, next: at(200) });
    assert_eq!(supervisor.poll(at(179)).action, Action::Wait);
    assert_eq!(supervisor.poll(at(180)), Poll { action: Action::Feed, next: at(300) });
    // A late one closes the window for the next heartbeat.
    assert_eq!(supervisor.poll(at(310)).action, Action::Feed);
    assert_eq!(supervisor.poll(at(399)).action, Action::Wait);
    assert_eq!(supervisor.poll(at(400)), Poll { action: Action::Feed, next: at(500) });
}

#[test]
fn a_task_has_its_whole_deadline_with_any_slack() {
    let tasks = [Task::new(Rules::deadline(65), SLACK).unwrap()];
    let mut supervisor = Supervisor::new(&tasks, SLACK, at(0));
    assert_eq!(supervisor.poll(at(0)).action, Action::Feed);
    tasks[0].handle().feed(at(10)).unwrap();
    assert_eq!(supervisor.poll(at(75)).action, Action::Feed, "it is in time to the millisecond");
    assert!(matches!(supervisor.poll(at(76)).action, Action::Stage(..)));
}

#[test]
fn no_stage_is_early() {
    let stages = [(Stage::LastWords, 20), (Stage::Reset, 20)];
    let timing = Plan::heartbeat(100).slack(30).stages(&stages).check().unwrap();
    let tasks = [Task::new(Rules::deadline(50), timing).unwrap()];
    let mut supervisor = Supervisor::new(&tasks, timing, at(0));
    assert_eq!(supervisor.poll(at(51)), Poll { action: Action::Wait, next: at(71) });
    assert_eq!(supervisor.poll(at(70)).action, Action::Wait);
    assert!(matches!(supervisor.poll(at(71)).action, Action::Stage(Stage::LastWords, _)));
    assert_eq!(supervisor.poll(at(90)).action, Action::Wait);
}

#[test]
fn a_sleep_after_an_early_feed_keeps_the_heartbeats() {
    let timing = Plan::heartbeat(100).slack(30).sleep(50).check().unwrap();
    let mut supervisor = Supervisor::new(&[], timing, at(0));
    assert_eq!(supervisor.poll(at(0)).action, Action::Feed);
    assert_eq!(supervisor.poll(at(80)).action, Action::Feed);
    assert_eq!(supervisor.suspend(at(85)).unwrap().action, Action::Feed);
    // The device does not say that it is awake.
    assert_eq!(supervisor.poll(at(120)), Poll { action: Action::Wait, next: at(200) });
}

/// Wake-ups that only a feed needs, and the times of all feeds, of a device that wakes up at `wakes` for its work.
fn feeds(timing: Timing<'_>, wakes: &[u64], late: &[u64]) -> (usize, Vec<u64>) {
    let mut supervisor = Supervisor::new(&[], timing, at(0));
    let (mut own, mut fed) = (0, Vec::new());
    let mut next = 0;
    let mut late = late.iter().cycle();
    for wake in wakes {
        loop {
            let (now, is_own) = if next < *wake { (next, true) } else { (*wake, false) };
            let polled = supervisor.poll(at(now));
            if polled.action == Action::Feed {
                fed.push(now);
            }
            own += usize::from(is_own);
            next = polled.next.as_millis() + late.next().unwrap();
            if !is_own {
                break;
            }
        }
    }
    (own, fed)
}

proptest! {
    /// More slack never costs a wake-up. Two feeds are at most a heartbeat, the slack and the lateness apart, and never
    /// closer than the window.
    #[test]
    fn more_slack_never_costs_a_wake_up(
        gaps in prop::collection::vec(1..200u64, 1..100),
        heartbeat in 20..150u32,
        (slack, more) in (0..150u32, 0..150u32),
        window in 0..150u32,
        late in prop::collection::vec(0..8u64, 1..9),
    ) {
        let mut wakes = gaps;
        for index in 1..wakes.len() {
            wakes[index] += wakes[index - 1];
        }
        let window = window % (heartbeat - 8);
        let (slack, more) = (slack % heartbeat, more % heartbeat);
        let plan = Plan::heartbeat(heartbeat).late(8).window(window);
        let with = |slack: u32| plan.slack(slack).check().unwrap();
        let (own, fed) = feeds(with(slack), &wakes, &late);
        for pair in fed.windows(2) {
            let apart = pair[1] - pair[0];
            prop_assert!(apart <= u64::from(heartbeat + slack + 8), "{fed:?}");
            prop_assert!(apart >= u64::from(window), "{fed:?}");
        }
        if window == 0 && late.iter().all(|late| *late == 0) {
            let (least, most) = (slack.min(more), slack.max(more));
            let (least, _) = feeds(with(least), &wakes, &late);
            let (most, _) = feeds(with(most), &wakes, &late);
            prop_assert!(most <= least && own <= least);
        }
    }
}
