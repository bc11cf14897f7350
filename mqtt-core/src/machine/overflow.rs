//! A full queue: which older message is dropped if a publish has no room, or replaces an older one.
//!
//! Only unsent messages of QoS 0 are dropped, because nobody was promised that they arrive. If a publish is refused,
//! nothing was dropped for it.

use super::{
    Machine,
    settings::{LimitQueue, Place, Queue},
};
use crate::{
    codec::{PacketId, Publish, QoS},
    error::RequestError,
    session::{LAST_ID, Waiting},
};

/// The function behind `Settings::limit_queue`.
pub(crate) const LIMIT_QUEUE: LimitQueue = |machine, publish| machine.limit_queue(publish);

/// Messages to be dropped, by their position among the unsent ones of QoS 0.
struct Plan {
    position: usize,
    count: usize,
}

/// Slots and bytes that a publish needs and that are not free.
#[derive(Clone, Copy)]
struct Short {
    slots: usize,
    bytes: usize,
}

impl Short {
    /// The same after a message of `len` bytes was dropped.
    const fn less(self, len: usize) -> Self {
        Self { slots: self.slots.saturating_sub(1), bytes: self.bytes.saturating_sub(len) }
    }

    const fn is_nothing(self) -> bool {
        self.slots == 0 && self.bytes == 0
    }
}

impl Machine<'_> {
    /// Applies the limits of the queue, beyond those of the storage.
    fn limit_queue(&mut self, publish: &Publish<'_>) -> Result<Place, RequestError> {
        self.session.finish_restore();
        if let Some(Plan { position, count }) = self.plan(publish) {
            self.session.drop_unsent(position, count);
        }
        let messages = self.messages();
        if messages >= self.state.settings.queue_messages {
            return Err(RequestError::QueueFull { messages });
        }
        if self.state.settings.queue == Queue::RefuseNew || publish.qos != QoS::AtMostOnce {
            return Ok(Place::ByQos);
        }
        if !self.session.has_free_slot() {
            let Waiting { in_flight, .. } = self.session.waiting();
            return Err(RequestError::WindowFull { in_flight });
        }
        Ok(Place::Droppable)
    }

    /// Messages that wait or are unanswered.
    fn messages(&self) -> usize {
        let Waiting { in_flight, unsent_qos_0 } = self.session.waiting();
        match self.state.settings.queue {
            Queue::RefuseNew => in_flight + unsent_qos_0,
            // Every message holds a slot.
            Queue::DropOldest | Queue::LatestPerTopic => in_flight,
        }
    }

    /// The messages to drop for `publish`: those that make room for it, or that it replaces.
    fn plan(&self, publish: &Publish<'_>) -> Option<Plan> {
        let mut short = self.short(publish)?;
        let mut unsent = self.session.unsent_qos_0();
        match self.state.settings.queue {
            Queue::RefuseNew => None,
            Queue::LatestPerTopic => {
                let old = unsent.find(|old| old.topic == publish.topic.as_str().as_bytes())?;
                let fits = short.less(old.len).is_nothing();
                let plan = Plan { position: old.position, count: 1 };
                (fits && self.session.can_drop(old.position)).then_some(plan)
            }
            Queue::DropOldest => {
                let mut plan: Option<Plan> = None;
                while !short.is_nothing() {
                    let old = unsent.next()?;
                    short = short.less(old.len);
                    plan.get_or_insert(Plan { position: old.position, count: 0 }).count += 1;
                }
                // Their numbers follow one another, so it is enough to ask for the first.
                plan.filter(|plan| self.session.can_drop(plan.position))
            }
        }
    }

    /// The slots and bytes that `publish` lacks; `None` if dropping messages cannot help.
    fn short(&self, publish: &Publish<'_>) -> Option<Short> {
        if publish.qos == QoS::ExactlyOnce && !self.session.has_room_for_qos_2() {
            return None;
        }
        let id = PacketId::new(if publish.qos == QoS::AtMostOnce { 0 } else { LAST_ID });
        let len = Publish { dup: false, id, ..*publish }.encoded_len().ok()?;
        let no_slot = usize::from(!self.session.has_free_slot());
        let over = (self.messages() + 1).saturating_sub(self.state.settings.queue_messages);
        let bytes = len.saturating_sub(self.session.outbox_free());
        Some(Short { slots: no_slot.max(over), bytes })
    }
}
