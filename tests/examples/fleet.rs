//! `fleet`: no session is lost when the broker is killed, and the sessions do not come back all at once.
//!
//! Mosquitto saves before it is killed. What it acknowledges between that and its end it loses: that is a fault of its
//! own, so missing messages are shown but do not fail these tests.

use std::thread;
use std::time::Duration;

use system_tests::{Config, Example, Lines, Mosquitto, Running, SOON};

/// The longest time for a fleet to come back, and for its program to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// The highest share of the sessions that may connect again within 100 ms, in percent.
const MOST_AT_ONCE: u32 = 20;

fn start(clients: u32, arguments: &[&str]) -> (Mosquitto, Running, Lines) {
    let broker = Config::new().quiet().persistence().line("set_tcp_nodelay true").start();
    let fleet = Example::new("fleet").broker(broker.address()).args(arguments);
    let mut fleet = fleet.args(&["--clients", &clients.to_string(), "--end-sessions"]).start();
    let lines = fleet.lines();
    lines.wait(&format!("all {clients} sessions are up"), SOON);
    (broker, fleet, lines)
}

/// Checks the line that tells of an outage.
#[track_caller]
fn check_outage(line: &str, clients: u32) {
    assert!(line.contains(&format!("{clients} lost their link; ")), "{line}");
    let share = line.split_once(" (").and_then(|(_, share)| share.split_once(" % of them)"));
    let share: u32 = share.expect("a share").0.parse().expect("a number");
    assert!(share <= MOST_AT_ONCE, "{line}");
}

/// Waits for the end of the fleet. Returns its table.
#[track_caller]
fn table(fleet: Running, lines: &Lines, clients: u32) -> Vec<String> {
    let table = lines.to_the_end(0, PATIENCE);
    let done = fleet.done();
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""), "{lines}");
    for act in ["have disconnected", "are ended"] {
        lines.wait(&format!("{clients} of {clients} sessions {act}"), SOON);
    }
    table.into_iter().filter(|line| line.starts_with('|')).collect()
}

#[track_caller]
fn check_row(table: &[String], row: &str) {
    assert!(table.iter().any(|line| line == row), "{row} in\n{}", table.join("\n"));
}

#[test]
fn two_thousand_sessions_outlive_a_killed_broker_and_do_not_come_back_all_at_once() {
    let clients = 2_000;
    let (mut broker, fleet, lines) = start(clients, &["--ramp", "2000"]);
    broker.save();
    broker.kill();
    broker.start_again();
    check_outage(&lines.line("; all up after", PATIENCE), clients);
    fleet.interrupt();
    let table = table(fleet, &lines, clients);
    check_row(&table, "| connections | 2000 new, 0 found, 2000 resumed, 0 lost |");
}

/// Its figures are in `docs/many-devices.md`.
#[test]
#[ignore = "it takes ten minutes: cargo test --release -p system-tests --test examples -- --ignored --nocapture five_thousand"]
fn five_thousand_sessions_outlive_two_restarts_of_the_broker_in_ten_minutes() {
    let clients = 5_000;
    let load = ["--rate", "5000", "--seconds", "600"];
    let (mut broker, fleet, lines) = start(clients, &load);
    thread::sleep(Duration::from_secs(180));
    broker.save();
    broker.kill();
    broker.start_again();
    check_outage(&lines.line("; all up after", PATIENCE), clients);
    thread::sleep(Duration::from_secs(180));
    broker.stop();
    thread::sleep(Duration::from_secs(10));
    broker.start_again();
    check_outage(&lines.nth(2, "; all up after", PATIENCE), clients);
    lines.wait("have disconnected", Duration::from_secs(600));
    let table = table(fleet, &lines, clients);
    println!("{lines}");
    check_row(&table, "| connections | 5000 new, 0 found, 10000 resumed, 0 lost |");
}

#[test]
fn a_fleet_that_cannot_start_says_why() {
    let failure = |args: &[&str]| Example::new("fleet").args(args).run().failure();
    let why = failure(&["--clients", "4000000000"]);
    let needed = "fleet: 4000000000 clients need 4000000024 open files, and this process may have ";
    assert!(why.starts_with(needed), "{why}");
    assert!(why.ends_with(": `ulimit -n 4000000024`"), "{why}");
    let why = failure(&["-h", "no-such-host.invalid"]);
    assert!(why.starts_with("fleet: no-such-host.invalid:1883: "), "{why}");
}
