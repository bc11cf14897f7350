//! A service and its manager over a real datagram socket. The service is a second process of this test program. It gets
//! the variables that systemd sets, because a process cannot safely set its own.
#![cfg(all(target_os = "linux", feature = "std"))]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::env;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Duration;

use watchdog_core::hardware::{Error, Watchdog};
use watchdog_core::host::systemd::{Service, SystemdError};

/// The variable with the part that the service plays.
const PART: &str = "SERVICE_PART";

/// Plays a service. The other tests run this in a process of its own.
#[test]
#[ignore = "the other tests run it"]
fn service() {
    let result = match env::var(PART).unwrap().as_str() {
        "whole life" => whole_life(),
        "watchdog" => Service::from_env().and_then(|service| service.watchdog()).map(|dog| {
            println!(
                "timeout {:?}",
                dog.as_ref().map(watchdog_core::host::systemd::ServiceWatchdog::timeout)
            );
        }),
        "two lines" => Service::from_env().and_then(|service| service.status("one\nREADY=1")),
        "trigger" => Service::from_env()
            .and_then(|service| service.watchdog())
            .and_then(|dog| dog.unwrap().trigger()),
        part => panic!("{part}"),
    };
    if let Err(error) = result {
        println!("error {:?}: {error}", error.kind());
    }
}

fn whole_life() -> Result<(), SystemdError> {
    let service = Service::from_env()?;
    let mut dog = service.watchdog()?.unwrap();
    println!("interval {:?}", dog.interval());
    service.extend_timeout(Duration::from_secs(5))?;
    service.ready()?;
    service.status("two pumps run")?;
    dog.feed()?;
    dog.feed()?;
    dog.set_timeout(Duration::from_millis(2_500))?;
    println!("interval {:?}", dog.interval());
    service.stopping()
}

/// Runs the service with these variables, and without any other variable of systemd.
fn run(part: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "service", "--ignored", "--nocapture"]).env(PART, part);
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs the service. Returns its output, and the messages that its manager received.
fn serve(part: &str, variables: &[(&str, &str)]) -> (String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let socket = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let output = run(part, &[&socket, variables].concat());
    // All messages wait in the socket.
    manager.set_nonblocking(true).unwrap();
    let mut messages = Vec::new();
    let mut buffer = [0; 256];
    while let Ok(length) = manager.recv(&mut buffer) {
        messages.push(String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned());
    }
    (String::from_utf8_lossy(&output.stdout).into_owned(), messages)
}

#[test]
fn a_service_sends_its_state_and_its_feeds() {
    let (printed, messages) = serve("whole life", &[("WATCHDOG_USEC", "10000000")]);
    assert_eq!(
        messages,
        [
            "EXTEND_TIMEOUT_USEC=5000000\n",
            "READY=1\n",
            "STATUS=two pumps run\n",
            "WATCHDOG=1\n",
            "WATCHDOG=1\n",
            "WATCHDOG_USEC=2500000\n",
            "STOPPING=1\n",
        ]
    );
    assert!(printed.contains("interval 5s\n") && printed.contains("interval 1.25s\n"), "{printed}");
}

#[test]
fn the_last_stage_can_bite_at_once() {
    let (_, messages) = serve("trigger", &[("WATCHDOG_USEC", "10000000")]);
    assert_eq!(messages, ["WATCHDOG=trigger\n"]);
}

#[test]
fn a_unit_without_a_watchdog_gives_none() {
    let none = "timeout None\n";
    for variables in [&[][..], &[("WATCHDOG_USEC", "0")]] {
        let (printed, messages) = serve("watchdog", variables);
        assert!(printed.contains(none), "{printed}");
        assert_eq!(messages.len(), 0);
    }
}

#[test]
fn a_watchdog_for_another_process_is_not_used() {
    let (printed, _) = serve("watchdog", &[("WATCHDOG_USEC", "10000000"), ("WATCHDOG_PID", "1")]);
    assert!(printed.contains("timeout None\n"), "{printed}");
}

#[test]
fn an_error_names_a_variable_that_is_not_a_number() {
    for name in ["WATCHDOG_USEC", "WATCHDOG_PID"] {
        let (printed, _) = serve("watchdog", &[(name, "soon")]);
        let expected =
            format!("error InvalidState: the variable {name} is \"soon\", which is not a number\n");
        assert!(printed.contains(&expected), "{printed}");
    }
}

#[test]
fn a_status_cannot_contain_a_second_message() {
    let (printed, messages) = serve("two lines", &[]);
    assert!(printed.contains("error InvalidState: the status has several lines\n"), "{printed}");
    assert_eq!(messages.len(), 0);
}

#[test]
fn without_a_manager_there_is_no_service() {
    for variables in [&[][..], &[("NOTIFY_SOCKET", "")]] {
        let output = run("whole life", variables);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("error InvalidState: NOTIFY_SOCKET is not set"), "{printed}");
    }
}

#[test]
fn a_manager_that_is_gone_is_an_error() {
    let output = run("trigger", &[("NOTIFY_SOCKET", "/nowhere/notify"), ("WATCHDOG_USEC", "1000")]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("error Connection: the socket in NOTIFY_SOCKET: "), "{printed}");
}
