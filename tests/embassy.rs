//! The programs of `examples/embassy` with a real Mosquitto: over the sockets of the operating system, over embassy-net
//! and a TAP device, over TLS, and over a serial line.
//!
//! The counter of a device goes out at QoS 2, and its program says what happened to each number. A witness at QoS 0 gets
//! one copy of each message that the broker passes on, so it shows losses and doubles.

mod secured;

#[path = "embassy/async_node.rs"]
mod async_node;
#[path = "embassy/device.rs"]
mod device;
#[path = "embassy/serial.rs"]
mod serial;
#[path = "embassy/sockets.rs"]
mod sockets;
#[path = "embassy/tap.rs"]
mod tap;
#[path = "embassy/tls.rs"]
mod tls;
