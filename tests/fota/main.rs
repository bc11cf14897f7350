//! The example `fota`: devices, publishers and Mosquitto as processes. What happened is judged by mosquitto_sub, which
//! sees each chunk, each wish and each status, and by what boots afterwards.

mod command_line;
mod faults;
mod links;
mod memory;
mod plant;
mod power;
mod refusals;

use mqtt_core::QoS;
use system_tests::SOON;

use plant::{CHUNKS, Plant, SLOW, WellDone, fota};

#[test]
fn an_image_is_received_tried_and_confirmed_and_each_chunk_is_sent_once() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let publisher = plant.published("2.0.0", &["--devices", "1"]);
    let told = plant.device("d1").run().well_done();
    assert!(told.contains("2.0.0 is confirmed"), "{told}");
    watcher.sees("d1", &["confirmed"]);
    let states = ["running 1.0.0", "receiving 1.0.0", "checking 1.0.0", "restarting 1.0.0"];
    let after = ["trial 2.0.0", "confirmed 2.0.0"];
    assert_eq!(watcher.states("d1"), [&states[..], &after[..]].concat());
    let chunks = watcher.chunks("d1");
    let numbers: Vec<u32> = chunks.iter().map(|chunk| chunk.number).collect();
    assert_eq!(numbers, (0..CHUNKS as u32).collect::<Vec<u32>>());
    assert!(chunks.iter().all(|chunk| chunk.total as usize == CHUNKS));
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.bytes).collect();
    assert!(bytes == plant.image, "the chunks are the image");
    assert_eq!(publisher.done().status, Some(0));
}

#[test]
fn manifest_and_status_are_retained_and_chunks_and_wishes_are_not() {
    let plant = Plant::new();
    let publisher = plant.published("2.0.0", &["--devices", "1"]);
    let _told = plant.device("d1").run().well_done();
    assert_eq!(publisher.done().status, Some(0));
    // It comes when all is over.
    let mut late = plant.watcher();
    late.sees("d1", &["offline", "2.0.0"]);
    late.sees_publisher("offline");
    let mut topics: Vec<(&str, QoS, bool)> = late
        .seen
        .iter()
        .map(|message| (message.topic.as_str(), message.qos, message.retain))
        .collect();
    topics.sort_unstable();
    let retained = ["fota/meter/manifest", "fota/meter/publisher", "fota/meter/status/d1"];
    assert_eq!(topics, retained.map(|topic| (topic, QoS::AtLeastOnce, true)));
}

#[test]
fn a_device_that_comes_later_finds_the_manifest_and_one_that_is_up_to_date_does_nothing() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    for device in ["d1", "d2"] {
        let _told = plant.device(device).run().well_done();
        watcher.sees(device, &["confirmed"]);
    }
    let again = plant.device("d1").run().well_done();
    assert!(again.contains("boots 2.0.0 from slot B") && !again.contains("receives"), "{again}");
    watcher.sees("d1", &["running", "2.0.0"]);
    assert_eq!(watcher.numbers("d1").len(), CHUNKS);
    assert_eq!(watcher.numbers("d2").len(), CHUNKS);
}

#[test]
fn two_devices_are_served_at_once_and_the_slow_one_delays_nobody() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let publisher = plant.published("2.0.0", &["--devices", "2"]);
    let slow = plant.device("slow").args(&SLOW).start();
    watcher.sees_chunk("slow", 3);
    let _told = plant.device("quick").run().well_done();
    watcher.sees("quick", &["confirmed"]);
    assert!(watcher.numbers("slow").len() < CHUNKS, "it is still under way");
    let _told = slow.done().well_done();
    watcher.sees("slow", &["confirmed"]);
    assert_eq!(watcher.numbers("slow").len(), CHUNKS);
    assert_eq!(publisher.done().status, Some(0));
}

#[test]
fn images_follow_each_other_into_the_slots_and_the_same_flash() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    for (version, slot) in [("2.0.0", "B"), ("2.0.1", "A"), ("2.1.0", "B")] {
        plant.adds(version, &plant.image);
        let _publisher = plant.published(version, &[]);
        let told = plant.device("d1").run().well_done();
        assert!(told.contains(&format!("boots {version} from slot {slot}, on trial")), "{told}");
        watcher.sees("d1", &["confirmed", version]);
    }
}

#[test]
fn a_device_without_an_image_receives_its_first_one() {
    let plant = Plant::new();
    let factory = fota(&["factory", "--flash", &plant.path("d1"), "--room", "1M"]);
    factory.args(&["--public-key", &plant.path("maker.pub")]).run().well_done();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    let told = plant.device("d1").run().well_done();
    assert!(told.contains("boots the loader alone"), "{told}");
    watcher.sees("d1", &["confirmed", "2.0.0"]);
    assert_eq!(watcher.states("d1").first().map(String::as_str), Some("running 0.0.0"));
}

#[test]
fn a_device_that_leaves_in_order_says_so_and_goes_on_later() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    let device = plant.device("d1").args(&SLOW).start();
    watcher.sees_chunk("d1", 40);
    device.interrupt();
    assert_eq!(device.done().status, Some(0));
    watcher.sees("d1", &["offline", "1.0.0"]);
    plant.broker.log().wait("Received DISCONNECT from d1", SOON);
    let _told = plant.device("d1").run().well_done();
    watcher.sees("d1", &["confirmed"]);
    assert!(watcher.numbers("d1").len() <= CHUNKS + plant::WINDOW, "it does not begin anew");
}
