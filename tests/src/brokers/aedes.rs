//! aedes, a broker for Node.js, as a program of a few lines. It keeps everything in memory.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::daemon::{Daemon, GET, Recipe, found, version_of};
use super::{Engine, Known, MAY_REFUSE, NO_DUP, NO_SESSION, TAKES_BACK, Untakeable, packages};

pub(super) const ENGINE: Engine = Engine {
    name: "aedes",
    version: || {
        let node = version_of(&found("node")?, &["--version"])?;
        if node
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .is_none_or(|major: u32| major < NODE)
        {
            return Err(format!("aedes needs Node.js {NODE}, and this is {node}"));
        }
        let manifest = packages().join("npm/node_modules/aedes/package.json");
        let text = fs::read_to_string(manifest).map_err(|_| format!("aedes is missing; {GET}"))?;
        let line = text.lines().find(|line| line.trim_start().starts_with("\"version\""));
        let version = line.and_then(|line| line.split('"').nth(3));
        version.map(str::to_owned).ok_or_else(|| "aedes does not say its version".to_owned())
    },
    start: || {
        Box::new(Daemon::start(Recipe {
            name: "aedes",
            ready: "listening",
            taken: "EADDRINUSE",
            command: Box::new(|folder, port| {
                let file = folder.join("broker.mjs");
                fs::write(&file, include_str!("aedes.mjs")).expect("the folder is writable");
                link_packages(folder);
                let mut command = Command::new(crate::process::program("node"));
                command.arg(file).args([Ipv4Addr::LOCALHOST.to_string(), port.to_string()]);
                command
            }),
        }))
    },
    logins: true,
    untakeable: Some(Untakeable {
        topic: "forbidden",
        len: 1,
        why: "`authorizePublish`",
        statement: MAY_REFUSE,
    }),
    known: KNOWN,
};

/// Node.js looks for packages beside the program.
pub(crate) fn link_packages(folder: &Path) {
    let modules = folder.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(packages().join("npm/node_modules"), modules)
            .expect("the folder is writable");
    }
}

/// The oldest version of Node.js that aedes supports.
const NODE: u32 = 20;

const KNOWN: &[Known] = &[
    Known::new(
        &["untakeable publish"],
        "closes at a publish that it does not take (`authorizePublish`)",
        MAY_REFUSE,
        TAKES_BACK,
    ),
    Known::new(
        &["session resumed"],
        "sends a new message before queued ones",
        "[MQTT-4.6.0-6]",
        "hands them over in the order of arrival",
    )
    .sometimes(),
    Known::new(
        &["session without subscriptions"],
        "session present 0 for a session without subscriptions",
        "[MQTT-3.2.2-2]",
        NO_SESSION,
    ),
    Known::new(
        &["message cut at PUBACK", "message cut at PUBLISH", "message cut at PUBREC"],
        "sends a PUBLISH again without DUP",
        "[MQTT-3.3.1-1]",
        NO_DUP,
    ),
    Known::new(&["old id with one seed"], OLD_ID, "[MQTT-3.2.2-2]", OLD_ID_CLIENT),
];

/// A session without subscriptions keeps its packet ids of QoS 2.
const OLD_ID: &str =
    "takes a new QoS 2 message for one from before a restart, with session present 0";
const OLD_ID_CLIENT: &str = "cannot know: `Published`, and the message is lost; \
     another `Reconnect::seed` at each start prevents that, and so does any subscription";
