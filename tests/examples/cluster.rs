//! `cluster`: it says at which endpoint it is, and what became of its session there.

use std::net::SocketAddr;

use system_tests::clusters::AEDES;
use system_tests::{Example, Lines, Mosquitto, Running, SOON};

fn start(arguments: &[&str], brokers: &[SocketAddr]) -> (Running, Lines) {
    let brokers: Vec<String> = brokers.iter().map(SocketAddr::to_string).collect();
    let brokers: Vec<&str> = brokers.iter().map(String::as_str).collect();
    let example = Example::new("cluster").args(arguments).args(&["--interval", "10"]);
    let mut running = example.args(&brokers).start();
    let lines = running.lines();
    (running, lines)
}

/// The last line, after an interrupt.
#[track_caller]
fn ended(running: Running, lines: &Lines) -> String {
    running.interrupt();
    let last = lines.to_the_end(0, SOON).pop();
    let done = running.done();
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""), "{lines}");
    last.expect("it wrote a line")
}

/// aedes acknowledges a message now and then that it never sends, so some may be missing.
#[test]
fn in_a_cluster_the_session_goes_on_at_another_endpoint_and_nothing_is_lost() {
    if let Err(why) = (AEDES.missing)() {
        return println!("aedes is not here: {why}");
    }
    let mut nodes = (AEDES.start)();
    let addresses = nodes.addresses();
    let (running, lines) = start(&["--cluster", "-q", "2"], &addresses);
    let places: Vec<String> =
        (0..3).zip(addresses).map(|(n, at)| format!("endpoint {n}, {at}: ")).collect();
    let place_in = |line: &str| places.iter().position(|place| line.contains(place));

    let up = lines.line("up at endpoint ", SOON);
    assert!(up.ends_with("session New, as expected"), "{up}");
    let first = place_in(&up).expect("one of the endpoints");
    lines.wait("100 have arrived", SOON);
    nodes.kill(first);
    lines.wait(&format!("down at {}", places.get(first).map_or("", String::as_str)), SOON);
    let up = lines.line("session Resumed, it goes on", SOON);
    assert!(place_in(&up).is_some_and(|second| second != first), "{up}");
    let last = ended(running, &lines);
    assert!(last.contains(" lost 0, "), "{lines}");
}

#[test]
fn separate_brokers_have_a_session_each_and_one_that_forgot_it_is_told() {
    let [mut first, mut second] = [Mosquitto::start(), Mosquitto::start()];
    let (running, lines) = start(&["-q", "2"], &[first.address(), second.address()]);
    lines.wait("up at endpoint 0, ", SOON);
    first.kill();
    let up = lines.line("up at endpoint 1, ", SOON);
    assert!(up.ends_with("session New, as expected"), "{up}");
    first.start_again();
    second.kill();
    let up = lines.nth(2, "up at endpoint 0, ", SOON);
    assert!(up.ends_with("session Lost, the broker did not have it any more"), "{up}");
    let _ = ended(running, &lines);
}

#[test]
fn a_broker_is_needed() {
    let failure = |args: &[&str]| Example::new("cluster").args(args).run().failure();
    assert_eq!(failure(&["--cluster"]), "cluster: a broker is missing");
    assert_eq!(failure(&["h:0"]), "cluster: option BROKER: the port is not from 1 to 65535");
}
