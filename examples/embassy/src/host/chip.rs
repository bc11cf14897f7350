//! [`SoftwareChip`]: stands for the watchdog hardware of a board. It counts in a thread of its own, so it bites also if
//! nothing else in the process runs any more.

extern crate std;

use core::convert::Infallible;
use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::{io, println, process, thread};

use watchdog_core::hardware::{ErrorType, Stop, StopError, Watchdog};
use watchdog_core::{Beat, Countdown};

/// The exit status of a program that a device's watchdog would have reset.
pub const RESET: i32 = 3;

const BEAT: Duration = Duration::from_millis(100);

/// It bites 2.1 to 2.2 s after a feed, and later if the system is busy: between the 2 s and the 2.6 s of the budget.
static COUNTDOWN: Countdown = Countdown::new(22);

/// A running chip. If the value is dropped, it bites soon: the thread goes on.
#[derive(Debug)]
pub struct SoftwareChip {
    stop: Sender<()>,
}

impl SoftwareChip {
    /// Starts it. There is one for each process.
    ///
    /// # Errors
    ///
    /// If the system has no thread left.
    pub fn start() -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        thread::Builder::new().name("chip".into()).spawn(move || {
            loop {
                match stopped.recv_timeout(BEAT) {
                    Ok(()) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                    // The value was dropped, which stops nothing.
                    Err(RecvTimeoutError::Disconnected) => thread::sleep(BEAT),
                }
                if COUNTDOWN.heartbeat() == Beat::Bite {
                    println!("chip: not fed any more, reset");
                    process::exit(RESET);
                }
            }
        })?;
        Ok(Self { stop })
    }
}

impl ErrorType for SoftwareChip {
    type Error = Infallible;
}

impl Watchdog for SoftwareChip {
    fn feed(&mut self) -> Result<(), Infallible> {
        COUNTDOWN.feed();
        Ok(())
    }
}

/// Many built-in watchdogs cannot be stopped. Their devices end with a reset also on purpose.
impl Stop for SoftwareChip {
    type Stopped = ();

    fn stop(self) -> Result<(), StopError<Self, Infallible>> {
        // The thread ends the process before it ends itself.
        let _stopped = self.stop.send(());
        Ok(())
    }
}
