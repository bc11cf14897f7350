//! A gateway of sensor threads: one MQTT client with a journal, a watchdog over all threads, and a view of both.
//!
//! It is a program to start from: copy the folder, put your sensors into `sensor.rs`, and write your configuration.
//! `docs/gateway.md` in the repository has the settings, the topics and the time budget.
//!
//! | file | holds |
//! |---|---|
//! | `arguments` | the command line |
//! | `config` | the configuration file, and its errors |
//! | `budget` | all times against each other: the plan of the watchdog, the rules of the tasks |
//! | `sensor`, `sampling` | a sensor, and the thread that reads it |
//! | `uplink`, `topics` | everything that is published |
//! | `link` | the thread that serves the connection: events, commands, the health of the link |
//! | `ways` | the transports to the brokers, which can be cut |
//! | `records`, `last_words` | what ended a run, in files until the broker has it |
//! | `hardware` | systemd and `/dev/watchdog` behind one verdict |
//! | `inject` | faults on purpose |
//! | `board`, `view`, `screen`, `plain` | what is shown: facts, drawing, terminal, lines |
//! | `gateway` | start, run, end |
#![cfg(target_os = "linux")]

pub mod arguments;
pub mod beat;
pub mod board;
pub mod budget;
pub mod command;
pub mod config;
pub mod gateway;
pub mod hardware;
pub mod inject;
pub mod last_words;
pub mod link;
pub mod plain;
pub mod records;
pub mod sampling;
pub mod screen;
pub mod sensor;
pub mod time;
pub mod topics;
pub mod uplink;
pub mod view;
pub mod ways;

#[cfg(doctest)]
#[doc = include_str!("../../docs/gateway.md")]
mod docs {}
