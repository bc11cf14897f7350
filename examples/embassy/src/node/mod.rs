//! A node whose tasks are watched: two sensors, commands, and the link. `docs/async-node.md` has the design.
//!
//! | file | |
//! |---|---|
//! | `budget.rs` | the times, checked against each other when the node is built; the tasks that are watched |
//! | `sensors.rs`, `orders.rs` | the tasks that publish, and the one that carries out commands |
//! | `link.rs` | serves the connection, and mends the link in steps |
//! | `guard.rs` | polls the verdict behind everything else, and feeds the hardware |
//! | `last_words.rs` | says at the next start why the last run ended |
//! | `fault.rs` | faults on request; leave them out of a device |

pub mod budget;
pub mod fault;
pub mod guard;
pub mod last_words;
pub mod link;
pub mod orders;
pub mod sensors;

use mqtt_core::{Options, Topic};

use crate::device::Device;

/// The names of a node: those of a device, and two more.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// The device.
    pub device: Device,
    /// Where the second sensor publishes.
    pub pressure: Topic<'static>,
    /// Why the last run ended, retained.
    pub last_words: Topic<'static>,
}

impl Node {
    /// The options of its client: those of the device, with the times of the budget.
    pub fn options(&self) -> Options<'static> {
        self.device.options().keep_alive(budget::KEEP_ALIVE).ping_timeout(budget::PING_TIMEOUT)
    }
}
