//! Drivers: what moves the bytes for a [`Client`](crate::Client) and tells it the time.
//!
//! A driver carries out [`Action`](crate::Action)s; none of them knows the protocol. [`blocking`] is for threads and
//! sockets. To write one for another transport, take its loop as the model: it is `Events::next`.

#[cfg(feature = "std")]
pub mod blocking;
pub mod journal;
