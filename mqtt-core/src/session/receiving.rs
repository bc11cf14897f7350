//! Messages of the broker, from their arrival to the last acknowledgement: the receiver's side of section 4.3.
//!
//! A message is taken only if there is room for its answer or, with manual acknowledgement, in the ring of messages to
//! acknowledge.

use super::{
    SessionMut,
    handle::Delivery,
    note::{Fate, NOTE_LEN},
    outbox::Until,
    qos::{self, Arrival},
    settings::Acknowledge,
};
use crate::{
    codec::{
        FirstByte, PacketId, PacketType, QoS,
        ack::{self, ACK_LEN},
    },
    error::{Fatal, RequestError},
};

impl SessionMut<'_> {
    /// Whether the message `id` was taken before.
    pub(crate) fn is_repeated(&mut self, id: PacketId, dup: bool) -> bool {
        self.session.inbound.is_repeated(self.slots, id, dup)
    }

    /// The treatment of the message `id`, if it can be taken now; `None` if there is no room.
    pub(crate) fn admit(
        &mut self,
        qos: QoS,
        id: PacketId,
        dup: bool,
    ) -> Result<Option<Arrival>, Fatal> {
        let seen = qos == QoS::ExactlyOnce && self.is_repeated(id, dup);
        let arrival = qos::arrived(qos, seen);
        let room = match self.session.acknowledge {
            Acknowledge::Manual => self.session.inbound.can_owe(self.slots),
            Acknowledge::Automatic => {
                let needed = ACK_LEN + if arrival.remember { self.note_len() } else { 0 };
                // Asked here first: that saves a call for nearly every message.
                self.has_room(needed) || self.make_room(needed)
            }
        };
        let session = &mut *self.session;
        if !room || session.reclaim.is_skipping() {
            return Ok(None);
        }
        if arrival.remember && !session.inbound.has_room(self.slots) {
            if session.reclaim.is_on() {
                return Ok(None);
            }
            if !session.inbound.drop_stale(self.slots) {
                return Err(Fatal::InboundFull { slots: self.slots.len() });
            }
            session.changes.need_snapshot();
        }
        Ok(Some(arrival))
    }

    /// Takes the message `id`: answers it, or leaves that to the application. [`SessionMut::admit`] has found room.
    pub(crate) fn take(&mut self, qos: QoS, id: PacketId, arrival: Arrival) -> Option<Delivery> {
        let session = &mut *self.session;
        if arrival.remember {
            session.inbound.remember(self.slots, id);
        }
        if session.acknowledge == Acknowledge::Manual {
            let delivery = session.inbound.owe(self.slots, id, qos);
            if arrival.deliver {
                return Some(delivery);
            }
            // The application has acknowledged it before; the answer still waits for its turn.
            let acknowledged = session.inbound.acknowledge(self.slots, delivery);
            debug_assert!(acknowledged.is_some(), "an entry of the ring can be acknowledged once");
            return None;
        }
        if arrival.remember {
            self.note(Fate::Seen, id);
        }
        self.acknowledge_to_broker(qos, id);
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

    /// Whether packet ids are being reclaimed, so that messages without room are skipped.
    pub(crate) const fn is_reclaiming(&self) -> bool {
        self.session.reclaim.is_on()
    }

    /// A message is skipped: the broker sends it again on the next connection.
    pub(crate) const fn skip_message(&mut self) {
        self.session.reclaim.skip();
    }
}
