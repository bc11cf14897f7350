//! The last resort: a thread that aborts the process if the daemon's thread does not come back.
//!
//! The thread sleeps and counts down, and does nothing else. It takes no lock, allocates nothing and writes nothing, so
//! no lock and no other thread can hold it up. It counts its own wake-ups instead of reading a clock: a process that was
//! stopped for a minute has lost one wake-up, and is not aborted.
//!
//! Invariants: the countdown is one atomic word; only the daemon's thread sets it, only this thread lowers it; the
//! process is aborted not sooner than after the bound, and at most an eighth of the bound later.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use core::time::Duration;

/// The countdown of a daemon that has ended on purpose.
const OFF: u32 = u32::MAX;
/// The thread needs little; a small stack is also little to lock into memory.
const STACK: usize = 64 * 1024;

/// The daemon's side of its last resort.
#[derive(Clone, Debug)]
pub(super) struct LastResort {
    /// The milliseconds that are left. `None`: there is no last resort.
    left: Option<Arc<AtomicU32>>,
    bound: u32,
    /// The process has to end: the countdown is not set any more.
    ends: bool,
}

impl LastResort {
    /// Starts the thread, except if there is no bound. The countdown begins at the bound.
    pub(super) fn start(bound: Option<Duration>) -> io::Result<(Self, Option<JoinHandle<()>>)> {
        let Some(bound) = bound else {
            return Ok((Self { left: None, bound: 0, ends: false }, None));
        };
        let bound = u32::try_from(bound.as_millis()).unwrap_or(OFF).min(OFF - 1);
        let left = Arc::new(AtomicU32::new(bound));
        let counted = Arc::clone(&left);
        let thread = thread::Builder::new()
            .name("watchdog-last".into())
            .stack_size(STACK)
            .spawn(move || count_down(&counted, (bound / 8).max(1)))?;
        Ok((Self { left: Some(left), bound, ends: false }, Some(thread)))
    }

    /// The daemon's thread is back, and will be back again after `millis`. From then on the bound counts.
    pub(super) fn expect_in(&self, millis: u64) {
        if let Some(left) = self.left.as_ref().filter(|_| !self.ends) {
            let millis = u32::try_from(millis).unwrap_or(OFF);
            left.store(self.bound.saturating_add(millis).min(OFF - 1), Ordering::Relaxed);
        }
    }

    /// The process has to end within the bound.
    pub(super) fn expect_the_end(&mut self) {
        self.ends = true;
    }

    /// The daemon has ended on purpose.
    pub(super) fn off(&self) {
        if let Some(left) = &self.left {
            left.store(OFF, Ordering::Relaxed);
        }
    }
}

fn count_down(left: &AtomicU32, slice: u32) {
    loop {
        thread::sleep(Duration::from_millis(slice.into()));
        let lower = |left: u32| (left != OFF).then(|| left.saturating_sub(slice));
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower) {
            // It was 0 a whole slice ago, so the whole bound is over.
            Ok(0) => process::abort(),
            Ok(_) => {}
            Err(_off) => return,
        }
    }
}
