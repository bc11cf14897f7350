//! The faults of a world, one after the other.

use mqtt_core::Refusal;

use super::World;
use crate::{
    agenda::Event,
    faults::Fault,
    landscape::Landscape,
    link::{Side, Way},
    setup::pick,
};

impl World<'_> {
    /// A fault occurs.
    pub(super) fn fault(&mut self) {
        let device = self.stage.rng.usize(..self.devices.len());
        if self.land != Landscape::One && self.stage.one_in(4) {
            self.takes_an_endpoint_away(device);
            return;
        }
        let broker = self.broker_to_strike(device);
        let Self { stage, devices, brokers, links, .. } = self;
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
                let (up, down) =
                    *pick(&mut stage.rng, &[(true, true), (true, false), (false, true)]);
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
                self.crash(broker, false);
            }
            (13, _) => {
                stage.fault(device, Fault::BrokerReset);
                self.crash(broker, true);
            }
            (14, _) => {
                let connections = stage.rng.u32(2..8);
                brokers[broker].kick_out(device, connections);
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
                let refusal = *pick(&mut stage.rng, &codes);
                let connections = stage.rng.u32(1..5);
                brokers[broker].refuse(device, refusal, connections);
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

    /// The broker of this device's connection, or any other one.
    fn broker_to_strike(&mut self, device: usize) -> usize {
        let Self { stage, devices, brokers, links, .. } = self;
        match devices[device].link() {
            Some(link) => links[link].broker,
            None if brokers.len() == 1 => 0,
            None => stage.rng.usize(..brokers.len()),
        }
    }

    fn crash(&mut self, broker: usize, reset: bool) {
        let Self { stage, brokers, links, .. } = self;
        if brokers[broker].is_up() {
            brokers[broker].crash(stage, links, reset);
            let down = 1 << stage.rng.u64(3..16);
            stage.plan(down, Event::BrokerUp { broker });
        }
    }

    /// A node of the cluster, or one of several brokers, cannot be reached for a while, so its clients go elsewhere.
    fn takes_an_endpoint_away(&mut self, device: usize) {
        let Self { stage, land, brokers, links, reachable, .. } = self;
        let endpoint = stage.rng.u8(..reachable.len() as u8);
        if !std::mem::replace(&mut reachable[usize::from(endpoint)], false) {
            return;
        }
        let away = 1 << stage.rng.u64(3..19);
        stage.plan(away, Event::EndpointUp { endpoint });
        stage.fault(device, Fault::EndpointAway);
        let broker = &mut brokers[land.broker_at(endpoint)];
        // The other nodes publish the wills of its clients.
        let wills = *land == Landscape::Cluster;
        broker.loses_endpoint(stage, links, endpoint, wills);
        if !wills && stage.one_in(4) {
            stage.fault(device, Fault::BrokerReset);
            broker.loses_sessions(stage);
        }
    }
}
