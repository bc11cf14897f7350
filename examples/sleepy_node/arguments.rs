//! The command line.

use std::path::PathBuf;

use mqtt_core::QoS;
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    common::Wish,
};

use crate::real::Trial;

pub(crate) const HELP: &str = "\
A node that sleeps: prints its wake-ups and the seconds of its radio in a day, with and without slack.

usage: sleepy_node [--qos QOS] [--svg FILE]
       sleepy_node -h HOST [options]

  --qos QOS                    of the measurements (0); 0 or 1
  --svg FILE                   also writes a plot

With -h the same node runs against a real broker, with a short minute:

  -h, --host HOST              the broker's name or address
  -p, --port PORT              its port (1883)
  -i, --id ID                  the client id (sleepy)
  --minute MILLISECONDS        the length of a minute, 100 to 60000 (1000)
  --minutes COUNT              how many of them (60)
  --slack SECONDS              the most slack, in seconds of a usual minute (600); 0: none
  --version, --help

An interrupt ends the trial in good order.";

/// The longest client id: topics have to fit.
const LONGEST_ID: usize = 23;

/// What a command line asks for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) qos: QoS,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) way: Way,
}

/// In virtual time, or against a real broker.
#[derive(Debug)]
pub(crate) enum Way {
    Virtual,
    /// `slack` is in milliseconds of this minute.
    Real {
        minute: u32,
        slack: u32,
        trial: Trial,
    },
}

pub(crate) fn read(mut arguments: Arguments) -> Result<Wish<Order>, UsageError> {
    let (mut qos, mut svg, mut host) = (QoS::AtMostOnce, None, None);
    let (mut port, mut id, mut minute, mut minutes) = (1883, "sleepy".to_owned(), 1_000, 60);
    let (mut slack, mut of_trial) = (600_u32, false);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" => return Ok(Wish::Help),
            "--version" => return Ok(Wish::Version),
            "--qos" => {
                qos = arguments.qos()?;
                if qos == QoS::ExactlyOnce {
                    return Err(arguments.wrong("the broker of this day knows 0 and 1"));
                }
                continue;
            }
            "--svg" => {
                svg = Some(PathBuf::from(arguments.text()?));
                continue;
            }
            "-h" | "--host" => host = Some(arguments.text()?),
            "-p" | "--port" => port = arguments.number("a port")?,
            "-i" | "--id" => {
                id = arguments.topic()?;
                if id.len() > LONGEST_ID {
                    return Err(arguments.wrong(format!("it has more than {LONGEST_ID} bytes")));
                }
            }
            "--minute" => {
                minute = arguments.number("a number of milliseconds")?;
                if !(100..=60_000).contains(&minute) {
                    return Err(arguments.wrong("it is not from 100 to 60000"));
                }
            }
            "--minutes" => minutes = arguments.number("a count of minutes")?,
            "--slack" => slack = arguments.number("a number of seconds")?,
            _ => return Err(arguments.unknown()),
        }
        of_trial = true;
    }
    let way = match host {
        None if of_trial => return Err(UsageError::Together("a trial needs -h HOST")),
        None => Way::Virtual,
        Some(_) if svg.is_some() => {
            return Err(UsageError::Together("--svg is for the day in virtual time, without -h"));
        }
        Some(host) => {
            let slack = u64::from(slack) * u64::from(minute) / 60;
            let slack = u32::try_from(slack).unwrap_or(u32::MAX);
            Way::Real { minute, slack, trial: Trial { host, port, id, minutes } }
        }
    };
    Ok(Wish::Run(Order { qos, svg, way }))
}
