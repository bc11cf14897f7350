//! [`Socket`]: a TCP socket that both halves of a TLS connection use at once.

use core::net::SocketAddrV4;

use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::TransportFault;

/// A TCP socket that is connected again and again. One task reads and writes at the same time.
///
/// embedded-tls keeps a copy of its socket in each half, so everything here takes `&self`.
pub trait Socket {
    /// Its errors.
    type Error: embedded_io_async::Error;

    /// Connects; not while it is connected.
    fn connect(&self, to: SocketAddrV4) -> impl Future<Output = Result<(), TransportFault>>;

    /// Reads; 0 is the end.
    fn read(&self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Self::Error>>;

    /// Writes.
    fn write(&self, bytes: &[u8]) -> impl Future<Output = Result<usize, Self::Error>>;

    /// Sends a FIN after everything that was written.
    fn shut(&self);

    /// Ends the connection, if there is one.
    fn abort(&self);
}

/// A share in a socket.
pub struct Joint<'s, S>(pub(super) &'s S);

impl<S> Clone for Joint<'_, S> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<S: Socket> ErrorType for Joint<'_, S> {
    type Error = S::Error;
}

impl<S: Socket> Read for Joint<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, S::Error> {
        self.0.read(buffer).await
    }
}

impl<S: Socket> Write for Joint<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, S::Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), S::Error> {
        Ok(())
    }
}
