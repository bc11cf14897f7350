//! The RAM that a program takes, part by part.

extern crate std;

use std::println;
use std::string::String;
use std::vec::Vec;

use mqtt_core::driver::asynch::Runner;

use crate::memory::{Memory, READ, Shared, WRITE};

/// The table that a program prints before it starts.
#[derive(Debug, Default)]
pub struct Table(Vec<(String, usize)>);

impl Table {
    /// What every program takes: the client, and the buffers of the driver.
    #[must_use]
    pub fn of_client() -> Self {
        Self::default()
            .row("Storage", size_of::<Memory>())
            .row("RefCell<State>", size_of::<Shared>())
            .row("read and write buffer", READ + WRITE)
            .row("Runner", size_of::<Runner<'static, Shared>>())
    }

    /// One more part of this many bytes.
    #[must_use]
    pub fn row(mut self, part: &str, bytes: usize) -> Self {
        self.0.push((part.into(), bytes));
        self
    }

    /// Prints the parts, and their sum.
    pub fn print(&self) {
        for (part, bytes) in &self.0 {
            println!("RAM {bytes:>6}  {part}");
        }
        println!("RAM {:>6}  sum", self.0.iter().map(|(_, bytes)| bytes).sum::<usize>());
    }
}
