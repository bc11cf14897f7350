//! rumqttd, a broker as a crate. A small program of this package runs it, so it can be killed and started again. It
//! keeps everything in memory.

use std::net::Ipv4Addr;
use std::process::Command;

use super::daemon::{Daemon, Recipe};
use super::{
    ANSWER_TIMEOUT, Engine, FINDS_THE_VERSION, Known, MAY_REFUSE, NO_DUP, RECLAIM_CLOSED,
    TAKES_BACK, Untakeable, profile_folder,
};

pub(super) const ENGINE: Engine = Engine {
    name: "rumqttd",
    version: || {
        let program = profile_folder().join(PROGRAM);
        if !program.is_file() {
            return Err(format!(
                "{} is missing; cargo builds it with the tests of this package",
                program.display()
            ));
        }
        locked_version(include_str!("../../../Cargo.lock"), "rumqttd")
            .ok_or_else(|| "no rumqttd in Cargo.lock".to_owned())
    },
    start: || {
        Box::new(Daemon::start(Recipe {
            name: "rumqttd",
            ready: "listening",
            taken: "taken",
            command: Box::new(|_, port| {
                let mut command = Command::new(profile_folder().join(PROGRAM));
                command.arg(format!("{}:{port}", Ipv4Addr::LOCALHOST));
                command
            }),
        }))
    },
    logins: false,
    untakeable: Some(Untakeable {
        topic: "untakeable",
        len: 200_000,
        why: "`max_payload_size`",
        statement: MAY_REFUSE,
    }),
    known: KNOWN,
};

const PROGRAM: &str = "rumqttd-server";

const KNOWN: &[Known] = &[
    Known::new(&["3.1"], "does not speak 3.1", "allowed by [MQTT-3.1.2-1]", FINDS_THE_VERSION),
    Known::new(
        &["lower QoS"],
        "delivers at QoS 1 with QoS 0 published and QoS 1 subscribed",
        "[MQTT-3.8.4-6]",
        "takes the QoS of the delivery",
    ),
    Known::new(
        &["retained"],
        "no retained message to a repeated subscription",
        "[MQTT-3.8.4-3]",
        "unsubscribe first to get it again",
    ),
    Known::new(
        &["unsubscribe"],
        "answers one UNSUBSCRIBE more than once",
        "[MQTT-3.10.4-6]",
        "ignores the later answers and counts them",
    ),
    Known::new(
        &["unsubscribe"],
        "no UNSUBACK for a filter that is not subscribed to",
        "[MQTT-3.10.4-5]",
        ANSWER_TIMEOUT,
    ),
    Known::new(
        &["$SYS"],
        "closes the connection before an answer to SUBSCRIBE",
        "[MQTT-3.8.4-1]",
        TAKES_BACK,
    ),
    Known::new(
        &["no will", "session wiped", "session lost"],
        "closes the connection before an answer to SUBSCRIBE",
        "[MQTT-3.8.4-1]",
        "tries again: the broker took the late end of an older connection for that of the new one",
    )
    .sometimes(),
    Known::new(
        &["untakeable publish"],
        "closes at a publish that it does not take (`max_payload_size`)",
        MAY_REFUSE,
        TAKES_BACK,
    ),
    Known::new(
        &["QoS 2 after a restart"],
        "closes the connection at a PUBREL for an unknown packet id",
        "[MQTT-4.3.3-2]",
        RECLAIM_CLOSED,
    ),
    Known::new(
        &["publish cut at PUBREL", "publish cut at PUBCOMP"],
        "closes each connection before an answer to a QoS 2 publish",
        "[MQTT-4.3.3-2]",
        TAKES_BACK,
    ),
    Known::new(
        &["publish cut at PUBREL"],
        "loses a message at a cut",
        "[MQTT-4.3.3-1]",
        "`Stuck` and then `Cancelled`: the message may not have arrived",
    ),
    Known::new(
        &["message cut at PUBACK", "message cut at PUBLISH", "message cut at PUBREC"],
        "sends a PUBLISH again without DUP",
        "[MQTT-3.3.1-1]",
        NO_DUP,
    ),
];

/// The version of a package in a `Cargo.lock`.
fn locked_version(lock: &str, package: &str) -> Option<String> {
    let (_, entry) = lock.split_once(&format!("name = \"{package}\"\n"))?;
    let version = entry.lines().next()?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}
