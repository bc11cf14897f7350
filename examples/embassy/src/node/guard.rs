//! The guard: it polls the verdict over all tasks behind everything else, and only it can feed the hardware.
//!
//! An executor of embassy has no priorities. So the guard lets everything that is ready run first, and a task that never
//! lets go keeps it from polling: the hardware bites. On a Cortex-M the other tasks run in executors of interrupts, and
//! the guard in that of the thread mode, which is the lowest priority of all: then it runs only if no other task is
//! ready. The code is the same.

use embassy_futures::{
    select::{Either, select},
    yield_now,
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use embassy_time::Timer;
use watchdog_core::hardware::Watchdog;
use watchdog_core::{Action, CrashRecord, Guard, Stage};

use super::fault::{self, Victim};
use crate::clock;

/// The node ends on purpose: the client is stopped.
pub static END: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// Until the next attempt to feed hardware that could not be fed, in milliseconds.
const AGAIN: u64 = 50;

/// The parts of a board that the guard needs at the end of a run.
pub trait Board {
    /// Keeps this over the reset: in RAM that the start-up code does not clear.
    fn keep(&mut self, record: &CrashRecord);

    /// Resets the device.
    fn reset(&mut self) -> !;
}

/// Polls until [`END`]. `last` is the record of the run before: bites in a row are counted.
pub async fn watch<W: Watchdog>(
    guard: &mut Guard<'static, W>,
    board: &mut impl Board,
    last: Option<&CrashRecord>,
) {
    let mut round = 0_u32;
    loop {
        // What is ready by now, runs before this goes on.
        yield_now().await;
        round = round.saturating_add(1);
        fault::strike(Victim::Guard, round).await;
        let now = clock::watchdog();
        let wait = match guard.poll(now) {
            Ok(polled) => {
                act(polled.action, board, last);
                polled.next.millis_since(now)
            }
            Err(error) => {
                log::warn!("guard: the hardware is not fed: {error:?}");
                AGAIN
            }
        };
        if let Either::First(()) = select(END.wait(), Timer::after_millis(wait)).await {
            return;
        }
    }
}

fn act(action: Action, board: &mut impl Board, last: Option<&CrashRecord>) {
    match action {
        Action::Feed | Action::Wait => {}
        Action::Report(failure) => log::warn!("guard: {failure}"),
        Action::Stage(Stage::LastWords, failure) => {
            log::error!("guard: {failure}");
            board.keep(&CrashRecord::new(failure).after(last));
        }
        Action::Stage(Stage::Reset, _) => board.reset(),
        // The plan has no other stages, and after the reset there is nothing.
        Action::Stage(..) | Action::Stopped(_) => {}
    }
}
