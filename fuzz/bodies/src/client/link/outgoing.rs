//! The bytes and packets that the client sends, and those that it may send at each time.

use mqtt_core::{PacketId, Protocol, QoS, codec::Packet};
use test_kit::wire::{PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, next_packet};

use super::{Leaving, Link, Reply, Session, Transport};

impl Link {
    /// The driver is shown these bytes.
    pub(in super::super) fn show(
        &mut self,
        bytes: &[u8],
        protocol: Protocol,
        session: &mut Session,
    ) {
        assert!(bytes.starts_with(&self.shown), "shown bytes have changed");
        if bytes.len() == self.shown.len() {
            return;
        }
        self.shown = bytes.to_vec();
        let all = [self.outgoing.as_slice(), bytes].concat();
        let ids = self.pubrels_that_reclaim(&all, protocol, session);
        if !ids.is_empty() {
            return self.reclaim.show(&ids, &session.sender);
        }
        session.sender.show(&all, protocol);
        if self.accepted && self.reclaim.is_due() {
            if session.sender.shows_exactly_once() {
                self.reclaim.goes_on(&session.sender);
            } else {
                session.sender.none_overtakes();
            }
        }
    }

    /// The ids of `bytes`, if these are PUBRELs that reclaim ids. The client never shows other packets together with
    /// them. Until they are all answered no request has a PUBREL.
    fn pubrels_that_reclaim(
        &self,
        bytes: &[u8],
        protocol: Protocol,
        session: &Session,
    ) -> Vec<PacketId> {
        let mut ids = Vec::new();
        let mut rest = bytes;
        while let Some((packet, behind)) = next_packet(rest, protocol) {
            let Packet::PubRel { id, dup: false } = packet else { return Vec::new() };
            ids.push(id);
            rest = behind;
        }
        let sender = &session.sender;
        let is_stray = match *ids {
            [id] => sender.has_stray(id) && !self.reclaim.comes_alone(id, sender),
            _ => false,
        };
        if !self.reclaim.is_due() || is_stray || !rest.is_empty() {
            ids.clear();
        }
        ids
    }

    /// The client has written these bytes.
    pub(in super::super) fn sent(
        &mut self,
        bytes: &[u8],
        now: u64,
        protocol: Protocol,
        session: &mut Session,
    ) {
        assert!(bytes.is_empty() || self.transport == Transport::Open);
        assert!(bytes.is_empty() || !self.over, "nothing is sent any more");
        self.bytes_out = self.bytes_out.wrapping_add(bytes.len() as u32);
        assert!(self.shown.starts_with(bytes), "other bytes than shown");
        self.shown.drain(..bytes.len());
        self.outgoing.extend(bytes);
        let outgoing = std::mem::take(&mut self.outgoing);
        let mut rest = outgoing.as_slice();
        while let Some((packet, behind)) = next_packet(rest, protocol) {
            self.sent_packet(packet, now, protocol, session);
            rest = behind;
        }
        self.outgoing = rest.to_vec();
    }

    fn sent_packet(
        &mut self,
        packet: Packet<'_>,
        now: u64,
        protocol: Protocol,
        session: &mut Session,
    ) {
        assert!(!self.over, "nothing after a DISCONNECT");
        let opening = matches!(packet, Packet::Connect(_));
        // [MQTT-3.1.0-1], [MQTT-3.1.0-2]: first, and once.
        assert_eq!(opening, !self.connect_sent, "{packet:?}");
        assert!(opening || self.accepted, "{packet:?} before the CONNACK");
        let retry = protocol == Protocol::V31;
        match packet {
            Packet::Connect(connect) => {
                assert_eq!((connect.protocol, connect.client_id), (protocol, "fuzz"));
                assert_eq!(connect.clean_session, self.clean);
                self.connect_sent = true;
                self.replies.push_back(Reply::ConnAck(protocol));
            }
            Packet::Publish(publish) => {
                session.sender.sent_publish(&publish);
                match (publish.qos, publish.id) {
                    (QoS::AtLeastOnce, Some(id)) => self.reply_with(PUBACK, id, &[]),
                    (QoS::ExactlyOnce, Some(id)) => self.reply_with(PUBREC, id, &[]),
                    _ => {}
                }
            }
            Packet::PubAck(id) => self.sent_answer(QoS::AtLeastOnce, id),
            Packet::PubRec(id) => {
                self.sent_answer(QoS::ExactlyOnce, id);
                self.reply_with(PUBREL, id, &[]);
            }
            Packet::PubRel { id, dup } => {
                // 3.1 allows it, but a broker in use closes the connection at it.
                assert!(!dup);
                if !self.reclaim.sent(id, now, &session.sender) {
                    session.sender.sent_release(id);
                }
                self.reply_with(PUBCOMP, id, &[]);
            }
            Packet::PubComp(id) => assert_eq!(self.due_complete.pop_front(), Some(id)),
            Packet::Subscribe(subscribe) => {
                assert!(retry || !subscribe.dup);
                session.sender.sent_subscribe(&subscribe);
                let codes: Vec<u8> = subscribe.filters().map(|(_, qos)| qos as u8).collect();
                self.reply_with(SUBACK, subscribe.id, &codes);
            }
            Packet::Unsubscribe(unsubscribe) => {
                assert!(retry || !unsubscribe.dup);
                session.sender.sent_unsubscribe(&unsubscribe);
                self.reply_with(UNSUBACK, unsubscribe.id, &[]);
            }
            Packet::PingReq => {
                if !std::mem::take(&mut self.early_pong) {
                    self.pinged.get_or_insert(now);
                }
                self.replies.push_back(Reply::Packet(PINGRESP.into()));
            }
            Packet::Disconnect => {
                let asked = self.leaving == Leaving::Begun;
                let passed_over = self.awaits_messages || self.may_end(session);
                assert!(asked || passed_over, "nobody asked for it, or a publish waits");
                self.over = true;
            }
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                panic!("a client sent {packet:?}");
            }
        }
    }

    /// [MQTT-4.6.0-2], [MQTT-4.6.0-3]: in the order of the messages, and only after the application acknowledged them.
    fn sent_answer(&mut self, qos: QoS, id: PacketId) {
        let next = self.due.iter().position(|due| due.qos == qos);
        let due = next.and_then(|next| self.due.remove(next)).expect("a message to answer");
        assert_eq!(due.id, id, "not the next {qos:?}");
        assert!(due.acknowledged, "the application has not acknowledged it");
    }
}
