//! Messages that the client does not take: those that it passes over, and those that it skips.

use mqtt_core::{
    PacketId, Protocol, Publish, QoS, SkipCause,
    codec::{Decoded, Header, Packet, PublishHead},
};

use super::{Due, Leaving, Link, Session};

/// What the client does with a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Take,
    /// It is answered. The application has it already, and has acknowledged it.
    Repeat,
    /// It is answered and lost.
    Lose,
    PassOver,
}

impl Link {
    /// Whether the client passes messages over, or waits for those that it has passed over.
    pub(in super::super) const fn is_passing_over(&self) -> bool {
        self.passing || self.awaits_messages
    }

    /// Whether the connection can end, because messages were passed over and those that were taken are complete.
    pub(super) fn may_end(&self, session: &Session) -> bool {
        let complete = session.seen() == 0 && self.due.is_empty() && self.due_complete.is_empty();
        self.passing && complete
    }

    /// Whether the connection has to end: a message in pieces may hold that up.
    pub(in super::super) fn has_to_end(&self, session: &Session) -> bool {
        // A reclaim that has begun goes on if the publish that waited is taken back.
        let waits = self.leaving != Leaving::No && self.reclaim.holds_from().is_some();
        let delayed = self.taken.is_empty() && !session.sender.is_renewing();
        self.may_end(session) && delayed && !waits
    }

    /// The client reports a message as skipped because of `cause`.
    pub(in super::super) fn skips(&mut self, cause: SkipCause, qos: QoS, session: &Session) {
        if cause == SkipCause::NoSlot {
            assert!(qos == QoS::ExactlyOnce, "it needs no slot");
            assert!(self.clean || self.pointless, "it would come again");
            assert_eq!(session.seen(), self.slots, "there is a slot");
        }
        // Its end may be refused.
        self.pieces = true;
        // A whole packet was judged before.
        self.skipped = !self.taken.is_empty();
    }

    /// The client has taken `front`, the front of a PUBLISH. It decides as soon as it knows the packet id.
    pub(super) fn begins(&mut self, front: &[u8], session: &mut Session) {
        if self.begun.is_some() {
            return;
        }
        let Ok(Some(header)) = Header::decode(front) else { return };
        let body = front.get(header.header_len()..).unwrap_or_default();
        let head = PublishHead::decode(header.first(), header.remaining(), body);
        let Ok(Some(PublishHead { topic, qos, retain, dup, id, .. })) = head else { return };
        let decision = self.judge(&Publish { topic, payload: b"", qos, retain, dup, id }, session);
        if decision == Decision::PassOver {
            self.pass_over(session);
        }
        self.begun = Some(decision);
    }

    /// What the client does with the packet.
    pub(super) fn decide(&mut self, packet: &Packet<'_>, session: &mut Session) -> Decision {
        match packet {
            Packet::Publish(publish) => self.begun.unwrap_or_else(|| self.judge(publish, session)),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel { .. }
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => Decision::Take,
        }
    }

    /// What the client does with a message.
    fn judge(&mut self, publish: &Publish<'_>, session: &mut Session) -> Decision {
        if publish.id.is_none() {
            return Decision::Take;
        }
        // Only the broker's kept session sends a message again.
        self.awaits_messages &= self.passing || !publish.dup;
        if self.pointless && publish.dup && !self.passing {
            // This one keeps it, and says that it does not.
            (self.pointless, self.forgetful) = (false, false);
        }
        let seen = session.has_seen(publish);
        // After one message that was passed over all are, or a later one would come before it.
        if self.passing && !seen {
            return Decision::PassOver;
        }
        if seen {
            return Decision::Repeat;
        }
        let slotless = publish.qos == QoS::ExactlyOnce && !session.has_slot(self.slots);
        match (slotless, self.clean || self.pointless) {
            (false, _) => Decision::Take,
            // It would not come again.
            (true, true) => Decision::Lose,
            (true, false) => Decision::PassOver,
        }
    }

    /// The client has seen the packet that arrived, and refuses it for now. If it is a message, its id tells something.
    pub(super) fn refused_message(&mut self, session: &mut Session) {
        let arrived = std::mem::take(&mut self.arrived);
        if let Ok(Decoded::Packet { packet: Packet::Publish(publish), .. }) =
            Packet::decode(&arrived, Protocol::V311)
        {
            if self.judge(&publish, session) == Decision::Take {
                session.sees(&publish, self.slots);
            }
        }
        self.arrived = arrived;
    }

    /// The client passes messages over.
    pub(super) fn pass_over(&mut self, session: &mut Session) {
        if !self.passing {
            session.passes_over();
        }
        self.passing = true;
    }

    /// The client has answered a message that it took before.
    pub(super) fn repeated_packet(&mut self, packet: &Packet<'_>) {
        if let Packet::Publish(Publish { qos, id: Some(id), .. }) = packet {
            self.owe_answer(*qos, *id);
        }
    }

    /// The client has answered the message, and neither kept its id nor handed it over.
    pub(super) fn lost_packet(&mut self, packet: &Packet<'_>, session: &mut Session) {
        if let Packet::Publish(Publish { qos, id: Some(id), .. }) = packet {
            self.owe_answer(*qos, *id);
            if !self.skipped {
                session.expect_skipped(*id);
            }
        }
    }

    /// A message that the application does not have to acknowledge is answered in its turn.
    pub(super) fn owe_answer(&mut self, qos: QoS, id: PacketId) {
        self.due.push_back(Due { qos, id, delivery: None, acknowledged: true });
    }
}
