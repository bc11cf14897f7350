//! `std_sockets`: a whole life, commands, the will, and brokers that go.

use mqtt_core::QoS;
use system_tests::{Config, Mosquitto, Publisher, SOON};

use super::device::{Device, Seen, start_again, witness};

const PROGRAM: &str = "std_sockets";

#[test]
fn every_message_arrives_once_and_an_orderly_end_leaves_no_will() {
    let broker = Mosquitto::start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, broker.address(), 50, &[]);
    let mut seen = Seen::default();
    seen.take_all(&witness);
    seen.check_all_once(50, &device.outcomes());
    // A will would come before it.
    Publisher::new(&broker, "p").publish("d/state", b"later", QoS::AtLeastOnce, false);
    seen.take(&witness, |seen| seen.states.len() == 3);
    assert_eq!(seen.states, ["on", "off", "later"]);
}

#[test]
fn a_command_is_carried_out_and_answered() {
    let broker = Mosquitto::start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, broker.address(), 1_000_000, &["--interval", "60000"]);
    device.output().wait("commands: subscribed", SOON);
    let mut seen = Seen::default();
    let send = |text: &str| {
        Publisher::new(&broker, "p").publish("d/command", text.as_bytes(), QoS::ExactlyOnce, false);
    };
    send("open the window");
    seen.take(&witness, |seen| seen.answers == ["unknown command"]);
    send("report");
    seen.take(&witness, |seen| seen.answers.len() == 2);
    assert!(seen.answers.last().is_some_and(|answer| answer.ends_with(" in flight")), "{seen:?}");
    send("interval 5");
    seen.take(&witness, |seen| seen.answers.len() == 3);
    assert_eq!(seen.answers.last().map(String::as_str), Some("interval 5"));
}

#[test]
fn commands_that_were_sent_while_the_device_was_away_wait_for_it() {
    let broker = Mosquitto::start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, broker.address(), 5, &[]);
    device.output().wait("commands: subscribed", SOON);
    let mut seen = Seen::default();
    seen.take_all(&witness);
    let _ = device.outcomes();
    Publisher::new(&broker, "p").publish("d/command", b"interval 3", QoS::AtLeastOnce, false);
    let device = Device::start(PROGRAM, broker.address(), 5, &[]);
    seen.take(&witness, |seen| seen.answers == ["interval 3"]);
    device.output().wait("up, session Found", SOON);
}

#[test]
fn a_killed_device_leaves_its_will() {
    let broker = Mosquitto::start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, broker.address(), 1_000_000, &[]);
    let mut seen = Seen::default();
    seen.take(&witness, |seen| seen.counters.len() == 5);
    device.0.kill();
    seen.take(&witness, |seen| seen.states.last().is_some_and(|state| state == "gone"));
}

#[test]
fn a_broker_that_is_killed_and_started_again_costs_only_what_the_device_is_told_as_lost() {
    let mut broker = Mosquitto::start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, broker.address(), 250, &[]);
    let mut seen = Seen::default();
    for killed_at in [60, 140] {
        seen.take(&witness, |seen| seen.counters.last().is_some_and(|last| *last >= killed_at));
        broker.kill();
        start_again(&mut broker, &device);
    }
    seen.take_all(&witness);
    assert_eq!(device.output().count("up, session Lost"), 2);
    seen.check(250, &device.outcomes());
}

#[test]
fn a_broker_that_is_stopped_and_started_again_costs_nothing_if_it_keeps_sessions() {
    let mut broker = Config::new().persistence().start();
    let witness = witness(&broker).start();
    let device = Device::start(PROGRAM, broker.address(), 250, &[]);
    let mut seen = Seen::default();
    for stopped_at in [60, 140] {
        seen.take(&witness, |seen| seen.counters.last().is_some_and(|last| *last >= stopped_at));
        broker.stop();
        start_again(&mut broker, &device);
    }
    seen.take_all(&witness);
    assert_eq!(device.output().count("up, session Resumed"), 2);
    let outcomes = device.outcomes();
    seen.check(250, &outcomes);
    assert!(outcomes.iter().all(|outcome| outcome == "published"), "{outcomes:?}");
}
