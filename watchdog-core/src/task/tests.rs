//! Each report of a task, call by call: it counts, or it is rejected with its reason.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::{Plan, plan};

const TIMING: Timing<'static> = plan!(Plan::heartbeat(100));

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A task that fed at 0.
fn fed(rules: Rules) -> Task {
    let task = Task::new(rules, TIMING).unwrap();
    let handle = task.handle();
    match rules.steps {
        0 => handle.feed(at(0)).unwrap(),
        _ => handle.step(0, at(0)).unwrap(),
    }
    task
}

#[test]
fn a_handle_can_be_shared_by_interrupts_and_cores() {
    fn shared<T: Send + Sync>(_: &T) {}
    let task = Task::vacant();
    shared(&task);
    shared(&task.handle());
}

#[test]
fn a_feed_at_the_deadline_is_in_time_and_a_later_one_is_not_stored() {
    let task = fed(Rules::deadline(100));
    let handle = task.handle();
    assert_eq!(handle.feed(at(100)), Ok(()));
    let report = task.read();
    assert_eq!(handle.feed(at(201)), Err(Refused::Late));
    assert_eq!(handle.feed(at(202)), Err(Refused::Late), "a late task stays late");
    assert_eq!(task.read(), report, "the last feed in time is still stored");
}

#[test]
fn a_late_task_cannot_escape_by_any_report() {
    let task = fed(Rules::deadline(100).grants(9, 2));
    let handle = task.handle();
    assert_eq!(handle.pause(at(101)), Err(Refused::Late));
    assert_eq!(handle.resume(at(101)), Err(Refused::Late));
    assert_eq!(handle.grant(at(101)), Err(Refused::Late));
    handle.abandon(End::Returned, at(101));
    assert_eq!(handle.retire(at(101)), Err(Refused::Late));
    assert_eq!(task.read(), Report::new(Kind::Fed, 0, at(0)));
}

#[test]
fn a_feed_before_the_window_is_a_fault_for_good() {
    let task = fed(Rules::deadline(100).not_before(40));
    let handle = task.handle();
    assert_eq!(handle.feed(at(40)), Ok(()));
    assert_eq!(handle.feed(at(79)), Err(Refused::Early));
    assert_eq!(handle.feed(at(120)), Err(Refused::Failed));
    assert_eq!(task.read(), Report::new(Kind::Early, 0, at(79)));
}

#[test]
fn the_first_feed_is_never_too_early() {
    let task = Task::new(Rules::deadline(100).not_before(40), TIMING).unwrap();
    assert_eq!(task.handle().feed(at(0)), Ok(()));
    assert_eq!(task.handle().feed(at(39)), Err(Refused::Early));
}

#[test]
fn checkpoints_come_in_order_and_start_again_at_0() {
    let task = fed(Rules::deadline(100).steps(3));
    let handle = task.handle();
    for (time, step) in [(10, 1), (20, 2), (30, 0), (40, 1), (50, 2), (60, 0)] {
        assert_eq!(handle.step(step, at(time)), Ok(()), "{step}");
    }
    assert_eq!(handle.step(0, at(70)), Err(Refused::OutOfOrder), "it spins");
    assert_eq!(handle.step(1, at(80)), Err(Refused::Failed));
    assert_eq!(task.read(), Report::new(Kind::OutOfOrder, 1, at(70)));
    assert_eq!(task.read().step(), Some(0));
}

#[test]
fn a_checkpoint_that_does_not_exist_is_out_of_order() {
    for (step, stored) in [(3, Some(3)), (14, Some(14)), (15, None), (255, None)] {
        let task = fed(Rules::deadline(100).steps(3));
        assert_eq!(task.handle().step(step, at(1)), Err(Refused::OutOfOrder));
        assert_eq!(task.read().step(), stored);
    }
}

#[test]
fn a_plain_feed_does_not_count_for_a_task_with_checkpoints() {
    let task = fed(Rules::deadline(100).steps(2));
    assert_eq!(task.handle().feed(at(50)), Err(Refused::NeedsStep));
    assert_eq!(task.handle().step(1, at(101)), Err(Refused::Late));
    let task = fed(Rules::deadline(100));
    assert_eq!(task.handle().step(0, at(50)), Err(Refused::NoSteps));
    assert_eq!(task.handle().feed(at(101)), Err(Refused::Late));
}

#[test]
fn progress_ends_a_grant_and_only_progress_allows_the_next_one() {
    let task = fed(Rules::deadline(100).grants(3, 5));
    let handle = task.handle();
    assert_eq!(handle.grant(at(100)), Ok(()));
    assert_eq!(handle.grant(at(400)), Err(Refused::NoProgress));
    assert_eq!(handle.feed(at(600)), Ok(()));
    assert_eq!(handle.grant(at(700)), Ok(()));
    assert_eq!(handle.feed(at(1_200)), Ok(()));
    assert_eq!(handle.grant(at(1_300)), Err(Refused::NoGrant), "the first grant was for the start");
    assert_eq!(handle.feed(at(1_301)), Err(Refused::Late));
}

#[test]
fn a_pause_does_not_lead_from_one_grant_to_the_next() {
    let task = fed(Rules::deadline(100).grants(3, 5));
    let handle = task.handle();
    handle.grant(at(0)).unwrap();
    assert_eq!(handle.pause(at(100)), Err(Refused::NoProgress));
    assert_eq!(handle.grant(at(100)), Err(Refused::NoProgress));
    handle.feed(at(200)).unwrap();
    assert_eq!(handle.pause(at(200)), Ok(()));

    let starting = Task::new(Rules::deadline(100).grants(3, 5), TIMING).unwrap();
    assert_eq!(starting.handle().pause(at(100)), Err(Refused::NoProgress), "also not at the start");
    let plain = Task::new(Rules::deadline(100), TIMING).unwrap();
    assert_eq!(plain.handle().pause(at(100)), Ok(()));
}

#[test]
fn the_end_of_a_grant_is_a_deadline() {
    let task = fed(Rules::deadline(100).grants(2, 5));
    task.handle().grant(at(0)).unwrap();
    assert_eq!(task.handle().feed(at(501)), Err(Refused::Late));
}

#[test]
fn the_start_of_a_task_with_grants_uses_the_first_grant() {
    let task = Task::new(Rules::deadline(100).grants(1, 5), TIMING).unwrap();
    task.start(at(0));
    assert_eq!(task.time_left(at(0)), Some(500));
    assert_eq!(task.handle().grant(at(0)), Err(Refused::NoProgress));
    assert_eq!(task.handle().feed(at(400)), Ok(()));
    assert_eq!(task.time_left(at(400)), Some(100));
    assert_eq!(task.handle().grant(at(450)), Err(Refused::NoGrant));
}

#[test]
fn a_first_report_of_any_kind_is_late_after_the_deadline_from_the_start_on() {
    type Reports = fn(&Task, Instant) -> Result<(), Refused>;
    let reports: [Reports; 4] = [
        |task, now| task.handle().feed(now),
        |task, now| task.handle().pause(now),
        |task, now| task.handle().retire(now),
        |task, now| {
            task.handle().abandon(End::Returned, now);
            if task.read().kind() == Kind::Ready { Err(Refused::Late) } else { Ok(()) }
        },
    ];
    for start in [0, 1_000, (1 << 25) - 50, (1 << 32) - 50] {
        for report in reports {
            for (rules, limit) in
                [(Rules::deadline(100), 100), (Rules::deadline(100).grants(1, 5), 500)]
            {
                let task = Task::new(rules, TIMING).unwrap();
                task.start(at(start));
                assert_eq!(report(&task, at(start + limit + 1)), Err(Refused::Late));
                assert_eq!((task.read(), task.is_vacant()), (Report::READY, false));
                let task = Task::new(rules, TIMING).unwrap();
                task.start(at(start));
                let in_time = report(&task, at(start + limit));
                assert!(matches!(in_time, Ok(()) | Err(Refused::NoProgress)), "{in_time:?}");
            }
        }
    }
}

#[test]
fn before_a_supervisor_starts_no_report_is_late() {
    let task = Task::new(Rules::deadline(100), TIMING).unwrap();
    assert_eq!(task.handle().feed(at(5_000)), Ok(()));
}

#[test]
fn a_paused_task_has_to_resume_before_it_feeds() {
    let task = fed(Rules::deadline(100));
    let handle = task.handle();
    assert_eq!(handle.resume(at(1)), Err(Refused::NotPaused));
    assert_eq!(handle.pause(at(50)), Ok(()));
    assert_eq!(handle.pause(at(51)), Err(Refused::Paused));
    assert_eq!(handle.feed(at(1_000_000)), Err(Refused::Paused));
    assert_eq!(handle.resume(at(1_000_000)), Ok(()));
    assert_eq!(handle.feed(at(1_000_101)), Err(Refused::Late));
}

#[test]
fn a_pause_keeps_the_checkpoint() {
    let task = fed(Rules::deadline(100).steps(3).not_before(10));
    let handle = task.handle();
    handle.pause(at(1)).unwrap();
    handle.resume(at(900)).unwrap();
    assert_eq!(handle.step(1, at(901)), Ok(()));
    assert_eq!(handle.step(2, at(902)), Ok(()));
    handle.pause(at(903)).unwrap();
    handle.resume(at(990)).unwrap();
    assert_eq!(handle.step(1, at(991)), Err(Refused::OutOfOrder), "the round is complete");
}

#[test]
fn within_a_round_no_checkpoint_is_too_early_and_the_next_round_may_be() {
    let task = fed(Rules::deadline(1_000).not_before(100).steps(4));
    let handle = task.handle();
    for step in 1..4 {
        assert_eq!(handle.step(step, at(step.into())), Ok(()));
    }
    for round in 1..4 {
        for step in 0..4 {
            assert_eq!(handle.step(step, at(round * 103 + u64::from(step))), Ok(()));
        }
    }
    assert_eq!(handle.step(0, at(3 * 103 + 102)), Err(Refused::Early));
}

#[test]
fn a_loop_that_spins_through_its_checkpoints_is_too_early_with_its_second_round() {
    let task = Task::new(Rules::deadline(1_000).not_before(100).steps(15), TIMING).unwrap();
    let handle = task.handle();
    for step in 0..15 {
        assert_eq!(handle.step(step, at(step.into())), Ok(()));
    }
    assert_eq!(handle.step(0, at(15)), Err(Refused::Early));
}

#[test]
fn after_a_start_a_pause_or_a_rescue_no_feed_is_too_early() {
    let rules = Rules::deadline(1_000).not_before(100);
    for rules in [rules, rules.grants(3, 2), rules.steps(2), rules.steps(15).grants(3, 2)] {
        let steps = rules.steps;
        let round = |task: &Task, now| match steps {
            0 => task.handle().feed(at(now)),
            _ => (0..steps).try_for_each(|step| task.handle().step(step, at(now))),
        };
        let task = Task::vacant();
        task.occupy(&rules, at(0));
        assert_eq!(round(&task, 1), Ok(()), "watched");
        task.handle().pause(at(2)).unwrap();
        task.handle().resume(at(5_000)).unwrap();
        assert_eq!(round(&task, 5_001), Ok(()), "resumed");
        task.revive(at(9_000));
        assert_eq!(round(&task, 9_001), Ok(()), "restarted");
        assert_eq!(round(&task, 9_100), Err(Refused::Early));
    }
}

#[test]
fn a_task_that_has_resumed_has_its_deadline_and_no_grant() {
    let task = fed(Rules::deadline(100).not_before(50).grants(3, 5));
    task.handle().pause(at(1)).unwrap();
    task.handle().resume(at(1_000)).unwrap();
    assert_eq!(task.time_left(at(1_000)), Some(100));
    assert_eq!(task.handle().feed(at(1_101)), Err(Refused::Late));
}

#[test]
fn a_task_may_begin_paused() {
    let task = Task::new(Rules::deadline(100).paused(), TIMING).unwrap();
    assert_eq!((task.read().kind(), task.is_awaited()), (Kind::Paused, false));
    assert_eq!(task.handle().feed(at(1)), Err(Refused::Paused));
    assert_eq!(task.handle().resume(at(5_000)), Ok(()));
}

#[test]
fn a_task_that_begins_paused_keeps_all_its_grants_for_later() {
    let task = Task::new(Rules::deadline(100).grants(1, 5).paused(), TIMING).unwrap();
    task.handle().resume(at(0)).unwrap();
    assert_eq!(task.handle().grant(at(100)), Ok(()));
    assert_eq!(task.handle().feed(at(600)), Ok(()));
    assert_eq!(task.handle().grant(at(600)), Err(Refused::NoGrant));
}

#[test]
fn a_retired_task_is_not_awaited_and_cannot_feed() {
    let task = fed(Rules::deadline(100));
    assert_eq!(task.handle().retire(at(100)), Ok(()));
    assert_eq!((task.is_awaited(), task.is_vacant()), (false, true));
    assert_eq!(task.handle().feed(at(100)), Err(Refused::NotWatched), "at the same instant");
    assert_eq!(task.handle().feed(at(101)), Err(Refused::NotWatched));
    assert_eq!(task.handle().retire(at(101)), Err(Refused::NotWatched));
    assert_eq!(Task::vacant().handle().step(0, at(0)), Err(Refused::NotWatched));
}

#[test]
fn an_unexpected_end_is_stored_at_once_and_stays() {
    for (end, kind) in [(End::Returned, Kind::Returned), (End::Panicked, Kind::Panicked)] {
        let task = fed(Rules::deadline(100).steps(2));
        task.handle().abandon(end, at(30));
        task.handle().abandon(End::Returned, at(40));
        assert_eq!(task.read(), Report::new(kind, 1, at(30)));
        assert_eq!(task.handle().step(1, at(50)), Err(Refused::Failed));
        assert_eq!(task.handle().retire(at(50)), Err(Refused::Failed));
    }
}

#[test]
fn feeds_go_on_through_the_wrap_of_the_stamp() {
    for start in [(1 << 25) - 150, (1 << 32) - 150, (1 << 40) - 150] {
        let task = Task::new(Rules::deadline(100).not_before(99), TIMING).unwrap();
        for beat in 0..4 {
            assert_eq!(task.handle().feed(at(start + beat * 100)), Ok(()));
        }
        assert_eq!(task.handle().feed(at(start + 401)), Err(Refused::Late));
    }
}

#[test]
fn a_clock_that_goes_back_does_not_make_a_task_starve() {
    let task = fed(Rules::deadline(100));
    task.handle().feed(at(90)).unwrap();
    assert_eq!(task.handle().feed(at(80)), Ok(()), "another core's clock, a little behind");
    assert_eq!(task.handle().feed(at(180)), Ok(()));
}

#[test]
fn a_task_that_fits_its_plan_never_breaks_its_rules_while_it_is_healthy() {
    let (late, period, run) = (20, 250, 80);
    let rules = Rules::deadline(351).works(period, run).not_before(149);
    let timing = Plan::heartbeat(250).late(late).check().unwrap();
    let rounds = [[0, 80 + 20], [80 + 20, 0], [0, 0], [100, 100]];
    for [first, second] in rounds {
        for steps in [0, 2, 4] {
            let task = Task::new(rules.steps(steps), timing).unwrap();
            for round in 0..9_u32 {
                // Each run ends as early or as late as it may; its checkpoints follow each other at once.
                let end = u64::from(round * period + if round % 2 == 0 { first } else { second });
                let now = at(end);
                let handle = task.handle();
                if steps == 0 {
                    assert_eq!(handle.feed(now), Ok(()), "{first} {second} {round}");
                }
                for step in 0..steps {
                    assert_eq!(handle.step(step, now), Ok(()), "{first} {second} {round}");
                }
            }
        }
    }
}

#[test]
fn the_time_left_is_that_until_the_deadline_and_none_after_it() {
    let task = fed(Rules::deadline(100).grants(2, 3));
    for (now, left) in [(0, Some(100)), (99, Some(1)), (100, Some(0)), (101, None)] {
        assert_eq!(task.time_left(at(now)), left, "{now}");
    }
    task.handle().grant(at(50)).unwrap();
    assert_eq!(task.time_left(at(60)), Some(290));
    task.handle().feed(at(60)).unwrap();
    task.handle().pause(at(70)).unwrap();
    assert_eq!(task.time_left(at(70)), None);
    assert_eq!(Task::vacant().time_left(at(0)), None);
}

#[test]
fn a_task_whose_failure_was_reported_stays_failed_until_it_is_restarted() {
    for rules in [Rules::deadline(100), Rules::deadline(100).steps(3)] {
        let task = fed(rules);
        task.set_reported();
        for now in [50, 101, 1 << 25] {
            assert_eq!(task.handle().feed(at(now)), Err(Refused::Failed), "{rules:?}");
            assert_eq!(task.handle().step(0, at(now)), Err(Refused::Failed), "{rules:?}");
        }
        assert!(!task.is_awaited() && task.fault(at(500), 0, None).is_none());
        task.revive(at(1_000));
        assert_eq!(task.step_count() != 0, rules.step_count() != 0);
        let fed = if task.step_count() != 0 {
            task.handle().step(0, at(1_050))
        } else {
            task.handle().feed(at(1_050))
        };
        assert_eq!(fed, Ok(()));
    }
}

#[test]
fn a_place_has_the_name_of_the_task_in_it() {
    let task = Task::new(Rules::deadline(100).named("twelve bytes"), TIMING).unwrap();
    assert_eq!(task.name().as_str(), "twelve bytes");
    task.handle().retire(at(0)).unwrap();
    task.occupy(&Rules::deadline(100).named("pump"), at(5));
    assert_eq!(task.name().as_str(), "pump");
}

#[test]
fn of_a_sleep_only_the_time_after_the_last_report_is_left_out() {
    let task = fed(Rules::deadline(100));
    task.handle().feed(at(50)).unwrap();
    task.slept(900, at(990));
    assert_eq!(task.time_left(at(990)), Some(60));
    task.handle().feed(at(1_000)).unwrap();
    task.slept(900, at(1_010));
    assert_eq!(task.time_left(at(1_010)), Some(100), "not after now");
}
