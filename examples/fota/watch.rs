//! The watchdog of the device: its tasks, its plan, and its last words.
//!
//! | task | feeds | deadline |
//! |---|---|---|
//! | `link` | while the link makes progress: see `link_health` of the examples | 5 minutes, with a new connection before |
//! | `flash` | after each job; paused while it has none; a grant for the two long jobs | 5 s, by a grant 1 minute |
//! | `chunks` | with each chunk that is in flash; paused while none can be expected | 20 s |

use std::{fs, process};

use mqtt_examples::{
    link_health::{LinkRules, Step},
    print,
};
use watchdog_core::{
    CrashRecord, Plan, Rules, Stage, Timing,
    host::daemon::{Daemon, Event, NoHardware},
    plan,
};

use crate::{error::Error, screen::Screen};

/// Seconds. A broker answers a PINGREQ at the latest after one and a half of it.
pub(crate) const KEEP_ALIVE: u16 = 30;
const STEPS: &[(Step, u32)] = &[(Step::Reconnect, 0)];
/// An outage of four minutes is none of the device's business. After that a reset may help a modem.
pub(crate) const LINK_HEALTH: LinkRules = LinkRules::new(45_000, 20_000, STEPS).last_step(234_999);
pub(crate) const LINK: Rules = Rules::deadline(LINK_HEALTH.deadline_millis()).named("link");
/// To erase a sector and to write it takes 0.4 s on slow parts. To prepare a slot, and to hash an image, takes longer: an
/// update has a grant for each. Ten updates without a restart are too many: the flash wears out.
pub(crate) const FLASH: Rules = Rules::deadline(5_000).grants(20, 12).paused().named("flash");
/// A chunk of 4 KiB in this time needs 210 bytes a second.
pub(crate) const CHUNKS: Rules = Rules::deadline(20_000).paused().named("chunks");

const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 100)];
/// The tasks are checked twice a second. The longest silence is that of the link.
pub(crate) const TIMING: Timing<'static> =
    plan!(Plan::heartbeat(500).late(250).stages(STAGES).recovery(302_000));
// This builds only if the tasks can keep their rules, and the reset comes in time.
const _: () = {
    assert!(TIMING.fits(&LINK).is_ok());
    assert!(TIMING.fits(&FLASH).is_ok());
    assert!(TIMING.fits(&CHUNKS).is_ok());
};

/// An image on trial has this time to reach the broker, in seconds.
pub(crate) const CONFIRM_WITHIN: u64 = 60;
/// After so many bites in a row the device receives no image: something is wrong that a reset does not help.
pub(crate) const MOST_BITES: u8 = 5;

/// The exit status of a reset by the watchdog.
const RESET: i32 = 3;

/// The crash record, in a file that stands for RAM that survives a reset.
#[derive(Clone, Debug)]
pub(crate) struct LastWords {
    path: String,
}

impl LastWords {
    pub(crate) fn beside(flash: &str) -> Self {
        Self { path: format!("{flash}.crash") }
    }

    /// What the last run has left.
    pub(crate) fn read(&self) -> Option<CrashRecord> {
        let bytes = fs::read(&self.path).ok()?;
        CrashRecord::from_bytes(bytes.as_slice().try_into().ok()?).ok()
    }

    /// All is well: bites do not follow each other any more.
    pub(crate) fn forget(&self) {
        let _there_is_none = fs::remove_file(&self.path);
    }

    fn write(&self, record: &CrashRecord) {
        if let Err(error) = fs::write(&self.path, record.to_bytes()) {
            print::error(&format!("fota: {}: {error}", self.path));
        }
    }
}

/// Starts the daemon that watches the tasks. A bite ends the process, as a reset would.
pub(crate) fn start(words: LastWords, screen: Screen) -> Result<Daemon<NoHardware>, Error> {
    let handler = move |event: Event<'_, _>| match event {
        Event::Stage(bite) => match bite.stage() {
            Stage::LastWords => {
                let record = CrashRecord::new(bite.failure()).after(words.read().as_ref());
                words.write(&record);
                print::error(&format!("fota: last words: {}", bite.failure()));
            }
            Stage::Reset => process::exit(RESET),
            Stage::Warn | Stage::Restart | Stage::ResetLink | Stage::Other(_) => {}
        },
        Event::Report(report) => screen.tell(&format!("{}", report.failure())),
        Event::Late(by) => screen.tell(&format!("the process did not run for {by:?}")),
        Event::NotFed(never) => match never {},
    };
    Daemon::start(NoHardware, 3, TIMING, handler).map_err(|failed| Error::Daemon(failed.error))
}
