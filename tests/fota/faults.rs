//! A device or a publisher that hangs: the watchdog bites, its last words say which task starved, and after the reset the
//! update goes on.

use std::time::Duration;

use system_tests::SOON;

use crate::plant::{CHUNKS, Plant, SLOW, WINDOW, WellDone};

#[test]
fn inject_stall_at_a_device_bites_and_the_update_goes_on_after_the_reset() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let publisher = plant.published("2.0.0", &["--devices", "1"]);
    let done = plant.device("d1").args(&["--inject", "stall"]).run();
    assert_eq!(done.status, Some(3), "{}", done.err);
    assert!(
        done.err.contains("last words: ") && done.err.contains("(flash) starved"),
        "{}",
        done.err
    );
    watcher.sees("d1", &["offline", "1.0.0"]);
    let before = watcher.numbers("d1").len();
    let told = plant.device("d1").run().well_done();
    assert!(told.contains(&format!("receives 2.0.0, {} of", CHUNKS / 2)), "{told}");
    watcher.sees("d1", &["running", "after a reset: ", "(flash) starved"]);
    watcher.sees("d1", &["confirmed", "2.0.0"]);
    assert!(watcher.numbers("d1").len() <= before + CHUNKS / 2, "it does not begin anew");
    assert_eq!(publisher.done().status, Some(0));
}

#[test]
fn inject_stall_at_a_publisher_bites_once_and_another_publisher_ends_the_update() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let stalled = plant.published("2.0.0", &["--inject", "stall"]);
    let mut device = plant.device("d1").start();
    device.lines().wait("64 of 128 chunks", SOON);
    let done = device.done();
    assert_eq!(done.status, Some(3), "{}", done.err);
    assert!(done.err.contains("(chunks) starved"), "{}", done.err);
    watcher.sees("d1", &["offline", "1.0.0"]);
    // No reset helps a publisher, so the device waits now.
    let waiting = plant.device("d1").start();
    watcher.sees("d1", &["running", "after a reset: ", "(chunks) starved"]);
    watcher.sees("d1", &["receiving", "\"chunks\":64"]);
    stalled.kill();
    let _publisher = plant.published("2.0.0", &[]);
    let _told = waiting.done().well_done();
    watcher.sees("d1", &["confirmed", "2.0.0"]);
    assert!(watcher.numbers("d1").len() <= CHUNKS + WINDOW, "it does not begin anew");
}

#[test]
fn a_publisher_that_ends_or_is_killed_in_the_middle_is_waited_for() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let killed = plant.published("2.0.0", &[]);
    let device = plant.device("d1").args(&SLOW).start();
    watcher.sees_chunk("d1", 30);
    killed.kill();
    let leaving = plant.published("2.0.0", &[]);
    watcher.sees_chunk("d1", 80);
    leaving.interrupt();
    assert_eq!(leaving.done().status, Some(0));
    plant.broker.log().wait("Received DISCONNECT from fota-", SOON);
    let _publisher = plant.published("2.0.0", &[]);
    let _told = device.done().well_done();
    watcher.sees("d1", &["confirmed"]);
    let presence = watcher.seen.iter().filter(|message| message.topic == "fota/meter/publisher");
    let presence: Vec<_> =
        presence.map(|message| message.payload.escape_ascii().to_string()).collect();
    assert_eq!(presence, ["online", "offline", "online", "offline", "online"]);
    let sent = watcher.numbers("d1");
    // For each publisher up to two windows: one that the device asked for before it heard of the change, and one after.
    assert!(sent.len() <= CHUNKS + 4 * WINDOW, "it does not begin anew: {sent:?}");
}

#[test]
fn inject_bad_image_is_rolled_back_after_three_trials_and_refused_from_then_on() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let publisher = plant.published("2.0.0", &["--devices", "1"]);
    for _trial in 0..3 {
        let done = plant.device("d1").args(&["--inject", "bad-image"]).run();
        assert_eq!(done.status, Some(3), "{}", done.err);
        assert!(String::from_utf8_lossy(&done.out).contains("boots 2.0.0 from slot B, on trial"));
        watcher.sees("d1", &["offline", "2.0.0"]);
    }
    let done = plant.device("d1").run();
    assert_eq!(done.status, Some(1));
    assert!(done.err.contains("it was on trial here, and failed"), "{}", done.err);
    watcher.sees("d1", &["rolled back", "1.0.0", "\"offered\":\"2.0.0\""]);
    watcher.sees("d1", &["refused", "1.0.0", "failed"]);
    assert_eq!(watcher.numbers("d1").len(), CHUNKS, "it is received once");
    let verdict = publisher.done();
    assert_eq!(verdict.status, Some(1));
    assert!(verdict.err.contains("1 of 1 devices do not run the image"), "{}", verdict.err);
    // A later version is taken.
    plant.adds("2.0.1", &plant.image);
    let _publisher = plant.published("2.0.1", &[]);
    let _told = plant.device("d1").run().well_done();
    watcher.sees_within("d1", &["confirmed", "2.0.1"], Duration::from_secs(30));
}
