//! The socket of one session. It never blocks, and it is not asked again for what it did not have, unless the selector
//! says that this has changed.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
};

use mio::{Interest, Registry, Token, event::Event, net::TcpStream};
use mqtt_core::TransportFault;

#[derive(Default)]
pub(crate) struct Link {
    stream: Option<TcpStream>,
    is_open: bool,
    readable: bool,
    writable: bool,
    /// The broker has closed its side.
    ends: bool,
}

impl Link {
    /// Begins to open a socket.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        *self = Self { stream: Some(stream), ..Self::default() };
        Ok(())
    }

    /// The selector says that something has changed.
    pub(crate) fn note(&mut self, event: &Event) {
        self.ends |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.ends;
        self.writable |= event.is_writable() || event.is_write_closed();
    }

    /// Whether the socket has become open since the last call.
    pub(crate) fn opens(&mut self) -> io::Result<bool> {
        let Some(stream) = self.stream.as_ref().filter(|_| !self.is_open && self.writable) else {
            return Ok(false);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {
                // Small packets must not wait for each other.
                stream.set_nodelay(true)?;
                self.is_open = true;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The next [`read`](Self::read) asks the socket in any case.
    pub(crate) const fn look_again(&mut self) {
        self.readable = self.is_open;
    }

    /// The next [`write`](Self::write) asks the socket in any case.
    pub(crate) const fn offer_again(&mut self) {
        self.writable |= self.is_open;
    }

    /// How many bytes have come into this space; `None` if there are none now, and 0 at the end of the stream.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let len = space.len();
        let may_read = self.is_open && self.readable && len > 0;
        let Some(stream) = self.stream.as_mut().filter(|_| may_read) else { return Ok(None) };
        let count = taken(stream.read(space))?;
        // If the space was not filled, the socket is empty, and the selector tells of further bytes.
        self.readable = count.is_some_and(|count| self.ends || count == len);
        Ok(count)
    }

    /// How many of these bytes the socket has taken; `None` if it takes none now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.is_open && self.writable) else {
            return Ok(None);
        };
        let count = taken(stream.write(bytes))?;
        self.writable = count.is_some();
        Ok(count)
    }

    /// Closes the socket. If bytes were left in it, the system would reset the connection, and some brokers then overlook
    /// the DISCONNECT. So what has come is read away.
    pub(crate) fn close(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        if self.is_open && stream.shutdown(Shutdown::Write).is_ok() {
            let mut away = [0; 1_024];
            // Bounded: a broker may go on sending.
            for _ in 0..64 {
                if !matches!(stream.read(&mut away), Ok(1..)) {
                    break;
                }
            }
        }
        *self = Self::default();
    }
}

/// `None` for an operation that would block.
fn taken(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error in the words of the client.
#[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds grows")]
pub(crate) fn fault(error: &io::Error) -> TransportFault {
    match error.kind() {
        ErrorKind::ConnectionRefused => TransportFault::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            TransportFault::Reset
        }
        ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable => TransportFault::Unreachable,
        ErrorKind::TimedOut => TransportFault::TimedOut,
        _ => TransportFault::Other,
    }
}
