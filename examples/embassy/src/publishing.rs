//! The two tasks that publish.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use embassy_time::Timer;
use mqtt_core::driver::asynch::WaitError;
use mqtt_core::{Publish, QoS};

use crate::{device::Device, memory::Client, text::text};

/// Milliseconds between two messages of a task.
static INTERVAL: AtomicU32 = AtomicU32::new(1_000);

/// Each task that publishes says here that it is done.
pub(crate) static DONE: Channel<CriticalSectionRawMutex, (), TASKS> = Channel::new();

/// The tasks that publish.
pub(crate) const TASKS: usize = 2;

/// Sets the time between two messages of a task.
pub fn set_interval(millis: u32) {
    INTERVAL.store(millis, Ordering::Relaxed);
}

/// The time between two messages of a task, in milliseconds.
#[must_use]
pub fn interval() -> u32 {
    INTERVAL.load(Ordering::Relaxed)
}

async fn pause() {
    Timer::after_millis(interval().into()).await;
}

/// Publishes the temperature `count` times, or for ever, at QoS 1: each message arrives at least once.
///
/// It waits for room only. The outcome is an event that nobody needs: the client sends the message again until the
/// broker has it. Offline the outbox fills, and then this task waits: so no reading is lost, and none is newer than it
/// says. To keep the newest readings instead, use `try_publish` at QoS 0 with `Options::queue(Queue::DropOldest)`.
#[embassy_executor::task]
pub async fn temperature(client: Client, device: Device, count: Option<u32>) {
    for number in 1..=count.unwrap_or(u32::MAX) {
        let (degrees, tenths) = (20 + number % 50 / 10, number % 10);
        let reading = text(format_args!("{number} {degrees}.{tenths}"));
        let message = Publish::new(device.temperature, reading.as_bytes()).qos(QoS::AtLeastOnce);
        if let Err(error) = client.publish(&message).await {
            log::warn!("temperature {number}: {error}");
        }
        pause().await;
    }
    DONE.send(()).await;
}

/// Publishes a counter `count` times, or for ever, at QoS 2: each message arrives exactly once.
///
/// It waits for each outcome, because it says what happened to each number. If the broker has lost the session, the
/// outcome may be `Lost`: nobody can say whether the message arrived, and the application decides what it does then.
#[embassy_executor::task]
pub async fn counter(client: Client, device: Device, count: Option<u32>) {
    for number in 1..=count.unwrap_or(u32::MAX) {
        let value = text(format_args!("{number}"));
        let message = Publish::new(device.counter, value.as_bytes()).qos(QoS::ExactlyOnce);
        match client.publish_wait(&message).await {
            Ok(outcome) => log::info!("counter {number}: {outcome}"),
            Err(WaitError::Stopped(_)) => return,
            Err(error) => log::warn!("counter {number}: {error}"),
        }
        pause().await;
    }
    DONE.send(()).await;
}
