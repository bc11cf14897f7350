//! NATS with its MQTT listener, `nats-server`. Sessions and retained messages live in JetStream, in its folder.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use super::daemon::{Daemon, Recipe, found, version_of};
use super::{
    DOLLAR, Engine, FINDS_THE_VERSION, Known, RECLAIM_CLOSED, TAKES_BACK, TELLS_THE_GRANT,
    Untakeable,
};
use crate::broker::free_port;

pub(super) const ENGINE: Engine = Engine {
    name: "NATS",
    version: || version_of(&found("nats-server")?, &["--version"]),
    start: || {
        Box::new(Daemon::start(Recipe {
            name: "nats",
            ready: "Server is ready",
            taken: "address already in use",
            command: Box::new(|folder, port| {
                let file = folder.join("nats.conf");
                let text = CONFIG
                    .replace("HOST", &Ipv4Addr::LOCALHOST.to_string())
                    .replace("OTHER", &free_port().to_string())
                    .replace("PORT", &port.to_string())
                    .replace("FOLDER", &folder.display().to_string());
                fs::write(&file, text).expect("the folder is writable");
                let mut command = Command::new(crate::process::program("nats-server"));
                command.arg("-c").arg(file);
                command
            }),
        }))
    },
    logins: true,
    untakeable: Some(Untakeable {
        topic: "a blank",
        len: 1,
        why: "a blank in the topic",
        statement: "[MQTT-3.3.5-1]",
    }),
    known: KNOWN,
};

/// It always has a listener for its own protocol as well.
const CONFIG: &str = r#"server_name: n
listen: "HOST:OTHER"
jetstream { store_dir: "FOLDER/store" }
authorization { users: [ { user: anyone, password: anyone }, { user: u, password: p } ] }
no_auth_user: anyone
mqtt { listen: "HOST:PORT" }
"#;

const KNOWN: &[Known] = &[
    Known::new(&["3.1"], "does not speak 3.1", "allowed by [MQTT-3.1.2-1]", FINDS_THE_VERSION),
    Known::new(&["QoS 2"], "grants QoS 1", "allowed by [MQTT-3.8.4-6]", TELLS_THE_GRANT),
    Known::new(
        &["QoS 2"],
        "closes the connection before an answer to a QoS 2 publish",
        "[MQTT-4.3.3-2]",
        "clean session: `Lost`; otherwise `Stuck` after three connections, and `cancel` takes it back",
    ),
    Known::new(
        &["QoS 2 after a restart"],
        "closes each connection before an answer to a QoS 2 publish",
        "[MQTT-4.3.3-2]",
        TAKES_BACK,
    ),
    Known::new(
        &["QoS 2 after a restart"],
        "closes the connection at a PUBREL for an unknown packet id",
        "[MQTT-4.3.3-2]",
        RECLAIM_CLOSED,
    ),
    Known::new(&["$-topics"], "`+/leaf` matches `$private/leaf`", "[MQTT-4.7.2-1]", DOLLAR),
    Known::new(
        &["untakeable publish"],
        "closes at a publish that it does not take (a blank in the topic)",
        "[MQTT-3.3.5-1]",
        TAKES_BACK,
    ),
];
