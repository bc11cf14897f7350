//! Clusters of brokers that this project did not write: three nodes that share the sessions of their clients, each in
//! a process of its own, on free loopback ports.

mod aedes;
mod nats;
mod rabbitmq;

use std::net::SocketAddr;

use crate::brokers::Broker;
use crate::brokers::daemon::Daemon;
use crate::process::Process;

/// A kind of cluster.
#[derive(Debug)]
pub struct Kind {
    /// Its name in messages.
    pub name: &'static str,
    /// Why it cannot be started here, if so.
    pub missing: fn() -> Result<(), String>,
    /// Starts one.
    pub start: fn() -> Cluster,
}

/// NATS with JetStream. It has no QoS 2.
pub const NATS: Kind = nats::KIND;

/// aedes with Redis.
pub const AEDES: Kind = aedes::KIND;

/// RabbitMQ with quorum queues. It has no QoS 2.
pub const RABBITMQ: Kind = rabbitmq::KIND;

/// Running nodes. They end when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: [Daemon; 3],
    _helper: Helper,
}

/// A program that the nodes need. It ends after them.
#[derive(Debug)]
#[expect(dead_code, reason = "it is only dropped")]
enum Helper {
    None,
    Store(Daemon),
    Names(Process),
}

impl Cluster {
    /// Where the nodes listen for MQTT.
    #[must_use]
    pub fn addresses(&self) -> [SocketAddr; 3] {
        self.nodes.each_ref().map(Broker::address)
    }

    /// Ends a node at once (SIGKILL).
    ///
    /// # Panics
    /// If it does not run, or there is no such node.
    pub fn kill(&mut self, node: usize) {
        self.nodes.get_mut(node).expect("there are three").kill();
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it still runs, does not start, or there is no such node.
    pub fn start_again(&mut self, node: usize) {
        self.nodes.get_mut(node).expect("there are three").start_again();
    }
}

/// Starts all nodes. `None` if another program has a port of one of them.
fn start(mut node: impl FnMut(usize) -> Option<Daemon>) -> Option<[Daemon; 3]> {
    Some([node(0)?, node(1)?, node(2)?])
}
