//! A daemon watches the thread of this program, and feeds a Linux watchdog device while it works. Or prints the
//! status of the device.
//!
//! `modprobe softdog soft_noboot=1` creates a device for trials that does not reset the machine.

use std::process::ExitCode;

use mqtt_examples::print;

fn main() -> ExitCode {
    match on_linux::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&format!("watchdog_linux: {error}"));
            if error.is_usage() {
                print::error("watchdog_linux: --help lists the options");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod on_linux {
    #[derive(Debug, thiserror::Error)]
    #[error("this system has no Linux watchdogs")]
    pub(crate) struct Error;

    impl Error {
        pub(crate) fn is_usage(&self) -> bool {
            false
        }
    }

    pub(crate) fn main() -> Result<(), Error> {
        Err(Error)
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use std::{
        path::PathBuf,
        process,
        sync::mpsc::{self, RecvTimeoutError, Sender},
        time::Duration,
    };

    use mqtt_examples::{
        arguments::{Argument, Arguments, UsageError, unexpected},
        print,
    };
    use thiserror::Error;
    use watchdog_core::{
        Plan, PlanError, Refused, Rules, WatchError,
        hardware::{ErrorType, Settings, Start, Watchdog},
        host::{
            daemon::{Daemon, Event, StartError, StopError},
            linux::{Device, LinuxError, LinuxWatchdog, Options, sysfs::Status},
        },
    };

    const HELP: &str = "\
Feeds a Linux watchdog device until it is interrupted, and stops it then. A daemon feeds it, while the main thread
works: if that thread hangs, the daemon ends the program, and the watchdog resets the machine.

usage: watchdog_linux DEVICE [options]

  DEVICE                such as /dev/watchdog0; opening it starts it
  --status              only tell what sysfs says of it; opens nothing
  --timeout SECONDS     set the time-out, and refuse to run if it cannot be set
  --pretimeout SECONDS  have it warn so long before it bites
  --every MILLISECONDS  feed so often (half of the time-out)
  --feeds COUNT         stop after so many feeds

Ctrl-C stops the watchdog by the magic close. A driver without a way out cannot be stopped, and resets the machine
unless something else goes on to feed it; the same happens where this program is killed.

Exit status: 0 the watchdog is stopped, or its status told; 1 otherwise.";

    /// The longest run of the work between two feeds: it writes one line.
    const RUN_MILLIS: u32 = 5;

    #[derive(Debug, Error)]
    pub(crate) enum Error {
        #[error(transparent)]
        Usage(#[from] UsageError),
        #[error(transparent)]
        Device(#[from] LinuxError),
        #[error("{0}; --every has to say how often to feed")]
        Interval(LinuxError),
        #[error("feeding {device} each {every} ms: {error}; it bites after {timeout} ms")]
        Plan { device: String, every: u32, timeout: u32, error: PlanError },
        #[error("feeding each {0} ms: {1}")]
        Rules(u32, String),
        #[error("{0} is not fed any more, and will reset this machine: {1}")]
        Starved(String, StopError),
        #[error("the signal handler: {0}")]
        Signals(#[from] ctrlc::Error),
        #[error(transparent)]
        Daemon(StartError),
        #[error("the thread cannot be watched: {0}")]
        Watch(#[from] WatchError),
        #[error("a report: {0}")]
        Report(#[from] Refused),
        #[error("{error}; it has {left} left unless something goes on to feed it")]
        Running { error: LinuxError, left: String },
    }

    impl Error {
        pub(crate) fn is_usage(&self) -> bool {
            matches!(self, Self::Usage(_))
        }
    }

    #[derive(Debug, Default)]
    struct Order {
        device: PathBuf,
        status: bool,
        timeout: Option<Duration>,
        pretimeout: Option<Duration>,
        every: Option<u32>,
        feeds: Option<u64>,
    }

    pub(crate) fn main() -> Result<(), Error> {
        let Some(order) = read_arguments(Arguments::of_process())? else {
            print::line(HELP);
            return Ok(());
        };
        if order.status { tell_status(&order) } else { run(&order) }
    }

    /// Reads the command line; `None`: the user asked for help.
    fn read_arguments(mut arguments: Arguments) -> Result<Option<Order>, UsageError> {
        let mut order = Order::default();
        let mut device = None;
        while let Some(argument) = arguments.next()? {
            let option = match argument {
                Argument::Option(option) => option,
                Argument::Other(path) if device.is_none() => {
                    device = Some(PathBuf::from(path));
                    continue;
                }
                Argument::Other(path) => return Err(unexpected(&path)),
            };
            match option.as_str() {
                "--help" | "-h" => return Ok(None),
                "--status" => order.status = true,
                "--timeout" => order.timeout = Some(seconds(&mut arguments)?),
                "--pretimeout" => order.pretimeout = Some(seconds(&mut arguments)?),
                "--every" => order.every = Some(arguments.number("a number of milliseconds")?),
                "--feeds" => order.feeds = Some(arguments.number("a number of feeds")?),
                _ => return Err(arguments.unknown()),
            }
        }
        order.device = device.ok_or(UsageError::Together("a device is missing"))?;
        let feeding = order.timeout.is_some()
            || order.pretimeout.is_some()
            || order.every.is_some()
            || order.feeds.is_some();
        if order.status && feeding {
            return Err(UsageError::Together(
                "--status opens nothing, so it takes no other option",
            ));
        }
        Ok(Some(order))
    }

    fn seconds(arguments: &mut Arguments) -> Result<Duration, UsageError> {
        Ok(Duration::from_secs(arguments.number::<u32>("a number of seconds")?.into()))
    }

    fn tell_status(order: &Order) -> Result<(), Error> {
        let status = Status::of(&order.device)?;
        let tell = |name: &str, value: Option<String>| {
            print::line(&format!("{name:<12} {}", value.as_deref().unwrap_or("not reported")));
        };
        let yes_no = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        let time = |time: Duration| format!("{} s", time.as_secs());
        let options = |options: Options| options.to_string();
        tell("identity", status.identity);
        tell("runs", status.is_active.map(yes_no));
        tell("time-out", status.timeout.map(time));
        tell("at least", status.min_timeout.map(time));
        tell("at most", status.max_timeout.map(time));
        tell("pretimeout", status.pretimeout.map(time));
        tell("time left", status.time_left.map(time));
        tell("status", status.status.map(options));
        tell("at boot", status.boot_status.map(options));
        tell("no way out", status.no_way_out.map(yes_no));
        Ok(())
    }

    fn run(order: &Order) -> Result<(), Error> {
        let (end, ended) = mpsc::channel();
        let interrupt = end.clone();
        ctrlc::set_handler(move || {
            let _nobody_listens = interrupt.send(());
        })?;
        let device = order.device.display().to_string();
        let (mut dog, mut timeout) = start(order)?;
        let outcome = set_up(order, &mut dog, &mut timeout).and_then(|every| {
            let mut plan = Plan::heartbeat(every);
            // If the device does not report its time-out, the plan cannot check it.
            let bites = timeout.map(millis);
            if let Some(bites) = bites {
                plan = plan.late(RUN_MILLIS).chip(bites, bites);
            }
            let timing = plan.check().map_err(|error| match bites {
                Some(timeout) => Error::Plan { device: device.clone(), every, timeout, error },
                None => Error::Rules(every, error.to_string()),
            })?;
            // The period, two heartbeats of a stop of the process that are not noticed, and the runs of the work.
            let deadline = every.saturating_mul(3).saturating_add(every.max(3 * RUN_MILLIS));
            let rules = Rules::deadline(deadline).works(every, RUN_MILLIS);
            timing.fits(&rules).map_err(|error| Error::Rules(every, error.to_string()))?;
            Ok((rules, timing, every))
        });
        let (rules, timing, every) = match outcome {
            Ok(ready) => ready,
            // Opening the device has started it, and nothing will feed it.
            Err(error) => return stop(dog).and(Err(error)),
        };
        let bites = timeout.map_or("after a time that it does not report".into(), |timeout| {
            format!("after {} s", timeout.as_secs())
        });
        print::line(&format!("{device} runs, is fed each {every} ms, and bites {bites} without"));

        let hardware = Counted { dog, feeds: 0, enough: order.feeds, end };
        let name = device.clone();
        let daemon = match Daemon::start(hardware, 1, timing, move |event| on(&event, &name)) {
            Ok(daemon) => daemon,
            Err(failed) => {
                let (error, hardware) = failed.into_parts();
                return stop(hardware.dog).and(Err(Error::Daemon(error)));
            }
        };
        // From here on the machine is reset if this thread fails.
        let work = daemon.watch("main", rules)?;
        let every = Duration::from_millis(every.into());
        while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            // Stands for work.
            work.feed()?;
        }
        work.retire()?;
        match daemon.stop() {
            Ok(hardware) => stop(hardware.dog)?,
            Err(why) => return Err(Error::Starved(device, why)),
        }
        print::line(&format!("{device} is stopped"));
        Ok(())
    }

    /// Handles an event of the daemon. The reset of the machine follows the end of the program.
    fn on(event: &Event<'_, LinuxError>, device: &str) {
        match event {
            Event::Stage(bite) => {
                let (name, failure) = (bite.name(), bite.failure());
                print::error(&format!(
                    "watchdog_linux: {device} is not fed any more, and will reset this machine: {name}: {failure}"
                ));
                process::exit(1);
            }
            Event::Report(report) => {
                print::error(&format!("watchdog_linux: {}: {}", report.name(), report.failure()));
            }
            Event::NotFed(error) => print::error(&format!("watchdog_linux: {error}")),
            Event::Late(by) => {
                print::line(&format!("this program did not run for {} ms", by.as_millis()));
            }
        }
    }

    /// The device. It prints each feed, and counts them.
    struct Counted {
        dog: LinuxWatchdog,
        feeds: u64,
        enough: Option<u64>,
        end: Sender<()>,
    }

    impl ErrorType for Counted {
        type Error = LinuxError;
    }

    impl Watchdog for Counted {
        fn feed(&mut self) -> Result<(), LinuxError> {
            self.dog.feed()?;
            self.feeds += 1;
            print::line(&format!("fed, {}", self.feeds));
            if self.enough.is_some_and(|enough| self.feeds >= enough) {
                let _nobody_listens = self.end.send(());
            }
            Ok(())
        }
    }

    /// Opens the device. Returns its time-out if one was set.
    fn start(order: &Order) -> Result<(LinuxWatchdog, Option<Duration>), Error> {
        match order.timeout {
            Some(timeout) => {
                let started = Device::new(&order.device).start(Settings::new(timeout));
                let started = started.map_err(|failed| failed.error)?;
                let actual = started.timeout.typical;
                if actual != timeout {
                    print::line(&format!("the time-out is {} s", actual.as_secs()));
                }
                Ok((started.watchdog, Some(actual)))
            }
            None => Ok((LinuxWatchdog::open(&order.device)?, None)),
        }
    }

    /// Applies the other settings. Returns the interval between two feeds, in milliseconds.
    fn set_up(
        order: &Order,
        dog: &mut LinuxWatchdog,
        timeout: &mut Option<Duration>,
    ) -> Result<u32, Error> {
        if let Some(pretimeout) = order.pretimeout {
            let actual = dog.set_pretimeout(pretimeout)?;
            print::line(&format!("the pretimeout is {} s", actual.as_secs()));
        }
        let told = timeout.map_or_else(|| dog.timeout(), Ok);
        *timeout = told.as_ref().ok().copied();
        match (order.every, told) {
            (Some(every), _) => Ok(every),
            (None, Ok(timeout)) => Ok(millis(timeout) / 2),
            (None, Err(error)) => Err(Error::Interval(error)),
        }
    }

    fn stop(dog: LinuxWatchdog) -> Result<(), Error> {
        dog.close().map_err(|failed| running(failed.error, &failed.watchdog))
    }

    fn running(error: LinuxError, dog: &LinuxWatchdog) -> Error {
        let left = dog.time_left().or_else(|_| dog.timeout());
        let left = left.map_or("an unknown time".into(), |left| format!("{} s", left.as_secs()));
        Error::Running { error, left }
    }

    fn millis(time: Duration) -> u32 {
        u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
    }
}
