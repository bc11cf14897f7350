//! Clusters (M9): with `Options::cluster` a client goes on with its session at another node when its node is killed, and
//! nothing is lost.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::{self, Client, Config as Sizes, Events};
use mqtt_core::{Event, Handle, Options, QoS, Reconnect, RequestError};
use system_tests::clusters::{AEDES, Kind, NATS, RABBITMQ};
use system_tests::packets::{PUBLISH, PUBREL};
use system_tests::{Tap, Tapped, To};

/// The limit of a whole run. A node of NATS that has no leader takes connections and stays silent for seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// If a broker may lose messages, those are lost that have not come after so long a silence.
const QUIET: Duration = Duration::from_secs(3);

const SHORT: Duration = Duration::from_millis(1);

/// A client that notes what it is told.
struct Party {
    client: Client,
    events: Events,
    /// The node of its last connection.
    node: usize,
    /// Publishes that have not ended.
    under_way: HashSet<Handle>,
    lost: usize,
    filter: &'static str,
    /// The subscription was asked for, and not refused.
    has_asked: bool,
    subscribed: bool,
    /// Topics in the order of arrival.
    received: Vec<String>,
}

impl Party {
    /// A client whose session outlives connections. It begins with the node `first`, and is going to subscribe to
    /// `filter`.
    fn start(id: &str, addresses: &[String; 3], first: usize, filter: &'static str) -> Self {
        let reconnect = Reconnect::after(50).at_most(500);
        let options = Options::new(id).clean_session(false).cluster(true).reconnect(reconnect);
        let options = options.connect_timeout(5_000);
        let mut nodes = addresses.each_ref().map(String::as_str);
        nodes.rotate_left(first);
        let (client, events) = Sizes::new(&options).start(&nodes).expect("possible options");
        Self {
            client,
            events,
            node: first,
            under_way: HashSet::new(),
            lost: 0,
            filter,
            has_asked: false,
            subscribed: false,
            received: Vec::new(),
        }
    }

    /// Takes the events that have come. The client began with the node `first`.
    fn drive(&mut self, first: usize) {
        let mut wait = SHORT;
        while let Some(event) = self.events.next_timeout(wait) {
            wait = Duration::ZERO;
            if let Event::Up { endpoint, .. } = event {
                self.node = (first + usize::from(endpoint)) % 3;
            } else if let Event::Published(handle) = event {
                self.under_way.remove(&handle);
            } else if let Event::Lost(handle) = event {
                self.under_way.remove(&handle);
                self.lost += 1;
            } else if let Event::Subscribed { granted, .. } = event {
                self.subscribed = granted.iter().all(|code| code.is_some());
                self.has_asked = self.subscribed;
            } else if let Event::Message(message) = event {
                self.received.push(message.topic.as_str().to_owned());
            }
        }
    }

    /// Subscribes. A node of NATS without a leader refuses that, and is asked again.
    fn subscribe(&mut self, qos: QoS) {
        if !self.has_asked {
            let _ = self.client.subscribe(self.filter, qos).expect("room");
            self.has_asked = true;
        }
    }

    /// Publishes a message, if there is room.
    fn publish(&mut self, topic: &str, qos: QoS) -> bool {
        match self.client.publish(topic, b"x", qos, false) {
            Ok(handle) => self.under_way.insert(handle),
            Err(blocking::Error::Request(
                RequestError::WindowFull { .. } | RequestError::OutboxFull { .. },
            )) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

fn topic(number: usize) -> String {
    format!("c/{number:05}")
}

/// What to do.
struct Plan<'a> {
    kind: &'a Kind,
    qos: QoS,
    messages: usize,
    kills: usize,
    /// The node at which the subscriber begins. The publisher begins at node 0.
    subscriber_at: usize,
    /// Whether nodes that were killed are started again.
    restarts: bool,
    /// Whether the broker loses messages now and then.
    may_lose: bool,
}

/// What arrived.
struct Outcome {
    lost: usize,
    missing: Vec<String>,
    doubled: Vec<String>,
    sent: Sent,
}

/// How often the nodes have sent each message of QoS 2 as a new one: under a packet id that is not in use.
struct Sent(HashMap<String, usize>);

impl Sent {
    /// Replays what the standard has a subscriber do [MQTT-4.3.3-2].
    fn new(mut packets: Vec<Tapped>) -> Self {
        packets.sort_by_key(|packet| packet.at);
        let mut sent: HashMap<String, usize> = HashMap::new();
        let mut in_use = HashSet::new();
        for packet in packets.iter().filter(|packet| packet.to == To::Client) {
            match packet.first & 0xF0 {
                PUBLISH => {
                    let Some((topic, id)) = topic_and_id(&packet.body) else { continue };
                    let new = in_use.insert(id);
                    *sent.entry(topic).or_default() += usize::from(new);
                }
                PUBREL => {
                    if let Some(id) = packet.body.first_chunk() {
                        in_use.remove(id);
                    }
                }
                _ => {}
            }
        }
        Self(sent)
    }

    fn as_new(&self, topic: &str) -> usize {
        self.0.get(topic).copied().unwrap_or(0)
    }
}

/// The topic and the packet id of a PUBLISH above QoS 0.
fn topic_and_id(body: &[u8]) -> Option<(String, [u8; 2])> {
    let (len, rest) = body.split_first_chunk()?;
    let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((String::from_utf8_lossy(topic).into_owned(), *rest.first_chunk()?))
}

/// One client publishes, and another one subscribes. Nodes are killed and started again meanwhile.
fn run(plan: &Plan<'_>) -> Option<Outcome> {
    const PUBLISHER: usize = 0;
    let Plan { kind, qos, messages, kills, subscriber_at, restarts, may_lose } = *plan;
    if let Err(why) = (kind.missing)() {
        println!("{} is not here: {why}", kind.name);
        return None;
    }
    let started = Instant::now();
    let mut cluster = (kind.start)();
    let nodes = cluster.addresses();
    let taps = nodes.map(Tap::new);
    let mut publisher = Party::start("p", &nodes.map(|node| node.to_string()), PUBLISHER, "own");
    let tapped = taps.each_ref().map(|tap| tap.address().to_string());
    let mut subscriber = Party::start("s", &tapped, subscriber_at, "c/+");

    let (mut next, mut killed, mut dead) = (0, 0, None);
    let mut arrived_last: Option<(usize, Instant)> = None;
    loop {
        assert!(
            started.elapsed() < LIMIT,
            "{next} of {messages} published, {} under way, {} arrived",
            publisher.under_way.len(),
            subscriber.received.len()
        );
        // Some brokers keep the session of a client only if it has a subscription, so the publisher has one as well.
        publisher.subscribe(qos);
        publisher.drive(PUBLISHER);
        subscriber.subscribe(qos);
        subscriber.drive(subscriber_at);
        if !(publisher.subscribed && subscriber.subscribed) {
            continue;
        }
        while next < messages && publisher.publish(&topic(next), qos) {
            next += 1;
        }
        // The last one is published when all others are through.
        if next == messages && publisher.under_way.is_empty() && publisher.publish("c/last", qos) {
            next += 1;
        }
        let arrived = subscriber.received.len();
        if dead.is_none() && killed < kills && arrived >= (killed + 1) * messages / (kills + 1) {
            let node = if killed % 2 == 0 { publisher.node } else { subscriber.node };
            println!("{:?}: node {node} is killed", started.elapsed());
            cluster.kill(node);
            dead = Some((node, arrived));
            killed += 1;
        }
        let is_over = |(_, then): &(usize, usize)| restarts && arrived >= then + messages / 10;
        if let Some((node, _)) = dead.filter(is_over) {
            cluster.start_again(node);
            println!("{:?}: node {node} runs again", started.elapsed());
            dead = None;
        }
        if next > messages && publisher.under_way.is_empty() {
            let distinct: HashSet<_> = subscriber.received.iter().collect();
            let (count, since) = arrived_last.unwrap_or((0, Instant::now()));
            let is_quiet = count == arrived && since.elapsed() > QUIET;
            if distinct.len() == messages + 1 || (may_lose && is_quiet) {
                break;
            }
            if count != arrived {
                arrived_last = Some((arrived, Instant::now()));
            }
        }
    }
    assert_eq!(killed, kills, "the nodes were to be killed before the end");
    println!("{:?}: all is told", started.elapsed());

    let mut seen = HashSet::new();
    let doubled: Vec<_> =
        subscriber.received.iter().filter(|topic| !seen.insert(topic.as_str())).cloned().collect();
    let missing: Vec<_> =
        (0..messages).map(topic).filter(|topic| !seen.contains(topic.as_str())).collect();
    println!(
        "{}: {} lost, {} missing, {} doubled",
        kind.name,
        publisher.lost,
        missing.len(),
        doubled.len()
    );
    let packets = taps.iter().flat_map(Tap::packets).collect();
    Some(Outcome { lost: publisher.lost, missing, doubled, sent: Sent::new(packets) })
}

/// Messages may come twice at QoS 1. A busy NATS also sends some again out of order.
#[test]
fn nats_loses_no_message_when_a_node_is_killed() {
    let qos = QoS::AtLeastOnce;
    let plan = Plan {
        kind: &NATS,
        qos,
        messages: 2_000,
        kills: 1,
        subscriber_at: 1,
        restarts: true,
        may_lose: false,
    };
    let Some(outcome) = run(&plan) else { return };
    assert_eq!(outcome.lost, 0);
    assert_eq!(outcome.missing, [""; 0]);
}

/// Both clients begin at the node that is killed, so the leaders of their queues die. The node is not started again: the
/// other two are a majority. The publisher has a subscription of its own: RabbitMQ knows no session without one.
#[test]
fn rabbitmq_loses_no_message_when_a_node_is_killed_for_good() {
    let qos = QoS::AtLeastOnce;
    let plan = Plan {
        kind: &RABBITMQ,
        qos,
        messages: 3_000,
        kills: 1,
        subscriber_at: 0,
        restarts: false,
        may_lose: false,
    };
    let Some(outcome) = run(&plan) else { return };
    assert_eq!(outcome.lost, 0);
    assert_eq!(outcome.missing, [""; 0]);
}

/// aedes loses messages: it acknowledges some and never sends them, and a node that has taken a session over uses packet
/// ids of the other one that are still in use. It also sends messages again after their PUBREL. The client has to tell
/// each message as often as it was sent as a new one.
#[test]
fn aedes_keeps_the_sessions_when_nodes_are_killed() {
    let qos = QoS::ExactlyOnce;
    let plan = Plan {
        kind: &AEDES,
        qos,
        messages: 3_000,
        kills: 2,
        subscriber_at: 1,
        restarts: true,
        may_lose: true,
    };
    let Some(Outcome { lost, missing, doubled, sent }) = run(&plan) else { return };
    assert_eq!(lost, 0);
    let swallowed: Vec<_> = missing.iter().filter(|topic| sent.as_new(topic) > 0).collect();
    assert_eq!(swallowed, [""; 0], "of {missing:?}");
    let repeated: Vec<_> = doubled.iter().filter(|topic| sent.as_new(topic) < 2).collect();
    assert_eq!(repeated, [""; 0], "of {doubled:?}");
}
