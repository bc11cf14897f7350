//! An async client for devices, over `embedded_io_async`: without std, without a heap, on any executor.
//!
//! [`Runner::run`] is one future that serves the connection. Tasks make requests with a [`Client`], which can be copied.
//! Transport and clock are arguments of `run`, so the type of a runner has no more parameters than its [`Share`], and a
//! task of embassy can name it.
//!
//! ```
//! use core::cell::RefCell;
//! use mqtt_core::{Event, Instant, Options, Publish, QoS, driver::asynch::{Dial, Storage, split}, topic};
//! # use mqtt_core::driver::asynch::{Runner, RunError};
//!
//! async fn device(dial: impl Dial, delay: impl embedded_hal_async::delay::DelayNs, now: fn() -> Instant)
//!     -> Result<(), Box<dyn core::error::Error>>
//! {
//!     let mut storage = Storage::<1024, 8, 4>::new();
//!     let share = RefCell::new(storage.state(&Options::new("boiler-7"))?);
//!     let (mut read, mut write) = ([0; 256], [0; 256]);
//!     let (mut runner, client) = split(&share, &mut read, &mut write)?;
//!
//!     let serve = runner.run(dial, delay, now, async |requests, event| {
//!         if let Event::Message(message) = event { /* your code */ }
//!     });
//!     let measure = async {
//!         client.publish(&Publish::new(topic!("boiler/7"), b"81.2").qos(QoS::AtLeastOnce)).await
//!     };
//!     // With embassy, two tasks; anywhere else, what joins two futures.
//!     # let _ = (serve, measure);
//!     Ok(())
//! }
//! ```
//!
//! Tasks of embassy take no generic arguments and live as long as the program: the storage, the buffers and the share are
//! in statics there, and a task names `Runner<'static, RefCell<State<'static>>>`. `examples/embassy` of the repository is
//! such a program, with diallers over embassy-net, TLS and serial lines, and a clock of three lines.
//!
//! The handler of events is awaited: reading stops meanwhile, and writing goes on. It gets [`Requests`], which do not
//! wait. It cannot wait for room or for an outcome: the answer stands behind its own event in the stream.
//!
//! Transports: [`Nal`] over embedded-nal-async, `Edge` over edge-nal (feature `edge-nal`), or a [`Dial`] of your own. A
//! transport that cannot be split goes into a [`Whole`].
//!
//! A payload may be read while it is sent, with `Options::sources`, [`Requests::try_publish_from`], [`Payloads`] and
//! [`Runner::run_from`]: then it may be far larger than the outbox.
//!
//! # What may be dropped
//!
//! The future of `run`, at any time: the connection is gone, and the session goes on with the next `run`. Every future
//! of a [`Client`]: what waited for room was not accepted, what waited for an outcome stands. The driver itself drops no
//! read and no write before the connection is over.
//!
//! # Memory
//!
//! On a 32-bit machine: the client, see the first page; 24 bytes for each waiter; the two buffers; the future of `run`,
//! about 900 bytes and that of the handler. `cargo xtask footprint` has the figures.

mod broker;
mod client;
mod dial;
#[cfg(feature = "edge-nal")]
mod edge;
mod error;
mod keeping;
mod nal;
mod payloads;
mod race;
mod receiving;
mod requests;
mod runner;
mod sending;
mod share;
mod state;
mod waiters;
mod whole;

pub use broker::{Broker, InvalidBroker};
pub use client::Client;
pub use dial::{Dial, Link, fault};
#[cfg(feature = "edge-nal")]
pub use edge::{Edge, EdgeLink};
pub use error::{RunError, Stopped, TicketError, WaitError};
pub use nal::{Nal, NoDns, NoName};
pub use payloads::Payloads;
pub use requests::{Requests, Ticket};
pub use runner::{Runner, split};
pub use share::Share;
pub use state::{State, Storage};
pub use waiters::Waiter;
pub use whole::{Whole, WholeReader, WholeWriter};

/// How a request ended. A subscription has the lowest QoS that was granted to any of its filters; `None`: one was refused.
pub type Outcome = super::outcome::Outcome<Option<crate::codec::QoS>>;
