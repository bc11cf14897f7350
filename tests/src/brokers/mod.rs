//! Brokers that this project did not write, each in a process of its own, on free loopback ports, with its files in a
//! temporary folder.
//!
//! [`ENGINES`] lists them, one file each. [`conversations`](crate::conversations) talks to any of them. The known
//! differences from the standard are data beside each broker: a difference that is not listed fails the test, and so
//! does a listed one that the broker no longer shows.

pub(crate) mod aedes;
pub mod aedes_websocket;
mod amqtt;
pub(crate) mod daemon;
mod mosquitto;
mod nats;
pub(crate) mod rabbitmq;
mod rumqttd;

pub use rabbitmq::start_web as start_rabbitmq_web;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A running broker. It ends when this is dropped. If the test fails, its log is shown.
pub trait Broker: fmt::Debug {
    /// Where it listens for MQTT. The address is the same through all its starts.
    fn address(&self) -> SocketAddr;

    /// Ends it at once (SIGKILL), as a power cut would.
    ///
    /// # Panics
    /// If it does not run.
    fn kill(&mut self);

    /// Ends it in good order (SIGTERM).
    ///
    /// # Panics
    /// If it does not run, or does not end.
    fn stop(&mut self);

    /// Starts it again after [`kill`](Self::kill) or [`stop`](Self::stop): same port, same configuration, same folder.
    ///
    /// # Panics
    /// If it still runs, or does not start.
    fn start_again(&mut self);
}

/// A kind of broker: how to get it, how to start it, and how it differs from the standard.
#[derive(Debug)]
pub struct Engine {
    /// Its name in the table and in messages.
    pub name: &'static str,
    /// Its version, or why it cannot be started here.
    pub version: fn() -> Result<String, String>,
    /// Starts one, with a login for the user `u` (password `p`) and for everyone without a login.
    pub start: fn() -> Box<dyn Broker>,
    /// Whether it can refuse a login.
    pub logins: bool,
    /// A publish that it does not take, if it can be brought to that.
    pub untakeable: Option<Untakeable>,
    /// How it differs from the standard.
    pub known: &'static [Known],
}

/// A publish that a broker does not take.
#[derive(Clone, Copy, Debug)]
pub struct Untakeable {
    /// Its topic.
    pub topic: &'static str,
    /// Bytes of its payload.
    pub len: usize,
    /// Why the broker does not take it.
    pub why: &'static str,
    /// The statement that is broken or that allows it.
    pub statement: &'static str,
}

/// A difference from the standard that is known, as it stands in the table.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The conversations that show it.
    pub conversations: &'static [&'static str],
    /// The difference, in the words of the conversation.
    pub seen: &'static str,
    /// The statement that is broken or that allows it, as the conversation has it.
    pub statement: &'static str,
    /// The behaviour of the client in that case.
    pub client: &'static str,
    /// It depends on the moment, so a run need not show it.
    pub sometimes: bool,
}

impl Known {
    /// A difference that each run shows.
    #[must_use]
    pub const fn new(
        conversations: &'static [&'static str],
        seen: &'static str,
        statement: &'static str,
        client: &'static str,
    ) -> Self {
        Self { conversations, seen, statement, client, sometimes: false }
    }

    /// The same, but a run need not show it.
    #[must_use]
    pub const fn sometimes(self) -> Self {
        Self { sometimes: true, ..self }
    }
}

/// A broker may refuse a publish that a client is not authorized to make, or that is too large for it.
const MAY_REFUSE: &str = "allowed by [MQTT-3.3.5-2]";

/// Every kind of broker, Mosquitto first.
pub const ENGINES: &[&Engine] = &[
    &mosquitto::ENGINE,
    &nats::ENGINE,
    &rabbitmq::ENGINE,
    &aedes::ENGINE,
    &amqtt::ENGINE,
    &rumqttd::ENGINE,
];

// The behaviour of the client in cases that several brokers share.
const TELLS_THE_GRANT: &str = "`Subscribed` has the granted QoS";
const FINDS_THE_VERSION: &str = "`Version::Auto` finds the other version";
const TAKES_BACK: &str =
    "tries again; after three connections `Stuck` names the request, and `cancel` takes it back";
const ANSWER_TIMEOUT: &str = "`answer_timeout` ends the connection; \
     after three `Stuck` names the request, and `cancel` takes it back";
const DOLLAR: &str = "hands the message over";
const NO_SESSION: &str = "takes the session for lost: QoS 2 publishes in flight end as `Lost`; \
     with any subscription the session is found again";
const NO_DUP: &str = "knows a QoS 2 message by its packet id and hands it over once; \
     at QoS 1 it comes again, not marked";
const RECLAIM_TIMEOUT: &str = "before the first QoS 2 publish after a restart: `NotReclaimed` after `ping_timeout`; then goes on";
const RECLAIM_CLOSED: &str = "before the first QoS 2 publish after a restart: tries again; \
     after three connections `NotReclaimed`, and goes on";
const BROKER_LOST: &str = "cannot know: the broker acknowledged the message to its publisher";

/// The folder in `target` that holds the brokers from package registries. `cargo xtask brokers` and `cargo xtask test`
/// fill it.
pub(crate) fn packages() -> PathBuf {
    target_folder().join("xtask").join("brokers")
}

/// `target`, found from the path of the test program: `target/<profile>/deps/<program>`.
fn target_folder() -> PathBuf {
    profile_folder().parent().map_or_else(std::env::temp_dir, Path::to_path_buf)
}

/// `target/<profile>`.
fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its path");
    program.ancestors().nth(2).map_or_else(std::env::temp_dir, Path::to_path_buf)
}
