//! Mosquitto, the reference broker: [`Mosquitto`] as one of many.

use std::net::SocketAddr;

use super::daemon::{found, version_of};
use super::{Broker, Engine, Known, MAY_REFUSE, TAKES_BACK, Untakeable};
use crate::broker::{Config, Mosquitto};

/// Larger packets end the connection.
const MAX_PACKET: &str = "max_packet_size 150000";

pub(super) const ENGINE: Engine = Engine {
    name: "Mosquitto",
    version: || version_of(&found("mosquitto")?, &["-h"]),
    start: || {
        // In one broker: nobody needs a login, and a wrong one is refused.
        let config = Config::new().login("u", "p").line("allow_anonymous true").line(MAX_PACKET);
        Box::new(config.line("set_tcp_nodelay true").start())
    },
    logins: true,
    untakeable: Some(Untakeable {
        topic: "untakeable",
        len: 200_000,
        why: "`max_packet_size`",
        statement: MAY_REFUSE,
    }),
    known: KNOWN,
};

const KNOWN: &[Known] = &[Known::new(
    &["untakeable publish"],
    "closes at a publish that it does not take (`max_packet_size`)",
    MAY_REFUSE,
    TAKES_BACK,
)];

impl Broker for Mosquitto {
    fn address(&self) -> SocketAddr {
        self.address()
    }

    #[track_caller]
    fn kill(&mut self) {
        self.kill();
    }

    #[track_caller]
    fn stop(&mut self) {
        self.stop();
    }

    #[track_caller]
    fn start_again(&mut self) {
        self.start_again();
    }
}
