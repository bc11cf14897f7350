//! Three nodes of RabbitMQ. Quorum queues keep each session on all of them.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Cluster, Helper, Kind};
use crate::brokers::daemon::{Daemon, Recipe};
use crate::brokers::rabbitmq::{self, CONFIG, LISTEN, PLUGINS};

pub(super) const KIND: Kind = Kind {
    name: "RabbitMQ",
    missing: rabbitmq::missing,
    start: || {
        let (names, port) = rabbitmq::start_names();
        // The first one has to be there when the others join it.
        let nodes = ["r1@localhost", "r2@localhost", "r3@localhost"];
        let nodes = nodes.map(|name| Daemon::start(node(name, port)));
        Cluster { nodes, _helper: Helper::Names(names) }
    },
};

/// A node. At its first start it joins the first one.
fn node(name: &'static str, names_port: u16) -> Recipe {
    let recipe = rabbitmq::node(name, names_port, PLUGINS, |port| {
        [LISTEN, CONFIG, CLUSTER].concat().replace("PORT", &port.to_string())
    });
    Recipe {
        command: Box::new(move |folder, port| {
            write_cookie(folder);
            (recipe.command)(folder, port)
        }),
        ..recipe
    }
}

const CLUSTER: &str = "\
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = r1@localhost
cluster_partition_handling = pause_minority
mqtt.durable_queue_type = quorum
";

/// Nodes talk to each other if they have the same cookie. Others must not be able to read it.
fn write_cookie(folder: &Path) {
    let file = folder.join(".erlang.cookie");
    if !file.exists() {
        let mut options = fs::OpenOptions::new();
        let cookie = options.write(true).create_new(true).mode(0o400).open(file);
        let mut cookie = cookie.expect("the folder is writable");
        std::io::Write::write_all(&mut cookie, b"TESTS").expect("there is room");
    }
}
