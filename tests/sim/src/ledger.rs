//! The books: every message, who accepted it, how often it arrived, and how often it is due at each device.
//!
//! A message is identified by its number, which is at the start of its payload. The rest of the payload follows from
//! the number. Only the checks read these books.
//!
//! Each device has an account with each broker: what the broker owes it, and the session that they share. Its requests
//! belong to one broker at a time, the one that it last heard to have accepted it: its home. [`ids`] has the packet ids
//! of these requests, [`message`] the messages.

mod ids;
mod message;

use mqtt_core::QoS;

use crate::topics;
use ids::Ids;
pub(crate) use ids::Lingering;
pub(crate) use ids::NO_MESSAGE;
pub(crate) use message::{Message, Sent, Status};

/// A device and a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) device: usize,
    pub(crate) broker: usize,
}

/// The time in which a client sends its requests in one session of one broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stay {
    /// The broker's session. All sessions of a run have different numbers.
    pub(crate) epoch: u32,
    /// How often the client has changed its broker before.
    pub(crate) visit: u32,
}

/// The account of one message at one QoS, for one device at one broker.
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

/// The accounts of one message, for one device at one broker, by QoS of the delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) counts: [Count; 3],
    /// It was handed to the application, as a new message.
    pub(crate) handed: [bool; 3],
}

/// Topic, QoS of the publish, QoS of the delivery.
type Stream = (usize, QoS, QoS);

/// The books of a device about one broker.
#[derive(Debug, Default)]
struct Account {
    receipts: Vec<Receipt>,
    last: Vec<(Stream, u32)>,
    /// The session that the broker has.
    epoch: u32,
    /// The client goes on with a session that it did not open.
    found: bool,
    /// The client has said that it could not reclaim ids in the session of this epoch.
    unreclaimed: Option<u32>,
    /// Ids for which the broker has sent a PUBREC on its present connection.
    received: Vec<u16>,
    /// The client has ended the session for good, and has not said so.
    ended: bool,
    /// The last message that the broker sent under an id.
    outgoing: Vec<(u16, u32, QoS)>,
}

/// The books of a device.
#[derive(Debug, Default)]
struct Client {
    ids: Ids,
    /// The broker that its requests belong to.
    home: Option<usize>,
    /// How often it has changed its home.
    visit: u32,
    /// By broker.
    accounts: Vec<Account>,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: Vec<Message>,
    /// By device.
    clients: Vec<Client>,
    /// Sessions made so far, by all brokers.
    epochs: u32,
}

impl Ledger {
    pub(crate) fn open(&mut self, devices: usize, brokers: usize) {
        let client = || {
            let accounts = (0..brokers).map(|_| Account::default()).collect();
            // If there is only one, nothing has to be found out.
            let home = (brokers == 1).then_some(0);
            Client { accounts, home, ..Client::default() }
        };
        self.clients.resize_with(devices, client);
    }

    fn account(&self, pair: Pair) -> &Account {
        &self.clients[pair.device].accounts[pair.broker]
    }

    fn account_mut(&mut self, pair: Pair) -> &mut Account {
        &mut self.clients[pair.device].accounts[pair.broker]
    }

    /// The number of a new session.
    pub(crate) const fn next_epoch(&mut self) -> u32 {
        self.epochs += 1;
        self.epochs
    }

    /// Broker and device have a new session.
    pub(crate) fn set_epoch(&mut self, pair: Pair, epoch: u32) {
        self.account_mut(pair).epoch = epoch;
        if self.is_home(pair) {
            self.clients[pair.device].ids.forget_lingering();
        }
    }

    /// The present stay of the client of `device`.
    pub(crate) fn stay(&self, device: usize) -> Stay {
        let client = &self.clients[device];
        let epoch = client.home.map_or(0, |home| client.accounts[home].epoch);
        Stay { epoch, visit: client.visit }
    }

    /// The client of `device` says that it could not reclaim ids at the broker that its requests belong to.
    pub(crate) fn leaves_ids(&mut self, device: usize) {
        let client = &mut self.clients[device];
        if let Some(account) = client.home.map(|home| &mut client.accounts[home]) {
            account.unreclaimed = Some(account.epoch);
        }
    }

    /// Whether it has said so of the session that the broker has.
    pub(crate) fn has_left_ids(&self, pair: Pair) -> bool {
        let account = self.account(pair);
        account.unreclaimed == Some(account.epoch)
    }

    /// The broker that the requests of `device` belong to.
    pub(crate) fn home(&self, device: usize) -> Option<usize> {
        self.clients[device].home
    }

    /// Whether the requests of the device belong to this broker.
    pub(crate) fn is_home(&self, pair: Pair) -> bool {
        self.clients[pair.device].home == Some(pair.broker)
    }

    /// How often `device` has changed its home.
    pub(crate) fn visit(&self, device: usize) -> u32 {
        self.clients[device].visit
    }

    /// The client has heard that the broker accepted it. Returns true if its requests belonged to another one.
    pub(crate) fn arrives(&mut self, pair: Pair) -> bool {
        self.begins_to_use_ids(pair.device);
        let client = &mut self.clients[pair.device];
        let before = client.home.replace(pair.broker);
        if before != Some(pair.broker) {
            client.visit += 1;
            client.ids.forget_lingering();
        }
        before.is_some_and(|before| before != pair.broker)
    }

    /// The memory of `device` is the one of a time at which this was its home, and it had changed so often.
    pub(crate) fn returns_to(&mut self, device: usize, (home, visit): (Option<usize>, u32)) {
        let client = &mut self.clients[device];
        if client.accounts.len() > 1 {
            client.home = home;
            client.visit = visit;
        }
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

    /// The accounts of message `number`; `None` if the broker never had it for the device.
    pub(crate) fn receipt(&self, pair: Pair, number: u32) -> Option<Receipt> {
        self.account(pair).receipts.get(number as usize).copied()
    }

    pub(crate) fn receipt_mut(&mut self, pair: Pair, number: u32) -> &mut Receipt {
        let receipts = &mut self.account_mut(pair).receipts;
        let at = number as usize;
        if receipts.len() <= at {
            receipts.resize(at + 1, Receipt::default());
        }
        &mut receipts[at]
    }

    /// Returns the last index of `stream` that came before, and notes `index` as the last one.
    pub(crate) fn last_of(&mut self, pair: Pair, stream: Stream, index: u32) -> Option<u32> {
        let last = &mut self.account_mut(pair).last;
        if let Some((_, at)) = last.iter_mut().find(|(known, _)| *known == stream) {
            return Some(std::mem::replace(at, index.max(*at)));
        }
        last.push((stream, index));
        None
    }

    /// The client says whether it opened its session at the broker.
    pub(crate) fn set_found(&mut self, pair: Pair, found: bool) {
        self.account_mut(pair).found = found;
    }

    /// Whether the client goes on with a session that it did not open. Then the packet ids that it can use are few, and
    /// come again soon.
    pub(crate) fn has_found(&self, pair: Pair) -> bool {
        self.account(pair).found
    }

    /// The client has ended the session for good, and the messages that waited there are gone.
    pub(crate) fn ends_session(&mut self, pair: Pair) {
        self.account_mut(pair).ended = true;
    }

    /// The client of `device` has forgotten everything that it was about to say.
    pub(crate) fn loses_power(&mut self, device: usize) {
        for account in &mut self.clients[device].accounts {
            account.ended = false;
        }
    }

    /// The client says that it has ended the session.
    pub(crate) fn is_told_of_an_end(&mut self, pair: Pair) {
        self.account_mut(pair).ended = false;
    }

    /// Whether the client has ended the session, and has not said so.
    pub(crate) fn knows_of_an_end(&self, pair: Pair) -> bool {
        self.account(pair).ended
    }

    /// The client of `device` may send the publishes of QoS 2 again that it sent in its last stay.
    pub(crate) fn excuses_repetitions(&mut self, device: usize) {
        let sent: Vec<u32> = self.in_flight(device).collect();
        for number in sent {
            let message = self.message_mut(number);
            if message.qos == QoS::ExactlyOnce && message.sent != Sent::Nothing {
                message.may_double += 1;
                message.reordered = true;
                message.downgraded = false;
            }
        }
    }

    /// The broker sends a PUBREC.
    pub(crate) fn sends_pubrec(&mut self, pair: Pair, id: u16) {
        self.account_mut(pair).received.push(id);
    }

    /// A connection begins.
    pub(crate) fn attaches(&mut self, pair: Pair) {
        self.account_mut(pair).received.clear();
    }

    /// Whether a PUBREL for this id belongs to no exchange that client and broker both know of.
    pub(crate) fn is_reclaimed(&self, pair: Pair, id: u16) -> bool {
        let Pair { device, .. } = pair;
        let known = self.uses_id(device, id) || self.is_lingering(device, id);
        !known && !self.account(pair).received.contains(&id)
    }

    /// The broker sends message `number` under `id`.
    pub(crate) fn sends_out(&mut self, pair: Pair, id: u16, number: u32, qos: QoS) {
        let outgoing = &mut self.account_mut(pair).outgoing;
        outgoing.retain(|(used, ..)| *used != id);
        if outgoing.len() == MOST_OUTGOING {
            outgoing.remove(0);
        }
        outgoing.push((id, number, qos));
    }

    /// The message, and the QoS of its delivery, that the broker sent last under `id`.
    pub(crate) fn sent_under(&self, pair: Pair, id: u16) -> Option<(u32, QoS)> {
        let found = self.account(pair).outgoing.iter().find(|(used, ..)| *used == id);
        found.map(|(_, number, qos)| (*number, *qos))
    }
}

/// More than a broker sends while one message of its window stays unanswered.
const MOST_OUTGOING: usize = 512;

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

    use super::{Ledger, Message, Pair};

    pub(super) fn ledger(brokers: usize) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.open(1, brokers);
        let message = Message::new(0, 0, 3, QoS::AtLeastOnce);
        ledger.add(Message { len: 20, ..message });
        ledger
    }

    #[test]
    fn a_message_is_known_by_its_payload_alone() {
        let ledger = ledger(1);
        let mut payload = Vec::new();
        ledger.write_payload(0, &mut payload);
        assert_eq!(ledger.identify(3, &payload), Ok(Some(0)));
        assert!(ledger.identify(2, &payload).is_err(), "another topic");
        assert!(ledger.identify(3, &payload[1..]).is_err(), "a byte is missing");
        payload[10] ^= 1;
        assert!(ledger.identify(3, &payload).is_err(), "a bit is wrong");
    }

    #[test]
    fn a_stay_ends_with_the_session_or_with_a_change_of_broker() {
        let mut ledger = ledger(2);
        let [here, there] = [0, 1].map(|broker| Pair { device: 0, broker });
        assert!(!ledger.arrives(here));
        let first = ledger.stay(0);
        assert!(!ledger.arrives(here));
        assert_eq!(ledger.stay(0), first);
        ledger.set_epoch(there, 7);
        assert_eq!(ledger.stay(0), first, "a session at another broker");
        ledger.set_epoch(here, 8);
        assert_ne!(ledger.stay(0), first);
        let second = ledger.stay(0);
        assert!(ledger.arrives(there) && ledger.arrives(here));
        assert_ne!(ledger.stay(0), second, "there and back");
    }
}
