//! A daemon that does not start: its hardware is given back, and is never dropped by accident.
#![cfg(all(target_os = "linux", feature = "linux-realtime"))]

use std::sync::mpsc;

use watchdog_core::host::daemon::{Daemon, NotStarted, Settings, StartError};

use crate::bench::{Dropped, TIMING};

/// No priority is above 99.
fn fails(hardware: Dropped) -> NotStarted<Dropped> {
    let settings = Settings::new().real_time(100);
    Daemon::start_with(settings, hardware, 1, TIMING, |_| {}).err().unwrap()
}

#[test]
fn a_daemon_that_does_not_start_gives_its_hardware_back() {
    let (dropped, drops) = mpsc::channel();
    let failed = fails(Dropped(dropped));
    assert!(matches!(failed.error, StartError::RealTime { priority: 100, .. }));
    let (_, hardware) = failed.into_parts();
    assert!(drops.try_recv().is_err(), "it is dropped");
    drop(hardware);
    assert!(drops.try_recv().is_ok(), "now it is dropped on purpose");
}

#[test]
fn hardware_that_nobody_takes_back_from_the_error_is_not_dropped() {
    let (dropped, drops) = mpsc::channel();
    let failed: Box<dyn std::error::Error> = fails(Dropped(dropped)).into();
    assert!(failed.to_string().contains("the real-time priority 100"), "{failed}");
    drop(failed);
    assert!(drops.try_recv().is_err(), "a pin that is dropped floats, and the chip may be off");
}
