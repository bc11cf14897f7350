//! A daemon watches three threads, and one of them fails on request. Each stage names the thread, up to the reset.
//!
//! The threads report checkpoints, so that a thread that spins without its work is found, too. The program prints the
//! crash record that a device would leave in RAM for its next boot. The end of the program stands for the reset.

use std::{
    convert::Infallible,
    panic,
    process::{self, ExitCode},
    thread,
    time::Duration,
};

use mqtt_examples::{
    arguments::{Arguments, UsageError},
    print::{self, Teller},
};
use thiserror::Error;
use watchdog_core::{
    CrashRecord, Plan, Refused, Rules, Stage, Timing, WatchError,
    host::daemon::{Daemon, Event, NoHardware, StartError, StopError, Watched},
    plan,
};

const HELP: &str = "\
A daemon watches three threads: sampler, logger, sender. One of them fails on request.

usage: watchdog_threads [options]

  --inject FAULT   what the logger does after its third round:
                   hang   blocks for ever
                   exit   returns without saying that it will
                   panic  panics
                   spin   reports the same checkpoint again and again, without its work
  --rounds N       how many rounds the threads work when none fails (10)

Exit status: 0 all threads ended on purpose, 3 one failed and its last words are told, 1 otherwise.";

/// The shortest time of a round.
const PERIOD: Duration = Duration::from_millis(50);
/// Two checkpoints in a round, each within 300 ms after the previous one.
const RULES: Rules = Rules::deadline(300).works(50, 60).steps(2);
const STAGES: &[(Stage, u32)] =
    &[(Stage::Warn, 0), (Stage::ResetLink, 50), (Stage::LastWords, 50), (Stage::Reset, 50)];
/// The threads are checked each 100 ms.
const TIMING: Timing<'static> = plan!(Plan::heartbeat(100).late(50).stages(STAGES).recovery(1_000));
// This builds only if the threads can keep their rules, and a reset comes within a second after the last sign of life.
const _: () = assert!(TIMING.fits(&RULES).is_ok());

const NAMES: [&str; 3] = ["sampler", "logger", "sender"];
const FAILING: &str = "logger";
const ROUNDS_BEFORE: u32 = 3;

/// The exit status of the program if a device would be reset.
const RESET: i32 = 3;

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Daemon(StartError),
    #[error("a thread cannot be watched: {0}")]
    Watch(#[from] WatchError),
    #[error("{name}: {why}")]
    Refused { name: &'static str, why: Refused },
    #[error("the daemon is not stopped: {0}")]
    Stop(#[from] StopError),
}

/// The faults of the logger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Hang,
    Exit,
    Panic,
    Spin,
}

struct Wish {
    inject: Option<Fault>,
    rounds: u32,
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(None) => {
            print::line(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Some(wish)) => run(&wish),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("watchdog_threads: {error}"));
    if matches!(error, Error::Usage(_)) {
        print::error("watchdog_threads: --help lists the options");
    }
    ExitCode::FAILURE
}

/// Reads the command line; `None`: the user asked for help.
fn read_arguments(mut arguments: Arguments) -> Result<Option<Wish>, UsageError> {
    let mut wish = Wish { inject: None, rounds: 10 };
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" | "-h" => return Ok(None),
            "--rounds" => wish.rounds = arguments.number("a number of rounds")?,
            "--inject" => {
                let text = arguments.text()?;
                wish.inject = Some(match text.as_str() {
                    "hang" => Fault::Hang,
                    "exit" => Fault::Exit,
                    "panic" => Fault::Panic,
                    "spin" => Fault::Spin,
                    _ => {
                        let problem = format!("{text:?} is not hang, exit, panic or spin");
                        return Err(arguments.wrong(problem));
                    }
                });
            }
            _ => return Err(arguments.unknown()),
        }
    }
    Ok(Some(wish))
}

fn run(wish: &Wish) -> Result<(), Error> {
    let account = Teller::new();
    // A panicking thread drops its handle after the panic hook. A backtrace in the hook can take longer than the
    // deadline, and the thread would be found as starved. So this hook prints one line only.
    panic::set_hook(Box::new(|info| print::error(&format!("watchdog_threads: {info}"))));
    let teller = account.of("daemon");
    let daemon = Daemon::start(NoHardware, NAMES.len(), TIMING, move |event| on(event, &teller))
        .map_err(|failed| Error::Daemon(failed.error))?;
    account.tell(&format!("== watched: {}; two checkpoints in each round", NAMES.join(", ")));
    let (mut threads, mut measured) = (Vec::new(), Vec::new());
    for name in NAMES {
        let watched = daemon.watch(name, RULES)?;
        measured.push((name, watched.intervals()));
        let worker = Worker {
            name,
            watched,
            account: account.of(name),
            inject: wish.inject.filter(|_| name == FAILING),
            // If one thread fails, the others go on working until the reset.
            rounds: if wish.inject.is_some() { u32::MAX } else { wish.rounds },
        };
        threads.push(thread::Builder::new().name(name.into()).spawn(move || worker.works())?);
    }
    // If a thread panics or hangs, the daemon ends the process.
    for thread in threads {
        thread.join().unwrap_or(Ok(()))?;
    }
    daemon.stop()?;
    for (name, intervals) in measured {
        if let (Some(shortest), Some(longest)) = (intervals.shortest(), intervals.longest()) {
            let count = intervals.count();
            account.tell(&format!("-- {name}: {count} intervals of {shortest} to {longest} ms"));
        }
    }
    account.tell("== all ended on purpose: nobody bites");
    Ok(())
}

/// Handles an event of the daemon, and ends the program at the reset.
fn on(event: Event<'_, Infallible>, account: &Teller) {
    let bite = match event {
        Event::Stage(bite) => bite,
        Event::Report(report) => {
            account.tell(&format!("-- {}: {}", report.name(), report.failure()));
            return;
        }
        Event::Late(by) => {
            account.tell(&format!("-- the process did not run for {} ms", by.as_millis()));
            return;
        }
        Event::NotFed(never) => match never {},
    };
    match bite.stage() {
        Stage::Warn => account.tell(&format!("-- warn: {}: {}", bite.name(), bite.failure())),
        Stage::LastWords => {
            let record = CrashRecord::new(bite.failure()).note(*b"watchdog_threads");
            account.tell("-- last words, for RAM that survives the reset:");
            for line in record.to_bytes().chunks(20) {
                let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                account.tell(&format!("   {}", digits.join(" ")));
            }
        }
        Stage::Reset => {
            account.tell("-- reset");
            process::exit(RESET);
        }
        Stage::Restart | Stage::ResetLink | Stage::Other(_) => {
            account.tell("-- reset the link: it does not help");
        }
    }
}

/// One of the threads.
struct Worker {
    name: &'static str,
    watched: Watched,
    account: Teller,
    inject: Option<Fault>,
    rounds: u32,
}

impl Worker {
    fn works(self) -> Result<(), Error> {
        let name = self.name;
        let refused = |why| Error::Refused { name, why };
        for round in 0..self.rounds {
            if let Some(fault) = self.inject.filter(|_| round == ROUNDS_BEFORE) {
                self.account.tell(&format!("!! {fault:?}, as injected"));
                return self.fails(fault);
            }
            self.watched.step(0).map_err(refused)?;
            // Stands for work.
            thread::sleep(PERIOD);
            self.watched.step(1).map_err(refused)?;
        }
        self.account.tell("-- retires");
        self.watched.retire().map_err(refused)
    }

    fn fails(&self, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Hang => loop {
                thread::park();
            },
            Fault::Spin => loop {
                let _refused = self.watched.step(0);
                thread::yield_now();
            },
            Fault::Panic => panic!("as injected"),
            // The thread drops its handle here without retiring.
            Fault::Exit => Ok(()),
        }
    }
}
