//! Drivers: they move the bytes for a [`Client`](crate::Client) and tell it the time.
//!
//! A driver carries out [`Action`](crate::Action)s and knows nothing of the protocol. [`blocking`] is for threads and
//! sockets, `tokio` for tasks and sockets, `asynch` for devices. A driver for another transport can follow the loop of
//! the first two, `Service::step` in `driver/host/service.rs`. [`address`] reads the addresses of brokers. [`journal`] keeps a session over power cuts.
//! [`trace`] shows what went over the wire.

#[cfg(feature = "std")]
pub mod address;
#[cfg(feature = "embedded-io-async")]
pub mod asynch;
#[cfg(feature = "std")]
pub mod blocking;
#[cfg(feature = "std")]
mod fault;
#[cfg(feature = "std")]
mod host;
pub mod journal;
#[cfg(any(feature = "embedded-io-async", feature = "std"))]
pub mod outcome;
#[cfg(feature = "std")]
mod readiness;
#[cfg(feature = "std")]
pub mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "std")]
pub mod trace;
#[cfg(feature = "std")]
pub mod transport;
