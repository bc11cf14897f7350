//! Writes received messages to standard output; the options are those of `mosquitto_sub`.
//!
//! A message is acknowledged after it is written: with a persistent session (`-c`) the broker sends a message again
//! that standard output did not take. Messages larger than the read buffer come in pieces and are collected, so a
//! broken connection leaves no part of a message in the output.

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Delivery, Event, Granted, Message, MessageStart, QoS,
    driver::blocking::{self, Client},
};
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    common::{self, Common, filter_of},
    connection::{self, Connection, ConnectionError, Watch},
    format::{self, Format, Received},
    print, trace,
};
use thiserror::Error;

const HELP: &str = "\
Receives from an MQTT broker until it is interrupted, and connects again by itself.

usage: sub -t FILTER [-t FILTER ...] [options]

Messages
  -t, --topic FILTER           what to receive, + and # allowed; may be repeated
  -q, --qos QOS                at the most at this QoS (0)
  -v, --verbose                write the topic before the payload
  -F, --format FORMAT          write each message like this, see below
  -N                           write no line end after a message
  -R                           leave out retained messages
  -C, --count COUNT            end after this many messages
  -W, --timeout SECONDS        end after this time
";

const AFTER_HELP: &str = "\
Exit status: 0 interrupted or COUNT reached, 27 time-out of -W, 1 otherwise.";

/// The most QoS 2 messages that a broker may have in flight; 16 bytes each.
const WINDOW: usize = 0xEFFF;
/// Bytes of the largest CONNECT, and of acknowledgements.
const OVERHEAD: usize = 1 << 20;
/// As in `mosquitto_sub`.
const TIMED_OUT: u8 = 27;
/// The status that shells report for a program that an interrupt ended.
const INTERRUPTED: i32 = 130;

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("subscribing: {0}")]
    Subscribe(blocking::Error),
    #[error("the broker refused every subscription")]
    Refused,
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("no handler for interrupts: {0}")]
    Interrupts(#[from] ctrlc::Error),
}

struct Order {
    common: Common,
    format: Format,
    line_end: bool,
    retained: bool,
    count: Option<u64>,
    timeout: Option<Duration>,
}

/// How the program ended.
enum End {
    Done,
    TimedOut,
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(None) => {
            let (options, trace, formats) = (common::HELP, trace::HELP, format::HELP);
            print::line(&format!("{HELP}\n{options}\n{trace}\n\n{formats}\n\n{AFTER_HELP}"));
            return ExitCode::SUCCESS;
        }
        Ok(Some(order)) => run(&order),
        Err(error) => Err(error),
    };
    match done {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::TimedOut) => {
            print::error("sub: timed out");
            ExitCode::from(TIMED_OUT)
        }
        Err(error) => {
            print::error(&format!("sub: {error}"));
            if matches!(error, Error::Usage(_) | Error::Connection(ConnectionError::Usage(_))) {
                print::error("sub: --help lists the options");
            }
            ExitCode::FAILURE
        }
    }
}

/// The command line; `None` if it asks for help.
fn read_arguments(mut arguments: Arguments) -> Result<Option<Order>, Error> {
    let mut order = Order {
        common: Common::new("sub"),
        format: Format::payload(),
        line_end: true,
        retained: true,
        count: None,
        timeout: None,
    };
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" => return Ok(None),
            "-t" | "--topic" => order.common.topics.push(arguments.filter()?),
            "-v" | "--verbose" => order.format = Format::verbose(),
            "-F" | "--format" => {
                let text = arguments.text()?;
                order.format = Format::parse(&text).map_err(|error| arguments.wrong(error))?;
            }
            "-N" => order.line_end = false,
            "-R" => order.retained = false,
            "-C" | "--count" => {
                let count = arguments.number("a count of messages")?;
                if count == 0 {
                    return Err(arguments.wrong("0 messages are none to wait for").into());
                }
                order.count = Some(count);
            }
            "-W" | "--timeout" => {
                order.timeout = Some(Duration::from_secs(arguments.number("a number of seconds")?));
            }
            other if order.common.take(other, &mut arguments)? => {}
            _ => return Err(arguments.unknown().into()),
        }
    }
    if order.common.topics.is_empty() {
        return Err(UsageError::Together("a topic is missing: -t").into());
    }
    for topic in &order.common.topics {
        filter_of("-L", topic)?;
    }
    Ok(Some(order))
}

fn run(order: &Order) -> Result<End, Error> {
    let Order { common, count, timeout, .. } = order;
    let outbox = OVERHEAD + 2 * common.topics.iter().map(String::len).sum::<usize>();
    let Connection { client, mut events, mut watch } =
        connection::open(common, |config| config.outbox(outbox).window(WINDOW), true)?;
    end_on_interrupt(client.clone())?;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut timed_out = false;
    let mut output = Output::new(order);
    loop {
        let event = match deadline {
            Some(deadline) if !timed_out => {
                events.next_timeout(deadline.saturating_duration_since(Instant::now()))
            }
            _ => events.next(),
        };
        match event {
            Some(Event::Up { session, .. }) => {
                let first = watch.up(session);
                // After this the client renews the subscriptions itself.
                if first {
                    subscribe(common, &client)?;
                }
            }
            Some(Event::Down { reason, .. }) => {
                output.abandon();
                watch.down(reason, &client, &events)?;
            }
            Some(Event::Subscribed { granted, .. }) => check_granted(common, granted, &watch)?,
            Some(Event::Renewed { granted, .. }) if granted.iter().any(|code| code.is_none()) => {
                watch.say("a subscription was refused when it was made again");
            }
            Some(Event::Message(message)) => output.take(&message)?,
            Some(Event::MessageStart(start)) => output.begin(&start),
            Some(Event::MessageChunk(piece)) => output.piece(piece),
            Some(Event::MessageEnd { delivery }) => output.end(delivery)?,
            Some(_) => {}
            None if client.state() == ConnectionState::Stopped => break,
            None => {}
        }
        if let Some(delivery) = output.written.take() {
            // If the connection has ended, the broker sends the message again.
            let _again = client.acknowledge(delivery);
        }
        let enough = output.closed || count.is_some_and(|count| output.count >= count);
        let late = !timed_out && deadline.is_some_and(|deadline| Instant::now() >= deadline);
        timed_out |= late && !enough;
        if enough || late {
            output.done = true;
            client.disconnect();
        }
    }
    watch.report();
    Ok(if timed_out { End::TimedOut } else { End::Done })
}

/// Disconnects on the first interrupt, ends on the second.
fn end_on_interrupt(client: Client) -> Result<(), ctrlc::Error> {
    let interrupted = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if interrupted.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        client.disconnect();
    })
}

fn subscribe(common: &Common, client: &Client) -> Result<(), Error> {
    let mut filters = Vec::new();
    for topic in &common.topics {
        filters.push((filter_of("-t", topic)?, common.qos));
    }
    client.subscribe_all(&filters).map_or_else(|error| Err(Error::Subscribe(error)), |_| Ok(()))
}

/// Reports the subscriptions that the broker refused; an error if it refused all of them.
fn check_granted(common: &Common, granted: Granted<'_>, watch: &Watch) -> Result<(), Error> {
    for (code, topic) in granted.iter().zip(&common.topics) {
        if code.is_none() {
            watch.say(&format!("the subscription to {topic:?} was refused"));
        }
    }
    if granted.iter().all(|code| code.is_none()) { Err(Error::Refused) } else { Ok(()) }
}

/// Standard output, and a message that comes in pieces.
struct Output<'a> {
    order: &'a Order,
    out: BufWriter<io::Stdout>,
    collected: Option<Received>,
    /// Messages written.
    count: u64,
    /// The message that was written and has to be acknowledged now.
    written: Option<Delivery>,
    /// The reader is gone.
    closed: bool,
    /// Later messages are not written.
    done: bool,
}

impl<'a> Output<'a> {
    fn new(order: &'a Order) -> Self {
        Self {
            order,
            out: BufWriter::new(io::stdout()),
            collected: None,
            count: 0,
            written: None,
            closed: false,
            done: false,
        }
    }

    fn take(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let Message { topic, payload, qos, retain, delivery, .. } = *message;
        self.collected = Some(received(topic.as_str(), payload.to_vec(), qos, retain));
        self.end(delivery)
    }

    fn begin(&mut self, start: &MessageStart<'_>) {
        let MessageStart { topic, payload_len, qos, retain, .. } = *start;
        self.collected =
            Some(received(topic.as_str(), Vec::with_capacity(payload_len), qos, retain));
    }

    fn piece(&mut self, piece: &[u8]) {
        if let Some(message) = &mut self.collected {
            message.payload.extend_from_slice(piece);
        }
    }

    /// The message is whole.
    fn end(&mut self, delivery: Option<Delivery>) -> Result<(), Error> {
        let Some(message) = self.collected.take() else { return Ok(()) };
        if self.done {
            return Ok(());
        }
        if self.order.retained || !message.retain {
            match self.write(&message) {
                Ok(()) => self.count += 1,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.closed = true;
                    return Ok(());
                }
                Err(error) => return Err(Error::Output(error)),
            }
        }
        self.written = delivery;
        Ok(())
    }

    /// The connection broke: the broker sends the incomplete message again.
    fn abandon(&mut self) {
        self.collected = None;
    }

    fn write(&mut self, message: &Received) -> io::Result<()> {
        self.order.format.write(message, &mut self.out)?;
        if self.order.line_end {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }
}

fn received(topic: &str, payload: Vec<u8>, qos: QoS, retain: bool) -> Received {
    Received { topic: topic.into(), payload, qos, retain }
}
