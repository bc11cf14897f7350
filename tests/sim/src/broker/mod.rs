//! The model broker: connections, and which packet goes where.
//!
//! It has a state machine of its own, and uses only the codec and the matching of topics from the library under test. It
//! is faithful to the specification, answers at once, and is strict: every mistake of a client that a broker can see ends
//! the run as a violation. Some brokers have bad [`manners`], as those in use have, and send [`junk`].
//!
//! [`connecting`] is the beginning of a connection, [`session`] the state that outlives it, and the messages that go
//! out; [`incoming`] the publishes that come in; [`audit`] checks the order of packets on a connection; [`routing`]
//! decides who gets which message.

mod audit;
mod connecting;
mod incoming;
mod junk;
mod manners;
mod memory;
mod routing;
mod session;

use mqtt_core::{
    PacketId, Protocol, QoS, Refusal,
    codec::{Decoded, Packet},
};

use crate::{
    agenda::Event,
    checks::Invariant,
    device::Memory,
    faults::Fault,
    ledger::{Ledger, Pair},
    link::{Link, Side, Way},
    quirks::Quirk,
    setup::{BrokerSetup, DeviceSetup},
    stage::Stage,
    topics::{self, TOPICS},
    trace::{Summary, What},
};
use junk::Junk;
pub(crate) use manners::Manners;
use session::Session;

/// A broker ignores packets for so many connections of a device, if one has a will.
const MOST_IGNORING: u32 = 20;

/// A client that waits longer for an answer, in milliseconds, is very patient.
const PATIENT: u32 = 200_000;

/// The broker.
pub(crate) struct Broker {
    /// Its number among the brokers of the world.
    index: usize,
    setup: BrokerSetup,
    /// By device.
    sessions: Vec<Session>,
    /// By link.
    connections: Vec<Connection>,
    /// By topic: message and QoS.
    retained: [Option<(u32, QoS)>; TOPICS.len()],
    up: bool,
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
    /// A PINGRESP is owed since this many bytes were sent.
    ping: Option<u64>,
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
    /// It has no topic of this world, but this one.
    pub(crate) junk: Option<Junk>,
}

/// The way out to one client.
pub(crate) struct Outlet<'a, 't> {
    pub(crate) stage: &'a mut Stage<'t>,
    pub(crate) link: &'a mut Link,
    pub(crate) protocol: Protocol,
    pub(crate) manners: &'a Manners,
}

impl Outlet<'_, '_> {
    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        let (mut few, mut many) = ([0; 2_048], Vec::new());
        let mut bytes = &mut few[..];
        if let Packet::Publish(publish) = packet {
            if publish.payload.len() > 1_900 {
                many.resize(publish.payload.len() + 100, 0);
                bytes = &mut many;
            }
        }
        // The codec knows no refusal in 3.1.
        let refuses = matches!(packet, Packet::SubAck(_));
        let protocol = if refuses { Protocol::V311 } else { self.protocol };
        let len = packet.encode(bytes, protocol).expect("the broker makes packets");
        self.stage.note(self.link.device, What::BrokerSent(Summary::at(self.link.broker, packet)));
        self.link.write(self.stage, Way::Down, &bytes[..len]);
    }
}

impl Broker {
    /// Broker `index`, for clients with so many slots each.
    pub(crate) fn new(
        index: usize,
        setup: BrokerSetup,
        slots: impl Iterator<Item = usize>,
    ) -> Self {
        let session =
            |(device, slots)| Session::new(Pair { device, broker: index }, setup.window, slots);
        let sessions = slots.enumerate().map(session).collect();
        Self {
            index,
            setup,
            sessions,
            connections: Vec::new(),
            retained: [None; TOPICS.len()],
            up: true,
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

    /// Whether it speaks 3.1.1.
    pub(crate) const fn speaks_v311(&self) -> bool {
        !self.setup.only_v31
    }

    pub(crate) const fn manners(&self) -> &Manners {
        &self.setup.manners
    }

    /// The settings of `device` that a broker cannot know. They decide which of its messages are a trial for the client.
    pub(crate) fn spies_on(&mut self, device: usize, setup: &DeviceSetup) {
        let lasts = &mut self.setup.manners.lasts;
        if setup.will.is_some() {
            // The end of a connection brings a message to others. If it came again and again because of a packet that is
            // ignored, there might be no end.
            *lasts = (*lasts).min(MOST_IGNORING);
        }
        if setup.patience.answer_timeout > PATIENT {
            // There would be an end, but it would take too long.
            *lasts = (*lasts).min(2);
        }
        let session = &mut self.sessions[device];
        session.takes_junk = setup.skips_unreadable;
        session.limit = setup.max_packet.map_or(usize::MAX, |most| most as usize);
        session.keeps = !setup.clean;
        session.remembers_all = setup.remembers_all;
    }

    /// The next connections of `device` are closed soon after they were accepted.
    pub(crate) fn kick_out(&mut self, device: usize, connections: u32) {
        self.sessions[device].kicks = connections;
    }

    /// The next connections of `device` are refused.
    pub(crate) fn refuse(&mut self, device: usize, refusal: Refusal, connections: u32) {
        self.sessions[device].refusals = Some((refusal, connections));
    }

    /// Messages that are in flight or wait.
    pub(crate) fn left_to_do(&self, ledger: &Ledger) -> usize {
        self.sessions.iter().map(|session| session.left_to_do(ledger)).sum()
    }

    /// Faults have stopped.
    pub(crate) fn heal(&mut self) {
        for session in &mut self.sessions {
            session.kicks = 0;
            session.refusals = None;
        }
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
            Memory::None => self.sessions[device].peer_forgot(stage),
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
                    stage.note(device, What::BrokerGot(Summary::at(self.index, &packet)));
                    if phase == Phase::Fresh {
                        self.first_packet(stage, links, link, &packet);
                    } else if let Some(quirk) = self.closes_at(now, device, &packet, len) {
                        stage.quirk(device, quirk);
                        self.close(stage, links, link, End::Broken);
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

    /// The quirk for which it closes at this packet of `len` bytes.
    fn closes_at(&self, now: u64, device: usize, packet: &Packet<'_>, len: usize) -> Option<Quirk> {
        let manners = &self.setup.manners;
        let at_any_time = || manners.close_at(now, packet, len);
        self.sessions[device].minds(manners, packet).or_else(at_any_time)
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
        let manners = &self.setup.manners;
        let session = &mut self.sessions[device];
        session.hears();
        let ignored = session.ignores(stage, manners, packet);
        if let Some(quirk) = ignored {
            stage.quirk(device, quirk);
        }
        let mut outlet = Outlet { stage, link: &mut links[link], protocol, manners };
        match packet {
            Packet::Publish(publish) if ignored.is_some() => {
                session.passes_over(outlet.stage, publish);
            }
            Packet::PubRec(id) if ignored.is_some() => session.forgets_pubrec(&mut outlet, *id),
            Packet::Subscribe(_) | Packet::Unsubscribe(_) if ignored.is_some() => {}
            Packet::Publish(publish) => {
                let method_b = self.setup.method_b;
                if let Some(post) = session.take_publish(&mut outlet, publish, method_b) {
                    self.hand_on(stage, links, post);
                }
            }
            Packet::PubRel { id, .. } => {
                if let Some(post) = session.take_pubrel(&mut outlet, *id, ignored.is_none()) {
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
                for (nth, filter) in unsubscribe.filters().enumerate() {
                    let filter = topics::filter_index(filter).expect("a filter of this world");
                    session.unsubscribe(filter);
                    if nth != 0 && manners.have(Quirk::UnsubAckEach) {
                        outlet.quirk(Quirk::UnsubAckEach);
                        outlet.answer(&Packet::UnsubAck(unsubscribe.id));
                    }
                }
                outlet.answer(&Packet::UnsubAck(unsubscribe.id));
            }
            Packet::PingReq if manners.have(Quirk::WithholdsPingResp) => {
                let sent = outlet.link.sent_down();
                let late = outlet.stage.rng.u64(1..1_000);
                outlet.stage.plan(late, Event::Pong { link });
                self.connection(link).ping = Some(sent);
            }
            Packet::PingReq => {
                session.queues_junk(outlet.stage, &manners.quirks);
                session.pump(&mut outlet);
                outlet.send(&Packet::PingResp);
            }
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
            self.sessions[device].detach(stage);
        }
        if let (Some(Will { number, topic, qos, retain }), End::Broken) = (will, end) {
            let post = Post { number: Some(number), topic, qos, retain, junk: None };
            self.hand_on(stage, links, post);
        }
    }

    /// A PINGRESP is sent if nothing else was since the PINGREQ.
    pub(crate) fn pong(&mut self, stage: &mut Stage<'_>, links: &mut [Link], link: usize) {
        let Connection { phase, ping, .. } = *self.connection(link);
        let (Phase::Accepted(protocol), Some(before)) = (phase, ping) else { return };
        self.connection(link).ping = None;
        if links[link].sent_down() == before {
            let manners = &self.setup.manners;
            Outlet { stage, link: &mut links[link], protocol, manners }.send(&Packet::PingResp);
        } else {
            stage.quirk(links[link].device, Quirk::WithholdsPingResp);
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
            if links[link].broker == self.index && links[link].broker_open {
                self.close(stage, links, link, End::Crash);
            }
        }
        if reset {
            self.loses_sessions(stage);
        } else if self.setup.manners.have(Quirk::ForgetsFilter) {
            for session in &mut self.sessions {
                session.forgets_filter(stage, self.setup.manners.filter);
            }
        }
    }

    /// All sessions are lost, and perhaps the retained messages.
    pub(crate) fn loses_sessions(&mut self, stage: &mut Stage<'_>) {
        for session in &mut self.sessions {
            session.discard(stage);
        }
        if stage.rng.bool() {
            self.retained = [None; TOPICS.len()];
        }
    }

    /// Nobody can reach it at this endpoint any more. `wills`: it notices that, and publishes the wills.
    pub(crate) fn loses_endpoint(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        endpoint: u8,
        wills: bool,
    ) {
        let end = if wills { End::Broken } else { End::Crash };
        for link in 0..self.connections.len() {
            let Link { broker, endpoint: its, broker_open, .. } = links[link];
            if (broker, its) == (self.index, endpoint) && broker_open {
                self.close(stage, links, link, end);
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
