//! Faults on purpose: each `--inject`, the last words of the run, and what the broker's clients saw meanwhile.

use std::fs;

use mqtt_core::QoS;
use system_tests::{Config as Broker, Message, Mosquitto, SOON, Subscriber};

use super::plant::{BITTEN, Config, Plant, Witness};

/// The gateway bites; the witness sees the will, then a new start that tells why, once.
#[track_caller]
fn bites(inject: &str, ended: &str, task: &str) {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&["--inject", inject]).comes_online();
    witness.status("online");
    witness.status("offline");
    let lines = gateway.lines.clone();
    let (status, errors) = gateway.done();
    assert_eq!(status, BITTEN, "{errors}{lines}");
    assert!(errors.contains(": the watchdog bites\n"), "{errors}");
    assert_eq!(plant.records(), ["run.record"]);

    let gateway = plant.start(&[]).comes_online();
    witness.status("online");
    let words = witness.next_at("gw/last-words");
    let expected = format!("{{\"ended\":\"{ended}\",\"task\":\"{task}\",\"after_ms\":");
    assert!(words.starts_with(&expected) && words.ends_with("\"in_a_row\":1}"), "{words}");
    gateway.lines.wait("the broker has the last words", SOON);
    gateway.ends_well();
    witness.status("stopped");
    assert_eq!(plant.records(), [""; 0], "the broker has it, so the record is gone");

    let gateway = plant.start(&[]).comes_online();
    witness.status("online");
    let _ = witness.readings(3);
    gateway.ends_well();
    witness.status("stopped");
    assert_eq!(witness.last_words().len(), 1, "it is told once");
    witness.has_all_from(1, 1);
    // Somebody who looks later finds the reason.
    let late = Subscriber::new(&broker, "late").filter("gw/last-words", QoS::ExactlyOnce).start();
    let kept = late.next(SOON);
    assert_eq!(kept, Message::new("gw/last-words", words.as_bytes(), QoS::ExactlyOnce, true));
}

#[test]
fn a_sensor_that_hangs_starves_and_the_next_start_tells_its_name() {
    bites("hang:tank", "starved", "tank");
}

#[test]
fn a_sensor_that_panics_is_told_as_one_that_panics() {
    bites("panic:boiler", "panicked", "boiler");
}

#[test]
fn the_thread_of_the_connection_is_watched_as_well() {
    bites("hang:link", "starved", "link");
    bites("panic:link", "panicked", "link");
}

#[test]
fn a_link_that_stays_silent_goes_through_its_steps_and_then_starves() {
    let broker = Mosquitto::start();
    let mut config = Config::to(&[&broker]);
    let folder = tempfile::tempdir().expect("a folder");
    let restarted = folder.path().join("restarted");
    config.modem = format!("\"touch\", {:?}", restarted.display().to_string());
    let plant = Plant::new(config);
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&["--inject", "link"]).comes_online();
    witness.status("online");
    // The broker has heard nothing for one and a half of the keep alive, or saw the end of the connection.
    witness.status("offline");
    for step in ["connect again", "the next broker", "restart the modem"] {
        gateway.lines.wait(&format!("the link makes no progress: {step}"), SOON);
    }
    let lines = gateway.lines.clone();
    let (status, errors) = gateway.done();
    assert_eq!(status, BITTEN, "{errors}{lines}");
    assert!(errors.contains("(link) starved"), "{errors}");
    assert!(restarted.exists(), "the program of the modem has run");

    let gateway = plant.start(&[]).comes_online();
    let words = witness.next_at("gw/last-words");
    assert!(words.starts_with("{\"ended\":\"starved\",\"task\":\"link\","), "{words}");
    let _ = witness.readings(3);
    gateway.ends_well();
    witness.status("stopped");
    // What was measured in the dark has arrived.
    witness.has_all_from(1, 1);
}

#[test]
fn a_link_that_comes_back_in_time_is_not_bitten_and_nothing_is_lost() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&["--inject", "link:4s"]).comes_online();
    witness.status("online");
    witness.status("offline");
    gateway.lines.wait("the link makes no progress: connect again", SOON);
    witness.status("online");
    let _ = witness.readings(40);
    gateway.ends_well();
    witness.status("stopped");
    witness.has_all_from(1, 0);
    assert_eq!(witness.last_words(), [""; 0]);
}

#[test]
fn if_the_broker_falls_silent_the_next_one_of_the_list_gets_the_readings() {
    let (first, second) = (Mosquitto::start(), Mosquitto::start());
    let plant = Plant::new(Config::to(&[&first, &second]));
    let mut at_first = Witness::of(&first);
    let mut at_second = Witness::of(&second);
    let gateway = plant.start(&["--inject", "broker"]).comes_online();
    at_first.status("online");
    at_first.status("offline");
    at_second.status("online");
    let _ = at_second.readings(20);
    gateway.ends_well();
    at_second.status("stopped");
    // Each reading is at one of them, or at both.
    at_first.seen.append(&mut at_second.seen);
    at_first.has_all_from(1, 0);
    assert_eq!(at_first.last_words(), [""; 0]);
}

#[test]
fn last_words_that_no_broker_has_survive_a_kill_and_are_told_once() {
    let mut broker = Broker::new().persistence().start();
    let subscriber = Subscriber::new(&broker, "witness").keep_session();
    subscriber.filter("gw/#", QoS::ExactlyOnce).subscribe_and_leave();
    let plant = Plant::at(&broker);
    let gateway = plant.start(&["--inject", "hang:tank"]).comes_online();
    assert_eq!(gateway.done().0, BITTEN);
    broker.stop();
    // It cannot tell, is killed, and again.
    for records in [["run.record", "sent-"], ["run.record", "sent-"]] {
        let gateway = plant.start(&[]);
        gateway.lines.wait(" offline: ", SOON);
        let names = plant.records();
        assert!(
            names.iter().all(|name| records.iter().any(|one| name.starts_with(one))),
            "{names:?}"
        );
        gateway.kill();
    }
    broker.start_again();
    let mut witness = Witness::lasting(&broker);
    let gateway = plant.start(&[]).comes_online();
    let words: Vec<String> = (0..3).map(|_| witness.next_at("gw/last-words")).collect();
    assert!(
        words.iter().filter(|words| words.contains("\"task\":\"tank\"")).count() == 1,
        "{words:?}"
    );
    let killed = |words: &&String| words.contains("without last words");
    assert_eq!(words.iter().filter(killed).count(), 2, "{words:?}");
    gateway.lines.wait("the broker has the last words", SOON);
    let _ = witness.readings(5);
    gateway.ends_well();
    loop {
        if witness.next_at("gw/status") == "stopped" {
            break;
        }
    }
    assert_eq!(witness.last_words().len(), 3, "each one once");
    assert_eq!(plant.records(), [""; 0]);
}

/// The folder is full or read-only: the gateway bites nevertheless, and the provisional record tells that much.
#[test]
fn a_bite_without_a_place_for_last_words_is_told_as_one_without() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let gateway = plant.start(&["--inject", "hang:tank"]).comes_online();
    // A folder in the place of the new file.
    fs::create_dir(plant.path("state/run.new")).expect("the folder is there");
    let (status, errors) = gateway.done();
    assert_eq!(status, BITTEN, "{errors}");
    assert!(errors.contains("no last words: ") && errors.contains("run.new"), "{errors}");
    fs::remove_dir(plant.path("state/run.new")).expect("it is there");
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&[]).comes_online();
    let words = witness.next_at("gw/last-words");
    assert_eq!(words, "{\"ended\":\"without last words\",\"in_a_row\":1}");
    gateway.ends_well();
}
