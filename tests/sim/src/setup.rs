//! The setup of a world: everything that is drawn from the seed before the run begins.

use fastrand::Rng;
use mqtt_core::{QoS, Queue, Reconnect, Version};

use crate::{
    broker::Manners,
    landscape::Landscape,
    link::{Pace, Rate},
    quirks::Quirk,
    topics::{FILTERS, MOST_DEVICES},
};

/// A world.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) devices: Vec<DeviceSetup>,
    pub(crate) land: Landscape,
    /// As many as the landscape has.
    pub(crate) brokers: Vec<BrokerSetup>,
    /// Milliseconds until faults stop.
    pub(crate) duration: u64,
    /// Milliseconds between two faults, on average.
    pub(crate) fault_gap: u64,
    /// Milliseconds between two actions of an application, on average.
    pub(crate) tick_gap: u64,
}

/// An application that takes its time for some messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handler {
    /// It takes its time for one message in so many.
    pub(crate) one_in: u32,
    /// Milliseconds.
    pub(crate) least: u64,
    pub(crate) most: u64,
    /// Another thread writes meanwhile. Otherwise the driver does nothing.
    pub(crate) writes: bool,
}

/// When a driver that copies the bytes writes them, and when it reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    /// It writes and reports later.
    WritesLate,
    /// It writes at once and reports later, in parts.
    ReportsLate,
}

/// Milliseconds, and numbers of connections, after which a client takes a broker or an application for stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) answer_timeout: u32,
    pub(crate) unread_timeout: u32,
    pub(crate) ping_timeout: u32,
    pub(crate) refused_after: u32,
    /// At least 1: the application relies on the event.
    pub(crate) stuck_after: u8,
    pub(crate) give_up_stuck: bool,
}

/// A broker.
#[derive(Debug)]
pub(crate) struct BrokerSetup {
    /// Messages of QoS 1 and 2 in flight to one client.
    pub(crate) window: usize,
    /// Method B of figure 4.3: a message is handed on at its PUBLISH. Otherwise it is handed on at its PUBREL.
    pub(crate) method_b: bool,
    /// One copy for each matching subscription, or only one copy [MQTT-3.3.5-1].
    pub(crate) copies: bool,
    /// Retained messages are sent before the SUBACK.
    pub(crate) retained_first: bool,
    /// The highest QoS that is granted; `None`: subscriptions are refused.
    pub(crate) grants: [Option<QoS>; FILTERS.len()],
    /// The first packet id in a new session.
    pub(crate) first_id: u16,
    /// It knows 3.1 only.
    pub(crate) only_v31: bool,
    pub(crate) manners: Manners,
}

/// A device and its application.
#[derive(Debug)]
pub(crate) struct DeviceSetup {
    pub(crate) version: Version,
    pub(crate) clean: bool,
    /// Seconds.
    pub(crate) keep_alive: u16,
    pub(crate) manual: bool,
    pub(crate) renew: bool,
    pub(crate) ping_on_silence: bool,
    pub(crate) window: usize,
    pub(crate) outbox: usize,
    pub(crate) receive_capacity: usize,
    /// `None`: the application connects again.
    pub(crate) reconnect: Option<Reconnect>,
    pub(crate) endpoints: u8,
    /// Its client has a slot for every packet id that all brokers together may send.
    pub(crate) remembers_all: bool,
    /// Its client believes that all endpoints share their sessions.
    pub(crate) cluster: bool,
    /// It makes its subscriptions again on each connection.
    pub(crate) renews_always: bool,
    /// It sends publishes again that were lost with a session.
    pub(crate) resends_lost: bool,
    pub(crate) exactly_once_window: u16,
    pub(crate) queue: Queue,
    /// Messages that may wait to be sent.
    pub(crate) queue_messages: usize,
    pub(crate) will: Option<(QoS, bool)>,
    pub(crate) journal: bool,
    /// Milliseconds.
    pub(crate) record_delay: u32,
    /// After a restart the application cuts its output back to the position, instead of writing it together with the
    /// record.
    pub(crate) marks_output: bool,
    /// Publishes at most this many messages at once; 0: never.
    pub(crate) burst: u32,
    /// How many of ten messages are of QoS 0, and how many of QoS 1.
    pub(crate) mix: (u32, u32),
    pub(crate) payload: usize,
    pub(crate) subscribes: bool,
    pub(crate) pace: Pace,
    /// Bytes that its transport takes before any of them arrives.
    pub(crate) capacity: usize,
    pub(crate) rate: Rate,
    /// Bytes of payload of its large messages, which are rare.
    pub(crate) large: Option<usize>,
    /// The largest packet that it accepts; larger ones are skipped.
    pub(crate) max_packet: Option<u32>,
    /// It skips topics that cannot be read, which the standard forbids.
    pub(crate) skips_unreadable: bool,
    pub(crate) filters_per_subscribe: u16,
    pub(crate) handler: Option<Handler>,
    pub(crate) patience: Patience,
    /// `None`: its driver writes the bytes that it is shown, and reports at once.
    pub(crate) copies: Option<Copies>,
    /// Its driver sends between two events. Otherwise it takes all events first.
    pub(crate) sends_between: bool,
    /// Its application cancels requests at random.
    pub(crate) cancels: bool,
    /// It publishes from sources as well.
    pub(crate) sources: bool,
    /// Its slack while it is awake, in milliseconds, if it has one.
    pub(crate) slack: Option<u32>,
}

impl Setup {
    /// The world without its quirks.
    pub(crate) fn tame(&mut self) {
        let slots = self.devices.iter().map(|device| device.window).min();
        for broker in &mut self.brokers {
            broker.manners = Manners::default();
            broker.window = broker.window.min(slots.unwrap_or(1));
        }
        for device in &mut self.devices {
            device.rate = Rate::default();
            device.handler = None;
            device.max_packet = None;
            device.copies = None;
            device.cancels = false;
            device.sources = false;
            device.slack = None;
        }
    }

    /// The world of a seed. The landscape has dice of its own, so all else is the same in every landscape.
    pub(crate) fn of(seed: u64) -> (Self, Rng) {
        let mut rng = Rng::with_seed(seed);
        let mut setup = Self::draw(&mut rng);
        setup.widen(&mut Rng::with_seed(!seed));
        // These dice are of their own as well.
        let mut rng_of_sources = Rng::with_seed(seed.rotate_left(32) ^ 0x5EED);
        for device in &mut setup.devices {
            device.sources = rng_of_sources.u32(..4) == 0;
        }
        let mut rng_of_slack = Rng::with_seed(seed.rotate_left(16) ^ 0x51AC);
        for device in &mut setup.devices {
            let slack = 1 << rng_of_slack.u32(..20);
            device.slack = (rng_of_slack.u32(..4) == 0).then_some(slack);
        }
        (setup, rng)
    }

    /// Chooses the brokers, and the settings that have to do with them.
    fn widen(&mut self, rng: &mut Rng) {
        self.land = Landscape::draw(rng);
        for _ in 1..self.land.brokers() {
            let only_v31 = rng.u32(..10) == 0;
            let broker = broker(rng, only_v31);
            self.brokers.push(broker);
        }
        let wide = self.land != Landscape::One;
        for broker in &mut self.brokers {
            if rng.u32(..if wide { 4 } else { 16 }) == 0 {
                broker.manners.get_worse(rng);
            }
        }
        // In 3.1 a change of broker renews the subscriptions each time. If the client has few slots, the retained messages
        // may then be more than those that it takes.
        let fewest = self.devices.iter().map(|device| device.window).min().unwrap_or(1);
        if wide && self.devices.iter().any(|device| device.version != Version::V311) {
            for broker in &mut self.brokers {
                broker.window = broker.window.min(fewest);
            }
        }
        let widest = self.brokers.iter().map(|broker| broker.window).max().unwrap_or(1);
        let most_ids: usize = self.brokers.iter().map(|broker| broker.window).sum();
        for device in &mut self.devices {
            device.remembers_all = self.brokers.len() == 1 || device.window >= most_ids;
            device.cluster = !matches!(self.land, Landscape::Separate(_));
            device.endpoints = self.land.endpoints().unwrap_or(device.endpoints);
            // The same goes for a client that renews them on each connection.
            let renews = rng.u32(..if wide { 3 } else { 12 }) == 0;
            device.renews_always = renews && device.window >= widest;
            device.resends_lost = rng.u32(..if wide { 2 } else { 12 }) == 0;
        }
    }

    /// A world with one broker.
    fn draw(rng: &mut Rng) -> Self {
        let only_v31 = rng.u32(..20) == 0;
        let mut devices: Vec<_> =
            (0..rng.usize(1..=MOST_DEVICES)).map(|_| device(rng, only_v31)).collect();
        // From ten seconds to an hour, short ones more often.
        let duration = 10_000 << rng.u32(0..=8);
        let duration = rng.u64(duration..=duration * 3 / 2);
        let mut broker = broker(rng, only_v31);
        if rng.u32(..20) == 0 {
            slow_and_large(rng, &mut broker, &mut devices);
        }
        Self {
            devices,
            land: Landscape::One,
            brokers: vec![broker],
            duration,
            fault_gap: duration / rng.u64(2..=30),
            tick_gap: duration / rng.u64(10..=60),
        }
    }
}

fn broker(rng: &mut Rng, only_v31: bool) -> BrokerSetup {
    let manners = Manners::draw(rng);
    let strict = manners.have(Quirk::RefusesIn31) || rng.u32(..4) == 0;
    BrokerSetup {
        window: rng.usize(1..=20),
        method_b: rng.bool(),
        copies: rng.u32(..3) == 0,
        retained_first: rng.bool(),
        grants: std::array::from_fn(|_| match rng.u32(..12) {
            0 if strict => None,
            1 if strict => Some(QoS::AtMostOnce),
            2 | 3 if strict => Some(QoS::AtLeastOnce),
            _ => Some(QoS::ExactlyOnce),
        }),
        first_id: if rng.u32(..4) == 0 { rng.u16(65_500..) } else { 1 },
        only_v31,
        manners,
    }
}

/// Large messages over slow links: a packet takes longer than the keep alive, in one or both directions.
fn slow_and_large(rng: &mut Rng, broker: &mut BrokerSetup, devices: &mut [DeviceSetup]) {
    let size = rng.usize(5_000..=60_000);
    broker.window = broker.window.min(3);
    let publisher = rng.usize(..devices.len());
    for (index, device) in devices.iter_mut().enumerate() {
        // What waits in front of an answer takes a while.
        device.patience.answer_timeout = 900_000;
        device.max_packet = None;
        if rng.bool() {
            let rate = |rng: &mut Rng| rng.bool().then(|| rng.u64(1_500..4_000));
            device.rate = Rate { up: rate(rng), down: rate(rng) };
            device.capacity = device.capacity.min(3_000);
            device.keep_alive = *pick(rng, &[5, 10, 20]);
        }
        if index == publisher {
            device.outbox += size + 100;
            device.large = Some(size);
            device.burst = device.burst.max(1);
        }
    }
}

fn device(rng: &mut Rng, only_v31: bool) -> DeviceSetup {
    let version = match (rng.u32(..8), only_v31) {
        (0, true) | (0 | 1, false) => Version::V31,
        (2, _) | (_, true) => Version::Auto,
        _ => Version::V311,
    };
    let first = rng.u32(50..3_000);
    let reconnect = Reconnect::after(first)
        .at_most(rng.u32(first..30_000))
        .seed(rng.u32(..))
        .stable_after(rng.u32(100..60_000));
    let endpoints = rng.u8(0..=3);
    let journal = rng.u32(..3) != 0;
    let keep_alive = *pick(rng, &[0, 2, 5, 10, 20, 60, 300]);
    let outbox = rng.usize(160..1_500);
    let least = rng.u64(1..60);
    DeviceSetup {
        version,
        clean: rng.u32(..4) == 0,
        keep_alive,
        manual: rng.u32(..4) == 0,
        renew: rng.u32(..8) != 0,
        ping_on_silence: rng.u32(..4) != 0,
        window: rng.usize(1..=10),
        outbox,
        receive_capacity: rng.usize(32..400),
        reconnect: (rng.u32(..8) != 0).then_some(reconnect),
        endpoints,
        remembers_all: true,
        cluster: true,
        renews_always: false,
        resends_lost: false,
        exactly_once_window: if rng.u32(..3) == 0 { rng.u16(1..6) } else { 20 },
        queue: match rng.u32(..4) {
            0 => Queue::DropOldest,
            1 => Queue::LatestPerTopic,
            _ => Queue::RefuseNew,
        },
        queue_messages: if rng.u32(..4) == 0 { rng.usize(1..20) } else { usize::MAX },
        will: (rng.u32(..3) == 0).then(|| (qos(rng.u32(..3)), rng.u32(..4) == 0)),
        journal,
        record_delay: rng.u32(..5_000),
        marks_output: rng.u32(..3) == 0,
        burst: if rng.u32(..5) == 0 { 0 } else { rng.u32(1..8) },
        mix: (rng.u32(..5), rng.u32(..6)),
        payload: rng.usize(8..(outbox - 100)),
        subscribes: rng.u32(..5) != 0,
        pace: Pace { least, most: least + rng.u64(..300) },
        capacity: if rng.u32(..4) == 0 { rng.usize(16..200) } else { 4_096 },
        rate: if rng.u32(..40) == 0 {
            Rate { up: Some(rng.u64(300..3_000)), down: Some(rng.u64(300..3_000)) }
        } else {
            Rate::default()
        },
        large: None,
        max_packet: (rng.u32(..12) == 0).then(|| rng.u32(40..300)),
        skips_unreadable: rng.u32(..3) != 0,
        filters_per_subscribe: if rng.u32(..4) == 0 { rng.u16(1..20) } else { 8 },
        handler: (rng.u32(..12) == 0).then(|| handler(rng)),
        patience: Patience {
            answer_timeout: if rng.u32(..4) == 0 { rng.u32(20_000..60_000) } else { 120_000 },
            unread_timeout: if rng.u32(..4) == 0 { rng.u32(20_000..100_000) } else { 300_000 },
            ping_timeout: if rng.u32(..4) == 0 { rng.u32(3_000..20_000) } else { 10_000 },
            refused_after: if rng.bool() { rng.u32(1_000..60_000) } else { 300_000 },
            stuck_after: if rng.u32(..3) == 0 { rng.u8(1..6) } else { 3 },
            give_up_stuck: rng.u32(..3) == 0,
        },
        copies: match rng.u32(..16) {
            0 => Some(Copies::WritesLate),
            1 => Some(Copies::ReportsLate),
            _ => None,
        },
        sends_between: rng.bool(),
        cancels: rng.u32(..5) == 0,
        sources: false,
        slack: None,
    }
}

/// From a millisecond to minutes.
fn handler(rng: &mut Rng) -> Handler {
    let least = 1 << rng.u32(..14);
    let most = least << rng.u32(..5);
    Handler { one_in: rng.u32(1..20), least, most, writes: rng.bool() }
}

pub(crate) fn qos(number: u32) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

pub(crate) fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}
