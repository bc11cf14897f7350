//! The daemon's thread: it polls the guard, and calls the handler.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use core::time::Duration;

use super::freeze::Freezes;
use super::last_resort::LastResort;
use super::shared::{Refusal, Request, Shared};
use super::time::Time;
use super::{Bite, Event, Report};
use crate::bite::Stage;
use crate::guard::Guard;
use crate::hardware::Watchdog;
use crate::log::log;
use crate::plan::Timing;
use crate::supervisor::{Action, Poll, Supervisor};
use crate::time::Instant;

/// The daemon's thread.
pub(super) struct Runner<H> {
    pub(super) shared: Arc<Shared>,
    pub(super) last_resort: LastResort,
    pub(super) handler: H,
}

impl<H> Runner<H> {
    pub(super) fn until_stopped<W>(self, hardware: W, timing: Timing<'static>) -> W
    where
        W: Watchdog,
        H: FnMut(Event<'_, W::Error>),
    {
        let Self { shared, mut last_resort, mut handler } = self;
        let _signals_end = SignalsEnd(&shared);
        let time = &shared.time;
        // In a freeze the time stands still, also while the handler runs.
        let mut tell = |event: Event<'_, W::Error>, is_frozen: bool| {
            if is_frozen {
                return handler(event);
            }
            time.run_freely();
            handler(event);
            let _counts = time.work();
        };
        let mut late = time.work();
        let supervisor = Supervisor::new(shared.places.tasks(), timing, time.now());
        // If the handler panics, the hardware is not dropped: a pin that is dropped floats, and then some chips feed
        // themselves.
        let mut guard = ManuallyDrop::new(Guard::new(hardware, supervisor));
        // Several attempts fit before the hardware's time-out, which is longer than a heartbeat.
        let retry_after = u64::from(timing.heartbeat_millis() / 8).max(1);
        let mut freezes = Freezes::new(timing);
        loop {
            if let Some(by) = late {
                log!(warn, "watchdog: the daemon was late by {} ms", by.as_millis());
                tell(Event::Late(by), false);
            }
            // Read before the poll: so the poll sees every failure that was reported before the call of `stop`.
            let request = shared.request();
            let clock = time.of_clock();
            let feeds = freezes.feed_is_due(time);
            let now = time.now();
            let polled = if freezes.is_frozen() {
                guard.poll_frozen(now, feeds)
            } else {
                guard.poll_in_window(now, freezes.closed(clock))
            };
            match &polled {
                Ok(Poll { action: Action::Feed, .. }) => freezes.fed(clock, None),
                Ok(Poll { action: Action::Report(_), .. }) if feeds => freezes.feed_again(clock),
                Ok(_) => {}
                Err(_) => freezes.fed(clock, Some(retry_after)),
            }
            if let Ok(Poll { action: Action::Report(failure), .. }) = polled {
                shared.give_up(failure.task);
                tell(Event::Report(Report { failure, shared: &shared }), freezes.is_frozen());
            }
            let failure = guard.supervisor().failure();
            if failure.is_some() {
                freezes.end(time);
            }
            match (request, failure) {
                (Some(Request::Stop), None) => {
                    last_resort.off();
                    log!(warn, "watchdog: the daemon is stopped, no thread is watched any more");
                    return ManuallyDrop::into_inner(guard).into_hardware();
                }
                (Some(_), Some(failure)) => shared.answer(Err(Refusal::Failed(failure))),
                (Some(Request::Freeze(most)), None) => {
                    let next = polled.as_ref().ok().map(|polled| polled.next.millis_since(now));
                    let feed_in = next.unwrap_or(retry_after);
                    shared.answer(freezes.freeze(time, most, feed_in).map_err(Refusal::Freeze));
                }
                (Some(Request::Thaw), None) => {
                    shared.answer(freezes.thaw(time).then_some(()).ok_or(Refusal::NotFrozen));
                }
                (None, _) => {}
            }
            let next = match polled {
                Ok(polled) => {
                    if let Action::Stage(stage, failure) = polled.action {
                        last_resort.expect_in(0);
                        if stage == Stage::Reset {
                            last_resort.expect_the_end();
                        }
                        let rescue = &mut |id, now| guard.restarted(id, now).map(drop);
                        tell(Event::Stage(Bite { stage, failure, shared: &shared, rescue }), false);
                    }
                    // After a thread has been replaced, the hardware is fed at once.
                    let rescued = matches!(polled.action, Action::Stage(..))
                        && guard.supervisor().failure().is_none();
                    if rescued { now } else { polled.next }
                }
                Err(error) => {
                    tell(Event::NotFed(error), freezes.is_frozen());
                    now.plus_millis(retry_after)
                }
            };
            late = wait(time, &freezes, &last_resort, next);
        }
    }
}

/// Waits until `next`; in a freeze, until its next feed or its end. Returns how late the daemon was, if it was too late.
fn wait(
    time: &Time,
    freezes: &Freezes,
    last_resort: &LastResort,
    next: Instant,
) -> Option<Duration> {
    let late = match freezes.wait_until() {
        Some(until) => {
            last_resort.expect_in(until.millis_since(time.of_clock()));
            time.wait_still(until);
            None
        }
        None => {
            last_resort.expect_in(next.millis_since(time.now()));
            time.wait(next)
        }
    };
    last_resort.expect_in(0);
    late
}

/// Marks the end when the thread ends, also if it panics.
struct SignalsEnd<'a>(&'a Shared);

impl Drop for SignalsEnd<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
