//! What the gateway does when the watchdog bites: last words for the next start, then an end as a reset would make it.

use std::{process, sync::Arc};

use mqtt_examples::print;
use watchdog_core::{Stage, host::daemon::Event};

use super::BITTEN;
use crate::{board::Board, hardware::HardwareError, records::Records, screen};

/// The handler of the daemon.
///
/// At the bite it takes no lock of this program, because the thread that hangs may hold it, and it says nothing to the
/// broker: the client is shared with that thread, too. The end of the process closes the connection, and the broker
/// publishes the will at once.
pub(super) fn handler(
    records: Records,
    board: Arc<Board>,
) -> impl FnMut(Event<'_, HardwareError>) + Send + 'static {
    let mut recorded = Ok(());
    move |event| match event {
        Event::Stage(bite) => match bite.stage() {
            Stage::LastWords => recorded = records.last_words(bite.failure()),
            Stage::Reset => {
                screen::restore();
                let failure = bite.failure();
                print::error(&format!("gateway: {failure}: the watchdog bites"));
                if let Err(error) = &recorded {
                    print::error(&format!("gateway: no last words: {error}"));
                }
                // No destructor runs: a device is not stopped, and no DISCONNECT is sent.
                process::exit(BITTEN);
            }
            // The plan has no other stage.
            Stage::Warn | Stage::Restart | Stage::ResetLink | Stage::Other(_) => {}
        },
        Event::Report(report) => {
            board.tell(&format!("{}: {}", report.name(), report.failure()));
        }
        Event::NotFed(error) => board.tell(&format!("not fed: {error}")),
        Event::Late(by) => board.tell(&format!("the process did not run for {by:?}")),
    }
}
