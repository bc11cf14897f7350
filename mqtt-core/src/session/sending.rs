//! Requests of the application, from their acceptance to the broker's answer: the sender's side of section 4.3, and
//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! A request that awaits an answer has one slot and one packet in the outbox.

use super::{
    Handle, Session, SessionMut, Slot,
    note::{Fate, NOTE_LEN},
    outbox::{UnsentQos0, Until},
    qos::{Answer, Awaits, Progress},
    reclaim::Reclaimed,
    requests::{Ended, InFlight, Requests, Table},
    subscriptions::filter_count,
};
use crate::{
    codec::{
        EncodeError, FirstByte, Granted, Header, PacketId, PacketType, Protocol, Publish,
        Violation,
        ack::{self, ACK_LEN},
    },
    error::RequestError,
};

/// Writes a request's packet to the front of a slice and gives its length. If the request awaits an answer, it gets
/// the packet id.
type Encode<'e> = &'e dyn Fn(Option<PacketId>, &mut [u8]) -> Result<usize, EncodeError>;

/// The shortest PUBLISH that is acknowledged: header, a topic of one byte, packet id, no payload.
const SHORTEST_PUBLISH: usize = 2 + (2 + 1) + PacketId::LEN;
// After a PUBREC the PUBREL and its note take the room of the PUBLISH.
const _: () = assert!(ACK_LEN + NOTE_LEN <= SHORTEST_PUBLISH);

/// The SUBSCRIBE that a SUBACK answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubAckFor {
    Request(Handle),
    Renewal,
}

impl SessionMut<'_> {
    /// Accepts the packet that `encode` writes. It gets a packet id if it awaits an answer.
    pub(crate) fn accept(
        &mut self,
        awaits: Option<Awaits>,
        encode: Encode<'_>,
    ) -> Result<Handle, RequestError> {
        let id = match awaits {
            Some(awaits) => Some(self.next_id(awaits)?),
            None => None,
        };
        let free = self.outbox_free();
        let len = match encode(id, self.session.outbox.space(self.bytes, free)) {
            Err(EncodeError::NoSpace { needed, .. }) => {
                self.reserve(needed, free)?;
                encode(id, self.session.outbox.space(self.bytes, free))?
            }
            encoded => encoded?,
        };
        self.use_begins();
        let session = &mut *self.session;
        Ok(match (awaits, id) {
            (Some(awaits), Some(id)) => {
                let start = session.outbox.append(len, Until::Answered);
                if matches!(awaits, Awaits::PubAck | Awaits::PubRec) {
                    session.changes.need();
                }
                session.requests.begin(self.slots, id, awaits, start as u32)
            }
            _ => {
                session.outbox.append(len, Until::Sent);
                session.requests.begin_unacknowledged()
            }
        })
    }

    /// The packet id of the next request that awaits an answer [MQTT-2.3.1-2].
    fn next_id(&self, awaits: Awaits) -> Result<PacketId, RequestError> {
        let requests = &self.session.requests;
        if awaits == Awaits::PubRec && !self.has_room_for_qos_2() {
            return Err(RequestError::WindowFull { in_flight: requests.exactly_once() });
        }
        let in_flight = requests.in_flight();
        requests.next_id(self.slots).ok_or(RequestError::WindowFull { in_flight })
    }

    /// Whether `Options::exactly_once_window` allows another publish of QoS 2.
    pub(crate) fn has_room_for_qos_2(&self) -> bool {
        self.session.requests.exactly_once() < usize::from(self.session.exactly_once_window)
    }

    /// Makes room for a request of `needed` bytes. It may use `free` bytes, and not those that answers may need.
    #[cold]
    fn reserve(&mut self, needed: usize, free: usize) -> Result<(), RequestError> {
        if needed <= free && self.make_room(needed) {
            return Ok(());
        }
        let capacity = self.session.outbox.capacity(self.bytes);
        Err(if needed > capacity {
            RequestError::TooLarge { needed, capacity }
        } else {
            RequestError::OutboxFull { needed, free }
        })
    }

    /// A SUBSCRIBE of `filters` filters was accepted.
    pub(crate) const fn expect_subscriptions(&mut self, filters: usize) {
        self.session.subscriptions.expect(filters);
    }

    /// Filters in the next renewal once everything in flight is granted.
    pub(crate) const fn filters_to_renew(&self) -> usize {
        self.session.subscriptions.count()
    }

    /// The request under `id`, if the transport has taken its whole packet: only then can an answer belong to it.
    fn find_sent(&self, id: PacketId) -> Option<InFlight> {
        let found = self.session.requests.find(self.slots, id)?;
        self.session.outbox.was_sent(found.place).then_some(found)
    }

    /// PUBACK, PUBREC or PUBCOMP; gives the publish that is done.
    pub(crate) fn acknowledged(
        &mut self,
        answer: Answer,
        id: PacketId,
        protocol: Protocol,
    ) -> Result<Option<Handle>, Violation> {
        // A 3.1 broker may get, and answer, a retry that crossed the first answer.
        let lenient = protocol == Protocol::V31;
        let Some(found) = self.find_sent(id) else {
            return if lenient { Ok(None) } else { Err(Violation::UnknownPacketId) };
        };
        match found.awaits.answered(answer) {
            Progress::Done => {
                self.end_request(&found);
                self.note_done(id);
                Ok(Some(found.handle))
            }
            Progress::Release => {
                self.release_to_broker(&found);
                Ok(None)
            }
            Progress::Wrong if lenient => Ok(None),
            Progress::Wrong => Err(Violation::WrongAck),
        }
    }

    /// [MQTT-4.3.3-1]: the PUBLISH is discarded, and the PUBREL takes its place.
    fn release_to_broker(&mut self, publish: &InFlight) {
        self.session.outbox.release(self.bytes, publish.place);
        let roomy = self.make_room(ACK_LEN + self.note_len());
        debug_assert!(roomy, "a PUBREL and a note are no longer than any PUBLISH");
        self.note(Fate::Released, publish.id);
        let start = self.append_pubrel(publish.id);
        Requests::advance(self.slots, publish.index, Awaits::PubComp, start);
    }

    /// Appends a PUBREL; gives its place. The caller has made room.
    pub(super) fn append_pubrel(&mut self, id: PacketId) -> u32 {
        self.append(&ack::packet(FirstByte::of(PacketType::PubRel), id), Until::Answered)
    }

    fn end_request(&mut self, found: &InFlight) {
        self.session.outbox.release(self.bytes, found.place);
        self.session.requests.end(self.slots, found.index);
    }

    /// SUBACK.
    #[inline(never)] // for less flash
    pub(crate) fn subscribed(
        &mut self,
        id: PacketId,
        granted: Granted<'_>,
    ) -> Result<SubAckFor, Violation> {
        if self.session.subscriptions.is_answer(id, granted.len())? {
            self.session.changes.need_later();
            return Ok(SubAckFor::Renewal);
        }
        let found = self.find_sent(id).ok_or(Violation::UnknownSubscribeId)?;
        if found.awaits.answered(Answer::SubAck) != Progress::Done {
            return Err(Violation::WrongAck);
        }
        // [MQTT-3.8.4-5]
        if filter_count(self.bytes, found.place as usize) != granted.len() {
            return Err(Violation::SubAckCount);
        }
        let session = &mut *self.session;
        if session.subscriptions.are_renewed() {
            let mut table = Table { requests: &mut session.requests, slots: self.slots };
            let place = found.place;
            session.subscriptions.granted(
                &mut session.outbox,
                self.bytes,
                &mut table,
                place,
                granted,
            );
            session.changes.need_subscriptions();
            session.requests.end(self.slots, found.index);
        } else {
            self.end_request(&found);
        }
        Ok(SubAckFor::Request(found.handle))
    }

    /// UNSUBACK.
    pub(crate) fn unsubscribed(&mut self, id: PacketId) -> Result<Handle, Violation> {
        let found = self.find_sent(id).ok_or(Violation::UnknownSubscribeId)?;
        if found.awaits.answered(Answer::UnsubAck) != Progress::Done {
            return Err(Violation::WrongAck);
        }
        let session = &mut *self.session;
        session.subscriptions.unsubscribed(&mut session.outbox, self.bytes, found.place);
        session.changes.need_subscriptions();
        self.end_request(&found);
        Ok(found.handle)
    }

    /// A PUBCOMP came: does it answer a PUBREL that reclaims an id?
    pub(crate) fn reclaimed(&mut self) -> Reclaimed {
        let reclaimed = self.session.reclaim.reclaimed();
        if let Reclaimed::Last { .. } = reclaimed {
            // It has to be recorded before a QoS 2 publish is sent.
            self.session.changes.need();
        }
        reclaimed
    }

    /// The next request that ended without an answer from the broker.
    pub(crate) fn next_ended(&mut self) -> Option<Ended> {
        self.session.requests.next_ended(self.slots)
    }

    /// Requests that hold a slot, and QoS 0 publishes that wait to be sent.
    pub(crate) const fn waiting(&self) -> Waiting {
        let requests = &self.session.requests;
        Waiting { in_flight: requests.in_flight(), unsent_qos_0: requests.unsent() }
    }

    /// Whether a slot is free for another request.
    pub(crate) fn has_free_slot(&self) -> bool {
        self.session.requests.next_id(self.slots).is_some()
    }

    /// The QoS 0 publish that was accepted last holds a slot from now on, so it can be dropped.
    pub(crate) fn make_droppable(&mut self) {
        self.session.requests.enter_queue(self.slots);
    }

    /// The QoS 0 publishes of which the driver was shown no byte, oldest first.
    pub(crate) fn unsent_qos_0(&self) -> UnsentQos0<'_> {
        self.session.outbox.unsent_qos_0(self.bytes)
    }

    /// Whether the droppable publish at `position` can be dropped: whether there is room to remember it.
    pub(crate) fn can_drop(&self, position: usize) -> bool {
        let requests = &self.session.requests;
        requests.number_at(self.slots, position).is_some_and(|number| requests.can_drop(number))
    }

    /// Drops `count` droppable publishes, from the one at `position` on.
    pub(crate) fn drop_unsent(&mut self, position: usize, count: usize) {
        let session = &mut *self.session;
        for _ in 0..count {
            session.requests.drop_at(self.slots, position);
        }
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.outbox.drop_unsent(self.bytes, &mut table, position, count);
    }

    /// Bytes that requests can still take in the outbox.
    pub(crate) fn outbox_free(&self) -> usize {
        self.session.outbox_free(self.bytes)
    }
}

/// Requests that have not ended.
pub(crate) struct Waiting {
    /// Requests that hold a slot.
    pub(crate) in_flight: usize,
    /// QoS 0 publishes that have not been sent.
    pub(crate) unsent_qos_0: usize,
}

impl Session {
    /// Whether [`SessionMut::next_ended`] has something to tell.
    pub(crate) fn has_ended(&self) -> bool {
        self.requests.has_ended()
    }

    /// The publishes above QoS 0 that have not ended; with the message if it is still here.
    pub(crate) fn publishes<'b>(
        &self,
        bytes: &'b [u8],
        slots: &'b [Slot],
    ) -> impl Iterator<Item = (Handle, Option<Publish<'b>>)> {
        self.outbox.unacknowledged(bytes).filter_map(move |packet| {
            let found = self.requests.find(slots, PacketId::new(packet.id)?)?;
            let publish = packet.publish.and_then(|packet| {
                let header = Header::decode(packet).ok()??;
                Publish::decode(header.first(), packet.get(header.header_len()..)?).ok()
            });
            (packet.is_pubrel || publish.is_some()).then_some((found.handle, publish))
        })
    }
}
