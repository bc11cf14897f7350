//! The daemon in processes of their own, which may end: a second process of this test program plays each part.
#![cfg(all(unix, feature = "std"))]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::env;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use watchdog_core::hardware::{ErrorKind, ErrorType, Watchdog};
use watchdog_core::host::daemon::{Daemon, Event, NoHardware, Settings, StartError};
use watchdog_core::{Plan, Rules, Stage, Timing, plan};

/// The variable with the part that the process plays.
const PART: &str = "PROCESS_PART";
/// The time-out of each wait, longer than any step takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The bound of the last resort.
const BOUND: Duration = Duration::from_millis(400);

const STAGES: &[(Stage, u32)] = &[(Stage::Warn, 0), (Stage::Reset, 50)];
const TIMING: Timing<'static> = plan!(Plan::heartbeat(20).stages(STAGES));
const RULES: Rules = Rules::deadline(50);
const SIGABRT: i32 = 6;
/// The status of a part that has come to its end.
const END: i32 = 7;
/// The status of a part whose daemon blames a thread.
const BLAMED: i32 = 8;
/// The status of a test program with a test that fails.
const FAILED_TEST: i32 = 101;
/// The line of a part that works.
const WORKS: &str = "it works";
/// The time for which a process is stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// Plays a part. The other tests run this in a process of its own.
#[test]
#[ignore = "the other tests run it"]
fn part() {
    match env::var(PART).unwrap().as_str() {
        "worker holds stderr" => worker_holds_stderr(),
        "handler parks" => hang(Settings::new().last_resort(BOUND), |_| park()),
        "handler parks without last resort" => {
            hang(Settings::new().last_resort(BOUND).without_last_resort(), |_| park());
        }
        "handler panics" => hang(Settings::new().last_resort(BOUND), |_| panic!("on purpose")),
        "reset does not come" => hang(Settings::new().last_resort(BOUND), |_| {}),
        "hardware blocks" => hardware_blocks(),
        "long heartbeats" => long_heartbeats(),
        "stop" => {
            let settings = Settings::new().last_resort(BOUND);
            let daemon = Daemon::start_with(settings, NoHardware, 1, TIMING, |_| {}).unwrap();
            daemon.stop().unwrap();
            // Time for the last resort, if there were one.
            thread::sleep(BOUND * 3);
        }
        #[cfg(all(target_os = "linux", feature = "linux-realtime"))]
        "real time" => real_time::part(),
        "no thread" => no_thread(),
        // The stop is longer than the bound of the last resort.
        "stopped" => stopped(Settings::new().last_resort(STOPPED / 3)),
        "stopped without a bound" => stopped(Settings::new().late(Duration::MAX)),
        part => panic!("{part}"),
    }
    process::exit(END);
}

fn park() {
    loop {
        thread::park();
    }
}

/// A task hangs, and the handler does not end the process.
fn hang(
    settings: Settings,
    handler: impl FnMut(Event<'_, <NoHardware as ErrorType>::Error>) + Send + 'static,
) {
    let daemon = Daemon::start_with(settings, NoHardware, 1, TIMING, handler).unwrap();
    let _hangs = daemon.watch("hangs", RULES).unwrap();
    thread::sleep(BOUND * 4);
}

/// The example of the README: its handler prints to the standard error, and another thread never gives it back.
fn worker_holds_stderr() {
    let settings = Settings::new().last_resort(BOUND);
    let daemon = Daemon::start_with(settings, NoHardware, 8, TIMING, |event| {
        if let Event::Stage(bite) = event {
            eprintln!("{}: {}", bite.name(), bite.failure());
            process::exit(3);
        }
    })
    .unwrap();
    let (locked, is_locked) = mpsc::channel();
    thread::spawn(move || {
        let _never_given_back = io::stderr().lock();
        locked.send(()).unwrap();
        park();
    });
    is_locked.recv().unwrap();
    let _hangs = daemon.watch("hangs", RULES).unwrap();
    thread::sleep(BOUND * 4);
}

/// The system has no room for the stack of a thread.
fn no_thread() {
    let settings = Settings::new().last_resort(BOUND);
    let failed = Daemon::start_with(settings, Blocks(0), 1, TIMING, |_| {}).err().unwrap();
    assert!(matches!(failed.error, StartError::Thread(_)), "{failed}");
    assert_eq!(failed.into_parts().1.0, 0, "it is fed");
    // Time for the last resort, if there were one.
    thread::sleep(BOUND * 3);
}

/// Its third feed blocks for ever.
struct Blocks(u32);

impl ErrorType for Blocks {
    type Error = ErrorKind;
}

impl Watchdog for Blocks {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        self.0 += 1;
        if self.0 == 3 {
            park();
        }
        Ok(())
    }
}

fn hardware_blocks() {
    let settings = Settings::new().last_resort(BOUND);
    let _daemon = Daemon::start_with(settings, Blocks(0), 1, TIMING, |_| {}).unwrap();
    thread::sleep(BOUND * 4);
}

struct Feeds(mpsc::Sender<()>);

impl ErrorType for Feeds {
    type Error = ErrorKind;
}

impl Watchdog for Feeds {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        self.0.send(()).map_err(|_| ErrorKind::Connection)
    }
}

/// The heartbeat is three times as long as the bound.
fn long_heartbeats() {
    let (fed, feeds) = mpsc::channel();
    let settings = Settings::new().last_resort(BOUND / 4);
    let timing = plan!(Plan::heartbeat(300));
    let _daemon = Daemon::start_with(settings, Feeds(fed), 1, timing, |_| {}).unwrap();
    for _ in 0..4 {
        feeds.recv().unwrap();
    }
}

/// A healthy thread works while the process is stopped from outside. A stage ends the process with its blame.
fn stopped(settings: Settings) {
    const HEALTHY: Timing<'static> = plan!(Plan::heartbeat(100).stages(STAGES));
    let (late, was_late) = mpsc::channel();
    let daemon = Daemon::start_with(settings, NoHardware, 1, HEALTHY, move |event| match event {
        Event::Stage(bite) => {
            println!("blames {}: {}", bite.name(), bite.failure());
            process::exit(BLAMED);
        }
        Event::Late(by) => late.send(by).unwrap(),
        Event::Report(_) => panic!("no thread has this reaction"),
        Event::NotFed(never) => match never {},
    })
    .unwrap();
    let healthy = daemon.watch("healthy", Rules::deadline(1_000)).unwrap();
    // It may be stopped before its daemon has begun.
    println!("{WORKS}");
    let start = Instant::now();
    let by = loop {
        healthy.feed().unwrap();
        // Stands for work.
        thread::sleep(Duration::from_millis(20));
        match was_late.try_recv() {
            // A busy machine may be late, too.
            Ok(by) if by > STOPPED / 2 => break by,
            Ok(_) | Err(_) => assert!(start.elapsed() < PATIENCE, "it was not stopped"),
        }
    };
    for _ in 0..20 {
        healthy.feed().unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    healthy.retire().unwrap();
    daemon.stop().unwrap();
    assert!(by <= start.elapsed(), "{by:?}");
}

fn start(part: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "part", "--ignored", "--nocapture"]).env(PART, part);
    if part == "no thread" {
        // All addresses of a process. The test itself gets no thread either.
        command.arg("--test-threads=1").env("RUST_MIN_STACK", (1_u64 << 47).to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Stops a part for three seconds while it works.
fn end_after_stop(part: &str) -> ExitStatus {
    let mut child = start(part);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == WORKS), "it does not start");
    signal(child.id(), "STOP");
    thread::sleep(STOPPED);
    signal(child.id(), "CONT");
    // Reads what it prints, so that it never blocks.
    thread::spawn(move || lines.for_each(drop));
    end(child).0
}

/// The status at its end, and the time until then. A process that does not end is killed.
fn end(mut child: Child) -> (ExitStatus, Duration) {
    let (start, pid) = (Instant::now(), child.id());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait().unwrap()));
    let status = end.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        signal(pid, "KILL");
        panic!("it does not end");
    });
    (status, start.elapsed())
}

fn signal(pid: u32, signal: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(kill.unwrap().success());
}

#[track_caller]
fn is_aborted(part: &str) {
    let (status, after) = end(start(part));
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    assert!(after >= BOUND, "{after:?}");
}

#[track_caller]
fn comes_to_its_end(part: &str) {
    let (status, _) = end(start(part));
    assert_eq!(status.code(), Some(END), "{status}");
}

#[test]
fn a_process_whose_handler_waits_for_the_lock_of_stderr_is_aborted_after_the_bound() {
    is_aborted("worker holds stderr");
}

#[test]
fn a_process_whose_handler_parks_before_the_reset_is_aborted_after_the_bound() {
    is_aborted("handler parks");
}

#[test]
fn a_process_whose_handler_panics_is_aborted_after_the_bound() {
    is_aborted("handler panics");
}

#[test]
fn a_process_that_outlives_its_reset_is_aborted_after_the_bound() {
    is_aborted("reset does not come");
}

#[test]
fn a_process_whose_hardware_blocks_is_aborted_after_the_bound() {
    is_aborted("hardware blocks");
}

#[test]
fn without_the_last_resort_nothing_aborts_the_process() {
    comes_to_its_end("handler parks without last resort");
}

#[test]
fn heartbeats_longer_than_the_bound_are_waited_for() {
    comes_to_its_end("long heartbeats");
}

#[test]
fn after_the_stop_nothing_aborts_the_process() {
    comes_to_its_end("stop");
}

#[test]
fn a_daemon_without_a_thread_gives_its_hardware_back_and_does_not_abort_the_process() {
    comes_to_its_end("no thread");
}

#[test]
fn a_process_that_is_stopped_for_seconds_blames_no_thread_and_is_not_aborted() {
    assert_eq!(end_after_stop("stopped").code(), Some(END));
}

#[test]
fn without_a_bound_of_the_lateness_a_stop_counts_for_the_threads() {
    let status = end_after_stop("stopped without a bound");
    // The thread finds itself late, or the daemon finds it.
    assert!(matches!(status.code(), Some(BLAMED | FAILED_TEST)), "{status}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_last_resort_is_on_by_default() {
    let daemon = Daemon::start(NoHardware, 1, TIMING, |_| {}).unwrap();
    let names = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")))
    };
    // A thread names itself, some time after it was started.
    let start = Instant::now();
    while !names().any(|name| name.is_ok_and(|name| name == "watchdog-last\n")) {
        assert!(start.elapsed() < PATIENCE, "there is no such thread");
        thread::yield_now();
    }
    daemon.stop().unwrap();
}

/// Whether the user has the privilege is not known here: either the threads have the priority, or the error says what
/// is missing.
#[cfg(all(target_os = "linux", feature = "linux-realtime"))]
mod real_time {
    use std::fs;

    use super::*;

    const PRIORITY: u8 = 7;
    /// `SCHED_FIFO`.
    const FIFO: &str = "1";

    pub(super) fn part() {
        let settings = Settings::new().real_time(PRIORITY).lock_memory();
        match Daemon::start_with(settings, NoHardware, 1, TIMING, |_| {}).map_err(|no| no.error) {
            Ok(daemon) => {
                let fifo: Vec<_> = threads().into_iter().filter(|(_, is_fifo)| *is_fifo).collect();
                assert_eq!(fifo.len(), 2, "{:?}", threads());
                assert_ne!(locked(), 0);
                daemon.stop().unwrap();
            }
            Err(StartError::RealTime { priority: PRIORITY, error } | StartError::Memory(error)) => {
                let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::OutOfMemory];
                assert!(denied.contains(&error.kind()), "{error}");
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// The threads of this process: their fields from the third on, and whether they have the priority.
    fn threads() -> Vec<(String, bool)> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let stats =
            tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
        let is_fifo = |stat: &str| {
            let (_, fields) = stat.rsplit_once(") ").unwrap();
            // proc_pid_stat(5): fields 40 and 41 are the priority and the policy; the first one here is field 3.
            let mut fields = fields.split(' ').skip(37);
            fields.next() == Some(&PRIORITY.to_string()) && fields.next() == Some(FIFO)
        };
        stats.map(|stat| (stat.clone(), is_fifo(&stat))).collect()
    }

    /// The locked memory, in KiB.
    fn locked() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn the_daemon_has_the_real_time_priority_or_says_what_is_missing() {
        comes_to_its_end("real time");
    }

    #[test]
    fn a_priority_that_does_not_exist_is_an_error() {
        for priority in [0, 100] {
            let settings = Settings::new().real_time(priority);
            let started = Daemon::start_with(settings, NoHardware, 1, TIMING, |_| {});
            let Err(StartError::RealTime { priority: named, error }) =
                started.map_err(|failed| failed.error)
            else {
                panic!("it has started")
            };
            assert_eq!((named, error.kind()), (priority, io::ErrorKind::InvalidInput));
        }
    }
}
