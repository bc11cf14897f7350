//! The broker's answers to requests: PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK.

use super::{
    Machine, Taken,
    connection::{Intent, Phase},
};
use crate::{
    codec::{Granted, PacketId},
    error::Reason,
    event::Event,
    session::{Reclaimed, SubAckFor, qos::Answer},
    timers::Timer,
};

impl Machine<'_> {
    /// PUBACK and PUBREC; PUBCOMP, if it does not answer a PUBREL that reclaims an id.
    pub(super) fn acknowledged<'i>(&mut self, answer: Answer, id: PacketId) -> Taken<'i> {
        let done = self.session.acknowledged(answer, id, self.state.protocol)?;
        Ok(done.map(Event::Published))
    }

    /// PUBCOMP.
    pub(super) fn completed<'i>(&mut self, id: PacketId) -> Taken<'i> {
        match self.session.reclaimed() {
            Reclaimed::No => return self.acknowledged(Answer::PubComp, id),
            Reclaimed::One => {}
            Reclaimed::Last { skipped } => {
                self.state.timers.clear(Timer::PingResponse);
                if self.state.phase == Phase::Up(Intent::Leave) {
                    self.state.begin_leaving();
                } else if skipped {
                    self.close(Reason::PassedOver);
                }
            }
        }
        Ok(None)
    }

    /// SUBACK.
    pub(super) fn subscribed<'i>(&mut self, id: PacketId, granted: Granted<'i>) -> Taken<'i> {
        Ok(Some(match self.session.subscribed(id, granted)? {
            SubAckFor::Renewal => Event::Renewed { granted },
            SubAckFor::Request(handle) => Event::Subscribed { handle, granted },
        }))
    }

    /// UNSUBACK.
    pub(super) fn unsubscribed<'i>(&mut self, id: PacketId) -> Taken<'i> {
        Ok(Some(Event::Unsubscribed(self.session.unsubscribed(id)?)))
    }
}
