//! Three nodes of aedes, which keep the sessions in one Redis.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use super::{Cluster, Helper, Kind, start};
use crate::brokers::daemon::{Daemon, GET, Recipe, found};
use crate::brokers::{Broker, aedes, packages};

pub(super) const KIND: Kind = Kind {
    name: "aedes",
    missing: || {
        found("redis-server")?;
        found("node")?;
        let modules = packages().join("npm/node_modules");
        let there = |name| modules.join(name).is_dir();
        if ["aedes", "aedes-persistence-redis", "mqemitter-redis"].into_iter().all(there) {
            Ok(())
        } else {
            Err(format!("aedes for Redis is missing; {GET}"))
        }
    },
    start: || {
        let store = Daemon::start(Recipe {
            name: "redis",
            ready: "Ready to accept connections",
            taken: "Address already in use",
            command: Box::new(|folder, port| {
                let mut command = Command::new(crate::process::program("redis-server"));
                command.current_dir(folder).args(["--save", "", "--appendonly", "no"]);
                command.args(["--bind", &Ipv4Addr::LOCALHOST.to_string()]);
                command.args(["--port", &port.to_string()]);
                command
            }),
        });
        let redis = store.address().port();
        let nodes = start(|number| Some(Daemon::start(node(number, redis))));
        Cluster { nodes: nodes.expect("each one has a port"), _helper: Helper::Store(store) }
    },
};

fn node(number: usize, redis: u16) -> Recipe {
    Recipe {
        name: "aedes",
        ready: "listening",
        taken: "EADDRINUSE",
        command: Box::new(move |folder, port| {
            let file = folder.join("node.mjs");
            fs::write(&file, include_str!("aedes.mjs")).expect("the folder is writable");
            aedes::link_packages(folder);
            let mut command = Command::new(crate::process::program("node"));
            command.arg(file).args([format!("n{number}"), port.to_string(), redis.to_string()]);
            command
        }),
    }
}
