//! A world: devices, a broker, links between them, and their faults, one event after the other.

use fastrand::Rng;
use mqtt_core::{QoS, Refusal, Subscription};

use crate::{
    agenda::Event,
    broker::Broker,
    checks::{self, Invariant},
    device::{Device, Power},
    faults::Fault,
    link::{Link, Side, Way},
    progress::Progress,
    setup::Setup,
    stage::Stage,
    topics::FILTERS,
    trace::{Trace, What},
};

/// Milliseconds between two actions of an application after faults have stopped.
const HEALING: u64 = 500;
/// Milliseconds after the last fault in which both sides learn of a cut link.
const LAST_ENDS: u64 = 30_000;
/// Milliseconds between two checks if all is done.
const LOOK: u64 = 3_000;

/// A world.
pub(crate) struct World<'t> {
    pub(crate) stage: Stage<'t>,
    devices: Vec<Device>,
    broker: Broker,
    links: Vec<Link>,
    fault_gap: u64,
    tick_gap: u64,
    progress: Progress,
    /// All was done, and the applications have begun something new. Before this time, some links may still end.
    probes: bool,
    probe_from: u64,
    /// All was done at the last check, when there had been this many links.
    done: Option<usize>,
}

impl<'t> World<'t> {
    /// The world of `seed`.
    pub(crate) fn new(seed: u64, faults: bool, trace: &'t mut Trace) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut setup = Setup::draw(&mut rng);
        if !faults {
            setup.tame();
        }
        let Setup { devices, broker, duration, fault_gap, tick_gap } = setup;
        let mut broker = Broker::new(broker, devices.iter().map(|device| device.window));
        for (index, device) in devices.iter().enumerate() {
            broker.spies_on(index, device);
        }
        let progress = Progress::new(&devices);
        let mut stage = Stage::new(rng, trace);
        stage.faults_on = faults;
        stage.ledger.open(devices.len());
        let devices: Vec<Device> = devices
            .into_iter()
            .enumerate()
            .map(|(index, setup)| Device::new(index, setup))
            .collect();
        for device in 0..devices.len() {
            let start = stage.rng.u64(..1_000);
            stage.plan(start, Event::PowerOn { device });
            stage.plan(start + 1, Event::Tick { device });
        }
        if faults {
            stage.plan(fault_gap, Event::Fault);
        }
        stage.plan(duration, Event::Heal);
        Self {
            stage,
            devices,
            broker,
            links: Vec::new(),
            fault_gap,
            tick_gap,
            progress,
            probes: false,
            probe_from: 0,
            done: None,
        }
    }

    /// Runs until all is done or a promise is broken.
    pub(crate) fn run(&mut self) {
        while self.stage.broken.is_none() {
            let Some((at, event)) = self.stage.agenda.next() else { break };
            self.stage.now = at;
            if !self.happens(event) {
                break;
            }
        }
        if self.stage.broken.is_none() {
            self.judge();
        }
        for device in &mut self.devices {
            device.count_connected(&mut self.stage);
        }
        self.stage.totals.simulated = self.stage.now;
    }

    /// Returns false if all is done.
    fn happens(&mut self, event: Event) -> bool {
        let Self { stage, devices, broker, links, .. } = self;
        match event {
            Event::Wake { device, ticket } => {
                if devices[device].wakes(ticket) {
                    self.drive(device);
                }
            }
            Event::Tick { device } => {
                devices[device].tick(stage);
                let gap = if stage.healing { HEALING } else { self.tick_gap };
                let gap = stage.rng.u64(gap / 2..=gap * 3 / 2 + 1);
                stage.plan(gap, Event::Tick { device });
                self.drive(device);
            }
            Event::PowerOn { device } => {
                devices[device].power_on(stage);
                self.drive(device);
            }
            Event::Opened { link } => self.opened(link),
            Event::Arrive { link, way } => {
                let arrived = links[link].arrive(stage.now, way);
                let device = links[link].device;
                match way {
                    Way::Up => {
                        if arrived.bytes {
                            broker.receive(stage, links, link);
                        }
                        if arrived.end {
                            broker.ended(stage, links, link);
                        }
                        if devices[device].is_blocked() && devices[device].link() == Some(link) {
                            self.drive(device);
                        }
                    }
                    Way::Down => {
                        if devices[device].link() == Some(link) && (arrived.bytes || arrived.end) {
                            if arrived.end {
                                devices[device].hears_the_end();
                            }
                            devices[device].hears();
                            self.drive(device);
                        }
                    }
                }
            }
            Event::Dead { link, side: Side::Broker } => broker.ended(stage, links, link),
            Event::Dead { link, side: Side::Device } => {
                let device = links[link].device;
                if let Some(later) = devices[device].busy_until(stage.now) {
                    stage.agenda.plan(later, event);
                    return true;
                }
                if devices[device].link() == Some(link) {
                    devices[device].close(stage, links);
                    self.drive(device);
                }
            }
            Event::KeepAlive { link } => broker.keep_alive(stage, links, link),
            Event::Pong { link } => broker.pong(stage, links, link),
            Event::Notice { link } => {
                let device = &devices[links[link].device];
                if device.link() == Some(link) {
                    notices(stage, &links[link], device, link);
                }
            }
            Event::BrokerUp => {
                broker.set_up();
                stage.note(0, What::BrokerUp);
            }
            Event::Fault => {
                if stage.faults_on {
                    self.fault();
                    let gap = self.stage.rng.u64(1..=2 * self.fault_gap);
                    self.stage.plan(gap, Event::Fault);
                }
            }
            Event::Heal => self.heal(),
            Event::Look => return self.look(),
        }
        true
    }

    fn drive(&mut self, device: usize) {
        let Self { stage, devices, broker, links, progress, .. } = self;
        let before = stage.totals.connections;
        let power = devices[device].drive_and_note(stage, links);
        for _ in before..stage.totals.connections {
            progress.connects(stage, device, broker.session(device).completed());
        }
        if power == Power::Lost {
            let memory = devices[device].lose_power(stage, links);
            broker.device_lost_power(stage, device, memory);
        }
    }

    /// An attempt to connect has ended.
    fn opened(&mut self, link: usize) {
        let Self { stage, devices, broker, links, .. } = self;
        let device = links[link].device;
        if devices[device].link() != Some(link) {
            return;
        }
        if links[link].refused || !broker.is_up() {
            devices[device].close(stage, links);
        } else {
            links[link].broker_open = true;
            devices[device].opened(stage);
        }
        self.drive(device);
    }

    /// A fault occurs.
    fn fault(&mut self) {
        let Self { stage, devices, broker, links, .. } = self;
        let device = stage.rng.usize(..devices.len());
        let link = devices[device].link().filter(|link| links[*link].broker_open);
        match (stage.rng.u32(..22), link) {
            (0..=4, Some(link)) => {
                stage.fault(device, Fault::Cut);
                for (way, side) in [(Way::Up, Side::Broker), (Way::Down, Side::Device)] {
                    links[link].cut(stage, way);
                    let late = 1 << stage.rng.u64(1..15);
                    stage.plan(late, Event::Dead { link, side });
                }
            }
            (5..=7, Some(link)) => {
                stage.fault(device, Fault::HalfOpen);
                let (up, down) = *crate::setup::pick(
                    &mut stage.rng,
                    &[(true, true), (true, false), (false, true)],
                );
                if up {
                    links[link].cut(stage, Way::Up);
                }
                if down {
                    links[link].cut(stage, Way::Down);
                    stage.plan(0, Event::Notice { link });
                }
                if up && stage.rng.bool() {
                    stage.fault(device, Fault::Bottomless);
                    links[link].takes_all();
                }
            }
            (8..=11, Some(link)) => {
                stage.fault(device, Fault::Stall);
                let millis = 1 << stage.rng.u64(5..17);
                let both = stage.rng.bool();
                let up = stage.rng.bool();
                if both || up {
                    links[link].stall(stage, Way::Up, millis);
                }
                if both || !up {
                    links[link].stall(stage, Way::Down, millis);
                }
            }
            (12, _) => {
                stage.fault(device, Fault::BrokerRestart);
                self.crash(false);
            }
            (13, _) => {
                stage.fault(device, Fault::BrokerReset);
                self.crash(true);
            }
            (14, _) => {
                let connections = stage.rng.u32(2..8);
                broker.kick_out(device, connections);
                if let Some(link) = link {
                    stage.plan(1, Event::Dead { link, side: Side::Broker });
                }
            }
            (15, _) => {
                let codes = [
                    Refusal::IdentifierRejected,
                    Refusal::ServerUnavailable,
                    Refusal::BadLogin,
                    Refusal::NotAuthorized,
                ];
                let refusal = *crate::setup::pick(&mut stage.rng, &codes);
                let connections = stage.rng.u32(1..5);
                broker.refuse(device, refusal, connections);
                if let Some(link) = link {
                    stage.plan(1, Event::Dead { link, side: Side::Broker });
                }
            }
            (0..=11, None) | (16.., _) => {
                let actions = stage.rng.u32(..12);
                devices[device].will_lose_power(actions);
            }
        }
    }

    fn crash(&mut self, reset: bool) {
        let Self { stage, broker, links, .. } = self;
        if broker.is_up() {
            broker.crash(stage, links, reset);
            let down = 1 << stage.rng.u64(3..16);
            stage.plan(down, Event::BrokerUp);
        }
    }

    /// From now on there are no faults.
    fn heal(&mut self) {
        let Self { stage, devices, broker, links, .. } = self;
        stage.heal();
        broker.heal();
        for (index, link) in links.iter_mut().enumerate() {
            link.heal(stage);
            if link.is_cut() {
                for side in [Side::Device, Side::Broker] {
                    let late = stage.rng.u64(1..LAST_ENDS);
                    stage.plan(late, Event::Dead { link: index, side });
                }
            }
        }
        for (index, device) in devices.iter_mut().enumerate() {
            device.keeps_power();
            let soon = stage.rng.u64(..1_000);
            stage.plan(soon, Event::Tick { device: index });
        }
        self.probe_from = self.stage.now + LAST_ENDS;
        self.stage.plan(LOOK, Event::Look);
    }

    /// Whether something is left to do.
    fn look(&mut self) -> bool {
        let Self { stage, devices, broker, links, .. } = self;
        let left: usize = devices.iter().map(|device| device.left_to_do()).sum();
        let left = (left, broker.left_to_do(&stage.ledger));
        // After a restart a device may have more to do.
        let powered = devices.iter().all(Device::has_power);
        if !powered {
            self.progress.work_was_added(stage.now);
        }
        let goes_on = !powered || self.progress.note(stage.now, left);
        let now = stage.now;
        let waits = |device: &&Device| {
            let session = broker.session(device.index());
            let linked = session.link().is_some_and(|link| device.link() == Some(link));
            !device.is_idle(now) || !session.is_idle(&stage.ledger, device.index()) || !linked
        };
        // A device that is offline is blamed before one that still receives wills.
        let undone = devices.iter().filter(waits).min_by_key(|device| device.is_up());
        // All has to be done at two checks in a row, on the same connections, as something may be about to begin.
        let done = undone.is_none().then_some(links.len());
        let before = std::mem::replace(&mut self.done, done);
        if done.is_some() && before == done && stage.now >= self.probe_from {
            if std::mem::replace(&mut self.probes, true) {
                return false;
            }
            for device in devices {
                device.probe(stage, broker.manners());
            }
            self.progress.work_was_added(stage.now);
            self.done = None;
        } else if let Some(device) = undone.filter(|_| !goes_on) {
            let index = device.index();
            let under_way = broker.session(index).under_way();
            stage.fail(Invariant::Healing, index, || {
                format!(
                    "long after the last fault nothing goes on: {}; at the broker (in flight, \
                     queued, incoming): {under_way:?}",
                    device.under_way()
                )
            });
        }
        stage.plan(LOOK, Event::Look);
        true
    }

    /// All is done. Checks that it was done right.
    fn judge(&mut self) {
        let Self { stage, devices, broker, .. } = self;
        checks::everything_accepted_has_arrived(stage);
        for (index, device) in devices.iter().enumerate() {
            checks::everything_due_was_received(stage, index);
            for probe in device.probes() {
                checks::a_probe_gets_through(stage, index, probe);
            }
            let Some(client) = device.client_to_judge(stage) else { continue };
            let session = broker.session(index);
            let position = |kept: &Subscription<'_>| {
                let filter = FILTERS.iter().position(|known| *known == kept.filter.as_str());
                filter.expect("a filter of this world")
            };
            // The renewal of a filter that the broker does not take may still wait for its time-out, and others with it.
            let stands_in_the_way =
                client.subscriptions().any(|kept| !broker.manners().take_filter(position(&kept)));
            for kept in client.subscriptions() {
                let filter = position(&kept);
                let expected: Option<QoS> = broker.grant(filter, kept.qos, client.protocol());
                let granted = session.granted(filter);
                let uncertain = stands_in_the_way || device.is_uncertain(filter);
                if expected.is_some() && granted.is_none() && !uncertain {
                    stage.fail(Invariant::Subscriptions, index, || {
                        format!("{kept:?} is kept by the client and unknown to the broker")
                    });
                }
            }
        }
    }
}

/// Nothing that the broker sends arrives. The device has to notice it.
fn notices(stage: &mut Stage<'_>, link: &Link, device: &Device, number: usize) {
    let Some(patience) = device.notices_after().filter(|_| device.is_up()) else { return };
    let due = link.last_heard().max(device.distracted_until()) + patience;
    if stage.now < due {
        stage.agenda.plan(due, Event::Notice { link: number });
    } else if link.is_mute() {
        checks::gives_a_mute_link_up(stage, device.index(), link.last_heard());
    }
}
