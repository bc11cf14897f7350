//! Freezes: the time stands still, and the hardware is fed on.

use std::time::Duration;

use watchdog_core::hardware::ErrorKind;
use watchdog_core::host::daemon::{FreezeError, Watched};
use watchdog_core::{Fault, Reaction, Refused};

use crate::bench::{RULES, bench, work};
pub(crate) const MOST: Duration = Duration::from_secs(1);

#[test]
fn in_a_freeze_no_time_passes_for_threads_and_the_hardware_is_fed_at_the_same_grid() {
    let bench = bench(1);
    let worker = work(bench.daemon.watch("frozen", RULES).unwrap());
    bench.clock.reach(50);
    worker.does(Watched::feed).unwrap();
    bench.clock.reach(150);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(1_400);
    let beats = (0..=13).map(|beat| format!("{} fed", beat * 100));
    let found = "1400 Warn frozen: task 0 starved, nothing heard since 50 ms";
    assert_eq!(bench.lines(), beats.chain([found.into()]).collect::<Vec<_>>());
}

#[test]
fn a_thaw_ends_a_freeze_at_its_next_whole_heartbeat() {
    let bench = bench(1);
    let _hangs = work(bench.daemon.watch("frozen", RULES).unwrap());
    bench.clock.reach(150);
    assert!(!bench.daemon.thaw());
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(320);
    assert!(bench.daemon.thaw());
    bench.clock.reach(349);
    assert_eq!(bench.daemon.freeze(MOST), Err(FreezeError::Frozen));
    bench.clock.reach(500);
    let lines = bench.lines();
    assert_eq!(lines.last().unwrap(), "500 Warn frozen: task 0 starved, nothing heard since 0 ms");
}

#[test]
fn between_two_freezes_the_time_runs_as_long_as_it_stood() {
    let bench = bench(1);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(1_999);
    assert_eq!(bench.daemon.freeze(MOST), Err(FreezeError::TooSoon));
    bench.clock.reach(2_000);
    assert_eq!(bench.daemon.freeze(MOST), Ok(()));
}

#[test]
fn in_a_freeze_a_thread_that_ends_is_found_at_once_and_the_stages_follow() {
    let bench = bench(2);
    let gone = bench.daemon.watch("gone", RULES).unwrap();
    bench.clock.reach(150);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(430);
    drop(bench.lines());
    drop(gone);
    bench.clock.reach(450);
    let lines = bench.lines();
    assert!(lines.first().unwrap().starts_with("430 Warn gone"), "{lines:?}");
    assert!(lines.get(1).unwrap().starts_with("450 Restart gone"), "{lines:?}");
}

#[test]
fn a_daemon_that_has_found_a_failure_cannot_be_frozen() {
    let bench = bench(1);
    drop(bench.daemon.watch("gone", RULES).unwrap());
    let frozen = bench.daemon.freeze(MOST);
    assert!(
        matches!(frozen, Err(FreezeError::Failed(failure)) if failure.fault == Fault::Returned)
    );
    assert_eq!(bench.daemon.freeze(Duration::from_secs(14_401)), Err(FreezeError::TooLong));
}

#[test]
fn in_a_freeze_no_report_is_too_early_and_checkpoints_keep_their_order() {
    let bench = bench(1);
    let rules = RULES.not_before(80).steps(2);
    let worker = work(bench.daemon.watch("windowed", rules).unwrap());
    bench.clock.reach(100);
    worker.does(|watched| watched.step(0)).unwrap();
    bench.daemon.freeze(MOST).unwrap();
    for round in 2..11 {
        bench.clock.reach(round * 100);
        worker.does(|watched| watched.step(1)).unwrap();
        worker.does(|watched| watched.step(0)).unwrap();
    }
    // The freeze is over, and the time has run for 10 ms only.
    bench.clock.reach(1_110);
    worker.does(|watched| watched.step(1)).unwrap();
    assert_eq!(worker.does(|watched| watched.step(0)), Err(Refused::Early), "from here on");
}

#[test]
fn in_a_freeze_a_failed_feed_is_tried_again_and_the_grid_stays() {
    let bench = bench(0);
    bench.clock.reach(150);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(190);
    *bench.broken.lock().unwrap() = true;
    bench.clock.reach(220);
    *bench.broken.lock().unwrap() = false;
    bench.clock.reach(400);
    let why = ErrorKind::Connection.to_string();
    assert_eq!(
        bench.lines(),
        [
            "0 fed",
            "100 fed",
            &format!("200 {why}"),
            &format!("212 {why}"),
            "224 fed",
            "300 fed",
            "400 fed"
        ]
    );
}

#[test]
fn in_a_freeze_a_failure_that_is_only_reported_delays_no_feed_of_the_hardware() {
    let bench = bench(1);
    let rules = RULES.steps(2).on_failure(Reaction::Report);
    let worker = work(bench.daemon.watch("spare", rules).unwrap());
    bench.clock.reach(150);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(250);
    assert_eq!(worker.does(|watched| watched.step(1)), Err(Refused::OutOfOrder));
    bench.clock.reach(400);
    let found = "300 spare: task 0 reported a checkpoint out of order at 150 ms, checkpoint 1";
    assert_eq!(bench.lines(), ["0 fed", "100 fed", "200 fed", found, "300 fed", "400 fed"]);
}

#[test]
fn a_report_in_a_freeze_is_no_grant() {
    let bench = bench(1);
    let rules = RULES.not_before(80).grants(3, 4);
    let worker = work(bench.daemon.watch("windowed", rules).unwrap());
    bench.clock.reach(150);
    bench.daemon.freeze(MOST).unwrap();
    bench.clock.reach(250);
    worker.does(Watched::feed).unwrap();
    worker.does(Watched::pause).unwrap();
    worker.does(Watched::resume).unwrap();
    worker.does(Watched::feed).unwrap();
    // The freeze is over at 1,150, and the deadline is 250 ms later.
    bench.clock.reach(1_500);
    let lines = bench.lines();
    assert!(lines.last().unwrap().starts_with("1500 Warn windowed"), "{lines:?}");
}
