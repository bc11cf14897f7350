//! [`Nal`]: TCP over embedded-nal-async.

use core::net::IpAddr;

use embedded_nal_async::{AddrType, Dns, TcpConnect};

use super::{
    Dial, Whole,
    broker::{Broker, remote},
    fault,
};
use crate::error::TransportFault;

/// Opens TCP connections to `brokers` with the stack `T` and the name service `D` of embedded-nal-async.
///
/// Such a connection cannot be split: see [`Whole`]. It ends when it is dropped, and some stacks tell the peer nothing
/// then: with embassy-net the broker of a connection that was given up hears neither FIN nor RST. A [`Dial`] over its
/// `TcpSocket` can split it, abort it, and set its options.
#[derive(Clone, Debug)]
pub struct Nal<'b, T, D> {
    stack: T,
    dns: D,
    brokers: &'b [Broker<'b>],
}

impl<'b, T, D> Nal<'b, T, D> {
    /// Connections of `stack` to these brokers. [`NoDns`] is for brokers that are addresses.
    pub const fn new(stack: T, dns: D, brokers: &'b [Broker<'b>]) -> Self {
        Self { stack, dns, brokers }
    }
}

impl<T: TcpConnect, D: Dns> Dial for Nal<'_, T, D> {
    type Link<'a>
        = Whole<T::Connection<'a>>
    where
        Self: 'a;

    async fn dial(&mut self, endpoint: u8) -> Result<Self::Link<'_>, TransportFault> {
        let look_up = async |name: &str| self.dns.get_host_by_name(name, AddrType::Either).await;
        let remote = remote(self.brokers, endpoint, look_up).await?;
        let connected = self.stack.connect(remote).await;
        connected.map(Whole::new).map_err(|error| fault(&error))
    }
}

/// No name service: for brokers that are addresses.
#[derive(Clone, Copy, Debug)]
pub struct NoDns;

/// There is no name service.
#[derive(Clone, Copy, Debug)]
pub struct NoName;

impl Dns for NoDns {
    type Error = NoName;

    async fn get_host_by_name(&self, _host: &str, _addr_type: AddrType) -> Result<IpAddr, NoName> {
        Err(NoName)
    }

    async fn get_host_by_address(
        &self,
        _addr: IpAddr,
        _result: &mut [u8],
    ) -> Result<usize, NoName> {
        Err(NoName)
    }
}
