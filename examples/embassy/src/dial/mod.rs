//! Transports, each in a file that can be copied.
//!
//! TCP needs none of these if the traits of edge-nal or embedded-nal-async are enough:
//! `mqtt_core::driver::asynch::{Edge, Nal}`.

pub mod embassy_net;
pub mod serial;
pub mod tls;
