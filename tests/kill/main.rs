//! Shows that nothing is lost or doubled even if processes are killed at any moment: a publisher, a subscriber, and the
//! broker.
//!
//! The publisher numbers its messages, with QoS 1 and 2 in turn. The position in its journal is the next number. The
//! subscriber writes the messages to a file, and its position is the length of the file. Both are killed (SIGKILL) over
//! and over and started again from their journals, with a real Mosquitto between them. Then all messages are counted:
//! at QoS 2 each must have arrived exactly once and in order, at QoS 1 at least once.
//!
//! In a second part Mosquitto is killed as well. Then messages are lost that it has acknowledged and not yet saved,
//! which no client can prevent. Its own log separates these messages from those that a client would have lost or
//! doubled.
//!
//! With `--brokers 2` it shows that a client of two brokers that share nothing tells the truth about its messages: see
//! [`separate`].

mod evidence;
mod message;
mod publisher;
mod report;
mod run;
mod separate;
mod subscriber;
mod tasks;
mod verdict;
mod victim;

use std::{process::ExitCode, time::Duration};

use mqtt_core::{driver::blocking, driver::journal::file::FileError};
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    print,
};
use thiserror::Error;

const HELP: &str = "\
Kills a publisher, a subscriber and a Mosquitto at random moments, and counts what arrived.

usage: kill [options]

  --times N          kills of the publisher (50); others are killed beside it
  --broker-times N   kills of Mosquitto, in a second part (a fifth of --times)
  --brokers 2        instead: one publisher and two Mosquittos that share nothing; they are stopped and killed in
                     turn, and connections are cut
  --messages N       with --brokers 2: messages of QoS 2 in each of its two parts (10000)
  --driver tokio     the publisher is a client for tasks, not for threads
  --seed N           chooses who is killed and when (made up)
  --help             tells this

It takes a Mosquitto that is installed. Exit status: 0 nothing was lost, doubled or out of order but by Mosquitto; 1 something
was, or the run failed; 2 the options are wrong.";

/// How long any step may take that is not killed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The exit status for wrong options.
const USAGE: u8 = 2;

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("{0}")]
    File(String),
    #[error(transparent)]
    Journal(#[from] FileError),
    #[error(transparent)]
    Client(#[from] blocking::Error),
    #[error("{what}: {error}")]
    Request { what: &'static str, error: blocking::Error },
    #[error("{0}")]
    Run(String),
}

/// The arguments of the command line.
enum Order {
    Help,
    Run(run::Settings),
    Separate(separate::Settings),
    /// Run as one of the processes that are killed.
    Publisher(Role),
    Subscriber(Role),
}

/// The arguments of a process that is killed.
struct Role {
    broker: String,
    folder: String,
    /// It is no longer killed: it sends or receives the last messages, and ends.
    last: bool,
    driver: Driver,
}

/// Whose client the publisher is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Driver {
    #[default]
    Blocking,
    Tokio,
}

impl Driver {
    const fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Tokio => "tokio",
        }
    }

    fn named(name: &str) -> Result<Self, UsageError> {
        let all = [Self::Blocking, Self::Tokio];
        let named = all.into_iter().find(|driver| driver.name() == name);
        named.ok_or(UsageError::Together("--driver is blocking or tokio"))
    }
}

fn main() -> ExitCode {
    let done = read_arguments(Arguments::of_process()).and_then(|order| match order {
        Order::Help => {
            print::line(HELP);
            Ok(true)
        }
        Order::Run(settings) => run::run(&settings),
        Order::Separate(settings) => separate::run(&settings),
        Order::Publisher(role) => match role.driver {
            Driver::Blocking => publisher::run(&role).map(|()| true),
            Driver::Tokio => tasks::run(&role).map(|()| true),
        },
        Order::Subscriber(role) => subscriber::run(&role).map(|()| true),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print::error(&format!("kill: {error}"));
            let wrong = matches!(error, Error::Usage(_));
            if wrong { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn read_arguments(mut arguments: Arguments) -> Result<Order, Error> {
    let (mut times, mut broker_times, mut seed) = (None, None, None);
    let (mut brokers, mut messages, mut driver) = (1, None, None);
    let (mut role, mut broker, mut folder, mut last) = (None, None, None, false);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" => return Ok(Order::Help),
            "--times" => times = Some(arguments.number("a number")?),
            "--broker-times" => broker_times = Some(arguments.number("a number")?),
            "--brokers" => brokers = arguments.number("a number")?,
            "--driver" => driver = Some(Driver::named(&arguments.text()?)?),
            "--messages" => messages = Some(arguments.number("a number")?),
            "--seed" => seed = Some(arguments.number("a number")?),
            // How the run starts its victims.
            "--role" => role = Some(arguments.text()?),
            "--broker" => broker = Some(arguments.text()?),
            "--folder" => folder = Some(arguments.text()?),
            "--last" => last = true,
            _ => return Err(arguments.unknown().into()),
        }
    }
    let Some(role) = role else {
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        return match (brokers, messages) {
            (1, None) => {
                let times = times.unwrap_or(50);
                if times == 0 {
                    return Err(UsageError::Together("--times: at least one kill").into());
                }
                let broker_times = broker_times.unwrap_or_else(|| (times / 5).max(1));
                Ok(Order::Run(run::Settings {
                    times,
                    broker_times,
                    seed,
                    driver: driver.unwrap_or_default(),
                }))
            }
            (2, _) if times.is_some() || broker_times.is_some() => {
                Err(UsageError::Together("--times and --broker-times are for one broker").into())
            }
            (2, _) if driver.is_some() => {
                Err(UsageError::Together("--driver is for one broker").into())
            }
            (2, messages) => {
                let messages = messages.unwrap_or(10_000);
                if messages < separate::FEWEST {
                    return Err(UsageError::Together("--messages: at least 200").into());
                }
                Ok(Order::Separate(separate::Settings { messages, seed }))
            }
            (1, Some(_)) => Err(UsageError::Together("--messages needs --brokers 2").into()),
            _ => Err(UsageError::Together("--brokers is 1 or 2").into()),
        };
    };
    let (Some(broker), Some(folder)) = (broker, folder) else {
        return Err(UsageError::Together("--role needs --broker and --folder").into());
    };
    let settings = Role { broker, folder, last, driver: driver.unwrap_or_default() };
    match role.as_str() {
        "publisher" => Ok(Order::Publisher(settings)),
        "subscriber" => Ok(Order::Subscriber(settings)),
        _ => Err(UsageError::Together("--role is publisher or subscriber").into()),
    }
}

/// Ends this process when its parent is gone, which closes the standard input.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _gone = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> String {
        match read_arguments(Arguments::new(arguments)) {
            Err(error @ Error::Usage(_)) => error.to_string(),
            _ => panic!("{arguments:?} are wrong"),
        }
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(error(&["--times", "many"]), "option --times: \"many\" is not a number");
        assert_eq!(error(&["--times", "0"]), "--times: at least one kill");
        assert_eq!(error(&["--brokers", "3"]), "--brokers is 1 or 2");
        assert_eq!(error(&["--driver", "threads"]), "--driver is blocking or tokio");
        assert_eq!(error(&["--brokers", "2", "--driver", "tokio"]), "--driver is for one broker");
        assert_eq!(error(&["--messages", "500"]), "--messages needs --brokers 2");
        assert_eq!(error(&["--brokers", "2", "--messages", "9"]), "--messages: at least 200");
        assert_eq!(error(&["--seed"]), "option --seed: a value is missing");
        assert_eq!(error(&["--kill"]), "unknown option --kill");
        assert_eq!(error(&["50"]), "unexpected argument \"50\"");
        assert_eq!(error(&["--role", "publisher"]), "--role needs --broker and --folder");
    }

    #[test]
    fn two_brokers_are_another_run() {
        let arguments = Arguments::new(["--brokers", "2", "--messages", "500"]);
        let Ok(Order::Separate(settings)) = read_arguments(arguments) else {
            panic!("they are right")
        };
        assert_eq!(settings.messages, 500);
    }

    #[test]
    fn mosquitto_is_killed_a_fifth_as_often() {
        let Ok(Order::Run(settings)) = read_arguments(Arguments::new(["--times", "500"])) else {
            panic!("they are right")
        };
        assert_eq!((settings.times, settings.broker_times), (500, 100));
    }
}
