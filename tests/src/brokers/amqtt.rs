//! amqtt, a broker for Python. It keeps everything in memory.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use super::daemon::{Daemon, GET, Recipe, version_of};
use super::{
    ANSWER_TIMEOUT, BROKER_LOST, Engine, FINDS_THE_VERSION, Known, MAY_REFUSE, NO_SESSION,
    RECLAIM_TIMEOUT, Untakeable, packages,
};

/// The program, in a virtual environment.
const PROGRAM: &str = "pip/bin/amqtt";

pub(super) const ENGINE: Engine = Engine {
    name: "amqtt",
    version: || {
        let program = packages().join(PROGRAM);
        if !program.is_file() {
            return Err(format!("amqtt is missing; {GET}"));
        }
        version_of(&program, &["--version"])
    },
    start: || {
        Box::new(Daemon::start(Recipe {
            name: "amqtt",
            ready: "bind to",
            taken: "address already in use",
            command: Box::new(|folder, port| {
                let file = folder.join("amqtt.yaml");
                let address = format!("{}:{port}", Ipv4Addr::LOCALHOST);
                fs::write(&file, CONFIG.replace("ADDRESS", &address))
                    .expect("the folder is writable");
                let mut command = Command::new(packages().join(PROGRAM));
                command.arg("-c").arg(file).env("NO_COLOR", "1").env("COLUMNS", "500");
                command
            }),
        }))
    },
    logins: false,
    untakeable: Some(Untakeable {
        topic: "$private",
        len: 1,
        why: "a topic with `$`",
        statement: MAY_REFUSE,
    }),
    known: KNOWN,
};

const CONFIG: &str = "\
listeners:
  default:
    type: tcp
    bind: ADDRESS
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
";

const KNOWN: &[Known] = &[
    Known::new(&["3.1"], "does not speak 3.1", "allowed by [MQTT-3.1.2-1]", FINDS_THE_VERSION),
    Known::new(
        &["lower QoS"],
        "delivers at QoS 1 with QoS 0 published and QoS 1 subscribed",
        "[MQTT-3.8.4-6]",
        "takes the QoS of the delivery",
    ),
    Known::new(
        &["silent client"],
        "keeps a client that is silent for longer than its keep alive",
        "[MQTT-3.1.2-24]",
        "ends a dead connection itself",
    ),
    Known::new(
        &["one id twice"],
        "keeps the first of two clients with one id",
        "[MQTT-3.1.4-2]",
        "cannot know of the other one",
    ),
    Known::new(
        &["untakeable publish"],
        "acknowledges a publish that it does not take (a topic with `$`)",
        MAY_REFUSE,
        "`Published`",
    ),
    Known::new(
        &["untakeable publish"],
        "a message that was acknowledged is missing",
        "[MQTT-4.3.2-2]",
        BROKER_LOST,
    ),
    Known::new(
        &["QoS 2 after a restart"],
        "no PUBCOMP for an unknown packet id",
        "[MQTT-4.3.3-2]",
        RECLAIM_TIMEOUT,
    ),
    Known::new(
        &["session resumed"],
        "a message that was queued is missing",
        "[MQTT-3.1.2-5]",
        BROKER_LOST,
    ),
    Known::new(
        &["session wiped", "session lost"],
        "session present 1 after a clean session",
        "[MQTT-3.1.2-6]",
        "goes on with the session that the broker has",
    )
    .sometimes(),
    Known::new(
        &["publish cut at PUBREC", "publish cut at PUBREL", "publish cut at PUBCOMP"],
        "answers a publish twice",
        "[MQTT-4.3.3-2]",
        "ignores the second answer and counts it",
    )
    .sometimes(),
    Known::new(
        &["publish cut at PUBREC", "publish cut at PUBREL", "publish cut at PUBCOMP"],
        "an answer to a QoS 2 publish is missing on each connection",
        "[MQTT-4.3.3-2]",
        ANSWER_TIMEOUT,
    )
    .sometimes(),
    Known::new(
        MESSAGE_CUTS,
        "session present 0 for a session that it has",
        "[MQTT-3.2.2-2]",
        "takes the session for lost, and subscribes again",
    )
    .sometimes(),
    Known::new(
        &["session without subscriptions"],
        "session present 0 for a session without subscriptions",
        "[MQTT-3.2.2-2]",
        NO_SESSION,
    )
    .sometimes(),
    Known::new(MESSAGE_CUTS, "a message after a cut is missing", "[MQTT-3.3.5-1]", BROKER_LOST)
        .sometimes(),
    Known::new(CUTS, "loses a message at a cut", "[MQTT-4.3.3-1]", BROKER_LOST).sometimes(),
];

const MESSAGE_CUTS: &[&str] = &[
    "session resumed",
    "message cut at PUBACK",
    "message cut at PUBLISH",
    "message cut at PUBREC",
    "message cut at PUBREL",
    "message cut at PUBCOMP",
];

const CUTS: &[&str] = &[
    "publish cut at PUBREC",
    "publish cut at PUBREL",
    "publish cut at PUBCOMP",
    "message cut at PUBACK",
    "message cut at PUBLISH",
    "message cut at PUBREC",
    "message cut at PUBREL",
    "message cut at PUBCOMP",
];
