//! The clock of the client. The other half is `embassy_time::Delay`.

use mqtt_core::Instant;

/// The time since the device has started.
#[must_use]
pub fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}
