//! The model broker: connections, and which packet goes where.
//!
//! It is faithful to the specification and has a state machine of its own. From the library under test it uses only the
//! codec and the matching of topics. It answers honestly and at once, and it is strict: every mistake of a client that
//! a broker can see ends the run as a violation.
//!
//! [`session`] is the state that outlives a connection, and the messages that go out; [`incoming`] the publishes that
//! come in; [`audit`] checks the order of packets on a connection; [`routing`] decides who gets which message.

mod audit;
mod incoming;
mod routing;
mod session;

use mqtt_core::{
    PacketId, Protocol, QoS, Refusal,
    codec::{ConnAck, Connect, Decoded, Packet},
};

use crate::{
    agenda::Event,
    checks::Invariant,
    device::Memory,
    faults::Fault,
    ledger,
    link::{Link, Side, Way},
    setup::BrokerSetup,
    stage::Stage,
    topics::{self, TOPICS},
    trace::{Summary, What},
};
use session::Session;

/// The broker.
pub(crate) struct Broker {
    setup: BrokerSetup,
    /// By device.
    sessions: Vec<Session>,
    /// By link.
    connections: Vec<Connection>,
    /// By topic: message and QoS.
    retained: [Option<(u32, QoS)>; TOPICS.len()],
    up: bool,
    /// Sessions made so far.
    epochs: u32,
}

/// The broker's end of one link.
#[derive(Debug, Default)]
struct Connection {
    phase: Phase,
    /// Received, a packet not yet whole.
    buffer: Vec<u8>,
    will: Option<Will>,
    /// Milliseconds; 0: off.
    keep_alive: u64,
    last_heard: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No CONNECT yet.
    #[default]
    Fresh,
    Accepted(Protocol),
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Will {
    number: u32,
    topic: usize,
    qos: QoS,
    retain: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a DISCONNECT, so that no will is published.
    Asked,
    /// Without a DISCONNECT.
    Broken,
    /// The broker has stopped.
    Crash,
}

/// A message on its way through the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    /// `None`: an empty payload, which has no number.
    pub(crate) number: Option<u32>,
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// The way out to one client.
pub(crate) struct Outlet<'a, 't> {
    pub(crate) stage: &'a mut Stage<'t>,
    pub(crate) link: &'a mut Link,
    pub(crate) protocol: Protocol,
}

impl Outlet<'_, '_> {
    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = [0; 2_048];
        let len = packet.encode(&mut bytes, self.protocol).expect("the broker makes packets");
        self.stage.note(self.link.device, What::BrokerSent(Summary::of(packet)));
        self.link.write(self.stage, Way::Down, &bytes[..len]);
    }
}

impl Broker {
    pub(crate) fn new(setup: BrokerSetup, windows: impl Iterator<Item = usize>) -> Self {
        // A client has to have room for all QoS 2 messages that a broker has in flight.
        let sessions = windows.map(|most| Session::new(setup.window.min(most))).collect();
        Self {
            setup,
            sessions,
            connections: Vec::new(),
            retained: [None; TOPICS.len()],
            up: true,
            epochs: 0,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) const fn set_up(&mut self) {
        self.up = true;
    }

    /// The session of `device`.
    pub(crate) fn session(&self, device: usize) -> &Session {
        &self.sessions[device]
    }

    /// Messages that are in flight or wait.
    pub(crate) fn left_to_do(&self) -> usize {
        let under_way = self.sessions.iter().map(Session::under_way);
        under_way.map(|(sent, queued, incoming)| sent + queued + incoming).sum()
    }

    fn connection(&mut self, link: usize) -> &mut Connection {
        if self.connections.len() <= link {
            self.connections.resize_with(link + 1, Connection::default);
        }
        &mut self.connections[link]
    }

    /// A device has lost its power.
    pub(crate) fn device_lost_power(
        &mut self,
        stage: &mut Stage<'_>,
        device: usize,
        memory: Memory,
    ) {
        match memory {
            Memory::All => {}
            Memory::OfAnOlderSession => self.sessions[device].peer_missed_the_news(),
            Memory::None => self.sessions[device].peer_forgot(stage, device),
        }
    }

    /// Bytes have come.
    pub(crate) fn receive(&mut self, stage: &mut Stage<'_>, links: &mut [Link], link: usize) {
        if !links[link].broker_open {
            return;
        }
        let now = stage.now;
        let connection = self.connection(link);
        connection.last_heard = now;
        let mut buffer = std::mem::take(&mut connection.buffer);
        links[link].read(Way::Up, usize::MAX, &mut buffer);
        let mut at = 0;
        while self.connection(link).phase != Phase::Closed && stage.broken.is_none() {
            let device = links[link].device;
            let phase = self.connection(link).phase;
            // A CONNECT states its version.
            let protocol =
                if let Phase::Accepted(protocol) = phase { protocol } else { Protocol::V311 };
            match Packet::decode(&buffer[at..], protocol) {
                Ok(Decoded::Packet { packet, len }) => {
                    at += len;
                    stage.note(device, What::BrokerGot(Summary::of(&packet)));
                    if phase == Phase::Fresh {
                        self.first_packet(stage, links, link, &packet);
                    } else {
                        self.packet(stage, links, link, protocol, &packet);
                    }
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(violation) => stage.fail(Invariant::Protocol, device, || {
                    format!("{violation} [{}]", violation.statement())
                }),
            }
        }
        buffer.drain(..at);
        let connection = self.connection(link);
        if connection.phase != Phase::Closed {
            connection.buffer = buffer;
        }
    }

    /// The other side has closed after all that it sent, or the link is known to be dead.
    pub(crate) fn ended(&mut self, stage: &mut Stage<'_>, links: &mut [Link], link: usize) {
        if links[link].broker_open {
            self.close(stage, links, link, End::Broken);
        }
    }

    /// [MQTT-3.1.0-1]
    fn first_packet(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        packet: &Packet<'_>,
    ) {
        let device = links[link].device;
        let Packet::Connect(connect) = packet else {
            stage.fail(Invariant::Protocol, device, || {
                format!("{:?} ahead of the CONNECT [MQTT-3.1.0-1]", packet.packet_type())
            });
            return;
        };
        self.connect(stage, links, link, connect);
    }

    fn connect(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        connect: &Connect<'_>,
    ) {
        let device = links[link].device;
        let protocol = connect.protocol;
        if connect.client_id.as_bytes() != [b'd', b'0' + device as u8] {
            stage.fail(Invariant::Content, device, || format!("client id {}", connect.client_id));
        }
        let refusal = if self.setup.only_v31 && protocol == Protocol::V311 {
            Some(Refusal::ProtocolVersion)
        } else if stage.fault_one_in(40) {
            stage.fault(device, Fault::Refusal);
            Some(Refusal::ServerUnavailable)
        } else {
            None
        };
        let mut outlet = Outlet { stage, link: &mut links[link], protocol };
        if let Some(refusal) = refusal {
            outlet.send(&Packet::ConnAck(ConnAck { session_present: false, result: Err(refusal) }));
            self.close(stage, links, link, End::Asked);
            return;
        }
        // [MQTT-3.1.4-2]
        if let Some(older) = self.sessions[device].link() {
            stage.fault(device, Fault::TakeOver);
            self.close(stage, links, older, End::Broken);
        }
        let will = connect.will.map(|will| {
            let topic = topics::topic_index(will.topic).expect("a topic of this world");
            let number = ledger::number(will.payload).expect("a will with a number");
            if stage.ledger.identify(topic, will.payload) != Ok(Some(number)) {
                stage.fail(Invariant::Content, device, || "another will".to_owned());
            }
            Will { number, topic, qos: will.qos, retain: will.retain }
        });
        let session = &mut self.sessions[device];
        if connect.clean_session {
            session.discard(stage, device);
        }
        let present = session.exists();
        if !present {
            self.epochs += 1;
            session.begin(
                stage,
                device,
                protocol,
                connect.clean_session,
                self.setup.first_id,
                self.epochs,
            );
        }
        session.attach(stage, device, link, protocol, connect.clean_session, present);
        // One and a half times [MQTT-3.1.2-24].
        let keep_alive = u64::from(connect.keep_alive) * 1_500;
        let now = stage.now;
        let connection = self.connection(link);
        connection.phase = Phase::Accepted(protocol);
        connection.will = will;
        connection.keep_alive = keep_alive;
        connection.last_heard = now;
        if keep_alive != 0 {
            stage.plan(keep_alive, Event::KeepAlive { link });
        }
        let mut outlet = Outlet { stage, link: &mut links[link], protocol };
        // 3.1 does not say it.
        let session_present = present && protocol == Protocol::V311;
        outlet.send(&Packet::ConnAck(ConnAck { session_present, result: Ok(()) }));
        self.sessions[device].resume(&mut outlet);
    }

    fn packet(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        link: usize,
        protocol: Protocol,
        packet: &Packet<'_>,
    ) {
        let device = links[link].device;
        let mut outlet = Outlet { stage, link: &mut links[link], protocol };
        let session = &mut self.sessions[device];
        session.hears();
        match packet {
            Packet::Publish(publish) => {
                let method_b = self.setup.method_b;
                if let Some(post) = session.take_publish(&mut outlet, publish, method_b) {
                    self.hand_on(stage, links, post);
                }
            }
            Packet::PubRel { id, .. } => {
                if let Some(post) = session.take_pubrel(&mut outlet, *id) {
                    self.hand_on(stage, links, post);
                }
            }
            Packet::PubAck(id) => session.take_puback(&mut outlet, *id),
            Packet::PubRec(id) => session.take_pubrec(&mut outlet, *id),
            Packet::PubComp(id) => session.take_pubcomp(&mut outlet, *id),
            Packet::Subscribe(subscribe) => {
                self.subscribe(stage, links, link, protocol, subscribe);
            }
            Packet::Unsubscribe(unsubscribe) => {
                session.check_request_id(outlet.stage, device, unsubscribe.id);
                for filter in unsubscribe.filters() {
                    let filter = topics::filter_index(filter).expect("a filter of this world");
                    session.unsubscribe(filter);
                }
                outlet.send(&Packet::UnsubAck(unsubscribe.id));
            }
            Packet::PingReq => outlet.send(&Packet::PingResp),
            Packet::Disconnect => {
                let rest = links[link].readable(Way::Up);
                if rest != 0 {
                    stage.fail(Invariant::Protocol, device, || {
                        format!("{rest} bytes behind a DISCONNECT [MQTT-3.14.4-2]")
                    });
                }
                self.close(stage, links, link, End::Asked);
            }
            Packet::Connect(_) => stage
                .fail(Invariant::Protocol, device, || "a second CONNECT [MQTT-3.1.0-2]".to_owned()),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                stage.fail(Invariant::Protocol, device, || {
                    format!("a client sent {:?}", packet.packet_type())
                });
            }
        }
    }

    fn close(&mut self, stage: &mut Stage<'_>, links: &mut [Link], link: usize, end: End) {
        let device = links[link].device;
        let connection = self.connection(link);
        let accepted = matches!(connection.phase, Phase::Accepted(_));
        let will = connection.will.take();
        *connection = Connection { phase: Phase::Closed, ..Connection::default() };
        links[link].broker_open = false;
        // If the link was cut, the end does not arrive, and the device does not learn it for a long time.
        if links[link].is_cut() && links[link].device_open {
            let late = stage.rng.u64(1..20_000);
            stage.plan(late, Event::Dead { link, side: Side::Device });
        }
        links[link].end(stage, Way::Down);
        links[link].discard(Way::Up);
        if accepted && self.sessions[device].link() == Some(link) {
            self.sessions[device].detach(stage, device);
        }
        if let (Some(Will { number, topic, qos, retain }), End::Broken) = (will, end) {
            self.hand_on(stage, links, Post { number: Some(number), topic, qos, retain });
        }
    }

    /// Whether the client has been silent for too long [MQTT-3.1.2-24].
    pub(crate) fn keep_alive(&mut self, stage: &mut Stage<'_>, links: &mut [Link], link: usize) {
        let Connection { phase, keep_alive, last_heard, .. } = *self.connection(link);
        if !matches!(phase, Phase::Accepted(_)) {
            return;
        }
        let due = last_heard + keep_alive;
        if stage.now < due {
            stage.agenda.plan(due, Event::KeepAlive { link });
            return;
        }
        let device = links[link].device;
        if !links[link].disturbed && links[link].device_open {
            stage.fail(Invariant::Protocol, device, || {
                format!("silent since {last_heard} on a good link [MQTT-3.1.2-23]")
            });
        }
        stage.fault(device, Fault::Silence);
        self.close(stage, links, link, End::Broken);
    }

    /// The broker stops. It keeps its sessions, or loses them.
    pub(crate) fn crash(&mut self, stage: &mut Stage<'_>, links: &mut [Link], reset: bool) {
        self.up = false;
        for link in 0..self.connections.len() {
            if links[link].broker_open {
                self.close(stage, links, link, End::Crash);
            }
        }
        if reset {
            for (device, session) in self.sessions.iter_mut().enumerate() {
                session.discard(stage, device);
            }
            if stage.rng.bool() {
                self.retained = [None; TOPICS.len()];
            }
        }
    }
}

/// A packet id of the broker's own.
fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("ids are not zero")
}

#[cfg(test)]
mod tests;
