//! Messages of the broker: a whole PUBLISH, and PUBREL. [`pieces`](super::pieces) has the PUBLISH in pieces.

use super::{Machine, Taken};
use crate::{
    codec::{Header, PacketId, Publish},
    event::{Event, Message},
    session::Judgement,
    timers::Timer,
};

impl Machine<'_> {
    /// A whole PUBLISH.
    pub(super) fn message<'i>(&mut self, header: Header, body: &'i [u8]) -> Taken<'i> {
        let Ok(publish) = Publish::decode(header.first(), body) else {
            return self.skip(header, body);
        };
        let Publish { topic, payload, qos, retain, dup, id } = publish;
        let mut delivery = None;
        if let Some(id) = id {
            match self.session.judge(qos, id, dup) {
                Judgement::Take(arrival) => {
                    if !self.session.has_room_to_answer(arrival) {
                        return self.refuse();
                    }
                    delivery = self.session.take(qos, id, arrival);
                    if !arrival.deliver {
                        return Ok(None);
                    }
                }
                Judgement::PassOver => {
                    self.pass_over();
                    return Ok(None);
                }
                Judgement::NoSlot => return self.skip(header, body),
            }
        }
        Ok(Some(Event::Message(Message { topic, payload, qos, retain, dup, delivery })))
    }

    /// PUBREL.
    pub(super) fn released<'i>(&mut self, id: PacketId) -> Taken<'i> {
        if !self.session.release(id) {
            return self.refuse();
        }
        if self.session.is_passing_over() {
            // The next `poll` starts the time for the next one.
            self.state.timers.clear(Timer::Release);
        }
        Ok(None)
    }
}
