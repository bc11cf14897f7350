//! The daemon's thread: it polls the guard, and calls the handler.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::last_resort::LastResort;
use super::shared::{Shared, Stop, lock};
use super::{Bite, Event};
use crate::bite::Stage;
use crate::guard::Guard;
use crate::hardware::Watchdog;
use crate::log::log;
use crate::plan::Timing;
use crate::supervisor::{Action, Supervisor};

/// The daemon's thread.
pub(super) struct Runner<H> {
    pub(super) shared: Arc<Shared>,
    pub(super) last_resort: Arc<LastResort>,
    pub(super) handler: H,
}

impl<H> Runner<H> {
    pub(super) fn until_stopped<W>(self, hardware: W, timing: Timing<'static>) -> W
    where
        W: Watchdog,
        H: FnMut(Event<'_, W::Error>),
    {
        let Self { shared, last_resort, mut handler } = self;
        let _signals_end = SignalsEnd(&shared);
        let time = &shared.time;
        let supervisor = Supervisor::new(shared.places.tasks(), timing, time.now());
        // If the handler panics, the hardware is not dropped: a pin that is dropped floats, and then some chips feed
        // themselves.
        let mut guard = ManuallyDrop::new(Guard::new(hardware, supervisor));
        // Several attempts fit before the hardware's time-out, which is longer than a heartbeat.
        let retry_after = u64::from(timing.heartbeat_millis() / 8).max(1);
        let mut reset_is_due = false;
        loop {
            // Read before the poll: so the poll sees every failure that was reported before the call of `stop`.
            let stop_asked = *lock(&shared.stop) == Stop::Asked;
            let now = time.now();
            let polled = guard.poll(now);
            match guard.supervisor().failure() {
                Some(failure) if stop_asked => {
                    *lock(&shared.stop) = Stop::Refused(failure);
                    shared.stopped.notify_all();
                }
                None if stop_asked => {
                    last_resort.off();
                    log!(warn, "watchdog: the daemon is stopped, no thread is watched any more");
                    return ManuallyDrop::into_inner(guard).into_hardware();
                }
                Some(_) | None => {}
            }
            let next = match polled {
                Ok(polled) => {
                    if let Action::Stage(stage, failure) = polled.action {
                        if !reset_is_due {
                            last_resort.expect_in(0);
                        }
                        // From here on, the process has to end.
                        reset_is_due |= stage == Stage::Reset;
                        let rescue = &mut |id, now| guard.restarted(id, now).map(drop);
                        handler(Event::Stage(Bite { stage, failure, shared: &shared, rescue }));
                    }
                    // After a thread has been replaced, the hardware is fed at once.
                    let rescued = matches!(polled.action, Action::Stage(..))
                        && guard.supervisor().failure().is_none();
                    if rescued { now } else { polled.next }
                }
                Err(error) => {
                    handler(Event::NotFed(error));
                    now.plus_millis(retry_after)
                }
            };
            if !reset_is_due {
                last_resort.expect_in(next.millis_since(time.now()));
            }
            let late = time.wait(next);
            if !reset_is_due {
                last_resort.expect_in(0);
            }
            if let Some(by) = late {
                log!(warn, "watchdog: the daemon was late by {} ms", by.as_millis());
                handler(Event::Late(by));
            }
        }
    }
}

/// Marks the end and wakes `Daemon::stop` when the thread ends, also if it panics.
struct SignalsEnd<'a>(&'a Shared);

impl Drop for SignalsEnd<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        *lock(&self.0.stop) = Stop::Done;
        self.0.stopped.notify_all();
    }
}
