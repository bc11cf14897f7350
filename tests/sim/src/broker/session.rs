//! The state that the broker keeps for a client between connections: subscriptions, messages that go out, and the ids
//! of messages that come in.

use std::collections::VecDeque;

use mqtt_core::{PacketId, Protocol, Publish, QoS, Refusal, codec::Packet};

use super::{
    Outlet, Post,
    audit::{Answer, Audit},
    incoming::Inbound,
    memory::excuse_publishes,
    packet_id,
};
use crate::{
    checks::Invariant,
    faults::Fault,
    ledger::{Ledger, NO_MESSAGE, Pair},
    quirks::Quirk,
    stage::Stage,
    topics,
};

/// A broker lies to a client so many times about its session.
const MOST_LIES: u32 = 12;

/// A session, or the empty place for one.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) pair: Pair,
    exists: bool,
    clean: bool,
    attached: Option<(usize, Protocol)>,
    /// Filters and the granted QoS.
    subscriptions: Vec<(usize, QoS)>,
    pub(super) inbound: Vec<Inbound>,
    /// Ids that were answered with a PUBCOMP and not used since.
    pub(super) completed: Vec<u16>,
    /// In flight to the client.
    pub(super) outbound: VecDeque<Outbound>,
    queue: VecDeque<Post>,
    next_id: u16,
    /// The most messages in flight.
    pub(super) window: usize,
    /// Messages to the client that have ended.
    completed_out: u32,
    /// PUBRECs sent so far.
    places: u32,
    pub(super) epoch: u32,
    pub(super) audit: Audit,
    /// The client has lost its memory since it last connected.
    pub(super) forgot: bool,
    /// A PUBLISH of QoS 2 was taken in this session.
    pub(super) took_exactly_once: bool,
    /// The client may send a PUBREL for any id until its next PUBLISH of QoS 2, since it has lost its memory, or never
    /// heard of the session.
    pub(super) may_sweep: bool,
    /// The session is a new one, and 3.1 does not say so.
    pub(super) was_not_told: bool,
    /// No packet has come since the session began, so the client may not have heard of it.
    pub(super) unheard: bool,
    /// The client has missed that the session is a new one.
    pub(super) missed: bool,
    /// Ids of QoS 2 messages that the client may remember from a session that it does not know to be lost.
    pub(super) stale: Vec<u16>,
    /// The ids that the client has been told to forget.
    pub(super) forgotten: Vec<u16>,
    payload: Vec<u8>,
    /// Slots of the client: it has room for as many messages of QoS 2.
    pub(super) slots: usize,
    /// The client keeps its sessions, and has room for the packet ids of all brokers.
    pub(super) keeps: bool,
    pub(super) remembers_all: bool,
    /// Connections so far.
    pub(super) connections: u32,
    /// How often the broker may still lie about the session.
    lies_left: u32,
    /// The next connections that are closed soon, or refused.
    pub(super) kicks: u32,
    pub(super) refusals: Option<(Refusal, u32)>,
    /// The client goes on after a message with an unreadable topic.
    pub(super) takes_junk: bool,
    /// The largest packet that the client accepts.
    pub(super) limit: usize,
    /// The message and the packet id that bad manners ignore, and since which connection.
    pub(super) ignored: Option<u32>,
    pub(super) unreleased: Option<u16>,
    pub(super) ignores_since: Option<u32>,
}

/// A message in flight to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbound {
    id: u16,
    pub(super) post: Post,
    /// The PUBREC came.
    released: bool,
    /// It was sent before.
    dup: bool,
}

impl Session {
    pub(super) fn new(pair: Pair, window: usize, slots: usize) -> Self {
        Self {
            pair,
            exists: false,
            clean: false,
            attached: None,
            subscriptions: Vec::new(),
            inbound: Vec::new(),
            completed: Vec::new(),
            outbound: VecDeque::new(),
            queue: VecDeque::new(),
            next_id: 1,
            window,
            completed_out: 0,
            places: 0,
            epoch: 0,
            audit: Audit::default(),
            forgot: false,
            took_exactly_once: false,
            may_sweep: false,
            was_not_told: false,
            unheard: false,
            missed: false,
            stale: Vec::new(),
            forgotten: Vec::new(),
            payload: Vec::new(),
            slots,
            keeps: false,
            remembers_all: false,
            connections: 0,
            lies_left: MOST_LIES,
            kicks: 0,
            refusals: None,
            takes_junk: false,
            limit: usize::MAX,
            ignored: None,
            unreleased: None,
            ignores_since: None,
        }
    }

    pub(super) const fn exists(&self) -> bool {
        self.exists
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) const fn next_place(&mut self) -> u32 {
        self.places += 1;
        self.places
    }

    pub(super) const fn attached(&self) -> Option<(usize, Protocol)> {
        self.attached
    }

    /// The link of its connection.
    pub(crate) fn link(&self) -> Option<usize> {
        self.attached.map(|(link, _)| link)
    }

    /// Nothing is in flight or waits, in either direction, that client and broker still want to end.
    pub(crate) fn is_idle(&self, ledger: &Ledger) -> bool {
        self.left_to_do(ledger) == 0
    }

    /// Messages in flight or waiting. Those that the client has given up, and the one that bad manners keep, do not
    /// count.
    pub(super) fn left_to_do(&self, ledger: &Ledger) -> usize {
        let Pair { device, .. } = self.pair;
        let wanted = |inbound: &&Inbound| !inbound.orphan && ledger.uses_id(device, inbound.id());
        let is_home = ledger.is_home(self.pair);
        let incoming = self.inbound.iter().filter(|_| is_home).filter(wanted);
        let kept = |outbound: &&Outbound| Some(outbound.id) == self.unreleased;
        let outgoing = self.outbound.iter().filter(|outbound| !kept(outbound));
        incoming.count() + outgoing.count() + self.queue.len()
    }

    /// Messages to the client that have ended so far.
    pub(crate) const fn completed(&self) -> u32 {
        self.completed_out
    }

    /// Whether the broker may lie about the session once more. If it always did, retained messages would come with each
    /// connection, and maybe more than the client takes in one.
    pub(super) const fn may_lie(&mut self) -> bool {
        let may = self.lies_left != 0;
        self.lies_left = self.lies_left.saturating_sub(1);
        may
    }

    /// The refusal of a connection, during a time of refusals.
    pub(super) fn refuses(&mut self, stage: &mut Stage<'_>, device: usize) -> Option<Refusal> {
        let (refusal, left) = self.refusals.filter(|(_, left)| *left != 0 && stage.faults_on)?;
        stage.fault(device, Fault::Refusal);
        self.refusals = Some((refusal, left - 1));
        Some(refusal)
    }

    /// The exchanges in flight, for a report.
    pub(crate) fn under_way(&self) -> (usize, usize, usize) {
        (self.outbound.len(), self.queue.len(), self.inbound.len())
    }

    /// The QoS that was granted for `filter`.
    pub(crate) fn granted(&self, filter: usize) -> Option<QoS> {
        let found = self.subscriptions.iter().find(|(known, _)| *known == filter);
        found.map(|(_, qos)| *qos)
    }

    /// A new session.
    pub(super) fn begin(
        &mut self,
        stage: &mut Stage<'_>,
        protocol: Protocol,
        clean: bool,
        first_id: u16,
    ) {
        self.exists = true;
        self.next_id = first_id;
        self.epoch = stage.ledger.next_epoch();
        self.took_exactly_once = false;
        self.unheard = true;
        self.was_not_told = protocol == Protocol::V31 && !clean;
        stage.ledger.set_epoch(self.pair, self.epoch);
        if self.was_not_told {
            excuse_publishes(stage, self.pair.device);
        } else {
            self.forgotten = std::mem::take(&mut self.stale);
        }
    }

    /// A connection begins.
    pub(super) fn attach(
        &mut self,
        stage: &mut Stage<'_>,
        link: usize,
        protocol: Protocol,
        clean: bool,
        present: bool,
    ) {
        self.attached = Some((link, protocol));
        stage.ledger.attaches(self.pair);
        self.connections += 1;
        self.clean = clean;
        self.audit = Audit::default();
        let missed = std::mem::take(&mut self.missed);
        if present && (missed || self.unheard) {
            // The client takes this session for the one before.
            self.was_not_told = true;
            self.stale.append(&mut self.forgotten);
            excuse_publishes(stage, self.pair.device);
        }
        // The publishes of a client that was elsewhere have ended.
        let home = stage.ledger.home(self.pair.device);
        let was_elsewhere = home.is_some_and(|home| home != self.pair.broker);
        let forgot = std::mem::take(&mut self.forgot) || was_elsewhere;
        self.may_sweep |= forgot || !self.took_exactly_once;
        if forgot {
            for inbound in &mut self.inbound {
                inbound.orphan = true;
            }
        }
    }

    /// The client has sent something, so it has had the CONNACK.
    pub(super) const fn hears(&mut self) {
        self.unheard = false;
    }

    /// Its connection has ended.
    pub(super) fn detach(&mut self, stage: &mut Stage<'_>) {
        self.attached = None;
        if self.clean {
            // [MQTT-3.1.2-6]
            self.discard(stage);
        }
    }

    /// The session is lost, together with all its messages for the client.
    pub(super) fn discard(&mut self, stage: &mut Stage<'_>) {
        if !self.exists {
            return;
        }
        self.exists = false;
        self.stale.extend(self.outbound.iter().filter(|out| is_exact(&out.post)).map(|out| out.id));
        let under_way = self.outbound.drain(..).map(|outbound| outbound.post);
        for post in under_way.chain(self.queue.drain(..)) {
            if let Some(number) = post.number {
                stage.ledger.receipt_mut(self.pair, number).counts[post.qos as usize].void += 1;
            }
        }
        self.subscriptions.clear();
        self.inbound.clear();
        self.completed.clear();
        self.unreleased = None;
    }

    pub(super) fn subscribe(&mut self, filter: usize, qos: QoS) {
        // [MQTT-3.8.4-3]
        self.unsubscribe(filter);
        self.subscriptions.push((filter, qos));
    }

    pub(super) fn unsubscribe(&mut self, filter: usize) {
        self.subscriptions.retain(|(known, _)| *known != filter);
    }

    /// The granted QoS of each subscription that matches `topic`, the highest first.
    pub(super) fn wanted(&self, topic: usize) -> Vec<QoS> {
        let matching = |(filter, _): &&(usize, QoS)| topics::matches(*filter, topic);
        let mut wanted: Vec<QoS> =
            self.subscriptions.iter().filter(matching).map(|(_, qos)| *qos).collect();
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        wanted
    }

    /// A message for the client; [`Session::pump`] sends it.
    pub(super) fn post(&mut self, stage: &mut Stage<'_>, post: Post) {
        if post.qos == QoS::AtMostOnce && self.attached.is_none() {
            return;
        }
        if let Some(number) = post.number {
            stage.ledger.receipt_mut(self.pair, number).counts[post.qos as usize].due += 1;
        }
        self.queue.push_back(post);
    }

    /// Sends as many messages as the window has room for.
    pub(super) fn pump(&mut self, outlet: &mut Outlet<'_, '_>) {
        while let Some(post) = self.queue.front().copied() {
            if post.qos == QoS::AtMostOnce {
                self.send(outlet, None, post, false);
            } else if self.outbound.len() < self.window {
                let id = self.take_id();
                self.send(outlet, Some(id), post, false);
                self.outbound.push_back(Outbound { id, post, released: false, dup: true });
                let exact = self.outbound.iter().filter(|out| is_exact(&out.post)).count();
                if exact == self.slots + 1 {
                    outlet.stage.quirk(outlet.link.device, Quirk::WideWindow);
                }
            } else {
                break;
            }
            self.queue.pop_front();
        }
    }

    /// [MQTT-4.4.0-1]: unanswered packets are sent again in their order, then the others are sent.
    pub(super) fn resume(&mut self, outlet: &mut Outlet<'_, '_>) {
        for at in 0..self.outbound.len() {
            let Outbound { id, post, released, dup } = self.outbound[at];
            if released {
                self.release(outlet, id, true);
            } else {
                self.may_be_swallowed(outlet, id, &post);
                self.send(outlet, Some(id), post, dup);
            }
        }
        self.pump(outlet);
    }

    fn take_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = if id == u16::MAX { 1 } else { id + 1 };
            if self.outbound.iter().all(|outbound| outbound.id != id) {
                return id;
            }
        }
    }

    fn send(&mut self, outlet: &mut Outlet<'_, '_>, id: Option<u16>, post: Post, dup: bool) {
        match post.number {
            Some(number) => outlet.stage.ledger.write_payload(number, &mut self.payload),
            None => self.payload.clear(),
        }
        match (id, post.qos) {
            (Some(id), QoS::AtLeastOnce) => self.audit.pubacks.push_back(id),
            (Some(id), _) => self.audit.pubrecs.push_back(id),
            (None, _) => {}
        }
        if let Some(id) = id {
            let number = post.number.unwrap_or(NO_MESSAGE);
            outlet.stage.ledger.sends_out(self.pair, id, number, post.qos);
        }
        if let Some(junk) = post.junk {
            outlet.send_junk(junk, id, &post, dup);
            return;
        }
        let publish = Publish {
            topic: topics::topic(post.topic),
            payload: &self.payload,
            qos: post.qos,
            retain: post.retain,
            dup,
            id: id.map(packet_id),
        };
        if publish.encoded_len().is_ok_and(|len| len > self.limit) {
            outlet.quirk(Quirk::Oversized);
        }
        outlet.send(&Packet::Publish(publish));
    }

    fn release(&mut self, outlet: &mut Outlet<'_, '_>, id: u16, again: bool) {
        self.audit.pubcomps.push_back(id);
        // 3.1 marks a retry, 3.1.1 has no bit for it.
        let dup = again && outlet.protocol == Protocol::V31;
        outlet.send(&Packet::PubRel { id: packet_id(id), dup });
    }

    pub(super) fn take_puback(&mut self, outlet: &mut Outlet<'_, '_>, id: PacketId) {
        let Some(at) = self.answered(outlet, Answer::PubAck, id) else { return };
        self.outbound.remove(at);
        self.completed_out += 1;
        self.pump(outlet);
    }

    pub(super) fn take_pubrec(&mut self, outlet: &mut Outlet<'_, '_>, id: PacketId) {
        let Some(at) = self.answered(outlet, Answer::PubRec, id) else { return };
        self.outbound[at].released = true;
        self.stale.retain(|stale| *stale != id.get());
        self.release(outlet, id.get(), false);
    }

    /// A PUBREC is ignored: the PUBREL does not go out, and the message is sent again.
    pub(super) fn forgets_pubrec(&mut self, outlet: &mut Outlet<'_, '_>, id: PacketId) {
        self.answered(outlet, Answer::PubRec, id);
    }

    pub(super) fn take_pubcomp(&mut self, outlet: &mut Outlet<'_, '_>, id: PacketId) {
        let Some(at) = self.answered(outlet, Answer::PubComp, id) else { return };
        self.outbound.remove(at);
        self.completed_out += 1;
        self.pump(outlet);
    }

    /// The message that an answer belongs to.
    fn answered(
        &mut self,
        outlet: &mut Outlet<'_, '_>,
        kind: Answer,
        id: PacketId,
    ) -> Option<usize> {
        let (device, id) = (outlet.link.device, id.get());
        if !self.audit.answers_in_order(outlet.stage, device, kind, id) {
            return None;
        }
        let at = self.outbound.iter().position(|outbound| outbound.id == id);
        if at.is_none() {
            outlet.stage.fail(Invariant::Protocol, device, || {
                format!("{kind:?} {id} for no message in flight [MQTT-2.3.1-6]")
            });
        }
        at
    }
}

pub(super) fn is_exact(post: &Post) -> bool {
    post.qos == QoS::ExactlyOnce
}
