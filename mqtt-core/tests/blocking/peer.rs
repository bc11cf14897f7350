//! A blocking client that is connected to the broker's end.

#[path = "../peer/mod.rs"]
mod both;

use mqtt_core::{
    Event, Options, SessionStatus,
    driver::blocking::{Client, Events},
};

pub(crate) use both::{PATIENCE, Peer, accepting, listen, options};

/// A connected client, and the broker's end.
pub(crate) fn connected(options: &Options<'_>) -> (Client, Events, Peer) {
    let (address, peer) = accepting();
    let (client, mut events) = Client::connect(&address, options).unwrap();
    assert!(matches!(events.next(), Some(Event::Up { session: SessionStatus::New, .. })));
    (client, events, peer.join().unwrap())
}
