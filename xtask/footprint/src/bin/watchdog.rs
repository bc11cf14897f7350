//! A watchdog for a whole device: a supervisor of four tasks behind a guard, the feeder of a TPS3823, last words in a crash
//! record. Each task reports in a way of its own.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::hint::black_box;
use core::mem::size_of;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, OutputPin};
use watchdog_core::chips::TPS3823_33;
use watchdog_core::external::{ExternalWatchdog, NoGate, Permanent, Takeover, Toggle};
use watchdog_core::{
    Action, CrashRecord, Guard, Instant, Plan, Rules, Stage, Supervisor, Task, Timing, plan, task,
};

const STAGES: &[(Stage, u32)] = &[(Stage::LastWords, 0), (Stage::Reset, 100)];
const TIMING: Timing<'static> =
    plan!(Plan::heartbeat(500).late(20).profile(&TPS3823_33).stages(STAGES));

static TASKS: [Task; 4] = [
    task!(TIMING, Rules::deadline(1_000)),
    task!(TIMING, Rules::deadline(1_000).not_before(50)),
    task!(TIMING, Rules::deadline(1_000).steps(3)),
    task!(TIMING, Rules::deadline(9_000).grants(2, 3)),
];

/// The RAM: the guard with supervisor and feeder, the tasks, and the record that survives a reset.
const RAM: usize = size_of::<Guard<'_, ExternalWatchdog<Toggle<Pin, Delay>, NoGate, Permanent>>>()
    + size_of::<[Task; 4]>()
    + CrashRecord::LEN;
const _: () = assert!(RAM <= 400);

struct Pin;

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        black_box(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        black_box(1);
        Ok(())
    }
}

struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, nanos: u32) {
        black_box(nanos);
    }
}

fn now() -> Instant {
    Instant::from_millis(footprint::now().as_millis())
}

/// Each at another priority.
#[inline(never)]
fn work() {
    let [pump, uart, sampler, update] = &TASKS;
    let _refused = pump.handle().feed(now());
    let _refused = uart.handle().feed(now());
    let _refused = sampler.handle().step(black_box(0), now());
    let _refused = update.handle().grant(now());
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut survives_reset = black_box([0x5A; CrashRecord::LEN]);
    let last = CrashRecord::take(&mut survives_reset).ok();
    survives_reset = CrashRecord::running().after(last.as_ref()).to_bytes();
    let input = Toggle::new(Pin, Delay);
    let chip = ExternalWatchdog::new(&TPS3823_33, input, NoGate, Takeover::Reset(now()));
    let Ok(chip) = chip else { loop {} };
    let Ok(chip) = chip.arm(now()) else { loop {} };
    let mut guard = Guard::new(chip, Supervisor::new(&TASKS, TIMING, now()));
    loop {
        work();
        let Ok(polled) = guard.poll(now()) else { continue };
        if let Action::Stage(Stage::LastWords, failure) = polled.action {
            survives_reset = CrashRecord::new(failure).after(last.as_ref()).to_bytes();
            black_box(&survives_reset);
        }
    }
}
