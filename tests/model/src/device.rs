//! The client under test, with storage that is cheap to copy, and the few instants of this model.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;
use mqtt_core::{Client, Instant, Options, Reconnect, Slot};

use crate::{
    config::{Acknowledge, Config},
    rules::{Broken, Rule, Verdict},
};

/// Requests in flight that a configuration may have at most.
const LARGEST_WINDOW: usize = 3;
/// The largest outbox that a configuration may have.
pub(crate) const LARGEST_OUTBOX: usize = 128;

/// Time stands still at this instant.
pub(crate) const NOW: Instant = Instant::from_millis(0);
/// The instant of one call, when the time to connect again has come.
pub(crate) const RECONNECT: Instant = Instant::from_millis(1);
/// The instant when a record that can wait has waited long enough.
pub(crate) const RECORD: Instant = Instant::from_millis(2);

/// Milliseconds after which an answer is overdue.
pub(crate) const ANSWER: u32 = 10;
/// The longest packet that the client takes.
pub(crate) const LARGEST_MESSAGE: u32 = 60;

/// Storage without a heap. The configuration gives its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outbox {
    bytes: [u8; LARGEST_OUTBOX],
    len: usize,
}

impl AsRef<[u8]> for Outbox {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Outbox {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

/// Slots without a heap. The configuration gives their number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    slots: [Slot; LARGEST_WINDOW],
    len: usize,
}

impl AsRef<[Slot]> for Slots {
    fn as_ref(&self) -> &[Slot] {
        self.slots.get(..self.len).unwrap_or_default()
    }
}

impl AsMut<[Slot]> for Slots {
    fn as_mut(&mut self) -> &mut [Slot] {
        self.slots.get_mut(..self.len).unwrap_or_default()
    }
}

/// The real client; hashed and compared by its digest.
#[derive(Clone, Debug)]
pub(crate) struct Device(pub(crate) Client<Outbox, Slots>);

impl Device {
    /// A client that was never used.
    pub(crate) fn new(config: &Config) -> Self {
        // Deadlines that only end a connection never come, as a cut does the same. The exception is an answer that the
        // broker never gives.
        let never_answers =
            config.bad.is_some_and(|bad| bad.manner.never_answers() && !bad.manner.is_at_reclaim());
        let options = Options::new("c")
            .version(config.version)
            .clean_session(false)
            .keep_alive(0)
            .connect_timeout(u32::MAX)
            .answer_timeout(if never_answers { ANSWER } else { 0 })
            .unread_timeout(0)
            .stuck_after(config.stuck_after)
            .give_up_stuck(config.give_up_stuck)
            .filters_per_subscribe(config.filters_per_subscribe)
            .manual_acknowledge(config.acknowledge == Acknowledge::Manual)
            .max_packet(LARGEST_MESSAGE)
            .reconnect(
                Reconnect::after(1)
                    .at_most(1)
                    .refused_after(0)
                    .stable_after(0)
                    .endpoints(config.brokers.endpoints()),
            )
            .cluster(config.brokers.seem_a_cluster())
            .resend_lost(config.resend_lost)
            .renew_on_each_connection(config.renew_each_time)
            .journal(config.power_cuts != 0)
            .record_delay(2)
            .sources(!config.from_source.is_empty());
        let outbox = Outbox { bytes: [0; LARGEST_OUTBOX], len: config.outbox };
        let slots = Slots { slots: [Slot::EMPTY; LARGEST_WINDOW], len: config.window };
        match Client::new(&options, outbox, slots) {
            Ok(client) => Self(client),
            Err(error) => panic!("world {}: {error}", config.name),
        }
    }

    /// Gives it one of its own records before it is used.
    pub(crate) fn restore(&mut self, record: &[u8]) -> Verdict {
        self.0
            .restore(record)
            .map_err(|_| Broken::new(Rule::AtLeastOnce, "a record of the client's own is refused"))
    }
}

impl Hash for Device {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.digest(hasher);
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        let state = FixedState::default();
        state.hash_one(self) == state.hash_one(other)
    }
}
