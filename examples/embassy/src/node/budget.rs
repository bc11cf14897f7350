//! The times of the node. If they do not fit each other, it does not build.
//!
//! They are short, so that each failure can be watched. A real node has the times of `docs/link-health.md`.

use watchdog_core::{Plan, Rules, Stage, Task, Timing, plan, task};

use crate::link_health::{LinkRules, Step};

/// Seconds.
pub const KEEP_ALIVE: u16 = 4;
/// Milliseconds, as everything below.
pub const PING_TIMEOUT: u32 = 1_500;
const SILENCE: u32 = 1_500 * KEEP_ALIVE as u32;
const ANSWER: u32 = 4_000;
const STEPS: &[(Step, u32)] = &[(Step::Reconnect, 0), (Step::RestartModem, 5_000)];

/// The link: 6 s of silence, 4 s for an answer, and two steps.
pub const LINK: LinkRules = LinkRules::new(SILENCE, ANSWER, STEPS).last_step(6_000);

// The client ends a dead connection by itself before the first step.
const _: () = assert!(750 * KEEP_ALIVE as u32 + PING_TIMEOUT < SILENCE);

/// A sensor measures at least so often, and waits for room in the outbox for as long at most.
pub const PERIOD: u32 = 1_000;
const SENSOR: Rules = Rules::deadline(3_000).works(PERIOD, PERIOD);

/// An answer waits for room in the outbox for so long.
pub const ROOM: u32 = 1_000;
/// The task is awaited while it has a command, and not while it waits for one.
const COMMANDS: Rules = Rules::deadline(2 * ROOM).paused();

const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 100)];

/// The guard looks at the tasks twice a second. The hardware bites between 2 s and 2.6 s after a feed. From the last
/// sign of life of any task to the reset, 30 s pass at most.
pub const TIMING: Timing<'static> =
    plan!(Plan::heartbeat(500).late(100).chip(2_000, 2_600).stages(STAGES).recovery(30_000));

/// The tasks that are watched. A report is one atomic store, so no task needs a lock for it.
pub static TASKS: [Task; 4] = [
    task!(TIMING, SENSOR.named("temperature")),
    task!(TIMING, SENSOR.named("pressure")),
    task!(TIMING, COMMANDS.named("commands")),
    task!(TIMING, Rules::deadline(LINK.deadline_millis()).named("link")),
];

#[cfg(test)]
mod tests {
    /// Without the words at the top and this test.
    #[test]
    fn the_page_shows_this_file() {
        let (file, page) =
            (include_str!("budget.rs"), include_str!("../../../../docs/async-node.md"));
        let from = file.find("use watchdog_core").unwrap_or_default();
        let to = file.find("\n#[cfg(test)]").unwrap_or_default();
        let shown = file.get(from..to).unwrap_or_default();
        assert!(shown.len() > 1_000 && page.contains(shown));
    }
}
