//! What the application asks for: accepted at any time, also offline; on an error nothing has changed.

use super::{Core, Phase};
use crate::{
    codec::{PacketId, Publish, QoS, Subscribe, Unsubscribe},
    error::{EncodeError, Reason, RequestError},
    event::{Delivery, Handle},
    session::{
        journal::{Fate, NOTE_LEN},
        qos::Awaits,
    },
    time::Instant,
    timers::Timer,
    topic::Filter,
};

/// Bytes of a SUBACK besides its codes, at the most: header and packet id.
pub(super) const SUBACK_OVERHEAD: usize = 7;

/// Writes a request's packet, under its packet id if it has one, to the front of a slice; gives its length.
type Encode<'e> = &'e dyn Fn(Option<PacketId>, &mut [u8]) -> Result<usize, EncodeError>;

impl Core<'_> {
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) -> Result<Handle, RequestError> {
        let awaits = Awaits::of_publish(publish.qos);
        let queued = match self.machine.limits.limit_queue {
            Some(limit_queue) => limit_queue(self, publish)?,
            None => false,
        };
        // [MQTT-3.3.1-1], [MQTT-3.3.1-2]: DUP only when it is sent again.
        let handle = self
            .request(awaits, &|id, space| Publish { dup: false, id, ..*publish }.encode(space))?;
        if queued {
            self.machine.requests.enter_queue(self.slots);
        }
        Ok(handle)
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
        let handle = self.request(Some(Awaits::SubAck), &|id, space| {
            Subscribe::new(id.ok_or(EncodeError::PacketIdMissing)?, filters).encode(space)
        })?;
        if keep {
            self.machine.subscriptions.expect(filters.len());
        }
        Ok(handle)
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[Filter<'_>]) -> Result<Handle, RequestError> {
        self.request(Some(Awaits::UnsubAck), &|id, space| {
            Unsubscribe::new(id.ok_or(EncodeError::PacketIdMissing)?, filters).encode(space)
        })
    }

    /// Accepts the packet that `encode` writes under the id it is given; it has one where it awaits an answer.
    fn request(
        &mut self,
        awaits: Option<Awaits>,
        encode: Encode<'_>,
    ) -> Result<Handle, RequestError> {
        let id = match awaits {
            Some(awaits) => Some(self.next_id(awaits)?),
            None => None,
        };
        let free = self.machine.outbox.free(self.bytes);
        let len = match encode(id, self.machine.outbox.space(self.bytes, free)) {
            Err(EncodeError::NoSpace { needed, .. }) => {
                self.reserve(needed, free)?;
                encode(id, self.machine.outbox.space(self.bytes, free))?
            }
            encoded => encoded?,
        };
        let start = self.machine.outbox.append(len, awaits.is_some());
        self.machine.journal.unused = false;
        if let Some(Awaits::PubAck | Awaits::PubRec) = awaits {
            self.machine.journal.need();
        }
        let requests = &mut self.machine.requests;
        Ok(match (awaits, id) {
            (Some(awaits), Some(id)) => requests.begin(self.slots, id, awaits, start as u32),
            _ => requests.begin_unacknowledged(),
        })
    }

    /// The packet id of the next request that awaits an answer [MQTT-2.3.1-2].
    fn next_id(&self, awaits: Awaits) -> Result<PacketId, RequestError> {
        let requests = &self.machine.requests;
        let under_way = requests.exactly_once();
        let most = usize::from(self.machine.limits.exactly_once_window);
        if awaits == Awaits::PubRec && under_way >= most {
            return Err(RequestError::WindowFull { in_flight: under_way });
        }
        let in_flight = requests.in_flight();
        requests.next_id(self.slots).ok_or(RequestError::WindowFull { in_flight })
    }

    /// Makes room for a request of `needed` bytes, of which `free` may be used: not those that answers may need.
    #[cold]
    fn reserve(&mut self, needed: usize, free: usize) -> Result<(), RequestError> {
        if needed <= free && self.make_room(needed) {
            return Ok(());
        }
        let capacity = self.machine.outbox.capacity(self.bytes);
        Err(if needed > capacity {
            RequestError::TooLarge { needed, capacity }
        } else {
            RequestError::OutboxFull { needed, free }
        })
    }

    pub(crate) fn acknowledge(&mut self, delivery: Delivery) -> Result<(), RequestError> {
        if self.machine.journal.is_kept() && !self.make_room(NOTE_LEN) {
            let free = self.machine.outbox.free(self.bytes);
            return Err(RequestError::OutboxFull { needed: NOTE_LEN, free });
        }
        let Some(qos) = self.machine.inbound.take(self.slots, delivery) else {
            return Err(RequestError::StaleDelivery);
        };
        // The answer may have to wait for those before it; that the message was taken may not.
        let id = PacketId::new(delivery.id()).filter(|_| qos == QoS::ExactlyOnce);
        // A broker may have released it meanwhile, against the rules.
        if let Some(id) = id.filter(|id| self.machine.inbound.has_seen(self.slots, *id)) {
            self.note(Fate::Seen, id);
        }
        self.answer_settled();
        Ok(())
    }

    /// End the connection once what was accepted is sent, and stay offline.
    pub(crate) fn disconnect(&mut self) {
        let machine = &mut *self.machine;
        match machine.phase {
            Phase::Stopped | Phase::Leaving => {}
            Phase::Waiting => {
                machine.timers.clear_all();
                machine.phase = Phase::Stopped;
                machine.down = Some(Reason::Requested);
            }
            Phase::Opening => machine.close(Reason::Requested),
            // A DISCONNECT before the CONNACK would leave open whether the will is published.
            Phase::Handshake | Phase::Closing => machine.leave = true,
            Phase::Up if machine.purge.is_on() => machine.leave = true,
            Phase::Up => machine.begin_leaving(),
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
