//! The events that reach a logger, and the events that do not.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::cell::RefCell;

use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
use log::{LevelFilter, Log, Metadata, Record};
use watchdog_core::chips::TPS3823_33;
use watchdog_core::external::{ExternalWatchdog, Gate, Takeover, Toggle};
use watchdog_core::hardware::{ErrorKind, ErrorType, Stop, StopError, Watchdog};
use watchdog_core::{
    Guard, Instant, Plan, Refused, Rules, Stage, Supervisor, Task, TaskId, Timing, plan,
};

const TIMING: Timing<'static> = plan!(Plan::heartbeat(500));

thread_local! {
    /// The lines of this test; each test has its own thread.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(format!("{} {}", record.level(), record.args())));
    }

    fn flush(&self) {}
}

fn capture() {
    // Another test may have set the logger already.
    let _set = log::set_logger(&Capture);
    log::set_max_level(LevelFilter::Trace);
}

fn logged() -> Vec<String> {
    LINES.take()
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Its first feed fails if it is `broken`.
struct Hardware {
    broken: bool,
}

impl ErrorType for Hardware {
    type Error = ErrorKind;
}

impl Watchdog for Hardware {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        if std::mem::take(&mut self.broken) { Err(ErrorKind::Connection) } else { Ok(()) }
    }
}

impl Stop for Hardware {
    type Stopped = ();

    fn stop(self) -> Result<(), StopError<Self, ErrorKind>> {
        Ok(())
    }
}

#[test]
fn a_failure_its_stages_and_its_rescue_are_logged_and_feeds_are_not() {
    capture();
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let stages = [(Stage::Restart, 0), (Stage::LastWords, 100), (Stage::Reset, 100)];
    let timing = Plan::heartbeat(500).stages(&stages).rescues(1).check().unwrap();
    let mut guard = Guard::new(Hardware { broken: false }, Supervisor::new(&tasks, timing, at(0)));
    tasks.first().unwrap().handle().feed(at(0)).unwrap();
    for now in [0, 500, 1_000] {
        let _fed = guard.poll(at(now)).unwrap();
    }
    assert_eq!(logged(), ["INFO watchdog: started, with room for 1 tasks"]);
    let _restart = guard.poll(at(1_500)).unwrap();
    let _handle = guard.restarted(TaskId::new(0), at(1_510)).unwrap();
    assert_eq!(
        logged(),
        [
            "ERROR watchdog: task 0 starved, nothing heard since 0 ms",
            "WARN watchdog: stage: restart the task",
            "WARN watchdog: task 0 has been restarted",
        ]
    );
    for now in [3_000, 3_100, 3_200, 3_300] {
        let _stage = guard.poll(at(now)).unwrap();
    }
    assert_eq!(
        logged(),
        [
            "ERROR watchdog: task 0 starved, nothing heard since 1510 ms",
            "WARN watchdog: stage: restart the task",
            "WARN watchdog: stage: last words",
            "WARN watchdog: stage: reset",
        ]
    );
}

#[test]
fn a_failed_feed_and_the_stop_of_the_hardware_are_logged() {
    capture();
    let timing = Plan::heartbeat(500).check().unwrap();
    let mut guard = Guard::new(Hardware { broken: true }, Supervisor::new(&[], timing, at(0)));
    assert_eq!(guard.poll(at(10)), Err(ErrorKind::Connection));
    let _fed = guard.poll(at(20)).unwrap();
    guard.stop(at(30)).map_err(|failed| failed.error).unwrap();
    assert_eq!(
        logged(),
        [
            "INFO watchdog: started, with room for 0 tasks",
            "ERROR watchdog: the hardware is not fed: the watchdog cannot be reached",
            "WARN watchdog: stopped, no task is watched any more",
        ]
    );
}

#[test]
fn arming_and_disarming_a_chip_are_logged() {
    capture();
    let set = Transaction::set;
    let mut wdi = Mock::new(&[set(State::Low), set(State::High), set(State::Low)]);
    let mut gate = Mock::new(&[set(State::Low), set(State::High), set(State::Low)]);
    let input = Toggle::new(wdi.clone(), NoopDelay);
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        input,
        Gate::active_high(gate.clone()),
        Takeover::Reset(at(0)),
    )
    .unwrap();
    let _disarmed = dog.arm(at(0)).unwrap().disarm(at(0)).unwrap();
    assert_eq!(
        logged(),
        [
            "INFO watchdog: TPS3823-33 is armed",
            "WARN watchdog: TPS3823-33 is disarmed, its bite does not reach the board",
        ]
    );
    wdi.done();
    gate.done();
}

#[test]
fn grants_and_rejected_reports_are_logged_and_a_loop_that_spins_is_logged_once() {
    capture();
    let task = Task::new(Rules::deadline(100).not_before(10).grants(2, 3), TIMING).unwrap();
    let handle = task.handle();
    handle.feed(at(0)).unwrap();
    handle.grant(at(50)).unwrap();
    handle.feed(at(300)).unwrap();
    assert_eq!(handle.feed(at(401)), Err(Refused::Late));
    assert_eq!(handle.feed(at(305)), Err(Refused::Early));
    for _ in 0..10 {
        assert_eq!(handle.feed(at(306)), Err(Refused::Failed));
    }
    let steps = Task::new(Rules::deadline(100).steps(3), TIMING).unwrap();
    for _ in 0..10 {
        assert!(steps.handle().step(2, at(0)).is_err());
    }
    assert_eq!(
        logged(),
        [
            "INFO watchdog: a grant is taken, 0 are left",
            "DEBUG watchdog: a report is refused: the task is too late",
            "WARN watchdog: a report is refused: the task is too early",
            "WARN watchdog: a report is refused: the checkpoint is not the next one",
        ]
    );
}
