//! The gateway as a whole: start, run, end.

mod bite;
mod error;
mod start;

use std::{
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use mqtt_core::driver::blocking::{Events, Unfinished};
use mqtt_examples::{link_health::LinkHealth, print};
use watchdog_core::{Refused, host::daemon::Daemon};

pub use error::Error;

use crate::{
    arguments::CommandLine,
    beat::{Beat, Task},
    board::Board,
    budget::{self, Budget},
    config::{Config, LINK},
    hardware::Hardware,
    inject::Inject,
    link::{Link, LinkError},
    plain,
    sampling::{Control, Sampling},
    screen::{self, Screen},
    sensor,
    time::Clock,
    uplink::Uplink,
};

/// The exit status after a bite.
pub const BITTEN: i32 = 3;

/// Runs the gateway until it is asked to end. A bite of the watchdog ends the process inside.
///
/// # Errors
///
/// [`Error`]: it cannot start, or cannot end in order.
pub fn run(line: &CommandLine) -> Result<(), Error> {
    let config = Config::read_or_default(line.config.as_deref())?;
    let inject = line.inject.as_deref().map(|text| Inject::parse(text, &config)).transpose()?;
    // Before anything is opened. It is checked again with the hardware that is there.
    let budget = Budget::new(&config, None)?;
    if line.check {
        print::line(&budget.text(&config));
        return Ok(());
    }
    let board = Arc::new(Board::new(config.name.as_str(), Clock::start()));
    let parts = start::parts(&config, &board, inject)?;
    let uplink = Arc::clone(&parts.link.uplink);
    let ends = ends()?;

    screen::on_panic(Arc::clone(&board));
    let shown = show(line.plain, &board, &uplink, &ends.0)?;
    let service = parts.link.service;
    let running = Running::start(&config, &board, parts)?;
    if let Some(service) = service {
        board.tell_error("systemd", service.ready());
    }
    // The other ends of the channel live as long as the program.
    let why = ends.1.recv().unwrap_or_default();
    board.tell(&format!("ends: {why}"));
    if let Some(service) = service {
        board.tell_error("systemd", service.stopping());
    }
    let ended = running.end(&config);
    board.tell(match &ended {
        Ok(Ok(())) => "ended, every message is answered",
        Ok(Err(_)) => "ended, some messages stay in the journal",
        Err(_) => "not ended in order",
    });
    shown.end(&board);
    if let Err(unfinished) = ended? {
        print::error(&format!(
            "gateway: {unfinished}; they stay in the journal for the next start"
        ));
    }
    Ok(())
}

/// Where requests to end come from: signals, and keys. The second signal ends the process at once.
fn ends() -> Result<(mpsc::Sender<String>, mpsc::Receiver<String>), Error> {
    let (end, ends) = mpsc::channel::<String>();
    let asked = AtomicBool::new(false);
    let signal = end.clone();
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::SeqCst) {
            screen::restore();
            process::exit(1);
        }
        // Nobody listens if the end has begun.
        let _begun = signal.send("a signal".into());
    })?;
    Ok((end, ends))
}

/// What shows the board.
enum Shown {
    View(Screen),
    Lines(JoinHandle<()>),
}

fn show(
    plain: bool,
    board: &Arc<Board>,
    uplink: &Arc<Uplink>,
    end: &mpsc::Sender<String>,
) -> Result<Shown, Error> {
    let (for_it, uplink) = (Arc::clone(board), Arc::clone(uplink));
    if plain || !screen::is_possible() {
        return plain::start(for_it, uplink).map(Shown::Lines).map_err(Error::Thread);
    }
    let end = end.clone();
    let quit = move |why: &str| {
        let _begun = end.send(why.into());
    };
    Screen::start(for_it, uplink, quit).map(Shown::View).map_err(Error::Terminal)
}

impl Shown {
    fn end(self, board: &Board) {
        board.end();
        match self {
            Self::View(screen) => screen.end(),
            Self::Lines(thread) => drop(thread.join()),
        }
    }
}

/// What is made before anything is watched.
struct Parts {
    link: Link,
    events: Events,
    budget: Budget,
    hardware: Hardware,
    records: crate::records::Records,
    controls: Vec<Arc<Control>>,
    inject: Option<Inject>,
}

/// The threads that are watched.
struct Running {
    daemon: Daemon<Hardware>,
    records: crate::records::Records,
    controls: Vec<Arc<Control>>,
    sensors: Vec<JoinHandle<Result<(), Refused>>>,
    link: JoinHandle<Result<Result<(), Unfinished>, LinkError>>,
    stops: Arc<AtomicBool>,
}

impl Running {
    /// From here on the watchdog bites if something fails.
    fn start(config: &Config, board: &Arc<Board>, parts: Parts) -> Result<Self, Error> {
        let Parts { link, events, budget, hardware, records, controls, inject } = parts;
        let uplink = Arc::clone(&link.uplink);
        let places = config.sensors.len() + 1;
        let handler = bite::handler(records.clone(), Arc::clone(board));
        let daemon = match Daemon::start(hardware, places, budget.timing, handler) {
            Ok(daemon) => daemon,
            Err(failed) => {
                let (error, hardware) = failed.into_parts();
                hardware.stop()?;
                return Err(Error::Daemon(error));
            }
        };
        let clock = board.clock();
        let beat = |name: &str, rules: watchdog_core::Rules| {
            let task = Task::new(name, rules.deadline_millis(), clock.millis());
            let watched = daemon.watch(name, rules)?;
            board.add_task(&task);
            Ok::<_, Error>(Beat::new(watched, &task, clock))
        };
        let mut sensors = Vec::new();
        for (sensor, control) in config.sensors.iter().zip(&controls) {
            let name = sensor.name.as_str();
            let (period, deadline) = (sensor.period.as_millis(), sensor.deadline.as_millis());
            let sampling = Sampling {
                sensor: sensor::of_kind(sensor.kind),
                control: Arc::clone(control),
                uplink: Arc::clone(&uplink),
                board: Arc::clone(board),
                beat: beat(name, budget::sensor_rules(name, period, deadline))?,
                fault: inject.as_ref().and_then(|inject| inject.of_thread(name)),
            };
            sensors.push(spawn(name, move || sampling.run())?);
        }
        let stops = Arc::new(AtomicBool::new(false));
        let beat = beat(LINK, budget::link_rules(&budget.link))?;
        let health = LinkHealth::new(budget.link, clock.now());
        let link = spawn(LINK, {
            let (stops, within) = (Arc::clone(&stops), config.stop_within);
            move || link.run(events, health, beat, &stops, within)
        })?;
        Ok(Self { daemon, records, controls, sensors, link, stops })
    }

    /// Ends in order: the sensors, the connection, the watchdog, the record of the run. Each thread is watched until it
    /// has ended, so an end that hangs is bitten as well.
    fn end(self, config: &Config) -> Result<Result<(), Unfinished>, Error> {
        self.controls.iter().for_each(|control| control.stop());
        for sensor in self.sensors {
            let _late = sensor.join();
        }
        self.stops.store(true, Ordering::Release);
        let finished = self.link.join();
        let hardware = match (self.daemon.stop(), finished) {
            (Ok(hardware), Ok(Ok(finished))) => {
                self.records.end()?;
                if config.watchdog.device_stops {
                    hardware.stop()?;
                }
                return Ok(finished);
            }
            (stopped, _) => stopped,
        };
        // A thread has failed, and the handler of the daemon ends the process.
        drop(hardware);
        loop {
            thread::park();
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(Error::Thread)
}

/// The configuration in this folder, if no other one is named.
const HERE: &str = "gateway.toml";

impl Config {
    fn read_or_default(file: Option<&Path>) -> Result<Self, Error> {
        let here = PathBuf::from(HERE);
        Ok(match file {
            Some(file) => Self::read(file)?,
            None if here.exists() => Self::read(&here)?,
            None => Self::default(),
        })
    }
}
