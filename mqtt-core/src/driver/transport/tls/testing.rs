//! A TLS server for tests.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::Arc,
    thread::JoinHandle,
    vec::Vec,
};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use test_kit::certificates::{Authority, Identity};

use crate::driver::transport::testing::with_peer;

/// A TLS server for one connection at a time.
#[derive(Clone)]
pub(in super::super) struct Server(Arc<ServerConfig>);

pub(in super::super) type Accepted = StreamOwned<ServerConnection, UnixStream>;

impl Server {
    pub(in super::super) fn new(identity: &Identity) -> Self {
        Self::with(identity, None, &[&rustls::version::TLS13, &rustls::version::TLS12], &[])
    }

    pub(super) fn with(
        identity: &Identity,
        clients: Option<&Authority>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        alpn: &[&str],
    ) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("there are some");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(one_certificate(authority.pem())).expect("an authority");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.expect("possible"))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let chain = std::vec![one_certificate(&identity.certificate)];
        let mut config = builder.with_single_cert(chain, key).expect("they fit");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    pub(in super::super) fn accept(&self, stream: UnixStream) -> Accepted {
        let connection = ServerConnection::new(Arc::clone(&self.0)).expect("possible");
        StreamOwned::new(connection, stream)
    }

    /// A peer that sends back everything until the end, and then says goodbye.
    pub(super) fn echo(&self) -> (UnixStream, JoinHandle<io::Result<Vec<u8>>>) {
        let server = self.clone();
        with_peer(move |stream| {
            let mut tls = server.accept(stream);
            let mut heard = Vec::new();
            let mut buffer = [0; 1000];
            loop {
                let len = tls.read(&mut buffer)?;
                if len == 0 {
                    break;
                }
                heard.extend_from_slice(&buffer[..len]);
                tls.write_all(&buffer[..len])?;
            }
            tls.conn.send_close_notify();
            tls.flush()?;
            Ok(heard)
        })
    }
}

fn one_certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}
