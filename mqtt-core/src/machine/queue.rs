//! What gives way when a publish finds the queue full, or makes an older one useless.
//!
//! Only QoS 0 messages that wait give way: nobody was promised that they arrive. A publish that finds no room all the
//! same has had nothing give way.

use super::Core;
use crate::{
    codec::{PacketId, Publish, QoS},
    error::RequestError,
    options::Queue,
    session::LAST_ID,
};

/// See [`Core::limit_queue`].
pub(crate) type LimitQueue =
    for<'a, 'p> fn(&mut Core<'a>, &Publish<'p>) -> Result<bool, RequestError>;

/// The one there is.
pub(crate) const LIMIT_QUEUE: LimitQueue = |core, publish| core.limit_queue(publish);

/// Messages that give way, by their position among those that wait.
struct Plan {
    from: usize,
    count: usize,
}

/// What a publish lacks.
#[derive(Clone, Copy)]
struct Short {
    slots: usize,
    bytes: usize,
}

impl Short {
    const fn less(self, len: usize) -> Self {
        Self { slots: self.slots.saturating_sub(1), bytes: self.bytes.saturating_sub(len) }
    }

    const fn is_nothing(self) -> bool {
        self.slots == 0 && self.bytes == 0
    }
}

impl Core<'_> {
    /// Sees to the limits of the queue, beyond those of the storage; whether `publish` has to take a slot though it is of
    /// QoS 0.
    pub(crate) fn limit_queue(&mut self, publish: &Publish<'_>) -> Result<bool, RequestError> {
        self.give_way(publish);
        let messages = self.messages();
        if messages >= self.machine.limits.queue_messages {
            return Err(RequestError::QueueFull { messages });
        }
        let gives_way = self.machine.limits.queue != Queue::RefuseNew;
        let queued = gives_way && publish.qos == QoS::AtMostOnce;
        if queued && self.machine.requests.next_id(self.slots).is_none() {
            let in_flight = self.machine.requests.in_flight();
            return Err(RequestError::WindowFull { in_flight });
        }
        Ok(queued)
    }

    /// Requests that wait or are unanswered.
    fn messages(&self) -> usize {
        let requests = &self.machine.requests;
        let held = requests.in_flight();
        if self.machine.limits.queue == Queue::RefuseNew { held + requests.unsent() } else { held }
    }

    /// Has older messages give way to `publish`, where that lets it in or supersedes them.
    fn give_way(&mut self, publish: &Publish<'_>) {
        let Some(Plan { from, count }) = self.plan(publish) else { return };
        let machine = &mut *self.machine;
        for _ in 0..count {
            machine.requests.drop_at(self.slots, from);
        }
        machine.outbox.give_way(self.bytes, self.slots, &machine.requests, from, count);
    }

    fn plan(&self, publish: &Publish<'_>) -> Option<Plan> {
        let mut short = self.short(publish)?;
        let mut waiting = self.machine.outbox.waiting(self.bytes);
        let can_drop = |position| {
            let number = self.machine.requests.number_at(self.slots, position);
            number.is_some_and(|number| self.machine.requests.can_drop(number))
        };
        match self.machine.limits.queue {
            Queue::RefuseNew => None,
            Queue::LatestPerTopic => {
                let old = waiting.find(|old| old.topic == publish.topic.as_str().as_bytes())?;
                let fits = short.less(old.len).is_nothing();
                (fits && can_drop(old.position)).then_some(Plan { from: old.position, count: 1 })
            }
            Queue::DropOldest => {
                let mut plan = None;
                while !short.is_nothing() {
                    let old = waiting.next()?;
                    short = short.less(old.len);
                    // Their numbers follow one another, so it is enough to ask for the first.
                    let Plan { from, count } =
                        plan.unwrap_or(Plan { from: old.position, count: 0 });
                    plan = Some(Plan { from, count: count + 1 });
                }
                plan.filter(|plan| can_drop(plan.from))
            }
        }
    }

    /// What `publish` lacks; `None` where nothing that gives way would help.
    fn short(&self, publish: &Publish<'_>) -> Option<Short> {
        let machine = &*self.machine;
        let limit = usize::from(machine.limits.exactly_once_window);
        if publish.qos == QoS::ExactlyOnce && machine.requests.exactly_once() >= limit {
            return None;
        }
        let id = PacketId::new(if publish.qos == QoS::AtMostOnce { 0 } else { LAST_ID });
        let len = Publish { dup: false, id, ..*publish }.encoded_len().ok()?;
        let no_slot = usize::from(machine.requests.next_id(self.slots).is_none());
        let over = (self.messages() + 1).saturating_sub(machine.limits.queue_messages);
        let bytes = len.saturating_sub(machine.outbox.free(self.bytes));
        Some(Short { slots: no_slot.max(over), bytes })
    }
}
