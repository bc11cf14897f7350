//! The end of a run: faults stop, and everything that was accepted has to be done.
//!
//! If there are several brokers, all of them can be reached at first. Then each broker in turn is the only one, so every
//! client visits every broker once more: what waited there comes, and its subscriptions are there. In the end each
//! application begins something new at each broker, and that has to get through as well. A client that chooses its
//! version by itself speaks 3.1.1 again, if the broker does, at the latest after some connections.

use mqtt_core::{QoS, Subscription};

use super::{LOOK, World};
use crate::{
    agenda::Event,
    broker::Broker,
    checks::{self, Invariant},
    device::Device,
    landscape::Landscape,
    ledger::Pair,
    link::Side,
    topics::FILTERS,
    trace::What,
};

/// Milliseconds after the last fault in which both sides learn of a cut link.
const LAST_ENDS: u64 = 30_000;

/// After so many connections a client speaks the best version again.
const MOST_NUDGES: u32 = 10;

/// How far the healing has come.
#[derive(Debug, Default)]
pub(super) struct Healing {
    /// The brokers to visit, the next one last.
    ahead: Vec<usize>,
    /// The only broker that can be reached; `None`: all can be.
    only: Option<usize>,
    /// All was done, and the applications have begun something new. Before this time, some links may still end.
    probes: bool,
    probe_from: u64,
    /// How often all connections to the present broker were ended, to let clients choose their version anew.
    nudges: u32,
    /// All was done at the last check, when this was the last link in use.
    done: Option<Option<usize>>,
}

impl World<'_> {
    /// From now on there are no faults.
    pub(super) fn heal(&mut self) {
        let Self { stage, devices, brokers, links, reachable, .. } = self;
        stage.heal();
        for broker in brokers.iter_mut() {
            broker.heal();
        }
        reachable.fill(true);
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
        if let Landscape::Separate(_) = self.land {
            self.healing.ahead = (0..brokers.len()).collect();
            stage.rng.shuffle(&mut self.healing.ahead);
        }
        self.healing.probe_from = self.stage.now + LAST_ENDS;
        self.stage.plan(LOOK, Event::Look);
    }

    /// Whether something is left to do.
    pub(super) fn look(&mut self) -> bool {
        let Self { stage, devices, brokers, links, .. } = self;
        let left: usize = devices.iter().map(|device| device.left_to_do()).sum();
        let waits_there = brokers.iter().map(|broker| broker.left_to_do(&stage.ledger));
        let left = (left, waits_there.sum());
        // After a restart a device may have more to do.
        let powered = devices.iter().all(Device::has_power);
        if !powered {
            self.progress.work_was_added(stage.now);
        }
        let goes_on = !powered || self.progress.note(stage.now, left);
        let now = stage.now;
        let Healing { only, .. } = self.healing;
        let broker_of = |device: &Device| only.or_else(|| Some(links[device.link()?].broker));
        let waits = |device: &&Device| {
            let Some(broker) = broker_of(device) else { return true };
            let session = brokers[broker].session(device.index());
            let linked = session.link().is_some_and(|link| device.link() == Some(link));
            !device.is_idle(now) || !session.is_idle(&stage.ledger) || !linked
        };
        // A device that is offline is blamed before one that still receives wills.
        let wanted = || devices.iter().filter(|device| may_use(device, brokers, only));
        let undone = wanted().filter(waits).min_by_key(|device| device.is_up());
        // All has to be done at two checks in a row, on the same connections, as something may be about to begin.
        let done = undone.is_none().then(|| wanted().filter_map(Device::link).max());
        let before = std::mem::replace(&mut self.healing.done, done);
        if done.is_some() && before == done && stage.now >= self.healing.probe_from {
            if !self.goes_on() {
                return false;
            }
            self.progress.work_was_added(self.stage.now);
            self.healing.done = None;
        } else if let Some(device) = undone.filter(|_| !goes_on) {
            let index = device.index();
            let broker = broker_of(device).unwrap_or(0);
            let under_way = brokers[broker].session(index).under_way();
            stage.fail(Invariant::Healing, index, || {
                format!(
                    "long after the last fault nothing goes on: {}; at the broker (in flight, \
                     queued, incoming): {under_way:?}",
                    device.under_way()
                )
            });
        }
        self.stage.plan(LOOK, Event::Look);
        true
    }

    /// All is done. Begins something new, or goes to the next broker. Returns false if nothing is left.
    fn goes_on(&mut self) -> bool {
        let on_tour = self.brokers.len() > 1;
        let Healing { only, probes, .. } = self.healing;
        if !probes && (only.is_some() || !on_tour) {
            self.healing.probes = true;
            let Self { devices, brokers, stage, .. } = self;
            for device in devices.iter_mut().filter(|device| may_use(device, brokers, only)) {
                device.probe(stage, brokers[only.unwrap_or(0)].manners());
            }
            return true;
        }
        if only.is_some() || !on_tour {
            if self.nudges_fallen(only.unwrap_or(0)) {
                return true;
            }
            self.judge_visit(only.unwrap_or(0));
        }
        let Some(next) = self.healing.ahead.pop() else { return false };
        self.visit(next);
        true
    }

    /// Ends all connections to `broker` if a client should choose another version there.
    fn nudges_fallen(&mut self, broker: usize) -> bool {
        let Self { stage, devices, brokers, links, reachable, healing, .. } = self;
        let Some(fallen) = devices.iter().find(|device| device.has_fallen(&brokers[broker])) else {
            return false;
        };
        if healing.nudges == MOST_NUDGES {
            checks::speaks_the_best_version(stage, fallen.index(), MOST_NUDGES);
            return false;
        }
        healing.nudges += 1;
        for endpoint in 0..reachable.len() as u8 {
            brokers[broker].loses_endpoint(stage, links, endpoint, false);
        }
        true
    }

    /// From now on only `broker` can be reached.
    fn visit(&mut self, broker: usize) {
        self.healing.only = Some(broker);
        self.healing.probes = false;
        self.healing.nudges = 0;
        let Self { stage, land, brokers, links, reachable, .. } = self;
        stage.note(0, What::Only { broker: broker as u8 });
        for endpoint in 0..reachable.len() as u8 {
            let its = land.broker_at(endpoint);
            reachable[usize::from(endpoint)] = its == broker;
            if its != broker {
                brokers[its].loses_endpoint(stage, links, endpoint, false);
            }
        }
    }

    /// All is done at every broker. Checks that it was done right.
    pub(super) fn judge(&mut self) {
        let Self { stage, devices, brokers, .. } = self;
        checks::everything_accepted_has_arrived(stage);
        for device in 0..devices.len() {
            for broker in 0..brokers.len() {
                checks::everything_due_was_received(stage, Pair { device, broker });
            }
        }
    }

    /// All is done at `broker`.
    fn judge_visit(&mut self, broker: usize) {
        let Self { stage, devices, brokers, .. } = self;
        let pair = |device| Pair { device, broker };
        let broker = &brokers[broker];
        let may_use = |(_, device): &(usize, &Device)| device.may_use(broker);
        for (index, device) in devices.iter().enumerate().filter(may_use) {
            let session = broker.session(index);
            checks::tells_of_each_end(stage, pair(index));
            for probe in device.probes() {
                checks::a_probe_gets_through(stage, index, probe);
            }
            let Some(client) = device.client_to_judge(stage) else { continue };
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
                let forgotten = broker.manners().forget_filter(filter) && !device.renews_always();
                let uncertain = stands_in_the_way || device.is_uncertain(filter) || forgotten;
                if expected.is_some() && granted.is_none() && !uncertain {
                    stage.fail(Invariant::Subscriptions, index, || {
                        format!("{kept:?} is kept by the client and unknown to the broker")
                    });
                }
            }
        }
    }
}

/// Whether the device can use a broker that can be reached.
fn may_use(device: &Device, brokers: &[Broker], only: Option<usize>) -> bool {
    match only {
        Some(broker) => device.may_use(&brokers[broker]),
        None => brokers.iter().any(|broker| device.may_use(broker)),
    }
}
