//! Power cuts: real processes that end within an operation of the flash, or by SIGKILL at any moment. What boots next is
//! the old image or the new one, whole.

use crate::plant::{CHUNKS, Plant, SLOW, WINDOW, WellDone};

/// The boot line of a device.
#[track_caller]
fn booted(out: &[u8]) -> String {
    let text = String::from_utf8_lossy(out).into_owned();
    let line = text.lines().find(|line| line.contains("boots "));
    line.unwrap_or_else(|| panic!("it boots: {text}")).to_owned()
}

#[test]
fn inject_power_cut_boots_the_old_image_or_the_new_one_and_the_update_goes_on() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    // The header is erased, the log is erased, the header is written; then about four operations for each chunk.
    for (number, after) in [0, 1, 2, 3, 5, 100, 300, 450].into_iter().enumerate() {
        let (device, cut) = (format!("d{number}"), format!("power-cut={after}"));
        let mut cuts = 0;
        for _life in 0..3 {
            let done = plant.device(&device).args(&["--inject", &cut]).run();
            let booted = booted(&done.out);
            assert!(booted.contains("boots 1.0.0") || booted.contains("boots 2.0.0"), "{booted}");
            if done.status == Some(0) {
                break;
            }
            assert_eq!(done.status, None, "an abort: {}", done.err);
            assert!(done.err.contains("the power is cut"), "{}", done.err);
            watcher.sees(&device, &["offline"]);
            cuts += 1;
        }
        assert!(cuts > 0, "{cut}");
        let _told = plant.device(&device).run().well_done();
        watcher.sees(&device, &["confirmed", "2.0.0"]);
        let sent = watcher.numbers(&device).len();
        assert!(sent <= CHUNKS + cuts * (WINDOW + WINDOW / 2), "{cut}: {sent}, it begins anew");
    }
}

#[test]
fn inject_power_cut_at_a_random_operation_loses_nothing() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    for device in ["d1", "d2", "d3"] {
        let done = plant.device(device).args(&["--inject", "power-cut"]).run();
        // The cut may fall behind the last operation.
        assert!(matches!(done.status, None | Some(0)), "{}", done.err);
        let told = plant.device(device).run().well_done();
        assert!(told.contains("boots 1.0.0") || told.contains("boots 2.0.0"), "{told}");
        watcher.sees(device, &["confirmed", "2.0.0"]);
    }
}

#[test]
fn a_device_that_is_killed_again_and_again_comes_to_the_new_image() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    let mut kills = 0;
    for number in [5, 17, 40, 41, 80, 100] {
        let device = plant.device("d1").args(&SLOW).start();
        watcher.sees_chunk("d1", number);
        device.kill();
        kills += 1;
        watcher.sees("d1", &["offline"]);
    }
    let told = plant.device("d1").run().well_done();
    assert!(told.contains("2.0.0 is confirmed") || told.contains("boots 2.0.0"), "{told}");
    watcher.sees("d1", &["2.0.0"]);
    let sent = watcher.numbers("d1").len();
    assert!(sent <= CHUNKS + kills * (WINDOW + WINDOW / 2), "{sent}: it does not begin anew");
}
