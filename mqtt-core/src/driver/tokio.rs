//! A client for tasks of tokio, over TCP or over any other byte stream.
//!
//! [`Client`] makes requests and can be cloned and shared by tasks and threads; [`Events`] receives, in one task.
//! Settings, transports and errors are those of [`blocking`](super::blocking): TLS, WebSocket, Unix sockets, proxies,
//! journals and traces work alike.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use mqtt_core::{Options, QoS, driver::tokio::{Client, Config}};
//!
//! # async fn first() -> Result<(), Box<dyn core::error::Error>> {
//! let config = Config::new(&Options::new("gateway"));
//! let (client, events) = Client::connect(config, &["localhost:1883"]).await?;
//! let mut events = events.into_queue(100);
//! let publishing = client.clone();
//! tokio::spawn(async move {
//!     for n in 0..100 {
//!         let count = n.to_string();
//!         // Waits while there is no room, and until the broker has the message.
//!         publishing.publish_wait("plant/count", count.as_bytes(), QoS::AtLeastOnce, false).await?;
//!     }
//!     // Everything that was accepted is answered, or ten seconds are over.
//!     publishing.finish(Duration::from_secs(10)).await?;
//!     Ok::<(), Box<dyn core::error::Error + Send + Sync>>(())
//! });
//! client.subscribe_wait("plant/#", QoS::AtLeastOnce).await?;
//! while let Some(event) = events.next().await {
//!     println!("{event:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Who does the work
//!
//! A request is encoded, recorded in the journal and written to the socket by the task that makes it. All the rest is
//! done while [`Events`] is polled: by [`Events::next`] or the stream in a task of the application, by
//! [`Events::spawn`] for handlers that do not wait, or by [`Events::into_queue`] for all others. A client without work
//! is not polled.
//!
//! Name resolution and handshakes may wait, so each attempt to connect has a thread of its own. The end of the runtime
//! does not wait for it.
//!
//! A [`Journal`](super::journal::Journal) is appended to under the lock of the client, in the thread of the task that
//! makes the request: a message is in the journal once [`Client::publish`] returns. Other tasks that make requests, and
//! what else runs in that thread, wait for that time. If an append takes long, as on a slow disk with `fsync`, use a
//! runtime with several threads. The future of an append is run to its end in that thread, so it must not wait for
//! tasks or timers of a runtime that has no other thread.

mod background;
mod client;
mod events;
mod queue;
mod source;
mod start;
mod timer;

pub use client::Client;
pub use events::Events;
pub use queue::EventQueue;

#[cfg(feature = "bytes")]
pub use super::host::SharedEvent;
pub use super::host::{
    Brokers, Config, Connector, Error, Outcome, Payload, Requests, Traced, Unfinished,
};
