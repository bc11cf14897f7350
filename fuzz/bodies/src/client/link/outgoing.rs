//! The bytes and packets that the client sends, and those that it may send at each time.

use mqtt_core::{PacketId, Protocol, QoS, codec::Packet};
use test_kit::wire::{PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, next_packet};

use super::{Link, Reply, Session, Transport};

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
        session.sender.show(&all, protocol, self.is_reclaiming());
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
        if self.is_reclaiming() {
            if let Packet::PubRel { id, dup: false } = packet {
                self.reclaim.sent(id);
                return self.reply_with(PUBCOMP, id, &[]);
            }
            let ping = matches!(packet, Packet::PingReq) && self.reclaim.is_sent();
            assert!(ping, "{packet:?} before the ids are released");
        }
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
                session.sender.sent_release(id);
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
                assert!(
                    self.leaving || self.awaits_messages || self.may_end(session),
                    "nobody asked for it"
                );
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
