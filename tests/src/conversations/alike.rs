//! The whole list with a client that has to find the same differences as the one that the table is made with.

use std::net::SocketAddr;

use mqtt_core::Options;

use super::{Connect, Talker, all, hold, in_table, judge};
use crate::brokers::{ENGINES, Engine};
use crate::transports::{Kind, Transport};

/// Starts a client of one kind over a transport.
pub type Start = fn(&Transport, SocketAddr, &Options<'_>) -> Box<dyn Talker>;

/// Holds the whole list with the broker of this name, if it is here, over a transport that needs no program.
///
/// # Panics
///
/// As [`converse_alike`], or if there is no such broker or transport.
#[track_caller]
pub fn converse_with(client: &str, start: Start, name: &str, kind: Kind) {
    let engine = ENGINES.iter().find(|engine| engine.name == name).expect("it is one of them");
    if let Err(why) = (engine.version)() {
        println!("{name} is not here: {why}");
        return;
    }
    let transport = Transport::new(kind).expect("it needs no program");
    let how = format!("{client} over {}", kind.name());
    converse_alike(engine, &how, &|broker, options| start(&transport, broker, options));
}

/// Conversations that say nothing about the client, and why.
const LEFT_OUT: [(&str, &str); 1] =
    [("silent client", "no client of this project takes part: packets are sent by hand over TCP")];

/// Holds the whole list. The broker differs from the standard as in the table, and in no other way.
///
/// # Panics
///
/// If it differs in another way, or the broker is not installed.
#[track_caller]
pub fn converse_alike(engine: &Engine, how: &str, connect: Connect<'_>) {
    let mut list = all();
    list.retain(|conversation| LEFT_OUT.iter().all(|(name, _)| *name != conversation.name));
    let mut broker = (engine.start)();
    let verdicts = hold(&list, engine, &mut *broker, connect);
    for verdict in &verdicts {
        println!("{:7.3} s  {}", verdict.took.as_secs_f32(), verdict.conversation);
    }
    let surprises = judge(engine.known, &verdicts);
    assert!(surprises.new.is_empty(), "{how} differs from TCP: {:#?}", surprises.new);
    let table = include_str!("../../../brokers.md");
    let version = (engine.version)().expect("it has just run");
    if in_table(table, engine).is_some_and(|(known, _)| known == version) {
        assert!(surprises.gone.is_empty(), "{how} differs: {:#?}", surprises.gone);
    }
    for verdict in &verdicts {
        assert!(
            verdict.not_possible.is_none() || engine.name != "Mosquitto",
            "{}",
            verdict.conversation
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_that_are_left_out_exist() {
        let all = all();
        for (name, _) in LEFT_OUT {
            assert!(all.iter().any(|conversation| conversation.name == name), "{name}");
        }
    }
}
