//! TLS and WebSocket: the records and frames of a layer come and go as whole packets do.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread::{self, JoinHandle},
};

use mqtt_core::{
    Event, PacketId, Protocol, QoS,
    codec::Packet,
    driver::{
        tokio::{Brokers, Client, Config},
        transport::TlsOptions,
    },
};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use test_kit::{
    certificates::Authority,
    wire::{ACCEPTED, PUBACK, next_packet, packet},
};

use crate::peer::{PATIENCE, listen, options};

const PAYLOAD: &[u8] = &[7; 100_000];

/// The broker's side, in messages of the transport.
trait Messages {
    fn hear(&mut self) -> Vec<u8>;
    fn send(&mut self, bytes: Vec<u8>);
}

struct Bytes<S>(S);

impl<S: Read + Write> Messages for Bytes<S> {
    fn hear(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let count = self.0.read(&mut buffer).unwrap();
        buffer.truncate(count);
        buffer
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.0.write_all(&bytes).unwrap();
        self.0.flush().unwrap();
    }
}

/// Takes a message of QoS 1, answers, sends a message, and hears the end.
fn serve(mut link: impl Messages) {
    let mut held = Vec::new();
    expect(&mut link, &mut held, "Connect");
    link.send(ACCEPTED.to_vec());
    let [high, low] = expect(&mut link, &mut held, "Publish").unwrap().get().to_be_bytes();
    link.send([&[PUBACK, 2, high, low], &packet(0x30, &[b"\0\x01t", PAYLOAD])[..]].concat());
    expect(&mut link, &mut held, "Disconnect");
}

/// Hears this packet next. Gives its packet id, if it is a PUBLISH.
fn expect(link: &mut impl Messages, held: &mut Vec<u8>, expected: &str) -> Option<PacketId> {
    loop {
        if let Some((packet, rest)) = next_packet(held, Protocol::V311) {
            let seen = format!("{packet:?}");
            assert!(seen.starts_with(expected), "{expected} was expected, {seen} came");
            let id = if let Packet::Publish(publish) = packet { publish.id } else { None };
            let rest = rest.len();
            held.drain(..held.len() - rest);
            return id;
        }
        held.extend(link.hear());
    }
}

fn tls(authority: &Authority, listener: TcpListener) -> impl Read + Write {
    let identity = authority.server(&["localhost"]);
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream)
}

async fn converse(brokers: Brokers, peer: JoinHandle<()>) {
    let (client, mut events) = Client::to(Config::new(&options()), brokers).unwrap();
    let handle = client.publish("t", PAYLOAD, QoS::AtLeastOnce, false).await.unwrap();
    let (mut published, mut received) = (false, 0);
    while let Some(event) = events.next().await {
        match event {
            Event::Published(ended) => published = ended == handle,
            Event::MessageChunk(chunk) => received += chunk.len(),
            Event::MessageEnd { .. } => client.disconnect(),
            Event::Down { reason, .. } => assert!(published, "{reason}"),
            _ => {}
        }
    }
    assert_eq!((published, received), (true, PAYLOAD.len()));
    peer.join().unwrap();
}

fn trusting(authority: &Authority, scheme: &str, address: &str) -> Brokers {
    let port = address.rsplit(':').next().unwrap();
    let tls = TlsOptions::new().root_pem(authority.pem().as_bytes());
    Brokers::new(&[&format!("{scheme}://localhost:{port}")]).unwrap().tls(tls.build().unwrap())
}

#[tokio::test]
async fn a_client_speaks_tls() {
    let authority = Authority::new("authority");
    let (listener, address) = listen();
    let brokers = trusting(&authority, "mqtts", &address);
    let peer = thread::spawn(move || serve(Bytes(tls(&authority, listener))));
    converse(brokers, peer).await;
}

#[cfg(feature = "websocket")]
mod websocket {
    use tungstenite::{
        Message, WebSocket, accept_hdr,
        handshake::server::{Request, Response},
    };

    use super::*;

    struct Frames<S>(WebSocket<S>);

    impl<S: Read + Write> Messages for Frames<S> {
        fn hear(&mut self) -> Vec<u8> {
            match self.0.read().unwrap() {
                Message::Binary(bytes) => bytes.to_vec(),
                _ => Vec::new(),
            }
        }

        fn send(&mut self, bytes: Vec<u8>) {
            self.0.send(Message::Binary(bytes.into())).unwrap();
        }
    }

    #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
    fn frames<S: Read + Write>(stream: S) -> Frames<S> {
        let mqtt = |_: &Request, mut response: Response| {
            let protocol = "mqtt".parse().unwrap();
            response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
            Ok(response)
        };
        Frames(accept_hdr(stream, mqtt).map_err(|_| "a handshake").unwrap())
    }

    #[tokio::test]
    async fn a_client_speaks_websocket_over_tls() {
        let authority = Authority::new("authority");
        let (listener, address) = listen();
        let brokers = trusting(&authority, "wss", &address);
        let peer = thread::spawn(move || serve(frames(tls(&authority, listener))));
        converse(brokers, peer).await;
    }
}
