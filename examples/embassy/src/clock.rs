//! The clock of the client and of the watchdog. The other half is `embassy_time::Delay`.

use mqtt_core::Instant;

/// The time since the device has started.
#[must_use]
pub fn now() -> Instant {
    Instant::from_millis(millis())
}

/// The same time, for the watchdog.
#[must_use]
pub fn watchdog() -> watchdog_core::Instant {
    watchdog_core::Instant::from_millis(millis())
}

fn millis() -> u64 {
    embassy_time::Instant::now().as_millis()
}
