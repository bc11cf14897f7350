//! What the client for threads does, the client for devices does as well: the list of conversations, with three brokers.

use system_tests::conversations::{converse_with, devices};
use system_tests::transports::Kind;

#[track_caller]
fn converse(name: &str, kind: Kind) {
    converse_with("a client for devices", devices, name, kind);
}

#[test]
fn mosquitto_talks_with_devices_as_with_threads() {
    converse("Mosquitto", Kind::Tcp);
}

#[test]
fn mosquitto_talks_with_devices_over_tls_as_with_threads_over_tcp() {
    converse("Mosquitto", Kind::Tls);
}

#[test]
fn nats_talks_with_devices_as_with_threads() {
    converse("NATS", Kind::Tcp);
}

#[test]
fn aedes_talks_with_devices_as_with_threads() {
    converse("aedes", Kind::Tcp);
}

#[test]
fn aedes_talks_with_devices_over_tls_as_with_threads_over_tcp() {
    converse("aedes", Kind::Tls);
}
