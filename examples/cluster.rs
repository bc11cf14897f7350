//! One session over several brokers, of which some may fail: separate ones, or the nodes of a cluster.
//!
//! The client publishes numbered messages to a topic and subscribes to it. It says where it is, what became of its
//! session there, and which numbers are left out, late or doubled. End a broker and see. `README.md` beside the manifest
//! says how to start three.
//!
//! ```sh
//! cargo run --example cluster -- --cluster -q 1 localhost:21891 localhost:21892 localhost:21893
//! ```

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Event, Handle, Message, Options, QoS, Reconnect, RequestError, SessionStatus,
    driver::blocking::{self, Brokers, Client, Config, Connector, Events},
};
use mqtt_examples::{
    arguments::{Argument, Arguments, Url, UsageError},
    common::{self, Wish},
    print::{self, Teller},
    sequence::{Arrival, Sequence},
};
use thiserror::Error;

const HELP: &str = "\
Publishes numbered messages over several brokers and receives them again; says where the session is and what is lost.

usage: cluster [options] BROKER...

  BROKER                       host:port, mqtt://host or another URL; the first one is asked first
  --cluster                    the brokers are nodes of one cluster that share their sessions; without it each broker is
                               one of its own, with a session of its own
  -i, --id ID                  client id (cluster)
  -t, --topic TOPIC            the topic (cluster/numbers)
  -q, --qos QOS                at this QoS (1)
  --interval MILLISECONDS      a message each time (100)
  --count COUNT                end after this many messages, once they are through
  --keep-alive SECONDS         longest silence (10)
  --version, --help

An interrupt ends it in good order, a second one at once. The session stays on the broker.";

/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages that have not come after so long a silence are missing.
const QUIET: Duration = Duration::from_secs(2);

/// After so many messages a line shows that they come.
const TOLD_EACH: u32 = 100;

/// The longest time between two looks at the interrupt.
const LOOK: Duration = Duration::from_millis(100);

/// A node that cannot serve may take the connection and stay silent. So long it keeps the client.
const CONNECT_TIMEOUT_MILLIS: u32 = 5_000;

/// The status that shells report for a program that an interrupt ended.
const INTERRUPTED: i32 = 130;

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Client(#[from] blocking::Error),
    #[error("the broker refused the subscription")]
    Refused,
    #[error("no handler for interrupts: {0}")]
    Interrupts(#[from] ctrlc::Error),
}

struct Order {
    brokers: Vec<Url>,
    cluster: bool,
    id: String,
    topic: String,
    qos: QoS,
    interval: Duration,
    count: u32,
    keep_alive: u16,
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(Wish::Help) => {
            print::line(HELP);
            Ok(())
        }
        Ok(Wish::Version) => {
            print::line(&common::version_of("cluster"));
            Ok(())
        }
        Ok(Wish::Run(order)) => run(&order),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("cluster: {error}"));
    if matches!(error, Error::Usage(_)) {
        print::error("cluster: --help lists the options");
    }
    ExitCode::FAILURE
}

fn read_arguments(mut arguments: Arguments) -> Result<Wish<Order>, UsageError> {
    let mut order = Order {
        brokers: Vec::new(),
        cluster: false,
        id: "cluster".into(),
        topic: "cluster/numbers".into(),
        qos: QoS::AtLeastOnce,
        interval: Duration::from_millis(100),
        count: u32::MAX,
        keep_alive: 10,
    };
    while let Some(argument) = arguments.next()? {
        let option =
            match argument {
                Argument::Option(option) => option,
                Argument::Other(broker) => {
                    let broker = Url::parse(&broker.to_string_lossy());
                    order.brokers.push(broker.map_err(|problem| UsageError::Value {
                        option: "BROKER".into(),
                        problem,
                    })?);
                    continue;
                }
            };
        match option.as_str() {
            "--help" => return Ok(Wish::Help),
            "--version" => return Ok(Wish::Version),
            "--cluster" => order.cluster = true,
            "-i" | "--id" => order.id = arguments.text()?,
            "-t" | "--topic" => order.topic = arguments.topic()?,
            "-q" | "--qos" => order.qos = arguments.qos()?,
            "--interval" => {
                order.interval =
                    Duration::from_millis(arguments.number("a number of milliseconds")?);
            }
            "--count" => order.count = arguments.number("a count of messages")?,
            "--keep-alive" => {
                order.keep_alive = arguments.number("a number of seconds up to 65535")?;
            }
            _ => return Err(arguments.unknown()),
        }
    }
    if order.brokers.is_empty() {
        return Err(UsageError::Together("a broker is missing"));
    }
    Ok(Wish::Run(order))
}

fn run(order: &Order) -> Result<(), Error> {
    let random = RandomState::new().build_hasher().finish() as u32;
    let options = Options::new(&order.id)
        .clean_session(false)
        .cluster(order.cluster)
        .keep_alive(order.keep_alive)
        .connect_timeout(CONNECT_TIMEOUT_MILLIS)
        .reconnect(Reconnect::after(200).at_most(2_000).seed(random));
    let addresses: Vec<&str> = order.brokers.iter().map(Url::text).collect();
    let brokers = Brokers::new(&addresses)?;
    let names = (0..=u8::MAX).take(brokers.count()).map(|number| brokers.name(number)).collect();
    let (client, events) = Config::new(&options).to(brokers)?;
    let interrupted = note_interrupt()?;
    // It also makes the client known to brokers that keep no session without a subscription.
    let _ = client.subscribe(&order.topic, order.qos)?;
    let account = Account::new(names, random);
    Run { order, client, events, account, interrupted }.serve()
}

/// Whether there was an interrupt. The second one ends the program.
fn note_interrupt() -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(interrupted)
}

struct Run<'a> {
    order: &'a Order,
    client: Client,
    events: Events,
    account: Account,
    interrupted: Arc<AtomicBool>,
}

impl Run<'_> {
    fn serve(mut self) -> Result<(), Error> {
        let mut next = Instant::now();
        let mut limit = None;
        loop {
            let now = Instant::now();
            let is_ending = self.account.published >= self.order.count
                || self.interrupted.load(Ordering::Relaxed);
            if is_ending {
                let limit = *limit.get_or_insert(now + PATIENCE);
                if self.account.is_settled() || now >= limit {
                    self.client.disconnect();
                }
            } else if now >= next {
                next = now + self.order.interval;
                self.publish()?;
            }
            let wait = if is_ending { LOOK } else { next.saturating_duration_since(now).min(LOOK) };
            match self.events.next_timeout(wait) {
                Some(event) => self.account.note(&event)?,
                None if self.client.state() == ConnectionState::Stopped => break,
                None => {}
            }
        }
        self.account.close();
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Error> {
        let payload = self.account.next_payload();
        match self.client.publish(&self.order.topic, payload.as_bytes(), self.order.qos, false) {
            Ok(handle) => self.account.accepted(handle),
            // Offline for long: the message waits here.
            Err(blocking::Error::Request(
                RequestError::WindowFull { .. } | RequestError::OutboxFull { .. },
            )) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// What became of the messages and the session, told in lines.
struct Account {
    teller: Teller,
    brokers: Vec<String>,
    /// A number of this run: messages of an earlier one may wait in the session.
    run: u32,
    /// Messages that the client has accepted; they are numbered from 0.
    published: u32,
    under_way: HashMap<Handle, u32>,
    acknowledged: u32,
    lost: u32,
    sequence: Sequence,
    arrived: u32,
    again: u32,
    /// When something has happened last.
    last: Instant,
}

impl Account {
    fn new(brokers: Vec<String>, run: u32) -> Self {
        Self {
            teller: Teller::new(),
            brokers,
            run,
            published: 0,
            under_way: HashMap::new(),
            acknowledged: 0,
            lost: 0,
            sequence: Sequence::new(),
            arrived: 0,
            again: 0,
            last: Instant::now(),
        }
    }

    fn next_payload(&self) -> String {
        format!("{:08x} {}", self.run, self.published)
    }

    fn accepted(&mut self, handle: Handle) {
        self.under_way.insert(handle, self.published);
        self.published += 1;
    }

    /// Whether everything is answered, and has arrived or will not come any more.
    fn is_settled(&self) -> bool {
        let is_complete = self.arrived >= self.published;
        self.under_way.is_empty() && (is_complete || self.last.elapsed() > QUIET)
    }

    fn broker(&self, endpoint: u8) -> String {
        let name = self.brokers.get(usize::from(endpoint)).map_or("?", String::as_str);
        format!("endpoint {endpoint}, {name}")
    }

    fn note(&mut self, event: &Event<'_>) -> Result<(), Error> {
        self.last = Instant::now();
        if let Event::Up { endpoint, session, .. } = event {
            let broker = self.broker(*endpoint);
            self.teller
                .tell(&format!("up at {broker}: session {session:?}, {}", meaning(*session)));
        } else if let Event::Down { endpoint, reason } = event {
            self.teller.tell(&format!("down at {}: {reason}", self.broker(*endpoint)));
        } else if let Event::Message(message) = event {
            self.arrives(message);
        } else if let Event::Published(handle) | Event::Downgraded(handle) = event {
            self.under_way.remove(handle);
            self.acknowledged += 1;
        } else if let Event::Lost(handle) = event {
            self.lost += 1;
            if let Some(number) = self.under_way.remove(handle) {
                self.teller.tell(&format!("{number} is lost: nobody can say whether it arrived"));
            }
        } else if let Event::Subscribed { granted, .. } = event {
            let Some(qos) = granted.iter().next().flatten() else { return Err(Error::Refused) };
            self.teller.tell(&format!("subscribed at QoS {}", qos as u8));
        } else if let Event::Renewed { granted, .. } = event {
            let is_granted = granted.iter().all(|code| code.is_some());
            let what = if is_granted { "subscribed again" } else { "refuses the subscription now" };
            self.teller.tell(what);
        }
        Ok(())
    }

    fn arrives(&mut self, message: &Message<'_>) {
        let Some(number) = self.number_in(message.payload) else {
            self.teller.tell("a message of another run has arrived");
            return;
        };
        match self.sequence.note(number) {
            Arrival::Next { left_out: 0 } => {}
            Arrival::Next { left_out } => {
                self.teller
                    .tell(&format!("{number} has arrived, and {left_out} before it have not"));
            }
            Arrival::Late => self.teller.tell(&format!("{number} has arrived late")),
            Arrival::Again | Arrival::TooLow => {
                self.again += 1;
                self.teller.tell(&format!("{number} has arrived again"));
                return;
            }
        }
        self.arrived += 1;
        if self.arrived % TOLD_EACH == 0 {
            self.teller.tell(&format!("{} have arrived", self.arrived));
        }
    }

    /// The number in a payload of this run.
    fn number_in(&self, payload: &[u8]) -> Option<u32> {
        let (run, number) = std::str::from_utf8(payload).ok()?.split_once(' ')?;
        let is_ours = u32::from_str_radix(run, 16) == Ok(self.run);
        number.parse().ok().filter(|_| is_ours)
    }

    fn close(&self) {
        let Self { published, acknowledged, lost, arrived, again, .. } = self;
        let missing = published.saturating_sub(*arrived);
        self.teller.tell(&format!(
            "published {published}, acknowledged {acknowledged}, lost {lost}, arrived {arrived}, missing {missing}, again {again}"
        ));
    }
}

fn meaning(session: SessionStatus) -> &'static str {
    match session {
        SessionStatus::New => "as expected",
        SessionStatus::Resumed => "it goes on",
        SessionStatus::Lost => "the broker did not have it any more",
        SessionStatus::Found => "from an earlier run",
        _ => "not known to this program",
    }
}
