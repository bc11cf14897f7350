//! The clock for the dates of certificates.

extern crate std;

use std::time::{SystemTime, UNIX_EPOCH};

use embedded_tls::TlsClock;

/// The clock of the operating system. A device without one uses `embedded_tls::NoClock`, and dates are not checked.
#[derive(Clone, Copy, Debug)]
pub struct WallClock;

impl TlsClock for WallClock {
    fn now() -> Option<u64> {
        SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
    }
}
