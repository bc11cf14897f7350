//! [`Edge`]: TCP over edge-nal.

use edge_nal::{AddrType, Close, Dns, TcpConnect, TcpShutdown, TcpSplit};

use super::{
    Dial, Link,
    broker::{Broker, remote},
    fault,
};
use crate::error::TransportFault;

/// Opens TCP connections to `brokers` with the stack `T` and the name service `D` of edge-nal: often the same value
/// twice. The connections can be split.
///
/// The traits of edge-nal have no options of sockets, so small packets may wait for the ACK of the one before (Nagle's
/// algorithm). A [`Dial`] of your own can set such options.
#[derive(Clone, Debug)]
pub struct Edge<'b, T, D> {
    stack: T,
    dns: D,
    brokers: &'b [Broker<'b>],
}

impl<'b, T, D> Edge<'b, T, D> {
    /// Connections of `stack` to these brokers.
    pub const fn new(stack: T, dns: D, brokers: &'b [Broker<'b>]) -> Self {
        Self { stack, dns, brokers }
    }
}

impl<T: TcpConnect, D: Dns> Dial for Edge<'_, T, D> {
    type Link<'a>
        = EdgeLink<T::Socket<'a>>
    where
        Self: 'a;

    async fn dial(&mut self, endpoint: u8) -> Result<Self::Link<'_>, TransportFault> {
        let look_up = async |name: &str| self.dns.get_host_by_name(name, AddrType::Either).await;
        let remote = remote(self.brokers, endpoint, look_up).await?;
        let connected = self.stack.connect(remote).await;
        connected.map(EdgeLink).map_err(|error| fault(&error))
    }
}

/// A connection of edge-nal.
#[derive(Debug)]
pub struct EdgeLink<S>(S);

impl<S: TcpSplit + TcpShutdown> Link for EdgeLink<S> {
    type Reader<'l>
        = S::Read<'l>
    where
        Self: 'l;
    type Writer<'l>
        = S::Write<'l>
    where
        Self: 'l;

    const BUFFERS: bool = false;

    fn split(&mut self) -> (S::Read<'_>, S::Write<'_>) {
        self.0.split()
    }

    async fn shut(&mut self) {
        // If it fails, the peer is gone already.
        let _gone = self.0.close(Close::Write).await;
    }
}
