//! A day of the node in virtual time: the real client and the real supervisor, a radio, a broker, and a network that is
//! away now and then. The same settings give the same day.

use std::collections::BTreeMap;

use mqtt_core::Record;
use watchdog_core::{Instant, Supervisor};

use crate::{
    Error,
    broker::Broker,
    node::{Board, Cause, Node},
    radio::{ROUND_TRIP, Radio},
    settings::Settings,
};

pub(crate) const HOUR: u64 = 3_600_000;
/// A day.
pub(crate) const DAY: u64 = 24 * HOUR;
/// The device is booted 23 s after a full minute, and measures at full minutes.
const FIRST: u64 = 37_000;
/// How long a modem looks for a network that is not there.
const SEARCH: u64 = 5_000;

/// The network is away from the first time, for so long. It forgets the connections of that time.
const OUTAGES: [(u64, u64); 4] = [
    (2 * HOUR + 1_234_000, 0),
    (7 * HOUR + 2_500_500, 240_000),
    (13 * HOUR + 777_000, 30_000),
    (19 * HOUR + 3_100_000, 1_200_000),
];

/// A day that is over.
#[derive(Debug)]
pub(crate) struct Day {
    /// The times of the wake-ups, and their reasons.
    pub(crate) wakes: Vec<(u64, Cause)>,
    pub(crate) radio: Radio,
    pub(crate) broker: Broker,
    pub(crate) published: u64,
    pub(crate) records: u64,
    pub(crate) feeds: u64,
}

impl Day {
    pub(crate) fn count(&self, cause: Cause) -> usize {
        self.wakes.iter().filter(|(_, why)| *why == cause).count()
    }
}

/// Something that is on its way to the node.
#[derive(Debug)]
enum Event {
    Opened,
    /// No network, or a connection that the network has forgotten.
    Lost,
    Bytes(Vec<u8>),
}

/// The board and its surroundings.
struct World {
    radio: Radio,
    broker: Broker,
    /// When the connection began; `None` while there is none.
    opened: Option<u64>,
    events: BTreeMap<(u64, u64), Event>,
    planned: u64,
    records: u64,
    feeds: u64,
    fed: u64,
    chip_bites: u64,
    /// The chip has bitten, or the client has broken a rule.
    failure: Option<Error>,
}

impl World {
    fn plan(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    fn forgets(&self, opened: u64, now: u64) -> bool {
        OUTAGES.iter().any(|(from, _)| opened <= *from && *from <= now)
    }
}

fn is_away(now: u64) -> bool {
    OUTAGES.iter().any(|(from, long)| *from <= now && now < from + long)
}

impl Board for World {
    fn connect(&mut self, now: u64) {
        let done = self.radio.moves(0, now);
        if is_away(now) {
            self.plan(done + SEARCH, Event::Lost);
        } else {
            self.plan(done + ROUND_TRIP, Event::Opened);
        }
    }

    fn send(&mut self, bytes: &[u8], now: u64) -> usize {
        let done = self.radio.moves(bytes.len(), now);
        match self.opened {
            // Nobody tells the node: the bytes vanish.
            Some(_) if is_away(done) => {}
            Some(opened) if self.forgets(opened, done) => {
                self.plan(done + ROUND_TRIP, Event::Lost);
            }
            Some(_) => match self.broker.receive(bytes, done + ROUND_TRIP / 2) {
                Ok(answers) if answers.is_empty() => {}
                Ok(answers) => self.plan(done + ROUND_TRIP, Event::Bytes(answers)),
                Err(error) => self.failure = Some(error),
            },
            None => {}
        }
        bytes.len()
    }

    fn close(&mut self) {
        self.opened = None;
        self.events.clear();
    }

    fn store(&mut self, _record: &Record<'_>) {
        self.records += 1;
    }

    fn feed_chip(&mut self, now: u64) {
        if now - self.fed >= self.chip_bites {
            self.failure = Some(Error::Bitten { silent: now - self.fed });
        }
        (self.fed, self.feeds) = (now, self.feeds + 1);
    }

    fn radio_is_on(&self, now: u64) -> bool {
        self.radio.is_on(now)
    }
}

/// Lives through a day.
pub(crate) fn live(settings: Settings) -> Result<Day, Error> {
    let timing = settings.timing()?;
    let tasks = settings.tasks(timing)?;
    let supervisor = Supervisor::new(&tasks, timing, Instant::from_millis(0));
    let handles = tasks.each_ref().map(|task| task.handle());
    let mut node = Node::new("meter-3", settings, supervisor, handles, FIRST)?;
    let mut world = World {
        radio: Radio::default(),
        broker: Broker::default(),
        opened: None,
        events: BTreeMap::new(),
        planned: 0,
        records: 0,
        feeds: 0,
        fed: 0,
        chip_bites: settings.chip_bites(),
        failure: None,
    };
    let mut wakes = Vec::new();
    let mut now = 0;
    while now < DAY {
        // Nothing is on its way, so the node has slept. While something is, it waits for it.
        let slept = world.events.is_empty();
        while world.events.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            match world.events.pop_first() {
                Some((_, Event::Opened)) => {
                    world.opened = Some(now);
                    world.broker.opened(now);
                    node.opened(now);
                }
                Some((_, Event::Lost)) => {
                    world.close();
                    node.lost(now);
                }
                Some((_, Event::Bytes(bytes))) => {
                    world.radio.moves(bytes.len(), now);
                    node.heard(&bytes, now)?;
                }
                None => {}
            }
        }
        let cause = node.wake(&mut world, now)?;
        if slept {
            wakes.push((now, cause));
        }
        if let Some(failure) = world.failure.take() {
            return Err(failure);
        }
        let next = world.events.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
        now = next.min(node.alarm()).max(now + 1);
    }
    let World { radio, broker, records, feeds, .. } = world;
    Ok(Day { wakes, radio, broker, published: node.published, records, feeds })
}
