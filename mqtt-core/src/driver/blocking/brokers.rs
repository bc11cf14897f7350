//! [`Brokers`]: transports to the brokers whose addresses the user wrote.

use std::{
    boxed::Box,
    io,
    string::{String, ToString as _},
    time::{Duration, Instant},
    vec::Vec,
};

use super::{Connector, Error};
use crate::driver::{
    address::{Address, Credentials, Place, Scheme},
    stream::Link,
    transport::TcpOptions,
};

/// Opens transports to one or several brokers, as their addresses say.
#[derive(Clone, Debug)]
#[must_use]
pub struct Brokers {
    addresses: Vec<Address>,
    tcp: TcpOptions,
}

impl Brokers {
    /// Brokers at these addresses: see [`Address`] for what can be written.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] names the first address that is not possible.
    pub fn new(addresses: &[&str]) -> Result<Self, Error> {
        let parsed = addresses.iter().enumerate().map(|(number, text)| {
            Address::parse(text).map_err(|error| Error::Address { number, error })
        });
        Ok(Self { addresses: parsed.collect::<Result<_, _>>()?, tcp: TcpOptions::new() })
    }

    /// The options of TCP sockets.
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// The login in the first address that has one.
    pub(super) fn login(&self) -> Option<Credentials> {
        self.addresses.iter().find_map(Address::login).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    fn address(&self, endpoint: u8) -> io::Result<&Address> {
        let turn = usize::from(endpoint).checked_rem(self.addresses.len());
        let found = turn.and_then(|turn| self.addresses.get(turn));
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no broker"))
    }
}

impl Connector for Brokers {
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let until = Instant::now() + timeout;
        let address = self.address(endpoint)?;
        match (address.scheme(), address.place()) {
            (Scheme::Mqtt, Place::Host { host, port }) => {
                Ok(Box::new(self.tcp.connect(host, *port, until)?))
            }
            _ => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "no such transport in this program"))
            }
        }
    }

    fn name(&self, endpoint: u8) -> String {
        match self.address(endpoint) {
            Ok(address) if address.scheme() == Scheme::Mqtt => address.place().to_string(),
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        }
    }
}
