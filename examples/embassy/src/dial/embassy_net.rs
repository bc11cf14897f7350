//! TCP over embassy-net, with options of its own.
//!
//! `mqtt_core::driver::asynch::Nal` over embassy-net's `TcpClient` is shorter. This one can be split, so it reads while
//! a write waits; it turns off Nagle's algorithm, which the traits cannot; and the broker hears of each end.

use core::net::Ipv4Addr;

use embassy_net::{
    Stack,
    dns::DnsQueryType,
    tcp::{TcpReader, TcpSocket, TcpWriter},
};
use embassy_time::Duration;
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::{Broker, Dial, Link, fault};

/// How long sent bytes may stay without an ACK. Without it a broken path is noticed after the keep alive only.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// Opens TCP connections to one broker.
///
/// It has one socket, which is connected again and again. A socket that is dropped sends nothing any more: no FIN, no
/// RST, and the broker would think that the old connection lives.
pub struct EmbassyNet<'s> {
    stack: Stack<'s>,
    socket: TcpSocket<'s>,
    broker: Broker<'s>,
}

impl<'s> EmbassyNet<'s> {
    /// Connections of `stack` to `broker`. The buffers hold what the peer has not read, and what it has not acknowledged.
    pub fn new(
        stack: Stack<'s>,
        receive: &'s mut [u8],
        transmit: &'s mut [u8],
        broker: Broker<'s>,
    ) -> Self {
        let mut socket = TcpSocket::new(stack, receive, transmit);
        // Messages are small, and each one is written as a whole: waiting for more only delays them.
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(UNACKNOWLEDGED));
        Self { stack, socket, broker }
    }
}

impl<'s> Dial for EmbassyNet<'s> {
    type Link<'a>
        = EmbassyNetLink<'a, 's>
    where
        Self: 'a;

    async fn dial(&mut self, _endpoint: u8) -> Result<EmbassyNetLink<'_, 's>, TransportFault> {
        self.stack.wait_config_up().await;
        let address = match self.broker.host.parse::<Ipv4Addr>() {
            Ok(address) => address.into(),
            Err(_) => {
                let found = self.stack.dns_query(self.broker.host, DnsQueryType::A).await;
                let found = found.map_err(|_| TransportFault::UnknownName)?;
                found.first().copied().ok_or(TransportFault::UnknownName)?
            }
        };
        let link = EmbassyNetLink(&mut self.socket);
        link.0.connect((address, self.broker.port)).await.map_err(|error| fault(&error))?;
        Ok(link)
    }
}

/// A connection, or an attempt at one. It ends when this is dropped.
pub struct EmbassyNetLink<'a, 's>(&'a mut TcpSocket<'s>);

impl Drop for EmbassyNetLink<'_, '_> {
    fn drop(&mut self) {
        // An RST, unless both sides have closed it. The stack sends it later, since the socket stays.
        self.0.abort();
    }
}

impl Link for EmbassyNetLink<'_, '_> {
    type Reader<'l>
        = TcpReader<'l>
    where
        Self: 'l;
    type Writer<'l>
        = TcpWriter<'l>
    where
        Self: 'l;

    // A flush would wait for the ACK.
    const BUFFERS: bool = false;

    fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
        self.0.split()
    }

    async fn shut(&mut self) {
        self.0.close();
    }
}
