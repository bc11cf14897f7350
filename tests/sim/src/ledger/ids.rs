//! The packet ids of a client's requests: those in flight, and those whose request ended before its answer came.

use mqtt_core::QoS;

use super::{Ledger, Message, Pair, Sent, Stay};

/// A client remembers so many ids of requests that ended before their answer.
const MOST_LINGERING: usize = 8;
/// Marks the ids of requests that are not messages.
pub(crate) const NO_MESSAGE: u32 = u32::MAX;

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    id: u16,
    /// Or [`NO_MESSAGE`].
    number: u32,
    /// The client's stay when it was accepted.
    stay: Stay,
    /// The broker has sent the last answer to it.
    answered: bool,
    /// The application has taken it back, and its event has not come.
    cancelled: bool,
}

/// The id of a request that ended before its answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lingering {
    id: u16,
    /// The broker has sent the answer.
    answered: bool,
    /// The client has given it to another request before the answer.
    reused: bool,
}

/// The ids of one client.
#[derive(Debug, Default)]
pub(super) struct Ids {
    in_flight: Vec<InFlight>,
    lingering: Vec<Lingering>,
    /// A publish of QoS 2 was in flight at some time of the present connection.
    exactly_once: bool,
}

impl Ids {
    pub(super) fn forget_lingering(&mut self) {
        self.lingering.clear();
    }

    fn message<'m>(messages: &'m [Message], used: &InFlight) -> Option<&'m Message> {
        messages.get(used.number as usize)
    }
}

impl Ledger {
    /// The client of `device` uses `id` for message `number`. Returns false if the id is in use.
    pub(crate) fn takes_id(&mut self, device: usize, id: u16, number: u32) -> bool {
        let stay = self.stay(device);
        let has_ended = |used: &InFlight| {
            let Some(message) = Ids::message(&self.messages, used) else { return false };
            // Its event is still to come. If it was lost, its session is gone.
            let lost = message.qos == QoS::ExactlyOnce && used.stay != stay;
            lost || used.cancelled && message.sent == Sent::Nothing
        };
        let lingers = self.is_lingering(device, id);
        let ids = &mut self.clients[device].ids;
        let free = ids.in_flight.iter().all(|used| used.id != id || has_ended(used));
        for known in ids.lingering.iter_mut().filter(|known| known.id == id) {
            known.reused |= lingers;
        }
        ids.exactly_once |= is_exactly_once(&self.messages, number);
        ids.in_flight.push(InFlight { id, number, stay, answered: false, cancelled: false });
        free
    }

    /// A connection of `device` begins.
    pub(super) fn begins_to_use_ids(&mut self, device: usize) {
        let ids = &mut self.clients[device].ids;
        let mut numbers = ids.in_flight.iter().map(|used| used.number);
        ids.exactly_once = numbers.any(|number| is_exactly_once(&self.messages, number));
    }

    /// Whether a publish of QoS 2 was in flight at some time of the present connection of `device`.
    pub(crate) fn had_exactly_once(&self, device: usize) -> bool {
        self.clients[device].ids.exactly_once
    }

    /// The application takes the request under `id` back.
    pub(crate) fn cancels_id(&mut self, device: usize, id: u16) {
        let ids = &mut self.clients[device].ids;
        for used in ids.in_flight.iter_mut().filter(|used| used.id == id) {
            used.cancelled = true;
        }
    }

    /// The request under `id` has ended. Returns whether the broker has answered it.
    pub(crate) fn frees_id(&mut self, device: usize, id: u16) -> bool {
        // If there are two, the older one ends.
        let ids = &mut self.clients[device].ids.in_flight;
        let at = ids.iter().position(|used| used.id == id);
        at.is_some_and(|at| ids.remove(at).answered)
    }

    /// The client of `device` hears that its session is a new one.
    pub(crate) fn hears_of_a_new_session(&mut self, device: usize) {
        self.clients[device].ids.forget_lingering();
    }

    /// Whether so many ids of `device` linger that the client may have no other one.
    pub(crate) fn lingers_often(&self, device: usize) -> bool {
        let Ids { in_flight, lingering, .. } = &self.clients[device].ids;
        lingering.len() + in_flight.len() >= MOST_LINGERING
    }

    /// The client of `device` is gone, and its ids with it. It cannot say any more that it has ended a session.
    pub(crate) fn frees_all_ids(&mut self, device: usize) {
        let client = &mut self.clients[device];
        client.ids = Ids::default();
        for account in &mut client.accounts {
            account.ended = false;
        }
    }

    /// The request under `id` ended before its answer came. The id must not be used unless the broker has answered.
    pub(crate) fn lingers(&mut self, device: usize, id: u16, answered: bool) {
        let lingering = &mut self.clients[device].ids.lingering;
        let before = lingering.iter().position(|known| known.id == id);
        let reused = before.is_some_and(|at| lingering.remove(at).reused);
        lingering.push(Lingering { id, answered, reused });
        if lingering.len() > MOST_LINGERING {
            lingering.remove(0);
        }
    }

    /// The broker has sent the last answer to the request under `id`.
    pub(crate) fn answered(&mut self, pair: Pair, id: u16) {
        if !self.is_home(pair) {
            return;
        }
        let Ids { in_flight, lingering, .. } = &mut self.clients[pair.device].ids;
        for used in in_flight.iter_mut().filter(|used| used.id == id) {
            used.answered = true;
        }
        for known in lingering.iter_mut().filter(|known| known.id == id) {
            known.answered = true;
        }
    }

    /// Ids of requests that ended before their answer, and the stay in which they did.
    pub(crate) fn lingering(&self, device: usize) -> (Stay, Vec<Lingering>) {
        let sent = |used: &&InFlight| {
            let message = Ids::message(&self.messages, used);
            used.cancelled && message.is_some_and(|message| message.sent != Sent::Nothing)
        };
        let Ids { in_flight, lingering, .. } = &self.clients[device].ids;
        let coming = in_flight.iter().filter(sent).map(|used| Lingering {
            id: used.id,
            answered: used.answered,
            reused: false,
        });
        (self.stay(device), lingering.iter().copied().chain(coming).collect())
    }

    /// The client is restored to a time at which these ids were out of use.
    pub(crate) fn linger_again(&mut self, device: usize, (stay, ids): (Stay, Vec<Lingering>)) {
        if stay == self.stay(device) {
            self.clients[device].ids.lingering = ids;
        }
    }

    /// Whether a request under `id` ended before its answer, and the answer has not come.
    pub(crate) fn is_lingering(&self, device: usize, id: u16) -> bool {
        self.lingers_as(device, id).is_some()
    }

    /// Whether `id` was given to another request while it was lingering, and no answer has come.
    ///
    /// A request may end while its packet is on the way to the broker. Then the id lingers because of that request, and
    /// says nothing against the packet.
    pub(crate) fn was_reused(&self, device: usize, id: u16) -> bool {
        self.lingers_as(device, id).is_some_and(|known| known.reused)
    }

    fn lingers_as(&self, device: usize, id: u16) -> Option<&Lingering> {
        let Ids { in_flight, lingering, .. } = &self.clients[device].ids;
        // Those whose event is still to come count as well.
        let coming = in_flight.iter().filter(|used| used.cancelled).count();
        let mut known = lingering.iter().rev().take(MOST_LINGERING.saturating_sub(coming));
        known.find(|known| known.id == id && !known.answered)
    }

    /// The message under `id`.
    pub(crate) fn under_id(&self, device: usize, id: u16) -> Option<u32> {
        let found = self.clients[device].ids.in_flight.iter().find(|used| used.id == id);
        found.map(|used| used.number).filter(|number| *number != NO_MESSAGE)
    }

    /// Whether a publish of QoS 2 was sent under `id` in this stay, and its PUBREC was not.
    pub(crate) fn awaits_pubrec(&self, device: usize, id: u16) -> bool {
        let stay = Some(self.stay(device));
        let sent = |message: &Message| {
            let exact = message.qos == QoS::ExactlyOnce && message.sent_in == stay;
            exact && message.received_in != stay && !message.may_miss && message.may_double == 0
        };
        let mut used = self.clients[device].ids.in_flight.iter().filter(|used| used.id == id);
        used.any(|used| Ids::message(&self.messages, used).is_some_and(sent))
    }

    /// Whether a request in flight of `device` has `id`.
    pub(crate) fn uses_id(&self, device: usize, id: u16) -> bool {
        self.clients[device].ids.in_flight.iter().any(|used| used.id == id)
    }

    /// The messages in flight of `device`.
    pub(crate) fn in_flight(&self, device: usize) -> impl Iterator<Item = u32> {
        let in_flight = self.clients[device].ids.in_flight.iter();
        in_flight.map(|used| used.number).filter(|number| *number != NO_MESSAGE)
    }
}

fn is_exactly_once(messages: &[Message], number: u32) -> bool {
    messages.get(number as usize).is_some_and(|message| message.qos == QoS::ExactlyOnce)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ledger;

    #[test]
    fn an_id_is_free_again_once_its_request_has_ended() {
        let mut ledger = ledger(1);
        assert!(ledger.takes_id(0, 7, 0));
        assert!(!ledger.takes_id(0, 7, 0));
        ledger.frees_id(0, 7);
        ledger.frees_id(0, 7);
        assert!(ledger.takes_id(0, 7, 0));
        assert_eq!(ledger.in_flight(0).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn an_id_that_lingers_because_of_its_last_request_is_not_reused() {
        let mut ledger = ledger(1);
        for reused in [false, true] {
            ledger.takes_id(0, 7, 0);
            assert_eq!(ledger.was_reused(0, 7), reused);
            ledger.frees_id(0, 7);
            ledger.lingers(0, 7, false);
            assert!(ledger.is_lingering(0, 7));
            assert_eq!(ledger.was_reused(0, 7), reused);
        }
    }
}
