//! The server's side of TLS, by rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mqtt_core::driver::stream::{Source, Stream};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use test_kit::certificates::Identity;

/// Bytes of records that are kept if the client takes nothing.
const MOST_UNSENT: usize = 16 * 1024;

/// A server with this certificate, in all versions. It resumes sessions.
pub(super) fn server(identity: &Identity) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_no_client_auth();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let config = builder.with_single_cert(vec![certificate.expect("a certificate")], key);
    Arc::new(config.expect("they fit"))
}

/// One connection over `S`. The handshake is a part of the first reads and writes.
pub(super) struct Secure<S> {
    stream: S,
    connection: ServerConnection,
}

impl<S: Stream> Secure<S> {
    pub(super) fn new(stream: S, server: &Arc<ServerConfig>) -> Self {
        let mut connection = ServerConnection::new(Arc::clone(server)).expect("possible");
        connection.set_buffer_limit(Some(MOST_UNSENT));
        Self { stream, connection }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// Sends if that does not have to wait.
    fn try_to_send(&mut self) -> io::Result<()> {
        match self.send() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }
}

impl<S: Stream> Read for Secure<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Without a goodbye: a client that is gone.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.connection.read_tls(&mut self.stream)?;
            let processed = self.connection.process_new_packets();
            self.try_to_send()?;
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }
}

impl<S: Stream> Write for Secure<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_to_send()?;
        let taken = self.connection.writer().write(bytes)?;
        self.try_to_send()?;
        if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl<S: Stream> Stream for Secure<S> {
    fn source(&self) -> Source<'_> {
        self.stream.source()
    }

    fn has_output(&self) -> bool {
        self.connection.wants_write()
    }

    fn finish(&mut self) -> io::Result<()> {
        // It is sent once.
        self.connection.send_close_notify();
        self.send()?;
        self.stream.finish()
    }
}
