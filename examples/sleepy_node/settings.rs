//! The intervals of the node, and its plan, which the compiler proves.
//!
//! Times are in milliseconds of a node whose minute has 60 seconds. For a trial against a real broker a minute may be
//! shorter: then everything shrinks with it.

use mqtt_core::{ConfigError, Options, QoS, Reconnect, StaticClient};
use watchdog_core::{Plan, PlanError, Rules, Task, Timing, plan};

/// A minute of the node, unless it is in a hurry.
pub(crate) const MINUTE: u32 = 60_000;
/// It publishes at every tenth measurement,
pub(crate) const MEASUREMENTS_PER_PUBLISH: u64 = 10;
/// and a state that must not be lost at every sixtieth.
pub(crate) const MEASUREMENTS_PER_STATE: u64 = 60;
/// A PINGREQ is due after three quarters of it: 15 minutes without a byte from the broker.
const KEEP_ALIVE_MINUTES: u32 = 20;
/// The hardware is fed at every fifth heartbeat of the work.
const FEED: u32 = 5 * MINUTE;
/// The device wakes up each minute, so more slack is of no use for a feed.
const MOST_FEED_SLACK: u32 = MINUTE;
/// A built-in watchdog that counts while the device sleeps, set to 8 minutes, with an oscillator of 1 %.
const CHIP: (u32, u32) = (475_200, 484_800);
/// A poll may be late by this: the flash is being erased, a handshake is computed.
const LATE: u32 = 30_000;
/// The end of a publish is recorded after this time at the latest.
const RECORD_DELAY: u32 = 1_000;

const SENSOR: Rules = Rules::deadline(5 * MINUTE).works(MINUTE, 5_000).named("sensor");
/// Without a byte from the broker for two hours the device is reset.
const LINK: Rules = Rules::deadline(120 * MINUTE).named("link");

// The chip covers a heartbeat after an early feed with the most slack, so it does with less.
const _: Timing<'static> =
    plan!(Plan::heartbeat(FEED).slack(MOST_FEED_SLACK).late(LATE).chip(CHIP.0, CHIP.1));

/// The choices of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Milliseconds of a minute.
    pub(crate) minute: u32,
    /// The most slack, in milliseconds of this minute; 0: everything is done when it is due.
    pub(crate) slack: u32,
    /// Of the messages at every tenth measurement.
    pub(crate) qos: QoS,
}

impl Settings {
    /// `millis` of a usual minute in this one.
    pub(crate) fn scaled(&self, millis: u32) -> u32 {
        let scaled = u64::from(millis) * u64::from(self.minute) / u64::from(MINUTE);
        u32::try_from(scaled).unwrap_or(u32::MAX)
    }

    /// The plan of the supervisor.
    pub(crate) fn timing(&self) -> Result<Timing<'static>, PlanError> {
        Plan::heartbeat(self.scaled(FEED))
            .slack(self.slack.min(self.scaled(MOST_FEED_SLACK)))
            .late(self.scaled(LATE))
            .chip(self.scaled(CHIP.0), self.scaled(CHIP.1))
            .check()
    }

    /// The sensor and the link, for that plan.
    pub(crate) fn tasks(&self, timing: Timing<'_>) -> Result<[Task; 2], PlanError> {
        let sensor = Rules::deadline(self.scaled(SENSOR.deadline_millis()))
            .works(self.scaled(MINUTE), self.scaled(5_000))
            .named("sensor");
        let link = Rules::deadline(self.scaled(LINK.deadline_millis())).named("link");
        Ok([Task::new(sensor, timing)?, Task::new(link, timing)?])
    }

    /// The client `id`, whose session outlives connections and power cuts.
    pub(crate) fn client(&self, id: &str) -> Result<StaticClient<1024, 8>, ConfigError> {
        let seconds = self.scaled(KEEP_ALIVE_MINUTES * MINUTE) / 1_000;
        let reconnect = Reconnect::after(self.scaled(2_000))
            .at_most(self.scaled(10 * MINUTE))
            .stable_after(self.scaled(MINUTE))
            .seed(7);
        StaticClient::new_static(
            &Options::new(id)
                .clean_session(false)
                .keep_alive(u16::try_from(seconds).unwrap_or(u16::MAX))
                .journal(true)
                .record_delay(self.scaled(RECORD_DELAY))
                .reconnect(reconnect),
        )
    }

    /// When the chip bites, after a feed.
    pub(crate) fn chip_bites(&self) -> u64 {
        self.scaled(CHIP.0).into()
    }
}
