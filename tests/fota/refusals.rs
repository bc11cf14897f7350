//! Images that a device does not take. The old one stays, and runs.

use system_tests::SOON;

use crate::plant::{CHUNKS, Plant, WellDone, fota};

/// The device refuses what is published, with this reason, and boots the old image next time.
#[track_caller]
fn refuses(plant: &Plant, published: (&str, &[&str]), why: &str) -> usize {
    let mut watcher = plant.watcher();
    let (version, args) = published;
    let publisher = plant.published(version, &[&["--devices", "1"], args].concat());
    let done = plant.device("d1").run();
    assert_eq!(done.status, Some(1), "{}", done.err);
    assert!(done.err.contains(&format!("the image was refused: {why}")), "{}", done.err);
    let seen = watcher.sees("d1", &["refused", "\"version\":\"1.0.0\"", "\"offered\":"]);
    assert!(seen.contains(why), "{seen}");
    let verdict = publisher.done();
    assert_eq!(verdict.status, Some(1), "{}", verdict.err);
    watcher.sees("d1", &["offline", "1.0.0"]);
    let mut again = plant.device("d1").start();
    again.lines().wait("boots 1.0.0 from slot A", SOON);
    again.kill();
    watcher.numbers("d1").len()
}

#[test]
fn inject_corrupt_is_refused_and_the_old_image_stays() {
    let plant = Plant::new();
    let why = "its bytes have not the hash that was signed";
    let sent = refuses(&plant, ("2.0.0", &["--inject", "corrupt"]), why);
    assert_eq!(sent, CHUNKS, "only the hash of the whole tells");
    // The manifest was right, so the image is taken from a publisher that has it.
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    let _told = plant.device("d1").run().well_done();
    watcher.sees("d1", &["confirmed", "2.0.0"]);
}

#[test]
fn inject_damage_costs_a_chunk_and_not_the_image() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &["--inject", "damage"]);
    let told = plant.device("d1").run().well_done();
    let half = CHUNKS as u32 / 2;
    assert!(told.contains(&format!("chunk {half} is damaged, and asked for again")), "{told}");
    watcher.sees("d1", &["confirmed", "2.0.0"]);
    let chunks = watcher.chunks("d1");
    let halves: Vec<_> = chunks.iter().filter(|chunk| chunk.number == half).collect();
    let [damaged, good] = halves.as_slice() else { panic!("{} times", halves.len()) };
    assert!(damaged.bytes != good.bytes);
}

#[test]
fn inject_forge_is_refused_before_a_chunk_is_sent() {
    let plant = Plant::new();
    let why = "the manifest: its signature is not by the key of this device";
    assert_eq!(refuses(&plant, ("2.0.0", &["--inject", "forge"]), why), 0);
}

#[test]
fn an_image_by_another_key_is_refused_before_a_chunk_is_sent() {
    let plant = Plant::new();
    fota(&["keygen", &plant.path("other")]).run().well_done();
    plant.signs("2.0.0", "meter", &plant.path("other.key"));
    let why = "the manifest: its signature is not by the key of this device";
    assert_eq!(refuses(&plant, ("2.0.0", &[]), why), 0);
}

#[test]
fn an_older_image_is_refused() {
    let plant = Plant::new();
    plant.adds("0.9.9", &plant.image);
    let why = "version 0.9.9 is older than 1.0.0, which runs";
    assert_eq!(refuses(&plant, ("0.9.9", &[]), why), 0);
}

#[test]
fn an_image_that_does_not_fit_is_refused() {
    let plant = Plant::new();
    plant.has_device("d1", "1.0.0", "100K");
    let why = format!("its {} bytes do not fit into a slot of 102400", plant.image.len());
    assert_eq!(refuses(&plant, ("2.0.0", &[]), &why), 0);
}

#[test]
fn an_image_of_another_product_is_refused_although_it_came_to_the_topic_of_this_one() {
    let plant = Plant::new();
    plant.signs("2.0.0", "pump", &plant.path("maker.key"));
    let mut watcher = plant.watcher();
    let signed = std::fs::read(plant.manifest("2.0.0")).expect("it is there");
    let publisher = system_tests::Publisher::new(&plant.broker, "other");
    publisher.publish("fota/meter/manifest", &signed, mqtt_core::QoS::AtLeastOnce, true);
    let done = plant.device("d1").run();
    assert_eq!(done.status, Some(1));
    watcher.sees("d1", &["refused", "it is for pump, another product"]);
}

#[test]
fn bytes_that_are_no_manifest_no_chunk_and_no_wish_change_nothing() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let noise = system_tests::Publisher::new(&plant.broker, "noise");
    let qos = mqtt_core::QoS::AtLeastOnce;
    let _publisher = plant.published("2.0.0", &[]);
    let device = plant.device("d1").args(&crate::plant::SLOW).start();
    watcher.sees_chunk("d1", 20);
    let large = vec![0x5A; 20_000];
    for payload in [&b""[..], b"noise", b"FCHK", &large] {
        noise.publish("fota/meter/chunk/d1", payload, qos, false);
        noise.publish("fota/meter/want/d1", payload, qos, false);
        noise.publish("fota/meter/want/a/b", payload, qos, false);
        noise.publish("fota/meter/status/d2", payload, qos, false);
        noise.publish("fota/meter/publisher/x", payload, qos, false);
    }
    let _told = device.done().well_done();
    // The watcher reads each chunk, and the noise is none.
    watcher.seen.clear();
    watcher.sees("d1", &["confirmed", "2.0.0"]);
}
