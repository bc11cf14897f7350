//! Requests of the application, from their acceptance to the broker's answer: the sender's side of section 4.3, and
//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! A request that awaits an answer has one slot and one packet in the outbox.

use super::{
    Handle, Session, SessionMut, Slot,
    note::{Fate, NOTE_LEN},
    outbox::{UnsentQos0, Until, feed::is_from_source, frame_at},
    qos::{Answer, Awaits, Progress},
    requests::{Ended, InFlight, Requests, Table, unanswered},
    settings::Strictness,
    subscriptions::filter_count,
};
use crate::{
    codec::{
        EncodeError, FirstByte, Granted, Header, PacketId, PacketType, Publish, Violation,
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

/// Why an answer of the broker ends no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It breaks a rule.
    Violation(Violation),
    /// No request awaits it: brokers repeat answers, or send one for each filter.
    Unexpected,
    /// Its request was given up.
    Late,
    /// It may answer a packet that was shown and is not reported as taken. It is looked at again once that is.
    NotYet,
}

/// The end of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// At its QoS.
    Published(Handle),
    /// A publish of QoS 2 was answered as one of QoS 1.
    Downgraded(Handle),
}

/// The SUBSCRIBE that a SUBACK answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubAckFor {
    Request(Handle),
    /// Of the subscriptions from this position on.
    Renewal {
        first: usize,
    },
}

impl SessionMut<'_> {
    /// Accepts the packet that `encode` writes. It gets a packet id if it awaits an answer.
    pub(crate) fn accept(
        &mut self,
        awaits: Option<Awaits>,
        encode: Encode<'_>,
    ) -> Result<Handle, RequestError> {
        self.finish_restore();
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
                let handle = session.requests.begin(self.slots, id, awaits, start as u32);
                if awaits == Awaits::PubRec && session.reclaim.is_due() {
                    self.begin_reclaim();
                }
                handle
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
        requests.next_id(self.slots, awaits).ok_or(RequestError::WindowFull { in_flight })
    }

    /// Whether `Options::exactly_once_window` allows another publish of QoS 2.
    pub(crate) fn has_room_for_qos_2(&self) -> bool {
        let requests = &self.session.requests;
        requests.exactly_once() < usize::from(self.session.exactly_once_window)
            && requests.has_id_for_qos_2(self.slots)
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

    /// Filters in the longest SUBSCRIBE of a renewal once everything in flight and `more` filters are granted.
    pub(crate) fn most_renewed_at_once(&self, more: usize) -> usize {
        let subscriptions = &self.session.subscriptions;
        subscriptions.most_asked(subscriptions.count() + more)
    }

    /// The request under `id`, if the transport has taken its whole packet: only then can an answer belong to it.
    #[inline]
    fn find_sent(&self, id: PacketId) -> Result<Option<InFlight>, NoAnswer> {
        let outbox = &self.session.outbox;
        match self.session.requests.find(self.slots, id) {
            Some(found) if outbox.was_sent(found.place) => Ok(Some(found)),
            Some(found) if outbox.was_shown(found.place) => Err(NoAnswer::NotYet),
            _ => Ok(None),
        }
    }

    /// PUBACK, PUBREC or PUBCOMP; gives the publish that is done, if one is.
    pub(crate) fn acknowledged(
        &mut self,
        answer: Answer,
        id: PacketId,
        strictness: Strictness,
    ) -> Result<Option<Done>, NoAnswer> {
        let Some(found) = self.find_sent(id)? else {
            return Err(self.unexpected(answer, id, strictness, Violation::UnknownPacketId));
        };
        let done = match found.awaits.answered(answer) {
            Progress::Done => Done::Published(found.handle),
            Progress::Release => {
                self.release_to_broker(&found);
                return Ok(None);
            }
            Progress::Downgrade if strictness == Strictness::Lenient => {
                Done::Downgraded(found.handle)
            }
            Progress::ReleaseAgain if strictness == Strictness::Lenient => {
                self.release_again(&found);
                return Err(NoAnswer::Unexpected);
            }
            Progress::Downgrade | Progress::ReleaseAgain | Progress::Wrong => {
                return Err(self.unexpected(answer, id, strictness, Violation::WrongAck));
            }
        };
        self.end_request(&found);
        self.note_done(id);
        Ok(Some(done))
    }

    /// An answer that no request awaits. By default it is ignored; a PUBREC is answered [MQTT-4.3.3-1].
    #[cold]
    fn unexpected(
        &mut self,
        answer: Answer,
        id: PacketId,
        strictness: Strictness,
        violation: Violation,
    ) -> NoAnswer {
        let abandoned = self.session.requests.abandoned.has(id);
        if strictness == Strictness::Strict && !abandoned {
            return NoAnswer::Violation(violation);
        }
        let found = self.session.requests.find(self.slots, id);
        // The PUBREL of a publish waits in the outbox already.
        let released = found.is_some_and(|found| found.awaits == Awaits::PubComp);
        if answer == Answer::PubRec {
            let ahead = self.session.outbox.bytes_ahead(self.bytes);
            self.session.plain = false;
            if !released && !self.session.stray.set(id, ahead) {
                return NoAnswer::NotYet;
            }
        } else if abandoned {
            if !self.make_room(self.note_len()) {
                return NoAnswer::NotYet;
            }
            self.free_abandoned(id);
        }
        if abandoned { NoAnswer::Late } else { NoAnswer::Unexpected }
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

    /// A PUBREC came again, and the PUBREL was sent: it goes out once more, as the newest packet.
    #[cold]
    fn release_again(&mut self, publish: &InFlight) {
        self.session.outbox.release(self.bytes, publish.place);
        let roomy = self.make_room(ACK_LEN);
        debug_assert!(roomy, "the old PUBREL made room for the new one");
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
        strictness: Strictness,
    ) -> Result<SubAckFor, NoAnswer> {
        let session = &mut *self.session;
        let codes = granted.len();
        if session.subscriptions.may_be_answered(id) {
            return Err(NoAnswer::NotYet);
        }
        if let Some(first) =
            session.subscriptions.answered(&session.outbox, self.bytes, id, codes)?
        {
            if !session.subscriptions.is_due() {
                session.stuck.one_by_one = false;
                session.changes.need_later();
            }
            return Ok(SubAckFor::Renewal { first });
        }
        if session.subscriptions.is_answered_early(id) {
            return Err(NoAnswer::NotYet);
        }
        let found = self.find_answered(Answer::SubAck, id, strictness)?;
        // [MQTT-3.8.4-5]
        if filter_count(self.bytes, found.place as usize) != granted.len() {
            return Err(NoAnswer::Violation(Violation::SubAckCount));
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
            session.brokers.subscriptions_changed();
            session.changes.need_subscriptions();
            session.requests.end(self.slots, found.index);
        } else {
            self.end_request(&found);
        }
        Ok(SubAckFor::Request(found.handle))
    }

    /// UNSUBACK.
    pub(crate) fn unsubscribed(
        &mut self,
        id: PacketId,
        strictness: Strictness,
    ) -> Result<Handle, NoAnswer> {
        let found = self.find_answered(Answer::UnsubAck, id, strictness)?;
        let session = &mut *self.session;
        session.subscriptions.unsubscribed(&mut session.outbox, self.bytes, found.place);
        session.changes.need_subscriptions();
        self.end_request(&found);
        Ok(found.handle)
    }

    /// The SUBSCRIBE or UNSUBSCRIBE that `answer` ends.
    fn find_answered(
        &mut self,
        answer: Answer,
        id: PacketId,
        strictness: Strictness,
    ) -> Result<InFlight, NoAnswer> {
        let violation = match self.find_sent(id)? {
            Some(found) if found.awaits.answered(answer) == Progress::Done => return Ok(found),
            Some(_) => Violation::WrongAck,
            None => Violation::UnknownSubscribeId,
        };
        Err(self.unexpected(answer, id, strictness, violation))
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
    pub(crate) const fn has_free_slot(&self) -> bool {
        self.session.requests.has_free()
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

/// A packet whose answer is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    Request(Handle),
    Renewal,
}

impl SessionMut<'_> {
    /// Whether a packet that was sent awaits its answer.
    pub(crate) const fn awaits_answer(&self) -> bool {
        let session = &*self.session;
        session.outbox.awaits_answer() || session.subscriptions.awaits_answer()
    }

    /// From now on the packets that were sent are awaited. No packet has a time of its own: this needs one position.
    pub(crate) const fn watch_answers(&mut self) {
        let session = &mut *self.session;
        session.outbox.watch_answers();
        session.subscriptions.watch_answer();
    }

    /// The first packet that has been awaited since [`watch_answers`](Self::watch_answers).
    #[cold]
    pub(crate) fn overdue(&self) -> Option<Overdue> {
        let session = &*self.session;
        if session.subscriptions.is_awaited() {
            return Some(Overdue::Renewal);
        }
        let id = PacketId::new(session.outbox.first_awaited(self.bytes)?)?;
        let found = session.requests.find(self.slots, id);
        debug_assert!(found.is_some(), "a packet that awaits an answer has its request");
        found.map(|found| Overdue::Request(found.handle))
    }
}

impl From<Violation> for NoAnswer {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// The PUBLISH that `packet` is.
pub(super) fn decoded(packet: &[u8]) -> Option<Publish<'_>> {
    let header = Header::decode(packet).ok()??;
    Publish::decode(header.first(), packet.get(header.header_len()..)?).ok()
}

/// Requests that have not ended.
pub(crate) struct Waiting {
    /// Requests that hold a slot.
    pub(crate) in_flight: usize,
    /// QoS 0 publishes that have not been sent.
    pub(crate) unsent_qos_0: usize,
}

impl Session {
    /// Whether [`SessionMut::next_ended`] or [`SessionMut::next_stuck`] has something to tell.
    pub(crate) fn has_untold(&self) -> bool {
        self.requests.has_ended() || self.stuck.is_untold() || self.reclaim.is_untold()
    }

    /// Whether no request is under way, and every outcome was told.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.in_flight() == 0 && self.requests.unsent() == 0 && !self.has_untold()
    }

    /// The requests that have no answer.
    pub(crate) fn unanswered<'s>(
        &self,
        slots: &'s [Slot],
    ) -> impl Iterator<Item = Handle> + use<'s> {
        unanswered(slots)
    }

    /// The publishes above QoS 0 that have not ended; with the message if it is still here.
    pub(crate) fn publishes<'b>(
        &self,
        bytes: &'b [u8],
        slots: &'b [Slot],
    ) -> impl Iterator<Item = (Handle, Option<Publish<'b>>)> {
        self.outbox.unacknowledged(bytes).filter_map(move |packet| {
            let found = self.requests.find(slots, PacketId::new(packet.id)?)?;
            let publish = packet.publish.and_then(decoded).map(|mut publish| {
                if packet.publish.and_then(|packet| frame_at(packet, 0)).is_some_and(is_from_source)
                {
                    publish.payload = &[];
                }
                publish
            });
            let is_publish = packet.is_pubrel || publish.is_some();
            (is_publish && found.is_awaited()).then_some((found.handle, publish))
        })
    }
}
