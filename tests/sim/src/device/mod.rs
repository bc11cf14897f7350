//! A device: a real client, a driver for it, an application, and perhaps a journal.
//!
//! The driver follows the documentation of `Client` in small steps: it may pause or lose power between any two of them
//! ([`drive`]). [`app`] is the application, [`record_log`] the journal, and [`tap`] sees the packets that the client
//! sends.

mod app;
mod arrival;
mod copying;
mod drive;
mod hands;
mod options;
mod record_log;
mod sources;
mod tap;

use mqtt_core::{BoxedClient, ConnectionState, Instant, Protocol, QoS, Version, Will};

use crate::{
    agenda::Event,
    broker::{Broker, Manners},
    checks::Invariant,
    faults::Fault,
    landscape::{Landscape, MOST_BROKERS},
    ledger::{Message, Status},
    link::{Link, Side, Way},
    quirks::Quirk,
    setup::DeviceSetup,
    stage::Stage,
    topics,
    trace::What,
};
use app::App;
use arrival::ConnAckBytes;
use copying::Copying;
use record_log::Journal;
use sources::Paused;
use tap::Tap;

const CLIENT_IDS: [&str; topics::MOST_DEVICES] = ["d0", "d1", "d2", "d3", "d4"];
/// A connection of any device is stable after so many milliseconds.
const STABLE: u64 = 65_000;
/// In milliseconds.
const NEVER: u64 = u64::MAX;

/// A device.
pub(crate) struct Device {
    index: usize,
    setup: DeviceSetup,
    land: Landscape,
    /// `None`: no power.
    client: Option<BoxedClient>,
    link: Option<usize>,
    /// The other side has closed the link. Not all that it sent may have been read.
    ended: bool,
    /// Bytes that were read and not taken by the client.
    input: Vec<u8>,
    arrival: ConnAckBytes,
    app: App,
    journal: Option<Journal>,
    tap: Tap,
    /// The number of the wake-up that counts.
    ticket: u32,
    wake_at: u64,
    /// The client said to wait until then, and nothing has happened since.
    waits_until: Option<u64>,
    /// The transport takes no bytes.
    blocked: bool,
    /// The application handles a message until then.
    busy_until: u64,
    /// See [`distracted_until`](Self::distracted_until).
    distracted_until: u64,
    /// The write in progress of a driver that copies.
    copying: Copying,
    /// A source that has no bytes.
    paused: Option<Paused>,
    /// Power is lost after this many actions.
    power: Option<u32>,
    last_sent: u64,
    up_since: Option<u64>,
}

/// Whether a device still has power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Power {
    On,
    Lost,
}

/// The memory that a device has of a broker after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    All,
    /// The journal knows only an older session: the broker began a new one, and power was lost before a record could
    /// say so. No client can notice that.
    OfAnOlderSession,
    None,
}

impl Device {
    pub(crate) fn new(index: usize, setup: DeviceSetup, land: Landscape) -> Self {
        Self {
            index,
            land,
            app: App::new(index),
            journal: setup.journal.then(Journal::default),
            setup,
            client: None,
            link: None,
            ended: false,
            input: Vec::new(),
            arrival: ConnAckBytes::default(),
            tap: Tap::default(),
            ticket: 0,
            wake_at: NEVER,
            waits_until: None,
            blocked: false,
            busy_until: 0,
            distracted_until: 0,
            copying: Copying::default(),
            paused: None,
            power: None,
            last_sent: 0,
            up_since: None,
        }
    }

    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    /// Whether application and client have nothing left to do.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        if self.busy_until > now {
            return false;
        }
        // In 3.1 the client may have left a renewal out, and waits for a sign that it was right.
        let since = self.up_since.map_or(0, |since| now - since);
        let done = |client: &BoxedClient| {
            client.state() == ConnectionState::Up
                && client.in_flight() == 0
                && (client.protocol() == Protocol::V311 || since > STABLE)
        };
        self.app.is_idle() && self.client.as_ref().is_some_and(done)
    }

    /// Whether it makes its subscriptions again on each connection.
    pub(crate) const fn renews_always(&self) -> bool {
        self.setup.renew && self.setup.renews_always
    }

    /// Whether the two have a version in common.
    pub(crate) fn may_use(&self, broker: &Broker) -> bool {
        broker.speaks_v311() || self.setup.version != Version::V311
    }

    /// Whether it chooses its version by itself, and does not speak the best one of the broker.
    pub(crate) fn has_fallen(&self, broker: &Broker) -> bool {
        let speaks = self.client.as_ref().map(BoxedClient::protocol);
        let chooses = self.setup.version == Version::Auto;
        chooses && broker.speaks_v311() && speaks == Some(Protocol::V31)
    }

    pub(crate) const fn has_power(&self) -> bool {
        self.client.is_some()
    }

    /// Whether the client says that it is connected.
    pub(crate) fn is_up(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.state() == ConnectionState::Up)
    }

    /// Requests that have not ended, and messages that wait to be published.
    pub(crate) fn left_to_do(&self) -> usize {
        // A renewal that stands in the way makes them fewer.
        let kept = self.client.as_ref().map_or(0, |client| client.subscriptions().count());
        self.app.left_to_do() + kept
    }

    /// The application begins something new, of which the broker does not disapprove.
    pub(crate) fn probe(&mut self, stage: &mut Stage<'_>, manners: &Manners) {
        self.waits_until = None;
        self.app.probe(stage, manners, &self.setup);
    }

    /// The messages of [`probe`](Self::probe).
    pub(crate) fn probes(&self) -> impl Iterator<Item = u32> {
        self.app.probes()
    }

    /// The work that is left, for a report.
    pub(crate) fn under_way(&self) -> String {
        let client = self.client.as_ref().map(|client| (client.state(), client.in_flight()));
        format!("client (state, in flight) {client:?}, application {}", self.app.under_way())
    }

    /// Whether it is unknown if the broker has a subscription to `filter`.
    pub(crate) fn is_uncertain(&self, filter: usize) -> bool {
        self.app.is_uncertain(filter)
    }

    /// The client, after the run.
    pub(crate) fn client_to_judge(&self, stage: &mut Stage<'_>) -> Option<&BoxedClient> {
        let client = self.client.as_ref()?;
        self.app.check_subscriptions(stage, client);
        Some(client)
    }

    /// The run is over.
    pub(crate) fn count_connected(&mut self, stage: &mut Stage<'_>) {
        self.went_down(stage);
    }

    pub(crate) const fn link(&self) -> Option<usize> {
        self.link
    }

    /// Power is lost after `actions` more actions.
    pub(crate) const fn will_lose_power(&mut self, actions: u32) {
        self.power = Some(actions);
    }

    pub(crate) const fn keeps_power(&mut self) {
        self.power = None;
    }

    /// A client is made.
    pub(crate) fn power_on(&mut self, stage: &mut Stage<'_>) {
        if self.client.is_some() {
            return;
        }
        stage.note(self.index, What::PowerOn);
        if self.setup.sends_between {
            stage.quirk(self.index, Quirk::SendsBetween);
        }
        let setup = &self.setup;
        let mut payload = Vec::new();
        let will = setup.will.map(|(qos, retain)| {
            let number = stage.ledger.add(will(self.index, qos, retain));
            stage.ledger.write_payload(number, &mut payload);
            (topics::topic(topics::will_topic(self.index)), qos, retain)
        });
        let mut options = options::options(CLIENT_IDS[self.index], setup);
        if let Some((topic, qos, retain)) = will {
            options = options.will(Will::new(topic, &payload).qos(qos).retain(retain));
        }
        match BoxedClient::new_boxed(&options, setup.outbox, setup.window) {
            Ok(mut client) => {
                if let Some(journal) = &mut self.journal {
                    journal.restore(stage, self.index, &mut client);
                    self.app.restored(stage, &client, setup);
                }
                self.client = Some(client);
            }
            Err(error) => {
                stage.fail(Invariant::Panic, self.index, || format!("no client: {error}"));
            }
        }
        self.last_sent = stage.now;
    }

    /// Power is lost, and with it all that is not durable. Returns what the device still knows of each broker.
    pub(crate) fn lose_power(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
    ) -> [Memory; MOST_BROKERS] {
        self.client = None;
        self.power = None;
        self.waits_until = None;
        self.wake_at = NEVER;
        self.ticket += 1;
        self.busy_until = 0;
        self.went_down(stage);
        stage.ledger.loses_power(self.index);
        self.tap.disconnected(stage, self.index);
        let news = self.app.lose_power(stage, self.setup.journal);
        if let Some(link) = self.link.take() {
            // No DISCONNECT is sent, and the broker notices the end some time later.
            links[link].cut(stage, Way::Up);
            self.leave(stage, links, link);
        }
        if self.journal.is_none() {
            stage.fault(self.index, Fault::PowerLossWithoutJournal);
        }
        let off = 1 << stage.rng.u64(3..17);
        stage.plan(off, Event::PowerOn { device: self.index });
        news.map(|news| match (&self.journal, news) {
            (None, _) => Memory::None,
            (Some(_), true) => Memory::OfAnOlderSession,
            (Some(_), false) => Memory::All,
        })
    }

    fn went_down(&mut self, stage: &mut Stage<'_>) {
        if let Some(since) = self.up_since.take() {
            stage.totals.connected += stage.now - since;
        }
    }

    /// The device does not use `link` any more.
    fn leave(&mut self, stage: &mut Stage<'_>, links: &mut [Link], link: usize) {
        links[link].device_open = false;
        if links[link].is_cut() && links[link].broker_open && stage.rng.bool() {
            let late = stage.rng.u64(1..60_000);
            stage.plan(late, Event::Dead { link, side: Side::Broker });
        }
        links[link].end(stage, Way::Up);
        links[link].discard(Way::Down);
        self.input.clear();
        self.copying.forget();
        self.ended = false;
        self.blocked = false;
    }

    /// The driver sees that the link is gone.
    pub(crate) fn close(&mut self, stage: &mut Stage<'_>, links: &mut [Link]) {
        self.waits_until = None;
        if let Some(link) = self.link.take() {
            self.leave(stage, links, link);
        }
        self.went_down(stage);
        self.tap.disconnected(stage, self.index);
        if let Some(client) = &mut self.client {
            client.closed(Instant::from_millis(stage.now));
            self.app.disconnected(stage, client);
        }
    }

    /// The link is open.
    pub(crate) fn opened(&mut self, stage: &mut Stage<'_>) {
        self.waits_until = None;
        if let Some(client) = &mut self.client {
            client.connected(Instant::from_millis(stage.now));
        }
    }

    /// The other side has closed.
    pub(crate) const fn hears_the_end(&mut self) {
        self.ended = true;
        self.waits_until = None;
    }

    /// Bytes are there to be read.
    pub(crate) const fn hears(&mut self) {
        self.waits_until = None;
    }

    /// When the application is done with its message, if it handles one.
    pub(crate) fn busy_until(&self, now: u64) -> Option<u64> {
        (self.busy_until > now).then_some(self.busy_until)
    }

    /// The last time at which the client had left bytes alone that arrived, its application was at work, or a source had
    /// no bytes. It passes no verdict on its link meanwhile.
    pub(crate) const fn distracted_until(&self) -> u64 {
        self.distracted_until
    }

    /// Notes whether the client is distracted at this time.
    fn note_distraction(&mut self, now: u64) {
        // The answer to a message that was skipped may wait for the acknowledgement of an earlier one.
        if self.busy_until > now || !self.input.is_empty() || self.app.owes() {
            self.distracted_until = self.distracted_until.max(now).max(self.busy_until);
        }
    }

    /// How long after the last byte the client notices at the latest that nothing arrives, in milliseconds; `None` if
    /// its settings do not make it notice.
    pub(crate) fn notices_after(&self) -> Option<u64> {
        let keep_alive = u64::from(self.setup.keep_alive) * 1_000;
        let on = keep_alive != 0 && self.setup.ping_on_silence;
        // On a slow link everything that waits goes out before a PINGREQ.
        let waiting = self.setup.outbox as u64;
        let turns = waiting / self.setup.capacity as u64 * 2 * self.setup.pace.most;
        let queue = turns + self.setup.rate.up.map_or(0, |rate| waiting * 1_000 / rate);
        // A PINGREQ after three quarters, its way out after as much again, and pauses of the driver.
        on.then(|| 2 * keep_alive + u64::from(self.setup.patience.ping_timeout) + 10_000 + queue)
    }

    /// The transport may take bytes again.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether the wake-up `ticket` is still wanted.
    pub(crate) const fn wakes(&mut self, ticket: u32) -> bool {
        let wanted = self.ticket == ticket;
        if wanted {
            self.wake_at = NEVER;
        }
        wanted
    }

    fn wake_in(&mut self, stage: &mut Stage<'_>, delay: u64) {
        let at = stage.now.saturating_add(delay);
        // If an earlier wake-up is planned it finds nothing to do, which is a check as well.
        if at < self.wake_at {
            self.ticket += 1;
            self.wake_at = at;
            stage.agenda.plan(at, Event::Wake { device: self.index, ticket: self.ticket });
        }
    }

    /// The application acts.
    pub(crate) fn tick(&mut self, stage: &mut Stage<'_>) {
        if !stage.healing {
            self.app.write(stage, &self.setup);
        }
        if self.busy_until > stage.now && self.setup.handler.is_some_and(|handler| !handler.writes)
        {
            return;
        }
        self.note_distraction(stage.now);
        let Some(client) = &mut self.client else { return };
        self.waits_until = None;
        if self.app.connects(stage, client) || stage.fault_one_in(16) {
            client.connect();
        }
        if self.setup.manual {
            self.app.acknowledge(stage, client, &self.setup);
        }
        if !stage.healing && self.setup.subscribes && stage.one_in(4) {
            self.app.subscribe(stage, client);
        }
        self.app.forget_stuck(stage, client);
        self.app.subscribe_once_more(stage, client);
        if self.setup.cancels && stage.fault_one_in(4) {
            self.app.cancels_something(stage, client);
        }
        if stage.fault_one_in(40) {
            self.app.leaves(client);
        }
        if let Some(journal) = self.journal.as_ref().filter(|journal| journal.len() > 2_000) {
            if stage.rng.usize(..journal.len()) > 1_000 {
                client.compact();
            }
        }
    }
}

fn will(device: usize, qos: QoS, retain: bool) -> Message {
    let message = Message::new(device, 0, topics::will_topic(device), qos);
    Message { retain, status: Status::Will, may_miss: true, ..message }
}
