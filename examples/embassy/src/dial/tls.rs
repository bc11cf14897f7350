//! TLS 1.3 by embedded-tls, over any TCP socket.
//!
//! The connection is split, and stays so: embedded-tls 0.19 loses bytes if a read is dropped, and the driver drops no
//! read before the end of a [`Link`]. Never put it into a `Whole`.
//!
//! [`verify`] says what is checked of the broker, and what is not.

mod socket;
mod tcp;
pub mod verify;

use core::net::SocketAddrV4;

use embedded_io_async::{ErrorType, Read};
use embedded_tls::{
    Aes128GcmSha256, CryptoProvider, CryptoRngCore, FlushPolicy, TlsClock, TlsConfig,
    TlsConnection, TlsContext, TlsError, TlsReader, TlsVerifier, TlsWriter,
};
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::{Dial, Link, fault};

pub use socket::{Joint, Socket};
pub use tcp::EmbassyNetSocket;
use verify::Verifier;

type Cipher = Aes128GcmSha256;

/// The largest record of TLS. Some brokers send smaller ones only: Mosquitto makes a record of each packet, so its
/// longest packet, or its certificate, and 256 bytes are enough. A record that does not fit ends the connection.
pub const LARGEST_RECORD: usize = 16_640;

/// Opens TLS connections to one broker, over `socket`.
///
/// `C` is the clock for the dates of certificates; with `embedded_tls::NoClock` they are not checked.
pub struct Tls<'t, S, R, C> {
    socket: S,
    address: SocketAddrV4,
    /// The name of the broker in its certificate.
    name: &'t str,
    /// The certificate of the authority, in DER.
    authority: &'t [u8],
    random: R,
    read: &'t mut [u8],
    write: &'t mut [u8],
    clock: core::marker::PhantomData<C>,
}

impl<'t, S, R, C> Tls<'t, S, R, C> {
    /// Connections to `address`, where a broker has to prove that it is `name` by a certificate that `authority` has
    /// signed, a certificate in DER. `random` has to be a source for keys: the generator of the chip. `read` holds a
    /// record that comes in, see [`LARGEST_RECORD`]; `write` holds one that goes out, of which 128 bytes are overhead, and
    /// the handshake, which takes up to 512.
    pub const fn new(
        socket: S,
        address: SocketAddrV4,
        name: &'t str,
        authority: &'t [u8],
        random: R,
        (read, write): (&'t mut [u8], &'t mut [u8]),
    ) -> Self {
        let clock = core::marker::PhantomData;
        Self { socket, address, name, authority, random, read, write, clock }
    }
}

impl<S: Socket, R: CryptoRngCore, C: TlsClock> Dial for Tls<'_, S, R, C> {
    type Link<'a>
        = TlsLink<'a, S>
    where
        Self: 'a;

    async fn dial(&mut self, _endpoint: u8) -> Result<TlsLink<'_, S>, TransportFault> {
        let Self { socket, address, name, authority, random, read, write, .. } = self;
        let socket = &*socket;
        // It comes first: whatever fails below, its drop ends the TCP connection.
        let mut link = TlsLink { tls: TlsConnection::new(Joint(socket), read, write), socket };
        socket.connect(*address).await?;
        // A record need not wait for the ACK of the one before.
        link.tls.set_flush_policy(FlushPolicy::Relaxed);
        let config = TlsConfig::new().with_server_name(name);
        let mut provider = Provider { random, verifier: Verifier::<C>::new(authority) };
        let opened = link.tls.open(TlsContext::new(&config, &mut provider)).await;
        opened.map_err(|error| refused(&error))?;
        // embedded-tls 0.19 also takes a handshake for good in which the server has shown no certificate at all.
        if provider.verifier.has_proof() { Ok(link) } else { Err(TransportFault::NotTrusted) }
    }
}

/// Why a handshake has failed.
fn refused(error: &TlsError) -> TransportFault {
    log::warn!("TLS: {error}");
    match error {
        TlsError::Io(_) | TlsError::IoError => fault(error),
        TlsError::ConnectionClosed => TransportFault::Reset,
        TlsError::InvalidCertificate
        | TlsError::InvalidCertificateEntry
        | TlsError::InvalidSignature
        | TlsError::InvalidSignatureScheme
        | TlsError::DecodeError => TransportFault::NotTrusted,
        _ => TransportFault::Protocol,
    }
}

struct Provider<'p, R, C: TlsClock> {
    random: &'p mut R,
    verifier: Verifier<'p, C>,
}

impl<R: CryptoRngCore, C: TlsClock> CryptoProvider for Provider<'_, R, C> {
    type CipherSuite = Cipher;
    /// The client has no certificate. For one, see `signer` and `client_cert` of this trait.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Cipher>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// A TLS connection, or an attempt at one. The TCP connection ends when this is dropped.
pub struct TlsLink<'a, S: Socket> {
    tls: TlsConnection<'a, Joint<'a, S>, Cipher>,
    socket: &'a S,
}

impl<S: Socket> Drop for TlsLink<'_, S> {
    fn drop(&mut self) {
        self.socket.abort();
    }
}

impl<S: Socket> Link for TlsLink<'_, S> {
    type Reader<'l>
        = Reader<'l, Joint<'l, S>>
    where
        Self: 'l;
    type Writer<'l>
        = TlsWriter<'l, Joint<'l, S>, Cipher>
    where
        Self: 'l;

    /// A record is sent when it is full, or at a flush.
    const BUFFERS: bool = true;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (reader, writer) = self.tls.split();
        (Reader(reader), writer)
    }

    /// TLS is not closed, because embedded-tls could not read after that. MQTT has said DISCONNECT already.
    async fn shut(&mut self) {
        self.socket.shut();
    }
}

/// The incoming direction. The end of the connection is a read of 0 bytes, as everywhere.
pub struct Reader<'l, S>(TlsReader<'l, S, Cipher>);

impl<S> ErrorType for Reader<'_, S> {
    type Error = TlsError;
}

impl<'l, S: Read + 'l> Read for Reader<'l, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TlsError> {
        match self.0.read(buffer).await {
            Err(TlsError::ConnectionClosed | TlsError::IoError) => Ok(0),
            read => read,
        }
    }
}
