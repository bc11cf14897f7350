//! Lives of the gateway without a fault of its own: brokers that come and go, kills, commands, a clean end.

use mqtt_core::QoS;
use system_tests::{Config as Broker, Message, Mosquitto, Publisher, SOON, Subscriber};
use test_kit::certificates::Authority;

use super::plant::{Config, Plant, Witness};
use super::secured::{HOST, Secured};

#[test]
fn a_clean_end_is_told_as_stopped_and_the_will_stays_unsaid() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let mut witness = Witness::of(&broker);
    for interrupted in [false, true] {
        let gateway = plant.start(&[]).comes_online();
        witness.status("online");
        let _ = witness.readings(3);
        if interrupted {
            gateway.interrupt();
            let lines = gateway.lines.clone();
            assert_eq!(gateway.done(), (Some(0), String::new()), "{lines}");
        } else {
            gateway.ends_well();
        }
        witness.status("stopped");
        assert_eq!(plant.records(), [""; 0], "nothing is to be told of a clean end");
    }
    assert_eq!(broker.log().count("Received DISCONNECT from gw"), 2);
    // The broker would have published a will before this.
    let gateway = plant.start(&[]).comes_online();
    witness.status("online");
    gateway.ends_well();
    witness.status("stopped");
    witness.has_all_from(1, 0);
    assert_eq!(witness.last_words(), [""; 0]);
    let late = Subscriber::new(&broker, "late").filter("gw/status", QoS::AtLeastOnce).start();
    assert_eq!(late.next(SOON), Message::new("gw/status", b"stopped", QoS::AtLeastOnce, true));
}

#[test]
fn a_gateway_that_is_killed_loses_no_reading_and_tells_that_it_had_no_last_words() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let mut witness = Witness::of(&broker);
    for run in 0..3 {
        let gateway = plant.start(&[]).comes_online();
        witness.status("online");
        if run > 0 {
            let words = witness.next_at("gw/last-words");
            assert_eq!(words, format!("{{\"ended\":\"without last words\",\"in_a_row\":{run}}}"));
        }
        let _ = witness.readings(5);
        gateway.kill();
        witness.status("offline");
    }
    let gateway = plant.start(&[]).comes_online();
    witness.status("online");
    let _ = witness.next_at("gw/last-words");
    let _ = witness.readings(3);
    gateway.ends_well();
    witness.status("stopped");
    witness.has_all_from(1, 3);
    assert_eq!(witness.last_words().len(), 3, "each one once");
}

#[test]
fn readings_wait_for_a_broker_that_is_missing_at_the_start() {
    let mut broker = Broker::new().start();
    broker.stop();
    let plant = Plant::new(Config { survive: "power-cut", ..Config::to(&[&broker]) });
    let gateway = plant.start(&[]);
    gateway.lines.wait(" offline: ", SOON);
    gateway.lines.wait("the link makes no progress: connect again", SOON);
    broker.start_again();
    let mut witness = Witness::of(&broker);
    // Twenty readings and more have waited: the link was silent for two seconds.
    let _ = witness.readings(30);
    gateway.ends_well();
    witness.status("stopped");
    // The witness may have come after the first ones.
    let first = *witness.numbers().first().expect("there are readings");
    witness.has_all_from(first, 0);
}

#[test]
fn a_gateway_that_is_killed_while_its_broker_is_missing_keeps_its_readings() {
    let mut broker = Broker::new().persistence().start();
    // Its session makes the broker keep every reading for it.
    Subscriber::new(&broker, "witness")
        .keep_session()
        .filter("gw/#", QoS::ExactlyOnce)
        .subscribe_and_leave();
    broker.stop();
    let plant = Plant::new(Config { survive: "power-cut", ..Config::to(&[&broker]) });
    let gateway = plant.start(&[]);
    gateway.lines.wait("the link makes no progress", SOON);
    gateway.kill();
    broker.start_again();
    let mut witness = Witness::lasting(&broker);
    let gateway = plant.start(&[]).comes_online();
    let _ = witness.next_at("gw/last-words");
    let _ = witness.readings(3);
    gateway.ends_well();
    witness.status("stopped");
    witness.has_all_from(1, 1);
}

#[test]
fn a_broker_that_is_restarted_gets_every_reading() {
    let mut broker = Broker::new().persistence().start();
    let plant = Plant::at(&broker);
    let mut witness = Witness::lasting(&broker);
    let gateway = plant.start(&[]).comes_online();
    witness.status("online");
    let _ = witness.readings(5);
    broker.stop();
    gateway.lines.nth(1, " offline: ", SOON);
    broker.start_again();
    gateway.lines.nth(2, " online: ", SOON);
    // The witness connects again by itself, and its session goes on.
    let _ = witness.readings(10);
    gateway.ends_well();
    witness.status("stopped");
    witness.has_all_from(1, 0);
}

#[test]
fn a_command_changes_a_period_and_one_that_breaks_the_time_budget_is_refused() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&[]).comes_online();
    broker.log().wait("Sending SUBACK to gw", SOON);
    let commander = Publisher::new(&broker, "commander");
    for (command, answer) in [
        ("period tank 1s", "tank: period 1s"),
        ("period tank 3s", "tank: a period of 3s is not possible: a task's deadline is not longer"),
        ("period tank 150ms", "tank: a period of 150ms is not possible: neither the heartbeat"),
        ("period tank soon", "\"soon\" is not a time"),
        ("period pump 1s", "there is no such sensor; there are: boiler, tank"),
        ("reboot", "not a command; there is: period SENSOR TIME"),
    ] {
        commander.publish("gw/command", command.as_bytes(), QoS::ExactlyOnce, false);
        let told = witness.next_at("gw/answer");
        assert!(told.starts_with(answer), "{command}: {told}");
    }
    // One of the tank, to ten of the boiler.
    let count = |witness: &Witness| {
        let of = |topic| witness.seen.iter().filter(|one| one.topic == topic).count();
        (of("gw/sensors/tank"), of("gw/sensors/boiler"))
    };
    let before = count(&witness);
    let _ = witness.next_at("gw/sensors/tank");
    let _ = witness.next_at("gw/sensors/tank");
    let after = count(&witness);
    assert!(after.1 - before.1 >= 2 * (after.0 - before.0), "{before:?} {after:?}");
    gateway.ends_well();
}

/// It would be carried out at each connection.
#[test]
fn a_retained_command_is_not_carried_out() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let commander = Publisher::new(&broker, "commander");
    commander.publish("gw/command", b"period tank 1s", QoS::AtLeastOnce, true);
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&[]).comes_online();
    assert_eq!(witness.next_at("gw/answer"), "a retained command is not carried out");
    gateway.ends_well();
}

#[test]
fn an_address_of_tls_is_enough_to_speak_it_and_a_stranger_is_not_trusted() {
    let authority = Authority::new("plant");
    let identity = authority.server(&[HOST]);
    let secured = Secured::start(&identity, &[]);
    let ca = secured.file("ca.pem", authority.pem());
    let port = secured.broker.address().port();
    let mut config = Config::to_urls(vec![format!("mqtts://{HOST}:{port}")]);
    config.broker = format!("ca_file = {:?}", ca.display().to_string());
    let plant = Plant::new(config);
    let gateway = plant.start(&[]).comes_online();
    secured.broker.log().wait("Received PUBLISH from gw (d0, q1, r1, ", SOON);
    secured.broker.log().wait("'gw/sensors/boiler'", SOON);
    gateway.ends_well();

    // Without the authority the broker is not trusted, and nothing is sent to it.
    let strangers = Authority::new("strangers");
    let ca = secured.file("strangers.pem", strangers.pem());
    let mut config = Config::to_urls(vec![format!("mqtts://{HOST}:{port}")]);
    config.broker = format!("ca_file = {:?}", ca.display().to_string());
    let plant = Plant::new(config);
    let gateway = plant.start(&[]);
    gateway.lines.wait("certificate", SOON);
    gateway.lines.wait(" offline: ", SOON);
    assert_eq!(gateway.lines.count(" online: "), 0);
    gateway.ends_well_offline();
}

#[test]
fn the_password_comes_from_a_file_and_is_never_shown() {
    let broker = Broker::new().login("me", "s3cret").start();
    let mut config = Config::to(&[&broker]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\n").expect("writable");
    config.broker = format!("user = \"me\"\npassword_file = {:?}", file.display().to_string());
    let plant = Plant::new(config.clone());
    let gateway = plant.start(&[]).comes_online();
    gateway.ends_well();
    std::fs::write(&file, "wr0ng\n").expect("writable");
    let gateway = plant.start(&[]);
    let refusal = gateway.lines.line(" offline: ", SOON);
    assert!(!refusal.contains("wr0ng") && refusal.contains("refused"), "{refusal}");
    gateway.ends_well_offline();
}

/// The status 'stopped' waits in the journal, and comes before the next 'online'.
#[test]
fn an_end_without_a_broker_is_clean_and_bounded_and_told_later() {
    let mut broker = Broker::new().start();
    let plant = Plant::at(&broker);
    let mut before = Witness::of(&broker);
    let gateway = plant.start(&[]).comes_online();
    before.status("online");
    // So the status was acknowledged.
    let _ = before.readings(5);
    drop(before);
    broker.stop();
    gateway.lines.wait(" offline: ", SOON);
    let lines = gateway.ends_well_offline();
    assert_eq!(lines.count("ended, some messages stay in the journal"), 1, "{lines}");
    broker.start_again();
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&[]).comes_online();
    witness.status("stopped");
    witness.status("online");
    gateway.ends_well();
    assert_eq!(witness.last_words(), [""; 0], "it was no bite");
}

#[test]
fn a_second_gateway_in_the_same_folder_is_refused_and_disturbs_nothing() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let gateway = plant.start(&[]).comes_online();
    let error = plant.example(&["--plain"]).run().failure();
    assert!(error.contains("session.journal") && error.contains("in use"), "{error}");
    assert_eq!(plant.records(), ["run.record"], "that of the first one");
    gateway.ends_well();
}
