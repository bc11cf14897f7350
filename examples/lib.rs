//! Code that the examples share. The examples are the files beside the manifest of this package.
//!
//! - `quickstart`, a package of its own in its folder: two clients talk through a broker, and every packet is shown.
//! - `pub`, `sub`: clients for daily use, with the options of `mosquitto_pub` and `mosquitto_sub`. `README.md` beside
//!   the manifest lists each of them, and the features `tls` and `websocket`.
//!
//! - `fleet`: thousands of sessions in one thread, over non-blocking sockets.
//! - `fota`, a package of its own in its folder: firmware update, with two slots in flash and a watchdog.
//! - `cluster`: one session over several brokers, of which some may fail.
//! - `sleepy_node`: a device that sleeps, with few wake-ups.
//!
//! ```sh
//! cargo run --release --example quickstart
//! cargo run --release --example sub -- -h localhost -t 'a/#' -v
//! cargo run --release --example pub -- -h localhost -t a/b -m hello -q 1
//! cargo run --release --example pub -- -h localhost -t a/b -m hello -q 1 --trace pub.pcapng && wireshark pub.pcapng
//! ```

pub mod arguments;
pub mod broker;
pub mod common;
pub mod connection;
pub mod format;
pub mod json;
pub mod link_health;
#[cfg(test)]
mod link_health_tests;
pub mod print;
pub mod sequence;
pub mod trace;

/// The code of the pages is compiled, and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../docs/link-health.md")]
    mod link_health {}
    #[doc = include_str!("../docs/sleepy-node.md")]
    mod sleepy_node {}
}
