//! Writes received messages to standard output; the options are those of `mosquitto_sub`.
//!
//! A message is acknowledged after it is written: with a persistent session (`-c`) the broker sends a message again
//! that standard output did not take. Messages larger than the read buffer come in pieces and are collected, so a
//! broken connection leaves no part of a message in the output.

use std::{
    collections::VecDeque,
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Delivery, Event, Filter, Granted, Message, MessageStart, QoS, RequestError,
    Topic,
    driver::blocking::{self, Client},
};
use mqtt_examples::{
    arguments::{Arguments, UsageError, shown},
    broker,
    common::{self, Common, Wish, filter_of},
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
  --retained-only              only retained messages; end at the first other one
  --remove-retained            clear each retained message on the broker once it is written
  -T, --filter-out FILTER      leave out messages with such topics; may be repeated
  -U, --unsubscribe FILTER     unsubscribe (with -c: from an earlier subscription); may be repeated
  -E                           end once the broker has answered the subscriptions
  -C, --count COUNT            end after this many messages
  -W, --timeout SECONDS        end after this time, from 1 on
";

const AFTER_HELP: &str = "\
Exit status: 0 interrupted, COUNT reached, or ended by -E or --retained-only, 27 time-out of -W, 1 otherwise.";

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
    #[error("unsubscribing: {0}")]
    Unsubscribe(blocking::Error),
    #[error("clearing {topic}: {error}")]
    Clear { topic: String, error: blocking::Error },
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
    retained: Retained,
    filter_out: Vec<String>,
    unsubscribe: Vec<String>,
    ends_subscribed: bool,
    count: Option<u64>,
    timeout: Option<Duration>,
}

/// What is done with retained messages.
#[derive(Default)]
struct Retained {
    left_out: bool,
    only: bool,
    removed: bool,
}

/// How the program ended.
enum End {
    Done,
    TimedOut,
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(Wish::Version) => {
            print::line(&common::version_of("sub"));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Help) => {
            let (broker, options, trace) = (broker::HELP, common::HELP, trace::HELP);
            let formats = format::HELP;
            print::line(&format!(
                "{HELP}\n{broker}\n{options}\n{trace}\n\n{formats}\n\n{AFTER_HELP}"
            ));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Run(order)) => run(&order),
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

/// The command line.
fn read_arguments(mut arguments: Arguments) -> Result<Wish<Order>, Error> {
    let mut order = Order {
        common: Common::new("sub"),
        format: Format::payload(),
        line_end: true,
        retained: Retained::default(),
        filter_out: Vec::new(),
        unsubscribe: Vec::new(),
        ends_subscribed: false,
        count: None,
        timeout: None,
    };
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" => return Ok(Wish::Help),
            "--version" => return Ok(Wish::Version),

            "-t" | "--topic" => order.common.topics.push(arguments.filter()?),
            "-v" | "--verbose" => order.format = Format::verbose(),
            "-F" | "--format" => {
                let text = arguments.text()?;
                order.format = Format::parse(&text).map_err(|error| arguments.wrong(error))?;
            }
            "-N" => order.line_end = false,
            "-R" => order.retained.left_out = true,
            "--retained-only" => order.retained.only = true,
            "--remove-retained" => order.retained.removed = true,
            "-T" | "--filter-out" => order.filter_out.push(arguments.filter()?),
            "-U" | "--unsubscribe" => order.unsubscribe.push(arguments.filter()?),
            "-E" => order.ends_subscribed = true,
            "-C" | "--count" => {
                let count = arguments.number("a count of messages")?;
                if count == 0 {
                    return Err(arguments.wrong("0 messages are none to wait for").into());
                }
                order.count = Some(count);
            }
            "-W" | "--timeout" => {
                let seconds = arguments.number("a number of seconds")?;
                if seconds == 0 {
                    return Err(arguments.wrong("0 seconds are no time to wait").into());
                }
                order.timeout = Some(Duration::from_secs(seconds));
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
    if order.retained.left_out && order.retained.only {
        return Err(UsageError::Together("-R and --retained-only leave nothing").into());
    }
    Ok(Wish::Run(order))
}

fn run(order: &Order) -> Result<End, Error> {
    let Order { common, count, timeout, .. } = order;
    let filters = common.topics.iter().chain(&order.unsubscribe);
    let outbox = OVERHEAD + 2 * filters.map(String::len).sum::<usize>();
    let Connection { client, mut events, mut watch } =
        connection::open(common, |config| config.outbox(outbox).window(WINDOW), true)?;
    let interrupted = end_on_interrupt(client.clone())?;
    // A time beyond the clock is no limit.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut timed_out = false;
    let mut output = Output::new(order)?;
    let mut clearing = Clearing::default();
    let mut unanswered = 0;
    loop {
        let event = match deadline {
            Some(deadline) if !timed_out => {
                events.next_timeout(deadline.saturating_duration_since(Instant::now()))
            }
            _ => events.next(),
        };
        output.done |= interrupted.load(Ordering::Relaxed);
        match event {
            Some(Event::Up { session, .. }) => {
                let first = watch.up(session);
                // After this the client renews the subscriptions itself.
                if first {
                    unanswered = subscribe(order, &client)?;
                }
            }
            Some(Event::Down { reason, .. }) => {
                output.abandon();
                watch.down(reason, &client, &events)?;
            }
            Some(Event::Subscribed { granted, .. }) => {
                check_granted(common, granted, &watch)?;
                unanswered = unanswered.saturating_sub(1);
                output.enough |= order.ends_subscribed && unanswered == 0;
            }
            Some(Event::Unsubscribed(_)) => {
                unanswered = unanswered.saturating_sub(1);
                output.enough |= order.ends_subscribed && unanswered == 0;
            }
            Some(Event::Renewed { granted, .. }) if granted.iter().any(|code| code.is_none()) => {
                watch.say("a subscription was refused when it was made again");
            }
            Some(Event::Message(message)) => output.take(&message)?,
            Some(Event::MessageStart(start)) => output.begin(&start),
            Some(Event::MessageChunk(piece)) => output.piece(piece),
            Some(Event::MessageEnd { delivery }) => output.end(delivery)?,
            Some(Event::Published(_) | Event::Lost(_)) => {
                clearing.unanswered = clearing.unanswered.saturating_sub(1);
            }
            Some(_) => {}
            None if client.state() == ConnectionState::Stopped => break,
            None => {}
        }
        if let Some(delivery) = output.written.take() {
            // If the connection has ended, the broker sends the message again.
            let _again = client.acknowledge(delivery);
        }
        clearing.waiting.extend(output.remove.take());
        clearing.advance(&client)?;
        output.enough |= output.closed || count.is_some_and(|count| output.count >= count);
        let late = !timed_out && deadline.is_some_and(|deadline| Instant::now() >= deadline);
        timed_out |= late && !output.enough;
        output.done |= output.enough || late;
        if late || output.enough && clearing.is_over() {
            client.disconnect();
        }
    }
    watch.report();
    Ok(if timed_out { End::TimedOut } else { End::Done })
}

/// Disconnects on the first interrupt, ends on the second. Returns whether there was one.
fn end_on_interrupt(client: Client) -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        client.disconnect();
    })?;
    Ok(interrupted)
}

/// The retained messages that `--remove-retained` clears.
#[derive(Default)]
struct Clearing {
    waiting: VecDeque<String>,
    unanswered: usize,
}

impl Clearing {
    /// Clears as many as the client has room for.
    fn advance(&mut self, client: &Client) -> Result<(), Error> {
        while let Some(topic) = self.waiting.front() {
            match client.publish(topic, b"", QoS::AtLeastOnce, true) {
                Ok(_) => self.unanswered += 1,
                Err(blocking::Error::Request(
                    RequestError::WindowFull { .. } | RequestError::OutboxFull { .. },
                )) => break,
                Err(error) => return Err(Error::Clear { topic: shown(topic), error }),
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.unanswered == 0
    }
}

/// Subscribes and unsubscribes. Returns the number of answers to come.
fn subscribe(order: &Order, client: &Client) -> Result<usize, Error> {
    let mut filters = Vec::new();
    for topic in &order.common.topics {
        filters.push((filter_of("-t", topic)?, order.common.qos));
    }
    let _ = client.subscribe_all(&filters).map_err(Error::Subscribe)?;
    for filter in &order.unsubscribe {
        let _ = client.unsubscribe(filter).map_err(Error::Unsubscribe)?;
    }
    Ok(1 + order.unsubscribe.len())
}

/// Reports the subscriptions that the broker refused; an error if it refused all of them.
fn check_granted(common: &Common, granted: Granted<'_>, watch: &Watch) -> Result<(), Error> {
    for (code, topic) in granted.iter().zip(&common.topics) {
        if code.is_none() {
            watch.say(&format!("the subscription to {} was refused", shown(topic)));
        }
    }
    if granted.iter().all(|code| code.is_none()) { Err(Error::Refused) } else { Ok(()) }
}

/// Standard output, and a message that comes in pieces.
struct Output<'a> {
    order: &'a Order,
    filter_out: Vec<Filter<'a>>,
    out: BufWriter<io::Stdout>,
    collected: Option<Received>,
    /// Messages written.
    count: u64,
    /// The message that was written and has to be acknowledged now.
    written: Option<Delivery>,
    /// The topic of a retained message that was written and has to be cleared now.
    remove: Option<String>,
    /// The reader is gone.
    closed: bool,
    /// What was asked for is complete.
    enough: bool,
    /// Later messages are not written.
    done: bool,
}

impl<'a> Output<'a> {
    fn new(order: &'a Order) -> Result<Self, UsageError> {
        let filter_out = order.filter_out.iter().map(|filter| filter_of("-T", filter));
        Ok(Self {
            order,
            filter_out: filter_out.collect::<Result<_, _>>()?,
            out: BufWriter::new(io::stdout()),
            collected: None,
            count: 0,
            written: None,
            remove: None,
            closed: false,
            enough: false,
            done: false,
        })
    }

    fn take(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let Message { topic, payload, qos, retain, dup, delivery, .. } = *message;
        let (topic, payload) = (topic.as_str().into(), payload.to_vec());
        self.collected = Some(Received { topic, payload, qos, retain, dup, id: None });
        self.end(delivery)
    }

    fn begin(&mut self, start: &MessageStart<'_>) {
        let MessageStart { topic, payload_len, qos, retain, dup, .. } = *start;
        let (topic, payload) = (topic.as_str().into(), Vec::with_capacity(payload_len));
        self.collected = Some(Received { topic, payload, qos, retain, dup, id: None });
    }

    fn piece(&mut self, piece: &[u8]) {
        if let Some(message) = &mut self.collected {
            message.payload.extend_from_slice(piece);
        }
    }

    /// The message is whole.
    fn end(&mut self, delivery: Option<Delivery>) -> Result<(), Error> {
        let Some(mut message) = self.collected.take() else { return Ok(()) };
        message.id = delivery.and_then(Delivery::packet_id);
        if self.done {
            return Ok(());
        }
        if self.order.retained.only && !message.retain {
            self.enough = true;
            return Ok(());
        }
        if self.is_wanted(&message) {
            match self.write(&message) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.closed = true;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let topic = shown(&message.topic);
                    print::error(&format!(
                        "sub: the payload on {topic} is not JSON, as %J needs it"
                    ));
                }
                Err(error) => return Err(Error::Output(error)),
            }
            self.count += 1;
            if self.order.retained.removed && message.retain {
                self.remove = Some(message.topic);
            }
        }
        self.written = delivery;
        Ok(())
    }

    fn is_wanted(&self, message: &Received) -> bool {
        let is_out = |topic| self.filter_out.iter().any(|filter| filter.matches(topic));
        let is_filtered_out = Topic::new(&message.topic).is_ok_and(is_out);
        !(is_filtered_out || self.order.retained.left_out && message.retain)
    }

    /// The connection broke: the broker sends the incomplete message again.
    fn abandon(&mut self) {
        self.collected = None;
    }

    fn write(&mut self, message: &Received) -> io::Result<()> {
        self.order.format.write(message, self.order.line_end, &mut self.out)?;
        self.out.flush()
    }
}
