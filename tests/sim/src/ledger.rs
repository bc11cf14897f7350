//! The books: every message, who accepted it, how often it arrived, and how often it is due at each device.
//!
//! A message is identified by its number, which is at the start of its payload. The rest of the payload follows from
//! the number. Only the checks read these books.

use mqtt_core::QoS;

use crate::topics;

/// The state of a message at its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The client has not accepted it, or the journal does not hold it after a power cut.
    Waiting,
    Accepted,
    Published,
    /// `Event::Lost`
    Lost,
    /// `Event::Dropped`
    Dropped,
    /// It was lost with the power, and no journal held it.
    Vanished,
    /// It is too large for the client.
    Refused,
    /// The broker publishes it when the device is gone.
    Will,
    /// `Event::Cancelled`, and whether it said that the message may have arrived.
    Cancelled {
        sent: bool,
    },
    /// `Event::GivenUp`
    GivenUp,
    /// `Event::Downgraded`
    Downgraded,
}

/// How much of a PUBLISH the transport has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    /// A part of it, or it is unknown how much.
    Perhaps,
    Whole,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) publisher: usize,
    /// Its position among the messages of its publisher.
    pub(crate) index: u32,
    /// In [`topics`](crate::topics).
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Bytes of payload; 0: a retained message is cleared.
    pub(crate) len: usize,
    pub(crate) status: Status,
    pub(crate) sent: Sent,
    /// How often the broker took it.
    pub(crate) arrived: u32,
    /// How many times more than once it may arrive, and whether it may be missing. In MQTT 3.1 the broker does not say
    /// that a session was lost.
    pub(crate) may_double: u32,
    pub(crate) may_miss: bool,
    /// The broker's session that saw its PUBREL.
    pub(crate) released_in: Option<u32>,
    /// The last session of the broker that saw its PUBLISH.
    pub(crate) seen_in: Option<u32>,
    /// The last session in which all of it was sent.
    pub(crate) sent_in: Option<u32>,
    /// The broker ignored it at first, so it may come after later ones.
    pub(crate) reordered: bool,
    /// The broker answered it with a PUBACK though it is of QoS 2.
    pub(crate) downgraded: bool,
}

impl Message {
    /// A message that was not given to a client yet.
    pub(crate) const fn new(publisher: usize, index: u32, topic: usize, qos: QoS) -> Self {
        Self {
            publisher,
            index,
            topic,
            qos,
            retain: false,
            len: 8,
            status: Status::Waiting,
            sent: Sent::Nothing,
            arrived: 0,
            may_double: 0,
            may_miss: false,
            released_in: None,
            seen_in: None,
            sent_in: None,
            reordered: false,
            downgraded: false,
        }
    }
}

/// The account of one message at one QoS, for one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// How often the broker queued it.
    pub(crate) due: u32,
    /// How often the broker gave it up, together with a session, or the client was right not to take it.
    pub(crate) void: u32,
    /// How often the device may take it twice, because it lost its memory in between.
    pub(crate) may_double: u32,
    /// How often the application has it durably.
    pub(crate) kept: u32,
}

/// The accounts of one message, for one device, by QoS of the delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) counts: [Count; 3],
    /// It was handed to the application, as a new message.
    pub(crate) handed: [bool; 3],
}

/// Topic, QoS of the publish, QoS of the delivery.
type Stream = (usize, QoS, QoS);

/// The books of one device as a receiver.
#[derive(Debug, Default)]
struct Inbox {
    receipts: Vec<Receipt>,
    last: Vec<(Stream, u32)>,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: u16,
    /// Or [`NO_MESSAGE`].
    number: u32,
    /// The broker's session when it was accepted.
    epoch: u32,
    /// The broker has sent the last answer to it.
    answered: bool,
    /// The application has taken it back, and its event has not come.
    cancelled: bool,
}

/// The id of a request that ended before its answer came, and whether the broker has sent the answer.
pub(crate) type Lingering = (u16, bool);

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: Vec<Message>,
    inboxes: Vec<Inbox>,
    /// Packet ids in flight, by device.
    in_flight: Vec<Vec<InFlight>>,
    /// The sessions that the broker has, by device.
    epochs: Vec<u32>,
    /// Ids of requests that were cancelled or given up before their answer came, by device.
    lingering: Vec<Vec<Lingering>>,
    /// Whether the client of a device goes on with a session that it did not open.
    found: Vec<bool>,
    /// The last message that the broker sent under an id, by device.
    outgoing: Vec<Vec<(u16, u32, QoS)>>,
}

impl Ledger {
    pub(crate) fn open(&mut self, devices: usize) {
        self.inboxes.resize_with(devices, Inbox::default);
        self.in_flight.resize_with(devices, Vec::new);
        self.epochs.resize(devices, 0);
        self.lingering.resize_with(devices, Vec::new);
        self.found.resize(devices, false);
        self.outgoing.resize_with(devices, Vec::new);
    }

    /// The number of the broker's present session for `device`.
    pub(crate) fn epoch(&self, device: usize) -> u32 {
        self.epochs[device]
    }

    /// `device` has a new session.
    pub(crate) fn set_epoch(&mut self, device: usize, epoch: u32) {
        self.epochs[device] = epoch;
        self.lingering[device].clear();
    }

    pub(crate) fn add(&mut self, message: Message) -> u32 {
        self.messages.push(message);
        self.messages.len() as u32 - 1
    }

    /// The number of messages so far. All their numbers are below it.
    pub(crate) fn len(&self) -> u32 {
        self.messages.len() as u32
    }

    pub(crate) fn message(&self, number: u32) -> &Message {
        &self.messages[number as usize]
    }

    pub(crate) fn message_mut(&mut self, number: u32) -> &mut Message {
        &mut self.messages[number as usize]
    }

    /// The message that a PUBLISH with this topic and payload carries, or the reason why it carries none.
    pub(crate) fn identify(
        &self,
        topic: usize,
        payload: &[u8],
    ) -> Result<Option<u32>, &'static str> {
        if payload.is_empty() {
            return Ok(None);
        }
        let number = number(payload).ok_or("a payload without a number")?;
        let message = self.messages.get(number as usize).ok_or("a number that was never given")?;
        if message.topic != topic {
            return Err("another topic");
        }
        if message.len != payload.len() {
            return Err("a payload of another length");
        }
        if !payload[4..].iter().enumerate().all(|(at, byte)| *byte == filler(number, at)) {
            return Err("another payload");
        }
        Ok(Some(number))
    }

    /// Writes the payload of message `number`.
    pub(crate) fn write_payload(&self, number: u32, into: &mut Vec<u8>) {
        into.clear();
        let len = self.message(number).len;
        if len != 0 {
            into.extend(number.to_be_bytes());
            into.extend((0..len - 4).map(|at| filler(number, at)));
        }
    }

    /// Bytes of the PUBLISH that carries message `number` at `qos`.
    pub(crate) fn packet_len(&self, number: u32, qos: QoS) -> usize {
        let Message { topic, len, .. } = *self.message(number);
        let id = if qos == QoS::AtMostOnce { 0 } else { 2 };
        let remaining = 2 + topics::topic(topic).as_bytes().len() + id + len;
        let header = match remaining {
            0..128 => 2,
            128..16_384 => 3,
            _ => 4,
        };
        header + remaining
    }

    /// The accounts of message `number` at `device`; `None` if the broker never had it.
    pub(crate) fn receipt(&self, device: usize, number: u32) -> Option<Receipt> {
        self.inboxes[device].receipts.get(number as usize).copied()
    }

    pub(crate) fn receipt_mut(&mut self, device: usize, number: u32) -> &mut Receipt {
        let receipts = &mut self.inboxes[device].receipts;
        let at = number as usize;
        if receipts.len() <= at {
            receipts.resize(at + 1, Receipt::default());
        }
        &mut receipts[at]
    }

    /// Returns the last index of `stream` that came to `device` before, and notes `index` as the last one.
    pub(crate) fn last_of(&mut self, device: usize, stream: Stream, index: u32) -> Option<u32> {
        let last = &mut self.inboxes[device].last;
        if let Some((_, at)) = last.iter_mut().find(|(known, _)| *known == stream) {
            return Some(std::mem::replace(at, index.max(*at)));
        }
        last.push((stream, index));
        None
    }

    /// The client of `device` uses `id` for message `number`. Returns false if the id is in use.
    pub(crate) fn takes_id(&mut self, device: usize, id: u16, number: u32) -> bool {
        let epoch = self.epochs[device];
        let has_ended = |used: &InFlight| {
            let Some(message) = self.messages.get(used.number as usize) else { return false };
            // Its event is still to come. If it was lost, its session is gone.
            let lost = message.qos == QoS::ExactlyOnce && used.epoch != epoch;
            lost || used.cancelled && message.sent == Sent::Nothing
        };
        let free = self.in_flight[device].iter().all(|used| used.id != id || has_ended(used));
        let new = InFlight { id, number, epoch, answered: false, cancelled: false };
        self.in_flight[device].push(new);
        free
    }

    /// The application takes the request under `id` back.
    pub(crate) fn cancels_id(&mut self, device: usize, id: u16) {
        for used in self.in_flight[device].iter_mut().filter(|used| used.id == id) {
            used.cancelled = true;
        }
    }

    /// The request under `id` has ended. Returns whether the broker has answered it.
    pub(crate) fn frees_id(&mut self, device: usize, id: u16) -> bool {
        // If there are two, the older one ends.
        let ids = &mut self.in_flight[device];
        let at = ids.iter().position(|used| used.id == id);
        at.is_some_and(|at| ids.remove(at).answered)
    }

    /// The client of `device` says whether it opened its session.
    pub(crate) fn set_found(&mut self, device: usize, found: bool) {
        self.found[device] = found;
    }

    /// The client of `device` hears that its session is a new one.
    pub(crate) fn hears_of_a_new_session(&mut self, device: usize) {
        self.lingering[device].clear();
    }

    /// Whether so many ids of `device` linger that the client may have no other one.
    pub(crate) fn lingers_often(&self, device: usize) -> bool {
        self.lingering[device].len() + self.in_flight[device].len() >= MOST_LINGERING
    }

    /// Whether the client of `device` goes on with a session that it did not open. Then the packet ids that it can use
    /// are few, and come again soon.
    pub(crate) fn has_found(&self, device: usize) -> bool {
        self.found[device]
    }

    /// The client of `device` is gone, and its ids with it.
    pub(crate) fn frees_all_ids(&mut self, device: usize) {
        self.in_flight[device].clear();
        self.lingering[device].clear();
    }

    /// The request under `id` ended before its answer came. The id must not be used unless the broker has answered.
    pub(crate) fn lingers(&mut self, device: usize, id: u16, answered: bool) {
        let lingering = &mut self.lingering[device];
        lingering.retain(|(used, _)| *used != id);
        lingering.push((id, answered));
        if lingering.len() > MOST_LINGERING {
            lingering.remove(0);
        }
    }

    /// The broker has sent the last answer to the request under `id`.
    pub(crate) fn answered(&mut self, device: usize, id: u16) {
        for used in self.in_flight[device].iter_mut().filter(|used| used.id == id) {
            used.answered = true;
        }
        for (_, answered) in self.lingering[device].iter_mut().filter(|(used, _)| *used == id) {
            *answered = true;
        }
    }

    /// Ids of requests that ended before their answer, and the session in which they did.
    pub(crate) fn lingering(&self, device: usize) -> (u32, Vec<Lingering>) {
        let sent = |used: &&InFlight| {
            let message = self.messages.get(used.number as usize);
            used.cancelled && message.is_some_and(|message| message.sent != Sent::Nothing)
        };
        let coming = self.in_flight[device].iter().filter(sent);
        let coming = coming.map(|used| (used.id, used.answered));
        (self.epochs[device], self.lingering[device].iter().copied().chain(coming).collect())
    }

    /// The client is restored to a time at which these ids were out of use.
    pub(crate) fn linger_again(&mut self, device: usize, (epoch, ids): (u32, Vec<Lingering>)) {
        if epoch == self.epochs[device] {
            self.lingering[device] = ids;
        }
    }

    /// Whether a request under `id` ended before its answer, and the answer has not come.
    pub(crate) fn is_lingering(&self, device: usize, id: u16) -> bool {
        // Those whose event is still to come count as well.
        let coming = self.in_flight[device].iter().filter(|used| used.cancelled).count();
        let known = self.lingering[device].iter().rev();
        known.take(MOST_LINGERING.saturating_sub(coming)).any(|known| *known == (id, false))
    }

    /// The broker sends message `number` under `id`.
    pub(crate) fn sends_out(&mut self, device: usize, id: u16, number: u32, qos: QoS) {
        let outgoing = &mut self.outgoing[device];
        outgoing.retain(|(used, ..)| *used != id);
        if outgoing.len() == MOST_OUTGOING {
            outgoing.remove(0);
        }
        outgoing.push((id, number, qos));
    }

    /// The message, and the QoS of its delivery, that the broker sent last under `id`.
    pub(crate) fn sent_under(&self, device: usize, id: u16) -> Option<(u32, QoS)> {
        let found = self.outgoing[device].iter().find(|(used, ..)| *used == id);
        found.map(|(_, number, qos)| (*number, *qos))
    }

    /// The message under `id`.
    pub(crate) fn under_id(&self, device: usize, id: u16) -> Option<u32> {
        let found = self.in_flight[device].iter().find(|used| used.id == id);
        found.map(|used| used.number).filter(|number| *number != NO_MESSAGE)
    }

    /// Whether a request in flight of `device` has `id`.
    pub(crate) fn uses_id(&self, device: usize, id: u16) -> bool {
        self.in_flight[device].iter().any(|used| used.id == id)
    }

    /// The messages in flight of `device`.
    pub(crate) fn in_flight(&self, device: usize) -> impl Iterator<Item = u32> {
        self.in_flight[device].iter().map(|used| used.number).filter(|number| *number != NO_MESSAGE)
    }
}

/// More than a broker sends while one message of its window stays unanswered.
const MOST_OUTGOING: usize = 512;
/// A client remembers so many ids of requests that ended before their answer.
const MOST_LINGERING: usize = 8;
/// Marks the ids of requests that are not messages.
pub(crate) const NO_MESSAGE: u32 = u32::MAX;

/// The number at the start of a payload.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn filler(number: u32, at: usize) -> u8 {
    (number as usize + at) as u8
}

#[cfg(test)]
mod tests {
    use mqtt_core::QoS;

    use super::{Ledger, Message};

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.open(1);
        let message = Message::new(0, 0, 3, QoS::AtLeastOnce);
        ledger.add(Message { len: 20, ..message });
        ledger
    }

    #[test]
    fn a_message_is_known_by_its_payload_alone() {
        let ledger = ledger();
        let mut payload = Vec::new();
        ledger.write_payload(0, &mut payload);
        assert_eq!(ledger.identify(3, &payload), Ok(Some(0)));
        assert!(ledger.identify(2, &payload).is_err(), "another topic");
        assert!(ledger.identify(3, &payload[1..]).is_err(), "a byte is missing");
        payload[10] ^= 1;
        assert!(ledger.identify(3, &payload).is_err(), "a bit is wrong");
    }

    #[test]
    fn an_id_is_free_again_once_its_request_has_ended() {
        let mut ledger = ledger();
        assert!(ledger.takes_id(0, 7, 0));
        assert!(!ledger.takes_id(0, 7, 0));
        ledger.frees_id(0, 7);
        ledger.frees_id(0, 7);
        assert!(ledger.takes_id(0, 7, 0));
        assert_eq!(ledger.in_flight(0).collect::<Vec<_>>(), [0]);
    }
}
