//! A device on embassy: two tasks publish, one handles commands, and one serves the connection. Copy what you need.
//!
//! | file | |
//! |---|---|
//! | `memory.rs` | everything that the client needs, in statics; the types that tasks name |
//! | `device.rs` | the names of the device, and the options of its client |
//! | `events.rs` | what the handler of events does, and what it leaves to a task |
//! | `publishing.rs`, `commands.rs`, `ending.rs` | the tasks |
//! | `clock.rs` | embassy-time as the clock of the client |
//! | `node/`, `link_health.rs` | the same with a watchdog over all tasks, whose link is one of them: `async_node` |
//! | `dial/` | transports: embassy-net, TLS, a serial line |
//! | `host/`, `bin/` | programs for Linux |
//!
//! Without the feature `host` this needs neither std nor a heap.

#![no_std]

pub mod clock;
pub mod commands;
pub mod device;
pub mod dial;
pub mod ending;
pub mod events;
#[cfg(feature = "host")]
pub mod host;
// It needs nothing of its library, so it is not copied within this repository.
#[path = "../../link_health.rs"]
pub mod link_health;
pub mod memory;
pub mod node;
pub mod publishing;
mod text;

use embassy_executor::{SpawnError, Spawner};

use device::Device;
use memory::Client;

/// Starts all tasks but the one that serves the connection. That one names its transport, so each program has its own.
///
/// # Errors
///
/// If they were started before.
pub fn spawn(
    spawner: Spawner,
    client: Client,
    device: Device,
    count: Option<u32>,
) -> Result<(), SpawnError> {
    spawner.spawn(publishing::temperature(client, device, count)?);
    spawner.spawn(publishing::counter(client, device, count)?);
    spawner.spawn(commands::commands(client, device)?);
    Ok(())
}
