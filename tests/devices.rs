//! What the client for threads does, the client for devices does as well: the list of conversations, with three brokers.

use system_tests::brokers::ENGINES;
use system_tests::conversations::{converse_alike, devices};
use system_tests::transports::{Kind, Transport};

#[track_caller]
fn converse(name: &str, kind: Kind) {
    let engine = ENGINES.iter().find(|engine| engine.name == name).expect("it is one of them");
    if let Err(why) = (engine.version)() {
        println!("{name} is not here: {why}");
        return;
    }
    let transport = Transport::new(kind).expect("it needs no program");
    let how = format!("a client for devices over {}", kind.name());
    converse_alike(engine, &how, &|broker, options| devices(&transport, broker, options));
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
