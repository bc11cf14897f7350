//! A real TPS3823 at GPIO lines of Linux, fed by a supervisor's verdict.
//!
//! The kernel sets the level of a line in the same request that makes it an output, so neither line has a glitch. A line
//! floats again, or keeps its level, when the program ends: that is up to the driver of the GPIO chip.

use std::{
    fmt::{Debug, Display},
    sync::mpsc,
    thread,
    time::Duration,
};

use linux_embedded_hal::{
    CdevPin, CdevPinError, Delay,
    gpio_cdev::{Chip, LineRequestFlags, errors::Error as GpioError},
};
use mqtt_examples::print;
use thiserror::Error;
use watchdog_core::{
    Action, Guard, Instant, NotStopped, Plan, Refused, Rules, Supervisor, Task, Timing,
    external::{Error as DogError, ExternalWatchdog, Gate, NoGate, Takeover, Toggle},
    hardware::Watchdog,
    host::clock::{Clock, Monotonic},
    plan, task,
};

use crate::{CHIP, LineName, Lines};

const TIMING: Timing<'static> = plan!(Plan::heartbeat(250).late(100).profile(CHIP));
static TASKS: [Task; 1] = [task!(TIMING, Rules::deadline(1_000).works(250, 100))];

/// The name of the program at its lines, for `gpioinfo`.
const CONSUMER: &str = "watchdog";

#[derive(Debug, Error)]
pub(crate) enum LinesError {
    #[error(
        "line {line} of {chip}: {error}; expected a GPIO character device that this user may open, such as /dev/gpiochip0"
    )]
    Open { chip: String, line: u32, error: GpioError },
    #[error("line {line} of {chip}: there is no such line, expected 0 to {last}")]
    NoLine { chip: String, line: u32, last: u32 },
    #[error("line {line} of {chip}: {error}; expected a line that is free, and can be an output")]
    Request { chip: String, line: u32, error: GpioError },
    #[error("line {line} of {chip}, {what}: {error}")]
    Line { chip: String, line: u32, what: &'static str, error: CdevPinError },
    #[error(
        "the chip was not fed in time at the start, so its gate stays off; start again with WDI floating"
    )]
    MayHoldReset,
    #[error("the watchdog: {0}")]
    Watchdog(String),
    #[error("the supervisor did not let the chip be fed: {0}")]
    Starved(String),
    #[error("a report of the task: {0}")]
    Report(#[from] Refused),
    #[error("the signal handler: {0}")]
    Signals(#[from] ctrlc::Error),
}

/// Feeds the chip until the user interrupts it.
pub(crate) fn run(lines: &Lines) -> Result<(), LinesError> {
    let (interrupt, interrupted) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _nobody_listens = interrupt.send(());
    })?;
    let clock = Monotonic::new();
    match &lines.gate {
        None => {
            // A program that runs shows that the chip does not hold RESET. Its last feed is unknown.
            let wdi = Toggle::new(output(&lines.wdi, 0)?, Delay);
            let dog = ExternalWatchdog::new(CHIP, wdi, NoGate, Takeover::Unknown(clock.now()));
            let dog = dog.map_err(|failed| of_pins(lines, failed.error))?;
            let dog = dog.arm(clock.now()).map_err(|failed| of_pins(lines, failed.error))?;
            let _fed = feed(lines, dog, &clock, &interrupted)?;
            print::line(
                "not fed any more: without a gate the chip resets this machine in up to 2.875 s",
            );
        }
        Some(gate) => {
            // The gate first, and off.
            let off = u8::from(lines.gate_is_active_low);
            let pin = output(gate, off)?;
            let gate = if lines.gate_is_active_low {
                Gate::active_low(pin)
            } else {
                Gate::active_high(pin)
            };
            let wdi = Toggle::new(output(&lines.wdi, 0)?, Delay);
            let floated = Takeover::Floating(clock.now());
            let mut dog = ExternalWatchdog::new(CHIP, wdi, gate, floated)
                .map_err(|failed| of_pins(lines, failed.error))?;
            // The chip may have held RESET while WDI floated: one reset time.
            let dog = loop {
                match dog.arm(clock.now()) {
                    Ok(armed) => break armed,
                    Err(failed) => {
                        let DogError::TooEarly { earliest } = failed.error else {
                            return Err(of_pins(lines, failed.error));
                        };
                        thread::sleep(until(&clock, earliest));
                        dog = failed.device;
                    }
                }
            };
            let time = Monotonic::new();
            let dog = feed(lines, dog.clocked(move || time.now()), &clock, &interrupted)?;
            if let Err(failed) = dog.stop(clock.now()) {
                let why = failed.error.to_string();
                return Err(match failed.error {
                    NotStopped::Hardware(error) => of_pins(lines, error),
                    NotStopped::Failed(_) | _ => LinesError::Starved(why),
                });
            }
            print::line("disarmed: the chip does not reset this machine");
        }
    }
    Ok(())
}

/// Works and feeds, until enough feeds or the interrupt.
fn feed<D>(
    lines: &Lines,
    dog: D,
    clock: &Monotonic,
    interrupted: &mpsc::Receiver<()>,
) -> Result<Guard<'static, D>, LinesError>
where
    D: Watchdog,
    D::Error: Display,
{
    let [work] = TASKS.each_ref().map(Task::handle);
    let mut guard = Guard::new(dog, Supervisor::new(&TASKS, TIMING, clock.now()));
    let LineName { chip, line } = &lines.wdi;
    print::line(&format!("{} at line {line} of {chip} is armed, and fed each 250 ms", CHIP.name()));
    let mut feeds = 0;
    while lines.feeds.is_none_or(|enough| feeds < enough) {
        work.feed(clock.now())?;
        let polled = guard.poll(clock.now());
        let polled = polled.map_err(|error| LinesError::Watchdog(error.to_string()))?;
        match polled.action {
            Action::Feed => {
                feeds += 1;
                print::line(&format!("fed, {feeds}"));
            }
            Action::Wait => {}
            Action::Report(failure) | Action::Stage(_, failure) | Action::Stopped(failure) => {
                return Err(LinesError::Starved(failure.to_string()));
            }
        }
        if lines.feeds == Some(feeds) || interrupted.recv_timeout(until(clock, polled.next)).is_ok()
        {
            break;
        }
    }
    Ok(guard)
}

/// The line as an output that has this level from its beginning on.
fn output(name: &LineName, level: u8) -> Result<CdevPin, LinesError> {
    let LineName { chip: path, line } = name;
    let (path, line) = (path.clone(), *line);
    let opened = Chip::new(&path);
    let mut chip = match opened {
        Ok(chip) => chip,
        Err(error) => return Err(LinesError::Open { chip: path, line, error }),
    };
    if line >= chip.num_lines() {
        let last = chip.num_lines().saturating_sub(1);
        return Err(LinesError::NoLine { chip: path, line, last });
    }
    let requested = chip
        .get_line(line)
        .and_then(|line| line.request(LineRequestFlags::OUTPUT, level, CONSUMER))
        .and_then(CdevPin::new);
    requested.map_err(|error| LinesError::Request { chip: path, line, error })
}

/// Names the line of an error.
fn of_pins<G: Debug>(lines: &Lines, error: DogError<CdevPinError, G>) -> LinesError {
    let text = error.to_string();
    if let DogError::Wdi(error) = error {
        let LineName { chip, line } = &lines.wdi;
        LinesError::Line { chip: chip.clone(), line: *line, what: "WDI", error }
    } else if let DogError::MayHoldReset = error {
        LinesError::MayHoldReset
    } else {
        LinesError::Watchdog(text)
    }
}

fn until(clock: &Monotonic, next: Instant) -> Duration {
    Duration::from_millis(next.millis_since(clock.now()))
}
