//! The example `gateway` as its users run it, with Mosquitto and its clients on the other side. Each test looks at what
//! a second client saw.
#![cfg(target_os = "linux")]

#[path = "gateway/faults.rs"]
mod faults;
#[path = "gateway/lives.rs"]
mod lives;
#[path = "gateway/plant.rs"]
mod plant;
mod secured;
#[path = "gateway/slow.rs"]
mod slow;
#[path = "gateway/terminal.rs"]
mod terminal;
#[path = "gateway/watchdogs.rs"]
mod watchdogs;
#[path = "gateway/wrong.rs"]
mod wrong;
