//! A node that sleeps: it measures every minute, publishes every ten, keeps its session at the broker and is watched by
//! a watchdog, with as few wake-ups as possible.
//!
//! - [`node`]: the node itself, over the real `Client` and `Supervisor`; to be copied;
//! - [`settings`]: its intervals, and the plan that the compiler proves;
//! - [`day`]: a day in virtual time, with [`radio`] and [`broker`]; [`figures`] and [`plot`] show it;
//! - [`real`]: the same node against a real broker, with a short minute.
//!
//! ```sh
//! cargo run --release --example sleepy_node -- --svg day.svg
//! ```
//!
//! `docs/sleepy-node.md` explains the result.

mod arguments;
mod broker;
mod day;
mod figures;
mod node;
mod plot;
mod radio;
mod real;
mod settings;

use std::{fs, io, path::PathBuf, process::ExitCode};

use mqtt_core::{ConfigError, RequestError, TopicError, Violation, codec::EncodeError};
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    common::{self, Wish},
    print,
};
use thiserror::Error;
use watchdog_core::{Failure, PlanError, Refused};

use arguments::{Order, Way};
use settings::Settings;

/// Why the node cannot go on.
#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("the settings of the client: {0}")]
    Settings(#[from] ConfigError),
    #[error("the plan of the watchdog: {0}")]
    Plan(#[from] PlanError),
    #[error("a topic of the node: {0}")]
    Topic(#[from] TopicError),
    #[error("subscribing: {0}")]
    Subscribe(#[from] RequestError),
    #[error("the watchdog refuses a report: {0}")]
    Report(#[from] Refused),
    #[error("the watchdog bites: {0}")]
    Failed(Failure),
    #[error("the chip bites: it was not fed for {silent} ms")]
    Bitten { silent: u64 },
    #[error("the client breaks the protocol: {0}")]
    Protocol(#[from] Violation),
    #[error("the broker's answer: {0}")]
    Answer(#[from] EncodeError),
    #[error("{}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("no handler for interrupts: {0}")]
    Interrupts(#[from] ctrlc::Error),
}

/// The slacks of the days that are compared, in milliseconds.
const SLACKS: [u32; 5] = [0, 2_000, 30_000, 60_000, 600_000];

fn compare(order: &Order) -> Result<(), Error> {
    let mut days = Vec::new();
    for slack in SLACKS {
        let settings = Settings { minute: settings::MINUTE, slack, qos: order.qos };
        days.push((slack, day::live(settings)?));
    }
    figures::table(&days).iter().for_each(|line| print::line(line));
    if let Some(path) = &order.svg {
        let failed = |error| Error::Write { path: path.clone(), error };
        fs::write(path, plot::svg(&days)).map_err(failed)?;
    }
    Ok(())
}

fn run(order: &Order) -> Result<(), Error> {
    match &order.way {
        Way::Virtual => compare(order),
        Way::Real { minute, slack, trial } => {
            real::live(Settings { minute: *minute, slack: *slack, qos: order.qos }, trial)
        }
    }
}

fn main() -> ExitCode {
    let done = match arguments::read(Arguments::of_process()) {
        Ok(Wish::Help) => {
            print::line(arguments::HELP);
            Ok(())
        }
        Ok(Wish::Version) => {
            print::line(&common::version_of("sleepy_node"));
            Ok(())
        }
        Ok(Wish::Run(order)) => run(&order),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&format!("sleepy_node: {error}"));
            ExitCode::FAILURE
        }
    }
}
