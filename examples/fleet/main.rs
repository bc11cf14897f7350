//! A fleet: thousands of sessions in one thread, over non-blocking sockets.
//!
//! Each session publishes numbered messages to a topic of its own and subscribes to it, so every message is checked from
//! end to end. The sessions are kept by the broker. The program prints a table of what the fleet cost and of what became
//! of it when the broker was away.
//!
//! It is also a model for a driver of many clients:
//!
//! - [`session`]: the loop of one client, which ends when it would block;
//! - [`link`]: its socket;
//! - [`deadlines`]: when to look at which client, in a heap that is touched only when a deadline gets earlier;
//! - [`gate`]: no more attempts to connect at once than the broker can take ('not yet', `Client::defer_connect`);
//! - [`fleet`]: the loop over all of them, with one read buffer (`framer::Rest`).
//!
//! ```sh
//! cargo run --release --example fleet -- --clients 5000 --rate 5000 --seconds 60 --end-sessions
//! ```

mod account;
mod arguments;
mod attempts;
mod deadlines;
mod figures;
mod fleet;
mod gate;
mod histogram;
mod link;
mod process;
mod session;

use std::{io, process::ExitCode};

use mqtt_core::{ConfigError, RequestError, TopicError};
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    common::{self, Wish},
    print,
};
use thiserror::Error;

/// Why the fleet cannot run.
#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[cfg(unix)]
    #[error(
        "{clients} clients need {needed} open files, and this process may have {limit}: `ulimit -n {needed}`"
    )]
    Descriptors { clients: u32, needed: u64, limit: u64 },
    #[cfg(unix)]
    #[error("the limit of open files cannot be raised to {needed}: {error}")]
    Raise { needed: u64, error: io::Error },
    #[error("{place}: {error}")]
    Address { place: String, error: io::Error },
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("the settings of a client: {0}")]
    Settings(#[from] ConfigError),
    #[error("{topic:?}: {error}")]
    Topic { topic: String, error: TopicError },
    #[error("subscribing: {0}")]
    Subscribe(RequestError),
    #[error("waiting for sockets: {0}")]
    Wait(io::Error),
    #[error("no handler for interrupts: {0}")]
    Interrupts(#[from] ctrlc::Error),
}

fn main() -> ExitCode {
    let done = match arguments::read(Arguments::of_process()) {
        Ok(Wish::Help) => {
            print::line(arguments::HELP);
            Ok(())
        }
        Ok(Wish::Version) => {
            print::line(&common::version_of("fleet"));
            Ok(())
        }
        Ok(Wish::Run(order)) => fleet::run(&order),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&format!("fleet: {error}"));
            if matches!(error, Error::Usage(_)) {
                print::error("fleet: --help lists the options");
            }
            ExitCode::FAILURE
        }
    }
}
