//! The command line.

use mqtt_core::QoS;
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    common::Wish,
};

pub(crate) const HELP: &str = "\
Runs many MQTT sessions in one thread, checks every message, and prints what it cost.

usage: fleet [options]

  -h, --host HOST              the broker's name or address (localhost)
  -p, --port PORT              its port (1883)
  --clients COUNT              sessions (1000)
  --ramp PER_SECOND            how many connect in a second at the start; 0: all at once (1000)
  --connect-limit COUNT        attempts to connect at once (100)
  --rate PER_SECOND            messages a second, all sessions together (1000)
  --qos QOS                    at this QoS (1)
  --keep-alive SECONDS         longest silence (60)
  --seed SEED                  the jitter of client N has the seed SEED + N (1)
  --seconds SECONDS            run for so long (60)
  --topic-prefix PREFIX        client N is PREFIX-N, its topic PREFIX/N (fleet)
  --end-sessions               end the kept sessions afterwards
  --version, --help

The broker keeps the sessions, with --end-sessions until the end of the program. An interrupt ends the run in good
order, a second one at once.";

/// The longest prefix, in bytes: a topic has to fit the outbox of a client.
const LONGEST_PREFIX: usize = 40;

/// What a command line asks for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) clients: u32,
    pub(crate) ramp: u32,
    pub(crate) connect_limit: usize,
    pub(crate) rate: u32,
    pub(crate) qos: QoS,
    pub(crate) keep_alive: u16,
    pub(crate) seed: u32,
    pub(crate) seconds: u32,
    pub(crate) prefix: String,
    pub(crate) ends_sessions: bool,
}

impl Order {
    /// Milliseconds in which the clients connect for the first time.
    pub(crate) fn ramp_millis(&self) -> u32 {
        let millis = u64::from(self.clients) * 1_000 / u64::from(self.ramp).max(1);
        if self.ramp == 0 { 0 } else { u32::try_from(millis).unwrap_or(u32::MAX) }
    }
}

pub(crate) fn read(mut arguments: Arguments) -> Result<Wish<Order>, UsageError> {
    let mut order = Order {
        host: "localhost".into(),
        port: 1883,
        clients: 1_000,
        ramp: 1_000,
        connect_limit: 100,
        rate: 1_000,
        qos: QoS::AtLeastOnce,
        keep_alive: 60,
        seed: 1,
        seconds: 60,
        prefix: "fleet".into(),
        ends_sessions: false,
    };
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" => return Ok(Wish::Help),
            "--version" => return Ok(Wish::Version),
            "-h" | "--host" => order.host = arguments.text()?,
            "-p" | "--port" => order.port = arguments.number("a port")?,
            "--clients" => order.clients = arguments.number("a count of clients")?,
            "--ramp" => order.ramp = arguments.number("a count of clients a second")?,
            "--connect-limit" => order.connect_limit = arguments.number("a count of attempts")?,
            "--rate" => order.rate = arguments.number("a count of messages a second")?,
            "--qos" => order.qos = arguments.qos()?,
            "--keep-alive" => {
                order.keep_alive = arguments.number("a number of seconds up to 65535")?;
            }
            "--seed" => order.seed = arguments.number("a number below 2^32")?,
            "--seconds" => order.seconds = arguments.number("a number of seconds")?,
            "--topic-prefix" => {
                order.prefix = arguments.topic()?;
                if order.prefix.len() > LONGEST_PREFIX {
                    return Err(arguments.wrong(format!("it has more than {LONGEST_PREFIX} bytes")));
                }
            }
            "--end-sessions" => order.ends_sessions = true,
            _ => return Err(arguments.unknown()),
        }
        if order.clients == 0 || order.connect_limit == 0 {
            return Err(arguments.wrong("0 are none"));
        }
    }
    Ok(Wish::Run(order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_says_how_long_the_start_takes() {
        for (line, millis) in [
            ("--clients 5000 --ramp 1000", 5_000),
            ("--clients 10 --ramp 1000", 10),
            ("--clients 10 --ramp 0", 0),
            ("--clients 4000000000 --ramp 1", u32::MAX),
        ] {
            let Ok(Wish::Run(order)) = read(Arguments::new(line.split(' '))) else {
                panic!("{line} is an order");
            };
            assert_eq!(order.ramp_millis(), millis, "{line}");
        }
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, why) in [
            ("--clients 0", "option --clients: 0 are none"),
            ("--rate x", "option --rate: \"x\" is not a count of messages a second"),
            ("--topic-prefix a/#", "option --topic-prefix: \"a/#\": wildcard in a topic name"),
            ("--help-me", "unknown option --help-me"),
        ] {
            let error = read(Arguments::new(line.split(' '))).expect_err(line);
            assert_eq!(error.to_string(), why);
        }
    }
}
