//! TLS, by rustls: [`TlsOptions`] say whom to trust, [`TlsConnector`] holds that and the sessions, [`Tls`] is a stream.
//!
//! The handshake is over before [`TlsConnector::connect`] gives the stream. So nothing of the application, and no
//! password, is sent before the certificate of the broker has been checked.
//!
//! A session is resumed if the same connector connects again, which saves a round trip or the check of certificates.

mod error;
mod options;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod unverified;

pub use error::{TlsError, TlsFault};
pub use options::{TlsConnector, TlsOptions, TlsVersion};

use std::{
    fmt,
    io::{self, Read, Write},
    string::String,
    time::Instant,
};

use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};

use super::located::at;
use crate::driver::{
    readiness::Waiting,
    stream::{Source, Stream, gone_is_fine, is_pause},
};

/// Bytes of records that are kept if the transport takes nothing.
const MOST_UNSENT: usize = 16 * 1024;

/// A TLS connection over `S`.
///
/// A broker that closes the connection without a word (`close_notify`) ends the stream as one that says it: MQTT knows
/// by itself whether a packet is whole.
pub struct Tls<S> {
    stream: S,
    connection: ClientConnection,
    host: String,
    /// Whether a client certificate can be shown, for the words of errors.
    has_identity: bool,
    /// Decoded bytes that were not read yet.
    unread: usize,
    /// The broker has said that nothing more comes, and `read` has not.
    ending: bool,
    said_goodbye: bool,
}

impl<S> fmt::Debug for Tls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("host", &self.host)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl<S> Tls<S> {
    /// Whether the handshake resumed a session of an earlier connection.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The version spoken.
    #[must_use]
    pub fn version(&self) -> Option<TlsVersion> {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::Tls12),
            Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
            _ => None,
        }
    }

    /// The protocol that the broker chose from [`TlsOptions::alpn`]; `None` if it chose none.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    fn in_words(&self, error: rustls::Error) -> io::Error {
        TlsError::new(error, &self.host, self.has_identity).into()
    }
}

impl<S: Stream> Tls<S> {
    fn new(stream: S, mut connection: ClientConnection, host: String, has_identity: bool) -> Self {
        connection.set_buffer_limit(Some(MOST_UNSENT));
        Self {
            stream,
            connection,
            host,
            has_identity,
            unread: 0,
            ending: false,
            said_goodbye: false,
        }
    }

    /// The handshake; waits until it is over.
    fn shake_hands(&mut self, until: Instant) -> io::Result<()> {
        loop {
            self.send_flight(until)?;
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            let mut stream = Waiting { stream: &mut self.stream, until };
            match self.connection.read_tls(&mut stream) {
                Ok(0) => return Err(self.closed_early(io::ErrorKind::UnexpectedEof)),
                Ok(_) => self.decode()?,
                Err(error) => return Err(self.in_handshake(error)),
            }
        }
    }

    fn send_flight(&mut self, until: Instant) -> io::Result<()> {
        let mut stream = Waiting { stream: &mut self.stream, until };
        let mut sent = Ok(());
        while sent.is_ok() && self.connection.wants_write() {
            sent = self.connection.write_tls(&mut stream).and_then(some);
        }
        sent.and_then(|()| stream.flush()).map_err(|error| {
            let error = self.last_words(error);
            self.in_handshake(error)
        })
    }

    fn in_handshake(&self, error: io::Error) -> io::Error {
        if error.get_ref().is_some_and(|inner| inner.is::<TlsError>()) {
            return error;
        }
        if error.kind() == io::ErrorKind::ConnectionReset {
            return self.closed_early(error.kind());
        }
        at(std::format!("in the TLS handshake with {}", self.host), error)
    }

    fn closed_early(&self, kind: io::ErrorKind) -> io::Error {
        let host = &self.host;
        let text = "closed the connection in the TLS handshake; is the port one for TLS?";
        io::Error::new(kind, std::format!("{host} {text}"))
    }

    /// Decodes the records that have come in.
    fn decode(&mut self) -> io::Result<()> {
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.unread = state.plaintext_bytes_to_read();
                self.ending = state.peer_has_closed();
                Ok(())
            }
            Err(error) => {
                // The broker is told why, if that does not take long.
                let _told = self.send();
                Err(self.in_words(error))
            }
        }
    }

    /// Reads from the transport and decodes.
    fn receive(&mut self) -> io::Result<usize> {
        let len = self.connection.read_tls(&mut self.stream)?;
        self.decode()?;
        Ok(len)
    }

    /// Writes the records that are kept.
    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut self.stream).and_then(some) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => sent?,
            }
        }
        Ok(())
    }

    /// If the broker ends the connection, writing fails. The broker may have said why before.
    fn last_words(&mut self, error: io::Error) -> io::Error {
        if is_pause(&error) {
            return error;
        }
        loop {
            match self.receive() {
                Ok(1..) if self.unread == 0 => {}
                Ok(_) => return error,
                Err(said) if said.get_ref().is_some_and(|inner| inner.is::<TlsError>()) => {
                    return said;
                }
                Err(_) => return error,
            }
        }
    }
}

/// A transport that takes nothing, and does not say that it will, never takes anything.
fn some(len: usize) -> io::Result<()> {
    if len == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

impl<S: Stream> Read for Tls<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.connection.reader().read(buffer) {
                Ok(len) => {
                    self.unread = self.unread.saturating_sub(len);
                    self.ending &= len > 0;
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error),
            }
            self.receive()?;
            // An answer of TLS itself, such as one to new keys. A failure is the next `write`'s.
            let _sent = self.send();
        }
    }
}

impl<S: Stream> Write for Tls<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut taken = 0;
        // Twice: what was kept before, then the new bytes.
        for round in 0..2 {
            match self.send() {
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(self.last_words(error)),
                Ok(()) => {}
            }
            if round == 0 {
                taken = self.connection.writer().write(bytes)?;
            }
        }
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send().and_then(|()| self.stream.flush()).map_err(|error| self.last_words(error))
    }
}

impl<S: Stream> Stream for Tls<S> {
    fn source(&self) -> Source<'_> {
        self.stream.source()
    }

    fn has_input(&self) -> bool {
        self.unread > 0 || self.ending || self.stream.has_input()
    }

    fn has_output(&self) -> bool {
        self.connection.wants_write() || self.stream.has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.connection.send_close_notify();
        }
        gone_is_fine(self.flush())?;
        gone_is_fine(self.stream.finish())
    }
}
