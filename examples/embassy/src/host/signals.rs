//! Ctrl-C and SIGTERM.

extern crate std;

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};

use super::Result;

static STOP: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// The exit status of a program that was ended by the second signal.
const INTERRUPTED: i32 = 130;

/// From now on the first signal is given by the future that this returns, and the second one ends the program.
///
/// # Errors
///
/// If the system refuses the handler.
pub fn stop_at_signals() -> Result<impl Future<Output = ()>> {
    static SECOND: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(|| {
        if SECOND.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
        STOP.signal(());
    })?;
    Ok(STOP.wait())
}
