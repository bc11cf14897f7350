//! `tap`: embassy-net over a TAP device, in a network namespace of its own, with Mosquitto inside.
//!
//! The test starts itself again in the namespace. Without root it is skipped, and says so.

use std::env;
use std::net::SocketAddr;
use std::process::Command;

use system_tests::{Config, Mosquitto};
use tempfile::TempDir;
use test_kit::certificates::Authority;

use super::device::{Device, Seen, start_again, witness};
use super::secured::{HOST, write};

const PROGRAM: &str = "tap";

/// Set in the namespace.
const INSIDE: &str = "MQTT_EMBASSY_NAMESPACE";

/// What makes the network: the device is 192.168.69.2, the broker 192.168.69.1.
const NETWORK: &str = "ip link set lo up && ip tuntap add tap0 mode tap && \
    ip addr add 192.168.69.1/24 dev tap0 && ip link set tap0 up && exec \"$0\" \"$@\"";

/// Whether this is the run in the namespace. If not, that run is started and awaited.
#[track_caller]
fn inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    if !may_make_networks() {
        eprintln!(
            "skipped: a TAP device in a network namespace needs root, iproute2 and /dev/net/tun"
        );
        return false;
    }
    let this = env::current_exe().expect("a process knows its program");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", NETWORK]).arg(this);
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let status = command.status().expect("util-linux has it");
    assert!(status.success(), "{status} in the namespace");
    false
}

fn may_make_networks() -> bool {
    let tried =
        Command::new("unshare").args(["--net", "sh", "-c", "ip tuntap add tap0 mode tap"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// A broker for the namespace: it listens to the device as well.
fn config() -> Config {
    Config::new().line("listener 1883 192.168.69.1")
}

/// Where the device finds it.
fn address() -> SocketAddr {
    SocketAddr::from(([192, 168, 69, 1], 1883))
}

#[track_caller]
fn all_arrive(broker: &Mosquitto, more: &[&str]) {
    let witness = witness(broker).start();
    let device = Device::start(PROGRAM, address(), 50, more);
    let mut seen = Seen::default();
    seen.take_all(&witness);
    seen.check_all_once(50, &device.outcomes());
}

/// Stops the broker twice.
#[track_caller]
fn survives_stops(more: &[&str]) {
    let mut broker = config().persistence().start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, address(), 150, more);
    let mut seen = Seen::default();
    for stopped_at in [40, 90] {
        seen.take(&witness, |seen| seen.counters.last().is_some_and(|last| *last >= stopped_at));
        broker.stop();
        start_again(&mut broker, &device);
    }
    seen.take_all(&witness);
    let outcomes = device.outcomes();
    seen.check(150, &outcomes);
    assert!(outcomes.iter().all(|outcome| outcome == "published"), "{outcomes:?}");
}

#[test]
fn every_message_arrives_once_over_embassy_net() {
    if inside("tap::every_message_arrives_once_over_embassy_net") {
        all_arrive(&config().start(), &[]);
    }
}

#[test]
fn every_message_arrives_once_over_embassy_net_by_way_of_nal() {
    if inside("tap::every_message_arrives_once_over_embassy_net_by_way_of_nal") {
        all_arrive(&config().start(), &["--nal"]);
    }
}

#[test]
fn a_broker_that_is_stopped_twice_costs_nothing_over_embassy_net() {
    if inside("tap::a_broker_that_is_stopped_twice_costs_nothing_over_embassy_net") {
        survives_stops(&[]);
    }
}

#[test]
fn a_broker_that_is_stopped_twice_costs_nothing_over_embassy_net_by_way_of_nal() {
    if inside("tap::a_broker_that_is_stopped_twice_costs_nothing_over_embassy_net_by_way_of_nal") {
        survives_stops(&["--nal"]);
    }
}

#[test]
fn a_broker_that_is_killed_costs_only_what_is_told_over_tls_over_embassy_net() {
    if !inside("tap::a_broker_that_is_killed_costs_only_what_is_told_over_tls_over_embassy_net") {
        return;
    }
    let folder = TempDir::with_prefix("certificates-").expect("a temporary folder");
    let file = |name: &str, content: &[u8]| {
        write(folder.path(), name, content).to_str().expect("a path of text").to_owned()
    };
    let authority = Authority::new("authority");
    let identity = authority.server(&[HOST]);
    let mut broker = config()
        .line(&format!("certfile {}", file("server.pem", identity.certificate.as_bytes())))
        .line(&format!("keyfile {}", file("server.key", identity.key.as_bytes())))
        .start();
    let witness = witness(&broker).start();
    let trusted = file("authority.der", authority.der());
    let device = Device::start(PROGRAM, address(), 150, &["--ca", &trusted]);
    let mut seen = Seen::default();
    seen.take(&witness, |seen| seen.counters.last().is_some_and(|last| *last >= 60));
    broker.kill();
    start_again(&mut broker, &device);
    seen.take_all(&witness);
    seen.check(150, &device.outcomes());
}
