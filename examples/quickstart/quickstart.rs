//! Two clients talk through a broker, and every packet is shown.
//!
//! The broker is rumqttd, inside this process, on a free port of the loopback interface; `--broker URL` uses your own
//! broker. `bob` listens in his own thread while `alice` publishes; `carol` dies and leaves her will. The two threads
//! take turns, so the account can be read from top to bottom.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{
    Event, Filter, Handle, Options, QoS, Reason, Reconnect, Topic, Will,
    driver::{
        blocking::{self, Brokers, Client, Config, Connector, Events},
        trace::Account,
    },
};
use mqtt_examples::{
    arguments::{Arguments, Url, UsageError},
    print,
    trace::{self, Trace, TraceError},
};
use thiserror::Error;

const HELP: &str = "\
Two MQTT clients talk through a broker, and every packet is told.

usage: quickstart [--broker mqtt://[user[:password]@]host[:port]] [--trace FILE]

Without --broker the broker is rumqttd, inside this process.

";

/// The longest time that any step may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait for events before something else is checked.
const GLANCE: Duration = Duration::from_millis(5);
const ALICE_WILL: &[u8] = b"alice is gone";
const CAROL_WILL: &[u8] = b"carol is gone";

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("the broker inside this process does not start: {0}")]
    Broker(io::Error),
    #[error("{name}: {error}")]
    Client { name: &'static str, error: blocking::Error },
    #[error("{name}: no connection to {broker}: {error}")]
    Unreachable { name: &'static str, broker: String, error: String },
    #[error("{name}: the connection to {broker} ended: {reason}")]
    Ended { name: &'static str, broker: String, reason: Reason },
    #[error("{name}: waited {PATIENCE:?} for {awaited}")]
    Missing { name: &'static str, awaited: &'static str },
    #[error("{name}: {request}: {error}")]
    Request { name: &'static str, request: &'static str, error: blocking::Error },
    #[error("bob: expected {expected:?}, got {got:?}")]
    Unexpected { expected: Received, got: Received },
    #[error("alice or bob left the other alone")]
    Alone,
    #[error("bob's thread panicked")]
    Panicked,
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(Wish::Help) => {
            print::line(&format!("{HELP}{}", trace::HELP));
            Ok(())
        }
        Ok(Wish::Talk { broker, trace }) => run(broker, trace.as_deref()),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("quickstart: {error}"));
    if matches!(error, Error::Usage(_)) {
        print::error("quickstart: --help shows the options");
    }
    ExitCode::FAILURE
}

enum Wish {
    Help,
    Talk { broker: Option<Url>, trace: Option<String> },
}

fn read_arguments(mut arguments: Arguments) -> Result<Wish, UsageError> {
    let (mut broker, mut trace) = (None, None);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" | "-h" => return Ok(Wish::Help),
            "--broker" => broker = Some(arguments.broker()?),
            "--trace" => trace = Some(arguments.text()?),
            _ => return Err(arguments.unknown()),
        }
    }
    Ok(Wish::Talk { broker, trace })
}

fn run(broker: Option<Url>, trace: Option<&str>) -> Result<(), Error> {
    let account = Account::new("", io::stdout());
    let trace = trace.map(Trace::create).transpose()?;
    let broker = match broker {
        Some(broker) => broker,
        None => {
            let address = start_broker().map_err(Error::Broker)?;
            account.tell(&format!("== rumqttd listens on {address}, inside this process"));
            Url::parse(&address.to_string())
                .map_err(|error| Error::Broker(io::Error::other(error)))?
        }
    };
    // A public broker has other users.
    let place = Place {
        broker,
        suffix: format!("{:04x}", RandomState::new().build_hasher().finish() as u16),
        account: account.clone(),
        trace,
    };
    // If there is no broker, this client reports it, and no other client waits.
    let bob = Peer::connect("bob", &place, None)?;
    let ((alice_turn, bob_turn), scope_place) = (turns(), &place);
    thread::scope(|scope| {
        let bob = scope.spawn(move || listen(bob, scope_place, &bob_turn));
        let talked = talk(&place, alice_turn);
        let listened = bob.join().unwrap_or(Err(Error::Panicked));
        match (talked, listened) {
            // The thread that only lost its partner does not know the cause.
            (Err(Error::Alone), Err(error)) => Err(error),
            (talked, listened) => talked.and(listened),
        }
    })?;
    if let Some(trace) = &place.trace {
        trace.report("quickstart");
    }
    account.tell(&format!(
        "== done: {} packets; 3 messages at QoS 0, 1 and 2, a retained one, and carol's will; none after alice's \
         clean disconnect",
        account.packets()
    ));
    Ok(())
}

/// The part of `alice` and `carol`.
fn talk(place: &Place, turn: Turn) -> Result<(), Error> {
    let state = place.topic("alice/state");
    turn.wait()?;
    place.heading("alice connects and leaves a will, in case she dies");
    let will = Will::new(topic(&state), ALICE_WILL).qos(QoS::AtLeastOnce).retain(true);
    let mut alice = Peer::connect("alice", place, Some(will))?;

    place.heading("alice publishes at QoS 0, 1 and 2");
    for (name, reading, qos) in READINGS {
        alice.publish(&place.topic(name), reading.as_bytes(), qos, false)?;
    }
    turn.pass_and_wait()?;

    place.heading("alice publishes a retained message, to which nobody is subscribed yet");
    alice.publish(&state, b"online", QoS::AtLeastOnce, true)?;
    turn.pass_and_wait()?;

    place.heading("alice disconnects cleanly: her will is void");
    alice.disconnect()?;

    place.heading("carol connects and dies: the broker publishes her will");
    let state = place.topic("carol/state");
    let will = Will::new(topic(&state), CAROL_WILL).qos(QoS::AtLeastOnce);
    let carol = Peer::connect("carol", place, Some(will))?;
    place.account.of("carol").tell("-- dies without a DISCONNECT, as if her power had gone");
    drop(carol);
    turn.pass();
    Ok(())
}

/// The messages of alice. Bob subscribes with the same QoS, because not every broker uses the lower QoS of the two.
const READINGS: [(&str, &str, QoS); 3] = [
    ("temperature", "21.5 °C", QoS::AtMostOnce),
    ("pressure", "1.8 bar", QoS::AtLeastOnce),
    ("energy", "17.25 kWh", QoS::ExactlyOnce),
];

/// The part of `bob`.
fn listen(mut bob: Peer, place: &Place, turn: &Turn) -> Result<(), Error> {
    place.heading("bob subscribes");
    let readings = READINGS.map(|(name, _, qos)| (place.topic(name), qos));
    bob.subscribe(&readings)?;
    turn.pass();
    for (name, reading, qos) in READINGS {
        bob.expect(&place.topic(name), reading.as_bytes(), qos, false)?;
    }
    bob.await_turn(turn)?;
    turn.pass();

    bob.await_turn(turn)?;
    place.heading("bob subscribes to all states, gets the retained one at once, and wants no temperature any more");
    bob.subscribe(&[(place.topic("+/state"), QoS::AtLeastOnce)])?;
    let state = place.topic("alice/state");
    bob.expect(&state, b"online", QoS::AtLeastOnce, true)?;
    bob.unsubscribe(&place.topic("temperature"))?;
    turn.pass();

    // Alice's will would have come first.
    bob.expect(&place.topic("carol/state"), CAROL_WILL, QoS::AtLeastOnce, false)?;
    bob.await_turn(turn)?;
    place.heading("bob clears what is retained, and leaves");
    bob.publish(&state, b"", QoS::AtLeastOnce, true)?;
    bob.disconnect()
}

/// A topic that this program has put together.
fn topic(name: &str) -> Topic<'_> {
    Topic::new(name).unwrap_or(mqtt_core::topic!("quickstart"))
}

/// The topics that they use.
struct Place {
    broker: Url,
    suffix: String,
    account: Account,
    trace: Option<Trace>,
}

impl Place {
    fn topic(&self, name: &str) -> String {
        format!("quickstart-{}/{name}", self.suffix)
    }

    fn heading(&self, what: &str) {
        self.account.tell(&format!("== {what}"));
    }
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    topic: String,
    payload: String,
    qos: QoS,
    retain: bool,
}

/// One of the clients.
struct Peer {
    name: &'static str,
    broker: String,
    client: Client,
    events: Events,
    /// Messages that came while something else was awaited.
    inbox: VecDeque<Received>,
}

impl Peer {
    fn connect(name: &'static str, place: &Place, will: Option<Will<'_>>) -> Result<Self, Error> {
        let Place { broker, suffix, account, trace } = place;
        let id = format!("{name}-{suffix}");
        let mut options = Options::new(&id).keep_alive(30).reconnect(Reconnect::never());
        if let Some(login) = broker.address().login() {
            options = options.login(login.as_login());
        }
        if let Some(will) = will {
            options = options.will(will);
        }
        let mut config = Config::new(&options).trace(account.of(name));
        if let Some(trace) = trace {
            config = config.trace(trace.of(name));
        }
        let failed = |error| Error::Client { name, error };
        let brokers = Brokers::new(&[broker.text()]).map_err(failed)?;
        let broker = brokers.name(0);
        let (client, events) = config.to(brokers).map_err(failed)?;
        let mut peer = Self { name, broker, client, events, inbox: VecDeque::new() };
        peer.until("a connection", |event| matches!(event, Event::Up { .. }).then_some(()))?;
        Ok(peer)
    }

    fn publish(&mut self, to: &str, payload: &[u8], qos: QoS, retain: bool) -> Result<(), Error> {
        let published = self.client.publish(to, payload, qos, retain);
        let handle = self.accepted("publishing", published)?;
        self.until("the end of a publish", |event| {
            matches!(event, Event::Published(done) if *done == handle).then_some(())
        })
    }

    fn subscribe(&mut self, to: &[(String, QoS)]) -> Result<(), Error> {
        let filters: Result<Vec<_>, _> = to
            .iter()
            .map(|(filter, qos)| Filter::new(filter).map(|filter| (filter, *qos)))
            .collect();
        let subscribed = filters
            .map_err(blocking::Error::from)
            .and_then(|filters| self.client.subscribe_all(&filters));
        let handle = self.accepted("subscribing", subscribed)?;
        self.until("a SUBACK", |event| {
            matches!(event, Event::Subscribed { handle: done, .. } if *done == handle).then_some(())
        })
    }

    fn unsubscribe(&mut self, from: &str) -> Result<(), Error> {
        let unsubscribed = self.client.unsubscribe(from);
        let handle = self.accepted("unsubscribing", unsubscribed)?;
        self.until("an UNSUBACK", |event| {
            matches!(event, Event::Unsubscribed(done) if *done == handle).then_some(())
        })
    }

    /// Waits for the other thread. Meanwhile it receives, because a client acknowledges only while events are awaited.
    fn await_turn(&mut self, turn: &Turn) -> Result<(), Error> {
        let limit = Instant::now() + PATIENCE;
        while Instant::now() < limit {
            match turn.mine.try_recv() {
                Ok(()) => return Ok(()),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    let event = self.events.next_timeout(GLANCE);
                    self.inbox.extend(event.as_ref().and_then(received));
                }
            }
        }
        Err(Error::Alone)
    }

    fn disconnect(mut self) -> Result<(), Error> {
        self.client.disconnect();
        self.until("the end of the connection", |event| {
            matches!(event, Event::Down { endpoint: 0, reason: Reason::Requested }).then_some(())
        })
    }

    fn accepted(
        &self,
        request: &'static str,
        answer: Result<Handle, blocking::Error>,
    ) -> Result<Handle, Error> {
        answer.map_err(|error| Error::Request { name: self.name, request, error })
    }

    /// Waits for the next message, which has to be this one.
    fn expect(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) -> Result<(), Error> {
        let got = match self.inbox.pop_front() {
            Some(message) => message,
            None => self.until("a message", received)?,
        };
        let expected = Received { topic: topic.into(), payload: text(payload), qos, retain };
        if got == expected { Ok(()) } else { Err(Error::Unexpected { expected, got }) }
    }

    /// Waits until `pick` accepts an event. Messages that come before are kept.
    fn until<T>(
        &mut self,
        awaited: &'static str,
        mut pick: impl FnMut(&Event<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        let (name, broker) = (self.name, &self.broker);
        let limit = Instant::now() + PATIENCE;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let Some(event) = self.events.next_timeout(left) else {
                return Err(Error::Missing { name, awaited });
            };
            if let Some(picked) = pick(&event) {
                return Ok(picked);
            }
            self.inbox.extend(received(&event));
            if let Event::Down { reason, .. } = event {
                let broker = broker.clone();
                return Err(match (reason, self.events.last_error()) {
                    (
                        Reason::TransportClosed | Reason::TransportFailed(_),
                        Some(blocking::Error::Io { error, .. }),
                    ) => Error::Unreachable { name, broker, error: error.to_string() },
                    _ => Error::Ended { name, broker, reason },
                });
            }
        }
    }
}

fn received(event: &Event<'_>) -> Option<Received> {
    let Event::Message(message) = event else { return None };
    Some(Received {
        topic: message.topic.as_str().into(),
        payload: text(message.payload),
        qos: message.qos,
        retain: message.retain,
    })
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// One of two threads that take turns.
struct Turn {
    mine: Receiver<()>,
    theirs: Sender<()>,
}

fn turns() -> (Turn, Turn) {
    let ((to_a, a), (to_b, b)) = (mpsc::channel(), mpsc::channel());
    (Turn { mine: a, theirs: to_b }, Turn { mine: b, theirs: to_a })
}

impl Turn {
    /// Gives the turn to the other thread. If that has ended, the next wait finds it out.
    fn pass(&self) {
        let _gone = self.theirs.send(());
    }

    fn wait(&self) -> Result<(), Error> {
        match self.mine.recv_timeout(PATIENCE) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Error::Alone),
        }
    }

    fn pass_and_wait(&self) -> Result<(), Error> {
        self.pass();
        self.wait()
    }
}

/// Starts rumqttd in its own threads, which end with the process, and waits until it accepts connections.
fn start_broker() -> io::Result<SocketAddr> {
    let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
    // A free port may be taken a moment later.
    for _ in 0..10 {
        // The listener is closed at once, so that the broker can use the port.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut broker = rumqttd::Broker::new(broker_settings(address));
        let running = thread::Builder::new().name("rumqttd".into()).spawn(move || {
            // It writes the details to its log, which is off.
            let _ended = broker.start();
        })?;
        let limit = Instant::now() + PATIENCE;
        while !running.is_finished() && Instant::now() < limit {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(_) => return Ok(address),
                Err(error) => failed = error,
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
    Err(failed)
}

/// One plain listener, no login.
fn broker_settings(listen: SocketAddr) -> rumqttd::Config {
    let connections = rumqttd::ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 1 << 20,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = rumqttd::ServerSettings {
        name: "quickstart".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    rumqttd::Config {
        router: rumqttd::RouterConfig {
            max_connections: 16,
            max_outgoing_packet_count: 200,
            max_segment_size: 1 << 20,
            max_segment_count: 4,
            ..rumqttd::RouterConfig::default()
        },
        v4: Some(HashMap::from([("1".into(), server)])),
        ..rumqttd::Config::default()
    }
}
