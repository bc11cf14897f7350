//! Publishes a message, or one for each line of standard input; the options are those of `mosquitto_pub`.
//!
//! Two threads share the client. This thread receives and so keeps the connection alive; the other one reads the input
//! and publishes. A file is not read into memory, but sent from where it lies. If the client has no room, the publishing thread waits, so fast input loses nothing. The program ends
//! once every message is acknowledged (QoS 0: handed to the transport).

use std::{
    fs::File,
    io::{self, BufRead, Read},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use mqtt_core::{
    ConnectionState, Event, Publish, QoS, RequestError, SourceId, Topic,
    driver::blocking::{self, Client},
};
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    broker,
    common::{self, Common, Wish, topic_of},
    connection::{self, Connection, ConnectionError},
    print, trace,
};
use thiserror::Error;

const HELP: &str = "\
Publishes to an MQTT broker, and ends when it has every message.

usage: pub -t TOPIC (-m TEXT | -n | -f FILE | -s | -l) [options]

Message
  -t, --topic TOPIC            where to publish
  -m, --message TEXT           publish this
  -n, --null-message           publish an empty message
  -f, --file FILE              publish what is in the file
  -s, --stdin-file             publish all of standard input as one message
  -l, --stdin-line             publish each line of standard input
  -q, --qos QOS                0: as the network will have it, 1: surely, 2: surely and once (0)
  -r, --retain                 the broker keeps the last one for later subscribers
  --repeat COUNT               publish it so often, not with -l (1)
  --repeat-delay SECONDS       wait so long in between, such as 0.5 (0)
";

const AFTER_HELP: &str = "\
Exit status: 0 every message was acknowledged (QoS 0: sent), 1 otherwise.";

/// The largest payload of MQTT.
const LARGEST_PAYLOAD: u64 = 268_435_455;
/// About the longest line of `-l`.
const LINES_OUTBOX: usize = 16 << 20;
/// Bytes of the largest CONNECT, the longest topic and the headers.
const OVERHEAD: usize = 512 << 10;
/// The file, for the client.
const FILE: SourceId = SourceId::new(0);
/// Messages that may be in flight.
const WINDOW: usize = 1024;
/// The same at QoS 2. Mosquitto closes the connection of a client that has more in flight than its
/// `max_inflight_messages`.
const WINDOW_QOS_2: usize = 20;
/// The longest single wait for room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest wait for an event at QoS 0: no received packet ends the wait when another thread has sent a message.
const LOOK_FOR_SENT: Duration = Duration::from_millis(10);

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("{from}: {error}")]
    Input { from: String, error: io::Error },
    #[error("{0} is empty; -n publishes an empty message")]
    Empty(String),
    #[error("{0} is longer than the 268,435,455 bytes of the largest MQTT packet")]
    TooLong(String),
    #[error("{what}: {error}")]
    Refused { what: String, error: blocking::Error },
    #[error(
        "{0} of {1} messages: the connection broke, nobody knows whether they arrived; -c keeps track"
    )]
    Lost(u64, u64),
    #[error("{0} of {1} messages: the file could not be read, or has another length now")]
    Unread(u64, u64),
    #[error("the thread that publishes panicked")]
    Panicked,
}

/// The source of the messages.
#[derive(Debug)]
enum Source {
    Message(Vec<u8>),
    /// A file and its name.
    File(String, File),
    Lines,
}

struct Order {
    common: Common,
    topic: String,
    retain: bool,
    source: Source,
    repeat: u64,
    repeat_delay: Duration,
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(Wish::Version) => {
            print::line(&common::version_of("pub"));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Help) => {
            let (broker, options, trace) = (broker::HELP, common::HELP, trace::HELP);
            print::line(&format!("{HELP}\n{broker}\n{options}\n{trace}\n\n{AFTER_HELP}"));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Run(order)) => run(order),
        Err(error) => Err(error),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("pub: {error}"));
    if matches!(error, Error::Usage(_) | Error::Connection(ConnectionError::Usage(_))) {
        print::error("pub: --help lists the options");
    }
    ExitCode::FAILURE
}

/// The command line.
fn read_arguments(mut arguments: Arguments) -> Result<Wish<Order>, Error> {
    let mut common = Common::new("pub");
    let mut retain = false;
    let mut repeat = None;
    let mut repeat_delay = Duration::ZERO;
    let mut source: Option<Source> = None;
    while let Some(option) = arguments.option()? {
        let chosen = match option.as_str() {
            "--help" => return Ok(Wish::Help),
            "--version" => return Ok(Wish::Version),
            "--repeat" => {
                let count = arguments.number("a count of messages")?;
                if count == 0 {
                    return Err(arguments.wrong("0 messages are none to publish").into());
                }
                repeat = Some(count);
                None
            }
            "--repeat-delay" => {
                let what = "a number of seconds";
                let seconds: f64 = arguments.number(what)?;
                repeat_delay = Duration::try_from_secs_f64(seconds)
                    .map_err(|_| arguments.wrong(format!("{seconds} is not {what}")))?;
                None
            }

            "-t" | "--topic" => {
                common.topics.push(arguments.topic()?);
                None
            }
            "-r" | "--retain" => {
                retain = true;
                None
            }
            "-m" | "--message" => Some(Source::Message(arguments.bytes()?)),
            "-n" | "--null-message" => Some(Source::Message(Vec::new())),
            "-f" | "--file" => {
                let name = arguments.text()?;
                let file = File::open(&name)
                    .map_err(|error| Error::Input { from: name.clone(), error })?;
                Some(from_file(name, file)?)
            }
            "-s" | "--stdin-file" => {
                Some(Source::Message(whole("standard input".into(), io::stdin().lock())?))
            }
            "-l" | "--stdin-line" => Some(Source::Lines),
            other if common.take(other, &mut arguments)? => None,
            _ => return Err(arguments.unknown().into()),
        };
        if chosen.is_some() && source.is_some() {
            return Err(UsageError::Together("one of -m, -n, -f, -s and -l, not two").into());
        }
        source = chosen.or(source);
    }
    let source =
        source.ok_or(UsageError::Together("a message is missing: -m, -n, -f, -s or -l"))?;
    if repeat.is_some() && matches!(source, Source::Lines) {
        return Err(
            UsageError::Together("--repeat goes with -m, -n, -f and -s, not with -l").into()
        );
    }
    let mut topics = std::mem::take(&mut common.topics).into_iter();
    let topic = topics.next().ok_or(UsageError::Together("a topic is missing: -t"))?;
    if topics.next().is_some() {
        return Err(UsageError::Together("one topic, not two: -t").into());
    }
    topic_of("-L", &topic)?;
    let repeat = repeat.unwrap_or(1);
    Ok(Wish::Run(Order { common, topic, retain, source, repeat, repeat_delay }))
}

/// What is in `file`. A file is read while it is sent; a pipe is read now, for nobody knows its length.
fn from_file(name: String, file: File) -> Result<Source, Error> {
    let kind = match file.metadata() {
        Ok(kind) => kind,
        Err(error) => return Err(Error::Input { from: name, error }),
    };
    if !kind.is_file() || kind.len() == 0 {
        // Some files of the system have bytes and no length.
        return Ok(Source::Message(whole(name, file)?));
    }
    if kind.len() > LARGEST_PAYLOAD {
        Err(Error::TooLong(name))
    } else {
        Ok(Source::File(name, file))
    }
}

/// The whole of `input`, as one message.
fn whole(name: String, input: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    if let Err(error) = input.take(LARGEST_PAYLOAD + 1).read_to_end(&mut bytes) {
        return Err(Error::Input { from: name, error });
    }
    match bytes.len() as u64 {
        0 => Err(Error::Empty(name)),
        length if length > LARGEST_PAYLOAD => Err(Error::TooLong(name)),
        _ => Ok(bytes),
    }
}

/// The number of messages, and how many of them are done.
#[derive(Debug)]
struct Progress {
    done: AtomicU64,
    /// `u64::MAX` until the last one was accepted.
    all: AtomicU64,
}

impl Progress {
    /// Another message is done. Returns whether it was the last one.
    fn one_done(&self) -> bool {
        self.done.fetch_add(1, Ordering::SeqCst) + 1 == self.all.load(Ordering::SeqCst)
    }

    /// There are `count` messages in all. Returns whether all of them are done.
    fn no_more_than(&self, count: u64) -> bool {
        self.all.store(count, Ordering::SeqCst);
        self.done.load(Ordering::SeqCst) == count
    }
}

fn run(order: Order) -> Result<(), Error> {
    let outbox = OVERHEAD
        + match &order.source {
            Source::Message(message) => message.len(),
            Source::File(..) => 0,
            Source::Lines => LINES_OUTBOX,
        };
    let common = order.common.clone();
    let window = if common.qos == QoS::ExactlyOnce { WINDOW_QOS_2 } else { WINDOW };
    let Connection { client, mut events, mut watch } =
        connection::open(&common, |config| config.outbox(outbox).window(window), false)?;
    let progress = Arc::new(Progress { done: AtomicU64::new(0), all: AtomicU64::new(u64::MAX) });
    let mut order = Some(order);
    let mut publishing = None;
    let (mut lost, mut unread) = (0, 0);
    loop {
        let event = match common.qos {
            QoS::AtMostOnce => events.next_timeout(LOOK_FOR_SENT),
            QoS::AtLeastOnce | QoS::ExactlyOnce => events.next(),
        };
        match event {
            Some(Event::Up { session, .. }) => {
                watch.up(session);
                if let Some(order) = order.take() {
                    let (client, progress) = (client.clone(), Arc::clone(&progress));
                    publishing = Some(thread::spawn(move || publish(&order, &client, &progress)));
                }
            }
            Some(Event::Down { reason, .. }) => watch.down(reason, &client, &events)?,
            Some(done @ (Event::Published(_) | Event::Lost(_) | Event::SourceFailed(_))) => {
                lost += u64::from(matches!(done, Event::Lost(_)));
                unread += u64::from(matches!(done, Event::SourceFailed(_)));
                if progress.one_done() {
                    client.disconnect();
                }
            }
            Some(_) => {}
            None if client.state() == ConnectionState::Stopped => break,
            None => {}
        }
    }
    watch.report();
    // Only the thread disconnects, so it is at its end.
    publishing.map_or(Ok(()), |thread| thread.join().unwrap_or(Err(Error::Panicked)))?;
    let all = progress.all.load(Ordering::SeqCst);
    if unread != 0 {
        return Err(Error::Unread(unread, all));
    }
    if lost == 0 { Ok(()) } else { Err(Error::Lost(lost, all)) }
}

/// Publishes everything. Accepted messages are completed even if a later message fails.
fn publish(order: &Order, client: &Client, progress: &Progress) -> Result<(), Error> {
    let mut accepted = 0;
    let published = publish_each(order, client, &mut accepted);
    if progress.no_more_than(accepted) {
        client.disconnect();
    }
    published
}

fn publish_each(order: &Order, client: &Client, accepted: &mut u64) -> Result<(), Error> {
    let topic = topic_of("-t", &order.topic)?;
    match &order.source {
        Source::Message(message) => {
            for turn in 0..order.repeat {
                if turn > 0 {
                    thread::sleep(order.repeat_delay);
                }
                send(order, client, topic, message, "the message")?;
                *accepted += 1;
            }
        }
        Source::File(name, file) => {
            for turn in 0..order.repeat {
                if turn > 0 {
                    thread::sleep(order.repeat_delay);
                }
                send_file(order, client, name, file)?;
                *accepted += 1;
            }
        }
        Source::Lines => {
            let mut input = io::stdin().lock();
            let mut line = Vec::new();
            loop {
                line.clear();
                match input.read_until(b'\n', &mut line) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        return Err(Error::Input { from: "standard input".into(), error });
                    }
                }
                let message = line.strip_suffix(b"\n").unwrap_or(&line);
                let name = format!("line {}", *accepted + 1);
                send(order, client, topic, message, &name)?;
                *accepted += 1;
            }
        }
    }
    Ok(())
}

/// Publishes a file as soon as the client has room for the head of its message.
fn send_file(order: &Order, client: &Client, name: &str, file: &File) -> Result<(), Error> {
    let how = (order.common.qos, order.retain);
    loop {
        let file =
            file.try_clone().map_err(|error| Error::Input { from: name.to_owned(), error })?;
        match client.publish_from_within(&order.topic, FILE, file, how, LOOK_AGAIN) {
            Ok(_) => return Ok(()),
            Err(error) if is_full(&error) => {}
            Err(error) => return Err(Error::Refused { what: name.to_owned(), error }),
        }
    }
}

/// Whether the broker is slow or not connected: the message waits here.
const fn is_full(error: &blocking::Error) -> bool {
    matches!(
        error,
        blocking::Error::Request(RequestError::WindowFull { .. } | RequestError::OutboxFull { .. })
    )
}

/// Publishes one message as soon as the client has room for it.
fn send(
    order: &Order,
    client: &Client,
    topic: Topic<'_>,
    message: &[u8],
    name: &str,
) -> Result<(), Error> {
    let publish = Publish::new(topic, message).qos(order.common.qos).retain(order.retain);
    loop {
        match client.send_within(&publish, LOOK_AGAIN) {
            Ok(_) => return Ok(()),
            Err(error) if is_full(&error) => {}
            Err(error) => return Err(Error::Refused { what: name.into(), error }),
        }
    }
}
