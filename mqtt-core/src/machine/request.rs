//! What the application asks for: accepted at any time, also offline; on an error nothing has changed.

use super::{Core, Phase};
use crate::{
    codec::{PacketId, Publish, QoS, Subscribe, Unsubscribe},
    error::{EncodeError, Reason, RequestError},
    event::{Delivery, Handle},
    session::qos::Awaits,
    time::Instant,
    timers::Timer,
    topic::Filter,
};

/// Bytes of a SUBACK besides its codes, at the most: header and packet id.
const SUBACK_OVERHEAD: usize = 7;

impl Core<'_> {
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        let awaits = Awaits::of_publish(publish.qos);
        let id = match awaits {
            Some(_) => Some(self.next_id()?),
            None => None,
        };
        // [MQTT-3.3.1-1], [MQTT-3.3.1-2]: DUP only when it is sent again.
        let packet = Publish { dup: false, id, ..*publish };
        let len = packet.encoded_len()?;
        self.reserve(len)?;
        let start = self.machine.outbox.append(len, awaits.is_some());
        if let Some(space) = self.bytes.get_mut(start..start + len) {
            packet.encode(space)?;
        }
        Ok(match (awaits, id) {
            (Some(awaits), Some(id)) => {
                self.machine.requests.begin(self.slots, id, awaits, start as u32)
            }
            _ => self.machine.requests.begin_unacknowledged(),
        })
    }

    pub(crate) fn subscribe(
        &mut self,
        filters: &[(Filter<'_>, QoS)],
    ) -> Result<Handle, RequestError> {
        let keep = self.machine.limits.renew_subscriptions;
        // A renewal is one packet, so all filters kept have one answer.
        let kept = if keep { self.machine.subscriptions.count() } else { 0 };
        let (needed, capacity) =
            (kept + filters.len() + SUBACK_OVERHEAD, self.machine.limits.receive_capacity);
        if needed > capacity {
            return Err(RequestError::TooManySubscriptions { needed, capacity });
        }
        let id = self.next_id()?;
        let packet = Subscribe::new(id, filters);
        let handle =
            self.ask(Awaits::SubAck, id, packet.encoded_len()?, |space| packet.encode(space))?;
        if keep {
            self.machine.subscriptions.expect(filters.len());
        }
        Ok(handle)
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        let id = self.next_id()?;
        let packet = Unsubscribe::new(id, filters);
        self.ask(Awaits::UnsubAck, id, packet.encoded_len()?, |space| packet.encode(space))
    }

    fn ask(
        &mut self,
        awaits: Awaits,
        id: PacketId,
        len: usize,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<Handle, RequestError> {
        self.reserve(len)?;
        let start = self.machine.outbox.append(len, true);
        if let Some(space) = self.bytes.get_mut(start..start + len) {
            encode(space)?;
        }
        Ok(self.machine.requests.begin(self.slots, id, awaits, start as u32))
    }

    /// The packet id of the next request that awaits an answer [MQTT-2.3.1-2].
    fn next_id(&self) -> Result<PacketId, RequestError> {
        let requests = &self.machine.requests;
        requests
            .next_id(self.slots)
            .ok_or(RequestError::WindowFull { in_flight: requests.in_flight() })
    }

    /// Makes room for a request of `len` bytes, besides what answers may need.
    fn reserve(&mut self, len: usize) -> Result<(), RequestError> {
        let free = self.machine.outbox.free(self.bytes);
        if len <= free && self.make_room(len) {
            return Ok(());
        }
        let capacity = self.machine.outbox.capacity(self.bytes);
        Err(if len > capacity {
            RequestError::TooLarge { needed: len, capacity }
        } else {
            RequestError::OutboxFull { needed: len, free }
        })
    }

    pub(crate) fn acknowledge(&mut self, delivery: Delivery) -> Result<(), RequestError> {
        if !self.machine.inbound.take(self.slots, delivery) {
            return Err(RequestError::StaleDelivery);
        }
        self.answer_settled();
        Ok(())
    }

    /// End the connection once what was accepted is sent, and stay offline.
    pub(crate) fn disconnect(&mut self) {
        let machine = &mut *self.machine;
        match machine.phase {
            Phase::Stopped | Phase::Leaving(_) => {}
            Phase::Waiting => {
                machine.timers.clear_all();
                machine.phase = Phase::Stopped;
                machine.down = Some(Reason::Requested);
            }
            Phase::Opening => machine.close(Reason::Requested),
            // A DISCONNECT before the CONNACK would leave open whether the will is published.
            Phase::Handshake | Phase::Closing(_) => machine.leave = true,
            Phase::Up => {
                machine.timers.clear_all();
                machine.phase = Phase::Leaving(0);
            }
        }
    }

    /// Connect now, where the client is offline.
    pub(crate) fn connect(&mut self) {
        let machine = &mut *self.machine;
        if matches!(machine.phase, Phase::Stopped | Phase::Waiting) {
            machine.phase = Phase::Waiting;
            machine.timers.set(Timer::Reconnect, Instant::from_millis(0));
        }
    }
}
