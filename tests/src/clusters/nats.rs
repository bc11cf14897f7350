//! Three nodes of NATS. JetStream keeps each session on all of them.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use super::{Cluster, Helper, Kind, start};
use crate::broker::free_port;
use crate::brokers::daemon::{Daemon, Recipe, found};

pub(super) const KIND: Kind = Kind {
    name: "NATS",
    missing: || found("nats-server").map(drop),
    start: || {
        for _ in 0..20 {
            let routes = [(); 3].map(|()| free_port());
            if let Some(nodes) = start(|number| Daemon::try_start(node(number, routes))) {
                return Cluster { nodes, _helper: Helper::None };
            }
        }
        panic!("ports were taken 20 times before NATS could bind them");
    },
};

/// A node and the ports on which the nodes talk to each other.
fn node(number: usize, routes: [u16; 3]) -> Recipe {
    let host = Ipv4Addr::LOCALHOST;
    let own = routes.get(number).copied().expect("there are three");
    let all = routes.map(|port| format!("nats://{host}:{port}")).join(", ");
    Recipe {
        name: "nats",
        ready: "Server is ready",
        taken: "address already in use",
        command: Box::new(move |folder, port| {
            let file = folder.join("nats.conf");
            let text = format!(
                "server_name: n{number}\n\
                 listen: \"{host}:{}\"\n\
                 jetstream {{ store_dir: \"{}/store\" }}\n\
                 cluster {{ name: c, listen: \"{host}:{own}\", routes: [{all}] }}\n\
                 mqtt {{ listen: \"{host}:{port}\", stream_replicas: 3 }}\n",
                free_port(),
                folder.display()
            );
            fs::write(&file, text).expect("the folder is writable");
            let mut command = Command::new(crate::process::program("nats-server"));
            command.arg("-c").arg(file);
            command
        }),
    }
}
