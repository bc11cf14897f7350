//! A world: devices, brokers, links between them, one event after the other. [`striking`] has the faults, [`healing`] the
//! end of a run.

mod healing;
mod striking;

use crate::{
    agenda::Event,
    broker::Broker,
    checks,
    device::{Device, Power},
    landscape::Landscape,
    link::{Link, Side, Way},
    progress::Progress,
    setup::Setup,
    stage::Stage,
    trace::{Trace, What},
};
use healing::Healing;

/// Milliseconds between two actions of an application after faults have stopped.
const HEALING: u64 = 500;
/// Milliseconds between two checks if all is done.
const LOOK: u64 = 3_000;
/// The most endpoints of one broker.
const MOST_ENDPOINTS: u8 = 3;

/// A world.
pub(crate) struct World<'t> {
    pub(crate) stage: Stage<'t>,
    land: Landscape,
    devices: Vec<Device>,
    brokers: Vec<Broker>,
    /// By endpoint.
    reachable: Vec<bool>,
    links: Vec<Link>,
    fault_gap: u64,
    tick_gap: u64,
    progress: Progress,
    healing: Healing,
}

impl<'t> World<'t> {
    /// The world of `seed`.
    pub(crate) fn new(seed: u64, faults: bool, trace: &'t mut Trace) -> Self {
        let (mut setup, rng) = Setup::of(seed);
        if !faults {
            setup.tame();
        }
        let Setup { devices, land, brokers, duration, fault_gap, tick_gap } = setup;
        let slots = || devices.iter().map(|device| device.window);
        let mut brokers: Vec<_> = brokers
            .into_iter()
            .enumerate()
            .map(|(index, broker)| Broker::new(index, broker, slots()))
            .collect();
        for broker in &mut brokers {
            for (index, device) in devices.iter().enumerate() {
                broker.spies_on(index, device);
            }
        }
        let progress = Progress::new(&devices);
        let mut stage = Stage::new(rng, trace);
        stage.faults_on = faults;
        stage.ledger.open(devices.len(), brokers.len());
        let devices: Vec<Device> = devices
            .into_iter()
            .enumerate()
            .map(|(index, setup)| Device::new(index, setup, land))
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
            land,
            devices,
            brokers,
            reachable: vec![true; usize::from(land.endpoints().unwrap_or(MOST_ENDPOINTS))],
            links: Vec::new(),
            fault_gap,
            tick_gap,
            progress,
            healing: Healing::default(),
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
        let Self { stage, devices, brokers, links, .. } = self;
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
                let broker = &mut brokers[links[link].broker];
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
            Event::Dead { link, side: Side::Broker } => {
                brokers[links[link].broker].ended(stage, links, link);
            }
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
            Event::KeepAlive { link } => {
                brokers[links[link].broker].keep_alive(stage, links, link);
            }
            Event::Pong { link } => brokers[links[link].broker].pong(stage, links, link),
            Event::Notice { link } => {
                let device = &devices[links[link].device];
                if device.link() == Some(link) {
                    notices(stage, &links[link], device, link);
                }
            }
            Event::BrokerUp { broker } => {
                brokers[broker].set_up();
                stage.note(0, What::BrokerUp);
            }
            Event::EndpointUp { endpoint } => {
                // Once faults have stopped, the healing decides.
                if !stage.healing {
                    self.reachable[usize::from(endpoint)] = true;
                }
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
        let Self { stage, devices, brokers, links, progress, .. } = self;
        let before = stage.totals.connections;
        let power = devices[device].drive_and_note(stage, links);
        let completed = || brokers.iter().map(|broker| broker.session(device).completed()).sum();
        for _ in before..stage.totals.connections {
            progress.connects(stage, device, completed());
        }
        if power == Power::Lost {
            let memory = devices[device].lose_power(stage, links);
            for (broker, memory) in brokers.iter_mut().zip(memory) {
                broker.device_lost_power(stage, device, memory);
            }
        }
    }

    /// An attempt to connect has ended.
    fn opened(&mut self, link: usize) {
        let Self { stage, devices, brokers, links, reachable, .. } = self;
        let Link { device, broker, endpoint, refused, .. } = links[link];
        if devices[device].link() != Some(link) {
            return;
        }
        if refused || !reachable[usize::from(endpoint)] || !brokers[broker].is_up() {
            devices[device].close(stage, links);
        } else {
            links[link].broker_open = true;
            devices[device].opened(stage);
        }
        self.drive(device);
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
