//! The task that serves the connection. It is watched itself, by what the wire shows.

use core::convert::Infallible;

use embassy_futures::{
    select::{Either, select},
    yield_now,
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use embassy_time::{Delay, Timer};
use mqtt_core::driver::asynch::{Dial, RunError};
use watchdog_core::Task;

use super::{Node, budget::LINK, orders};
use crate::{
    clock, events,
    link_health::{LinkHealth, Sample, Step},
    memory::{Client, Requests, Runner},
};

/// Something came in. A signal holds one value, so it is never full.
static EVENT: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// The longest time between two looks, in milliseconds. A PINGRESP is no event, so it is found by a look.
const LOOK: u64 = 1_000;

/// A network that can be restarted: its power switched off and on, or its chip reset.
pub trait Modem {
    /// Restarts it.
    fn restart(&mut self) -> impl Future<Output = ()>;
}

/// Serves the connection until the client is stopped.
///
/// Each step begins by dropping the future that serves the connection: the connection is gone at once, also if the link
/// is dead. The session stays, and the next connection goes on with it.
///
/// # Errors
///
/// As [`Runner::run`](mqtt_core::driver::asynch::Runner::run).
pub async fn serve<D: Dial + Modem>(
    runner: &mut Runner,
    dial: &mut D,
    client: Client,
    node: &Node,
    link: &'static Task,
    commands: &'static Task,
) -> Result<(), RunError<Infallible>> {
    let mut handle = async |requests: Requests<'_>, event: mqtt_core::Event<'_>| {
        events::handle(&node.device, requests, &event);
        orders::handed_over(commands);
        EVENT.signal(());
    };
    let mut health = LinkHealth::new(LINK, clock::watchdog());
    let mut begins_at_once = false;
    loop {
        let run = runner.run(&mut *dial, Delay, clock::now, &mut handle);
        let step = step(client, &mut health, link, begins_at_once);
        match select(run, step).await {
            Either::First(ended) => {
                if let Err(refused) = link.handle().retire(clock::watchdog()) {
                    log::warn!("link: {refused}");
                }
                return ended;
            }
            Either::Second(step) => {
                log::warn!("link: no progress, {step:?}");
                if step == Step::RestartModem {
                    dial.restart().await;
                }
                begins_at_once = true;
            }
        }
    }
}

/// Feeds the task of the link while it makes progress, until a step is due.
async fn step(
    client: Client,
    health: &mut LinkHealth,
    link: &'static Task,
    begins_at_once: bool,
) -> Step {
    if begins_at_once {
        // The runner has begun before this is polled. Otherwise the pause between two attempts would follow.
        client.connect();
    }
    loop {
        let sample = Sample { counters: client.counters(), in_flight: client.in_flight() };
        let now = clock::watchdog();
        let look = health.look(&sample, now);
        if look.progress
            && let Err(refused) = link.handle().feed(now)
        {
            log::warn!("link: {refused}");
        }
        if let Some(step) = look.step {
            return step;
        }
        match look.next.millis_since(now).min(LOOK) {
            // The runner reads what has come.
            0 => yield_now().await,
            left => {
                select(EVENT.wait(), Timer::after_millis(left)).await;
            }
        }
    }
}
