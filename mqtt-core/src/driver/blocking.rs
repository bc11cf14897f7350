//! A blocking client over TCP, or over any other byte stream.
//!
//! [`Client`] makes requests and can be cloned and shared by threads; [`Events`] receives, in one thread. There is no
//! background thread: the thread that waits in [`Events::next`] does the work. It holds no lock while it waits, so any
//! thread, and also the handler of a message, can publish meanwhile. [`Config::spawn`] starts a thread that does it.
//!
//! ```no_run
//! use mqtt_core::{Event, Options, QoS, driver::blocking::Client};
//!
//! let (client, mut events) = Client::connect("localhost:1883", &Options::new("hello"))?;
//! let _ = client.subscribe("greetings/#", QoS::AtLeastOnce)?;
//! let _ = client.publish("greetings/world", b"hello", QoS::AtLeastOnce, false)?;
//! while let Some(event) = events.next() {
//!     if let Event::Message(message) = event {
//!         println!("{}: {:?}", message.topic, message.payload);
//!     }
//! }
//! # Ok::<(), mqtt_core::driver::blocking::Error>(())
//! ```
//!
//! Nobody waits for the transport: what it does not take stays in the outbox, and the serving thread sends it as soon as
//! it can. If the outbox is full, requests return an error.
//!
//! With [`Config::journal`] the session survives the end of the process and power cuts. [`Config::trace`] shows what
//! goes over the wire.

#[doc = include_str!("../../docs/recipes.md")]
pub mod recipes {}

mod bridge;
mod client;
mod events;
mod pipe;
mod queue;
mod start;

pub use bridge::bridge;
pub use client::Client;
pub use events::{Events, OwnedEvents};
pub use queue::EventQueue;

#[cfg(feature = "bytes")]
pub use super::host::SharedEvent;
pub use super::host::{
    Brokers, Config, Connector, Error, Outcome, Payload, Requests, Traced, Unfinished,
};
