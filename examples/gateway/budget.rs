//! All times of the gateway against each other: the plan of the watchdog, and the rules of its tasks.
//!
//! The times of a configuration are known at run time only, so [`Budget::new`] checks them at the start. The defaults
//! are checked when this file is compiled. If one of them breaks a rule, the program does not build:
//!
//! ```compile_fail,E0080
//! # use mqtt_gateway::budget::{RUN, sensor_rules};
//! # use watchdog_core::{Plan, Timing, plan};
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).late(100).recovery(60_000));
//! // It works each second, for up to 250 ms, so it may be silent for 1,350 ms.
//! const _: () = assert!(TIMING.fits(&sensor_rules("pump", 1_000, 1_200)).is_ok());
//! ```

use mqtt_examples::link_health::{LinkRules, Step};
use thiserror::Error;
use watchdog_core::{Plan, PlanError, Rules, Stage, Timing, plan};

use crate::{
    config::{Config, LINK},
    time::Span,
};

/// Keep alive: a PINGRESP comes at the latest after one and a half of it.
pub const KEEP_ALIVE: u32 = 30_000;
/// One and a half of the keep alive.
pub const SILENCE: u32 = 45_000;
/// A broker that is busy answers within this time.
pub const ANSWER: u32 = 20_000;
/// A modem that was restarted is back in this time.
pub const STEP: u32 = 30_000;
/// Brokers that are maintained are back in this time.
pub const LAST_STEP: u32 = 120_000;
/// The interval of the verdict, and of the feeds.
pub const HEARTBEAT: u32 = 500;
/// How late a thread runs on a machine that is busy.
pub const LATE: u32 = 100;
/// The longest run of a sensor's work: one measurement, and one write to the journal.
pub const RUN: u32 = 250;
/// From the last sign of life to the reset.
pub const RECOVERY: u32 = 360_000;
/// The wait for the broker at a clean end.
pub const STOP_WITHIN: u32 = 5_000;
/// `WatchdogSec=` of `gateway.service`.
pub const SERVICE_TIMEOUT: u32 = 10_000;
/// The time-out of a device as in `gateway.toml`.
pub const DEVICE_TIMEOUT: u32 = 15_000;
/// How long the driver waits for the end of a connection after a DISCONNECT, and a second more.
pub const DISCONNECT: u32 = 6_000;

/// After a failure: the record for the next start, then the end of the process.
pub const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 0)];

/// The steps of the link, with their default times.
const STEPS: &[(Step, u32)] =
    &[(Step::Reconnect, 0), (Step::NextBroker, STEP), (Step::RestartModem, STEP)];
/// The health of the link, with its default times.
pub const LINK_RULES: LinkRules = LinkRules::new(SILENCE, ANSWER, STEPS).last_step(LAST_STEP);

/// The plan of the defaults, with systemd and a device.
pub const TIMING: Timing<'static> = plan!(
    Plan::heartbeat(HEARTBEAT)
        .late(LATE)
        .chip(SERVICE_TIMEOUT, DEVICE_TIMEOUT)
        .stages(STAGES)
        .recovery(RECOVERY)
);
const _: () = {
    assert!(TIMING.fits(&sensor_rules("sensor1", 1_000, 3_000)).is_ok());
    assert!(TIMING.fits(&sensor_rules("sensor2", 500, 2_500)).is_ok());
    assert!(TIMING.fits(&sensor_rules("sensor3", 5_000, 10_000)).is_ok());
    assert!(TIMING.fits(&link_rules(&LINK_RULES)).is_ok());
    assert!(2 * SILENCE >= 3 * KEEP_ALIVE, "a healthy link is not taken for a dead one");
    assert!(
        STOP_WITHIN + DISCONNECT < LINK_RULES.deadline_millis(),
        "a clean end may take so long"
    );
};

/// The rules of a sensor's task.
pub const fn sensor_rules(name: &str, period: u32, deadline: u32) -> Rules {
    Rules::deadline(deadline).works(period, RUN).named(name)
}

/// The rules of the task that serves the connection.
pub const fn link_rules(link: &LinkRules) -> Rules {
    Rules::deadline(link.deadline_millis()).named(LINK)
}

/// The times of a configuration, checked.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The plan of the watchdog.
    pub timing: Timing<'static>,
    /// The health of the link.
    pub link: LinkRules,
}

/// Times that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {reason}")]
pub struct BudgetError {
    /// The key of the configuration.
    pub key: String,
    /// The reason.
    pub reason: String,
}

impl Budget {
    /// The times of `config`, with hardware that bites between the two times in `bites`, in milliseconds.
    ///
    /// # Errors
    ///
    /// [`BudgetError`]: the first rule that is broken.
    pub fn new(config: &Config, bites: Option<(u32, u32)>) -> Result<Self, BudgetError> {
        let wrong = |key: &str, reason: &dyn ToString| BudgetError {
            key: key.into(),
            reason: reason.to_string(),
        };
        let heartbeat = config.watchdog.heartbeat.as_millis();
        let mut plan = Plan::heartbeat(heartbeat).late(LATE).stages(STAGES);
        if let Some((min, max)) = bites {
            plan = plan.chip(min, max);
        }
        let timing = plan.recovery(config.watchdog.recovery.as_millis()).check();
        let timing = timing.map_err(|error| wrong(key_of(error), &error))?;
        let link = rules_of_link(config);
        timing.fits(&link_rules(&link)).map_err(|error| {
            let longest = Span::from_millis(link.deadline_millis());
            wrong("link", &format!("all its times together are {longest}: {error}"))
        })?;
        if link.deadline_millis() <= config.stop_within.as_millis().saturating_add(DISCONNECT) {
            return Err(wrong("stop_within", &"it is longer than all times of link together"));
        }
        for sensor in &config.sensors {
            let (name, deadline) = (sensor.name.as_str(), sensor.deadline.as_millis());
            let rules = sensor_rules(name, sensor.period.as_millis(), deadline);
            let fits = fits(&timing, &rules, sensor.period);
            fits.map_err(|reason| wrong(&format!("sensors.{name}"), &reason))?;
        }
        Ok(Self { timing, link })
    }
}

impl Budget {
    /// The times in words, for `--check`.
    #[must_use]
    pub fn text(&self, config: &Config) -> String {
        let heartbeat = Span::from_millis(self.timing.heartbeat_millis());
        let mut lines = vec![
            "The configuration is possible.".to_owned(),
            format!("verdict and feed each {heartbeat}, up to {LATE} ms late"),
            format!(
                "the reset at the latest {} after the last sign of life",
                config.watchdog.recovery
            ),
        ];
        for sensor in &config.sensors {
            let (name, period, deadline) = (&sensor.name, sensor.period, sensor.deadline);
            lines.push(format!("{name}: a reading each {period}, starves after {deadline}"));
        }
        let link = Span::from_millis(self.link.deadline_millis());
        lines.push(format!("{LINK}: silence, steps and patience together, starves after {link}"));
        lines.join("\n")
    }
}

/// Whether a sensor can work at this period, and the reason in words if not.
///
/// # Errors
///
/// The reason.
pub fn fits(timing: &Timing<'_>, rules: &Rules, period: Span) -> Result<(), String> {
    timing.fits(rules).map_err(|error| error.to_string())?;
    // A stop of the process is not noticed for up to two heartbeats.
    let unnoticed = timing.heartbeat_millis().saturating_mul(2);
    let least = period.as_millis().saturating_add(RUN).saturating_add(unnoticed);
    if rules.deadline_millis() < least {
        return Err(format!(
            "with a period of {period} the deadline is at least {least} ms: \
             period, {RUN} ms of work, and two heartbeats"
        ));
    }
    Ok(())
}

/// The health of the link as configured.
fn rules_of_link(config: &Config) -> LinkRules {
    let link = &config.link;
    let mut steps = vec![(Step::Reconnect, 0), (Step::NextBroker, link.step.as_millis())];
    if !link.modem.is_empty() {
        steps.push((Step::RestartModem, link.step.as_millis()));
    }
    // `LinkRules` wants steps that live as long as the program. This is made once, at its start.
    let steps: &'static [(Step, u32)] = steps.leak();
    LinkRules::new(link.silence.as_millis(), link.answer.as_millis(), steps)
        .last_step(link.last_step.as_millis())
}

/// The key that a broken rule of the plan leads to.
fn key_of(error: PlanError) -> &'static str {
    if error == PlanError::RecoveryTooSlow {
        "watchdog.recovery"
    } else if matches!(error, PlanError::ChipBitesFirst | PlanError::StagesTooLong) {
        "watchdog.heartbeat, against the time-outs of systemd and watchdog.device"
    } else {
        "watchdog.heartbeat"
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn error(text: &str, bites: Option<(u32, u32)>) -> String {
        let config = Config::parse(text, Path::new("g.toml")).expect("each value is possible");
        Budget::new(&config, bites).expect_err("they do not go together").to_string()
    }

    #[test]
    fn the_defaults_fit_as_the_compiler_has_checked() {
        let budget = Budget::new(&Config::default(), Some((SERVICE_TIMEOUT, DEVICE_TIMEOUT)));
        assert_eq!(budget.expect("they fit").timing, TIMING);
        assert!(Budget::new(&Config::default(), None).is_ok(), "also without hardware");
    }

    #[test]
    fn the_modem_is_a_step_if_there_is_a_program_for_it() {
        let config = Config::parse("[link]\nmodem = [\"true\"]", Path::new("g.toml"));
        let with = Budget::new(&config.expect("it is possible"), None).expect("it fits");
        let without = Budget::new(&Config::default(), None).expect("it fits");
        assert_eq!(with.link, LINK_RULES);
        assert_eq!(without.link.deadline_millis(), LINK_RULES.deadline_millis() - STEP - ANSWER);
    }

    #[test]
    fn each_rule_that_is_broken_is_named_with_its_key() {
        let sensor = |period: &str, deadline: &str| {
            format!(
                "[[sensors]]\nname = \"a\"\nkind = \"level\"\nperiod = \"{period}\"\ndeadline = \"{deadline}\""
            )
        };
        for (text, bites, expected) in [
            (
                "[watchdog]\nrecovery = \"3m\"".into(),
                None,
                "link: all its times together are 235001ms",
            ),
            ("[watchdog]\nrecovery = \"400ms\"".into(), None, "watchdog.recovery: a reset takes"),
            (
                "[watchdog]\nheartbeat = \"10s\"".into(),
                Some((10_000, 10_000)),
                "watchdog.heartbeat, against",
            ),
            (
                "[watchdog]\nheartbeat = \"4h\"".into(),
                None,
                "watchdog.heartbeat: the heartbeat is longer",
            ),
            ("stop_within = \"4m\"".into(), None, "stop_within: it is longer"),
            (sensor("1s", "1s"), None, "sensors.a: a task's deadline is not longer"),
            (sensor("700ms", "3s"), None, "sensors.a: neither the heartbeat"),
            (
                sensor("1s", "2s"),
                None,
                "sensors.a: with a period of 1s the deadline is at least 2250 ms",
            ),
            (sensor("1s", "5m"), Some((10_000, 90_000)), "sensors.a: a reset takes longer"),
        ] {
            let error = error(&text, bites);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
