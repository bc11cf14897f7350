//! The application's requests: accepted at any time, also offline. If there is an error, nothing has changed.

use super::{Machine, settings::Place};
use crate::{
    codec::{EncodeError, Publish, QoS, Subscribe, Unsubscribe},
    error::RequestError,
    session::{Handle, qos::Awaits, suback_len},
    topic::Filter,
};

impl Machine<'_> {
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        let place = match self.state.settings.limit_queue {
            Some(limit_queue) => limit_queue(self, publish)?,
            None => Place::ByQos,
        };
        // [MQTT-3.3.1-1], [MQTT-3.3.1-2]: DUP only if it is sent again.
        let handle = self.session.accept(Awaits::of_publish(publish.qos), &|id, space| {
            Publish { dup: false, id, ..*publish }.encode(space)
        })?;
        if place == Place::Droppable {
            self.session.make_droppable();
        }
        Ok(handle)
    }

    pub(crate) fn subscribe(
        &mut self,
        filters: &[(Filter<'_>, QoS)],
    ) -> Result<Handle, RequestError> {
        // The answer to this packet, and the longest answer to a renewal.
        let renewed = self.session.most_renewed_at_once(filters.len());
        let needed = suback_len(renewed.max(filters.len()));
        let capacity = self.state.settings.largest_suback();
        if needed > capacity {
            return Err(RequestError::TooManySubscriptions { needed, capacity });
        }
        let handle = self.session.accept(Some(Awaits::SubAck), &|id, space| {
            Subscribe::new(id.ok_or(EncodeError::PacketIdMissing)?, filters).encode(space)
        })?;
        self.session.expect_subscriptions(filters.len());
        Ok(handle)
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        self.session.accept(Some(Awaits::UnsubAck), &|id, space| {
            Unsubscribe::new(id.ok_or(EncodeError::PacketIdMissing)?, filters).encode(space)
        })
    }
}
