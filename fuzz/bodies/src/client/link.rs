//! One connection after the other: the bytes of both directions, the packets that the client may send at each time, and
//! a broker that answers honestly if it is asked to.

use std::collections::VecDeque;

use mqtt_core::{
    Counters, Delivery, PacketId, Protocol, QoS, SessionStatus,
    codec::{ConnAck, Decoded, Header, Packet},
};

use test_kit::wire::next_packet;

mod answers;
mod broker;
mod outgoing;
mod passing;

use super::{
    reclaim::Reclaim,
    sender::Verdict,
    session::{Owed, Session},
    settings::{PING_TIMEOUT, Settings, UNREAD_TIMEOUT},
};
use broker::Reply;
use passing::Decision;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Closed,
    Opening,
    Open,
}

/// Whether the connection ends because the application has asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// It waits for the CONNACK, or until no publish waits for packet ids.
    Asked,
    /// Requests that are accepted from now on may stay behind.
    Begun,
}

pub(super) struct Link {
    pub(super) transport: Transport,
    pub(super) reclaim: Reclaim,
    leaving: Leaving,
    /// Of the client.
    slots: usize,
    clean: bool,
    manual: bool,
    strict: bool,
    /// The connection ends because of an error that a packet may have caused.
    failed: bool,
    /// Written by the client: a packet that is not whole yet.
    outgoing: Vec<u8>,
    /// Shown to the driver behind it, and not written yet.
    shown: Vec<u8>,
    /// Read by the driver, and not taken by the client yet.
    arrived: Vec<u8>,
    /// Taken by the client: a packet that is not whole yet.
    taken: Vec<u8>,
    connect_sent: bool,
    accepted: bool,
    /// The session status that the client has to report, once it is accepted.
    status: Option<SessionStatus>,
    /// Nothing more may be sent: a DISCONNECT was sent, or the broker broke a rule.
    over: bool,
    /// The client passes messages over, and ends the connection once those that it has taken are complete.
    passing: bool,
    /// The connection before ended after a pass-over. So the client may wait for the messages before it renews.
    awaits_messages: bool,
    /// The session was lost behind a pass-over, and behind two in a row, so messages would not come again.
    forgetful: bool,
    pointless: bool,
    /// The decision about the message whose packet is not whole yet.
    begun: Option<Decision>,
    /// That message was told as skipped.
    skipped: bool,
    /// Since when a PINGRESP is due.
    pinged: Option<u64>,
    /// The PINGRESP came before the driver reported the PINGREQ.
    early_pong: bool,
    /// Bytes that were shown to the client and that it has not taken.
    unread: usize,
    /// Since when the client has refused a whole packet, without taking any byte.
    refused: Option<u64>,
    /// A message came in pieces. Its end may be refused, which shows in no packet.
    pieces: bool,
    /// PUBACKs and PUBRECs, in the order of the messages that they answer.
    due: VecDeque<Due>,
    /// PUBCOMPs.
    due_complete: VecDeque<PacketId>,
    replies: VecDeque<Reply>,
    /// The honest broker keeps a session.
    kept: bool,
    /// A CONNECT was not answered, so the broker may have begun a new one.
    session_uncertain: bool,
    bytes_in: u32,
    bytes_out: u32,
}

struct Due {
    qos: QoS,
    id: PacketId,
    delivery: Option<Delivery>,
    /// The application has acknowledged it, or does not have to.
    acknowledged: bool,
}

impl Link {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { window, clean, manual, strict, .. } = *settings;
        Self::closed(window, clean, manual, strict, Reclaim::new(settings))
    }

    fn closed(slots: usize, clean: bool, manual: bool, strict: bool, reclaim: Reclaim) -> Self {
        Self {
            transport: Transport::Closed,
            reclaim,
            leaving: Leaving::No,
            slots,
            clean,
            manual,
            strict,
            failed: false,
            outgoing: Vec::new(),
            shown: Vec::new(),
            arrived: Vec::new(),
            taken: Vec::new(),
            connect_sent: false,
            accepted: false,
            status: None,
            over: false,
            passing: false,
            awaits_messages: false,
            forgetful: false,
            pointless: false,
            begun: None,
            skipped: false,
            pinged: None,
            early_pong: false,
            unread: 0,
            refused: None,
            pieces: false,
            due: VecDeque::new(),
            due_complete: VecDeque::new(),
            replies: VecDeque::new(),
            kept: false,
            session_uncertain: false,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    pub(super) fn opening(&mut self) {
        assert_eq!(self.transport, Transport::Closed, "one connection at a time");
        self.transport = Transport::Opening;
    }

    /// No transport is opened for now.
    pub(super) fn deferred(&mut self) {
        self.transport = Transport::Closed;
    }

    pub(super) fn open(&mut self) {
        self.transport = Transport::Open;
    }

    /// The transport is closed. `closing`: the client has asked for that.
    pub(super) fn close(&mut self, closing: bool, session: &mut Session) {
        let awaits_messages = if self.transport == Transport::Closed {
            self.awaits_messages
        } else {
            let owed = self.due.iter().any(|due| !due.acknowledged);
            self.passing && !self.awaits_messages && session.seen() == 0 && !owed
        };
        for due in self.due.iter().filter(|due| due.qos == QoS::ExactlyOnce && !due.acknowledged) {
            session.forget(due.id);
        }
        // The broker may have closed it at a PUBREL.
        let blamed = (!closing || self.failed) && !self.reclaim.awaits_answer();
        session.sender.disconnected(self.accepted, blamed);
        session.disconnected();
        self.reclaim.disconnected();
        let (bytes_in, bytes_out) = (self.bytes_in, self.bytes_out);
        let session_uncertain =
            self.session_uncertain || self.connect_sent && !self.accepted && self.reclaim.knows();
        let reclaim = self.reclaim.clone();
        let closed = Self::closed(self.slots, self.clean, self.manual, self.strict, reclaim);
        *self = Self {
            kept: self.kept,
            forgetful: self.forgetful,
            session_uncertain,
            awaits_messages,
            bytes_in,
            bytes_out,
            ..closed
        };
    }

    pub(super) const fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Whether a publish of QoS 2 waits until ids are reclaimed.
    pub(super) fn is_reclaiming(&self, session: &Session) -> bool {
        let waits = self.accepted && self.reclaim.is_due();
        waits && session.sender.waiting_exactly_once().is_some()
    }

    /// The application asks for the end.
    pub(super) fn leave(&mut self, session: &Session) {
        if self.transport == Transport::Open && self.leaving == Leaving::No {
            self.leaving = Leaving::Asked;
        }
        self.begins_to_leave(session);
    }

    /// The end begins, unless it has to wait.
    pub(super) fn begins_to_leave(&mut self, session: &Session) {
        if self.leaving == Leaving::Asked && self.accepted && !self.is_reclaiming(session) {
            self.leaving = Leaving::Begun;
        }
    }

    /// Whether PUBCOMPs for reclaimed ids have been due for longer than the ping time-out, and are not behind refused
    /// input.
    pub(super) fn misses_pubcomp(&self, now: u64) -> bool {
        self.refused.is_none() && self.reclaim.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// The session status that the client has to report.
    pub(super) const fn status(&self) -> Option<SessionStatus> {
        self.status
    }

    /// The client has given everything that it takes now. The rest waits in `arrived`. `last`: it took bytes together with
    /// the look at the rest.
    pub(super) fn left(&mut self, took: bool, last: bool, now: u64, session: &mut Session) {
        if took && self.refused.take().is_some() {
            self.pinged = self.pinged.map(|_| now);
            self.reclaim.postpone(now);
        }
        if self.accepted && self.has_whole_packet() {
            self.refused.get_or_insert(now);
            if last {
                self.reclaim.postpone(now);
            }
            self.refused_message(session);
        }
    }

    /// Whether the client refuses input.
    pub(super) const fn refuses(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether the client has refused input for longer than `Options::unread_timeout`.
    pub(super) fn is_unread(&self, now: u64) -> bool {
        self.refused.is_some_and(|since| now >= since.saturating_add(UNREAD_TIMEOUT))
    }

    /// Whether a PINGRESP has been due for longer than the ping time-out, and is not behind refused input.
    pub(super) fn misses_pong(&self, now: u64) -> bool {
        self.refused.is_none()
            && self.pinged.is_some_and(|at| now >= at.saturating_add(PING_TIMEOUT))
    }

    /// The client is shown this many bytes of the input. New ones prove that the link is alive.
    pub(super) const fn shows(&mut self, bytes: usize) {
        if bytes > self.unread {
            self.unread = bytes;
            self.pinged = None;
        }
    }

    /// Whether the client may have refused the end of a message in pieces.
    pub(super) const fn had_pieces(&self) -> bool {
        self.pieces
    }

    pub(super) fn check_counters(&self, counters: &Counters, session: &Session) {
        assert_eq!(counters.unexpected_acks, session.sender.unexpected, "unexpected answers");
        assert_eq!((counters.bytes_in, counters.bytes_out), (self.bytes_in, self.bytes_out));
    }

    /// Bytes come in.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        self.arrived.extend(bytes);
    }

    pub(super) fn arrived(&self) -> usize {
        self.arrived.len()
    }

    /// Whether a packet has arrived in full.
    pub(super) fn has_whole_packet(&self) -> bool {
        let header = Header::decode(&self.arrived).ok().flatten();
        header.is_some_and(|header| header.frame_len() <= self.arrived.len())
    }

    pub(super) fn take_arrived(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.arrived)
    }

    /// The client has taken these bytes of the input.
    pub(super) fn took(
        &mut self,
        bytes: &[u8],
        now: u64,
        protocol: Protocol,
        session: &mut Session,
    ) {
        self.unread = self.unread.saturating_sub(bytes.len());
        self.bytes_in = self.bytes_in.wrapping_add(bytes.len() as u32);
        self.taken.extend(bytes);
        let taken = std::mem::take(&mut self.taken);
        let mut rest = taken.as_slice();
        loop {
            match Packet::decode(rest, protocol) {
                Ok(Decoded::Packet { packet, len }) => {
                    match self.decide(&packet, session) {
                        Decision::Take => self.took_packet(packet, now, protocol, session),
                        Decision::Repeat => self.repeated_packet(&packet),
                        Decision::Lose => self.lost_packet(&packet, session),
                        Decision::PassOver => self.pass_over(session),
                    }
                    self.skipped = false;
                    self.begun = None;
                    rest = rest.get(len..).unwrap_or_default();
                }
                Ok(Decoded::NeedMore(_)) => break,
                // The client reports the message, and then the violation.
                Err(_) => rest = &[],
            }
        }
        self.begins(rest, session);
        self.taken = rest.to_vec();
        self.pieces |= !rest.is_empty();
    }

    /// The client has taken these bytes and fails, perhaps because of the last packet. The packets before it had no
    /// event: releases, answers, and messages that were taken before, skipped or passed over. If one is the cause itself,
    /// it changes nothing.
    pub(super) fn failed(
        &mut self,
        bytes: &[u8],
        now: u64,
        protocol: Protocol,
        session: &mut Session,
    ) {
        self.bytes_in = self.bytes_in.wrapping_add(bytes.len() as u32);
        self.over = true;
        self.taken.extend(bytes);
        let taken = std::mem::take(&mut self.taken);
        let mut rest = taken.as_slice();
        while let Ok(Decoded::Packet { packet, len }) = Packet::decode(rest, protocol) {
            if !self.accepted {
                break;
            }
            if let Packet::PubRel { id, .. } = packet {
                session.forget(id);
            } else if let Packet::Publish(publish) = &packet {
                match self.decide(&packet, session) {
                    Decision::Take if self.skipped => session.keep(publish, self.slots),
                    Decision::PassOver => self.pass_over(session),
                    Decision::Take | Decision::Repeat | Decision::Lose => {}
                }
                (self.begun, self.skipped) = (None, false);
            } else if matches!(
                packet,
                Packet::PubAck(_)
                    | Packet::PubRec(_)
                    | Packet::PubComp(_)
                    | Packet::SubAck(_)
                    | Packet::UnsubAck(_)
            ) {
                let verdict = self.answer(&packet, now, protocol, session);
                assert_ne!(verdict, Verdict::Event, "{packet:?} has no event");
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }

    fn took_packet(
        &mut self,
        packet: Packet<'_>,
        now: u64,
        protocol: Protocol,
        session: &mut Session,
    ) {
        assert!(self.connect_sent, "an answer before the question");
        match packet {
            Packet::ConnAck(ConnAck { session_present, result: Ok(()) }) => {
                let unwanted = session_present && self.clean;
                assert!(!(unwanted && self.strict), "a session that was not asked for");
                self.accepted = true;
                let status = self.reclaim.status(protocol, session_present);
                self.status = Some(status);
                let new = match protocol {
                    Protocol::V311 => !session_present,
                    Protocol::V31 => self.clean,
                };
                self.forgetful &= status != SessionStatus::Resumed;
                if new {
                    self.pointless = self.awaits_messages && self.forgetful;
                    self.forgetful = self.awaits_messages;
                    session.begins_anew();
                } else if self.clean {
                    session.own_packets_begin_anew();
                }
                self.reclaim.accepted(protocol, status, &session.sender);
                self.begins_to_leave(session);
                let session_uncertain =
                    std::mem::take(&mut self.session_uncertain) || protocol == Protocol::V31;
                if session_uncertain && status == SessionStatus::Resumed {
                    session.becomes_uncertain();
                    // Without subscriptions nothing is gained by the wait.
                    if self.awaits_messages && session.sender.has_subscriptions() {
                        session.passes_over();
                    } else {
                        session.sender.lacks_subscriptions();
                        self.awaits_messages = false;
                    }
                } else {
                    self.awaits_messages = false;
                }
            }
            Packet::Publish(publish) => {
                if self.skipped {
                    session.keep(&publish, self.slots);
                } else {
                    session.expect(&publish);
                }
                // The application acknowledges each message it gets.
                if let (Some(id), true) = (publish.id, self.skipped || !self.manual) {
                    self.owe_answer(publish.qos, id);
                }
            }
            Packet::PubRel { id, .. } => {
                session.forget(id);
                self.due_complete.push_back(id);
            }
            Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubComp(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_) => {
                let verdict = self.answer(&packet, now, protocol, session);
                assert_ne!(verdict, Verdict::Broken, "took {packet:?}");
            }
            Packet::PingResp => {
                let ahead = [self.outgoing.as_slice(), &self.shown].concat();
                let mut rest = ahead.as_slice();
                while let Some((packet, behind)) = next_packet(rest, protocol) {
                    self.early_pong |= packet == Packet::PingReq;
                    rest = behind;
                }
            }
            Packet::ConnAck(_)
            | Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect => panic!("took {packet:?}"),
        }
    }

    /// The application has a message to acknowledge.
    pub(super) fn owe(&mut self, Owed { qos, id, delivery }: Owed) {
        assert_eq!(delivery.is_some(), self.manual);
        if delivery.is_some() {
            self.due.push_back(Due { qos, id, delivery, acknowledged: false });
        }
    }

    /// Messages that wait until the application has acknowledged one.
    pub(super) fn owes(&self) -> usize {
        if self.manual { self.due.len() } else { 0 }
    }

    /// The application acknowledges. Returns whether it had to.
    pub(super) fn acknowledge(&mut self, delivery: Delivery) -> bool {
        let due = self.due.iter_mut().find(|due| due.delivery == Some(delivery));
        due.is_some_and(|due| !std::mem::replace(&mut due.acknowledged, true))
    }
}
