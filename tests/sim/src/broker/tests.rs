//! The model broker against scripted packets: it follows the standard, and it reports the mistakes of a client.

mod manners;
mod several;

use fastrand::Rng;
use mqtt_core::{
    Filter, Protocol, Publish, QoS, Will,
    codec::{Connect, Decoded, Packet, PacketType, Subscribe},
};

use super::{Broker, Manners, packet_id};
use crate::{
    agenda::Event,
    checks::Invariant,
    ledger::{Message, Status},
    link::{Link, Pace, Way},
    setup::BrokerSetup,
    stage::Stage,
    topics::{self, FILTERS},
    trace::{Summary, Trace},
};

/// Brokers, and clients that send the packets of the script.
struct Script<'t> {
    stage: Stage<'t>,
    brokers: Vec<Broker>,
    links: Vec<Link>,
    /// When the broker checks if a client is silent.
    alarms: Vec<(u64, usize)>,
}

fn setup() -> BrokerSetup {
    BrokerSetup {
        window: 2,
        method_b: false,
        copies: false,
        retained_first: false,
        grants: [Some(QoS::ExactlyOnce); FILTERS.len()],
        first_id: 1,
        only_v31: false,
        manners: Manners::default(),
    }
}

impl<'t> Script<'t> {
    fn new(trace: &'t mut Trace, setup: BrokerSetup) -> Self {
        Self::with(trace, vec![setup])
    }

    /// With several brokers that share nothing.
    fn with(trace: &'t mut Trace, setups: Vec<BrokerSetup>) -> Self {
        let mut stage = Stage::new(Rng::with_seed(0), trace);
        stage.faults_on = false;
        stage.ledger.open(2, setups.len());
        let slots = || [10, 10].into_iter();
        let brokers = setups.into_iter().enumerate();
        Self {
            stage,
            brokers: brokers.map(|(nth, setup)| Broker::new(nth, setup, slots())).collect(),
            links: Vec::new(),
            alarms: Vec::new(),
        }
    }

    /// Opens a new link for `device`. Returns its number.
    fn link(&mut self, device: usize) -> usize {
        self.link_to(0, device)
    }

    fn link_to(&mut self, broker: usize, device: usize) -> usize {
        let id = self.links.len();
        let pace = Pace { least: 1, most: 1 };
        let mut link = Link::new(id, device, pace, 10_000).to(broker, broker as u8);
        link.broker_open = true;
        self.links.push(link);
        id
    }

    /// Message `index` of `device` to its first topic.
    fn message(&mut self, device: usize, index: u32, qos: QoS, retain: bool) -> u32 {
        let message = Message::new(device, index, topics::topic_of(device, 0), qos);
        let status = Status::Accepted;
        self.stage.ledger.add(Message { retain, len: 5, status, ..message })
    }

    /// The packets that `device` receives after it sent `packet` on `link`.
    fn say(&mut self, link: usize, packet: &Packet<'_>) -> Vec<Summary> {
        self.say_only(link, packet);
        self.hear(link)
    }

    fn say_only(&mut self, link: usize, packet: &Packet<'_>) {
        let mut bytes = [0; 256];
        let len = packet.encode(&mut bytes, Protocol::V311).expect("a packet of a test");
        self.links[link].write(&mut self.stage, Way::Up, &bytes[..len]);
        self.settle();
    }

    /// The packets that were sent on `link`.
    fn hear(&mut self, link: usize) -> Vec<Summary> {
        let mut bytes = Vec::new();
        self.links[link].read(Way::Down, usize::MAX, &mut bytes);
        let mut heard = Vec::new();
        let mut at = 0;
        while let Ok(Decoded::Packet { packet, len }) = Packet::decode(&bytes[at..], Protocol::V311)
        {
            heard.push(Summary::of(&packet));
            at += len;
        }
        assert_eq!(at, bytes.len(), "whole packets");
        heard
    }

    fn settle(&mut self) {
        while let Some((at, event)) = self.stage.agenda.next() {
            match event {
                Event::Arrive { link, way } => {
                    self.stage.now = at;
                    let arrived = self.links[link].arrive(at, way);
                    if way == Way::Up && arrived.bytes {
                        let broker = self.links[link].broker;
                        self.brokers[broker].receive(&mut self.stage, &mut self.links, link);
                    }
                }
                Event::KeepAlive { link } => self.alarms.push((at, link)),
                Event::Pong { link } => {
                    self.stage.now = at;
                    self.brokers[0].pong(&mut self.stage, &mut self.links, link);
                }
                Event::Wake { .. }
                | Event::Tick { .. }
                | Event::PowerOn { .. }
                | Event::Opened { .. }
                | Event::Dead { .. }
                | Event::Notice { .. }
                | Event::BrokerUp { .. }
                | Event::EndpointUp { .. }
                | Event::Fault
                | Event::Heal
                | Event::Look => panic!("{event:?} is nothing that a broker plans"),
            }
        }
    }

    /// Lets time pass until the broker has checked for silence.
    fn wait(&mut self) {
        for (at, link) in std::mem::take(&mut self.alarms) {
            self.stage.now = at;
            self.brokers[0].keep_alive(&mut self.stage, &mut self.links, link);
        }
        self.settle();
    }

    fn connect(&mut self, device: usize, clean: bool) -> usize {
        let link = self.link(device);
        let heard = self.say(link, &connect(device, clean));
        assert_eq!(heard.first().map(|first| first.kind), Some(PacketType::ConnAck));
        link
    }

    fn publish(&mut self, link: usize, number: u32, id: u16, dup: bool) -> Vec<Summary> {
        let mut payload = Vec::new();
        self.stage.ledger.write_payload(number, &mut payload);
        let message = self.stage.ledger.message(number);
        let publish = Publish::new(topics::topic(message.topic), &payload)
            .qos(message.qos)
            .retain(message.retain);
        let id = (message.qos != QoS::AtMostOnce).then(|| packet_id(id));
        self.say(link, &Packet::Publish(Publish { id, dup, ..publish }))
    }

    fn subscribe(&mut self, link: usize, filter: &str, qos: QoS) -> Vec<Summary> {
        let filters = [(Filter::new(filter).expect("a filter"), qos)];
        self.say(link, &Packet::Subscribe(Subscribe::new(packet_id(9), &filters)))
    }

    fn arrived(&self, number: u32) -> u32 {
        self.stage.ledger.message(number).arrived()
    }

    /// The promise that was broken.
    fn broken(&self) -> Option<Invariant> {
        self.stage.broken.as_ref().map(|violation| violation.invariant)
    }
}

fn connect(device: usize, clean: bool) -> Packet<'static> {
    Packet::Connect(Connect {
        protocol: Protocol::V311,
        client_id: ["d0", "d1"][device],
        clean_session: clean,
        keep_alive: 0,
        will: None,
        login: None,
    })
}

/// Kind and packet id.
fn kinds(heard: &[Summary]) -> Vec<(PacketType, u16)> {
    heard.iter().map(|packet| (packet.kind, packet.id)).collect()
}

fn pubrel(id: u16) -> Packet<'static> {
    Packet::PubRel { id: packet_id(id), dup: false }
}

/// [MQTT-3.1.0-1], [MQTT-3.1.0-2]
#[test]
fn a_connect_comes_first_and_once() {
    let mut trace = Trace::default();
    let mut script = Script::new(&mut trace, setup());
    let link = script.link(0);
    script.say(link, &Packet::PingReq);
    assert_eq!(script.broken(), Some(Invariant::Protocol));

    let mut trace = Trace::default();
    let mut script = Script::new(&mut trace, setup());
    let link = script.connect(0, true);
    script.say(link, &connect(0, true));
    assert_eq!(script.broken(), Some(Invariant::Protocol));
}

/// [MQTT-3.2.2-1] to [MQTT-3.2.2-3]
#[test]
fn a_kept_session_is_there_again_and_a_clean_one_is_not() {
    let mut trace = Trace::default();
    let mut script = Script::new(&mut trace, setup());
    let present = |script: &mut Script<'_>, clean| {
        let link = script.link(0);
        let mut bytes = [0; 64];
        let len = connect(0, clean).encode(&mut bytes, Protocol::V311).expect("a CONNECT");
        script.links[link].write(&mut script.stage, Way::Up, &bytes[..len]);
        script.settle();
        let mut heard = Vec::new();
        script.links[link].read(Way::Down, usize::MAX, &mut heard);
        heard[2] == 1
    };
    let seen: Vec<bool> =
        [false, false, true, false].map(|clean| present(&mut script, clean)).into();
    assert_eq!(seen, [false, true, false, false]);
}

/// Figure 4.3
#[test]
fn the_methods_differ_in_when_a_message_is_handed_on() {
    for (method_b, after_publish) in [(false, 0), (true, 1)] {
        let mut trace = Trace::default();
        let mut script = Script::new(&mut trace, BrokerSetup { method_b, ..setup() });
        let number = script.message(0, 0, QoS::ExactlyOnce, false);
        let link = script.connect(0, false);
        assert_eq!(kinds(&script.publish(link, number, 1, false)), [(PacketType::PubRec, 1)]);
        assert_eq!(script.arrived(number), after_publish);
        let link = script.connect(0, false);
        assert_eq!(kinds(&script.publish(link, number, 1, true)), [(PacketType::PubRec, 1)]);
        assert_eq!(kinds(&script.say(link, &pubrel(1))), [(PacketType::PubComp, 1)]);
        assert_eq!(script.arrived(number), 1);
    }
}

/// [MQTT-3.3.1-1], [MQTT-2.3.1-2], [MQTT-4.3.3-1]
#[test]
fn the_mistakes_of_a_publisher_are_reported() {
    type Deed = fn(&mut Script<'_>, usize, [u32; 2]);
    let deeds: [(Deed, Invariant); 5] = [
        (
            |script, link, [first, _]| {
                script.publish(link, first, 1, false);
            },
            Invariant::Protocol,
        ),
        (
            |script, link, [_, second]| {
                script.publish(link, second, 1, false);
            },
            Invariant::IdReuse,
        ),
        (
            |script, link, [first, _]| {
                script.say(link, &pubrel(1));
                script.publish(link, first, 1, true);
            },
            Invariant::ExactlyOnce,
        ),
        (
            |script, link, _| {
                script.say(link, &pubrel(2));
            },
            Invariant::Protocol,
        ),
        (
            |script, link, [_, second]| {
                script.publish(link, second, 2, false);
                script.say(link, &pubrel(2));
                script.say(link, &pubrel(1));
            },
            Invariant::Order,
        ),
    ];
    for (nth, (deed, invariant)) in deeds.into_iter().enumerate() {
        let mut trace = Trace::default();
        let mut script = Script::new(&mut trace, setup());
        let numbers = [0, 1].map(|index| script.message(0, index, QoS::ExactlyOnce, false));
        let link = script.connect(0, false);
        script.publish(link, numbers[0], 1, false);
        assert_eq!(script.broken(), None);
        deed(&mut script, link, numbers);
        assert_eq!(script.broken(), Some(invariant), "deed {nth}");
    }
}

/// A publisher and a subscriber to all of its messages.
fn pair<'t>(trace: &'t mut Trace, setup: BrokerSetup, qos: QoS) -> (Script<'t>, usize, usize) {
    let mut script = Script::new(trace, setup);
    let subscriber = script.connect(1, false);
    let heard = script.subscribe(subscriber, "t/0/#", qos);
    assert_eq!(kinds(&heard), [(PacketType::SubAck, 9)]);
    let publisher = script.connect(0, false);
    (script, publisher, subscriber)
}

/// [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.6.0-1]
#[test]
fn unacknowledged_messages_are_sent_again_in_order_with_dup() {
    let mut trace = Trace::default();
    let (mut script, publisher, subscriber) = pair(&mut trace, setup(), QoS::AtLeastOnce);
    let numbers = [0, 1, 2].map(|index| script.message(0, index, QoS::AtLeastOnce, false));
    for (number, id) in numbers.into_iter().zip(1..) {
        script.publish(publisher, number, id, false);
    }
    let heard = script.hear(subscriber);
    assert_eq!(kinds(&heard), [(PacketType::Publish, 1), (PacketType::Publish, 2)], "window 2");
    assert!(heard.iter().all(|packet| !packet.dup));
    let link = script.link(1);
    let heard = script.say(link, &connect(1, false));
    let again = [(PacketType::ConnAck, 0), (PacketType::Publish, 1), (PacketType::Publish, 2)];
    assert_eq!(kinds(&heard), again);
    assert!(heard[1..].iter().all(|packet| packet.dup));
    assert!(!script.links[subscriber].broker_open, "taken over [MQTT-3.1.4-2]");
    let heard = script.say(link, &Packet::PubAck(packet_id(1)));
    assert_eq!(kinds(&heard), [(PacketType::Publish, 3)]);
    assert_eq!(script.broken(), None);
}

/// [MQTT-4.3.3-1]
#[test]
fn after_a_pubrec_only_the_pubrel_is_sent() {
    let mut trace = Trace::default();
    let setup = BrokerSetup { method_b: true, ..setup() };
    let (mut script, publisher, subscriber) = pair(&mut trace, setup, QoS::ExactlyOnce);
    let number = script.message(0, 0, QoS::ExactlyOnce, false);
    script.publish(publisher, number, 1, false);
    assert_eq!(kinds(&script.hear(subscriber)), [(PacketType::Publish, 1)]);
    let heard = script.say(subscriber, &Packet::PubRec(packet_id(1)));
    assert_eq!(kinds(&heard), [(PacketType::PubRel, 1)]);
    let link = script.link(1);
    let heard = script.say(link, &connect(1, false));
    assert_eq!(kinds(&heard), [(PacketType::ConnAck, 0), (PacketType::PubRel, 1)]);
    script.say(link, &Packet::PubComp(packet_id(1)));
    assert_eq!((script.brokers[0].session(1).under_way(), script.broken()), ((0, 0, 0), None));
}

/// [MQTT-4.6.0-2], [MQTT-2.3.1-6]
#[test]
fn an_answer_out_of_order_is_reported() {
    for (id, invariant) in [(2, Invariant::Order), (7, Invariant::Protocol)] {
        let mut trace = Trace::default();
        let (mut script, publisher, subscriber) = pair(&mut trace, setup(), QoS::AtLeastOnce);
        for index in 0..2 {
            let number = script.message(0, index, QoS::AtLeastOnce, false);
            script.publish(publisher, number, 1, false);
        }
        script.say(subscriber, &Packet::PubAck(packet_id(id)));
        assert_eq!(script.broken(), Some(invariant));
    }
}

/// [MQTT-3.3.1-6], [MQTT-3.3.1-10], [MQTT-3.8.4-6], [MQTT-3.9.3-2]
#[test]
fn retained_messages_come_with_a_subscription_and_filters_may_be_refused() {
    let mut trace = Trace::default();
    let mut grants = [Some(QoS::AtLeastOnce); FILTERS.len()];
    grants[0] = None;
    let mut script = Script::new(&mut trace, BrokerSetup { grants, ..setup() });
    let publisher = script.connect(0, false);
    let number = script.message(0, 0, QoS::ExactlyOnce, true);
    script.publish(publisher, number, 1, false);
    script.say(publisher, &pubrel(1));
    let subscriber = script.connect(1, false);
    assert_eq!(
        kinds(&script.subscribe(subscriber, "#", QoS::AtLeastOnce)),
        [(PacketType::SubAck, 9)]
    );
    assert_eq!(script.brokers[0].session(1).granted(0), None);
    let heard = script.subscribe(subscriber, "t/#", QoS::ExactlyOnce);
    assert_eq!(kinds(&heard), [(PacketType::SubAck, 9), (PacketType::Publish, 1)]);
    assert_eq!((heard[1].qos, heard[1].number), (QoS::AtLeastOnce, Some(number)));
}

/// [MQTT-3.1.2-8], [MQTT-3.1.2-24], [MQTT-3.14.4-3]
#[test]
fn a_will_is_published_after_silence_and_not_after_a_disconnect() {
    for leaves in [true, false] {
        let mut trace = Trace::default();
        let mut script = Script::new(&mut trace, setup());
        let subscriber = script.connect(1, false);
        script.subscribe(subscriber, "w/#", QoS::AtMostOnce);
        let number = script.message(0, 0, QoS::AtMostOnce, false);
        script.stage.ledger.message_mut(number).topic = topics::will_topic(0);
        let mut payload = Vec::new();
        script.stage.ledger.write_payload(number, &mut payload);
        let Packet::Connect(plain) = connect(0, true) else { panic!("a CONNECT") };
        let will = Will::new(topics::topic(topics::will_topic(0)), &payload);
        let link = script.link(0);
        // Its silence is not its own mistake.
        script.links[link].disturbed = true;
        script.say(link, &Packet::Connect(Connect { keep_alive: 10, will: Some(will), ..plain }));
        if leaves {
            script.say(link, &Packet::Disconnect);
        }
        script.wait();
        assert_eq!(script.hear(subscriber).len(), usize::from(!leaves), "leaves: {leaves}");
    }
}
