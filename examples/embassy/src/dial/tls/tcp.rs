//! [`EmbassyNetSocket`]: a TCP socket of embassy-net, for TLS.

use core::{cell::RefCell, future::poll_fn, net::SocketAddrV4, pin::pin};

use embassy_net::tcp::{Error, TcpSocket};
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::fault;

use super::Socket;

/// A TCP socket of embassy-net that two halves use at once. The socket has a waker for each direction, so one read and
/// one write may wait at the same time.
pub struct EmbassyNetSocket<'s>(RefCell<TcpSocket<'s>>);

impl<'s> EmbassyNetSocket<'s> {
    /// Takes this socket, which is not connected.
    #[must_use]
    pub const fn new(socket: TcpSocket<'s>) -> Self {
        Self(RefCell::new(socket))
    }
}

impl Socket for EmbassyNetSocket<'_> {
    type Error = Error;

    #[expect(clippy::await_holding_refcell_ref, reason = "nobody else uses it before it is open")]
    async fn connect(&self, to: SocketAddrV4) -> Result<(), TransportFault> {
        let mut socket = self.0.borrow_mut();
        socket.set_nagle_enabled(false);
        socket.connect(to).await.map_err(|error| fault(&error))
    }

    async fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        // The future of a read holds nothing, so a new one at each poll does no harm.
        poll_fn(|context| pin!(self.0.borrow_mut().read(buffer)).poll(context)).await
    }

    async fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        poll_fn(|context| pin!(self.0.borrow_mut().write(bytes)).poll(context)).await
    }

    fn shut(&self) {
        self.0.borrow_mut().close();
    }

    fn abort(&self) {
        self.0.borrow_mut().abort();
    }
}
