//! The daemon with real threads, in virtual time: the test moves the clock, and goes on when the daemon waits again.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bench;
mod freeze;
mod start;
mod window;

use std::panic;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use watchdog_core::hardware::ErrorKind;
use watchdog_core::host::daemon::{Daemon, Event, Settings, StopError, Watched};
use watchdog_core::{
    Fault, Instant, NotRescued, Plan, PlanError, Reaction, Refused, Rules, Stage, WatchError, plan,
};

use self::bench::{
    Bench, Dropped, Hardware, Order, PATIENCE, RULES, STAGES, TIMING, Virtual, bench, settings,
    work,
};

#[test]
fn while_all_threads_work_the_hardware_is_fed_at_each_heartbeat() {
    let bench = bench(2);
    let workers = ["a", "b"].map(|name| work(bench.daemon.watch(name, RULES).unwrap()));
    for beat in 1..=3 {
        bench.clock.reach(beat * 100);
        workers.iter().for_each(|worker| worker.does(Watched::feed).unwrap());
    }
    assert_eq!(bench.lines(), ["0 fed", "100 fed", "200 fed", "300 fed"]);
}

#[test]
fn a_thread_whose_rules_do_not_fit_the_plan_is_not_watched() {
    let bench = bench(1);
    let rules = Rules::deadline(250).works(200, 100);
    let refused = bench.daemon.watch("slow", rules).map(drop);
    assert_eq!(refused, Err(WatchError::Plan(PlanError::DeadlineTooShort)));
    assert!(bench.daemon.watch("quick", RULES).is_ok(), "its place is still vacant");
}

#[test]
fn a_thread_that_the_program_can_do_without_is_reported_and_gives_its_place_back_at_its_end() {
    let bench = bench(1);
    let rules = RULES.on_failure(Reaction::Report);
    let display = work(bench.daemon.watch("display", rules).unwrap());
    for beat in 1..=3 {
        bench.clock.reach(beat * 100);
    }
    let told = "300 display: task 0 starved, nothing heard since 0 ms";
    assert_eq!(bench.lines(), ["0 fed", "100 fed", "200 fed", told, "300 fed"]);
    assert_eq!(display.does(Watched::feed), Err(Refused::NotWatched));
    assert_eq!(bench.daemon.watch("next", RULES).err(), Some(WatchError::NoVacancy));
    drop(display.orders);
    display.thread.join().unwrap();
    assert!(bench.daemon.watch("next", RULES).is_ok());
}

#[test]
fn a_report_is_told_also_if_the_daemon_is_stopped_at_that_moment() {
    let bench = bench(1);
    let watched = bench.daemon.watch("display", RULES.on_failure(Reaction::Report)).unwrap();
    bench.clock.reach(50);
    drop(watched);
    bench.daemon.stop().unwrap();
    let lines: Vec<String> = bench.lines.try_iter().collect();
    assert_eq!(lines, ["0 fed", "50 display: task 0 returned at 50 ms"]);
}

#[test]
fn a_thread_that_blocks_starves_and_is_named_at_each_stage() {
    let bench = bench(2);
    let busy = work(bench.daemon.watch("busy", RULES).unwrap());
    // It waits for an order that never comes.
    let _blocked = work(bench.daemon.watch("blocked", RULES).unwrap());
    for beat in 1..=2 {
        bench.clock.reach(beat * 100);
        busy.does(Watched::feed).unwrap();
    }
    assert_eq!(bench.lines(), ["0 fed", "100 fed", "200 fed"]);
    bench.clock.reach(319);
    assert_eq!(bench.lines(), ["300 Warn blocked: task 1 starved, nothing heard since 0 ms"]);
    bench.clock.reach(320);
    let new = bench.restarts.try_recv().unwrap().unwrap();
    let lines = bench.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines.last().unwrap(), "320 fed", "taken back, and fed at once");
    busy.does(Watched::feed).unwrap();
    bench.clock.reach(400);
    busy.does(Watched::feed).unwrap();
    bench.clock.reach(900);
    assert_eq!(
        bench.lines(),
        [
            "400 fed",
            "500 fed",
            "600 Warn blocked: task 2 starved, nothing heard since 320 ms",
            "620 Restart blocked: task 2 starved, nothing heard since 320 ms",
            "640 LastWords blocked: task 2 starved, nothing heard since 320 ms",
            "660 Reset blocked: task 2 starved, nothing heard since 320 ms",
        ]
    );
    assert_eq!(bench.restarts.try_recv().unwrap().err(), Some(NotRescued::NoneLeft));
    assert_eq!(new.feed(), Err(Refused::Late), "there was no second restart");
}

#[test]
fn a_thread_that_panics_is_found_at_once() {
    let bench = bench(1);
    let worker = work(bench.daemon.watch("clumsy", RULES).unwrap());
    bench.clock.reach(130);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    worker.orders.send(|_| panic!("on purpose")).unwrap();
    assert!(worker.thread.join().is_err());
    panic::set_hook(hook);
    assert_eq!(bench.lines(), ["0 fed", "100 fed", "130 Warn clumsy: task 0 panicked at 130 ms"]);
}

#[test]
fn a_thread_that_returns_without_retiring_is_found_at_once() {
    let bench = bench(1);
    let worker = work(bench.daemon.watch("idle", RULES).unwrap());
    bench.clock.reach(130);
    drop(worker.orders);
    worker.thread.join().unwrap();
    assert_eq!(bench.lines(), ["0 fed", "100 fed", "130 Warn idle: task 0 returned at 130 ms"]);
}

#[test]
fn a_thread_that_retires_is_not_awaited_and_its_place_becomes_vacant() {
    let bench = bench(1);
    let watched = bench.daemon.watch("guest", RULES).unwrap();
    assert_eq!(bench.daemon.watch("more", RULES).err(), Some(WatchError::NoVacancy));
    thread::spawn(|| watched.retire()).join().unwrap().unwrap();
    bench.clock.reach(1_000);
    assert_eq!(bench.lines().len(), 11, "fed at each heartbeat");
    let next = bench.daemon.watch("next", RULES).unwrap();
    bench.clock.reach(1_250);
    assert_eq!(next.feed(), Ok(()));
}

#[test]
fn a_thread_that_spins_is_found_if_it_has_checkpoints_or_a_window() {
    let spins: [(Rules, Order, Refused, &str); 3] = [
        (RULES.steps(2), |watched| watched.step(0), Refused::OutOfOrder, "out of order"),
        (RULES.steps(2), Watched::feed, Refused::NeedsStep, "starved"),
        (RULES.not_before(50), Watched::feed, Refused::Early, "too early"),
    ];
    for (rules, spin, refused, named) in spins {
        let bench = bench(1);
        let worker = work(bench.daemon.watch("spinner", rules).unwrap());
        bench.clock.reach(60);
        let first = worker.does(spin);
        assert!(first.is_ok() || first == Err(refused));
        assert_eq!(worker.does(spin), Err(refused));
        bench.clock.reach(300);
        assert!(bench.lines().iter().any(|line| line.contains(named)), "{named}");
    }
}

#[test]
fn a_failed_thread_that_comes_back_does_not_feed_for_its_successor() {
    let bench = bench(1);
    let zombie = work(bench.daemon.watch("undead", RULES).unwrap());
    bench.clock.reach(320);
    let successor = bench.restarts.try_recv().unwrap().unwrap();
    assert_eq!(zombie.does(Watched::feed), Err(Refused::NotWatched));
    assert_eq!(successor.feed(), Ok(()));
    drop(zombie.orders);
    zombie.thread.join().unwrap();
    assert_eq!(successor.feed(), Ok(()), "the end of the old thread does not end its successor");
    assert_eq!(successor.retire(), Ok(()));
}

/// A thread that pauses in the middle of its last call, at 200 ms, and its successor, from 320 ms on.
fn replaced_during(
    call: impl FnOnce(Watched) + Send + 'static,
) -> (Bench, thread::JoinHandle<()>, Watched) {
    let bench = bench(1);
    let watched = bench.daemon.watch("old", RULES).unwrap();
    let (go, told) = mpsc::channel::<()>();
    let old = thread::spawn(move || {
        assert!(told.recv().is_err());
        call(watched);
    });
    bench.clock.reach(200);
    bench.clock.stall(Some(old.thread().id()));
    drop(go);
    bench.clock.stall_seen();
    bench.clock.reach(320);
    drop(bench.lines());
    let successor = bench.restarts.try_recv().unwrap().unwrap();
    bench.clock.stall(None);
    (bench, old, successor)
}

fn retires(old: Watched) {
    let _orphaned = old.retire();
}

#[test]
fn a_replaced_thread_that_retires_does_not_end_the_watching_of_its_successor() {
    let (bench, old, successor) = replaced_during(retires);
    old.join().unwrap();
    assert_eq!(successor.feed(), Ok(()));
    bench.clock.reach(600);
    let lines = bench.lines();
    let last = lines.last().unwrap();
    assert!(last.starts_with("600 Warn old: task 1 starved"), "{lines:?}");
}

#[test]
fn a_replaced_thread_that_reports_does_not_report_for_its_successor() {
    let (bench, old, _successor) = replaced_during(|old| {
        let _orphaned = old.feed();
    });
    old.join().unwrap();
    // The old report is of 200 ms: with it, the successor would be late at 451 ms.
    bench.clock.reach(500);
    assert_eq!(bench.lines(), ["400 fed", "500 fed"]);
}

#[test]
fn the_place_of_a_replaced_thread_is_vacant_only_when_it_is_gone() {
    let (bench, old, successor) = replaced_during(retires);
    old.join().unwrap();
    assert_eq!(bench.daemon.watch("more", RULES).err(), Some(WatchError::NoVacancy));
    successor.retire().unwrap();
    assert!(bench.daemon.watch("next", RULES).is_ok());
}

#[test]
fn a_thread_may_pause_and_take_a_grant() {
    let bench = bench(1);
    let worker = work(bench.daemon.watch("slow", RULES.grants(2, 4)).unwrap());
    bench.clock.reach(1_000);
    worker.does(Watched::feed).unwrap();
    worker.does(Watched::grant).unwrap();
    assert_eq!(worker.does(Watched::grant), Err(Refused::NoProgress));
    bench.clock.reach(2_000);
    worker.does(Watched::feed).unwrap();
    worker.does(Watched::pause).unwrap();
    bench.clock.reach(9_000);
    worker.does(Watched::resume).unwrap();
    bench.clock.reach(9_250);
    worker.does(Watched::feed).unwrap();
    assert!(bench.lines().iter().all(|line| line.ends_with("fed")));
}

#[test]
fn the_intervals_of_a_thread_are_measured_and_outlive_it() {
    let bench = bench(1);
    let watched = bench.daemon.watch("measured", RULES.not_before(10)).unwrap();
    let intervals = watched.intervals();
    let worker = work(watched);
    for now in [100, 140, 200, 420] {
        bench.clock.reach(now);
        worker.does(Watched::feed).unwrap();
    }
    // The time stands still.
    bench.daemon.freeze(Duration::from_millis(100)).unwrap();
    bench.clock.reach(450);
    worker.does(Watched::feed).unwrap();
    bench.clock.reach(530);
    worker.does(Watched::feed).unwrap();
    bench.clock.reach(600);
    drop(worker.orders);
    worker.thread.join().unwrap();
    assert_eq!((intervals.count(), intervals.shortest()), (3, Some(40)));
    assert_eq!(intervals.longest(), Some(220));
}

#[test]
fn after_a_stop_of_the_process_the_daemon_is_late_and_no_thread_is() {
    for thread_is_first in [true, false] {
        let bench = bench(1);
        let worker = work(bench.daemon.watch("healthy", RULES).unwrap());
        bench.clock.reach(130);
        worker.does(Watched::feed).unwrap();
        bench.clock.jump(3_130);
        if thread_is_first {
            worker.does(Watched::feed).unwrap();
        }
        bench.clock.0.1.notify_all();
        assert_eq!(bench.lines(), ["0 fed", "100 fed", "3130 late by 2930 ms", "3130 fed"]);
        worker.does(Watched::feed).unwrap();
        bench.clock.reach(3_230);
        assert_eq!(bench.lines(), ["3230 fed"]);
    }
}

#[test]
fn a_thread_that_hangs_is_found_also_after_a_stop_of_the_process() {
    let bench = bench(1);
    let _hangs = work(bench.daemon.watch("hung", RULES).unwrap());
    bench.clock.reach(130);
    bench.clock.jump(3_130);
    bench.clock.0.1.notify_all();
    bench.clock.reach(3_330);
    let lines = bench.lines();
    let found = lines.iter().find(|line| line.contains("Warn"));
    assert_eq!(found.unwrap(), "3130 Warn hung: task 0 starved, nothing heard since 0 ms");
}

#[test]
fn a_failed_feed_of_the_hardware_is_reported_and_tried_again() {
    let bench = bench(1);
    bench.clock.reach(100);
    *bench.broken.lock().unwrap() = true;
    bench.clock.reach(220);
    *bench.broken.lock().unwrap() = false;
    bench.clock.reach(300);
    let why = ErrorKind::Connection.to_string();
    assert_eq!(
        bench.lines(),
        ["0 fed", "100 fed", &format!("200 {why}"), &format!("212 {why}"), "224 fed", "300 fed"]
    );
}

#[test]
fn a_stopped_daemon_gives_the_hardware_back_and_does_not_feed_it_any_more() {
    let bench = bench(1);
    let watched = bench.daemon.watch("late", RULES).unwrap();
    let hardware = bench.daemon.stop().unwrap();
    assert_eq!(bench.lines.try_iter().collect::<Vec<_>>(), ["0 fed"]);
    assert!(!*hardware.broken.lock().unwrap());
    // The daemon is gone, so this is not noticed.
    drop(watched);
}

#[test]
fn after_the_stop_no_report_counts() {
    let bench = bench(1);
    let watched = bench.daemon.watch("late", RULES).unwrap();
    assert!(bench.daemon.stop().is_ok());
    for call in [Watched::feed, Watched::grant, Watched::pause, Watched::resume] {
        assert_eq!(call(&watched), Err(Refused::NoSupervisor));
    }
    assert_eq!(watched.retire(), Err(Refused::NoSupervisor));
}

#[test]
fn after_a_panic_of_the_handler_no_report_counts_nothing_is_watched_and_the_hardware_is_kept() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let (dropped, drops) = mpsc::channel();
    let handler = |_: Event<'_, _>| panic!("on purpose");
    let daemon = Daemon::start_with(
        Settings::new().without_last_resort(),
        Dropped(dropped),
        3,
        TIMING,
        handler,
    )
    .unwrap();
    let healthy = daemon.watch("healthy", Rules::deadline(60_000)).unwrap();
    drop(daemon.watch("gone", RULES).unwrap());
    let start = std::time::Instant::now();
    while healthy.feed() != Err(Refused::NoSupervisor) {
        assert!(start.elapsed() < PATIENCE, "its feeds still count");
        thread::yield_now();
    }
    assert_eq!(daemon.watch("more", RULES).err(), Some(WatchError::NoSupervisor));
    assert_eq!(daemon.stop().err(), Some(StopError::Panicked));
    panic::set_hook(hook);
    // A pin that is dropped floats, and some chips feed themselves then.
    assert!(drops.try_recv().is_err(), "the hardware is dropped");
}

#[test]
fn a_daemon_that_has_found_a_failure_cannot_be_stopped() {
    let bench = bench(1);
    drop(bench.daemon.watch("gone", RULES).unwrap());
    drop(bench.clock.settled());
    let Err(StopError::Failed(failure)) = bench.daemon.stop() else { panic!("the daemon stopped") };
    assert_eq!((failure.fault, failure.at), (Fault::Returned, Instant::from_millis(0)));
}

#[test]
fn a_daemon_is_not_stopped_if_a_thread_has_failed_while_its_handler_runs() {
    let (entered, in_handler) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    let clock = Virtual::default();
    let hardware = Hardware {
        clock: clock.clone(),
        lines: mpsc::channel().0,
        broken: Arc::new(Mutex::new(true)),
    };
    let handler = move |event: Event<'_, ErrorKind>| {
        if matches!(event, Event::NotFed(_)) {
            let _over = entered.send(());
            let _over = left.recv();
        }
    };
    let daemon = Daemon::start_with(settings(&clock), hardware, 1, TIMING, handler).unwrap();
    in_handler.recv_timeout(PATIENCE).unwrap();
    drop(daemon.watch("gone", RULES).unwrap());
    clock.wake_seen();
    clock.0.0.lock().unwrap().woken = false;
    let stop = thread::spawn(move || daemon.stop().err());
    clock.wake_seen();
    drop(leave);
    let Some(StopError::Failed(failure)) = stop.join().unwrap() else { panic!("it stopped") };
    assert_eq!(failure.fault, Fault::Returned);
}

#[test]
fn stopping_a_daemon_whose_handler_panicked_is_an_error() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let hardware = watchdog_core::host::daemon::NoHardware;
    let handler = |_: Event<'_, _>| panic!("on purpose");
    let daemon =
        Daemon::start_with(Settings::new().without_last_resort(), hardware, 1, TIMING, handler)
            .unwrap();
    drop(daemon.watch("gone", RULES).unwrap());
    // The daemon finds the failure before the handler panics. The timing of the threads decides which error comes
    // first.
    let stopped = daemon.stop();
    panic::set_hook(hook);
    assert!(matches!(stopped, Err(StopError::Panicked | StopError::Failed(_))), "{stopped:?}");
}

#[test]
fn with_the_system_clock_a_thread_that_hangs_is_found_after_its_deadline() {
    let (sender, lines) = mpsc::channel();
    let handler = move |event: Event<'_, _>| {
        if let Event::Stage(bite) = event {
            sender.send((bite.stage(), bite.failure())).unwrap();
        }
    };
    let hardware = watchdog_core::host::daemon::NoHardware;
    let timing = plan!(Plan::heartbeat(5).stages(STAGES));
    let daemon =
        Daemon::start_with(Settings::new().without_last_resort(), hardware, 1, timing, handler)
            .unwrap();
    let hung = daemon.watch("hung", Rules::deadline(10)).unwrap();
    let stages: Vec<_> = (0..4).map(|_| lines.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(
        stages.iter().map(|(stage, _)| *stage).collect::<Vec<_>>(),
        [Stage::Warn, Stage::Restart, Stage::LastWords, Stage::Reset]
    );
    let failure = stages.first().unwrap().1;
    assert_eq!(failure.fault, Fault::Starved);
    assert!(failure.at.millis_since(failure.since) > 10, "{failure:?}");
    drop(hung);
}
