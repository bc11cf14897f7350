//! The memory of both sides does not grow with the image.

use system_tests::{Config, Running};

use crate::plant::Plant;

const MIB: usize = 1 << 20;

/// The peak of the publisher and of the device for an image of so many MiB.
fn peaks(mebibytes: usize) -> [u64; 2] {
    let plant = Plant::with_image(Config::new().quiet(), mebibytes * MIB);
    plant.has_device("d1", "1.0.0", "64M");
    let publisher = plant.published("2.0.0", &[]);
    // Without --once it runs on.
    let mut device = plant.stays("d1").start();
    device.lines().wait("2.0.0 is confirmed", std::time::Duration::from_secs(120));
    let peaks = [&publisher, &device].map(Running::peak_memory);
    device.interrupt();
    assert_eq!(device.done().status, Some(0));
    publisher.interrupt();
    assert_eq!(publisher.done().status, Some(0));
    peaks
}

#[test]
fn the_memory_of_publisher_and_device_is_flat_from_1_to_64_mebibytes() {
    let [first, others @ ..] = [1, 4, 16, 64].map(peaks);
    for peaks in others {
        for (name, small, large) in
            [("publisher", first[0], peaks[0]), ("device", first[1], peaks[1])]
        {
            assert!(large <= small + MIB as u64, "{name}: {small} bytes for 1 MiB, then {large}");
            assert!(large < 32 * MIB as u64, "{name}: {large}");
        }
    }
}
