//! The harness of the system tests: real brokers, independent clients, scripted peers.
//!
//! A system test runs the crates against programs that this project did not write. Otherwise two halves of the project
//! might only agree with each other.
//!
//! - [`Mosquitto`]: a broker of the test's own, on a free loopback port, with its own configuration in a temporary
//!   folder; it can be stopped, killed, frozen and started again.
//! - [`Subscriber`], [`Publisher`] (`mosquitto_sub`, `mosquitto_pub`) and [`Paho`] (the Python client): the clients on
//!   the other side.
//! - [`Device`]: the client under test, with waits that have a limit.
//! - [`Link`] and [`FakeBroker`]: packets and raw bytes over a real TCP connection, for things that no real peer would
//!   do.
//! - [`Tap`]: a way between client and broker that is watched, and cut at a chosen packet.
//! - [`Line`]: a way between client and broker that is slow, stands still, or is off.
//! - [`brokers`] and [`conversations`]: other brokers, and one list of conversations that is held with any of them.
//! - [`clusters`]: nodes that share the sessions of their clients.
//! - [`Example`]: the examples as their users run them; [`embassy_program`]: those of `examples/embassy`.
//! - [`Capture`]: a capture file, as tshark reads it.
//! - [`session_over`]: a client over any stream, such as those of the transports; [`ProxyServer`]: proxies on the way.
//! - [`transports`]: a way to any broker over each transport, as a client of the library goes it.
//! - [`Tunnel`]: TLS in front of a plain connection.
//!
//! They keep these rules. No sleep stands for an event. Every wait has a limit; at the limit the test fails and names
//! the event that was awaited and those that came. If a program is missing, the test fails with the command that
//! installs it. Every process ends with the test that started it. If a message must *not* come, a later message shows
//! that by coming first; the test does not wait.
//!
//! ```no_run
//! use mqtt_core::QoS;
//! use system_tests::{Message, Mosquitto, Publisher, SOON, Subscriber};
//!
//! let broker = Mosquitto::start();
//! let subscriber = Subscriber::new(&broker, "s").filter("a/#", QoS::AtLeastOnce).start();
//! Publisher::new(&broker, "p").publish("a/b", b"hi", QoS::AtLeastOnce, false);
//! assert_eq!(subscriber.next(SOON), Message::new("a/b", b"hi", QoS::AtLeastOnce, false));
//! ```

use mqtt_core::{Protocol, QoS, Reconnect, Version};

mod broker;
pub mod brokers;
mod capture;
pub mod clusters;
pub mod conversations;
mod device;
mod example;
mod fake_broker;
mod line;
mod link;
mod message;
mod mosquitto_clients;
mod over;
mod paho;
mod process;
mod proxies;
mod tap;
mod tls;
pub mod transports;

pub use broker::{Config, Mosquitto};
pub use capture::Capture;
pub use device::Device;
pub use example::{Done, Example, Running, embassy_program};
pub use fake_broker::{Door, FakeBroker};
pub use line::Line;
pub use link::{Frame, Link};
pub use message::{Message, content};
pub use mosquitto_clients::{Publisher, RawSubscriber, Subscriber, SubscriberConfig};
pub use over::{Over, session_over};
pub use paho::{Paho, PahoConfig};
pub use process::{Lines, Program, SOON};
pub use proxies::ProxyServer;
pub use tap::{Tap, Tapped, To, packets};
pub use tls::Tunnel;

/// All three, for loops.
pub const EVERY_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Both versions: the option, and the protocol that is then spoken.
pub const BOTH_VERSIONS: [(Version, Protocol); 2] =
    [(Version::V31, Protocol::V31), (Version::V311, Protocol::V311)];

/// A seed with which the packet ids of a client begin at 1, for tests that know the ids. Without a seed the blocking
/// client draws one, and begins elsewhere at each start.
pub const IDS_FROM_1: u32 = 0x144C_BC89;

/// Connects again within a moment, for tests that break connections.
pub const AGAIN_AT_ONCE: Reconnect = Reconnect::after(20).at_most(100).seed(IDS_FROM_1);
