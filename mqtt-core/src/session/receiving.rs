//! Messages of the broker, from their arrival to the last acknowledgement: the receiver's side of section 4.3.
//!
//! A message is taken only if there is room for its answer or, with manual acknowledgement, in the ring of messages to
//! acknowledge. A QoS 2 message needs a place for its packet id as well. If there is none, the message is
//! [passed over](super::pass_over) or, with a clean session, lost.

use super::{
    SessionMut,
    handle::Delivery,
    note::{Fate, NOTE_LEN},
    outbox::Until,
    pass_over::PassOver,
    qos::{self, Arrival},
    settings::{Acknowledge, Lifetime},
};
use crate::{
    codec::{
        FirstByte, PacketId, PacketType, QoS,
        ack::{self, ACK_LEN},
    },
    error::RequestError,
};

/// The decision about a message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is taken if there is room for its answer.
    Take(Arrival),
    /// It is left unanswered, so it comes again on the next connection.
    PassOver,
    /// No place is left for its id, and it would not come again. So it is answered and lost [MQTT-4.5.0-2].
    NoSlot,
}

impl SessionMut<'_> {
    /// The decision about the message `id`. If the client has to pass messages over because of it, that begins here.
    pub(crate) fn judge(&mut self, qos: QoS, id: PacketId, dup: bool) -> Judgement {
        let session = &mut *self.session;
        let exactly_once = qos == QoS::ExactlyOnce;
        let behind = matches!(session.pass_over, PassOver::On | PassOver::OnUnconfirmed);
        let seen = exactly_once && session.inbound.is_repeated(self.slots, id, dup, behind);
        // The broker may wait for the answer to a repetition.
        match session.pass_over {
            // Some brokers keep the session and say that they do not.
            PassOver::Pointless if dup => {
                session.pass_over = PassOver::Off;
                session.forgetful = false;
            }
            PassOver::Off | PassOver::Pointless => {}
            PassOver::On | PassOver::OnUnconfirmed if seen => {}
            PassOver::On | PassOver::OnUnconfirmed => return Judgement::PassOver,
            PassOver::Unconfirmed if !dup => {}
            PassOver::Complete | PassOver::Unconfirmed => session.pass_over = PassOver::Off,
        }
        let arrival = qos::arrived(qos, seen);
        if !arrival.remember || session.inbound.has_room(self.slots) {
            return Judgement::Take(arrival);
        }
        let comes_again =
            session.lifetime == Lifetime::Persistent && session.pass_over != PassOver::Pointless;
        // If the application acknowledged a message out of turn before the connection broke, those ahead of it come again
        // first. So they do not show that its id is stale.
        let manual = session.acknowledge == Acknowledge::Manual;
        let ahead = dup && manual && session.inbound.has_stale();
        // The next connection has more room if some messages were completed on this one.
        let waits = ahead && comes_again && session.inbound.confirmed() != 0;
        let makes_room = !waits
            && (ahead && self.forget_absent_messages()
                || self.forget_stale_messages()
                || self.forget_absent_messages());
        if makes_room {
            return Judgement::Take(arrival);
        }
        if !comes_again {
            return Judgement::NoSlot;
        }
        self.session.pass_over.begin();
        Judgement::PassOver
    }

    fn forget_stale_messages(&mut self) -> bool {
        let some = self.session.inbound.drop_stale(self.slots);
        if some {
            self.session.changes.need_snapshot();
        }
        some
    }

    /// Whether there is room for the answer to a message, now or later.
    pub(crate) fn has_room_to_answer(&mut self, arrival: Arrival) -> bool {
        let note = if arrival.remember { self.note_len() } else { 0 };
        let manual = self.session.acknowledge == Acknowledge::Manual;
        if manual && !self.can_owe() {
            return false;
        }
        let needed = match self.session.acknowledge {
            // The application's call writes the note.
            Acknowledge::Manual if arrival.deliver => return true,
            Acknowledge::Manual => note,
            Acknowledge::Automatic => ACK_LEN + note,
        };
        // Asked here first: that saves a call for nearly every message.
        self.has_room(needed) || self.make_room(needed)
    }

    /// Whether the ring has a place. Answers in it that wait for no other one leave it first.
    fn can_owe(&mut self) -> bool {
        self.session.inbound.can_owe(self.slots) || {
            self.answer_acknowledged();
            self.session.inbound.can_owe(self.slots)
        }
    }

    /// Takes the message `id`: answers it, or leaves that to the application. The caller has found
    /// [room](Self::has_room_to_answer).
    pub(crate) fn take(&mut self, qos: QoS, id: PacketId, arrival: Arrival) -> Option<Delivery> {
        let session = &mut *self.session;
        if arrival.remember {
            session.inbound.remember(self.slots, id);
        }
        let manual = session.acknowledge == Acknowledge::Manual;
        if manual {
            let delivery = session.inbound.owe(self.slots, id, qos);
            if arrival.deliver {
                return Some(delivery);
            }
            // The application has nothing to acknowledge; the answer waits for its turn [MQTT-4.6.0-2].
            let acknowledged = session.inbound.acknowledge(self.slots, delivery);
            debug_assert!(acknowledged.is_some(), "an entry of the ring can be acknowledged once");
        }
        if arrival.remember {
            self.note(Fate::Seen, id);
        }
        if !manual {
            self.acknowledge_to_broker(qos, id);
        }
        None
    }

    /// [MQTT-3.3.4-1]
    fn acknowledge_to_broker(&mut self, qos: QoS, id: PacketId) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(FirstByte::of(PacketType::PubAck), id),
            QoS::ExactlyOnce => self.answer(FirstByte::of(PacketType::PubRec), id),
        }
    }

    fn answer(&mut self, first: FirstByte, id: PacketId) {
        self.append(&ack::packet(first, id), Until::Sent);
    }

    /// PUBREL; false if its answer has no room.
    pub(crate) fn release(&mut self, id: PacketId) -> bool {
        if !self.make_room(ACK_LEN + self.note_len()) {
            return false;
        }
        if self.session.inbound.has_seen(self.slots, id) {
            self.session.inbound.forget(self.slots, id);
            self.note(Fate::Forgotten, id);
        }
        // [MQTT-4.3.3-2]: PUBCOMP also to an unknown id.
        self.answer(FirstByte::of(PacketType::PubComp), id);
        true
    }

    /// The application acknowledges a message.
    pub(crate) fn acknowledge(&mut self, delivery: Delivery) -> Result<(), RequestError> {
        if self.session.changes.are_recorded() && !self.make_room(NOTE_LEN) {
            let free = self.outbox_free();
            return Err(RequestError::OutboxFull { needed: NOTE_LEN, free });
        }
        let Some(qos) = self.session.inbound.acknowledge(self.slots, delivery) else {
            return Err(RequestError::StaleDelivery);
        };
        // The answer may have to wait for earlier ones; the note that the message was taken may not.
        let id = PacketId::new(delivery.id()).filter(|_| qos == QoS::ExactlyOnce);
        // A broker that breaks the rules may have released it meanwhile.
        if let Some(id) = id.filter(|id| self.session.inbound.has_seen(self.slots, *id)) {
            self.note(Fate::Seen, id);
        }
        self.answer_acknowledged();
        Ok(())
    }

    /// Answers the messages that the application has acknowledged, in order of arrival.
    pub(crate) fn answer_acknowledged(&mut self) {
        while let Some((id, qos)) = self.session.inbound.oldest_acknowledged(self.slots) {
            if !self.make_room(ACK_LEN) {
                break;
            }
            self.acknowledge_to_broker(qos, id);
            self.session.inbound.remove_oldest(self.slots);
        }
    }

    /// Whether a message waits for its acknowledgement, by the application or to the broker.
    pub(crate) const fn is_owed(&self) -> bool {
        self.session.inbound.is_owed()
    }
}
