//! Answers to what the client sent, and the PUBRELs that end the broker's own exchanges.

use super::{
    Core,
    receive::{ANSWER_LEN, PUBCOMP, PUBREL, Taken},
};
use crate::{
    codec::{Granted, PacketId, Protocol},
    error::Violation,
    event::Event,
    session::{
        Requests, filter_count,
        journal::Fate,
        qos::{Answer, Awaits, Progress},
    },
    time::Instant,
    timers::Timer,
};

impl Core<'_> {
    /// PUBACK, PUBREC, PUBCOMP.
    pub(super) fn acknowledged<'i>(&mut self, answer: Answer, id: PacketId) -> Taken<'i> {
        let machine = &mut *self.machine;
        if answer == Answer::PubComp && machine.purged() {
            return Ok(None);
        }
        // A 3.1 broker may get, and answer, a retry that the first answer crossed.
        let lenient = machine.protocol == Protocol::V31;
        let found = match machine.requests.find(self.slots, id) {
            Some(found) if machine.outbox.was_sent(found.place) => found,
            Some(_) | None if lenient => return Ok(None),
            Some(_) | None => return Err(Violation::UnknownPacketId.into()),
        };
        match found.awaits.answered(answer) {
            Progress::Done => {
                machine.outbox.release(self.bytes, found.place);
                machine.requests.end(self.slots, found.index);
                self.note_done(id);
                Ok(Some(Event::Published(found.handle)))
            }
            Progress::Release => {
                // The PUBREL takes less than the PUBLISH that it replaces, so there is room.
                machine.outbox.release(self.bytes, found.place);
                let roomy = self.make_room(ANSWER_LEN + self.note_len());
                debug_assert!(roomy, "a PUBREL and a note are no longer than any PUBLISH");
                self.note(Fate::Released, id);
                let start = self.machine.outbox.append(ANSWER_LEN, true);
                self.write_answer(start, PUBREL, id);
                Requests::advance(self.slots, found.index, Awaits::PubComp, start as u32);
                Ok(None)
            }
            Progress::Wrong if lenient => Ok(None),
            Progress::Wrong => Err(Violation::WrongAck.into()),
        }
    }
    /// PUBREL.
    pub(super) fn released<'i>(&mut self, id: PacketId) -> Taken<'i> {
        if !self.make_room(ANSWER_LEN + self.note_len()) {
            return self.not_now();
        }
        if self.machine.inbound.has_seen(self.slots, id) {
            self.machine.inbound.forget(self.slots, id);
            self.note(Fate::Forgotten, id);
        }
        // [MQTT-4.3.3-2]: PUBCOMP also to an id that is unknown.
        self.answer(PUBCOMP, id);
        Ok(None)
    }

    /// SUBACK.
    pub(super) fn subscribed<'i>(&mut self, id: PacketId, granted: Granted<'i>) -> Taken<'i> {
        let machine = &mut *self.machine;
        if machine.subscriptions.is_answer(id, granted.len())? {
            machine.journal.need_later();
            return Ok(Some(Event::Renewed { granted }));
        }
        let found = match machine.requests.find(self.slots, id) {
            Some(found) if machine.outbox.was_sent(found.place) => found,
            Some(_) | None => return Err(Violation::UnknownSubscribeId.into()),
        };
        if found.awaits.answered(Answer::SubAck) != Progress::Done {
            return Err(Violation::WrongAck.into());
        }
        // [MQTT-3.8.4-5]
        if filter_count(self.bytes, found.place as usize) != granted.len() {
            return Err(Violation::SubAckCount.into());
        }
        if machine.limits.renew_subscriptions {
            machine.subscriptions.granted(
                &mut machine.outbox,
                &machine.requests,
                self.bytes,
                self.slots,
                found.place,
                granted,
            );
            machine.journal.need_subscriptions();
        } else {
            machine.outbox.release(self.bytes, found.place);
        }
        machine.requests.end(self.slots, found.index);
        Ok(Some(Event::Subscribed { handle: found.handle, granted }))
    }

    /// UNSUBACK.
    pub(super) fn unsubscribed<'i>(&mut self, id: PacketId) -> Taken<'i> {
        let machine = &mut *self.machine;
        let found = match machine.requests.find(self.slots, id) {
            Some(found) if machine.outbox.was_sent(found.place) => found,
            Some(_) | None => return Err(Violation::UnknownSubscribeId.into()),
        };
        if found.awaits.answered(Answer::UnsubAck) != Progress::Done {
            return Err(Violation::WrongAck.into());
        }
        machine.subscriptions.unsubscribed(&mut machine.outbox, self.bytes, found.place);
        machine.journal.need_subscriptions();
        machine.outbox.release(self.bytes, found.place);
        machine.requests.end(self.slots, found.index);
        Ok(Some(Event::Unsubscribed(found.handle)))
    }

    /// PINGRESP.
    pub(super) fn pong(&mut self, now: Instant) {
        let machine = &mut *self.machine;
        machine.timers.clear(Timer::PingResponse);
        if let Some(sent) = machine.ping_sent.take() {
            machine.counters.ping_round_trip = Some(now.millis_since(sent) as u32);
        }
    }
}
