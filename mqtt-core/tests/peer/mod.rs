//! The broker's end of a connection, played byte by byte, for the tests of both drivers.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use mqtt_core::{Options, Protocol, Reconnect, codec::Packet};
use test_kit::wire::{ACCEPTED, next_packet};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The broker's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    held: Vec<u8>,
}

impl Peer {
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, held: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads the next packet, and returns the result of `look` for it.
    pub(crate) fn hear<T>(&mut self, look: impl FnOnce(&Packet<'_>) -> T) -> T {
        loop {
            if let Some((packet, rest)) = next_packet(&self.held, Protocol::V311) {
                let (seen, rest) = (look(&packet), rest.len());
                self.held.drain(..self.held.len() - rest);
                return seen;
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the client closed");
            self.held.extend(buffer.iter().take(count));
        }
    }

    /// As [`Peer::expect`], for a PUBLISH or SUBSCRIBE that has a packet id. Gives the id as it is on the wire.
    pub(crate) fn expect_id(&mut self, packet: &str) -> [u8; 2] {
        let (seen, id) = self.hear(|packet| {
            let id = match packet {
                Packet::Publish(publish) => publish.id,
                Packet::Subscribe(subscribe) => Some(subscribe.id),
                _ => None,
            };
            (format!("{packet:?}"), id)
        });
        assert!(seen.starts_with(packet), "{packet} was expected, {seen} came");
        id.unwrap().get().to_be_bytes()
    }

    /// Hears a PUBLISH and answers it.
    pub(crate) fn acknowledge(&mut self) {
        let [high, low] = self.expect_id("Publish");
        self.send(&[0x40, 2, high, low]);
    }

    pub(crate) fn expect(&mut self, packet: &str) {
        let seen = self.hear(|packet| format!("{packet:?}"));
        assert!(seen.starts_with(packet), "{packet} was expected, {seen} came");
    }
}

pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A broker that accepts one connection.
pub(crate) fn accepting() -> (String, JoinHandle<Peer>) {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.expect("Connect");
        peer.send(ACCEPTED);
        peer
    });
    (address, peer)
}

pub(crate) fn options() -> Options<'static> {
    Options::new("me").keep_alive(0).reconnect(Reconnect::never())
}
