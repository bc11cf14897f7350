//! [`Broker`]: where a broker is.

use core::net::IpAddr;

use crate::error::TransportFault;

/// Where a broker is: an address or a name, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broker<'b> {
    /// An IPv4 or IPv6 address, or a name for the DNS.
    pub host: &'b str,
    /// 1883, unless the broker has another one.
    pub port: u16,
}

impl<'b> Broker<'b> {
    /// A broker at this host.
    #[must_use]
    pub const fn new(host: &'b str, port: u16) -> Self {
        Self { host, port }
    }

    /// Its address, if the host is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The broker of number `endpoint`; they take turns.
pub(super) fn broker_of<'b>(
    brokers: &[Broker<'b>],
    endpoint: u8,
) -> Result<Broker<'b>, TransportFault> {
    let turn = usize::from(endpoint).checked_rem(brokers.len());
    turn.and_then(|turn| brokers.get(turn)).copied().ok_or(TransportFault::UnknownName)
}
