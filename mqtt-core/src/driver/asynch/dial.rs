//! [`Dial`] and [`Link`]: how a client gets its transports.

use embedded_io_async::{Error, ErrorKind, Read, Write};

use crate::error::TransportFault;

/// Opens transports, one for each attempt to connect.
///
/// A link may borrow from its dialler: a socket that is connected again and again, or the buffers of TLS. So nothing has
/// to be allocated for each connection. `examples/embassy` has diallers over embassy-net, embedded-tls and a UART.
pub trait Dial {
    /// An open transport. It is dropped when its connection is over, and the peer should then hear of the end: a socket
    /// of embassy-net that is dropped says nothing, one that is kept and aborted sends an RST.
    type Link<'a>: Link
    where
        Self: 'a;

    /// Opens a transport to the broker with the number `endpoint`: name resolution, all addresses, and all handshakes.
    ///
    /// The future is dropped if the attempt takes longer than `Options::connect_timeout`.
    ///
    /// # Errors
    ///
    /// Why there is none; [`fault`] translates errors of embedded-io, and a dialler that knows more logs it itself. The
    /// next attempt follows as the options' `Reconnect` says.
    fn dial(
        &mut self,
        endpoint: u8,
    ) -> impl Future<Output = Result<Self::Link<'_>, TransportFault>>;
}

/// An open transport: an ordered byte stream in each direction.
///
/// No read and no write is dropped before the connection is over, so they need not be cancel-safe. A transport that
/// cannot be split goes into a [`Whole`](super::Whole), whose reads have to be.
pub trait Link {
    /// The incoming direction. A read of 0 bytes is the end.
    type Reader<'l>: Read
    where
        Self: 'l;
    /// The outgoing direction.
    type Writer<'l>: Write
    where
        Self: 'l;

    /// Whether the writer keeps bytes that were written until `flush`, as TLS does. Then it is flushed whenever nothing
    /// more waits to be written. For plain TCP it is better not to: there a flush may wait for the peer's ACK.
    const BUFFERS: bool;

    /// The two directions.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Tells the peer that nothing more will be sent; what it sends can still be read. By default this does nothing.
    ///
    /// It is called at an orderly end, if the peer has not closed the connection within half a second. Then everything
    /// is read until the end, for five seconds at most. A transport without an end, such as a serial line, gives 0 from
    /// reads after this, so that the client does not wait for a peer that cannot close it.
    fn shut(&mut self) -> impl Future<Output = ()> {
        async {}
    }
}

/// What the state machine tells of an error of embedded-io.
pub fn fault(error: &impl Error) -> TransportFault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds grows")]
    match error.kind() {
        ErrorKind::ConnectionRefused => TransportFault::Refused,
        ErrorKind::NotFound => TransportFault::UnknownName,
        ErrorKind::AddrNotAvailable => TransportFault::Unreachable,
        ErrorKind::TimedOut => TransportFault::TimedOut,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::WriteZero => TransportFault::Reset,
        ErrorKind::PermissionDenied => TransportFault::NotPermitted,
        ErrorKind::InvalidData => TransportFault::Protocol,
        _ => TransportFault::Other,
    }
}

/// A dialler that is lent.
impl<D: Dial> Dial for &mut D {
    type Link<'a>
        = D::Link<'a>
    where
        Self: 'a;

    async fn dial(&mut self, endpoint: u8) -> Result<Self::Link<'_>, TransportFault> {
        (**self).dial(endpoint).await
    }
}
