//! The sensors: each is a task that is fed by its own work.

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use embassy_time::{Duration, Timer, with_timeout};
use mqtt_core::{Publish, QoS, Topic};
use watchdog_core::Task;

use super::{
    budget::PERIOD,
    fault::{self, Victim},
};
use crate::{clock, memory::Client, publishing, text::text};

/// Each sensor says here that it is done.
pub static DONE: Channel<CriticalSectionRawMutex, (), SENSORS> = Channel::new();

/// The number of sensors.
pub const SENSORS: usize = 2;

/// A sensor, and its place under the watchdog.
#[derive(Clone, Copy, Debug)]
pub struct Sensor {
    /// Where its readings go.
    pub topic: Topic<'static>,
    /// Its task.
    pub task: &'static Task,
    /// Its name among those that can be made to fail.
    pub victim: Victim,
}

/// Measures and publishes `count` times, or for ever, at QoS 1.
///
/// The task is fed once a reading is taken. Whether it leaves the device is the matter of the link, which has a task of
/// its own: if the broker is away, the sensors are well. So a reading waits for room for one period only. Then it is
/// dropped, since the next one is newer.
#[embassy_executor::task(pool_size = SENSORS)]
pub async fn sensor(client: Client, sensor: Sensor, count: Option<u32>) {
    for number in 1..=count.unwrap_or(u32::MAX) {
        fault::strike(sensor.victim, number).await;
        let (whole, tenths) = (20 + number % 50 / 10, number % 10);
        let reading = text(format_args!("{number} {whole}.{tenths}"));
        let message = Publish::new(sensor.topic, reading.as_bytes()).qos(QoS::AtLeastOnce);
        let room = Duration::from_millis(PERIOD.into());
        match with_timeout(room, client.publish(&message)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::warn!("{} {number}: {error}", sensor.task.name()),
            Err(_) => log::warn!("{} {number}: no room, dropped", sensor.task.name()),
        }
        if let Err(refused) = sensor.task.handle().feed(clock::watchdog()) {
            log::warn!("{}: {refused}", sensor.task.name());
        }
        Timer::after_millis(publishing::interval().into()).await;
    }
    if let Err(refused) = sensor.task.handle().retire(clock::watchdog()) {
        log::warn!("{}: {refused}", sensor.task.name());
    }
    DONE.send(()).await;
}
