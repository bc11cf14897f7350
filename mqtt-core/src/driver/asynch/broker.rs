//! [`Broker`]: where a broker is.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

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

    /// Reads `host`, `host:port`, `[IPv6 address]:port` or an IPv6 address alone. The default port is 1883.
    ///
    /// ```
    /// use mqtt_core::driver::asynch::Broker;
    ///
    /// assert_eq!(Broker::parse("plant.example:2883"), Ok(Broker::new("plant.example", 2883)));
    /// assert_eq!(Broker::parse("[fd00::1]:2883"), Ok(Broker::new("fd00::1", 2883)));
    /// assert_eq!(Broker::parse("fd00::1"), Ok(Broker::new("fd00::1", 1883)));
    /// assert!(Broker::parse("plant.example:none").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidBroker`]: no host, or no port behind a colon.
    pub fn parse(text: &'b str) -> Result<Self, InvalidBroker> {
        let is_v6 = |host: &str| host.parse::<Ipv6Addr>().is_ok();
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) if is_v6(host) => (host, None),
            Some(Some((host, rest))) if is_v6(host) => {
                (host, Some(rest.strip_prefix(':').ok_or(InvalidBroker)?))
            }
            Some(_) => return Err(InvalidBroker),
            None if is_v6(text) => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            // `parse` takes a sign.
            Some(port) if port.starts_with('+') => return Err(InvalidBroker),
            Some(port) => port.parse().map_err(|_| InvalidBroker)?,
            None => PORT,
        };
        if host.is_empty() || port == 0 { Err(InvalidBroker) } else { Ok(Self { host, port }) }
    }

    /// Its address, if the host is one.
    fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The port of MQTT over TCP.
const PORT: u16 = 1883;

/// The text is no broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a broker is `host`, `host:port`, or `[IPv6 address]:port`, with a port from 1 to 65535")]
pub struct InvalidBroker;

/// The broker of number `endpoint`; they take turns.
fn broker_of<'b>(brokers: &[Broker<'b>], endpoint: u8) -> Result<Broker<'b>, TransportFault> {
    let turn = usize::from(endpoint).checked_rem(brokers.len());
    turn.and_then(|turn| brokers.get(turn)).copied().ok_or(TransportFault::UnknownName)
}

/// Where to connect for `endpoint`: the address of its broker, or what `look_up` finds for its name.
pub(super) async fn remote<E>(
    brokers: &[Broker<'_>],
    endpoint: u8,
    look_up: impl AsyncFnOnce(&str) -> Result<IpAddr, E>,
) -> Result<SocketAddr, TransportFault> {
    let broker = broker_of(brokers, endpoint)?;
    let address = match broker.address() {
        Some(address) => address,
        None => look_up(broker.host).await.map_err(|_| TransportFault::UnknownName)?,
    };
    Ok(SocketAddr::new(address, broker.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_broker_is_refused() {
        for text in
            ["", ":1883", "h:", "h:x", "h:0", "h:65536", "h:+1", "[::1", "[h]:1", "[::1]1", "a:b:1"]
        {
            assert_eq!(Broker::parse(text), Err(InvalidBroker), "{text}");
        }
    }

    #[test]
    fn brokers_take_turns_and_there_may_be_none() {
        let brokers = [Broker::new("a", 1), Broker::new("b", 2)];
        assert_eq!(broker_of(&brokers, 3), Ok(Broker::new("b", 2)));
        assert_eq!(broker_of(&[], 0), Err(TransportFault::UnknownName));
    }
}
